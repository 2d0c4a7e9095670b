//! The device answering wrongly, for tests of guests' drivers: one fault at a time, armed while the guest runs.
//!
//! Only with the feature `misbehave`, which is on in programs built for tests. The faults spoil what the guest sees; the
//! device itself goes on, so that it is sound again when the fault is over and the guest has connected again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    VdiPort,
    core::{Core, INTERRUPT},
    ram::{PortRam, offset},
};

/// What the device does wrong. `value` is what it was armed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `value` is added to the consumer of the input ring that the guest sees: 1 gives each packet back twice.
    InputConsumer,
    /// The device takes nothing of what the guest puts.
    InputDeaf,
    /// `value` is added to the producer of the output ring that the guest sees.
    OutputProducer,
    /// Packets say that they have `value` bytes.
    PacketSize,
    /// `value` is added to the generation of packets.
    PacketGeneration,
    /// The interrupt gets pending and the line does not follow.
    InterruptsLost,
    /// The bits `value` are pending again after each UPDATE_IRQ.
    InterruptsStorm,
    /// The line stays up.
    LevelHeld,
    /// The bits `value` are pending with the interrupt.
    PendingUnknown,
    /// The generation is another one, and the one it was, each time the device looks at its rings.
    GenerationFlaps,
    /// CONNECTION reads as `value`, and nothing is connected.
    ConnectionValue,
    /// `value` is in a word of the memory, now and after each reset.
    Word(u64),
}

/// The names of the faults.
const FAULTS: &[(&str, Fault)] = &[
    ("input-consumer", Fault::InputConsumer),
    ("input-deaf", Fault::InputDeaf),
    ("output-producer", Fault::OutputProducer),
    ("packet-size", Fault::PacketSize),
    ("packet-generation", Fault::PacketGeneration),
    ("interrupts-lost", Fault::InterruptsLost),
    ("interrupts-storm", Fault::InterruptsStorm),
    ("level-held", Fault::LevelHeld),
    ("pending-unknown", Fault::PendingUnknown),
    ("generation-flaps", Fault::GenerationFlaps),
    ("connection-value", Fault::ConnectionValue),
    ("ram-magic", Fault::Word(offset::MAGIC)),
    ("ram-input-items", Fault::Word(offset::INPUT)),
    ("ram-output-items", Fault::Word(offset::OUTPUT)),
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
    /// What a word was before.
    truth: u32,
}

/// The fault there is, if any, and how often the last one has acted.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<(Option<Armed>, u64)>);

impl Faults {
    fn lock(&self) -> MutexGuard<'_, (Option<Armed>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If this fault is armed, its value; and it has acted once more.
    fn act(&self, fault: Fault) -> Option<i64> {
        let (armed, acted) = &mut *self.lock();
        let armed = armed.as_mut().filter(|armed| armed.fault == fault)?;
        if let Some(left) = &mut armed.left {
            *left = left.checked_sub(1)?;
        }
        *acted += 1;
        Some(armed.value)
    }
}

impl PortRam {
    /// An index of the device was written.
    pub(crate) fn spoil_index(&self, fault: Fault, field: u64, index: u32) {
        if let Some(value) = self.faults().act(fault) {
            self.store(field, index.wrapping_add(value as u32));
        }
    }

    /// A packet was written and is not published yet.
    pub(crate) fn spoil_packet(&self, at: u64, generation: u32) {
        if let Some(value) = self.faults().act(Fault::PacketSize) {
            self.store(at + 4, value as u32);
        }
        if let Some(value) = self.faults().act(Fault::PacketGeneration) {
            self.store(at, generation.wrapping_add(value as u32));
        }
    }

    /// Puts what the armed fault wants into a word, or back what was there before one.
    pub(crate) fn spoil(&self) {
        let fault = match &self.faults().lock().0 {
            Some(Armed {
                fault: fault @ Fault::Word(_),
                ..
            }) => *fault,
            _ => return,
        };
        if let (Fault::Word(field), Some(value)) = (fault, self.faults().act(fault)) {
            self.store(field, value as u32);
        }
    }

    fn turn(&self, armed: Option<Armed>) {
        let (before, acted) = &mut *self.faults().lock();
        if let Some(Armed {
            fault: Fault::Word(field),
            truth,
            ..
        }) = before.take()
        {
            self.store(field, truth);
        }
        *before = armed.map(|armed| match armed.fault {
            Fault::Word(field) => Armed {
                truth: self.load(field),
                ..armed
            },
            _ => armed,
        });
        if before.is_some() {
            *acted = 0;
        }
    }
}

impl Core {
    fn act(&self, fault: Fault) -> Option<i64> {
        self.ram.faults().act(fault)
    }

    /// Whether the line is up without a reason.
    pub(crate) fn holds_level(&self) -> bool {
        self.act(Fault::LevelHeld).is_some()
    }

    /// The interrupt got pending. Whether the line is not to follow.
    pub(crate) fn loses_interrupt(&self) -> bool {
        if let Some(bits) = self.act(Fault::PendingUnknown) {
            self.ram.or(offset::INT_PENDING, bits as u32);
        }
        self.act(Fault::InterruptsLost).is_some()
    }

    /// After the guest wrote UPDATE_IRQ.
    pub(crate) fn after_update(&self) {
        if let Some(bits) = self.act(Fault::InterruptsStorm) {
            self.ram.or(offset::INT_PENDING, bits as u32);
            self.update_level();
        }
    }

    /// What CONNECTION reads as, if not as it should.
    pub(crate) fn wrong_connection(&self) -> Option<u32> {
        self.act(Fault::ConnectionValue).map(|value| value as u32)
    }

    /// Whether what the guest puts is not taken.
    pub(crate) fn is_deaf(&self) -> bool {
        self.act(Fault::InputDeaf).is_some()
    }

    /// The device looks at its rings.
    pub(crate) fn flap(&self) {
        if self.act(Fault::GenerationFlaps).is_some() {
            let shown = self.ram.load(offset::GENERATION);
            let other = if shown == self.generation {
                self.generation.wrapping_add(1)
            } else {
                self.generation
            };
            self.ram.store(offset::GENERATION, other);
            if self.ram.or(offset::INT_PENDING, INTERRUPT) & INTERRUPT == 0 {
                self.update_level();
            }
        }
    }

    /// A fault was armed, or ended: what shows at once.
    fn turn(&self, armed: Option<Armed>) {
        self.ram.turn(armed);
        for (field, truth) in [
            (offset::GENERATION, self.generation),
            (offset::INPUT + offset::RING_CONSUMER, self.input.consumer()),
            (offset::OUTPUT + offset::RING_PRODUCER, self.output.producer()),
        ] {
            self.ram.store(field, truth);
        }
        self.ram.spoil();
        self.update_level();
    }
}

impl VdiPort {
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
            truth: 0,
        }));
        Ok(())
    }

    /// Ends the fault. The device's words in the memory and the interrupt line are as they should be.
    pub fn behave(&self) {
        self.turn(None);
    }

    /// How often the last fault has acted.
    #[must_use]
    pub fn misdeeds(&self) -> u64 {
        self.core().ram.faults().lock().1
    }

    fn turn(&self, armed: Option<Armed>) {
        self.core().turn(armed);
        self.ring_the_bell();
    }
}

#[cfg(test)]
#[path = "misbehave_tests.rs"]
mod tests;
