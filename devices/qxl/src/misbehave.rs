//! The device answering wrongly, for tests of guests' drivers: one fault at a time, armed while the guest runs.
//!
//! Only with the feature `misbehave`, which is on in programs built for tests. The faults spoil what the guest sees; the
//! device itself goes on, so that it is sound again when the fault is over and the guest has reset it.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use caraway_base::memory::SharedMemory;

use crate::{
    Qxl,
    header::{COMMAND_RING_ITEMS, RELEASE_RING_ITEMS, RamHeader, offset},
    interrupts::{CLIENT, CLIENT_MONITORS, ERROR, IO_COMMAND, Interrupts},
    lock,
    memory::Location,
    parse::Guest,
    ring::{Batch, Held, RingCorrupt},
    rom::{self, Rom},
    worker::Worker,
};

/// What the device does wrong. `value` is what it was armed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// `value` comes back in place of what was done, which is lost.
    ReleaseUnknown,
    /// What was done comes back, and once more.
    ReleaseTwice,
    /// A command comes back before it is taken from the ring, and not afterwards.
    ReleaseEarly,
    /// A chain of nothing, and what was done is lost.
    ReleaseEmpty,
    /// A chain that goes back to its begin.
    ReleaseLoop,
    /// What was done does not come back.
    ReleaseNever,
    /// `value` is added to the consumer of the command ring that the guest sees, once the device is idle.
    CommandConsumer,
    /// The same of the cursor ring.
    CursorConsumer,
    /// `value` is added to the producer of the release ring that the guest sees.
    ReleaseProducer,
    /// The marks at which the guest is to ring the doorbells are never reached.
    MarksNever,
    /// Bits get pending and the line does not follow.
    InterruptsLost,
    /// The bits `value` are pending again after each UPDATE_IRQ.
    InterruptsStorm,
    /// The line stays up.
    LevelHeld,
    /// The bits `value` are pending with every other one.
    PendingUnknown,
    /// Asynchronous ports are done and nobody is told.
    PortsSilent,
    /// Asynchronous ports are answered twice.
    PortsTwice,
    /// Asynchronous ports are answered by the error interrupt alone.
    PortsError,
    /// Presence and capabilities of the client change with each command.
    ClientFlaps,
    /// The client wants 2 monitors, says the ROM, and that there are `value`.
    MonitorsCount,
    /// The client wants monitors left of and above the origin.
    MonitorsNegative,
    /// The client wants monitors whose right edge is left of the left one.
    MonitorsInverted,
    /// The client wants monitors of 2³¹ - 1 pixels each way.
    MonitorsHuge,
    /// The sum of the client's monitors is never right.
    MonitorsChecksum,
    /// `value` is in a field of the ROM: offset and bytes.
    Rom(u64, usize),
    /// `value` is in a word of the RAM header, now and after each reset.
    Header(u64),
    /// `value` is in every word of the rings and in the magic of the RAM header, now and after each reset.
    Scribble,
}

const RINGS: [u64; 3] = [offset::COMMAND_RING, offset::CURSOR_RING, offset::RELEASE_RING];

/// The names of the faults.
const FAULTS: &[(&str, Fault)] = &[
    ("release-unknown", Fault::ReleaseUnknown),
    ("release-twice", Fault::ReleaseTwice),
    ("release-early", Fault::ReleaseEarly),
    ("release-empty", Fault::ReleaseEmpty),
    ("release-loop", Fault::ReleaseLoop),
    ("release-never", Fault::ReleaseNever),
    ("command-consumer", Fault::CommandConsumer),
    ("cursor-consumer", Fault::CursorConsumer),
    ("release-producer", Fault::ReleaseProducer),
    ("marks-never", Fault::MarksNever),
    ("interrupts-lost", Fault::InterruptsLost),
    ("interrupts-storm", Fault::InterruptsStorm),
    ("level-held", Fault::LevelHeld),
    ("pending-unknown", Fault::PendingUnknown),
    ("ports-silent", Fault::PortsSilent),
    ("ports-twice", Fault::PortsTwice),
    ("ports-error", Fault::PortsError),
    ("client-flaps", Fault::ClientFlaps),
    ("monitors-count", Fault::MonitorsCount),
    ("monitors-negative", Fault::MonitorsNegative),
    ("monitors-inverted", Fault::MonitorsInverted),
    ("monitors-huge", Fault::MonitorsHuge),
    ("monitors-checksum", Fault::MonitorsChecksum),
    ("rom-magic", Fault::Rom(0x00, 4)),
    ("rom-modes-offset", Fault::Rom(0x18, 4)),
    ("rom-num-pages", Fault::Rom(0x1c, 4)),
    ("rom-pages-offset", Fault::Rom(0x20, 4)),
    ("rom-draw-area-offset", Fault::Rom(0x24, 4)),
    ("rom-surface0-area-size", Fault::Rom(0x28, 4)),
    ("rom-ram-header-offset", Fault::Rom(0x2c, 4)),
    ("rom-mm-clock", Fault::Rom(0x30, 4)),
    ("rom-n-surfaces", Fault::Rom(0x34, 4)),
    ("rom-slots-start", Fault::Rom(0x40, 1)),
    ("rom-slots-end", Fault::Rom(0x41, 1)),
    ("rom-slot-gen-bits", Fault::Rom(0x42, 1)),
    ("rom-slot-id-bits", Fault::Rom(0x43, 1)),
    ("rom-slot-generation", Fault::Rom(0x44, 1)),
    ("ram-magic", Fault::Header(offset::MAGIC)),
    ("ram-command-items", Fault::Header(offset::COMMAND_RING)),
    ("ram-cursor-items", Fault::Header(offset::CURSOR_RING)),
    ("ram-release-items", Fault::Header(offset::RELEASE_RING)),
    (
        "ram-command-notify",
        Fault::Header(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER),
    ),
    (
        "ram-release-notify",
        Fault::Header(offset::RELEASE_RING + offset::RING_NOTIFY_ON_PRODUCER),
    ),
    ("ram-scribble", Fault::Scribble),
];

/// There is no fault of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no fault {name:?}: there are {}", Self::names())]
pub struct UnknownFault {
    name: String,
}

impl UnknownFault {
    fn names() -> String {
        FAULTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    value: i64,
    left: Option<u32>,
}

/// The fault there is, if any.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Mutex<Option<Armed>>,
    acted: Mutex<u64>,
    /// A port was answered the first time.
    answered: AtomicBool,
}

impl Faults {
    fn arm(&self, armed: Option<Armed>) {
        if armed.is_some() {
            *lock(&self.acted) = 0;
        }
        self.answered.store(false, Ordering::Relaxed);
        *lock(&self.armed) = armed;
    }

    /// If this fault is armed, its value; and it has acted once more.
    fn act(&self, fault: Fault) -> Option<i64> {
        let mut armed = lock(&self.armed);
        let armed = armed.as_mut().filter(|armed| armed.fault == fault)?;
        if let Some(left) = &mut armed.left {
            *left = left.checked_sub(1)?;
        }
        *lock(&self.acted) += 1;
        Some(armed.value)
    }

    /// The fault and its value, without acting.
    fn now(&self) -> Option<(Fault, i64)> {
        lock(&self.armed).as_ref().map(|armed| (armed.fault, armed.value))
    }

    fn count(&self) {
        *lock(&self.acted) += 1;
    }

    /// The bits that get pending in place of `bits`.
    pub(crate) fn raised(&self, bits: u32) -> u32 {
        if let Some(value) = self.act(Fault::PendingUnknown) {
            return bits | value as u32;
        }
        if bits & IO_COMMAND == 0 {
            return bits;
        }
        if self.act(Fault::PortsSilent).is_some() {
            return bits & !IO_COMMAND;
        }
        if self.act(Fault::PortsError).is_some() {
            return bits & !IO_COMMAND | ERROR;
        }
        if self.now().is_some_and(|(fault, _)| fault == Fault::PortsTwice) {
            self.answered.fetch_xor(true, Ordering::Relaxed);
        }
        bits
    }

    /// Whether the line is not to follow what got pending.
    pub(crate) fn loses_interrupt(&self) -> bool {
        self.act(Fault::InterruptsLost).is_some()
    }

    /// Whether the line is up without a reason.
    pub(crate) fn holds_level(&self) -> bool {
        self.act(Fault::LevelHeld).is_some()
    }

    /// Puts what the armed fault wants into the header.
    pub(crate) fn spoil_header(&self, header: &RamHeader) {
        let Some((fault, _)) = self.now() else { return };
        match fault {
            Fault::Header(field) => {
                if let Some(value) = self.act(fault) {
                    header.store(field, value as u32);
                }
            }
            Fault::Scribble => {
                let Some(value) = self.act(fault) else { return };
                header.store(offset::MAGIC, value as u32);
                for ring in RINGS {
                    for word in (offset::RING_ITEM_COUNT..offset::RING_ITEMS).step_by(4) {
                        header.store(ring + word, value as u32);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Interrupts {
    /// After the guest wrote UPDATE_IRQ.
    pub(crate) fn after_update(&self) {
        if let Some(bits) = self.faults.act(Fault::InterruptsStorm) {
            self.raise(bits as u32);
        }
        if self.faults.answered.load(Ordering::Relaxed) && self.faults.act(Fault::PortsTwice).is_some() {
            self.raise(IO_COMMAND);
        }
    }
}

/// Bytes of the ROM that are not what they should be.
#[derive(Debug)]
pub(crate) struct Lie {
    offset: u64,
    bytes: Vec<u8>,
}

impl Lie {
    /// What the ROM says in place of the truth while a fault is armed.
    fn of(fault: Fault, value: i64) -> Vec<Self> {
        let heads = |rect: [i32; 4]| Self::monitors(2, rect);
        match fault {
            Fault::Rom(offset, bytes) => {
                let mut value = value.to_le_bytes().to_vec();
                value.truncate(bytes);
                vec![Self { offset, bytes: value }]
            }
            Fault::MonitorsCount => Self::monitors(value as u16, [0, 0, 480, 640]),
            Fault::MonitorsNegative => heads([-600, -800, 168, 224]),
            Fault::MonitorsInverted => heads([480, 640, 0, 0]),
            Fault::MonitorsHuge => heads([0, 0, i32::MAX, i32::MAX]),
            // Whatever the block is, this is the sum of another one.
            Fault::MonitorsChecksum => vec![Self {
                offset: rom::CLIENT_MONITORS_CRC,
                bytes: vec![0xa5; 4],
            }],
            _ => Vec::new(),
        }
    }

    /// A block of two rectangles (top, left, bottom, right), the second one 1024 pixels further right, with its sum.
    fn monitors(count: u16, rect: [i32; 4]) -> Vec<Self> {
        let [top, left, bottom, right] = rect;
        let second = [top, left.wrapping_add(1024), bottom, right.wrapping_add(1024)];
        let mut block = u32::from(count).to_le_bytes().to_vec();
        block.extend(rect.iter().chain(&second).flat_map(|edge| edge.to_le_bytes()));
        block.resize(rom::CLIENT_MONITORS_SIZE, 0);
        let sum = rom::crc(&block).to_le_bytes().to_vec();
        vec![
            Self {
                offset: rom::CLIENT_MONITORS,
                bytes: block,
            },
            Self {
                offset: rom::CLIENT_MONITORS_CRC,
                bytes: sum,
            },
        ]
    }

    /// Puts it over the truth.
    pub(crate) fn tell(&self, memory: &SharedMemory) {
        if let Err(error) = memory.write(self.offset, &self.bytes) {
            tracing::error!(%error, "a lie is outside of the ROM");
        }
    }
}

impl Worker {
    /// A fault was armed, or ended: what shows at once.
    fn turn(&mut self) {
        let core = &self.core;
        let monitors = self.rom.lies_about_monitors();
        let lies = core.interrupts.faults.now().map(|(fault, value)| Lie::of(fault, value));
        let lies = lies.unwrap_or_default();
        if !lies.is_empty() {
            core.interrupts.faults.count();
        }
        self.rom.tell(lies);
        for (field, truth) in [
            (offset::COMMAND_RING + offset::RING_CONSUMER, self.commands.consumer()),
            (
                offset::CURSOR_RING + offset::RING_CONSUMER,
                self.cursor_commands.consumer(),
            ),
            (offset::RELEASE_RING + offset::RING_PRODUCER, self.release.producer()),
        ] {
            core.header.store(field, truth);
        }
        core.interrupts.faults.spoil_header(&core.header);
        if monitors || self.rom.lies_about_monitors() {
            core.interrupts.raise(CLIENT_MONITORS);
        }
        core.interrupts.update();
    }

    /// Before a command is taken from its ring.
    pub(crate) fn before_command(&mut self) -> Result<(), RingCorrupt> {
        let header = &self.core.header;
        if self.commands.waiting(header)? == 0 || self.core.interrupts.faults.act(Fault::ReleaseEarly).is_none() {
            return Ok(());
        }
        let index = u64::from(self.commands.consumer() % COMMAND_RING_ITEMS);
        let item = header.read(offset::COMMAND_RING + offset::RING_ITEMS + 16 * index);
        let address = u64::from_le_bytes(item);
        let guest = Guest::new(&self.core.memory, &self.slots);
        if let (Ok(body), Ok(id)) = (guest.resolve(address, 8), guest.read::<8>(address, 0)) {
            let id = u64::from_le_bytes(id);
            self.release.add(&self.core.memory, Held { id, body });
            self.flush_release();
        }
        Ok(())
    }

    /// After a command was taken from its ring.
    pub(crate) fn after_command(&mut self) {
        if self.core.interrupts.faults.act(Fault::ClientFlaps).is_some() {
            self.rom.flap();
            self.core.interrupts.raise(CLIENT);
        }
    }

    fn spoil_index(&self, field: u64, index: u32, value: i64) {
        self.core.header.store(field, index.wrapping_add(value as u32));
    }

    /// All commands there are were taken, and doorbells asked for.
    pub(crate) fn when_idle(&self) {
        const FAR: i64 = 1 << 31;
        let faults = &self.core.interrupts.faults;
        let rings = [
            (offset::COMMAND_RING, self.commands.consumer(), Fault::CommandConsumer),
            (
                offset::CURSOR_RING,
                self.cursor_commands.consumer(),
                Fault::CursorConsumer,
            ),
        ];
        for (ring, consumer, fault) in rings {
            if let Some(value) = faults.act(fault) {
                self.spoil_index(ring + offset::RING_CONSUMER, consumer, value);
            }
        }
        if faults.act(Fault::MarksNever).is_some() {
            for (ring, consumer, _) in rings {
                self.spoil_index(ring + offset::RING_NOTIFY_ON_PRODUCER, consumer, FAR);
            }
        }
    }

    /// Whether what was done is not to come back.
    pub(crate) fn keeps(&self) -> bool {
        self.core.interrupts.faults.act(Fault::ReleaseNever).is_some()
    }

    /// Before what was done is published.
    pub(crate) fn before_release(&mut self) {
        let faults = &self.core.interrupts.faults;
        let Some(batch) = &mut self.release.batch else { return };
        if let Some(value) = faults.act(Fault::ReleaseUnknown) {
            batch.first = value as u64;
        }
        if faults.act(Fault::ReleaseEmpty).is_some() {
            batch.first = 0;
        }
        if faults.act(Fault::ReleaseLoop).is_some() {
            self.core.memory.write(batch.last, &batch.first.to_le_bytes());
        }
    }

    /// After what was done was published.
    pub(crate) fn after_release(&mut self) -> Result<(), RingCorrupt> {
        let core = &self.core;
        if core.interrupts.faults.act(Fault::ReleaseTwice).is_some() {
            let index = u64::from(self.release.producer().wrapping_sub(1) % RELEASE_RING_ITEMS);
            let item = core.header.read(offset::RELEASE_RING + offset::RING_ITEMS + 8 * index);
            self.release.batch = Some(Batch::of(u64::from_le_bytes(item)));
            self.release.publish(&core.header)?;
            self.release.batch = None;
        }
        if let Some(value) = core.interrupts.faults.act(Fault::ReleaseProducer) {
            self.spoil_index(
                offset::RELEASE_RING + offset::RING_PRODUCER,
                self.release.producer(),
                value,
            );
        }
        Ok(())
    }
}

impl Batch {
    /// A chain that is only published, not added to.
    const fn of(first: u64) -> Self {
        Self {
            first,
            last: Location {
                region: crate::memory::Region::Ram,
                offset: 0,
            },
            count: 1,
        }
    }
}

impl Rom {
    /// Says this in place of the truth, until it is told something else.
    fn tell(&mut self, lies: Vec<Lie>) {
        self.lies = lies;
        self.write_all();
    }

    fn lies_about_monitors(&self) -> bool {
        self.lies.iter().any(|lie| lie.offset >= rom::CLIENT_MONITORS_CRC)
    }

    /// The client goes or comes, and can do something or nothing.
    fn flap(&mut self) {
        let present = !self.client().is_present();
        let capabilities = if present { [0xff; _] } else { [0; _] };
        self.set_client(present, &capabilities);
    }
}

impl Qxl {
    /// Arms a fault in place of the one there is: `value` is what it needs besides its name, if anything, and `count`
    /// how often it acts, for ever by default. What is in memory shows it at once.
    ///
    /// # Errors
    /// When there is no such fault; the one there is stays.
    pub fn misbehave(&self, fault: &str, value: i64, count: Option<u32>) -> Result<(), UnknownFault> {
        let found = FAULTS.iter().find(|(name, _)| *name == fault);
        let (_, fault) = found.ok_or_else(|| UnknownFault { name: fault.into() })?;
        self.turn(Some(Armed {
            fault: *fault,
            value,
            left: count,
        }));
        Ok(())
    }

    /// Ends the fault. The ROM, the device's indices in the rings and the interrupt line are as they should be; what was to
    /// come back and did not is lost, and what else is in the header stays until a reset.
    pub fn behave(&self) {
        self.turn(None);
    }

    /// How often the last fault has acted.
    #[must_use]
    pub fn misdeeds(&self) -> u64 {
        *lock(&self.shared().core.interrupts.faults.acted)
    }

    fn turn(&self, armed: Option<Armed>) {
        let shared = self.shared();
        // The display thread holds it for a step at most.
        let mut worker = lock(&shared.worker);
        shared.core.interrupts.faults.arm(armed);
        worker.turn();
        drop(worker);
        shared.wake();
    }
}

#[cfg(test)]
#[path = "misbehave_tests.rs"]
mod tests;
