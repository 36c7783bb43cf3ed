//! Lists and watches one resource, and goes on doing so whatever the API server does.
//!
//! [`plan`] decides what to do next, [`api`] makes requests; here the answers ([`message`]) become updates, and [`report`]
//! tells of them. What was learned is served until a complete list says otherwise.

mod api;
mod end;
mod message;
mod plan;
mod report;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::api::Api;
use self::end::End;
use self::message::{Event, Page};
use self::plan::{Plan, Step};
use super::convert::{self, Reading};
use super::object;
use super::owner::{Cause, Update};
use super::source::ApiServer;
use crate::cluster::{Change, Resource};
use crate::metrics::Metrics;

/// How long a watch is asked to last, give or take a fifth, so that replicas do not come back together.
const WATCH: Duration = Duration::from_secs(240);
/// Bookmarks come about every minute; a watch that is silent for longer than this is dead.
const SILENCE: Duration = Duration::from_secs(150);
/// The same while a list is streamed.
const SILENCE_IN_LIST: Duration = Duration::from_secs(10);
/// A watch that lasted so long was not refused.
const STEADY: Duration = Duration::from_secs(1);

/// Keeps one resource up to date.
pub struct Reflector {
    api: Api,
    resource: Resource,
    updates: mpsc::Sender<Update>,
    metrics: Arc<Metrics>,
    plan: Plan,
}

impl Reflector {
    /// A reflector that sends what it learns to the owner.
    pub fn new(
        server: ApiServer,
        resource: Resource,
        labels: Option<String>,
        updates: mpsc::Sender<Update>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let api = Api::new(server, metrics.clone(), resource, labels);
        Self { api, resource, updates, metrics, plan: Plan::default() }
    }

    /// Lists and watches until it is told to stop, or nobody is left who receives.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let updates = self.updates.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = updates.closed() => {}
            () = self.reflect() => {}
        }
        Ok(())
    }

    async fn reflect(&mut self) {
        loop {
            let end = match self.plan.step() {
                Step::Version => self.ask_version().await,
                Step::Stream => self.watch(None).await,
                Step::Pages => self.list().await.unwrap_or_else(|end| end),
                Step::Watch(version) => match self.has_gone_back().await {
                    Ok(true) => End::Done,
                    Ok(false) => self.watch(Some(&version)).await,
                    Err(end) => end,
                },
            };
            if matches!(end, End::Refused { code: 404, .. }) {
                self.api.try_other_version();
            }
            let next = self.plan.ended(&end, rand::random());
            self.report(&end, &next);
            sleep(next.wait).await;
        }
    }

    async fn ask_version(&mut self) -> End {
        match self.api.can_stream().await {
            Ok(can_stream) => self.plan.can_stream(can_stream),
            // Whoever may not read the version may still list.
            Err(End::Refused { code: 403 | 404, .. }) => self.plan.can_stream(false),
            Err(end) => return end,
        }
        End::Done
    }

    /// Whether the store of the API server was put back, so that a list is needed instead of the watch that was to go on.
    async fn has_gone_back(&mut self) -> Result<bool, End> {
        if !self.plan.is_resuming() {
            return Ok(false);
        }
        let Some(newest) = self.api.newest_version().await? else { return Ok(false) };
        let went_back = self.plan.compared(newest);
        if went_back {
            let (resource, server) = (self.resource.plural(), self.api.host());
            warn!(resource, server, newest, "the store of the API server went back in time; listing again");
        }
        Ok(went_back)
    }

    async fn list(&mut self) -> Result<End, End> {
        self.count_list();
        let mut token: Option<String> = None;
        loop {
            let octets = self.api.page(token.as_deref()).await?;
            let page: Page<'_> = serde_json::from_slice(&octets).map_err(|error| End::Garbage(error.to_string()))?;
            self.heard();
            if token.is_none() {
                self.send(Change::ListStarted(self.resource), None).await;
            }
            for item in page.items.into_iter().flatten() {
                if let Some(reading) = self.read(item) {
                    self.send(reading.change, None).await;
                }
            }
            match page.metadata.next {
                next if next.is_empty() => {
                    self.end_list(page.metadata.resource_version.into_owned()).await?;
                    return Ok(End::Done);
                }
                next if token.as_deref() == Some(&*next) => {
                    return Err(End::Garbage("a page of a list names itself as the next one".to_owned()));
                }
                next => token = Some(next.into_owned()),
            }
        }
    }

    async fn end_list(&mut self, version: String) -> Result<(), End> {
        if version.is_empty() {
            return Err(End::Garbage("a list has no resource version".to_owned()));
        }
        self.send(Change::ListEnded(self.resource), None).await;
        debug!(resource = self.resource.plural(), version, "a list is complete");
        let is_over = self.plan.listed(version);
        self.tell_recovery(is_over);
        Ok(())
    }

    async fn watch(&mut self, from: Option<&str>) -> End {
        let lasts = WATCH.mul_f64(0.8 + 0.4 * rand::random::<f64>());
        let mut events = match self.api.watch(from, lasts).await {
            Ok(events) => events,
            Err(end) => return end,
        };
        if from.is_none() {
            self.count_list();
            self.send(Change::ListStarted(self.resource), None).await;
        }
        loop {
            let patience = match (self.plan.is_listing(), self.plan.is_steady()) {
                (true, _) => SILENCE_IN_LIST,
                (false, false) => STEADY,
                (false, true) => SILENCE,
            };
            match timeout(patience, events.next()).await {
                Err(_) if !self.plan.is_listing() && !self.plan.is_steady() => {
                    let is_over = self.plan.steady();
                    self.tell_recovery(is_over);
                }
                Err(_) => return End::Stalled,
                Ok(Err(end)) => return end,
                Ok(Ok(None)) => return End::Closed,
                Ok(Ok(Some(line))) => {
                    if let Err(end) = self.take_event(&line).await {
                        return end;
                    }
                }
            }
        }
    }

    async fn take_event(&mut self, line: &[u8]) -> Result<(), End> {
        self.heard();
        let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else {
            self.count_unreadable(1);
            debug!(resource = self.resource.plural(), "an event is none");
            return Ok(());
        };
        match &*event.event_type {
            "ADDED" | "MODIFIED" => {
                let Some(reading) = self.read(event.object) else { return Ok(()) };
                let cause = self.cause(&reading);
                self.advance(&reading.resource_version);
                self.send(reading.change, cause).await;
            }
            "DELETED" => {
                let Some(reading) = self.read(event.object) else { return Ok(()) };
                self.advance(&reading.resource_version);
                self.send(Change::Removed(self.resource, reading.key), None).await;
            }
            "BOOKMARK" => return self.take_bookmark(event.object).await,
            "ERROR" => return Err(message::error(event.object)),
            _ => self.count_unreadable(1),
        }
        Ok(())
    }

    async fn take_bookmark(&mut self, object: &RawValue) -> Result<(), End> {
        let bookmark: object::Namespace = serde_json::from_str(object.get()).unwrap_or_default();
        let metadata = bookmark.metadata;
        if self.plan.is_listing() && metadata.annotations.initial_events_end == "true" {
            self.end_list(metadata.resource_version.clone()).await?;
        }
        self.advance(&metadata.resource_version);
        Ok(())
    }

    /// Reads an object; one that cannot be read is counted, and what is known of it stays as it is.
    fn read(&self, object: &RawValue) -> Option<Reading> {
        match convert::read(self.resource, &mut serde_json::Deserializer::from_str(object.get())) {
            Ok(reading) => {
                self.count_unreadable(reading.skipped);
                Some(reading)
            }
            Err(error) => {
                self.count_unreadable(1);
                debug!(resource = self.resource.plural(), %error, "an object cannot be read");
                None
            }
        }
    }

    /// What a changed EndpointSlice is measured by; a list says nothing about how long its changes took.
    fn cause(&self, reading: &Reading) -> Option<Cause> {
        let at = reading.caused_at.filter(|_| self.resource == Resource::EndpointSlices && !self.plan.is_listing())?;
        let is_headless = reading.labels.contains_key("service.kubernetes.io/headless");
        Some(Cause { at, service_kind: if is_headless { "headless_with_selector" } else { "cluster_ip" } })
    }

    fn advance(&mut self, version: &str) {
        let is_over = self.plan.advanced(version);
        self.tell_recovery(is_over);
    }

    async fn send(&self, change: Change, cause: Option<Cause>) {
        // It fails when the owner is gone, which ends `run`.
        let _ = self.updates.send(Update { change, cause }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::source::{self, Source};

    /// A reflector of Services whose plan is at the given place, and what it sends.
    async fn reflector(plan: Plan) -> (Reflector, mpsc::Receiver<Update>) {
        let source =
            crate::config::directive::ObjectSource::Endpoint { url: "http://127.0.0.1:1".to_owned(), tls: None };
        let settings =
            crate::watch::Settings { source, kubeconfig: None, context: None, labels: None, pace: Default::default() };
        let Ok(Source::Api(server)) = source::find(&settings).await else { panic!("a client") };
        let (updates, received) = mpsc::channel(64);
        let mut reflector = Reflector::new(server, Resource::Services, None, updates, Arc::new(Metrics::new()));
        reflector.plan = plan;
        (reflector, received)
    }

    fn streaming() -> Plan {
        let mut plan = Plan::default();
        plan.can_stream(true);
        plan
    }

    fn watching() -> Plan {
        let mut plan = streaming();
        plan.listed("5".to_owned());
        plan
    }

    fn service(event: &str, name: &str, version: u32) -> String {
        format!(
            r#"{{"type":"{event}","object":{{"kind":"Service","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"pier",
            "resourceVersion":"{version}"}},"spec":{{"clusterIP":"10.96.0.1","futureField":[{{}}]}}}}}}"#
        )
        .replace('\n', "")
    }

    #[tokio::test]
    async fn events_become_changes_and_move_the_version() {
        let (mut reflector, mut received) = reflector(watching()).await;
        for line in [service("ADDED", "gull", 6), service("MODIFIED", "gull", 8), service("DELETED", "gull", 9)] {
            assert_eq!(reflector.take_event(line.as_bytes()).await, Ok(()));
        }
        assert!(matches!(received.try_recv().expect("an update").change, Change::Service(_)));
        assert!(matches!(received.try_recv().expect("an update").change, Change::Service(_)));
        assert!(matches!(received.try_recv().expect("an update").change, Change::Removed(Resource::Services, _)));
        assert_eq!(reflector.plan.step(), Step::Watch("9".to_owned()));
        let bookmark =
            r#"{"type":"BOOKMARK","object":{"kind":"Service","metadata":{"resourceVersion":"12"},"spec":{}}}"#;
        assert_eq!(reflector.take_event(bookmark.as_bytes()).await, Ok(()));
        assert_eq!(reflector.plan.step(), Step::Watch("12".to_owned()));
    }

    #[tokio::test]
    async fn garbage_is_counted_and_changes_nothing() {
        let (mut reflector, mut received) = reflector(watching()).await;
        let nameless = r#"{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"7"}}}"#;
        for line in ["", "{", "7", r#"{"type":"ADDED"}"#, nameless, r#"{"type":"X","object":{}}"#, "\u{0}\u{7f}"] {
            assert_eq!(reflector.take_event(line.as_bytes()).await, Ok(()), "{line}");
        }
        assert_eq!(reflector.take_event(&[0xff, 0xfe]).await, Ok(()));
        assert!(received.try_recv().is_err());
        assert_eq!(reflector.plan.step(), Step::Watch("5".to_owned()));
        assert_eq!(reflector.metrics.landfall_watch_decode_errors.with_label_values(&["services"]).get(), 8);
    }

    #[tokio::test]
    async fn a_streamed_list_ends_with_its_bookmark() {
        let (mut reflector, mut received) = reflector(streaming()).await;
        assert_eq!(reflector.take_event(service("ADDED", "gull", 6).as_bytes()).await, Ok(()));
        assert_eq!(reflector.plan.step(), Step::Stream);
        let end = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"265","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        assert_eq!(reflector.take_event(end.as_bytes()).await, Ok(()));
        assert_eq!(reflector.plan.step(), Step::Watch("265".to_owned()));
        assert!(matches!(received.try_recv().expect("an update").change, Change::Service(_)));
        assert_eq!(received.try_recv().expect("an update").change, Change::ListEnded(Resource::Services));
    }

    #[tokio::test]
    async fn an_error_event_ends_the_watch() {
        let (mut reflector, _received) = reflector(watching()).await;
        let mut check = async |status: &str, end: End| {
            let line = format!(r#"{{"type":"ERROR","object":{status}}}"#);
            assert_eq!(reflector.take_event(line.as_bytes()).await, Err(end), "{status}");
        };
        check(r#"{"kind":"Status","message":"too old resource version: 399 (408)","code":410}"#, End::Gone).await;
        check(r#"{"kind":"Status","reason":"Expired"}"#, End::Gone).await;
        let timeout = End::Refused { code: 504, message: "Timeout".to_owned(), retry_after: None };
        check(r#"{"kind":"Status","message":"Timeout","code":504}"#, timeout).await;
        let unknown = End::Refused { code: 0, message: String::new(), retry_after: None };
        check(r#"["x"]"#, unknown).await;
    }

    #[tokio::test]
    async fn only_a_watched_change_of_a_slice_is_measured() {
        let (mut reflector, _received) = reflector(watching()).await;
        let json = r#"{"metadata":{"name":"s","namespace":"n","labels":{"service.kubernetes.io/headless":""},
            "annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T00:00:00Z"}}}"#;
        let reading =
            |resource| convert::read(resource, &mut serde_json::Deserializer::from_str(json)).expect("an object");
        assert_eq!(reflector.cause(&reading(Resource::Services)), None);
        reflector.resource = Resource::EndpointSlices;
        let cause = reflector.cause(&reading(Resource::EndpointSlices)).expect("a cause");
        assert_eq!(cause.service_kind, "headless_with_selector");
        reflector.plan = streaming();
        assert_eq!(reflector.cause(&reading(Resource::EndpointSlices)), None);
    }
}
