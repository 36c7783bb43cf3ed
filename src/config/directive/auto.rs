//! `auto [ZONES...] { ... }`: zones from the master files of a folder.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::pattern::lower_pattern;
use super::root::look_for_folder;
use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::Name;

/// Zones from the master files of a folder.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auto {
    /// Only names in these zones are answered; empty means those of the server block.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// The folder; a relative one is below `root`.
    pub directory: PathBuf,
    /// Which file names are those of zones.
    pub pattern: String,
    /// The name of the zone, with `${1}` for what the first group of the pattern matched.
    pub origin: String,
    /// How often folder and files are looked at; zero: never again.
    #[serde_as(as = "AsText")]
    pub reload: Duration,
}

impl Default for Auto {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            directory: PathBuf::new(),
            pattern: r"db\.(.*)".to_owned(),
            origin: "${1}".to_owned(),
            reload: Duration::from_secs(60),
        }
    }
}

impl Directive for Auto {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "auto",
        syntax: "auto [ZONES...] { ... }",
        summary: "Zones from the master files of a folder and those below it: files that come and go make zones come and go. What is wrong with a file is \
                  logged, and the zone is as it was. Otherwise as `file`.",
        options: &[
            Opt {
                syntax: "directory DIR [REGEXP TEMPLATE]",
                meaning: "the folder; which names of files are those of zones; the zone, with `{1}` for what the first group matched",
                default: r"`db\.(.*)` `{1}`",
            },
            Opt { syntax: "reload DURATION", meaning: "how often it is looked at; 0: never again", default: "60s" },
            Opt { syntax: "upstream", meaning: "left out, as in CoreDNS", default: "" },
        ],
        example: "auto example.org {\n    directory /etc/coredns/zones (.*)[.]zone {1}\n    reload 30s\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut autos = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let mut auto = Self { zones: cursor.zones(&arguments), ..Self::default() };
            while cursor.next_option() {
                auto.lower_option(cursor)?;
            }
            if auto.directory.as_os_str().is_empty() {
                cursor.warn("without `directory` it serves nothing");
            }
            // Without any zone that is one, it is for no name; a warning says so.
            if !auto.zones.is_empty() {
                autos.push(auto);
            }
        }
        Ok(autos)
    }

    fn write(autos: &Vec<Self>, corefile: &mut Writer) {
        for auto in autos {
            corefile.block(std::iter::once("auto".to_owned()).chain(auto.zones.iter().map(Text::text)), |options| {
                if !auto.directory.as_os_str().is_empty() {
                    options.line(["directory", &auto.directory.display().to_string(), &auto.pattern, &auto.origin]);
                }
                options.line(["reload", &auto.reload.text()]);
            });
        }
    }
}

impl Auto {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word() {
            "directory" => self.lower_directory(cursor)?,
            "reload" => {
                let text = cursor.first_argument("a duration")?;
                self.reload = cursor.duration(&text, "reload")?;
            }
            "upstream" => {
                cursor.arguments();
                cursor.warn("upstream has no effect; remove it");
            }
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }

    fn lower_directory(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let arguments = cursor.arguments();
        let (directory, naming) = match arguments.as_slice() {
            [directory] => (directory, None),
            [directory, pattern, origin] => (directory, Some((pattern, origin))),
            _ => return Err(cursor.error("directory takes a folder, or a folder, a pattern and a template")),
        };
        self.directory = directory.into();
        let path = cursor.path(&self.directory);
        look_for_folder(cursor, &path, "Directory")?;
        if let Some((pattern, origin)) = naming {
            self.pattern = lower_pattern(cursor, pattern)?;
            if !regex::Regex::new(&self.pattern).is_ok_and(|pattern| pattern.captures_len() > 1) {
                return Err(
                    cursor.error(format!("the pattern {pattern:?} needs a group, as in {}", Self::default().pattern))
                );
            }
            self.origin = expandable(origin);
        }
        Ok(())
    }
}

/// `{1}` as `${1}`, which is what stands for a group.
fn expandable(template: &str) -> String {
    let mut text = String::with_capacity(template.len() + 1);
    for character in template.chars() {
        if character == '{' && !text.ends_with('$') {
            text.push('$');
        }
        text.push(character);
    }
    text
}
