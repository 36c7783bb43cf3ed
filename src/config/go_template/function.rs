//! The functions of templates.

use std::cmp::Ordering;

use super::format::{joined, printed, printf};
use super::value::Value;
use crate::config::corefile::similar;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    And,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    ParseInt,
    Print,
    Printf,
    Println,
    Slice,
    UrlQuery,
}

use Function::*;

const FUNCTIONS: [(&str, Function); 19] = [
    ("and", And),
    ("eq", Eq),
    ("ge", Ge),
    ("gt", Gt),
    ("html", Html),
    ("index", Index),
    ("js", Js),
    ("le", Le),
    ("len", Len),
    ("lt", Lt),
    ("ne", Ne),
    ("not", Not),
    ("or", Or),
    ("parseInt", ParseInt),
    ("print", Print),
    ("printf", Printf),
    ("println", Println),
    ("slice", Slice),
    ("urlquery", UrlQuery),
];

type Called<'a> = Result<Value<'a>, String>;

impl Function {
    /// The function of a name; or what to do about it.
    pub fn of(name: &str) -> Result<Self, String> {
        let known = FUNCTIONS.map(|(known, _)| known);
        let found = FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
        found.ok_or_else(|| match similar(name, &known) {
            Some(meant) => format!("there is no function {name:?}; did you mean {meant}?"),
            None => format!(
                "there is no function {name:?}; a text stands in quotes, and the functions are {}",
                known.join(", ")
            ),
        })
    }

    pub fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }

    /// What it gives; `and` and `or` are not asked here, as they do not need all of their arguments.
    pub fn call<'a>(self, arguments: &[Value<'a>]) -> Called<'a> {
        let wrong = |wanted: &str| Err(format!("{} takes {wanted}, not {} of them", self.name(), arguments.len()));
        match (self, arguments) {
            (And | Or, _) => Ok(Value::Nothing),
            (Not, [value]) => Ok(Value::Truth(!value.is_true())),
            (Len, [value]) => len(value),
            (Index, [value, indexes @ ..]) => indexes.iter().try_fold(value.clone(), |value, at| index(&value, at)),
            (Slice, [value, bounds @ ..]) => slice(value, bounds),
            (Eq, [one, others @ ..]) if !others.is_empty() => equals_any(one, others).map(Value::Truth),
            (Ne, [one, other]) => Ok(Value::Truth(!equals(one, other)?)),
            (Lt, [one, other]) => Ok(Value::Truth(compare(one, other)? == Some(Ordering::Less))),
            (Le, [one, other]) => {
                Ok(Value::Truth(matches!(compare(one, other)?, Some(Ordering::Less | Ordering::Equal))))
            }
            (Gt, [one, other]) => {
                Ok(Value::Truth(!matches!(compare(one, other)?, Some(Ordering::Less | Ordering::Equal))))
            }
            (Ge, [one, other]) => Ok(Value::Truth(compare(one, other)? != Some(Ordering::Less))),
            (Print, values) => Ok(Value::Text(joined(values)?.into())),
            (Println, values) => {
                let words = values.iter().map(printed).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::Text((words.join(" ") + "\n").into()))
            }
            (Printf, [Value::Text(format), values @ ..]) => Ok(Value::Text(printf(format, values)?.into())),
            (Printf, [other, ..]) => Err(format!("printf takes a text first, not {}", other.kind())),
            (Html, values) => escape(values, html),
            (Js, values) => escape(values, js),
            (UrlQuery, values) => escape(values, url_query),
            (ParseInt, [Value::Text(text), Value::Int(base), Value::Int(bits)]) => parse_uint(text, *base, *bits),
            (ParseInt, [_, _, _]) => {
                let kinds: Vec<_> = arguments.iter().map(Value::kind).collect();
                Err(format!("parseInt takes a text and two numbers, not {}", kinds.join(", ")))
            }
            (ParseInt, _) => wrong("a text, a base and a number of bits"),
            (Not | Len, _) => wrong("one value"),
            (Index | Slice | Printf, _) => wrong("at least one value"),
            (Eq, _) => wrong("at least two values"),
            (Ne | Lt | Le | Gt | Ge, _) => wrong("two values"),
        }
    }
}

fn len<'a>(value: &Value<'a>) -> Called<'a> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(values) => values.len(),
        Value::Texts(entries) | Value::Map(entries) => entries.len(),
        other => return Err(format!("{} has no length", other.kind())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// A place within a length, or at its end.
fn place(at: &Value<'_>, length: usize) -> Result<usize, String> {
    let place = match at {
        Value::Int(number) => usize::try_from(*number).ok(),
        Value::Uint(number) => usize::try_from(*number).ok(),
        other => return Err(format!("a place is a number, not {}", other.kind())),
    };
    let told = || printed(at).unwrap_or_default();
    place.filter(|place| *place <= length).ok_or_else(|| format!("place {} is out of range", told()))
}

fn index<'a>(value: &Value<'a>, at: &Value<'a>) -> Called<'a> {
    let out_of_range = || format!("place {} is out of range", printed(at).unwrap_or_default());
    match (value, at) {
        (Value::Text(text), _) => {
            let octet = text.as_bytes().get(place(at, text.len())?).ok_or_else(out_of_range)?;
            Ok(Value::Uint((*octet).into()))
        }
        (Value::List(values), _) => values.get(place(at, values.len())?).cloned().ok_or_else(out_of_range),
        (Value::Texts(entries), Value::Text(name)) => Ok(entries.get(name).cloned().unwrap_or("".into())),
        (Value::Map(entries), Value::Text(name)) => Ok(entries.get(name).cloned().unwrap_or(Value::Nothing)),
        (Value::Texts(_) | Value::Map(_), other) => Err(format!("its names are texts, not {}", other.kind())),
        (other, _) => Err(format!("{} cannot be indexed", other.kind())),
    }
}

fn slice<'a>(value: &Value<'a>, bounds: &[Value<'a>]) -> Called<'a> {
    let length = match (value, bounds) {
        (Value::Text(text), [] | [_] | [_, _]) => text.len(),
        (Value::List(values), [] | [_] | [_, _] | [_, _, _]) => values.len(),
        (Value::Text(_) | Value::List(_), _) => return Err("slice takes two places at most".to_owned()),
        (other, _) => return Err(format!("{} cannot be sliced", other.kind())),
    };
    let bound = |at: usize, default| bounds.get(at).map_or(Ok(default), |bound| place(bound, length));
    let (start, end, last) = (bound(0, 0)?, bound(1, length)?, bound(2, length)?);
    if start > end || end > last {
        return Err(format!("slice from {start} to {end} is none"));
    }
    match value {
        Value::Text(text) => {
            let part = text.get(start..end).ok_or("slice would cut a character")?;
            Ok(Value::Text(part.to_owned().into()))
        }
        Value::List(values) => Ok(Value::List(values.get(start..end).unwrap_or_default().to_vec())),
        other => Err(format!("{} cannot be sliced", other.kind())),
    }
}

fn equals_any(one: &Value<'_>, others: &[Value<'_>]) -> Result<bool, String> {
    for other in others {
        if equals(one, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(one: &Value<'_>, other: &Value<'_>) -> Result<bool, String> {
    match (one, other) {
        (Value::Nothing, _) | (_, Value::Nothing) => Ok(one == other),
        (Value::Truth(one), Value::Truth(other)) => Ok(one == other),
        _ => Ok(compare(one, other)? == Some(Ordering::Equal)),
    }
}

/// The order of two values of one kind; None: there is none, as one is no number.
fn compare(one: &Value<'_>, other: &Value<'_>) -> Result<Option<Ordering>, String> {
    Ok(match (one, other) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        _ => match (whole(one), whole(other)) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => return Err(format!("{} and {} cannot be compared", one.kind(), other.kind())),
        },
    })
}

fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(number) => Some((*number).into()),
        Value::Uint(number) => Some((*number).into()),
        _ => None,
    }
}

/// Go's `strconv.ParseUint`.
fn parse_uint<'a>(text: &str, base: i64, bits: i64) -> Called<'a> {
    let (digits, radix) = match (base, text.get(..2).map(str::to_ascii_lowercase).as_deref()) {
        (0, Some("0x")) => (text.get(2..).unwrap_or_default(), 16),
        (0, Some("0o")) => (text.get(2..).unwrap_or_default(), 8),
        (0, Some("0b")) => (text.get(2..).unwrap_or_default(), 2),
        (0, Some(_)) if text.starts_with('0') => (text.get(1..).unwrap_or_default(), 8),
        (0, _) => (text, 10),
        (2..=36, _) => (text, u32::try_from(base).unwrap_or(10)),
        _ => return Err(format!("parseInt takes a base from 2 to 36, or 0, not {base}")),
    };
    let digits = if base == 0 { digits.replace('_', "") } else { digits.to_owned() };
    let most = match bits {
        0 => u64::MAX,
        1..=64 => u64::MAX >> (64 - bits),
        _ => return Err(format!("parseInt takes up to 64 bits, not {bits}")),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(format!("parseInt: {text:?} is no number of base {base}"));
    }
    let number = u64::from_str_radix(&digits, radix).ok().filter(|number| *number <= most);
    number.map(Value::Uint).ok_or_else(|| format!("parseInt: {text:?} is more than {bits} bits hold"))
}

fn escape<'a>(values: &[Value<'a>], escape: fn(char, &mut String)) -> Called<'a> {
    let shown = |value: &Value<'a>| if *value == Value::Nothing { "<no value>".into() } else { value.clone() };
    let text = joined(&values.iter().map(shown).collect::<Vec<_>>())?;
    let mut escaped = String::with_capacity(text.len());
    text.chars().for_each(|character| escape(character, &mut escaped));
    Ok(Value::Text(escaped.into()))
}

fn html(character: char, escaped: &mut String) {
    match character {
        '\0' => escaped.push('\u{fffd}'),
        '"' | '\'' => escaped.push_str(&format!("&#{};", u32::from(character))),
        '&' => escaped.push_str("&amp;"),
        '<' => escaped.push_str("&lt;"),
        '>' => escaped.push_str("&gt;"),
        _ => escaped.push(character),
    }
}

fn js(character: char, escaped: &mut String) {
    match character {
        '\\' | '\'' | '"' => escaped.extend(['\\', character]),
        '<' | '>' | '&' | '=' | '\0'..=' ' if character != ' ' => {
            escaped.push_str(&format!("\\u{:04X}", u32::from(character)));
        }
        _ => escaped.push(character),
    }
}

fn url_query(character: char, escaped: &mut String) {
    match character {
        ' ' => escaped.push('+'),
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '~' => escaped.push(character),
        _ => character.to_string().bytes().for_each(|octet| escaped.push_str(&format!("%{octet:02X}"))),
    }
}
