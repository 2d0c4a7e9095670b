//! The MC146818 real-time clock and its battery-backed memory (ports 0x70 and 0x71).
//!
//! The clock is the host's, in UTC, plus what the guest has set it ahead. Flags come to be when somebody looks;
//! a timer runs only while the guest has an interrupt enabled that is not pending.

mod calendar;
mod cmos;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::IrqLine,
    lifecycle::Lifecycle,
    state::{Migratable, StateError},
};

pub use self::cmos::Cmos;
use self::cmos::Moment;
use crate::clock::{MonotonicClock, Timer, WallClock};

/// Index port; the data port follows.
pub const RTC_PORT: u16 = 0x70;
/// Ports.
pub const RTC_LENGTH: u16 = 2;
/// Interrupt.
pub const RTC_IRQ: u32 = 8;
/// Byte of the century, for the FADT.
pub const CENTURY: u8 = 0x32;

const KIND: &str = "rtc";
const INDEX: u64 = 0;
const DATA: u64 = 1;

/// What the clock is connected to.
#[derive(Clone)]
pub struct RtcArgs {
    /// [`RTC_IRQ`].
    pub line: Arc<dyn IrqLine>,
    /// Time of day.
    pub wall: Arc<dyn WallClock>,
    /// What periodic interrupts count.
    pub clock: Arc<dyn MonotonicClock>,
    /// Has to call [`Rtc::expired`].
    pub timer: Arc<dyn Timer>,
}

impl std::fmt::Debug for RtcArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtcArgs")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// RAM, for the bytes firmware finds it by.
#[derive(Clone, Copy, Debug)]
pub struct MemorySizes {
    /// End of the RAM below 4 GiB, bytes.
    pub low: u64,
    /// Bytes of RAM from 4 GiB on.
    pub high: u64,
}

#[derive(Debug)]
struct Inner {
    cmos: Cmos,
    /// [`Cmos::tick`] up to which flags have been looked after.
    tick: u64,
    armed: bool,
    paused: bool,
}

/// Clock and memory.
#[derive(Debug)]
pub struct Rtc {
    inner: Mutex<Inner>,
    args: RtcArgs,
}

impl Rtc {
    /// As firmware leaves it: the host's time, BCD, 24 hours.
    #[must_use]
    pub fn new(args: RtcArgs, memory: MemorySizes) -> Self {
        let cmos = Cmos::new(memory, moment(&args));
        Self::with(args, cmos, false)
    }

    fn with(args: RtcArgs, cmos: Cmos, paused: bool) -> Self {
        let inner = Inner {
            tick: cmos.tick(moment(&args)),
            cmos,
            armed: false,
            paused,
        };
        Self {
            inner: Mutex::new(inner),
            args,
        }
    }

    /// The timer's time has come. Harmless at any other time.
    pub fn expired(&self) {
        let mut inner = self.lock();
        let now = moment(&self.args);
        self.sync(&mut inner, now);
        self.settle(&mut inner, now);
    }

    fn sync(&self, inner: &mut Inner, now: Moment) {
        if !inner.paused {
            inner.cmos.sync(inner.tick, now);
            inner.tick = inner.cmos.tick(now);
        }
    }

    /// Drives the line and sets the timer.
    fn settle(&self, inner: &mut Inner, now: Moment) {
        if inner.paused {
            return;
        }
        self.args.line.set(inner.cmos.interrupts());
        let deadline = inner.cmos.deadline(now);
        if deadline.is_some() || inner.armed {
            self.args.timer.set(deadline);
        }
        inner.armed = deadline.is_some();
    }

    fn access<T>(&self, access: impl FnOnce(&mut Cmos, Moment) -> T) -> T {
        let mut inner = self.lock();
        let now = moment(&self.args);
        self.sync(&mut inner, now);
        let result = access(&mut inner.cmos, now);
        // A new rate counts from here.
        inner.tick = inner.cmos.tick(now);
        self.settle(&mut inner, now);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moment(args: &RtcArgs) -> Moment {
    Moment {
        wall: args.wall.unix_millis(),
        monotonic: args.clock.now(),
    }
}

impl BusDevice for Rtc {
    fn read(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            // The index cannot be read.
            if at == DATA {
                *byte = self.access(Cmos::read);
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        for (at, byte) in (offset..).zip(data) {
            match at {
                INDEX => self.lock().cmos.select(*byte),
                DATA => self.access(|cmos, now| cmos.write(*byte, now)),
                _ => {}
            }
        }
        Outcome::Done
    }
}

impl Lifecycle for Rtc {
    fn pause(&self) {
        let mut inner = self.lock();
        inner.paused = true;
        if std::mem::take(&mut inner.armed) {
            self.args.timer.set(None);
        }
    }

    fn resume(&self) {
        let mut inner = self.lock();
        inner.paused = false;
        let now = moment(&self.args);
        self.sync(&mut inner, now);
        self.settle(&mut inner, now);
    }

    fn reset(&self) {
        let mut inner = self.lock();
        let now = moment(&self.args);
        inner.cmos.reset(now);
        inner.tick = inner.cmos.tick(now);
        self.args.line.set(false);
        self.settle(&mut inner, now);
    }
}

impl Migratable for Rtc {
    type State = Cmos;
    type Args = RtcArgs;
    const KIND: &'static str = KIND;
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> Cmos {
        self.lock().cmos.clone()
    }

    fn restore(args: RtcArgs, state: Cmos) -> Result<Self, StateError> {
        state.check()?;
        let rtc = Self::with(args, state, true);
        // The level is old news for the guest; told later, it would look like another interrupt.
        rtc.args.line.set(rtc.lock().cmos.interrupts());
        Ok(rtc)
    }
}
