//! How a file lies in its chunks.

use crate::error::{Error, Result};

/// How many bytes of chunks a batch should have when a file is read.
const BATCH: u64 = 2 * 1024 * 1024;
/// What a chunk's document takes besides its data, about.
const OVERHEAD: u64 = 100;

/// How a file lies in its chunks, by its length and chunk size: all have that size but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    length: u64,
    chunk_size: u32,
    count: u32,
}

/// Where a byte of a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The chunk's number.
    pub(crate) n: u32,
    /// How many bytes of the chunk stand before it.
    pub(crate) offset: usize,
}

impl Layout {
    /// # Errors
    /// An invalid-response error for a file that no chunks can hold.
    pub(crate) fn new(length: u64, chunk_size: u32) -> Result<Self> {
        let count = match (length, chunk_size) {
            (0, _) => Some(0),
            (_, 0) => None,
            (length, size) => i32::try_from(length.div_ceil(size.into())).ok(),
        };
        let count = count.and_then(|count| u32::try_from(count).ok());
        let count = count.ok_or_else(|| {
            Error::invalid_response(format!(
                "the file's document says {length} bytes in chunks of {chunk_size}, which cannot be"
            ))
        })?;
        Ok(Self {
            length,
            chunk_size,
            count,
        })
    }

    /// The file's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// How many chunks there must be.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Where the byte at `position` lies; `None` at the end and beyond.
    pub(crate) fn place(&self, position: u64) -> Option<Place> {
        if position >= self.length {
            return None;
        }
        let size = u64::from(self.chunk_size);
        Some(Place {
            n: u32::try_from(position / size).ok()?,
            offset: usize::try_from(position % size).ok()?,
        })
    }

    /// How many bytes the chunk must have.
    pub(crate) fn size_of(&self, n: u32) -> u32 {
        let before = u64::from(n) * u64::from(self.chunk_size);
        let rest = self.length.saturating_sub(before);
        u32::try_from(rest).map_or(self.chunk_size, |rest| rest.min(self.chunk_size))
    }

    /// How many documents to ask for at once when the file is read from chunk `n` on.
    ///
    /// One more than there should be where that fits: only a batch that is not full tells that
    /// nothing follows, without another request.
    pub(crate) fn batch_size(&self, n: u32) -> u32 {
        let fitting = BATCH / (u64::from(self.chunk_size) + OVERHEAD);
        let wanted = self.count.saturating_sub(n).saturating_add(1);
        u32::try_from(fitting.max(1)).map_or(wanted, |fitting| fitting.min(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(n: u32, offset: usize) -> Option<Place> {
        Some(Place { n, offset })
    }

    #[test]
    fn the_last_chunk_is_as_long_as_what_is_left() {
        for (length, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (3, vec![3]),
            (4, vec![4]),
            (5, vec![4, 1]),
            (8, vec![4, 4]),
            (9, vec![4, 4, 1]),
        ] {
            let layout = Layout::new(length, 4).unwrap();
            let found: Vec<_> = (0..layout.count()).map(|n| layout.size_of(n)).collect();
            assert_eq!(found, sizes, "{length}");
            assert_eq!(layout.size_of(layout.count()), 0, "{length}");
        }
    }

    #[test]
    fn every_position_has_its_place() {
        let layout = Layout::new(9, 4).unwrap();
        assert_eq!(layout.place(0), place(0, 0));
        assert_eq!(layout.place(3), place(0, 3));
        assert_eq!(layout.place(4), place(1, 0));
        assert_eq!(layout.place(8), place(2, 0));
        assert_eq!(layout.place(9), None);
        assert_eq!(layout.place(u64::MAX), None);
    }

    #[test]
    fn what_no_chunks_can_hold_is_refused() {
        assert!(Layout::new(0, 0).is_ok());
        assert!(Layout::new(1, 0).is_err());
        assert!(Layout::new(1 << 31, 1).is_err());
        let largest = Layout::new((1 << 31) - 1, 1).unwrap();
        assert_eq!(largest.count(), i32::MAX.unsigned_abs());
        let largest = Layout::new(u64::from(u32::MAX) * 0x7fff_ffff, u32::MAX).unwrap();
        assert_eq!(largest.size_of(0x7fff_fffe), u32::MAX);
    }

    #[test]
    fn a_batch_holds_what_is_left_and_one_more_as_far_as_memory_goes() {
        for (length, chunk_size, from, wanted) in [
            (1, 261_120, 0, 2),
            (9, 4, 0, 4),
            (9, 4, 1, 3),
            (9, 4, 2, 2),
            (1 << 40, 261_120, 0, 8),
            ((1 << 40) + 1, 261_120, 4_210_751, 3),
            (1 << 40, 5_000_000, 0, 1),
        ] {
            let layout = Layout::new(length, chunk_size).unwrap();
            let size = layout.batch_size(from);
            assert_eq!(
                size, wanted,
                "{length} in chunks of {chunk_size} from {from}"
            );
        }
    }
}
