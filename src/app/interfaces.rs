//! What the machine says of itself: its addresses and its name.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// The addresses of this machine with the names of their interfaces.
pub fn addresses() -> Vec<(String, IpAddr)> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let with_address = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        Some((interface.interface_name, v4.or(v6)?))
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
        assert!(addresses().iter().any(|(_, address)| address.is_loopback()));
    }
}
