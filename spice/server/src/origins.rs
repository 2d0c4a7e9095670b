//! Which pages may connect: what a browser says in `Origin`, against what is allowed.
//!
//! A browser lets any page open a WebSocket to any address, this machine's own among them, and tells the server which page
//! it is. Programs that are no browsers send no `Origin`, and are let in: who can reach the port without a browser can say
//! what he likes.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Origins that may be listed.
const MAX_ORIGINS: usize = 64;
/// The longest name of a host.
const MAX_NAME: usize = 253;

/// Why an origin cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// It is none.
    #[error("{0:?} is neither \"SCHEME://HOST\" nor \"SCHEME://HOST:PORT\" nor \"null\" nor \"*\"")]
    Malformed(String),
    /// There are too many.
    #[error("{0} origins, at most {MAX_ORIGINS}")]
    TooMany(usize),
}

/// The pages that may connect by WebSocket. By default those of the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    all: bool,
    /// Pages that have no origin, those in files and in sandboxes: they cannot be told apart.
    null: bool,
    listed: Vec<WebOrigin>,
    /// What this server is called.
    names: Vec<Host>,
}

impl Origins {
    /// Those listed, besides the server's own: `"https://example.org"`, with `":PORT"` where it is not the scheme's usual
    /// one; `"null"`; `"*"` for all.
    ///
    /// # Errors
    /// The first that is no origin.
    pub fn new<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let mut origins = Self::default();
        for text in list {
            match text {
                "*" => origins.all = true,
                "null" => origins.null = true,
                _ => {
                    let origin = WebOrigin::parse(text).ok_or_else(|| OriginError::Malformed(text.to_owned()))?;
                    origins.listed.push(origin);
                }
            }
        }
        match origins.listed.len() {
            count if count > MAX_ORIGINS => Err(OriginError::TooMany(count)),
            _ => Ok(origins),
        }
    }

    /// The same, for a server that goes by these names. What is no host's name is passed over.
    #[must_use]
    pub fn with_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.names.extend(names.into_iter().filter_map(Host::of_name));
        self
    }

    /// Whether a page may connect, by `Origin` and `Host` of its request.
    pub(crate) fn allow(&self, origin: &str, host: &str) -> bool {
        if self.all {
            return true;
        }
        if origin == "null" {
            return self.null;
        }
        let Some(origin) = WebOrigin::parse(origin) else {
            return false;
        };
        self.listed.contains(&origin) || self.is_own(&origin, host)
    }

    /// Whether a page that is asked for at this host may connect to it, by either scheme: others may be on the way, and speak
    /// TLS towards the browser.
    pub(crate) fn allow_host(&self, host: &str) -> bool {
        ["http", "https"]
            .iter()
            .any(|scheme| self.allow(&format!("{scheme}://{host}"), host))
    }

    /// Whether the page came from where it connects to. The name of that is what whoever made the page says: a name of
    /// his that leads to 127.0.0.1 would make any page the server's own. So it has to be an address, or a name that is
    /// this server's.
    fn is_own(&self, origin: &WebOrigin, host: &str) -> bool {
        let Some((host, port)) = split_port(host) else {
            return false;
        };
        let Some(host) = Host::parse(host) else { return false };
        let is_ours = match &host {
            Host::V4(_) | Host::V6(_) => true,
            Host::Name(name) => name == "localhost" || self.names.contains(&host),
        };
        // Without a port in it, `Host` is of the scheme the browser connects with, which the page's goes with.
        let usual = usual_port(&origin.scheme);
        // Schemes without one are no web server's.
        is_ours && usual.is_some() && origin.host == host && origin.port == port.or(usual)
    }
}

/// Where a page is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebOrigin {
    scheme: String,
    host: Host,
    /// `None` where the scheme has no usual one, as those of a browser's extensions.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// In small letters.
    Name(String),
}

impl WebOrigin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(in_scheme) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(rest)?;
        Some(Self {
            host: Host::parse(host)?,
            port: port.or_else(|| usual_port(&scheme)),
            scheme,
        })
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.host {
            Host::V4(address) => write!(f, "{address}")?,
            Host::V6(address) => write!(f, "[{address}]")?,
            Host::Name(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) if usual_port(&self.scheme) != Some(port) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

impl Host {
    /// As in an address bar: IPv6 in brackets.
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return inner.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        // Names in other letters come in their ASCII form.
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_name = !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(in_name);
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// As a certificate has it: IPv6 without brackets.
    fn of_name(text: &str) -> Option<Self> {
        text.parse().map(Self::V6).ok().or_else(|| Self::parse(text))
    }
}

/// What is before the port, and the port, if there is one; `None` when that is not a number.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let at = text
        .rfind(':')
        .filter(|at| !text.get(*at..).unwrap_or_default().contains(']'));
    match at.and_then(|at| text.split_at_checked(at)) {
        None => Some((text, None)),
        Some((host, port)) => {
            let digits = port.strip_prefix(':')?;
            let port = digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())??;
            Some((host, Some(port)))
        }
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// An origin that a client sent, as it would be listed; `None` when it is none.
pub(crate) fn shown(origin: &str) -> Option<String> {
    match origin {
        "null" => Some(origin.to_owned()),
        _ => WebOrigin::parse(origin).map(|origin| origin.to_string()),
    }
}

#[cfg(test)]
#[path = "origins_tests.rs"]
mod tests;
