//! The parameters of SVCB and HTTPS records (RFC 9460 section 2.1 and appendix A).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::words::{Word, unescape};

/// The keys with words, by their numbers.
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

/// Writes parameters in the order of their keys.
pub fn write_parameters(words: &[Word<'_>], octets: &mut Vec<u8>) -> Result<(), String> {
    let mut parameters = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let text = String::from_utf8_lossy(word.text);
        let (key, mut value) = text.split_once('=').unwrap_or((&text, ""));
        let quoted = words.next_if(|next| next.is_quoted && text.ends_with('='));
        let quoted = quoted.map(|quoted| String::from_utf8_lossy(quoted.text));
        if let Some(quoted) = &quoted {
            value = quoted;
        }
        let number = key_number(key).ok_or_else(|| format!("no parameter of SVCB: {key:?}"))?;
        let value = value_octets(number, value).ok_or_else(|| format!("no value of {key}: {value:?}"))?;
        if parameters.insert(number, value).is_some() {
            return Err(format!("{key} stands twice"));
        }
    }
    for (key, value) in parameters {
        let length = u16::try_from(value.len()).map_err(|_| "a parameter is too long".to_owned())?;
        octets.extend(key.to_be_bytes());
        octets.extend(length.to_be_bytes());
        octets.extend(value);
    }
    Ok(())
}

fn key_number(key: &str) -> Option<u16> {
    match KEYS.iter().position(|known| *known == key) {
        Some(number) => u16::try_from(number).ok(),
        None => key.strip_prefix("key")?.parse().ok(),
    }
}

fn value_octets(key: u16, value: &str) -> Option<Vec<u8>> {
    let each = |octets: &dyn Fn(&str) -> Option<Vec<u8>>| {
        let values: Option<Vec<_>> = value.split(',').map(octets).collect();
        Some(values?.concat())
    };
    match key {
        0 => {
            let mut keys = value.split(',').map(key_number).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            Some(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        1 => alpn(value),
        2 | 8 => value.is_empty().then(Vec::new),
        3 => Some(value.parse::<u16>().ok()?.to_be_bytes().to_vec()),
        4 => each(&|text| Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec())),
        5 => BASE64.decode(value.as_bytes()).ok(),
        6 => each(&|text| Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec())),
        _ => unescape(value.as_bytes()),
    }
}

/// A list of texts with their lengths; `\,` is a comma in one of them (appendix A.1).
fn alpn(value: &str) -> Option<Vec<u8>> {
    let mut protocols = vec![Vec::new()];
    // One level of escapes is that of the master file, the other that of the list.
    let mut octets = unescape(value.as_bytes())?.into_iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => protocols.push(Vec::new()),
            b'\\' => protocols.last_mut()?.push(octets.next()?),
            _ => protocols.last_mut()?.push(octet),
        }
    }
    let mut list = Vec::new();
    for protocol in protocols {
        list.push(u8::try_from(protocol.len()).ok().filter(|length| *length > 0)?);
        list.extend(protocol);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_stand_in_quotes() {
        let octets = |words: &[(&str, bool)]| {
            let words: Vec<_> =
                words.iter().map(|(text, is_quoted)| Word { text: text.as_bytes(), is_quoted: *is_quoted }).collect();
            let mut octets = Vec::new();
            write_parameters(&words, &mut octets).map(|()| octets)
        };
        let plain = octets(&[("alpn=h2,h3", false), ("port=53", false)]);
        assert!(plain.is_ok());
        assert_eq!(octets(&[("alpn=", false), ("h2,h3", true), ("port=", false), ("53", true)]), plain);
        assert!(octets(&[("port=53", false), ("53", true)]).is_err(), "a value of nothing");
    }
}
