//! The machine around the device, as small as can be: memory behind BARs, an interrupt line, a dirty log.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use caraway_base::{
    address_space::{AddressSpace, DirtyLog, MapError, Mapping, MappingId, Space},
    bus::BusDevice,
    irq::IrqLine,
    lifecycle::Lifecycle as _,
    memory::SharedMemory,
    state::{Migratable as _, Record, Records},
};
use caraway_pci::function::{BarKind, PciFunction as _, PciInterrupts};
use caraway_ports::display::DisplaySink;
use caraway_qxl::{Drive, OptionRom, Qxl, QxlArgs, QxlConfig, QxlSizes};

use crate::{guest::field, program::Config, sink::Sink};

pub(crate) const MIB: u64 = 1 << 20;
/// Bytes of the draw area and of BAR 0: the smallest there are.
pub(crate) const VGAMEM: u64 = 8 * MIB;
pub(crate) const RAM: u64 = 16 * MIB;
/// Where BARs are unless the guest moves them.
pub(crate) const BAR0: u64 = 0xc000_0000;
pub(crate) const BAR1: u64 = 0xd000_0000;
pub(crate) const BAR4: u64 = 0x10_0000_0000;
const PAGE: u64 = 4096;
/// Bytes that nobody writes, and what they are.
const GUARD: u64 = 2048;
const GUARD_BYTE: u8 = 0xa5;

/// Which memory of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    Ram,
    Vram,
}

#[derive(Debug, Default)]
struct Line(AtomicBool);

impl IrqLine for Line {
    fn set(&self, asserted: bool) {
        self.0.store(asserted, Ordering::Relaxed);
    }
}

/// KVM's log of what the guest wrote to BAR 0.
struct Log(Mutex<Vec<u64>>);

impl Log {
    fn mark(&self, offset: u64, length: u64) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for page in offset / PAGE..(offset + length).div_ceil(PAGE) {
            if let Some(word) = words.get_mut((page / 64) as usize) {
                *word |= 1 << (page % 64);
            }
        }
    }
}

impl AddressSpace for Log {
    fn change(&self, _: &[MappingId], _: Vec<Mapping>) -> Result<Vec<MappingId>, MapError> {
        Err(MapError::Range {
            space: Space::Memory,
            start: 0,
            end: 0,
        })
    }

    fn take_dirty_log(&self, _: MappingId) -> Option<Vec<u64>> {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = vec![0; words.len()];
        Some(std::mem::replace(&mut *words, empty))
    }
}

/// Ports of a block: the first, how many, and who answers.
type PortBlock = (u16, u16, Arc<dyn BusDevice>);

pub(crate) struct Machine {
    pub(crate) config: QxlConfig,
    pub(crate) device: Arc<Qxl>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) ram: SharedMemory,
    pub(crate) vram: SharedMemory,
    pub(crate) header: u64,
    pub(crate) paused: bool,
    /// Where BARs 0, 1 and 4 are.
    pub(crate) bars: [(u8, Option<u64>); 3],
    line: Arc<Line>,
    log: Arc<Log>,
    vga_ports: Vec<PortBlock>,
    window: Option<Arc<dyn BusDevice>>,
    option_rom: Option<OptionRom>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(config: &Config) -> Self {
        let has_rom = config.shape & 0x40 != 0;
        let vram = if config.shape & 0x20 == 0 { MIB } else { 64 << 10 };
        let wide = (config.shape & 0x10 != 0).then_some(2 * vram);
        let config = QxlConfig {
            index: 0,
            primary: config.shape & 8 == 0,
            revision: [5, 4, 3, 2, 1, 5, 4, 1][usize::from(config.shape & 7)],
            heads: u16::from(config.heads % 64) + 1,
            sizes: QxlSizes::new(VGAMEM, RAM, vram, wide).expect("these sizes can be"),
        };
        let option_rom = has_rom.then(|| {
            let mut image = vec![0; 512];
            image[..3].copy_from_slice(&[0x55, 0xaa, 1]);
            OptionRom::new(&image).expect("it is an option ROM")
        });
        let sizes = config.sizes.for_revision(config.revision);
        let sink = Sink::new(RAM + sizes.vram64() + 16 * MIB);
        let device = Qxl::without_thread(config, option_rom.clone(), sink.clone()).expect("the device can be made");
        let memory = |index| {
            device.bars().into_iter().find_map(|bar| match bar.kind {
                BarKind::Memory { memory, .. } if bar.index == index => Some(memory),
                _ => None,
            })
        };
        let (ram, vram) = (memory(0).expect("BAR 0"), memory(1).expect("BAR 1"));
        let mut machine = Self {
            config,
            sink,
            header: u64::from(memory(2).expect("BAR 2").load_u32(0x2c).expect("the ROM")),
            ram,
            vram,
            paused: false,
            bars: [(0, Some(BAR0)), (1, Some(BAR1)), (4, wide.map(|_| BAR4))],
            line: Arc::default(),
            log: Arc::new(Log(Mutex::new(vec![0; (RAM / PAGE / 64) as usize]))),
            vga_ports: Vec::new(),
            window: None,
            option_rom,
            device,
        };
        machine.plug();
        machine.guard();
        machine
    }

    /// Bytes of VRAM in slot 2 of a guest that keeps to the protocol; the rest is nobody's.
    pub(crate) fn vram_slot(&self) -> u64 {
        self.vram.size().min(MIB) / 2
    }

    /// Where nobody writes: behind the last field of the RAM header, and behind slot 2.
    fn guards(&self) -> [(&SharedMemory, u64, u64); 2] {
        let ram = self.header + field::END;
        let vram = self.vram_slot();
        [
            (&self.ram, ram, RAM - ram),
            (&self.vram, vram, GUARD.min(self.vram.size() - vram)),
        ]
    }

    fn guard(&self) {
        for (memory, at, length) in self.guards() {
            let bytes = vec![GUARD_BYTE; length as usize];
            memory.write(at, &bytes).expect("inside the memory");
        }
    }

    /// Whether what nobody writes is as it was.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guards().into_iter().all(|(memory, at, length)| {
            let bytes = memory.read_vec(at, length).expect("inside the memory");
            bytes == vec![GUARD_BYTE; length as usize]
        })
    }

    /// Connects the device that is there now.
    fn plug(&mut self) {
        self.device.plugged(PciInterrupts {
            intx: Some(self.line.clone()),
            msix: Vec::new(),
            msix_enabled: Arc::default(),
        });
        for (bar, place) in self.bars {
            self.device.bar_moved(bar, place);
        }
        let log = DirtyLog::new(self.log.clone(), MappingId(0));
        self.device.bar_logged(0, Some(log));
        self.vga_ports = self.device.vga_ports();
        self.window = self.device.vga_window().map(|(_, window)| window);
    }

    pub(crate) fn region(&self, region: Region) -> &SharedMemory {
        match region {
            Region::Ram => &self.ram,
            Region::Vram => &self.vram,
        }
    }

    /// The guest writes to memory; what does not fit is left out.
    pub(crate) fn write(&self, region: Region, at: u64, bytes: &[u8]) {
        let memory = self.region(region);
        let room = memory.size().saturating_sub(at).min(bytes.len() as u64);
        if memory.write(at, &bytes[..room as usize]).is_ok() && region == Region::Ram {
            self.log.mark(at, room);
        }
    }

    pub(crate) fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.ram.read(at, &mut bytes).expect("inside the memory");
        bytes
    }

    pub(crate) fn load(&self, field: u64) -> u32 {
        u32::from_le_bytes(self.read(self.header + field))
    }

    pub(crate) fn store(&self, field: u64, value: u32) {
        self.write(Region::Ram, self.header + field, &value.to_le_bytes());
    }

    /// A field of the header that is several words.
    pub(crate) fn argument(&self, field: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(Region::Ram, self.header + field, &bytes);
    }

    pub(crate) fn out(&self, port: u8, value: u8) {
        self.device.bar_write(3, port.into(), &[value]);
    }

    pub(crate) fn line(&self) -> bool {
        self.line.0.load(Ordering::Relaxed)
    }

    pub(crate) fn move_bar(&mut self, bar: usize, place: Option<u64>) {
        let (number, old) = &mut self.bars[bar];
        *old = place;
        self.device.bar_moved(*number, place);
        if bar == 0 {
            let log = place.map(|_| DirtyLog::new(self.log.clone(), MappingId(0)));
            self.device.bar_logged(0, log);
        }
    }

    pub(crate) fn vga_write(&self, port: u16, data: &[u8]) {
        if let Some((first, _, device)) = self.block(port) {
            device.write(u64::from(port - first), data);
        }
    }

    pub(crate) fn vga_read(&self, port: u16, data: &mut [u8]) {
        if let Some((first, _, device)) = self.block(port) {
            device.read(u64::from(port - first), data);
        }
    }

    fn block(&self, port: u16) -> Option<&PortBlock> {
        self.vga_ports
            .iter()
            .find(|(first, count, _)| (*first..first + count).contains(&port))
    }

    pub(crate) fn window(&self) -> Option<&Arc<dyn BusDevice>> {
        self.window.as_ref()
    }

    pub(crate) fn pause(&mut self) {
        self.device.pause();
        self.paused = true;
    }

    pub(crate) fn resume(&mut self) {
        self.device.resume();
        self.paused = false;
    }

    /// What a device is built from to go on in this machine, with another viewer if there is one.
    fn args(&self, sink: Arc<dyn DisplaySink>) -> QxlArgs {
        QxlArgs {
            config: self.config,
            sink,
            ram: self.ram.clone(),
            vram: self.vram.clone(),
            option_rom: self.option_rom.clone(),
            drive: Drive::Caller,
        }
    }

    /// Saves the paused device and goes on with the one built from its record.
    pub(crate) fn save_and_restore(&mut self) {
        let mut records = Records::default();
        records.put("0", &*self.device).expect("the state encodes");
        let before = self.device.save();
        let restored: Qxl = records
            .take("0", self.args(self.sink.clone()))
            .expect("a device can be built from what one saved");
        records.finish().expect("nothing is left over");
        assert_eq!(before, restored.save(), "the restored device is another one");
        self.device = Arc::new(restored);
        self.plug();
    }

    /// Builds a device for nobody from a record with a changed byte, if that can be.
    pub(crate) fn restore_changed(&self, at: usize, with: u8) {
        let mut records = Records::default();
        records.put("0", &*self.device).expect("the state encodes");
        let mut list: Vec<Record> = records.into_inner();
        let payload = &mut list[0].payload;
        let at = at % payload.len();
        payload[at] = with;
        let sink = Sink::new(u64::MAX);
        let restored = Records::new(list).take::<Qxl>("0", self.args(sink));
        if let Ok(device) = restored {
            assert_eq!(device.save(), device.save());
        }
    }
}
