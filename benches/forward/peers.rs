//! The servers that are compared: all ask the same upstream server, and remember what it says.

use std::net::SocketAddr;

use super::load::server::{Place, Server, free_address, version};
use super::load::table::Table;

/// A running server with its name.
pub struct Peer {
    pub name: String,
    pub server: Server,
    /// How many times its answers for the same time of the core are to be ours, at least.
    pub target: Option<f64>,
}

/// This server, with the stock list of plugins but `kubernetes`: metrics, log of errors and cache are on. Threads are as many as
/// there are cores for it: one that reads questions, and one that waits for answers, both on the same core.
///
/// `program` may begin with another one that runs it.
pub fn landfall(program: &str, upstream: SocketAddr) -> Server {
    let place = Place::new();
    let file = place.file("Corefile", &corefile(place.address, upstream));
    Server::start(&format!("{program} -conf {}", file.display()), place)
}

/// All others that are there.
pub fn others(table: &mut Table, given: Vec<&str>, upstream: SocketAddr) -> Vec<Peer> {
    let mut peers = Vec::new();
    for (name, argument, target, start) in
        [("dnsdist", "--version", 1.0, dnsdist as fn(SocketAddr) -> Server), ("unbound", "-V", 3.0, unbound)]
    {
        match version(name, argument) {
            Some(version) => {
                table.note(&format!("{name} is"), &version);
                peers.push(Peer { name: name.to_owned(), server: start(upstream), target: Some(target) });
            }
            None => table.note(name, "skipped: not installed"),
        }
    }
    for peer in given {
        let (name, command) = peer.split_once('=').expect("--peer NAME=COMMAND");
        let target = name.starts_with("coredns").then_some(2.6);
        peers.push(Peer { name: name.to_owned(), server: other(command, upstream), target });
    }
    peers
}

fn corefile(listen: SocketAddr, upstream: SocketAddr) -> String {
    let (port, ip) = (listen.port(), listen.ip());
    let [health, ready, prometheus] = [(); 3].map(|()| free_address());
    format!(
        ".:{port} {{\n    bind {ip}\n    errors\n    health {health}\n    ready {ready}\n    prometheus {prometheus}\n    \
         forward . {upstream} {{\n        max_concurrent 1000\n    }}\n    cache 30\n    loop\n    reload\n    loadbalance\n}}\n"
    )
}

fn other(command: &str, upstream: SocketAddr) -> Server {
    let place = Place::new();
    let stock = place.file("Corefile", &corefile(place.address, upstream));
    let (port, ip) = (place.address.port(), place.address.ip());
    let bare = format!(".:{port} {{\n    bind {ip}\n    errors\n    forward . {upstream}\n}}\n");
    let bare = place.file("Corefile.forward", &bare);
    let command = command
        .replace("{corefile}", &stock.display().to_string())
        .replace("{forward}", &bare.display().to_string())
        .replace("{port}", &port.to_string())
        .replace("{upstream}", &upstream.to_string());
    Server::start(&command, place)
}

fn dnsdist(upstream: SocketAddr) -> Server {
    let place = Place::new();
    let text = format!(
        "setLocal('{}')\nsetACL('127.0.0.0/8')\nsetSecurityPollSuffix('')\nnewServer({{address='{upstream}'}})\n\
         getPool(''):setCache(newPacketCache(100000))\n",
        place.address
    );
    let file = place.file("dnsdist.conf", &text);
    Server::start(&format!("dnsdist --supervised --disable-syslog -C {}", file.display()), place)
}

fn unbound(upstream: SocketAddr) -> Server {
    let place = Place::new();
    let at = |address: SocketAddr| format!("{}@{}", address.ip(), address.port());
    let text = format!(
        "server:\n    interface: {}\n    access-control: 127.0.0.0/8 allow\n    do-daemonize: no\n    do-ip6: no\n    \
         num-threads: 1\n    chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    directory: \"/\"\n    \
         use-syslog: no\n    verbosity: 0\n    module-config: \"iterator\"\n    do-not-query-localhost: no\n\
         forward-zone:\n    name: \".\"\n    forward-addr: {}\n",
        at(place.address),
        at(upstream)
    );
    let file = place.file("unbound.conf", &text);
    Server::start(&format!("unbound -d -c {}", file.display()), place)
}
