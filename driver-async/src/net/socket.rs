//! A socket that can move from one runtime to another.

use std::{
    io::{self, IoSlice},
    mem::{self, MaybeUninit},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{background::RuntimeId, process::Process};

/// A connected socket, registered with one runtime at a time, which tells its user of news.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Absent after a move that failed.
    io: Option<Io>,
    runtime: RuntimeId,
    process: Process,
}

#[derive(Debug)]
enum Io {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Io {
    fn move_to_current_runtime(self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(tcp) => Self::Tcp(TcpStream::from_std(tcp.into_std()?)?),
            #[cfg(unix)]
            Self::Unix(unix) => Self::Unix(UnixStream::from_std(unix.into_std()?)?),
        })
    }
}

/// What waits in a socket to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    Bytes,
    /// The peer has closed its end, or the socket has failed.
    End,
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Self {
        Self::new(Io::Tcp(tcp))
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(unix: UnixStream) -> Self {
        Self::new(Io::Unix(unix))
    }
}

impl Socket {
    /// A socket that was just made on the current runtime.
    fn new(io: Io) -> Self {
        Self {
            io: Some(io),
            runtime: RuntimeId::current(),
            process: Process::current(),
        }
    }

    /// The runtime that the socket is registered with.
    pub(super) fn runtime(&self) -> RuntimeId {
        self.runtime
    }

    /// Registers the socket with the current runtime instead, which costs two system calls. The
    /// runtime before need not be there any more.
    ///
    /// # Errors
    /// The operating system's, and `Unsupported` when the current runtime has no I/O. The socket is
    /// closed then.
    pub(super) fn move_to_current_runtime(&mut self) -> io::Result<()> {
        let io = self.io.take().ok_or_else(closed)?;
        // Whether a runtime has I/O shows only by a panic.
        let moved = catch_unwind(AssertUnwindSafe(|| io.move_to_current_runtime()));
        self.io = Some(moved.unwrap_or_else(|_| Err(without_io()))?);
        self.runtime = RuntimeId::current();
        Ok(())
    }

    /// Looks what there is to read, without taking it. Asks the operating system, as the runtime
    /// may stand still.
    pub(super) fn peek(&self) -> Pending {
        let peeked = match self.raw() {
            Some(socket) => socket.peek(&mut [MaybeUninit::uninit()]),
            None => return Pending::End,
        };
        match peeked {
            Ok(0) => Pending::End,
            Ok(_) => Pending::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pending::Nothing,
            Err(_) => Pending::End,
        }
    }

    /// The socket itself, which does not block.
    pub(super) fn raw(&self) -> Option<SockRef<'_>> {
        self.io.as_ref().map(|io| match io {
            Io::Tcp(tcp) => SockRef::from(tcp),
            #[cfg(unix)]
            Io::Unix(unix) => SockRef::from(unix),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A process that was forked shares the socket with its parent, and the registration as
        // well: to remove that here would leave the parent without news.
        if self.process.check().is_err() {
            mem::forget(self.io.take());
        }
    }
}

fn without_io() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "operations must be awaited on a tokio runtime with I/O: build it with \
         Builder::enable_io or enable_all",
    )
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket is closed")
}

macro_rules! on_io {
    ($socket:expr, $io:ident => $call:expr) => {
        match &mut $socket.get_mut().io {
            Some(Io::Tcp($io)) => $call,
            #[cfg(unix)]
            Some(Io::Unix($io)) => $call,
            None => Poll::Ready(Err(closed())),
        }
    };
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_io!(self, io => Pin::new(io).poll_read(context, buffer))
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_io!(self, io => Pin::new(io).poll_write(context, bytes))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_io!(self, io => Pin::new(io).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_io!(self, io => Pin::new(io).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_io!(self, io => Pin::new(io).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        runtime::{Builder, Runtime},
    };

    use super::*;

    fn single() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(connecting, listener.accept());
        (ours.unwrap().into(), theirs.unwrap().0)
    }

    #[test]
    fn a_socket_moves_away_from_a_runtime_that_stands_still_or_is_gone() {
        let (first, second, third) = (single(), single(), single());
        let peer = Runtime::new().unwrap();
        let (mut ours, mut theirs) = first.block_on(pair());
        theirs = peer.block_on(async { TcpStream::from_std(theirs.into_std().unwrap()).unwrap() });
        let echo = peer.spawn(async move {
            let mut byte = [0];
            while theirs.read_exact(&mut byte).await.is_ok() {
                theirs.write_all(&byte).await.unwrap();
            }
        });
        for runtime in [&second, &third] {
            runtime.block_on(async {
                assert_ne!(ours.runtime(), RuntimeId::current());
                ours.move_to_current_runtime().unwrap();
                assert_eq!(ours.runtime(), RuntimeId::current());
                ours.write_all(b"x").await.unwrap();
                let mut byte = [0];
                ours.read_exact(&mut byte).await.unwrap();
                assert_eq!(&byte, b"x");
            });
        }
        drop((first, second));
        drop(third);
        let fourth = single();
        fourth.block_on(async {
            ours.move_to_current_runtime().unwrap();
            ours.write_all(b"y").await.unwrap();
            let mut byte = [0];
            ours.read_exact(&mut byte).await.unwrap();
        });
        drop(ours);
        peer.block_on(echo).unwrap();
    }

    #[test]
    fn a_look_needs_no_runtime() {
        let runtime = single();
        let (ours, mut theirs) = runtime.block_on(pair());
        assert_eq!(ours.peek(), Pending::Nothing);
        runtime.block_on(theirs.write_all(b"!")).unwrap();
        while ours.peek() == Pending::Nothing {
            std::thread::yield_now();
        }
        assert_eq!(ours.peek(), Pending::Bytes);
        drop(theirs);
        drop(runtime);
        assert_eq!(ours.peek(), Pending::Bytes, "it is read before the end");
    }
}
