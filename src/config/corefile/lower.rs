//! Server blocks of words to the typed configuration.

use std::collections::HashMap;

use super::cursor::{Cursor, parse_prefix};
use super::lex::Token;
use super::parse::{Block, Directive};
use super::{CorefileError, Surroundings};
use crate::config::directive::{self, BindAddress};
use crate::config::{Config, Scheme, ServerBlock, ServerKey};
use crate::dns::{Name, parse_name, reverse_zones};

/// Directives of CoreDNS, and of what distributions add to it, that are not built yet, and what they do.
const NOT_BUILT: [(&str, &str); 44] = [
    ("acl", "it decides who may ask"),
    ("any", "ANY is answered minimally without it"),
    ("auto", "it serves zone files of a folder"),
    ("autopath", "it walks the search list for clients"),
    ("azure", "it serves Azure DNS zones"),
    ("cancel", "queries have a deadline without it"),
    ("clouddns", "it serves Google Cloud DNS zones"),
    ("debug", "it changes what is logged"),
    ("dnssec", "it signs answers"),
    ("dnstap", "it copies queries elsewhere"),
    ("erratic", "it makes mistakes on purpose"),
    ("etcd", "it serves names from etcd"),
    ("file", "it serves zone files"),
    ("geoip", "it looks up where clients are"),
    ("grpc", "it forwards over gRPC"),
    ("grpc_server", "it tunes gRPC listeners"),
    ("header", "it changes header flags"),
    ("https", "it tunes HTTPS listeners"),
    ("https3", "it tunes HTTPS listeners"),
    ("k8s_external", "it serves external addresses of Services"),
    ("k8s_gateway", "it serves names of Ingresses and Gateways"),
    ("local", "it answers localhost"),
    ("metadata", "it collects labels for other directives"),
    ("minimal", "it leaves out authority and additional sections"),
    ("multisocket", "there is a socket for each core without it"),
    ("nomad", "it serves names from Nomad"),
    ("nsid", "it names the server in answers"),
    ("ocp_dnsnameresolver", "it keeps OpenShift's DNSNameResolver objects"),
    ("on", "it runs commands"),
    ("pprof", "it profiles the process"),
    ("proxyproto", "it reads PROXY headers"),
    ("quic", "it tunes QUIC listeners"),
    ("rewrite", "it changes questions and answers"),
    ("root", "it is the folder of relative file names"),
    ("route53", "it serves Route 53 zones"),
    ("secondary", "it serves transferred zones"),
    ("shed", "load is bounded without it"),
    ("sign", "it signs zone files"),
    ("timeouts", "it tunes TCP listeners"),
    ("tls", "it gives listeners a certificate"),
    ("trace", "it traces queries"),
    ("transfer", "it transfers zones"),
    ("tsig", "it signs messages"),
    ("view", "it chooses the block by the client"),
];

/// Directives that CoreDNS has removed, and what takes their place.
const REMOVED: [(&str, &str); 5] = [
    ("proxy", "CoreDNS 1.5 removed it; use forward, e.g. `forward . /etc/resolv.conf`"),
    ("federation", "CoreDNS 1.7 removed it; remove the line"),
    ("reverse", "CoreDNS 1.5 removed it; use template"),
    ("startup", "CoreDNS 1.5 removed it; remove the line"),
    ("shutdown", "CoreDNS 1.5 removed it; remove the line"),
];

/// Makes the configuration; all errors that can be found.
pub fn lower(
    blocks: &[Block],
    surroundings: &dyn Surroundings,
    warnings: &mut Vec<String>,
) -> Result<Config, Vec<CorefileError>> {
    let mut errors = Vec::new();
    let mut config = Config::default();
    for block in blocks {
        let keys = lower_keys(&block.keys, &mut errors);
        let mut server = ServerBlock { keys, ..ServerBlock::default() };
        let zones: Vec<Name> = server.keys.iter().map(|key| key.zone.clone()).collect();
        for directive in &block.directives {
            let mut cursor = Cursor::new(directive, surroundings, &zones, warnings);
            if let Err(error) = lower_directive(directive, &mut cursor, &mut server) {
                errors.push(error);
            }
        }
        config.servers.push(server);
    }
    check_overlaps(&config, blocks, surroundings.port(), &mut errors);
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

fn lower_directive(
    directive: &Directive,
    cursor: &mut Cursor<'_>,
    server: &mut ServerBlock,
) -> Result<(), CorefileError> {
    match directive.name.as_str() {
        "bind" => server.bind = directive::Bind::lower(cursor)?,
        "bufsize" => server.bufsize = Some(directive::lower_bufsize(cursor)?),
        "cache" => server.cache = Some(directive::Cache::lower(cursor)?),
        "chaos" => server.chaos = Some(directive::Chaos::lower(cursor)?),
        "dns64" => server.dns64 = Some(directive::Dns64::lower(cursor)?),
        "errors" => server.errors = Some(directive::Errors::lower(cursor)?),
        "forward" => server.forward = directive::Forward::lower(cursor)?,
        "health" => server.health = Some(directive::Health::lower(cursor)?),
        "hosts" => server.hosts = Some(directive::Hosts::lower(cursor)?),
        "kubernetes" => server.kubernetes = Some(directive::Kubernetes::lower(cursor)?),
        "loadbalance" => server.loadbalance = Some(directive::LoadBalance::lower(cursor)?),
        "log" => server.log = directive::LogRule::lower(cursor)?,
        "loop" => server.loop_detection = directive::lower_alone(cursor)?,
        "prometheus" => server.prometheus = Some(directive::Prometheus::lower(cursor)?),
        "ready" => server.ready = Some(directive::Ready::lower(cursor)?),
        "reload" => server.reload = Some(directive::Reload::lower(cursor)?),
        "template" => server.template = directive::Template::lower(cursor)?,
        "whoami" => server.whoami = directive::lower_alone(cursor)?,
        name => {
            cursor.advance();
            return Err(unknown_directive(name, cursor));
        }
    }
    Ok(())
}

fn unknown_directive(name: &str, cursor: &Cursor<'_>) -> CorefileError {
    if let Some((_, instead)) = REMOVED.iter().find(|(removed, _)| *removed == name) {
        return cursor.error(format!("unknown directive {name:?}: {instead}"));
    }
    if let Some((_, what)) = NOT_BUILT.iter().find(|(known, _)| *known == name) {
        return cursor.error(format!("this directive is not built yet ({what}); remove it, or stay with CoreDNS"));
    }
    let known = directive::NAMES.iter().find(|known| known.eq_ignore_ascii_case(name));
    match known {
        Some(known) => cursor.error(format!("unknown directive {name:?}; directives are lower case: {known:?}")),
        None => cursor.error(format!("unknown directive {name:?}; `landfall -plugins` lists what there is")),
    }
}

/// The keys of a block; prefixes become their reverse zones.
fn lower_keys(tokens: &[Token], errors: &mut Vec<CorefileError>) -> Vec<ServerKey> {
    let mut keys = Vec::new();
    for token in tokens {
        match lower_key(&token.text) {
            Ok(lowered) => keys.extend(lowered),
            Err(what) => errors.push(error_at(token, what)),
        }
    }
    keys
}

fn error_at(token: &Token, what: String) -> CorefileError {
    CorefileError { file: token.file.to_string(), line: token.line, what }
}

fn lower_key(text: &str) -> Result<Vec<ServerKey>, String> {
    let (scheme, rest) = split_scheme(text);
    if scheme != Scheme::Dns {
        return Err(format!("{text}: {}:// listeners are not built yet; serve plain DNS", scheme.as_str()));
    }
    let (host, port) = split_port(rest).ok_or_else(|| format!("{text:?}: a port is expected after the last colon"))?;
    let zones = match parse_prefix(host) {
        Some(prefix) => reverse_zones(prefix),
        None => vec![parse_name(host).map_err(|_| {
            format!("zone is not a valid domain name: {text:?}; a zone stands alone, with a blank before '{{', e.g. `.:53 {{`")
        })?],
    };
    Ok(zones.into_iter().map(|zone| ServerKey { scheme, zone: zone.to_lowercase(), port }).collect())
}

fn split_scheme(text: &str) -> (Scheme, &str) {
    let schemes = [
        ("dns://", Scheme::Dns),
        ("tls://", Scheme::Tls),
        ("https://", Scheme::Https),
        ("https3://", Scheme::Https),
        ("quic://", Scheme::Quic),
        ("grpc://", Scheme::Grpc),
    ];
    let found = schemes.into_iter().find_map(|(prefix, scheme)| text.strip_prefix(prefix).map(|rest| (scheme, rest)));
    found.unwrap_or((Scheme::Dns, text))
}

/// Host and port; what follows the last colon counts as a port only if it is a number. None: nothing follows it.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        Some((_, "")) => None,
        Some((host, port)) => Some(port.parse().map_or((text, None), |port| (host, Some(port)))),
        None => Some((text, None)),
    }
}

/// The same zone on the same port may be served once, unless the blocks listen on different addresses.
fn check_overlaps(config: &Config, blocks: &[Block], default_port: u16, errors: &mut Vec<CorefileError>) {
    let mut served: HashMap<(Name, u16), Vec<&[BindAddress]>> = HashMap::new();
    for (server, block) in config.servers.iter().zip(blocks) {
        let addresses = server.bind.addresses.as_slice();
        for key in &server.keys {
            let port = key.port.unwrap_or(default_port);
            let others = served.entry((key.zone.clone(), port)).or_default();
            let overlaps = |other: &&&[BindAddress]| {
                other.is_empty() || addresses.is_empty() || other.iter().any(|address| addresses.contains(address))
            };
            if others.iter().any(|other| overlaps(&other))
                && let Some(token) = block.keys.first()
            {
                let what = format!(
                    "cannot serve {} on port {port}: it is already defined; merge the blocks, or give them different `bind` addresses",
                    key.zone
                );
                errors.push(error_at(token, what));
            }
            others.push(addresses);
        }
    }
}
