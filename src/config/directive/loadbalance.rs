//! `loadbalance [round_robin | weighted FILE] { ... }`: the order of addresses in an answer.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};
use crate::dns::{Name, parse_name};

/// In which order addresses stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadBalance {
    /// Which address is first; None: any, and the others in any order.
    #[serde(skip_serializing_if = "is_default")]
    pub weighted: Option<Weighted>,
    /// Addresses in these prefixes come first, in the order of the prefixes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub prefer: Vec<IpNet>,
}

/// Weights decide which address is first.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The file of the weights.
    pub file: PathBuf,
    /// How often it is read again; zero: never.
    #[serde_as(as = "AsText")]
    #[serde(default = "reload")]
    pub reload: Duration,
}

fn reload() -> Duration {
    Duration::from_secs(30)
}

impl Directive for LoadBalance {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "loadbalance",
        syntax: "loadbalance [round_robin | weighted FILE] { ... }",
        summary: "Addresses in random order; aliases stay in front. With `weighted`, the first address is drawn by weight, for questions of type A, AAAA and SRV, and \
                  the others stay. Lines of FILE are a domain name, or `ADDRESS WEIGHT` (1 to 255) for the name above it; an address that is not there weighs 1, \
                  and `#` begins a comment.",
        options: &[
            Opt {
                syntax: "prefer PREFIX...",
                meaning: "addresses in these prefixes come first, in the order of the prefixes",
                default: "",
            },
            Opt {
                syntax: "reload DURATION",
                meaning: "how often FILE is read again; 0: never. What cannot be read leaves the weights that were known",
                default: "30s",
            },
        ],
        example: "loadbalance round_robin {\n    prefer 10.0.0.0/8 fd00::/8\n}",
    };

    /// A later line takes the place of an earlier one, but for what is preferred, as in CoreDNS.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut loadbalance = Self::default();
        while cursor.advance() {
            let words = cursor.arguments();
            loadbalance.weighted = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                [] | ["round_robin"] => None,
                ["weighted", file] => Some(Weighted { file: file.into(), reload: reload() }),
                ["weighted", ..] => return Err(cursor.error("weighted takes the file of the weights")),
                ["round_robin", ..] => return Err(cursor.error("round_robin takes nothing")),
                [other, ..] => {
                    return Err(
                        cursor.error(format!("unknown policy {other:?}; there are round_robin and weighted FILE"))
                    );
                }
            };
            while cursor.next_option() {
                loadbalance.lower_option(cursor)?;
            }
            if let Some(Weighted { file, .. }) = &loadbalance.weighted {
                let file = cursor.path(file);
                match cursor.surroundings.read(&file).map(|text| Weights::parse(&text)) {
                    Ok(Ok(_)) => {}
                    Ok(Err(wrong)) => return Err(cursor.error(format!("{}:{wrong}", file.display()))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        cursor.warn(format!("the weight file does not exist: {}", file.display()));
                    }
                    Err(error) => cursor.warn(format!("the weight file cannot be read: {}: {error}", file.display())),
                }
            }
        }
        Ok(Some(loadbalance))
    }

    fn write(loadbalance: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { weighted, prefer }) = loadbalance else { return };
        let policy = weighted.iter().flat_map(|weighted| ["weighted".to_owned(), weighted.file.display().to_string()]);
        corefile.block(std::iter::once("loadbalance".to_owned()).chain(policy), |options| {
            if !prefer.is_empty() {
                options.line(std::iter::once("prefer".to_owned()).chain(prefer.iter().map(ToString::to_string)));
            }
            if let Some(Weighted { reload, .. }) = weighted {
                options.line(["reload", &reload.text()]);
            }
        });
    }
}

impl LoadBalance {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match (cursor.word(), &mut self.weighted) {
            ("prefer", _) => {
                for argument in cursor.arguments() {
                    let prefix = argument
                        .parse()
                        .map_err(|_| cursor.error(format!("prefer takes prefixes, not {argument:?}")))?;
                    self.prefer.push(prefix);
                }
            }
            ("reload", Some(weighted)) => {
                let text = cursor.one_argument("a duration")?;
                weighted.reload = cursor.duration(&text, "reload")?;
            }
            ("reload", None) => return Err(cursor.error("reload belongs to `weighted FILE`")),
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }
}

/// What addresses weigh, by the names that have them, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    names: HashMap<Name, HashMap<IpAddr, u8>>,
}

/// What is wrong with a file of weights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct WrongWeights {
    /// The line, counted from 1.
    line: usize,
    what: String,
}

impl Weights {
    /// Reads a file in CoreDNS's form.
    pub fn parse(text: &str) -> Result<Self, WrongWeights> {
        let mut weights = Self::default();
        let mut name = None;
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: String| WrongWeights { line: index + 1, what };
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                [word] if word.parse::<IpAddr>().is_ok() => return Err(wrong(format!("{word} has no weight"))),
                [word] => {
                    let known = parse_name(word).map_err(|_| wrong(format!("{word:?} is not a domain name")))?;
                    name = Some(known.to_lowercase());
                }
                [address, weight] => {
                    let address = address.parse().map_err(|_| wrong(format!("{address:?} is not an address")))?;
                    let weight = weight.parse().ok().filter(|weight| *weight > 0);
                    let weight = weight.ok_or_else(|| wrong("a weight is a number from 1 to 255".to_owned()))?;
                    let name = name.clone().ok_or_else(|| wrong("there is no domain name above".to_owned()))?;
                    // Of several weights the first counts, as in CoreDNS.
                    weights.names.entry(name).or_default().entry(address).or_insert(weight);
                }
                _ => return Err(wrong("a line is a domain name, or an address and its weight".to_owned())),
            }
        }
        Ok(weights)
    }

    /// What an address of a name weighs.
    pub fn of(&self, name: &Name, address: IpAddr) -> u8 {
        let weights = self.names.get(&name.to_lowercase());
        weights.and_then(|weights| weights.get(&address)).copied().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_of_addresses_below_a_name() {
        let text = "# all\n\nWWW.example.org\n 192.0.2.1\t3 \n2001:db8::1 255\n192.0.2.1 9\n#x\na.b.\n192.0.2.1 2\nwww.example.org.\n192.0.2.7 7\n";
        let weights = Weights::parse(text).unwrap();
        let check = |name: &str, address: &str, expected| {
            assert_eq!(weights.of(&parse_name(name).unwrap(), address.parse().unwrap()), expected, "{name} {address}");
        };
        check("www.example.org.", "192.0.2.1", 3);
        check("www.EXAMPLE.org.", "2001:db8::1", 255);
        check("www.example.org.", "192.0.2.7", 7);
        check("www.example.org.", "192.0.2.8", 1);
        check("a.b.", "192.0.2.1", 2);
        check("c.", "192.0.2.1", 1);
    }

    #[test]
    fn what_is_wrong_with_weights_is_told_with_its_line() {
        for (text, expected) in [
            ("192.0.2.1 3\n", "1: there is no domain name above"),
            ("a\n192.0.2.1\n", "2: 192.0.2.1 has no weight"),
            ("a\n192.0.2.1 0\n", "2: a weight is a number from 1 to 255"),
            ("a\n\n192.0.2.1 256\n", "3: a weight is a number from 1 to 255"),
            ("a\nb 3\n", "2: \"b\" is not an address"),
            ("a..b\n", "1: \"a..b\" is not a domain name"),
            ("a\n192.0.2.1 1 # one\n", "2: a line is a domain name, or an address and its weight"),
        ] {
            assert_eq!(Weights::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
