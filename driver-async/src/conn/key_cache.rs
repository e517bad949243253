//! SCRAM keys derived once and kept, because their derivation is slow on purpose.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::{sync::watch, task};

use crate::{
    error::{Error, Result},
    proto::auth::{KeyDerivation, ScramKeys},
};

/// One user has one salt for each mechanism on each shard; a server that offers ever new salts
/// must not fill the memory.
const CAPACITY: usize = 32;

/// The keys that a client has derived so far, the oldest first.
///
/// They are found by a hash of everything they are derived from, as the authentication
/// specification asks, so the password itself is not kept here.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<VecDeque<Entry>>,
}

/// The result of a derivation, once there is one. The derivation owns the sending end, so a closed
/// channel without keys means that it died.
type Pending = watch::Receiver<Option<Arc<ScramKeys>>>;

struct Entry {
    fingerprint: [u8; 32],
    keys: Pending,
}

impl Entry {
    /// Whether keys are there or will be, unless the derivation dies.
    fn is_alive(&self) -> bool {
        // In this order: keys may arrive, and the channel be closed, in between.
        let is_under_way = self.keys.has_changed().is_ok();
        is_under_way || self.keys.borrow().is_some()
    }
}

impl KeyCache {
    /// The keys, derived on a blocking thread when they are not known yet.
    ///
    /// A derivation runs to its end and keeps its result even if every caller leaves: callers whose
    /// time is shorter than the derivation would otherwise each pay for one and never log in.
    ///
    /// # Errors
    /// An internal error when the runtime is shutting down.
    pub(crate) async fn keys(&self, derivation: &KeyDerivation) -> Result<Arc<ScramKeys>> {
        let slow = derivation.clone();
        self.keys_by(derivation.fingerprint(), move || slow.derive())
            .await
    }

    async fn keys_by(
        &self,
        fingerprint: [u8; 32],
        derive: impl FnOnce() -> ScramKeys + Send + 'static,
    ) -> Result<Arc<ScramKeys>> {
        let mut derive = Some(derive);
        loop {
            let mut pending = self.find_or_begin(fingerprint, &mut derive);
            if let Ok(keys) = pending.wait_for(Option::is_some).await
                && let Some(keys) = &*keys
            {
                return Ok(Arc::clone(keys));
            }
            // Someone else's derivation died: this caller begins its own, but only one.
            if derive.is_none() {
                return Err(Error::internal(
                    "the derivation of the SCRAM keys ended without a result",
                ));
            }
        }
    }

    /// The derivation under way or done, else a new one, for which `derive` is taken.
    fn find_or_begin(
        &self,
        fingerprint: [u8; 32],
        derive: &mut Option<impl FnOnce() -> ScramKeys + Send + 'static>,
    ) -> Pending {
        let mut entries = self.entries.lock();
        let found = entries
            .iter()
            .position(|entry| entry.fingerprint == fingerprint);
        if let Some(place) = found
            && let Some(entry) = entries.get(place)
        {
            if entry.is_alive() {
                return entry.keys.clone();
            }
            entries.remove(place);
        }
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        let (done, keys) = watch::channel(None);
        entries.push_back(Entry {
            fingerprint,
            keys: keys.clone(),
        });
        drop(entries);
        if let Some(derive) = derive.take() {
            task::spawn_blocking(move || done.send_replace(Some(Arc::new(derive()))));
        }
        keys
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime;
    use tokio_test::{assert_pending, task::spawn};

    use super::*;
    use crate::proto::auth::{ScramMechanism, ScramStart};

    fn derivation(salt: u8) -> KeyDerivation {
        let start = ScramStart::new(ScramMechanism::Sha1, "user", "pencil").unwrap();
        let (first, _) = start.first("nonce".to_owned());
        let server_first = format!("r=nonce+,s={salt:04},i=4096");
        first
            .reply(server_first.as_bytes())
            .unwrap()
            .derivation()
            .clone()
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_derivation() {
        let cache = KeyCache::default();
        let (wanted, other) = (derivation(1), derivation(2));
        let (a, b, c) = tokio::join!(cache.keys(&wanted), cache.keys(&wanted), cache.keys(&other));
        let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &c));
        assert!(Arc::ptr_eq(&a, &cache.keys(&wanted).await.unwrap()));
    }

    #[tokio::test]
    async fn one_who_leaves_does_not_keep_others_waiting() {
        let cache = KeyCache::default();
        let wanted = derivation(1);
        let mut leaving = spawn(cache.keys(&wanted));
        assert_pending!(leaving.poll());
        drop(leaving);
        cache.keys(&wanted).await.unwrap();
    }

    #[tokio::test]
    async fn a_derivation_is_made_once_however_many_callers_leave() {
        let (release, released) = mpsc::channel::<()>();
        let cache = KeyCache::default();
        let wanted = derivation(1);
        let slow = wanted.clone();
        let mut first = spawn(cache.keys_by(wanted.fingerprint(), move || {
            released.recv().unwrap();
            slow.derive()
        }));
        assert_pending!(first.poll());
        drop(first);
        for _ in 0..40 {
            let again = || -> ScramKeys { panic!("derived again") };
            let mut leaving = spawn(cache.keys_by(wanted.fingerprint(), again));
            assert_pending!(leaving.poll());
        }
        release.send(()).unwrap();
        let again = || -> ScramKeys { panic!("derived again") };
        cache.keys_by(wanted.fingerprint(), again).await.unwrap();
    }

    #[tokio::test]
    async fn a_derivation_that_dies_is_begun_again_by_the_next_caller() {
        let cache = KeyCache::default();
        let wanted = derivation(1);
        let dies = || -> ScramKeys { panic!("no keys") };
        let mut leaving = spawn(cache.keys_by(wanted.fingerprint(), dies));
        assert_pending!(leaving.poll());
        let mut waiting = spawn(cache.keys(&wanted));
        assert_pending!(waiting.poll());
        assert!(leaving.await.is_err());
        waiting.await.unwrap();
    }

    #[test]
    fn a_runtime_that_ends_leaves_no_derivation_to_wait_for() {
        let runtime = || {
            runtime::Builder::new_current_thread()
                .max_blocking_threads(1)
                .build()
                .unwrap()
        };
        let cache = KeyCache::default();
        let wanted = derivation(1);
        let (release, released) = mpsc::channel::<()>();
        let ended = runtime();
        // The derivation waits for the one thread until the runtime ends.
        ended.spawn_blocking(move || released.recv());
        ended.block_on(async {
            let mut leaving = spawn(cache.keys(&wanted));
            assert_pending!(leaving.poll());
        });
        ended.shutdown_background();
        drop(release);
        runtime().block_on(cache.keys(&wanted)).unwrap();
    }

    #[tokio::test]
    async fn ever_new_salts_do_not_fill_the_memory() {
        let cache = KeyCache::default();
        for salt in 0..u8::try_from(CAPACITY).unwrap() + 5 {
            let derivation = derivation(salt);
            let fingerprint = derivation.fingerprint();
            cache.find_or_begin(fingerprint, &mut Some(move || derivation.derive()));
        }
        assert_eq!(cache.entries.lock().len(), CAPACITY);
    }
}
