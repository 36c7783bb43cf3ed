//! `k8s_external [ZONES...] { ... }`: names of Services for clients outside the cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Fallthrough, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{Expanded, Text};
use crate::dns::{Name, parse_name};

/// Under which zones Services are reached from outside.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct K8sExternal {
    /// The zones, in the order of the file; those of the server block if the line names none.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// The label below which the names of the zone's own server stand.
    pub apex: String,
    /// TTL of the answers in seconds, 0 to 3600.
    pub ttl: u32,
    /// Endpoints count where a Service has no address outside.
    #[serde(skip_serializing_if = "is_default")]
    pub headless: bool,
    /// Where names that do not exist go.
    #[serde(skip_serializing_if = "is_default")]
    pub fallthrough: Fallthrough,
}

impl Default for K8sExternal {
    fn default() -> Self {
        Self { zones: Vec::new(), apex: "dns".to_owned(), ttl: 5, headless: false, fallthrough: Fallthrough::default() }
    }
}

impl Directive for K8sExternal {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "k8s_external",
        syntax: "k8s_external [ZONES...] { ... }",
        summary: "Names of Services for clients outside the cluster: `SERVICE.NAMESPACE.ZONE` and `_PORT._PROTOCOL.SERVICE.NAMESPACE.ZONE` with `spec.externalIPs` and the \
                  addresses of the load balancer, or as an alias of its first name; PTR in reverse zones. Needs `kubernetes` in the same block, whose namespaces and \
                  labels count.",
        options: &[
            Opt {
                syntax: "apex LABEL",
                meaning: "SOA and NS name `ns1.LABEL.ZONE`, which has the addresses of the Services that this server is an endpoint of",
                default: "dns",
            },
            Opt { syntax: "ttl SECONDS", meaning: "0 to 3600", default: "5" },
            Opt {
                syntax: "headless",
                meaning: "Services without an address outside: the endpoints of headless ones, and `ENDPOINT.SERVICE.NAMESPACE.ZONE`",
                default: "",
            },
            Fallthrough::OPTION,
        ],
        example: "kubernetes cluster.local\nk8s_external example.org 2001:db8:29::/48 {\n    apex ns\n    ttl 30\n    headless\n    fallthrough\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut external = None;
        // As in CoreDNS, each line begins with what the one before it said.
        while cursor.advance() {
            let arguments = cursor.arguments();
            let before = external.unwrap_or_default();
            let mut next = Self { zones: cursor.zones(&arguments), ..before };
            while cursor.next_option() {
                next.lower_option(cursor)?;
            }
            external = Some(next);
        }
        // Without any zone that is one, it is for no name; a warning says so.
        Ok(external.filter(|external| !external.zones.is_empty()))
    }

    fn write(external: &Option<Self>, corefile: &mut Writer) {
        let Some(external) = external else { return };
        let zones = external.zones.iter().map(Text::text);
        corefile.block(std::iter::once("k8s_external".to_owned()).chain(zones), |options| {
            options.line(["apex", &external.apex]);
            options.line(["ttl", &external.ttl.to_string()]);
            if external.headless {
                options.line(["headless"]);
            }
            external.fallthrough.write(options);
        });
    }
}

impl K8sExternal {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word() {
            "apex" => {
                let apex = cursor.first_argument("a label")?;
                if parse_name(&apex).is_err() || apex.starts_with('.') {
                    return Err(cursor.error(format!("apex takes a label such as dns, not {apex:?}")));
                }
                self.apex = apex.trim_end_matches('.').to_ascii_lowercase();
            }
            "ttl" => {
                let text = cursor.first_argument("a number of seconds")?;
                self.ttl = cursor.number(&text, "ttl", 0..=3600)?;
            }
            "headless" => self.headless = true,
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor, &self.zones)?,
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }
}
