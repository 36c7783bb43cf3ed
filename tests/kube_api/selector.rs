//! Which objects a list or a watch is about.

use serde_json::Value;

use super::resource::Resource;
use super::status::Status;

/// Labels and fields that an object must have or lack.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also true if there is no value.
    NotIn(Vec<String>),
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
        }
    }
}

impl Selector {
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Status> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|label| label.test.holds(labels[&label.key].as_str()))
            && self.fields.iter().all(|field| field.test.holds(Some(&field_of(object, &field.key))))
    }
}

/// A field that is not there has the value of its type that says nothing.
fn field_of(object: &Value, path: &str) -> String {
    let value = path.split('.').fold(object, |value, part| &value[part]);
    match value {
        Value::String(text) => text.clone(),
        Value::Null if path == "spec.hostNetwork" => String::from("false"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The fields of a kind beside the name and the namespace.
fn fields_of(resource: &Resource) -> &'static [&'static str] {
    match resource.plural {
        "services" => &["spec.clusterIP", "spec.type"],
        "namespaces" => &["status.phase"],
        "pods" => &["spec.nodeName", "spec.hostNetwork", "spec.restartPolicy", "status.phase", "status.podIP"],
        _ => &[],
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<Requirement>, Status> {
    let parse = |part: &str| {
        let (key, test) = if let Some((key, value)) = part.split_once("!=") {
            (key, Test::NotIn(vec![value.to_owned()]))
        } else if let Some((key, value)) = part.split_once('=') {
            (key, Test::In(vec![value.trim_start_matches('=').to_owned()]))
        } else {
            return Err(Status::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'")));
        };
        let of_all = ["metadata.name", "metadata.namespace"];
        let of_kind = fields_of(resource);
        if of_all.contains(&key) || of_kind.contains(&key) {
            Ok(Requirement { key: key.to_owned(), test })
        } else if of_kind.is_empty() {
            let words =
                format!("{key:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
            Err(Status::bad_request(words))
        } else {
            Err(Status::bad_request(format!("field label not supported: {key}")))
        }
    };
    text.split(',').filter(|part| !part.is_empty()).map(parse).collect()
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, Status> {
    split_outside_parentheses(text).into_iter().map(parse_label).collect()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|letter| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn parse_label(part: &str) -> Result<Requirement, Status> {
    let requirement = |key: &str, test| Ok(Requirement { key: key.trim().to_owned(), test });
    let values = |list: &str| list.trim_matches(['(', ')', ' ']).split(',').map(|one| one.trim().to_owned()).collect();
    let value = |text: &str| {
        if text.contains('=') {
            return Err(Status::bad_request("unable to parse requirement: found '=', expected: identifier"));
        }
        Ok(vec![text.trim().to_owned()])
    };
    if let Some((key, list)) = part.split_once(" notin ") {
        requirement(key, Test::NotIn(values(list)))
    } else if let Some((key, list)) = part.split_once(" in ") {
        requirement(key, Test::In(values(list)))
    } else if let Some((key, text)) = part.split_once("!=") {
        requirement(key, Test::NotIn(value(text)?))
    } else if let Some((key, text)) = part.split_once('=') {
        requirement(key, Test::In(value(text.strip_prefix('=').unwrap_or(text))?))
    } else if let Some(key) = part.strip_prefix('!') {
        requirement(key, Test::Absent)
    } else {
        requirement(part, Test::Exists)
    }
}
