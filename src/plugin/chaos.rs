//! `chaos`: questions of class CH about the server.

use crate::config::directive::Chaos as Config;
use crate::dns::{Answer, Class, Query, RData, Record, RecordType, rdata};

/// The name of the plugin in metrics.
const NAME: &str = "chaos";

/// What is said of the server.
#[derive(Debug)]
pub struct Chaos {
    config: Config,
    host_name: String,
}

impl Chaos {
    /// What is said of a server on a host.
    pub fn new(config: Config, host_name: String) -> Self {
        Self { config, host_name }
    }

    /// The answer to version.bind, version.server, hostname.bind, id.server or authors.bind; None for all else.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        if query.class != Class::CH || query.record_type != RecordType::TXT {
            return None;
        }
        let texts = match query.name.to_lowercase().to_ascii().as_str() {
            "version.bind." | "version.server." => vec![self.config.version.clone()],
            "hostname.bind." | "id.server." => vec![self.host_name.clone()],
            "authors.bind." => self.config.authors.clone(),
            _ => return None,
        };
        let records = texts.into_iter().map(|text| {
            let mut record = Record::from_rdata(query.name.clone(), 0, RData::TXT(rdata::TXT::new(vec![text])));
            record.dns_class = Class::CH;
            record
        });
        Some(Answer::positive(records.collect()).by(NAME))
    }
}
