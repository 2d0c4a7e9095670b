//! Links the guest at fixed addresses, without libc, by the runtime's linker script.

use std::path::Path;

fn main() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-rt/link.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    let script = format!("-Wl,-T,{}", script.display());
    // The compiler driver asks for a position-independent executable; the last word counts.
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        &script,
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,--gc-sections",
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
