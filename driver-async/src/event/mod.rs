//! What the driver tells listeners about its commands, connections and discovery.

mod async_callback;
pub mod cmap;
pub mod command;
mod delivery_thread;
mod extended_json;
mod listeners;
pub mod log;
mod ordered;
pub mod sdam;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
};

use futures_core::future::BoxFuture;
use serde::Serialize;
use tokio::sync::mpsc::error::TrySendError;

pub(crate) use delivery_thread::{DeliveryThread, in_same_role};
pub(crate) use listeners::Listeners;
pub(crate) use ordered::OrderedEvents;

use crate::address::ServerAddress;

/// Receives the events of one kind.
///
/// A channel can be given in place of a handler; its events wait there until they are received.
///
/// ```
/// use motorcade::{event::EventHandler, options::ClientOptions};
///
/// let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
/// let options = ClientOptions::builder()
///     .command_event_handler(EventHandler::callback(|event| println!("{event:?}")))
///     .cmap_event_handler(sender)
///     .build();
/// ```
///
/// # Where handlers run
/// The events of an operation are delivered on the thread that runs it, before the operation
/// returns, unless another thread is delivering events of that kind at the moment. What happens in
/// the background (monitoring, connections opened in advance, commands that clean up) is delivered
/// on threads that the driver has for that. A blocking handler does not delay timers or monitoring. It
/// delays the operations whose events it receives, and the events that follow. Before a check opens
/// a new connection, the driver waits up to 100 ms for the handler to be told of the check.
///
/// An operation delivers its own events of discovery and of a pool and up to 16 events added by other
/// threads in the meantime; a thread of the driver delivers the rest. When 1024 events of a pool
/// wait for a slow handler, further operations on it wait before they check out a connection. Events that belong to an operation that has begun
/// are always accepted, and so are those of the background; nothing is dropped. The operations
/// that a handler runs itself, on the thread that calls it, do not wait.
///
/// The future of an async callback runs on the current runtime; on a thread of the driver, on that
/// of the client's first operation, and so do the tasks that a handler spawns there. A
/// current-thread runtime runs them only while it is driven. If the runtime is shut down
/// before the future has begun, or there is none, the future runs on a thread of the driver that
/// serves only such futures.
///
/// # Order
/// The events of discovery come in the order in which they happened, and so do those of one pool
/// and those of one command. Events of different kinds have no common order when several threads
/// deliver them. [`Client::shutdown`](crate::Client::shutdown) returns once they were delivered,
/// except that a handler which calls it does not wait for handlers.
///
/// # Cost
/// A client without handlers builds no events: they cost a look at whether somebody listens. Those
/// that are built own what they tell, so that a handler may keep them or send them to another
/// thread. Most of their cost is the two [`Document`](bson::Document)s of each command: the events of
/// a find that finds nothing take 37 allocations in all (measured 2026-11).
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

    /// Hands the event over. Not on the background thread: a callback may block.
    ///
    /// Events happen in destructors too, which a listener's panic must not leave.
    pub(crate) fn handle(&self, event: T) {
        if catch_unwind(AssertUnwindSafe(|| self.pass_on(event))).is_err() {
            tracing::error!("a listener panicked; the event counts as delivered");
        }
    }

    fn pass_on(&self, event: T) {
        match self {
            Self::Callback(f) => f(event),
            Self::AsyncCallback(f) => async_callback::spawn(f(event)),
            // Who drops the receiver stops listening, and need not be told of what is missed.
            Self::TokioMpsc(sender) => {
                if let Err(TrySendError::Full(_)) = sender.try_send(event) {
                    tracing::warn!("an event was dropped: the channel is full");
                }
            }
        }
    }
}

/// Whether both are the same function or channel.
impl<T> PartialEq for EventHandler<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Callback(a), Self::Callback(b)) => ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)),
            (Self::AsyncCallback(a), Self::AsyncCallback(b)) => {
                ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
            }
            (Self::TokioMpsc(a), Self::TokioMpsc(b)) => a.same_channel(b),
            _ => false,
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

impl<T: Send + Sync + 'static> From<tokio::sync::mpsc::UnboundedSender<T>> for EventHandler<T> {
    fn from(sender: tokio::sync::mpsc::UnboundedSender<T>) -> Self {
        Self::callback(move |event| drop(sender.send(event)))
    }
}

impl<T: Send + Sync + 'static> From<std::sync::mpsc::Sender<T>> for EventHandler<T> {
    fn from(sender: std::sync::mpsc::Sender<T>) -> Self {
        Self::callback(move |event| drop(sender.send(event)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_both_worlds_receive_events() {
        let (sender, receiver) = std::sync::mpsc::channel();
        EventHandler::from(sender).handle(1);
        assert_eq!(receiver.recv().unwrap(), 1);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        EventHandler::from(sender.clone()).handle(2);
        assert_eq!(receiver.try_recv().unwrap(), 2);
        drop(receiver);
        EventHandler::from(sender).handle(3);
    }

    #[test]
    fn a_listener_that_panics_harms_nobody() {
        EventHandler::callback(|()| panic!("as listeners do")).handle(());
    }
}
