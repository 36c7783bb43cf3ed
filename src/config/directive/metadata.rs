//! `metadata [ZONES...]`: labels of queries for the log, views and templates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{Expanded, Text};
use crate::dns::Name;

/// For which queries labels are collected.
#[serde_as]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metadata {
    /// Names at or below these zones.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
}

impl Directive for Metadata {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "metadata",
        syntax: "metadata [ZONES...]",
        summary: "Collects labels of each query, for `{/LABEL}` in `log`, `metadata('LABEL')` in `view` and `.Meta \"LABEL\"` in `template`: `view/name`, \
                  `kubernetes/port-name`, `kubernetes/protocol`, `kubernetes/endpoint`, `kubernetes/service`, `kubernetes/namespace`, `kubernetes/kind` and \
                  `kubernetes/parse-error` of the name that is asked for; `kubernetes/client-namespace`, `kubernetes/client-pod-name` and \
                  `kubernetes/client-label/KEY` with `pods verified`; `forward/upstream` once a server was asked; `log/type` and `log/class` in `log`.",
        options: &[],
        example: "metadata cluster.local",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let arguments = cursor.arguments();
        let zones = cursor.zones(&arguments);
        if cursor.next_option() {
            return Err(cursor.error(format!("unknown property {:?}; it takes no block", cursor.word())));
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            // Without any zone that is one, it is for no name; a warning says so.
            false => Ok((!zones.is_empty()).then_some(Self { zones })),
        }
    }

    fn write(metadata: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { zones }) = metadata {
            corefile.line(std::iter::once("metadata".to_owned()).chain(zones.iter().map(Text::text)));
        }
    }
}
