//! Our own listeners as the servers that `forward` asks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use landfall::config::Scheme;
use landfall::config::directive::{Forward, ForwardTls, UpstreamTransport};
use landfall::dns::Name;
use landfall::listen::Limits;
use landfall::metrics::Metrics;
use landfall::upstream::{Attempt, Channel, Exchange, Network, Upstream};

use super::{Identity, NAME, Server};
use crate::wire::packet::{A, Packet};

#[tokio::test]
async fn our_listeners_answer_what_we_ask() {
    let identity = Identity::new();
    for (scheme, transport, channel, connections) in [
        (Scheme::Tls, UpstreamTransport::Tls, Channel::Tls, 8),
        (Scheme::Https, UpstreamTransport::Https, Channel::Https, 1),
        (Scheme::Quic, UpstreamTransport::Quic, Channel::Quic, 1),
    ] {
        let server = Server::start(scheme, identity.files(), Limits::default());
        let tls = ForwardTls { authority: Some(identity.path("tls.crt")), ..ForwardTls::default() };
        let forward = Forward { tls, ..Forward::new(Name::root()) };
        let network = Network::new(&forward, &Arc::new(Metrics::new())).expect("a network");
        let server_name = Some(Arc::from(NAME));
        let upstream = Upstream { transport, server_name, ..Upstream::plain(server.address()) };
        network.prepare(std::slice::from_ref(&upstream));
        let message = Packet::new("web.example.", A).octets();
        let ask = |_| {
            let (upstream, timeout) = (upstream.clone(), Duration::from_secs(20));
            network.exchange(Attempt { upstream, channel, message: message.clone(), timeout, budget: Arc::default() })
        };
        let answers = join_all((0..200).map(ask)).await;
        assert!(answers.iter().all(Result::is_ok), "{channel:?} {:?}", answers.iter().find(|answer| answer.is_err()));
        assert_eq!(server.metrics.landfall_tcp_connections.get(), connections, "{channel:?}");
        drop(network);
        server.is_left().await;
    }
}
