//! `rewrite edns0`: options of EDNS that other servers are asked with.
//!
//! They stand in [`Query::upstream_options`], and the client's own options do not go to other servers.

use std::net::{IpAddr, SocketAddr};

use crate::config::directive::{OptionAction, OptionRule};
use crate::dns::{NSID, Query, name_text};

/// Client subnet (RFC 7871).
const SUBNET: u16 = 8;

/// A change of one option.
#[derive(Clone, Debug)]
pub struct OptionChange {
    action: OptionAction,
    code: u16,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Octets(Vec<u8>),
    Variable(String),
    Subnet { v4_bits: u8, v6_bits: u8 },
}

impl OptionChange {
    pub fn new(action: OptionAction, option: &OptionRule) -> Self {
        let (code, value) = match option {
            OptionRule::Nsid => (NSID, Value::Octets(Vec::new())),
            OptionRule::Subnet { v4_bits, v6_bits } => (SUBNET, Value::Subnet { v4_bits: *v4_bits, v6_bits: *v6_bits }),
            OptionRule::Local { code, data } => (*code, Value::of_text(data)),
        };
        Self { action, code, value }
    }

    /// The query with the option changed; None: the rule does not apply.
    pub fn apply(&self, query: &Query) -> Option<Query> {
        let mut changed = query.clone();
        let options = &mut changed.upstream_options;
        if self.action == OptionAction::Unset {
            options.retain(|(code, _)| *code != self.code);
            return Some(changed);
        }
        let value = self.value.octets(query)?;
        match (options.iter_mut().find(|(code, _)| *code == self.code), self.action) {
            (Some((_, data)), OptionAction::Set | OptionAction::Replace) => *data = value,
            (None, OptionAction::Set | OptionAction::Append) => options.push((self.code, value)),
            (None, OptionAction::Replace) if self.is_clients(query) => options.push((self.code, value)),
            _ => return None,
        }
        Some(changed)
    }

    /// Whether the client sent such an option. What it says does not go on, but there is something to replace.
    fn is_clients(&self, query: &Query) -> bool {
        query.edns.as_ref().is_some_and(|edns| edns.options.iter().any(|(code, _)| *code == self.code))
    }
}

impl Value {
    fn of_text(text: &str) -> Self {
        if text.starts_with('{') && text.ends_with('}') {
            return Self::Variable(text.trim_matches(['{', '}']).to_owned());
        }
        let pairs = |digits: &str| {
            let pairs =
                digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
            pairs.collect::<Option<Vec<u8>>>()
        };
        let octets = text.strip_prefix("0x").and_then(pairs);
        Self::Octets(octets.unwrap_or_else(|| text.as_bytes().to_vec()))
    }

    /// The octets of the option; None: there is nothing to tell.
    fn octets(&self, query: &Query) -> Option<Vec<u8>> {
        Some(match self {
            Self::Octets(octets) => octets.clone(),
            Self::Subnet { v4_bits, v6_bits } => subnet(query.client.ip().to_canonical(), *v4_bits, *v6_bits),
            Self::Variable(name) => match name.as_str() {
                "qname" => name_text(&query.name).into_bytes(),
                "qtype" => u16::from(query.record_type).to_be_bytes().to_vec(),
                "client_ip" => address(query.client),
                "server_ip" => address(query.local),
                "client_port" => query.client.port().to_be_bytes().to_vec(),
                "server_port" => query.local.port().to_be_bytes().to_vec(),
                "protocol" => query.transport.as_str().as_bytes().to_vec(),
                label => query.metadata.get(label).filter(|value| !value.is_empty())?.into_bytes(),
            },
        })
    }
}

fn address(address: SocketAddr) -> Vec<u8> {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// FAMILY, SOURCE PREFIX-LENGTH, SCOPE PREFIX-LENGTH 0, and as many octets of the address as the length needs (RFC 7871
/// section 6).
fn subnet(client: IpAddr, v4_bits: u8, v6_bits: u8) -> Vec<u8> {
    let (family, bits) = match client {
        IpAddr::V4(_) => (1, v4_bits),
        IpAddr::V6(_) => (2, v6_bits),
    };
    let network = ipnet::IpNet::new(client, bits).map_or(client, |network| network.network());
    let octets = match network {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [0, family, bits, 0].into_iter().chain(octets.into_iter().take(usize::from(bits.div_ceil(8)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Edns, RecordType, parse_name};

    fn query(client: &str) -> Query {
        let client = SocketAddr::new(client.parse().unwrap(), 5353);
        Query { client, ..Query::of_our_own(parse_name("A.example.").unwrap(), RecordType::AAAA) }
    }

    fn check(query: &Query, action: OptionAction, data: &str, expected: Option<&[(u16, &[u8])]>) {
        let change = OptionChange::new(action, &OptionRule::Local { code: 65001, data: data.to_owned() });
        let found = change.apply(query).map(|changed| changed.upstream_options);
        let expected = expected.map(|options| options.iter().map(|(code, data)| (*code, data.to_vec())).collect());
        assert_eq!(found, expected, "{action:?} {data}");
    }

    #[test]
    fn values_are_texts_octets_or_variables() {
        let query = query("192.0.2.9");
        let check = |data: &str, expected: &[u8]| check(&query, OptionAction::Set, data, Some(&[(65001, expected)]));
        check("abcd", b"abcd");
        check("0x61626364", b"abcd");
        check("{qname}", b"A.example.");
        check("{qtype}", &[0, 28]);
        check("{client_ip}", &[192, 0, 2, 9]);
        check("{client_port}", &[0x14, 0xe9]);
        check("{protocol}", b"udp");
    }

    #[test]
    fn what_is_there_decides() {
        let without = query("192.0.2.9");
        let with = Query { upstream_options: vec![(65001, b"old".to_vec())], ..without.clone() };
        let edns = Edns { udp_size: 1232, dnssec_ok: false, options: vec![(65001, b"client".to_vec())] };
        let of_client = Query { edns: Some(edns), ..without.clone() };
        check(&of_client, OptionAction::Replace, "x", Some(&[(65001, b"x")]));
        check(&of_client, OptionAction::Append, "x", Some(&[(65001, b"x")]));
        check(&of_client, OptionAction::Unset, "", Some(&[]));
        check(&without, OptionAction::Append, "x", Some(&[(65001, b"x")]));
        check(&with, OptionAction::Append, "x", None);
        check(&without, OptionAction::Replace, "x", None);
        check(&with, OptionAction::Replace, "x", Some(&[(65001, b"x")]));
        check(&with, OptionAction::Unset, "", Some(&[]));
        check(&without, OptionAction::Set, "{kubernetes/namespace}", None);
    }

    #[test]
    fn a_subnet_tells_no_more_than_its_bits() {
        assert_eq!(subnet("192.0.2.9".parse().unwrap(), 24, 56), [0, 1, 24, 0, 192, 0, 2]);
        assert_eq!(subnet("192.0.2.255".parse().unwrap(), 20, 56), [0, 1, 20, 0, 192, 0, 0]);
        assert_eq!(
            subnet("2001:db8:1:2345::1".parse().unwrap(), 24, 56),
            [0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 0x23]
        );
    }
}
