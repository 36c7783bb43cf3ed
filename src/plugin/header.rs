//! `header`: flags of the header.

use crate::config::directive::Header;
use crate::dns::{Answer, Query};

impl Header {
    /// The question as it goes on.
    pub fn of_query(&self, query: &Query) -> Query {
        let recursion_desired = self.query_rd.unwrap_or(query.recursion_desired);
        Query { recursion_desired, ..query.clone() }
    }

    /// The answer with its flags. Where nobody knew an answer, the server says so itself, as in CoreDNS: there is no flag to set.
    pub fn of_response(&self, mut answer: Answer) -> Answer {
        if answer.failure().is_some() {
            return answer;
        }
        if let Some(authoritative) = self.response_aa {
            answer = answer.with_authoritative(authoritative);
        }
        if let Some(recursion_available) = self.response_ra {
            answer = answer.with_recursion_available(recursion_available);
        }
        match self.response_rd {
            Some(recursion_desired) => answer.with_recursion_desired(recursion_desired),
            None => answer,
        }
    }
}
