//! Behaviours that users of MongoDB rely on, written once for both drivers.
//!
//! This text is compiled twice, each time beside one flavour. A module says
//! `use crate::flavor::{driver, go}` and marks each I/O point, as in
//! `go!(people.insert_one(doc! { "name": "Ada" }))`; it lists its functions with `behaviours!` and
//! stands in [`cases`].

mod authentication;
mod commands;
mod construction;
mod cursors;
mod discovery;
mod encryption;
mod lifecycle;
mod monitoring;
mod pool;
mod pool_establishing;
mod recorder;
mod retries;
mod servers;
mod sessions;
mod support;
mod writes;

use conformance_tests::behaviour::BehaviourCase;

/// The behaviours of all modules.
pub(crate) fn cases() -> Vec<BehaviourCase> {
    [
        construction::cases(),
        lifecycle::cases(),
        pool::cases(),
        pool_establishing::cases(),
        authentication::cases(),
        encryption::cases(),
        discovery::cases(),
        monitoring::cases(),
        commands::cases(),
        cursors::cases(),
        sessions::cases(),
        retries::cases(),
        writes::cases(),
    ]
    .concat()
}
