//! The page that shows a screen in a browser, and the answers to requests for its files.
//!
//! The files of `page/` are part of the program. [`page`] is a function from a request to its answer: it reads no file,
//! waits for nothing, and knows neither sockets nor the server. What else there is at an address (SPICE by WebSocket,
//! facts about a VM) is the caller's, who says it with the constructors of [`Response`], so that every answer has the same
//! headers.
#![forbid(unsafe_code)]

mod headers;
mod response;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use headers::policy;
pub use response::{Body, Response, Status};

/// A file of the page.
#[derive(Clone, Copy, Debug)]
struct File {
    /// Where it is, from the page's own folder on.
    path: &'static str,
    /// What it is: the value of `Content-Type`.
    kind: &'static str,
    /// Of its content: another content has another one.
    tag: &'static str,
    body: &'static [u8],
    /// The same by gzip, where that is shorter.
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page of one VM, for [`page`].
pub const SCREEN: &str = "index.html";
/// The page that lists VMs.
pub const LIST: &str = "list.html";

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method, in capital letters.
    pub method: &'a str,
    /// The path from the page's own folder on, beginning with `/`; a query is passed over.
    pub path: &'a str,
    /// Whom the request names as its host (`Host`), with the port. It becomes part of the policy.
    pub host: &'a str,
    /// `If-None-Match`, if it is there.
    pub if_none_match: Option<&'a str>,
    /// `Accept-Encoding`, if it is there.
    pub accept_encoding: Option<&'a str>,
}

/// The answer to a request for a file of the page; `index` is the one at `/`.
///
/// 200 with the file, by gzip where that is shorter and accepted; 304 when the client has it; 404 when there is none; 405
/// for methods other than GET and HEAD.
#[must_use]
pub fn page(request: &Request<'_>, index: &str) -> Response {
    let is_head = request.method == "HEAD";
    if !is_head && request.method != "GET" {
        return Response::not_allowed("GET, HEAD").for_host(request.host);
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let name = match path.strip_prefix('/') {
        Some("") => index,
        Some(name) => name,
        None => path,
    };
    let Ok(found) = FILES.binary_search_by(|file| file.path.cmp(name)) else {
        return Response::text(Status::NOT_FOUND, "There is no such file here.\n")
            .for_host(request.host)
            .without_body(is_head);
    };
    FILES
        .get(found)
        .map_or_else(|| Response::empty(Status::NOT_FOUND), |file| file.answer(request))
        .for_host(request.host)
        .without_body(is_head)
}

/// Bytes of all files as they are sent to a browser that takes gzip, which all do.
#[must_use]
pub fn weight() -> usize {
    FILES.iter().map(|file| file.gzip.unwrap_or(file.body).len()).sum()
}

impl File {
    fn answer(&self, request: &Request<'_>) -> Response {
        let gzip = self.gzip.filter(|_| accepts_gzip(request.accept_encoding));
        let tag = match gzip {
            Some(_) => format!("\"{}-gzip\"", self.tag),
            None => format!("\"{}\"", self.tag),
        };
        let is_known = request.if_none_match.is_some_and(|tags| names(tags, &tag));
        let response = if is_known {
            Response::empty(Status::NOT_MODIFIED)
        } else {
            Response::new(Status::OK, self.kind, Cow::Borrowed(gzip.unwrap_or(self.body)))
        };
        // The browser keeps it and asks each time whether it is still the one there is: after the program was replaced no
        // module of before meets one of after.
        let response = response.with("ETag", tag).with("Cache-Control", "no-cache");
        let response = match self.gzip {
            Some(_) => response.with("Vary", "Accept-Encoding"),
            None => response,
        };
        match gzip {
            Some(_) if !is_known => response.with("Content-Encoding", "gzip"),
            _ => response,
        }
    }
}

/// Whether a list of tags has this one. Weak ones count, as RFC 9110, 13.1.2, says.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',')
        .map(|known| known.trim())
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Whether `Accept-Encoding` has gzip, and not with the weight 0.
fn accepts_gzip(accepted: Option<&str>) -> bool {
    accepted.unwrap_or_default().split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        is_gzip && !parts.any(is_zero)
    })
}

/// Whether a parameter is the weight 0.
fn is_zero(parameter: &str) -> bool {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    value.is_some_and(|value| value.trim().bytes().all(|byte| matches!(byte, b'0' | b'.')))
}
