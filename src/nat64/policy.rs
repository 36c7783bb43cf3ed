//! Which addresses may be translated, and which IPv6 addresses do not count.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::Prefix;

const fn net(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

/// Never, whatever the prefix: this host, loopback, link-local, multicast, reserved.
const NEVER: [Ipv4Net; 5] =
    [net(0, 0, 0, 8), net(127, 0, 0, 8), net(169, 254, 0, 16), net(224, 0, 0, 4), net(240, 0, 0, 4)];

/// Not under the well-known prefix, which is for global addresses only (RFC 6052 section 3.1): networks that have addresses
/// of their own. Documentation and benchmark ranges are left to the NAT64, as nobody has anything there.
const PRIVATE: [Ipv4Net; 5] =
    [net(10, 0, 0, 8), net(100, 64, 0, 10), net(172, 16, 0, 12), net(192, 0, 0, 24), net(192, 168, 0, 16)];

/// Whether an IPv4 address may be given as an IPv6 address below a prefix.
pub fn may_translate(prefix: Prefix, address: Ipv4Addr) -> bool {
    let is_in = |ranges: &[Ipv4Net]| ranges.iter().any(|range| range.contains(&address));
    let is_private = prefix == Prefix::WELL_KNOWN && is_in(&PRIVATE);
    !is_private && !is_in(&NEVER)
}

/// Whether an IPv6 address does not count as one: IPv4-mapped addresses (RFC 6147 section 5.1.4).
pub fn is_excluded(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, address: &str, expected: bool) {
        let prefix = Prefix::new(prefix.parse().unwrap()).unwrap();
        assert_eq!(may_translate(prefix, address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn the_well_known_prefix_is_for_global_addresses() {
        for address in ["10.1.2.3", "100.64.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.8"] {
            check("64:ff9b::/96", address, false);
            check("2001:db8:64::/96", address, true);
        }
        check("64:ff9b::/96", "8.8.8.8", true);
        check("64:ff9b::/96", "172.32.0.1", true);
    }

    #[test]
    fn some_addresses_are_never_translated() {
        for address in ["0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255"] {
            check("2001:db8:64::/96", address, false);
        }
    }

    #[test]
    fn mapped_addresses_do_not_count() {
        assert!(is_excluded("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!is_excluded("2001:db8::1".parse().unwrap()));
        assert!(!is_excluded("::1".parse().unwrap()));
    }
}
