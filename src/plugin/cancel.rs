//! `cancel`: how long a query may take.

use std::time::Duration;

use tokio::time::timeout;

use crate::config::duration_text;
use crate::dns::Answer;

/// The extended DNS error "Other" (RFC 8914).
const OTHER: u16 = 0;

/// How long a query may take.
#[derive(Debug)]
pub struct Cancel {
    timeout: Duration,
}

impl Cancel {
    /// At most so long.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }

    /// The answer, or SERVFAIL if it does not come in time. Unlike in CoreDNS, what waits does not have to notice.
    pub async fn limit(&self, answering: impl Future<Output = Answer>) -> Answer {
        timeout(self.timeout, answering).await.unwrap_or_else(|_| {
            let text = format!("cancelled after {}", duration_text(self.timeout));
            Answer::serv_fail(&*text).with_extended_error(OTHER, text).by("cancel")
        })
    }
}
