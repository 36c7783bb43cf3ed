//! `hosts [FILE [ZONES...]] { ... }`: names from a file in the form of /etc/hosts.

use crate::config::corefile::{CorefileError, Cursor};

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Fallthrough;
use crate::dns::Name;

/// Names from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// The file.
    pub file: PathBuf,
    /// The zones whose names are answered; empty means those of the server block.
    pub zones: Vec<Name>,
    /// Lines of the block itself.
    pub inline: Vec<(IpAddr, Vec<Name>)>,
    /// TTL of the answers in seconds.
    pub ttl: u32,
    /// No PTR records.
    pub no_reverse: bool,
    /// How often the file is looked at; zero: never again.
    pub reload: Duration,
    /// Where names that are not there go.
    pub fallthrough: Fallthrough,
}

impl Hosts {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        cursor.advance();
        let arguments = cursor.arguments();
        let is_named = !arguments.is_empty();
        let (file, zones) = match arguments.split_first() {
            Some((file, zones)) => (PathBuf::from(file), zones),
            None => (PathBuf::from("/etc/hosts"), arguments.as_slice()),
        };
        let mut hosts = Self {
            file,
            zones: cursor.zones(zones),
            inline: Vec::new(),
            ttl: 3600,
            no_reverse: false,
            reload: Duration::from_secs(5),
            fallthrough: Fallthrough::default(),
        };
        let mut has_options = false;
        while cursor.next_option() {
            hosts.lower_option(cursor, &mut has_options)?;
        }
        if cursor.advance() {
            return Err(cursor.once());
        }
        if is_named || hosts.inline.is_empty() {
            warn_of_file(cursor, &hosts.file);
        }
        Ok(hosts)
    }

    fn lower_option(&mut self, cursor: &mut Cursor<'_>, has_fallthrough: &mut bool) -> Result<(), CorefileError> {
        match cursor.word() {
            "fallthrough" => {
                *has_fallthrough = true;
                self.fallthrough = Fallthrough::lower(cursor, &self.zones)?;
            }
            "no_reverse" => self.no_reverse = true,
            "ttl" => {
                let text = cursor.first_argument("a number of seconds")?;
                self.ttl = cursor.number(&text, "ttl", 1..=65535)?;
            }
            "reload" => {
                let text = cursor.one_argument("a duration")?;
                self.reload = cursor.duration(&text, "reload")?;
            }
            "fallthrough_unsupported" => return Err(cursor.error("fallthrough_unsupported is not built yet")),
            word if *has_fallthrough => {
                let what = format!("unknown property {word:?}; lines of addresses stand before fallthrough");
                return Err(cursor.error(what));
            }
            word => {
                let word = word.to_owned();
                let names = cursor.arguments();
                self.lower_line(cursor, &word, &names);
            }
        }
        Ok(())
    }

    /// `ADDRESS NAME...`; what is no address or no name is left out with a warning.
    fn lower_line(&mut self, cursor: &mut Cursor<'_>, address: &str, names: &[String]) {
        let Ok(address) = address.split('%').next().unwrap_or(address).parse() else {
            let what = format!("{address:?} is no address; the line is left out");
            return cursor.warn(what);
        };
        let names: Vec<Name> = names.iter().filter_map(|name| crate::dns::parse_name(name).ok()).collect();
        self.inline.push((address, names));
    }
}

/// A file may come later: that it cannot be read is no error.
fn warn_of_file(cursor: &mut Cursor<'_>, file: &Path) {
    match cursor.surroundings.find(file) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            cursor.warn(format!("File does not exist: {}", file.display()));
        }
        Err(error) => cursor.warn(format!("File cannot be read: {}: {error}", file.display())),
    }
}
