//! `caraway ctl VM clients`: who is connected to the screen.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Vm;
use crate::output::{self, one_line};

/// Names of channel types.
const KINDS: [(u64, &str); 4] = [(1, "main"), (2, "display"), (3, "inputs"), (4, "cursor")];

pub(super) fn clients(vm: &mut Vm, as_json: bool) -> anyhow::Result<()> {
    let reply = vm.execute("x-caraway-clients", &json!({}))?;
    if as_json {
        return output::print_json(&reply);
    }
    let clients = reply.as_array().map(Vec::as_slice).unwrap_or_default();
    output::print(clients.iter().map(client).collect::<String>())
}

fn number(value: &Value, field: &str) -> Option<u64> {
    value.get(field).and_then(Value::as_u64)
}

/// A line for the client and one for each channel.
fn client(client: &Value) -> String {
    let word = |field| client.get(field).and_then(Value::as_str).map(one_line);
    let host = word("host").filter(|host| !host.is_empty());
    let mut text = host.unwrap_or_else(|| word("family").unwrap_or_default());
    if let Some(port) = word("port").filter(|port| !port.is_empty()) {
        text = format!("{text}:{port}");
    }
    let seconds = number(client, "connected-ms").unwrap_or(0) / 1000;
    if let Some(user) = word("user") {
        text += &format!(", user {user}");
    }
    if word("role").is_some_and(|role| role == "view") {
        text += ", only looks";
    }
    text += &format!(", connected {seconds} s");
    if let Some(micros) = number(client, "round-trip-us") {
        text += &format!(", round trip {}.{} ms", micros / 1000, micros % 1000 / 100);
    }
    if let Some(delivery) = number(client, "delivery") {
        text += &format!(", delivers {} kbit/s", delivery / 1000);
    }
    text.push('\n');
    let channels = client.get("channels").and_then(Value::as_array);
    for channel in channels.into_iter().flatten() {
        let kind = number(channel, "channel-type").unwrap_or(0);
        let name = KINDS.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name);
        let _ = write!(
            text,
            "  {} {}: {} bytes in {} messages",
            name.unwrap_or("channel"),
            number(channel, "channel-id").unwrap_or(0),
            number(channel, "bytes-sent").unwrap_or(0),
            number(channel, "messages-sent").unwrap_or(0),
        );
        if let (Some(items), Some(pixels)) = (number(channel, "waiting-items"), number(channel, "waiting-pixels")) {
            let _ = write!(text, ", {items} commands and {pixels} pixels wait");
        }
        text.push('\n');
    }
    text
}
