//! What only a non-blocking driver can get wrong, on real servers: futures dropped at any await,
//! tasks aborted, something left behind. And what no real server sends, from a scripted peer.
//!
//! The tests take turns, because most of them count what the process or the server has.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(
    clippy::await_holding_lock,
    reason = "the tests take turns, each on a runtime of its own"
)]

mod aborted;
mod busy_runtime;
mod dropped;
mod dropped_changes;
mod dropped_sessions;
mod executor;
mod gridfs;
mod hostile;
mod idle_streams;
mod impatient;
mod late;
mod ledger;
mod listeners;
mod many_runtimes;
mod patience;
mod peer;
mod runtimes;
mod seeds;
mod servers;
mod steps;
mod storm;
mod told;
mod unpolled;
mod waiting;
mod without_tokio;
