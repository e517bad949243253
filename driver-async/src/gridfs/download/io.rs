//! A download as a reader, to the two worlds of non-blocking I/O.

use std::{
    io::{self, SeekFrom},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;

use super::GridFsDownloadStream;

impl GridFsDownloadStream {
    fn poll_loaded(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        ready!(self.poll_load(context))?;
        Poll::Ready(Ok(self.loaded()))
    }

    /// Moves the position. It may lie beyond the end, where there is nothing to read.
    fn move_to(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.layout.length(), offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = base.checked_add_signed(offset).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a position of {base} cannot be moved by {offset}"),
            )
        })?;
        Ok(self.position)
    }
}

impl futures_io::AsyncRead for GridFsDownloadStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if target.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let loaded = ready!(self.poll_loaded(context))?;
        let count = loaded.len().min(target.len());
        let (start, _) = target.split_at_mut(count);
        start.copy_from_slice(loaded.split_at(count).0);
        self.move_on(count);
        Poll::Ready(Ok(count))
    }
}

impl futures_io::AsyncBufRead for GridFsDownloadStream {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_loaded(context)
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.move_on(count);
    }
}

impl futures_io::AsyncSeek for GridFsDownloadStream {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        Poll::Ready(self.move_to(to))
    }
}

impl tokio::io::AsyncRead for GridFsDownloadStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if target.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let loaded = ready!(self.poll_loaded(context))?;
        let count = loaded.len().min(target.remaining());
        target.put_slice(loaded.split_at(count).0);
        self.move_on(count);
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncBufRead for GridFsDownloadStream {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_loaded(context)
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.move_on(count);
    }
}

impl tokio::io::AsyncSeek for GridFsDownloadStream {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        self.move_to(to).map(drop)
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}
