//! Server blocks of words to the typed configuration.

use std::collections::HashMap;
use std::ops::Range;

use super::certificates::tell_of_certificates;
use super::costs::{Costs, ERRORS_OF_DIRECTIVE_MAX, too_many_zones};
use super::cursor::Cursor;
use super::key::{oddity, split_key};
use super::lex::Token;
use super::migrate::removed;
use super::needs::unmet_needs;
use super::parse::{Block, Directive, stanzas};
use super::{CorefileError, Surroundings, similar};
use crate::config::directive::BindAddress;
use crate::config::{Config, REFERENCES, Scheme, ServerBlock, ServerKey};
use crate::dns::Name;

/// Directives of CoreDNS, and of what distributions add to it, that are left out, and what to do instead.
pub const LEFT_OUT: [(&str, &str); 27] = [
    ("alternate", "use `next` of forward"),
    ("azure", "serve the zone elsewhere, and forward to it"),
    ("clouddns", "serve the zone elsewhere, and forward to it"),
    ("dnssec", "sign the zone with a signing server, and serve it with `file`"),
    ("dnstap", "use log, or capture packets"),
    ("erratic", "there is no use for it but in tests"),
    ("etcd", "serve the names elsewhere, and forward to them"),
    ("fanout", "use forward with several servers"),
    ("geoip", "use view with incidr()"),
    ("grpc", "forward over tls:// instead"),
    ("grpc_server", "serve tls:// instead of grpc://"),
    ("https", "the bounds on connections are built in; remove the line"),
    ("https3", "serve https:// instead of https3://"),
    ("k8s_gateway", "serve the names elsewhere, and forward to them"),
    ("nomad", "serve the names elsewhere, and forward to them"),
    (
        "ocp_dnsnameresolver",
        "OpenShift's operator needs CoreDNS for it; remove the line if EgressFirewall has no names",
    ),
    ("on", "run commands beside the server"),
    ("proxyproto", "let the load balancer keep the clients' addresses"),
    ("quic", "the bounds on connections are built in; remove the line"),
    ("route53", "serve the zone elsewhere, and forward to it"),
    ("rrl", "bound the rate of packets per client in a firewall; remove the line"),
    ("secondary", "copy the zone to a file, and serve it with `file`; or forward to it"),
    ("shed", "load is bounded without it; remove the line"),
    ("sign", "sign the zone with a signing server, and serve it with `file`"),
    ("trace", "use `landfall explain`, log and prometheus"),
    ("tsig", "keep transfers to addresses that `transfer` names"),
    ("unbound", "forward to an unbound beside this server"),
];

/// Makes the configuration, and tells where its server blocks begin; or all errors that can be found.
pub fn lower(
    blocks: &[Block],
    surroundings: &dyn Surroundings,
    warnings: &mut Vec<CorefileError>,
) -> Result<(Config, Vec<String>), Vec<CorefileError>> {
    let mut errors = Vec::new();
    let costs = Costs::default();
    let mut config = Config::default();
    let mut written = Vec::new();
    for block in blocks {
        let keys = lower_keys(&block.keys, &costs, warnings, &mut errors);
        let mut server =
            ServerBlock { keys: keys.iter().map(|key| key.key.clone()).collect(), ..ServerBlock::default() };
        let zones: Vec<Name> = server.keys.iter().map(|key| key.zone.clone()).collect();
        let (roots, others): (Vec<_>, Vec<_>) = block.directives.iter().partition(|directive| directive.name == "root");
        for directive in roots.into_iter().chain(others) {
            let root = server.root.clone();
            let mut told = Vec::new();
            let lower = |directive: &Directive| {
                told.clear();
                let mut cursor = Cursor::new(directive, surroundings, (&zones, root.as_deref()), &mut told, &costs);
                let were_left = costs.are_zones_left();
                lower_directive(directive, &mut cursor, &mut server)?;
                match were_left && !costs.are_zones_left() {
                    true => Err(cursor.error(too_many_zones())),
                    false => Ok(()),
                }
            };
            let found = every_error(directive, lower);
            if let Some(brace) = stray_brace(directive).filter(|_| found.is_empty()) {
                told.push(error_at(brace, format!("{}: {STRAY_BRACE}", directive.name)));
            }
            errors.extend(found);
            warnings.append(&mut told);
        }
        unmet_needs(block, &server, warnings, &mut errors);
        config.servers.push(server);
        written.push(keys);
    }
    tell_of_certificates(&config, &written, surroundings.port(), warnings);
    leave_out_overlaps(&mut config, &written, surroundings.port(), warnings, &mut errors);
    errors.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    let place = |(block, server): (&Block, &ServerBlock)| {
        let key = block.keys.first().filter(|_| !server.keys.is_empty())?;
        Some(format!("{}:{}", key.file, key.line))
    };
    let places = blocks.iter().zip(&config.servers).filter_map(place).collect();
    config.servers.retain(|server| !server.keys.is_empty());
    if errors.is_empty() { Ok((config, places)) } else { Err(errors) }
}

const STRAY_BRACE: &str = "'{' on a line of its own does not open the block of the directive; put it on that line";

/// The errors of a directive: after each, it is read once more without the line that the error is in.
fn every_error(
    directive: &Directive,
    mut lower: impl FnMut(&Directive) -> Result<(), CorefileError>,
) -> Vec<CorefileError> {
    let (mut errors, mut reduced) = (Vec::new(), Vec::new());
    let mut rest = directive.clone();
    while let Err(error) = lower(&rest) {
        let brace = stray_brace(&rest);
        let error = brace.map_or(error, |brace| error_at(brace, format!("{}: {STRAY_BRACE}", directive.name)));
        if errors.contains(&error) || errors.len() >= ERRORS_OF_DIRECTIVE_MAX {
            break;
        }
        let culprit = Culprit::new(&rest.tokens, &error);
        let head = rest.tokens.get(culprit.stanza.start).map(|head| (head.file.clone(), head.line));
        // That an option is missing which was wrong is no mistake of its own.
        if culprit.is_option || !reduced.contains(&head) {
            errors.push(error);
        }
        if culprit.is_option {
            reduced.push(head);
        }
        rest.tokens = culprit.rest;
        if rest.tokens.is_empty() {
            break;
        }
    }
    errors
}

/// A brace that begins a line where a directive would.
fn stray_brace(directive: &Directive) -> Option<&Token> {
    let heads = stanzas(&directive.tokens).into_iter().filter_map(|stanza| directive.tokens.get(stanza.start));
    heads.into_iter().find(|head| head.text == "{")
}

/// Where an error of a directive is.
struct Culprit {
    /// The tokens of its line of the directive, with what is in the braces.
    stanza: Range<usize>,
    /// Whether it is in an option.
    is_option: bool,
    /// All tokens without the option; without the stanza if it is in no option.
    rest: Vec<Token>,
}

impl Culprit {
    fn new(tokens: &[Token], error: &CorefileError) -> Self {
        let is_on_line = |token: &Token| token.line == error.line && *token.file == *error.file;
        let stanza = stanzas(tokens)
            .into_iter()
            .find(|stanza| tokens.get(stanza.clone()).is_some_and(|all| all.iter().any(is_on_line)));
        let stanza = stanza.unwrap_or(0..tokens.len());
        let line: Vec<(usize, &Token)> =
            tokens.iter().enumerate().filter(|(at, token)| stanza.contains(at) && is_on_line(token)).collect();
        let is_option = line.iter().all(|(at, token)| *at != stanza.start && token.text != "{")
            && line.iter().any(|(_, token)| token.text != "}");
        let is_gone = |at: usize, token: &Token| stanza.contains(&at) && (!is_option || is_on_line(token));
        let rest = tokens.iter().enumerate().filter(|(at, token)| !is_gone(*at, token));
        let rest = rest.map(|(_, token)| token.clone()).collect();
        Self { stanza, is_option, rest }
    }
}

fn lower_directive(
    directive: &Directive,
    cursor: &mut Cursor<'_>,
    server: &mut ServerBlock,
) -> Result<(), CorefileError> {
    let lowered = server.lower(&directive.name, cursor);
    lowered.unwrap_or_else(|| {
        cursor.advance();
        Err(unknown_directive(&directive.name, cursor))
    })
}

fn unknown_directive(name: &str, cursor: &Cursor<'_>) -> CorefileError {
    if let Some(removed) = removed(name, "") {
        return cursor.error(format!("unknown directive {name:?}: {}", removed.advice()));
    }
    if let Some((_, instead)) = LEFT_OUT.iter().find(|(known, _)| *known == name) {
        return cursor.error(format!("unknown directive {name:?}: this server leaves it out; {instead}"));
    }
    let known: Vec<&str> = REFERENCES.iter().map(|known| known.name).collect();
    let meant = similar(name, &known);
    if meant.is_none() && name.contains(['.', ':']) {
        return cursor.error(format!(
            "unknown directive {name:?}; if it is a zone: a server block cannot stand in another one, close that with '}}' first"
        ));
    }
    match meant {
        Some(meant) => cursor.error(format!("unknown directive {name:?}; did you mean {meant:?}?")),
        None => cursor.error(format!("unknown directive {name:?}; `landfall -plugins` lists what there is")),
    }
}

/// A key, and how it is written.
pub(super) struct WrittenKey<'a> {
    pub key: ServerKey,
    /// The zone in the letter case of the file.
    zone: String,
    pub token: &'a Token,
}

/// The keys of a block; prefixes become their reverse zones.
fn lower_keys<'a>(
    tokens: &'a [Token],
    costs: &Costs,
    warnings: &mut Vec<CorefileError>,
    errors: &mut Vec<CorefileError>,
) -> Vec<WrittenKey<'a>> {
    let mut keys = Vec::new();
    for token in tokens {
        match lower_key(token) {
            Ok(lowered) if !costs.spend_zones(lowered.len()) => {
                errors.push(error_at(token, too_many_zones()));
                break;
            }
            Ok(lowered) => keys.extend(lowered),
            Err(what) => errors.push(error_at(token, what)),
        }
        if let Some(oddity) = oddity(&token.text) {
            warnings.push(error_at(token, format!("no client asks for the zone {:?}: {oddity}", token.text)));
        }
    }
    keys
}

pub(super) fn error_at(token: &Token, what: String) -> CorefileError {
    CorefileError { file: token.file.to_string(), line: token.line, what }
}

fn lower_key(token: &Token) -> Result<Vec<WrittenKey<'_>>, String> {
    let (scheme, zones, port) = split_key(&token.text)?;
    let written = |zone: Name| WrittenKey {
        zone: zone.to_ascii(),
        key: ServerKey { scheme, zone: zone.to_lowercase(), port },
        token,
    };
    Ok(zones.into_iter().map(written).collect())
}

/// The same zone on the same port may be served once, unless the blocks listen on different addresses, and by any number of
/// blocks with a view beside that. Where the same zone is written in two letter cases, CoreDNS 1.13 takes both and answers for
/// the one in lower case: we say so.
fn leave_out_overlaps(
    config: &mut Config,
    written: &[Vec<WrittenKey<'_>>],
    default_port: u16,
    warnings: &mut Vec<CorefileError>,
    errors: &mut Vec<CorefileError>,
) {
    let mut kept: HashMap<(Name, Scheme, u16), Vec<(usize, usize)>> = HashMap::new();
    let mut left_out = Vec::new();
    for (block, keys) in written.iter().enumerate() {
        for (place, key) in keys.iter().enumerate() {
            let port = key.key.port.unwrap_or(key.key.scheme.port(default_port));
            let others = kept.entry((key.key.zone.clone(), key.key.scheme, port)).or_default();
            let key_at = |(block, place): (usize, usize)| written.get(block).and_then(|keys| keys.get(place));
            let overlapping = others.iter().position(|(other, _)| listen_together(config, *other, block));
            let has_view = config.servers.get(block).is_some_and(|server| server.view.is_some());
            let Some((at, other)) = overlapping.and_then(|at| Some((at, key_at(*others.get(at)?)?))) else {
                if !has_view {
                    others.push((block, place));
                }
                continue;
            };
            let zone = &key.zone;
            if has_view {
                let is_bound = |block: usize| !addresses(config, block).is_empty();
                let is_alike = others.get(at).is_some_and(|(other, _)| is_bound(*other) == is_bound(block));
                tell_of_view(key, other, is_alike, warnings, errors);
                continue;
            }
            if other.zone == key.zone {
                let line = other.token.line;
                errors.push(error_at(key.token, format!(
                    "cannot serve {zone} on port {port}: it is already defined in line {line}; merge the blocks, or give them different `bind` addresses"
                )));
                continue;
            }
            let is_other_lower = other.zone == other.zone.to_lowercase();
            let loser = if is_other_lower { key } else { other };
            let winner = if is_other_lower { other } else { key };
            let what = format!(
                "zone {} is left out: line {} has the same as {}, and names ignore letter case; merge the blocks",
                loser.zone, winner.token.line, winner.zone
            );
            warnings.push(error_at(loser.token, what));
            match others.get_mut(at) {
                Some(kept) if !is_other_lower => left_out.push(std::mem::replace(kept, (block, place))),
                _ => left_out.push((block, place)),
            }
        }
    }
    left_out.sort_unstable();
    for (block, place) in left_out.into_iter().rev() {
        if let Some(server) = config.servers.get_mut(block) {
            server.keys.remove(place);
        }
    }
}

/// What is wrong with a block with a view behind one without, for the same zone: where both listen alike it is never asked,
/// and else CoreDNS refuses it.
fn tell_of_view(
    key: &WrittenKey<'_>,
    other: &WrittenKey<'_>,
    is_alike: bool,
    warnings: &mut Vec<CorefileError>,
    errors: &mut Vec<CorefileError>,
) {
    let (zone, line) = (&key.zone, other.token.line);
    match is_alike {
        true => warnings.push(error_at(
            key.token,
            format!("this block is never asked for {zone}: the one of line {line} has no view and stands before it"),
        )),
        false => errors.push(error_at(
            key.token,
            format!("cannot serve {zone}: it overlaps with line {line}; give both the same `bind`"),
        )),
    }
}

fn addresses(config: &Config, block: usize) -> &[BindAddress] {
    config.servers.get(block).map_or(&[], |server| server.bind.addresses.as_slice())
}

/// Whether two blocks have a listen address in common, as far as the file tells.
pub(super) fn listen_together(config: &Config, one: usize, other: usize) -> bool {
    let (one, other) = (addresses(config, one), addresses(config, other));
    one.is_empty() || other.is_empty() || one.iter().any(|address| other.contains(address))
}
