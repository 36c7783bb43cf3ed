//! In which order servers are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::seq::SliceRandom;

use super::server::Server;
use crate::config::directive::Policy;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    policy: Policy,
    /// How many queries there were, for round robin.
    queries: AtomicUsize,
}

impl Turns {
    /// The first server is first.
    pub fn new(policy: Policy) -> Self {
        Self { policy, queries: AtomicUsize::new(0) }
    }

    /// All servers, in the order in which the next query asks them.
    pub fn order<'a>(&self, servers: &'a [Arc<Server>]) -> Vec<&'a Arc<Server>> {
        let mut order: Vec<_> = servers.iter().collect();
        match self.policy {
            Policy::Sequential => {}
            Policy::Random => order.shuffle(&mut rand::rng()),
            Policy::RoundRobin => {
                let first = self.queries.fetch_add(1, Ordering::Relaxed) % order.len().max(1);
                // As in CoreDNS: the others stay in the order of the file.
                if let Some(upto) = order.get_mut(..=first) {
                    upto.rotate_right(1);
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Upstream;

    fn servers() -> Vec<Arc<Server>> {
        let server = |port| Arc::new(Server::new(Upstream::plain(([127, 0, 0, 1], port).into())));
        (0..3).map(server).collect()
    }

    fn orders(policy: Policy, queries: usize) -> Vec<Vec<u16>> {
        let (turns, servers) = (Turns::new(policy), servers());
        let order = || turns.order(&servers).iter().map(|server| server.address().port()).collect();
        (0..queries).map(|_| order()).collect()
    }

    #[test]
    fn sequential_is_the_order_of_the_file() {
        assert_eq!(orders(Policy::Sequential, 2), [[0, 1, 2], [0, 1, 2]]);
    }

    #[test]
    fn round_robin_begins_with_another_server_each_time() {
        assert_eq!(orders(Policy::RoundRobin, 4), [[0, 1, 2], [1, 0, 2], [2, 0, 1], [0, 1, 2]]);
    }

    #[test]
    fn random_asks_all_and_any_of_them_first() {
        let orders = orders(Policy::Random, 200);
        (0..3).for_each(|port| assert!(orders.iter().any(|order| order[0] == port), "{port} is never first"));
        let sorted = |mut order: Vec<u16>| (order.sort_unstable(), order).1;
        assert!(orders.into_iter().all(|order| sorted(order) == [0, 1, 2]));
    }
}
