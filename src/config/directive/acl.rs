//! `acl [ZONES...] { allow|block|filter|drop [type TYPE...|*] [net PREFIX...|*] }`: who may ask what.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::{Name, RecordType};

/// Who may ask for names of some zones. The first rule that fits decides.
#[serde_as]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acl {
    /// Names at or below these zones.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// In the order in which they are tried.
    pub rules: Vec<AclRule>,
}

/// What happens to some questions of some clients.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AclRule {
    /// What happens.
    pub action: AclAction,
    /// The types asked for; none means all.
    #[serde_as(as = "Vec<AsText>")]
    #[serde(default, rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<RecordType>,
    /// The addresses of clients; none means all.
    #[serde_as(as = "Vec<AsText>")]
    #[serde(default, rename = "net", skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<IpNet>,
}

/// What happens to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AclAction {
    /// It is answered.
    Allow,
    /// REFUSED.
    Block,
    /// NOERROR without records.
    Filter,
    /// No reply at all.
    Drop,
}

impl Directive for Acl {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "acl",
        syntax: "acl [ZONES...] { ... }",
        summary: "Who may ask what, by the address that the query came from. Repeatable; in each line whose zones have the name, the first rule that fits \
                  decides, and what none fits is allowed. `type TYPE...` and `net PREFIX...` narrow a rule, `*` means all. It judges what `rewrite` and `autopath` \
                  have made of the question, and also what the server looks up for the client (aliases, DNS64), before the cache is asked.",
        options: &[
            Opt { syntax: "allow [type TYPE...] [net PREFIX...]", meaning: "the question is answered", default: "" },
            Opt { syntax: "block [type TYPE...] [net PREFIX...]", meaning: "REFUSED, with EDE 15", default: "" },
            Opt {
                syntax: "filter [type TYPE...] [net PREFIX...]",
                meaning: "NOERROR without records, with EDE 17",
                default: "",
            },
            Opt { syntax: "drop [type TYPE...] [net PREFIX...]", meaning: "no reply at all", default: "" },
        ],
        example: "acl example.org {\n    allow net 192.168.1.0/24 2001:db8::1\n    filter type AAAA HTTPS\n    block type ANY net 192.168.0.0/16\n    drop\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut lists = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let mut acl = Self { zones: cursor.zones(&arguments), rules: Vec::new() };
            while cursor.next_option() {
                acl.rules.push(AclRule::lower(cursor)?);
            }
            if acl.rules.is_empty() {
                cursor.warn("there are no rules, so that everything is allowed");
            }
            // Without any zone that is one, it is for no name; a warning says so.
            if !acl.zones.is_empty() {
                lists.push(acl);
            }
        }
        Ok(lists)
    }

    fn write(lists: &Vec<Self>, corefile: &mut Writer) {
        for Self { zones, rules } in lists {
            corefile.block(std::iter::once("acl".to_owned()).chain(zones.iter().map(Text::text)), |options| {
                for AclRule { action, types, prefixes } in rules {
                    let mut words = vec![action.as_str().to_owned()];
                    if !types.is_empty() {
                        words.push("type".to_owned());
                        words.extend(types.iter().map(Text::text));
                    }
                    if !prefixes.is_empty() {
                        words.push("net".to_owned());
                        words.extend(prefixes.iter().map(Text::text));
                    }
                    options.line(words);
                }
            });
        }
    }
}

impl AclAction {
    const ALL: [Self; 4] = [Self::Allow, Self::Block, Self::Filter, Self::Drop];

    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Filter => "filter",
            Self::Drop => "drop",
        }
    }
}

impl AclRule {
    fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let action = AclAction::ALL.into_iter().find(|action| cursor.word().eq_ignore_ascii_case(action.as_str()));
        let action = action.ok_or_else(|| cursor.unknown::<Acl>())?;
        let (mut types, mut prefixes) = (Vec::new(), Vec::new());
        let arguments = cursor.arguments();
        let mut words = arguments.iter().map(String::as_str).peekable();
        while let Some(section) = words.next() {
            let values = std::iter::from_fn(|| words.next_if(|word| !is_section(word)));
            match section.to_ascii_lowercase().as_str() {
                "type" => types = lower_section(cursor, section, values, RecordType::WHAT, RecordType::read)?,
                "net" => prefixes = lower_section(cursor, section, values, IpNet::WHAT, IpNet::read)?,
                "}" => return Err(cursor.error("put '}' on a line of its own")),
                _ => return Err(cursor.error(format!("`type` or `net` is expected, not {section:?}"))),
            }
        }
        Ok(Self { action, types, prefixes })
    }
}

fn is_section(word: &str) -> bool {
    word.eq_ignore_ascii_case("type") || word.eq_ignore_ascii_case("net")
}

/// The values of `type` or `net`; with `*` there are none, which means all.
fn lower_section<'a, T>(
    cursor: &Cursor<'_>,
    section: &str,
    words: impl Iterator<Item = &'a str>,
    what: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, CorefileError> {
    let (mut values, mut means_all) = (Vec::new(), false);
    for word in words {
        match (word, read(word)) {
            ("*", _) => means_all = true,
            ("}", _) => return Err(cursor.error("put '}' on a line of its own")),
            (_, Some(value)) => values.push(value),
            (_, None) => return Err(cursor.error(format!("{section} takes {what}, not {word:?}"))),
        }
    }
    match (means_all, values.is_empty()) {
        (true, _) => Ok(Vec::new()),
        (false, true) => Err(cursor.error(format!("{section} takes {what}, or *"))),
        (false, false) => Ok(values),
    }
}
