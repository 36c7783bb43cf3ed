//! Which keys of encrypted listeners have no certificate, or not the one that their block names.

use super::CorefileError;
use super::lower::{WrittenKey, error_at, listen_together};
use crate::config::{Config, Scheme};

/// Tells of keys that are not served for want of a certificate, and of certificates that are not used.
pub fn tell_of_certificates(
    config: &Config,
    written: &[Vec<WrittenKey<'_>>],
    default_port: u16,
    warnings: &mut Vec<CorefileError>,
) {
    // The block, scheme, port and line of each encrypted key that has a certificate.
    let mut served: Vec<(usize, Scheme, u16, usize)> = Vec::new();
    for (block, (keys, server)) in written.iter().zip(&config.servers).enumerate() {
        for WrittenKey { key, token, .. } in keys.iter().filter(|key| key.key.scheme != Scheme::Dns) {
            let (text, port) = (&token.text, key.port.unwrap_or(key.scheme.port(default_port)));
            if server.tls.is_none() {
                warnings.push(error_at(token, format!(
                    "{text}: nothing is served there without `tls CERT KEY` in the block; CoreDNS would serve plain text"
                )));
                continue;
            }
            let first = served.iter().find(|(other, scheme, at, _)| {
                (*scheme, *at) == (key.scheme, port) && listen_together(config, *other, block)
            });
            let has_other = |block: usize| config.servers.get(block).is_some_and(|first| first.tls != server.tls);
            if let Some((_, _, _, line)) = first.filter(|(block, ..)| has_other(*block)) {
                warnings.push(error_at(token, format!(
                    "{text}: a listener has one certificate, and this one has that of line {line}; name the same, or give the blocks different `bind` addresses"
                )));
            }
            served.push((block, key.scheme, port, token.line));
        }
    }
}
