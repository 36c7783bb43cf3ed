//! Lists and watches one resource, and goes on doing so whatever the API server does.
//!
//! [`plan`] decides what to do next, [`api`] makes requests; here the answers ([`message`]) become updates ([`reading`]), and
//! [`report`] tells of them. Beside a watch, [`guard`] looks whether it is alive, and [`compare`] whether it was complete; [`unread`] remembers
//! what could not be understood. What was learned is served until a complete list says otherwise.

mod api;
mod compare;
mod end;
mod guard;
mod message;
mod plan;
mod reading;
mod report;
#[cfg(test)]
mod scripted;
mod unread;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::api::{Api, Events};
use self::compare::Comparison;
use self::end::End;
use self::guard::{Guard, Seen, Verdict};
use self::message::Page;
use self::plan::{Plan, Step};
use self::unread::Unread;
use super::owner::Update;
use super::source::ApiServer;
use super::times::{Times, between};
use super::troubles::Troubles;
use crate::cluster::{Change, Resource};
use crate::metrics::{Metrics, Watched};

/// Keeps one resource up to date.
pub struct Reflector {
    api: Api,
    resource: Resource,
    updates: mpsc::Sender<Update>,
    metrics: Arc<Metrics>,
    watched: Arc<Watched>,
    troubles: Troubles,
    times: Times,
    plan: Plan,
    guard: Guard,
    comparison: Comparison,
    unread: Unread,
    /// When the watch began that runs, or ran last.
    began: Option<Instant>,
}

/// What a reflector works with.
pub struct Context {
    /// The API server.
    pub server: ApiServer,
    /// Only objects that this label selector matches.
    pub labels: Option<String>,
    /// How often what is known is compared with what is there, about.
    pub compare: Option<Duration>,
    /// How long everything takes.
    pub times: Times,
    /// Where updates go.
    pub updates: mpsc::Sender<Update>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the resource's own metrics are told.
    pub watched: Arc<Watched>,
    /// Where it is said why nothing is learned.
    pub troubles: Troubles,
}

/// A look that is under way, beside a watch from a version.
struct Looking {
    from: String,
    seen: BoxFuture<'static, Result<Seen, End>>,
    began: Instant,
}

/// What happens to a watch.
enum Happening {
    Line(Result<Option<Vec<u8>>, End>),
    Seen(Result<Seen, End>),
    Differences(usize),
    Time,
}

impl Reflector {
    /// A reflector that sends what it learns to the owner.
    pub fn new(resource: Resource, context: Context) -> Self {
        let Context { server, labels, compare, times, updates, metrics, watched, troubles } = context;
        watched.is_stale_since(SystemTime::now());
        Self {
            api: Api::new(server, metrics.clone(), times, resource, labels),
            resource,
            updates,
            metrics,
            watched,
            troubles,
            times,
            plan: Plan::new(times),
            guard: Guard::new(times),
            comparison: Comparison::new(compare, times.doubt, rand::random()),
            unread: Unread::default(),
            began: None,
        }
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
            self.began = None;
            let end = match self.plan.step() {
                Step::Version => self.ask_version().await,
                Step::Stream => self.watch(None).await,
                Step::Pages => self.list().await.unwrap_or_else(|end| end),
                Step::Watch(version) => self.watch(Some(&version)).await,
            };
            self.comparison.watch_ended();
            let mut next = self.plan.ended(&end, self.began.map(|began| began.elapsed()), rand::random());
            if matches!(end, End::Refused { code: 404, .. }) && self.api.try_other_version() {
                next.wait = Duration::ZERO;
            }
            self.report(&end, &next);
            sleep(next.wait).await;
        }
    }

    async fn ask_version(&mut self) -> End {
        match self.api.can_stream().await {
            Ok(can_stream) => self.plan.can_stream(can_stream),
            // Whoever may not read the version may still list.
            Err(End::Refused { code: 403 | 404, .. }) => self.plan.can_stream(false),
            Err(End::Refused { .. }) => self.plan.cannot_tell(),
            Err(end) => return end,
        }
        End::Done
    }

    async fn list(&mut self) -> Result<End, End> {
        self.count_list();
        let mut token: Option<String> = None;
        loop {
            let octets = self.api.page(token.as_deref()).await?;
            let page: Page<'_> = serde_json::from_slice(&octets).map_err(|error| End::Garbage(error.to_string()))?;
            self.watched.told_objects(SystemTime::now());
            if token.is_none() {
                self.start_list().await;
            }
            for item in page.items.into_iter().flatten() {
                if let Some(reading) = self.read(item).await {
                    self.send(reading.into_change(self.resource), None).await;
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

    async fn start_list(&mut self) {
        self.unread.list_started();
        self.comparison.list_started(rand::random());
        self.send(Change::ListStarted(self.resource), None).await;
    }

    async fn end_list(&mut self, version: String) -> Result<(), End> {
        if version.is_empty() {
            return Err(End::Garbage("a list has no resource version".to_owned()));
        }
        self.unread.list_ended();
        self.comparison.list_ended();
        self.send(Change::ListEnded(self.resource), None).await;
        debug!(resource = self.resource.plural(), version, "a list is complete");
        self.troubles.remove(self.resource);
        self.watched.is_current();
        let is_over = self.plan.listed(version);
        self.tell_recovery(is_over);
        Ok(())
    }

    async fn watch(&mut self, from: Option<&str>) -> End {
        let fifth = self.times.watch / 5;
        let lasts = between((self.times.watch - fifth, self.times.watch + fifth), rand::random());
        let is_resumed = self.plan.is_resuming();
        self.count_watch();
        let mut events = match self.api.watch(from, lasts).await {
            Ok(events) => events,
            Err(end) => return end,
        };
        self.began = Some(Instant::now());
        self.guard.begin(is_resumed, rand::random());
        if from.is_none() {
            self.count_list();
            self.start_list().await;
        }
        let mut looking = None;
        loop {
            let happening = self.next(&mut events, &mut looking).await;
            if let Err(end) = self.take(happening, &mut looking).await {
                return end;
            }
        }
    }

    /// Waits for what happens next. Nothing of it is lost if something else happens first.
    async fn next(&mut self, events: &mut Events, looking: &mut Option<Looking>) -> Happening {
        let is_listing = self.plan.is_listing();
        let time = self.next_time(looking.is_some());
        let time = async {
            match time {
                Some(time) => sleep_until(time).await,
                None => pending().await,
            }
        };
        let seen = async {
            match looking {
                Some(looking) => (&mut looking.seen).await,
                None => pending().await,
            }
        };
        let differences = async {
            match is_listing {
                true => pending().await,
                false => self.comparison.differences(&self.api).await,
            }
        };
        tokio::select! {
            line = events.next() => Happening::Line(line),
            seen = seen => Happening::Seen(seen),
            count = differences => Happening::Differences(count),
            () = time => Happening::Time,
        }
    }

    /// When something must have happened, or something is to be done.
    fn next_time(&self, is_looking: bool) -> Option<Instant> {
        if self.plan.is_listing() {
            return Some(self.guard.heard_at() + self.times.pause_in_list);
        }
        let look = (!is_looking).then(|| self.guard.look_at());
        let steady = self.began.filter(|_| !self.plan.is_steady()).map(|began| began + self.times.steady);
        [look, self.guard.deadline(), steady].into_iter().flatten().min()
    }

    async fn take(&mut self, happening: Happening, looking: &mut Option<Looking>) -> Result<(), End> {
        match happening {
            Happening::Line(Err(end)) => Err(end),
            Happening::Line(Ok(None)) => Err(End::Closed),
            Happening::Line(Ok(Some(line))) => {
                self.guard.heard();
                self.take_event(&line).await
            }
            Happening::Seen(seen) => match looking.take() {
                Some(looking) => self.take_look(&looking, seen),
                None => Ok(()),
            },
            Happening::Differences(count) => {
                self.tell_differences(count);
                self.plan.list_again("mismatch");
                Err(End::Done)
            }
            Happening::Time => self.take_time(looking),
        }
    }

    fn take_time(&mut self, looking: &mut Option<Looking>) -> Result<(), End> {
        let now = Instant::now();
        if self.plan.is_listing() || self.guard.deadline().is_some_and(|deadline| deadline <= now) {
            return Err(End::Stalled);
        }
        if !self.plan.is_steady() && self.began.is_some_and(|began| began.elapsed() >= self.times.steady) {
            let is_over = self.plan.steady();
            self.watched.is_current();
            self.tell_recovery(is_over);
        }
        if looking.is_none() && self.guard.look_at() <= now {
            let from = self.plan.version().to_owned();
            let seen = guard::look(self.api.clone(), from.clone(), self.guard.is_quiet()).boxed();
            *looking = Some(Looking { from, seen, began: now });
        }
        Ok(())
    }

    fn take_look(&mut self, looking: &Looking, seen: Result<Seen, End>) -> Result<(), End> {
        let seen = match seen {
            Ok(seen) => seen,
            // A server that does not even answer this has nothing to say on the watch either, unless it just did.
            Err(_) if self.guard.heard_at() <= looking.began => return Err(End::Stalled),
            Err(_) => Seen { newest: None, has_event: false },
        };
        let has_advanced = self.plan.version() != looking.from;
        match self.guard.judge(&looking.from, seen, has_advanced, rand::random()) {
            Verdict::Fine | Verdict::Behind => Ok(()),
            Verdict::WentBack => {
                let (resource, server) = (self.resource.plural(), self.api.host());
                warn!(
                    resource,
                    server,
                    newest = seen.newest,
                    "the store of the API server went back in time; listing again"
                );
                self.plan.list_again("rollback");
                Err(End::Done)
            }
        }
    }

    /// The watch has come so far; a list says its version itself.
    fn advance(&mut self, version: &str) {
        if !self.plan.is_listing() {
            let is_over = self.plan.advanced(version);
            self.watched.is_current();
            self.tell_recovery(is_over);
        }
    }

    async fn send(&mut self, change: Change, caused_at: Option<SystemTime>) {
        // It fails when the owner is gone, which ends `run`.
        let _ = self.updates.send(Update { change, caused_at }).await;
    }
}

#[cfg(test)]
mod tests;
