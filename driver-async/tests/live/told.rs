//! What listeners are told of an operation that is dropped.

use motorcade::{
    Client,
    bson::doc,
    error::ErrorKind,
    event::{EventHandler, command::CommandEvent},
};

use crate::servers::{options, standalone, turn};

#[tokio::test]
async fn a_command_whose_operation_is_dropped_has_failed() {
    let _turn = turn();
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let mut options = options(standalone(), "told").await;
    options.command_event_handler = Some(EventHandler::from(sender));
    let client = Client::with_options(options).unwrap();
    let admin = client.database("admin");
    let command = doc! { "sleep": 1, "secs": 30, "lock": "none" };
    let mut sleeping = admin.run_command(command).into_future();
    let started = tokio::select! {
        outcome = &mut sleeping => panic!("{outcome:?}"),
        event = events.recv() => event.unwrap(),
    };
    assert!(matches!(started, CommandEvent::Started(_)), "{started:?}");
    drop(sleeping);
    // Nobody waits for the reply any more, so it is told at once.
    let CommandEvent::Failed(failed) = events.try_recv().unwrap() else {
        panic!("the command did not fail")
    };
    assert_eq!(failed.request_id, started.request_id());
    assert!(matches!(*failed.failure.kind, ErrorKind::Cancelled { .. }));
    client.shutdown().immediate(true).await;
}
