//! The rules of a snapshot.

use proptest::prelude::*;

use super::*;
use crate::cluster::{Endpoint, Import, Labels, ResourceVersion, ServiceKind};

fn slice(namespace: &str, name: &str, service: Option<&str>, last: u8) -> EndpointSlice {
    EndpointSlice {
        namespace: namespace.into(),
        name: name.into(),
        service: service.map(Into::into),
        import: service.map(|service| Import { service: service.into(), cluster: "east".to_owned() }),
        endpoints: vec![Endpoint {
            addresses: vec![IpAddr::from([10, 0, 0, last])],
            names: Vec::new(),
            hostname: None,
            pod: None,
            is_ready: true,
            zone: None,
        }],
        ports: Vec::new(),
        version: ResourceVersion::default(),
    }
}

fn service(namespace: &str, name: &str, last: u8) -> Service {
    Service {
        namespace: namespace.into(),
        name: name.into(),
        kind: ServiceKind::ClusterIp(vec![IpAddr::from([10, 96, 0, last])]),
        ports: Vec::new(),
        external_addresses: vec![IpAddr::from([192, 0, 2, last])],
        external_names: Vec::new(),
        version: ResourceVersion::default(),
    }
}

fn namespace(name: &str) -> Namespace {
    Namespace { name: name.into(), labels: Labels::new() }
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { namespace: namespace.into(), name: name.into() }
}

#[test]
fn a_slice_may_come_before_its_service() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(Change::Namespace(namespace("ns")), 1);
    snapshot.apply(Change::EndpointSlice(slice("ns", "web-1", Some("web"), 1)), 2);
    assert!(snapshot.namespace("ns").unwrap().service("web").is_none());
    snapshot.apply(Change::Service(service("ns", "web", 1)), 3);
    assert_eq!(snapshot.namespace("ns").unwrap().service("web").unwrap().slices().count(), 1);
    snapshot.apply(Change::Removed(Resource::Services, key("ns", "web")), 4);
    assert!(snapshot.namespace("ns").unwrap().service("web").is_none());
}

#[test]
fn a_list_removes_only_what_it_did_not_name_and_only_at_its_end() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(Change::Namespace(namespace("ns")), 1);
    for name in ["old", "kept"] {
        snapshot.apply(Change::Service(service("ns", name, 1)), 1);
    }
    snapshot.apply(Change::ListStarted(Resource::Services), 2);
    snapshot.apply(Change::Service(service("ns", "kept", 1)), 2);
    let is_there = |snapshot: &Snapshot, name| snapshot.namespace("ns").unwrap().service(name).is_some();
    assert!(is_there(&snapshot, "old") && !snapshot.is_synced(Resource::Services));
    snapshot.apply(Change::ListEnded(Resource::Services), 3);
    assert!(!is_there(&snapshot, "old") && is_there(&snapshot, "kept"));
    assert!(snapshot.is_synced(Resource::Services));
    assert_eq!(snapshot.services_at(IpAddr::from([10, 96, 0, 1])).count(), 1);
}

#[test]
fn a_copy_may_be_restricted_to_some_resources() {
    let mut snapshot = Snapshot::default();
    let changes = [
        Change::Namespace(namespace("ns")),
        Change::Service(service("ns", "web", 1)),
        Change::EndpointSlice(slice("ns", "web-1", Some("web"), 1)),
        Change::ListStarted(Resource::Services),
    ];
    changes.into_iter().for_each(|change| _ = snapshot.apply(change, 1));
    snapshot.synced.extend([Resource::Services, Resource::EndpointSlices]);
    let restricted = snapshot.restricted_to(&[Resource::Namespaces, Resource::Services]);
    let count = |resource| restricted.count(resource);
    assert_eq!((count(Resource::Services), count(Resource::EndpointSlices)), (1, 0));
    assert_eq!(restricted.synced, BTreeSet::from([Resource::Services]));
    assert!(restricted.endpoint_ips.is_empty() && restricted.listed.is_empty());
    assert_eq!(restricted.namespace("ns").unwrap().service("web").unwrap().slices().count(), 0);
}

#[test]
fn the_serial_is_the_time_of_the_last_change_and_never_goes_back() {
    let mut snapshot = Snapshot::default();
    assert!(snapshot.apply(Change::Service(service("ns", "web", 1)), 100));
    assert!(!snapshot.apply(Change::Service(service("ns", "web", 1)), 200), "nothing changed");
    assert_eq!(snapshot.serial(), 100);
    assert!(snapshot.apply(Change::Service(service("ns", "web", 2)), 50));
    assert_eq!(snapshot.serial(), 100);
}

#[test]
fn a_clone_does_not_see_later_changes() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(Change::Namespace(namespace("ns")), 1);
    let before = snapshot.clone();
    snapshot.apply(Change::Service(service("ns", "web", 1)), 1);
    assert!(before.namespace("ns").unwrap().service("web").is_none());
}

/// Any change of a small world.
fn any_change() -> impl Strategy<Value = Change> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let resource = prop::sample::select(Resource::ALL.to_vec());
    (resource, name.clone(), name.clone(), name, 1u8..4, 0u8..3).prop_map(
        |(resource, ns, name, service_name, last, kind)| match (kind, resource) {
            (0, Resource::Namespaces) => Change::Removed(resource, key("", ns)),
            (0, _) => Change::Removed(resource, key(ns, name)),
            (_, Resource::Namespaces) => Change::Namespace(namespace(ns)),
            (_, Resource::Services) => Change::Service(service(ns, name, last)),
            (_, Resource::ServiceImports) => Change::ServiceImport(service(ns, name, last)),
            _ => Change::EndpointSlice(slice(ns, name, Some(service_name), last)),
        },
    )
}

proptest! {
    /// A list of everything that is there changes nothing, whatever happened before.
    #[test]
    fn the_indexes_hold_what_the_objects_say(changes in prop::collection::vec(any_change(), 0..60)) {
        let mut snapshot = Snapshot::default();
        for change in changes {
            snapshot.apply(change, 1);
        }
        let mut fresh = Snapshot::default();
        for (name, view) in &snapshot.namespaces {
            if view.namespace.is_some() {
                fresh.apply(Change::Namespace(namespace(name)), 1);
            }
            for service in view.services.values().filter_map(|view| view.service.as_deref()) {
                fresh.apply(Change::Service(service.clone()), 1);
            }
            for import in view.imports.values().filter_map(|view| view.service.as_deref()) {
                fresh.apply(Change::ServiceImport(import.clone()), 1);
            }
        }
        for slice in snapshot.slices.values() {
            fresh.apply(Change::EndpointSlice((**slice).clone()), 1);
        }
        prop_assert_eq!(&fresh.cluster_ips, &snapshot.cluster_ips);
        prop_assert_eq!(&fresh.external_ips, &snapshot.external_ips);
        prop_assert_eq!(&fresh.endpoint_ips, &snapshot.endpoint_ips);
        prop_assert_eq!(fresh.namespaces.len(), snapshot.namespaces.len());
        let slices = |snapshot: &Snapshot| -> usize {
            let views = snapshot.namespaces.values().flat_map(|view| view.services.values().chain(view.imports.values()));
            views.map(|view| view.slices.len()).sum()
        };
        prop_assert_eq!(slices(&fresh), slices(&snapshot));
    }
}
