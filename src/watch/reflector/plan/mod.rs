//! What a reflector does next, as a function of what happened: no I/O, no clock, no chance of its own.

use std::time::Duration;

use super::end::End;
use crate::watch::times::{Times, between};

/// How many refusals in a row are put down to an API server that has just started.
const DENIALS_OF_START: u32 = 4;
/// How often a streamed list may end before it is complete, in a row, until the server is taken for one that streams none.
const ENDS_OF_STREAMS_MAX: u32 = 2;

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

/// How the next list is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// The server has not told its version.
    Unknown,
    /// Streamed.
    Streamed,
    /// In pages, because a streamed one has just come to nothing, or the version could not be had; the one after it may be different.
    PagesOnce(After),
    /// In pages: the server streams none.
    Pages,
}

/// What a list after one in pages begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Version,
    Stream,
}

/// The state of a reflector between requests.
#[derive(Clone, Debug)]
pub struct Plan {
    times: Times,
    listing: Listing,
    /// Where the next watch begins; None: a list is needed.
    version: Option<String>,
    /// Why the next list is needed.
    list_reason: &'static str,
    /// Whether the version is that of a list that was just made.
    is_fresh: bool,
    /// Whether the watch that runs has shown that it works.
    is_steady: bool,
    failures: u32,
    /// Watches in a row that did not last, whatever they brought.
    short: u32,
    /// Versions that were too old, since the last watch that worked.
    expirations: u32,
    denials: u32,
    refusals: u32,
    /// Streamed lists in a row that ended before they were complete.
    ends_of_streams: u32,
    trouble: Option<Trouble>,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(Times::default())
    }
}

impl Plan {
    /// Nothing is known yet.
    pub fn new(times: Times) -> Self {
        Self {
            times,
            listing: Listing::Unknown,
            version: None,
            list_reason: "start",
            is_fresh: false,
            is_steady: false,
            failures: 0,
            short: 0,
            expirations: 0,
            denials: 0,
            refusals: 0,
            ends_of_streams: 0,
            trouble: None,
        }
    }

    /// The next request.
    pub fn step(&self) -> Step {
        match (&self.version, self.listing) {
            (Some(version), _) => Step::Watch(version.clone()),
            (None, Listing::Unknown) => Step::Version,
            (None, Listing::Streamed) => Step::Stream,
            (None, Listing::PagesOnce(_) | Listing::Pages) => Step::Pages,
        }
    }

    /// The version that a watch goes on from.
    pub fn version(&self) -> &str {
        self.version.as_deref().unwrap_or_default()
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
        self.listing = if can_stream { Listing::Streamed } else { Listing::Pages };
    }

    /// The server does not tell its version, which is no reason to list nothing.
    pub fn cannot_tell(&mut self) {
        self.listing = Listing::PagesOnce(After::Version);
    }

    /// A list is complete at this resource version. Returns whether a trouble is over.
    pub fn listed(&mut self, version: String) -> bool {
        match self.listing {
            Listing::PagesOnce(After::Version) => self.listing = Listing::Unknown,
            Listing::PagesOnce(After::Stream) => self.listing = Listing::Streamed,
            Listing::Streamed => self.ends_of_streams = 0,
            Listing::Unknown | Listing::Pages => {}
        }
        self.version = Some(version);
        self.is_fresh = true;
        self.refusals = 0;
        self.denials = 0;
        self.trouble.take().is_some()
    }

    /// An event or a bookmark came. Returns whether a trouble is over.
    pub fn advanced(&mut self, version: &str) -> bool {
        self.failures = 0;
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

    /// What follows from the end of a step; `lasted` says for how long, if it was a watch that began; `chance` lies between 0
    /// and 1.
    pub fn ended(&mut self, end: &End, lasted: Option<Duration>, chance: f64) -> Next {
        let mut next = self.after(end, chance);
        let Some(lasted) = lasted.filter(|_| *end != End::Done) else { return next };
        // Whatever a watch brought: one that ends at once, time and again, is not opened as often as the server lets us.
        self.short = if lasted < self.times.steady { self.short + 1 } else { 0 };
        if self.short > 1 {
            next.wait = next.wait.max(back_off(self.times.back_off, self.short - 1, chance));
        }
        next
    }

    fn after(&mut self, end: &End, chance: f64) -> Next {
        let step = self.step();
        let was_steady = std::mem::take(&mut self.is_steady);
        self.is_fresh &= *end == End::Done;
        if was_steady {
            self.failures = 0;
        }
        if step == Step::Stream && end.shows_no_streaming() {
            self.list_in_pages(end);
            return Next { wait: Duration::ZERO, trouble: None };
        }
        match end {
            End::Done => Next { wait: Duration::ZERO, trouble: None },
            End::Closed if was_steady => Next { wait: Duration::ZERO, trouble: None },
            End::Gone => self.after_expiration(step, chance),
            // What is known is not older for it; the next watch tells what this one did not.
            End::Stalled if !self.is_listing() => Next { wait: Duration::ZERO, trouble: None },
            End::Refused { code: code @ (403 | 404), .. } => self.after_denial(*code, chance),
            End::Refused { code, retry_after, .. } => {
                self.refusals += 1;
                // A version that the server refuses time and again is no place to go on from; 500 is what kube-apiserver
                // says of one that it cannot read.
                if self.refusals > 1 && matches!(code, 400 | 422 | 500) && !self.is_listing() {
                    self.list_again("refused");
                }
                let asked = retry_after.unwrap_or_default().min(self.times.retry_after_max);
                let wait = back_off(self.times.back_off, self.failures, chance).max(asked);
                self.failures += 1;
                self.troubled(wait, Trouble::Failing)
            }
            End::Closed | End::Stalled | End::Unreachable(_) | End::Garbage(_) => {
                let wait = back_off(self.times.back_off, self.failures, chance);
                self.failures += 1;
                match was_steady {
                    // A connection that is cut is an everyday matter, one that cannot be made again is not.
                    true => Next { wait, trouble: None },
                    false => self.troubled(wait, Trouble::Failing),
                }
            }
        }
    }

    /// A streamed list came to nothing. A server that ends was perhaps stopped, and the next one streams again.
    fn list_in_pages(&mut self, end: &End) {
        self.ends_of_streams += 1;
        let is_refused = matches!(end, End::Refused { .. });
        let is_known = is_refused || self.ends_of_streams >= ENDS_OF_STREAMS_MAX;
        self.listing = if is_known { Listing::Pages } else { Listing::PagesOnce(After::Stream) };
        self.list_reason = "fallback";
    }

    /// A version is too old. All replicas learn that of a watch together, but a token of a list is each one's own.
    fn after_expiration(&mut self, step: Step, chance: f64) -> Next {
        let spread = if matches!(step, Step::Watch(_)) { self.times.spread } else { Duration::ZERO };
        self.list_again("gone");
        self.expirations += 1;
        // The failures before it are no reason to wait: an API server that is back forgets what was.
        let wait = match self.expirations {
            1 => between((Duration::ZERO, spread), chance),
            again => back_off(self.times.back_off, again, chance),
        };
        Next { wait, trouble: None }
    }

    fn after_denial(&mut self, code: u16, chance: f64) -> Next {
        let is_forbidden = code == 403;
        let bounds = if is_forbidden { self.times.back_off_forbidden } else { self.times.back_off_absent };
        let wait = back_off(bounds, self.denials, chance);
        self.denials += 1;
        match self.denials > DENIALS_OF_START {
            true => self.troubled(wait, if is_forbidden { Trouble::Forbidden } else { Trouble::Absent }),
            false => Next { wait, trouble: None },
        }
    }

    /// A list is needed whatever the watch says.
    pub fn list_again(&mut self, reason: &'static str) {
        self.version = None;
        self.list_reason = reason;
        self.refusals = 0;
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
    between((shortest, doubled), chance)
}

#[cfg(test)]
mod tests;
