//! `template`: fixed answers by pattern.

use std::sync::Arc;

use regex::Regex;

use crate::config::directive::{Template as Config, TemplateClass, TemplateType};
use crate::dns::{Answer, Query, ResponseCode, type_mnemonic};
use crate::metrics::Metrics;

/// The name of the plugin in metrics.
const NAME: &str = "template";

/// A fixed answer for the names that a pattern matches.
#[derive(Debug)]
pub struct Template {
    config: Config,
    patterns: Vec<Regex>,
    server: String,
    view: String,
    metrics: Arc<Metrics>,
}

impl Template {
    /// A template of the server and view with these labels. Patterns that cannot be read match nothing; the configuration refuses
    /// them before.
    pub fn new(config: Config, server: String, view: String, metrics: Arc<Metrics>) -> Self {
        let patterns = config.patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        Self { config, patterns, server, view, metrics }
    }

    /// The fixed answer; None: ask the next plugin. Where no pattern matches and nothing falls through, it is SERVFAIL.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        let zone = self.config.zones.iter().find(|zone| zone.zone_of(&query.name)).filter(|_| self.is_for(query))?;
        let name = query.name.to_lowercase().to_ascii();
        let matches = self.config.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.is_match(&name));
        if !matches {
            let falls_through = self.config.fallthrough.covers(&query.name);
            return (!falls_through).then(|| Answer::serv_fail("no template matched").by(NAME));
        }
        let (zone, class) = (zone.to_ascii(), query.class.to_string());
        let labels = [&*self.server, &*zone, &*self.view, &*class, &*type_mnemonic(query.record_type)];
        self.metrics.template_matches.with_label_values(&labels).inc();
        let answer = match self.config.response_code {
            ResponseCode::ServFail => Answer::serv_fail("a template says so"),
            code => Answer::positive(Vec::new()).with_response_code(code),
        };
        Some(answer.by(NAME))
    }

    fn is_for(&self, query: &Query) -> bool {
        let is_class = match self.config.class {
            TemplateClass::Any => true,
            TemplateClass::One(class) => class == query.class,
        };
        let is_type = match self.config.record_type {
            TemplateType::Any => true,
            TemplateType::One(record_type) => record_type == query.record_type,
        };
        is_class && is_type
    }
}
