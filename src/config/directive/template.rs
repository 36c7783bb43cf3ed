//! `template CLASS TYPE [ZONES...] { match REGEXP...; rcode CODE; fallthrough }`: fixed answers by pattern.

use crate::config::corefile::{CorefileError, Cursor};

use super::Fallthrough;
use crate::dns::{Class, Name, RecordType, ResponseCode};

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
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor)?,
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

/// Types that CoreDNS knows by name and hickory does not (IANA's registry of resource record types).
const OTHER_TYPES: [(&str, u16); 49] = [
    ("MD", 3),
    ("MF", 4),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("MINFO", 14),
    ("RP", 17),
    ("AFSDB", 18),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAPPTR", 23),
    ("PX", 26),
    ("GPOS", 27),
    ("LOC", 29),
    ("NXT", 30),
    ("EID", 31),
    ("NIMLOC", 32),
    ("ATMA", 34),
    ("KX", 36),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("DHCID", 49),
    ("HIP", 55),
    ("NINFO", 56),
    ("RKEY", 57),
    ("TALINK", 58),
    ("ZONEMD", 63),
    ("SPF", 99),
    ("UINFO", 100),
    ("UID", 101),
    ("GID", 102),
    ("UNSPEC", 103),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("LP", 107),
    ("EUI48", 108),
    ("EUI64", 109),
    ("NXNAME", 128),
    ("IXFR", 251),
    ("MAILB", 253),
    ("MAILA", 254),
    ("URI", 256),
    ("AVC", 258),
    ("AMTRELAY", 260),
    ("RESINFO", 261),
    ("TA", 32768),
    ("DLV", 32769),
];

fn parse_type(text: &str) -> Option<RecordType> {
    let other = OTHER_TYPES.iter().find(|(name, _)| *name == text);
    other.map(|(_, number)| RecordType::from(*number)).or_else(|| text.parse().ok())
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
