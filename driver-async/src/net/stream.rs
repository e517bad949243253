//! The bytes to and from one server, encrypted or not.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::{Pending, Socket};
use crate::background::RuntimeId;

/// A connected socket, encrypted or not.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Unencrypted.
    Plain(Socket),
    /// Encrypted.
    #[cfg(feature = "rustls-tls")]
    Tls(Box<tokio_rustls::client::TlsStream<Socket>>),
}

impl Stream {
    /// Whether an idle stream cannot be used again: the peer has closed it, or has sent bytes that
    /// nobody asked for.
    ///
    /// It never waits, and costs one system call. What arrives unasked over TLS may be a session
    /// ticket, so there only the end counts.
    pub(crate) fn has_hung_up(&mut self) -> bool {
        match self {
            Self::Plain(socket) => socket.peek() != Pending::Nothing,
            #[cfg(feature = "rustls-tls")]
            Self::Tls(tls) => super::tls::is_closed(tls),
        }
    }

    /// The runtime that the stream is registered with.
    pub(crate) fn runtime(&self) -> RuntimeId {
        match self {
            Self::Plain(socket) => socket.runtime(),
            #[cfg(feature = "rustls-tls")]
            Self::Tls(tls) => tls.get_ref().0.runtime(),
        }
    }

    /// Registers the stream with the current runtime instead.
    ///
    /// # Errors
    /// The operating system's; the stream is closed then.
    pub(crate) fn move_to_current_runtime(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.move_to_current_runtime(),
            #[cfg(feature = "rustls-tls")]
            Self::Tls(tls) => tls.get_mut().0.move_to_current_runtime(),
        }
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            #[cfg(feature = "rustls-tls")]
            Self::Tls(_) => true,
        }
    }
}

macro_rules! on_inner {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
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
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
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
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(connecting, listener.accept());
        (Stream::Plain(ours.unwrap().into()), theirs.unwrap().0)
    }

    /// Waits until the operating system has delivered what the peer did.
    fn wait_for_news(stream: &Stream) {
        let Stream::Plain(socket) = stream else {
            panic!("{stream:?} is encrypted")
        };
        while socket.peek() == Pending::Nothing {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn an_idle_stream_has_not_hung_up() {
        let (mut ours, _theirs) = pair().await;
        assert!(!ours.has_hung_up());
    }

    #[tokio::test]
    async fn a_stream_that_the_peer_closed_has_hung_up() {
        let (mut ours, theirs) = pair().await;
        drop(theirs);
        wait_for_news(&ours);
        assert!(ours.has_hung_up());
    }

    #[tokio::test]
    async fn bytes_that_nobody_asked_for_count_as_hung_up() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"surprise").await.unwrap();
        wait_for_news(&ours);
        assert!(ours.has_hung_up());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_stream_notices_its_peers_end() {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let mut ours = Stream::Plain(ours.into());
        assert!(!ours.has_hung_up());
        drop(theirs);
        wait_for_news(&ours);
        assert!(ours.has_hung_up());
    }
}
