//! Arguments of `set_password` and `expire_password`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;

use crate::{Connected, QmpError, Role, wire};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPassword {
    protocol: String,
    password: String,
    #[serde(default)]
    connected: Connected,
    #[serde(default, rename = "x-caraway-role")]
    role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpirePassword {
    protocol: String,
    time: String,
    #[serde(default, rename = "x-caraway-role")]
    role: Role,
}

/// Whose password, the password, and what happens to those who are connected.
pub(crate) fn set(arguments: Value) -> Result<(Role, String, Connected), QmpError> {
    let SetPassword {
        protocol,
        password,
        connected,
        role,
    } = wire::arguments(arguments)?;
    check_protocol(&protocol)?;
    Ok((role, password, connected))
}

/// Whose password expires, and after what time; `None` is never.
pub(crate) fn expire(arguments: Value) -> Result<(Role, Option<Duration>), QmpError> {
    let ExpirePassword { protocol, time, role } = wire::arguments(arguments)?;
    check_protocol(&protocol)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((role, lifetime(&time, now)?))
}

fn check_protocol(protocol: &str) -> Result<(), QmpError> {
    match protocol {
        "spice" => Ok(()),
        "vnc" => Err(QmpError::generic(
            "Invalid parameter 'protocol': there is no VNC server",
        )),
        other => Err(QmpError::generic(format!(
            "Parameter 'protocol' does not accept value '{other}'"
        ))),
    }
}

/// `now`, `never`, `+SEC` from now, or SEC since 1970.
fn lifetime(time: &str, now: Duration) -> Result<Option<Duration>, QmpError> {
    let seconds = |text: &str| match text.parse::<u64>() {
        // A sign would be read as part of the number.
        Ok(seconds) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Duration::from_secs(seconds)),
        _ => Err(QmpError::generic(format!(
            "Invalid parameter 'time': {time:?} is none of now, never, +SECONDS and SECONDS since 1970"
        ))),
    };
    match (time, time.strip_prefix('+')) {
        ("now", _) => Ok(Some(Duration::ZERO)),
        ("never", _) => Ok(None),
        (_, Some(text)) => seconds(text).map(Some),
        (text, None) => seconds(text).map(|at| Some(at.saturating_sub(now))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_now_or_from_1970() {
        let now = Duration::from_secs(1_000_000);
        let seconds = |time| lifetime(time, now).map(|after| after.map(|after| after.as_secs()));
        assert_eq!(seconds("now"), Ok(Some(0)));
        assert_eq!(seconds("never"), Ok(None));
        assert_eq!(seconds("+60"), Ok(Some(60)));
        assert_eq!(seconds("1000007"), Ok(Some(7)));
        assert_eq!(seconds("7"), Ok(Some(0)));
        for wrong in ["", "+", "-1", "++1", "soon", "1.5", "99999999999999999999", "+ 1"] {
            let error = seconds(wrong).unwrap_err();
            assert!(error.desc.starts_with("Invalid parameter 'time': "), "{wrong}");
        }
    }
}
