//! Watches: a response that goes on, one event on each line.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::form::Form;
use super::list::{Parameters, Scope, forbidden, revision, text, unsupported};
use super::status::{Cause, Status};
use super::store::{Change, Compacted};

/// A watch that is to begin.
struct Watch {
    scope: Scope,
    form: Form,
    /// None: from the present state, which is sent first.
    from: Option<u64>,
    /// `sendInitialEvents`: the revision that the state must have reached.
    initial_events: Option<u64>,
    has_bookmarks: bool,
    seconds: Option<u32>,
}

/// How many events may wait for a slow reader.
const WAITING_EVENTS: usize = 16;

/// Checks a watch and begins it. What the server cannot go on from, it says in an event.
pub async fn watch(
    shared: &Arc<Shared>,
    scope: Scope,
    form: Form,
    parameters: &Parameters,
) -> Result<Response, Status> {
    let watch = Watch::parse(shared, scope, form, parameters)?;
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    let (first_lines, from) = match watch.begin(shared).await {
        Ok(begun) => begun,
        Err(status) => {
            let event = line(&json!({"type": "ERROR", "object": status.body()}));
            return Ok(response.body(Body::from(event)).unwrap());
        }
    };
    let (lines, mut more_lines) = mpsc::channel(WAITING_EVENTS);
    let shared = Arc::clone(shared);
    tokio::spawn(async move { watch.run(&shared, from, &lines).await });
    let more_lines = stream::poll_fn(move |context| more_lines.poll_recv(context));
    let lines = stream::iter(first_lines).chain(more_lines).map(Ok::<_, Infallible>);
    Ok(response.body(Body::from_stream(lines)).unwrap())
}

fn mistakes(parameters: &Parameters, has_initial_events: bool) -> Vec<Cause> {
    let matching = text(parameters, "resourceVersionMatch");
    let field = "resourceVersionMatch";
    let Some(_) = text(parameters, "sendInitialEvents") else {
        let words = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return matching.map(|_| forbidden(field, words)).into_iter().collect();
    };
    if !has_initial_events {
        let words = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return vec![forbidden("sendInitialEvents", words)];
    }
    let mut causes = Vec::new();
    if matching != Some("NotOlderThan") {
        causes.push(forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if let Some(other) = matching.filter(|value| *value != "NotOlderThan") {
        causes.push(unsupported(field, other, "\"NotOlderThan\""));
    }
    causes
}

impl Watch {
    fn parse(shared: &Shared, scope: Scope, form: Form, parameters: &Parameters) -> Result<Self, Status> {
        let causes = mistakes(parameters, shared.lock().settings.has_initial_events);
        if !causes.is_empty() {
            return Err(Status::invalid_options(&causes));
        }
        let revision = revision(parameters).map_err(Status::watch_revision_unreadable)?;
        let is_true = |name: &str| text(parameters, name).is_some_and(|value| value == "true" || value == "1");
        let initial_events = is_true("sendInitialEvents").then(|| revision.unwrap_or(0));
        if initial_events.is_some() && !shared.lock().settings.store_tells_progress {
            return Err(Status::no_progress());
        }
        Ok(Self {
            scope,
            form,
            from: revision.filter(|revision| *revision > 0 && initial_events.is_none()),
            initial_events,
            has_bookmarks: is_true("allowWatchBookmarks"),
            seconds: text(parameters, "timeoutSeconds").and_then(|seconds| seconds.parse().ok()),
        })
    }

    /// Sends events until the time is over or nobody listens.
    async fn run(&self, shared: &Shared, from: u64, lines: &mpsc::Sender<Bytes>) {
        let begun = Instant::now();
        let (second, cadence) = {
            let settings = &shared.lock().settings;
            (settings.second, settings.second * settings.bookmark_seconds)
        };
        // The real server chooses 30 to 60 minutes.
        let end = begun + second * self.seconds.unwrap_or(45 * 60);
        // It sends a bookmark or two in the last two seconds, if there are more; one is enough.
        let mut bookmarks =
            [Some(begun + cadence), self.seconds.filter(|seconds| *seconds > 2).map(|_| end - second * 2)];
        let mut changed = shared.changed.subscribe();
        let mut known = from;
        loop {
            let Some(events) = self.events(shared, &mut known) else { return };
            for event in events {
                if lines.send(line(&event)).await.is_err() {
                    return;
                }
            }
            let wake = bookmarks.iter().flatten().copied().fold(end, Instant::min);
            tokio::select! {
                _ = changed.changed() => continue,
                () = lines.closed() => return,
                () = sleep_until(wake) => {}
            }
            if wake == end {
                return;
            }
            bookmarks = bookmarks.map(|at| at.filter(|at| *at > wake));
            bookmarks[0].get_or_insert(wake + cadence);
            known = known.max(shared.lock().store.revision());
            if self.has_bookmarks && known > from && lines.send(self.bookmark(known, false)).await.is_err() {
                return;
            }
        }
    }

    /// What comes before the first change, and the revision from which changes are sent.
    async fn begin(&self, shared: &Shared) -> Result<(Vec<Bytes>, u64), Status> {
        if let Some(revision) = self.initial_events {
            shared.wait_until(|state| !state.settings.is_store_down).await;
            shared.wait_for(revision).await?;
        }
        let store = &shared.lock().store;
        if let Some(from) = self.from {
            let oldest = store.compacted();
            return if from < oldest { Err(Status::expired_watch(from, oldest)) } else { Ok((Vec::new(), from)) };
        }
        let scope = &self.scope;
        let matching =
            store.objects().iter().filter(|(key, object)| scope.contains(key) && scope.selector.matches(object));
        let mut lines: Vec<Bytes> = matching
            .map(|(_, object)| line(&json!({"type": "ADDED", "object": self.form.object(scope, object)})))
            .collect();
        if self.initial_events.is_some() && self.has_bookmarks {
            lines.push(self.bookmark(store.revision(), true));
        }
        Ok((lines, store.revision()))
    }

    /// The events after the known revision; None if the server has forgotten them.
    fn events(&self, shared: &Shared, known: &mut u64) -> Option<Vec<Value>> {
        let state = &shared.lock();
        let (store, repeats) = (&state.store, state.settings.repeats_events);
        let changes = match store.changes_after(*known) {
            Ok(changes) => changes,
            Err(Compacted) => return None,
        };
        *known = changes.last().map_or(*known, |change| change.revision);
        let events = changes.iter().filter_map(|change| self.event(change));
        Some(if repeats { events.flat_map(repeated).collect() } else { events.collect() })
    }

    /// What a change is to this watch: an object may begin or cease to match.
    fn event(&self, change: &Change) -> Option<Value> {
        let scope = &self.scope;
        if change.is_skipped || !scope.contains(&change.key) {
            return None;
        }
        let matched = change.before.as_ref().filter(|object| scope.selector.matches(object));
        let matches = change.after.as_ref().filter(|object| scope.selector.matches(object));
        let (kind, object) = match (matched, matches) {
            (None, None) => return None,
            (None, Some(after)) => ("ADDED", (**after).clone()),
            (Some(_), Some(after)) => ("MODIFIED", (**after).clone()),
            (Some(before), None) => {
                let mut last = (**before).clone();
                last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                ("DELETED", last)
            }
        };
        Some(json!({"type": kind, "object": self.form.object(scope, &object)}))
    }

    fn bookmark(&self, revision: u64, ends_initial_events: bool) -> Bytes {
        let mut object = self.scope.resource.empty(&self.scope.version);
        object["metadata"] = json!({"resourceVersion": revision.to_string()});
        if ends_initial_events {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        line(&json!({"type": "BOOKMARK", "object": self.form.object(&self.scope, &object)}))
    }
}

/// An event, and the same object as new.
fn repeated(event: Value) -> impl Iterator<Item = Value> {
    let again = (event["type"] != "DELETED").then(|| json!({"type": "ADDED", "object": event["object"]}));
    [Some(event), again].into_iter().flatten()
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}
