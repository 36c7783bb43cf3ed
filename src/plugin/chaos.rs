//! `chaos`: questions of class CH about the server.

use crate::config::directive::Chaos as Config;
use crate::dns::{Answer, Class, Query, RData, Record, RecordType, rdata};

/// The name of the plugin in metrics.
const NAME: &str = "chaos";

/// Octets of a text at most (RFC 1035 section 3.3).
const TEXT_MAX: usize = 255;

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
        query.explain(NAME, || "says what the configuration says of this server".to_owned());
        let records = texts.into_iter().map(|text| {
            let octets = text.as_bytes();
            let octets = octets.get(..TEXT_MAX).unwrap_or(octets);
            let mut record =
                Record::from_rdata(query.name.clone(), 0, RData::TXT(rdata::TXT::from_bytes(vec![octets])));
            record.dns_class = Class::CH;
            record
        });
        // As in CoreDNS: nobody is the authority of these names.
        Some(Answer::positive(records.collect()).with_authoritative(false).by(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::parse_name;

    #[test]
    fn a_text_has_255_octets_at_most_and_no_authority() {
        let config = Config { version: "x".repeat(300), authors: Vec::new() };
        let query = Query::of_our_own(parse_name("Version.Bind.").unwrap(), RecordType::TXT);
        let answer = Chaos::new(config, String::new()).lookup(&Query { class: Class::CH, ..query }).unwrap();
        assert!(!answer.is_authoritative());
        let RData::TXT(text) = &answer.answers[0].data else { panic!("{answer:?}") };
        assert_eq!(text.txt_data.iter().map(|part| part.len()).collect::<Vec<_>>(), [255]);
    }
}
