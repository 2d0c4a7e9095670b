//! The request a WebSocket begins with, and what else is answered to a browser.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
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
}

impl Refusal {
    /// What the client is told.
    pub(super) fn answer(&self, is_encrypted: bool) -> String {
        let scheme = if is_encrypted { "wss" } else { "ws" };
        let (status, more, text) = match self {
            Self::Malformed | Self::Header(_) => ("400 Bad Request", "", format!("The request is refused: {self}.\n")),
            Self::TooLong => (
                "431 Request Header Fields Too Large",
                "",
                format!("The request is refused: {self}. Cookies may be the reason.\n"),
            ),
            Self::NoUpgrade => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\n",
                format!(
                    "This is the screen of a virtual machine, for SPICE clients such as remote-viewer, and for pages that \
                     connect by WebSocket ({scheme}://). There is no page here.\n"
                ),
            ),
            Self::Version => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                format!("The request is refused: {self}.\n"),
            ),
            Self::Protocol => ("400 Bad Request", "", format!("The request is refused: {self}.\n")),
            Self::Origin(origin) => (
                "403 Forbidden",
                "",
                format!(
                    "Pages of {origin} may not connect to this virtual machine. Its configuration allows them with \
                     origins = [\"{origin}\"] in [spice].\n"
                ),
            ),
        };
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{more}Content-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }
}

/// Reads a request, and nothing behind it. What is to be answered to it for WebSocket to follow, or why it cannot.
pub(super) async fn answer<S: AsyncRead + Unpin>(
    stream: &mut Ahead<S>,
    origins: &Origins,
) -> Result<Result<String, Refusal>, ServeError> {
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
    Ok(upgrade(&stream.ahead.split_to(end), origins))
}

/// The answer to a whole request.
fn upgrade(request: &[u8], origins: &Origins) -> Result<String, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        // A line that ends with LF alone ends it sooner.
        Ok(httparse::Status::Complete(bytes)) if bytes == request.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
        _ => return Err(Refusal::Malformed),
    }
    let headers = Headers(parsed.headers);
    if !headers.has_word("Upgrade", "websocket") {
        return Err(Refusal::NoUpgrade);
    }
    if parsed.version != Some(1) {
        return Err(Refusal::Malformed);
    }
    if !headers.has_word("Connection", "upgrade") {
        return Err(Refusal::Header("Connection"));
    }
    if headers.one("Sec-WebSocket-Version")? != Some("13") {
        return Err(Refusal::Version);
    }
    let host = headers.one("Host")?.ok_or(Refusal::Header("Host"))?;
    let key = headers.one("Sec-WebSocket-Key")?.unwrap_or_default();
    if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES) {
        return Err(Refusal::Header("Sec-WebSocket-Key"));
    }
    let mut offered = headers.all("Sec-WebSocket-Protocol").peekable();
    let offers = offered.peek().is_some();
    if offers && !offered.flat_map(words).any(|word| word == "binary") {
        return Err(Refusal::Protocol);
    }
    if let Some(origin) = headers.one("Origin")?
        && !origins.allow(origin, host)
    {
        return Err(origins::shown(origin).map_or(Refusal::Header("Origin"), Refusal::Origin));
    }
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

/// What shows that the key was read.
fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize())
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The values of a header, which is known by its name in any letters. One that is no text is empty.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let of_name = move |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        let text = |header: &httparse::Header<'a>| str::from_utf8(header.value).unwrap_or_default().trim();
        self.0.iter().filter(of_name).map(text)
    }

    /// The value of a header that may be there once.
    fn one(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::Header(name)),
        }
    }

    fn has_word(&self, name: &'static str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(words);
        words.any(|found| found.eq_ignore_ascii_case(word))
    }
}

/// The parts of a value that is a list.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
