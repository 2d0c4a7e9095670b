//! Builds the demo VM's guest and says where it is: `DEMO_GUEST`, the path of an ELF for `include_bytes!`.
//!
//! The guest is a workspace of its own (guest-drivers/), bare metal for the ordinary target. Its cargo must not see what
//! this one was told by environment - wrappers, flags of a coverage run, the job server - because those are for programs
//! that run on a system.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "guest-rt", "demo-scene", "demo"];
/// Variables of cargo and rustc that the guest's build keeps: where the tools are.
const KEPT: [&str; 1] = ["CARGO_HOME"];
/// Variables besides `CARGO_*` that change what a compiler does.
const REMOVED: [&str; 5] = [
    "RUSTFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOCFLAGS",
];

fn main() -> ExitCode {
    match build() {
        Ok(guest) => {
            println!("cargo::rustc-env=DEMO_GUEST={}", guest.display());
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<PathBuf, String> {
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"));
    let guests = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../guest-drivers");
    let output = Path::new(&variable("OUT_DIR")?).join("demo-guest");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", guests.join(source).display());
    }
    let mut cargo = Command::new(variable("CARGO")?);
    // --frozen: the guest has no dependencies, so nothing is ever fetched.
    cargo.args([
        "build",
        "--release",
        "--frozen",
        "--quiet",
        "--package",
        "caraway-demo",
        "--target",
        TARGET,
    ]);
    cargo.arg("--manifest-path").arg(guests.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&output);
    for (name, _) in env::vars_os().filter(|(name, _)| is_removed(name)) {
        cargo.env_remove(name);
    }
    let status = cargo
        .status()
        .map_err(|error| format!("cannot run cargo for the demo guest: {error}"))?;
    if !status.success() {
        return Err(format!(
            "building the demo guest failed ({status}); its errors are above"
        ));
    }
    Ok(output.join(TARGET).join("release/caraway-demo"))
}

fn is_removed(name: &OsString) -> bool {
    let Some(name) = name.to_str() else { return false };
    (name.starts_with("CARGO_") && !KEPT.contains(&name)) || REMOVED.contains(&name)
}
