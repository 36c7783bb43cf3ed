//! What the API server sends: pages of lists, and lines of watches. Objects stay JSON here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::end::End;

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

/// The end that an ERROR event means.
pub fn error(object: &RawValue) -> End {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        code: u16,
        message: String,
        reason: String,
    }
    let status: Status = serde_json::from_str(object.get()).unwrap_or_default();
    match (status.code, status.reason.as_str()) {
        (410, _) | (_, "Expired" | "Gone") => End::Gone,
        (code, _) => End::Refused { code, message: status.message, retry_after: None },
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
}
