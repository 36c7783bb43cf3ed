//! Values as text, as Go's package fmt writes them.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use super::LENGTH_MAX;
use super::value::Value;

/// A value on its own (`%v`).
pub fn printed(value: &Value<'_>) -> Result<String, String> {
    Ok(match value {
        Value::Nothing => "<nil>".to_owned(),
        Value::Truth(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Text(text) => text.to_string(),
        Value::List(values) => {
            let words = values.iter().map(printed).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", words.join(" "))
        }
        Value::Texts(entries) | Value::Map(entries) => {
            let word = |(name, value): (_, &Value<'_>)| Ok::<_, String>(format!("{name}:{}", printed(value)?));
            format!("map[{}]", entries.iter().map(word).collect::<Result<Vec<_>, _>>()?.join(" "))
        }
        Value::Object(_) => return Err(format!("{} cannot be printed as a whole; name a field of it", value.kind())),
    })
}

/// Values behind each other, with a blank between two that are no texts.
pub fn joined(values: &[Value<'_>]) -> Result<String, String> {
    let mut text = String::new();
    let mut was_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if index > 0 && !is_text && !was_text {
            text.push(' ');
        }
        text.push_str(&printed(value)?);
        was_text = is_text;
        check_length(text.len())?;
    }
    Ok(text)
}

fn check_length(length: usize) -> Result<(), String> {
    if length <= LENGTH_MAX { Ok(()) } else { Err(format!("the text has more than {LENGTH_MAX} octets")) }
}

/// The shortest digits that mean the number, with an exponent where it is far from 1.
fn float(number: f64) -> String {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        exponent if number != 0.0 && !(-4..6).contains(&exponent) => with_exponent(digits, exponent),
        _ => number.to_string(),
    }
}

/// An exponent has a sign and two digits.
fn with_exponent(digits: &str, exponent: i32) -> String {
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// What stands between `%` and the verb.
#[derive(Default)]
struct Flags {
    is_left: bool,
    has_sign: bool,
    has_blank: bool,
    has_prefix: bool,
    has_zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// Values in a text with verbs such as `%d`.
pub fn printf(format: &str, values: &[Value<'_>]) -> Result<String, String> {
    let (mut text, mut characters, mut next) = (String::new(), format.chars().peekable(), 0);
    let mut is_reordered = false;
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let mut flags = Flags::read(&mut characters);
        flags.width = number(&mut characters, values, &mut next)?.unwrap_or_default();
        if characters.next_if_eq(&'.').is_some() {
            flags.precision = Some(number(&mut characters, values, &mut next)?.unwrap_or_default());
        }
        if let Some(index) = index(&mut characters)? {
            (next, is_reordered) = (index, true);
        }
        match characters.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) => {
                match values.get(next) {
                    Some(value) => text.push_str(&flags.format(verb, value)?),
                    None => text.push_str(&format!("%!{verb}({})", if is_reordered { "BADINDEX" } else { "MISSING" })),
                }
                next += 1;
            }
        }
        check_length(text.len())?;
    }
    if let Some(extra) = values.get(next..).filter(|extra| !extra.is_empty() && !is_reordered) {
        let words = extra.iter().map(|value| Ok(format!("{}={}", value.kind(), printed(value)?)));
        text.push_str(&format!("%!(EXTRA {})", words.collect::<Result<Vec<_>, String>>()?.join(", ")));
    }
    check_length(text.len())?;
    Ok(text)
}

/// A width or precision: digits, or `*` for the next value.
fn number(
    characters: &mut Peekable<Chars<'_>>,
    values: &[Value<'_>],
    next: &mut usize,
) -> Result<Option<usize>, String> {
    let width = if characters.next_if_eq(&'*').is_some() {
        *next += 1;
        match values.get(*next - 1) {
            Some(Value::Int(width)) => usize::try_from(*width).ok(),
            _ => return Err("* in a format takes a number".to_owned()),
        }
    } else {
        let mut digits = String::new();
        digits.extend(std::iter::from_fn(|| characters.next_if(char::is_ascii_digit)));
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().ok()
    };
    let width = width.unwrap_or(usize::MAX);
    check_length(width)?;
    // Rust's own formats take no more.
    if width > usize::from(u16::MAX) {
        return Err(format!("a width or precision is at most {}", u16::MAX));
    }
    Ok(Some(width))
}

/// `[N]`: which value is next, counted from 1.
fn index(characters: &mut Peekable<Chars<'_>>) -> Result<Option<usize>, String> {
    if characters.next_if_eq(&'[').is_none() {
        return Ok(None);
    }
    let digits: String = characters.by_ref().take_while(|character| *character != ']').collect();
    let index = digits.parse::<usize>().ok().and_then(|index| index.checked_sub(1));
    index.map(Some).ok_or_else(|| format!("[{digits}] in a format is no place of a value"))
}

impl Flags {
    fn read(characters: &mut Peekable<Chars<'_>>) -> Self {
        let mut flags = Self::default();
        while let Some(flag) = characters.next_if(|character| "-+ #0".contains(*character)) {
            match flag {
                '-' => flags.is_left = true,
                '+' => flags.has_sign = true,
                ' ' => flags.has_blank = true,
                '#' => flags.has_prefix = true,
                _ => flags.has_zeros = true,
            }
        }
        flags
    }

    fn format(&self, verb: char, value: &Value<'_>) -> Result<String, String> {
        let text = match (verb, value) {
            ('T', Value::Nothing) => Some("<nil>".to_owned()),
            ('T', value) => Some(value.kind().to_owned()),
            ('v', Value::Int(_) | Value::Uint(_)) => return Ok(self.whole('d', value).unwrap_or_default()),
            (_, Value::List(values)) => {
                let words = values.iter().map(|value| self.format(verb, value)).collect::<Result<Vec<_>, _>>()?;
                return Ok(format!("[{}]", words.join(" ")));
            }
            (_, Value::Texts(entries) | Value::Map(entries)) => {
                let word = |(name, value): (&Cow<'_, str>, &Value<'_>)| {
                    Ok::<_, String>(format!(
                        "{}:{}",
                        self.format(verb, &name.as_ref().into())?,
                        self.format(verb, value)?
                    ))
                };
                let words = entries.iter().map(word).collect::<Result<Vec<_>, _>>()?;
                return Ok(format!("map[{}]", words.join(" ")));
            }
            ('v', Value::Text(text)) | ('s' | 'q' | 'x' | 'X', Value::Text(text)) => Some(self.text(verb, text)),
            ('v' | 't', Value::Truth(truth)) => Some(truth.to_string()),
            ('v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(number)) => {
                return Ok(self.pad(&self.signed(*number < 0.0, self.float(verb, number.abs())), true));
            }
            ('v', value) => Some(printed(value)?),
            (_, Value::Int(_) | Value::Uint(_)) => match self.whole(verb, value) {
                Some(text) => return Ok(text),
                None => None,
            },
            _ => None,
        };
        match text {
            Some(text) => Ok(self.pad(&text, false)),
            None if *value == Value::Nothing => Ok(format!("%!{verb}(<nil>)")),
            None => Ok(format!("%!{verb}({}={})", value.kind(), printed(value)?)),
        }
    }

    /// With blanks up to the width, or with zeros behind the sign of a number.
    fn pad(&self, text: &str, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.is_left {
            return text.to_owned() + &" ".repeat(missing);
        }
        if !self.has_zeros {
            return " ".repeat(missing) + text;
        }
        let sign = usize::from(is_number && text.starts_with(['+', '-', ' ']));
        let (sign, digits) = text.split_at_checked(sign).unwrap_or(("", text));
        format!("{sign}{}{digits}", "0".repeat(missing))
    }

    fn signed(&self, is_negative: bool, digits: String) -> String {
        match (is_negative, self.has_sign, self.has_blank) {
            (true, ..) => format!("-{digits}"),
            (false, true, _) => format!("+{digits}"),
            (false, false, true) => format!(" {digits}"),
            (false, false, false) => digits,
        }
    }

    /// A whole number; None: the verb is not for one.
    fn whole(&self, verb: char, value: &Value<'_>) -> Option<String> {
        let (is_negative, number) = match value {
            Value::Int(number) => (*number < 0, number.unsigned_abs()),
            Value::Uint(number) => (false, *number),
            _ => return None,
        };
        let character = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        let (prefix, digits) = match verb {
            'd' => ("", number.to_string()),
            'b' => ("0b", format!("{number:b}")),
            'o' => ("0", format!("{number:o}")),
            'O' => return Some(self.pad(&self.signed(is_negative, format!("0o{number:o}")), true)),
            'x' => ("0x", format!("{number:x}")),
            'X' => ("0X", format!("{number:X}")),
            'c' => return Some(self.pad(&character().to_string(), false)),
            'q' => return Some(self.pad(&format!("'{}'", character().escape_default()), false)),
            'U' => return Some(self.pad(&format!("U+{number:04X}"), false)),
            _ => return None,
        };
        let digits = match self.precision {
            Some(0) if number == 0 => String::new(),
            Some(precision) => format!("{digits:0>precision$}"),
            None => digits,
        };
        // Zeros that fill the width are digits: the prefix stands before them, and does not count.
        let prefix = if self.has_prefix { prefix } else { "" };
        let sign = self.signed(is_negative, String::new());
        if self.has_zeros && !self.is_left && self.precision.is_none() {
            let missing = self.width.saturating_sub(sign.len() + digits.len());
            return Some(format!("{sign}{prefix}{}{digits}", "0".repeat(missing)));
        }
        let blank = Self { has_zeros: false, width: self.width, is_left: self.is_left, ..Self::default() };
        Some(blank.pad(&(sign + prefix + &digits), true))
    }

    fn text(&self, verb: char, text: &str) -> String {
        let end = self.precision.and_then(|precision| text.char_indices().nth(precision)).map(|(end, _)| end);
        let text = if "xX".contains(verb) { text } else { text.get(..end.unwrap_or(text.len())).unwrap_or(text) };
        let octets = || text.bytes().take(self.precision.unwrap_or(usize::MAX));
        let between = if self.has_blank { " " } else { "" };
        match verb {
            'q' => format!("{text:?}"),
            'x' => octets().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(between),
            'X' => octets().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(between),
            _ => text.to_owned(),
        }
    }

    fn float(&self, verb: char, number: f64) -> String {
        let precision = self.precision.unwrap_or(6);
        match verb {
            'f' | 'F' => format!("{number:.precision$}"),
            'e' | 'E' => {
                let text = format!("{number:.precision$e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let text = with_exponent(digits, exponent.parse().unwrap_or_default());
                if verb == 'E' { text.to_uppercase() } else { text }
            }
            _ => float(number),
        }
    }
}
