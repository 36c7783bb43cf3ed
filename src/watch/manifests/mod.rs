//! A cluster from YAML or JSON files, as `kubectl apply` takes them: read as a whole, and again when a file changes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::convert::{self, Reading};
use super::owner::Update;
use crate::cluster::{Change, Resource, Selector, Snapshot};

/// How often files are looked at.
const POLL: Duration = Duration::from_secs(2);
/// Larger files are refused.
const FILE_SIZE_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// What manifests say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifests {
    /// A list of each resource: what is not in it is gone.
    pub changes: Vec<Change>,
    /// What was left out, and why: file, document, reason.
    pub warnings: Vec<String>,
}

/// A file with what shows that it has changed: when it was written, and its size in octets.
type Stamp = (PathBuf, SystemTime, u64);
/// The files of a path, or why it cannot be read.
type Stamps = Result<Vec<Stamp>, String>;

impl Manifests {
    /// Reads a file, or all of a folder's `*.yaml`, `*.yml` and `*.json` files in the order of their names. Fails only
    /// if the path itself cannot be read; what cannot be read of its files is left out with a warning.
    pub fn read(path: &Path, labels: Option<&Selector>) -> io::Result<Self> {
        Ok(read_files(&stamps(path)?, labels))
    }

    /// Reads manifests from memory; `name` is what warnings call them.
    pub fn parse(name: &str, text: &str, labels: Option<&Selector>) -> Self {
        let mut objects = Objects::default();
        objects.add_file(name, text);
        objects.into_manifests(labels)
    }

    /// Makes the snapshot's cluster what the manifests say, at `now_unix` seconds.
    pub fn apply(self, snapshot: &mut Snapshot, now_unix: u32) {
        for change in self.changes {
            snapshot.apply(change, now_unix);
        }
    }
}

/// Reads the manifests and sends them to the owner, now and whenever a file has changed, until it is told to stop.
pub(super) async fn follow(
    path: PathBuf,
    labels: Option<Selector>,
    updates: mpsc::Sender<Update>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut last = None;
    loop {
        let look = {
            let (path, labels, last) = (path.clone(), labels.clone(), last.clone());
            move || read_if_changed(&path, labels.as_ref(), last.as_ref())
        };
        if let Ok(Some((stamps, manifests))) = tokio::task::spawn_blocking(look).await {
            if let Err(error) = &stamps {
                warn!(?path, error, "cannot read the manifests; what is known is served");
            }
            last = Some(stamps);
            manifests.warnings.iter().for_each(|warning| warn!(warning, "a manifest is not served as it is written"));
            for change in manifests.changes {
                if updates.send(Update { change, caused_at: None }).await.is_err() {
                    return Ok(());
                }
            }
        }
        if stop.run_until_cancelled(sleep(POLL)).await.is_none() {
            return Ok(());
        }
    }
}

/// None: nothing has changed. The stamps are older than what is read, so that a change in between is seen next time.
fn read_if_changed(path: &Path, labels: Option<&Selector>, last: Option<&Stamps>) -> Option<(Stamps, Manifests)> {
    let stamps = stamps(path).map_err(|error| error.to_string());
    if last == Some(&stamps) {
        return None;
    }
    let manifests = stamps.as_deref().map(|files| read_files(files, labels)).unwrap_or_default();
    Some((stamps, manifests))
}

fn read_files(files: &[Stamp], labels: Option<&Selector>) -> Manifests {
    let mut objects = Objects::default();
    for (file, _, size_bytes) in files {
        let name = file.display().to_string();
        if *size_bytes > FILE_SIZE_MAX_BYTES {
            objects.warn(&name, "is larger than 256 MiB");
            continue;
        }
        match std::fs::read_to_string(file) {
            Ok(text) => objects.add_file(&name, &text),
            Err(error) => objects.warn(&name, error),
        }
    }
    objects.into_manifests(labels)
}

/// The files that a path stands for. Links are followed: a mounted ConfigMap is one.
fn stamps(path: &Path) -> io::Result<Vec<Stamp>> {
    if !path.is_dir() {
        return Ok(vec![stamp(path.to_owned(), &std::fs::metadata(path)?)]);
    }
    let entries: io::Result<Vec<_>> = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = entries?;
    files.retain(|file| is_manifest(file));
    files.sort();
    let stamps = files.into_iter().map(|file| match std::fs::metadata(&file) {
        Ok(metadata) => stamp(file, &metadata),
        // Reading it says what is wrong.
        Err(_) => (file, SystemTime::UNIX_EPOCH, 0),
    });
    Ok(stamps.collect())
}

fn stamp(file: PathBuf, metadata: &std::fs::Metadata) -> Stamp {
    (file, metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len())
}

fn is_manifest(file: &Path) -> bool {
    let is_hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let extension = file.extension().map(|extension| extension.to_string_lossy());
    !is_hidden && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

/// Objects by resource, namespace and name, each with the place that first named it.
#[derive(Default)]
struct Objects {
    objects: BTreeMap<(Resource, String, String), (String, Value)>,
    warnings: Vec<String>,
}

impl Objects {
    fn warn(&mut self, place: &str, reason: impl std::fmt::Display) {
        self.warnings.push(format!("{place}: {reason}"));
    }

    fn add_file(&mut self, name: &str, text: &str) {
        for (index, document) in documents(text).into_iter().enumerate() {
            let place = format!("{name}: document {}", index + 1);
            match parse_document(&document) {
                Ok(value) => self.add(&place, value, None),
                Err(reason) => self.warn(&place, reason),
            }
        }
    }

    /// Adds an object, or those of a list; `list_kind` is the kind of the items of a list that names it once for all.
    fn add(&mut self, place: &str, object: Value, list_kind: Option<&str>) {
        let object = match object {
            Value::Null => return,
            Value::Object(object) => object,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return self.warn(place, "is not an object: it begins with apiVersion and kind");
            }
        };
        let Some(kind) = object.get("kind").and_then(Value::as_str).or(list_kind).map(str::to_owned) else {
            return self.warn(place, "has no kind");
        };
        if let (Some(item_kind), Some(Value::Array(items))) = (kind.strip_suffix("List"), object.get("items")) {
            for item in items {
                self.add(place, item.clone(), Some(item_kind).filter(|kind| !kind.is_empty()));
            }
            return;
        }
        match resource(&kind, object.get("apiVersion").and_then(Value::as_str)) {
            Some(resource) => self.add_object(place, resource, object),
            None if kind == "Endpoints" => self.warn(place, "Endpoints are not served: write an EndpointSlice"),
            None => {}
        }
    }

    fn add_object(&mut self, place: &str, resource: Resource, mut object: Map<String, Value>) {
        let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
            return self.warn(place, "has no metadata");
        };
        if resource != Resource::Namespaces {
            metadata.entry("namespace").or_insert_with(|| Value::from("default"));
        }
        let field = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (resource, field("namespace"), field("name"));
        let (_, merged) = self.objects.entry(key).or_insert_with(|| (place.to_owned(), Value::Null));
        merge(merged, Value::Object(object));
    }

    fn into_manifests(self, labels: Option<&Selector>) -> Manifests {
        let mut manifests = Manifests { changes: Vec::new(), warnings: self.warnings };
        let mut readings: BTreeMap<Resource, Vec<Reading>> = BTreeMap::new();
        for ((resource, namespace, name), (place, object)) in self.objects {
            match convert::read(resource, object) {
                Ok(reading) => {
                    if reading.skipped > 0 {
                        let kind = resource.plural();
                        manifests.warnings.push(format!(
                            "{place}: {kind} {namespace}/{name}: {} values are no addresses or ports",
                            reading.skipped
                        ));
                    }
                    if let Some(field) = reading.misfit {
                        let kind = resource.plural();
                        let warning = format!("{place}: {kind} {namespace}/{name}: {field} is of a wrong type");
                        manifests.warnings.push(warning);
                    }
                    readings.entry(resource).or_default().push(reading);
                }
                Err(error) => manifests.warnings.push(format!("{place}: {error}")),
            }
        }
        for resource in Resource::ALL {
            manifests.changes.push(Change::ListStarted(resource));
            for reading in readings.remove(&resource).unwrap_or_default() {
                let is_selected =
                    !resource.has_selector() || labels.is_none_or(|selector| selector.matches(&reading.labels));
                if is_selected && !matches!(reading.change, Change::Removed(..)) {
                    manifests.changes.push(reading.into_change(resource));
                }
            }
            manifests.changes.push(Change::ListEnded(resource));
        }
        manifests
    }
}

fn resource(kind: &str, api_version: Option<&str>) -> Option<Resource> {
    let group = api_version.and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    // Other groups have a kind Service, too.
    let is_expected = |expected: &str| api_version.is_none() || group == expected;
    match kind {
        "Namespace" if is_expected("") => Some(Resource::Namespaces),
        "Service" if is_expected("") => Some(Resource::Services),
        "Pod" if is_expected("") => Some(Resource::Pods),
        "ServiceImport" if is_expected("multicluster.x-k8s.io") => Some(Resource::ServiceImports),
        "EndpointSlice" if is_expected("discovery.k8s.io") => Some(Resource::EndpointSlices),
        _ => None,
    }
}

/// The documents of a YAML stream. A line that begins with `---` ends a document wherever it stands (YAML 1.2 section
/// 9.1.2), so that one bad document does not hide those behind it.
fn documents(text: &str) -> Vec<String> {
    let is_marker =
        |line: &str| line.strip_prefix("---").is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace));
    let mut documents: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match documents.last_mut() {
            Some(document) if !is_marker(line) => document.push_str(line),
            _ => documents.push(line.to_owned()),
        }
    }
    documents.retain(|document| document.lines().any(|line| !is_marker(line) && !is_comment(line)));
    documents
}

fn is_comment(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with('#')
}

fn parse_document(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        // Words such as `no` and `on` are names here, as in YAML 1.2.
        strict_booleans: true,
        with_snippet: false,
        // A long file is fine, what its aliases multiply is not.
        budget: serde_saphyr::budget! {
            max_events: 40_000_000,
            max_nodes: 20_000_000,
            max_recorded_anchor_events: 100_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Maps are merged field by field, everything else is replaced: a status in a file of its own completes its object.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests;
