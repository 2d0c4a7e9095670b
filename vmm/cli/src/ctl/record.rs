//! Recordings of a display device.

use std::{path::absolute, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Vm, args::RecordArgs, text};
use crate::output::{self, UsageError, one_line};

/// How long the rest of a recording may take to be written.
const FLUSH: Duration = Duration::from_secs(300);

/// Begins a recording, or ends one and says what it came to.
pub(super) fn record(vm: &mut Vm, args: &RecordArgs) -> anyhow::Result<()> {
    let Some(file) = &args.file else {
        return stop(vm, args.device);
    };
    // The VM may have been started elsewhere.
    let path = absolute(file).with_context(|| format!("no such place: {}", file.display()))?;
    let name = path
        .to_str()
        .ok_or_else(|| UsageError("record-qxl: the file's name is not UTF-8".to_owned()))?;
    vm.execute(
        "x-caraway-record-qxl",
        &json!({"filename": name, "device": args.device}),
    )
    .map(drop)
}

fn stop(vm: &mut Vm, device: u32) -> anyhow::Result<()> {
    let reply = vm.execute_within("x-caraway-record-qxl-stop", &json!({"device": device}), FLUSH)?;
    let number = |field: &str| -> anyhow::Result<u64> {
        let value = reply.get(field).and_then(Value::as_u64);
        value.with_context(|| format!("the VM's reply has no {field}"))
    };
    output::print(format!(
        "{}: {} records, {} bytes\n",
        one_line(text(&reply, "filename")?),
        number("events")?,
        number("bytes")?
    ))
}
