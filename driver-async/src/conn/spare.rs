//! Buffers for large messages, which no connection keeps for itself.

use bytes::BytesMut;
use parking_lot::Mutex;

use crate::process::PerProcess;

/// The largest buffer that a connection keeps from one message to the next. A pool may have
/// hundreds of connections, most of them idle.
pub(super) const KEPT: usize = 64 * 1024;
/// Larger buffers are not used again: to move so many bytes takes far longer than to allocate them.
pub(super) const LARGEST: usize = 1024 * 1024;
/// How many buffers of each kind are kept for all connections.
const COUNT: usize = 8;

/// What large commands are written into.
pub(super) static OUTGOING: Spare<Vec<u8>> = Spare::new();
/// What large replies are read into. A buffer here may still be in use by those who hold its last
/// reply; it makes itself room elsewhere then.
pub(super) static INBOUND: Spare<BytesMut> = Spare::new();

/// Buffers that the next large messages use again, on whatever connection they are.
///
/// If each connection freed its own after a large message, a stream of such messages would pay for
/// an allocation each; if each kept its own, an idle pool would hold megabytes for each connection.
#[derive(Debug)]
pub(super) struct Spare<B: 'static> {
    buffers: PerProcess<Mutex<Vec<B>>>,
}

impl<B: 'static> Spare<B> {
    const fn new() -> Self {
        Self {
            buffers: PerProcess::new(),
        }
    }

    /// The buffer that was put back last, which is the likeliest to be in the processor's cache.
    pub(super) fn take(&self) -> Option<B> {
        self.buffers.get().lock().pop()
    }

    /// Keeps a buffer for the next large message, unless there are enough.
    pub(super) fn put(&self, buffer: B) {
        let mut buffers = self.buffers.get().lock();
        if buffers.len() < COUNT {
            buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_buffer_is_used_first_and_few_are_kept() {
        let spare = Spare::new();
        for number in 0..COUNT + 3 {
            spare.put(number);
        }
        let kept: Vec<_> = std::iter::from_fn(|| spare.take()).collect();
        assert_eq!(kept, (0..COUNT).rev().collect::<Vec<_>>());
    }
}
