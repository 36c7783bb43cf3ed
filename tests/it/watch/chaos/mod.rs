//! Whatever befalls the API server: who asks for what is there, a thousand times a second, is answered and never denied, and
//! afterwards the server has what the API server holds.

mod scene;

use std::time::Duration;

use serde_json::json;

use self::scene::{PROMPTLY, Scene, WATCHED, pod, slice, transferring};
use super::load::Load;
use super::truth::Truth;
use super::{Server, service, until};
use crate::kube_api_server::{DNS, Fault};

/// How long it takes until ten thousand events are read, by a program without optimization.
const BURST: Duration = Duration::from_secs(15);

/// How long after a fault everything is as it should be where nothing says that anything is wrong.
const AFTER_SILENCE: Duration = Duration::from_secs(60);

/// The same where a comparison of every minute, give or take, finds it.
const AFTER_COMPARISON: Duration = Duration::from_secs(100);

/// A fault lasts a while: clients notice, and try again and again.
fn lasts(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn without_a_fault_changes_are_followed() {
    Scene::start().survives(Scene::change);
}

#[test]
fn a_name_that_is_denied_would_be_noticed() {
    let scene = Scene::start();
    let load = Load::start(scene.server.dns(), Truth::of(&scene.api, &scene.corefile).answers_of("fleet"));
    scene.api.delete("services", "fleet", "escort");
    scene.server.becomes("escort.fleet A", "NXDOMAIN");
    let wrong = load.end().expect_err("a name that is denied");
    assert!(wrong.contains("NXDOMAIN"), "{wrong}");
}

#[test]
fn an_api_server_that_is_killed_and_comes_back() {
    let scene = Scene::start();
    scene.survives(|scene| {
        for _ in 0..3 {
            scene.api.stop();
            lasts(500);
            scene.api.resume();
        }
        scene.api.stop();
        scene.change();
        lasts(500);
        scene.api.resume();
    });
}

#[test]
fn an_api_server_that_is_stopped_and_goes_on() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.api.set(|settings| settings.is_paused = true);
        scene.change();
        lasts(1500);
        scene.api.set(|settings| settings.is_paused = false);
    });
    // New connections meet silence, too.
    scene.survives(|scene| {
        scene.api.set(|settings| settings.is_paused = true);
        scene.cut();
        scene.api.create(service("late", "10.96.0.99"));
        lasts(1500);
        scene.api.set(|settings| settings.is_paused = false);
    });
}

#[test]
fn a_store_that_is_away() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.api.set(|settings| (settings.is_store_down, settings.second) = (true, Duration::from_millis(5)));
        scene.cut();
        lasts(1500);
        scene.api.set(|settings| (settings.is_store_down, settings.second) = (false, Duration::from_secs(1)));
        scene.change();
    });
    scene.survives(|scene| {
        scene.api.set(|settings| settings.is_store_down = true);
        scene.cut();
        lasts(500);
        scene.api.set(|settings| settings.is_store_down = false);
        scene.api.delete_namespace("bank");
    });
}

#[test]
fn a_server_that_starts_without_a_store() {
    let api = Scene::api();
    api.set(|settings| settings.is_store_down = true);
    let corefile = transferring().replace("pods verified", "pods verified\nstartup_timeout 1s");
    let server = Server::start_unready(&api, &corefile);
    server.check("web.shop A", "SERVFAIL");
    api.set(|settings| settings.is_store_down = false);
    Scene { api, server, corefile }.is_as_it_should_be(PROMPTLY);
}

#[test]
fn a_store_that_is_restored() {
    let scene = Scene::start();
    let backup = scene.api.backup();
    scene.change();
    scene.is_as_it_should_be(PROMPTLY);
    scene.survives(|scene| scene.api.restore(backup));
    // What is new since then may be as old as what was lost.
    scene.survives(Scene::change);
}

#[test]
#[ignore = "takes up to a minute: tests/soak"]
fn a_store_that_is_restored_behind_open_connections() {
    let scene = Scene::start();
    let backup = scene.api.backup();
    scene.change();
    scene.is_as_it_should_be(PROMPTLY);
    scene.survives_within(AFTER_SILENCE, |scene| scene.api.restore_unnoticed(backup));
}

#[test]
fn a_store_that_is_compacted() {
    let scene = Scene::start();
    scene.survives(Scene::change_unwatched);
}

#[test]
fn a_server_that_streams_lists_no_more() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.api.set(|settings| settings.has_initial_events = false);
        scene.change_unwatched();
    });
}

#[test]
fn a_store_that_cannot_tell_its_progress() {
    let api = Scene::api();
    api.set(|settings| settings.store_tells_progress = false);
    let scene = Scene::start_over(api);
    assert_eq!(scene.api.requests("list", "services"), 1);
    scene.survives(Scene::change_unwatched);
}

#[test]
fn a_right_that_is_missing_at_the_start() {
    // Without each of the resources: what must fail, and what need not.
    let expected = [
        [("web.shop A", "SERVFAIL"), ("shop A", "SERVFAIL")],
        [("web.shop A", "SERVFAIL"), ("shop A", "NODATA")],
        [("peers.shop A", "SERVFAIL"), ("web.shop A", "10.96.0.80")],
        [("10-244-1-1.shop.pod.cluster.local. A", "SERVFAIL"), ("peers.shop A", "10.244.0.1")],
    ];
    std::thread::scope(|scope| {
        for ((_, right), expected) in WATCHED.into_iter().zip(expected) {
            scope.spawn(move || {
                let api = Scene::api();
                api.revoke(DNS, right);
                let corefile = transferring().replace("pods verified", "pods verified\nstartup_timeout 1s");
                let server = Server::start_unready(&api, &corefile);
                expected.into_iter().for_each(|(question, answer)| server.check(question, answer));
                api.grant(DNS, right);
                server.becomes_ready();
                Scene { api, server, corefile }.is_as_it_should_be(PROMPTLY);
            });
        }
    });
}

#[test]
fn a_right_that_is_taken_away_and_given_back() {
    let scene = Scene::start();
    scene.survives(|scene| {
        for (number, (plural, right)) in WATCHED.into_iter().enumerate() {
            scene.api.revoke(DNS, right);
            let refused = scene.api.requests("watch", plural);
            scene.cut();
            scene.api.create(service("new", &format!("10.96.3.{number}")));
            scene.api.create(slice("web", &format!("10.244.3.{number}")));
            scene.api.create(pod("new", &format!("10.244.4.{number}")));
            scene.api.create(json!({"kind": "Namespace", "metadata": {"name": format!("for-{plural}")}}));
            until("it is refused", || scene.api.requests("watch", plural) > refused);
            scene.api.grant(DNS, right);
        }
    });
}

#[test]
fn a_token_that_expires() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.api.renew_token();
        scene.cut();
        scene.change();
    });
}

#[test]
fn watches_that_end_at_once() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.spoil(&Fault::EndAfterHead, 3);
        scene.meanwhile(|| scene.change());
    });
}

#[test]
fn versions_that_are_gone_by_status() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.spoil(&Fault::Status(410), 2);
        scene.api.stop();
        scene.change();
        scene.api.resume();
    });
}

#[test]
fn events_that_nobody_understands() {
    let scene = Scene::start();
    scene.survives(|scene| {
        for (number, garbage) in GARBAGE.into_iter().enumerate() {
            scene.spoil(&Fault::Line(garbage), 1);
            scene.meanwhile(|| drop(scene.api.create(service("new", &format!("10.96.3.{number}")))));
        }
        scene.change();
    });
}

const GARBAGE: [&str; 5] = [
    "nonsense",
    r#"{"type":"ADDED","object":{"metadata":{"name":7}}}"#,
    r#"{"type":"MODIFIED","object":[]}"#,
    r#"{"type":"WONDERED","object":{"metadata":{"name":"x","namespace":"fleet"}}}"#,
    r#"{"type":"ERROR","object":{"kind":"Status","code":500,"message":"who knows"}}"#,
];

#[test]
fn lists_and_events_that_drip() {
    let scene = Scene::start();
    scene.survives(|scene| {
        scene.spoil(&Fault::Drip(Duration::from_millis(1)), 2);
        scene.api.stop();
        scene.change();
        scene.api.resume();
    });
}

/// They wait until all were made, and come as quickly as the connection takes them.
#[test]
fn ten_thousand_events_at_once() {
    let scene = Scene::start();
    scene.survives_within(BURST, |scene| {
        scene.api.set(|settings| settings.held = &["services"]);
        for number in 0..10_000 {
            let address = format!("10.97.{}.{}", number / 250 % 250, number % 250);
            scene.api.create(service(&format!("busy-{}", number % 200), &address));
        }
        for number in (0..200).step_by(3) {
            scene.api.delete("services", "shop", &format!("busy-{number}"));
        }
        scene.api.set(|settings| settings.held = &[]);
    });
}

#[test]
fn events_that_come_twice() {
    let scene = Scene::start();
    scene.api.set(|settings| settings.repeats_events = true);
    scene.survives(|scene| {
        scene.change();
        scene.change();
    });
}

#[test]
fn resources_that_come_in_any_order() {
    const HELD: [&[&str]; 6] = [
        &["namespaces"],
        &["services"],
        &["endpointslices"],
        &["pods"],
        &["services", "namespaces"],
        &["endpointslices", "pods"],
    ];
    let scene = Scene::start();
    scene.survives(|scene| {
        for (number, held) in HELD.into_iter().enumerate() {
            scene.api.set(|settings| settings.held = held);
            let namespace = format!("order-{number}");
            scene.api.create(json!({"kind": "Namespace", "metadata": {"name": namespace}}));
            for mut object in [
                json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "None"}}),
                slice("web", &format!("10.244.5.{number}")),
                pod("one", &format!("10.244.5.{number}")),
            ] {
                object["metadata"]["namespace"] = json!(namespace);
                scene.api.create(object);
            }
            if number % 2 > 0 {
                scene.api.delete_namespace(&format!("order-{}", number - 1));
            }
            // What is not held arrives meanwhile.
            lasts(100);
            scene.api.set(|settings| settings.held = &[]);
        }
    });
}

#[test]
#[ignore = "takes up to a minute: tests/soak"]
fn connections_that_are_dead_without_an_end() {
    let scene = Scene::start();
    scene.survives_within(AFTER_SILENCE, |scene| {
        scene.api.kill_connections_unnoticed();
        scene.change();
    });
}

#[test]
#[ignore = "takes more than a minute: tests/soak"]
fn events_that_are_lost() {
    let api = Scene::api();
    let corefile = transferring().replace("pods verified", "pods verified\ncompare 1m");
    let server = Server::start(&api, &corefile);
    Scene { api, server, corefile }.survives_within(AFTER_COMPARISON, |scene| {
        scene.api.skip_events(true);
        scene.change();
        scene.api.skip_events(false);
    });
}
