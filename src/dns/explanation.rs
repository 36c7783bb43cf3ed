//! What happens to a query, step by step, in words: for `landfall explain`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes the steps of a query and of the look-ups that it leads to. Clones share them.
#[derive(Clone, Default)]
pub struct Explanation {
    steps: Arc<Mutex<Vec<Step>>>,
}

/// What one part of the server did with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many look-ups of the server itself led here: 0 for the client's query.
    pub depth: u8,
    /// The plugin, or another part of the server.
    pub plugin: &'static str,
    /// What it did, and why.
    pub text: String,
}

impl Explanation {
    /// Adds a step.
    pub fn tell(&self, depth: u8, plugin: &'static str, text: String) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(Step { depth, plugin, text });
    }

    /// The steps so far.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps()).finish()
    }
}
