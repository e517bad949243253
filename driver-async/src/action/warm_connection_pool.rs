//! Making a client's connections ahead of need.

use futures_core::future::BoxFuture;

use super::{Action, private};
use crate::client::Client;

/// Makes connections ahead of need; see [`Client::warm_connection_pool`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct WarmConnectionPool<'a> {
    client: &'a Client,
}

impl Client {
    /// Begins to discover the deployment, and waits until the pool of each server has its
    /// [`min_pool_size`](crate::options::ClientOptions::min_pool_size) of connections.
    ///
    /// Nothing needs this: the first operation begins discovery, and pools are filled in the
    /// background. It lets a program pay for its first connections before it begins to serve. The
    /// wait ends early when connections cannot be made, and at the server selection timeout; when
    /// no minimum is set there is none.
    ///
    /// ```no_run
    /// # use motorcade::{Client, options::ClientOptions};
    /// # async fn example() -> motorcade::error::Result<()> {
    /// let mut options = ClientOptions::parse("mongodb://localhost:27017").await?;
    /// options.min_pool_size = Some(10);
    /// let client = Client::with_options(options)?;
    /// client.warm_connection_pool().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn warm_connection_pool(&self) -> WarmConnectionPool<'_> {
        WarmConnectionPool { client: self }
    }
}

impl<'a> IntoFuture for WarmConnectionPool<'a> {
    type Output = ();
    type IntoFuture = BoxFuture<'a, ()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.executor().topology().warm().await })
    }
}

impl private::Sealed for WarmConnectionPool<'_> {}

impl Action for WarmConnectionPool<'_> {}
