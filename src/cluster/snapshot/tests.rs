//! The rules of a snapshot.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::cluster::{Endpoint, EndpointDetails, Import, Labels, ResourceVersion, ServiceKind};

fn endpoint(last: u8, is_ready: bool) -> Endpoint {
    let address = IpAddr::from([10, 0, 0, last]);
    Endpoint::new([address].into_iter().collect(), is_ready, EndpointDetails::default())
}

fn slice(namespace: &str, name: &str, service: Option<&str>, last: u8) -> EndpointSlice {
    EndpointSlice {
        namespace: namespace.into(),
        name: name.into(),
        service: service.map(Into::into),
        import: service.map(|service| Import { service: service.into(), cluster: "east".to_owned() }),
        endpoints: vec![endpoint(last, true), endpoint(9, false)],
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
        has_selector: true,
        version: ResourceVersion::default(),
    }
}

fn pod(namespace: &str, name: &str, last: u8) -> Pod {
    let addresses = [last, last + 1].map(|last| IpAddr::from([10, 0, 0, last]));
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        addresses: addresses.into_iter().collect(),
        labels: None,
        is_on_host_network: false,
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
    assert_eq!(restricted.endpoint_ips.iter().count() + restricted.slices_of.len(), 0);
    let mut ended = restricted.clone();
    ended.apply(Change::ListEnded(Resource::Services), 2);
    assert_eq!(ended.count(Resource::Services), 0, "the list that was under way is none of the copy's");
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

/// The same without a structure: each question looks at all objects.
#[derive(Clone, Debug, Default)]
struct Model {
    namespaces: BTreeMap<ObjectKey, Namespace>,
    services: BTreeMap<ObjectKey, Service>,
    imports: BTreeMap<ObjectKey, Service>,
    slices: BTreeMap<ObjectKey, EndpointSlice>,
    pods: BTreeMap<ObjectKey, Pod>,
    /// What the lists that are under way have named.
    listed: BTreeMap<Resource, BTreeSet<ObjectKey>>,
    synced: BTreeSet<Resource>,
}

impl Model {
    fn apply(&mut self, change: Change) {
        let resource = change.resource();
        let set = match change {
            Change::ListStarted(_) => {
                self.listed.insert(resource, BTreeSet::new());
                return;
            }
            Change::ListEnded(_) => {
                let listed = self.listed.remove(&resource).unwrap_or_default();
                self.synced.insert(resource);
                return self.retain(resource, |key| listed.contains(key));
            }
            Change::Unfit(_, key, _) if self.holds(resource, &key) => key,
            Change::Unfit(_, _, readable) => return readable.into_iter().for_each(|readable| self.apply(*readable)),
            Change::Removed(_, gone) => return self.retain(resource, |key| *key != gone),
            Change::Namespace(object) => {
                let key = key("", &object.name);
                self.namespaces.insert(key.clone(), object);
                key
            }
            Change::Service(object) => put(&mut self.services, &object.namespace.clone(), &object.name.clone(), object),
            Change::ServiceImport(object) => {
                put(&mut self.imports, &object.namespace.clone(), &object.name.clone(), object)
            }
            Change::EndpointSlice(object) => {
                put(&mut self.slices, &object.namespace.clone(), &object.name.clone(), object)
            }
            Change::Pod(object) => put(&mut self.pods, &object.namespace.clone(), &object.name.clone(), object),
        };
        self.listed.entry(resource).and_modify(|listed| _ = listed.insert(set));
    }

    fn retain(&mut self, resource: Resource, is_there: impl Fn(&ObjectKey) -> bool) {
        match resource {
            Resource::Namespaces => self.namespaces.retain(|key, _| is_there(key)),
            Resource::Services => self.services.retain(|key, _| is_there(key)),
            Resource::ServiceImports => self.imports.retain(|key, _| is_there(key)),
            Resource::EndpointSlices => self.slices.retain(|key, _| is_there(key)),
            Resource::Pods => self.pods.retain(|key, _| is_there(key)),
        }
    }

    fn holds(&self, resource: Resource, key: &ObjectKey) -> bool {
        match resource {
            Resource::Namespaces => self.namespaces.contains_key(key),
            Resource::Services => self.services.contains_key(key),
            Resource::ServiceImports => self.imports.contains_key(key),
            Resource::EndpointSlices => self.slices.contains_key(key),
            Resource::Pods => self.pods.contains_key(key),
        }
    }

    fn count(&self, resource: Resource) -> usize {
        match resource {
            Resource::Namespaces => self.namespaces.len(),
            Resource::Services => self.services.len(),
            Resource::ServiceImports => self.imports.len(),
            Resource::EndpointSlices => self.slices.len(),
            Resource::Pods => self.pods.len(),
        }
    }
}

fn put<T>(objects: &mut BTreeMap<ObjectKey, T>, namespace: &str, name: &str, object: T) -> ObjectKey {
    let key = key(namespace, name);
    objects.insert(key.clone(), object);
    key
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Any change of a small world.
fn any_change() -> impl Strategy<Value = Change> {
    let name = prop::sample::select(NAMES.to_vec());
    let resource = prop::sample::select(Resource::ALL.to_vec());
    (resource, name.clone(), name.clone(), name, 1u8..4, 0u8..12).prop_map(
        |(resource, ns, name, service_name, last, kind)| match (kind, resource) {
            (0, _) => Change::ListStarted(resource),
            (1, _) => Change::ListEnded(resource),
            (2 | 3, Resource::Namespaces) => Change::Removed(resource, key("", ns)),
            (2 | 3, _) => Change::Removed(resource, key(ns, name)),
            (4, Resource::Services) => {
                Change::Unfit(resource, key(ns, name), Some(Box::new(Change::Service(service(ns, name, last)))))
            }
            (4, Resource::Pods) => Change::Unfit(resource, key(ns, name), None),
            (_, Resource::Namespaces) => Change::Namespace(namespace(ns)),
            (_, Resource::Services) => Change::Service(service(ns, name, last)),
            (_, Resource::ServiceImports) => Change::ServiceImport(service(ns, name, last)),
            (_, Resource::EndpointSlices) => Change::EndpointSlice(slice(ns, name, Some(service_name), last)),
            (_, Resource::Pods) => Change::Pod(pod(ns, name, last)),
        },
    )
}

proptest! {
    /// Whatever happens, a snapshot answers what all objects together say, and a clone what they said.
    #[test]
    fn a_snapshot_answers_what_the_objects_say(changes in prop::collection::vec(any_change(), 0..120), at in 0usize..120) {
        let (mut snapshot, mut model) = (Snapshot::default(), Model::default());
        let mut clone = None;
        for (index, change) in changes.into_iter().enumerate() {
            if index == at {
                clone = Some((snapshot.clone(), model.clone()));
            }
            snapshot.apply(change.clone(), 1);
            model.apply(change);
        }
        compare(&snapshot, &model)?;
        if let Some((snapshot, model)) = clone {
            compare(&snapshot, &model)?;
        }
    }
}

fn compare(snapshot: &Snapshot, model: &Model) -> Result<(), TestCaseError> {
    for resource in Resource::ALL {
        prop_assert_eq!(snapshot.count(resource), model.count(resource));
        prop_assert_eq!(snapshot.is_synced(resource), model.synced.contains(&resource));
    }
    for name in NAMES {
        let view = snapshot.namespace(name);
        prop_assert_eq!(view.map(|view| view.namespace), model.namespaces.get(&key("", name)));
        let Some(view) = view else { continue };
        let in_namespace = |key: &&ObjectKey| &*key.namespace == name;
        prop_assert_eq!(view.services().count(), model.services.keys().filter(in_namespace).count());
        for service in NAMES {
            let of_service = |slice: &&EndpointSlice| slice.service.as_deref() == Some(service);
            compare_service(view.service(service), model, &model.services, &key(name, service), of_service)?;
            let of_import =
                |slice: &&EndpointSlice| slice.import.as_ref().is_some_and(|import| &*import.service == service);
            compare_service(view.import(service), model, &model.imports, &key(name, service), of_import)?;
        }
    }
    for last in 0..10 {
        let cluster_ip = IpAddr::from([10, 96, 0, last]);
        let services = model.services.values().filter(|service| service.cluster_ips().any(|ip| ip == cluster_ip));
        prop_assert!(snapshot.services_at(cluster_ip).eq(services));
        let outside = IpAddr::from([192, 0, 2, last]);
        let services = model.services.values().filter(|service| service.external_addresses.contains(&outside));
        prop_assert!(snapshot.services_outside_at(outside).eq(services));
        let address = IpAddr::from([10, 0, 0, last]);
        let slices = || model.slices.values().filter(|slice| slice.ready_addresses().any(|ip| ip == address));
        prop_assert!(snapshot.slices_at(address).eq(slices()));
        prop_assert!(snapshot.slices_at_behind(address, "a").eq(slices().filter(|slice| &*slice.namespace > "a")));
        let pods = model.pods.values().filter(|pod| pod.addresses.contains(&address));
        prop_assert!(snapshot.pods_at(address).eq(pods));
    }
    Ok(())
}

/// A Service or import with its slices.
fn compare_service(
    view: Option<ServiceView<'_>>,
    model: &Model,
    services: &BTreeMap<ObjectKey, Service>,
    key: &ObjectKey,
    is_owned: impl Fn(&&EndpointSlice) -> bool,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(view.map(|view| view.service), services.get(key));
    let Some(view) = view else { return Ok(()) };
    let owned = model.slices.values().filter(|slice| slice.namespace == key.namespace).filter(is_owned);
    prop_assert!(view.slices().eq(owned));
    Ok(())
}

#[test]
fn the_objects_of_a_namespace_share_the_text_of_its_name() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(Change::Namespace(namespace("ns")), 1);
    snapshot.apply(Change::Pod(pod("ns", "web-1", 1)), 1);
    snapshot.apply(Change::Service(service("ns", "web", 1)), 1);
    let view = snapshot.namespace("ns").unwrap();
    assert!(Arc::ptr_eq(&view.namespace.name, &view.service("web").unwrap().service.namespace));
    assert!(Arc::ptr_eq(
        &view.namespace.name,
        &snapshot.pods_at(IpAddr::from([10, 0, 0, 1])).next().unwrap().namespace
    ));
}

#[test]
fn a_list_that_names_what_is_known_changes_nothing() {
    let mut snapshot = Snapshot::default();
    let list = |snapshot: &mut Snapshot| {
        let changes = [
            Change::ListStarted(Resource::Pods),
            Change::Pod(pod("ns", "web-1", 1)),
            Change::ListEnded(Resource::Pods),
        ];
        changes.map(|change| snapshot.apply(change, 1))
    };
    assert_eq!(list(&mut snapshot), [false, true, true]);
    let before = snapshot.pods.get("ns", "web-1").unwrap().clone();
    assert_eq!(list(&mut snapshot), [false, false, false]);
    assert!(Arc::ptr_eq(&before, snapshot.pods.get("ns", "web-1").unwrap()), "nothing was made anew");
}

#[test]
fn what_has_to_be_listed_again_is_served_until_then() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(Change::Pod(pod("ns", "web-1", 1)), 1);
    snapshot.apply(Change::ListEnded(Resource::Namespaces), 1);
    snapshot.doubt(Resource::Namespaces);
    assert!(!snapshot.is_synced(Resource::Namespaces));
    assert_eq!(snapshot.pods_at(IpAddr::from([10, 0, 0, 1])).count(), 1);
}
