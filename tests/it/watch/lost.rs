//! An API server that goes away takes nothing with it, and what happened meanwhile shows when it is back.

use std::time::Duration;

use serde_json::json;

use super::{Asking, Server, corefile, kubeadm, service, shop, until};
use crate::kube_api_server::{Fault, KubeApi};

/// Changes the cluster while nobody can watch it: `web` has another address, `old` is gone, `new` is there.
fn change(api: &KubeApi) {
    api.create(service("new", "10.96.0.90"));
    api.delete("services", "shop", "old");
    api.patch("services", "shop", "web", &json!({"spec": {"clusterIP": "10.96.0.81", "clusterIPs": ["10.96.0.81"]}}));
    api.delete("endpointslices", "shop", "peers-1");
}

/// Lets the API server go away and come back, in its memory or not.
fn check_return(forgets: bool) {
    let api = shop();
    api.create(service("old", "10.96.0.70"));
    let mut server = Server::start(&api, &kubeadm("127.0.0.1:9".parse().expect("an address")));
    let lists = api.lists("services");
    api.stop();
    let told = "cannot watch; what is known is served resource=services";
    server.process.wait_for(told);
    change(&api);
    if forgets {
        api.compact();
    }
    server.check("web.shop A", "10.96.0.80");
    server.check("old.shop A", "10.96.0.70");
    server.check("peers.shop A", "10.244.0.1");
    server.check("10.96.0.70 PTR", "old.shop.svc.cluster.local.");
    server.check("absent.shop A", "NXDOMAIN");
    server.is_ready();
    let asking = Asking::start(&server, "10.96.0.70 PTR");
    asking.end("old.shop.svc.cluster.local.");
    api.resume();
    server.becomes("new.shop A", "10.96.0.90");
    server.becomes("old.shop A", "NXDOMAIN");
    server.becomes("web.shop A", "10.96.0.81");
    server.becomes("peers.shop A", "NXDOMAIN");
    server.is_ready();
    let expected = if forgets { lists + 1 } else { lists };
    assert_eq!(api.lists("services"), expected, "forgets: {forgets}");
    assert_eq!(server.metric("landfall_watch_lists_total", &["gone", "services"]) > 0.0, forgets);
    server.process.wait_for("[INFO] watching again resource=services");
    assert_eq!(server.process.count(told), 1, "{:#?}", server.process.seen);
}

#[test]
fn a_watch_goes_on_where_it_was_when_the_api_is_back() {
    check_return(false);
}

#[test]
fn a_list_is_made_when_the_api_has_forgotten_what_happened() {
    check_return(true);
}

#[test]
fn a_store_that_is_restored_from_a_backup_is_listed_again() {
    let api = shop();
    let mut server = Server::start(&api, &corefile(""));
    let backup = api.backup();
    api.delete("services", "shop", "web");
    api.create(service("lost", "10.96.0.90"));
    server.becomes("lost.shop A", "10.96.0.90");
    api.restore(backup);
    server.becomes("lost.shop A", "NXDOMAIN");
    server.check("web.shop A", "10.96.0.80");
    server.process.wait_for("the store of the API server went back in time");
    api.create(service("new", "10.96.0.91"));
    server.becomes("new.shop A", "10.96.0.91");
    server.is_ready();
}

/// Forces a list that takes a while, and asks meanwhile for what is there before, during and after it.
fn check_list_again(verb: &'static str) {
    let api = shop();
    api.set(|settings| settings.has_initial_events = verb == "watch");
    for number in 0..5 {
        api.create(service(&format!("zz-{number}"), &format!("10.96.7.{number}")));
    }
    let server = Server::start(&api, &corefile(""));
    let lists = api.lists("services");
    api.stop();
    api.delete("services", "shop", "zz-0");
    api.compact();
    if verb == "watch" {
        // The first one is the watch that learns that its version is gone.
        api.inject("watch", "services", Fault::Status(410), 1);
    }
    api.inject(verb, "services", Fault::Drip(Duration::from_millis(1)), 1);
    let asking = Asking::start(&server, "zz-4.shop A");
    api.resume();
    until("a list begins", || api.lists("services") > lists);
    server.check("zz-0.shop A", "10.96.7.0");
    server.becomes("zz-0.shop A", "NXDOMAIN");
    asking.end("10.96.7.4");
    server.is_ready();
}

#[test]
fn a_list_in_pages_never_hides_what_is_there() {
    check_list_again("list");
}

#[test]
fn a_streamed_list_never_hides_what_is_there() {
    check_list_again("watch");
}

#[test]
fn a_list_that_breaks_off_removes_nothing() {
    let api = shop();
    api.set(|settings| settings.has_initial_events = false);
    let server = Server::start(&api, &corefile(""));
    let lists = api.lists("services");
    api.stop();
    api.create(service("new", "10.96.0.90"));
    api.compact();
    api.inject("list", "services", Fault::CutAfter(300), 2);
    let asking = Asking::start(&server, "web.shop A");
    api.resume();
    server.becomes("new.shop A", "10.96.0.90");
    asking.end("10.96.0.80");
    assert_eq!(api.lists("services"), lists + 3);
}
