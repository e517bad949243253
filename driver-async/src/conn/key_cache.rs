//! SCRAM keys derived once and kept, because their derivation is slow on purpose.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::{sync::OnceCell, task};

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

struct Entry {
    fingerprint: [u8; 32],
    /// Connections that are made at the same time wait here for one derivation.
    keys: Arc<OnceCell<Arc<ScramKeys>>>,
}

impl KeyCache {
    /// The keys, derived on a blocking thread when they are not known yet.
    ///
    /// # Errors
    /// An internal error when the runtime is shutting down.
    pub(crate) async fn keys(&self, derivation: &KeyDerivation) -> Result<Arc<ScramKeys>> {
        let cell = self.cell(derivation.fingerprint());
        let keys = cell.get_or_try_init(|| async {
            let derivation = derivation.clone();
            let derived = task::spawn_blocking(move || Arc::new(derivation.derive())).await;
            derived.map_err(|error| Error::internal(format!("no keys were derived: {error}")))
        });
        Ok(Arc::clone(keys.await?))
    }

    fn cell(&self, fingerprint: [u8; 32]) -> Arc<OnceCell<Arc<ScramKeys>>> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries
            .iter()
            .find(|entry| entry.fingerprint == fingerprint)
        {
            return Arc::clone(&entry.keys);
        }
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        let keys = Arc::new(OnceCell::new());
        entries.push_back(Entry {
            fingerprint,
            keys: Arc::clone(&keys),
        });
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
    async fn ever_new_salts_do_not_fill_the_memory() {
        let cache = KeyCache::default();
        for salt in 0..u8::try_from(CAPACITY).unwrap() + 5 {
            cache.cell(derivation(salt).fingerprint());
        }
        assert_eq!(cache.entries.lock().len(), CAPACITY);
    }
}
