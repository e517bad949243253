//! The batches that have come, and the place in them.

use std::{collections::VecDeque, mem};

use bson::RawDocument;

use super::Batch;
use crate::error::Result;

/// The batches that have come, and the place in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batches {
    /// The one being walked.
    front: Batch,
    /// Those that came before the front was used up.
    later: VecDeque<Batch>,
    /// How many more documents may be delivered; `None` without a limit.
    left: Option<u64>,
}

impl Batches {
    /// At the start of a first batch, of whose documents and later ones at most `limit` are
    /// delivered.
    pub(crate) fn new(first: Batch, limit: Option<u64>) -> Self {
        Self {
            front: first,
            later: VecDeque::new(),
            left: limit,
        }
    }

    /// Steps to the next document; false when a further batch is needed, or when the limit is
    /// reached.
    ///
    /// # Errors
    /// An invalid-response error when a batch holds something else. The rest of that batch is
    /// left out.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if self.is_at_limit() {
            self.forget();
            return Ok(false);
        }
        while !self.front.advance()? {
            match self.later.pop_front() {
                Some(next) => self.front = next,
                None => return Ok(false),
            }
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(true)
    }

    /// The document that the last step led to.
    pub(crate) fn current(&self) -> Option<&RawDocument> {
        self.front.current()
    }

    /// Whether a further batch is needed for a further document, or none may be delivered.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_at_limit() || (self.front.is_drained() && self.later.iter().all(Batch::is_drained))
    }

    /// Whether as many documents were delivered as may be.
    pub(crate) fn is_at_limit(&self) -> bool {
        self.left == Some(0)
    }

    /// Adds the batch that followed.
    pub(crate) fn push(&mut self, batch: Batch) {
        if self.front.is_drained() && self.later.is_empty() {
            self.front = batch;
        } else {
            self.later.push_back(batch);
        }
    }

    /// Whether there is a whole batch to give away, be it empty.
    pub(crate) fn has_batch(&self) -> bool {
        !self.front.is_blank() || !self.later.is_empty()
    }

    /// Gives the whole next batch away; `None` when a further one is needed.
    pub(crate) fn take_batch(&mut self) -> Option<Batch> {
        let next = self.later.pop_front().unwrap_or_default();
        let batch = mem::replace(&mut self.front, next);
        if batch.is_blank() {
            return None;
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(to_u64(batch.remaining()));
        }
        Some(batch)
    }

    /// Lets go of a batch that is used up, so that its buffer is free while the next one comes.
    pub(crate) fn release(&mut self) {
        if self.front.is_drained() && self.front.current().is_none() {
            self.front = Batch::default();
        }
    }

    /// Leaves out all that has come.
    pub(crate) fn forget(&mut self) {
        self.front = Batch::default();
        self.later.clear();
    }

    /// How many documents have come that were not delivered yet.
    pub(crate) fn unread(&self) -> usize {
        let later = self.later.iter().map(Batch::remaining);
        self.front.remaining() + later.sum::<usize>()
    }

    /// The batch that came last.
    pub(crate) fn newest(&self) -> &Batch {
        self.later.back().unwrap_or(&self.front)
    }

    /// How many documents the server may still send; `None` without a limit.
    pub(crate) fn wanted(&self) -> Option<u64> {
        let left = self.left?;
        Some(left.saturating_sub(to_u64(self.unread())))
    }

    /// The batch size to ask for next: never more than the limit leaves.
    pub(crate) fn next_batch_size(&self, batch_size: Option<u32>) -> Option<i64> {
        let size = u64::from(batch_size.filter(|size| *size > 0)?);
        let size = self.wanted().map_or(size, |wanted| wanted.min(size));
        i64::try_from(size).ok()
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bson::{RawDocument, doc};
    use bytes::Bytes;

    use super::*;

    fn batch(documents: &[i32]) -> Batch {
        let documents: Vec<_> = documents.iter().map(|i| doc! { "i": i }).collect();
        let reply: Bytes = doc! { "batch": documents }.to_vec().unwrap().into();
        let array = RawDocument::from_bytes(&reply)
            .unwrap()
            .get_array("batch")
            .unwrap();
        Batch::new(&reply, array)
    }

    fn rest(batches: &mut Batches) -> Vec<i32> {
        let mut found = Vec::new();
        while batches.advance().unwrap() {
            found.push(batches.current().unwrap().get_i32("i").unwrap());
        }
        found
    }

    #[test]
    fn batches_are_walked_one_after_the_other() {
        let mut batches = Batches::new(batch(&[1, 2]), None);
        assert!(batches.current().is_none());
        assert!(batches.advance().unwrap());
        batches.push(batch(&[]));
        batches.push(batch(&[3]));
        assert_eq!(batches.unread(), 2);
        assert_eq!(rest(&mut batches), [2, 3]);
        assert!(batches.is_drained());
        batches.push(batch(&[4]));
        assert!(!batches.is_drained());
        assert_eq!(rest(&mut batches), [4]);
    }

    #[test]
    fn the_limit_bounds_what_is_delivered_and_what_is_asked_for() {
        let mut batches = Batches::new(batch(&[1, 2]), Some(3));
        assert_eq!(batches.wanted(), Some(1), "two are here already");
        assert_eq!(rest(&mut batches), [1, 2]);
        assert_eq!(batches.next_batch_size(Some(2)), Some(1));
        batches.push(batch(&[3, 4]));
        assert_eq!(batches.wanted(), Some(0));
        assert_eq!(rest(&mut batches), [3]);
        assert!(batches.is_drained() && batches.is_at_limit());
    }

    #[test]
    fn a_batch_size_of_0_is_for_the_first_batch_only() {
        let batches = Batches::new(batch(&[]), None);
        assert_eq!(batches.next_batch_size(Some(0)), None);
        assert_eq!(batches.next_batch_size(Some(7)), Some(7));
    }

    #[test]
    fn whole_batches_are_given_once_each_and_count_for_the_limit() {
        let mut batches = Batches::new(batch(&[]), Some(3));
        assert_eq!(
            batches.take_batch().unwrap().remaining(),
            0,
            "empty is a batch"
        );
        assert!(batches.take_batch().is_none());
        batches.push(batch(&[1, 2]));
        assert_eq!(batches.take_batch().unwrap().remaining(), 2);
        assert_eq!(batches.wanted(), Some(1));
    }

    #[test]
    fn a_batch_is_released_only_when_nobody_can_look_at_it() {
        let mut batches = Batches::new(batch(&[1]), None);
        assert!(batches.advance().unwrap());
        batches.release();
        assert!(batches.current().is_some());
        assert!(!batches.advance().unwrap());
        batches.release();
        assert!(batches.take_batch().is_none());
    }

    #[test]
    fn an_element_that_is_no_document_ends_its_batch_with_an_error() {
        let reply: Bytes = doc! { "batch": [{ "i": 1 }, 5, { "i": 2 }] }
            .to_vec()
            .unwrap()
            .into();
        let array = RawDocument::from_bytes(&reply)
            .unwrap()
            .get_array("batch")
            .unwrap();
        let mut batches = Batches::new(Batch::new(&reply, array), None);
        assert!(batches.advance().unwrap());
        assert!(batches.advance().is_err());
        assert!(batches.current().is_none());
        assert!(!batches.advance().unwrap());
    }
}
