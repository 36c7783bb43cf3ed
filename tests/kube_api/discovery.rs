//! What the server is and serves: versions, groups, resources.

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::resource::Resource;
use super::status::{Status, text};

/// Answers a path that names no objects.
pub fn answer(path: &str, with_custom: bool) -> Response {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let body = match parts.as_slice() {
        ["version"] => version(),
        ["readyz" | "livez" | "healthz"] => return text(200, "ok"),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["api", version] => return resources("", version, with_custom),
        ["apis"] => groups(with_custom),
        ["apis", name] => match group(name, with_custom) {
            Some(group) => typed(group, "APIGroup"),
            None => return not_found(),
        },
        ["apis", group, version] => return resources(group, version, with_custom),
        _ => return not_found(),
    };
    axum_json(&body)
}

/// What a part of the API that is not installed answers: no Status.
pub fn not_found() -> Response {
    text(404, "404 page not found\n")
}

/// Whether the group has any resource.
pub fn has_group(group: &str, with_custom: bool) -> bool {
    Resource::all(with_custom).any(|resource| resource.group == group)
}

fn axum_json(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

fn typed(mut body: Value, kind: &str) -> Value {
    body["kind"] = json!(kind);
    body["apiVersion"] = json!("v1");
    body
}

fn version() -> Value {
    json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"})
}

fn group(name: &str, with_custom: bool) -> Option<Value> {
    let resource = Resource::all(with_custom).find(|resource| resource.group == name && !name.is_empty())?;
    let versions: Vec<Value> = resource
        .versions
        .iter()
        .map(|version| json!({"groupVersion": resource.group_version(version), "version": version}))
        .collect();
    Some(json!({"name": name, "versions": versions, "preferredVersion": versions[0]}))
}

fn groups(with_custom: bool) -> Value {
    let groups: Vec<Value> =
        Resource::all(with_custom).filter_map(|resource| group(resource.group, with_custom)).collect();
    typed(json!({"groups": groups}), "APIGroupList")
}

fn resources(group: &str, version: &str, with_custom: bool) -> Response {
    if !has_group(group, with_custom) {
        return not_found();
    }
    let served: Vec<&Resource> = Resource::all(with_custom)
        .filter(|resource| resource.group == group && resource.versions.contains(&version))
        .collect();
    let Some(first) = served.first() else { return Status::unknown_resource().into_response() };
    let group_version = first.group_version(version);
    let mut body = json!({"kind": "APIResourceList", "groupVersion": group_version});
    if !group.is_empty() {
        body["apiVersion"] = json!("v1");
    }
    body["resources"] = served.into_iter().map(described).collect();
    axum_json(&body)
}

fn described(resource: &Resource) -> Value {
    let mut description = json!({
        "name": resource.plural,
        "singularName": resource.kind.to_lowercase(),
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": ["get", "list", "watch"],
    });
    for (field, words) in [("shortNames", resource.short_names), ("categories", resource.categories)] {
        if !words.is_empty() {
            description[field] = json!(words);
        }
    }
    description
}
