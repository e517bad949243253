//! The blocking driver, as the shared suite sees it.

use conformance_tests::case::Flavor;

pub(crate) use motorcade_sync as driver;
pub(crate) use std::thread::spawn;

/// The driver that this binary tests.
pub(crate) const FLAVOR: Flavor = Flavor::Sync;

/// Performs an action: `go!(people.insert_one(doc! {..}))`.
macro_rules! go {
    ($action:expr) => {
        $crate::flavor::driver::Run::run($action)
    };
}

/// Performs a call that is an `async fn` in one driver and blocks in the other:
/// `wait!(Client::with_uri_str(uri))`, `wait!(cursor.advance())`.
macro_rules! wait {
    ($call:expr) => {
        $call
    };
}

/// The next item of a cursor or change stream, an `Option<Result<T>>`.
macro_rules! next {
    ($cursor:expr) => {
        ::std::iter::Iterator::next(&mut $cursor)
    };
}

/// All remaining items of a cursor, a `Result<Vec<T>>`.
macro_rules! collect {
    ($cursor:expr) => {
        ::std::iter::Iterator::collect::<::std::result::Result<Vec<_>, _>>($cursor)
    };
}

pub(crate) use {collect, go, next, wait};
