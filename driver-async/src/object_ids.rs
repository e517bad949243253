//! The object ids that the driver makes.
//!
//! Not those of [`ObjectId::new`]: it draws the process's part once, so a forked child would make
//! the ids of its parent and of its siblings again. The ObjectID specification asks for a new one.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bson::oid::ObjectId;
use rand::{TryRngCore, rngs::OsRng};

use crate::process::PerProcess;

/// Makes the object ids of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectIds(&'static Parts);

#[derive(Debug)]
struct Parts {
    process: [u8; 5],
    counter: AtomicU32,
}

impl Default for Parts {
    fn default() -> Self {
        let mut random = [0; 9];
        // The thread's generator is a copy of the parent's: it would draw the same.
        if OsRng.try_fill_bytes(&mut random).is_err() {
            // What a system without randomness can do to tell its processes apart.
            random[..4].copy_from_slice(&std::process::id().to_be_bytes());
        }
        let [process @ .., a, b, c, d] = random;
        Self {
            process,
            counter: AtomicU32::new(u32::from_be_bytes([a, b, c, d])),
        }
    }
}

impl ObjectIds {
    /// Those of the process that runs; finding out which that is costs a system call.
    pub(crate) fn of_this_process() -> Self {
        static PARTS: PerProcess<Parts> = PerProcess::new();
        Self(PARTS.get())
    }

    /// A new object id.
    pub(crate) fn make(self) -> ObjectId {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.unwrap_or_default().as_secs() % (1 << 32);
        let seconds = u32::try_from(seconds).unwrap_or_default();
        let [_, counter @ ..] = self.0.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        ObjectId::from_parts(seconds, self.0.process, counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_each_other_and_tell_their_time() {
        let ids = ObjectIds::of_this_process();
        ids.0.counter.store(u32::MAX, Ordering::Relaxed);
        let before = ObjectId::new().timestamp();
        let (first, second) = (ids.make(), ids.make());
        assert!(first.timestamp() >= before);
        assert_eq!(first.bytes()[4..9], second.bytes()[4..9]);
        assert_eq!(first.bytes()[9..], [255; 3]);
        assert_eq!(second.bytes()[9..], [0; 3]);
    }
}
