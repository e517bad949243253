//! The non-blocking driver: every I/O point blocks the calling thread on one runtime, which runs
//! the driver's background work meanwhile.

use std::sync::OnceLock;

use tokio::runtime::Runtime;

use crate::case::Flavor;

pub use motorcade as driver;
// The methods of a file in GridFS, as in `wait!(upload.write_all(b".."))`.
pub use tokio::io::{AsyncReadExt as Read, AsyncSeekExt as Seek, AsyncWriteExt as Write};
// A "task" of the list of behaviours is a thread in both flavours: what is truly concurrent is the
// driver's work on the runtime, and `go!` may be called from any number of threads.
pub use std::thread::spawn;

/// The driver that is tested.
pub const FLAVOR: Flavor = Flavor::Async;

/// Waits for anything that can be awaited.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("starts a runtime"));
    runtime.block_on(async { future.await })
}

/// Performs an action: `go!(people.insert_one(doc! {..}))`.
#[doc(hidden)]
#[macro_export]
macro_rules! go_non_blocking {
    ($action:expr) => {
        $crate::flavor::non_blocking::block_on($action)
    };
}

/// Performs a call that is an `async fn` in one driver and blocks in the other:
/// `wait!(Client::with_uri_str(uri))`, `wait!(cursor.advance())`.
#[doc(hidden)]
#[macro_export]
macro_rules! wait_non_blocking {
    ($call:expr) => {
        $crate::flavor::non_blocking::block_on($call)
    };
}

/// The next item of a cursor or change stream, an `Option<Result<T>>`.
#[doc(hidden)]
#[macro_export]
macro_rules! next_non_blocking {
    ($cursor:expr) => {
        $crate::flavor::non_blocking::block_on(::futures_util::StreamExt::next(&mut $cursor))
    };
}

/// All remaining items of a cursor, a `Result<Vec<T>>`.
#[doc(hidden)]
#[macro_export]
macro_rules! collect_non_blocking {
    ($cursor:expr) => {
        $crate::flavor::non_blocking::block_on(::futures_util::TryStreamExt::try_collect::<Vec<_>>(
            $cursor,
        ))
    };
}

/// Runs a transaction by a callback, in which `go!` may be used:
/// `run_in_transaction!(session.start_transaction(), |session| body)`.
#[doc(hidden)]
#[macro_export]
macro_rules! run_in_transaction_non_blocking {
    ($start:expr, |$session:ident| $body:expr) => {
        $crate::flavor::non_blocking::block_on(
            $start.and_run2(async |$session| ::tokio::task::block_in_place(|| $body)),
        )
    };
}

pub use {
    collect_non_blocking as collect, go_non_blocking as go, next_non_blocking as next,
    run_in_transaction_non_blocking as run_in_transaction, wait_non_blocking as wait,
};
