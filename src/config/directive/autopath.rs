//! `autopath [ZONES...] RESOLVCONF|@kubernetes`: walks the search list for clients.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{Expanded, Text};
use crate::dns::{Name, parse_name};

/// Whose search list is walked.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Autopath {
    /// Names in these zones are looked for; those of the server block if the line names none.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// Where the search list comes from.
    pub search: Search,
    /// The domains of the file, which is read already; with `kubernetes` those of this server's own /etc/resolv.conf, which Pods
    /// have behind those of the cluster.
    #[serde_as(as = "Expanded")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<Name>,
}

/// Where the search list comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Search {
    /// From the namespace of the Pod that asks (`@kubernetes`).
    Kubernetes,
    /// From a file in resolv.conf's form.
    File(PathBuf),
}

/// Where a Pod's search list ends as that of its node.
const OWN_FILE: &str = "/etc/resolv.conf";

/// How many domains of a file count: more than clients have.
const DOMAINS_MAX: usize = 32;

impl Directive for Autopath {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "autopath",
        syntax: "autopath [ZONES...] RESOLVCONF|@kubernetes",
        summary: "Walks the search list for clients: a name in its first domain that does not exist is looked for in the others, and then as it is, in one query. The answer has \
                  an alias from the name that was asked for. RESOLVCONF is a file with the list. With `@kubernetes` it is that of the Pod that asks, found by \
                  its address; that needs `kubernetes` with `pods verified` in the same block. Pods of the host network are no clients that can be told apart, and get no \
                  help. Each name is looked for in the server block that it belongs to, and `acl` sees all of them.",
        options: &[],
        example: "autopath cluster.local @kubernetes",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut autopath = None;
        while cursor.advance() {
            if autopath.is_some() {
                cursor.warn("only the last of these lines counts; remove those before it");
            }
            autopath = Self::lower_line(cursor)?;
        }
        // Without any zone that is one, it is for no name; a warning says so.
        Ok(autopath.filter(|autopath| !autopath.zones.is_empty()))
    }

    fn write(autopath: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { zones, search, .. }) = autopath else { return };
        let search = match search {
            Search::Kubernetes => "@kubernetes".to_owned(),
            Search::File(file) => file.display().to_string(),
        };
        let words = std::iter::once("autopath".to_owned()).chain(zones.iter().map(Text::text));
        corefile.line(words.chain([search]));
    }
}

impl Autopath {
    /// None: it would do nothing.
    fn lower_line(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let arguments = cursor.arguments();
        let Some((source, zones)) = arguments.split_last() else {
            return Err(cursor.error("takes a file such as /etc/resolv.conf, or @kubernetes"));
        };
        let zones = cursor.zones(zones);
        let surroundings = cursor.surroundings;
        let (search, read) = match source.strip_prefix('@') {
            Some("kubernetes") => (Search::Kubernetes, surroundings.read(Path::new(OWN_FILE)).unwrap_or_default()),
            Some(_) => {
                cursor.warn(format!("{source} has no effect: only @kubernetes knows search lists"));
                return Ok(None);
            }
            None => match surroundings.read(Path::new(source)) {
                Ok(text) => (Search::File(source.into()), text),
                Err(error) => return Err(cursor.error(format!("cannot read {source:?}: {error}"))),
            },
        };
        let domains = search_domains(&read);
        if search != Search::Kubernetes && domains.is_empty() {
            cursor.warn(format!("has no effect: {source} has no `search` line"));
        }
        Ok(Some(Self { zones, search, domains }))
    }
}

/// The domains of the last `search` or `domain` line of a file in resolv.conf's form.
fn search_domains(text: &str) -> Vec<Name> {
    let mut lines = text.lines().filter_map(|line| {
        let (word, domains) = line.split_once([' ', '\t'])?;
        matches!(word, "search" | "domain").then_some((word, domains))
    });
    let Some((word, domains)) = lines.next_back() else { return Vec::new() };
    let count = if word == "domain" { 1 } else { DOMAINS_MAX };
    let names = domains.split_whitespace().filter_map(|domain| parse_name(domain).ok());
    names.map(|name| name.to_lowercase()).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let domains: Vec<String> = search_domains(text).iter().map(|name| name.to_ascii()).collect();
        assert_eq!(domains, expected, "{text}");
    }

    #[test]
    fn the_last_line_with_domains_counts() {
        check(
            "nameserver 192.0.2.1\n# search a.example\nsearch  Corp.example\texample.\noptions ndots:5\n",
            &["corp.example.", "example."],
        );
        check("search a.example\ndomain b.example c.example\n", &["b.example."]);
        check("searching a.example\n", &[]);
        check("search .\n", &["."]);
        check("", &[]);
    }
}
