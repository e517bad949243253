//! An upload as a writer, to the two worlds of non-blocking I/O.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use super::GridFsUploadStream;

impl futures_io::AsyncWrite for GridFsUploadStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(context, data).map_err(io::Error::from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_insert_whole(context).map_err(io::Error::from)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_complete(context).map_err(io::Error::from)
    }
}

impl tokio::io::AsyncWrite for GridFsUploadStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(context, data).map_err(io::Error::from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_insert_whole(context).map_err(io::Error::from)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_complete(context).map_err(io::Error::from)
    }
}
