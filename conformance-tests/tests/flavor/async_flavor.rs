//! The non-blocking driver, as the shared suite sees it: every I/O point blocks the calling thread
//! on one runtime, which runs the driver's background work meanwhile.

use std::sync::OnceLock;

use conformance_tests::case::Flavor;
use tokio::runtime::Runtime;

pub(crate) use motorcade as driver;
// A "task" of the list of behaviours is a thread in both flavours: what is truly concurrent is the
// driver's work on the runtime, and `go!` may be called from any number of threads.
pub(crate) use std::thread::spawn;

/// The driver that this binary tests.
pub(crate) const FLAVOR: Flavor = Flavor::Async;

/// Waits for anything that can be awaited.
pub(crate) fn block_on<F: IntoFuture>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("starts a runtime"));
    runtime.block_on(async { future.await })
}

/// Performs an action: `go!(people.insert_one(doc! {..}))`.
macro_rules! go {
    ($action:expr) => {
        $crate::flavor::block_on($action)
    };
}

/// Performs a call that is an `async fn` in one driver and blocks in the other:
/// `wait!(Client::with_uri_str(uri))`, `wait!(cursor.advance())`.
macro_rules! wait {
    ($call:expr) => {
        $crate::flavor::block_on($call)
    };
}

/// The next item of a cursor or change stream, an `Option<Result<T>>`.
macro_rules! next {
    ($cursor:expr) => {
        $crate::flavor::block_on(::futures_util::StreamExt::next(&mut $cursor))
    };
}

/// All remaining items of a cursor, a `Result<Vec<T>>`.
macro_rules! collect {
    ($cursor:expr) => {
        $crate::flavor::block_on(::futures_util::TryStreamExt::try_collect::<Vec<_>>($cursor))
    };
}

pub(crate) use {collect, go, next, wait};
