//! From a checked configuration to a machine with its display, disks and input.

use std::{
    fs::{File, OpenOptions},
    io::{IsTerminal as _, Read as _},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use caraway_canvas::Limits;
use caraway_config::{ConfigError, Disk, Kernel, Located, OnReboot, VmSpec};
use caraway_display::Display;
use caraway_machine::{
    self as machine, BootFile, BuildError, EventSet, MachineBuilder, MachineSpec, Next, SerialSpec, Signals,
    boot::{BootVideo, LinearScreen},
};
use caraway_migration::{Fact, live::Arrived};
use caraway_ports::{
    display::{DisplaySink, DisplaySource},
    port::{DevicePort, HostPort, port},
    tablet::TabletSink,
};
use caraway_qxl::{OptionRom, Qxl, QxlConfig, QxlSizes};
use caraway_storage::{BlockBackend, RawFile};
use caraway_vdiport::{VdiPort, VdiPortArgs};
use caraway_virtio::{Block, Console, ConsolePorts, Input, Tablet, VirtioDevice, VirtioPci};

use super::{
    failure::Failure,
    incoming::{self, Memories, Source},
    recorder::Recorder,
};
use crate::{media, output::chain};

/// The guest of the demo VM, an ELF with a PVH note.
static DEMO_GUEST: &[u8] = include_bytes!(env!("DEMO_GUEST"));

/// PCI device numbers of the first display, and of the further ones, which are functions of one.
const DISPLAY_SLOT: u8 = 1;
const FURTHER_DISPLAYS_SLOT: u8 = 2;
/// PCI device number of the VDIPort.
const VDIPORT_SLOT: u8 = 3;
/// Name of its memory in a saved machine.
pub(super) const VDIPORT_MEMORY: &str = "vdiport";
/// Bytes of the largest VGA BIOS.
const OPTION_ROM_MAX: u64 = 64 << 10;
/// PCI device number of the first disk; the others follow.
const FIRST_DISK_SLOT: u8 = 4;
/// PCI device number of the serial device: after the last of 24 disks.
const SERIAL_SLOT: u8 = 0x1c;
/// PCI device number of the tablet.
const TABLET_SLOT: u8 = 0x1d;
/// What guests look for to find the agent's port.
const AGENT_PORT: &str = "com.redhat.spice.0";

/// What of the configuration is decided by how the program was started.
pub(super) struct Environment {
    pub(super) signals: Signals,
    pub(super) serial: UnixListener,
    pub(super) start_paused: bool,
    /// The ends of ports that are in the guest, by name.
    pub(super) ports: Vec<(String, DevicePort)>,
    /// The machine it is to go on with.
    pub(super) incoming: Option<Source>,
}

/// A machine with everything plugged in.
pub(super) struct Assembled {
    pub(super) builder: MachineBuilder,
    pub(super) screens: Vec<Screen>,
    /// The host's side of the agent's port.
    pub(super) agent: HostPort,
    /// The tablet, if it has one.
    pub(super) tablet: Option<Arc<dyn TabletSink>>,
    #[cfg(feature = "misbehave")]
    pub(super) vdiport: Arc<VdiPort>,
    /// What machine it is, for those who restore it.
    pub(super) facts: Vec<Fact>,
    /// A machine that has come and is still its source's.
    pub(super) arrived: Option<Arrived>,
}

/// A display, and what stands between it and its device.
#[derive(Clone)]
pub(super) struct Screen {
    pub(super) display: Arc<Display>,
    pub(super) recorder: Arc<Recorder>,
    #[cfg(feature = "misbehave")]
    pub(super) qxl: Arc<Qxl>,
    /// Where its device is in the guest, as agents are told: bus, domain, slot and function.
    pub(super) address: String,
}

/// Whether the serial console is on the terminal the program was started from.
pub(super) fn on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Sets up the machine and plugs in its disks, its displays and the agent's port.
pub(super) fn assemble(spec: &VmSpec, mut environment: Environment) -> Result<Assembled, Failure> {
    let images = spec.disks.iter().map(open_image).collect::<Result<Vec<_>, _>>()?;
    // The device that the guest opens first is the agent's.
    let (agent, serial_port) = port();
    let vdiport = serial_port.twin();
    let mut ports = vec![(AGENT_PORT.to_owned(), serial_port)];
    ports.append(&mut environment.ports);
    let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
    let facts = incoming::describe(spec, &images, &names);
    let incoming = environment.incoming.take();
    let machine = machine_spec(spec, environment)?;
    let (mut builder, mut memories) = match incoming {
        None => {
            let builder = MachineBuilder::new(machine);
            (builder.map_err(|error| Failure::of_build(error, spec))?, None)
        }
        Some(source) => {
            let (builder, memories) = source.begin(spec, machine, &facts)?;
            (builder, Some(memories))
        }
    };
    let plugged = plug_all(&mut builder, spec, (images, ports, vdiport), memories.as_mut());
    let plugged = match (plugged, memories) {
        (Err(failure), Some(memories)) => {
            memories.refuse(&failure.line());
            return Err(failure);
        }
        (Err(failure), None) => return Err(failure),
        (Ok(plugged), Some(memories)) => (plugged, memories.finish(&builder)?),
        (Ok(plugged), None) => (plugged, None),
    };
    let (
        Plugged {
            screens,
            tablet,
            #[cfg(feature = "misbehave")]
            vdiport,
        },
        arrived,
    ) = plugged;
    Ok(Assembled {
        builder,
        screens,
        agent,
        tablet,
        #[cfg(feature = "misbehave")]
        vdiport,
        facts,
        arrived,
    })
}

/// What was plugged in and is talked to.
struct Plugged {
    screens: Vec<Screen>,
    tablet: Option<Arc<dyn TabletSink>>,
    #[cfg(feature = "misbehave")]
    vdiport: Arc<VdiPort>,
}

/// Images of disks, ports of the serial device, and the agent's port.
type Inside = (Vec<Arc<dyn BlockBackend>>, Vec<(String, DevicePort)>, DevicePort);

fn plug_all(
    builder: &mut MachineBuilder,
    spec: &VmSpec,
    (images, ports, vdiport): Inside,
    mut memories: Option<&mut Memories>,
) -> Result<Plugged, Failure> {
    plug_disks(builder, spec, images)?;
    plug_serial(builder, spec, ports)?;
    let tablet = spec.input.tablet.then(|| plug_tablet(builder, spec)).transpose()?;
    let screens = (0..spec.display.devices)
        .map(|index| plug_display(builder, spec, index, memories.as_deref_mut()))
        .collect::<Result<_, _>>()?;
    #[cfg_attr(
        not(feature = "misbehave"),
        expect(unused_variables, reason = "only faults are for one device")
    )]
    let vdiport = plug_vdiport(builder, spec, vdiport, memories)?;
    Ok(Plugged {
        screens,
        tablet: tablet.map(|tablet| tablet as Arc<dyn TabletSink>),
        #[cfg(feature = "misbehave")]
        vdiport,
    })
}

fn machine_spec(spec: &VmSpec, environment: Environment) -> Result<MachineSpec, Failure> {
    let kernel = match &spec.boot.kernel {
        Kernel::Demo => machine::Kernel::Static(DEMO_GUEST),
        Kernel::File(path) => machine::Kernel::File(boot_file("boot.kernel", path)?),
    };
    let initramfs = spec.boot.initramfs.as_ref();
    let log = spec.serial.log.as_ref().map(open_log).transpose()?;
    Ok(MachineSpec {
        cpus: spec.cpus,
        initramfs: initramfs.map(|path| boot_file("boot.initramfs", path)).transpose()?,
        cmdline: spec.boot.cmdline.value.clone(),
        debug_exit: spec.debug_exit,
        on_reboot: match spec.on_reboot {
            OnReboot::Restart => machine::OnReboot::Restart,
            OnReboot::Exit => machine::OnReboot::Exit,
        },
        stop_timeout: spec.stop_timeout,
        serial: SerialSpec {
            stdio: on_terminal(),
            socket: Some(environment.serial),
            log,
        },
        signals: Some(environment.signals),
        start_paused: environment.start_paused,
        ..MachineSpec::new(kernel, spec.memory)
    })
}

fn boot_file(key: &str, path: &Located<PathBuf>) -> Result<BootFile, Failure> {
    let file = File::open(&path.value).map_err(|error| {
        path.origin
            .error(format!("{key}: cannot open {}: {error}", path.value.display()))
    })?;
    Ok(BootFile {
        file,
        path: path.value.clone(),
    })
}

fn open_log(path: &Located<PathBuf>) -> Result<File, Failure> {
    let file = OpenOptions::new().create(true).append(true).open(&path.value);
    Ok(file.map_err(|error| {
        path.origin
            .error(format!("serial.log: cannot open {}: {error}", path.value.display()))
    })?)
}

fn open_image(disk: &Disk) -> Result<Arc<dyn BlockBackend>, Failure> {
    let image = RawFile::open(&disk.path.value, disk.readonly)
        .map_err(|error| disk.path.origin.error(format!("disk.path: {}", chain(&error))))?;
    Ok(Arc::new(image))
}

fn plug_disks(builder: &mut MachineBuilder, spec: &VmSpec, images: Vec<Arc<dyn BlockBackend>>) -> Result<(), Failure> {
    for ((number, slot), image) in (0..).zip(FIRST_DISK_SLOT..).zip(images) {
        let block =
            Block::new(Arc::clone(&image), &format!("caraway-{number}"), number).context("cannot make a disk")?;
        plug_virtio(builder, spec, slot, Box::new(block), "cannot make a disk")?;
        builder.add_flush(Box::new(move || image.flush()));
    }
    Ok(())
}

/// Plugs the serial device in, with the ports that have a name.
fn plug_serial(builder: &mut MachineBuilder, spec: &VmSpec, ports: Vec<(String, DevicePort)>) -> Result<(), Failure> {
    const FAILED: &str = "cannot make the serial device";
    let place = pci_place(SERIAL_SLOT, 0);
    let ports = if builder.is_restored() {
        builder
            .restore::<ConsolePorts>(&place, ports)
            .map_err(|error| Failure::of_build(error, spec))?
    } else {
        ConsolePorts::new(ports).context(FAILED)?
    };
    let ports = Arc::new(ports);
    let console = Console::new(Arc::clone(&ports)).context(FAILED)?;
    builder.add_record(place, ports);
    plug_virtio(builder, spec, SERIAL_SLOT, Box::new(console), FAILED)
}

/// Plugs the tablet in.
fn plug_tablet(builder: &mut MachineBuilder, spec: &VmSpec) -> Result<Arc<Tablet>, Failure> {
    const FAILED: &str = "cannot make the tablet";
    let place = pci_place(TABLET_SLOT, 0);
    let tablet = if builder.is_restored() {
        builder
            .restore::<Tablet>(&place, ())
            .map_err(|error| Failure::of_build(error, spec))?
    } else {
        Tablet::new()
    };
    let tablet = Arc::new(tablet);
    let device = Input::new(Arc::clone(&tablet)).context(FAILED)?;
    builder.add_record(place, tablet.clone());
    plug_virtio(builder, spec, TABLET_SLOT, Box::new(device), FAILED)?;
    Ok(tablet)
}

fn plug_virtio(
    builder: &mut MachineBuilder,
    spec: &VmSpec,
    slot: u8,
    device: Box<dyn VirtioDevice>,
    failed: &'static str,
) -> Result<(), Failure> {
    let (place, ram) = (pci_place(slot, 0), builder.guest_ram());
    let function = if builder.is_restored() {
        builder
            .restore::<VirtioPci>(&place, (device, ram))
            .map_err(|error| Failure::of_build(error, spec))?
    } else {
        VirtioPci::new(device, ram).context(failed)?
    };
    let function = Arc::new(function);
    builder
        .add_pci(slot, function.clone())
        .map_err(|error| Failure::of_build(error, spec))?;
    builder.add_record(place, function.clone());
    builder.add_lifecycle(function);
    Ok(())
}

/// Where a function is, as `lspci` writes it; names its record.
fn pci_place(device: u8, function: u8) -> String {
    format!("00:{device:02x}.{function}")
}

/// Plugs display number `index` in: 00:01.0, then 00:02.0, 00:02.1 and so on.
fn plug_display(
    builder: &mut MachineBuilder,
    spec: &VmSpec,
    index: u8,
    memories: Option<&mut Memories>,
) -> Result<Screen, Failure> {
    let display = Display::new(Limits::default());
    display.set_video(media::video(spec.spice.video));
    if display.canvas_bytes() == 0 {
        return Err(anyhow!("cannot make the display: the host has no memory for a screen").into());
    }
    let recorder = Recorder::new(Arc::clone(&display));
    let config = qxl_config(spec, index)?;
    let option_rom = match &spec.display.advanced.option_rom {
        Some(path) if index == 0 => Some(load_option_rom(path)?),
        _ => None,
    };
    let (device, function) = match index.checked_sub(1) {
        None => (DISPLAY_SLOT, 0),
        Some(further) => (FURTHER_DISPLAYS_SLOT, further),
    };
    let place = pci_place(device, function);
    let names = incoming::display_names(index);
    let sink: Arc<dyn DisplaySink> = recorder.clone();
    let qxl = match memories {
        None => Qxl::with_option_rom(config, option_rom, sink).context("cannot make the display")?,
        Some(memories) => {
            let args = incoming::display(memories, &names, config, option_rom, sink)?;
            let qxl = builder.restore(&place, args);
            Arc::new(qxl.map_err(|error| Failure::of_build(error, spec))?)
        }
    };
    plug_vga(builder, &qxl).map_err(|error| Failure::of_build(error, spec))?;
    let (ram, vram) = qxl.memories();
    for (name, memory) in names.into_iter().zip([ram, vram]) {
        builder.add_memory(name, memory.clone());
    }
    builder.add_record(place, qxl.clone());
    builder
        .add_pci_function(device, function, qxl.clone())
        .map_err(|error| Failure::of_build(error, spec))?;
    let source: Arc<dyn DisplaySource> = qxl.clone();
    display.set_source(Arc::downgrade(&source));
    builder.add_lifecycle(qxl.clone());
    Ok(Screen {
        display,
        recorder,
        #[cfg(feature = "misbehave")]
        qxl,
        address: format!("pci/0000/{device:02x}.{function}"),
    })
}

/// Display device number `index`.
pub(super) fn qxl_config(spec: &VmSpec, index: u8) -> Result<QxlConfig, Failure> {
    let advanced = &spec.display.advanced;
    Ok(QxlConfig {
        index: index.into(),
        primary: index == 0,
        revision: advanced.revision,
        heads: spec.display.heads,
        sizes: QxlSizes::new(advanced.vgamem, advanced.ram, advanced.vram, Some(advanced.vram64))
            .context("cannot make the display")?,
    })
}

/// Puts the VGA core of the first display where guests look for one.
fn plug_vga(builder: &mut MachineBuilder, qxl: &Arc<Qxl>) -> Result<(), BuildError> {
    for (first, count, ports) in qxl.vga_ports() {
        builder.add_ports("the VGA ports", first, count, ports)?;
    }
    if let Some((addresses, window)) = qxl.vga_window() {
        builder.add_registers("the VGA window", addresses, window)?;
        builder.set_boot_video(Arc::new(FirstScreen(Arc::clone(qxl))));
    }
    Ok(())
}

/// The picture a Linux kernel starts with: that of the first display's VGA core.
#[derive(Debug)]
struct FirstScreen(Arc<Qxl>);

impl BootVideo for FirstScreen {
    fn linear_screen(&self) -> Option<LinearScreen> {
        const WIDTH: u16 = 1024;
        const HEIGHT: u16 = 768;
        let memory = self.0.set_linear_mode(WIDTH, HEIGHT)?;
        Some(LinearScreen {
            width: WIDTH,
            height: HEIGHT,
            stride: 4 * WIDTH,
            address: memory.address,
            size: memory.size,
        })
    }
}

/// Plugs the VDIPort in, which every machine has.
fn plug_vdiport(
    builder: &mut MachineBuilder,
    spec: &VmSpec,
    port: DevicePort,
    memories: Option<&mut Memories>,
) -> Result<Arc<VdiPort>, Failure> {
    let place = pci_place(VDIPORT_SLOT, 0);
    let device = match memories {
        None => VdiPort::new(port).context("cannot make the VDIPort")?,
        Some(memories) => {
            let memory = memories.take(VDIPORT_MEMORY, caraway_vdiport::BAR_SIZE)?;
            builder
                .restore(&place, VdiPortArgs { port, memory })
                .map_err(|error| Failure::of_build(error, spec))?
        }
    };
    let device = Arc::new(device);
    let attended = Arc::clone(&device);
    let attend = Box::new(move |_| {
        attended.attend();
        Next::Keep
    });
    builder
        .register_event(Arc::clone(device.wake()) as _, EventSet::IN, attend)
        .context("cannot watch the VDIPort")?;
    builder.add_memory(VDIPORT_MEMORY, device.memory().clone());
    builder.add_record(place, device.clone());
    builder
        .add_pci(VDIPORT_SLOT, device.clone())
        .map_err(|error| Failure::of_build(error, spec))?;
    builder.add_lifecycle(device.clone());
    Ok(device)
}

/// Reads the VGA BIOS a configuration names.
pub(crate) fn load_option_rom(path: &Located<PathBuf>) -> Result<OptionRom, ConfigError> {
    const KEY: &str = "display.advanced.option_rom";
    let shown = path.value.display();
    let mut image = Vec::new();
    let file =
        File::open(&path.value).map_err(|error| path.origin.error(format!("{KEY}: cannot open {shown}: {error}")))?;
    // A byte more than the most there can be tells that it is too large.
    file.take(OPTION_ROM_MAX + 1)
        .read_to_end(&mut image)
        .map_err(|error| path.origin.error(format!("{KEY}: cannot read {shown}: {error}")))?;
    OptionRom::new(&image).map_err(|error| path.origin.error(format!("{KEY}: {shown}: {error}")))
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
