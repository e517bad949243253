//! The conformance suite, as far as it is not a test itself.
//!
//! Two kinds of tests stand on this library. *Spec cases* are the JSON cases of the public driver
//! specifications: [`spec_files`] finds the files, [`suites`] expands each into named [`case`]s,
//! [`skips`] knows which are not run and why. *Behaviour cases* are written once in Rust and
//! compiled against both drivers: [`behaviour`] runs them on real servers, [`ledger`] compares
//! what the two drivers did. [`unified`] runs the specifications' shared format: its executing half
//! is compiled against each driver beside one [`flavor`], as the behaviours are.

#![expect(
    clippy::duplicate_mod,
    reason = "one text is compiled against each of the two drivers"
)]

pub mod behaviour;
pub mod case;
pub mod deployments;
pub mod flavor;
pub mod ledger;
pub mod log_capture;
pub mod report;
pub mod router_shim;
pub mod skips;
pub mod spec_files;
pub mod suites;
pub mod unified;
pub mod watching_proxy;
