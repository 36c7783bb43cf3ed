//! `dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }`: AAAA records from A records (RFC 6147).

use ipnet::Ipv6Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};

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
    /// Also for queries that come over IPv4.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_ipv4: bool,
}

/// 64:ff9b::/96 (RFC 6052 section 2.1).
const WELL_KNOWN: Ipv6Net = Ipv6Net::new_assert(std::net::Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl Default for Dns64 {
    fn default() -> Self {
        Self { prefix: WELL_KNOWN, translate_all: false, allow_ipv4: false }
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
            Opt { syntax: "allow_ipv4", meaning: "also for clients with IPv4", default: "" },
        ],
        example: "dns64 {\n    prefix 2001:db8:64::/96\n    translate_all\n}",
    };

    /// Reads the directive; a later line adds to an earlier one, as in CoreDNS. Unlike CoreDNS, a block behind a prefix counts.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut dns64 = Self::default();
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => {}
                [prefix] => dns64.prefix = lower_prefix(cursor, prefix)?,
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
                    }
                    "translate_all" => dns64.translate_all = true,
                    "allow_ipv4" => dns64.allow_ipv4 = true,
                    _ => return Err(cursor.unknown::<Self>()),
                }
            }
        }
        Ok(Some(dns64))
    }

    fn write(dns64: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { prefix, translate_all, allow_ipv4 }) = dns64 else { return };
        corefile.block(["dns64"], |options| {
            options.line(["prefix", &prefix.to_string()]);
            for (name, is_set) in [("translate_all", translate_all), ("allow_ipv4", allow_ipv4)] {
                if *is_set {
                    options.line([name]);
                }
            }
        });
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
