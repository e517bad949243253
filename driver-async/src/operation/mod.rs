//! One file a command: how it is written and how its reply is read.
