//! The events of commands, as the command monitoring specification defines them.

/// An event of a command.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CommandEvent {}
