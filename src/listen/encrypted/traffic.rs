//! What goes over a connection of HTTP: whether anybody asks, and whether what was answered is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::{Duration, Instant};

use crate::listen::capacity::Place;
use crate::listen::respond::Times;

/// How long a client may take to hear that the connection ends.
const LINGER: Duration = Duration::from_secs(1);

/// The requests and replies of a connection.
#[derive(Debug)]
pub struct Traffic(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests that are being read or answered.
    requests: usize,
    /// Since when there is none.
    idle_since: Instant,
    /// Replies with the time when they were made; those that have left hold no place any more.
    replies: VecDeque<(Instant, Weak<Place>)>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The next request, or an answer.
    Request,
    /// That the client reads a reply.
    Reader,
}

/// A request that is being read or answered, until this is dropped.
#[derive(Debug)]
pub struct Visit(Arc<Traffic>);

impl Traffic {
    /// No traffic yet.
    pub fn new() -> Self {
        Self(Mutex::new(State { requests: 0, idle_since: Instant::now(), replies: VecDeque::new() }))
    }

    /// A request has come.
    pub fn begin(self: &Arc<Self>) -> Visit {
        self.state().requests += 1;
        Visit(Arc::clone(self))
    }

    /// A reply begins to leave; its place is held until it has left.
    pub fn send(&self, reply: &Arc<Place>) {
        let mut state = self.state();
        state.forget_what_has_left();
        state.replies.push_back((Instant::now(), Arc::downgrade(reply)));
    }

    /// What the connection waits for, and until when; `ending`: since when no more requests are taken.
    pub fn deadline(&self, times: Times, ending: Option<Instant>) -> (Wait, Instant) {
        let mut state = self.state();
        state.forget_what_has_left();
        let idle_since = if state.requests > 0 { Instant::now() } else { state.idle_since };
        match (state.replies.front(), ending) {
            (Some((since, _)), _) => (Wait::Reader, *since + times.write),
            (None, None) => (Wait::Request, idle_since + times.idle),
            (None, Some(ending)) => (Wait::Request, idle_since.max(ending) + LINGER),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_what_has_left(&mut self) {
        while self.replies.front().is_some_and(|(_, reply)| reply.strong_count() == 0) {
            self.replies.pop_front();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.idle_since = Instant::now();
    }
}
