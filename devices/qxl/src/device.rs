//! The device as the machine sees it: a PCI function, a display thread, and the life cycle between them.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use caraway_base::{
    address_space::{DirtyLog, Doorbell},
    bus::Outcome,
    lifecycle::Lifecycle,
    memory::SharedMemory,
};
use caraway_pci::function::{BarKind, BarSpec, EXPANSION_ROM, PciFunction, PciIdentity, PciInterrupts};
use caraway_ports::display::{Audience, DisplaySink, DisplaySource, WantedHead};
use caraway_vga::{Vga, VgaArgs};
use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd},
};

use crate::{
    QxlConfig, QxlCounters, QxlError,
    clock::Clock,
    core::{ClientNews, Core, Mode, PortEffect},
    counters::Counter,
    drive::Drive,
    lock,
    memory::GuestMemory,
    monitors::{ClientHead, MAX_HEADS},
    option_rom::{OPTION_ROM_SIZE, OptionRom},
    ports,
    rom::{CLIENT_CAPABILITY_BYTES, ROM_SIZE, Rom},
    worker::{Step, Worker},
};

/// The longest a vCPU waits for the display thread; then the work goes on without it.
const PORT_WAIT: Duration = Duration::from_secs(5);
/// How soon the display thread looks again whether the guest took what was given back, and how seldom in the end.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(640);

/// Time from one picture of the VGA core to the next while somebody looks.
const FRAME: Duration = Duration::from_millis(33);

/// A QXL device with its display thread.
///
/// What its revisions have: 1 the ports 0 to 7 and a page of VRAM, 2 slots, surfaces and the ports 8 to 15, 3
/// asynchronous commands and the ports 16 to 23, 4 port 24 and news of clients ([`Qxl::set_client`],
/// [`Qxl::request_monitors`]), 5 a screen that stays when the guest writes VGA registers ([`Qxl::vga_ports`]).
#[derive(Debug)]
pub struct Qxl {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    /// Held by the display thread step by step, by whoever found it parked, and for a picture of the VGA core.
    pub(crate) worker: Mutex<Worker>,
    rom: SharedMemory,
    /// Rung by doorbells and by port writes.
    pub(crate) wake: Arc<EventFd>,
    pub(crate) drive: Drive,
    pub(crate) control: Mutex<Control>,
    pub(crate) changed: Condvar,
    /// Somebody looks at the screen.
    watched: AtomicBool,
    /// What the expansion ROM holds.
    option_rom: Option<OptionRom>,
}

#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) pause: bool,
    pub(crate) parked: bool,
    pub(crate) stop: bool,
}

impl Qxl {
    /// Makes the device in its power-on state, with memory of its own, and starts its display thread.
    ///
    /// # Errors
    /// When the configuration cannot be or the host refuses memory, an event descriptor or the thread.
    pub fn new(config: QxlConfig, sink: Arc<dyn DisplaySink>) -> Result<Arc<Self>, QxlError> {
        Self::with_option_rom(config, None, sink)
    }

    /// As [`Qxl::new`], with a VGA BIOS in the expansion ROM.
    ///
    /// # Errors
    /// As [`Qxl::new`].
    pub fn with_option_rom(
        config: QxlConfig,
        option_rom: Option<OptionRom>,
        sink: Arc<dyn DisplaySink>,
    ) -> Result<Arc<Self>, QxlError> {
        Self::make(config, option_rom, sink, Drive::Thread)
    }

    pub(crate) fn make(
        config: QxlConfig,
        option_rom: Option<OptionRom>,
        sink: Arc<dyn DisplaySink>,
        drive: Drive,
    ) -> Result<Arc<Self>, QxlError> {
        let config = config.checked()?;
        let memory = Self::allocate(&config)?;
        let vga = fresh_vga(&config, &memory);
        let device = Self::assemble_with(config, memory, vga, option_rom, sink, drive)?;
        device.shared.core.header.reset();
        device.start(false)?;
        Ok(Arc::new(device))
    }

    pub(crate) fn allocate(config: &QxlConfig) -> Result<GuestMemory, QxlError> {
        Ok(GuestMemory {
            ram: SharedMemory::allocate("qxl-ram", config.sizes.ram())?,
            vram: SharedMemory::allocate("qxl-vram", config.sizes.vram64())?,
        })
    }

    /// [`Qxl::assemble_with`] without a record and without a VGA BIOS.
    #[cfg(test)]
    pub(crate) fn assemble(
        config: QxlConfig,
        memory: GuestMemory,
        sink: Arc<dyn DisplaySink>,
    ) -> Result<Self, QxlError> {
        let vga = fresh_vga(&config, &memory);
        Self::assemble_with(config, memory, vga, None, sink, Drive::Thread)
    }

    /// Puts the parts together for a checked configuration; nothing runs yet and the RAM header is as it was. `vga` is
    /// there for the primary device.
    pub(crate) fn assemble_with(
        config: QxlConfig,
        memory: GuestMemory,
        vga: Option<Vga>,
        option_rom: Option<OptionRom>,
        sink: Arc<dyn DisplaySink>,
        drive: Drive,
    ) -> Result<Self, QxlError> {
        let clock = match drive {
            Drive::Thread => Clock::host(),
            Drive::Caller => Clock::told(),
        };
        let core = Arc::new(Core::new(config, memory, vga, clock));
        let rom_memory = SharedMemory::allocate("qxl-rom", ROM_SIZE)?;
        let rom = Rom::new(rom_memory.clone(), config.index, config.sizes);
        let wake = EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(|source| QxlError::Host {
            what: "an event descriptor",
            source,
        })?;
        let shared = Arc::new(Shared {
            worker: Mutex::new(Worker::new(Arc::clone(&core), rom, sink)),
            core,
            rom: rom_memory,
            wake: Arc::new(wake),
            drive,
            control: Mutex::default(),
            changed: Condvar::new(),
            watched: AtomicBool::new(false),
            option_rom,
        });
        Ok(Self {
            shared,
            thread: Mutex::default(),
        })
    }

    /// Starts the display thread, if there is to be one.
    pub(crate) fn start(&self, paused: bool) -> Result<(), QxlError> {
        let refused = |what| move |source| QxlError::Host { what, source };
        {
            let mut control = lock(&self.shared.control);
            control.pause = paused;
            // A device built from a record is at rest already.
            control.parked = paused;
        }
        if self.shared.drive == Drive::Caller {
            return Ok(());
        }
        let bell = Bell::new(&self.shared.wake).map_err(refused("an epoll descriptor"))?;
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(format!("display-{}", shared.core.config.index))
            .spawn(move || {
                let _end = End(&shared);
                shared.run(&bell);
            })
            .map_err(refused("the display thread"))?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Contents of BAR 0, and of BARs 1 and 4: what is saved beside the record.
    #[must_use]
    pub fn memories(&self) -> (&SharedMemory, &SharedMemory) {
        let memory = &self.shared.core.memory;
        (&memory.ram, &memory.vram)
    }

    /// What the device did so far.
    #[must_use]
    pub fn counters(&self) -> QxlCounters {
        self.shared.core.counters.read()
    }

    /// Tells the guest whether clients are there and what all of them can do (bit i at byte i/8, bit i%8). Revisions
    /// below 4 have no place for it.
    pub fn set_client(&self, present: bool, capabilities: &[u8; CLIENT_CAPABILITY_BYTES]) {
        self.shared.core.tell(ClientNews {
            client: Some((present, Box::new(*capabilities))),
            heads: None,
        });
        self.shared.wake();
    }

    /// Whether the guest's driver would act on [`Qxl::request_monitors`]; if not, ask the agent.
    #[must_use]
    pub fn takes_monitors(&self) -> bool {
        self.shared.core.takes_client_monitors()
    }

    /// Asks the guest for monitors as a client wants them. Whether its driver takes such requests; if not, nothing was
    /// asked and the agent is to be.
    pub fn request_monitors(&self, heads: &[ClientHead]) -> bool {
        if !self.takes_monitors() {
            return false;
        }
        let most = MAX_HEADS.min(self.shared.core.config.heads.into());
        self.shared.core.tell(ClientNews {
            client: None,
            heads: Some(heads.iter().take(most).copied().collect()),
        });
        self.shared.wake();
        true
    }
}

/// The VGA core of a primary device, as after power-on.
fn fresh_vga(config: &QxlConfig, memory: &GuestMemory) -> Option<Vga> {
    config.primary.then(|| Vga::new(vga_args(config, memory)))
}

/// What the VGA core works on.
pub(crate) fn vga_args(config: &QxlConfig, memory: &GuestMemory) -> VgaArgs {
    VgaArgs {
        memory: memory.ram.clone(),
        vgamem: config.sizes.vgamem(),
    }
}

impl Drop for Qxl {
    fn drop(&mut self) {
        lock(&self.shared.control).stop = true;
        self.shared.changed.notify_all();
        self.shared.wake();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(device = self.shared.core.config.index, "the display thread panicked");
        }
    }
}

/// Lets nobody wait for a display thread that ended, however it did.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        lock(&self.0.control).stop = true;
        self.0.changed.notify_all();
    }
}

/// What the display thread sleeps on.
struct Bell {
    epoll: Epoll,
}

impl Bell {
    fn new(event: &EventFd) -> std::io::Result<Self> {
        use std::os::fd::AsRawFd as _;
        let epoll = Epoll::new()?;
        epoll.ctl(
            ControlOperation::Add,
            event.as_raw_fd(),
            EpollEvent::new(EventSet::IN, 0),
        )?;
        Ok(Self { epoll })
    }

    /// Sleeps until the event is signalled or the time is over.
    fn wait(&self, limit: Option<Duration>) {
        let milliseconds = limit.map_or(-1, |limit| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
        let mut events = [EpollEvent::default()];
        match self.epoll.wait(milliseconds, &mut events) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Cannot happen with a descriptor of our own; do not spin if it does.
            Err(_) => std::thread::sleep(FIRST_LOOK),
        }
    }
}

impl Shared {
    /// Does what a port write asks of the vCPU that made it.
    pub(crate) fn finish(&self, effect: &PortEffect) {
        let limit = match self.drive {
            Drive::Thread => PORT_WAIT,
            // What was not done at once, while paused, is done later.
            Drive::Caller => Duration::ZERO,
        };
        if effect.wake {
            self.wake();
            self.run_until_idle();
        }
        if let Some(ticket) = &effect.ticket
            && !ticket.wait(limit)
        {
            self.core.port_timed_out();
        }
    }

    pub(crate) fn wake(&self) {
        // Fails only when the counter is full, and then the thread is awake.
        let _ = self.wake.write(1);
    }

    /// The display thread.
    fn run(&self, bell: &Bell) {
        let mut look = FIRST_LOOK;
        let mut next_frame = Duration::ZERO;
        loop {
            match self.attend() {
                Attention::Stop => return,
                Attention::Resumed => look = FIRST_LOOK,
                Attention::Go => {}
            }
            let step = lock(&self.worker).step();
            match step {
                Step::Busy => look = FIRST_LOOK,
                Step::Idle { unreturned } => {
                    let returned = (unreturned && look <= LAST_LOOK).then_some(look);
                    look = look.saturating_mul(2).min(2 * LAST_LOOK);
                    let frame = self.frame(&mut next_frame);
                    bell.wait(returned.into_iter().chain(frame).min());
                    // Nothing there to read when the time was over.
                    if self.wake.read().is_ok() {
                        look = FIRST_LOOK;
                    }
                }
            }
        }
    }

    /// Draws the VGA core's picture when it is time to; how long it is until the next time.
    fn frame(&self, next: &mut Duration) -> Option<Duration> {
        if !self.watched.load(Ordering::Acquire) || !lock(&self.worker).shows_vga() {
            return None;
        }
        let now = self.core.clock.now();
        if now >= *next {
            *next = now + FRAME;
            self.refresh();
        }
        Some(next.saturating_sub(now))
    }

    fn refresh(&self) {
        lock(&self.worker).refresh_vga(self.core.clock.now());
    }

    /// Parks while the machine wants this device still.
    fn attend(&self) -> Attention {
        let mut control = lock(&self.control);
        let mut attention = Attention::Go;
        while control.pause && !control.stop {
            attention = Attention::Resumed;
            if !control.parked {
                drop(control);
                lock(&self.worker).quiesce();
                control = lock(&self.control);
                control.parked = control.pause;
                self.changed.notify_all();
                continue;
            }
            control = self
                .changed
                .wait(control)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        control.parked = false;
        if control.stop { Attention::Stop } else { attention }
    }
}

/// What the display thread is to do.
enum Attention {
    Go,
    /// It was parked; what it knew of the guest is old.
    Resumed,
    Stop,
}

impl PciFunction for Qxl {
    fn identity(&self) -> PciIdentity {
        let config = &self.shared.core.config;
        PciIdentity {
            vendor: 0x1b36,
            device: 0x0100,
            revision: config.revision,
            // VGA compatible, or another display controller.
            class: [0x03, if config.primary { 0x00 } else { 0x80 }, 0x00],
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            intx: true,
        }
    }

    fn bars(&self) -> Vec<BarSpec> {
        let core = &self.shared.core;
        let sizes = &core.config.sizes;
        let memory = |index, size, wide, memory: &SharedMemory, read_only| BarSpec {
            index,
            size,
            wide,
            prefetchable: wide,
            kind: BarKind::Memory {
                memory: memory.clone(),
                offset: 0,
                read_only,
                log_dirty: !read_only,
            },
        };
        let mut bars = vec![
            memory(0, sizes.ram(), false, &core.memory.ram, false),
            memory(1, sizes.vram32(), false, &core.memory.vram, false),
            memory(2, ROM_SIZE, false, &self.shared.rom, true),
            BarSpec {
                index: 3,
                size: core.config.port_bar_size(),
                wide: false,
                prefetchable: false,
                kind: BarKind::Ports,
            },
        ];
        if sizes.vram64() > sizes.vram32() {
            bars.push(memory(4, sizes.vram64(), true, &core.memory.vram, false));
        }
        if let Some(rom) = &self.shared.option_rom {
            bars.push(memory(EXPANSION_ROM, OPTION_ROM_SIZE, false, rom.memory(), true));
        }
        bars
    }

    fn doorbells(&self, bar: u8) -> Vec<Doorbell> {
        if bar != 3 {
            return Vec::new();
        }
        [ports::NOTIFY_COMMAND, ports::NOTIFY_CURSOR]
            .map(|port| Doorbell {
                offset: port.into(),
                width: 1,
                value: None,
                event: Arc::clone(&self.shared.wake),
            })
            .into()
    }

    fn plugged(&self, interrupts: PciInterrupts) {
        if let Some(line) = interrupts.intx {
            self.shared.core.interrupts.connect(line);
        }
    }

    /// Ports read as ones, which is what `data` holds already.
    fn bar_read(&self, _bar: u8, _offset: u64, _data: &mut [u8]) {}

    fn bar_write(&self, bar: u8, offset: u64, data: &[u8]) -> Outcome {
        match (bar, u8::try_from(offset), data) {
            (3, Ok(port), [value]) => {
                let effect = self.shared.core.port_write(port, *value);
                self.shared.finish(&effect);
            }
            _ => self.shared.core.counters.add(Counter::IgnoredAccesses),
        }
        Outcome::Done
    }

    fn bar_logged(&self, bar: u8, log: Option<DirtyLog>) {
        if let (0, Some(vga)) = (bar, &self.shared.core.vga) {
            vga.logged(log);
        }
    }

    fn bar_moved(&self, bar: u8, address: Option<u64>) {
        self.shared.core.bar_moved(bar, address);
    }
}

impl DisplaySource for Qxl {
    fn audience(&self, audience: Audience) {
        self.shared.watched.store(audience.watched, Ordering::Release);
        let capabilities = audience.clients.unwrap_or([0; CLIENT_CAPABILITY_BYTES]);
        self.set_client(audience.clients.is_some(), &capabilities);
    }

    /// A driver's picture is in the viewer already, the VGA core's may not be.
    fn refresh(&self) {
        if self.shared.core.front().mode == Mode::Vga {
            self.shared.refresh();
        }
    }

    fn takes_monitors(&self) -> bool {
        Self::takes_monitors(self)
    }

    fn request_monitors(&self, heads: &[WantedHead]) {
        let heads: Vec<ClientHead> = heads
            .iter()
            .map(|head| ClientHead {
                x: head.x,
                y: head.y,
                width: head.width,
                height: head.height,
            })
            .collect();
        Self::request_monitors(self, &heads);
    }
}

impl Lifecycle for Qxl {
    /// Waits without limit: the display thread waits for nobody, and going on while it still touches guest memory would
    /// break what pausing is for.
    fn pause(&self) {
        self.shared.pause();
    }

    fn resume(&self) {
        self.shared.resume();
    }

    /// As the reset port, and the VGA core's registers too. What is in RAM and VRAM outside the RAM header stays, as it
    /// does on a machine reset.
    fn reset(&self) {
        if let Some(vga) = &self.shared.core.vga {
            vga.lock().reset();
        }
        self.shared.core.reset();
        lock(&self.shared.worker).run_jobs();
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
