//! Which way replies take: back from the address that was asked, also on a socket of all addresses.

use std::net::{IpAddr, SocketAddr};

use landfall::dns::Transport;

use super::packet::{A, Packet};
use super::reply::verdict;
use super::scene::{Scene, WEB, has_ipv6};
use super::socket::{Datagrams, ask};

/// Loopback addresses of this machine.
fn addresses() -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = (1..=3).map(|last| [127, 0, 0, last].into()).collect();
    addresses.extend(has_ipv6().then(|| "::1".parse::<IpAddr>().expect("an address")));
    addresses
}

/// Asks a socket of all addresses at each of them, from clients that take replies from that address alone.
fn check(scene: &Scene, addresses: &[IpAddr]) {
    let port = scene.server().port();
    for address in addresses {
        for transport in [Transport::Udp, Transport::Tcp] {
            for number in 0..20 {
                let request = Packet { id: number, ..Packet::new(WEB, A) }.octets();
                let reply = ask(SocketAddr::new(*address, port), transport, &request);
                assert_eq!(verdict(&request, reply.as_deref()), "NOERROR 1 0 0", "{address} {transport:?}");
            }
        }
    }
}

#[test]
fn the_reply_leaves_from_the_address_that_was_asked() {
    check(&Scene::on_all_addresses(), &addresses());
}

#[test]
fn the_same_on_a_socket_of_all_ipv4_addresses() {
    let corefile = "cluster.local {\n bind 0.0.0.0\n ready 127.0.0.1:0\n kubernetes {\n manifests MANIFESTS\n }\n}\n";
    check(&Scene::of(corefile), &addresses().into_iter().filter(IpAddr::is_ipv4).collect::<Vec<_>>());
}

#[test]
fn the_same_when_many_ask_many_addresses_at_once() {
    let scene = Scene::on_all_addresses();
    let port = scene.server().port();
    let clients: Vec<_> =
        addresses().iter().cycle().take(200).map(|ip| Datagrams::to(SocketAddr::new(*ip, port))).collect();
    let request = |number| Packet { id: number, ..Packet::new(WEB, A) }.octets();
    for (number, client) in (0..).zip(&clients) {
        client.send(&request(number));
    }
    for (number, client) in (0..).zip(&clients) {
        assert_eq!(verdict(&request(number), Some(&client.next())), "NOERROR 1 0 0");
    }
}

#[test]
fn a_client_at_the_address_of_the_server_is_answered_once() {
    let scene = Scene::on_all_addresses();
    for ip in addresses() {
        let client = Datagrams::from_to(ip, SocketAddr::new(ip, scene.server().port()));
        assert!(client.ask(&Packet::new(WEB, A).octets()).is_some(), "{ip}");
    }
}
