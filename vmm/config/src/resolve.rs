//! Checks what the types cannot and fills in defaults.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::Spanned;

use crate::{
    ConfigError,
    load::line_of,
    ports,
    raw::{RawBoot, RawDisk, RawDisplay, RawSpice, RawVm},
    secrecy,
    spec::{
        Agent, Boot, Clients, Clipboard, Compression, Control, Disk, Display, GRACE, Input, Kernel, Listen, Located,
        OnReboot, Origin, Serial, Spice, Use, Video, VmSpec,
    },
    units::{format_size, parse_duration, parse_rate, parse_resolution, parse_size},
    web,
};

const MIN_MEMORY: u64 = 16 << 20;
/// What fits in the guest-physical bits every x86-64 host has (36) below the 64-bit PCI window.
const MAX_MEMORY: u64 = 31 << 30;
const MAX_CPUS: i64 = 64;
const MAX_STOP_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const MAX_DISKS: usize = 24;
/// Bits a second: with less, a picture cannot be followed.
const MIN_RATE: u64 = 64_000;

pub(crate) struct Context<'a> {
    pub(crate) file: &'a Path,
    /// What the file holds; `None` when something else was read and its lines are not the file's.
    text: Option<&'a str>,
}

impl Context<'_> {
    pub(crate) fn origin<T>(&self, value: &Spanned<T>) -> Origin {
        Origin {
            file: self.file.to_owned(),
            line: self.text.map(|text| line_of(text, value.span().start)),
        }
    }

    pub(crate) fn somewhere(&self) -> Origin {
        Origin {
            file: self.file.to_owned(),
            line: None,
        }
    }

    pub(crate) fn error<T>(&self, value: &Spanned<T>, message: impl Into<String>) -> ConfigError {
        self.origin(value).error(message)
    }

    pub(crate) fn parse<T>(
        &self,
        key: &str,
        value: &Spanned<String>,
        parser: fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        parser(value.get_ref()).map_err(|message| self.error(value, format!("{key}: {message}")))
    }

    pub(crate) fn path(&self, value: &Spanned<String>) -> Located<PathBuf> {
        let base = self.file.parent().unwrap_or_else(|| Path::new(""));
        Located {
            value: base.join(value.get_ref()),
            origin: self.origin(value),
        }
    }
}

pub(crate) fn resolve(raw: RawVm, file: &Path, text: Option<&str>) -> Result<VmSpec, ConfigError> {
    let context = Context { file, text };
    let memory_origin = raw
        .memory
        .as_ref()
        .map_or_else(|| context.somewhere(), |m| context.origin(m));
    let cpus_origin = raw
        .cpus
        .as_ref()
        .map_or_else(|| context.somewhere(), |cpus| context.origin(cpus));
    let spice = spice(&context, &raw.spice)?;
    Ok(VmSpec {
        name: name(&context, raw.name.as_ref())?,
        cpus: cpus(&context, raw.cpus.as_ref())?,
        cpus_origin,
        memory: memory(&context, raw.memory.as_ref())?,
        memory_origin,
        on_reboot: on_reboot(&context, raw.on_reboot.as_ref())?,
        stop_timeout: stop_timeout(&context, raw.stop_timeout.as_ref())?,
        debug_exit: raw.debug_exit.unwrap_or(false),
        boot: boot(&context, raw.boot)?,
        disks: disks(&context, &raw.disk)?,
        display: display(&context, &raw.display)?,
        web: match &raw.web {
            Some(raw) => Some(web::web(&context, raw, &spice)?),
            None => None,
        },
        spice,
        agent: Agent {
            clipboard: named(
                &context,
                "agent.clipboard",
                raw.agent.clipboard.as_ref(),
                Clipboard::NAMES,
            )?
            .unwrap_or(Clipboard::Both),
            file_transfer: raw.agent.file_transfer.unwrap_or(true),
        },
        ports: ports::ports(&context, &raw.port)?,
        input: Input {
            tablet: raw.input.tablet.unwrap_or(true),
        },
        serial: Serial {
            log: raw.serial.log.as_ref().map(|path| context.path(path)),
        },
        control: Control {
            socket: raw
                .control
                .socket
                .as_ref()
                .filter(|socket| socket.get_ref() != "default")
                .map(|path| context.path(path)),
        },
    })
}

fn name(context: &Context<'_>, raw: Option<&Spanned<String>>) -> Result<String, ConfigError> {
    let (name, origin) = match raw {
        Some(value) => (value.get_ref().clone(), context.origin(value)),
        None => {
            let stem = context.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("vm");
            (stem.to_owned(), context.somewhere())
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(origin.error(format!(
            "name: {name:?} cannot be a VM's name: use 1 to 64 letters, digits, '-', '_' or '.', not starting with '.'"
        )));
    }
    Ok(name)
}

fn cpus(context: &Context<'_>, raw: Option<&Spanned<i64>>) -> Result<u32, ConfigError> {
    let Some(value) = raw else { return Ok(1) };
    let number = *value.get_ref();
    if !(1..=MAX_CPUS).contains(&number) {
        return Err(context.error(value, format!("cpus: {number} is not in 1 to {MAX_CPUS}")));
    }
    u32::try_from(number).map_err(|_| context.error(value, format!("cpus: {number} is not in 1 to {MAX_CPUS}")))
}

fn memory(context: &Context<'_>, raw: Option<&Spanned<String>>) -> Result<u64, ConfigError> {
    let Some(value) = raw else { return Ok(512 << 20) };
    let size = context.parse("memory", value, parse_size)?;
    if !(MIN_MEMORY..=MAX_MEMORY).contains(&size) {
        return Err(context.error(
            value,
            format!(
                "memory: {} is not in {} to {}",
                format_size(size),
                format_size(MIN_MEMORY),
                format_size(MAX_MEMORY)
            ),
        ));
    }
    if size % (1 << 20) != 0 {
        return Err(context.error(
            value,
            format!("memory: {} is not a multiple of 1 MiB", format_size(size)),
        ));
    }
    Ok(size)
}

fn stop_timeout(context: &Context<'_>, raw: Option<&Spanned<String>>) -> Result<Duration, ConfigError> {
    let Some(value) = raw else {
        return Ok(Duration::from_secs(30));
    };
    let time = context.parse("stop_timeout", value, parse_duration)?;
    if time > MAX_STOP_TIMEOUT {
        return Err(context.error(value, format!("stop_timeout: {} is more than a day", value.get_ref())));
    }
    Ok(time)
}

fn on_reboot(context: &Context<'_>, raw: Option<&Spanned<String>>) -> Result<OnReboot, ConfigError> {
    let Some(value) = raw else { return Ok(OnReboot::Restart) };
    match value.get_ref().as_str() {
        "restart" => Ok(OnReboot::Restart),
        "exit" => Ok(OnReboot::Exit),
        other => Err(context.error(
            value,
            format!("on_reboot: {other:?} is neither \"restart\" nor \"exit\""),
        )),
    }
}

fn boot(context: &Context<'_>, raw: Option<Spanned<RawBoot>>) -> Result<Boot, ConfigError> {
    let Some(raw) = raw else {
        return Err(context.somewhere().error("[boot] is missing: it needs a `kernel`"));
    };
    let origin = context.origin(&raw);
    let boot = raw.into_inner();
    let Some(kernel) = &boot.kernel else {
        return Err(origin.error("[boot] needs a `kernel`"));
    };
    let kernel = context.path(kernel);
    readable("boot.kernel", &kernel)?;
    let initramfs = boot.initramfs.as_ref().map(|path| context.path(path));
    if let Some(path) = &initramfs {
        readable("boot.initramfs", path)?;
    }
    let cmdline = match &boot.cmdline {
        Some(value) => Located {
            value: value.get_ref().clone(),
            origin: context.origin(value),
        },
        None => Located {
            value: String::new(),
            origin,
        },
    };
    if let Some(bad) = cmdline.value.chars().find(|c| c.is_control() || !c.is_ascii()) {
        return Err(cmdline
            .origin
            .error(format!("boot.cmdline: {bad:?} cannot be in a kernel command line")));
    }
    Ok(Boot {
        kernel: Kernel::File(kernel),
        initramfs,
        cmdline,
    })
}

fn disks(context: &Context<'_>, raw: &[RawDisk]) -> Result<Vec<Disk>, ConfigError> {
    if let Some(extra) = raw.get(MAX_DISKS) {
        return Err(context.error(&extra.path, format!("disk: at most {MAX_DISKS} disks")));
    }
    let mut disks = Vec::with_capacity(raw.len());
    for disk in raw {
        let path = context.path(&disk.path);
        readable("disk.path", &path)?;
        disks.push(Disk {
            path,
            readonly: disk.readonly,
        });
    }
    Ok(disks)
}

/// What is named must be there and readable before anything starts.
pub(crate) fn readable(key: &str, path: &Located<PathBuf>) -> Result<(), ConfigError> {
    let shown = path.value.display();
    let file = std::fs::File::open(&path.value)
        .map_err(|error| path.origin.error(format!("{key}: cannot open {shown}: {error}")))?;
    let metadata = file
        .metadata()
        .map_err(|error| path.origin.error(format!("{key}: cannot read {shown}: {error}")))?;
    if metadata.is_dir() {
        return Err(path.origin.error(format!("{key}: {shown} is a directory")));
    }
    Ok(())
}

fn display(context: &Context<'_>, raw: &RawDisplay) -> Result<Display, ConfigError> {
    const MIB: u64 = 1 << 20;
    let count = |key: &str, value: &Option<Spanned<u32>>, most: u32, default: u32| match value {
        None => Ok(default),
        Some(value) if (1..=most).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => Err(context.error(value, format!("{key}: {} is not in 1 to {most}", value.get_ref()))),
    };
    let Display {
        devices,
        heads,
        advanced: mut display,
    } = Display::default();
    let devices = count("display.devices", &raw.devices, 4, devices.into())?;
    let heads = count("display.heads", &raw.heads, 16, heads.into())?;
    if let Some(value) = &raw.max_resolution {
        let (width, height) = context.parse("display.max_resolution", value, parse_resolution)?;
        if !(64..=8192).contains(&width) || !(64..=8192).contains(&height) {
            return Err(context.error(
                value,
                format!("display.max_resolution: {width}x{height} is not in 64x64 to 8192x8192"),
            ));
        }
        display.vgamem = (u64::from(width) * u64::from(height) * 4)
            .next_power_of_two()
            .max(16 * MIB);
    }
    let advanced = &raw.advanced;
    let size = |key: &str, value: &Option<Spanned<String>>, low: u64, high: u64, default: u64| match value {
        None => Ok(default),
        Some(value) => {
            let size = context.parse(key, value, parse_size)?;
            if (low..=high).contains(&size) {
                Ok(size)
            } else {
                let (size, low, high) = (format_size(size), format_size(low), format_size(high));
                Err(context.error(value, format!("{key}: {size} is not in {low} to {high}")))
            }
        }
    };
    display.vgamem = size(
        "display.advanced.vgamem",
        &advanced.vgamem,
        8 * MIB,
        256 * MIB,
        display.vgamem,
    )?;
    let least = (2 * display.vgamem).min(512 * MIB);
    display.ram = size(
        "display.advanced.ram",
        &advanced.ram,
        least,
        512 * MIB,
        display.ram.max(least),
    )?;
    display.vram = size("display.advanced.vram", &advanced.vram, MIB, 512 * MIB, display.vram)?;
    display.vram64 = size(
        "display.advanced.vram64",
        &advanced.vram64,
        display.vram,
        8192 * MIB,
        display.vram,
    )?;
    let revision = count(
        "display.advanced.revision",
        &advanced.revision,
        5,
        display.revision.into(),
    )?;
    display.revision = revision as u8;
    display.option_rom = advanced.option_rom.as_ref().map(|path| context.path(path));
    Ok(Display {
        devices: devices as u8,
        heads: heads as u16,
        advanced: display,
    })
}

fn spice(context: &Context<'_>, raw: &RawSpice) -> Result<Spice, ConfigError> {
    let ticket = raw
        .ticket
        .as_ref()
        .map(|ticket| secrecy::ticket(context, "spice.ticket", ticket))
        .transpose()?;
    let view_ticket = raw
        .view_ticket
        .as_ref()
        .map(|view| secrecy::view_ticket(context, view, ticket.as_ref()))
        .transpose()?;
    let listen = match &raw.listen {
        None => Located {
            value: Listen::Default,
            origin: context.somewhere(),
        },
        Some(value) => secrecy::listen(context, "spice.listen", value)?,
    };
    let tls = raw
        .tls
        .as_ref()
        .map(|tls| secrecy::tls(context, tls, &listen))
        .transpose()?;
    let channels = secrecy::channels(context, &raw.channels, tls.is_some())?;
    let sasl = match &raw.sasl {
        Some(sasl) => {
            secrecy::check_sasl(context, sasl, raw, (&listen, &channels))?;
            Some(secrecy::sasl(context, sasl)?)
        }
        None => None,
    };
    if ticket.is_none() && sasl.is_none() && !raw.insecure {
        secrecy::check_reach("spice.listen", &listen)?;
        if let Some(listen) = tls.as_ref().and_then(|tls| tls.listen.as_ref()) {
            secrecy::check_reach("spice.tls.listen", listen)?;
        }
    }
    let compression = raw.compression.as_ref();
    Ok(Spice {
        listen,
        insecure: raw.insecure,
        channels,
        tls,
        origins: raw.origins.as_ref().map(|list| Located {
            value: list.get_ref().clone(),
            origin: context.origin(list),
        }),
        ticket,
        view_ticket,
        sasl,
        compression: named(context, "spice.compression", compression, Compression::NAMES)?
            .unwrap_or(Compression::AutoGlz),
        jpeg: named(context, "spice.jpeg", raw.jpeg.as_ref(), Use::NAMES)?.unwrap_or(Use::Never),
        zlib: named(context, "spice.zlib", raw.zlib.as_ref(), Use::NAMES)?.unwrap_or(Use::Auto),
        grace: match &raw.grace {
            Some(value) => context.parse("spice.grace", value, parse_duration)?,
            None => GRACE,
        },
        video: named(context, "spice.video", raw.video.as_ref(), Video::NAMES)?.unwrap_or(Video::Filter),
        clients: named(context, "spice.clients", raw.clients.as_ref(), Clients::NAMES)?.unwrap_or(Clients::Many),
        client_rate: rate(context, "spice.client_rate", raw.client_rate.as_ref())?,
        total_rate: rate(context, "spice.total_rate", raw.total_rate.as_ref())?,
    })
}

/// Bits a second.
fn rate(context: &Context<'_>, key: &str, value: Option<&Spanned<String>>) -> Result<Option<u64>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    match parse_rate(value.get_ref()) {
        Ok(rate) if rate >= MIN_RATE => Ok(Some(rate)),
        Ok(_) => Err(context.error(value, format!("{key}: {:?} is less than 64 kbit/s", value.get_ref()))),
        Err(message) => Err(context.error(value, format!("{key}: {message}"))),
    }
}

/// What a name stands for.
pub(crate) fn named<T: Copy>(
    context: &Context<'_>,
    key: &str,
    value: Option<&Spanned<String>>,
    names: &[(&str, T)],
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    if let Some((_, found)) = names.iter().find(|(name, _)| name == value.get_ref()) {
        return Ok(Some(*found));
    }
    let known: Vec<String> = names.iter().map(|(name, _)| format!("{name:?}")).collect();
    let message = format!("{key}: {:?} is not one of {}", value.get_ref(), known.join(", "));
    Err(context.error(value, message))
}
