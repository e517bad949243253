//! The bytes to and from one server, encrypted or not.

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Unencrypted, over TCP.
    Tcp(TcpStream),
    /// Unencrypted, over a Unix domain socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// Encrypted, over TCP.
    #[cfg(feature = "rustls-tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether an idle stream cannot be used again: the peer has closed it, or has sent bytes that
    /// nobody asked for.
    ///
    /// It never waits, and makes no system call unless the runtime has news of the socket. What
    /// arrives unasked over TLS may be a session ticket, so there only the end counts.
    pub(crate) fn has_hung_up(&self) -> bool {
        match self {
            Self::Tcp(tcp) => !is_silent(tcp.try_read(&mut [0])),
            #[cfg(unix)]
            Self::Unix(unix) => !is_silent(unix.try_read(&mut [0])),
            #[cfg(feature = "rustls-tls")]
            Self::Tls(tls) => super::tls::is_closed(tls),
        }
    }

    /// Whether the runtime that an idle stream belongs to was shut down, so that nothing can be
    /// read or written.
    pub(crate) fn is_forsaken(&self) -> bool {
        match self {
            Self::Tcp(tcp) => fails_at_once(tcp.ready(Interest::READABLE)),
            #[cfg(unix)]
            Self::Unix(unix) => fails_at_once(unix.ready(Interest::READABLE)),
            #[cfg(feature = "rustls-tls")]
            Self::Tls(tls) => fails_at_once(tls.get_ref().0.ready(Interest::READABLE)),
        }
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn is_encrypted(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            #[cfg(unix)]
            Self::Unix(_) => false,
            #[cfg(feature = "rustls-tls")]
            Self::Tls(_) => true,
        }
    }
}

fn is_silent(read: io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Polls once. An idle stream has no reader who would have to be woken.
fn fails_at_once<T>(readiness: impl Future<Output = io::Result<T>>) -> bool {
    let polled = pin!(readiness).poll(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Err(_)))
}

macro_rules! on_inner {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            #[cfg(unix)]
            Stream::Unix($inner) => $call,
            #[cfg(feature = "rustls-tls")]
            Stream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_read(context, buffer),
            #[cfg(feature = "rustls-tls")]
            Self::Tls(tls) => Pin::new(tls)
                .poll_read(context, buffer)
                .map_err(super::tls::read_failure)
                .map(|outcome| match outcome {
                    Err(Some(error)) => Err(error),
                    Ok(()) | Err(None) => Ok(()),
                }),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_inner!(self.get_mut(), inner => Pin::new(inner).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_inner!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        on_inner!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self.get_mut(), inner => Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(connecting, listener.accept());
        (Stream::Tcp(ours.unwrap()), theirs.unwrap().0)
    }

    async fn news(stream: &Stream) {
        let Stream::Tcp(tcp) = stream else {
            panic!("{stream:?} is not TCP")
        };
        tcp.readable().await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_stream_has_not_hung_up() {
        let (ours, _theirs) = pair().await;
        assert!(!ours.has_hung_up());
    }

    #[tokio::test]
    async fn a_stream_that_the_peer_closed_has_hung_up() {
        let (ours, theirs) = pair().await;
        drop(theirs);
        news(&ours).await;
        assert!(ours.has_hung_up());
    }

    #[tokio::test]
    async fn bytes_that_nobody_asked_for_count_as_hung_up() {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(b"surprise").await.unwrap();
        news(&ours).await;
        assert!(ours.has_hung_up());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_stream_notices_its_peers_end() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.writable().await.unwrap();
        let ours = Stream::Unix(ours);
        assert!(!ours.has_hung_up());
        drop(theirs);
        let Stream::Unix(unix) = &ours else {
            panic!("{ours:?} is not a Unix stream")
        };
        unix.readable().await.unwrap();
        assert!(ours.has_hung_up());
    }
}
