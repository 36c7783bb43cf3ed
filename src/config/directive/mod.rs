//! The directives: one file each, with the values that it takes and how its lines are read.

mod bind;
mod bufsize;
mod cache;
mod chaos;
mod dns64;
mod errors;
mod fallthrough;
mod forward;
mod health;
mod hosts;
mod kubernetes;
mod loadbalance;
mod log;
mod pattern;
mod prometheus;
mod ready;
mod reload;
mod template;

pub use self::prometheus::Prometheus;
pub use bind::{Bind, BindAddress};
pub use bufsize::lower_bufsize;
pub use cache::{Cache, CacheSide, ServeStale};
pub use chaos::Chaos;
pub use dns64::Dns64;
pub use errors::{Consolidate, ConsolidateLevel, Errors};
pub use fallthrough::Fallthrough;
pub use forward::{Forward, ForwardTls, HealthCheck, Policy, Upstream, UpstreamTransport};
pub use health::Health;
pub use hosts::Hosts;
pub use kubernetes::{Kubernetes, ObjectSource, PodMode};
pub use loadbalance::LoadBalance;
pub use log::{LogClass, LogRule};
pub use ready::Ready;
pub use reload::Reload;
pub use template::{Template, TemplateClass, TemplateType};

use crate::config::corefile::{CorefileError, Cursor};

/// The directives that are built, in the order of the alphabet.
pub const NAMES: [&str; 18] = [
    "bind",
    "bufsize",
    "cache",
    "chaos",
    "dns64",
    "errors",
    "forward",
    "health",
    "hosts",
    "kubernetes",
    "loadbalance",
    "log",
    "loop",
    "prometheus",
    "ready",
    "reload",
    "template",
    "whoami",
];

/// `loop`: a word and nothing else, once.
pub fn lower_loop(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
    lower_word(cursor)?;
    match cursor.advance() {
        true => Err(cursor.once()),
        false => Ok(true),
    }
}

/// `whoami`: a word and nothing else, however often.
pub fn lower_whoami(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
    lower_word(cursor)?;
    cursor.leave_out_rest();
    Ok(true)
}

fn lower_word(cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
    cursor.advance();
    match cursor.next_argument() {
        true => Err(cursor.error(format!("takes nothing; remove {:?}", cursor.word()))),
        false => Ok(()),
    }
}

/// HOST:PORT as Go takes it, with `port` where the text names none.
fn lower_address(cursor: &Cursor<'_>, text: &str) -> Result<String, CorefileError> {
    let has_port = text.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
    });
    match has_port {
        true => Ok(text.to_owned()),
        false if text.parse::<std::net::Ipv6Addr>().is_ok() || text.matches(':').count() > 1 => {
            Err(cursor.error(format!("an address is HOST:PORT or :PORT, not {text:?}; IPv6 is [2001:db8::1]:8080")))
        }
        false => Err(cursor.error(format!("an address is HOST:PORT or :PORT, not {text:?}"))),
    }
}
