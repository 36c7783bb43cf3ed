//! The addresses of an endpoint or a Pod: mostly one, which then needs no allocation.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

/// Some addresses, in the order in which they were written.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses(Inner);

#[derive(Clone, PartialEq, Eq)]
enum Inner {
    One(IpAddr),
    NoneOrSeveral(Box<[IpAddr]>),
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        match &self.0 {
            Inner::One(address) => std::slice::from_ref(address),
            Inner::NoneOrSeveral(addresses) => addresses,
        }
    }
}

impl FromIterator<IpAddr> for Addresses {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut addresses = addresses.into_iter();
        match (addresses.next(), addresses.next()) {
            (Some(only), None) => Self(Inner::One(only)),
            (first, second) => Self(Inner::NoneOrSeveral(first.into_iter().chain(second).chain(addresses).collect())),
        }
    }
}

impl From<Vec<IpAddr>> for Addresses {
    fn from(addresses: Vec<IpAddr>) -> Self {
        addresses.into_iter().collect()
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_they_were_made_of() {
        let all: Vec<IpAddr> = (1..4).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        for count in 0..=3 {
            let addresses: Addresses = all.iter().copied().take(count).collect();
            assert_eq!(*addresses, all[..count]);
            assert_eq!(addresses, Addresses::from(all[..count].to_vec()));
        }
    }

    #[test]
    fn one_address_takes_no_more_room_than_a_pointer_beside_it() {
        assert_eq!(size_of::<Addresses>(), 24);
    }
}
