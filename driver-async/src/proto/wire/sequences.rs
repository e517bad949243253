//! Document sequences: documents that go to the socket beside the command, without a copy.

use bytes::Buf;

/// The most sequences that a command has: `bulkWrite` has two.
const MOST: usize = 2;

/// Documents that would be an array of the command if they stood in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a> {
    /// The field that they would be an array of.
    pub(crate) identifier: &'static str,
    /// The documents, one after the other.
    pub(crate) documents: &'a [u8],
}

/// The sequences of one command, in the order in which they go out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequences<'a>([Option<Sequence<'a>>; MOST]);

impl<'a> Sequences<'a> {
    /// No sequence.
    pub(crate) const NONE: Self = Self([None; MOST]);

    /// Whether there is no sequence.
    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sequence<'a>> {
        self.0.iter().flatten()
    }

    /// The documents of each sequence, none where there is no sequence.
    fn documents(&self) -> [&'a [u8]; MOST] {
        let documents = |sequence: Option<Sequence<'a>>| sequence.map(|s| s.documents);
        self.0
            .map(|sequence| documents(sequence).unwrap_or_default())
    }
}

impl<'a> From<[Sequence<'a>; 1]> for Sequences<'a> {
    fn from([only]: [Sequence<'a>; 1]) -> Self {
        Self([Some(only), None])
    }
}

impl<'a> From<[Sequence<'a>; MOST]> for Sequences<'a> {
    fn from(sequences: [Sequence<'a>; MOST]) -> Self {
        Self(sequences.map(Some))
    }
}

/// Where in a message's buffer the documents of its sequences belong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    /// How many bytes of the buffer go out before each sequence's documents.
    places: [usize; MOST],
    used: usize,
}

impl Default for Gaps {
    // Documents that do not exist may go out after the buffer.
    fn default() -> Self {
        Self {
            places: [usize::MAX; MOST],
            used: 0,
        }
    }
}

impl Gaps {
    /// Notes the place of the next sequence's documents.
    pub(super) fn push(&mut self, place: usize) {
        if let Some(next) = self.places.get_mut(self.used) {
            *next = place;
            self.used += 1;
        }
    }

    /// The message as it goes out: the buffer, with the documents in their places.
    pub(crate) fn fill<'a>(&self, buffer: &'a [u8], sequences: &Sequences<'a>) -> impl Buf + 'a {
        let [first, second] = self.places.map(|place| place.min(buffer.len()));
        let part = |from, to| buffer.get(from..to).unwrap_or_default();
        let [documents, more] = sequences.documents();
        part(0, first)
            .chain(documents)
            .chain(part(first, second))
            .chain(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_go_out_behind_their_headers() {
        let first = Sequence {
            identifier: "a",
            documents: b"AA",
        };
        let second = Sequence {
            identifier: "b",
            documents: b"B",
        };
        for (sequences, places, wanted) in [
            (Sequences::NONE, &[][..], &b"012345"[..]),
            ([first].into(), &[6], b"012345AA"),
            ([first, second].into(), &[4, 6], b"0123AA45B"),
        ] {
            let mut gaps = Gaps::default();
            places.iter().for_each(|place| gaps.push(*place));
            let mut message = gaps.fill(b"012345", &sequences);
            let sent = message.copy_to_bytes(message.remaining());
            assert_eq!(sent, wanted);
        }
    }
}
