//! Reading fields whatever they hold: a value of the wrong type counts as none, and the object around it is still read. A
//! [`Field`] remembers that it was so.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field that decides answers: its value, or the default where it is of a wrong type.
#[derive(Debug, Default)]
pub struct Field<T> {
    value: T,
    is_unfit: bool,
}

impl<T> Field<T> {
    /// Whether it, or an item of its list, is of a wrong type.
    pub fn is_unfit(&self) -> bool {
        self.is_unfit
    }

    fn fit(value: T) -> Self {
        Self { value, is_unfit: false }
    }
}

impl<T: Default> Field<T> {
    fn unfit() -> Self {
        Self { value: T::default(), is_unfit: true }
    }
}

impl<T> Deref for Field<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Lenient> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// Reads a field that decides nothing; what it cannot be made from gives the default.
pub fn lenient<'de, D: Deserializer<'de>, T: Lenient>(deserializer: D) -> Result<T, D::Error> {
    Field::deserialize(deserializer).map(|field| field.value)
}

/// What a type is made from; everything else is skipped and unfit.
pub trait Lenient: Default {
    /// From a text.
    fn from_text(_: &str) -> Field<Self> {
        Field::unfit()
    }

    /// From a number that is not negative.
    fn from_number(_: u64) -> Field<Self> {
        Field::unfit()
    }

    /// From true or false.
    fn from_bool(_: bool) -> Field<Self> {
        Field::unfit()
    }

    /// From a list.
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::unfit())
    }

    /// From a map.
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::unfit())
    }
}

impl Lenient for String {
    fn from_text(text: &str) -> Field<Self> {
        Field::fit(text.to_owned())
    }
}

impl Lenient for Option<bool> {
    fn from_bool(value: bool) -> Field<Self> {
        Field::fit(Some(value))
    }
}

impl Lenient for Option<u16> {
    fn from_number(number: u64) -> Field<Self> {
        u16::try_from(number).map_or_else(|_| Field::unfit(), |number| Field::fit(Some(number)))
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        let mut items = Field::fit(Vec::new());
        while let Some(item) = list.next_element::<Field<T>>()? {
            items.is_unfit |= item.is_unfit;
            items.value.push(item.value);
        }
        Ok(items)
    }
}

impl Lenient for BTreeMap<String, String> {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut entries = Field::fit(BTreeMap::new());
        while let Some((key, value)) = map.next_entry::<String, Field<String>>()? {
            entries.is_unfit |= value.is_unfit;
            entries.value.insert(key, value.value);
        }
        Ok(entries)
    }
}

/// Whether a map has entries, whatever they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct HasEntries(pub bool);

impl Lenient for HasEntries {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut entries = Self(false);
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            entries.0 = true;
        }
        Ok(Field::fit(entries))
    }
}

/// A part of an object, from a map.
pub fn part<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: A) -> Result<Field<T>, A::Error> {
    T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Field::fit)
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for Any<T> {
    type Value = Field<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Field<T>, E> {
        Ok(T::from_bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Field<T>, E> {
        Ok(T::from_number(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Field<T>, E> {
        Ok(u64::try_from(value).map_or_else(|_| Field::unfit(), T::from_number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Field<T>, E> {
        Ok(Field::unfit())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<T>, E> {
        Ok(T::from_text(text))
    }

    /// `null` is the absence of a field.
    fn visit_unit<E: Error>(self) -> Result<Field<T>, E> {
        Ok(Field::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
        T::from_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
        T::from_map(map)
    }
}
