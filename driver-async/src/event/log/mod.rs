//! The log messages of the driver, for subscribers of the `tracing` crate.
//!
//! They follow the logging specification and tell the same as the events, without any change to a
//! program's source: a subscriber that is installed receives them, and the driver builds none that
//! nobody wants. Each is an event of `tracing` whose message is the specification's text and whose
//! fields have the specification's names, so that a subscriber may write them as JSON or as text.
//!
//! | component | target | level | messages |
//! |---|---|---|---|
//! | command | [`COMMAND`] | debug | `Command` `started`, `succeeded`, `failed` |
//! | connection | [`CONNECTION`] | debug | `Connection pool` `created`, `ready`, `cleared`, `closed`; `Connection` `created`, `ready`, `closed`, `checkout started`, `checkout failed`, `checked out`, `checked in` |
//! | topology | [`TOPOLOGY`] | debug | `Starting topology monitoring`, `Stopped topology monitoring`, `Topology description changed`, `Starting server monitoring`, `Stopped server monitoring`, `Server heartbeat` `started`, `succeeded`, `failed` |
//! | serverSelection | [`SERVER_SELECTION`] | debug | `Server selection` `started`, `succeeded`, `failed` |
//! | | | info | `Waiting for suitable server to become available` |
//!
//! Every message has the field `topologyId`, the hexadecimal form of the id that a client's
//! [`TopologyOpeningEvent`](super::sdam::TopologyOpeningEvent::topology_id) names: it tells the
//! messages of one client from those of others, also those that come before that event is
//! delivered. Fields whose name ends in `MS` are times in milliseconds, fractions included,
//! `remainingTimeMS` alone is whole. Numbers are numbers, all else is text.
//!
//! Messages about an operation are emitted on the thread that runs it, those about what happens in
//! the background on other threads of the driver, where the process's default subscriber receives
//! them. A subscriber that blocks delays what [`EventHandler`](super::EventHandler) says of a
//! handler that does.
//!
//! # Configuration
//! Which components are heard, from which level on and where the messages go is for the subscriber
//! to say; `tracing-subscriber` takes directives such as `motorcade::command=debug` from the
//! environment variable `RUST_LOG`. The variables `MONGODB_LOG_COMMAND` and alike,
//! `MONGODB_LOG_ALL` and `MONGODB_LOG_PATH`, which the specification gives to drivers that log by
//! themselves, are therefore not read.
//!
//! What no subscriber can do is cut long documents before they are written out. Commands and
//! replies are cut after [`ClientOptions::tracing_max_document_length_bytes`] bytes, else the number
//! in the environment variable `MONGODB_LOG_MAX_DOCUMENT_LENGTH`, else 1000. To let the variable
//! beat the program's own choice:
//!
//! ```
//! use motorcade::options::ClientOptions;
//!
//! let mut options = ClientOptions::default();
//! if std::env::var_os("MONGODB_LOG_MAX_DOCUMENT_LENGTH").is_none() {
//!     options.tracing_max_document_length_bytes = Some(10_000);
//! }
//! ```
//!
//! Commands that hold secrets are shown as `{}`, and so are their replies; see
//! [`CommandStartedEvent`](super::command::CommandStartedEvent).
//!
//! # Receiving messages
//! ```
//! use motorcade::event::log;
//! use tracing::{Event, Metadata, field::{Field, Visit}, span};
//!
//! /// Prints the messages about commands.
//! struct Printer;
//!
//! impl Visit for Printer {
//!     fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
//!         println!("  {field}: {value:?}");
//!     }
//! }
//!
//! impl tracing::Subscriber for Printer {
//!     fn enabled(&self, metadata: &Metadata<'_>) -> bool {
//!         metadata.target() == log::COMMAND
//!     }
//!     fn event(&self, event: &Event<'_>) {
//!         event.record(&mut Printer);
//!     }
//!     fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
//!         span::Id::from_u64(1)
//!     }
//!     fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
//!     fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
//!     fn enter(&self, _: &span::Id) {}
//!     fn exit(&self, _: &span::Id) {}
//! }
//!
//! tracing::subscriber::with_default(Printer, || {
//!     // A client that is used here is heard.
//! });
//! ```
//!
//! [`ClientOptions::tracing_max_document_length_bytes`]:
//!     crate::options::ClientOptions::tracing_max_document_length_bytes

/// Whether a subscriber wants messages of a target and level. On the background thread, where
/// subscribers are not asked because they may block, whether there may be one that does.
macro_rules! is_wanted {
    ($target:ident, $level:ident) => {
        if crate::background::Background::is_current_thread() {
            tracing::Level::$level <= tracing::level_filters::LevelFilter::current()
        } else {
            tracing::enabled!(target: $target, tracing::Level::$level)
        }
    };
}

mod cmap;
pub(crate) mod command;
mod sdam;
pub(crate) mod selection;

use std::{error::Error as StdError, fmt, time::Duration};

use bson::oid::ObjectId;

use crate::{address::ServerAddress, error::Error};

/// The target of messages about commands.
pub const COMMAND: &str = "motorcade::command";
/// The target of messages about pools and their connections.
pub const CONNECTION: &str = "motorcade::connection";
/// The target of messages about discovery and monitoring.
pub const TOPOLOGY: &str = "motorcade::topology";
/// The target of messages about the choice of servers.
pub const SERVER_SELECTION: &str = "motorcade::server_selection";

/// The length after which documents are cut, unless another is set.
const DEFAULT_MAX_DOCUMENT_LENGTH: usize = 1000;

/// What the messages of one client have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogContext {
    pub(crate) topology_id: ObjectId,
    /// The length in bytes after which documents are cut.
    pub(crate) max_document_length: usize,
}

/// The length after which documents are cut: as the option says, else as the text of the
/// environment variable does, if that is a number.
pub(crate) fn max_document_length(option: Option<usize>, variable: Option<&str>) -> usize {
    let variable = variable.and_then(|text| text.trim().parse().ok());
    option.or(variable).unwrap_or(DEFAULT_MAX_DOCUMENT_LENGTH)
}

/// The host or the path of the socket.
fn host(address: &ServerAddress) -> String {
    match address {
        ServerAddress::Tcp { host, .. } => host.clone(),
        ServerAddress::Unix { path } => path.display().to_string(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// An error with its causes and labels. Its text holds no reply of a server, so it need not be cut.
struct Whole<'a>(&'a Error);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        f.write_str(&text)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Some kinds show their cause themselves.
            if !text.ends_with(&next) {
                write!(f, ": {next}")?;
            }
            text = next;
            cause = error.source();
        }
        let mut labels: Vec<_> = self.0.labels().iter().map(String::as_str).collect();
        labels.sort_unstable();
        if !labels.is_empty() {
            write!(f, " (labels: {})", labels.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_beats_the_variable_and_nonsense_counts_as_absent() {
        for (option, variable, wanted) in [
            (None, None, 1000),
            (None, Some("5"), 5),
            (Some(7), Some("5"), 7),
            (None, Some("much"), 1000),
            (None, Some("-1"), 1000),
        ] {
            assert_eq!(max_document_length(option, variable), wanted);
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_labels() {
        let cause = Error::from(std::io::Error::other("no route"));
        let error = Error::internal("x")
            .with_source(cause)
            .with_label("B")
            .with_label("A");
        let wanted = "internal error: x: no route (labels: A, B)";
        assert_eq!(Whole(&error).to_string(), wanted);
    }
}
