//! The servers behind a word of the directive: those that a file names, or those at the addresses of a name.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use super::asking::Asking;
use super::server::Server;
use super::told;
use crate::config::directive::{self, Host, ToServer, UpstreamTransport, name_servers};
use crate::dns::{Answer, Name, Query, RData, RecordType, ResponseCode, mnemonic, parse_name};
use crate::upstream::Upstream;

/// Octets of a file at most; what is behind is not read.
const FILE_SIZE_MAX: u64 = 64 * 1024;

/// Servers of a file at most.
const SERVERS_MAX: usize = 64;

/// Addresses of each family of a name at most.
const ADDRESSES_MAX: usize = 8;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How servers are found.
pub(super) struct Lookup {
    asking: Arc<Asking>,
    /// Who is asked for names; empty means those of the system.
    resolvers: Vec<SocketAddr>,
    /// The name in all certificates.
    tls_server_name: Option<Arc<str>>,
}

/// Why no servers were found.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFound {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("there is no `nameserver` line")]
    Empty,
    #[error("{0}")]
    Failed(String),
    #[error("it has no address")]
    NoAddress,
}

/// The addresses of a name.
pub(super) struct Addresses {
    pub addresses: Vec<IpAddr>,
    /// How long they hold.
    pub ttl: Duration,
    /// The type whose look-up failed: of that family there may be others.
    pub unknown: Option<RecordType>,
}

impl Lookup {
    /// As a directive wants it.
    pub fn new(config: &directive::Forward, asking: Arc<Asking>) -> Self {
        Self {
            asking,
            resolvers: config.resolver.clone(),
            tls_server_name: config.tls.server_name.as_deref().map(Arc::from),
        }
    }

    /// A server at one of its addresses.
    pub fn upstream(&self, server: &ToServer, address: IpAddr) -> Upstream {
        let ToServer { transport, host, port, label, path } = server;
        if *transport == UpstreamTransport::Plain {
            return Upstream::plain(with_scope(SocketAddr::new(address, *port), label.as_deref()));
        }
        let own_name = match host {
            Host::Name(name) => Some(name.as_str()),
            Host::Address(_) => None,
        };
        let name = label.as_deref().map(Arc::from).or_else(|| self.tls_server_name.clone());
        Upstream {
            address: SocketAddr::new(address, *port),
            transport: *transport,
            server_name: name.or_else(|| own_name.map(Arc::from)),
            path: path.as_deref().unwrap_or_default().into(),
        }
    }

    /// The servers that a file names.
    pub fn servers(&self, transport: UpstreamTransport, file: &Path) -> Result<Vec<Upstream>, NotFound> {
        let servers = name_servers(transport, &read(file)?);
        let upstream = |server: &ToServer| match server.host {
            Host::Address(address) => Some(self.upstream(server, address)),
            Host::Name(_) => None,
        };
        match servers.iter().take(SERVERS_MAX).filter_map(upstream).collect::<Vec<_>>() {
            found if found.is_empty() => Err(NotFound::Empty),
            found => Ok(found),
        }
    }

    /// The addresses of a name, IPv4 first as in CoreDNS. Fails if there is none.
    pub async fn addresses(&self, name: &str) -> Result<Addresses, NotFound> {
        let name = parse_name(name).map_err(|error| NotFound::Failed(error.to_string()))?;
        let resolvers = match self.resolvers.is_empty() {
            true => self.servers(UpstreamTransport::Plain, Path::new(RESOLV_CONF))?,
            false => self.resolvers.iter().copied().map(Upstream::plain).collect(),
        };
        let resolvers: Vec<Server> = resolvers.into_iter().map(Server::new).collect();
        let (v4, v6) =
            join(self.ask(&name, RecordType::A, &resolvers), self.ask(&name, RecordType::AAAA, &resolvers)).await;
        let (mut addresses, mut ttl, mut failure) = (Vec::new(), Duration::MAX, NotFound::NoAddress);
        let unknown = if v4.is_err() { Some(RecordType::A) } else { v6.is_err().then_some(RecordType::AAAA) };
        for answer in [v4, v6] {
            match answer {
                Ok(answer) => {
                    addresses
                        .extend(answer.answers.iter().filter_map(|record| address(&record.data)).take(ADDRESSES_MAX));
                    let ttls = answer.answers.iter().map(|record| Duration::from_secs(record.ttl.into()));
                    ttl = ttls.fold(ttl, Duration::min);
                }
                Err(error) => failure = error,
            }
        }
        if addresses.is_empty() { Err(failure) } else { Ok(Addresses { addresses, ttl, unknown }) }
    }

    /// Asks one resolver after the other until one knows.
    async fn ask(&self, name: &Name, record_type: RecordType, resolvers: &[Server]) -> Result<Answer, NotFound> {
        let query = Query::of_our_own(name.clone(), record_type);
        let mut failure = NotFound::NoAddress;
        for resolver in resolvers {
            failure = match self.asking.ask(resolver, &query).await {
                Ok(answer) if answer.response_code() == ResponseCode::NoError => return Ok(answer),
                Ok(answer) => {
                    NotFound::Failed(format!("{} answers {}", resolver.label(), mnemonic(answer.response_code())))
                }
                Err(error) => NotFound::Failed(told(&error)),
            };
        }
        Err(failure)
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut octets = Vec::new();
    std::fs::File::open(file)?.take(FILE_SIZE_MAX).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// A link-local address with the interface that it is reached through, by name or number (RFC 4007 section 11).
fn with_scope(mut address: SocketAddr, interface: Option<&str>) -> SocketAddr {
    let index = interface.filter(|name| !name.contains('/')).and_then(|name| {
        let named = || std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok();
        name.parse().ok().or_else(|| named()?.trim().parse().ok())
    });
    if let (SocketAddr::V6(v6), Some(index)) = (&mut address, index)
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(index);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_has_the_number_of_its_interface() {
        let check = |address: &str, interface, expected: &str| {
            let found = with_scope(SocketAddr::new(address.parse().unwrap(), 53), interface);
            assert_eq!(found.to_string(), expected, "{address} {interface:?}");
        };
        check("fe80::1", Some("7"), "[fe80::1%7]:53");
        check("fe80::1", Some("lo"), "[fe80::1%1]:53");
        check("fe80::1", Some("../lo"), "[fe80::1]:53");
        check("fe80::1", None, "[fe80::1]:53");
        check("2001:db8::1", Some("7"), "[2001:db8::1]:53");
    }
}
