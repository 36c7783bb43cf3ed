//! What answering one query may cost other servers, and whoever waits for the answer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Messages to other servers at most.
const MESSAGES_MAX: u32 = 6;

/// Connections that are begun for it at most.
const CONNECTIONS_MAX: u32 = 2;

/// How long other servers are waited for, in all.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What may still be spent on one query of a client, whatever it leads to: other names, retries, other servers. Its look-ups
/// share it.
#[derive(Debug, Default)]
pub struct Budget {
    messages_sent: AtomicU32,
    connections_begun: AtomicU32,
    /// Its time begins when another server is waited for.
    deadline: OnceLock<Instant>,
}

impl Budget {
    /// Takes a message to another server; false: none is left.
    pub fn take_message(&self) -> bool {
        take(&self.messages_sent, MESSAGES_MAX)
    }

    /// Takes a connection to another server; false: none is left.
    pub fn take_connection(&self) -> bool {
        take(&self.connections_begun, CONNECTIONS_MAX)
    }

    /// Until when other servers are waited for.
    pub fn deadline(&self, now: Instant) -> Instant {
        *self.deadline.get_or_init(|| now + TIME_MAX)
    }

    /// Whether there is no message or no time left.
    pub fn is_spent(&self, now: Instant) -> bool {
        self.messages_sent.load(Ordering::Relaxed) >= MESSAGES_MAX || self.deadline(now) <= now
    }

    /// Whether at least half of everything is left: that nobody answers is then no fault of what was spent before.
    pub fn is_ample(&self, now: Instant) -> bool {
        let has_half = |taken: &AtomicU32, max: u32| taken.load(Ordering::Relaxed) <= max / 2;
        has_half(&self.messages_sent, MESSAGES_MAX)
            && has_half(&self.connections_begun, CONNECTIONS_MAX)
            && self.deadline(now).saturating_duration_since(now) >= TIME_MAX / 2
    }
}

/// Takes one of `max`.
fn take(taken: &AtomicU32, max: u32) -> bool {
    taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < max).then_some(taken + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_half_of_everything_left_is_ample() {
        let (budget, now) = (Budget::default(), Instant::now());
        assert!(budget.is_ample(now) && budget.is_ample(now + TIME_MAX / 2));
        assert!(!budget.is_ample(now + TIME_MAX / 2 + Duration::from_millis(1)));
        assert!((0..3).all(|_| budget.take_message()) && budget.take_connection() && budget.is_ample(now));
        assert!(budget.take_message() && !budget.is_ample(now));
        let budget = Budget::default();
        assert!((0..2).all(|_| budget.take_connection()) && !budget.is_ample(now));
    }

    #[test]
    fn messages_connections_and_time_have_an_end() {
        let (budget, now) = (Budget::default(), Instant::now());
        assert!((0..6).all(|_| budget.take_message()) && !budget.take_message() && budget.is_spent(now));
        assert!((0..2).all(|_| budget.take_connection()) && !budget.take_connection());
        let budget = Budget::default();
        assert!(!budget.is_spent(now), "time begins here");
        assert!(!budget.is_spent(now + Duration::from_millis(4999)) && budget.is_spent(now + TIME_MAX));
    }
}
