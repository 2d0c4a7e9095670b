//! What VMs need from the host besides KVM.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
};

use rustix::process::{Resource, getrlimit};

use super::{Finding, Verdict};
use crate::{output::chain, rundir};

const MIB: u64 = 1 << 20;
/// What the demo VM takes at most: its memory, the display's two memories, the program.
const DEMO_MEMORY: u64 = 256 * MIB;
/// From this on an ordinary Linux guest fits as well.
const LINUX_MEMORY: u64 = 1024 * MIB;
/// Where `run` listens for SPICE clients when no configuration says otherwise.
const PORTS: std::ops::RangeInclusive<u16> = 5900..=5909;
/// Descriptors of a VM with a disk or two and a few clients.
const DESCRIPTORS: u64 = 256;
/// Below this not even the demo's own fit.
const FEWEST_DESCRIPTORS: u64 = 64;
const TUN: &str = "/dev/net/tun";

pub(super) fn memory() -> Finding {
    let Some(available) = available_memory() else {
        return Finding::new(
            "memory",
            Verdict::Limited,
            "/proc/meminfo does not say what is available",
            "mount /proc",
        );
    };
    let found = format!("{} MiB available", available / MIB);
    let verdict = match available {
        ..DEMO_MEMORY => Verdict::Bad,
        DEMO_MEMORY..LINUX_MEMORY => Verdict::Limited,
        _ => return Finding::ok("memory", found),
    };
    let advice = format!(
        "the demo VM takes up to {} MiB, a small Linux guest about {} MiB: end other programs, or raise the limit of this \
         container",
        DEMO_MEMORY / MIB,
        LINUX_MEMORY / MIB
    );
    Finding::new("memory", verdict, found, advice)
}

/// Bytes the host, or the container's limit, leaves.
fn available_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let host = meminfo_bytes(&meminfo, "MemAvailable:")?;
    Some(group_memory().map_or(host, |group| group.min(host)))
}

fn meminfo_bytes(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What the control group at the root of this namespace leaves, if it has a limit.
fn group_memory() -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

pub(super) fn ports() -> Finding {
    let mut free = Vec::new();
    let mut taken = Vec::new();
    let mut other = None;
    for port in PORTS {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => free.push(port),
            Err(error) if error.kind() == ErrorKind::AddrInUse => taken.push(port.to_string()),
            Err(error) => other = Some(error),
        }
    }
    match (free.first(), taken.as_slice(), other) {
        (None, _, Some(error)) => Finding::new(
            "ports",
            Verdict::Bad,
            format!("cannot listen on 127.0.0.1: {error}"),
            "bring up the loopback interface (ip link set lo up), or use `spice.listen = \"unix:PATH\"`",
        ),
        (None, _, None) => Finding::new(
            "ports",
            Verdict::Bad,
            format!("none of 127.0.0.1:{} to {} is free", PORTS.start(), PORTS.end()),
            "end what listens there, or name a port with `spice.listen`",
        ),
        (Some(first), [], _) => Finding::ok("ports", format!("SPICE will listen on 127.0.0.1:{first}")),
        (Some(first), taken, _) => Finding::ok(
            "ports",
            format!("SPICE will listen on 127.0.0.1:{first}; in use: {}", taken.join(", ")),
        ),
    }
}

pub(super) fn run_directory() -> Finding {
    match rundir::probe() {
        Ok(path) => Finding::ok("run directory", path.display().to_string()),
        Err(error) => Finding::new(
            "run directory",
            Verdict::Bad,
            chain(&error),
            "set CARAWAY_RUN_DIR to a directory of your own",
        ),
    }
}

pub(super) fn descriptors() -> Finding {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Finding::ok("open files", "no limit");
    };
    let found = format!("at most {limit}");
    let verdict = match limit {
        ..FEWEST_DESCRIPTORS => Verdict::Bad,
        FEWEST_DESCRIPTORS..DESCRIPTORS => Verdict::Limited,
        _ => return Finding::ok("open files", found),
    };
    let advice = format!("a VM with several clients needs about {DESCRIPTORS}: ulimit -n {DESCRIPTORS}");
    Finding::new("open files", verdict, found, advice)
}

/// Nothing needs it yet but tap devices, so it is never bad.
pub(super) fn tun() -> Finding {
    match fs::OpenOptions::new().read(true).write(true).open(TUN) {
        Ok(_) => Finding::ok("tun", format!("{TUN} opens")),
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::new(
            "tun",
            Verdict::Limited,
            format!("{TUN} is not there: no tap devices"),
            "modprobe tun, or pass the device to this container",
        ),
        Err(error) => Finding::new(
            "tun",
            Verdict::Limited,
            format!("cannot open {TUN}: {error}: no tap devices"),
            "give this user the right to open it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_kibibytes() {
        let text = "MemTotal:       24000000 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(meminfo_bytes(text, "MemAvailable:"), Some(2 * MIB));
        assert_eq!(meminfo_bytes("MemAvailable: lots\n", "MemAvailable:"), None);
        assert_eq!(meminfo_bytes(text, "SwapFree:"), None);
    }
}
