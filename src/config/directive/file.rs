//! `file DB [ZONES...] { ... }`: zones from a master file.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Fallthrough, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::Name;

/// Zones from a master file.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The master file; a relative one is below `root`.
    pub file: PathBuf,
    /// The zones, each with the records of the file below its own name; empty means those of the server block.
    #[serde_as(as = "Expanded")]
    #[serde(default)]
    pub zones: Vec<Name>,
    /// How often the file is looked at; zero: never again.
    #[serde_as(as = "AsText")]
    #[serde(default = "reload_default")]
    pub reload: Duration,
    /// Whether a file that changed counts although its serial did not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reload_by_mtime: bool,
    /// Where names that are not there go.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fallthrough: Fallthrough,
}

fn reload_default() -> Duration {
    Duration::from_secs(60)
}

impl Directive for File {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "file",
        syntax: "file DB [ZONES...] { ... }",
        summary: "Zones from a master file (RFC 1035) with `$ORIGIN`, `$TTL`, `$INCLUDE` and `$GENERATE`; signed ones with NSEC. Repeatable. A file that is \
                  not there is a warning unless `reload` is 0: until it is there, its zones are SERVFAIL. One that is wrong is an error at start; later, \
                  the zone stays as it was. A file has at most 1,000,000 records and 256 MiB, those that it includes counted in.",
        options: &[
            Opt {
                syntax: "reload DURATION",
                meaning: "how often the file is looked at; what is new counts if the serial of the SOA is another one. 0: never again",
                default: "1m",
            },
            Opt { syntax: "reload_by_mtime", meaning: "what is new counts even with the same serial", default: "" },
            Fallthrough::OPTION,
            Opt { syntax: "upstream", meaning: "left out, as in CoreDNS", default: "" },
        ],
        example: "file db.example.org example.org {\n    reload 30s\n    fallthrough\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut files = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let (file, zones) = arguments
                .split_first()
                .ok_or_else(|| cursor.error("takes a master file, e.g. `file db.example.org`"))?;
            let mut lowered = Self {
                file: file.into(),
                zones: cursor.zones(zones),
                reload: reload_default(),
                reload_by_mtime: false,
                fallthrough: Fallthrough::default(),
            };
            while cursor.next_option() {
                lowered.lower_option(cursor)?;
            }
            lowered.look(cursor)?;
            // Without any zone that is one, it is for no name; a warning says so.
            if !lowered.zones.is_empty() {
                files.push(lowered);
            }
        }
        Ok(files)
    }

    fn write(files: &Vec<Self>, corefile: &mut Writer) {
        for file in files {
            let head = ["file".to_owned(), file.file.display().to_string()];
            corefile.block(head.into_iter().chain(file.zones.iter().map(Text::text)), |options| {
                options.line(["reload", &file.reload.text()]);
                if file.reload_by_mtime {
                    options.line(["reload_by_mtime"]);
                }
                file.fallthrough.write(options);
            });
        }
    }
}

impl File {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word() {
            "reload" => {
                let text = cursor.first_argument("a duration")?;
                self.reload = cursor.duration(&text, "reload")?;
            }
            "reload_by_mtime" => self.reload_by_mtime = true,
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor, &self.zones)?,
            "upstream" => {
                cursor.arguments();
                cursor.warn("upstream has no effect; remove it");
            }
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }

    /// The file may come later, if somebody looks for it.
    fn look(&self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let path = cursor.path(&self.file);
        let Err(error) = cursor.surroundings.find(&path) else { return Ok(()) };
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("the master file {} is not there", path.display()),
            _ => format!("the master file {} cannot be read: {error}", path.display()),
        };
        match self.reload.is_zero() {
            true => Err(cursor.error(what)),
            false => {
                cursor.warn(format!("{what}; it is looked for every {}", self.reload.text()));
                Ok(())
            }
        }
    }
}
