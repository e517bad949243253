//! A fast, complete, non-blocking MongoDB driver.

mod action;
mod address;
mod clock;
mod conn;
mod deadline;
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

pub use namespace::Namespace;
pub use options::IndexModel;
