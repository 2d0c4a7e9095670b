//! Moving a VM.

use std::{thread, time::Duration};

use anyhow::{Context as _, bail};
use caraway_control::client::ClientError;
use caraway_migration::live::Uri;
use serde_json::{Map, Value, json};

use super::{Vm, args::MigrateArgs, text};
use crate::output::{self, UsageError, one_line};

/// How often the VM is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);
/// How long a VM that has moved may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// The URI as the VM can be told: it has another directory of its own.
pub(super) fn absolute(uri: &Uri) -> anyhow::Result<String> {
    let Uri::Unix(path) = uri else {
        return Ok(uri.to_string());
    };
    let path = std::path::absolute(path).map_err(|error| UsageError(format!("migrate: {uri}: {error}")))?;
    match path.into_os_string().into_string() {
        Ok(path) => Ok(format!("unix:{path}")),
        Err(path) => Err(UsageError(format!("migrate: {}: not UTF-8", path.display())).into()),
    }
}

/// Moves the VM, and watches until it has gone.
pub(super) fn migrate(vm: &mut Vm, uri: &str, args: &MigrateArgs) -> anyhow::Result<()> {
    let mut parameters = Map::new();
    for (name, value) in [("max-bandwidth", args.bandwidth), ("downtime-limit", args.downtime)] {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), json!(value));
        }
    }
    if !parameters.is_empty() {
        vm.execute("migrate-set-parameters", &Value::Object(parameters))?;
    }
    vm.execute("migrate", &json!({"uri": uri}))?;
    if args.detach {
        return Ok(());
    }
    let mut last = None;
    loop {
        // Its last words come behind the last reply.
        let asked = vm.client.set_timeout(Some(LAST_WORDS)).map_err(ClientError::Io);
        let asked = asked.and_then(|()| vm.client.execute("query-migrate", &json!({})));
        let reply = match asked {
            Ok(reply) => reply,
            Err(error) => return gone(vm, last.as_ref(), error),
        };
        match text(&reply, "status")? {
            "completed" => return report(&reply),
            "cancelled" => bail!("VM {}: the migration was cancelled", vm.called),
            "failed" => {
                let reason = text(&reply, "error-desc")?;
                bail!("VM {} could not be moved: {}", vm.called, one_line(reason));
            }
            _ => {}
        }
        last = Some(reply);
        thread::sleep(LOOK);
    }
}

/// The VM answers no more: it has moved, if that was the last thing it said.
fn gone(vm: &mut Vm, last: Option<&Value>, error: ClientError) -> anyhow::Result<()> {
    while let Ok(event) = vm.client.event() {
        let is_migration = event.get("event").and_then(Value::as_str) == Some("MIGRATION");
        if is_migration && event.pointer("/data/status").and_then(Value::as_str) == Some("completed") {
            return last.map_or(Ok(()), report);
        }
    }
    Err(error).with_context(|| format!("VM {}: query-migrate", vm.called))
}

fn report(reply: &Value) -> anyhow::Result<()> {
    let number = |pointer: &str| reply.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let downtime = reply.get("downtime").and_then(Value::as_u64);
    let downtime = downtime.map_or_else(String::new, |ms| format!(", the guest stood still for {ms} ms"));
    output::print(format!(
        "moved: {} bytes sent in {} rounds{downtime}\n",
        number("/ram/transferred"),
        number("/ram/dirty-sync-count"),
    ))
}
