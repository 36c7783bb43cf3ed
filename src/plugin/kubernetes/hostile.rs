//! Tests: what a large Service or many slices in one namespace cost those who ask.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::found::Found;
use super::{Config, Kubernetes};
use crate::cluster::{
    Change, Endpoint, EndpointDetails, EndpointSlice, Namespace, Port, Resource, ResourceVersion, Service, ServiceKind,
    Snapshot, Store,
};
use crate::dns::{Name, Query, RecordType, parse_name};

fn kubernetes(config: Config) -> Kubernetes {
    let zones = ["cluster.local.", "10.in-addr.arpa."].map(|zone| parse_name(zone).unwrap());
    Kubernetes::new(Config { zones: zones.to_vec(), ..config }, Arc::new(Store::new(Vec::new())), Vec::new())
}

/// A Namespace with a headless Service.
fn service(snapshot: &mut Snapshot, namespace: &str) {
    let port = Port { name: "http".to_owned(), protocol: "TCP".to_owned(), number: Some(80) };
    let service = Service {
        namespace: namespace.into(),
        name: "web".into(),
        kind: ServiceKind::Headless,
        ports: vec![port],
        external_addresses: Vec::new(),
        external_names: Vec::new(),
        has_selector: true,
        version: ResourceVersion::default(),
    };
    snapshot.apply(Change::Namespace(Namespace { name: namespace.into(), labels: Default::default() }), 1);
    snapshot.apply(Change::Service(service), 1);
}

/// A slice of that Service with one endpoint for each address, and hostnames if they are wanted.
fn slice(namespace: &str, name: &str, addresses: &[IpAddr], has_hostnames: bool) -> Change {
    let endpoint = |(index, address): (usize, &IpAddr)| {
        let hostname = has_hostnames.then(|| format!("db-{index}").into());
        let details = EndpointDetails { hostname, ..EndpointDetails::default() };
        Endpoint::new([*address].into_iter().collect(), true, details)
    };
    Change::EndpointSlice(EndpointSlice {
        namespace: namespace.into(),
        name: name.into(),
        service: Some("web".into()),
        import: None,
        endpoints: addresses.iter().enumerate().map(endpoint).collect(),
        ports: vec![Port { name: "http".to_owned(), protocol: "TCP".to_owned(), number: Some(80) }],
        version: ResourceVersion::default(),
    })
}

fn addresses(count: usize) -> Vec<IpAddr> {
    (0..count).map(|index| IpAddr::from([10, 0, (index / 256) as u8, (index % 256) as u8])).collect()
}

fn find(kubernetes: &Kubernetes, snapshot: &Snapshot, name: &str, record_type: RecordType) -> Found {
    let query = Query::of_our_own(parse_name(name).unwrap(), record_type);
    let apex: Name = kubernetes.zone_of(&query.name).unwrap().clone();
    kubernetes.find(&query, &apex, snapshot)
}

/// How many allocations it takes to find one endpoint among so many.
fn allocations(count: usize, has_hostnames: bool, label: &str) -> u64 {
    let (kubernetes, mut snapshot) = (kubernetes(Config::default()), Snapshot::default());
    service(&mut snapshot, "shop");
    snapshot.apply(slice("shop", "web-1", &addresses(count), has_hostnames), 1);
    let name = format!("{label}.web.shop.svc.cluster.local.");
    let mut found = Found::Nothing;
    let info = allocation_counter::measure(|| found = find(&kubernetes, &snapshot, &name, RecordType::A));
    assert!(matches!(found, Found::Records { answers, .. } if answers.len() == 1), "{label}");
    info.count_total
}

#[test]
fn one_endpoint_costs_the_same_among_ten_as_among_ten_thousand() {
    for (has_hostnames, label) in [(false, "10-0-0-7"), (true, "db-7")] {
        let few = allocations(10, has_hostnames, label);
        assert_eq!(allocations(10_000, has_hostnames, label), few, "{label}");
        assert!(few < 100, "{few}");
    }
}

/// The names of 10.0.0.1.
fn names(snapshot: &Snapshot) -> Vec<String> {
    match find(&kubernetes(Config::default()), snapshot, "1.0.0.10.in-addr.arpa.", RecordType::PTR) {
        Found::Records { answers, .. } => answers.iter().map(|record| record.data.to_string()).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn an_address_has_a_bounded_number_of_names_whoever_names_it() {
    let mut snapshot = Snapshot::default();
    let address = [IpAddr::from([10, 0, 0, 1])];
    service(&mut snapshot, "hostile");
    for number in 0..2000 {
        snapshot.apply(slice("hostile", &format!("s-{number}"), &vec![address[0]; 100], true), 1);
    }
    assert_eq!(names(&snapshot).len(), 32, "one namespace has its part");
    service(&mut snapshot, "shop");
    snapshot.apply(slice("shop", "web-1", &address, true), 1);
    assert!(names(&snapshot).contains(&"db-0.web.shop.svc.cluster.local.".to_owned()), "others have theirs");
    for number in 0..10 {
        let namespace = format!("other-{number}");
        service(&mut snapshot, &namespace);
        snapshot.apply(slice(&namespace, "web-1", &vec![address[0]; 20], true), 1);
    }
    let names = names(&snapshot);
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (64, 64));
}

#[test]
fn the_server_has_a_bounded_number_of_names_whoever_names_it() {
    let own = IpAddr::from([10, 0, 0, 1]);
    let zones = vec![parse_name("cluster.local.").unwrap()];
    let config = Config { zones, ..Config::default() };
    let kubernetes = Kubernetes::new(config, Arc::new(Store::new(Vec::new())), vec![own]);
    let mut snapshot = Snapshot::default();
    service(&mut snapshot, "hostile");
    for number in 0..1000 {
        snapshot.apply(slice("hostile", &format!("s-{number}"), &addresses(1000), true), 1);
    }
    // One name for many addresses.
    service(&mut snapshot, "many");
    for number in 0..100_u8 {
        let others = (0..100).map(|last| IpAddr::from([10, 1, number, last]));
        for (index, address) in others.enumerate() {
            let name = format!("s-{number}-{index}");
            let Change::EndpointSlice(mut slice) = slice("many", &name, &[own, address], true) else {
                panic!("a slice")
            };
            slice.endpoints.swap(0, 1);
            snapshot.apply(Change::EndpointSlice(slice), 1);
        }
    }
    service(&mut snapshot, "shop");
    snapshot.apply(slice("shop", "web-1", &[own], true), 1);
    let mut servers = Vec::new();
    let info = allocation_counter::measure(|| {
        if let Found::Records { answers, .. } = find(&kubernetes, &snapshot, "cluster.local.", RecordType::NS) {
            servers = answers.iter().map(|record| record.data.to_string()).collect();
        }
    });
    assert_eq!(servers.len(), 32 + 2 + 1);
    assert!(servers.contains(&"db-0.web.shop.svc.cluster.local.".to_owned()));
    assert!(info.count_total < 2000, "{}", info.count_total);
}

#[test]
fn slices_that_lead_nowhere_are_looked_at_in_a_bounded_number() {
    let (mut snapshot, kubernetes) = (Snapshot::default(), kubernetes(Config::default()));
    let address = [IpAddr::from([10, 0, 0, 1])];
    for number in 0..10_000 {
        snapshot.apply(slice("gone", &format!("s-{number}"), &address, true), 1);
    }
    snapshot.apply(Change::ListEnded(Resource::Services), 1);
    let ask = || _ = find(&kubernetes, &snapshot, "1.0.0.10.in-addr.arpa.", RecordType::PTR);
    assert!(allocation_counter::measure(ask).count_total < 2000);
    assert!(names(&snapshot).is_empty());
}
