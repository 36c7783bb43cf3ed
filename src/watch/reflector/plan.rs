//! What a reflector does next, as a function of what happened: no I/O, no clock, no chance of its own.

use std::time::Duration;

use super::end::End;

/// The first and the longest wait after a failure.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The first and the longest wait after a refusal that only an administrator can end, unless the API server has just started:
/// it denies everything until it has read its roles.
const BACK_OFF_DENIED: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// How many refusals in a row are put down to such a start.
const DENIALS_OF_START: u32 = 4;
/// The longest time that an API server may make us wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// The next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for the version, which says whether lists can be streamed.
    Version,
    /// Watch with `sendInitialEvents`: the list, then its changes.
    Stream,
    /// List in pages.
    Pages,
    /// Watch from this resource version.
    Watch(String),
}

/// Why nothing is learned at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 403.
    Forbidden,
    /// 404.
    Absent,
    /// Anything else.
    Failing,
}

/// What follows from an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// How long to wait before the next step.
    pub wait: Duration,
    /// A trouble that is new.
    pub trouble: Option<Trouble>,
}

/// The state of a reflector between requests.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether lists can be streamed, once that is known.
    streaming: Option<bool>,
    /// Where the next watch begins; None: a list is needed.
    version: Option<String>,
    /// Why the next list is needed.
    list_reason: &'static str,
    /// Whether the version is that of a list that was just made.
    is_fresh: bool,
    /// Whether the watch that runs has shown that it works.
    is_steady: bool,
    failures: u32,
    /// Versions that were too old, since the last watch that worked.
    expirations: u32,
    denials: u32,
    refusals: u32,
    silences: u32,
    trouble: Option<Trouble>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            streaming: None,
            version: None,
            list_reason: "start",
            is_fresh: false,
            is_steady: false,
            failures: 0,
            expirations: 0,
            denials: 0,
            refusals: 0,
            silences: 0,
            trouble: None,
        }
    }
}

impl Plan {
    /// The next request.
    pub fn step(&self) -> Step {
        match (&self.version, self.streaming) {
            (Some(version), _) => Step::Watch(version.clone()),
            (None, None) => Step::Version,
            (None, Some(true)) => Step::Stream,
            (None, Some(false)) => Step::Pages,
        }
    }

    /// Whether a list is under way or needed.
    pub fn is_listing(&self) -> bool {
        self.version.is_none()
    }

    /// Whether the running watch has lasted or brought something.
    pub fn is_steady(&self) -> bool {
        self.is_steady
    }

    /// Whether the next watch goes on where another ended, with a version that the server may have forgotten, or not
    /// reached again.
    pub fn is_resuming(&self) -> bool {
        self.version.is_some() && !self.is_fresh
    }

    /// Why the list is made, as the label of its metric.
    pub fn list_reason(&self) -> &'static str {
        self.list_reason
    }

    /// The version of the server says whether it can stream lists.
    pub fn can_stream(&mut self, can_stream: bool) {
        self.streaming = Some(can_stream);
    }

    /// A list is complete at this resource version. Returns whether a trouble is over.
    pub fn listed(&mut self, version: String) -> bool {
        self.version = Some(version);
        self.is_fresh = true;
        self.refusals = 0;
        self.silences = 0;
        self.denials = 0;
        self.trouble.take().is_some()
    }

    /// An event or a bookmark came. Returns whether a trouble is over.
    pub fn advanced(&mut self, version: &str) -> bool {
        self.failures = 0;
        self.silences = 0;
        if let Some(current) = self.version.as_mut().filter(|_| !version.is_empty()) {
            version.clone_into(current);
        }
        self.steady()
    }

    /// The running watch has lasted. Returns whether a trouble is over.
    pub fn steady(&mut self) -> bool {
        if self.is_listing() {
            return false;
        }
        self.is_steady = true;
        self.expirations = 0;
        self.refusals = 0;
        self.denials = 0;
        self.trouble.take().is_some()
    }

    /// The server's newest version is this one. Returns whether its store went back in time, as one does that is restored
    /// from a backup: a watch from a version of the future is silent (kubernetes/kubernetes#107457).
    pub fn compared(&mut self, newest: u64) -> bool {
        let known = self.version.as_ref().and_then(|version| version.parse::<u64>().ok());
        let went_back = known.is_some_and(|known| newest < known);
        if went_back {
            self.list_again("rollback");
        }
        went_back
    }

    /// What follows from the end of a step; `chance` lies between 0 and 1.
    pub fn ended(&mut self, end: &End, chance: f64) -> Next {
        let step = self.step();
        let was_steady = std::mem::take(&mut self.is_steady);
        self.is_fresh &= *end == End::Done;
        if was_steady {
            self.failures = 0;
        }
        if step == Step::Stream && end.shows_no_streaming() {
            self.streaming = Some(false);
            self.list_reason = "fallback";
            return Next { wait: Duration::ZERO, trouble: None };
        }
        match end {
            End::Done => Next { wait: Duration::ZERO, trouble: None },
            End::Closed if was_steady => Next { wait: Duration::ZERO, trouble: None },
            End::Gone => {
                self.list_again("gone");
                self.expirations += 1;
                // The failures before it are no reason to wait: an API server that is back forgets what was.
                match self.expirations {
                    1 => Next { wait: Duration::ZERO, trouble: None },
                    again => Next { wait: back_off(BACK_OFF, again, chance), trouble: None },
                }
            }
            End::Stalled if !self.is_listing() => {
                // An API server whose store was restored from a backup is silent for ever: it waits for a resource
                // version that is still to come.
                self.silences += 1;
                if self.silences > 1 {
                    self.list_again("silence");
                }
                Next { wait: back_off(BACK_OFF, 0, chance), trouble: None }
            }
            End::Refused { code: code @ (403 | 404), .. } => {
                let wait = back_off(BACK_OFF_DENIED, self.denials, chance);
                self.denials += 1;
                match self.denials > DENIALS_OF_START {
                    true => self.troubled(wait, if *code == 403 { Trouble::Forbidden } else { Trouble::Absent }),
                    false => Next { wait, trouble: None },
                }
            }
            End::Refused { code, retry_after, .. } => {
                self.refusals += 1;
                // A version that the server refuses time and again is no place to go on from; 500 is what kube-apiserver
                // says of one that it cannot read.
                if self.refusals > 1 && matches!(code, 400 | 422 | 500) && !self.is_listing() {
                    self.list_again("refused");
                }
                let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                let wait = back_off(BACK_OFF, self.failures, chance).max(asked);
                self.failures += 1;
                self.troubled(wait, Trouble::Failing)
            }
            End::Closed | End::Stalled | End::Unreachable(_) | End::Garbage(_) => {
                let wait = back_off(BACK_OFF, self.failures, chance);
                self.failures += 1;
                match was_steady {
                    // A connection that is cut is an everyday matter, one that cannot be made again is not.
                    true => Next { wait, trouble: None },
                    false => self.troubled(wait, Trouble::Failing),
                }
            }
        }
    }

    fn list_again(&mut self, reason: &'static str) {
        self.version = None;
        self.list_reason = reason;
        self.refusals = 0;
        self.silences = 0;
    }

    fn troubled(&mut self, wait: Duration, trouble: Trouble) -> Next {
        let is_new = self.trouble != Some(trouble);
        self.trouble = Some(trouble);
        Next { wait, trouble: is_new.then_some(trouble) }
    }
}

/// Somewhere between the shortest wait and one that doubles with each failure: replicas that failed together do not come
/// back together.
fn back_off((shortest, longest): (Duration, Duration), failures: u32, chance: f64) -> Duration {
    let doubled = shortest.saturating_mul(1_u32.checked_shl(failures + 1).unwrap_or(u32::MAX)).min(longest);
    shortest + (doubled - shortest).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16) -> End {
        End::Refused { code, message: String::new(), retry_after: None }
    }

    fn watching() -> Plan {
        let mut plan = Plan::default();
        plan.can_stream(false);
        plan.listed("5".to_owned());
        plan
    }

    fn from(version: &str) -> Step {
        Step::Watch(version.to_owned())
    }

    #[test]
    fn a_list_comes_first_and_a_watch_from_its_version_next() {
        let mut plan = Plan::default();
        assert_eq!(plan.step(), Step::Version);
        plan.can_stream(true);
        assert_eq!(plan.step(), Step::Stream);
        plan.can_stream(false);
        assert_eq!(plan.step(), Step::Pages);
        plan.listed("5".to_owned());
        assert_eq!(plan.step(), from("5"));
        plan.advanced("7");
        assert_eq!(plan.step(), from("7"));
    }

    #[test]
    fn a_server_that_cannot_stream_is_remembered() {
        for end in [refused(422), refused(400), refused(500), End::Stalled, End::Closed] {
            let mut plan = Plan::default();
            plan.can_stream(true);
            assert_eq!(plan.ended(&end, 0.5), Next { wait: Duration::ZERO, trouble: None }, "{end:?}");
            assert_eq!(plan.step(), Step::Pages);
            plan.listed("5".to_owned());
            plan.ended(&End::Gone, 0.5);
            assert_eq!(plan.step(), Step::Pages);
        }
    }

    #[test]
    fn a_refusal_that_has_other_reasons_does_not_end_streaming() {
        for end in [refused(403), refused(429), End::Unreachable(String::new()), End::Gone] {
            let mut plan = Plan::default();
            plan.can_stream(true);
            plan.ended(&end, 0.5);
            assert_eq!(plan.step(), Step::Stream, "{end:?}");
        }
    }

    #[test]
    fn an_old_version_means_a_list_at_once_and_then_with_patience() {
        let mut plan = watching();
        assert_eq!(plan.ended(&End::Gone, 1.0).wait, Duration::ZERO);
        assert_eq!((plan.step(), plan.list_reason()), (Step::Pages, "gone"));
        plan.listed("6".to_owned());
        assert!(plan.ended(&End::Gone, 0.0).wait >= BACK_OFF.0);
        plan.listed("7".to_owned());
        plan.steady();
        assert_eq!(plan.ended(&End::Gone, 1.0).wait, Duration::ZERO);
    }

    #[test]
    fn an_old_version_does_not_pay_for_the_failures_before_it() {
        let mut plan = watching();
        for _ in 0..9 {
            plan.ended(&End::Unreachable(String::new()), 1.0);
        }
        assert_eq!(plan.ended(&End::Gone, 1.0).wait, Duration::ZERO);
    }

    #[test]
    fn a_connection_that_was_cut_is_a_trouble_only_if_it_cannot_be_made_again() {
        let mut plan = watching();
        plan.steady();
        assert_eq!(plan.ended(&End::Unreachable(String::new()), 0.5).trouble, None);
        assert_eq!(plan.ended(&End::Unreachable(String::new()), 0.5).trouble, Some(Trouble::Failing));
    }

    #[test]
    fn a_watch_that_ends_at_once_is_a_failure() {
        let mut plan = watching();
        let waits: Vec<Duration> = (0..20).map(|_| plan.ended(&End::Closed, 1.0).wait).collect();
        assert_eq!(waits.first(), Some(&Duration::from_millis(200)));
        assert!(waits.is_sorted());
        assert_eq!(waits.last(), Some(&BACK_OFF.1));
        assert_eq!(plan.step(), from("5"));
    }

    #[test]
    fn a_watch_that_lasted_goes_on_from_where_it_ended() {
        let mut plan = watching();
        plan.ended(&End::Unreachable(String::new()), 1.0);
        plan.steady();
        assert_eq!(plan.ended(&End::Closed, 1.0), Next { wait: Duration::ZERO, trouble: None });
        plan.advanced("9");
        assert_eq!(plan.ended(&End::Closed, 1.0).wait, Duration::ZERO);
        assert_eq!(plan.step(), from("9"));
    }

    #[test]
    fn the_first_event_ends_the_patience() {
        let mut plan = watching();
        for _ in 0..9 {
            plan.ended(&End::Unreachable(String::new()), 1.0);
        }
        plan.advanced("6");
        assert_eq!(plan.ended(&End::Unreachable(String::new()), 1.0).wait, Duration::from_millis(200));
    }

    #[test]
    fn a_watch_that_lasted_ends_the_patience_also_if_it_brought_nothing() {
        let mut plan = watching();
        for _ in 0..9 {
            plan.ended(&End::Unreachable(String::new()), 1.0);
        }
        plan.steady();
        assert_eq!(plan.ended(&End::Unreachable(String::new()), 1.0).wait, Duration::from_millis(200));
    }

    #[test]
    fn a_trouble_is_told_once_until_it_changes_or_ends() {
        let mut plan = watching();
        assert_eq!(plan.ended(&refused(502), 0.5).trouble, Some(Trouble::Failing));
        assert_eq!(plan.ended(&refused(502), 0.5).trouble, None);
        (0..DENIALS_OF_START).for_each(|_| assert_eq!(plan.ended(&refused(403), 0.5).trouble, None));
        assert_eq!(plan.ended(&refused(403), 0.5).trouble, Some(Trouble::Forbidden));
        assert_eq!(plan.ended(&refused(404), 0.5).trouble, Some(Trouble::Absent));
        assert!(plan.advanced("6"));
        assert!(!plan.advanced("7"));
        assert_eq!(plan.ended(&refused(502), 0.5).trouble, Some(Trouble::Failing));
    }

    #[test]
    fn a_denial_is_no_trouble_while_the_server_starts_and_is_asked_about_rarely_later() {
        let mut plan = watching();
        let waits: Vec<Duration> = (0..12).map(|_| plan.ended(&refused(403), 1.0).wait).collect();
        assert!(waits.iter().take(4).sum::<Duration>() <= Duration::from_secs(3), "{waits:?}");
        assert_eq!(waits.last(), Some(&BACK_OFF_DENIED.1));
        plan.advanced("6");
        assert!(plan.ended(&refused(403), 1.0).wait < Duration::from_secs(1));
    }

    #[test]
    fn a_server_may_ask_for_patience_but_not_for_too_much() {
        let throttled = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            watching().ended(&End::Refused { code: 429, message: String::new(), retry_after }, 0.0).wait
        };
        assert_eq!(throttled(3), Duration::from_secs(3));
        assert_eq!(throttled(3600), RETRY_AFTER_MAX);
    }

    #[test]
    fn silence_means_a_new_watch_and_then_a_new_list() {
        let mut plan = watching();
        plan.steady();
        plan.ended(&End::Stalled, 0.5);
        assert_eq!(plan.step(), from("5"));
        plan.steady();
        assert_eq!(plan.ended(&End::Stalled, 0.5).trouble, None);
        assert_eq!((plan.step(), plan.list_reason()), (Step::Pages, "silence"));
    }

    #[test]
    fn a_watch_that_goes_on_must_not_be_ahead_of_the_server() {
        let mut plan = watching();
        plan.ended(&End::Done, 0.5);
        assert!(!plan.is_resuming(), "the list was just made");
        plan.ended(&End::Closed, 0.5);
        assert!(plan.is_resuming());
        assert!(!plan.compared(5) && !plan.compared(6));
        assert_eq!(plan.step(), from("5"));
        assert!(plan.compared(4));
        assert_eq!((plan.step(), plan.list_reason(), plan.is_resuming()), (Step::Pages, "rollback", false));
        plan.listed("opaque".to_owned());
        assert!(!plan.compared(0));
    }

    #[test]
    fn a_version_that_is_refused_twice_is_given_up() {
        let mut plan = watching();
        plan.ended(&refused(500), 0.5);
        assert_eq!(plan.step(), from("5"));
        plan.ended(&refused(500), 0.5);
        assert_eq!(plan.step(), Step::Pages);
        let mut plan = watching();
        for code in [401, 429, 502, 503, 504] {
            plan.ended(&refused(code), 0.5);
        }
        assert_eq!(plan.step(), from("5"));
    }
}
