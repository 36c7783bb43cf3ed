//! What the log and the metrics are told of a reflector.

use std::time::{Duration, SystemTime};

use tracing::{debug, info, warn};

use super::Reflector;
use super::end::End;
use super::plan::{Next, Trouble};
use super::unread::Telling;
use crate::cluster::{ObjectKey, Resource};

impl Reflector {
    pub(super) fn count_list(&self) {
        let labels = [self.resource.plural(), self.plan.list_reason()];
        self.metrics.landfall_watch_lists.with_label_values(&labels).inc();
    }

    pub(super) fn count_watch(&self) {
        self.metrics.landfall_watch_watches.with_label_values(&[self.resource.plural()]).inc();
    }

    pub(super) fn count_unreadable(&self, count: u64) {
        if count > 0 {
            self.metrics.landfall_watch_decode_errors.with_label_values(&[self.resource.plural()]).inc_by(count);
        }
    }

    /// An object cannot be understood: counted each time, named once.
    pub(super) fn tell_unread(&mut self, key: &ObjectKey, error: &str) {
        self.count_unreadable(1);
        let (resource, namespace, name) = (self.resource.plural(), &*key.namespace, &*key.name);
        match self.unread.add(key) {
            Telling::Name => {
                warn!(
                    resource,
                    namespace, name, error, "an object cannot be understood; what is known of it is served"
                );
            }
            Telling::TooMany => warn!(resource, "more objects cannot be understood than are named here"),
            Telling::Nothing => {}
        }
    }

    pub(super) fn tell_differences(&self, count: usize) {
        let (resource, server) = (self.resource.plural(), self.api.host());
        warn!(resource, server, count, "objects differ from what the watch told of them; listing again");
        self.metrics.landfall_watch_mismatches.with_label_values(&[resource]).inc_by(count as u64);
    }

    /// What is known may be out of date from now on, or since a watch fell silent.
    fn tell_staleness(&self, end: &End) {
        let silence = match end {
            End::Done => return,
            End::Stalled => self.guard.heard_at().elapsed(),
            End::Closed | End::Gone | End::Refused { .. } | End::Unreachable(_) | End::Garbage(_) => Duration::ZERO,
        };
        let now = SystemTime::now();
        self.watched.is_stale_since(now.checked_sub(silence).unwrap_or(now));
    }

    pub(super) fn report(&self, end: &End, next: &Next) {
        let resource = self.resource.plural();
        self.tell_staleness(end);
        let is_failure = match end {
            End::Done => false,
            // A watch that lasted ends like this.
            End::Closed => !next.wait.is_zero(),
            End::Gone | End::Stalled | End::Refused { .. } | End::Unreachable(_) | End::Garbage(_) => true,
        };
        if is_failure {
            self.metrics.landfall_watch_failures.with_label_values(&[resource, end.reason()]).inc();
            self.troubles.add(self.resource, end.in_short());
            debug!(resource, %end, wait = ?next.wait, "a request failed");
        }
        let server = self.api.host();
        match next.trouble {
            None => {}
            Some(Trouble::Forbidden) if self.resource == Resource::EndpointSlices => warn!(
                resource, server, error = %end,
                "may not read EndpointSlices: the ClusterRole lacks list and watch on endpointslices of discovery.k8s.io"
            ),
            Some(Trouble::Forbidden) => {
                warn!(resource, server, error = %end, "may not read: the role lacks list and watch on this resource");
            }
            Some(Trouble::Absent) => {
                warn!(resource, server, error = %end, "the API server does not have this resource")
            }
            Some(Trouble::Failing) => warn!(resource, server, error = %end, "cannot watch; what is known is served"),
        }
    }

    pub(super) fn tell_recovery(&self, is_over: bool) {
        if is_over {
            info!(resource = self.resource.plural(), server = self.api.host(), "watching again");
        }
    }
}
