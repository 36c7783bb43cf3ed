//! A look at the API server beside a watch, now and then: whether its store went back in time, and whether the watch is
//! silent because nothing happens, or because it is dead.
//!
//! A watch of a version of the future is silent for ever (kubernetes/kubernetes#107457), as one does after etcd was restored from a
//! backup; so is one whose connection leads nowhere. Bookmarks come about every minute, which is too seldom to tell; so a short second watch asks
//! whether the first one missed something.

use std::time::Duration;

use tokio::time::Instant;

use super::api::Api;
use super::end::End;
use crate::watch::times::{Times, between};

/// What a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The newest resource version of the store, where the server says it as a number.
    pub newest: Option<u64>,
    /// Whether something happened that the watch had not told when the look began.
    pub has_event: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// The watch is to be opened again, if it does not show the event soon.
    Behind,
    /// The store is that of the past, seen twice: a list is needed.
    WentBack,
}

/// Looks, beside a watch from a version.
pub async fn look(api: Api, from: String, is_quiet: bool) -> Result<Seen, End> {
    let newest = api.newest_version().await?;
    let is_newer = newest.zip(from.parse::<u64>().ok()).is_none_or(|(newest, from)| newest > from);
    let has_event = is_quiet && is_newer && api.has_event_after(&from).await?;
    Ok(Seen { newest, has_event })
}

/// When to look, and what to make of what was seen.
#[derive(Debug)]
pub struct Guard {
    times: Times,
    /// When the next look is due.
    look_at: Instant,
    /// When the watch was last heard.
    heard_at: Instant,
    /// When the watch must have caught up with what a look showed.
    deadline: Option<Instant>,
    /// Whether the last look showed a store of the past.
    was_back: bool,
}

impl Guard {
    /// Nothing is watched yet.
    pub fn new(times: Times) -> Self {
        let now = Instant::now();
        Self { times, look_at: now, heard_at: now, deadline: None, was_back: false }
    }

    /// A watch begins. Where it goes on after another, the first look is due soon: a server that was restored has ended its
    /// connections.
    pub fn begin(&mut self, is_resumed: bool, chance: f64) {
        self.heard();
        let soon = (Duration::ZERO, self.times.steady);
        self.look_at = self.heard_at + between(if is_resumed { soon } else { self.times.look }, chance);
        self.was_back &= is_resumed;
    }

    /// An event or a bookmark came.
    pub fn heard(&mut self) {
        self.heard_at = Instant::now();
        self.deadline = None;
    }

    /// When the watch was last heard.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// When the next look is due.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Whether nothing was heard for a while.
    pub fn is_quiet(&self) -> bool {
        self.heard_at.elapsed() > self.times.lately
    }

    /// When the watch must have been heard, if it must.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Judges a look beside a watch from a version, and says when the next one is due; `has_advanced` since it began.
    pub fn judge(&mut self, from: &str, seen: Seen, has_advanced: bool, chance: f64) -> Verdict {
        let from = from.parse::<u64>().ok();
        let is_back = from.zip(seen.newest).is_some_and(|(from, newest)| newest < from);
        // One of several servers may lag behind the one that is watched.
        let went_back = is_back && std::mem::replace(&mut self.was_back, is_back);
        self.was_back = is_back && !went_back;
        let next = if self.was_back { (self.times.second_look / 2, self.times.second_look) } else { self.times.look };
        self.look_at = Instant::now() + between(next, chance);
        if went_back {
            Verdict::WentBack
        } else if seen.has_event && !has_advanced {
            self.deadline = Some(Instant::now() + self.times.lag);
            Verdict::Behind
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(newest: u64) -> Seen {
        Seen { newest: Some(newest), has_event: false }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_went_back_if_that_is_seen_twice() {
        let mut guard = Guard::new(Times::default());
        guard.begin(true, 0.5);
        let mut check = |newest, verdict| assert_eq!(guard.judge("100", seen(newest), false, 0.5), verdict, "{newest}");
        for newest in [100, 99, 101, 99] {
            check(newest, Verdict::Fine);
        }
        check(98, Verdict::WentBack);
        check(98, Verdict::Fine);
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_look_comes_soon() {
        let mut guard = Guard::new(Times::default());
        guard.begin(false, 1.0);
        assert_eq!(guard.look_at().duration_since(Instant::now()), Duration::from_secs(42));
        guard.judge("100", seen(7), false, 0.0);
        assert_eq!(guard.look_at().duration_since(Instant::now()), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn versions_that_are_no_numbers_cannot_go_back() {
        let mut guard = Guard::new(Times::default());
        for _ in 0..3 {
            assert_eq!(guard.judge("abc", seen(7), false, 0.5), Verdict::Fine);
            assert_eq!(guard.judge("8", Seen { newest: None, has_event: false }, false, 0.5), Verdict::Fine);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_missed_an_event_has_a_moment_to_bring_it() {
        let mut guard = Guard::new(Times::default());
        let event = Seen { newest: Some(101), has_event: true };
        assert_eq!(guard.judge("100", event, true, 0.5), Verdict::Fine);
        assert_eq!(guard.judge("100", event, false, 0.5), Verdict::Behind);
        assert!(guard.deadline().is_some());
        guard.heard();
        assert_eq!(guard.deadline(), None);
    }
}
