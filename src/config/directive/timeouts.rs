//! `timeouts { ... }`: how long a listener waits for clients of streams.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// How long a listener waits for clients of streams; None: as long as this server does.
#[serde_as]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For the rest of a message.
    #[serde_as(as = "Option<AsText>")]
    #[serde(skip_serializing_if = "is_default")]
    pub read: Option<Duration>,
    /// For a client that does not read.
    #[serde_as(as = "Option<AsText>")]
    #[serde(skip_serializing_if = "is_default")]
    pub write: Option<Duration>,
    /// For the next query.
    #[serde_as(as = "Option<AsText>")]
    #[serde(skip_serializing_if = "is_default")]
    pub idle: Option<Duration>,
    /// Queries that one connection may bring; None: any number.
    #[serde(skip_serializing_if = "is_default")]
    pub maxtcpqueries: Option<u32>,
}

impl Directive for Timeouts {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "timeouts",
        syntax: "timeouts { ... }",
        summary: "How long listeners wait for clients over TCP, TLS, HTTPS and QUIC, 1s to 24h; a number without a unit is seconds. Of the blocks of one listener, the \
                  first that says it counts.",
        options: &[
            Opt { syntax: "read DURATION", meaning: "for the rest of a message, and for a handshake", default: "5s" },
            Opt { syntax: "write DURATION", meaning: "for a client that does not read", default: "5s" },
            Opt { syntax: "idle DURATION", meaning: "for the next query", default: "10s" },
            Opt {
                syntax: "maxtcpqueries N",
                meaning: "queries that one connection over TCP or TLS may bring; -1: any number",
                default: "any number",
            },
        ],
        example: "timeouts {\n    read 3s\n    idle 30s\n    maxtcpqueries 1000\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut timeouts = Self::default();
        while cursor.advance() {
            if !cursor.arguments().is_empty() {
                return Err(cursor.error(
                    "takes its values in a block, each on a line of its own: read, write, idle, maxtcpqueries",
                ));
            }
            let mut is_empty = true;
            while cursor.next_option() {
                timeouts.lower_option(cursor)?;
                is_empty = false;
            }
            if is_empty {
                return Err(cursor.error("is empty; it takes read, write, idle and maxtcpqueries"));
            }
        }
        Ok(Some(timeouts))
    }

    fn write(timeouts: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { read, write, idle, maxtcpqueries }) = timeouts else { return };
        corefile.block(["timeouts"], |options| {
            for (name, time) in [("read", read), ("write", write), ("idle", idle)] {
                if let Some(time) = time {
                    options.line([name, &time.text()]);
                }
            }
            if let Some(queries) = maxtcpqueries {
                options.line(["maxtcpqueries", &queries.to_string()]);
            }
        });
    }
}

impl Timeouts {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word() {
            "read" => self.read = Some(lower_time(cursor)?),
            "write" => self.write = Some(lower_time(cursor)?),
            "idle" => self.idle = Some(lower_time(cursor)?),
            "maxtcpqueries" => {
                let text = cursor.one_argument("a number, or -1")?;
                self.maxtcpqueries = match text.as_str() {
                    "-1" => None,
                    text => Some(cursor.number(text, "maxtcpqueries", 1..=u32::MAX)?),
                };
            }
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }
}

/// 1s to 24h; a bare number is seconds.
fn lower_time(cursor: &mut Cursor<'_>) -> Result<Duration, CorefileError> {
    let option = cursor.word().to_owned();
    let text = cursor.one_argument("a duration")?;
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => cursor.duration(&text, &option)?,
    };
    match (Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(&time) {
        true => Ok(time),
        false => Err(cursor.error(format!("{option} is from 1s to 24h, not {text}"))),
    }
}
