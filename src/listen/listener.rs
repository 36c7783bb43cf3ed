//! A listen address at work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::{BindError, ListenAddress, PortUse, Sockets};
use super::capacity::Capacity;
use super::respond::Responder;
use super::tcp;
use super::udp::UdpWorker;
use crate::dns::Transport;
use crate::plugin::Router;

/// A listen address, served over UDP and TCP until [`Listener::stop`], or until this is dropped.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    responder: Arc<Responder>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Listener {
    /// Binds the sockets of an address, and answers on them. Needs the runtime's context.
    pub fn bind(
        address: ListenAddress,
        port_use: PortUse,
        router: Arc<Router>,
        capacity: &Arc<Capacity>,
    ) -> Result<Self, BindError> {
        let Sockets { tcp, udp, local } = Sockets::bind(address, port_use, capacity.limits.udp_threads)?;
        let listener = Self {
            local,
            responder: Arc::new(Responder::new(router, Arc::clone(capacity))),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let over = |transport| move |source| BindError { address: local, transport, source };
        let tcp = tokio::net::TcpListener::from_std(tcp).map_err(over(Transport::Tcp))?;
        let Self { responder, tasks, stop, .. } = &listener;
        tasks.spawn(tcp::accept(tcp, Arc::clone(responder), tasks.clone(), stop.clone()));
        for socket in udp {
            let worker = UdpWorker {
                socket: Arc::new(socket),
                bound: local,
                responder: Arc::clone(responder),
                runtime: Handle::current(),
                tasks: tasks.clone(),
                stop: stop.clone(),
            };
            worker.start().map_err(over(Transport::Udp))?;
        }
        Ok(listener)
    }

    /// What it is bound to, with the port that the system chose if the address left it open.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// From now on another router answers; the sockets stay open, and queries that wait end as they began.
    pub fn replace_router(&self, router: Arc<Router>) {
        self.responder.replace_router(router);
    }

    /// Takes no more queries, answers those that came, and closes the sockets. Returns whether all of it was done
    /// within `patience`.
    pub async fn stop(self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
