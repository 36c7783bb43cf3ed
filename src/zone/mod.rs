//! Zones as immutable values: read from master files, asked by name and type.
//!
//! There is no I/O here: the octets of files come from the caller. A zone is built as a whole and never changes.

mod lookup;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

pub use lookup::{Outcome, Response};

use crate::dns::{MasterFileError, Name, RData, Record, RecordType, Written, covered_type, read_master_file};

/// A zone.
#[derive(Debug)]
pub struct Zone {
    /// The apex, in lower case.
    apex: Name,
    /// In canonical order (RFC 4034 section 6.1), the apex first.
    nodes: Vec<Node>,
    /// The owner of the SOA.
    soa_owner: Name,
    serial: u32,
}

/// The records of one name.
#[derive(Debug)]
struct Node {
    name: Name,
    sets: Vec<Set>,
}

/// The records of one name and type, and their signatures.
#[derive(Debug)]
struct Set {
    record_type: RecordType,
    records: Vec<Record>,
    signatures: Vec<Record>,
}

/// Why there is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The master file cannot be read.
    #[error(transparent)]
    MasterFile(#[from] MasterFileError),
    /// It is not about this zone.
    #[error("{}: there is no SOA record of {apex}", .file.display())]
    NoSoa {
        /// The file.
        file: std::path::PathBuf,
        /// The zone.
        apex: Name,
    },
}

impl Zone {
    /// Reads the master file of a zone. `read` gives the octets of a file, the first one too. What is not in the zone is left
    /// out.
    pub fn read(
        apex: &Name,
        file: &Path,
        read: &mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, ZoneError> {
        let apex = apex.to_lowercase();
        let mut written = read_master_file(file, &apex, read)?;
        written.retain(|written| apex.zone_of(&written.record.name));
        let soa = find_soa(&apex, &written)?;
        let no_soa = || ZoneError::NoSoa { file: file.to_owned(), apex: apex.clone() };
        let (soa_owner, serial) = soa.ok_or_else(no_soa)?;
        let mut records: Vec<Record> = written.into_iter().map(|written| written.record).collect();
        records.iter_mut().for_each(|record| record.name = record.name.to_lowercase());
        // Records of a type stay in the order of the file.
        records.sort_by(|one, other| one.name.cmp(&other.name));
        let nodes = records.chunk_by(|one, other| one.name == other.name).map(Node::of).collect();
        Ok(Self { apex, nodes, soa_owner, serial })
    }

    /// The apex, in lower case.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The serial of its SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether its SOA stands where it has to. As in CoreDNS, another one in the zone will do: that of `example.org` in the
    /// zone `.`, for one.
    pub fn has_soa_at_apex(&self) -> bool {
        self.soa_owner == self.apex
    }

    /// The SOA record.
    pub fn soa(&self) -> Option<Record> {
        self.soa_set()?.records.first().cloned()
    }

    fn soa_set(&self) -> Option<&Set> {
        self.node(&self.soa_owner)?.set(RecordType::SOA)
    }

    fn node(&self, name: &Name) -> Option<&Node> {
        let labels: Vec<&[u8]> = name.iter().collect();
        self.nodes.get(self.search(&labels).ok()?)
    }

    /// All records for a transfer (RFC 5936 section 2.2): SOA, everything else, SOA.
    pub fn transfer(self: &Arc<Self>) -> impl Iterator<Item = Record> + Send + use<> {
        let zone = Arc::clone(self);
        let is_soa = |record: &Record| matches!(record.data, RData::SOA(_));
        let nodes = (0..self.nodes.len()).flat_map(move |at| zone.nodes.get(at).map(Node::records).unwrap_or_default());
        self.soa().into_iter().chain(nodes.filter(move |record| !is_soa(record))).chain(self.soa())
    }

    fn apex_set(&self, record_type: RecordType) -> Option<&Set> {
        self.node(&self.apex)?.set(record_type)
    }

    /// The place of a name, or where it would be; the name is given by its labels.
    fn search(&self, labels: &[&[u8]]) -> Result<usize, usize> {
        self.nodes.binary_search_by(|node| compare(node.name.iter(), labels.iter().copied()))
    }
}

impl Node {
    fn of(records: &[Record]) -> Self {
        let name = records.first().map(|record| record.name.clone()).unwrap_or_default();
        let mut sets: Vec<Set> = Vec::new();
        // RFC 2181 section 5: no record stands twice in a set.
        let mut seen = HashSet::new();
        for record in records.iter().filter(|record| seen.insert(&record.data)) {
            let covered = covered_type(&record.data);
            let record_type = covered.unwrap_or(record.record_type());
            let at = sets.iter().position(|set| set.record_type == record_type).unwrap_or(sets.len());
            if at == sets.len() {
                sets.push(Set { record_type, records: Vec::new(), signatures: Vec::new() });
            }
            let Some(set) = sets.get_mut(at) else { continue };
            let list = if covered.is_some() { &mut set.signatures } else { &mut set.records };
            // Most lists have one record, and there are many lists.
            list.reserve_exact(usize::from(list.is_empty()));
            list.push(record.clone());
        }
        sets.shrink_to_fit();
        Self { name, sets }
    }

    fn set(&self, record_type: RecordType) -> Option<&Set> {
        self.sets.iter().find(|set| set.record_type == record_type && !set.records.is_empty())
    }

    fn records(&self) -> Vec<Record> {
        self.sets.iter().flat_map(|set| set.records.iter().chain(&set.signatures)).cloned().collect()
    }
}

/// The owner of the SOA and its serial: the apex, or else whoever has one. None: nobody has.
fn find_soa(apex: &Name, written: &[Written]) -> Result<Option<(Name, u32)>, MasterFileError> {
    let mut found: Option<(Name, u32)> = None;
    for written in written {
        let RData::SOA(soa) = &written.record.data else { continue };
        let owner = written.record.name.to_lowercase();
        match &found {
            Some((known, serial)) if *known == owner && *serial != soa.serial => {
                return Err(written.error("there is another SOA record before"));
            }
            Some((known, _)) if known == apex => {}
            Some(_) if owner != *apex => {}
            Some(_) | None => found = Some((owner, soa.serial)),
        }
    }
    Ok(found)
}

/// Canonical order of names (RFC 4034 section 6.1): label by label from the right, in lower case.
fn compare<'a>(
    one: impl DoubleEndedIterator<Item = &'a [u8]>,
    other: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Ordering {
    let lower = |label: &'a [u8]| label.iter().map(u8::to_ascii_lowercase);
    let (mut one, mut other) = (one.rev(), other.rev());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => match lower(one).cmp(lower(other)) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}
