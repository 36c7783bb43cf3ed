//! `hosts`: names from a file in the form of /etc/hosts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::directive::Hosts as Config;
use crate::dns::{Answer, Name, Query, RData, Record, RecordType, address_of_reverse_name, parse_name, rdata};
use crate::metrics::Metrics;

/// The name of the plugin in metrics.
const NAME: &str = "hosts";

/// Files that are larger are not read: no hosts file is.
const FILE_SIZE_MAX: u64 = 64 << 20;

/// Names from a file.
#[derive(Debug)]
pub struct Hosts {
    config: Config,
    table: ArcSwap<Table>,
    metrics: Arc<Metrics>,
}

/// The entries of the file and of the block itself.
#[derive(Debug, Default)]
struct Table {
    addresses: HashMap<Name, Vec<IpAddr>>,
    names: HashMap<IpAddr, Vec<Name>>,
    /// When the file was changed, and its size; None: it is not there.
    version: Option<(SystemTime, u64)>,
}

impl Hosts {
    /// Reads the file. One that is missing is an empty one.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        let hosts = Self { config, table: ArcSwap::default(), metrics };
        hosts.read();
        hosts
    }

    /// Reads the file again whenever it has changed, until it is told to stop.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        if self.config.reload.is_zero() {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(self.config.reload)).await.is_some() {
            if version(&self.config.file) != self.table.load().version {
                self.read();
            }
        }
    }

    fn read(&self) {
        let version = version(&self.config.file);
        let is_readable = version.is_some_and(|(_, size)| size <= FILE_SIZE_MAX);
        let text = is_readable.then(|| std::fs::read(&self.config.file).ok()).flatten().unwrap_or_default();
        let mut table = Table { version, ..Table::default() };
        for (address, names) in String::from_utf8_lossy(&text).lines().filter_map(parse_line) {
            self.add(&mut table, address, names);
        }
        for (address, names) in &self.config.inline {
            self.add(&mut table, *address, names.clone());
        }
        let file = self.config.file.display().to_string();
        let entries: usize =
            table.addresses.values().map(Vec::len).sum::<usize>() + table.names.values().map(Vec::len).sum::<usize>();
        self.metrics.hosts_entries.with_label_values(&[&file]).set(entries as f64);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics.hosts_reload_timestamp_seconds.with_label_values::<&str>(&[]).set(now.as_secs_f64());
        if version.is_none() && self.config.inline.is_empty() {
            warn!(%file, "the hosts file cannot be read");
        }
        self.table.store(Arc::new(table));
    }

    fn add(&self, table: &mut Table, address: IpAddr, names: Vec<Name>) {
        for name in names {
            let name = name.to_lowercase();
            if !self.config.zones.iter().any(|zone| zone.zone_of(&name)) {
                continue;
            }
            table.addresses.entry(name.clone()).or_default().push(address);
            if !self.config.no_reverse && !name.is_wildcard() {
                table.names.entry(address).or_default().push(name);
            }
        }
    }

    /// The answer of the file; None: ask the next plugin. A name that is not there is SERVFAIL if nothing falls through, as
    /// in CoreDNS: somebody else must know it. A reverse name that is not there always goes to the next plugin.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        let table = self.table.load();
        if query.record_type == RecordType::PTR {
            return self.lookup_reverse(query, &table).map(|answer| answer.by(NAME));
        }
        self.config.zones.iter().find(|zone| zone.zone_of(&query.name))?;
        let name = query.name.to_lowercase();
        let Some(addresses) = table.addresses.get(&name).or_else(|| table.addresses.get(&wildcard(&name)?)) else {
            let falls_through = self.config.fallthrough.covers(&query.name);
            return (!falls_through).then(|| Answer::serv_fail("the hosts file does not have this name").by(NAME));
        };
        let records =
            addresses.iter().filter_map(|address| address_record(&name, self.config.ttl, *address, query.record_type));
        Some(Answer::positive(records.collect()).by(NAME))
    }

    fn lookup_reverse(&self, query: &Query, table: &Table) -> Option<Answer> {
        let names = table.names.get(&address_of_reverse_name(&query.name)?)?;
        let records = names
            .iter()
            .map(|name| Record::from_rdata(query.name.clone(), self.config.ttl, RData::PTR(rdata::PTR(name.clone()))));
        Some(Answer::positive(records.collect()))
    }
}

fn version(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// `ADDRESS NAME... [# comment]`; what is no address or no name is passed over.
fn parse_line(line: &str) -> Option<(IpAddr, Vec<Name>)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let address = words.next()?.split('%').next()?.parse().ok()?;
    Some((address, words.filter_map(|word| parse_name(word).ok()).collect()))
}

/// `*.x` for `a.x`.
fn wildcard(name: &Name) -> Option<Name> {
    name.base_name().prepend_label("*").ok()
}

fn address_record(name: &Name, ttl: u32, address: IpAddr, record_type: RecordType) -> Option<Record> {
    let data = match (address, record_type) {
        (IpAddr::V4(address), RecordType::A) => RData::A(rdata::A(address)),
        (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(rdata::AAAA(address)),
        _ => return None,
    };
    Some(Record::from_rdata(name.clone(), ttl, data))
}
