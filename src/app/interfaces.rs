//! What the machine says of itself: its addresses and its name.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use super::assemble::Interface;

/// The addresses of this machine.
pub fn addresses() -> Vec<Interface> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let with_address = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        let name = interface.interface_name;
        // An interface that has gone meanwhile has no number any more.
        let index = if_nametoindex(name.as_str()).unwrap_or_default();
        Some(Interface { name, index, address: v4.or(v6)? })
    });
    with_address.collect()
}

/// The name of this machine.
pub fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_loopback() {
        assert!(addresses().iter().any(|interface| interface.address.is_loopback()));
    }
}
