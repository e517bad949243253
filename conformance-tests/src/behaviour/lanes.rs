//! Who may use a deployment at the same time.

use std::sync::{Mutex, PoisonError, RwLock};

use super::Access;

/// The locks of one deployment. A panic inside a case is that case's failure and nobody else's,
/// so poisoning is ignored.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    whole: RwLock<()>,
    fail_points: Mutex<()>,
}

impl Lanes {
    /// Runs `case` as soon as everybody whom it excludes is done.
    pub(super) fn enter<T>(&self, access: Access, case: impl FnOnce() -> T) -> T {
        match access {
            Access::Shared => {
                let _beside = self.whole.read().unwrap_or_else(PoisonError::into_inner);
                case()
            }
            // The fail point lane comes first: a case that waits in it holds no other lock.
            Access::FailPoint => {
                let _turn = self
                    .fail_points
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let _beside = self.whole.read().unwrap_or_else(PoisonError::into_inner);
                case()
            }
            Access::Disturbs => {
                let _alone = self.whole.write().unwrap_or_else(PoisonError::into_inner);
                case()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may enter while a case of `inside` runs; told without waiting, by trying the locks.
    fn admitted_beside(inside: Access) -> [bool; 3] {
        let lanes = Lanes::default();
        lanes.enter(inside, || {
            let shared = lanes.whole.try_read().is_ok();
            let fail_point = shared && lanes.fail_points.try_lock().is_ok();
            [shared, fail_point, lanes.whole.try_write().is_ok()]
        })
    }

    #[test]
    fn each_access_excludes_those_it_would_harm() {
        assert_eq!(admitted_beside(Access::Shared), [true, true, false]);
        assert_eq!(admitted_beside(Access::FailPoint), [true, false, false]);
        assert_eq!(admitted_beside(Access::Disturbs), [false, false, false]);
    }

    #[test]
    fn a_panic_inside_leaves_the_lanes_usable() {
        let lanes = Lanes::default();
        let panics = std::panic::AssertUnwindSafe(|| lanes.enter(Access::Disturbs, || panic!("x")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(lanes.enter(Access::FailPoint, || 1), 1);
    }
}
