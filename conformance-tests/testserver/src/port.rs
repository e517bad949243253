//! Free ports that no other test process takes meanwhile.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::error::{Error, Result};

/// Below the range from which systems take the local ports of outgoing connections: there, a
/// client's connection could sit on the port of a killed member when it restarts.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A TCP port of 127.0.0.1 that is ours until this is dropped, whether or not a server runs on it.
///
/// The claim is a UDP socket bound to the same number. `mongod` uses no UDP, binding is atomic
/// between processes, and the claim ends with its process and leaves no file behind.
#[derive(Debug)]
pub(crate) struct PortLease {
    port: u16,
    _claim: UdpSocket,
}

impl PortLease {
    /// Claims a port on which nothing listens.
    pub(crate) fn claim() -> Result<Self> {
        let start = RandomState::new().hash_one(std::process::id());
        for step in 0..u64::from(COUNT) {
            let offset = (start.wrapping_add(step)) % u64::from(COUNT);
            let port = FIRST + u16::try_from(offset).unwrap_or_default();
            let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Self {
                    port,
                    _claim: claim,
                });
            }
        }
        Err(Error::new(format!(
            "no free port between {FIRST} and {} on 127.0.0.1",
            FIRST + COUNT
        )))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_port_is_not_claimed_again() {
        let leases: Vec<_> = (0..50).map(|_| PortLease::claim().unwrap()).collect();
        let mut ports: Vec<_> = leases.iter().map(PortLease::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, ports[0])).is_err());
    }
}
