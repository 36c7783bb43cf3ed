//! What goes wrong on the wire costs a moment, never a name, and never makes a storm of requests.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Server, corefile, service, shop, until};
use crate::kube_api_server::{Fault, KubeApi};

/// Ends all watches once, so that the next ones meet what was injected.
fn cut_watches(api: &KubeApi) {
    api.stop();
    api.resume();
}

/// A fault of the first requests delays the start, and nothing else.
fn check_start(verb: &'static str, fault: Fault) {
    let api = shop();
    api.set(|settings| settings.has_initial_events = verb == "watch");
    api.inject(verb, "services", fault, 2);
    let server = Server::start(&api, &corefile("startup_timeout 30s"));
    server.check("web.shop A", "10.96.0.80");
    server.check("10.96.0.80 PTR", "web.shop.svc.cluster.local.");
    server.is_ready();
}

/// A fault of a watch that goes on from where the last one ended hides no change.
fn check_watch(fault: Fault, expected_lists: usize) {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    let lists = api.lists("services");
    api.stop();
    for number in 0..5 {
        api.create(service(&format!("new-{number}"), &format!("10.96.7.{number}")));
    }
    api.delete("services", "shop", "new-2");
    api.inject("watch", "services", fault.clone(), 1);
    api.resume();
    server.becomes("new-4.shop A", "10.96.7.4");
    server.becomes("new-2.shop A", "NXDOMAIN");
    server.check("new-0.shop A", "10.96.7.0");
    server.check("web.shop A", "10.96.0.80");
    server.is_ready();
    assert_eq!(api.lists("services") - lists, expected_lists, "{fault:?}");
}

#[test]
fn a_start_survives_every_fault() {
    for verb in ["watch", "list"] {
        std::thread::scope(|scope| {
            for fault in [
                Fault::Status(410),
                Fault::Status(422),
                Fault::Status(500),
                Fault::Status(504),
                Fault::EndAfterHead,
                Fault::HangUp,
                Fault::CutAfter(100),
                Fault::Line("{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}"),
                Fault::Drip(Duration::from_millis(1)),
            ] {
                scope.spawn(move || check_start(verb, fault));
            }
        });
    }
}

#[test]
fn a_watch_survives_every_fault() {
    std::thread::scope(|scope| {
        for (fault, lists) in [
            (Fault::Status(410), 1),
            (Fault::Line(r#"{"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}}"#), 1),
            (Fault::Line(r#"{"type":"ADDED","object":{"metadata":{"name":7}}}"#), 0),
            (Fault::Line("nonsense"), 0),
            (Fault::Status(401), 0),
            (Fault::Status(500), 0),
            (Fault::Status(503), 0),
            (Fault::EndAfterHead, 0),
            (Fault::HangUp, 0),
            (Fault::CutAfter(0), 0),
            // Half of the second event.
            (Fault::CutAfter(900), 0),
            (Fault::Drip(Duration::from_millis(1)), 0),
        ] {
            scope.spawn(move || check_watch(fault, lists));
        }
    });
}

#[test]
fn throttling_is_obeyed() {
    let api = shop();
    api.inject("watch", "services", Fault::Status(429), 2);
    let begun = Instant::now();
    let server = Server::start(&api, &corefile("startup_timeout 30s"));
    server.check("web.shop A", "10.96.0.80");
    assert!(begun.elapsed() >= Duration::from_secs(2), "the server asked for a second, twice");
    assert_eq!(api.requests("watch", "services"), 3);
}

/// Whatever ends each watch at once, some more of them take a while.
fn check_pace(fault: Fault) {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    api.inject("watch", "services", fault.clone(), usize::MAX);
    cut_watches(&api);
    let watches = api.requests("watch", "services");
    let begun = Instant::now();
    until("more watches", || api.requests("watch", "services") >= watches + 4);
    let pace = 4.0 / begun.elapsed().as_secs_f64();
    assert!(pace < 30.0, "{fault:?}: {pace} requests per second");
    server.check("web.shop A", "10.96.0.80");
    server.is_ready();
}

#[test]
fn watches_that_end_at_once_make_no_storm() {
    std::thread::scope(|scope| {
        for fault in [Fault::EndAfterHead, Fault::HangUp, Fault::Status(410), Fault::Status(500)] {
            scope.spawn(move || check_pace(fault));
        }
    });
}

#[test]
fn watches_that_end_in_time_go_on_without_a_list() {
    let api = shop();
    // Watches last some two seconds instead of four minutes.
    api.set(|settings| settings.second = Duration::from_millis(8));
    let server = Server::start(&api, &corefile(""));
    let (lists, watches) = (api.lists("services"), api.requests("watch", "services"));
    until("two more watches", || api.requests("watch", "services") >= watches + 2);
    api.create(service("new", "10.96.0.90"));
    server.becomes("new.shop A", "10.96.0.90");
    assert_eq!(api.lists("services"), lists);
    assert!(server.metric("landfall_watch_failures_total", &["services"]) < 1.0);
}

#[test]
fn a_server_that_streams_no_lists_is_listed_in_pages() {
    let api = shop();
    api.set(|settings| settings.has_initial_events = false);
    for number in 0..1200 {
        api.create(service(&format!("svc-{number}"), &format!("10.97.{}.{}", number / 250, number % 250)));
    }
    let server = Server::start(&api, &corefile("startup_timeout 30s"));
    for number in (0..1200).step_by(20) {
        server.check(&format!("svc-{number}.shop A"), &format!("10.97.{}.{}", number / 250, number % 250));
    }
    server.check("svc-1200.shop A", "NXDOMAIN");
    assert_eq!((api.requests("list", "services"), api.requests("continue", "services")), (1, 2));
    // It refused to stream, so it is not asked again.
    api.stop();
    api.create(service("new", "10.96.0.90"));
    api.compact();
    api.resume();
    server.becomes("new.shop A", "10.96.0.90");
    assert_eq!(api.parameters("services", "sendInitialEvents").len(), 2);
    assert_eq!(api.lists("services"), 3, "one that was refused, and twice in pages");
}

#[test]
fn a_page_whose_token_has_expired_is_no_loss() {
    let api = shop();
    api.set(|settings| settings.has_initial_events = false);
    for number in 0..600 {
        api.create(service(&format!("svc-{number}"), &format!("10.97.{}.{}", number / 250, number % 250)));
    }
    api.inject("continue", "services", Fault::Status(410), 1);
    let server = Server::start(&api, &corefile("startup_timeout 30s"));
    server.check("svc-599.shop A", "10.97.2.99");
    server.check("web.shop A", "10.96.0.80");
    assert_eq!(api.requests("list", "services"), 2);
}

#[test]
fn a_stream_that_stalls_before_it_is_complete_becomes_pages() {
    let api = shop();
    api.inject("watch", "services", Fault::SilenceAfterHead, 1);
    let server = Server::start(&api, &corefile("startup_timeout 30s"));
    server.check("web.shop A", "10.96.0.80");
    assert_eq!(api.requests("list", "services"), 1);
}

/// What is known of `web` stays, by a watch and by a list, whatever becomes of its object.
#[test]
fn an_object_that_cannot_be_understood_any_more_keeps_its_last_good_version() {
    let api = shop();
    let mut server = Server::start(&api, &corefile(""));
    let spoilt = |revision, spec: serde_json::Value| {
        let object = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        api.replay("services", "shop", "web", revision, Some(object));
    };
    let check = |next: &str, address: &str| {
        api.create(service(next, address));
        server.becomes(&format!("{next}.shop A"), address);
        server.check("web.shop A", "10.96.0.80");
        server.check("_http._tcp.web.shop SRV", "0 100 80 web.shop.svc.cluster.local.");
        server.check("10.96.0.80 PTR", "web.shop.svc.cluster.local.");
    };
    spoilt(100, json!("none"));
    check("one", "10.96.0.91");
    spoilt(200, json!({"clusterIP": 7, "ports": {}}));
    check("two", "10.96.0.92");
    api.stop();
    api.create(service("missed", "10.96.0.94"));
    api.compact();
    api.resume();
    server.becomes("missed.shop A", "10.96.0.94");
    check("three", "10.96.0.93");
    assert!(server.metric("landfall_watch_decode_errors_total", &["services"]) >= 3.0);
    let told =
        "an object cannot be understood; what is known of it is served resource=services namespace=shop name=web";
    server.process.wait_for(told);
    assert_eq!(server.process.count("cannot be understood"), 1, "{:#?}", server.process.seen);
    spoilt(300, json!({"clusterIP": "10.96.0.81", "ports": []}));
    server.becomes("web.shop A", "10.96.0.81");
    spoilt(400, json!([]));
    server.process.wait_for("cannot be understood");
    api.delete("services", "shop", "web");
    server.becomes("web.shop A", "NXDOMAIN");
}

#[test]
fn an_object_that_cannot_be_read_costs_only_itself() {
    let api = shop();
    let strange = |revision, name: &str, mut object: serde_json::Value| {
        object["metadata"]["namespace"] = json!("shop");
        api.replay("services", "shop", name, revision, Some(object));
    };
    strange(100, "aaa", json!({"metadata": {"name": 7}, "spec": {"clusterIP": "10.96.7.1"}}));
    strange(101, "bbb", json!({"metadata": {"name": "bbb"}, "spec": "none", "status": [7], "future": {"field": []}}));
    strange(
        102,
        "ccc",
        json!({"metadata": {"name": "ccc", "future": 1}, "spec": {
            "clusterIP": "10.96.7.3", "future": {"deep": [{}]}, "ports": [{"name": "http", "port": "many"}, 7],
        }}),
    );
    let server = Server::start(&api, &corefile(""));
    server.is_ready();
    server.check("web.shop A", "10.96.0.80");
    server.check("ccc.shop A", "10.96.7.3");
    server.check("10.96.7.1 PTR", "NXDOMAIN");
    let unreadable = server.metric("landfall_watch_decode_errors_total", &["services"]);
    assert!(unreadable >= 1.0, "{unreadable}");
    // The same by a watch: what was known of an object stays.
    strange(103, "web", json!({"metadata": {"name": {}}, "spec": {"clusterIP": "10.96.7.4"}}));
    api.create(service("new", "10.96.0.90"));
    server.becomes("new.shop A", "10.96.0.90");
    server.check("web.shop A", "10.96.0.80");
    assert!(server.metric("landfall_watch_decode_errors_total", &["services"]) > unreadable);
}
