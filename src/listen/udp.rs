//! UDP: a thread for each socket answers from memory what it can, and hands the rest to the runtime.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use super::datagrams::{BATCH, Inbox, Outbox, Route, send};
use super::respond::{Packet, Responder, Response};
use crate::dns::Transport;

/// How long a thread rests after an error of its socket that is no packet's.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What is answered of the packets that are waiting when the server stops: a full socket buffer.
const LAST_BATCHES: usize = 1024 / BATCH;

/// What a UDP thread works with.
pub(super) struct UdpWorker {
    pub socket: Arc<UdpSocket>,
    pub bound: SocketAddr,
    pub responder: Arc<Responder>,
    pub runtime: Handle,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl UdpWorker {
    /// Starts the thread; it ends when `stop` is cancelled, and `tasks` waits for it.
    pub fn start(self) -> io::Result<()> {
        let running = self.tasks.token();
        let thread = thread::Builder::new().name("udp".to_owned()).spawn(move || {
            // Dropped last: who waits for the thread finds the socket closed.
            let _running = running;
            let worker = self;
            let _context = worker.runtime.enter();
            while catch_unwind(AssertUnwindSafe(|| worker.serve())).is_err() {
                worker.responder.capacity.metrics.panics.inc();
                error!(address = %worker.bound, "a batch of queries ended in a panic");
            }
        });
        thread.map(drop)
    }

    fn serve(&self) {
        let (mut inbox, mut outbox) = (Inbox::new(self.bound), Outbox::new(self.bound));
        while !self.stop.is_cancelled() {
            match inbox.receive(&self.socket, true) {
                Ok(()) => self.answer(&inbox, &mut outbox),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    warn!(address = %self.bound, %error, "cannot receive");
                    thread::sleep(ERROR_PAUSE);
                }
            }
        }
        self.close_to_newcomers();
        for _ in 0..LAST_BATCHES {
            match inbox.receive(&self.socket, false) {
                Ok(()) => self.answer(&inbox, &mut outbox),
                Err(_) => break,
            }
        }
    }

    /// A socket that is connected to itself takes no packets but its own: queries that come from now on find another socket
    /// or are told that nobody listens, instead of lying here unread while late replies keep the socket open.
    fn close_to_newcomers(&self) {
        let host = match self.bound.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let mut itself = self.bound;
        itself.set_ip(host);
        if let Err(error) = self.socket.connect(itself) {
            debug!(address = %self.bound, %error, "cannot close the socket to new queries");
        }
    }

    fn answer(&self, inbox: &Inbox, outbox: &mut Outbox) {
        for (octets, route) in inbox.datagrams() {
            let (client, local) = (route.client(), route.local(self.bound));
            if !is_answerable(client, local) {
                continue;
            }
            match self.responder.begin(Packet { octets, client, local, transport: Transport::Udp }) {
                Response::Ready(None) => {}
                Response::Ready(Some(reply)) => outbox.push(reply.message, route),
                Response::Waiting(waiting) => {
                    let socket = Arc::clone(&self.socket);
                    let task = async move {
                        if let Some(reply) = waiting.reply().await {
                            send_late(&socket, &reply.message, route);
                        }
                    };
                    self.tasks.spawn_on(task, &self.runtime);
                }
            }
        }
        outbox.send(&self.socket);
    }
}

fn send_late(socket: &UdpSocket, reply: &[u8], route: Route) {
    if let Err(error) = send(socket, reply, route) {
        debug!(client = %route.client(), %error, "cannot send a reply");
    }
}

/// Whether there is somebody who can get the reply, and it is not ourselves.
fn is_answerable(client: SocketAddr, local: SocketAddr) -> bool {
    let is_one_host = |address: IpAddr| match address {
        IpAddr::V4(v4) => !(v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified()),
        IpAddr::V6(v6) => !(v6.is_multicast() || v6.is_unspecified()),
    };
    client.port() != 0 && client != local && is_one_host(client.ip()) && is_one_host(local.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(client: &str, local: &str, expected: bool) {
        assert_eq!(is_answerable(client.parse().unwrap(), local.parse().unwrap()), expected, "{client} to {local}");
    }

    #[test]
    fn only_one_host_that_is_not_this_server_gets_a_reply() {
        check("10.0.0.1:4000", "10.0.0.2:53", true);
        check("[2001:db8::1]:4000", "[2001:db8::2]:53", true);
        check("10.0.0.2:4000", "10.0.0.2:53", true);
        check("10.0.0.1:0", "10.0.0.2:53", false);
        check("10.0.0.2:53", "10.0.0.2:53", false);
        check("255.255.255.255:4000", "10.0.0.2:53", false);
        check("224.0.0.251:5353", "10.0.0.2:53", false);
        check("10.0.0.1:4000", "224.0.0.251:53", false);
        check("10.0.0.1:4000", "255.255.255.255:53", false);
        check("[ff02::1]:4000", "[2001:db8::2]:53", false);
        check("[2001:db8::1]:4000", "[ff02::fb]:53", false);
    }
}
