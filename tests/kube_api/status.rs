//! Errors as the server says them: Status objects with a code, a reason and the words of the real server.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A failure.
#[derive(Clone, Debug)]
pub struct Status(Value);

/// A fault of one parameter of a list or a watch.
pub struct Cause {
    pub field: &'static str,
    pub reason: &'static str,
    pub message: String,
}

impl Status {
    fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message.into(), "code": code,
        });
        if !reason.is_empty() {
            body["reason"] = json!(reason);
        }
        Self(body)
    }

    fn with_details(mut self, details: Value) -> Self {
        self.0["details"] = details;
        self
    }

    /// A status that a test injects.
    pub fn injected(code: u16) -> Self {
        let (reason, message) = match code {
            410 => ("Expired", "too old resource version"),
            500 => ("InternalError", "Internal error occurred"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "Timeout: request did not complete"),
            _ => ("", "injected"),
        };
        Self::new(code, reason, message)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(message: String, details: Value) -> Self {
        Self::new(403, "Forbidden", message).with_details(details)
    }

    /// A resource or a version that the server does not know.
    pub fn unknown_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    pub fn no_object(qualified: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{qualified} {name:?} not found"))
            .with_details(json!({"name": name, "kind": qualified}))
    }

    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// No form that was asked for is served.
    pub fn no_representation(is_collection: bool) -> Self {
        let mut message = String::from(
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf",
        );
        if is_collection {
            message += ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        }
        Self::not_acceptable(message).with_details(json!({}))
    }

    /// The revision of an exact list is gone.
    pub fn expired_list() -> Self {
        Self::new(410, "Expired", "The resourceVersion for the provided list is too old.")
    }

    /// The revision of a continue token is gone; another token goes on at the newest.
    pub fn expired_token(token: String) -> Self {
        let mut status = Self::new(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the \
             list.",
        );
        status.0["metadata"]["continue"] = json!(token);
        status
    }

    /// The revision of a watch is gone.
    pub fn expired_watch(revision: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {revision} ({oldest})"))
    }

    pub fn invalid_options(causes: &[Cause]) -> Self {
        let words: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let words = if let [only] = words.as_slice() { only.clone() } else { format!("[{}]", words.join(", ")) };
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        Self::new(422, "Invalid", format!("ListOptions.meta.k8s.io \"\" is invalid: {words}"))
            .with_details(json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes}))
    }

    /// Why a watch says 500 where a list says 400 is the real server's secret.
    pub fn watch_revision_unreadable(words: String) -> Self {
        Self::new(500, "", words)
    }

    /// The store cannot say how far it is, so that nobody knows when a list is complete.
    pub fn no_progress() -> Self {
        let words = "storage: the required storage feature RequestWatchProgress is disabled";
        Self::new(500, "", words)
    }

    /// A revision of the future did not come in time.
    pub fn too_large_revision(asked: u64, current: u64) -> Self {
        Self::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"))
            .with_details(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            }))
    }

    /// The object, as an ERROR event carries it.
    pub fn body(&self) -> &Value {
        &self.0
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let code = u16::try_from(self.0["code"].as_u64().unwrap()).unwrap();
        let mut response = Response::builder().status(code).header(CONTENT_TYPE, "application/json");
        if let Some(seconds) = self.0["details"]["retryAfterSeconds"].as_u64() {
            response = response.header(RETRY_AFTER, seconds);
        }
        response.body(Body::from(self.0.to_string())).unwrap()
    }
}

/// What a list is answered that waited for the store in vain: no Status, and as text.
pub fn no_store() -> Response {
    let body = json!({
        "metadata": {}, "status": "Failure", "reason": "Timeout", "details": {}, "code": 504,
        "message": "Timeout: request did not complete within the allotted timeout",
    });
    text(504, &format!("{body}\n"))
}

/// What no part of the API answers, and too many requests: a line of text.
pub fn text(code: u16, words: &str) -> Response {
    Response::builder()
        .status(code)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(Body::from(words.to_owned()))
        .unwrap()
}
