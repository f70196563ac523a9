//! From which networks clients may come.

use std::net::IpAddr;

use ipnet::IpNet;

/// The networks whose clients are served; none named: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// These networks; none: all there are.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a client at this address is served. One without an address comes through a socket in the file system,
    /// whose mode has let it in.
    pub fn admit(&self, from: Option<IpAddr>) -> bool {
        let Some(from) = from.map(|from| from.to_canonical()) else {
            return true;
        };
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&from))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_the_networks_that_are_named_are_let_in() {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"];
        let networks = Networks::new(networks.map(|net| net.parse().unwrap()).to_vec());
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            let address = Some(address.parse().unwrap());
            assert_eq!(networks.admit(address), expected, "{address:?}");
            assert!(Networks::default().admit(address));
        }
        assert!(networks.admit(None));
    }
}
