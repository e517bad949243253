//! SOCKS5 proxies.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};
use typed_builder::TypedBuilder;

/// A SOCKS5 proxy, as a connection string names it; see the SOCKS5 support specification.
///
/// Proxies are not supported yet: a connection string that names one cannot be turned into
/// [`ClientOptions`](crate::options::ClientOptions), because connecting without the proxy would be
/// wrong.
#[derive(Clone, PartialEq, Eq, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
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

/// The deserializer's own error is dropped, because it may quote a value that was not understood.
impl<'de> Deserialize<'de> for Socks5Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Shape {
            host: String,
            port: Option<u16>,
            authentication: Option<(String, String)>,
        }
        let shape = Shape::deserialize(deserializer).map_err(|_| {
            D::Error::custom(
                "the proxy is not valid: it takes the text host, the number port, and as \
                 authentication a user name and a password",
            )
        })?;
        Ok(Self {
            host: shape.host,
            port: shape.port,
            authentication: shape.authentication,
        })
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

    #[test]
    fn errors_of_reading_a_proxy_keep_its_values() {
        let text = r#"{ "host": "p", "authentication": "hunter2" }"#;
        let error = serde_json::from_str::<Socks5Proxy>(text).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("authentication"), "{error}");
    }
}
