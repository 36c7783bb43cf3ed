//! `header { query|response set|clear FLAGS... }`: flags of the header.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// Flags that are set or cleared; None: left as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Header {
    /// RD of the question, as other servers get it.
    #[serde(skip_serializing_if = "is_default")]
    pub query_rd: Option<bool>,
    /// AA of the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub response_aa: Option<bool>,
    /// RA of the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub response_ra: Option<bool>,
    /// RD of the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub response_rd: Option<bool>,
}

impl Directive for Header {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "header",
        syntax: "header { ... }",
        summary: "Sets and clears flags of the header; the last line about a flag counts.",
        options: &[
            Opt {
                syntax: "query set|clear rd",
                meaning: "of the question, as other servers get it",
                default: "as it came",
            },
            Opt { syntax: "response set|clear aa|ra|rd...", meaning: "of the answer", default: "as it is" },
        ],
        example: "header {\n    query set rd\n    response set ra aa\n    response clear rd\n}",
    };

    /// Lines behind the first one with rules have no meaning, in CoreDNS, too.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut header = Self::default();
        while cursor.advance() {
            let mut has_rules = false;
            while cursor.next_option() {
                header.lower_option(cursor)?;
                has_rules = true;
            }
            if has_rules {
                cursor.leave_out_rest();
                return Ok(Some(header));
            }
        }
        Err(cursor.error("takes rules in a block, e.g. `response set ra`"))
    }

    fn write(header: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { query_rd, response_aa, response_ra, response_rd }) = header else { return };
        let flags = [
            ("query", "rd", query_rd),
            ("response", "aa", response_aa),
            ("response", "ra", response_ra),
            ("response", "rd", response_rd),
        ];
        // Without any rule a line could not be read again; AA of a question says nothing.
        let has_rules = flags.iter().any(|(.., state)| state.is_some());
        corefile.block(["header"], |options| {
            for (selector, flag, state) in flags {
                if let Some(state) = state {
                    options.line([selector, if *state { "set" } else { "clear" }, flag]);
                }
            }
            if !has_rules {
                options.line(["query", "clear", "aa"]);
            }
        });
    }
}

impl Header {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let selector = cursor.word().to_ascii_lowercase();
        if !["query", "response"].contains(&selector.as_str()) {
            return Err(cursor.unknown::<Self>());
        }
        let arguments = cursor.arguments();
        let (state, flags) = match arguments.split_first() {
            Some((action, flags)) if action.eq_ignore_ascii_case("set") => (true, flags),
            Some((action, flags)) if action.eq_ignore_ascii_case("clear") => (false, flags),
            _ => return Err(cursor.error(format!("{selector} takes set or clear, and flags: aa, ra, rd"))),
        };
        if flags.is_empty() {
            return Err(cursor.error(format!("{selector} takes at least one flag: aa, ra, rd")));
        }
        for flag in flags {
            let place = match (selector.as_str(), flag.to_ascii_lowercase().as_str()) {
                ("query", "rd") => &mut self.query_rd,
                ("response", "aa") => &mut self.response_aa,
                ("response", "ra") => &mut self.response_ra,
                ("response", "rd") => &mut self.response_rd,
                ("query", "aa" | "ra") => {
                    cursor.warn(format!("query {flag} has no effect: nobody looks at it in a question"));
                    continue;
                }
                _ => return Err(cursor.error(format!("unknown flag {flag:?}; there are aa, ra and rd"))),
            };
            *place = Some(state);
        }
        Ok(())
    }
}
