//! `loop`: notices when the server's own questions come back to it.

use crate::dns::{Answer, Query};

/// Notices when the server's own questions come back to it.
#[derive(Debug)]
pub struct LoopDetection {}

impl LoopDetection {
    /// Counts a probe that came back; None for all else.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        let _ = query;
        None
    }
}
