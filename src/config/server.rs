//! Server blocks and their keys. The table of directives is here.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;
use sha2::{Digest, Sha512};

use super::corefile::{CorefileError, Cursor, Writer, Written, parse_keys};
use super::directive::{self, Directive, Reference, is_default};
use super::text::{Expand, Expanded, Text};
use crate::dns::{Name, name_text};

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Landfall")]
pub struct Config {
    /// The server blocks in their order.
    pub servers: Vec<ServerBlock>,
}

impl Config {
    /// The configuration as a Corefile; or the words that none can hold.
    pub fn to_corefile(&self) -> Result<Written, Vec<String>> {
        let mut corefile = Writer::default();
        self.servers.iter().for_each(|server| server.write(&mut corefile));
        corefile.finish()
    }

    /// The JSON Schema of the configuration in YAML.
    pub fn schema() -> String {
        // A schema is a tree of values that JSON has.
        serde_json::to_string_pretty(&schemars::schema_for!(Self)).unwrap_or_default() + "\n"
    }

    /// SHA-512 over what it means, in hexadecimal.
    pub(super) fn hash(&self) -> String {
        // What has no form as JSON has none as configuration either: paths that are no text, which were read from text.
        let meaning = serde_json::to_vec(self).unwrap_or_default();
        Sha512::digest(meaning).iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// Makes [`ServerBlock`] and what has to know every directive from one table.
macro_rules! directives {
    ($($(#[$attribute:meta])* $field:ident: $directive:ident,)*) => {
        /// One server block: the zones that it serves and what is done with their queries.
        #[serde_as]
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct ServerBlock {
            /// Zones with scheme and port, as in `dns://example.org:53`; prefixes stand for their reverse zones. Never empty.
            #[serde_as(as = "Expanded")]
            #[serde(rename = "zones")]
            pub keys: Vec<ServerKey>,
            $(
                #[doc = concat!("The directive [`directive::", stringify!($directive), "`].")]
                $(#[$attribute])*
                #[serde(default, skip_serializing_if = "is_default")]
                pub $field: <directive::$directive as Directive>::Values,
            )*
        }

        /// What is known of each directive, in the order of the alphabet.
        pub const REFERENCES: &[Reference] = &[$(<directive::$directive as Directive>::REFERENCE),*];

        impl ServerBlock {
            /// Reads the lines of a directive; None: there is none of that name.
            pub(super) fn lower(&mut self, name: &str, cursor: &mut Cursor<'_>) -> Option<Result<(), CorefileError>> {
                $(
                    if name == <directive::$directive as Directive>::REFERENCE.name {
                        let values = <directive::$directive as Directive>::lower(cursor);
                        return Some(values.map(|values| self.$field = values));
                    }
                )*
                None
            }

            /// The names of the directives that are in it, in the order of the alphabet.
            pub fn directives(&self) -> Vec<&'static str> {
                let present = [$(!is_default(&self.$field)),*];
                REFERENCES.iter().zip(present).filter_map(|(known, is_present)| is_present.then_some(known.name)).collect()
            }

            fn write_directives(&self, corefile: &mut Writer) {
                $(
                    corefile.begin(<directive::$directive as Directive>::REFERENCE.name);
                    <directive::$directive as Directive>::write(&self.$field, corefile);
                )*
            }
        }
    };
}

directives! {
    acl: Acl,
    any: Any,
    auto: Auto,
    autopath: Autopath,
    bind: Bind,
    bufsize: Bufsize,
    cache: Cache,
    cancel: Cancel,
    chaos: Chaos,
    debug: Debug,
    dns64: Dns64,
    errors: Errors,
    file: File,
    forward: Forward,
    header: Header,
    health: Health,
    hosts: Hosts,
    k8s_external: K8sExternal,
    kubernetes: Kubernetes,
    loadbalance: LoadBalance,
    local: Local,
    log: LogRule,
    #[serde(rename = "loop")]
    loop_detection: Loop,
    metadata: Metadata,
    minimal: Minimal,
    multisocket: Multisocket,
    nsid: Nsid,
    pprof: Pprof,
    prometheus: Prometheus,
    ready: Ready,
    reload: Reload,
    rewrite: Rewrite,
    root: Root,
    template: Template,
    timeouts: Timeouts,
    tls: Tls,
    transfer: Transfer,
    view: View,
    whoami: Whoami,
}

impl ServerBlock {
    /// Where a file of the configuration is: a relative one is below `root`.
    pub fn path(&self, file: &Path) -> PathBuf {
        self.root.as_deref().unwrap_or(Path::new("")).join(file)
    }

    fn write(&self, corefile: &mut Writer) {
        corefile.begin("");
        corefile.block(self.keys.iter().map(Text::text), |corefile| self.write_directives(corefile));
    }
}

/// A zone with the scheme and port that it is served on, as in `dns://example.org:53`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey {
    /// How queries come.
    pub scheme: Scheme,
    /// The zone, in lower case.
    pub zone: Name,
    /// The port; None where the file names none: the default of the scheme or of `-dns.port`.
    pub port: Option<u16>,
}

impl Text for ServerKey {
    const WHAT: &'static str = "a zone such as example.org, .:53 or dns://example.org:53";

    fn read(text: &str) -> Option<Self> {
        Self::expand(text)?.into_iter().next()
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Expand for ServerKey {
    fn expand(text: &str) -> Option<Vec<Self>> {
        parse_keys(text).ok()
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = name_text(&self.zone);
        // A zone that looks like a scheme itself has one in front.
        if self.scheme != Scheme::default() || zone.contains("://") {
            write!(f, "{}://", self.scheme.as_str())?;
        }
        f.write_str(&zone)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// How queries come to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Plain DNS over UDP and TCP.
    #[default]
    Dns,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

impl Scheme {
    /// The word before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Dns => "dns",
            Scheme::Tls => "tls",
            Scheme::Https => "https",
            Scheme::Quic => "quic",
        }
    }

    /// The port of a key that names none, where `dns` is that of plain DNS.
    pub fn port(self, dns: u16) -> u16 {
        match self {
            Scheme::Dns => dns,
            Scheme::Tls | Scheme::Quic => 853,
            Scheme::Https => 443,
        }
    }
}
