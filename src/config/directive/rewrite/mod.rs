//! `rewrite [continue|stop] RULE...`: other questions in place of those that clients ask, and answers to match.

mod lower;
mod write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::AsText;
use crate::dns::{Class, RecordType, ResponseCode};

/// A rule, and what happens to the rules behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// What follows where the rule applies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub then: Then,
    /// The rule.
    pub rule: RewriteRule,
}

/// What follows a rule that applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// No other rule.
    #[default]
    Stop,
    /// The next rule, with the question as it is now.
    Continue,
}

/// What is changed.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RewriteRule {
    /// The name of the question, and names in the answer.
    Name(NameRule),
    /// The class of the question.
    Class {
        /// Questions of this class.
        #[serde_as(as = "AsText")]
        from: Class,
        /// Are asked with this one.
        #[serde_as(as = "AsText")]
        to: Class,
    },
    /// The type of the question.
    Type {
        /// Questions of this type.
        #[serde_as(as = "AsText")]
        from: RecordType,
        /// Are asked with this one.
        #[serde_as(as = "AsText")]
        to: RecordType,
    },
    /// The TTLs of an answer, in seconds: those below `min` become `min`, those above `max` become `max`.
    Ttl {
        /// For these names.
        name: Matching,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// The response code of an answer.
    Rcode {
        /// For these names.
        name: Matching,
        /// This code.
        #[serde_as(as = "AsText")]
        from: ResponseCode,
        /// Becomes this one.
        #[serde_as(as = "AsText")]
        to: ResponseCode,
    },
    /// The target of an alias in the answer; what is behind it is looked up anew.
    Cname {
        /// Targets like this.
        target: Matching,
        /// Become this, with groups such as `{1}` for a pattern.
        to: String,
    },
    /// An option of EDNS towards other servers.
    Edns0 {
        /// What is done with it.
        action: OptionAction,
        /// The option.
        option: OptionRule,
    },
}

/// Another name for names like this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameRule {
    /// Names like this, in lower case with the final dot.
    pub name: Matching,
    /// Become this one; in place of the part that matches, or with groups such as `{1}` for a pattern.
    pub to: String,
    /// The answer has the name that was asked for (`answer auto`); always for `exact`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auto: bool,
    /// Changes of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswerRule>,
}

/// Which names are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// This one.
    Exact(String),
    /// Those that begin so.
    Prefix(String),
    /// Those that end so.
    Suffix(String),
    /// Those that this is in.
    Substring(String),
    /// Those that a regular expression matches anywhere.
    Regex(String),
}

/// A change of names in an answer: what a pattern matches becomes a text with groups such as `{1}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerRule {
    /// The owners of records.
    Name {
        /// A regular expression.
        from: String,
        /// The name.
        to: String,
    },
    /// The names that records speak of (CNAME, DNAME, MX, NAPTR, NS, PTR, SOA, SRV).
    Value {
        /// A regular expression.
        from: String,
        /// The name.
        to: String,
    },
}

/// What is done with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptionAction {
    /// It is changed if it is there, and added if not.
    Set,
    /// It is added if it is not there.
    Append,
    /// It is changed if it is there.
    Replace,
    /// It is taken away.
    Unset,
}

/// An option of EDNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OptionRule {
    /// One of a code of one's own.
    Local {
        /// The code.
        code: u16,
        /// A text, octets as in `0x61626364`, or a variable such as `{client_ip}`.
        #[serde(default)]
        data: String,
    },
    /// NSID (RFC 5001), asked of the other server.
    Nsid,
    /// The client's subnet (RFC 7871).
    Subnet {
        /// How many bits of an IPv4 address are told.
        #[serde(default)]
        v4_bits: u8,
        /// How many bits of an IPv6 address are told.
        #[serde(default)]
        v6_bits: u8,
    },
}

impl Rewrite {
    /// Whether no rule behind this one is ever tried.
    fn always_stops(&self) -> bool {
        let applies_always = match &self.rule {
            RewriteRule::Cname { .. } | RewriteRule::Edns0 { action: OptionAction::Unset, .. } => true,
            // A label of `metadata` may not be there.
            RewriteRule::Edns0 { action: OptionAction::Set, option: OptionRule::Local { data, .. } } => {
                !data.contains('/')
            }
            RewriteRule::Edns0 { action, .. } => *action == OptionAction::Set,
            RewriteRule::Name(_)
            | RewriteRule::Class { .. }
            | RewriteRule::Type { .. }
            | RewriteRule::Ttl { .. }
            | RewriteRule::Rcode { .. } => false,
        };
        applies_always && self.then == Then::Stop
    }
}

impl Directive for Rewrite {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "rewrite",
        syntax: "rewrite [continue|stop] RULE...",
        summary: "Asks another question in place of the client's, and changes the answer to match. Repeatable; rules are tried in their order, and the first that \
                  applies is the last but for `continue`; `cname`, and `edns0` with `set` or `unset`, apply to every question. A rule may stand in braces, a part on each line. MATCH is `exact` (the default), `prefix`, `suffix`, \
                  `substring` or `regex`; names are compared in lower case with their final dot, which `prefix` and `substring` have, too, as in CoreDNS. \
                  The client always gets its own question back; cache and everything behind see the new one, `log` and `errors` the client's.",
        options: &[
            Opt {
                syntax: "name [MATCH] FROM TO [answer auto] [answer name REGEX TO] [answer value REGEX TO]...",
                meaning: "another name; owners in the answer are changed back for `exact` and with `auto`, others by `answer` rules",
                default: "",
            },
            Opt { syntax: "class FROM TO", meaning: "another class", default: "" },
            Opt { syntax: "type FROM TO", meaning: "another type", default: "" },
            Opt {
                syntax: "ttl [MATCH] NAME SECONDS|MIN-MAX|-MAX|MIN-",
                meaning: "TTLs of the answer within these bounds",
                default: "",
            },
            Opt { syntax: "rcode [MATCH] NAME FROM TO", meaning: "another response code", default: "" },
            Opt {
                syntax: "cname [MATCH] TARGET TO",
                meaning: "another target for the first such alias in the answer, looked up anew",
                default: "",
            },
            Opt {
                syntax: "edns0 local|nsid|subnet set|append|replace|unset [VALUE...] [revert]",
                meaning: "options towards other servers: `local CODE DATA` (text, 0xHEX, `{qname}` `{qtype}` `{client_ip}` `{client_port}` `{protocol}` \
                          `{server_ip}` `{server_port}` or a label of `metadata` in braces; 512 octets at most), `nsid`, `subnet V4BITS V6BITS`. `replace` needs an \
                          option that the client or a rule has set. The client never sees them, with `revert` or without; `cache` keeps answers to \
                          other options apart",
                default: "",
            },
        ],
        example: "rewrite stop {\n    name regex (.*)\\.ext\\.example {1}.default.svc.cluster.local\n    answer name (.*)\\.default\\.svc\\.cluster\\.local {1}.ext.example\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut rules: Vec<Self> = Vec::new();
        while cursor.advance() {
            let rule = lower::rule(cursor)?;
            if rules.last().is_some_and(Self::always_stops) {
                cursor.warn(
                    "never applies: the rule before it applies to every question; make that `rewrite continue …`",
                );
            }
            rules.push(rule);
        }
        Ok(rules)
    }

    fn write(rules: &Vec<Self>, corefile: &mut Writer) {
        rules.iter().for_each(|rule| corefile.line(write::words(rule)));
    }
}
