//! HTTP/1.1, as much of it as pages need: requests one after the other on a connection, each with its answer.

use std::{fmt, io, time::Duration};

use caraway_web::{Request as PageRequest, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::in_time;
pub use crate::wire::request::Request;
use crate::{
    Origins, ServeError, origins,
    wire::{LEFT_OVER, ahead::Ahead, request::Refusal},
};

/// Time for a request, from the answer to the one before it on; as long as the link stage of SPICE has.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests on one connection. A browser asks for the files of a page on six.
const MAX_REQUESTS: u32 = 100;
/// Bytes of an answer that a client has [`PATIENCE`] to take.
const PIECE: usize = 16 << 10;

/// A connection on which a client asks.
pub struct Exchange<S> {
    stream: Ahead<S>,
    is_encrypted: bool,
    /// Requests that may still come.
    left: u32,
}

impl<S> fmt::Debug for Exchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<S> {
    /// A connection that was accepted, without TLS.
    pub fn new(stream: S) -> Self {
        Self::over(Ahead::new(stream), false)
    }

    pub(crate) const fn over(stream: Ahead<S>, is_encrypted: bool) -> Self {
        Self {
            stream,
            is_encrypted,
            left: MAX_REQUESTS,
        }
    }

    pub(crate) const fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The next request with its body; `None` when no more is to come. Requests that make no sense are answered here.
    ///
    /// # Errors
    /// A client that is gone, takes too long, or asked for what makes no sense.
    pub async fn next(&mut self) -> Result<Option<Request>, ServeError> {
        if self.left == 0 {
            return Ok(None);
        }
        let is_first = self.left == MAX_REQUESTS;
        match in_time(PATIENCE, "send a request", self.read()).await {
            Ok(Some(Ok(request))) => {
                self.left -= 1;
                if !request.keeps_alive() {
                    self.left = 0;
                }
                Ok(Some(request))
            }
            Ok(Some(Err(refusal))) => {
                self.end_with(&refusal.response(self.is_encrypted, None)).await?;
                Err(ServeError::Request(refusal.to_string()))
            }
            Ok(None) => Ok(None),
            // It has asked for all that it wanted.
            Err(ServeError::Timeout { .. }) if !is_first && self.stream.ahead.is_empty() => {
                self.close().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn read(&mut self) -> Result<Option<Result<Request, Refusal>>, ServeError> {
        if self.stream.ahead.is_empty() {
            match self.stream.look().await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                looked => looked?,
            }
        }
        // What is no HTTP need not have an end.
        if !self.stream.ahead.first().is_some_and(u8::is_ascii_uppercase) {
            return Ok(Some(Err(Refusal::Malformed)));
        }
        let mut request = match Request::read(&mut self.stream).await? {
            Ok(request) => request,
            Err(refusal) => return Ok(Some(Err(refusal))),
        };
        match request.body_length() {
            Ok(length) => {
                let mut body = vec![0; length];
                self.stream.read_exact(&mut body).await?;
                request.set_body(body);
                Ok(Some(Ok(request)))
            }
            Err(refusal) => Ok(Some(Err(refusal))),
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// A client that is gone or does not take the answer.
    pub async fn answer(&mut self, request: &Request, response: &Response) -> Result<(), ServeError> {
        let keeps_alive = self.left > 0 && request.keeps_alive();
        // What would follow HEAD's answer would be taken for the beginning of the next one.
        let body = if request.method() == "HEAD" {
            &[]
        } else {
            response.body()
        };
        self.write(response, body, keeps_alive).await?;
        if keeps_alive { Ok(()) } else { self.close().await }
    }

    /// Answers a request, and no further one.
    ///
    /// # Errors
    /// As [`Exchange::answer`].
    pub async fn end_with(&mut self, response: &Response) -> Result<(), ServeError> {
        self.write(response, response.body(), false).await?;
        self.close().await
    }

    async fn write(&mut self, response: &Response, body: &[u8], keeps_alive: bool) -> Result<(), ServeError> {
        let mut bytes = response.head(keeps_alive).into_bytes();
        bytes.extend_from_slice(body);
        for piece in bytes.chunks(PIECE) {
            let stream = &mut self.stream;
            in_time(PATIENCE, "take an answer", async {
                stream.write_all(piece).await?;
                Ok(stream.flush().await?)
            })
            .await?;
        }
        Ok(())
    }

    /// Ends it, so that the client has read the last answer by then.
    async fn close(&mut self) -> Result<(), ServeError> {
        self.left = 0;
        let stream = &mut self.stream;
        in_time(PATIENCE, "close the connection", async {
            stream.shutdown().await?;
            tokio::io::copy(&mut stream.take(LEFT_OVER), &mut tokio::io::sink()).await?;
            Ok(())
        })
        .await
    }

    /// What comes behind the last request.
    pub(crate) fn into_stream(self) -> Ahead<S> {
        self.stream
    }

    /// The same, for who speaks something else on it.
    pub fn into_inner(self) -> impl AsyncRead + AsyncWrite + Unpin + use<S> {
        self.stream
    }
}

/// Whom a request names as its host, if pages of there may connect to this server: who is led here by another name than it
/// goes by is told what lets him in, and is shown nothing.
///
/// # Errors
/// What is to be answered.
pub fn check_host<'a>(request: &'a Request, origins: &Origins, is_encrypted: bool) -> Result<&'a str, Response> {
    let refused = |refusal: Refusal| refusal.response(is_encrypted, None);
    let host = request.host().map_err(refused)?;
    if origins.allow_host(host) {
        return Ok(host);
    }
    let scheme = if is_encrypted { "https" } else { "http" };
    let shown = origins::shown(&format!("{scheme}://{host}"));
    Err(refused(shown.map_or(Refusal::Header("Host"), Refusal::Origin)))
}

/// Whether a request for WebSocket is one, of a page that may connect to this server.
///
/// # Errors
/// What is to be answered.
pub fn check_upgrade(request: &Request, origins: &Origins) -> Result<(), Response> {
    let checked = request.upgrade(origins).map(drop);
    checked.map_err(|refusal| refusal.response(false, None))
}

/// Whether a request was made by a page that may connect to this server, or by no browser.
///
/// # Errors
/// What is to be answered.
pub fn check_origin(request: &Request, origins: &Origins) -> Result<(), Response> {
    let checked = request.host().and_then(|host| request.check_origin(origins, host));
    checked.map_err(|refusal| refusal.response(false, None))
}

/// A request for a file of the page at a path.
#[must_use]
pub fn for_page<'a>(request: &'a Request, path: &'a str, host: &'a str) -> PageRequest<'a> {
    PageRequest {
        method: request.method(),
        path,
        host,
        if_none_match: request.header("If-None-Match"),
        accept_encoding: request.header("Accept-Encoding"),
    }
}
