//! How requests end.

use std::time::Duration;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// It did what it was for.
    #[error("done")]
    Done,
    /// The response ended.
    #[error("the API server ends watches at once")]
    Closed,
    /// The resource version is too old (410).
    #[error("the resource version is too old")]
    Gone,
    /// Nothing came for too long.
    #[error("the API server says nothing")]
    Stalled,
    /// The API server said no.
    #[error("{code}: {message}")]
    Refused {
        /// The HTTP status, or that of an ERROR event.
        code: u16,
        /// Its words.
        message: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No connection, no answer, or an answer that broke off.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is none.
    #[error("{0}")]
    Garbage(String),
}

impl End {
    /// The label of the metric of failures.
    pub fn reason(&self) -> &'static str {
        match self {
            End::Done => "done",
            End::Closed => "closed",
            End::Gone => "gone",
            End::Stalled => "stalled",
            End::Refused { code: 401, .. } => "unauthorized",
            End::Refused { code: 403, .. } => "forbidden",
            End::Refused { code: 404, .. } => "absent",
            End::Refused { code: 429 | 503, .. } => "throttled",
            End::Refused { .. } => "refused",
            End::Unreachable(_) => "unreachable",
            End::Garbage(_) => "garbage",
        }
    }

    /// The same with the code of a refusal: `403 forbidden`.
    pub fn in_short(&self) -> String {
        match self {
            End::Refused { code, .. } => format!("{code} {}", self.reason()),
            End::Done | End::Closed | End::Gone | End::Stalled | End::Unreachable(_) | End::Garbage(_) => {
                self.reason().to_owned()
            }
        }
    }

    /// Whether a streamed list that ended so, before it was complete, shows that this server streams no lists. client-go
    /// falls back likewise: older servers, the feature switched off, an etcd that reports no progress.
    pub fn shows_no_streaming(&self) -> bool {
        match self {
            End::Closed | End::Stalled | End::Garbage(_) | End::Refused { code: 400 | 422 | 500, .. } => true,
            End::Done | End::Gone | End::Unreachable(_) | End::Refused { .. } => false,
        }
    }
}
