//! SOCKS5 proxies.

use std::fmt;

use serde::Deserialize;
use typed_builder::TypedBuilder;

/// A SOCKS5 proxy, as a connection string names it; see the SOCKS5 support specification.
///
/// Proxies are not supported yet: a connection string that names one cannot be turned into
/// [`ClientOptions`](crate::options::ClientOptions), because connecting without the proxy would be
/// wrong.
#[derive(Clone, Deserialize, PartialEq, Eq, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Socks5Proxy {
    /// The proxy's host name or IP address.
    pub host: String,
    /// The proxy's port; 1080 when absent.
    #[builder(default)]
    pub port: Option<u16>,
    /// The user name and password for the proxy.
    #[builder(default)]
    pub authentication: Option<(String, String)>,
}

impl fmt::Debug for Socks5Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field(
                "authentication",
                &self.authentication.as_ref().map(|_| "REDACTED"),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_credential() {
        let proxy = Socks5Proxy::builder()
            .host("proxy.example.com")
            .authentication(("alice".to_owned(), "hunter2".to_owned()))
            .build();
        let text = format!("{proxy:?}");
        assert!(
            !text.contains("alice") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
