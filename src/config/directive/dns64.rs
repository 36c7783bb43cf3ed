//! `dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }`: AAAA records from A records (RFC 6147).

use crate::config::corefile::{CorefileError, Cursor};

use ipnet::Ipv6Net;

/// How AAAA records are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns64 {
    /// The NAT64 prefix, of one of the lengths of RFC 6052 section 2.2.
    pub prefix: Ipv6Net,
    /// Also where AAAA records exist.
    pub translate_all: bool,
    /// Also for queries that come over IPv4.
    pub allow_ipv4: bool,
}

/// 64:ff9b::/96 (RFC 6052 section 2.1).
const WELL_KNOWN: Ipv6Net = Ipv6Net::new_assert(std::net::Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl Dns64 {
    /// Reads the directive; a later line adds to an earlier one, as in CoreDNS. Unlike CoreDNS, a block behind a prefix counts.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut dns64 = Self { prefix: WELL_KNOWN, translate_all: false, allow_ipv4: false };
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
                    _ => return Err(cursor.unknown("prefix, translate_all, allow_ipv4")),
                }
            }
        }
        Ok(dns64)
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
