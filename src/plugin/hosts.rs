//! `hosts`: names from a file in the form of /etc/hosts.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::directive::{Hosts as Config, HostsLine};
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
#[derive(Clone, Debug, Default)]
struct Table {
    addresses: HashMap<Name, Vec<IpAddr>>,
    names: HashMap<IpAddr, Vec<Name>>,
    /// When the file was changed, and its size; None: it is not there.
    version: Option<(SystemTime, u64)>,
}

impl Table {
    fn addresses_of(&self, name: &Name) -> Option<&Vec<IpAddr>> {
        self.addresses.get(name).or_else(|| self.addresses.get(&wildcard(name)?))
    }
}

impl Hosts {
    /// Reads the file. One that is missing is an empty one.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        let hosts = Self { config, table: ArcSwap::default(), metrics };
        hosts.table.store(Arc::new(hosts.table_of("")));
        hosts.read();
        hosts
    }

    /// Reads the file again whenever it has changed, until it is told to stop. While it is not there or cannot be read, what it
    /// said counts.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        if self.config.reload.is_zero() {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(self.config.reload)).await.is_some() {
            let version = version(&self.config.file);
            if version.is_some() && version != self.table.load().version {
                self.read();
            }
        }
    }

    fn read(&self) {
        let version = version(&self.config.file);
        let read = match version {
            Some((_, size)) if size > FILE_SIZE_MAX => Err(io::ErrorKind::FileTooLarge.into()),
            _ => std::fs::read(&self.config.file),
        };
        let file = self.config.file.display().to_string();
        let table = match read {
            Ok(text) => self.table_of(&String::from_utf8_lossy(&text)),
            Err(error) => {
                if version.is_some() || self.config.inline.is_empty() {
                    warn!(%file, %error, "the hosts file cannot be read");
                }
                Table::clone(&self.table.load())
            }
        };
        let entries = table.addresses.values().map(Vec::len).chain(table.names.values().map(Vec::len)).sum::<usize>();
        self.metrics.hosts_entries.with_label_values(&[&file]).set(entries as f64);
        // As in CoreDNS it is the time of the file.
        if let Some(changed) = version.and_then(|(changed, _)| changed.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            self.metrics.hosts_reload_timestamp_seconds.with_label_values::<&str>(&[]).set(changed.as_secs_f64());
        }
        self.table.store(Arc::new(Table { version, ..table }));
    }

    /// The entries of a file with this text, and those of the block.
    fn table_of(&self, text: &str) -> Table {
        let mut table = Table::default();
        for (address, names) in text.lines().filter_map(parse_line) {
            self.add(&mut table, address, names);
        }
        for HostsLine { address, names } in &self.config.inline {
            self.add(&mut table, *address, names.clone());
        }
        table
    }

    fn add(&self, table: &mut Table, address: IpAddr, names: Vec<Name>) {
        for name in names {
            let name = name.to_lowercase();
            if !self.config.zones.iter().any(|zone| zone.zone_of(&name)) {
                continue;
            }
            add_once(table.addresses.entry(name.clone()).or_default(), address);
            if !self.config.no_reverse && !name.is_wildcard() {
                add_once(table.names.entry(address).or_default(), name);
            }
        }
    }

    /// Whether a name is in the file, or in a zone of which nothing falls through.
    pub fn knows(&self, name: &Name) -> bool {
        let table = self.table.load();
        let is_address = || address_of_reverse_name(name).is_some_and(|address| table.names.contains_key(&address));
        let is_zone = self.config.zones.iter().any(|zone| zone.zone_of(name));
        is_zone && (!self.config.fallthrough.covers(name) || table.addresses_of(name).is_some()) || is_address()
    }

    /// Where the names are, in words.
    fn source(&self) -> String {
        let file = self.config.file.display();
        if self.config.inline.is_empty() { file.to_string() } else { format!("{file} or the block") }
    }

    /// The answer of the file; None: ask the next plugin. A name that is not there is SERVFAIL if nothing falls through, as
    /// in CoreDNS: somebody else must know it. A reverse name that is not there always goes to the next plugin.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        let table = self.table.load();
        if query.record_type == RecordType::PTR {
            return self.lookup_reverse(query, &table).map(|answer| answer.by(NAME));
        }
        self.config.zones.iter().find(|zone| zone.zone_of(&query.name))?;
        let falls_through = self.config.fallthrough.covers(&query.name);
        if self.config.fallthrough_unsupported
            && falls_through
            && !matches!(query.record_type, RecordType::A | RecordType::AAAA)
        {
            query.explain(NAME, || "there are only addresses here; other types fall through".to_owned());
            return None;
        }
        let name = query.name.to_lowercase();
        let Some(addresses) = table.addresses_of(&name) else {
            query.explain(NAME, || match falls_through {
                true => format!("{} does not have the name; it falls through to the next plugin", self.source()),
                false => format!("{} does not have the name, and nothing falls through: SERVFAIL", self.source()),
            });
            return (!falls_through).then(|| Answer::serv_fail("the hosts file does not have this name").by(NAME));
        };
        query.explain(NAME, || format!("{} has the name", self.source()));
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

fn add_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn version(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// `ADDRESS NAME... [# comment]`; what is no address or no name is passed over.
fn parse_line(line: &str) -> Option<(IpAddr, Vec<Name>)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let address = words.next()?.split('%').next()?.parse::<IpAddr>().ok()?;
    Some((address.to_canonical(), words.filter_map(|word| parse_name(word).ok()).collect()))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::directive::Fallthrough;

    fn hosts(file: &Path, inline: &[(&str, &str)]) -> Arc<Hosts> {
        let inline = inline.iter().map(|(address, name)| HostsLine {
            address: address.parse().unwrap(),
            names: vec![parse_name(name).unwrap()],
        });
        let config = Config {
            file: file.to_owned(),
            zones: vec![parse_name("example.").unwrap(), parse_name("arpa.").unwrap()],
            inline: inline.collect(),
            ttl: 60,
            no_reverse: false,
            reload: Duration::from_secs(5),
            fallthrough: Fallthrough::default(),
            fallthrough_unsupported: false,
        };
        Arc::new(Hosts::new(config, Arc::new(Metrics::new())))
    }

    /// The data of an answer, separated by blanks; None: the next plugin is asked.
    fn answer(hosts: &Hosts, name: &str, record_type: RecordType) -> Option<String> {
        let answer = hosts.lookup(&Query::of_our_own(parse_name(name).unwrap(), record_type))?;
        let data: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
        Some(if answer.failure().is_some() { "SERVFAIL".to_owned() } else { data.join(" ") })
    }

    fn check(hosts: &Hosts, name: &str, record_type: RecordType, expected: Option<&str>) {
        assert_eq!(answer(hosts, name, record_type).as_deref(), expected, "{name} {record_type}");
    }

    #[test]
    fn names_and_addresses_are_found_both_ways() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            &file,
            "10.0.0.1 a.example A.Example # twice\nfd00::1%eth0 a.example\nx y\n10.0.0.2 *.w.example\n",
        )
        .unwrap();
        let hosts = hosts(file.path(), &[("10.0.0.3", "b.example.")]);
        check(&hosts, "A.example.", RecordType::A, Some("10.0.0.1"));
        check(&hosts, "a.example.", RecordType::AAAA, Some("fd00::1"));
        check(&hosts, "a.example.", RecordType::TXT, Some(""));
        check(&hosts, "b.example.", RecordType::A, Some("10.0.0.3"));
        check(&hosts, "x.w.example.", RecordType::A, Some("10.0.0.2"));
        check(&hosts, "1.0.0.10.in-addr.arpa.", RecordType::PTR, Some("a.example."));
        check(&hosts, "2.0.0.10.in-addr.arpa.", RecordType::PTR, None);
        check(&hosts, "c.example.", RecordType::A, Some("SERVFAIL"));
        check(&hosts, "a.example.org.", RecordType::A, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_when_it_changes_and_kept_when_it_goes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "10.0.0.1 a.example").unwrap();
        let (hosts, stop) = (hosts(file.path(), &[]), CancellationToken::new());
        let watching = tokio::spawn(hosts.clone().watch(stop.clone()));
        std::fs::write(&file, "10.0.0.1 a.example b.example").unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        check(&hosts, "b.example.", RecordType::A, Some("10.0.0.1"));
        std::fs::remove_file(&file).unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        check(&hosts, "b.example.", RecordType::A, Some("10.0.0.1"));
        std::fs::create_dir(&file).unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        check(&hosts, "b.example.", RecordType::A, Some("10.0.0.1"));
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, "10.0.0.2 b.example").unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        check(&hosts, "b.example.", RecordType::A, Some("10.0.0.2"));
        std::fs::remove_file(&file).unwrap();
        stop.cancel();
        watching.await.unwrap();
    }
}
