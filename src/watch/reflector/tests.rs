//! What becomes of the lines of a watch.

use super::*;
use crate::watch::source::{self, Source};

/// A reflector of Services whose plan is at the given place, and what it sends.
async fn reflector(plan: Plan) -> (Reflector, mpsc::Receiver<Update>) {
    let source = crate::config::directive::ObjectSource::Endpoint { url: "http://127.0.0.1:1".to_owned(), tls: None };
    let settings = crate::watch::Settings { source, ..Default::default() };
    let Ok(Source::Api(server)) = source::find(&settings).await else { panic!("a client") };
    let (updates, received) = mpsc::channel(64);
    let metrics = Arc::new(Metrics::new());
    let (watched, troubles) = (metrics.watch("services"), Troubles::default());
    let times = settings.times;
    let context = Context { server, labels: None, compare: None, times, updates, metrics, watched, troubles };
    let mut reflector = Reflector::new(Resource::Services, context);
    reflector.plan = plan;
    (reflector, received)
}

fn streaming() -> Plan {
    let mut plan = Plan::default();
    plan.can_stream(true);
    plan
}

fn watching() -> Plan {
    let mut plan = streaming();
    plan.listed("5".to_owned());
    plan
}

fn service(event: &str, name: &str, version: u32) -> String {
    format!(
        r#"{{"type":"{event}","object":{{"kind":"Service","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"pier",
        "resourceVersion":"{version}"}},"spec":{{"clusterIP":"10.96.0.1","futureField":[{{}}]}}}}}}"#
    )
    .replace('\n', "")
}

#[tokio::test]
async fn events_become_changes_and_move_the_version() {
    let (mut reflector, mut received) = reflector(watching()).await;
    for line in [service("ADDED", "gull", 6), service("MODIFIED", "gull", 8), service("DELETED", "gull", 9)] {
        assert_eq!(reflector.take_event(line.as_bytes()).await, Ok(()));
    }
    assert!(matches!(received.try_recv().expect("an update").change, Change::Service(_)));
    assert!(matches!(received.try_recv().expect("an update").change, Change::Service(_)));
    assert!(matches!(received.try_recv().expect("an update").change, Change::Removed(Resource::Services, _)));
    assert_eq!(reflector.plan.step(), Step::Watch("9".to_owned()));
    let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Service","metadata":{"resourceVersion":"12"},"spec":{}}}"#;
    assert_eq!(reflector.take_event(bookmark.as_bytes()).await, Ok(()));
    assert_eq!(reflector.plan.step(), Step::Watch("12".to_owned()));
}

#[tokio::test]
async fn garbage_is_counted_and_changes_nothing() {
    let (mut reflector, mut received) = reflector(watching()).await;
    let nameless = r#"{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"7"}}}"#;
    for line in ["", "{", "7", r#"{"type":"ADDED"}"#, nameless, r#"{"type":"X","object":{}}"#, "\u{0}\u{7f}"] {
        assert_eq!(reflector.take_event(line.as_bytes()).await, Ok(()), "{line}");
    }
    assert_eq!(reflector.take_event(&[0xff, 0xfe]).await, Ok(()));
    assert!(received.try_recv().is_err());
    assert_eq!(reflector.plan.step(), Step::Watch("5".to_owned()));
    assert_eq!(reflector.metrics.landfall_watch_decode_errors.with_label_values(&["services"]).get(), 8);
}

#[tokio::test]
async fn a_streamed_list_ends_with_its_bookmark() {
    let (mut reflector, mut received) = reflector(streaming()).await;
    assert_eq!(reflector.take_event(service("ADDED", "gull", 6).as_bytes()).await, Ok(()));
    assert_eq!(reflector.plan.step(), Step::Stream);
    let end = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"265","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
    assert_eq!(reflector.take_event(end.as_bytes()).await, Ok(()));
    assert_eq!(reflector.plan.step(), Step::Watch("265".to_owned()));
    assert!(matches!(received.try_recv().expect("an update").change, Change::Service(_)));
    assert_eq!(received.try_recv().expect("an update").change, Change::ListEnded(Resource::Services));
}

#[tokio::test]
async fn an_error_event_ends_the_watch() {
    let (mut reflector, _received) = reflector(watching()).await;
    let mut check = async |status: &str, end: End| {
        let line = format!(r#"{{"type":"ERROR","object":{status}}}"#);
        assert_eq!(reflector.take_event(line.as_bytes()).await, Err(end), "{status}");
    };
    check(r#"{"kind":"Status","message":"too old resource version: 399 (408)","code":410}"#, End::Gone).await;
    check(r#"{"kind":"Status","reason":"Expired"}"#, End::Gone).await;
    let timeout = End::Refused { code: 504, message: "Timeout".to_owned(), retry_after: None };
    check(r#"{"kind":"Status","message":"Timeout","code":504}"#, timeout).await;
    let unknown = End::Refused { code: 0, message: String::new(), retry_after: None };
    check(r#"["x"]"#, unknown).await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_kept_and_counted() {
    let (mut reflector, mut received) = reflector(watching()).await;
    let unfit = r#"{"type":"MODIFIED","object":{"metadata":{"name":"gull","namespace":"pier","resourceVersion":"7"},"spec":7}}"#;
    assert_eq!(reflector.take_event(unfit.as_bytes()).await, Ok(()));
    let Change::Unfit(Resource::Services, key, Some(_)) = received.try_recv().expect("an update").change else {
        panic!("what can be read")
    };
    let twice = unfit.replace("\"spec\":7", "\"spec\":{},\"spec\":{}").replace("\"7\"", "\"8\"");
    assert_eq!(reflector.take_event(twice.as_bytes()).await, Ok(()));
    let expected = Change::Unfit(Resource::Services, key.clone(), None);
    assert_eq!(received.try_recv().expect("an update").change, expected);
    assert_eq!(reflector.plan.step(), Step::Watch("8".to_owned()));
    assert_eq!(reflector.metrics.landfall_watch_decode_errors.with_label_values(&["services"]).get(), 2);
    let deleted = twice.replace("MODIFIED", "DELETED");
    assert_eq!(reflector.take_event(deleted.as_bytes()).await, Ok(()));
    assert_eq!(received.try_recv().expect("an update").change, Change::Removed(Resource::Services, key));
}

#[tokio::test]
async fn only_a_watched_change_is_measured() {
    let json = r#"{"type":"ADDED","object":{"metadata":{"name":"s","namespace":"n",
        "annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T00:00:00Z"}}}}"#;
    for (plan, is_measured) in [(watching(), true), (streaming(), false)] {
        let (mut reflector, mut received) = reflector(plan).await;
        assert_eq!(reflector.take_event(json.as_bytes()).await, Ok(()));
        assert_eq!(received.try_recv().expect("an update").caused_at.is_some(), is_measured);
    }
}
