//! Where the futures of listeners run.

use std::{
    future::pending,
    io,
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};

use crate::process::PerProcess;

/// Spawns a listener's future: on the current runtime, which on a delivery thread is that of the
/// client's first operation. Where there is none, or it ends before the future has begun, the
/// future runs on a runtime that only callbacks use.
pub(super) fn spawn(future: BoxFuture<'static, ()>) {
    let callback = Callback {
        future: Some(future),
        has_begun: false,
    };
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(callback)),
        Err(_) => drop(callback),
    }
}

struct Callback {
    future: Option<BoxFuture<'static, ()>>,
    has_begun: bool,
}

impl Future for Callback {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.has_begun = true;
        match &mut self.future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let Some(future) = self.future.take().filter(|_| !self.has_begun) else {
            return;
        };
        match runtime() {
            Ok(runtime) => drop(runtime.spawn(future)),
            Err(error) => {
                tracing::warn!("an event was dropped: its callback cannot be run: {error}");
            }
        }
    }
}

/// The runtime of callbacks that have no other, on a thread of its own. Made when first needed.
///
/// # Errors
/// The operating system's error when it gives no thread.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: PerProcess<Mutex<Option<Handle>>> = PerProcess::new();
    let mut made = RUNTIME.get().lock();
    if let Some(runtime) = &*made {
        return Ok(runtime.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("motorcade-callbacks".to_owned())
        .spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(made.insert(handle).clone())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::event::EventHandler;

    fn handler() -> (EventHandler<u8>, mpsc::Receiver<Option<String>>) {
        let (sender, receiver) = mpsc::channel();
        let handler = EventHandler::async_callback(move |_| {
            let sender = sender.clone();
            Box::pin(async move {
                let name = thread::current().name().map(ToOwned::to_owned);
                sender.send(name).unwrap();
            })
        });
        (handler, receiver)
    }

    #[test]
    fn a_callback_outside_of_every_runtime_is_run() {
        let (handler, receiver) = handler();
        handler.handle(1);
        assert_eq!(receiver.recv().unwrap().unwrap(), "motorcade-callbacks");
    }

    #[test]
    fn a_callback_whose_runtime_ends_before_it_begins_is_run_elsewhere() {
        let (handler, receiver) = handler();
        let runtime = Builder::new_current_thread().build().unwrap();
        let context = runtime.enter();
        handler.handle(1);
        drop(context);
        receiver.try_recv().expect_err("nobody drives the runtime");
        drop(runtime);
        assert_eq!(receiver.recv().unwrap().unwrap(), "motorcade-callbacks");
    }
}
