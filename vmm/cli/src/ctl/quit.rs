//! Ending a VM and waiting until it has gone.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use caraway_control::client::ClientError;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::json;

use super::Vm;

/// How long flushing disks and telling clients may take.
const ENDING: Duration = Duration::from_secs(60);

/// Ends a VM. When this returns, its process and its folder are gone, and its name is free.
pub(super) fn quit(mut vm: Vm) -> anyhow::Result<()> {
    // Before the command: afterwards the number may be somebody else's.
    let process = vm.pid.and_then(open_process);
    let deadline = Instant::now() + ENDING;
    vm.client.set_timeout(Some(ENDING))?;
    match vm.client.execute("quit", &json!({})) {
        // Ending, it may not have had the time to answer.
        Ok(_) | Err(ClientError::Io(_)) => {}
        Err(error) => return Err(error).with_context(|| format!("VM {}: quit", vm.called)),
    }
    let gone = match process {
        Some(process) => wait_for_exit(&process, deadline)?,
        None => wait_for_end_of_events(&mut vm, deadline)?,
    };
    if !gone {
        bail!("VM {} has not ended within {} s", vm.called, ENDING.as_secs());
    }
    Ok(())
}

fn open_process(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn wait_for_exit(process: &OwnedFd, deadline: Instant) -> anyhow::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], timeout.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for the VM's process"),
        }
    }
}

/// Without its process, the end of the connection tells.
fn wait_for_end_of_events(vm: &mut Vm, deadline: Instant) -> anyhow::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        vm.client.set_timeout(Some(left))?;
        match vm.client.event() {
            Ok(_) => {}
            Err(ClientError::Timeout(_)) => return Ok(false),
            Err(ClientError::Io(_)) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
