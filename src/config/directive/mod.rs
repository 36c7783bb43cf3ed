//! The directives: one file each, with the values that it takes and how its lines are read.

mod acl;
mod any;
mod auto;
mod autopath;
mod bind;
mod bufsize;
mod cache;
mod cancel;
mod chaos;
mod debug;
mod dns64;
mod errors;
mod fallthrough;
mod file;
mod forward;
mod header;
mod health;
mod hosts;
mod k8s_external;
mod kubernetes;
mod loadbalance;
mod local;
mod log;
mod loop_detection;
mod metadata;
mod minimal;
mod multisocket;
mod nsid;
pub(super) mod pattern;
mod pprof;
mod prometheus;
mod ready;
mod reload;
mod rewrite;
mod root;
mod template;
mod timeouts;
mod tls;
mod transfer;
mod view;
mod whoami;

pub use self::prometheus::{Prometheus, web_config};
pub use acl::{Acl, AclAction, AclRule};
pub use any::Any;
pub use auto::Auto;
pub use autopath::{Autopath, Search};
pub use bind::{Bind, BindAddress};
pub use bufsize::Bufsize;
pub use cache::{Cache, CacheSide, ServeStale};
pub use cancel::Cancel;
pub use chaos::Chaos;
pub use debug::Debug;
pub use dns64::{Dns64, Dns64Mode, Dns64Rule};
pub use errors::{Consolidate, ConsolidateLevel, Errors};
pub use fallthrough::Fallthrough;
pub use file::File;
pub use forward::{
    DohMethod, Forward, ForwardTls, HealthCheck, Host, Policy, To, ToServer, UpstreamTransport, name_servers,
};
pub use header::Header;
pub use health::Health;
pub use hosts::{Hosts, HostsLine};
pub use k8s_external::K8sExternal;
pub use kubernetes::{ApiPace, Kubernetes, ObjectSource, PodMode, WarmStart};
pub use loadbalance::{LoadBalance, Weighted, Weights};
pub use local::Local;
pub use log::{LogClass, LogRule};
pub use loop_detection::Loop;
pub use metadata::Metadata;
pub use minimal::Minimal;
pub use multisocket::Multisocket;
pub use nsid::Nsid;
pub use pprof::Pprof;
pub use ready::Ready;
pub use reload::Reload;
pub use rewrite::{AnswerRule, Matching, NameRule, OptionAction, OptionRule, Rewrite, RewriteRule, Then};
pub use root::Root;
pub use template::{Template, TemplateClass, TemplateError, TemplateType, Variable};
pub use timeouts::Timeouts;
pub use tls::{ClientAuth, Tls};
pub use transfer::{Transfer, TransferTo};
pub use view::View;
pub use whoami::Whoami;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::corefile::{CorefileError, Cursor, Writer};

/// A directive: what it is called, how its lines are read, and how they are written.
pub trait Directive {
    /// What a server block holds of it: `Option<Self>` where it stands once, `Vec<Self>` where each line is one, `bool` for a
    /// bare word. The default means that it is not there.
    type Values: Default + Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema;
    /// What the documentation and messages say of it.
    const REFERENCE: Reference;
    /// Reads all its lines in one server block; the cursor stands before the first word.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Self::Values, CorefileError>;
    /// Writes lines that are read as these values.
    fn write(values: &Self::Values, corefile: &mut Writer);
}

/// What the documentation and messages say of a directive.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// Its name.
    pub name: &'static str,
    /// `cache [TTL] [ZONES...] { ... }`
    pub syntax: &'static str,
    /// What it does, in Markdown.
    pub summary: &'static str,
    /// What may stand in its braces.
    pub options: &'static [Opt],
    /// Legal lines, as they stand in a server block.
    pub example: &'static str,
}

/// An option of a directive.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name and arguments: `success CAPACITY [TTL [MINTTL]]`.
    pub syntax: &'static str,
    /// What it does, in Markdown.
    pub meaning: &'static str,
    /// What holds without it; empty if that goes without saying.
    pub default: &'static str,
}

impl Opt {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.syntax.split(' ').next().unwrap_or_default()
    }
}

/// Whether a value is the one that is not written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
