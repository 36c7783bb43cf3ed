//! `transfer [ZONES...] { ... }`: whole zones, for those who may have them.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::Name;

/// Who may have whole zones.
#[serde_as]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The zones; empty means those of the server block.
    #[serde_as(as = "Expanded")]
    #[serde(default)]
    pub zones: Vec<Name>,
    /// Who.
    #[serde_as(as = "Vec<AsText>")]
    pub to: Vec<TransferTo>,
    /// The address that they are notified from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<IpAddr>,
}

/// Who may have a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferTo {
    /// Everybody.
    Anybody,
    /// The server of this address, which is notified of changes on this port.
    Server(SocketAddr),
}

impl Text for TransferTo {
    const WHAT: &'static str = "* or an address such as 192.0.2.1 or [2001:db8::1]:5353";

    fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Anybody);
        }
        SocketAddr::read(text).map(Self::Server)
    }

    fn text(&self) -> String {
        match self {
            Self::Anybody => "*".to_owned(),
            Self::Server(address) => address.text(),
        }
    }
}

impl Directive for Transfer {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "transfer",
        syntax: "transfer [ZONES...] { ... }",
        summary: "Gives whole zones of `file`, `auto` and `kubernetes` (AXFR; IXFR as AXFR) over TCP, and notifies of changes of `file` and `auto`. Repeatable; \
                  of several that cover a zone, the one with the longest name counts. Everybody else is refused.",
        options: &[
            Opt { syntax: "to *|ADDRESS...", meaning: "who may have them; addresses are notified", default: "" },
            Opt { syntax: "source ADDRESS", meaning: "the address that notifies", default: "" },
        ],
        example: "transfer example.org {\n    to 192.0.2.1 [2001:db8::1]:5353\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut transfers = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let mut transfer = Self { zones: cursor.zones(&arguments), ..Self::default() };
            while cursor.next_option() {
                transfer.lower_option(cursor)?;
            }
            if transfer.to.is_empty() {
                return Err(cursor.error("'to' is required: who may have the zones, `to *` or `to ADDRESS...`"));
            }
            // Without any zone that is one, it is for no name; a warning says so.
            if !transfer.zones.is_empty() {
                transfers.push(transfer);
            }
        }
        Ok(transfers)
    }

    fn write(transfers: &Vec<Self>, corefile: &mut Writer) {
        for transfer in transfers {
            let head = std::iter::once("transfer".to_owned()).chain(transfer.zones.iter().map(Text::text));
            corefile.block(head, |options| {
                options.line(std::iter::once("to".to_owned()).chain(transfer.to.iter().map(Text::text)));
                if let Some(source) = transfer.source {
                    options.line(["source", &source.to_string()]);
                }
            });
        }
    }
}

impl Transfer {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word() {
            "to" => {
                let words = cursor.arguments();
                if words.is_empty() {
                    return Err(cursor.error("to takes * or addresses"));
                }
                for word in words {
                    let to = TransferTo::read(&word);
                    self.to
                        .push(to.ok_or_else(|| cursor.error(format!("to takes {}, not {word:?}", TransferTo::WHAT)))?);
                }
            }
            "source" => {
                let text = cursor.one_argument("an address")?;
                let source =
                    text.parse().map_err(|_| cursor.error(format!("source takes an address, not {text:?}")))?;
                self.source = Some(source);
            }
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }
}
