//! Requests for one resource, and their responses within bounds of time and size.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::Request;
use serde::Deserialize;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout};

use super::end::End;
use super::message::{self, Event, PageMetadata};
use crate::cluster::Resource;
use crate::metrics::Metrics;
use crate::watch::source::ApiServer;
use crate::watch::times::Times;

/// Objects of one page of a list.
const PAGE_LENGTH: u32 = 500;
/// The largest page: a server that ignores the limit sends everything at once.
const PAGE_MAX_BYTES: usize = 1024 * 1024 * 1024;
/// The largest event: an object has at most 3 MiB.
const EVENT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The largest explanation of an error.
const ERROR_MAX_BYTES: usize = 64 * 1024;
/// Only these Pods have their addresses.
const LIVE_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown";

/// One resource of an API server.
#[derive(Clone)]
pub struct Api {
    server: ApiServer,
    metrics: Arc<Metrics>,
    request: Request,
    times: Times,
    /// The path of another version of the same resource, which not every server has.
    other_version: Option<Request>,
    /// Whether it is that version that is asked for.
    is_other: bool,
    label_selector: Option<String>,
    field_selector: Option<String>,
}

impl Api {
    /// The objects of all namespaces; `labels` does not hold for every resource.
    pub fn new(
        server: ApiServer,
        metrics: Arc<Metrics>,
        times: Times,
        resource: Resource,
        labels: Option<String>,
    ) -> Self {
        let (group, other) = match resource {
            Resource::Namespaces | Resource::Services | Resource::Pods => ("/api/v1", None),
            Resource::EndpointSlices => ("/apis/discovery.k8s.io/v1", None),
            Resource::ServiceImports => {
                ("/apis/multicluster.x-k8s.io/v1beta1", Some("/apis/multicluster.x-k8s.io/v1alpha1"))
            }
        };
        let request = |group: &str| Request::new(format!("{group}/{}", resource.plural()));
        Self {
            server,
            metrics,
            request: request(group),
            times,
            other_version: other.map(request),
            is_other: false,
            label_selector: labels.filter(|_| resource.has_selector()),
            field_selector: (resource == Resource::Pods).then(|| LIVE_PODS.to_owned()),
        }
    }

    /// Host and port of the API server.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// Asks for another version of the resource from now on, if there is one: this one is not there. Returns whether that one was
    /// not tried since the last wait.
    pub fn try_other_version(&mut self) -> bool {
        let Some(other) = &mut self.other_version else { return false };
        std::mem::swap(&mut self.request, other);
        self.is_other = !self.is_other;
        self.is_other
    }

    /// Whether the server streams lists: from Kubernetes 1.34 on it does so unless told otherwise.
    pub async fn can_stream(&self) -> Result<bool, End> {
        let _place = self.place().await;
        let octets = timeout(self.times.page, self.body(Ask::Version, ERROR_MAX_BYTES)).await.map_err(late)??;
        let version: Version = serde_json::from_slice(&octets).unwrap_or_default();
        Ok((number(&version.major), number(&version.minor)) >= (1, 34))
    }

    /// A page of a list, as JSON.
    pub async fn page(&self, continue_token: Option<&str>) -> Result<Vec<u8>, End> {
        self.paged(Ask::Page(&self.page_parameters(continue_token))).await
    }

    /// A page of a list that says no more of its objects than their metadata.
    pub async fn page_of_metadata(&self, continue_token: Option<&str>) -> Result<Vec<u8>, End> {
        self.paged(Ask::Metadata(&self.page_parameters(continue_token))).await
    }

    fn page_parameters(&self, continue_token: Option<&str>) -> ListParams {
        ListParams {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            limit: Some(PAGE_LENGTH),
            continue_token: continue_token.map(str::to_owned),
            ..Default::default()
        }
    }

    async fn paged(&self, ask: Ask<'_>) -> Result<Vec<u8>, End> {
        let _place = self.place().await;
        timeout(self.times.begin + self.times.page, self.body(ask, PAGE_MAX_BYTES)).await.map_err(late)?
    }

    /// The newest resource version of the server's store. None: it does not say.
    pub async fn newest_version(&self) -> Result<Option<u64>, End> {
        let parameters = ListParams::default().limit(1);
        let _place = self.place().await;
        let asked = self.body(Ask::Metadata(&parameters), EVENT_MAX_BYTES);
        let octets = match timeout(self.times.look_patience, asked).await.map_err(late)? {
            Ok(octets) => octets,
            Err(end @ End::Unreachable(_)) => return Err(end),
            Err(_) => return Ok(None),
        };
        let newest = serde_json::from_slice::<Newest<'_>>(&octets).ok();
        Ok(newest.and_then(|newest| newest.metadata.resource_version.parse().ok()))
    }

    /// Whether something has happened after a resource version, as a watch of a second tells. A server that does not say
    /// is no reason to believe so.
    pub async fn has_event_after(&self, version: &str) -> Result<bool, End> {
        let parameters = self.watch_parameters(Duration::from_secs(1), false);
        let _place = self.place().await;
        let begun = timeout(self.times.look_patience, self.events(Ask::Watch(&parameters, version)));
        let mut events = match begun.await.map_err(late)? {
            Ok(events) => events,
            Err(end @ End::Unreachable(_)) => return Err(end),
            Err(_) => return Ok(false),
        };
        while let Ok(Ok(Some(line))) = timeout(self.times.look_watch, events.next()).await {
            let event = serde_json::from_slice::<Event<'_>>(&line);
            if event.is_ok_and(|event| matches!(&*event.event_type, "ADDED" | "MODIFIED" | "DELETED")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A watch from a resource version; None: of everything that is there, and then of its changes.
    pub async fn watch(&self, from: Option<&str>, lasts: Duration) -> Result<Events, End> {
        let mut parameters = self.watch_parameters(lasts, true);
        parameters.send_initial_events = from.is_none();
        let _place = self.place().await;
        let ask = from.map_or(Ask::Stream(&parameters), |from| Ask::Watch(&parameters, from));
        self.events(ask).await
    }

    fn watch_parameters(&self, lasts: Duration, bookmarks: bool) -> WatchParams {
        WatchParams {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            timeout: u32::try_from(lasts.as_secs()).ok(),
            bookmarks,
            send_initial_events: false,
        }
    }

    async fn events(&self, ask: Ask<'_>) -> Result<Events, End> {
        Ok(Events { body: self.send(ask).await?, received: Vec::new(), taken: 0, searched: 0 })
    }

    /// A place among the requests that are under way; no deadline counts before it is there.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        let wanted = Instant::now();
        let place = self.server.pace.wait().await;
        let waits = &self.metrics.kubernetes_rest_client_rate_limiter_duration_seconds;
        waits.with_label_values(&["GET", self.host()]).observe(wanted.elapsed().as_secs_f64());
        place
    }

    async fn body(&self, ask: Ask<'_>, max: usize) -> Result<Vec<u8>, End> {
        let mut body = Limited::new(self.send(ask).await?, max);
        let mut octets = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| End::Unreachable(chain(&*error)))?;
            octets.extend_from_slice(frame.data_ref().map_or(&[], AsRef::as_ref));
        }
        Ok(octets)
    }

    /// Sends a request; anything but success is an end.
    async fn send(&self, ask: Ask<'_>) -> Result<Body, End> {
        let (request, begin) = match ask {
            Ask::Version => (Request::new("/version").list(&ListParams::default()), self.times.begin),
            Ask::Metadata(parameters) => (self.request.list_metadata(parameters), self.times.begin),
            Ask::Page(parameters) => (self.request.list(parameters), self.times.begin),
            Ask::Watch(parameters, from) => (self.request.watch(parameters, from), self.times.begin_watch),
            Ask::Stream(parameters) => (self.request.watch(parameters, ""), self.times.begin_watch),
        };
        let is_stream = matches!(ask, Ask::Stream(_));
        let request = request.map_err(|error| End::Garbage(chain(&error)))?.map(Body::from);
        let began = Instant::now();
        let response = timeout(begin, self.server.client.send(request)).await;
        let code = match &response {
            Ok(Ok(response)) => response.status().as_str().to_owned(),
            Ok(Err(_)) | Err(_) => "<error>".to_owned(),
        };
        let host = self.host();
        self.metrics.kubernetes_rest_client_requests.with_label_values(&[&code, "GET", host]).inc();
        let durations = &self.metrics.kubernetes_rest_client_request_duration_seconds;
        durations.with_label_values(&["GET", host]).observe(began.elapsed().as_secs_f64());

        // A stream that does not begin may be a server's that cannot, and pages are more patient.
        let response = response.map_err(|elapsed| if is_stream { End::Stalled } else { late(elapsed) })?;
        let response = response.map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let code = response.status().as_u16();
        if code == 410 {
            return Err(End::Gone);
        }
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let explanation = timeout(self.times.page, Limited::new(response.into_body(), ERROR_MAX_BYTES).collect()).await;
        let octets = explanation.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        let (message, stated) = message::explanation(&octets);
        Err(End::Refused { code, message, retry_after: retry_after.map(Duration::from_secs).or(stated) })
    }
}

/// What is asked for.
enum Ask<'a> {
    Version,
    Page(&'a ListParams),
    Metadata(&'a ListParams),
    Watch(&'a WatchParams, &'a str),
    Stream(&'a WatchParams),
}

/// The lines of a watch.
pub struct Events {
    body: Body,
    received: Vec<u8>,
    /// How much of what was received was given out.
    taken: usize,
    /// How much of what was received holds no end of a line but those before `taken`.
    searched: usize,
}

impl Events {
    /// The next line; None: the response ended, and half a line that it ended in is no event. May be called again after
    /// the wait for a line was given up.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, End> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.received.len() > EVENT_MAX_BYTES {
                return Err(End::Garbage("an event is larger than 16 MiB".to_owned()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => self.received.extend_from_slice(frame.data_ref().map_or(&[], AsRef::as_ref)),
                Some(Err(error)) => return Err(unreachable(error)),
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.received.iter().skip(self.searched).position(|octet| *octet == b'\n');
        let Some(line) = end.and_then(|end| self.received.get(self.taken..=self.searched + end)) else {
            // Once for all lines that came together, not for each.
            self.received.drain(..self.taken);
            (self.taken, self.searched) = (0, self.received.len());
            return None;
        };
        let line = line.to_vec();
        self.taken += line.len();
        self.searched = self.taken;
        Some(line)
    }
}

/// What matters of a list of one object.
#[derive(Deserialize)]
struct Newest<'a> {
    #[serde(borrow)]
    metadata: PageMetadata<'a>,
}

#[derive(Default, Deserialize)]
struct Version {
    major: String,
    minor: String,
}

/// Some vendors write `34+`.
fn number(text: &str) -> u32 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn late(_: tokio::time::error::Elapsed) -> End {
    End::Unreachable("no answer in time".to_owned())
}

fn unreachable(error: kube::Error) -> End {
    match error {
        // Its own words are the type's name.
        kube::Error::Service(error) => End::Unreachable(chain(&*error)),
        error => End::Unreachable(chain(&error)),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_and_half_a_line_is_none() {
        let body = Body::from(b"{\"a\":1}\n\n{\"b\":2}\n{\"c\"".to_vec());
        let mut events = Events { body, received: Vec::new(), taken: 0, searched: 0 };
        let mut lines = Vec::new();
        while let Ok(Some(line)) = events.next().await {
            lines.push(String::from_utf8(line).expect("text"));
        }
        assert_eq!(lines, ["{\"a\":1}\n", "\n", "{\"b\":2}\n"]);
    }

    #[test]
    fn a_version_may_have_a_vendors_mark() {
        assert_eq!((number("1"), number("34+"), number(""), number("x")), (1, 34, 0, 0));
    }
}
