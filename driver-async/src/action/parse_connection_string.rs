//! From text to the options of a client.

use std::future::{IntoFuture, ready};

use futures_core::future::BoxFuture;

use super::{Action, private};
use crate::{
    error::{Error, Result},
    options::{ClientOptions, ConnectionString},
};

impl ClientOptions {
    /// Parses a connection string into the options of a client. Await the returned action.
    ///
    /// ```
    /// use motorcade::options::ClientOptions;
    ///
    /// # async fn run() -> motorcade::error::Result<()> {
    /// let mut options = ClientOptions::parse("mongodb://localhost/?retryWrites=false").await?;
    /// options.app_name = Some("reports".to_owned());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An invalid-argument error as from [`ConnectionString::parse`] and
    /// [`ClientOptions::from_connection_string`].
    pub fn parse<C, E>(conn_str: C) -> ParseConnectionString
    where
        C: TryInto<ConnectionString, Error = E>,
        E: Into<Error>,
    {
        ParseConnectionString {
            connection_string: conn_str.try_into().map_err(Into::into),
        }
    }
}

/// Parses a connection string, see [`ClientOptions::parse`].
#[derive(Debug)]
#[must_use = "actions do nothing until they are awaited"]
pub struct ParseConnectionString {
    connection_string: Result<ConnectionString>,
}

impl IntoFuture for ParseConnectionString {
    type Output = Result<ClientOptions>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(ready(
            self.connection_string
                .and_then(ClientOptions::from_connection_string),
        ))
    }
}

impl private::Sealed for ParseConnectionString {}

impl Action for ParseConnectionString {
    fn never_waits(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn takes_text_or_a_parsed_connection_string() {
        let parsed = ConnectionString::parse("mongodb://a/?appName=x").unwrap();
        for action in [
            ClientOptions::parse("mongodb://a/?appName=x"),
            ClientOptions::parse(parsed),
        ] {
            let options = action.into_future().now_or_never().unwrap().unwrap();
            assert_eq!(options.app_name.as_deref(), Some("x"));
        }
        let refused = ClientOptions::parse("mongo://a".to_owned());
        assert!(refused.into_future().now_or_never().unwrap().is_err());
    }
}
