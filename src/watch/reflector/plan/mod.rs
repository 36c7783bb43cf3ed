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
mod tests;
