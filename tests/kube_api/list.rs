//! Lists and single objects: pages, revisions of the past, forms.

use std::collections::HashMap;
use std::ops::Bound;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, WARNING};
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;
use super::form::Form;
use super::resource::{ObjectPath, Resource};
use super::selector::Selector;
use super::status::{self, Cause, Status};
use super::store::{Compacted, Key, Objects};

/// The parameters of a request, decoded.
pub type Parameters = HashMap<String, String>;

/// Where a list goes on: after the last key, at the revision of the first page; -1 is the newest.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// What a list asks for.
#[derive(Debug)]
struct List {
    limit: Option<usize>,
    revision: Option<u64>,
    is_exact: bool,
    token: Option<Token>,
}

/// What of the store a request is about.
#[derive(Debug)]
pub struct Scope {
    pub resource: &'static Resource,
    pub version: String,
    namespace: Option<String>,
    pub selector: Selector,
}

impl Scope {
    pub fn parse(resource: &'static Resource, path: &ObjectPath, parameters: &Parameters) -> Result<Self, Status> {
        let selector = Selector::parse(
            resource,
            text(parameters, "labelSelector").unwrap_or_default(),
            text(parameters, "fieldSelector").unwrap_or_default(),
        )?;
        Ok(Self { resource, version: path.version.clone(), namespace: path.namespace.clone(), selector })
    }

    pub fn contains(&self, key: &Key) -> bool {
        key.0 == self.resource.plural && key.1.starts_with(&self.prefix())
    }

    fn prefix(&self) -> String {
        self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default()
    }
}

/// A parameter that is there and not empty.
pub fn text<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// A revision, or the words that say why it is none.
pub fn revision(parameters: &Parameters) -> Result<Option<u64>, String> {
    text(parameters, "resourceVersion").map(|value| value.parse()).transpose().map_err(|_| {
        let value = &parameters["resourceVersion"];
        format!("resourceVersion: Invalid value: {value:?}: strconv.ParseUint: parsing {value:?}: invalid syntax")
    })
}

pub fn forbidden(field: &'static str, words: &str) -> Cause {
    Cause { field, reason: "FieldValueForbidden", message: format!("Forbidden: {words}") }
}

pub fn unsupported(field: &'static str, value: &str, supported: &str) -> Cause {
    let message = format!("Unsupported value: {value:?}: supported values: {supported}");
    Cause { field, reason: "FieldValueNotSupported", message }
}

impl List {
    fn parse(parameters: &Parameters) -> Result<Self, Status> {
        let limit = match text(parameters, "limit") {
            Some(limit) => limit
                .parse::<i64>()
                .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {limit:?}: invalid syntax")))?,
            None => 0,
        };
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        let causes: Vec<Cause> = mistakes(parameters).into_iter().collect();
        if !causes.is_empty() {
            return Err(Status::invalid_options(&causes));
        }
        let revision =
            revision(parameters).map_err(|words| Status::bad_request(format!("invalid resource version: {words}")))?;
        let token = text(parameters, "continue").map(Token::decode).transpose()?;
        if token.is_some() && revision.is_some_and(|revision| revision > 0) {
            let words = "specifying resource version is not allowed when using continue";
            return Err(Status::bad_request(words));
        }
        let is_exact = match text(parameters, "resourceVersionMatch") {
            Some(matching) => matching == "Exact",
            None => limit.is_some() && revision.is_some_and(|revision| revision > 0),
        };
        // The cache answers revision 0 and knows no pages.
        let limit = limit.filter(|_| revision != Some(0));
        Ok(Self { limit, revision, is_exact, token })
    }
}

fn mistakes(parameters: &Parameters) -> Option<Cause> {
    let matching = "resourceVersionMatch";
    if parameters.contains_key("sendInitialEvents") {
        return Some(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    let value = text(parameters, matching)?;
    if text(parameters, "continue").is_some() {
        return Some(forbidden(matching, "resourceVersionMatch is forbidden when continue is provided"));
    }
    match (value, text(parameters, "resourceVersion")) {
        (_, None) => Some(forbidden(matching, "resourceVersionMatch is forbidden unless resourceVersion is provided")),
        ("Exact", Some("0")) => {
            Some(forbidden(matching, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
        }
        ("Exact" | "NotOlderThan", _) => None,
        _ => Some(unsupported(matching, value, "\"Exact\", \"NotOlderThan\", \"\"")),
    }
}

impl Token {
    fn after(revision: i64, key: &str) -> String {
        let token = Self { v: String::from("meta.k8s.io/v1"), rv: revision, start: format!("{key}\0") };
        BASE64URL_NOPAD.encode(serde_json::to_string(&token).unwrap().as_bytes())
    }

    fn decode(text: &str) -> Result<Self, Status> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let octets = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| unreadable(&error))?;
        serde_json::from_slice(&octets).map_err(|error| unreadable(&error))
    }

    /// The last key that was listed, as the store has it.
    fn last_key(&self) -> &str {
        self.start.trim_start_matches('/').trim_end_matches('\0')
    }
}

/// Answers a list.
pub async fn list(shared: &Shared, scope: &Scope, form: Form, parameters: &Parameters) -> Result<Response, Status> {
    let list = List::parse(parameters)?;
    if !list.is_cached() && !shared.store_is_there().await {
        return Ok(status::no_store());
    }
    if let Some(revision) = list.revision {
        shared.wait_for(revision).await?;
    }
    let (revision, objects) = list.objects(shared)?;
    let after = list.token.as_ref().map(|token| format!("{}{}", scope.prefix(), token.last_key()));
    let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded((scope.resource.plural, key)));
    let mut matching = objects
        .range((start, Bound::Unbounded))
        .filter(|(key, object)| scope.contains(key) && scope.selector.matches(object));
    let page: Vec<_> = matching.by_ref().take(list.limit.unwrap_or(usize::MAX)).collect();
    let left = matching.count();

    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if scope.resource.is_custom {
        metadata["continue"] = json!("");
    }
    if let (Some((key, _)), 1..) = (page.last(), left) {
        let key = key.1.strip_prefix(&scope.prefix()).unwrap();
        metadata["continue"] = json!(Token::after(i64::try_from(revision).unwrap(), &format!("/{key}")));
        if scope.selector.is_empty() {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    let items = page.into_iter().map(|(_, object)| form.item(scope, object)).collect();
    Ok(response(scope, &form.list(scope, metadata, items)))
}

impl List {
    /// Whether the server need not ask the store.
    fn is_cached(&self) -> bool {
        self.revision.is_some() && !self.is_exact && self.token.is_none()
    }

    /// The state that the list is of, and its revision.
    fn objects(&self, shared: &Shared) -> Result<(u64, Objects), Status> {
        let store = &shared.lock().store;
        let asked = match (&self.token, self.revision) {
            (Some(token), _) => u64::try_from(token.rv).ok(),
            (None, revision) => revision.filter(|_| self.is_exact),
        };
        let Some(revision) = asked else {
            return Ok((store.revision(), store.objects().clone()));
        };
        let objects = store.objects_at(revision).map_err(|Compacted| match &self.token {
            Some(token) => Status::expired_token(Token::after(-1, token.last_key())),
            None => Status::expired_list(),
        })?;
        Ok((revision, objects))
    }
}

/// Answers a request for one object.
pub async fn get(
    shared: &Shared,
    scope: &Scope,
    form: Form,
    name: &str,
    parameters: &Parameters,
) -> Result<Response, Status> {
    let revision =
        revision(parameters).map_err(|words| Status::bad_request(format!("invalid resource version: {words}")))?;
    if let Some(revision) = revision {
        shared.wait_for(revision).await?;
    }
    let key = (scope.resource.plural, format!("{}{name}", scope.prefix()));
    let object = shared.lock().store.objects().get(&key).cloned();
    let object = object.ok_or_else(|| Status::no_object(&scope.resource.qualified(), name))?;
    Ok(response(scope, &form.object(scope, &object)))
}

fn response(scope: &Scope, body: &Value) -> Response {
    let mut response = Response::builder().header(CONTENT_TYPE, "application/json");
    if scope.resource.plural == "endpoints" {
        let words = "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
        response = response.header(WARNING, words);
    }
    response.body(Body::from(body.to_string())).unwrap()
}
