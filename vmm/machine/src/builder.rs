//! Building a machine in three phases: the platform (KVM, memory, buses), the board (devices every machine has), and what
//! the caller plugs in; then [`MachineBuilder::build`] brings it to the kernel's first instruction.

mod board;
mod incoming;
mod platform;
mod prepared;
mod timer;

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use caraway_base::{
    address_space::{AddressSpace, MapError, Space},
    bus::BusDevice,
    irq::{IrqLine, MsiAllocator},
    lifecycle::Lifecycle,
    memory::{GuestRam, MemoryError, MemoryFile, SharedMemory},
    state::{Migratable, Records, StateError},
};
use caraway_pci::{AssignError, PlugError, Windows, function::PciFunction};
use caraway_ports::input::InputSink;
use event_manager::EventSet;
use kvm_bindings::kvm_cpuid_entry2;
use kvm_ioctls::Cap;

pub use self::prepared::Prepared;
use self::{
    board::{Board, INTX},
    platform::Platform,
};
use crate::{
    Machine, MemoryLog,
    boot::{BootError, BootVideo},
    driver::{Command, CpuLeaf, Driver, Flush, MachineHandle, Memories, Message, Parts, Queue, Saver, ram_files},
    event_loop::{Devices, Handler, Registration, Watchable},
    firmware::{BootFailure, Firmware, PCI_PORTS},
    kvm::{
        KvmError, cpuid,
        reset::{Controllers, PowerOn},
        saved::leaf,
        vcpu::Vcpu,
    },
    memory::{LayoutError, WINDOW32},
    spec::{MachineSpec, OnReboot, SerialSpec},
    sys::signals::Signals,
    vcpu::{Context, Cpus, Report, Reporter},
};

/// Why a machine cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of CPUs.
    #[error("cpus = {asked}: must be 1 to {most}")]
    Cpus { asked: u32, most: u32 },
    /// The amount of memory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The kernel, the initramfs, the tables.
    #[error(transparent)]
    Boot(#[from] BootFailure),
    /// The host's KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The host's memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A device cannot be put where it belongs.
    #[error("cannot place {what}")]
    Map {
        what: &'static str,
        #[source]
        source: MapError,
    },
    /// A PCI function cannot be plugged in.
    #[error(transparent)]
    Plug(#[from] PlugError),
    /// The BARs do not fit.
    #[error(transparent)]
    Assign(#[from] AssignError),
    /// The saved state the machine is built from.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something else the host refused.
    #[error("the host refused {what}")]
    Host {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl BuildError {
    /// Whether the configuration is to blame, not the host.
    #[must_use]
    pub fn is_config(&self) -> bool {
        match self {
            Self::Cpus { .. } | Self::Layout(_) | Self::Assign(_) => true,
            Self::Boot(BootFailure::Kernel(error)) => {
                !matches!(error, BootError::GuestMemory { .. } | BootError::MemoryMap { .. })
            }
            _ => false,
        }
    }
}

fn saver<D: Migratable + Send + Sync + 'static>(instance: impl Into<String>, device: Arc<D>) -> Saver {
    let instance = instance.into();
    Box::new(move |records| records.put(&instance, &*device))
}

fn host(what: &'static str) -> impl FnOnce(io::Error) -> BuildError {
    move |source| BuildError::Host { what, source }
}

/// Builds a machine. Everything handed out works at once, the guest runs only after [`Machine::run`].
pub struct MachineBuilder {
    platform: Platform,
    board: Board,
    firmware: Firmware,
    options: Options,
    queue: Arc<Queue>,
    first_entry: Arc<OnceLock<Instant>>,
    /// What the first vCPU shows, once there is one.
    cpu: Arc<OnceLock<Vec<CpuLeaf>>>,
    controllers: Controllers,
    /// What is left of the saved state, when there is one.
    incoming: Option<Records>,
    lifecycles: Vec<Arc<dyn Lifecycle>>,
    flushes: Vec<Flush>,
    savers: Vec<Saver>,
    memories: Memories,
}

/// What of the specification only matters at the end.
struct Options {
    serial: SerialSpec,
    signals: Option<Signals>,
    on_reboot: OnReboot,
    stop_timeout: Duration,
    start_paused: bool,
}

impl std::fmt::Debug for MachineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineBuilder").finish_non_exhaustive()
    }
}

impl MachineBuilder {
    /// Sets up platform and board.
    ///
    /// # Errors
    /// When the host cannot, or the numbers cannot be.
    pub fn new(spec: MachineSpec) -> Result<Self, BuildError> {
        Self::start(spec, None)
    }

    /// Sets up platform and board from the records of a saved machine. The caller does with its devices likewise
    /// ([`MachineBuilder::restore`]) and fills the memories, all before [`MachineBuilder::build`].
    ///
    /// # Errors
    /// As [`MachineBuilder::new`], and when a record is missing or cannot be.
    pub fn incoming(spec: MachineSpec, records: Records) -> Result<Self, BuildError> {
        Self::start(spec, Some(records))
    }

    /// Sets up the platform alone, with memories that are to be filled before the records come.
    ///
    /// # Errors
    /// As [`MachineBuilder::new`].
    pub fn prepare(spec: MachineSpec) -> Result<Prepared, BuildError> {
        Prepared::new(spec)
    }

    fn start(spec: MachineSpec, incoming: Option<Records>) -> Result<Self, BuildError> {
        Self::on(Prepared::new(spec)?, incoming)
    }

    fn on(prepared: Prepared, mut incoming: Option<Records>) -> Result<Self, BuildError> {
        let Prepared {
            spec,
            platform,
            controllers,
        } = prepared;
        let (board, savers) = Board::new(&platform, spec.debug_exit, &mut incoming)?;
        Ok(Self {
            firmware: Firmware {
                cpus: spec.cpus,
                layout: platform.layout.clone(),
                kernel: spec.kernel,
                initramfs: spec.initramfs,
                cmdline: spec.cmdline,
                video: None,
            },
            options: Options {
                serial: spec.serial,
                signals: spec.signals,
                on_reboot: spec.on_reboot,
                stop_timeout: spec.stop_timeout,
                start_paused: spec.start_paused,
            },
            queue: Arc::new(Queue::new().map_err(host("a command queue"))?),
            first_entry: Arc::new(OnceLock::new()),
            cpu: Arc::new(OnceLock::new()),
            platform,
            board,
            controllers,
            incoming,
            lifecycles: Vec::new(),
            flushes: Vec::new(),
            savers,
            memories: Vec::new(),
        })
    }

    /// Whether the machine is built from saved state, and devices from their records.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.incoming.is_some()
    }

    /// Makes a device from its record.
    ///
    /// # Errors
    /// When there is none, or it cannot be.
    pub fn restore<D: Migratable>(&mut self, instance: &str, args: D::Args) -> Result<D, BuildError> {
        match &mut self.incoming {
            Some(records) => Ok(records.take(instance, args)?),
            None => Err(BuildError::State(StateError::Missing {
                kind: D::KIND,
                instance: instance.to_owned(),
            })),
        }
    }

    /// Has a device's record saved with the machine. Records are written in the order of these calls; `instance` tells
    /// devices of a kind apart.
    pub fn add_record<D: Migratable + Send + Sync + 'static>(&mut self, instance: impl Into<String>, device: Arc<D>) {
        self.savers.push(saver(instance, device));
    }

    /// Has a device's memory saved with the machine, under a name of lower-case letters, digits and hyphens.
    pub fn add_memory(&mut self, name: impl Into<String>, memory: SharedMemory) {
        self.memories.push((name.into(), memory));
    }

    /// The files behind guest RAM, to be filled when the machine is built from saved state.
    #[must_use]
    pub fn ram_files(&self) -> Vec<MemoryFile> {
        // Every region of RAM was made with one.
        ram_files(self.platform.vm.ram()).into_iter().flatten().collect()
    }

    /// The log of guest RAM and of the memories that were added until now.
    #[must_use]
    pub fn memory_log(&self) -> MemoryLog {
        let platform = &self.platform;
        MemoryLog::new(
            Arc::clone(&platform.vm),
            Arc::clone(&platform.space),
            self.memories.clone(),
        )
    }

    /// The guest's port and memory address spaces.
    #[must_use]
    pub fn address_space(&self) -> Arc<dyn AddressSpace> {
        Arc::clone(&self.platform.space) as _
    }

    /// Hands out message-signalled vectors.
    #[must_use]
    pub fn msi_allocator(&self) -> Arc<dyn MsiAllocator> {
        Arc::clone(&self.platform.messages) as _
    }

    /// An input of the interrupt controllers. GSIs 16 to 19 are shared: each call gives a new input of the wired OR. Of any
    /// other line there must be one owner.
    #[must_use]
    pub fn irq_line(&self, gsi: u32) -> Arc<dyn IrqLine> {
        let shared = INTX.iter().position(|intx| *intx == gsi);
        match shared.and_then(|index| self.board.intx.get(index)) {
            Some(line) => line.input(),
            None => self.platform.line(gsi),
        }
    }

    /// Keyboard and mouse.
    #[must_use]
    pub fn input(&self) -> Arc<dyn InputSink> {
        Arc::clone(&self.board.i8042) as _
    }

    /// Guest RAM.
    #[must_use]
    pub fn guest_ram(&self) -> GuestRam {
        self.platform.vm.ram().clone()
    }

    /// The `devices` thread, to watch descriptors on.
    #[must_use]
    pub fn devices(&self) -> Devices {
        self.platform.devices.handle().clone()
    }

    /// Commands and events, from any thread, from now on.
    #[must_use]
    pub fn handle(&self) -> MachineHandle {
        MachineHandle::new(
            Arc::clone(&self.queue),
            Arc::clone(&self.first_entry),
            Arc::clone(&self.cpu),
        )
    }

    /// Plugs a PCI function in at 00:`device`.0. 0 is the host bridge, 0x1e the panic device, 0x1f is kept free.
    ///
    /// # Errors
    /// When the place is taken or the function cannot be.
    pub fn add_pci(&mut self, device: u8, function: Arc<dyn PciFunction>) -> Result<(), BuildError> {
        self.add_pci_function(device, 0, function)
    }

    /// Plugs a PCI function in at 00:`device`.`number`: one of up to eight of a device that has a function 0.
    ///
    /// # Errors
    /// When the place is taken or the function cannot be.
    pub fn add_pci_function(
        &mut self,
        device: u8,
        number: u8,
        function: Arc<dyn PciFunction>,
    ) -> Result<(), BuildError> {
        Ok(self.board.pci.plug_at(device, number, function)?)
    }

    /// Adds a device the machine pauses, resumes and resets. They are paused in the order of these calls (so: disks, then
    /// displays) and resumed in reverse.
    pub fn add_lifecycle(&mut self, device: Arc<dyn Lifecycle>) {
        self.lifecycles.push(device);
    }

    /// Adds what is called at the end, after every device was paused, to write back what is not on the disk yet.
    pub fn add_flush(&mut self, flush: Flush) {
        self.flushes.push(flush);
    }

    /// Names the display a kernel shows itself on before it has a driver.
    pub fn set_boot_video(&mut self, video: Arc<dyn BootVideo>) {
        self.firmware.video = Some(video);
    }

    /// Puts a register block at fixed ports.
    ///
    /// # Errors
    /// When something is there already.
    pub fn add_ports(
        &mut self,
        what: &'static str,
        port: u16,
        length: u16,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), BuildError> {
        self.platform.place_ports(what, port, length, device)
    }

    /// Puts a register block at fixed addresses.
    ///
    /// # Errors
    /// When something is there already.
    pub fn add_registers(
        &mut self,
        what: &'static str,
        addresses: std::ops::Range<u64>,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), BuildError> {
        let length = addresses.end.saturating_sub(addresses.start);
        self.platform
            .place(what, Space::Memory, addresses.start, length, device)
    }

    /// Watches a descriptor on the `devices` thread for as long as the machine lives, or until the handler has enough.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn register_event(
        &mut self,
        fd: Arc<dyn Watchable>,
        interest: EventSet,
        handler: Handler,
    ) -> io::Result<Option<Registration>> {
        self.platform.devices.handle().register(fd, interest, handler)
    }

    /// Assigns BARs, creates the vCPUs, writes the tables and loads the kernel; from saved state, all of that is as it was
    /// saved.
    ///
    /// # Errors
    /// When the kernel cannot be booted, the saved state is not this machine's or cannot be, or the host refuses.
    pub fn build(mut self) -> Result<Machine, BuildError> {
        let windows = Windows {
            ports: u64::from(*PCI_PORTS.start())..u64::from(*PCI_PORTS.end()) + 1,
            low: WINDOW32,
            high: self.platform.layout.window64(),
        };
        let pci = self.board.pci.clone();
        self.savers.push(saver("0", Arc::new(pci.clone())));
        let incoming = self.incoming.take();
        let restored = incoming.is_some();
        let (vcpus, start) = match incoming {
            None => {
                pci.assign(windows)?;
                let vcpus = self.create_vcpus(|_, leaves| Ok(leaves))?;
                (vcpus, Some(self.firmware.boot(self.platform.vm.ram())?))
            }
            Some(records) => {
                pci.set_windows(windows);
                (self.restore_vcpus(records)?, None)
            }
        };
        if let Some((first, _)) = vcpus.first() {
            // Nobody else sets it.
            self.cpu.set(first.cpuid().iter().map(leaf).collect()).ok();
        }
        let queue = Arc::clone(&self.queue);
        let reporter: Reporter = Arc::new(move |report: Report| {
            // A machine that has ended wants no reports.
            queue.push(Message::Report(report)).ok();
        });
        let cpus = Cpus::start(
            vcpus,
            Context {
                buses: Arc::clone(&self.platform.buses),
                ram: self.platform.vm.ram().clone(),
                reporter,
                first_entry: Arc::clone(&self.first_entry),
            },
        )
        .map_err(BootFailure::from)?;
        cpus.park()
            .and_then(|()| start.map_or(Ok(()), |start| cpus.reset(&start)))
            .map_err(BootFailure::from)?;

        let handle = self.handle();
        let quitter = handle.clone();
        let quit = Box::new(move || quitter.submit(Command::Quit { flush: true }, |_| ()));
        let serial = self
            .board
            .serial
            .connect(self.options.serial, self.board.uart, quit)
            .map_err(host("a serial console"))?;
        let mut lifecycles = self.lifecycles;
        lifecycles.extend(self.board.lifecycles);
        let driver = Driver::new(Parts {
            cpus,
            vm: self.platform.vm,
            controllers: self.controllers,
            firmware: self.firmware,
            devices: self.platform.devices,
            lifecycles,
            flushes: self.flushes,
            buses: self.platform.buses,
            power: self.board.power,
            serial,
            signals: self.options.signals,
            queue: self.queue,
            first_entry: self.first_entry,
            on_reboot: self.options.on_reboot,
            stop_timeout: self.options.stop_timeout,
            start_paused: self.options.start_paused,
            restored,
            savers: self.savers,
            memories: self.memories,
        });
        Ok(Machine::new(driver, handle))
    }

    /// Creates the vCPUs; `cpuid` gives what each shows instead of what it would by itself.
    fn create_vcpus(
        &self,
        cpuid: impl Fn(u32, Vec<kvm_cpuid_entry2>) -> Result<Vec<kvm_cpuid_entry2>, BuildError>,
    ) -> Result<Vec<(Vcpu, PowerOn)>, BuildError> {
        let cpus = self.firmware.cpus;
        let tsc_deadline = self.platform.kvm.has(Cap::TscDeadlineTimer);
        (0..cpus)
            .map(|id| {
                let mut vcpu = self.platform.vm.create_vcpu(id)?;
                let leaves = cpuid::leaves(&self.platform.cpuid, id, cpus, tsc_deadline);
                vcpu.set_cpuid(&cpuid(id, leaves)?)?;
                let power_on = PowerOn::take(&self.platform.kvm, &vcpu)?;
                Ok((vcpu, power_on))
            })
            .collect()
    }
}
