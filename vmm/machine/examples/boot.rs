//! Boots a kernel with nothing but a serial console on standard input and output:
//! `cargo run -p caraway-machine --example boot -- KERNEL [INITRAMFS] [--cpus N] [--memory MIB] [--cmdline TEXT]`.

use std::{fs::File, path::PathBuf, process::ExitCode};

use caraway_base::errors::chain;
use caraway_machine::{BootFile, Kernel, MachineBuilder, MachineSpec, SerialSpec, Signals};

fn main() -> ExitCode {
    let spec = match arguments() {
        Ok(spec) => spec,
        Err(error) => return fail(&error, 2),
    };
    let built = MachineBuilder::new(spec).and_then(MachineBuilder::build);
    let machine = match built {
        Ok(machine) => machine,
        Err(error) => return fail(&chain(&error), if error.is_config() { 2 } else { 1 }),
    };
    let ending = machine.run();
    if let Some(message) = ending.message() {
        eprintln!("{message}");
    }
    ExitCode::from(ending.exit_code())
}

fn arguments() -> Result<MachineSpec, String> {
    let mut files = Vec::new();
    let (mut cpus, mut memory, mut cmdline) = (1, 256, "console=ttyS0".to_owned());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--cpus" => cpus = number(&value()?)?,
            "--memory" => memory = number(&value()?)?,
            "--cmdline" => cmdline = value()?,
            _ => files.push(open(argument)?),
        }
    }
    let mut files = files.into_iter();
    let kernel = Kernel::File(files.next().ok_or("which kernel?")?);
    Ok(MachineSpec {
        cpus,
        initramfs: files.next(),
        cmdline,
        debug_exit: true,
        serial: SerialSpec {
            stdio: true,
            ..SerialSpec::default()
        },
        signals: Some(Signals::take().map_err(|error| error.to_string())?),
        ..MachineSpec::new(kernel, u64::from(memory) << 20)
    })
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

fn open(path: String) -> Result<BootFile, String> {
    let path = PathBuf::from(path);
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BootFile { file, path })
}

fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(code)
}
