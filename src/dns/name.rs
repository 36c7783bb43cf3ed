//! Names: how they are read from configuration, and how addresses are written as names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Name;

/// A text that is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid domain name: {text:?}")]
pub struct InvalidName {
    /// The text as it was written.
    pub text: String,
}

/// Reads a name in presentation form (RFC 1035 section 5.1) as absolute, with or without the final dot, letter case kept.
/// A label may hold any octets (RFC 2181 section 11); `\X` and `\DDD` stand for an octet.
pub fn parse_name(text: &str) -> Result<Name, InvalidName> {
    parse_labels(text.as_bytes())
        .and_then(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).ok())
        .map(|mut name| (name.set_fqdn(true), name).1)
        .ok_or_else(|| InvalidName { text: text.to_owned() })
}

/// The labels of a name in presentation form, with or without the final dot.
pub(super) fn parse_labels(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    if text == b"." {
        return Some(Vec::new());
    }
    let mut labels = vec![Vec::new()];
    let mut octets = text.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'.' => labels.push(Vec::new()),
            b'\\' => labels.last_mut()?.push(parse_escape(&mut octets)?),
            _ => labels.last_mut()?.push(octet),
        }
    }
    if labels.last().is_some_and(Vec::is_empty) {
        labels.pop();
    }
    let is_legal = !labels.is_empty() && labels.iter().all(|label| (1..=63).contains(&label.len()));
    is_legal.then_some(labels)
}

/// The octet that is written behind a backslash.
pub(super) fn parse_escape(octets: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, octets.next()?, octets.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// A name in presentation form, escaped as CoreDNS does it in its log: `\\.` and the like for what has a meaning of its
/// own, `\\DDD` for what cannot be printed.
pub fn name_text(name: &Name) -> String {
    let mut text = String::with_capacity(name.len() + 1);
    for label in name.iter() {
        for octet in label {
            match octet {
                b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                    text.extend(['\\', char::from(*octet)]);
                }
                b'!'..=b'~' => text.push(char::from(*octet)),
                _ => text.push_str(&format!("\\{octet:03}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// How many labels a name has, the root none. Unlike hickory's own count, `*` is a label like any other.
pub fn label_count(name: &Name) -> usize {
    name.iter().count()
}

/// The name below in-addr.arpa or ip6.arpa that stands for an address (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub fn reverse_name(address: IpAddr) -> Name {
    let text = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let nibbles: String =
                v6.octets().iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 0xf, octet >> 4)).collect();
            format!("{nibbles}ip6.arpa.")
        }
    };
    Name::from_ascii(text).unwrap_or_default()
}

/// Whether a name is at or below in-addr.arpa or ip6.arpa.
pub fn is_reverse(name: &Name) -> bool {
    let mut labels = name.iter().rev();
    let Some((second, first)) = labels.next().zip(labels.next()) else { return false };
    is_suffix(&[first, second], "in-addr") || is_suffix(&[first, second], "ip6")
}

/// The address that a complete reverse name stands for; None for any other name, also for parts of a reverse name.
pub fn address_of_reverse_name(name: &Name) -> Option<IpAddr> {
    let labels: Vec<&[u8]> = name.iter().collect();
    let (address, suffix) = labels.split_at_checked(labels.len().checked_sub(2)?)?;
    if is_suffix(suffix, "in-addr") {
        v4_of_labels(address).map(IpAddr::V4)
    } else if is_suffix(suffix, "ip6") {
        v6_of_labels(address).map(IpAddr::V6)
    } else {
        None
    }
}

fn is_suffix(suffix: &[&[u8]], family: &str) -> bool {
    matches!(suffix, [first, second]
        if first.eq_ignore_ascii_case(family.as_bytes()) && second.eq_ignore_ascii_case(b"arpa"))
}

fn v4_of_labels(labels: &[&[u8]]) -> Option<Ipv4Addr> {
    let [d, c, b, a] = labels else { return None };
    let octet = |label: &[u8]| -> Option<u8> {
        let text = std::str::from_utf8(label).ok()?;
        let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        is_plain.then(|| text.parse().ok())?
    };
    Some(Ipv4Addr::new(octet(a)?, octet(b)?, octet(c)?, octet(d)?))
}

fn v6_of_labels(labels: &[&[u8]]) -> Option<Ipv6Addr> {
    if labels.len() != 32 {
        return None;
    }
    let mut bits = 0u128;
    for label in labels.iter().rev() {
        let [digit] = label else { return None };
        bits = bits << 4 | u128::from((*digit as char).to_digit(16)?);
    }
    Some(Ipv6Addr::from(bits))
}

/// The reverse zones that cover a prefix, cut at the next octet (IPv4) or nibble (IPv6) boundary, as CoreDNS does it:
/// `10.0.0.0/27` is covered by 32 zones of one address each, `10.96.0.0/12` by the 16 zones `96.10.in-addr.arpa.` to
/// `111.10.in-addr.arpa.`.
pub fn reverse_zones(prefix: IpNet) -> Vec<Name> {
    let step = match prefix {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 4,
    };
    let length = prefix.prefix_len().div_ceil(step) * step;
    let Ok(parts) = prefix.subnets(length) else { return Vec::new() };
    let skipped = usize::from((prefix.max_prefix_len() - length) / step);
    parts.map(|part| reverse_name(part.network())).map(|name| trim_front(&name, skipped)).collect()
}

fn trim_front(name: &Name, labels: usize) -> Name {
    let kept = label_count(name) - labels;
    name.trim_to(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reverse_name_leads_back_to_its_address() {
        for text in ["10.96.0.1", "0.0.0.0", "fd00:10:96::1", "::", "2001:db8::ff"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(address_of_reverse_name(&reverse_name(address)), Some(address), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_reverse_name_is_no_address() {
        for text in ["96.10.in-addr.arpa.", "01.0.0.10.in-addr.arpa.", "1.2.3.4.5.in-addr.arpa.", "ip6.arpa.", "."] {
            assert_eq!(address_of_reverse_name(&parse_name(text).unwrap()), None, "{text}");
        }
    }

    #[test]
    fn reverse_names_end_like_their_families() {
        let check = |text: &str, expected| assert_eq!(is_reverse(&parse_name(text).unwrap()), expected, "{text}");
        check("IN-ADDR.arpa.", true);
        check("10.in-addr.arpa.", true);
        check("d.f.ip6.arpa.", true);
        check("arpa.", false);
        check("e164.arpa.", false);
        check("home.arpa.", false);
        check("in-addr.arpa.example.", false);
        check(".", false);
    }

    #[test]
    fn a_name_has_labels_of_1_to_63_octets() {
        let check = |text: &str, expected: Option<usize>| {
            assert_eq!(parse_name(text).ok().map(|name| name.iter().count()), expected, "{text:?}");
        };
        check("a.b", Some(2));
        check("A.b.", Some(2));
        check(".", Some(0));
        check(r"a\.b.c", Some(2));
        check(r"\000\255.c", Some(2));
        check("_http._tcp.*.}", Some(4));
        check("", None);
        check("a..b", None);
        check(".a", None);
        check(r"a\2", None);
        check(&"a".repeat(64), None);
        check(&"abcdefg.".repeat(32), None);
    }

    #[test]
    fn a_name_is_written_so_that_it_can_be_read() {
        for text in [".", "Web.example.", r##"a\007\200\255\ b\"\(\\\.\;\@$/~!.x_*-."##] {
            assert_eq!(name_text(&parse_name(text).unwrap()), text);
        }
    }

    #[test]
    fn prefixes_are_cut_at_the_next_label_boundary() {
        let zones = |text: &str| reverse_zones(text.parse().unwrap());
        assert_eq!(zones("10.96.0.0/24"), [parse_name("0.96.10.in-addr.arpa.").unwrap()]);
        assert_eq!(zones("10.0.0.0/27").len(), 32);
        assert_eq!(zones("10.96.0.0/12").len(), 16);
        assert_eq!(zones("1234:abcd::/64")[0].to_ascii(), "0.0.0.0.0.0.0.0.d.c.b.a.4.3.2.1.ip6.arpa.");
    }
}
