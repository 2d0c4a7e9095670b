//! Requests and replies as JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{QmpError, backend::Event};

/// A request, before its command is known.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    /// The command.
    pub(crate) command: String,
    /// Its arguments, an empty object when there were none.
    pub(crate) arguments: Value,
    /// Echoed in the reply.
    pub(crate) id: Option<Value>,
}

/// Parses one request. The id comes back with the error where one could be read.
pub(crate) fn parse_request(line: &[u8]) -> Result<Request, (QmpError, Option<Value>)> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|error| (QmpError::generic(format!("JSON parse error, {error}")), None))?;
    let Value::Object(mut object) = value else {
        return Err((QmpError::generic("QMP input must be a JSON object"), None));
    };
    let id = object.remove("id");
    match request_of(object) {
        Ok((command, arguments)) => Ok(Request { command, arguments, id }),
        Err(error) => Err((error, id)),
    }
}

fn request_of(mut object: Map<String, Value>) -> Result<(String, Value), QmpError> {
    let command = match object.remove("execute") {
        Some(Value::String(command)) => command,
        Some(_) => return Err(QmpError::generic("QMP input member 'execute' must be a string")),
        None => return Err(QmpError::generic("QMP input lacks member 'execute'")),
    };
    let arguments = match object.remove("arguments") {
        None => Value::Object(Map::new()),
        Some(arguments @ Value::Object(_)) => arguments,
        Some(_) => return Err(QmpError::generic("QMP input member 'arguments' must be an object")),
    };
    if let Some(key) = object.keys().next() {
        return Err(QmpError::generic(format!("QMP input member '{key}' is unexpected")));
    }
    Ok((command, arguments))
}

/// Typed arguments; errors are worded as QEMU words them.
pub(crate) fn arguments<T: DeserializeOwned>(value: Value) -> Result<T, QmpError> {
    T::deserialize(value).map_err(|error| {
        let text = error.to_string();
        let quoted = |prefix: &str| {
            text.strip_prefix(prefix)
                .and_then(|rest| rest.split('`').nth(1))
                .map(ToOwned::to_owned)
        };
        QmpError::generic(if let Some(name) = quoted("unknown field ") {
            format!("Parameter '{name}' is unexpected")
        } else if let Some(name) = quoted("missing field ") {
            format!("Parameter '{name}' is missing")
        } else {
            format!("Invalid parameter: {text}")
        })
    })
}

pub(crate) fn greeting() -> Value {
    json!({"QMP": {"version": version(), "capabilities": []}})
}

/// The version of QEMU whose commands these are; `package` says who speaks.
pub(crate) fn version() -> Value {
    json!({
        "qemu": {"major": 7, "minor": 2, "micro": 0},
        "package": format!("caraway {}", env!("CARGO_PKG_VERSION")),
    })
}

pub(crate) fn reply(result: Result<Value, QmpError>, id: Option<Value>) -> Value {
    let mut object = Map::new();
    match result {
        Ok(value) => object.insert("return".to_owned(), value),
        Err(error) => object.insert("error".to_owned(), json!({"class": error.class, "desc": error.desc})),
    };
    if let Some(id) = id {
        object.insert("id".to_owned(), id);
    }
    Value::Object(object)
}

pub(crate) fn event(event: &Event) -> Value {
    let (name, data) = match event {
        Event::Stop => ("STOP", None),
        Event::Resume => ("RESUME", None),
        Event::Powerdown => ("POWERDOWN", None),
        Event::Reset { guest } => {
            let reason = if *guest { "guest-reset" } else { "host-qmp-system-reset" };
            ("RESET", Some(json!({"guest": guest, "reason": reason})))
        }
        Event::Shutdown { guest, reason } => ("SHUTDOWN", Some(json!({"guest": guest, "reason": reason}))),
        // The machine ends.
        Event::GuestPanicked => ("GUEST_PANICKED", Some(json!({"action": "poweroff"}))),
        Event::Migration { status } => ("MIGRATION", Some(json!({"status": status.word()}))),
        Event::SpiceMigrateCompleted => ("SPICE_MIGRATE_COMPLETED", None),
        Event::MigrationPass { pass } => ("MIGRATION_PASS", Some(json!({"pass": pass}))),
        Event::SpiceConnected { server, client } => {
            ("SPICE_CONNECTED", Some(json!({"server": server, "client": client})))
        }
        Event::SpiceInitialized { server, auth, channel } => {
            let mut with_auth = json!(server);
            if let Some(object) = with_auth.as_object_mut() {
                object.insert("auth".to_owned(), json!(auth));
            }
            (
                "SPICE_INITIALIZED",
                Some(json!({"server": with_auth, "client": channel})),
            )
        }
        Event::SpiceDisconnected { server, client } => {
            ("SPICE_DISCONNECTED", Some(json!({"server": server, "client": client})))
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut object = json!({
        "event": name,
        "timestamp": {"seconds": now.as_secs(), "microseconds": now.subsec_micros()},
    });
    if let (Some(data), Some(object)) = (data, object.as_object_mut()) {
        object.insert("data".to_owned(), data);
    }
    object
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn malformed_requests_are_errors_that_keep_the_id() {
        assert!(parse_request(b"{").is_err());
        assert!(parse_request(b"[]").is_err());
        let (error, id) = parse_request(br#"{"execute": 5, "id": "x"}"#).unwrap_err();
        assert!(error.desc.contains("must be a string"));
        assert_eq!(id, Some(json!("x")));
        let (error, _) = parse_request(br#"{"execute": "stop", "args": {}}"#).unwrap_err();
        assert!(error.desc.contains("'args' is unexpected"));
    }

    #[test]
    fn argument_errors_are_worded_as_in_qemu() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {
            #[expect(dead_code, reason = "only its presence matters")]
            filename: String,
        }
        let desc = |value| arguments::<Arguments>(value).unwrap_err().desc;
        assert_eq!(desc(json!({})), "Parameter 'filename' is missing");
        assert_eq!(desc(json!({"filename": "a", "x": 1})), "Parameter 'x' is unexpected");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_request(&bytes);
        }
    }
}
