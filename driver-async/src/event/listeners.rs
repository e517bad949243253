//! Who is told of events of one kind.

use super::{DeliveryThread, EventHandler, log::LogContext};

/// Who is told of events of one kind: a handler, the log, both or nobody.
///
/// Events are built only while somebody listens.
#[derive(Clone, Debug)]
pub(crate) struct Listeners<T> {
    handler: Option<EventHandler<T>>,
    log: Option<LogContext>,
    delivery_thread: DeliveryThread,
}

/// An event that is a log message too.
pub(crate) trait Logged {
    /// Whether a subscriber wants messages of the event's component; on the background thread,
    /// whether one may want them.
    fn is_logged() -> bool;

    /// Emits the event's message.
    fn log(&self, context: &LogContext);
}

impl<T: Logged + Send + Sync + 'static> Listeners<T> {
    /// `delivery_thread` tells what cannot be told where it happens.
    pub(crate) fn new(
        handler: Option<EventHandler<T>>,
        log: LogContext,
        delivery_thread: &DeliveryThread,
    ) -> Self {
        Self {
            handler,
            log: Some(log),
            delivery_thread: delivery_thread.clone(),
        }
    }

    /// Whether anybody listens now. Subscribers of the log come and go.
    pub(crate) fn are_there(&self) -> bool {
        self.handler.is_some() || (self.log.is_some() && T::is_logged())
    }

    pub(super) fn delivery_thread(&self) -> &DeliveryThread {
        &self.delivery_thread
    }

    pub(crate) fn tell(&self, event: T) {
        if let Some(context) = &self.log {
            event.log(context);
        }
        if let Some(handler) = &self.handler {
            handler.handle(event);
        }
    }
}

impl<T> From<Option<EventHandler<T>>> for Listeners<T> {
    /// Listeners without a log.
    fn from(handler: Option<EventHandler<T>>) -> Self {
        Self {
            handler,
            log: None,
            delivery_thread: DeliveryThread::new(),
        }
    }
}
