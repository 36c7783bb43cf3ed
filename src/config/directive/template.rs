//! `template CLASS TYPE [ZONES...] { match REGEXP...; rcode CODE; fallthrough }`: fixed answers by pattern.

use crate::config::corefile::{CorefileError, Cursor};

use super::Fallthrough;
use crate::dns::{Class, Name, RecordType, ResponseCode, parse_type};

/// A fixed answer for the names that a pattern matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Of which class.
    pub class: TemplateClass,
    /// Of which type.
    pub record_type: TemplateType,
    /// Names at or below these zones.
    pub zones: Vec<Name>,
    /// Regular expressions over the name in lower case with its final dot; valid; one must match.
    pub patterns: Vec<String>,
    /// The answer.
    pub response_code: ResponseCode,
    /// Where names go that no pattern matches.
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

impl Template {
    /// Reads all `template` directives of a block.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut templates = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let [class, record_type, zones @ ..] = arguments.as_slice() else {
                return Err(cursor.error("takes a class and a type, e.g. `template IN AAAA`"));
            };
            let class = match class.as_str() {
                "ANY" => TemplateClass::Any,
                text => TemplateClass::One(parse_class(text).ok_or_else(|| {
                    cursor.error(format!("invalid class {text:?}; classes are upper case: IN, CH or ANY"))
                })?),
            };
            let record_type = match record_type.as_str() {
                "ANY" => TemplateType::Any,
                text => TemplateType::One(parse_type(text).ok_or_else(|| {
                    cursor.error(format!("invalid type {text:?}; types are upper case, such as AAAA"))
                })?),
            };
            let mut template = Self {
                class,
                record_type,
                zones: cursor.zones(zones),
                patterns: Vec::new(),
                response_code: ResponseCode::NoError,
                fallthrough: Fallthrough::default(),
            };
            while cursor.next_option() {
                template.lower_option(cursor)?;
            }
            templates.push(template);
        }
        Ok(templates)
    }

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
                self.response_code = parse_code(cursor.word()).ok_or_else(|| {
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
            _ => return Err(cursor.unknown("match, rcode, fallthrough")),
        }
        Ok(())
    }
}

fn parse_class(text: &str) -> Option<Class> {
    match text {
        "CS" => Some(Class::from(2)),
        _ => text.parse().ok(),
    }
}

fn parse_code(text: &str) -> Option<ResponseCode> {
    Some(match text {
        "NOERROR" => ResponseCode::NoError,
        "FORMERR" => ResponseCode::FormErr,
        "SERVFAIL" => ResponseCode::ServFail,
        "NXDOMAIN" => ResponseCode::NXDomain,
        "NOTIMP" | "NOTIMPL" => ResponseCode::NotImp,
        "REFUSED" => ResponseCode::Refused,
        "YXDOMAIN" => ResponseCode::YXDomain,
        "YXRRSET" => ResponseCode::YXRRSet,
        "NXRRSET" => ResponseCode::NXRRSet,
        "NOTAUTH" => ResponseCode::NotAuth,
        "NOTZONE" => ResponseCode::NotZone,
        _ => return None,
    })
}
