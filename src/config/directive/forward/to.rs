//! The words behind the zone of `forward`: servers by address or name, and files that name servers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::text::Text;
use crate::dns::parse_name;

/// A word behind the zone of `forward`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A server.
    Server(ToServer),
    /// A file in resolv.conf's form, and how its servers are asked.
    File(UpstreamTransport, PathBuf),
}

/// A server as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToServer {
    /// How it is asked.
    pub transport: UpstreamTransport,
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What is behind `%`: the interface of a link-local address, or the name in the certificate.
    pub label: Option<String>,
    /// Where it answers, over HTTPS.
    pub path: Option<String>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// At an address.
    Address(IpAddr),
    /// At the addresses of a name.
    Name(String),
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamTransport {
    /// UDP and TCP.
    Plain,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

impl UpstreamTransport {
    fn port(self) -> u16 {
        match self {
            Self::Plain => 53,
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }

    /// The transport that a word says, and the rest of the word; None: there is no such transport.
    pub(super) fn of(word: &str) -> Option<(Self, &str)> {
        match word.split_once("://") {
            None => Some((Self::Plain, word)),
            Some(("dns", rest)) => Some((Self::Plain, rest)),
            Some(("tls", rest)) => Some((Self::Tls, rest)),
            Some(("https", rest)) => Some((Self::Https, rest)),
            Some(("quic", rest)) => Some((Self::Quic, rest)),
            Some(_) => None,
        }
    }
}

impl fmt::Display for UpstreamTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "dns",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        })
    }
}

impl To {
    /// How servers are asked.
    pub fn transport(&self) -> UpstreamTransport {
        match self {
            Self::Server(server) => server.transport,
            Self::File(transport, _) => *transport,
        }
    }
}

impl Text for To {
    const WHAT: &'static str = "a server such as 192.0.2.1, [2001:db8::1]:5300, tls://9.9.9.9%dns.quad9.net, dns://ns.example.org, https://dns.example.org or quic://9.9.9.9, \
                                or a file such as /etc/resolv.conf";

    /// A word that may be a file or the name of a server is a file.
    fn read(text: &str) -> Option<Self> {
        let (transport, rest) = UpstreamTransport::of(text)?;
        let server = ToServer::parse(transport, rest).filter(|server| !server.is_bare(text));
        Some(server.map_or_else(|| Self::File(transport, rest.into()), Self::Server))
    }

    fn text(&self) -> String {
        match self {
            Self::Server(server) => server.text(),
            Self::File(UpstreamTransport::Plain, path) => path.display().to_string(),
            Self::File(transport, path) => format!("{transport}://{}", path.display()),
        }
    }
}

impl ToServer {
    /// `HOST` or `HOST:PORT`, with `%LABEL` behind the host or the port, and over HTTPS with a path.
    pub(super) fn parse(transport: UpstreamTransport, text: &str) -> Option<Self> {
        let (text, path) = match text.find('/').filter(|_| transport == UpstreamTransport::Https) {
            Some(at) => text.split_at_checked(at).map(|(text, path)| (text, Some(path.to_owned())))?,
            None => (text, None),
        };
        if path.as_ref().is_some_and(|path| !path.bytes().all(is_of_path)) {
            return None;
        }
        let (place, label) = split_label(text);
        let (host, port) = match (place.parse(), place.parse()) {
            (Ok(address), _) => (Host::Address(address), transport.port()),
            (_, Ok(SocketAddr::V4(address))) => (Host::Address((*address.ip()).into()), address.port()),
            (_, Ok(SocketAddr::V6(address))) => (Host::Address((*address.ip()).into()), address.port()),
            _ if transport == UpstreamTransport::Https && place.starts_with('[') => {
                let address: Ipv6Addr = place.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
                (Host::Address(address.into()), transport.port())
            }
            _ => parse_name_and_port(&place, transport.port())?,
        };
        let label = label.map(str::to_owned);
        let is_plain = transport == UpstreamTransport::Plain;
        let is_legal = label.as_ref().is_none_or(|label| is_plain || is_host_name(label));
        is_legal.then_some(Self { transport, host, port, label, path })
    }

    /// Whether the word is a name without any scheme, which may be a file as well.
    pub(super) fn is_bare(&self, word: &str) -> bool {
        matches!(self.host, Host::Name(_)) && !word.contains("://")
    }

    fn text(&self) -> String {
        let Self { transport, host, port, label, path } = self;
        let label = label.as_ref().map(|label| format!("%{label}")).unwrap_or_default();
        let port = Some(*port).filter(|port| *port != transport.port());
        let place = match (host, port) {
            (Host::Address(IpAddr::V6(address)), Some(port)) => format!("[{address}{label}]:{port}"),
            (Host::Address(address), None) => format!("{address}{label}"),
            (Host::Name(name), None) => format!("{name}{label}"),
            (Host::Address(address), Some(port)) => format!("{address}{label}:{port}"),
            (Host::Name(name), Some(port)) => format!("{name}{label}:{port}"),
        };
        match (transport, host) {
            (UpstreamTransport::Plain, Host::Address(_)) => place,
            _ => format!("{transport}://{place}{}", path.as_deref().unwrap_or_default()),
        }
    }
}

/// What may stand in the path of a URL as it is (RFC 3986 section 3.3), and begins nothing else.
fn is_of_path(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"\"#<>[\\]^`{|}".contains(&octet)
}

/// The servers of a file in resolv.conf's form: its `nameserver` lines.
pub fn name_servers(transport: UpstreamTransport, text: &str) -> Vec<ToServer> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        let (address, interface) = address.split_once('%').map_or((address, None), |(ip, name)| (ip, Some(name)));
        let label = interface.filter(|_| transport == UpstreamTransport::Plain).map(str::to_owned);
        let host = Host::Address(address.parse().ok()?);
        Some(ToServer { transport, host, port: transport.port(), label, path: None })
    };
    text.lines().filter_map(parse).collect()
}

/// Whether a server can have this name: letters, digits, hyphens and underscores, and no number at its end, where a mistyped
/// address has one.
pub(super) fn is_host_name(text: &str) -> bool {
    let is_label =
        |label: &str| label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let ends_in_number =
        labels.clone().next_back().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    parse_name(text).is_ok() && labels.clone().all(is_label) && !ends_in_number
}

fn parse_name_and_port(place: &str, default: u16) -> Option<(Host, u16)> {
    let (name, port) = match place.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (place, default),
    };
    is_host_name(name).then(|| (Host::Name(name.trim_end_matches('.').to_ascii_lowercase()), port))
}

/// The place without its `%LABEL`, and that label.
fn split_label(text: &str) -> (String, Option<&str>) {
    let Some((place, rest)) = text.rsplit_once('%') else { return (text.to_owned(), None) };
    let is_bare_v6 = place.parse::<Ipv6Addr>().is_ok();
    let (label, port) = rest.rsplit_once(':').filter(|_| !is_bare_v6).unwrap_or((rest, ""));
    let colon = if port.is_empty() { "" } else { ":" };
    let (label, bracket) = label.strip_suffix(']').map_or((label, ""), |label| (label, "]"));
    (format!("{place}{bracket}{colon}{port}"), Some(label).filter(|label| !label.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The word is read, and written as `expected`, which is read as the same again.
    fn check(word: &str, expected: Option<&str>) {
        let (transport, rest) = UpstreamTransport::of(word).expect(word);
        let server = ToServer::parse(transport, rest);
        assert_eq!(server.as_ref().map(ToServer::text).as_deref(), expected, "{word}");
        if let Some(server) = server {
            assert_eq!(To::read(&server.text()), Some(To::Server(server)), "{word}");
        }
    }

    #[test]
    fn a_server_is_an_address_or_a_name_with_an_optional_port_and_label() {
        for word in [
            "192.0.2.1",
            "192.0.2.1:5300",
            "2001:db8::1",
            "[::1]:5300",
            "tls://9.9.9.9",
            "tls://9.9.9.9%dns.quad9.net",
            "tls://9.9.9.9%dns.quad9.net:8853",
            "tls://2620:fe::fe%dns.quad9.net",
            "tls://[2620:fe::fe%dns.quad9.net]:8853",
            "dns://ns.example.org",
            "dns://ns.example.org:5300",
            "tls://dns.example.org",
            "tls://dns.example.org%other.example.org:8853",
            "https://9.9.9.9",
            "https://9.9.9.9%dns.quad9.net:8443/dns-query",
            "https://dns.example.org/q",
            "quic://9.9.9.9",
            "quic://9.9.9.9%dns.quad9.net:8853",
            "quic://2620:fe::fe",
            "quic://dns.example.org",
            "fe80::1%eth0",
            "[fe80::1%eth0]:5300",
        ] {
            check(word, Some(word));
        }
        check("dns://192.0.2.1:53", Some("192.0.2.1"));
        check("2001:DB8::1", Some("2001:db8::1"));
        check("[::1]:53", Some("::1"));
        check("[64:ff9b::8.8.8.8]:53", Some("64:ff9b::808:808"));
        check("tls://9.9.9.9:8853%dns.quad9.net", Some("tls://9.9.9.9%dns.quad9.net:8853"));
        check("dns://NS.example.org.", Some("dns://ns.example.org"));
        check("https://[2620:fe::fe]/q", Some("https://2620:fe::fe/q"));
        for word in [
            "[2001:db8::1]",
            "192.0.2.1:70000",
            "192.0.2.256",
            "dns://a.b:x",
            "dns://a_b.c/d",
            "tls://9.9.9.9%a b",
            "dns://",
            "https://a.org/dns-query{?dns}",
            "https://a.org/q#x",
            "https://[2620:fe::fe",
            "https://[a.org]/q",
            "quic://dns.example.org/q",
        ] {
            check(word, None);
        }
    }

    #[test]
    fn a_file_names_servers_by_address() {
        let text =
            "# nameserver 192.0.2.9\nsearch a.org\nnameserver fe80::1%eth0\n nameserver 192.0.2.1 # c\nnameserver x\n";
        let found = |transport| name_servers(transport, text).iter().map(ToServer::text).collect::<Vec<_>>();
        assert_eq!(found(UpstreamTransport::Plain), ["fe80::1%eth0", "192.0.2.1"]);
        assert_eq!(found(UpstreamTransport::Tls), ["tls://fe80::1", "tls://192.0.2.1"]);
        let file = To::read("tls:///etc/resolv.conf").unwrap();
        assert_eq!((file.text().as_str(), file.transport()), ("tls:///etc/resolv.conf", UpstreamTransport::Tls));
        assert_eq!(To::read("resolv.conf"), Some(To::File(UpstreamTransport::Plain, "resolv.conf".into())));
        assert_eq!(To::read("grpc://192.0.2.1"), None);
    }
}
