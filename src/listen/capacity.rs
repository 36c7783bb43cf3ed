//! The bounds of the whole server: what is over them is refused at once, and counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics::Metrics;

/// How much is taken on at the same time, and how long anything may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// UDP sockets, and threads, of one listen address.
    pub udp_threads: usize,
    /// Queries that wait for something, such as another server. What memory answers does not count.
    pub queries: usize,
    /// The same of one client address.
    pub queries_per_client: usize,
    /// The same of one connection: its next query is not read before one of them is answered.
    pub queries_per_connection: usize,
    /// The time until a query that waits is given up with SERVFAIL.
    pub query_time: Duration,
    /// TCP connections.
    pub connections: usize,
    /// The same of one client address.
    pub connections_per_client: usize,
    /// How long a connection may lie idle (RFC 7766 section 6.2.3).
    pub idle_time: Duration,
    /// How long the rest of a message may take that has begun to arrive.
    pub message_time: Duration,
    /// How long a client may take to read what is ready for it.
    pub write_time: Duration,
    /// Octets of messages over HTTPS and QUIC, where one connection has many at a time: they came, or wait for the client to read them.
    pub octets: usize,
    /// The same of one client address.
    pub octets_per_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            udp_threads: cores.min(4),
            queries: 4096,
            queries_per_client: 1024,
            queries_per_connection: 128,
            query_time: Duration::from_secs(10),
            connections: 1000,
            connections_per_client: 100,
            idle_time: Duration::from_secs(10),
            message_time: Duration::from_secs(5),
            write_time: Duration::from_secs(5),
            octets: 64 << 20,
            octets_per_client: 8 << 20,
        }
    }
}

/// What the listeners of a server share: the limits, and how much of them is used.
#[derive(Debug)]
pub struct Capacity {
    /// The limits.
    pub limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) queries: Arc<Quota>,
    pub(super) connections: Arc<Quota>,
    pub(super) octets: Arc<Quota>,
}

impl Capacity {
    /// Nothing used yet.
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        let quota = |kind, max, max_per_client| {
            let metrics = Arc::clone(&metrics);
            Arc::new(Quota { kind, max, max_per_client, metrics, used: Mutex::default(), total: AtomicUsize::new(0) })
        };
        Self {
            queries: quota(Kind::Queries, limits.queries, limits.queries_per_client),
            connections: quota(Kind::Connections, limits.connections, limits.connections_per_client),
            octets: quota(Kind::Octets, limits.octets, limits.octets_per_client),
            metrics,
            limits,
        }
    }
}

/// A number of places, and how many of them one client may take.
#[derive(Debug)]
pub(super) struct Quota {
    kind: Kind,
    max: usize,
    max_per_client: usize,
    metrics: Arc<Metrics>,
    used: Mutex<Used>,
    /// `used.total`, to look at without the lock.
    total: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Queries,
    Connections,
    Octets,
}

#[derive(Debug, Default)]
struct Used {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Used {
    fn of(&self, client: IpAddr) -> usize {
        self.by_client.get(&client).copied().unwrap_or_default()
    }
}

/// A place, or several, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    quota: Arc<Quota>,
    client: IpAddr,
    count: usize,
}

impl Quota {
    /// Takes a place for a client; None, and counted, if there is none.
    pub fn take(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        self.take_many(client, 1)
    }

    /// Takes as many places as that, or none.
    pub fn take_many(self: &Arc<Self>, client: IpAddr, count: usize) -> Option<Place> {
        let mut used = self.lock();
        let of_client = used.of(client);
        if !self.has_places(&used, client, count) {
            self.count_refused(&used, count);
            return None;
        }
        used.by_client.insert(client, of_client + count);
        used.total += count;
        self.show(used.total);
        Some(Place { quota: Arc::clone(self), client, count })
    }

    /// Whether there is a place for a client.
    pub fn has_room(&self, client: IpAddr) -> bool {
        // Nobody has all places of a client while so few are taken.
        if self.total.load(Ordering::Relaxed) < self.max_per_client.min(self.max) {
            return true;
        }
        self.has_places(&self.lock(), client, 1)
    }

    /// Counts a client that got no place because [`Quota::has_room`] said no.
    pub fn refuse(&self) {
        self.count_refused(&self.lock(), 1);
    }

    fn has_places(&self, used: &Used, client: IpAddr, count: usize) -> bool {
        let has_room = |used: usize, max: usize| count <= max.saturating_sub(used);
        has_room(used.total, self.max) && has_room(used.of(client), self.max_per_client)
    }

    /// Whether half of the places are taken, or half of those of a client.
    pub fn is_scarce(&self, client: IpAddr) -> bool {
        let used = self.lock();
        let of_client = used.of(client);
        used.total >= self.max / 2 || of_client >= self.max_per_client / 2
    }

    fn count_refused(&self, used: &Used, count: usize) {
        let bound = match (self.kind, count > self.max.saturating_sub(used.total)) {
            (Kind::Queries, true) => "queries",
            (Kind::Queries, false) => "queries_per_client",
            (Kind::Connections, true) => "connections",
            (Kind::Connections, false) => "connections_per_client",
            (Kind::Octets, true) => "octets",
            (Kind::Octets, false) => "octets_per_client",
        };
        self.metrics.landfall_queries_refused.with_label_values(&[bound]).inc();
    }

    fn show(&self, total: usize) {
        self.total.store(total, Ordering::Relaxed);
        let gauge = match self.kind {
            Kind::Queries => &self.metrics.landfall_queries_in_flight,
            Kind::Connections => &self.metrics.landfall_tcp_connections,
            Kind::Octets => return,
        };
        gauge.set(i64::try_from(total).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut used = self.quota.lock();
        used.total -= self.count;
        self.quota.show(used.total);
        if let Some(of_client) = used.by_client.get_mut(&self.client) {
            *of_client -= self.count;
            if *of_client == 0 {
                used.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(queries: usize, queries_per_client: usize) -> Arc<Quota> {
        let limits = Limits { queries, queries_per_client, ..Limits::default() };
        Capacity::new(limits, Arc::new(Metrics::new())).queries
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn one_client_cannot_take_all_places() {
        let quota = quota(3, 2);
        let first = quota.take(client(1));
        let second = quota.take(client(1));
        assert!(first.is_some() && second.is_some());
        assert!(quota.take(client(1)).is_none() && !quota.has_room(client(1)) && quota.has_room(client(2)));
        let third = quota.take(client(2));
        assert!(third.is_some());
        assert!(quota.take(client(3)).is_none() && !quota.has_room(client(3)), "all places are taken");
        let refused = |bound| quota.metrics.landfall_queries_refused.with_label_values(&[bound]).get();
        assert_eq!((refused("queries"), refused("queries_per_client")), (1, 1));
    }

    #[test]
    fn many_places_are_taken_together_or_not_at_all() {
        let quota = quota(10, 6);
        let held = quota.take_many(client(1), 4);
        assert!(held.is_some() && quota.take_many(client(1), 3).is_none() && quota.take_many(client(2), 7).is_none());
        assert!(quota.take_many(client(2), usize::MAX).is_none());
        assert!(quota.is_scarce(client(1)) && !quota.is_scarce(client(2)));
        drop(held);
        assert!(quota.take_many(client(1), 6).is_some() && quota.lock().by_client.is_empty());
    }

    #[test]
    fn a_place_can_be_taken_again() {
        let quota = quota(1, 1);
        for _ in 0..3 {
            let place = quota.take(client(1));
            assert!(place.is_some());
            assert_eq!(quota.metrics.landfall_queries_in_flight.get(), 1);
        }
        assert_eq!(quota.metrics.landfall_queries_in_flight.get(), 0);
        assert!(quota.lock().by_client.is_empty(), "clients that are gone are forgotten");
    }
}
