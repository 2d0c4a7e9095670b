//! Saving a VM.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Vm;
use crate::output::{self, UsageError, one_line};

/// How long writing all of a guest's memory may take.
const WRITING: Duration = Duration::from_secs(3600);

/// The directory as the VM can be told: JSON has no other paths.
pub(super) fn absolute(directory: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(directory)
        .map_err(|error| UsageError(format!("snapshot: {}: {error}", directory.display())))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| UsageError(format!("snapshot: {}: not UTF-8", path.display())).into())
}

/// Saves the VM and says what that took.
pub(super) fn snapshot(vm: &mut Vm, directory: &str) -> anyhow::Result<()> {
    let reply = vm.execute_within("x-caraway-snapshot", &json!({"directory": directory}), WRITING)?;
    let number = |field: &str| {
        let value = reply.get(field).and_then(Value::as_u64);
        value.with_context(|| format!("the VM's reply has no {field}"))
    };
    let (bytes, pause) = (number("bytes")?, Duration::from_nanos(number("pause-ns")?));
    output::print(format!(
        "{}: {bytes} bytes, paused for {:.1} ms\n",
        one_line(directory),
        pause.as_secs_f64() * 1e3
    ))
}
