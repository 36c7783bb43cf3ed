//! A NAT64 prefix (RFC 6052 section 2.2).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

/// A NAT64 prefix of a legal length: 32, 40, 48, 56, 64 or 96, with bits 64 to 71 zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(Ipv6Net);

/// A prefix that no NAT64 can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{prefix} is not a NAT64 prefix: {reason}")]
pub struct InvalidPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The octet that is always zero: bits 64 to 71.
const ZERO_OCTET: usize = 8;

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Prefix {
    /// 64:ff9b::/96 (RFC 6052 section 2.1).
    pub const WELL_KNOWN: Self = Self(Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96));

    /// Checks the rules of RFC 6052 section 2.2.
    pub fn new(prefix: Ipv6Net) -> Result<Self, InvalidPrefix> {
        let refuse = |reason| Err(InvalidPrefix { prefix, reason });
        if ![32, 40, 48, 56, 64, 96].contains(&prefix.prefix_len()) {
            return refuse("its length is one of 32, 40, 48, 56, 64 and 96");
        }
        if prefix.addr() != prefix.network() {
            return refuse("it has bits beyond its length");
        }
        match prefix.addr().octets().get(ZERO_OCTET) {
            Some(0) => Ok(Self(prefix)),
            _ => refuse("bits 64 to 71 are zero"),
        }
    }

    /// The IPv6 address that stands for an IPv4 address; the suffix is zero.
    pub fn embed(&self, v4: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.0.addr().octets();
        for (octet, place) in v4.octets().into_iter().zip(self.places()) {
            if let Some(target) = octets.get_mut(place) {
                *target = octet;
            }
        }
        Ipv6Addr::from(octets)
    }

    /// The IPv4 address that an IPv6 address stands for; None if it is not one that [`Prefix::embed`] makes.
    pub fn extract(&self, v6: Ipv6Addr) -> Option<Ipv4Addr> {
        let octets = v6.octets();
        let mut v4 = [0; 4];
        for (octet, place) in v4.iter_mut().zip(self.places()) {
            *octet = *octets.get(place)?;
        }
        let v4 = Ipv4Addr::from(v4);
        (self.embed(v4) == v6).then_some(v4)
    }

    /// Where the four octets stand: behind the prefix, the zero octet left out.
    fn places(&self) -> impl Iterator<Item = usize> {
        let start = usize::from(self.0.prefix_len() / 8);
        (start..).filter(move |place| start > ZERO_OCTET || *place != ZERO_OCTET).take(4)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_6052_section_2_4_hold() {
        let check = |text: &str, expected: &str| {
            let v6: Ipv6Addr = expected.parse().unwrap();
            let v4 = Ipv4Addr::new(192, 0, 2, 33);
            assert_eq!(prefix(text).embed(v4), v6, "{text}");
            assert_eq!(prefix(text).extract(v6), Some(v4), "{text}");
        };
        check("2001:db8::/32", "2001:db8:c000:221::");
        check("2001:db8:100::/40", "2001:db8:1c0:2:21::");
        check("2001:db8:122::/48", "2001:db8:122:c000:2:2100::");
        check("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::");
        check("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::");
        check("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33");
        check("64:ff9b::/96", "64:ff9b::192.0.2.33");
    }

    #[test]
    fn what_no_nat64_can_use_is_refused() {
        for text in ["2000::/24", "2000::/36", "2000::/72", "2000::/80", "2000::/97", "2000::/128", "2000::1/64"] {
            assert!(Prefix::new(text.parse().unwrap()).is_err(), "{text}");
        }
        assert!(Prefix::new("2001:db8:0:0:100::/96".parse().unwrap()).is_err(), "bits 64 to 71");
    }

    #[test]
    fn an_address_with_other_bits_stands_for_nothing() {
        let prefix = prefix("2001:db8:122:344::/64");
        for text in ["2001:db8:122:344:1c0:2:2100::", "2001:db8:122:344:c0:2:2100:1", "2001:db8:122:345:c0:2:2100::"] {
            assert_eq!(prefix.extract(text.parse().unwrap()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_embedded_can_be_extracted(bits in any::<u128>(), v4 in any::<u32>(), length in prop::sample::select(vec![32u8, 40, 48, 56, 64, 96])) {
            let address = Ipv6Addr::from(bits & !(0xff << 56));
            let prefix = Prefix::new(Ipv6Net::new(address, length).unwrap().trunc()).unwrap();
            let v4 = Ipv4Addr::from(v4);
            prop_assert_eq!(prefix.extract(prefix.embed(v4)), Some(v4));
        }
    }
}
