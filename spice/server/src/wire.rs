//! What a connection's bytes are wrapped in.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufWriter, ReadBuf};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Accepts, ServeError, Tls};

/// Bytes read at first, to see what a connection is: most link messages fit.
const FIRST_READ: usize = 512;

/// Bytes TLS keeps for a kernel that takes no more: a record. What waits there can be replaced no more.
const TLS_WAITING: usize = 16 << 10;

/// Bytes of small records that are written together.
const TOGETHER: usize = 16 << 10;

/// A client's bytes, in TLS or as they are.
pub(crate) enum Wire<S: AsyncRead + AsyncWrite + Unpin> {
    Plain(Ahead<S>),
    Tls(Box<TlsStream<BufWriter<Ahead<S>>>>),
}

/// What the first bytes of a connection say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// A ClientHello of TLS.
    Tls,
    /// Something else: SPICE, if it is anything.
    Other,
}

impl First {
    /// `None` when more bytes are needed.
    const fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            // A handshake record of version 3.x: all versions of TLS there are.
            [0x16, 0x03, ..] => Some(Self::Tls),
            [] | [0x16] => None,
            _ => Some(Self::Other),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Finds out what an accepted connection is, up to the end of the TLS handshake if it is one.
    pub(crate) async fn accept(mut stream: S, accepts: Accepts, tls: Option<&Arc<Tls>>) -> Result<Self, ServeError> {
        let mut ahead = BytesMut::new();
        let tls = tls.filter(|_| accepts != Accepts::Plain);
        if let Some(tls) = tls {
            let first = loop {
                if let Some(first) = First::of(&ahead) {
                    break first;
                }
                ahead.reserve(FIRST_READ);
                if stream.read_buf(&mut ahead).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            };
            if first == First::Tls {
                return Self::handshake(Ahead { ahead, stream }, tls).await;
            }
        }
        Ok(Self::Plain(Ahead { ahead, stream }))
    }

    async fn handshake(stream: Ahead<S>, tls: &Arc<Tls>) -> Result<Self, ServeError> {
        let tls = Arc::clone(tls);
        // It looks whether files have changed, and reads them then.
        let config = tokio::task::spawn_blocking(move || tls.current())
            .await
            .map_err(|error| ServeError::Task(error.to_string()))?;
        let mut stream = TlsAcceptor::from(config)
            .accept(BufWriter::with_capacity(TOGETHER, stream))
            .await
            .map_err(ServeError::Tls)?;
        stream.get_mut().1.set_buffer_limit(Some(TLS_WAITING));
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Whether nobody on the way can read it.
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Wire<S> {
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            // Says good-bye if the kernel takes it at once, so that the client can tell an end from a cut.
            let _ = Pin::new(stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A stream of which some bytes have been read already, and are read again first.
pub(crate) struct Ahead<S> {
    ahead: BytesMut,
    stream: S,
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

    #[test]
    fn two_bytes_tell_tls_from_everything_else() {
        assert_eq!(First::of(b""), None);
        assert_eq!(First::of(b"\x16"), None);
        assert_eq!(First::of(b"\x16\x03"), Some(First::Tls));
        for other in [&b"R"[..], b"REDQ", b"GET ", b"\x16\x02", b"\x15\x03"] {
            assert_eq!(First::of(other), Some(First::Other), "{other:?}");
        }
    }

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
