//! `minimal`: positive answers without what was not asked for.

use crate::dns::{Answer, ResponseCode};

/// Leaves a positive answer its answer section; referrals and negative answers stay as they are.
pub fn reduce(answer: &mut Answer) {
    if answer.response_code() == ResponseCode::NoError && !answer.answers.is_empty() {
        answer.authority.clear();
        answer.additional.clear();
    }
}
