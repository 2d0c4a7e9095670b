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

/// Where the VM goes, and its clients.
pub(super) struct Move {
    uri: String,
    clients: Option<Value>,
}

impl Move {
    pub(super) fn new(args: &MigrateArgs) -> anyhow::Result<Self> {
        Ok(Self {
            uri: absolute(&args.uri)?,
            clients: clients(&args.clients)?,
        })
    }
}

/// The URI as the VM can be told: it has another directory of its own.
fn absolute(uri: &Uri) -> anyhow::Result<String> {
    let Uri::Unix(path) = uri else {
        return Ok(uri.to_string());
    };
    let path = std::path::absolute(path).map_err(|error| UsageError(format!("migrate: {uri}: {error}")))?;
    match path.into_os_string().into_string() {
        Ok(path) => Ok(format!("unix:{path}")),
        Err(path) => Err(UsageError(format!("migrate: {}: not UTF-8", path.display())).into()),
    }
}

/// Where clients are to go, as QMP has it; `None` when nothing was said.
fn clients(uris: &[String]) -> anyhow::Result<Option<Value>> {
    let mut info = Map::new();
    for uri in uris {
        let wrong = |why: &str| UsageError(format!("migrate: --clients {uri}: {why}"));
        let (name, address) = match uri.split_once("://") {
            Some(("spice", address)) => ("port", address),
            Some(("spice+tls", address)) => ("tls-port", address),
            _ => return Err(wrong("must be spice://HOST:PORT or spice+tls://HOST:PORT").into()),
        };
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        let port = port.parse::<u16>().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| wrong("it has no port"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let other = info.insert("hostname".to_owned(), json!(host));
        if host.is_empty() || other.is_some_and(|other| other != json!(host)) {
            return Err(wrong("all must name the same host").into());
        }
        if info.insert(name.to_owned(), json!(port)).is_some() {
            return Err(wrong("given twice").into());
        }
    }
    if info.is_empty() {
        return Ok(None);
    }
    info.insert("protocol".to_owned(), json!("spice"));
    Ok(Some(Value::Object(info)))
}

/// Moves the VM, and watches until it has gone.
pub(super) fn migrate(vm: &mut Vm, way: &Move, args: &MigrateArgs) -> anyhow::Result<()> {
    let mut parameters = Map::new();
    for (name, value) in [("max-bandwidth", args.bandwidth), ("downtime-limit", args.downtime)] {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), json!(value));
        }
    }
    if !parameters.is_empty() {
        vm.execute("migrate-set-parameters", &Value::Object(parameters))?;
    }
    if let Some(clients) = &way.clients {
        vm.execute("client_migrate_info", clients)?;
    }
    vm.execute("migrate", &json!({"uri": way.uri}))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_to_one_host_by_one_or_two_ports() {
        let told = |uris: &[&str]| clients(&uris.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>());
        assert!(told(&[]).unwrap().is_none());
        let both = told(&["spice://[::1]:5900", "spice+tls://[::1]:5901"]).unwrap();
        let wanted = json!({"protocol": "spice", "hostname": "::1", "port": 5900, "tls-port": 5901});
        assert_eq!(both, Some(wanted));
        for uris in [
            &["vnc://a:1"][..],
            &["spice://a"],
            &["spice://:1"],
            &["spice://a:0"],
            &["spice://a:1", "spice+tls://b:2"],
            &["spice://a:1", "spice://a:2"],
        ] {
            let error = told(uris).unwrap_err().to_string();
            assert!(error.starts_with("migrate: --clients "), "{error}");
        }
    }
}
