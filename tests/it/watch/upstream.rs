//! Names that the cluster does not have are asked of another server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use landfall::upstream::Channel;

use super::{Server, corefile, kubeadm, shop};
use crate::internet::Internet;
use crate::kube_api_server::KubeApi;

const ACME: &str = "acme.local. 60 IN SOA ns.acme.local. admin.acme.local. 1 7200 1800 86400 60
abc.acme.local. 60 IN A 1.1.1.1
def.acme.local. 60 IN A 2.2.2.2";
const WIDGET: &str = "widget.local. 60 IN SOA ns.widget.local. admin.widget.local. 1 7200 1800 86400 60
widget.local. 60 IN A 3.3.3.3";
const EXAMPLE: &str = "example.com. 60 IN SOA ns.example.com. admin.example.com. 1 7200 1800 86400 60
foo.example.com. 60 IN A 192.0.2.123";
const REVERSE: &str = "2.0.192.in-addr.arpa. 60 IN SOA ns.my.test. admin.my.test. 1 7200 1800 86400 60
123.2.0.192.in-addr.arpa. 60 IN PTR my.test.";

/// A DNS server on the loopback that knows these zones.
fn upstream() -> SocketAddr {
    let mut internet = Internet::default();
    [ACME, WIDGET, EXAMPLE, REVERSE].into_iter().for_each(|zone| internet.add_zone(zone));
    upstream_of(internet)
}

/// A DNS server on the loopback, UDP and TCP. Its threads end with the tests.
pub fn upstream_of(internet: Internet) -> SocketAddr {
    let internet = Arc::new(internet);
    let (datagrams, streams) = sockets();
    let address = datagrams.local_addr().expect("an address");
    let answering = internet.clone();
    std::thread::spawn(move || {
        let mut octets = [0; 4096];
        while let Ok((length, client)) = datagrams.recv_from(&mut octets) {
            if let Some(reply) = answering.reply_of(client.ip(), Channel::Udp, &octets[..length]) {
                datagrams.send_to(&reply, client).expect("a reply sent");
            }
        }
    });
    std::thread::spawn(move || {
        for stream in streams.incoming().map_while(Result::ok) {
            let internet = internet.clone();
            std::thread::spawn(move || serve(stream, &internet));
        }
    });
    address
}

/// Two sockets on the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        if let Ok(streams) = TcpListener::bind(datagrams.local_addr().expect("an address")) {
            return (datagrams, streams);
        }
    }
}

/// Answers the questions of a stream until it ends.
fn serve(mut stream: TcpStream, internet: &Internet) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).ok()?;
        let reply = internet.reply_of(stream.peer_addr().ok()?.ip(), Channel::Tcp, &octets)?;
        let length = u16::try_from(reply.len()).ok()?.to_be_bytes();
        stream.write_all(&[&length, reply.as_slice()].concat()).ok()?;
    }
}

/// Starts the program with the kubeadm Corefile, forwarding to [`upstream`].
fn forwarding() -> (KubeApi, Server, SocketAddr) {
    let (api, upstream) = (shop(), upstream());
    let server = Server::start(&api, &kubeadm(upstream));
    (api, server, upstream)
}

#[test]
fn a_stub_domain_comes_and_goes_with_a_reload() {
    let api = shop();
    let upstream = upstream();
    let mut server = Server::start(&api, &corefile(""));
    server.check("abc.acme.local. A", "SERVFAIL");
    let stub = format!("{}acme.local:0 {{\n    bind 127.0.0.1\n    forward . {upstream}\n}}\n", corefile(""));
    server.reload(&stub);
    server.check("abc.acme.local. A", "1.1.1.1");
    server.check("def.acme.local. A", "2.2.2.2");
    server.reload(&corefile(""));
    server.check("abc.acme.local. A", "SERVFAIL");
}

#[test]
fn what_the_cluster_does_not_have_is_forwarded() {
    let (_api, server, _) = forwarding();
    server.check("widget.local. A", "3.3.3.3");
    server.check("192.0.2.123 PTR", "my.test.");
    server.check("10.96.0.80 PTR", "web.shop.svc.cluster.local.");
    server.check("absent.shop A", "NXDOMAIN");
}

#[test]
fn an_external_name_is_followed() {
    let (api, server, _) = forwarding();
    api.create_all(
        "{kind: Service, metadata: {name: out, namespace: shop}, spec: {type: ExternalName, externalName: foo.example.com}}",
    );
    server.becomes("out.shop CNAME", "foo.example.com.");
    server.check("out.shop A", "foo.example.com., 192.0.2.123");
}

#[test]
fn before_the_api_is_heard_no_name_of_the_cluster_is_forwarded() {
    let (api, upstream) = (shop(), upstream());
    api.stop();
    let text = kubeadm(upstream).replace("ttl 30\n", "ttl 30\n        startup_timeout 1s\n");
    let server = Server::start_unready(&api, &text);
    server.check("widget.local. A", "3.3.3.3");
    server.check("192.0.2.123 PTR", "SERVFAIL");
    server.check("web.shop A", "SERVFAIL");
    api.resume();
    server.becomes("192.0.2.123 PTR", "my.test.");
}
