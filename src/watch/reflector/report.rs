//! What the log and the metrics are told of a reflector.

use std::time::SystemTime;

use tracing::{debug, info, warn};

use super::Reflector;
use super::end::End;
use super::plan::{Next, Trouble};
use crate::cluster::Resource;

impl Reflector {
    pub(super) fn heard(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let times = &self.metrics.landfall_watch_last_event_timestamp_seconds;
        times.with_label_values(&[self.resource.plural()]).set(now.as_secs_f64());
    }

    pub(super) fn count_list(&self) {
        let labels = [self.resource.plural(), self.plan.list_reason()];
        self.metrics.landfall_watch_lists.with_label_values(&labels).inc();
    }

    pub(super) fn count_unreadable(&self, count: u64) {
        if count > 0 {
            self.metrics.landfall_watch_decode_errors.with_label_values(&[self.resource.plural()]).inc_by(count);
        }
    }

    pub(super) fn report(&self, end: &End, next: &Next) {
        let resource = self.resource.plural();
        let is_failure = match end {
            End::Done => false,
            // A watch that lasted ends like this.
            End::Closed => !next.wait.is_zero(),
            End::Gone | End::Stalled | End::Refused { .. } | End::Unreachable(_) | End::Garbage(_) => true,
        };
        if is_failure {
            self.metrics.landfall_watch_failures.with_label_values(&[resource, end.reason()]).inc();
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
