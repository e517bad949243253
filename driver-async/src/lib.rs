//! A fast, complete, non-blocking MongoDB driver.

pub mod action;
mod address;
mod client;
mod clock;
mod collection;
mod concerns;
mod conn;
mod cursor;
mod database;
mod deadline;
mod description;
pub mod error;
pub mod event;
mod exec;
#[doc(hidden)]
pub mod internal;
mod namespace;
mod net;
mod operation;
pub mod options;
mod pool;
mod proto;
pub mod results;
mod topology;
mod uri;

pub use bson;

pub use client::Client;
pub use collection::Collection;
pub use cursor::Cursor;
pub use database::Database;
pub use description::{
    ServerDescription as ServerInfo, ServerType, TopologyDescription, TopologyType,
};
pub use namespace::Namespace;
pub use options::IndexModel;
