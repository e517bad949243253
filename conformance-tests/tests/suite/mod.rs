//! Behaviours that users of MongoDB rely on, written once for both drivers.
//!
//! This text is compiled twice, each time beside one flavour. A module says
//! `use crate::flavor::{driver, go}` and marks each I/O point, as in
//! `go!(people.insert_one(doc! { "name": "Ada" }))`; it lists its functions with `behaviours!` and
//! stands in [`cases`].

use conformance_tests::behaviour::BehaviourCase;

/// The behaviours of all modules.
pub(crate) fn cases() -> Vec<BehaviourCase> {
    Vec::new()
}
