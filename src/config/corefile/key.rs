//! Zones as they are written: the keys of server blocks, and the zones behind directives.

use ipnet::IpNet;

use crate::config::{Scheme, ServerKey};
use crate::dns::{Name, parse_name, reverse_zones};

/// Schemes of keys that are left out, and what to do instead.
pub const SCHEMES_LEFT_OUT: [(&str, &str); 3] = [
    ("grpc://", "serve tls:// to clients, and forward to this server over tls://"),
    ("https3://", "serve https:// instead"),
    ("unix://", "name a zone, and a port if need be"),
];

/// The keys of a word such as `dns://example.org:53` or `10.96.0.0/12`; or what is wrong with it.
pub fn parse_keys(text: &str) -> Result<Vec<ServerKey>, String> {
    let (scheme, zones, port) = split_key(text)?;
    Ok(zones.into_iter().map(|zone| ServerKey { scheme, zone: zone.to_lowercase(), port }).collect())
}

/// The scheme, the zones in the letter case of the text, and the port.
pub fn split_key(text: &str) -> Result<(Scheme, Vec<Name>, Option<u16>), String> {
    let (scheme, rest) = split_scheme(text);
    if let Some((_, instead)) = SCHEMES_LEFT_OUT.iter().find(|(left_out, _)| text.starts_with(left_out)) {
        return Err(format!("{text}: there are listeners for dns://, tls://, https:// and quic:// only; {instead}"));
    }
    let (host, port) = split_port(rest).map_err(|what| format!("{text:?}: {what}"))?;
    let zones = match parse_prefix(host) {
        Some(IpNet::V6(prefix)) if prefix.addr().segments()[0] == 0 => {
            return Err(format!(
                "invalid CIDR {host}: it begins with zeros; write the reverse zone below ip6.arpa in its place"
            ));
        }
        Some(prefix) => reverse_zones(prefix),
        None => vec![parse_name(host).map_err(|_| no_zone(text, host))?],
    };
    Ok((scheme, zones, port))
}

fn no_zone(text: &str, host: &str) -> String {
    let advice = match host {
        "" => "name one before the port; the root zone is a dot, e.g. `.:53`",
        _ if host.ends_with('{') => "put a blank before '{', e.g. `.:53 {`",
        _ => "a label has 1 to 63 octets and a name at most 255",
    };
    format!("zone is not a valid domain name: {text:?}; {advice}")
}

/// Why nobody can ask for names of a zone that CoreDNS takes all the same.
pub fn oddity(text: &str) -> Option<&'static str> {
    let (_, rest) = split_scheme(text);
    let host = split_port(rest).map_or(rest, |(host, _)| host);
    if parse_prefix(host).is_some() {
        None
    } else if host == "}" {
        Some("there is one '}' too many above it")
    } else if host.contains(['{', '}']) {
        Some("put a blank before '{'")
    } else if host.parse::<std::net::IpAddr>().is_ok() || rest.parse::<std::net::IpAddr>().is_ok() {
        Some("it is an address; name a zone, and use `bind` for the address to listen on")
    } else if host.contains(':') {
        Some("what follows the last colon is no port number")
    } else if host.contains('/') {
        Some("it is no prefix; one that stands for reverse zones is written as 10.96.0.0/12")
    } else if !host.is_ascii() {
        Some("names in other scripts are asked for in their xn-- form; write that")
    } else {
        None
    }
}

fn split_scheme(text: &str) -> (Scheme, &str) {
    let schemes =
        [("dns://", Scheme::Dns), ("tls://", Scheme::Tls), ("https://", Scheme::Https), ("quic://", Scheme::Quic)];
    let found = schemes.into_iter().find_map(|(prefix, scheme)| text.strip_prefix(prefix).map(|rest| (scheme, rest)));
    found.unwrap_or((Scheme::Dns, text))
}

/// Host and port; what follows the last colon counts as a port only if it is a number.
fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    match text.rsplit_once(':') {
        Some((_, "")) => Err("a port is expected after the last colon".to_owned()),
        Some((host, port)) if is_number(port) => match port.parse() {
            Ok(port) => Ok((host, Some(port))),
            Err(_) => Err(format!("a port is a number from 0 to 65535, not {port}")),
        },
        _ => Ok((text, None)),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit())
}

/// The zones of a word: a name with an optional scheme and port, or a prefix. None: neither.
pub fn parse_zone(word: &str) -> Option<Vec<Name>> {
    let (_, rest) = split_scheme(word);
    let host = split_port(rest).map_or(rest, |(host, _)| host);
    match parse_prefix(host) {
        Some(prefix) => Some(reverse_zones(prefix)),
        None => parse_name(host).ok().map(|name| vec![name.to_lowercase()]),
    }
}

/// A prefix, whose address may have bits beyond its length.
fn parse_prefix(word: &str) -> Option<IpNet> {
    word.contains('/').then(|| word.parse::<IpNet>().ok()).flatten().map(|prefix| prefix.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_names_or_prefixes() {
        let check = |word: &str, expected: Option<&str>| {
            let zones = parse_zone(word).and_then(|zones| zones.into_iter().next());
            assert_eq!(zones.map(|zone| zone.to_ascii()).as_deref(), expected, "{word}");
        };
        check("Cluster.Local", Some("cluster.local."));
        check("cluster.local.", Some("cluster.local."));
        check("dns://example.org:53", Some("example.org."));
        check("10.96.0.0/24", Some("0.96.10.in-addr.arpa."));
        check("10.96.0.1/24", Some("0.96.10.in-addr.arpa."));
        check(".", Some("."));
        check("a..b", None);
        check("", None);
        // No client asks for these, but a key of a block may be one, and this is how it is written behind a directive.
        check("a/b", Some("a\\/b."));
        check("cs://a", Some("cs\\:\\/\\/a."));
    }
}
