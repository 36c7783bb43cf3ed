//! `view`: which queries a server block takes. The [`Router`](super::Router) asks it.

use crate::config::directive::View as Config;
use crate::config::expression::Expression;
use crate::dns::Query;

/// Which queries a server block takes.
#[derive(Debug)]
pub struct View {
    /// What metrics call it.
    pub name: String,
    /// None: one of them cannot be read, which the configuration refuses before. Then no query is taken.
    conditions: Option<Vec<Expression>>,
}

impl View {
    /// The view of a configuration.
    pub fn new(config: Config) -> Self {
        let conditions = config.expr.iter().map(|text| Expression::parse(text).ok()).collect();
        Self { name: config.name, conditions }
    }

    /// Whether all expressions are true of a query.
    pub fn takes(&self, query: &Query) -> bool {
        self.conditions.as_ref().is_some_and(|conditions| conditions.iter().all(|condition| condition.holds(query)))
    }
}
