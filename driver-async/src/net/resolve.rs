//! From a host's name to its IP addresses.

use std::net::{IpAddr, SocketAddr};

use crate::error::{Error, ErrorKind, Result};

/// The IP addresses of `host`, in the order in which they are to be tried.
///
/// # Errors
/// A DNS error that names the host when it has no address.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // Tokio asks the system's resolver on a thread of its own, so the executor is not blocked.
    let found = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => interleave(found),
        Err(error) => return Err(unresolvable(host, &error.to_string())),
    };
    if found.is_empty() {
        return Err(unresolvable(host, "the name has no address"));
    }
    Ok(found)
}

/// Alternates between IPv6 and IPv4, beginning with the family that the resolver put first, so
/// that a broken family costs one attempt's head start and not that of all its addresses.
fn interleave(found: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut found = found.into_iter().peekable();
    let starts_with_v6 = found.peek().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.partition(|address| address.is_ipv6() == starts_with_v6);
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for address in first {
        addresses.push(address);
        addresses.extend(second.next());
    }
    addresses.extend(second);
    addresses
}

fn unresolvable(host: &str, answer: &str) -> Error {
    ErrorKind::DnsResolve {
        message: format!("could not resolve the host name {host:?}: {answer}"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns_beginning_with_the_resolvers_choice() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        let wanted = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(interleave(found), wanted);
        let found = addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        let wanted = addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(interleave(found), wanted);
    }

    #[tokio::test]
    async fn an_ip_address_needs_no_resolver() {
        assert_eq!(
            resolve("::1", 27017).await.unwrap(),
            addresses(&["[::1]:27017"])
        );
    }

    #[tokio::test]
    async fn an_unresolvable_name_is_named_in_the_error() {
        let error = resolve("no-such-host.invalid", 1).await.unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::DnsResolve { .. }));
        assert!(
            error.to_string().contains("no-such-host.invalid"),
            "{error}"
        );
    }
}
