//! Reading again what was read to see what a connection is.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Bytes read at first, to see what a connection is: most link messages fit.
const FIRST_READ: usize = 512;

/// A stream of which some bytes have been read already, and are read again first.
pub(crate) struct Ahead<S> {
    pub(crate) ahead: BytesMut,
    pub(crate) stream: S,
}

impl<S> Ahead<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            ahead: BytesMut::new(),
            stream,
        }
    }
}

impl<S: AsyncRead + Unpin> Ahead<S> {
    /// Reads more of what is to be read again.
    pub(crate) async fn look(&mut self) -> io::Result<()> {
        self.ahead.reserve(FIRST_READ);
        match self.stream.read_buf(&mut self.ahead).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let bytes = this.ahead.len().min(buffer.remaining());
        buffer.put_slice(this.ahead.get(..bytes).unwrap_or_default());
        this.ahead.advance(bytes);
        if this.ahead.is_empty() {
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_ahead_is_read_first_and_nothing_is_lost() {
        let mut stream = Ahead {
            ahead: BytesMut::from(&b"abc"[..]),
            stream: &b"def"[..],
        };
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&two[..], &rest[..]), (&b"ab"[..], &b"cdef"[..]));
    }
}
