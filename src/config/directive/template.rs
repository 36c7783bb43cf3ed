//! `template CLASS TYPE [ZONES...] { match REGEXP...; rcode CODE; fallthrough }`: fixed answers by pattern.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Fallthrough, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::{Class, Name, RecordType, ResponseCode};

/// A fixed answer for the names that a pattern matches.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Of which class.
    #[serde_as(as = "AsText")]
    pub class: TemplateClass,
    /// Of which type.
    #[serde_as(as = "AsText")]
    #[serde(rename = "type")]
    pub record_type: TemplateType,
    /// Names at or below these zones.
    #[serde_as(as = "Expanded")]
    #[serde(default)]
    pub zones: Vec<Name>,
    /// Regular expressions over the name in lower case with its final dot; valid; one must match.
    #[serde(rename = "match", default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// The answer.
    #[serde_as(as = "AsText")]
    #[serde(rename = "rcode", default)]
    pub response_code: ResponseCode,
    /// Where names go that no pattern matches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fallthrough: Fallthrough,
}

/// A class, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplateClass {
    Any,
    One(Class),
}

/// A type, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplateType {
    Any,
    One(RecordType),
}

impl Directive for Template {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "template",
        syntax: "template CLASS TYPE [ZONES...] { ... }",
        summary: "A fixed response code for names that a pattern matches. Repeatable; classes, types and codes in upper case. Where no pattern matches and nothing \
                  falls through, it is SERVFAIL.",
        options: &[
            Opt {
                syntax: "match REGEXP...",
                meaning: "over the name in lower case with its final dot; one must match",
                default: "every name",
            },
            Opt { syntax: "rcode CODE", meaning: "the answer", default: "NOERROR" },
            Opt { syntax: "upstream", meaning: "left out, as in CoreDNS", default: "" },
            Fallthrough::OPTION,
        ],
        example: "template IN AAAA example.org {\n    match ^v4[.]\n    rcode NXDOMAIN\n    fallthrough\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut templates = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let [class, record_type, zones @ ..] = arguments.as_slice() else {
                return Err(cursor.error("takes a class and a type, e.g. `template IN AAAA`"));
            };
            let invalid =
                |what: &str, text: &str, expected: &str| cursor.error(format!("invalid {what} {text:?}; {expected}"));
            let mut template = Self {
                class: Text::read(class).ok_or_else(|| invalid("class", class, TemplateClass::WHAT))?,
                record_type: Text::read(record_type).ok_or_else(|| invalid("type", record_type, TemplateType::WHAT))?,
                zones: cursor.zones(zones),
                patterns: Vec::new(),
                response_code: ResponseCode::NoError,
                fallthrough: Fallthrough::default(),
            };
            while cursor.next_option() {
                template.lower_option(cursor)?;
            }
            // Without any zone that is one, it is for no name; a warning says so.
            if !template.zones.is_empty() {
                templates.push(template);
            }
        }
        Ok(templates)
    }

    fn write(templates: &Vec<Self>, corefile: &mut Writer) {
        for template in templates {
            let head = ["template".to_owned(), template.class.text(), template.record_type.text()];
            corefile.block(head.into_iter().chain(template.zones.iter().map(Text::text)), |options| {
                if !template.patterns.is_empty() {
                    options.line(std::iter::once("match").chain(template.patterns.iter().map(String::as_str)));
                }
                options.line(["rcode", &template.response_code.text()]);
                template.fallthrough.write(options);
            });
        }
    }
}

impl Template {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "match" => {
                let patterns = cursor.arguments();
                if patterns.is_empty() {
                    return Err(cursor.error("match takes regular expressions"));
                }
                for pattern in patterns {
                    self.patterns.push(super::pattern::lower_pattern(cursor, &pattern)?);
                }
            }
            "rcode" => {
                // One argument is taken, whatever follows: `{ rcode NXDOMAIN }` on one line is legal here.
                if !cursor.next_argument() {
                    return Err(cursor.error("rcode takes a response code, such as NXDOMAIN"));
                }
                self.response_code = ResponseCode::read(cursor.word()).ok_or_else(|| {
                    let what = "; codes are upper case: NOERROR, NXDOMAIN, REFUSED, SERVFAIL …";
                    cursor.error(format!("unknown rcode {:?}{what}", cursor.word()))
                })?;
            }
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor, &self.zones)?,
            "upstream" => {
                cursor.arguments();
            }
            option @ ("answer" | "additional" | "authority" | "ederror" | "var" | "expr") => {
                return Err(
                    cursor.error(format!("{option} is not built yet: a template answers with a fixed rcode only"))
                );
            }
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }
}

impl Text for TemplateClass {
    const WHAT: &'static str = "classes are upper case: IN, CH or ANY";

    fn read(text: &str) -> Option<Self> {
        if text == "ANY" { Some(Self::Any) } else { Class::read(text).map(Self::One) }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "ANY".to_owned(),
            Self::One(class) => class.text(),
        }
    }
}

impl Text for TemplateType {
    const WHAT: &'static str = "types are upper case, such as AAAA, or ANY";

    fn read(text: &str) -> Option<Self> {
        if text == "ANY" { Some(Self::Any) } else { RecordType::read(text).map(Self::One) }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "ANY".to_owned(),
            Self::One(record_type) => record_type.text(),
        }
    }
}
