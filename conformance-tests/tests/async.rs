//! The shared suite against the non-blocking driver.

mod suite;

use std::path::Path;
use std::process::ExitCode;

use conformance_tests::flavor::non_blocking as flavor;

fn main() -> ExitCode {
    let ledgers = Path::new(env!("CARGO_TARGET_TMPDIR"));
    conformance_tests::behaviour::run(flavor::FLAVOR, &suite::cases(), ledgers)
}
