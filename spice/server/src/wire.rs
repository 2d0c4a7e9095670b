//! What a connection's bytes are wrapped in: TLS or nothing, and in that WebSocket or nothing.

pub(crate) mod ahead;
pub(crate) mod frames;
pub(crate) mod request;
mod websocket;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadBuf};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::{ahead::Ahead, websocket::WebSocket};
use crate::{Accepts, Security, ServeError, Tls};

/// Bytes TLS keeps for a kernel that takes no more: a record. What waits there can be replaced no more.
const TLS_WAITING: usize = 16 << 10;

/// Bytes of small records that are written together.
const TOGETHER: usize = 16 << 10;

/// Bytes that are read behind a request that was refused: a connection that is closed with bytes unread is reset, and the
/// answer may be lost with it.
pub(crate) const LEFT_OVER: u64 = 64 << 10;

/// A client's bytes, in TLS or as they are.
pub(crate) enum Carrier<S> {
    Plain(Ahead<S>),
    Tls(Box<TlsStream<BufWriter<Ahead<S>>>>),
}

/// A client's bytes as SPICE sees them.
pub(crate) enum Wire<S: AsyncRead + AsyncWrite + Unpin> {
    Bare(Ahead<Carrier<S>>),
    Web(Box<WebSocket<Carrier<S>>>),
}

/// What the first bytes of a connection say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A ClientHello of TLS.
    Tls,
    /// A request of HTTP.
    Http,
    /// Something else: SPICE, if it is anything.
    Other,
}

impl First {
    /// `None` when more bytes are needed.
    const fn of(bytes: &[u8], may_be_tls: bool) -> Option<Self> {
        match bytes {
            // A handshake record of version 3.x: all versions of TLS there are.
            [0x16, 0x03, ..] if may_be_tls => Some(Self::Tls),
            [0x16] if may_be_tls => None,
            [b'G', b'E', b'T', b' ', ..] => Some(Self::Http),
            [] | [b'G'] | [b'G', b'E'] | [b'G', b'E', b'T'] => None,
            _ => Some(Self::Other),
        }
    }

    async fn look<S: AsyncRead + Unpin>(stream: &mut Ahead<S>, may_be_tls: bool) -> io::Result<Self> {
        loop {
            if let Some(first) = Self::of(&stream.ahead, may_be_tls) {
                return Ok(first);
            }
            stream.look().await?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Finds out what an accepted connection is, up to the end of the TLS handshake and of the answer to a request for
    /// WebSocket if it is that.
    ///
    /// `page` is where the page for browsers is, for those who ask for it here.
    pub(crate) async fn accept(
        stream: S,
        accepts: Accepts,
        security: &Security,
        page: Option<&str>,
    ) -> Result<Self, ServeError> {
        let (mut carrier, first) = Carrier::accept(stream, accepts, security).await?;
        if first != First::Http {
            return Ok(Self::Bare(carrier));
        }
        match request::answer(&mut carrier, &security.origins).await? {
            Ok(answer) => {
                carrier.write_all(answer.as_bytes()).await?;
                carrier.flush().await?;
                Ok(Self::web(carrier))
            }
            Err(refusal) => {
                let is_encrypted = carrier.stream.is_encrypted();
                carrier.write_all(&refusal.answer(is_encrypted, page)).await?;
                carrier.shutdown().await?;
                tokio::io::copy(&mut carrier.take(LEFT_OVER), &mut tokio::io::sink()).await?;
                Err(ServeError::Request(refusal.to_string()))
            }
        }
    }

    /// What follows on the answer to a request for WebSocket.
    pub(crate) fn web(carrier: Ahead<Carrier<S>>) -> Self {
        Self::Web(Box::new(WebSocket::new(carrier.stream, carrier.ahead)))
    }

    /// Whether nobody on the way can read it.
    pub(crate) const fn is_encrypted(&self) -> bool {
        match self {
            Self::Bare(stream) => stream.stream.is_encrypted(),
            Self::Web(stream) => stream.carrier().is_encrypted(),
        }
    }
}

impl<S> Carrier<S> {
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier<S> {
    /// Finds out what an accepted connection is, up to the end of the TLS handshake if it is that.
    pub(crate) async fn accept(
        stream: S,
        accepts: Accepts,
        security: &Security,
    ) -> Result<(Ahead<Self>, First), ServeError> {
        let mut stream = Ahead::new(stream);
        let tls = security.tls.as_ref().filter(|_| accepts != Accepts::Plain);
        let first = First::look(&mut stream, tls.is_some()).await?;
        match (first, tls) {
            (First::Tls, Some(tls)) => {
                let mut carrier = Ahead::new(Self::handshake(stream, tls).await?);
                let first = First::look(&mut carrier, false).await?;
                Ok((carrier, first))
            }
            _ => {
                let ahead = stream.ahead.split();
                let stream = Self::Plain(stream);
                Ok((Ahead { ahead, stream }, first))
            }
        }
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
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Wire<S> {
    fn drop(&mut self) {
        // Says good-bye if the kernel takes it at once, so that the client can tell an end from a cut.
        let mut cx = Context::from_waker(Waker::noop());
        let _ = match self {
            Self::Bare(stream) if !stream.stream.is_encrypted() => return,
            Self::Bare(stream) => Pin::new(stream).poll_shutdown(&mut cx),
            Self::Web(stream) => Pin::new(stream).poll_shutdown(&mut cx),
        };
    }
}

/// Makes a stream of an enum with a stream in each variant.
macro_rules! forward {
    ($name:ident: $first:ident, $second:ident) => {
        impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for $name<S> {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::$first(stream) => Pin::new(stream).poll_read(cx, buffer),
                    Self::$second(stream) => Pin::new(stream).poll_read(cx, buffer),
                }
            }
        }

        impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for $name<S> {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::$first(stream) => Pin::new(stream).poll_write(cx, bytes),
                    Self::$second(stream) => Pin::new(stream).poll_write(cx, bytes),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::$first(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
                    Self::$second(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    Self::$first(stream) => stream.is_write_vectored(),
                    Self::$second(stream) => stream.is_write_vectored(),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::$first(stream) => Pin::new(stream).poll_flush(cx),
                    Self::$second(stream) => Pin::new(stream).poll_flush(cx),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::$first(stream) => Pin::new(stream).poll_shutdown(cx),
                    Self::$second(stream) => Pin::new(stream).poll_shutdown(cx),
                }
            }
        }
    };
}

forward!(Carrier: Plain, Tls);
forward!(Wire: Bare, Web);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_tls_and_http_from_everything_else() {
        for (bytes, first) in [
            (&b""[..], None),
            (b"\x16", None),
            (b"\x16\x03", Some(First::Tls)),
            (b"G", None),
            (b"GE", None),
            (b"GET", None),
            (b"GET ", Some(First::Http)),
            (b"GET / HTTP/1.1", Some(First::Http)),
        ] {
            assert_eq!(First::of(bytes, true), first, "{bytes:?}");
        }
        for other in [&b"R"[..], b"REDQ", b"GOT ", b"GET\t", b"get ", b"\x16\x02", b"\x15\x03"] {
            assert_eq!(First::of(other, true), Some(First::Other), "{other:?}");
        }
        // Where no TLS is, or in it.
        for bytes in [&b"\x16"[..], b"\x16\x03"] {
            assert_eq!(First::of(bytes, false), Some(First::Other), "{bytes:?}");
        }
    }
}
