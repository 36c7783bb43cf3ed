//! What the parts of a template are worth.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Facts;

/// A value of Go, as far as templates come by them.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is the kind of its name")]
pub enum Value<'a> {
    /// What is not there.
    Nothing,
    Truth(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    /// Texts by name; what is not there is an empty one.
    Texts(BTreeMap<Cow<'a, str>, Value<'a>>),
    /// Values by name.
    Map(BTreeMap<Cow<'a, str>, Value<'a>>),
    Object(Object),
}

/// What has fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// What the dot is at first.
    Facts,
    /// The query as a message, and its header.
    Message,
    /// Its question.
    Question,
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> Value<'a> {
    /// Whether it counts as true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Truth(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Uint(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(values) => !values.is_empty(),
            Self::Texts(entries) | Self::Map(entries) => !entries.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// What a copy of it costs, in steps.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(Cow::Owned(text)) => text.len(),
            Self::List(values) => values.iter().map(|value| 1 + value.weight()).sum(),
            Self::Texts(entries) | Self::Map(entries) => {
                entries.iter().map(|(name, value)| 1 + name.len() + value.weight()).sum()
            }
            _ => 0,
        }
    }

    /// What it costs to read it, in steps.
    pub fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }

    /// The name of its kind in Go.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nil",
            Self::Truth(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "[]string",
            Self::Texts(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(Object::Facts) => "*template.templateData",
            Self::Object(Object::Message) => "*dns.Msg",
            Self::Object(Object::Question) => "*dns.Question",
        }
    }

    /// A field, or what a method without arguments gives.
    pub fn field(&self, name: &str, facts: &Facts<'a>) -> Result<Value<'a>, String> {
        let found = match self {
            Self::Nothing => Some(Self::Nothing),
            Self::Texts(entries) | Self::Map(entries) => Some(entries.get(name).cloned().unwrap_or(Self::Nothing)),
            Self::Object(Object::Facts) => facts.field(name),
            Self::Object(Object::Message) => facts.message_field(name),
            Self::Object(Object::Question) => facts.question_field(name),
            Self::Truth(_) | Self::Int(_) | Self::Uint(_) | Self::Float(_) | Self::Text(_) | Self::List(_) => None,
        };
        found.ok_or_else(|| format!("there is no field {name} in {}", self.kind()))
    }
}

impl<'a> Facts<'a> {
    fn field(&self, name: &str) -> Option<Value<'a>> {
        let groups = || self.groups.iter().map(|(_, text)| Value::from(*text));
        Some(match name {
            "Zone" => self.zone.into(),
            "Name" => self.name.into(),
            "Regex" => self.regex.into(),
            "Match" => Value::List(groups().collect()),
            "Group" => {
                let numbers = (0..self.groups.len()).map(|number| number.to_string().into());
                let names = self.groups.iter().filter_map(|(name, text)| Some(((*name)?.into(), Value::from(*text))));
                Value::Texts(numbers.zip(groups()).chain(names).collect())
            }
            "Class" => self.class.into(),
            "Type" => self.record_type.into(),
            "Message" => Value::Object(Object::Message),
            "Question" => Value::Object(Object::Question),
            "Remote" => Value::Text(self.query.client.ip().to_canonical().to_string().into()),
            "Var" => Value::Map(self.variables.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()),
            _ => return None,
        })
    }

    /// The header's fields are also those of the message.
    fn message_field(&self, name: &str) -> Option<Value<'a>> {
        let query = self.query;
        Some(match name {
            "MsgHdr" => Value::Object(Object::Message),
            "Question" => Value::List(vec![Value::Object(Object::Question)]),
            "Id" => Value::Uint(query.id.into()),
            "Opcode" | "Rcode" => Value::Int(0),
            "RecursionDesired" => Value::Truth(query.recursion_desired),
            "AuthenticatedData" => Value::Truth(query.authentic_data),
            "CheckingDisabled" => Value::Truth(query.checking_disabled),
            "Response" | "Authoritative" | "Truncated" | "RecursionAvailable" | "Zero" => Value::Truth(false),
            _ => return None,
        })
    }

    fn question_field(&self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Name" => Value::Text(crate::dns::name_text(&self.query.name).into()),
            "Qtype" => Value::Uint(u16::from(self.query.record_type).into()),
            "Qclass" => Value::Uint(u16::from(self.query.class).into()),
            _ => return None,
        })
    }
}
