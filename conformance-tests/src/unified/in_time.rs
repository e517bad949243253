//! Work that must end by a deadline, whatever it does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::case::panic_text;

/// Does the work on a thread of its own and gives what it gave, a panic as its text; `None` when
/// the work did not end in time. The thread is then left to itself.
pub(super) fn in_time(
    limit: Duration,
    work: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Option<Result<(), String>> {
    let (tell, ending) = mpsc::channel();
    thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|payload| Err(panic_text(&*payload)));
        // Nobody listens any more after the deadline.
        let _ = tell.send(outcome);
    });
    ending.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_left_to_itself_and_what_panics_is_told() {
        let (release, held) = mpsc::channel::<()>();
        let hangs = move || held.recv().map_err(|error| error.to_string());
        assert_eq!(in_time(Duration::from_millis(1), hangs), None);
        // It hung until now: the other end was still there.
        assert!(release.send(()).is_ok());
        let minute = Duration::from_secs(60);
        assert_eq!(in_time(minute, || Ok(())), Some(Ok(())));
        assert_eq!(
            in_time(minute, || panic!("of fear")),
            Some(Err("panicked: of fear".to_owned()))
        );
    }
}
