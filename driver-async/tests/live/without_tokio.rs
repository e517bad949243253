//! Operations that are awaited where there is no tokio runtime.

use std::{
    future::{Future, IntoFuture},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use futures_util::StreamExt;
use motorcade::{
    Client, Collection,
    bson::{Document, doc},
    error::{Error, ErrorKind},
};

use crate::{
    runtimes::{patient, ping, run, single},
    servers::{standalone, turn},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits a future on this thread alone, as `futures::executor::block_on` does.
pub(crate) fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future.into_future());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn assert_says_what_to_do(case: &str, error: &Error) {
    let is_argument = matches!(*error.kind, ErrorKind::InvalidArgument { .. });
    assert!(is_argument, "{case}: {error:?}");
    assert!(error.to_string().contains("tokio"), "{case}: {error}");
}

fn numbers(client: &Client) -> Collection<Document> {
    client.database("without_tokio").collection("numbers")
}

#[test]
fn an_operation_of_a_new_client_says_that_it_must_be_awaited_on_tokio() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "no-tokio")).unwrap();
    assert_says_what_to_do("ping", &block_on(ping(&client)).unwrap_err());
    let numbers = numbers(&client);
    let find = numbers.find(doc! {});
    assert_says_what_to_do("find", &block_on(find).unwrap_err());
    // It did no harm.
    run(&single(), ping(&client)).unwrap();
}

#[test]
fn an_operation_of_a_used_client_says_that_it_must_be_awaited_on_tokio() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "no-tokio")).unwrap();
    let runtime = single();
    run(&runtime, ping(&client)).unwrap();
    assert_says_what_to_do("ping", &block_on(ping(&client)).unwrap_err());
    let numbers = numbers(&client);
    let insert = numbers.insert_one(doc! {});
    assert_says_what_to_do("insert", &block_on(insert).unwrap_err());
    run(&runtime, ping(&client)).unwrap();
}

#[test]
fn a_cursor_says_that_it_must_be_awaited_on_tokio() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "no-tokio")).unwrap();
    let numbers = numbers(&client);
    let mut cursor = run(&single(), async {
        numbers.drop().await.unwrap();
        let some = (0..5).map(|number| doc! { "number": number });
        numbers.insert_many(some).await.unwrap();
        numbers.find(doc! {}).batch_size(2).await.unwrap()
    });
    for _ in 0..2 {
        let buffered = block_on(cursor.next()).expect("the first batch has two");
        assert!(buffered.is_ok(), "{buffered:?}");
    }
    let next = block_on(cursor.next()).expect("the server has more");
    assert_says_what_to_do("getMore", &next.unwrap_err());
}

#[test]
fn an_operation_on_a_runtime_without_io_says_what_to_enable_and_costs_others_nothing() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "no-io")).unwrap();
    let usual = single();
    run(&usual, ping(&client)).unwrap();
    let without_io = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = without_io.block_on(ping(&client)).unwrap_err();
        assert_says_what_to_do("a runtime without I/O", &error);
        assert!(error.to_string().contains("enable_io"), "{error}");
    }
    run(&usual, ping(&client)).unwrap();
    run(&usual, client.shutdown());
}
