//! The shared suite against the blocking driver.

#[path = "flavor/sync_flavor.rs"]
mod flavor;
mod suite;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ledgers = Path::new(env!("CARGO_TARGET_TMPDIR"));
    conformance_tests::behaviour::run(flavor::FLAVOR, &suite::cases(), ledgers)
}
