//! `caraway check` and `caraway schema`.

use std::{fs::File, path::Path};

use caraway_config::{ConfigError, Kernel, Origin, VmSpec};
use caraway_machine::{boot, memory::Layout};
use caraway_storage::{RawFile, StorageError};

use crate::{
    args::CheckArgs,
    output::{self, chain},
    run::{assemble::load_option_rom, failure::of_boot},
    tls,
};

/// Guests have fewer physical address bits; how many is a matter of the host, not of the configuration.
const ADDRESS_BITS: u32 = 64;

/// Prints the machine a configuration describes.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let spec = caraway_config::load(&args.config, &args.set)?;
    check_named(&spec)?;
    output::print(toml::to_string_pretty(&spec)?)?;
    Ok(0)
}

/// Looks at the files a configuration names.
///
/// # Errors
/// The first that cannot be used, at the place where it was named.
pub(crate) fn check_named(spec: &VmSpec) -> Result<(), ConfigError> {
    check_boot(spec)?;
    check_disks(spec)?;
    check_option_rom(spec)?;
    tls::check(&spec.spice)?;
    tls::origins(&spec.spice)?;
    tls::users(&spec.spice)?;
    check_log(spec)
}

/// Prints the schema of configurations.
pub(crate) fn schema() -> anyhow::Result<u8> {
    output::print_json(&caraway_config::schema())?;
    Ok(0)
}

/// Whether the kernel is one, and everything fits into the guest's memory.
fn check_boot(spec: &VmSpec) -> Result<(), ConfigError> {
    let Kernel::File(kernel) = &spec.boot.kernel else {
        return Ok(());
    };
    let layout =
        Layout::new(spec.memory, ADDRESS_BITS).map_err(|error| spec.memory_origin.error(format!("memory: {error}")))?;
    let open = |key: &str, path: &Path, origin: &Origin| {
        File::open(path).map_err(|error| origin.error(format!("{key}: cannot open {}: {error}", path.display())))
    };
    let file = open("boot.kernel", &kernel.value, &kernel.origin)?;
    let initramfs = match &spec.boot.initramfs {
        Some(path) => Some((open("boot.initramfs", &path.value, &path.origin)?, path.value.as_path())),
        None => None,
    };
    boot::check(&boot::Request {
        kernel: boot::Source::File(&file, &kernel.value),
        initramfs: initramfs.as_ref().map(|(file, path)| (file, *path)),
        cmdline: &spec.boot.cmdline.value,
        memory_map: &[],
        low_ram_end: layout.low_ram_end(),
        rsdp: 0,
        video: None,
    })
    .map_err(|error| of_boot(&error, spec))
}

fn check_option_rom(spec: &VmSpec) -> Result<(), ConfigError> {
    match &spec.display.advanced.option_rom {
        Some(path) => load_option_rom(path).map(drop),
        None => Ok(()),
    }
}

fn check_disks(spec: &VmSpec) -> Result<(), ConfigError> {
    for disk in &spec.disks {
        match RawFile::open(&disk.path.value, disk.readonly) {
            // In use, perhaps by this very VM: nothing is wrong with the configuration.
            Ok(_) | Err(StorageError::InUse { .. }) => {}
            Err(error) => {
                return Err(disk.path.origin.error(format!("disk.path: {}", chain(&error))));
            }
        }
    }
    Ok(())
}

/// The log is made when the VM starts: here only what cannot become one is found.
fn check_log(spec: &VmSpec) -> Result<(), ConfigError> {
    let Some(log) = &spec.serial.log else { return Ok(()) };
    let shown = log.value.display();
    if log.value.is_dir() {
        return Err(log.origin.error(format!("serial.log: {shown} is a directory")));
    }
    let folder = log.value.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(log.origin.error(format!(
            "serial.log: cannot make {shown}: there is no directory {}",
            folder.display()
        ))),
        _ => Ok(()),
    }
}
