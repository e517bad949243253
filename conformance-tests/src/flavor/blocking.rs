//! The blocking driver.

use crate::case::Flavor;

pub use motorcade_sync as driver;
// The methods of a file in GridFS, as in `wait!(upload.write_all(b".."))`.
pub use std::io::{Read, Seek, Write};
pub use std::thread::spawn;

/// The driver that is tested.
pub const FLAVOR: Flavor = Flavor::Sync;

/// Performs an action: `go!(people.insert_one(doc! {..}))`.
#[doc(hidden)]
#[macro_export]
macro_rules! go_blocking {
    ($action:expr) => {{
        #[allow(
            unused_imports,
            reason = "starting a transaction has a method of its own of this name"
        )]
        use $crate::flavor::blocking::driver::Run as _;
        $action.run()
    }};
}

/// Performs a call that is an `async fn` in one driver and blocks in the other:
/// `wait!(Client::with_uri_str(uri))`, `wait!(cursor.advance())`.
#[doc(hidden)]
#[macro_export]
macro_rules! wait_blocking {
    ($call:expr) => {
        $call
    };
}

/// The next item of a cursor or change stream, an `Option<Result<T>>`.
#[doc(hidden)]
#[macro_export]
macro_rules! next_blocking {
    ($cursor:expr) => {
        ::std::iter::Iterator::next(&mut $cursor)
    };
}

/// All remaining items of a cursor, a `Result<Vec<T>>`.
#[doc(hidden)]
#[macro_export]
macro_rules! collect_blocking {
    ($cursor:expr) => {
        ::std::iter::Iterator::collect::<::std::result::Result<Vec<_>, _>>($cursor)
    };
}

/// Runs a transaction by a callback, in which `go!` may be used:
/// `run_in_transaction!(session.start_transaction(), |session| body)`.
#[doc(hidden)]
#[macro_export]
macro_rules! run_in_transaction_blocking {
    ($start:expr, |$session:ident| $body:expr) => {
        $start.and_run(|$session| $body)
    };
}

pub use {
    collect_blocking as collect, go_blocking as go, next_blocking as next,
    run_in_transaction_blocking as run_in_transaction, wait_blocking as wait,
};
