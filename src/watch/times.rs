//! How long everything takes and waits, in one place: a test lets all of it pass faster.

use std::time::Duration;

/// The durations of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    /// How long a watch is asked to last, give or take a fifth, so that replicas do not come back together.
    pub watch: Duration,
    /// A watch that lasted so long was not refused.
    pub steady: Duration,
    /// How long a list that is streamed may pause.
    pub pause_in_list: Duration,

    /// The shortest and the longest time between two looks beside a watch ([`super::reflector`]).
    pub look: (Duration, Duration),
    /// How long after a look that showed a store of the past the second one follows, at most.
    pub second_look: Duration,
    /// How long an answer to a look may take.
    pub look_patience: Duration,
    /// How long the second watch of a look may say nothing.
    pub look_watch: Duration,
    /// A watch that was heard so lately is alive.
    pub lately: Duration,
    /// How far a watch may lag behind what a look showed.
    pub lag: Duration,

    /// How long a response may take to begin; an API server without its store answers after 60 s.
    pub begin: Duration,
    /// The same for a watch, which has nothing to collect before it begins. An API server with more to do than it can lets
    /// requests wait for 15 s.
    pub begin_watch: Duration,
    /// How long a page may take.
    pub page: Duration,

    /// The first and the longest wait after a failure.
    pub back_off: (Duration, Duration),
    /// The first and the longest wait after a 403, unless the API server has just started: it denies everything until it
    /// has read its roles.
    pub back_off_forbidden: (Duration, Duration),
    /// The same for a 404: a resource may be installed at any time.
    pub back_off_absent: (Duration, Duration),
    /// The longest wait before a list that all replicas may need at the same time.
    pub spread: Duration,
    /// The longest time that an API server may make us wait.
    pub retry_after_max: Duration,

    /// How long a difference that a comparison found may take to go away by itself.
    pub doubt: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
        Self {
            watch: seconds(240),
            steady: seconds(1),
            pause_in_list: seconds(10),
            // With all that a look may take, a watch that is dead is opened again before a minute is over.
            look: (seconds(30), seconds(42)),
            second_look: seconds(2),
            look_patience: seconds(5),
            look_watch: seconds(1),
            lately: seconds(5),
            lag: seconds(1),
            begin: seconds(70),
            begin_watch: seconds(16),
            page: seconds(60),
            back_off: (millis(100), seconds(5)),
            back_off_forbidden: (millis(100), seconds(60)),
            back_off_absent: (millis(100), seconds(30)),
            spread: millis(500),
            retry_after_max: seconds(10),
            doubt: seconds(10),
        }
    }
}

/// Somewhere between two times; `chance` lies between 0 and 1.
pub fn between((shortest, longest): (Duration, Duration), chance: f64) -> Duration {
    shortest + longest.saturating_sub(shortest).mul_f64(chance.clamp(0.0, 1.0))
}
