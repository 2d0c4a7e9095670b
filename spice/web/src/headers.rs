//! What every answer tells the browser about what a page may do.

use std::fmt::Write as _;

/// The longest `Host` that becomes part of a policy: a name of 253 bytes and a port.
const MAX_HOST: usize = 260;

/// The same for every answer.
pub(crate) const ALWAYS: &[(&str, &str)] = &[
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), clipboard-read=(self), clipboard-write=(self), display-capture=(), fullscreen=(self), geolocation=(), \
         keyboard-map=(self), microphone=(self), payment=(), usb=()",
    ),
];

/// `Content-Security-Policy` of a page that was asked for at this host: everything is from there, nothing is inline, nothing
/// is evaluated, nobody frames it.
///
/// `'self'` is the page's scheme in CSP 2, and its WebSocket with it only in CSP 3, which not all browsers follow there: so
/// the host is named for `ws:` and `wss:` as well. An address of IPv6 cannot be named in a policy.
#[must_use]
pub fn policy(host: &str) -> String {
    let mut connect = String::from("'self'");
    if can_be_named(host) {
        // Memory does not fail to be written to.
        let _ = write!(connect, " ws://{host} wss://{host}");
    }
    format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
         connect-src {connect}; media-src blob:; font-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Whether it is a name or an address with or without a port, and nothing else that would say more in a policy.
fn can_be_named(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty()
        && host.len() <= MAX_HOST
        && name.bytes().all(in_name)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
}
