//! Behaviours that users of MongoDB rely on, written once for both drivers.
//!
//! This text is compiled twice, each time beside one flavour. A module says
//! `use crate::flavor::{driver, go}` and marks each I/O point, as in
//! `go!(people.insert_one(doc! { "name": "Ada" }))`; it lists its functions with `behaviours!` and
//! stands in [`cases`].

mod authentication;
mod bad_input;
mod batches;
mod bulk_writes;
mod causal_consistency;
mod change_streams;
mod collections;
mod commands;
mod construction;
mod cursors;
mod discovery;
mod elections;
mod encryption;
mod enumerations;
mod events;
mod explain;
mod explicit_sessions;
mod find_and_modify;
mod gridfs;
mod gridfs_streams;
mod handshakes;
mod herds;
mod indexes;
mod lifecycle;
mod log_messages;
mod monitoring;
mod overloads;
mod pool;
mod pool_establishing;
mod prose_crud;
mod prose_monitoring;
mod prose_retries;
mod prose_routers;
mod prose_sessions;
mod prose_transactions;
mod reads;
mod recorder;
mod retries;
mod run_commands;
mod secantus_bulk_writes;
mod servers;
mod sessions;
mod support;
mod timeouts;
mod transactions;
mod unacknowledged;
mod writes;

use conformance_tests::behaviour::BehaviourCase;

/// The behaviours of all modules.
pub(crate) fn cases() -> Vec<BehaviourCase> {
    [
        construction::cases(),
        lifecycle::cases(),
        overloads::cases(),
        pool::cases(),
        pool_establishing::cases(),
        herds::cases(),
        authentication::cases(),
        encryption::cases(),
        events::cases(),
        handshakes::cases(),
        discovery::cases(),
        monitoring::cases(),
        prose_monitoring::cases(),
        commands::cases(),
        log_messages::cases(),
        cursors::cases(),
        change_streams::cases(),
        run_commands::cases(),
        collections::cases(),
        indexes::cases(),
        enumerations::cases(),
        batches::cases(),
        sessions::cases(),
        explicit_sessions::cases(),
        prose_sessions::cases(),
        causal_consistency::cases(),
        transactions::cases(),
        prose_transactions::cases(),
        retries::cases(),
        prose_retries::cases(),
        prose_routers::cases(),
        timeouts::cases(),
        elections::cases(),
        writes::cases(),
        unacknowledged::cases(),
        find_and_modify::cases(),
        explain::cases(),
        bad_input::cases(),
        prose_crud::cases(),
        secantus_bulk_writes::cases(),
        reads::cases(),
        bulk_writes::cases(),
        gridfs::cases(),
        gridfs_streams::cases(),
    ]
    .concat()
}
