//! `errors`: what kept the server from knowing, in the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use regex::Regex;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::config::directive::{ConsolidateLevel, Errors as Config};
use crate::config::duration_text;
use crate::dns::{Answer, Query, name_text, type_mnemonic};

/// How failures are logged.
#[derive(Debug)]
pub struct Errors {
    rules: Vec<Rule>,
}

/// Failures that are counted instead of logged one by one.
#[derive(Debug)]
struct Rule {
    pattern: Regex,
    period: Duration,
    level: ConsolidateLevel,
    show_first: bool,
    /// Since when, and how many.
    counted: Mutex<Option<(Instant, u64)>>,
}

impl Errors {
    /// Patterns that cannot be read match nothing; the configuration refuses them before.
    pub fn new(config: Config) -> Self {
        let rules = config.consolidate.into_iter().filter_map(|rule| {
            Some(Rule {
                pattern: Regex::new(&rule.pattern).ok()?,
                period: rule.period,
                level: rule.level,
                show_first: rule.show_first,
                counted: Mutex::default(),
            })
        });
        Self { rules: rules.collect() }
    }

    /// Whether there is anything that [`Errors::report`] would have to log.
    pub fn consolidates(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Logs the failure of an answer, if it has one: `2 example.org. A: no answer from …`.
    pub fn observe(&self, query: &Query, answer: &Answer) {
        let Some(failure) = answer.failure() else { return };
        let code = u16::from(answer.response_code());
        let text =
            format!("{code} {} {}: {failure}", name_text(&query.name.to_lowercase()), type_mnemonic(query.record_type));
        match self.rules.iter().find(|rule| rule.pattern.is_match(failure)) {
            None => log(ConsolidateLevel::Error, &text),
            Some(rule) if rule.count(Instant::now()) => log(rule.level, &text),
            Some(_) => {}
        }
    }

    /// Logs at the end of each period how many failures were counted, until it is told to stop.
    pub async fn report(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
            self.rules.iter().for_each(|rule| rule.report(Instant::now()));
        }
        self.rules.iter().for_each(Rule::report_now);
    }
}

impl Rule {
    /// Counts a failure; returns whether it is to be logged by itself.
    fn count(&self, now: Instant) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, count) = counted.get_or_insert((now, 0));
        *count += 1;
        *count == 1 && self.show_first
    }

    fn report(&self, now: Instant) {
        let is_over = {
            let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.is_some_and(|(since, _)| now.duration_since(since) >= self.period)
        };
        if is_over {
            self.report_now();
        }
    }

    fn report_now(&self) {
        let Some((_, count)) = self.counted.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if count == 1 && self.show_first {
            return;
        }
        let period = duration_text(self.period);
        log(self.level, &format!("{count} errors like '{}' occurred in last {period}", self.pattern));
    }
}

fn log(level: ConsolidateLevel, text: &str) {
    match level {
        ConsolidateLevel::Debug => debug!(target: "plugin/errors", "{text}"),
        ConsolidateLevel::Info => info!(target: "plugin/errors", "{text}"),
        ConsolidateLevel::Warning => warn!(target: "plugin/errors", "{text}"),
        ConsolidateLevel::Error => error!(target: "plugin/errors", "{text}"),
    }
}
