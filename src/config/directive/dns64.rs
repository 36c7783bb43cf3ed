//! `dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }`: AAAA records from A records (RFC 6147).

use ipnet::Ipv6Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{Expanded, Text};
use crate::dns::Name;

/// How AAAA records are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns64 {
    /// The NAT64 prefix, of one of the lengths of RFC 6052 section 2.2.
    #[schemars(with = "String")]
    pub prefix: Ipv6Net,
    /// Also where AAAA records exist.
    #[serde(skip_serializing_if = "is_default")]
    pub translate_all: bool,
    /// Rules for zones, which go before `translate_all`; the one with most labels counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Dns64Rule>,
    /// Also for queries that come over IPv4.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_ipv4: bool,
}

/// What is done for names in some zones. The name is that of the address, at the end of aliases.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns64Rule {
    /// The zones.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// What is done.
    pub mode: Dns64Mode,
}

/// When AAAA records are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dns64Mode {
    /// Never.
    Off,
    /// Where there is no AAAA record.
    #[default]
    Default,
    /// Always; where there is nothing to translate, AAAA records stay.
    TranslateAll,
    /// Always; where there is nothing to translate, there is no address: for clients that reach IPv4 only.
    TranslateAllOrNothing,
}

impl Dns64Mode {
    const ALL: [Self; 4] = [Self::Off, Self::Default, Self::TranslateAll, Self::TranslateAllOrNothing];

    /// Its words behind the zones.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Off => &["off"],
            Self::Default => &["default"],
            Self::TranslateAll => &["translate_all"],
            Self::TranslateAllOrNothing => &["translate_all", "fallback", "nodata"],
        }
    }
}

/// 64:ff9b::/96 (RFC 6052 section 2.1).
const WELL_KNOWN: Ipv6Net = Ipv6Net::new_assert(std::net::Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl Default for Dns64 {
    fn default() -> Self {
        Self { prefix: WELL_KNOWN, translate_all: false, rules: Vec::new(), allow_ipv4: false }
    }
}

impl Directive for Dns64 {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "dns64",
        syntax: "dns64 [PREFIX] { ... }",
        summary: "AAAA from A (RFC 6147), for clients with IPv6. Reverse names in the prefix lead to the IPv4 name; AAAA of ipv4only.arpa is answered without \
                  asking anybody.",
        options: &[
            Opt {
                syntax: "prefix PREFIX",
                meaning: "the NAT64 prefix, of length 32, 40, 48, 56, 64 or 96 (RFC 6052)",
                default: "64:ff9b::/96",
            },
            Opt {
                syntax: "translate_all",
                meaning: "also where there are AAAA records; they are kept where there is nothing to translate",
                default: "",
            },
            Opt {
                syntax: "zone ZONES... off|default|translate_all [fallback native|nodata]",
                meaning: "ours: another rule for names in these zones, the longest zone first: none are made; where there is no AAAA record; always, and where there \
                          is nothing to translate, AAAA records stay (`native`) or go (`nodata`). The name is that of the address, at the end of aliases",
                default: "native",
            },
            Opt { syntax: "allow_ipv4", meaning: "also for clients with IPv4", default: "" },
        ],
        example: "dns64 {\n    prefix 2001:db8:64::/96\n    translate_all\n}",
    };

    /// Reads the directive; a later line adds to an earlier one, as in CoreDNS. Unlike CoreDNS, a block behind a prefix counts.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let (mut dns64, mut prefixes) = (Self::default(), 0);
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => {}
                [prefix] => {
                    dns64.prefix = lower_prefix(cursor, prefix)?;
                    prefixes += 1;
                }
                _ => return Err(cursor.error("takes one prefix")),
            }
            while cursor.next_option() {
                match cursor.word() {
                    "prefix" => {
                        if !cursor.next_argument() {
                            return Err(cursor.error("prefix takes a prefix such as 64:ff9b::/96"));
                        }
                        let text = cursor.word().to_owned();
                        dns64.prefix = lower_prefix(cursor, &text)?;
                        prefixes += 1;
                    }
                    "translate_all" => dns64.translate_all = true,
                    "allow_ipv4" => dns64.allow_ipv4 = true,
                    "zone" => dns64.rules.push(lower_rule(cursor)?),
                    _ => return Err(cursor.unknown::<Self>()),
                }
            }
        }
        if prefixes > 1 {
            cursor.warn(format!("only one prefix counts, the last: {}", dns64.prefix));
        }
        Ok(Some(dns64))
    }

    fn write(dns64: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { prefix, translate_all, rules, allow_ipv4 }) = dns64 else { return };
        corefile.block(["dns64"], |options| {
            options.line(["prefix", &prefix.to_string()]);
            for Dns64Rule { zones, mode } in rules {
                let words = zones.iter().map(Text::text).chain(mode.words().iter().map(|word| (*word).to_owned()));
                options.line(std::iter::once("zone".to_owned()).chain(words));
            }
            for (name, is_set) in [("translate_all", translate_all), ("allow_ipv4", allow_ipv4)] {
                if *is_set {
                    options.line([name]);
                }
            }
        });
    }
}

/// `zone ZONES... MODE`
fn lower_rule(cursor: &mut Cursor<'_>) -> Result<Dns64Rule, CorefileError> {
    let arguments = cursor.arguments();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let words = words.strip_suffix(&["fallback", "native"]).unwrap_or(&words);
    let mode = Dns64Mode::ALL.into_iter().find(|mode| words.ends_with(mode.words()));
    let zones = mode.and_then(|mode| arguments.get(..words.len() - mode.words().len())).unwrap_or_default();
    match (mode, if zones.is_empty() { Vec::new() } else { cursor.zones(zones) }) {
        (Some(mode), zones) if !zones.is_empty() => Ok(Dns64Rule { zones, mode }),
        _ => Err(cursor.error("zone takes zones, and off, default or translate_all [fallback native|nodata]")),
    }
}

/// A prefix that a NAT64 can use (RFC 6052 section 2.2); unlike CoreDNS, which takes /72, /80 and /88, too.
fn lower_prefix(cursor: &mut Cursor<'_>, text: &str) -> Result<Ipv6Net, CorefileError> {
    let refuse = |cursor: &Cursor<'_>, why: &str| cursor.error(format!("{text:?} is not a NAT64 prefix: {why}"));
    let prefix: Ipv6Net =
        text.parse().map_err(|_| refuse(cursor, "it is to be an IPv6 prefix such as 64:ff9b::/96"))?;
    if ![32, 40, 48, 56, 64, 96].contains(&prefix.prefix_len()) {
        return Err(refuse(cursor, "its length is to be one of 32, 40, 48, 56, 64 and 96 (RFC 6052)"));
    }
    let trimmed = prefix.trunc();
    if trimmed.addr() != prefix.addr() {
        cursor.warn(format!("{text:?} has bits beyond its length; it is read as {trimmed}"));
    }
    match trimmed.addr().octets().get(8) {
        Some(0) => Ok(trimmed),
        _ => Err(refuse(cursor, "bits 64 to 71 are to be zero (RFC 6052)")),
    }
}
