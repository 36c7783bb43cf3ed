//! In which form objects are sent: whole, or their metadata.

use serde_json::{Value, json};

use super::list::Scope;
use super::resource::Resource;
use super::status::Status;

/// The form that an Accept header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Whole,
    Metadata,
}

/// What is asked for, as far as forms go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One object, or the objects of a watch.
    Single,
    List,
}

impl Form {
    /// The first of the accepted forms that is served.
    pub fn negotiate(accept: Option<&str>, resource: &Resource, shape: Shape) -> Result<Self, Status> {
        for range in accept.unwrap_or("*/*").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !["application/json", "application/*", "*/*"].contains(&media) {
                continue;
            }
            match (parts.find_map(|part| part.strip_prefix("as=")), shape) {
                (None, _) => return Ok(Form::Whole),
                (Some("PartialObjectMetadata"), Shape::Single) | (Some("PartialObjectMetadataList"), Shape::List) => {
                    return Ok(Form::Metadata);
                }
                (Some("PartialObjectMetadata"), Shape::List) => return Err(wrong_shape(resource, shape)),
                (Some("PartialObjectMetadataList"), Shape::Single) => return Err(wrong_shape(resource, shape)),
                (Some(_), _) => {}
            }
        }
        Err(Status::no_representation(shape == Shape::List))
    }

    /// An object on its own, or in an event.
    pub fn object(self, scope: &Scope, object: &Value) -> Value {
        match self {
            Form::Whole => scope.resource.with_type(&scope.version, object),
            Form::Metadata => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            }),
        }
    }

    /// An object in a list.
    pub fn item(self, scope: &Scope, object: &Value) -> Value {
        if self == Form::Whole && !scope.resource.is_custom { object.clone() } else { self.object(scope, object) }
    }

    /// A list.
    pub fn list(self, scope: &Scope, metadata: Value, items: Vec<Value>) -> Value {
        let (kind, version) = match self {
            Form::Whole => (scope.resource.kind, scope.resource.group_version(&scope.version)),
            Form::Metadata => ("PartialObjectMetadata", String::from("meta.k8s.io/v1")),
        };
        json!({"kind": format!("{kind}List"), "apiVersion": version, "metadata": metadata, "items": items})
    }
}

fn wrong_shape(resource: &Resource, shape: Shape) -> Status {
    let package = if resource.group.is_empty() { "core" } else { resource.group.split('.').next().unwrap_or_default() };
    let kind = resource.kind;
    Status::not_acceptable(match shape {
        Shape::List => {
            format!("you requested PartialObjectMetadata, but the requested object is a list (*{package}.{kind}List)")
        }
        Shape::Single => format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list (*{package}.{kind})"
        ),
    })
}
