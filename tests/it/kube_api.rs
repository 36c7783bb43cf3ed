//! The fake API server says what a real one said.
//!
//! `tests/golden/api` holds exchanges with kube-apiserver 1.36. They are sent again to a fake that holds the same
//! objects at the same revisions, so that nearly everything can be compared as it is: `Variables` has the exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::kube_api_server::{Fault, KubeApi, TOKENS};

/// How an exchange is replayed. Numbers are revisions of the recording.
#[derive(Clone, Copy, Debug)]
enum Replay {
    /// Nothing changes meanwhile.
    At(u64),
    /// A watch: begun at one revision, read when the other is reached.
    During(u64, u64),
    /// An object that the test creates, or puts in the place of another, becomes what the real server made of it.
    Create(u64),
    /// The same with a merge patch.
    Patch(u64),
}
use Replay::{At, Create, During, Patch};

/// Every recorded exchange that is replayed.
const REPLAYED: &[(Replay, &[&str])] = &[
    (At(5), &["readyz", "livez", "absent-group", "absent-group-version", "absent-group-list", "absent-group-watch"]),
    (At(5), &["discovery-group", "discovery-group-version-absent", "get-unknown-resource"]),
    (At(240), &["list-namespaces-limit2-page1", "list-namespaces-limit2-page2", "list-namespaces-limit2-page3"]),
    (At(240), &["list-services-limit2-page1", "list-services-limit2-page2", "list-services-limit2-page3"]),
    (At(240), &["list-services-limit2-page4", "list-endpointslices-limit2-page1", "list-endpointslices-limit2-page2"]),
    (At(240), &["list-endpointslices-limit2-page3", "list-pods-limit2-page1", "list-pods-limit2-page2"]),
    (At(240), &["list-pods-limit2-page3", "list-services-namespaced", "list-services-empty-namespace"]),
    (At(240), &["list-services-missing-namespace", "list-services-rv0", "list-services-rv0-limit-ignored"]),
    (At(240), &["list-services-limit-negative", "list-services-limit-not-a-number"]),
    (At(242), &["list-services-not-older-than", "list-services-not-older-than-limit2", "list-services-future-rv"]),
    (At(244), &["list-services-exact-old", "list-services-exact-old-limit2-page1"]),
    (At(244), &["list-services-exact-old-limit2-page2", "list-services-rv-without-match-limit2"]),
    (At(244), &["list-services-match-without-rv", "list-services-exact-rv0", "list-services-match-unknown"]),
    (At(244), &["list-services-rv-not-a-number", "list-services-exact-future"]),
    (At(243), &["list-services-not-older-than-future"]),
    (At(244), &["list-services-continue-with-rv", "list-services-continue-with-match"]),
    (At(244), &["list-services-continue-garbage", "list-services-continue-of-other-resource"]),
    (At(244), &["list-pods-send-initial-events-on-list", "list-endpoints-deprecated-warning"]),
    (At(244), &["list-services-accept-cbor", "list-services-accept-order"]),
    (At(467), &["list-namespaces-all", "list-services-all"]),
    (At(240), &["get-service", "get-service-missing", "get-service-missing-namespace", "get-service-metadata-only"]),
    (At(240), &["get-service-accept-unknown"]),
    (At(244), &["get-service-future-rv"]),
    (At(301), &["get-namespace-after-finalize", "list-services-of-finalized-namespace"]),
    (At(300), &["list-services-in-terminating"]),
    (At(244), &["select-services-label", "select-pods-label-set", "select-slices-label-exists"]),
    (At(244), &["select-slices-label-absent", "select-services-label-limit1", "select-services-label-malformed"]),
    (At(244), &["select-pods-phase", "select-pods-ip", "select-pods-host-network", "select-pods-node"]),
    (At(244), &["select-services-name", "select-services-name-and-namespace", "select-services-cluster-ip"]),
    (At(244), &["select-services-headless", "select-services-type", "select-namespaces-name"]),
    (At(244), &["select-namespaces-phase", "select-services-field-unknown", "select-slices-field-unknown"]),
    (At(244), &["meta-list-slices-limit1", "meta-list-slices-fallback", "meta-list-wrong-kind"]),
    (At(247), &["meta-watch-slices"]),
    (At(248), &["meta-watch-list-slices"]),
    (At(249), &["auth-no-token", "auth-bad-token", "auth-bad-token-version", "auth-forbidden-list"]),
    (At(251), &["auth-allowed-list", "auth-forbidden-slices", "auth-forbidden-slices-watch"]),
    (At(251), &["auth-forbidden-pods-namespaced", "auth-forbidden-get", "auth-forbidden-write"]),
    (At(251), &["auth-forbidden-absent-group"]),
    (During(251, 253), &["auth-watch-survives-revocation"]),
    (At(253), &["auth-forbidden-after-revocation", "watch-services-rv-unset", "watch-services-rv0"]),
    (During(254, 259), &["watch-services-from-rv"]),
    (At(259), &["watch-services-replay-of-the-past"]),
    (At(260), &["watch-timeout-seconds-no-events", "watch-timeout-seconds-bookmark"]),
    (At(263), &["watch-rv-not-a-number", "watch-match-without-initial-events", "watch-with-limit-ignored"]),
    (During(260, 263), &["watch-future-rv"]),
    (During(265, 266), &["watch-initial-events"]),
    (During(266, 267), &["watch-initial-events-rv0"]),
    (During(267, 270), &["watch-initial-events-from-rv"]),
    (At(265), &["watch-initial-events-no-bookmarks", "watch-with-continue"]),
    (At(270), &["watch-initial-events-empty", "watch-initial-events-no-match"]),
    (At(270), &["watch-initial-events-exact", "watch-initial-events-false", "watch-initial-events-false-no-match"]),
    (At(270), &["watch-initial-events-future-rv"]),
    (At(276), &["watch-label-selector"]),
    (At(279), &["watch-field-selector-phase"]),
    (At(283), &["watch-gzip-asked", "watch-field-selector-name"]),
    (At(288), &["watch-pod-graceful-delete"]),
    (At(291), &["watch-pod-finalizer-delete"]),
    (At(301), &["watch-namespace-terminating"]),
    (At(358), &["watch-bookmark-cadence"]),
    (During(327, 347), &["watch-bookmark-cadence-initial-events"]),
    (At(358), &["watch-no-bookmarks-asked"]),
    (At(310), &["crd-discovery-group", "crd-imports-list-v1alpha1", "crd-imports-list-v1beta1"]),
    (At(310), &["crd-imports-list-limit1"]),
    (At(312), &["crd-watch-v1alpha1"]),
    (At(314), &["crd-watch-initial-events"]),
    (At(320), &["crd-imports-list-after-delete"]),
    (At(411), &["expired-continue", "expired-continue-inconsistent", "expired-exact", "expired-not-older-than"]),
    (At(411), &["expired-watch", "expired-watch-bookmarks", "expired-watch-metadata"]),
    (At(411), &["watch-initial-events-from-expired-rv"]),
    (At(427), &["fault-resume-after-restart"]),
    (At(427), &["fault-etcd-down-list", "fault-etcd-down-watch"]),
    (At(430), &["fault-too-many-in-flight-list"]),
    (At(460), &["watchlist-off-initial-events", "watchlist-off-initial-events-false", "watchlist-off-plain-watch"]),
    (During(501, 501), &["fault-server-killed"]),
    (Create(206), &["write-namespace-create"]),
    (Create(209), &["write-service-create-clusterip"]),
    (Create(211), &["write-service-create-allocated"]),
    (Create(212), &["write-service-create-headless"]),
    (Create(213), &["write-service-create-headless-no-selector"]),
    (Create(214), &["write-service-create-external-name"]),
    (Create(218), &["write-slice-create"]),
    (Create(219), &["write-slice-create-ipv6"]),
    (Create(220), &["write-slice-create-fqdn-warning"]),
    (Create(233), &["write-service-update"]),
    (Create(234), &["write-service-update-no-change"]),
    (Create(240), &["write-slice-update"]),
    (Create(309), &["crd-import-create-v1beta1"]),
    (Create(385), &["write-service-create-dual-stack"]),
    (Create(388), &["write-service-create-loadbalancer"]),
    (Create(392), &["write-service-create-nodeport"]),
    (Create(394), &["write-service-create-digit-first"]),
    (Patch(207), &["write-namespace-patch-label"]),
    (Patch(234), &["write-service-patch-merge"]),
    (Patch(239), &["write-service-external-to-clusterip"]),
    (Patch(389), &["write-service-status-loadbalancer"]),
];

/// Every recorded exchange that is not, and why.
const NOT_REPLAYED: &[(&str, &[&str])] = &[
    (
        "tests write by calling functions, so nothing is refused and no patch but the merge patch is understood",
        &[
            "write-namespace-create-exists",
            "write-namespace-create-invalid",
            "write-service-create-exists",
            "write-service-create-in-terminating",
            "write-service-create-ip-taken",
            "write-service-create-malformed",
            "write-service-create-no-namespace",
            "write-service-create-upper-case",
            "write-service-delete-missing",
            "write-service-delete-precondition",
            "write-service-patch-apply",
            "write-service-patch-bad-media-type",
            "write-service-patch-json",
            "write-service-patch-missing",
            "write-service-patch-strategic",
            "write-service-status-wrong-type",
            "write-service-update-conflict",
            "fault-etcd-down-write",
            "write-slice-create-loopback",
            "write-slice-create-wrong-family",
            "write-pod-status-ip-invalid",
            "write-pod-status-patch",
            "crd-import-create-invalid",
            "crd-import-create-v1alpha1",
            "size-slice-1001-endpoints",
            "size-body-too-large",
        ],
    ),
    (
        "deleting answers nothing; the events of these deletions are replayed in watches",
        &[
            "write-namespace-delete",
            "write-namespace-finalize",
            "write-service-delete",
            "write-slice-delete",
            "write-slices-delete-collection",
            "write-pod-delete-force",
            "write-pod-delete-graceful",
        ],
    ),
    (
        "of the defaults of Pods only those that a DNS server could look at are filled in",
        &["write-pod-create", "write-pod-status-ip-loopback", "write-pod-status-ip-not-canonical"],
    ),
    (
        "CRDs and roles are switched on by the test, they are no objects",
        &["auth-role-create", "auth-binding-create", "crd-create", "crd-delete", "crd-watch-while-crd-is-deleted"],
    ),
    (
        "no DNS server reads how the server was built, or the verbs and hashes of resources",
        &[
            "version",
            "version-anonymous",
            "discovery-api",
            "discovery-apis",
            "discovery-apis-aggregated",
            "discovery-api-v1",
            "discovery-group-version",
            "crd-discovery-v1alpha1",
            "crd-discovery-v1beta1",
        ],
    ),
    ("the forms Table and protobuf are not served", &["list-services-table", "list-services-protobuf"]),
    ("nothing is compressed", &["size-get-huge-gzip", "size-list-gzip", "size-get-small-gzip-asked"]),
    (
        "size changes nothing else, and the recorded objects are cut",
        &["size-get-huge", "size-slice-1000-endpoints", "size-watch-huge-event"],
    ),
    (
        "compaction forgets at once, there are no snapshots that outlive it",
        &["expired-continue-right-after-compaction", "expired-exact-right-after-compaction"],
    ),
    (
        "of these lists one object was kept; that they are answered without a store is tested below",
        &["fault-etcd-down-list-rv0", "fault-etcd-down-list-not-older-than"],
    ),
    ("a store that is back answers at once", &["fault-etcd-back-list"]),
    ("a test stops the server at once, without the 60 s of grace", &["fault-server-terminated"]),
];

/// What happened that no replayed exchange shows.
fn unrecorded(history: &mut History) {
    let mut succeeded = history.state("pods", "pier", "job-c", 278);
    succeeded["status"]["phase"] = json!("Succeeded");
    history.add(279, "pods", "pier", "job-c", Some(succeeded));
    for (revision, plural, namespace, name) in [
        (242, "services", "pier", "plover"),
        (294, "services", "pier", "ibis"),
        (295, "endpointslices", "pier", "ibis-1"),
        (302, "services", "shoal", "crab"),
    ] {
        history.add(revision, plural, namespace, name, None);
    }
}

/// One recorded exchange.
struct Exchange {
    request: Message,
    response: Message,
}

/// The first line, the headers, the body.
struct Message {
    start: String,
    headers: Vec<String>,
    body: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api")
}

impl Message {
    fn read(file: String) -> Self {
        let path = folder().join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines().map(str::to_owned);
        Self { start: lines.next().unwrap(), headers: lines.collect(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.headers.iter().find_map(|header| header.strip_prefix(prefix.as_str()))
    }
}

impl Exchange {
    fn read(name: &str) -> Self {
        Self { request: Message::read(format!("{name}.request")), response: Message::read(format!("{name}.response")) }
    }

    fn is_watch(&self) -> bool {
        self.request.start.contains("watch=true")
    }

    /// The method and the plural that the path names.
    fn subject(&self) -> (&str, &str) {
        let (method, target) = self.request.start.split_once(' ').unwrap();
        let path = target.split(['?', ' ']).next().unwrap();
        let plurals = ["services", "endpointslices", "pods", "serviceimports", "namespaces"];
        let plural = plurals.into_iter().find(|plural| path.split('/').any(|part| part == *plural));
        (method, plural.unwrap_or_default())
    }
}

/// The bodies of a response: one, or one on each line.
fn documents(body: &str) -> Vec<Value> {
    if !body.starts_with('{') {
        return Vec::new();
    }
    let documents = serde_json::Deserializer::from_str(body).into_iter::<Value>();
    documents.map_while(Result::ok).collect()
}

/// What the real store went through, by revision.
#[derive(Default)]
struct History(BTreeMap<u64, Write>);

#[derive(Clone, Debug, PartialEq)]
struct Write {
    plural: String,
    namespace: String,
    name: String,
    object: Option<Value>,
}

impl History {
    /// Collects every object that a replayed exchange shows.
    fn read() -> Self {
        let mut history = Self::default();
        let names = REPLAYED.iter().flat_map(|(_, names)| *names);
        let mut partial = Vec::new();
        for exchange in names.map(|name| Exchange::read(name)) {
            let (_, plural) = exchange.subject();
            for document in documents(&exchange.response.body) {
                history.collect(plural, &exchange, document, &mut partial);
            }
        }
        unrecorded(&mut history);
        // Metadata is all that is known of some states.
        partial.sort_by_key(revision_of);
        for metadata in partial {
            let (namespace, name) = names_of(&metadata);
            let revision = revision_of(&metadata);
            let known = history.0.contains_key(&revision);
            if !known {
                let object = json!({"metadata": metadata["metadata"]});
                history.add(revision, "endpointslices", &namespace, &name, Some(object));
            }
        }
        history
    }

    fn collect(&mut self, plural: &str, exchange: &Exchange, document: Value, partial: &mut Vec<Value>) {
        let mut objects = Vec::new();
        match document["type"].as_str() {
            Some("ADDED" | "MODIFIED") => objects.push(document["object"].clone()),
            Some("DELETED") if !exchange.request.start.contains("Selector") => {
                let (namespace, name) = names_of(&document["object"]);
                self.add(revision_of(&document["object"]), plural, &namespace, &name, None);
            }
            Some(_) => {}
            None if document["items"].is_array() => objects.extend(document["items"].as_array().unwrap().clone()),
            None if document["metadata"]["uid"].is_string() => objects.push(document),
            None => {}
        }
        for mut object in objects {
            if object["kind"] == "PartialObjectMetadata" {
                partial.push(object);
                continue;
            }
            let fields = object.as_object_mut().unwrap();
            fields.remove("kind");
            fields.remove("apiVersion");
            let (namespace, name) = names_of(&object);
            self.add(revision_of(&object), plural, &namespace, &name, Some(object));
        }
    }

    fn add(&mut self, revision: u64, plural: &str, namespace: &str, name: &str, object: Option<Value>) {
        let (plural, namespace, name) = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let write = Write { plural, namespace, name, object };
        let before = self.0.insert(revision, write.clone());
        assert!(before.as_ref().is_none_or(|before| *before == write), "two writes have revision {revision}");
    }

    /// An object as one revision made it.
    fn state(&self, plural: &str, namespace: &str, name: &str, revision: u64) -> Value {
        let write = &self.0[&revision];
        assert_eq!((write.plural.as_str(), write.namespace.as_str(), write.name.as_str()), (plural, namespace, name));
        write.object.clone().unwrap()
    }

    /// Makes a server go through the revisions after one until another.
    fn load(&self, api: &KubeApi, after: u64, until: u64) {
        for (revision, write) in self.0.iter().filter(|(revision, _)| (after + 1..=until).contains(*revision)) {
            api.replay(&write.plural, &write.namespace, &write.name, *revision, write.object.clone());
        }
        api.advance_to(until);
    }
}

fn names_of(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn revision_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// The revision that was compacted in the recording, for the exchanges after that.
const COMPACTED: u64 = 408;

/// A server at a revision of the recording.
fn server_at(history: &History, name: &str, revision: u64) -> KubeApi {
    let api = KubeApi::start();
    let has_imports = name.starts_with("crd") && name != "crd-imports-list-after-delete";
    api.set(|settings| {
        settings.second = Duration::from_millis(50);
        settings.has_initial_events = !name.starts_with("watchlist-off");
        settings.has_service_imports = has_imports;
    });
    history.load(&api, 4, revision.min(COMPACTED));
    if revision > COMPACTED {
        api.compact();
        history.load(&api, COMPACTED, revision);
    }
    api
}

fn request_headers(request: &Message) -> Vec<String> {
    let fill_in = |header: &String| {
        TOKENS.iter().fold(header.clone(), |header, (token, user)| {
            header.replace(&format!("${{TOKEN_{}}}", user.to_uppercase()), token)
        })
    };
    request.headers.iter().map(fill_in).collect()
}

/// Sends a recorded request, lets happen what happened meanwhile, and compares the answers.
fn check_exchange(history: &History, name: &str, begun: u64, ended: u64) {
    let exchange = Exchange::read(name);
    let api = server_at(history, name, begun);
    prepare(&api, name, ended > begun);
    let asked = http::send(api.address(), &exchange.request.start, &request_headers(&exchange.request));
    let answer = asked.unwrap_or_else(|| panic!("{name}: no answer"));
    if name == "auth-watch-survives-revocation" {
        api.revoke("narrow", "services");
    }
    if name == "fault-server-killed" {
        api.stop();
    }
    history.load(&api, begun, ended);
    let status: u16 = exchange.response.start.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(answer.status, status, "{name}");
    for header in ["Content-Type", "Retry-After", "Warning"] {
        assert_eq!(answer.header(header), exchange.response.header(header), "{name}: {header}");
    }
    let answer = answer.read();
    let is_cut = exchange.response.header("X-Golden-End").is_some_and(|end| end.contains("without the final chunk"));
    assert_eq!(answer.ended_cleanly, !is_cut, "{name}: the end");
    if documents(&exchange.response.body).is_empty() {
        assert_eq!(answer.body.trim(), exchange.response.body.trim(), "{name}");
        return;
    }
    let bodies =
        [&exchange.response.body, &answer.body].map(|body| comparable(name, documents(body), exchange.is_watch()));
    for (fake, real) in bodies[1].iter().zip(&bodies[0]) {
        assert_eq!(fake, real, "{name}: the fake's is on the left");
    }
    assert_eq!(bodies[1].len(), bodies[0].len(), "{name}");
}

/// What a test of one exchange sets before it.
fn prepare(api: &KubeApi, name: &str, goes_on: bool) {
    let second = match name {
        "watch-bookmark-cadence" | "watch-bookmark-cadence-initial-events" | "watch-no-bookmarks-asked" => 10,
        // What happens meanwhile must happen in time.
        _ if goes_on => 500,
        _ => 50,
    };
    api.set(|settings| settings.second = Duration::from_millis(second));
    if ["auth-allowed-list", "auth-watch-survives-revocation"].contains(&name) || name.starts_with("auth-forbidden-") {
        let is_without = ["auth-forbidden-list", "auth-forbidden-after-revocation"].contains(&name);
        if !is_without {
            api.grant("narrow", "services");
            api.grant("narrow", "namespaces");
        }
    }
    match name {
        "fault-too-many-in-flight-list" => api.inject("peek", "services", Fault::Status(429), 1),
        "fault-etcd-down-list" | "fault-etcd-down-watch" => api.set(|settings| settings.is_store_down = true),
        "fault-resume-after-restart" => {
            api.stop();
            api.resume();
        }
        _ => {}
    }
}

/// What may differ: the revision and the number of bookmarks, and the words of Go's JSON reader.
fn comparable(name: &str, mut documents: Vec<Value>, is_watch: bool) -> Vec<Value> {
    if is_watch {
        for document in &mut documents {
            let metadata = &mut document["object"]["metadata"];
            if metadata["name"].is_null()
                && metadata["annotations"].is_null()
                && metadata["resourceVersion"].is_string()
            {
                metadata["resourceVersion"] = json!("a later one");
            }
        }
        documents.dedup();
    }
    if name == "list-services-continue-garbage" {
        let message = documents[0]["message"].as_str().unwrap();
        documents[0]["message"] =
            json!(message.split(": invalid character").next().unwrap().split(": expected").next());
    }
    documents
}

/// Writes what a recorded request wrote, and compares what came of it.
fn check_write(history: &History, name: &str, revision: u64, is_patch: bool) {
    let exchange = Exchange::read(name);
    let api = server_at(history, name, revision - 1);
    let request: Value = serde_json::from_str(&exchange.request.body).unwrap();
    let mut expected: Value = serde_json::from_str(&exchange.response.body).unwrap();
    let mut written = if is_patch {
        let (namespace, object) = names_of(&expected);
        api.patch(exchange.subject().1, &namespace, &object, &request)
    } else {
        api.create(request.clone())
    };
    for object in [&mut expected, &mut written] {
        make_variables(object, &request);
    }
    assert_eq!(written, expected, "{name}: the fake's is on the left");
}

/// What a server chooses, and who owns which field.
fn make_variables(object: &mut Value, request: &Value) {
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("managedFields");
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        metadata.insert(field.to_owned(), json!("chosen"));
    }
    let Some(spec) = object.get_mut("spec") else { return };
    if request["spec"]["clusterIP"].is_null() && spec["clusterIP"].is_string() {
        spec["clusterIP"] = json!("chosen");
        spec["clusterIPs"] = json!(["chosen"]);
    }
    for (number, port) in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        if request["spec"]["ports"][number]["nodePort"].is_null() && port["nodePort"].is_number() {
            port["nodePort"] = json!("chosen");
        }
    }
}

/// The exchanges of which the replay differs; how, is printed.
fn failing<'a>(history: &History, cases: Vec<(Replay, &'a str)>) -> Vec<&'a str> {
    let fails = |replay: Replay, name: &str| {
        std::panic::catch_unwind(|| match replay {
            At(revision) => check_exchange(history, name, revision, revision),
            During(begun, ended) => check_exchange(history, name, begun, ended),
            Create(revision) => check_write(history, name, revision, false),
            Patch(revision) => check_write(history, name, revision, true),
        })
        .is_err()
    };
    cases.into_iter().filter(|(replay, name)| fails(*replay, name)).map(|(_, name)| name).collect()
}

#[test]
fn the_fake_says_what_the_real_server_said() {
    let history = History::read();
    let cases: Vec<(Replay, &str)> =
        REPLAYED.iter().flat_map(|(replay, names)| names.iter().map(|name| (*replay, *name))).collect();
    // Many threads, because most of the time goes into waiting for watches to end.
    const SHARES: usize = 32;
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let share = |first| cases.iter().skip(first).step_by(SHARES).copied().collect::<Vec<_>>();
        let shares: Vec<_> = (0..SHARES).map(share).map(|share| scope.spawn(|| failing(&history, share))).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
    });
    assert_eq!(failed, Vec::<&str>::new(), "see above what differs");
    let left: usize = NOT_REPLAYED.iter().map(|(_, names)| names.len()).sum();
    println!("{} recorded exchanges replayed, {left} not:", cases.len());
    for (reason, names) in NOT_REPLAYED {
        println!("  {:3} {reason}", names.len());
    }
}

#[test]
fn every_recorded_exchange_is_replayed() {
    let recorded: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".request").map(str::to_owned)
        })
        .collect();
    let replayed: BTreeSet<String> =
        REPLAYED.iter().flat_map(|(_, names)| *names).map(|name| (*name).to_owned()).collect();
    assert_eq!(recorded, replayed);
}

#[test]
fn manifests_become_what_the_real_server_made_of_them() {
    let api = KubeApi::start();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cluster");
    let mut files: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut manifests = BTreeMap::new();
    for file in files.iter().filter(|file| ["-services-", "-slices-"].iter().any(|kind| file.contains(kind))) {
        for object in serde_saphyr::from_multiple::<Value>(&fs::read_to_string(folder.join(file)).unwrap()).unwrap() {
            let (namespace, name) = names_of(&object);
            // Status is written apart from the rest.
            if file.contains("-status") {
                api.patch("services", &namespace, &name, &json!({"status": object["status"]}));
                continue;
            }
            api.create(object.clone());
            manifests.insert(format!("{namespace}/{name} {}", object["kind"]), object);
        }
    }
    for path in ["api/v1/services", "apis/discovery.k8s.io/v1/endpointslices"] {
        let plural = path.rsplit('/').next().unwrap();
        let kind = if plural == "services" { "Service" } else { "EndpointSlice" };
        let by_name = |list: &str| -> BTreeMap<String, Value> {
            let list: Value = serde_json::from_str(list).unwrap();
            let mut objects = BTreeMap::new();
            for mut object in list["items"].as_array().unwrap().clone() {
                let (namespace, name) = names_of(&object);
                if let Some(manifest) = manifests.get(&format!("{namespace}/{name} \"{kind}\"")) {
                    make_variables(&mut object, manifest);
                    objects.insert(format!("{namespace}/{name}"), object);
                }
            }
            objects
        };
        let real = by_name(&fs::read_to_string(folder.join(format!("as-served/{plural}.json"))).unwrap());
        let fake = http::send(api.address(), &format!("GET /{path} HTTP/1.1"), &[admin()]).unwrap().read();
        let fake = by_name(&fake.body);
        for (name, object) in &real {
            assert_eq!(fake.get(name), Some(object), "{plural} {name}: the fake's is on the left");
        }
        assert_eq!((fake.len(), real.len() > 70), (real.len(), true), "{plural}");
    }
}

fn admin() -> String {
    let (token, _) = TOKENS.iter().find(|(_, user)| *user == "admin").unwrap();
    format!("Authorization: Bearer {token}")
}

#[test]
fn a_change_that_is_skipped_is_listed_but_never_told() {
    let api = KubeApi::start();
    let watch = |from: u64| {
        let path = format!("/api/v1/namespaces?watch=true&resourceVersion={from}&timeoutSeconds=1");
        http::send(api.address(), &format!("GET {path} HTTP/1.1"), &[admin()]).unwrap().read().body
    };
    api.set(|settings| settings.second = Duration::from_millis(50));
    let backup = api.backup();
    for (name, is_skipped) in [("told", false), ("skipped", true), ("told-again", false)] {
        api.skip_events(is_skipped);
        api.create(json!({"kind": "Namespace", "metadata": {"name": name}}));
    }
    let told: Vec<Value> =
        documents(&watch(4)).iter().map(|event| event["object"]["metadata"]["name"].clone()).collect();
    assert_eq!(told, ["told", "told-again"]);
    let list = http::send(api.address(), "GET /api/v1/namespaces HTTP/1.1", &[admin()]).unwrap().read().body;
    assert!(list.contains("skipped"));

    // A store that was restored from a backup is silent to those who know more.
    api.restore(backup);
    api.create(json!({"kind": "Namespace", "metadata": {"name": "new"}}));
    assert_eq!(watch(7), "");
    assert!(watch(4).contains("new"));
}

#[test]
fn without_its_store_a_server_lists_what_it_remembers() {
    let api = KubeApi::start();
    api.set(|settings| settings.is_store_down = true);
    let list = |parameters: &str| {
        http::send(api.address(), &format!("GET /api/v1/namespaces?{parameters} HTTP/1.1"), &[admin()]).unwrap().read()
    };
    for parameters in ["resourceVersion=0", "resourceVersion=2&resourceVersionMatch=NotOlderThan"] {
        assert!(list(parameters).body.contains("kube-system"), "{parameters}");
    }
}
