//! How errors are made, and what is added to them on their way.

use bson::RawDocument;

use super::{Context, Error, ErrorKind};
use crate::address::ServerAddress;

impl Error {
    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        ErrorKind::InvalidArgument {
            message: message.into(),
        }
        .into()
    }

    pub(crate) fn invalid_response(message: impl Into<String>) -> Self {
        ErrorKind::InvalidResponse {
            message: message.into(),
        }
        .into()
    }

    pub(crate) fn authentication(message: impl Into<String>) -> Self {
        ErrorKind::Authentication {
            message: message.into(),
        }
        .into()
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        ErrorKind::Internal {
            message: message.into(),
        }
        .into()
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        ErrorKind::Timeout {
            message: message.into(),
        }
        .into()
    }

    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        ErrorKind::Cancelled {
            message: message.into(),
        }
        .into()
    }

    pub(crate) fn shutdown() -> Self {
        ErrorKind::Shutdown.into()
    }

    pub(crate) fn with_label(mut self, label: impl Into<String>) -> Self {
        self.add_label(label);
        self
    }

    pub(crate) fn add_label(&mut self, label: impl Into<String>) {
        self.context_mut().labels.insert(label.into());
    }

    /// Names the server, unless a layer below has done so.
    pub(crate) fn with_address(mut self, address: &ServerAddress) -> Self {
        self.context_mut()
            .address
            .get_or_insert_with(|| address.clone());
        self
    }

    pub(crate) fn with_command(mut self, name: &str) -> Self {
        self.context_mut()
            .command
            .get_or_insert_with(|| name.to_owned());
        self
    }

    pub(crate) fn with_server_response(mut self, reply: &RawDocument) -> Self {
        self.context_mut().server_response = Some(reply.to_owned());
        self
    }

    pub(crate) fn with_source(mut self, source: Self) -> Self {
        self.context_mut().source = Some(source);
        self
    }

    /// Frames the error that ended an operation of several commands. Its labels are those of the
    /// whole: whether a transaction may be tried again hangs by them.
    pub(crate) fn ending_with(mut self, error: Self) -> Self {
        if let Some(told) = &error.context {
            let context = self.context_mut();
            context.labels.extend(told.labels.iter().cloned());
            context.address = context.address.take().or_else(|| told.address.clone());
            context.command = context.command.take().or_else(|| told.command.clone());
        }
        self.with_source(error)
    }

    /// The error of an operation whose time is up, given what was under way. Labels stay: whether a
    /// transaction may be tried again hangs by them.
    pub(crate) fn operation_timeout(under_way: Self) -> Self {
        let mut error = Self::from(ErrorKind::OperationTimeout {
            message: under_way.to_string(),
        });
        let context = error.context_mut();
        context.labels.clone_from(under_way.labels());
        error.with_source(under_way)
    }

    /// The error that this one frames; itself when it frames none.
    pub(crate) fn unframed(mut self) -> Self {
        let framed = self
            .context
            .as_mut()
            .and_then(|context| context.source.take());
        framed.unwrap_or(self)
    }

    fn context_mut(&mut self) -> &mut Context {
        self.context.get_or_insert_default()
    }
}
