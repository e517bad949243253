//! What happens where blocking code meets async code.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex},
};

use motorcade_sync::{
    Client, Run,
    bson::{Document, doc},
};
use motorcade_testserver::Deployment;

fn async_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("builds a runtime")
}

#[test]
fn a_blocking_call_in_async_code_panics_and_names_the_callers_line() {
    let client = Client::with_uri_str("mongodb://127.0.0.1:1").expect("a client does no I/O");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorder = Arc::clone(&seen);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().expect("a panic has a place");
        let place = (place.file().to_owned(), place.line());
        recorder
            .lock()
            .expect("is not poisoned")
            .push((place, panic.to_string()));
    }));
    let line = line!() + 2;
    let outcome = async_runtime().block_on(async {
        panic::catch_unwind(AssertUnwindSafe(|| client.list_database_names().run()))
    });
    panic::set_hook(before);
    assert!(outcome.is_err(), "the call blocked an async thread");
    let seen = seen.lock().expect("is not poisoned");
    let [((file, at), message)] = &seen[..] else {
        panic!("not one panic but {seen:?}");
    };
    assert!(file.ends_with("in_async_code.rs"), "{file}");
    assert_eq!(*at, line);
    assert!(message.contains("runtime"), "{message}");
}

#[test]
fn values_can_be_dropped_in_async_code_and_on_blocking_threads() {
    let deployment = Deployment::standalone().start().expect("starts a server");
    let client = Client::with_uri_str(deployment.uri()).expect("makes a client");
    let numbers = client
        .database("blocking")
        .collection::<Document>("numbers");
    let documents = (0..10).map(|n| doc! { "n": n });
    numbers.insert_many(documents).run().expect("inserts");
    let mut cursor = numbers.find(doc! {}).batch_size(2).run().expect("finds");
    assert!(cursor.advance().expect("goes on"));
    async_runtime().block_on(async move {
        // Neither of these may block or panic; the cursor is killed in the background.
        drop(cursor);
        drop(numbers);
        // A thread made for blocking may call the driver.
        let counted = tokio::task::spawn_blocking(move || {
            let numbers = client
                .database("blocking")
                .collection::<Document>("numbers");
            numbers.count_documents(doc! {}).run()
        });
        assert_eq!(counted.await.expect("does not panic").expect("counts"), 10);
    });
}
