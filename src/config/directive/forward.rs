//! `forward FROM TO... { ... }`: ask other servers.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Surroundings, System, Writer, parse_zone};
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
    /// The servers that `to` stands for, each once: those of files as the files were when the configuration was read.
    #[serde(skip)]
    pub servers: Vec<Upstream>,
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
    /// TLS towards `tls://` servers.
    #[serde(skip_serializing_if = "is_default")]
    pub tls: ForwardTls,
}

/// A word behind the zone of `forward`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A server.
    Server(Upstream),
    /// A file in resolv.conf's form.
    File(PathBuf),
}

/// A server to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Its address and port.
    pub address: SocketAddr,
    /// How it is asked.
    pub transport: UpstreamTransport,
    /// The name in its certificate, where the address says it (`tls://9.9.9.9%dns.quad9.net`).
    pub server_name: Option<String>,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamTransport {
    /// UDP and TCP.
    Plain,
    /// DNS over TLS (RFC 7858).
    Tls,
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

/// CoreDNS's limit.
const TO_MAX: usize = 15;

impl Directive for Forward {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "forward",
        syntax: "forward FROM TO... { ... }",
        summary: "Asks other servers. Repeatable; the first whose zone fits answers. TO is `ADDRESS`, `ADDRESS:PORT`, `[IPV6]:PORT`, the same with `tls://` before it \
                  and `%NAME` (that of the certificate) behind the address, or a file such as /etc/resolv.conf (its `nameserver` lines). At most 15; one that is \
                  named twice is one. A link-local address has its interface behind it: `fe80::1%eth0`.",
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
            Opt { syntax: "tls [CERT KEY] [CA]", meaning: "for `tls://` servers", default: "the system's authorities" },
            Opt {
                syntax: "tls_servername NAME",
                meaning: "the name in the certificates of `tls://` servers",
                default: "",
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

impl Text for To {
    const WHAT: &'static str = "a server such as 192.0.2.1, [2001:db8::1]:5300 or tls://9.9.9.9%dns.quad9.net, or a file such as /etc/resolv.conf";

    fn read(text: &str) -> Option<Self> {
        Some(Upstream::read(text).map_or_else(|| Self::File(text.into()), Self::Server))
    }

    fn text(&self) -> String {
        match self {
            Self::Server(server) => server.text(),
            Self::File(file) => file.display().to_string(),
        }
    }
}

impl Text for Upstream {
    const WHAT: &'static str = "a server such as 192.0.2.1, [2001:db8::1]:5300 or tls://9.9.9.9%dns.quad9.net";

    fn read(text: &str) -> Option<Self> {
        match text.strip_prefix("tls://") {
            Some(rest) => parse_upstream(&System { port: 53, migrates: false }, rest, UpstreamTransport::Tls),
            None => parse_upstream(&System { port: 53, migrates: false }, text, UpstreamTransport::Plain),
        }
    }

    fn text(&self) -> String {
        let name = self.server_name.as_ref().map(|name| format!("%{name}")).unwrap_or_default();
        match self.transport {
            UpstreamTransport::Plain => self.address.to_string(),
            UpstreamTransport::Tls => format!("tls://{}{name}", self.address),
        }
    }
}

impl Forward {
    /// With CoreDNS's defaults, and no server yet.
    pub fn new(from: Name) -> Self {
        Self {
            from,
            to: Vec::new(),
            servers: Vec::new(),
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
        for word in to {
            forward.lower_to(cursor, word)?;
        }
        if forward.servers.is_empty() {
            let files: Vec<_> = forward.to.iter().map(Text::text).collect();
            let files = files.join(" and ");
            return Err(cursor.error(format!("no valid upstream addresses found: {files} has no `nameserver` line")));
        }
        while cursor.next_option() {
            forward.lower_option(cursor)?;
        }
        let named = forward.servers.iter().find_map(|server| server.server_name.as_ref());
        if let (Some(name), Some(other)) = (named, &forward.tls.server_name) {
            return Err(
                cursor.error(format!("tls_servername {other} and %{name} cannot both be set; keep one of them"))
            );
        }
        let needs_name = forward
            .servers
            .iter()
            .any(|server| server.transport == UpstreamTransport::Tls && server.server_name.is_none());
        if needs_name && forward.tls.server_name.is_none() {
            cursor.warn("tls:// servers without tls_servername must have their address in their certificate");
        }
        Ok(forward)
    }

    /// A server, or a file in resolv.conf's form that names servers.
    fn lower_to(&mut self, cursor: &Cursor<'_>, word: &str) -> Result<(), CorefileError> {
        let (transport, rest) = match word.split_once("://") {
            None => (UpstreamTransport::Plain, word),
            Some(("dns", rest)) => (UpstreamTransport::Plain, rest),
            Some(("tls", rest)) => (UpstreamTransport::Tls, rest),
            Some((scheme, _)) => return Err(cursor.error(format!("{scheme}:// servers are not built yet: {word:?}"))),
        };
        if let Some(upstream) = parse_upstream(cursor.surroundings, rest, transport) {
            self.to.push(To::Server(upstream.clone()));
            self.add(upstream);
            return Ok(());
        }
        let is_path = rest.contains('/') || cursor.surroundings.read(Path::new(rest)).is_ok();
        if !is_path {
            let advice = match rest.contains(':') {
                true => "IPv6 is 2001:db8::1, or [2001:db8::1]:53 with a port",
                false => "names of servers are not looked up; write the address",
            };
            return Err(cursor.error(format!("not an IP address or file: {word:?}; {advice}")));
        }
        let text = cursor
            .surroundings
            .read(Path::new(rest))
            .map_err(|error| cursor.error(format!("not an IP address or file: {word:?} ({error})")))?;
        for address in name_servers(cursor.surroundings, &text) {
            self.add(Upstream { address, transport, server_name: None });
        }
        self.to.push(To::File(rest.into()));
        Ok(())
    }

    /// A server that is named twice is one.
    fn add(&mut self, upstream: Upstream) {
        if !self.servers.contains(&upstream) {
            self.servers.push(upstream);
        }
    }

    fn write_options(&self, options: &mut Writer) {
        if !self.except.is_empty() {
            options.line(std::iter::once("except".to_owned()).chain(self.except.iter().map(Text::text)));
        }
        let words = [
            ("force_tcp", self.force_tcp),
            ("prefer_udp", self.prefer_udp),
            ("failfast_all_unhealthy_upstreams", self.failfast_all_unhealthy_upstreams),
            ("next_on_nodata", self.next_on_nodata),
        ];
        for (name, is_set) in words {
            if is_set {
                options.line([name]);
            }
        }
        options.line(["expire", &self.expire.text()]);
        options.line(["max_fails", &self.max_fails.to_string()]);
        let HealthCheck { interval, recursion_desired, domain } = &self.health_check;
        let no_rec = (!recursion_desired).then(|| "no_rec".to_owned());
        let words = ["health_check".to_owned(), interval.text()].into_iter().chain(no_rec);
        options.line(words.chain(["domain".to_owned(), domain.text()]));
        options.line(["policy", self.policy.as_str()]);
        options.line(["read_timeout", &self.read_timeout.text()]);
        if !self.max_age.is_zero() {
            options.line(["max_age", &self.max_age.text()]);
        }
        if self.max_idle_conns > 0 {
            options.line(["max_idle_conns", &self.max_idle_conns.to_string()]);
        }
        if let Some(attempts) = self.max_connect_attempts {
            options.line(["max_connect_attempts", &attempts.to_string()]);
        }
        for (name, codes) in [("failover", &self.failover), ("next", &self.next)] {
            if !codes.is_empty() {
                options.line(std::iter::once(name.to_owned()).chain(codes.iter().map(Text::text)));
            }
        }
        if self.max_concurrent > 0 {
            options.line(["max_concurrent", &self.max_concurrent.to_string()]);
        }
        self.tls.write(options);
    }

    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "except" => {
                let arguments = cursor.arguments();
                if arguments.is_empty() {
                    return Err(cursor.error("except takes zones"));
                }
                self.except.extend(cursor.zones(&arguments));
            }
            "force_tcp" => {
                cursor.no_argument()?;
                self.force_tcp = true;
            }
            "prefer_udp" => {
                cursor.no_argument()?;
                self.prefer_udp = true;
            }
            "expire" => self.expire = lower_duration(cursor)?,
            "max_fails" => {
                let text = lower_word(cursor)?;
                self.max_fails = cursor.number(&text, "max_fails", 0..=u32::MAX)?;
            }
            "max_concurrent" => {
                let text = lower_word(cursor)?;
                self.max_concurrent = cursor.number(&text, "max_concurrent", 0..=u32::MAX as usize)?;
            }
            "policy" => {
                self.policy = match lower_word(cursor)?.as_str() {
                    "random" => Policy::Random,
                    "round_robin" => Policy::RoundRobin,
                    "sequential" => Policy::Sequential,
                    other => {
                        return Err(cursor
                            .error(format!("unknown policy {other:?}; there are random, round_robin and sequential")));
                    }
                }
            }
            "health_check" => self.lower_health_check(cursor)?,
            "tls_servername" => self.tls.server_name = Some(lower_word(cursor)?),
            "tls" => self.lower_tls(cursor)?,
            "read_timeout" => self.read_timeout = lower_duration(cursor)?,
            "max_age" => self.max_age = lower_duration(cursor)?,
            "max_idle_conns" => {
                let text = lower_word(cursor)?;
                self.max_idle_conns = cursor.number(&text, "max_idle_conns", 0..=u32::MAX as usize)?;
            }
            "max_connect_attempts" => {
                let text = lower_word(cursor)?;
                self.max_connect_attempts = Some(cursor.number(&text, "max_connect_attempts", 0..=u32::MAX)?);
            }
            "failfast_all_unhealthy_upstreams" => {
                cursor.no_argument()?;
                self.failfast_all_unhealthy_upstreams = true;
            }
            "failover" => {
                let codes = lower_codes(cursor)?;
                if codes.contains(&ResponseCode::NoError) {
                    return Err(cursor.error("NOERROR cannot be used in failover: it is the answer"));
                }
                self.failover.extend(codes);
            }
            "next" => self.next.extend(lower_codes(cursor)?),
            "next_on_nodata" => {
                cursor.no_argument()?;
                self.next_on_nodata = true;
            }
            option @ ("doh_method" | "resolver" | "source_address") => {
                return Err(cursor.error(format!("{option} is not built yet; remove the line")));
            }
            _ => {
                return Err(cursor.unknown::<Self>());
            }
        }
        Ok(())
    }

    /// `health_check DURATION [no_rec] [domain NAME]`
    fn lower_health_check(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let arguments = cursor.arguments();
        let Some((interval, options)) = arguments.split_first() else {
            return Err(cursor.error("health_check takes a duration"));
        };
        self.health_check.interval = cursor.duration(interval, "health_check")?;
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match (option.as_str(), option.as_str() == "domain") {
                ("no_rec", _) => self.health_check.recursion_desired = false,
                (_, true) => {
                    let domain = options.next().and_then(|domain| crate::dns::parse_name(domain).ok());
                    self.health_check.domain =
                        domain.ok_or_else(|| cursor.error("health_check: domain takes a domain name"))?;
                }
                _ => {
                    return Err(cursor
                        .error(format!("health_check: unknown option {option:?}; there are no_rec and domain NAME")));
                }
            }
        }
        Ok(())
    }

    /// `tls [CERT KEY] [CA]`
    fn lower_tls(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let arguments: Vec<PathBuf> = cursor.arguments().into_iter().map(PathBuf::from).collect();
        match arguments.as_slice() {
            [] => {}
            [authority] => self.tls.authority = Some(authority.clone()),
            [certificate, key] => self.tls.identity = Some((certificate.clone(), key.clone())),
            [certificate, key, authority] => {
                self.tls.identity = Some((certificate.clone(), key.clone()));
                self.tls.authority = Some(authority.clone());
            }
            _ => return Err(cursor.error("tls takes at most a certificate, a key and an authority")),
        }
        Ok(())
    }
}

impl ForwardTls {
    fn write(&self, options: &mut Writer) {
        let path = |path: &PathBuf| path.display().to_string();
        let identity = self.identity.iter().flat_map(|(certificate, key)| [path(certificate), path(key)]);
        let files: Vec<String> = identity.chain(self.authority.as_ref().map(path)).collect();
        if !files.is_empty() {
            options.line(std::iter::once("tls".to_owned()).chain(files));
        }
        if let Some(name) = &self.server_name {
            options.line(["tls_servername", name]);
        }
    }
}

impl Policy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "round_robin",
            Self::Sequential => "sequential",
        }
    }
}

/// One word behind an option, whatever follows: `{ policy sequential }` on one line is legal here.
fn lower_word(cursor: &mut Cursor<'_>) -> Result<String, CorefileError> {
    let option = cursor.word().to_owned();
    match cursor.next_argument() {
        true => Ok(cursor.word().to_owned()),
        false => Err(cursor.error(format!("{option} takes a value"))),
    }
}

/// Response codes, at least one, in any letter case.
fn lower_codes(cursor: &mut Cursor<'_>) -> Result<Vec<ResponseCode>, CorefileError> {
    let option = cursor.word().to_owned();
    let arguments = cursor.arguments();
    if arguments.is_empty() {
        return Err(cursor.error(format!("{option} takes response codes, e.g. `{option} SERVFAIL REFUSED`")));
    }
    let read = |text: &String| {
        ResponseCode::read(&text.to_ascii_uppercase())
            .ok_or_else(|| cursor.error(format!("{text:?} is not a valid rcode, such as SERVFAIL")))
    };
    arguments.iter().map(read).collect()
}

fn lower_duration(cursor: &mut Cursor<'_>) -> Result<Duration, CorefileError> {
    let option = cursor.word().to_owned();
    let text = lower_word(cursor)?;
    cursor.duration(&text, &option)
}

/// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`, with `%NAME` behind the address or the port. For plain DNS the name is
/// the interface of a link-local address.
fn parse_upstream(surroundings: &dyn Surroundings, text: &str, transport: UpstreamTransport) -> Option<Upstream> {
    let port = match transport {
        UpstreamTransport::Plain => 53,
        UpstreamTransport::Tls => 853,
    };
    let (address, name) = split_name(text);
    let address = match address.parse() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => address.parse().ok()?,
    };
    Some(match transport {
        UpstreamTransport::Plain => {
            Upstream { address: with_scope(surroundings, address, name), transport, server_name: None }
        }
        UpstreamTransport::Tls => Upstream { address, transport, server_name: name.map(str::to_owned) },
    })
}

/// The address without its `%NAME`, and that name.
fn split_name(text: &str) -> (String, Option<&str>) {
    let Some((address, rest)) = text.rsplit_once('%') else { return (text.to_owned(), None) };
    let is_bare_v6 = address.parse::<Ipv6Addr>().is_ok();
    let (name, port) = rest.rsplit_once(':').filter(|_| !is_bare_v6).unwrap_or((rest, ""));
    let colon = if port.is_empty() { "" } else { ":" };
    let (name, bracket) = name.strip_suffix(']').map_or((name, ""), |name| (name, "]"));
    (format!("{address}{bracket}{colon}{port}"), Some(name).filter(|name| !name.is_empty()))
}

/// An address with the interface that it is reached through, by name or number (RFC 4007 section 11).
fn with_scope(surroundings: &dyn Surroundings, mut address: SocketAddr, interface: Option<&str>) -> SocketAddr {
    let index = interface.filter(|name| !name.contains('/')).and_then(|name| {
        let named = || surroundings.read(Path::new(&format!("/sys/class/net/{name}/ifindex"))).ok();
        name.parse().ok().or_else(|| named()?.trim().parse().ok())
    });
    if let (SocketAddr::V6(v6), Some(index)) = (&mut address, index)
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(index);
    }
    address
}

/// The `nameserver` lines of a file in resolv.conf's form, port 53.
fn name_servers(surroundings: &dyn Surroundings, text: &str) -> Vec<SocketAddr> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        let (address, interface) = address.split_once('%').map_or((address, None), |(ip, name)| (ip, Some(name)));
        Some(with_scope(surroundings, SocketAddr::new(address.parse().ok()?, 53), interface))
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corefile::System;

    fn check(text: &str, expected: Option<(&str, Option<&str>)>) {
        let transport = if text.starts_with("tls://") { UpstreamTransport::Tls } else { UpstreamTransport::Plain };
        let rest = text.trim_start_matches("tls://");
        let found = parse_upstream(&System { port: 53, migrates: false }, rest, transport);
        let found = found.map(|upstream| (upstream.address.to_string(), upstream.server_name));
        let found = found.as_ref().map(|(address, name)| (address.as_str(), name.as_deref()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_server_is_an_address_with_an_optional_port_and_name() {
        check("192.0.2.1", Some(("192.0.2.1:53", None)));
        check("192.0.2.1:5300", Some(("192.0.2.1:5300", None)));
        check("2001:DB8::1", Some(("[2001:db8::1]:53", None)));
        check("[::1]:53", Some(("[::1]:53", None)));
        check("[64:ff9b::8.8.8.8]:53", Some(("[64:ff9b::808:808]:53", None)));
        check("tls://9.9.9.9", Some(("9.9.9.9:853", None)));
        check("tls://9.9.9.9%dns.quad9.net", Some(("9.9.9.9:853", Some("dns.quad9.net"))));
        check("tls://9.9.9.9%dns.quad9.net:8853", Some(("9.9.9.9:8853", Some("dns.quad9.net"))));
        check("tls://9.9.9.9:8853%dns.quad9.net", Some(("9.9.9.9:8853", Some("dns.quad9.net"))));
        check("tls://2620:fe::fe%dns.quad9.net", Some(("[2620:fe::fe]:853", Some("dns.quad9.net"))));
        check("tls://[2620:fe::fe%dns.quad9.net]:8853", Some(("[2620:fe::fe]:8853", Some("dns.quad9.net"))));
        check("[2001:db8::1]", None);
        check("dns.google", None);
        check("192.0.2.1:70000", None);
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        check("fe80::1%7", Some(("[fe80::1%7]:53", None)));
        check("[fe80::1%7]:5300", Some(("[fe80::1%7]:5300", None)));
        check("fe80::1%lo", Some(("[fe80::1%1]:53", None)));
        check("2001:db8::1%7", Some(("[2001:db8::1]:53", None)));
        let text =
            "# nameserver 192.0.2.9\nsearch a.org\nnameserver fe80::1%7\n nameserver 192.0.2.1 # c\nnameserver x\n";
        let found: Vec<String> =
            name_servers(&System { port: 53, migrates: false }, text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[fe80::1%7]:53", "192.0.2.1:53"]);
    }
}
