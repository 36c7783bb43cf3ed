//! `loadbalance`: the order of addresses in an answer.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use rand::seq::SliceRandom;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::directive::{LoadBalance as Config, Weighted, Weights};
use crate::dns::{Answer, Query, RData, Record, RecordType, ResponseCode};

/// Octets of a file of weights at most, as of other files of the configuration.
const FILE_SIZE_MAX: u64 = 16 << 20;

/// The order of addresses in an answer.
#[derive(Debug)]
pub struct LoadBalance {
    weights: Option<WeightFile>,
    prefer: Vec<IpNet>,
}

/// Weights that decide which address is first.
#[derive(Debug)]
struct WeightFile {
    file: PathBuf,
    reload: Duration,
    weights: ArcSwap<Weights>,
}

impl LoadBalance {
    /// Shuffles, or draws the first address by its weight; addresses in preferred prefixes come first.
    pub fn new(config: Config) -> Self {
        Self { weights: config.weighted.map(WeightFile::new), prefer: config.prefer }
    }

    /// Whether there is a file that may change.
    pub fn follows_a_file(&self) -> bool {
        self.weights.as_ref().is_some_and(|weights| !weights.reload.is_zero())
    }

    /// Reads the weights again as often as the directive says, until it is told to stop.
    pub async fn watch(&self, stop: CancellationToken) {
        let Some(weights) = self.weights.as_ref().filter(|weights| !weights.reload.is_zero()) else { return };
        while stop.run_until_cancelled(tokio::time::sleep(weights.reload)).await.is_some() {
            weights.load();
        }
    }

    /// Arranges the addresses of an answer.
    pub fn arrange(&self, query: &Query, answer: &mut Answer) {
        if answer.response_code() != ResponseCode::NoError {
            return;
        }
        match &self.weights {
            None => {
                for section in [&mut answer.answers, &mut answer.authority, &mut answer.additional] {
                    self.shuffle(section);
                }
            }
            Some(weights) if matches!(query.record_type, RecordType::A | RecordType::AAAA | RecordType::SRV) => {
                let weights = weights.weights.load();
                for section in [&mut answer.answers, &mut answer.additional] {
                    self.draw(section, &weights);
                }
            }
            Some(_) => {}
        }
    }

    /// Puts aliases first, in their order, then other records, then addresses in a random order, then MX in a random order.
    /// Clients of glibc and musl need the aliases in front.
    fn shuffle(&self, section: &mut [Record]) {
        if section.len() > 1 {
            let rotated = group(section);
            if let Some(rotated) = section.get_mut(rotated..) {
                rotated.shuffle(&mut rand::rng());
                rotated.sort_by_key(|record| (rank(record), self.preference(record)));
            }
        }
    }

    /// The same groups; of the addresses one is drawn by its weight and changes places with the first, and all others stay.
    fn draw(&self, section: &mut [Record], weights: &Weights) {
        let weight =
            |record: &Record| address(record).map_or(0, |address| u32::from(weights.of(&record.name, address)));
        let sum: u32 = section.iter().map(weight).sum();
        if sum == 0 {
            return;
        }
        let first = group(section);
        let Some(addresses) = section.get_mut(first..) else { return };
        let mut left = rand::random_range(..sum);
        let drawn = addresses.iter().position(|record| {
            let weight = weight(record);
            let is_it = left < weight;
            left = left.saturating_sub(weight);
            is_it
        });
        addresses.swap(0, drawn.unwrap_or_default());
        addresses.sort_by_key(|record| (rank(record), self.preference(record)));
    }

    /// The place of the first preferred prefix that an address is in.
    fn preference(&self, record: &Record) -> usize {
        let Some(address) = address(record) else { return 0 };
        self.prefer.iter().position(|prefix| prefix.contains(&address)).unwrap_or(self.prefer.len())
    }
}

impl WeightFile {
    /// Reads the file. One that cannot be read is one without weights.
    fn new(config: Weighted) -> Self {
        let Weighted { file, reload } = config;
        let weights = Self { file, reload, weights: ArcSwap::default() };
        weights.load();
        weights
    }

    /// Reads the file; what cannot be read leaves what was known.
    fn load(&self) {
        let file = self.file.display();
        match read(&self.file).map(|text| Weights::parse(&text)) {
            Ok(Ok(weights)) if weights == **self.weights.load() => {}
            Ok(Ok(weights)) => {
                self.weights.store(Arc::new(weights));
                info!(target: "plugin/loadbalance", "Successfully reloaded weight file {file}");
            }
            Ok(Err(wrong)) => error!(target: "plugin/loadbalance", "{file}:{wrong}"),
            Err(error) => warn!(target: "plugin/loadbalance", "Failed to open weight file {file}: {error}"),
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(FILE_SIZE_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts aliases and others in front of addresses, and MX behind; returns where the addresses begin.
fn group(section: &mut [Record]) -> usize {
    section.sort_by_key(|record| (record.record_type() != RecordType::CNAME, rank(record)));
    section.iter().take_while(|record| rank(record) == 0).count()
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
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
        arranged_by(&LoadBalance { weights: None, prefer }, RecordType::A, records)
    }

    fn arranged_by(loadbalance: &LoadBalance, record_type: RecordType, records: Vec<Record>) -> Vec<Record> {
        let mut answer = Answer::positive(records);
        loadbalance.arrange(&Query::of_our_own(parse_name("a.").unwrap(), record_type), &mut answer);
        answer.answers
    }

    fn weighted(text: &str) -> LoadBalance {
        let weights = ArcSwap::from_pointee(Weights::parse(text).unwrap());
        let weights = WeightFile { file: PathBuf::new(), reload: Duration::ZERO, weights };
        LoadBalance { weights: Some(weights), prefer: Vec::new() }
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

    #[test]
    fn the_first_address_is_drawn_by_its_weight_and_the_others_stay() {
        let loadbalance = weighted("END\n10.0.0.1 3\n10.0.0.3 6\n");
        let aliases = [alias("a.", "end.")];
        let records = [vec![address(1), address(2)], aliases.to_vec(), vec![address(3), address(4)]].concat();
        let mut firsts = [0; 5];
        for _ in 0..11_000 {
            let found = arranged_by(&loadbalance, RecordType::A, records.clone());
            assert_eq!(found[0], aliases[0]);
            let first = (1..=4u8).find(|last| found[1] == address(*last)).unwrap();
            let mut expected = [1, 2, 3, 4].map(address);
            expected.swap(0, usize::from(first) - 1);
            assert_eq!(found[1..], expected);
            firsts[usize::from(first)] += 1;
        }
        // 3 : 1 : 6 : 1
        assert!((2700..3300).contains(&firsts[1]) && (800..1200).contains(&firsts[2]), "{firsts:?}");
        assert!((5600..6400).contains(&firsts[3]) && (800..1200).contains(&firsts[4]), "{firsts:?}");
    }

    #[test]
    fn weights_count_for_addresses_alone_and_prefixes_before_them() {
        let records = vec![address(1), alias("a.", "end."), address(2)];
        let loadbalance = weighted("end\n10.0.0.2 255\n");
        assert_eq!(arranged_by(&loadbalance, RecordType::TXT, records.clone()), records);
        let loadbalance = LoadBalance { prefer: vec!["10.0.0.1/32".parse().unwrap()], ..loadbalance };
        assert_eq!(arranged_by(&loadbalance, RecordType::AAAA, records)[1], address(1));
    }
}
