//! `metadata.resourceVersion`, for people who compare an answer with `kubectl get`.

use std::fmt;
use std::num::NonZeroU64;

/// The version of an object as the API numbers it; None in manifests. It takes no part in comparisons: an object that differs in
/// nothing else is the same to DNS.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceVersion(Option<NonZeroU64>);

impl ResourceVersion {
    /// Reads the number; anything else is no version that could be shown.
    pub fn parse(text: &str) -> Self {
        Self(text.parse().ok())
    }
}

impl PartialEq for ResourceVersion {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ResourceVersion {}

/// ` (resourceVersion 7)`, or nothing.
impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |version| write!(f, " (resourceVersion {version})"))
    }
}
