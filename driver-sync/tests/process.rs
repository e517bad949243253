//! What concerns the process as a whole, in one that has no other threads to begin with: the tests
//! run one after the other on the main thread.

use std::fs;

use libtest_mimic::{Arguments, Failed, Trial};
use motorcade_sync::{Client, Run, error::Result, options::ClientOptions};

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = vec![Trial::test(
        "what_never_waits_works_in_async_code_and_starts_no_thread",
        what_never_waits_works_in_async_code_and_starts_no_thread,
    )];
    libtest_mimic::run(&arguments, tests).exit();
}

fn what_never_waits_works_in_async_code_and_starts_no_thread() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async { what_never_waits() })?;
    let threads = fs::read_dir("/proc/self/task");
    // Only Linux has that folder.
    if let Ok(threads) = threads {
        assert_eq!(threads.count(), 1, "threads were started");
    }
    Ok(())
}

/// Everything that does no I/O, on a server that does not exist.
fn what_never_waits() -> Result<()> {
    let uri = "mongodb://127.0.0.1:1/files";
    let client = Client::with_uri_str(uri)?;
    Client::with_options(ClientOptions::parse(uri).run()?)?;
    assert!(ClientOptions::parse("mongo://").run().is_err());
    let mut session = client.start_session().causal_consistency(false).run()?;
    session.start_transaction().run()?;
    assert!(session.start_transaction().run().is_err());
    let database = client.default_database().expect("the URI names one");
    let bucket = database.gridfs_bucket(None);
    drop(bucket.open_upload_stream("file").run()?);
    Ok(())
}
