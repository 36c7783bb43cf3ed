//! Master files: zones as text (RFC 1035 section 5), with `$TTL` (RFC 2308), `$INCLUDE` and BIND's `$GENERATE`.
//!
//! The octets of files come from the caller. Depth, size and number of records are bounded.

mod data;
mod generate;
mod svcb;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::words::{Entries, Entry, Word};
use super::{Class, Name, Record, RecordType, class_mnemonic};

/// How deep `$INCLUDE` may go, as in CoreDNS.
const INCLUDES_MAX: usize = 7;

/// Records of a master file at most, with those that it includes.
const RECORDS_MAX: usize = 1_000_000;

/// What is wrong with a master file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {what}", .file.display(), place(*.line))]
pub struct MasterFileError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; 0: it is none of them.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

/// A record, and where it stands.
#[derive(Clone, Debug)]
pub struct Written {
    /// The record.
    pub record: Record,
    /// The file.
    pub file: Arc<Path>,
    /// The line, counted from 1.
    pub line: usize,
}

/// Reads a master file; relative names are below `origin` until `$ORIGIN`. `read` gives the octets of a file, the first one
/// too.
pub fn read_master_file(
    file: &Path,
    origin: &Name,
    read: &mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
) -> Result<Vec<Written>, MasterFileError> {
    let mut records = Vec::new();
    let error = |what| MasterFileError { file: file.to_owned(), line: 0, what };
    let octets = read(file).map_err(|cause| error(cause.to_string()))?;
    let scope = Scope { origin: origin.clone(), owner: None, ttl: None, has_default_ttl: false };
    Reader { file: file.into(), depth: 0, read, records: &mut records }.read(&octets, scope)?;
    Ok(records)
}

/// Reads the first record of a text in the form of a master file, such as `a.example. 60 IN A 192.0.2.1`, of any class; without
/// a TTL it has `default_ttl`.
pub fn parse_record(text: &str, default_ttl: u32) -> Result<Record, String> {
    let entry =
        Entries::new(text.as_bytes()).next().ok_or("there is no record")?.map_err(|(_, what)| what.to_owned())?;
    let mut scope = Scope { origin: Name::root(), owner: None, ttl: Some(default_ttl), has_default_ttl: true };
    scope.record(&entry)
}

/// What an entry takes from those before it.
#[derive(Clone, Debug)]
struct Scope {
    origin: Name,
    owner: Option<Name>,
    /// The TTL of records without one: that of `$TTL`, or of the record before.
    ttl: Option<u32>,
    /// Whether it is that of `$TTL`.
    has_default_ttl: bool,
}

impl Scope {
    /// `[OWNER] [TTL] [CLASS] TYPE DATA...`, TTL and class in any order.
    fn record(&mut self, entry: &Entry<'_>) -> Result<Record, String> {
        let mut words = entry.words.as_slice();
        if !entry.is_indented {
            let (owner, rest) = words.split_first().ok_or("there is no record")?;
            let name = data::name(owner, &self.origin);
            self.owner = Some(name.ok_or_else(|| format!("no name: {:?}", data::shown(owner)))?);
            words = rest;
        }
        let owner = self.owner.clone().ok_or("the first record of a file names its owner")?;
        let (mut ttl, mut class) = (None, None);
        let (record_type, data) = loop {
            let (word, rest) = words.split_first().ok_or("the type is missing")?;
            words = rest;
            match data::record_type(word) {
                Some(record_type) => break (record_type, rest),
                None if class.is_none() && class_of(word).is_some() => class = class_of(word),
                None if ttl.is_none() => ttl = Some(data::period(word).map_err(|_| unknown_word(word))?),
                None => return Err(unknown_word(word)),
            }
        };
        if ttl.is_some() && !self.has_default_ttl {
            self.ttl = ttl;
        }
        let ttl = ttl.or(self.ttl).ok_or("there is no TTL, neither here nor before; put $TTL at the beginning")?;
        if matches!(record_type, RecordType::NSEC3 | RecordType::NSEC3PARAM) {
            return Err("NSEC3 is not supported; sign the zone with NSEC".to_owned());
        }
        let data = data::read_data(record_type, data, &self.origin)?;
        let mut record = Record::from_rdata(owner, ttl, data);
        record.dns_class = class.unwrap_or(Class::IN);
        Ok(record)
    }
}

/// The class of a word, in any letter case; `CLASS7` too.
fn class_of(word: &Word<'_>) -> Option<Class> {
    let text = data::parse::<String>(word)?.to_ascii_uppercase();
    match text.as_str() {
        "IN" => Some(Class::IN),
        "CS" => Some(Class::Unknown(2)),
        "CH" => Some(Class::CH),
        "HS" => Some(Class::HS),
        "NONE" => Some(Class::NONE),
        "ANY" => Some(Class::ANY),
        other => Some(Class::from(other.strip_prefix("CLASS")?.parse::<u16>().ok()?)),
    }
}

fn unknown_word(word: &Word<'_>) -> String {
    format!("a TTL, IN or a type is expected, not {:?}", data::shown(word))
}

/// Reads a file and those that it includes.
struct Reader<'a> {
    file: Arc<Path>,
    depth: usize,
    read: &'a mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
    records: &'a mut Vec<Written>,
}

impl Reader<'_> {
    fn read(&mut self, octets: &[u8], mut scope: Scope) -> Result<(), MasterFileError> {
        for entry in Entries::new(octets) {
            let entry = entry.map_err(|(line, what)| self.error(line, what.to_owned()))?;
            self.take(&entry, &mut scope)?;
        }
        Ok(())
    }

    fn error(&self, line: usize, what: String) -> MasterFileError {
        MasterFileError { file: self.file.to_path_buf(), line, what }
    }

    fn take(&mut self, entry: &Entry<'_>, scope: &mut Scope) -> Result<(), MasterFileError> {
        let first = entry.words.first().filter(|first| first.text.starts_with(b"$") && !entry.is_indented);
        let Some(first) = first else { return self.add(entry, scope) };
        let arguments = entry.words.get(1..).unwrap_or_default();
        let error = |what: String| self.error(entry.line, what);
        match (first.text.to_ascii_uppercase().as_slice(), arguments) {
            (b"$ORIGIN", [name]) => scope.origin = named(name, &scope.origin).map_err(error)?,
            (b"$TTL", [ttl]) => {
                scope.ttl = Some(data::period(ttl).map_err(error)?);
                scope.has_default_ttl = true;
            }
            (b"$INCLUDE", [file]) => self.include(entry.line, file, scope.clone())?,
            (b"$INCLUDE", [file, name]) => {
                let origin = named(name, &scope.origin).map_err(error)?;
                self.include(entry.line, file, Scope { origin, ..scope.clone() })?;
            }
            (b"$GENERATE", [range, template @ ..]) => self.generate(entry.line, range, template, scope)?,
            (b"$ORIGIN" | b"$TTL" | b"$INCLUDE" | b"$GENERATE", _) => {
                return Err(error(format!("{} takes something else", data::shown(first))));
            }
            _ => return self.add(entry, scope),
        }
        Ok(())
    }

    fn add(&mut self, entry: &Entry<'_>, scope: &mut Scope) -> Result<(), MasterFileError> {
        let record = scope.record(entry).map_err(|what| self.error(entry.line, what))?;
        if record.dns_class != Class::IN {
            return Err(
                self.error(entry.line, format!("the class is IN here, not {}", class_mnemonic(record.dns_class)))
            );
        }
        if self.records.len() >= RECORDS_MAX {
            return Err(self.error(entry.line, format!("there are more than {RECORDS_MAX} records")));
        }
        self.records.push(Written { record, file: self.file.clone(), line: entry.line });
        Ok(())
    }

    /// Origin and TTL of the file that includes are those of the included one at its beginning, and not the other way.
    fn include(&mut self, line: usize, file: &Word<'_>, scope: Scope) -> Result<(), MasterFileError> {
        if self.depth >= INCLUDES_MAX {
            return Err(self.error(line, format!("$INCLUDE goes deeper than {INCLUDES_MAX} files")));
        }
        let path = self.file.parent().unwrap_or(Path::new("")).join(data::shown(file));
        let octets = (self.read)(&path).map_err(|cause| self.error(line, format!("{}: {cause}", path.display())))?;
        let mut included = Reader { file: path.into(), depth: self.depth + 1, read: self.read, records: self.records };
        included.read(&octets, Scope { owner: None, ..scope })
    }

    /// `$GENERATE FROM-TO[/STEP] WORDS...`: the words as a record for each number.
    fn generate(
        &mut self,
        line: usize,
        range: &Word<'_>,
        template: &[Word<'_>],
        scope: &mut Scope,
    ) -> Result<(), MasterFileError> {
        let numbers = generate::range(range.text);
        let numbers = numbers.ok_or_else(|| self.error(line, format!("no range: {:?}", data::shown(range))))?;
        let template = generate::template(template);
        for number in numbers {
            let text = generate::fill(&template, number).map_err(|what| self.error(line, what))?;
            for entry in Entries::new(&text) {
                let entry = entry.map_err(|(_, what)| self.error(line, what.to_owned()))?;
                self.add(&Entry { line, ..entry }, scope)?;
            }
        }
        Ok(())
    }
}

fn named(word: &Word<'_>, origin: &Name) -> Result<Name, String> {
    data::name(word, origin).ok_or_else(|| format!("no name: {:?}", data::shown(word)))
}

impl Written {
    /// The error that something is wrong with the record.
    pub fn error(&self, what: impl Into<String>) -> MasterFileError {
        MasterFileError { file: self.file.to_path_buf(), line: self.line, what: what.into() }
    }
}
