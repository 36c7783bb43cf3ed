//! `loadbalance [round_robin] { prefer CIDR... }`: the order of addresses in an answer.

use ipnet::IpNet;

/// In which order addresses stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalance {
    /// Addresses in these prefixes come first, in the order of the prefixes.
    pub prefer: Vec<IpNet>,
}
