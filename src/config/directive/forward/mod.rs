//! `forward FROM TO... { ... }`: ask other servers.

mod options;
mod to;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

pub use self::to::{Host, To, ToServer, UpstreamTransport, name_servers};
use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer, parse_zone};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::{Name, ResponseCode};

/// Whom to ask, and how.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Names below this zone are forwarded.
    #[serde_as(as = "AsText")]
    pub from: Name,
    /// The servers, at least one, in the order of the file, as they were written.
    #[serde_as(as = "Vec<AsText>")]
    pub to: Vec<To>,
    /// Names below these zones are not forwarded.
    #[serde_as(as = "Expanded")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Name>,
    /// Always ask over TCP.
    #[serde(skip_serializing_if = "is_default")]
    pub force_tcp: bool,
    /// Ask over UDP even if the client asked over TCP.
    #[serde(skip_serializing_if = "is_default")]
    pub prefer_udp: bool,
    /// How long an idle connection is kept.
    #[serde_as(as = "AsText")]
    pub expire: Duration,
    /// How many probes in a row must fail before a server counts as down; 0: never down.
    pub max_fails: u32,
    /// How servers that failed are probed.
    pub health_check: HealthCheck,
    /// How long a server may take.
    #[serde_as(as = "AsText")]
    pub read_timeout: Duration,
    /// How long a connection lives, idle or not; zero: for ever.
    #[serde_as(as = "AsText")]
    #[serde(skip_serializing_if = "is_default")]
    pub max_age: Duration,
    /// How many idle connections to a server are kept; zero: as many as this server keeps at most.
    #[serde(skip_serializing_if = "is_default")]
    pub max_idle_conns: usize,
    /// How many servers are asked for one query, one after the other; None: twice as many as there are; zero: as long as there
    /// is time.
    #[serde(skip_serializing_if = "is_default")]
    pub max_connect_attempts: Option<u32>,
    /// Where all servers seem down, nobody is asked.
    #[serde(skip_serializing_if = "is_default")]
    pub failfast_all_unhealthy_upstreams: bool,
    /// Answers with these codes lead to the next server.
    #[serde_as(as = "Vec<AsText>")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover: Vec<ResponseCode>,
    /// Answers with these codes lead to the next `forward` of the block.
    #[serde_as(as = "Vec<AsText>")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<ResponseCode>,
    /// And so does NODATA.
    #[serde(skip_serializing_if = "is_default")]
    pub next_on_nodata: bool,
    /// In which order servers are asked.
    pub policy: Policy,
    /// Queries under way at once; 0: no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_concurrent: usize,
    /// TLS towards `tls://`, `https://` and `quic://` servers.
    #[serde(skip_serializing_if = "is_default")]
    pub tls: ForwardTls,
    /// How `https://` servers are asked.
    #[serde(skip_serializing_if = "is_default")]
    pub doh_method: DohMethod,
    /// Whom servers by name are looked up at; empty means the servers of /etc/resolv.conf.
    #[serde_as(as = "Vec<AsText>")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolver: Vec<SocketAddr>,
    /// The address that servers are asked from.
    #[serde(skip_serializing_if = "is_default")]
    pub source_address: Option<IpAddr>,
}

/// TLS towards servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardTls {
    /// The name in the servers' certificates (`tls_servername`).
    #[serde(skip_serializing_if = "is_default")]
    pub server_name: Option<String>,
    /// Our certificate and key.
    #[serde(skip_serializing_if = "is_default")]
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authority of the servers' certificates; None: those of the system.
    #[serde(skip_serializing_if = "is_default")]
    pub authority: Option<PathBuf>,
}

/// Probes of servers that failed.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// Time between probes; zero: no probes.
    #[serde_as(as = "AsText")]
    pub interval: Duration,
    /// Whether RD is set in a probe.
    pub recursion_desired: bool,
    /// The name that a probe asks for (type NS).
    #[serde_as(as = "AsText")]
    pub domain: Name,
}

/// In which order servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// In a random order.
    #[default]
    Random,
    /// Each in its turn.
    RoundRobin,
    /// In the order of the file.
    Sequential,
}

/// How a question is put over HTTPS (RFC 8484 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DohMethod {
    /// In the body.
    #[default]
    Post,
    /// In the path.
    Get,
}

/// CoreDNS's limit.
const TO_MAX: usize = 15;

impl Directive for Forward {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "forward",
        syntax: "forward FROM TO... { ... }",
        summary: "Asks other servers. Repeatable; the first whose zone fits answers. TO is `ADDRESS`, `ADDRESS:PORT`, `[IPV6]:PORT`, `dns://NAME`, or a file such as \
                  /etc/resolv.conf (its `nameserver` lines); with `tls://`, `https://` or `quic://` before it DNS over TLS, over HTTPS (HTTP/2, `/dns-query` unless a \
                  path follows) or over QUIC, and with `%NAME` behind the address another name in the certificate. At most 15; one that is named twice is one. Files are read \
                  again when they change, and names are looked up again when their TTL is over; what is gone or fails leaves what was known. A link-local \
                  address has its interface behind it: `fe80::1%eth0`.",
        options: &[
            Opt { syntax: "except ZONES...", meaning: "not these", default: "" },
            Opt { syntax: "force_tcp", meaning: "always TCP", default: "as the client asks" },
            Opt { syntax: "prefer_udp", meaning: "UDP also for clients with TCP", default: "as the client asks" },
            Opt { syntax: "expire DURATION", meaning: "how long an idle connection is kept", default: "10s" },
            Opt {
                syntax: "max_fails N",
                meaning: "how many probes in a row may fail before a server is left out; 0: it never is",
                default: "2",
            },
            Opt {
                syntax: "health_check DURATION [no_rec] [domain NAME]",
                meaning: "how often a server that failed is probed, and with what (type NS)",
                default: "500ms, `.`",
            },
            Opt {
                syntax: "policy random|round_robin|sequential",
                meaning: "in which order servers are asked",
                default: "random",
            },
            Opt { syntax: "read_timeout DURATION", meaning: "how long a server may take", default: "2s" },
            Opt {
                syntax: "max_age DURATION",
                meaning: "how long a connection lives, idle or not",
                default: "0s: for ever",
            },
            Opt {
                syntax: "max_idle_conns N",
                meaning: "how many idle connections to a server are kept",
                default: "64",
            },
            Opt {
                syntax: "max_connect_attempts N",
                meaning: "how many servers are asked for one query; 0: as long as there is time. Never more than 6 messages",
                default: "twice as many as there are",
            },
            Opt {
                syntax: "failfast_all_unhealthy_upstreams",
                meaning: "where all servers seem down, nobody is asked: SERVFAIL at once",
                default: "one of them is asked",
            },
            Opt {
                syntax: "failover RCODE...",
                meaning: "answers with these codes lead to the next server",
                default: "",
            },
            Opt {
                syntax: "next RCODE...",
                meaning: "answers with these codes lead to the next `forward` of the block, if there is one",
                default: "",
            },
            Opt { syntax: "next_on_nodata", meaning: "and so does NODATA", default: "" },
            Opt { syntax: "max_concurrent N", meaning: "more queries at once are REFUSED", default: "no limit" },
            Opt {
                syntax: "tls [CERT KEY] [CA]",
                meaning: "our certificate for `tls://`, `https://` and `quic://` servers, and whose certificates they may have",
                default: "the system's authorities",
            },
            Opt {
                syntax: "tls_servername NAME",
                meaning: "the name in the certificates of `tls://`, `https://` and `quic://` servers",
                default: "theirs, or their address",
            },
            Opt { syntax: "doh_method GET|POST", meaning: "how `https://` servers are asked", default: "POST" },
            Opt {
                syntax: "resolver ADDRESS[:PORT]...",
                meaning: "whom servers by name are looked up at, one after the other until one knows; with it, a name needs no `dns://`",
                default: "the servers of /etc/resolv.conf",
            },
            Opt {
                syntax: "source_address ADDRESS",
                meaning: "the address that servers are asked from; those of the other family cannot be reached",
                default: "the system's choice",
            },
        ],
        example: "forward . 192.0.2.1 tls://9.9.9.9%dns.quad9.net {\n    except cluster.local\n    policy sequential\n    max_concurrent 1000\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut forwards = Vec::new();
        while cursor.advance() {
            forwards.push(Self::lower_one(cursor)?);
        }
        Ok(forwards)
    }

    fn write(forwards: &Vec<Self>, corefile: &mut Writer) {
        for forward in forwards {
            let to = forward.to.iter().map(Text::text);
            corefile.block(["forward".to_owned(), forward.from.text()].into_iter().chain(to), |options| {
                forward.write_options(options);
            });
        }
    }
}

impl Default for Forward {
    fn default() -> Self {
        Self::new(Name::root())
    }
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { interval: Duration::from_millis(500), recursion_desired: true, domain: Name::root() }
    }
}

impl Forward {
    /// With CoreDNS's defaults, and no server yet.
    pub fn new(from: Name) -> Self {
        Self {
            from,
            to: Vec::new(),
            except: Vec::new(),
            force_tcp: false,
            prefer_udp: false,
            expire: Duration::from_secs(10),
            max_fails: 2,
            health_check: HealthCheck::default(),
            read_timeout: Duration::from_secs(2),
            max_age: Duration::ZERO,
            max_idle_conns: 0,
            max_connect_attempts: None,
            failfast_all_unhealthy_upstreams: false,
            failover: Vec::new(),
            next: Vec::new(),
            next_on_nodata: false,
            policy: Policy::default(),
            max_concurrent: 0,
            tls: ForwardTls::default(),
            doh_method: DohMethod::default(),
            resolver: Vec::new(),
            source_address: None,
        }
    }

    fn lower_one(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let arguments = cursor.arguments();
        let [from, to @ ..] = arguments.as_slice() else {
            return Err(cursor.error("takes a zone and servers, e.g. `forward . /etc/resolv.conf`"));
        };
        if to.is_empty() {
            return Err(cursor.error(format!(
                "takes a zone and servers; after {from:?} there is no server, e.g. `forward . {from}`"
            )));
        }
        let from_zones = parse_zone(from).unwrap_or_default();
        let Some(first) = from_zones.first().cloned() else {
            return Err(cursor.error(format!("{from:?} is no zone")));
        };
        if from_zones.len() > 1 {
            cursor.warn(format!("{from} stands for {} zones, of which only {first} is forwarded", from_zones.len()));
        }
        if to.len() > TO_MAX {
            return Err(cursor.error(format!("takes at most {TO_MAX} servers, not {}", to.len())));
        }
        let mut forward = Self::new(first);
        let (mut bare, mut has_servers) = (None, false);
        for word in to {
            let (to, stands_for_some) = lower_to(cursor, word)?;
            if matches!(&to, To::Server(server) if server.is_bare(word)) {
                let advice = format!("the name of a server is dns://{word}, or has a `resolver` that knows it");
                bare.get_or_insert_with(|| cursor.error(format!("not an IP address or file: {word:?}; {advice}")));
            }
            has_servers |= stands_for_some;
            forward.to.push(to);
        }
        if !has_servers {
            let files: Vec<_> = forward.to.iter().map(Text::text).collect();
            let files = files.join(" and ");
            return Err(cursor.error(format!("no valid upstream addresses found: {files} has no `nameserver` line")));
        }
        while cursor.next_option() {
            forward.lower_option(cursor)?;
        }
        match bare.filter(|_| forward.resolver.is_empty()) {
            Some(error) => Err(error),
            None => forward.check(cursor).map(|()| forward),
        }
    }

    /// What options and servers say of each other.
    fn check(&self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        if !self.max_age.is_zero() && self.max_age < self.expire {
            let (max_age, expire) = (self.max_age.text(), self.expire.text());
            return Err(cursor.error(format!("max_age ({max_age}) must not be less than expire ({expire})")));
        }
        let servers = self.to.iter().filter_map(|to| match to {
            To::Server(server) => Some(server),
            To::File(..) => None,
        });
        let named = servers.clone().filter(|server| server.transport != UpstreamTransport::Plain);
        if let (Some(name), Some(other)) =
            (named.clone().find_map(|server| server.label.as_ref()), &self.tls.server_name)
        {
            return Err(
                cursor.error(format!("tls_servername {other} and %{name} cannot both be set; keep one of them"))
            );
        }
        let has_no_name = |server: &ToServer| server.label.is_none() && matches!(server.host, Host::Address(_));
        let is_encrypted = |to: &To| to.transport() != UpstreamTransport::Plain;
        let needs_name = self.to.iter().filter(|to| is_encrypted(to)).any(|to| match to {
            To::Server(server) => has_no_name(server),
            To::File(..) => true,
        });
        if needs_name && self.tls.server_name.is_none() {
            cursor.warn(
                "tls://, https:// and quic:// servers without tls_servername must have their address in their certificate",
            );
        }
        let is_v4 = self.source_address.map(|source| source.is_ipv4());
        for server in servers {
            if let (Host::Address(address), Some(is_v4)) = (&server.host, is_v4)
                && address.is_ipv4() != is_v4
            {
                cursor.warn(format!("{address} cannot be reached from source_address, which is of the other family"));
            }
        }
        Ok(())
    }
}

/// A server, or a file in resolv.conf's form that names servers; and whether there is any server.
fn lower_to(cursor: &Cursor<'_>, word: &str) -> Result<(To, bool), CorefileError> {
    let Some((transport, rest)) = UpstreamTransport::of(word) else {
        let scheme = word.split("://").next().unwrap_or_default();
        let advice = "servers are asked over dns://, tls://, https:// or quic://";
        return Err(cursor
            .error(format!("{scheme:?} is not supported as a destination protocol in forward: {word:?}; {advice}")));
    };
    let server = ToServer::parse(transport, rest);
    if let Some(server @ ToServer { host: Host::Address(_), .. }) = server {
        return Ok((To::Server(server), true));
    }
    match (cursor.surroundings.read(Path::new(rest)), server) {
        (Ok(text), _) => Ok((To::File(transport, rest.into()), !name_servers(transport, &text).is_empty())),
        (Err(_), Some(server)) => Ok((To::Server(server), true)),
        (Err(error), None) => {
            let advice = match rest.contains(':') {
                true => "; IPv6 is 2001:db8::1, or [2001:db8::1]:53 with a port".to_owned(),
                false => format!(" ({error})"),
            };
            Err(cursor.error(format!("not an IP address or file: {word:?}{advice}")))
        }
    }
}
