//! Zones as immutable values: read from master files, asked by name and type.
//!
//! There is no I/O here: the octets of files come from the caller. A zone is built as a whole and never changes.

mod lookup;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

pub use lookup::{Outcome, Response};

use crate::dns::{
    MasterFileError, Name, RData, Record, RecordType, Written, covered_type, read_master_file,
};

/// A zone.
#[derive(Debug)]
pub struct Zone {
    /// The apex, in lower case.
    apex: Name,
    /// In canonical order (RFC 4034 section 6.1), the apex first.
    nodes: Vec<Node>,
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
        let serial = serial_of(&apex, &written)?;
        let serial = serial.ok_or_else(|| ZoneError::NoSoa { file: file.to_owned(), apex: apex.clone() })?;
        let mut records: Vec<Record> = written.into_iter().map(|written| written.record).collect();
        records.iter_mut().for_each(|record| record.name = record.name.to_lowercase());
        // Records of a type stay in the order of the file.
        records.sort_by(|one, other| one.name.cmp(&other.name));
        let nodes = records.chunk_by(|one, other| one.name == other.name).map(Node::of).collect();
        Ok(Self { apex, nodes, serial })
    }

    /// The apex, in lower case.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The serial of its SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The SOA record.
    pub fn soa(&self) -> Option<Record> {
        self.apex_set(RecordType::SOA)?.records.first().cloned()
    }

    /// All records for a transfer (RFC 5936 section 2.2): SOA, everything else, SOA.
    pub fn transfer(self: &Arc<Self>) -> impl Iterator<Item = Record> + Send + use<> {
        let zone = Arc::clone(self);
        let is_soa = |record: &Record| matches!(record.data, RData::SOA(_));
        let nodes = (0..self.nodes.len()).flat_map(move |at| zone.nodes.get(at).map(Node::records).unwrap_or_default());
        self.soa().into_iter().chain(nodes.filter(move |record| !is_soa(record))).chain(self.soa())
    }

    fn apex_set(&self, record_type: RecordType) -> Option<&Set> {
        self.nodes.first()?.set(record_type)
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
        for record in records {
            let covered = covered_type(&record.data);
            let record_type = covered.unwrap_or(record.record_type());
            let at = sets.iter().position(|set| set.record_type == record_type).unwrap_or(sets.len());
            if at == sets.len() {
                sets.push(Set { record_type, records: Vec::new(), signatures: Vec::new() });
            }
            let Some(set) = sets.get_mut(at) else { continue };
            let list = if covered.is_some() { &mut set.signatures } else { &mut set.records };
            // RFC 2181 section 5: no record stands twice in a set.
            if !list.iter().any(|known| known.data == record.data) {
                list.push(record.clone());
            }
        }
        Self { name, sets }
    }

    fn set(&self, record_type: RecordType) -> Option<&Set> {
        self.sets.iter().find(|set| set.record_type == record_type && !set.records.is_empty())
    }

    fn records(&self) -> Vec<Record> {
        self.sets.iter().flat_map(|set| set.records.iter().chain(&set.signatures)).cloned().collect()
    }
}

/// The serial of the SOA; None: there is none.
fn serial_of(apex: &Name, written: &[Written]) -> Result<Option<u32>, MasterFileError> {
    let mut found = None;
    for written in written {
        let RData::SOA(soa) = &written.record.data else { continue };
        if written.record.name != *apex {
            return Err(written.error(format!("an SOA record stands at the apex, {apex}")));
        }
        if found.is_some_and(|serial| serial != soa.serial) {
            return Err(written.error("there is another SOA record before"));
        }
        found = Some(soa.serial);
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
