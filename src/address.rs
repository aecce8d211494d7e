//! The classes of IP addresses.

use std::net::IpAddr;

/// Reports whether only this machine can reach the address: `127.0.0.0/8`, its IPv4-mapped form (`::ffff:127.0.0.1`),
/// and `::1`.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Reports whether the address is valid on one link only: `169.254.0.0/16`, where clouds serve the credentials of their
/// machines, its IPv4-mapped form, and `fe80::/10`.
pub fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv4_is_the_same_in_ipv6() {
        let parsed = |text: &str| -> IpAddr { text.parse().unwrap() };
        for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(parsed(text)), "{text}");
        }
        for text in ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(!is_loopback(parsed(text)), "{text}");
        }
        for text in [
            "169.254.169.254",
            "::ffff:169.254.0.1",
            "fe80::1",
            "febf::1",
        ] {
            assert!(is_link_local(parsed(text)), "{text}");
        }
        for text in ["169.253.0.1", "fec0::1", "::1", "2001:db8::1"] {
            assert!(!is_link_local(parsed(text)), "{text}");
        }
    }
}
