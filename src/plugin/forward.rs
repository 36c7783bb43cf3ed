//! `forward`: asks other servers.

use crate::dns::{Answer, Name, Query};

/// Other servers, and how they are asked.
#[derive(Debug)]
pub struct Forward {}

impl Forward {
    /// Whether names like this are forwarded.
    pub fn covers(&self, name: &Name) -> bool {
        let _ = name;
        false
    }

    /// Asks, and returns what of the answer is believed; SERVFAIL if nobody answered.
    pub async fn answer(&self, query: &Query) -> Answer {
        let _ = query;
        Answer::serv_fail("not built yet")
    }
}
