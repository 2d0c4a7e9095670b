//! `caraway ps`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use caraway_control::client::Client;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::PsArgs,
    output::{self, one_line},
    rundir::{self, Running},
};

/// A VM that has not said by then how it is does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A VM that runs.
#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pid: Option<u32>,
    pub(crate) state: String,
    pub(crate) spice: Option<String>,
    pub(crate) web: Option<String>,
    config: Option<PathBuf>,
    control: Option<PathBuf>,
    serial: Option<PathBuf>,
}

/// Lists the VMs that run.
pub(crate) fn ps(args: &PsArgs) -> anyhow::Result<u8> {
    let lines = lines()?;
    if args.json {
        output::print_json(&lines)?;
    } else {
        output::print(table(&lines))?;
    }
    Ok(0)
}

/// The VMs that run, each asked how it is.
pub(crate) fn lines() -> anyhow::Result<Vec<Line>> {
    let vms = rundir::running()?;
    let mut states = states(&vms);
    let lines = vms.into_iter().map(|vm| {
        let state = states.remove(&vm.name).unwrap_or("no answer".to_owned());
        line(vm, state)
    });
    Ok(lines.collect())
}

fn line(vm: Running, state: String) -> Line {
    let Running { name, pid, info } = vm;
    match info {
        Some(info) => Line {
            name,
            pid,
            state,
            spice: info.spice,
            web: info.web,
            config: info.config,
            control: Some(info.control),
            serial: info.serial,
        },
        None => Line {
            name,
            pid,
            state: "starting".to_owned(),
            spice: None,
            web: None,
            config: None,
            control: None,
            serial: None,
        },
    }
}

/// Asks all VMs at once; those that answer in time are in the result.
fn states(vms: &[Running]) -> BTreeMap<String, String> {
    let (sender, receiver) = mpsc::channel();
    for vm in vms {
        let Some(control) = vm.info.as_ref().map(|info| info.control.clone()) else {
            continue;
        };
        let (sender, name) = (sender.clone(), vm.name.clone());
        // A stopped process can hold up even the connect call, so each has a thread that is left behind if need be.
        let asking = thread::Builder::new().spawn(move || {
            let answer = Client::connect_within(&control, Some(PATIENCE))
                .and_then(|mut client| client.execute("query-status", &json!({})));
            if let Some(state) = answer.ok().as_ref().and_then(status) {
                // Nobody may be waiting any more.
                sender.send((name, state)).ok();
            }
        });
        if let Err(error) = asking {
            tracing::warn!(%error, name = vm.name, "cannot ask how the VM is");
        }
    }
    drop(sender);
    let deadline = Instant::now() + PATIENCE;
    let mut states = BTreeMap::new();
    while let Ok((name, state)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        states.insert(name, state);
    }
    states
}

/// The word of a `query-status` reply.
fn status(reply: &Value) -> Option<String> {
    Some(one_line(reply.get("status")?.as_str()?))
}

fn table(lines: &[Line]) -> String {
    let mut rows = vec![["NAME", "PID", "STATE", "SCREEN", "BROWSER", "CONFIG"].map(str::to_owned)];
    for line in lines {
        let or_dash = |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| one_line(&text));
        rows.push([
            line.name.clone(),
            or_dash(line.pid.map(|pid| pid.to_string())),
            line.state.clone(),
            or_dash(line.spice.clone()),
            or_dash(line.web.clone()),
            or_dash(line.config.as_ref().map(|path| path.display().to_string())),
        ]);
    }
    output::columns(&rows)
}
