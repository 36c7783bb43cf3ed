//! The data of a record: from the words of a master file to octets, and from those to a value.

use data_encoding::{BASE64, BASE64_NOPAD, HEXUPPER_PERMISSIVE};

use super::svcb;
use super::words::{Word, unescape};
use crate::dns::name::parse_labels;
use crate::dns::{Name, RData, RecordType, data_of_octets, parse_type, type_mnemonic};

/// A field of a record's data.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// Numbers of 1, 2 and 4 octets.
    U8,
    U16,
    U32,
    /// Seconds, as a TTL is written.
    Period,
    /// Seconds since 1970, or `YYYYMMDDHHMMSS` (RFC 4034 section 3.2).
    Time,
    V4,
    V6,
    Name,
    /// The word of a type.
    Type,
    /// A text with its length.
    Text,
    /// One or more of them.
    Texts,
    /// A text that the data ends with.
    Rest,
    /// Octets up to the end, blanks left out.
    Hex,
    Base64,
    /// The words of types up to the end, as a bit map (RFC 4034 section 4.1.2).
    Types,
    /// Parameters of SVCB (RFC 9460 section 2.1).
    Parameters,
}

/// The fields of the types that have words here; all others are written as `\# LENGTH HEX` (RFC 3597 section 5).
fn layout(record_type: RecordType) -> Option<&'static [Field]> {
    use Field::*;
    Some(match u16::from(record_type) {
        // A, AAAA
        1 => &[V4],
        28 => &[V6],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, U32, Period, Period, Period, Period],
        // HINFO
        13 => &[Text, Text],
        // MINFO, RP
        14 | 17 => &[Name, Name],
        // MX, AFSDB, RT, KX, LP
        15 | 18 | 21 | 36 | 107 => &[U16, Name],
        // TXT, SPF
        16 | 99 => &[Texts],
        // SRV
        33 => &[U16, U16, U16, Name],
        // NAPTR
        35 => &[U16, U16, Text, Text, Text, Name],
        // CERT
        37 => &[U16, U16, U8, Base64],
        // DS, CDS, DLV
        43 | 59 | 32769 => &[U16, U8, U8, Hex],
        // SSHFP
        44 => &[U8, U8, Hex],
        // RRSIG
        46 => &[Type, U8, U8, Period, Time, Time, U16, Name, Base64],
        // NSEC
        47 => &[Name, Types],
        // KEY, DNSKEY, CDNSKEY
        25 | 48 | 60 => &[U16, U8, U8, Base64],
        // TLSA, SMIMEA
        52 | 53 => &[U8, U8, U8, Hex],
        // OPENPGPKEY
        61 => &[Base64],
        // CSYNC
        62 => &[U32, U16, Types],
        // ZONEMD
        63 => &[U32, U8, U8, Hex],
        // SVCB, HTTPS
        64 | 65 => &[U16, Name, Parameters],
        // URI
        256 => &[U16, U16, Rest],
        // CAA
        257 => &[U8, Text, Rest],
        _ => return None,
    })
}

/// Reads the data of a record.
pub fn read_data(record_type: RecordType, words: &[Word<'_>], origin: &Name) -> Result<RData, String> {
    let octets = match words {
        [Word { text: br"\#", is_quoted: false }, rest @ ..] => read_generic(rest)?,
        words => {
            let fields = layout(record_type).ok_or_else(|| {
                let word = type_mnemonic(record_type);
                format!(r"the data of {word} is written as \# LENGTH HEX here (RFC 3597 section 5)")
            })?;
            read_fields(fields, words, origin)?
        }
    };
    data_of_octets(record_type, &octets)
        .map_err(|error| format!("no data of {}: {}", type_mnemonic(record_type), error.reason))
}

/// `LENGTH HEX...` (RFC 3597 section 5).
fn read_generic(words: &[Word<'_>]) -> Result<Vec<u8>, String> {
    let (length, hex) = words.split_first().ok_or(r"a length is missing behind \#")?;
    let length: u16 = number(length)?;
    let octets = decode_hex(hex)?;
    match octets.len() == usize::from(length) {
        true => Ok(octets),
        false => Err(format!(r"there are {} octets behind \#, not {length}", octets.len())),
    }
}

fn read_fields(fields: &[Field], words: &[Word<'_>], origin: &Name) -> Result<Vec<u8>, String> {
    let (mut octets, mut rest) = (Vec::new(), words);
    for field in fields {
        let taken = read_field(*field, rest, origin, &mut octets)?;
        rest = rest.get(taken..).unwrap_or_default();
    }
    match rest.first() {
        None => Ok(octets),
        Some(word) => Err(format!("there is nothing to stand behind the data, but {:?} does", shown(word))),
    }
}

/// Writes a field; returns how many words it took.
fn read_field(field: Field, words: &[Word<'_>], origin: &Name, octets: &mut Vec<u8>) -> Result<usize, String> {
    match field {
        Field::Hex => octets.extend(decode_hex(words)?),
        Field::Base64 => octets.extend(decode_base64(words)?),
        Field::Types => write_types(words, octets)?,
        Field::Parameters => svcb::write_parameters(words, octets)?,
        Field::Texts if !words.is_empty() => {
            for word in words {
                write_texts(word, octets)?;
            }
        }
        Field::Rest | Field::Text | Field::Texts | Field::Name | Field::Type | Field::V4 | Field::V6 => {
            write_word(field, words.first().ok_or(TOO_SHORT)?, origin, octets)?;
            return Ok(1);
        }
        Field::U8 | Field::U16 | Field::U32 | Field::Period | Field::Time => {
            write_number(field, words.first().ok_or(TOO_SHORT)?, octets)?;
            return Ok(1);
        }
    }
    Ok(words.len())
}

const TOO_SHORT: &str = "the data ends too early";

fn write_number(field: Field, word: &Word<'_>, octets: &mut Vec<u8>) -> Result<(), String> {
    match field {
        Field::U8 => octets.push(number(word)?),
        Field::U16 => octets.extend(number::<u16>(word)?.to_be_bytes()),
        Field::Period => octets.extend(period(word)?.to_be_bytes()),
        Field::Time => octets.extend(time(word)?.to_be_bytes()),
        _ => octets.extend(number::<u32>(word)?.to_be_bytes()),
    }
    Ok(())
}

fn write_word(field: Field, word: &Word<'_>, origin: &Name, octets: &mut Vec<u8>) -> Result<(), String> {
    let expected = |what: &str| format!("{what} is expected, not {:?}", shown(word));
    match field {
        Field::V4 => {
            octets.extend(parse::<std::net::Ipv4Addr>(word).ok_or_else(|| expected("an IPv4 address"))?.octets())
        }
        Field::V6 => {
            octets.extend(parse::<std::net::Ipv6Addr>(word).ok_or_else(|| expected("an IPv6 address"))?.octets())
        }
        Field::Type => octets.extend(u16::from(record_type(word).ok_or_else(|| expected("a type"))?).to_be_bytes()),
        Field::Name => write_name(&name(word, origin).ok_or_else(|| expected("a name"))?, octets),
        Field::Rest => octets.extend(unescape(word.text).ok_or_else(|| expected("a text"))?),
        _ => write_text(word, octets)?,
    }
    Ok(())
}

fn write_name(name: &Name, octets: &mut Vec<u8>) {
    for label in name.iter() {
        octets.push(label.len() as u8);
        octets.extend(label);
    }
    octets.push(0);
}

fn write_text(word: &Word<'_>, octets: &mut Vec<u8>) -> Result<(), String> {
    let text = unescape(word.text).ok_or_else(|| format!("{:?} has a broken escape", shown(word)))?;
    let length = u8::try_from(text.len()).map_err(|_| format!("a text of {} octets; 255 are the most", text.len()))?;
    octets.push(length);
    octets.extend(text);
    Ok(())
}

/// As in CoreDNS, what is too long for one text is several.
fn write_texts(word: &Word<'_>, octets: &mut Vec<u8>) -> Result<(), String> {
    let text = unescape(word.text).ok_or_else(|| format!("{:?} has a broken escape", shown(word)))?;
    if text.is_empty() {
        octets.push(0);
    }
    for part in text.chunks(u8::MAX.into()) {
        octets.push(part.len() as u8);
        octets.extend(part);
    }
    Ok(())
}

/// The bit map of types: windows of 256, each without its trailing zeros.
fn write_types(words: &[Word<'_>], octets: &mut Vec<u8>) -> Result<(), String> {
    let mut numbers = words
        .iter()
        .map(|word| record_type(word).map(u16::from).ok_or_else(|| format!("no type: {:?}", shown(word))))
        .collect::<Result<Vec<u16>, _>>()?;
    numbers.sort_unstable();
    for window in numbers.chunk_by(|one, other| one >> 8 == other >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0;
        for [high, low] in window.iter().map(|number| number.to_be_bytes()) {
            let at = usize::from(low >> 3);
            if length == 0 {
                octets.push(high);
            }
            length = at + 1;
            bits.iter_mut().skip(at).take(1).for_each(|octet| *octet |= 0x80 >> (low & 7));
        }
        octets.push(length as u8);
        octets.extend(bits.iter().take(length));
    }
    Ok(())
}

fn joined(words: &[Word<'_>]) -> Vec<u8> {
    words.iter().flat_map(|word| word.text).copied().collect()
}

fn decode_hex(words: &[Word<'_>]) -> Result<Vec<u8>, String> {
    // `-` stands for no octets (RFC 5155 section 3.3).
    let text = joined(words);
    let text = if text == b"-" { Vec::new() } else { text };
    HEXUPPER_PERMISSIVE.decode(&text).map_err(|_| "hexadecimal digits are expected, two for an octet".to_owned())
}

fn decode_base64(words: &[Word<'_>]) -> Result<Vec<u8>, String> {
    let text = joined(words);
    let decoded = BASE64.decode(&text).or_else(|_| BASE64_NOPAD.decode(&text));
    decoded.map_err(|_| "Base64 is expected".to_owned())
}

/// A word as an error shows it.
pub fn shown(word: &Word<'_>) -> String {
    String::from_utf8_lossy(word.text).into_owned()
}

pub(super) fn parse<T: std::str::FromStr>(word: &Word<'_>) -> Option<T> {
    std::str::from_utf8(word.text).ok()?.parse().ok()
}

fn number<T: std::str::FromStr>(word: &Word<'_>) -> Result<T, String> {
    parse(word).ok_or_else(|| format!("a number is expected, not {:?}", shown(word)))
}

/// Seconds, also as `1w2d3h4m5s`; a TTL, for one.
pub fn period(word: &Word<'_>) -> Result<u32, String> {
    seconds(word.text).ok_or_else(|| format!("a number of seconds is expected, not {:?}", shown(word)))
}

/// None: it is no such number.
pub(super) fn seconds(text: &[u8]) -> Option<u32> {
    let (mut total, mut part) = (0u32, None::<u32>);
    for octet in text {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                part = Some(part.unwrap_or_default().checked_mul(10)?.checked_add(u32::from(digit - b'0'))?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(part.take()?.checked_mul(unit)?)?;
    }
    match part {
        Some(rest) => total.checked_add(rest),
        None => (!text.is_empty()).then_some(total),
    }
}

/// A moment: seconds since 1970, or `YYYYMMDDHHMMSS`, modulo 2^32 (RFC 4034 section 3.1.5).
fn time(word: &Word<'_>) -> Result<u32, String> {
    let expected = || format!("a time such as 20300101000000 is expected, not {:?}", shown(word));
    let text = std::str::from_utf8(word.text).map_err(|_| expected())?;
    if text.len() != 14 {
        return text.parse().map_err(|_| expected());
    }
    let part = |at: std::ops::Range<usize>| text.get(at).and_then(|part| part.parse::<i64>().ok()).ok_or_else(expected);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    // Days since 1970 with years that begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + part(8..10)?) * 60 + part(10..12)?) * 60 + part(12..14)?;
    Ok(seconds.rem_euclid(1 << 32) as u32)
}

/// The type of a word, in any letter case; `TYPE65280` too.
pub(super) fn record_type(word: &Word<'_>) -> Option<RecordType> {
    let text = std::str::from_utf8(word.text).ok()?.to_ascii_uppercase();
    let number = || Some(RecordType::from(text.strip_prefix("TYPE")?.parse::<u16>().ok()?));
    parse_type(&text).filter(|known| u16::from(*known) != 0).or_else(number)
}

/// The name of a word, absolute or below the origin; `@` is the origin.
pub fn name(word: &Word<'_>, origin: &Name) -> Option<Name> {
    if word.text == b"@" && !word.is_quoted {
        return Some(origin.clone());
    }
    let labels = parse_labels(word.text)?;
    let before_dot = word.text.strip_suffix(b".");
    // An even number of backslashes leaves the dot its meaning.
    let is_absolute =
        before_dot.is_some_and(|text| text.iter().rev().take_while(|octet| **octet == b'\\').count() % 2 == 0);
    let labels = labels.iter().map(Vec::as_slice);
    let mut name = match is_absolute {
        true => Name::from_labels(labels),
        false => Name::from_labels(labels.chain(origin.iter())),
    }
    .ok()?;
    name.set_fqdn(true);
    Some(name)
}
