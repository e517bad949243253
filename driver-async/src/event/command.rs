//! The events of commands, as the command monitoring specification defines them.
