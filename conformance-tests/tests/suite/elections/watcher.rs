//! A change stream that follows the inserts all the time.

use std::thread::JoinHandle;

use super::super::servers::wait_until;
use super::writers::id;
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Document, Timestamp, doc};
use crate::flavor::driver::error::Result;
use crate::flavor::{go, next, spawn};

/// The writer of the last insert.
const LAST: i32 = -1;

/// Collects the events of a collection until the one that is the last.
pub(super) struct Watcher {
    inserted: Collection<Document>,
    thread: JoinHandle<Result<Vec<Event>>>,
}

struct Event {
    writer: i32,
    turn: i32,
    time: Option<Timestamp>,
}

impl Watcher {
    /// Opens the stream.
    pub(super) fn of(inserted: &Collection<Document>) -> Self {
        let mut stream = go!(inserted.watch()).expect("opens a change stream");
        let thread = spawn(move || {
            let mut events = Vec::new();
            loop {
                let event = next!(stream).expect("the stream goes on")?;
                let document = event.full_document.expect("an insert has its document");
                let number = |key| document.get_i32(key).expect("is a number");
                let writer = number("writer");
                if writer == LAST {
                    return Ok(events);
                }
                let (turn, time) = (number("turn"), event.cluster_time);
                events.push(Event { writer, turn, time });
            }
        });
        Self {
            inserted: inserted.clone(),
            thread,
        }
    }

    /// Checks that it saw each insert of each writer, in as many turns as are `done`, once and in
    /// order.
    pub(super) fn check(self, done: &[usize]) {
        let last = doc! { "writer": LAST };
        go!(self.inserted.insert_one(last)).expect("inserts");
        wait_until("event of the last insert", || {
            self.thread.is_finished().then_some(())
        });
        let events = self.thread.join().expect("the thread does not panic");
        let events = events.unwrap_or_else(|error| panic!("the stream failed: {error}"));
        let in_order = events.is_sorted_by_key(|event| event.time);
        assert!(in_order, "the events are not in the order of their times");
        for (writer, done) in done.iter().enumerate() {
            let writer = id(writer);
            let seen = events.iter().filter(|event| event.writer == writer);
            let seen: Vec<_> = seen.map(|event| event.turn).collect();
            let wanted: Vec<_> = (0..id(*done)).step_by(2).collect();
            assert!(
                seen == wanted,
                "of writer {writer} in {done} turns: {seen:?}"
            );
        }
    }
}
