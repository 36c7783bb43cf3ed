//! `hosts [FILE [ZONES...]] { ... }`: names from a file in the form of /etc/hosts.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Fallthrough, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::Name;

/// Names from a file.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hosts {
    /// The file.
    pub file: PathBuf,
    /// The zones whose names are answered; empty means those of the server block.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// Lines of the block itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inline: Vec<HostsLine>,
    /// TTL of the answers in seconds.
    pub ttl: u32,
    /// No PTR records.
    #[serde(skip_serializing_if = "is_default")]
    pub no_reverse: bool,
    /// How often the file is looked at; zero: never again.
    #[serde_as(as = "AsText")]
    pub reload: Duration,
    /// Where names that are not there go.
    #[serde(skip_serializing_if = "is_default")]
    pub fallthrough: Fallthrough,
    /// Whether questions of other types than A, AAAA and PTR go there too, where the name is there.
    #[serde(skip_serializing_if = "is_default")]
    pub fallthrough_unsupported: bool,
}

/// A line of a hosts file.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostsLine {
    /// The address.
    pub address: IpAddr,
    /// Its names.
    #[serde_as(as = "Vec<AsText>")]
    pub names: Vec<Name>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            file: PathBuf::from("/etc/hosts"),
            zones: Vec::new(),
            inline: Vec::new(),
            ttl: 3600,
            no_reverse: false,
            reload: Duration::from_secs(5),
            fallthrough: Fallthrough::default(),
            fallthrough_unsupported: false,
        }
    }
}

impl Directive for Hosts {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "hosts",
        syntax: "hosts [FILE [ZONES...]] { ... }",
        summary: "Names from a file in the form of /etc/hosts, which is the default, read again when it changes. Lines of addresses stand before `fallthrough`. A name \
                  that is not there is SERVFAIL without `fallthrough`.",
        options: &[
            Opt { syntax: "ADDRESS NAME...", meaning: "a line of its own", default: "" },
            Opt { syntax: "ttl SECONDS", meaning: "1 to 65535", default: "3600" },
            Opt { syntax: "no_reverse", meaning: "no PTR records", default: "" },
            Opt {
                syntax: "reload DURATION",
                meaning: "how often the file is looked at; 0: never again",
                default: "5s",
            },
            Fallthrough::OPTION,
            Opt {
                syntax: "fallthrough_unsupported",
                meaning: "with `fallthrough`: names that are there go to the next plugin, too, for other types than A, AAAA and PTR",
                default: "NODATA",
            },
        ],
        example: "hosts /etc/coredns/NodeHosts {\n    192.0.2.1 a.example b.example\n    ttl 60\n    reload 15s\n    fallthrough\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let arguments = cursor.arguments();
        let mut hosts = Self { zones: cursor.zones(arguments.get(1..).unwrap_or_default()), ..Self::default() };
        if let Some(file) = arguments.first() {
            hosts.file = file.into();
        }
        let mut has_options = false;
        while cursor.next_option() {
            hosts.lower_option(cursor, &mut has_options)?;
        }
        if cursor.advance() {
            return Err(cursor.once());
        }
        if hosts.fallthrough_unsupported && hosts.fallthrough.zones.is_none() {
            return Err(cursor.error("fallthrough_unsupported takes effect with fallthrough only; add that"));
        }
        if !arguments.is_empty() || hosts.inline.is_empty() {
            let path = cursor.path(&hosts.file);
            warn_of_file(cursor, &path);
        }
        // Without any zone that is one, it is for no name; a warning says so.
        Ok(Some(hosts).filter(|hosts| !hosts.zones.is_empty()))
    }

    fn write(hosts: &Option<Self>, corefile: &mut Writer) {
        let Some(hosts) = hosts else { return };
        let head = ["hosts".to_owned(), hosts.file.display().to_string()];
        corefile.block(head.into_iter().chain(hosts.zones.iter().map(Text::text)), |options| {
            for HostsLine { address, names } in &hosts.inline {
                options.line(std::iter::once(address.to_string()).chain(names.iter().map(Text::text)));
            }
            options.line(["ttl", &hosts.ttl.to_string()]);
            if hosts.no_reverse {
                options.line(["no_reverse"]);
            }
            options.line(["reload", &hosts.reload.text()]);
            hosts.fallthrough.write(options);
            if hosts.fallthrough_unsupported {
                options.line(["fallthrough_unsupported"]);
            }
        });
    }
}

impl Hosts {
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
            "fallthrough_unsupported" => {
                cursor.no_argument()?;
                self.fallthrough_unsupported = true;
            }
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
        let Ok(address) = address.split('%').next().unwrap_or(address).parse::<IpAddr>() else {
            let what = format!("{address:?} is no address; the line is left out");
            return cursor.warn(what);
        };
        let address = address.to_canonical();
        let names: Vec<Name> = names.iter().filter_map(|name| crate::dns::parse_name(name).ok()).collect();
        self.inline.push(HostsLine { address, names });
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
