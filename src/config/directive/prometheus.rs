//! `prometheus [ADDRESS]`: metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The metrics page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { address: "localhost:9153".to_owned() }
    }
}

impl Directive for Prometheus {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "prometheus",
        syntax: "prometheus [ADDRESS] { ... }",
        summary: "`/metrics`, `localhost:9153` by default. Names, labels and buckets are CoreDNS's; what is ours begins with `landfall_`.",
        options: &[Opt {
            syntax: "runtime_metrics",
            meaning: "left out with a warning: there is no Go runtime",
            default: "",
        }],
        example: "prometheus :9153",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let mut prometheus = Self::default();
        match cursor.arguments().as_slice() {
            [] => {}
            [address] => prometheus.address = super::lower_address(cursor, address)?,
            _ => return Err(cursor.error("takes one address")),
        }
        while cursor.next_option() {
            match cursor.word() {
                "runtime_metrics" => {
                    cursor.no_argument()?;
                    cursor.warn("runtime_metrics is left out: there is no Go runtime");
                }
                "tls" => return Err(cursor.error("tls is not built yet")),
                _ => return Err(cursor.unknown::<Self>()),
            }
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(prometheus)),
        }
    }

    fn write(prometheus: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { address }) = prometheus {
            corefile.line(["prometheus", address]);
        }
    }
}
