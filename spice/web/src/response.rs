//! An answer of HTTP/1.1, and its bytes.

use std::{borrow::Cow, fmt::Write as _};

use crate::headers;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The number.
    pub code: u16,
    /// The words behind it.
    pub reason: &'static str,
}

impl Status {
    /// Here it is.
    pub const OK: Self = Self::new(200, "OK");
    /// Done, and there is nothing to say.
    pub const NO_CONTENT: Self = Self::new(204, "No Content");
    /// It is somewhere else, for the same method.
    pub const PERMANENT_REDIRECT: Self = Self::new(308, "Permanent Redirect");
    /// The client has it.
    pub const NOT_MODIFIED: Self = Self::new(304, "Not Modified");
    /// The request makes no sense.
    pub const BAD_REQUEST: Self = Self::new(400, "Bad Request");
    /// The ticket is missing or wrong.
    pub const UNAUTHORIZED: Self = Self::new(401, "Unauthorized");
    /// Whoever asks may not.
    pub const FORBIDDEN: Self = Self::new(403, "Forbidden");
    /// There is none.
    pub const NOT_FOUND: Self = Self::new(404, "Not Found");
    /// Not by this method.
    pub const METHOD_NOT_ALLOWED: Self = Self::new(405, "Method Not Allowed");
    /// Not as things are.
    pub const CONFLICT: Self = Self::new(409, "Conflict");
    /// A body that does not say how long it is.
    pub const LENGTH_REQUIRED: Self = Self::new(411, "Length Required");
    /// A body that is longer than any that makes sense.
    pub const CONTENT_TOO_LARGE: Self = Self::new(413, "Content Too Large");
    /// The protocol has to be another one.
    pub const UPGRADE_REQUIRED: Self = Self::new(426, "Upgrade Required");
    /// The request is longer than any that makes sense.
    pub const HEADERS_TOO_LARGE: Self = Self::new(431, "Request Header Fields Too Large");
    /// Something behind this server does not answer.
    pub const BAD_GATEWAY: Self = Self::new(502, "Bad Gateway");
    /// Too many at once.
    pub const SERVICE_UNAVAILABLE: Self = Self::new(503, "Service Unavailable");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// What is in an answer.
pub type Body = Cow<'static, [u8]>;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    status: Status,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The length that is said; `None` where an answer has no body by its status.
    length: Option<usize>,
    body: Body,
    policy: Option<String>,
}

impl Response {
    /// An answer with a body of this type.
    #[must_use]
    pub fn new(status: Status, kind: &'static str, body: impl Into<Body>) -> Self {
        let body = body.into();
        Self {
            headers: vec![("Content-Type", Cow::Borrowed(kind))],
            length: Some(body.len()),
            body,
            ..Self::empty(status)
        }
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(status: Status) -> Self {
        // RFC 9110, 8.6: these two have none, and say no length.
        let has_none = matches!(status.code, 204 | 304);
        Self {
            status,
            headers: Vec::new(),
            length: (!has_none).then_some(0),
            body: Cow::Borrowed(&[]),
            policy: None,
        }
    }

    /// Words for a person, that are not kept.
    #[must_use]
    pub fn text(status: Status, text: impl Into<String>) -> Self {
        let body = text.into().into_bytes();
        Self::new(status, "text/plain; charset=utf-8", body).with("Cache-Control", "no-store")
    }

    /// Facts for a script, that are not kept. The caller says them in JSON.
    #[must_use]
    pub fn json(json: impl Into<String>) -> Self {
        let body = json.into().into_bytes();
        Self::new(Status::OK, "application/json", body).with("Cache-Control", "no-store")
    }

    /// Says by which methods the request could be made.
    #[must_use]
    pub fn not_allowed(methods: &'static str) -> Self {
        Self::text(
            Status::METHOD_NOT_ALLOWED,
            format!("This can be asked for by {methods} alone.\n"),
        )
        .with("Allow", methods)
    }

    /// Says where it is, as the browser sees it from where it asked.
    #[must_use]
    pub fn redirect(to: String) -> Self {
        Self::text(Status::PERMANENT_REDIRECT, "It is one level deeper.\n").with("Location", to)
    }

    /// With a header more. Bytes that would end its line are left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        let value: Cow<'static, str> = value.into();
        let value = if value.contains(|letter: char| letter.is_control()) {
            Cow::Owned(value.replace(|letter: char| letter.is_control(), ""))
        } else {
            value
        };
        self.headers.push((name, value));
        self
    }

    /// With the policy of a page at this host; without one it is that of a page nobody connects from.
    #[must_use]
    pub fn for_host(mut self, host: &str) -> Self {
        self.policy = Some(headers::policy(host));
        self
    }

    /// What HEAD is answered with: the same, but for the body itself.
    #[must_use]
    pub fn without_body(mut self, without: bool) -> Self {
        if without {
            self.body = Cow::Borrowed(&[]);
        }
        self
    }

    /// What came of the request.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The value of a header of this answer, besides those that all have.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Everything before the body, as it goes over the wire; whether another request may follow on the connection.
    #[must_use]
    pub fn head(&self, keep_alive: bool) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status.code, self.status.reason);
        let mut line = |name: &str, value: &str| {
            // Memory does not fail to be written to.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        line("Connection", if keep_alive { "keep-alive" } else { "close" });
        for (name, value) in &self.headers {
            line(name, value);
        }
        let nowhere = || headers::policy("");
        line("Content-Security-Policy", &self.policy.clone().unwrap_or_else(nowhere));
        for (name, value) in headers::ALWAYS {
            line(name, value);
        }
        if let Some(length) = self.length {
            line("Content-Length", &length.to_string());
        }
        head.push_str("\r\n");
        head
    }
}
