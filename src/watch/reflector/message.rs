//! What the API server sends: pages of lists, and lines of watches. Objects stay JSON here.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::end::End;
use crate::watch::lenient::{Field, Lenient, part};

/// One page of a list. Its objects are read one by one, so that a bad one costs only itself.
#[derive(Deserialize)]
pub struct Page<'a> {
    #[serde(borrow)]
    pub metadata: PageMetadata<'a>,
    #[serde(borrow)]
    pub items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageMetadata<'a> {
    #[serde(borrow, default)]
    pub resource_version: Cow<'a, str>,
    #[serde(borrow, default, rename = "continue")]
    pub next: Cow<'a, str>,
}

/// One line of a watch.
#[derive(Deserialize)]
pub struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub event_type: Cow<'a, str>,
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// What matters of a Status object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
    reason: String,
    #[serde(deserialize_with = "crate::watch::lenient::lenient")]
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    #[serde(deserialize_with = "crate::watch::lenient::lenient")]
    retry_after_seconds: Option<u16>,
}

impl Lenient for Details {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        part(map)
    }
}

impl Status {
    fn retry_after(&self) -> Option<Duration> {
        self.details
            .retry_after_seconds
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The end that an ERROR event means.
pub fn error(object: &RawValue) -> End {
    let status: Status = serde_json::from_str(object.get()).unwrap_or_default();
    match (status.code, status.reason.as_str()) {
        (410, _) | (_, "Expired" | "Gone") => End::Gone,
        (code, _) => End::Refused { code, retry_after: status.retry_after(), message: status.message },
    }
}

/// What a refusal says: the words of a Status object and how long to wait, or the first line of a text.
pub fn explanation(octets: &[u8]) -> (String, Option<Duration>) {
    match serde_json::from_slice::<Status>(octets) {
        Ok(status) => (status.message.clone(), status.retry_after()),
        Err(_) => {
            let text = String::from_utf8_lossy(octets);
            (text.lines().next().unwrap_or_default().chars().take(200).collect(), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_have_no_items_and_no_next() {
        let page: Page<'_> =
            serde_json::from_str(r#"{"metadata":{"resourceVersion":"7"},"items":null}"#).expect("a page");
        assert!(page.items.is_none() && page.metadata.next.is_empty());
        let page: Page<'_> = serde_json::from_str(
            r#"{"kind":"ServiceList","metadata":{"resourceVersion":"7","continue":"eyJ2"},"items":[{}, 7]}"#,
        )
        .expect("a page");
        assert_eq!((page.items.map(|items| items.len()), &*page.metadata.next), (Some(2), "eyJ2"));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        assert_eq!(explanation(br#"{"kind":"Status","message":"no","code":403}"#), ("no".to_owned(), None));
        assert_eq!(explanation(b"404 page not found\n"), ("404 page not found".to_owned(), None));
        assert_eq!(explanation(b""), (String::new(), None));
    }

    #[test]
    fn a_status_may_say_how_long_to_wait() {
        let json = r#"{"message":"busy","code":429,"details":{"retryAfterSeconds":3}}"#;
        let wait = Some(Duration::from_secs(3));
        assert_eq!(explanation(json.as_bytes()), ("busy".to_owned(), wait));
        let object: &RawValue = serde_json::from_str(json).expect("an object");
        assert_eq!(error(object), End::Refused { code: 429, message: "busy".to_owned(), retry_after: wait });
        let odd = r#"{"message":"busy","code":429,"details":{"retryAfterSeconds":"soon"}}"#;
        assert_eq!(explanation(odd.as_bytes()), ("busy".to_owned(), None));
    }
}
