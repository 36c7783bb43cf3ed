//! `loadbalance [round_robin] { prefer CIDR... }`: the order of addresses in an answer.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// In which order addresses stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadBalance {
    /// Addresses in these prefixes come first, in the order of the prefixes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub prefer: Vec<IpNet>,
}

impl Directive for LoadBalance {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "loadbalance",
        syntax: "loadbalance [round_robin] { ... }",
        summary: "Addresses in random order; aliases stay in front.",
        options: &[Opt {
            syntax: "prefer PREFIX...",
            meaning: "addresses in these prefixes come first, in the order of the prefixes",
            default: "",
        }],
        example: "loadbalance round_robin {\n    prefer 10.0.0.0/8 fd00::/8\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut loadbalance = Self::default();
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => {}
                [policy] if policy == "round_robin" => {}
                [policy, ..] if policy == "weighted" => {
                    return Err(cursor.error("weighted is not built yet; use round_robin"));
                }
                other => return Err(cursor.error(format!("unknown policy {other:?}; use round_robin"))),
            }
            while cursor.next_option() {
                if cursor.word() != "prefer" {
                    return Err(cursor.unknown::<Self>());
                }
                for argument in cursor.arguments() {
                    let prefix = argument
                        .parse()
                        .map_err(|_| cursor.error(format!("prefer takes prefixes, not {argument:?}")))?;
                    loadbalance.prefer.push(prefix);
                }
            }
        }
        Ok(Some(loadbalance))
    }

    fn write(loadbalance: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { prefer }) = loadbalance else { return };
        corefile.block(["loadbalance"], |options| {
            if !prefer.is_empty() {
                options.line(std::iter::once("prefer".to_owned()).chain(prefer.iter().map(ToString::to_string)));
            }
        });
    }
}
