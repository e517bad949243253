//! What feeds a cursor: the batches at hand, and the server's end while it is open.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::RawDocument;

use super::{
    server_end::{Answer, ServerEnd},
    source::Source,
    walk::{Walk, poll_turn},
};
use crate::{
    clock,
    error::Result,
    exec::{self, Executor, Origin},
    proto::{
        cursor::{Batch, Batches, CursorState},
        timeout::Timeout,
    },
};

/// The batches at hand, and the server's end while it is open.
///
/// Dropping it has the server's cursor closed.
pub(crate) struct Feed {
    batches: Batches,
    prefetch: bool,
    server: ServerEnd,
    call: Option<Timeout>,
}

impl Feed {
    pub(crate) fn new(executor: Executor, state: CursorState, origin: Origin) -> Self {
        Self {
            batches: state.batches,
            prefetch: state.prefetch,
            server: ServerEnd::new(executor, state.remote, origin),
            call: None,
        }
    }

    /// From now on has the next batch fetched while the current one is walked.
    pub(crate) fn prefetch_from_now_on(&mut self) {
        self.prefetch = true;
    }

    /// Whether a further step may lead to a document.
    pub(crate) fn has_next(&self) -> bool {
        !self.batches.is_drained() || self.may_ask()
    }

    /// Whether there may be a further batch, if batches are taken as a whole.
    pub(crate) fn has_next_batch(&self) -> bool {
        self.batches.has_batch() || self.may_ask()
    }

    fn may_ask(&self) -> bool {
        self.server.is_open() && !self.batches.is_at_limit()
    }

    /// What there is to do for an open cursor once a document was delivered.
    fn walk_on(&mut self) {
        if self.batches.is_at_limit() {
            self.server.let_go();
        } else if self.prefetch {
            self.fetch_ahead();
        }
    }

    /// Gives the whole next batch; `None` at the end.
    pub(crate) fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        let batch = self.poll_batch_within(context);
        if batch.is_ready() {
            self.begin_call();
        }
        batch
    }

    fn poll_batch_within(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        loop {
            if let Some(batch) = self.batches.take_batch() {
                if self.server.is_resting() {
                    self.walk_on();
                }
                return Poll::Ready(Ok(Some(batch)));
            }
            if !ready!(self.poll_fetch(context))? {
                return Poll::Ready(Ok(None));
            }
        }
    }

    fn start_fetching(&mut self) -> Result<()> {
        self.batches.release();
        let Some((source, batch_size)) = self.take_source() else {
            return Ok(());
        };
        let timeout = source.origin.timeout;
        let timeout = *self.call.get_or_insert_with(|| timeout.of_call(clock::now));
        self.server.ask(source, batch_size, timeout)
    }

    /// Has the next batch fetched while the caller walks the ones at hand.
    fn fetch_ahead(&mut self) {
        if exec::require_runtime().is_ok()
            && self.server.can_ask_ahead()
            && let Some((source, batch_size)) = self.take_source()
        {
            let timeout = source.origin.timeout.of_call(clock::now);
            // What is wrong now is wrong again, or mended, when the batch is needed.
            let _: Result<()> = self.server.ask_ahead(source, batch_size, timeout);
        }
    }

    /// A resting source, to ask it for so many documents, if the limit leaves any to ask for.
    fn take_source(&mut self) -> Option<(Box<Source>, Option<i64>)> {
        if self.batches.wanted() == Some(0) {
            self.server.let_go();
        }
        let source = self.server.take_resting()?;
        let batch_size = source.remote.settings().batch_size;
        Some((source, self.batches.next_batch_size(batch_size)))
    }

    /// Ends the cursor and waits until it is closed on the server too, no longer than `timeout` or
    /// else the cursor's own.
    pub(crate) async fn close(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.batches.forget();
        self.server.close(timeout).await
    }

    /// As many documents as are at hand, `at_most` of them, read by `read`. When one cannot be
    /// read, the cursor stays where it was.
    pub(crate) async fn read_held<T>(
        &mut self,
        at_most: usize,
        read: impl Fn(&RawDocument) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut batches = self.batches.clone();
        let mut found = Vec::with_capacity(at_most.min(batches.unread()));
        while found.len() < at_most && batches.advance()? {
            if let Some(document) = batches.current() {
                found.push(read(document)?);
            }
            poll_fn(poll_turn).await;
        }
        self.batches = batches;
        if self.server.is_resting() {
            self.walk_on();
        }
        Ok(found)
    }

    /// Whether there are documents at hand. Cheaper than their number, which takes a walk.
    pub(crate) fn has_held(&self) -> bool {
        !self.batches.is_drained()
    }

    /// How many documents are at hand.
    pub(crate) fn held(&self) -> usize {
        self.batches.unread()
    }

    /// How many of them came with the newest batch.
    pub(crate) fn held_of_newest(&self) -> usize {
        self.batches.newest().remaining()
    }
}

impl Walk for Feed {
    #[inline]
    fn step(&mut self) -> Result<bool> {
        let stepped = self.batches.advance();
        match &stepped {
            Ok(true) if self.server.is_resting() => self.walk_on(),
            Ok(_) => {}
            Err(_) => {
                self.batches.forget();
                self.server.let_go();
            }
        }
        stepped
    }

    /// Adds the batch to those at hand.
    fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        if self.server.is_open() {
            exec::require_runtime()?;
        }
        if self.server.is_resting() {
            self.start_fetching()?;
        }
        Poll::Ready(match ready!(self.server.poll(context)) {
            Answer::Batch(batch) => {
                self.batches.push(batch);
                Ok(true)
            }
            Answer::Refused(source, error) => {
                self.server.fail(*source, &error);
                Err(error)
            }
            Answer::Lost(_, error) => {
                self.server.let_go();
                Err(error)
            }
            Answer::Nothing => Ok(false),
        })
    }

    fn call(&mut self) -> &mut Option<Timeout> {
        &mut self.call
    }

    fn current(&self) -> Option<&RawDocument> {
        self.batches.current()
    }
}
