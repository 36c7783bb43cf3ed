//! `dns64`: AAAA records from A records (RFC 6147).

use super::{Pipeline, Router};
use crate::dns::{Answer, Query};

/// How AAAA records are made.
#[derive(Debug)]
pub struct Dns64 {}

impl Dns64 {
    /// Whether a query may need synthesis at all.
    pub fn applies_to(&self, query: &Query) -> bool {
        let _ = query;
        false
    }

    /// Answers a query that [`Dns64::applies_to`]: the pipeline's own answer, or one made of A records.
    pub async fn answer(&self, query: &Query, pipeline: &Pipeline, router: &Router) -> Answer {
        pipeline.answer_as_asked(query, router).await
    }
}
