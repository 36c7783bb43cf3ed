//! One packet: from the octets that came to the octets that go back.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use tracing::error;

use super::capacity::{Capacity, Place};
use crate::config::directive::Timeouts;
use crate::dns::{Answer, Messages, Query, Request, Transport, encode, parse_request};
use crate::metrics::Metrics;
use crate::plugin::{Routed, Router};

/// What goes back.
pub struct Reply {
    /// The message.
    pub message: Vec<u8>,
    /// Those that follow it, if it is the first one of a transfer.
    pub more: Option<Box<Messages>>,
}

impl From<Vec<u8>> for Reply {
    fn from(message: Vec<u8>) -> Self {
        Self { message, more: None }
    }
}

/// Answers a packet; None: nothing goes back.
pub async fn respond(
    router: &Router,
    metrics: &Metrics,
    packet: &[u8],
    client: SocketAddr,
    local: SocketAddr,
    transport: Transport,
) -> Option<Reply> {
    match parse_request(packet, client, local, transport) {
        Request::Ignored => None,
        Request::Rejected(reply) => Some(reply.into()),
        Request::Query(query) => answer(router, metrics, query).await,
    }
}

/// Answers a query; None: nothing goes back. Whatever panics on the way costs this query a SERVFAIL and nothing else.
async fn answer(router: &Router, metrics: &Metrics, query: Query) -> Option<Reply> {
    let started = Instant::now();
    let routed = router.route(query);
    let attempt = async {
        let answer = routed.answer().await;
        finish(&routed, &answer, started)
    };
    match AssertUnwindSafe(attempt).catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => {
            metrics.panics.inc();
            let (query, answer) = (routed.query(), Answer::serv_fail("panic"));
            error!(name = %query.name, "a query ended in a panic");
            let reply = encode(query, &answer);
            router.observe_dropped(query, &answer, Some(&reply), started.elapsed());
            Some(reply.into())
        }
    }
}

/// Writes an answer, if there is to be a reply, and tells those who watch.
fn finish(routed: &Routed<'_>, answer: &Answer, started: Instant) -> Option<Reply> {
    let reply = (!answer.is_dropped()).then(|| {
        let mut more = Messages::new(routed.query(), answer).map(Box::new);
        let first = more.as_mut().and_then(Iterator::next);
        Reply { message: first.unwrap_or_else(|| encode(routed.query(), answer)), more }
    });
    routed.observe(answer, reply.as_ref().map(|reply| reply.message.as_slice()), started.elapsed());
    reply
}

/// Answers what comes to a listen address, within the bounds of the server.
#[derive(Debug)]
pub(super) struct Responder {
    router: ArcSwap<Router>,
    timeouts: ArcSwap<Timeouts>,
    /// What metrics call the endpoint.
    label: String,
    pub capacity: Arc<Capacity>,
}

/// How long a connection is waited for, and how many queries it may bring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// For the rest of a message.
    pub read: Duration,
    /// For a client that does not read.
    pub write: Duration,
    /// For the next query.
    pub idle: Duration,
    /// How many queries may come.
    pub queries: u32,
}

/// A packet and its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub octets: &'a [u8],
    pub client: SocketAddr,
    pub local: SocketAddr,
    pub transport: Transport,
}

/// What is known of a reply at once.
pub(super) enum Response {
    /// All of it; None: nothing goes back.
    Ready(Option<Reply>),
    /// That it takes time.
    Waiting(Waiting),
}

/// A reply that waits for something, and holds a place of [`Capacity::queries`] until it is there.
pub(super) struct Waiting {
    answering: Pin<Box<dyn Future<Output = Option<Reply>> + Send>>,
    place: Place,
    deadline: Duration,
    /// The packet, its octets apart, and who answers it when that takes too long.
    packet: Packet<'static>,
    octets: Vec<u8>,
    router: Arc<Router>,
}

impl Waiting {
    /// The reply; None: nothing goes back.
    pub async fn reply(self) -> Option<Reply> {
        let Self { answering, place: _place, deadline, packet, octets, router } = self;
        match tokio::time::timeout(deadline, answering).await {
            Ok(reply) => reply,
            Err(_) => Packet { octets: &octets, ..packet }.give_up(&router, too_late()),
        }
    }
}

/// RFC 8914: an error without a code of its own.
const OTHER_ERROR: u16 = 0;

impl Responder {
    pub fn new(router: Arc<Router>, timeouts: Timeouts, label: String, capacity: Arc<Capacity>) -> Self {
        Self { router: ArcSwap::new(router), timeouts: ArcSwap::from_pointee(timeouts), label, capacity }
    }

    /// From now on this router answers, within these times; queries that wait stay with the one that they came to.
    pub fn replace(&self, router: Arc<Router>, timeouts: Timeouts) {
        self.router.store(router);
        self.timeouts.store(Arc::new(timeouts));
    }

    /// How long a connection that begins now is waited for.
    pub fn times(&self) -> Times {
        let (timeouts, limits) = (self.timeouts.load(), &self.capacity.limits);
        Times {
            read: timeouts.read.unwrap_or(limits.message_time),
            write: timeouts.write.unwrap_or(limits.write_time),
            idle: timeouts.idle.unwrap_or(limits.idle_time),
            queries: timeouts.maxtcpqueries.unwrap_or(u32::MAX),
        }
    }

    /// What metrics call the endpoint.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Answers a packet; None: nothing goes back.
    pub async fn answer(&self, packet: Packet<'_>) -> Option<Reply> {
        match self.begin(packet) {
            Response::Ready(reply) => reply,
            Response::Waiting(waiting) => waiting.reply().await,
        }
    }

    /// Answers a packet as far as that goes without waiting. Needs the runtime's context.
    pub fn begin(&self, packet: Packet<'_>) -> Response {
        let mut query = match packet.parse() {
            Request::Ignored => return Response::Ready(None),
            Request::Rejected(reply) => return Response::Ready(Some(reply.into())),
            Request::Query(query) => query,
        };
        let client = query.client.ip();
        let may_wait = self.capacity.queries.has_room(client);
        query.may_wait = may_wait;
        let router = self.router.load_full();
        let metrics = Arc::clone(&self.capacity.metrics);
        let answering = {
            let router = Arc::clone(&router);
            async move { answer(&router, &metrics, query).await }
        };
        let mut answering = Box::pin(answering);
        // Nobody is woken: what is not ready at the first poll is polled again by the task that waits for it.
        match answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reply) => Response::Ready(reply),
            Poll::Pending => match self.place(client, may_wait) {
                Some(place) => {
                    let (octets, deadline) = (packet.octets.to_vec(), self.capacity.limits.query_time);
                    let Packet { client, local, transport, .. } = packet;
                    let packet = Packet { octets: &[], client, local, transport };
                    Response::Waiting(Waiting { answering, place, deadline, packet, octets, router })
                }
                None => Response::Ready(packet.give_up(&router, too_many())),
            },
        }
    }

    /// A place for a query that waits. Who had none before it was asked for anything has none now.
    fn place(&self, client: IpAddr, may_wait: bool) -> Option<Place> {
        if !may_wait {
            self.capacity.queries.refuse();
            return None;
        }
        self.capacity.queries.take(client)
    }
}

impl Packet<'_> {
    pub fn parse(&self) -> Request {
        parse_request(self.octets, self.client, self.local, self.transport)
    }

    /// Answers without having asked anybody.
    fn give_up(&self, router: &Router, answer: Answer) -> Option<Reply> {
        match self.parse() {
            Request::Query(query) => finish(&router.route(query), &answer, Instant::now()),
            Request::Ignored | Request::Rejected(_) => None,
        }
    }
}

/// REFUSED and not SERVFAIL, upon which resolvers ask again at once.
fn too_many() -> Answer {
    Answer::refused().with_extended_error(OTHER_ERROR, "too many queries in flight")
}

fn too_late() -> Answer {
    Answer::serv_fail("no answer in time").with_extended_error(OTHER_ERROR, "no answer in time")
}

#[cfg(test)]
mod tests {
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

    use super::*;
    use crate::config::directive::{LogClass, LogRule};
    use crate::dns::parse_name;
    use crate::listen::Limits;
    use crate::plugin::log::Log;
    use crate::plugin::whoami::Whoami;
    use crate::plugin::{Pipeline, Zone};

    /// A log that panics when a query is told to it.
    struct BrokenLog;

    impl<S: Subscriber> Layer<S> for BrokenLog {
        fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
            assert_ne!(event.metadata().target(), "query", "the log is broken");
        }
    }

    /// Answers everything, and logs what is below `logged.`.
    fn responder() -> Responder {
        let rule = LogRule {
            zones: vec![parse_name("logged.").unwrap()],
            format: String::new(),
            classes: vec![LogClass::All],
        };
        let pipeline = Pipeline { whoami: Some(Whoami), log: Some(Log::new(vec![rule])), ..Pipeline::default() };
        let apex = parse_name(".").unwrap();
        let router = Router::new(vec![Zone { apex, block: 0, pipeline: Arc::new(pipeline), prometheus: None }], None);
        Responder::new(
            Arc::new(router),
            Timeouts::default(),
            String::new(),
            Arc::new(Capacity::new(Limits::default(), Arc::new(Metrics::new()))),
        )
    }

    /// Asks for A of a name; the response code.
    fn check(responder: &Responder, label: &[u8], code: u8) {
        let header = [0x47, 0x11, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let octets = [&header[..], &[label.len() as u8], label, &[0, 0, 1, 0, 1]].concat();
        let client = "127.0.0.1:4000".parse().unwrap();
        let packet = Packet { octets: &octets, client, local: client, transport: Transport::Udp };
        let Response::Ready(Some(reply)) = responder.begin(packet) else { panic!("no reply") };
        let reply = reply.message;
        assert_eq!((&reply[..2], reply[3] & 0xf), (&octets[..2], code));
    }

    #[test]
    fn a_panic_costs_its_query_a_serv_fail_and_nothing_else() {
        let responder = responder();
        let panics = || responder.capacity.metrics.panics.get();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(BrokenLog), || {
            check(&responder, b"other", 0);
            assert_eq!(panics(), 0);
            check(&responder, b"logged", 2);
            assert_eq!(panics(), 1);
            check(&responder, b"other", 0);
        });
        check(&responder, b"logged", 0);
        assert_eq!(panics(), 1);
    }
}
