//! `loadbalance`: the order of addresses in an answer.

use std::net::IpAddr;

use rand::seq::SliceRandom;

use crate::config::directive::LoadBalance as Config;
use crate::dns::{Answer, RData, Record, RecordType, ResponseCode};

/// The order of addresses in an answer.
#[derive(Debug)]
pub struct LoadBalance {
    config: Config,
}

impl LoadBalance {
    /// Shuffles; addresses in preferred prefixes come first.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Puts aliases first, in their order, then other records, then addresses in a random order, then MX in a random order.
    /// Clients of glibc and musl need the aliases in front.
    pub fn arrange(&self, answer: &mut Answer) {
        if answer.response_code() != ResponseCode::NoError {
            return;
        }
        for section in [&mut answer.answers, &mut answer.authority, &mut answer.additional] {
            if section.len() > 1 {
                self.arrange_section(section);
            }
        }
    }

    fn arrange_section(&self, section: &mut Vec<Record>) {
        let (aliases, others): (Vec<Record>, Vec<Record>) =
            std::mem::take(section).into_iter().partition(|record| record.record_type() == RecordType::CNAME);
        let (mut rotated, fixed): (Vec<Record>, Vec<Record>) = others.into_iter().partition(|record| rank(record) > 0);
        rotated.shuffle(&mut rand::rng());
        rotated.sort_by_key(|record| (rank(record), self.preference(record)));
        section.extend(aliases.into_iter().chain(fixed).chain(rotated));
    }

    /// The place of the first preferred prefix that an address is in.
    fn preference(&self, record: &Record) -> usize {
        let address = match &record.data {
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => return 0,
        };
        self.config.prefer.iter().position(|prefix| prefix.contains(&address)).unwrap_or(self.config.prefer.len())
    }
}

/// 0: stays where it is.
fn rank(record: &Record) -> u8 {
    match record.record_type() {
        RecordType::A | RecordType::AAAA => 1,
        RecordType::MX => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{parse_name, rdata};

    fn record(name: &str, data: RData) -> Record {
        Record::from_rdata(parse_name(name).unwrap(), 5, data)
    }

    fn address(last: u8) -> Record {
        record("end.", RData::A(rdata::A::new(10, 0, 0, last)))
    }

    fn alias(name: &str, target: &str) -> Record {
        record(name, RData::CNAME(rdata::CNAME(parse_name(target).unwrap())))
    }

    fn arranged(prefer: &[&str], records: Vec<Record>) -> Vec<Record> {
        let prefer = prefer.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let mut answer = Answer::positive(records);
        LoadBalance::new(Config { prefer }).arrange(&mut answer);
        answer.answers
    }

    #[test]
    fn aliases_stay_in_front_and_in_order() {
        let aliases = [alias("a.", "b."), alias("b.", "end.")];
        let records = vec![aliases[0].clone(), address(1), address(2), aliases[1].clone()];
        assert_eq!(arranged(&[], records)[..2], aliases);
    }

    #[test]
    fn addresses_come_in_every_order() {
        let records = vec![address(1), address(2)];
        let orders: std::collections::HashSet<String> =
            (0..64).map(|_| format!("{:?}", arranged(&[], records.clone()))).collect();
        assert_eq!(orders.len(), 2);
    }

    #[test]
    fn preferred_prefixes_come_first() {
        for _ in 0..16 {
            let records = vec![address(1), address(200), address(2)];
            assert_eq!(arranged(&["10.0.0.192/26"], records)[0], address(200));
        }
    }
}
