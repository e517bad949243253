//! What the driver tells listeners about its commands, connections and discovery.

pub mod cmap;
pub mod command;
mod ordered;
pub mod sdam;

use std::{fmt, sync::Arc};

use futures_core::future::BoxFuture;
use serde::Serialize;

pub(crate) use ordered::OrderedEvents;

use crate::address::ServerAddress;

/// Receives the events of one kind.
///
/// A handler runs where the event happens, so it should return quickly and must not block.
///
/// ```
/// use motorcade::{event::EventHandler, options::ClientOptions};
///
/// let options = ClientOptions::builder()
///     .command_event_handler(EventHandler::callback(|event| println!("{event:?}")))
///     .build();
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum EventHandler<T> {
    /// Calls a function.
    Callback(Arc<dyn Fn(T) + Sync + Send>),
    /// Spawns the future that a function returns.
    AsyncCallback(Arc<dyn Fn(T) -> BoxFuture<'static, ()> + Sync + Send>),
    /// Sends into a channel. An event is dropped, with a warning, when the channel is full.
    TokioMpsc(tokio::sync::mpsc::Sender<T>),
}

impl<T: Send + Sync + 'static> EventHandler<T> {
    /// A handler that calls `f`.
    pub fn callback(f: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self::Callback(Arc::new(f))
    }

    /// A handler that spawns the future that `f` returns.
    pub fn async_callback(f: impl Fn(T) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self::AsyncCallback(Arc::new(f))
    }

    /// Hands the event over. Never blocks; outside a runtime, an async callback is not run.
    pub(crate) fn handle(&self, event: T) {
        match self {
            Self::Callback(f) => f(event),
            Self::AsyncCallback(f) => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(f(event))),
                Err(_) => tracing::warn!("an event was dropped outside of a runtime"),
            },
            Self::TokioMpsc(sender) => {
                if sender.try_send(event).is_err() {
                    tracing::warn!("an event was dropped: the channel is full or closed");
                }
            }
        }
    }
}

impl<T> fmt::Debug for EventHandler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventHandler(..)")
    }
}

impl<T> From<tokio::sync::mpsc::Sender<T>> for EventHandler<T> {
    fn from(sender: tokio::sync::mpsc::Sender<T>) -> Self {
        Self::TokioMpsc(sender)
    }
}

/// The connection that a command went over.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The driver's number for the connection, unique in its pool.
    pub id: u32,
    /// The server's number for the connection.
    pub server_id: Option<i64>,
    /// The server.
    pub address: ServerAddress,
}
