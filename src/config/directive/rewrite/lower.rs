//! The words of a rule to the rule.

use super::{AnswerRule, Matching, NameRule, OptionAction, OptionRule, Rewrite, RewriteRule, Then};
use crate::config::corefile::{CorefileError, Cursor};
use crate::config::directive::pattern::{groups, lower_pattern};
use crate::config::text::Text;
use crate::dns::{Class, RecordType, ResponseCode, parse_name};

/// The variables of `edns0 local`; labels of `metadata` have a slash in them.
const VARIABLES: [&str; 7] = ["qname", "qtype", "client_ip", "client_port", "protocol", "server_ip", "server_port"];

/// Octets of an option, at most: the question is to fit into one packet.
const DATA_OCTETS_MAX: usize = 512;

/// One `rewrite` line; where it has less than two words, those of its block follow.
pub fn rule(cursor: &mut Cursor<'_>) -> Result<Rewrite, CorefileError> {
    if cursor.word() == "{" {
        return Err(cursor.error("the rule before '{' is complete; put all of it between the braces, or none"));
    }
    let mut words = cursor.arguments();
    if words.len() < 2 {
        while cursor.next_option() {
            words.push(cursor.word().to_owned());
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (then, words) = match words.split_first() {
        Some((word, rest)) if word.eq_ignore_ascii_case("continue") => (Then::Continue, rest),
        Some((word, rest)) if word.eq_ignore_ascii_case("stop") => (Then::Stop, rest),
        _ => (Then::Stop, words.as_slice()),
    };
    let Some((kind, arguments)) = words.split_first() else {
        return Err(cursor.error("takes a rule, e.g. `rewrite name old.example new.example`"));
    };
    let rule = match kind.to_ascii_lowercase().as_str() {
        "name" => RewriteRule::Name(name_rule(cursor, arguments)?),
        "class" => {
            let [from, to] = pair::<Class>(cursor, arguments)?;
            RewriteRule::Class { from, to }
        }
        "type" => {
            let [from, to] = pair::<RecordType>(cursor, arguments)?;
            RewriteRule::Type { from, to }
        }
        "ttl" => ttl_rule(cursor, arguments)?,
        "rcode" => code_rule(cursor, arguments)?,
        "cname" => alias_rule(cursor, arguments)?,
        "edns0" => option_rule(cursor, arguments)?,
        "answer" => {
            return Err(cursor.error("response rewrites must begin with a name rule; put `answer …` behind `name …`"));
        }
        other => {
            return Err(cursor.error(format!(
                "invalid rule type {other:?}; there are name, class, type, ttl, rcode, cname and edns0"
            )));
        }
    };
    Ok(Rewrite { then, rule })
}

/// `FROM TO`, in any letter case.
fn pair<T: Text>(cursor: &Cursor<'_>, arguments: &[&str]) -> Result<[T; 2], CorefileError> {
    let [from, to] = arguments else {
        return Err(cursor.error("class and type rules take exactly two values: FROM TO"));
    };
    let read = |text: &str| {
        T::read(&text.to_ascii_uppercase())
            .ok_or_else(|| cursor.error(format!("{} is expected, not {text:?}", T::WHAT)))
    };
    Ok([read(from)?, read(to)?])
}

fn name_rule(cursor: &mut Cursor<'_>, arguments: &[&str]) -> Result<NameRule, CorefileError> {
    let (kind, from, to, rest) = match arguments {
        [from, to] => ("exact", *from, *to, &[][..]),
        [kind, from, to, rest @ ..] => (*kind, *from, *to, rest),
        _ => {
            return Err(cursor
                .error("name takes FROM and TO, e.g. `rewrite name suffix .old.example .new.example answer auto`"));
        }
    };
    let name = matching(cursor, kind, from)?;
    let to = normal(to);
    if matches!(name, Matching::Exact(_)) && parse_name(&to).is_err() {
        cursor.warn(format!("{to:?} is no domain name: each question that this applies to is SERVFAIL"));
    }
    match &name {
        // CoreDNS reads the new name of an exact rule as a pattern, too, and refuses what is none.
        Matching::Exact(from) => {
            check_groups(cursor, &lower_pattern(cursor, &to)?, from)?;
        }
        Matching::Regex(pattern) => check_groups(cursor, pattern, &to)?,
        Matching::Prefix(_) | Matching::Suffix(_) | Matching::Substring(_) => {}
    }
    let (auto, answers) = answer_rules(cursor, rest)?;
    let auto = auto || matches!(name, Matching::Exact(_));
    Ok(NameRule { name, to, auto, answers })
}

/// `MATCH TEXT`; texts are names in lower case with their final dot, patterns are not touched.
fn matching(cursor: &mut Cursor<'_>, kind: &str, text: &str) -> Result<Matching, CorefileError> {
    let kind = kind.to_ascii_lowercase();
    if matches!(&*kind, "prefix" | "substring") && !text.ends_with('.') {
        cursor.warn(format!("{text:?} is read as {:?}, as in CoreDNS: it matches whole labels only", normal(text)));
    }
    Ok(match &*kind {
        "exact" => Matching::Exact(normal(text)),
        "prefix" => Matching::Prefix(normal(text)),
        "suffix" => Matching::Suffix(normal(text)),
        "substring" => Matching::Substring(normal(text)),
        "regex" => Matching::Regex(lower_pattern(cursor, text)?),
        _ => {
            return Err(cursor.error(format!(
                "names are matched by exact, prefix, suffix, substring or regex, not by {kind:?}; each rule takes a `rewrite` of its own"
            )));
        }
    })
}

/// As CoreDNS compares names: in lower case, with the final dot.
fn normal(text: &str) -> String {
    let dot = if text.ends_with('.') { "" } else { "." };
    format!("{}{dot}", text.to_lowercase())
}

/// A text may use as many groups as the pattern has.
fn check_groups(cursor: &Cursor<'_>, pattern: &str, to: &str) -> Result<(), CorefileError> {
    let used = (0..=100).filter(|group| to.contains(&format!("{{{group}}}"))).count();
    let there = groups(pattern);
    match used > there {
        true => Err(cursor.error(format!(
            "{to:?} uses {used} groups, but {pattern:?} has only {there}; a group is put in parentheses"
        ))),
        false => Ok(()),
    }
}

/// `answer auto`, `answer name FROM TO`, `answer value FROM TO`; the word `answer` may be left out but for the first.
fn answer_rules(cursor: &Cursor<'_>, arguments: &[&str]) -> Result<(bool, Vec<AnswerRule>), CorefileError> {
    let expected = "behind the names stands `answer auto`, `answer name REGEX TO` or `answer value REGEX TO`";
    let (mut auto, mut rules, mut rest) = (false, Vec::new(), arguments);
    if rest.first().is_some_and(|first| *first != "answer") {
        return Err(cursor.error(format!("{expected}, not {:?}", rest.first().unwrap_or(&""))));
    }
    while !rest.is_empty() {
        rest = rest.strip_prefix(&["answer"]).unwrap_or(rest);
        let lower = |from: &str, to: &str| -> Result<(String, String), CorefileError> {
            let (from, to) = (lower_pattern(cursor, from)?, normal(to));
            check_groups(cursor, &from, &to)?;
            Ok((from, to))
        };
        rest = match rest {
            ["auto", rest @ ..] => {
                auto = true;
                rest
            }
            // CoreDNS's own example says so; `auto` alone is what it reads.
            ["name", from, to, rest @ ..] => {
                let (from, to) = lower(from, to)?;
                rules.push(AnswerRule::Name { from, to });
                rest
            }
            ["value", from, to, rest @ ..] => {
                let (from, to) = lower(from, to)?;
                rules.push(AnswerRule::Value { from, to });
                rest
            }
            ["name" | "value", ..] => {
                return Err(cursor.error("answer name and answer value take a pattern and a name"));
            }
            _ => return Err(cursor.error(expected)),
        };
    }
    let has_names = rules.iter().any(|rule| matches!(rule, AnswerRule::Name { .. }));
    match auto && has_names {
        true => Err(cursor.error("answer auto and answer name exclude each other; keep one of them")),
        false => Ok((auto, rules)),
    }
}

/// The optional match of `ttl`, `rcode` and `cname`, and the `count` words behind the name.
fn split<'a>(
    cursor: &Cursor<'_>,
    arguments: &[&'a str],
    count: usize,
    expected: &str,
) -> Result<(&'a str, &'a str, Vec<&'a str>), CorefileError> {
    let (kind, rest) = match arguments.len().checked_sub(count) {
        Some(1) => ("exact", arguments),
        Some(2) => (arguments.first().copied().unwrap_or_default(), arguments.get(1..).unwrap_or_default()),
        _ => return Err(cursor.error(format!("takes {expected}"))),
    };
    let (name, values) = rest.split_first().map_or(("", &[][..]), |(name, values)| (*name, values));
    Ok((kind, name, values.to_vec()))
}

fn ttl_rule(cursor: &mut Cursor<'_>, arguments: &[&str]) -> Result<RewriteRule, CorefileError> {
    let (kind, name, values) = split(cursor, arguments, 1, "ttl [MATCH] NAME SECONDS or MIN-MAX")?;
    let text = values.first().copied().unwrap_or_default();
    let invalid = || cursor.error(format!("a TTL is a number of seconds, MIN-MAX, -MAX or MIN-, not {text:?}"));
    let number = |text: &str| digits(text, 10).and_then(|number| u32::try_from(number).ok()).ok_or_else(invalid);
    let (min, max) = match text.split_once('-') {
        None => (number(text)?, number(text)?),
        Some(("", "")) => return Err(invalid()),
        Some(("", max)) => (0, number(max)?),
        // RFC 2181 section 8
        Some((min, "")) => (number(min)?, i32::MAX as u32),
        Some((min, max)) => (number(min)?, number(max)?),
    };
    match min <= max {
        true => Ok(RewriteRule::Ttl { name: matching(cursor, kind, name)?, min, max }),
        false => Err(invalid()),
    }
}

fn code_rule(cursor: &mut Cursor<'_>, arguments: &[&str]) -> Result<RewriteRule, CorefileError> {
    let (kind, name, values) = split(cursor, arguments, 2, "rcode [MATCH] NAME FROM TO")?;
    let name = matching(cursor, kind, name)?;
    let code = |text: &str| {
        let number = digits(text, 10).and_then(|number| u8::try_from(number).ok()).filter(|number| *number <= 23);
        let number = number.map(|number| ResponseCode::from(number >> 4, number & 0xf));
        let code = number.or_else(|| ResponseCode::read(&text.to_ascii_uppercase()));
        code.ok_or_else(|| cursor.error(format!("{} or its number is expected, not {text:?}", ResponseCode::WHAT)))
    };
    let [from, to] = values.as_slice() else { return Err(cursor.error("rcode takes [MATCH] NAME FROM TO")) };
    Ok(RewriteRule::Rcode { name, from: code(from)?, to: code(to)? })
}

/// As in CoreDNS, `prefix` and `substring` have no dot added here. Unlike there, a suffix without its final dot is what is meant:
/// CoreDNS never finds it.
fn alias_rule(cursor: &mut Cursor<'_>, arguments: &[&str]) -> Result<RewriteRule, CorefileError> {
    let (kind, target, values) = split(cursor, arguments, 1, "cname [MATCH] TARGET TO")?;
    let to = values.first().copied().unwrap_or_default().to_lowercase();
    Ok(match kind.to_ascii_lowercase().as_str() {
        "prefix" => RewriteRule::Cname { target: Matching::Prefix(target.to_lowercase()), to },
        "substring" => RewriteRule::Cname { target: Matching::Substring(target.to_lowercase()), to },
        "regex" => RewriteRule::Cname { target: matching(cursor, kind, target)?, to },
        _ => RewriteRule::Cname { target: matching(cursor, kind, target)?, to: normal(&to) },
    })
}

/// `local|nsid|subnet set|append|replace|unset [VALUES...] [revert]`
fn option_rule(cursor: &Cursor<'_>, arguments: &[&str]) -> Result<RewriteRule, CorefileError> {
    let [kind, action, values @ ..] = arguments else {
        return Err(cursor.error("edns0 takes local, nsid or subnet, and set, append, replace or unset"));
    };
    let action = match action.to_ascii_lowercase().as_str() {
        "set" => OptionAction::Set,
        "append" => OptionAction::Append,
        "replace" => OptionAction::Replace,
        "unset" => OptionAction::Unset,
        other => return Err(cursor.error(format!("an option is set, appended, replaced or unset, not {other:?}"))),
    };
    let is_unset = action == OptionAction::Unset;
    let values = if is_unset { values } else { values.strip_suffix(&["revert"]).unwrap_or(values) };
    let option = match (kind.to_ascii_lowercase().as_str(), values) {
        ("local", [code]) if is_unset => OptionRule::Local { code: option_code(cursor, code)?, data: String::new() },
        ("local", [code, data]) if !is_unset => {
            OptionRule::Local { code: option_code(cursor, code)?, data: option_data(cursor, data)? }
        }
        ("nsid", []) => OptionRule::Nsid,
        ("subnet", []) if is_unset => OptionRule::Subnet { v4_bits: 0, v6_bits: 0 },
        ("subnet", [v4, v6]) if !is_unset => {
            OptionRule::Subnet { v4_bits: subnet_bits(cursor, v4, 32)?, v6_bits: subnet_bits(cursor, v6, 128)? }
        }
        ("local", _) => return Err(cursor.error("edns0 local takes a code and its data; unset takes the code alone")),
        ("nsid", _) => return Err(cursor.error("edns0 nsid takes nothing behind its action")),
        ("subnet", _) => {
            return Err(cursor.error("edns0 subnet takes the lengths for IPv4 and IPv6; unset takes nothing"));
        }
        (other, _) => {
            return Err(cursor.error(format!("invalid rule type {other:?}; there are local, nsid and subnet")));
        }
    };
    Ok(RewriteRule::Edns0 { action, option })
}

/// The digits of a number; no sign.
fn digits(text: &str, radix: u32) -> Option<u64> {
    (!text.starts_with('+')).then(|| u64::from_str_radix(text, radix).ok())?
}

/// A number as Go writes it: decimal, or with 0x, 0o, 0b or 0 before it.
fn go_number(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    match (lower.get(..2), lower.get(2..)) {
        (Some("0x"), Some(rest)) => digits(rest, 16),
        (Some("0o"), Some(rest)) => digits(rest, 8),
        (Some("0b"), Some(rest)) => digits(rest, 2),
        _ => digits(&lower, if lower.starts_with('0') { 8 } else { 10 }),
    }
}

fn option_code(cursor: &Cursor<'_>, text: &str) -> Result<u16, CorefileError> {
    let number = go_number(text).and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| cursor.error(format!("the code of an option is a number such as 0xffee, not {text:?}")))
}

fn subnet_bits(cursor: &Cursor<'_>, text: &str, most: u8) -> Result<u8, CorefileError> {
    let number = go_number(text).and_then(|number| u8::try_from(number).ok()).filter(|number| *number <= most);
    number.ok_or_else(|| cursor.error(format!("the length of a subnet is a number from 0 to {most}, not {text:?}")))
}

fn option_data(cursor: &Cursor<'_>, text: &str) -> Result<String, CorefileError> {
    if let Some(variable) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let is_label = variable.split_once('/').is_some_and(|(plugin, label)| !plugin.is_empty() && !label.is_empty());
        return match is_label || VARIABLES.contains(&variable) {
            true => Ok(text.to_owned()),
            false => Err(cursor.error(format!(
                "unsupported variable name {text:?}; there are {{{}}}, and labels such as {{a/b}}",
                VARIABLES.join("} {")
            ))),
        };
    }
    let octets = match text.strip_prefix("0x") {
        None => Some(text.len()),
        Some(hex) if hex.len().is_multiple_of(2) && hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Some(hex.len() / 2)
        }
        Some(_) => None,
    };
    match octets {
        Some(octets) if octets <= DATA_OCTETS_MAX => Ok(text.to_owned()),
        Some(octets) => Err(cursor.error(format!("an option has at most {DATA_OCTETS_MAX} octets, not {octets}"))),
        None => Err(cursor.error(format!("behind 0x stand pairs of hexadecimal digits, not {text:?}"))),
    }
}
