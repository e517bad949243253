//! The hosts of a connection string.

use std::net::IpAddr;

use super::{
    HostInfo,
    grammar::{Parts, decode},
    invalid,
};
use crate::{error::Result, options::ServerAddress};

/// Understands the hosts, or the one name of `mongodb+srv`.
pub(super) fn parse(parts: &Parts<'_>) -> Result<HostInfo> {
    let addresses = parts
        .hosts
        .iter()
        .enumerate()
        .map(|(index, host)| parse_host(host, index + 1))
        .collect::<Result<Vec<_>>>()?;
    if !parts.is_srv {
        return Ok(HostInfo::HostIdentifiers(addresses));
    }
    let [ServerAddress::Tcp { host, port: None }] = addresses.as_slice() else {
        return Err(invalid(
            "mongodb+srv:// takes exactly one host name, without a port: DNS tells the hosts and \
             their ports",
        ));
    };
    if host.parse::<IpAddr>().is_ok() {
        return Err(invalid(
            "mongodb+srv:// takes a host name, not an IP address; write mongodb:// before an \
             address",
        ));
    }
    Ok(HostInfo::DnsRecord(host.clone()))
}

/// The text itself stays out of errors: when a user name or password is not encoded as it should
/// be, what looks like a host or port is a part of it.
fn parse_host(text: &str, number: usize) -> Result<ServerAddress> {
    let what = format!("host number {number}");
    let decoded = decode(text, &what)?;
    ServerAddress::understand(&decoded).map_err(|reason| {
        invalid(format_args!(
            "{what}: {reason}; write host:port, [IPv6 address]:port, or the path of a Unix domain \
             socket with %2F for each '/'; in a user name or password, write ':' as %3A, '/' as \
             %2F, '?' as %3F and '@' as %40"
        ))
    })
}
