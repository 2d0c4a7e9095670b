//! The request a WebSocket begins with, and what else is answered to a browser.

use std::{fmt, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use caraway_web::{Response, Status};
use sha1::{Digest as _, Sha1};
use tokio::io::AsyncRead;

use super::ahead::Ahead;
use crate::{
    ServeError,
    origins::{self, Origins},
};

/// Bytes of a request, at most: the reference's figure.
const MAX_REQUEST: usize = 4096;
/// Header lines of a request, at most. Browsers send about 15.
const MAX_HEADERS: usize = 64;

/// Bytes of a body, at most.
const MAX_BODY: usize = 256;

/// The end of a request.
const END: &[u8] = b"\r\n\r\n";

/// What RFC 6455, 1.3, adds to the key.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes a key stands for.
const KEY_BYTES: usize = 16;

/// Why a request is answered with something else than WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is not HTTP/1.1")]
    Malformed,
    #[error("it has more than {MAX_REQUEST} bytes or {MAX_HEADERS} header lines")]
    TooLong,
    #[error("it does not ask for WebSocket")]
    NoUpgrade,
    #[error("it asks for another version of WebSocket than 13")]
    Version,
    #[error("{0} is missing, there twice or wrong")]
    Header(&'static str),
    #[error("it offers other protocols than \"binary\"")]
    Protocol,
    #[error("pages of {0} may not connect")]
    Origin(String),
    #[error("it has a body that it does not need, has more than {MAX_BODY} bytes, or does not say how many they are")]
    Body,
}

impl Refusal {
    /// What the client is told; `page` is where the page for browsers is, if there is one.
    pub(crate) fn response(&self, is_encrypted: bool, page: Option<&str>) -> Response {
        let refused = || format!("The request is refused: {self}.\n");
        match self {
            Self::Malformed | Self::Header(_) | Self::Protocol => Response::text(Status::BAD_REQUEST, refused()),
            Self::Body => Response::text(Status::CONTENT_TOO_LARGE, refused()),
            Self::TooLong => Response::text(
                Status::HEADERS_TOO_LARGE,
                format!("The request is refused: {self}. Cookies may be the reason.\n"),
            ),
            Self::NoUpgrade => {
                let scheme = if is_encrypted { "wss" } else { "ws" };
                let page = match page {
                    Some(page) => format!("Its page for browsers is elsewhere: {page}."),
                    None => "There is no page here.".to_owned(),
                };
                let text = format!(
                    "This is the screen of a virtual machine, for SPICE clients such as remote-viewer, and for pages that \
                     connect by WebSocket ({scheme}://). {page}\n"
                );
                Response::text(Status::UPGRADE_REQUIRED, text).with("Upgrade", "websocket")
            }
            Self::Version => Response::text(Status::UPGRADE_REQUIRED, refused())
                .with("Upgrade", "websocket")
                .with("Sec-WebSocket-Version", "13"),
            Self::Origin(origin) => Response::text(
                Status::FORBIDDEN,
                format!(
                    "Pages of {origin} may not connect to this virtual machine. Its configuration allows them with \
                     origins = [\"{origin}\"] in [spice].\n"
                ),
            ),
        }
    }

    /// The same, as it goes over the wire.
    pub(crate) fn answer(&self, is_encrypted: bool, page: Option<&str>) -> Vec<u8> {
        let response = self.response(is_encrypted, page);
        let mut answer = response.head(false).into_bytes();
        answer.extend_from_slice(response.body());
        answer
    }
}

/// Reads a request, and nothing behind it. What is to be answered to it for WebSocket to follow, or why it cannot.
pub(super) async fn answer<S: AsyncRead + Unpin>(
    stream: &mut Ahead<S>,
    origins: &Origins,
) -> Result<Result<String, Refusal>, ServeError> {
    let request = Request::read(stream).await?;
    Ok(request.and_then(|request| request.upgrade(origins)))
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    method: String,
    target: String,
    /// Of HTTP/1.x, the x.
    version: u8,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold a ticket.
        write!(f, "Request({:?} {:?})", self.method, self.target)
    }
}

impl Request {
    /// Reads a request, and nothing behind it.
    pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut Ahead<S>) -> Result<Result<Self, Refusal>, ServeError> {
        let mut searched = 0;
        let end = loop {
            let unseen = stream.ahead.get(searched..).unwrap_or_default();
            if let Some(at) = unseen.windows(END.len()).position(|bytes| bytes == END) {
                break searched + at + END.len();
            }
            if stream.ahead.len() >= MAX_REQUEST {
                return Ok(Err(Refusal::TooLong));
            }
            // Its beginning may have come.
            searched = stream.ahead.len().saturating_sub(END.len() - 1);
            stream.look().await?;
        };
        if end > MAX_REQUEST {
            return Ok(Err(Refusal::TooLong));
        }
        Ok(Self::parse(&stream.ahead.split_to(end)))
    }

    /// Takes a whole request apart.
    pub(crate) fn parse(request: &[u8]) -> Result<Self, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(request) {
            // A line that ends with LF alone ends it sooner.
            Ok(httparse::Status::Complete(bytes)) if bytes == request.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
            _ => return Err(Refusal::Malformed),
        }
        // One that is no text is empty.
        let text = |value| str::from_utf8(value).unwrap_or_default().trim().to_owned();
        let headers = parsed.headers.iter();
        Ok(Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            version: parsed.version.unwrap_or_default(),
            headers: headers
                .map(|header| (header.name.to_owned(), text(header.value)))
                .collect(),
            body: Vec::new(),
        })
    }

    /// Bytes of the body that follows. Only POST has one.
    pub(crate) fn body_length(&self) -> Result<usize, Refusal> {
        if self.all("Transfer-Encoding").next().is_some() {
            return Err(Refusal::Body);
        }
        let Some(length) = self.one("Content-Length")? else {
            return Ok(0);
        };
        // Only digits: a sign would be a number, too.
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let most = if self.method == "POST" { MAX_BODY } else { 0 };
        match length.parse() {
            Ok(length) if is_number && length <= most => Ok(length),
            _ if is_number => Err(Refusal::Body),
            _ => Err(Refusal::Header("Content-Length")),
        }
    }

    pub(crate) fn set_body(&mut self, body: Vec<u8>) {
        self.body = body;
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The answer with which WebSocket begins, or why there is none.
    pub(crate) fn upgrade(&self, origins: &Origins) -> Result<String, Refusal> {
        if !self.asks_for_websocket() {
            return Err(Refusal::NoUpgrade);
        }
        if self.version != 1 {
            return Err(Refusal::Malformed);
        }
        if !self.has_word("Connection", "upgrade") {
            return Err(Refusal::Header("Connection"));
        }
        if self.one("Sec-WebSocket-Version")? != Some("13") {
            return Err(Refusal::Version);
        }
        let host = self.host()?;
        let key = self.one("Sec-WebSocket-Key")?.unwrap_or_default();
        if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES) {
            return Err(Refusal::Header("Sec-WebSocket-Key"));
        }
        let mut offered = self.all("Sec-WebSocket-Protocol").peekable();
        let offers = offered.peek().is_some();
        if offers && !offered.flat_map(words).any(|word| word == "binary") {
            return Err(Refusal::Protocol);
        }
        self.check_origin(origins, host)?;
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
            accept(key)
        );
        if offers {
            // Memory does not fail to be written to.
            let _ = answer.write_str("Sec-WebSocket-Protocol: binary\r\n");
        }
        answer.push_str("\r\n");
        Ok(answer)
    }

    /// Whether pages of where this one is from may connect. Who says nothing of it is no browser.
    pub(crate) fn check_origin(&self, origins: &Origins, host: &str) -> Result<(), Refusal> {
        match self.one("Origin")? {
            Some(origin) if !origins.allow(origin, host) => {
                Err(origins::shown(origin).map_or(Refusal::Header("Origin"), Refusal::Origin))
            }
            _ => Ok(()),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What is asked for: a path, and what is behind it.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path of what is asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether it is to become a WebSocket.
    #[must_use]
    pub fn asks_for_websocket(&self) -> bool {
        self.has_word("Upgrade", "websocket")
    }

    /// Whether it is of HTTP/1.1, and the client may ask for more on the same connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.version == 1 && !self.has_word("Connection", "close")
    }

    /// Whom it names as its host.
    pub(crate) fn host(&self) -> Result<&str, Refusal> {
        self.one("Host")?.ok_or(Refusal::Header("Host"))
    }

    /// The values of a header, which is known by its name in any letters.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let of_name = move |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().filter(of_name).map(|(_, value)| value.as_str())
    }

    /// The value of a header that may be there once.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::Header(name)),
        }
    }

    /// The value of a header; one that is there several times counts as not there.
    #[must_use]
    pub fn header(&self, name: &'static str) -> Option<&str> {
        self.one(name).ok().flatten()
    }

    fn has_word(&self, name: &'static str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(words);
        words.any(|found| found.eq_ignore_ascii_case(word))
    }
}

/// What shows that the key was read.
fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize())
}

/// The parts of a value that is a list.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
