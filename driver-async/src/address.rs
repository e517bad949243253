//! The address of one server.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// The port of a server whose address names none.
pub(crate) const DEFAULT_PORT: u16 = 27017;

/// The address of one server: a host and port, or the path of a Unix domain socket.
///
/// Two addresses are equal when they reach the same place, so `localhost` equals
/// `localhost:27017`. Host names are kept in lower case, as the specification for server
/// discovery demands.
///
/// ```
/// use motorcade::options::ServerAddress;
///
/// let address = ServerAddress::parse("DB.example.com:27018").unwrap();
/// assert_eq!(address.to_string(), "db.example.com:27018");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerAddress {
    /// A host and port reached over TCP.
    Tcp {
        /// A host name, an IPv4 address or an IPv6 address without its brackets.
        host: String,
        /// The port; 27017 when absent.
        port: Option<u16>,
    },
    /// The path of a Unix domain socket.
    Unix {
        /// The path, which ends in `.sock`.
        path: PathBuf,
    },
}

impl ServerAddress {
    /// Parses `host`, `host:port`, `[ipv6]`, `[ipv6]:port` or a path with a slash that ends in
    /// `.sock`.
    ///
    /// # Errors
    /// An invalid-argument error that says what is wrong with the text. It does not quote the text,
    /// which holds a password when part of a connection string was passed by mistake.
    pub fn parse(address: impl AsRef<str>) -> Result<Self> {
        Self::understand(address.as_ref())
            .map_err(|why| Error::invalid_argument(format!("invalid server address: {why}")))
    }

    /// Like [`ServerAddress::parse`], but the error is the bare reason, which never quotes the
    /// text.
    pub(crate) fn understand(address: &str) -> Result<Self, &'static str> {
        if address.is_empty() {
            return Err("it is empty");
        }
        if address.ends_with(".sock") && address.contains('/') {
            return Ok(Self::Unix {
                path: PathBuf::from(address),
            });
        }
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => split_ipv6(rest)?,
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        if host.is_empty() {
            return Err("the host is empty");
        }
        if host.contains('/') {
            return Err("the path of a Unix domain socket must end in .sock");
        }
        if host.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control()) {
            return Err("the host contains a character that a host cannot have");
        }
        Ok(Self::Tcp {
            host: host.to_ascii_lowercase(),
            port: port.map(parse_port).transpose()?,
        })
    }

    /// The host name or IP address; `None` for a Unix domain socket.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix { .. } => None,
        }
    }

    /// The port, 27017 unless the address names another; `None` for a Unix domain socket.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(port.unwrap_or(DEFAULT_PORT)),
            Self::Unix { .. } => None,
        }
    }

    /// The path of a Unix domain socket; `None` for a host.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp { .. } => None,
            Self::Unix { path } => Some(path),
        }
    }
}

impl Default for ServerAddress {
    fn default() -> Self {
        Self::Tcp {
            host: "localhost".to_owned(),
            port: None,
        }
    }
}

impl PartialEq for ServerAddress {
    fn eq(&self, other: &Self) -> bool {
        (self.host(), self.port(), self.path()) == (other.host(), other.port(), other.path())
    }
}

impl Eq for ServerAddress {}

impl Hash for ServerAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.host(), self.port(), self.path()).hash(state);
    }
}

impl PartialOrd for ServerAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ServerAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.host(), self.port(), self.path()).cmp(&(other.host(), other.port(), other.path()))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => {
                let port = port.unwrap_or(DEFAULT_PORT);
                if host.contains(':') {
                    write!(f, "[{host}]:{port}")
                } else {
                    write!(f, "{host}:{port}")
                }
            }
            Self::Unix { path } => write!(f, "{}", path.display()),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self> {
        Self::parse(address)
    }
}

impl From<std::net::SocketAddr> for ServerAddress {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::Tcp {
            host: address.ip().to_string(),
            port: Some(address.port()),
        }
    }
}

impl Serialize for ServerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(text).map_err(serde::de::Error::custom)
    }
}

fn split_ipv6(rest: &str) -> Result<(&str, Option<&str>), &'static str> {
    let Some((host, after)) = rest.split_once(']') else {
        return Err("the bracket of an IPv6 address is not closed");
    };
    // A link-local address names the network interface after a percent sign.
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host, None),
    };
    if address.parse::<std::net::Ipv6Addr>().is_err() || zone == Some("") {
        return Err("the brackets do not hold an IPv6 address");
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err("something other than a port follows the IPv6 address"),
    }
}

fn parse_port(port: &str) -> Result<u16, &'static str> {
    match port.parse::<u16>() {
        Ok(number) if number != 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_reach_the_same_place_are_equal() {
        let implied = ServerAddress::parse("LOCALHOST").unwrap();
        assert_eq!(implied, ServerAddress::parse("localhost:27017").unwrap());
        assert_ne!(implied, ServerAddress::parse("localhost:27018").unwrap());
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets_in_text() {
        let address = ServerAddress::parse("[::1]:27018").unwrap();
        assert_eq!(address.host(), Some("::1"));
        assert_eq!(address.to_string(), "[::1]:27018");
    }

    #[test]
    fn a_path_is_told_from_a_host_by_its_slash() {
        let path = ServerAddress::parse("/tmp/mongodb-27017.sock").unwrap();
        assert_eq!(path.path(), Some(Path::new("/tmp/mongodb-27017.sock")));
        let host = ServerAddress::parse("mongodb-27017.sock").unwrap();
        assert_eq!(host.host(), Some("mongodb-27017.sock"));
        let scoped = ServerAddress::parse("[fe80::1%eth0]:27018").unwrap();
        assert_eq!(scoped.host(), Some("fe80::1%eth0"));
    }

    #[test]
    fn errors_do_not_quote_the_text() {
        for bad in ["alice:hunter2@a", "alice:hunter2", "[hunter2]", "hunter2 a"] {
            let error = ServerAddress::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn bad_addresses_are_refused() {
        for bad in [
            "",
            ":27017",
            "a:0",
            "a:65536",
            "a:+1",
            "a:",
            "[::1",
            "[::1]x",
            "[nope]",
            "[fe80::1%]",
            "a b",
            "/tmp/x",
        ] {
            assert!(ServerAddress::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
