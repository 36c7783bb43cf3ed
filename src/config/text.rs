//! Values that a configuration writes as one word: names, durations, types and the like, in a Corefile and in YAML alike.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serializer};
use serde_with::schemars_1::JsonSchemaAs;
use serde_with::{DeserializeAs, SerializeAs};

use super::corefile::{parse_duration, parse_zone};
use super::duration_text;
use crate::dns::{
    Class, Name, RecordType, ResponseCode, class_mnemonic, mnemonic, name_text, parse_name, parse_type, type_mnemonic,
};

/// A value that is written as one word.
pub trait Text: Sized {
    /// What it is, as in "a duration such as 5s".
    const WHAT: &'static str;
    /// Reads the word; None: it is no such value.
    fn read(text: &str) -> Option<Self>;
    /// The word, which [`Text::read`] reads as the same value.
    fn text(&self) -> String;
}

/// Serializes a [`Text`] as its word: `#[serde_as(as = "Vec<AsText>")]`.
#[derive(Debug)]
pub struct AsText;

impl<T: Text> SerializeAs<T> for AsText {
    fn serialize_as<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.text())
    }
}

impl<'de, T: Text> DeserializeAs<'de, T> for AsText {
    fn deserialize_as<D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        T::read(&text).ok_or_else(|| serde::de::Error::custom(format!("{} is expected, not {text:?}", T::WHAT)))
    }
}

impl<T: Text> JsonSchemaAs<T> for AsText {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": T::WHAT })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// A [`Text`] of which one word may stand for several: a prefix for its reverse zones.
pub trait Expand: Text {
    /// Reads the word; None: it is no such value.
    fn expand(text: &str) -> Option<Vec<Self>>;
}

/// Serializes a list of [`Expand`]s as words: `#[serde_as(as = "Expanded")]`.
#[derive(Debug)]
pub struct Expanded;

impl<T: Expand> SerializeAs<Vec<T>> for Expanded {
    fn serialize_as<S: Serializer>(values: &Vec<T>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(Text::text))
    }
}

impl<'de, T: Expand> DeserializeAs<'de, Vec<T>> for Expanded {
    fn deserialize_as<D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let mut values = Vec::new();
        for text in Vec::<Cow<'_, str>>::deserialize(deserializer)? {
            let expected = || serde::de::Error::custom(format!("{} is expected, not {text:?}", T::WHAT));
            values.extend(T::expand(&text).ok_or_else(expected)?);
        }
        Ok(values)
    }
}

impl<T: Expand> JsonSchemaAs<Vec<T>> for Expanded {
    fn schema_name() -> Cow<'static, str> {
        Vec::<String>::schema_name()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string", "description": T::WHAT } })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Expand for Name {
    fn expand(text: &str) -> Option<Vec<Self>> {
        parse_zone(text)
    }
}

impl Text for Name {
    const WHAT: &'static str = "a domain name such as example.org";

    fn read(text: &str) -> Option<Self> {
        parse_name(text).ok()
    }

    fn text(&self) -> String {
        name_text(self)
    }
}

impl Text for Duration {
    const WHAT: &'static str = "a duration such as 5s, 1m30s or 250ms";

    fn read(text: &str) -> Option<Self> {
        parse_duration(text)
    }

    fn text(&self) -> String {
        duration_text(*self)
    }
}

/// A server of DNS by its address; the port is 53 where none is written.
impl Text for SocketAddr {
    const WHAT: &'static str = "an address such as 192.0.2.1 or [2001:db8::1]:5353";

    fn read(text: &str) -> Option<Self> {
        let address = text.parse().map(|address: IpAddr| Self::new(address, 53));
        address.or_else(|_| text.parse()).ok()
    }

    fn text(&self) -> String {
        let is_scoped = matches!(self, Self::V6(address) if address.scope_id() != 0);
        if self.port() == 53 && !is_scoped { self.ip().to_string() } else { self.to_string() }
    }
}

/// An address stands for itself alone, and IPv4 mapped into IPv6 is IPv4.
impl Text for IpNet {
    const WHAT: &'static str = "a prefix such as 10.0.0.0/8, or an address";

    fn read(text: &str) -> Option<Self> {
        let prefix = match text.parse::<IpAddr>() {
            Ok(address) => address.into(),
            Err(_) => text.parse::<Self>().ok()?.trunc(),
        };
        let mapped = match prefix {
            Self::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
            Self::V4(_) | Self::V6(_) => None,
        };
        mapped.map_or(Some(prefix), |(address, length)| Some(Self::V4(Ipv4Net::new(address, length).ok()?)))
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Text for Class {
    const WHAT: &'static str = "a class: IN, CH, CS, HS, NONE or ANY";

    fn read(text: &str) -> Option<Self> {
        [1, 2, 3, 4, 254, 255].into_iter().map(Self::from).find(|class| class_mnemonic(*class) == text)
    }

    fn text(&self) -> String {
        class_mnemonic(*self).into_owned()
    }
}

impl Text for ResponseCode {
    const WHAT: &'static str = "a response code such as NXDOMAIN";

    fn read(text: &str) -> Option<Self> {
        let text = if text == "NOTIMPL" { "NOTIMP" } else { text };
        (0..=23u8).map(|number| Self::from(number >> 4, number & 0xf)).find(|code| mnemonic(*code) == text)
    }

    fn text(&self) -> String {
        mnemonic(*self).into_owned()
    }
}

impl Text for RecordType {
    const WHAT: &'static str = "a record type such as AAAA";

    fn read(text: &str) -> Option<Self> {
        parse_type(text)
    }

    fn text(&self) -> String {
        type_mnemonic(*self).into_owned()
    }
}
