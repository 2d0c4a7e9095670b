//! The registers of an MC146818 and the memory behind them, as a function of time.

use std::time::Duration;

use caraway_base::state::StateError;
use serde::{Deserialize, Serialize};

use super::{
    CENTURY, MemorySizes,
    calendar::{DAY, Date, weekday},
};

/// Bytes reached by the index port.
pub(super) const SIZE: usize = 128;

mod register {
    pub(super) const SECONDS: u8 = 0x00;
    pub(super) const SECONDS_ALARM: u8 = 0x01;
    pub(super) const MINUTES: u8 = 0x02;
    pub(super) const MINUTES_ALARM: u8 = 0x03;
    pub(super) const HOURS: u8 = 0x04;
    pub(super) const HOURS_ALARM: u8 = 0x05;
    pub(super) const WEEKDAY: u8 = 0x06;
    pub(super) const DAY: u8 = 0x07;
    pub(super) const MONTH: u8 = 0x08;
    pub(super) const YEAR: u8 = 0x09;
    pub(super) const A: u8 = 0x0a;
    pub(super) const B: u8 = 0x0b;
    pub(super) const C: u8 = 0x0c;
    pub(super) const D: u8 = 0x0d;
    /// Equipment, for firmware: a floating-point unit and a PS/2 mouse.
    pub(super) const EQUIPMENT: u8 = 0x14;
    /// KiB below 640 KiB, two bytes.
    pub(super) const BASE_MEMORY: u8 = 0x15;
    /// KiB from 1 MiB on, two bytes, at most 63 MiB; there are two of it.
    pub(super) const EXTENDED_MEMORY: [u8; 2] = [0x17, 0x30];
    /// 64 KiB units from 16 MiB to 4 GiB, two bytes.
    pub(super) const MEMORY_ABOVE_16M: u8 = 0x34;
    /// 64 KiB units from 4 GiB on, three bytes.
    pub(super) const MEMORY_ABOVE_4G: u8 = 0x5b;
}

/// Register A.
mod a {
    /// The time is about to change.
    pub(super) const UPDATE_IN_PROGRESS: u8 = 1 << 7;
    /// Crystal; values from 0x60 hold the divider in reset, those between stop the clock too.
    pub(super) const DIVIDER: u8 = 7 << 4;
    pub(super) const DIVIDER_RESET: u8 = 0x60;
    /// 32,768 Hz, the highest value with which the clock runs.
    pub(super) const NORMAL: u8 = 0x20;
    pub(super) const RATE: u8 = 0x0f;
    /// Running, 1024 Hz.
    pub(super) const POWER_ON: u8 = 0x26;
}

/// Register B.
mod b {
    /// No updates while the guest sets the time.
    pub(super) const SET: u8 = 1 << 7;
    pub(super) const BINARY: u8 = 1 << 2;
    pub(super) const HOURS_24: u8 = 1 << 1;
    pub(super) const POWER_ON: u8 = HOURS_24;
}

/// Interrupts: enabled in register B, flagged in register C by the same bits.
mod interrupt {
    pub(super) const PERIODIC: u8 = 1 << 6;
    pub(super) const ALARM: u8 = 1 << 5;
    pub(super) const UPDATE: u8 = 1 << 4;
    pub(super) const ALL: u8 = PERIODIC | ALARM | UPDATE;
    /// Register C: one of those is flagged and enabled.
    pub(super) const REQUEST: u8 = 1 << 7;
}

/// Register D: battery and time are good.
const VALID: u8 = 1 << 7;
/// Hours after noon, with 12-hour clocks.
const AFTERNOON: u8 = 1 << 7;
/// Alarm bytes from here on match everything.
const ANY: u8 = 0xc0;
/// What an update takes, with the warning before it (244 + 1984 microseconds), in ms.
const UPDATE_MILLIS: i64 = 2;
/// A divider that is let go makes the first update half a second later.
const AFTER_DIVIDER_RESET: i64 = 500;
/// A host whose clock is set must not delay an alarm for long.
const LONGEST_WAIT: i64 = 60_000;

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Host's time of day, ms since 1970.
    pub(super) wall: i64,
    pub(super) monotonic: Duration,
}

/// Registers and memory; also the saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cmos {
    index: u8,
    /// The time in the first ten, and the century, are those of the moment the clock was stopped; flags are elsewhere.
    bytes: Vec<u8>,
    /// Ms the guest's clock is ahead of the host's.
    offset: i64,
    /// Second of the guest's clock up to which flags have been looked after.
    second: i64,
    /// Of register C.
    flags: u8,
}

impl Cmos {
    pub(super) fn new(memory: MemorySizes, now: Moment) -> Self {
        let mut cmos = Self {
            index: 0,
            bytes: vec![0; SIZE],
            offset: 0,
            second: now.wall.div_euclid(1000),
            flags: 0,
        };
        cmos.put(register::A, a::POWER_ON);
        cmos.put(register::B, b::POWER_ON);
        cmos.put(register::EQUIPMENT, 0x06);
        cmos.put_number(register::BASE_MEMORY, 2, memory.low.min(640 << 10) >> 10);
        for register in register::EXTENDED_MEMORY {
            cmos.put_number(register, 2, memory.low.saturating_sub(1 << 20) >> 10);
        }
        cmos.put_number(register::MEMORY_ABOVE_16M, 2, memory.low.saturating_sub(16 << 20) >> 16);
        cmos.put_number(register::MEMORY_ABOVE_4G, 3, memory.high >> 16);
        cmos
    }

    /// Stores a number in `count` bytes, the highest they hold if it does not fit.
    fn put_number(&mut self, at: u8, count: u8, value: u64) {
        let most = (1 << (8 * u64::from(count))) - 1;
        for (at, byte) in (at..at.saturating_add(count)).zip(value.min(most).to_le_bytes()) {
            self.put(at, byte);
        }
    }

    fn get(&self, at: u8) -> u8 {
        self.bytes.get(usize::from(at)).copied().unwrap_or(0)
    }

    fn put(&mut self, at: u8, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(at)) {
            *slot = byte;
        }
    }

    /// Chooses the byte [`Cmos::read`] and [`Cmos::write`] are about.
    pub(super) fn select(&mut self, index: u8) {
        self.index = index & 0x7f;
    }

    /// The request line.
    pub(super) fn interrupts(&self) -> bool {
        self.flags & self.get(register::B) & interrupt::ALL != 0
    }

    /// The guest reads. [`Cmos::sync`] comes before.
    pub(super) fn read(&mut self, now: Moment) -> u8 {
        match self.index {
            register::A if self.updating(now) => self.get(register::A) | a::UPDATE_IN_PROGRESS,
            register::C => {
                let request = if self.interrupts() { interrupt::REQUEST } else { 0 };
                std::mem::take(&mut self.flags) | request
            }
            register::D => VALID,
            index => {
                if is_time(index) && self.runs() {
                    self.store_time(now);
                }
                self.get(index)
            }
        }
    }

    /// The guest writes. [`Cmos::sync`] comes before.
    pub(super) fn write(&mut self, byte: u8, now: Moment) {
        match self.index {
            register::A => self.control(register::A, byte & !a::UPDATE_IN_PROGRESS, now),
            register::B if byte & b::SET != 0 => self.control(register::B, byte & !interrupt::UPDATE, now),
            register::B => self.control(register::B, byte, now),
            register::C | register::D => {}
            index if is_time(index) && self.runs() => {
                self.store_time(now);
                self.put(index, byte);
                self.start(self.clock(now).rem_euclid(1000), now);
            }
            index => self.put(index, byte),
        }
    }

    /// Writes a control register. The clock may stop by that, or go on from the time in the bytes.
    fn control(&mut self, register: u8, byte: u8, now: Moment) {
        let ran = self.runs();
        let held = self.get(register::A) & a::DIVIDER >= a::DIVIDER_RESET;
        if ran {
            self.store_time(now);
        }
        self.put(register, byte);
        if !ran && self.runs() {
            let fraction = if held {
                AFTER_DIVIDER_RESET
            } else {
                self.clock(now).rem_euclid(1000)
            };
            self.start(fraction, now);
        }
    }

    /// What firmware does at a reset: the clock runs, in BCD and 24 hours, and nothing interrupts. Time and memory stay.
    pub(super) fn reset(&mut self, now: Moment) {
        self.control(register::A, a::POWER_ON, now);
        self.control(register::B, b::POWER_ON, now);
        self.flags = 0;
        self.index = 0;
    }

    fn divider_runs(&self) -> bool {
        self.get(register::A) & a::DIVIDER <= a::NORMAL
    }

    fn runs(&self) -> bool {
        self.get(register::B) & b::SET == 0 && self.divider_runs()
    }

    fn updating(&self, now: Moment) -> bool {
        self.runs() && self.clock(now).rem_euclid(1000) >= 1000 - UPDATE_MILLIS
    }

    /// The guest's clock, ms since 1970.
    fn clock(&self, now: Moment) -> i64 {
        now.wall.saturating_add(self.offset)
    }

    /// Lets the clock go on from the time in the bytes, `fraction` ms into the second.
    fn start(&mut self, fraction: i64, now: Moment) {
        let date = Date {
            year: self.decode(CENTURY) * 100 + self.decode(register::YEAR),
            month: self.decode(register::MONTH),
            day: self.decode(register::DAY),
            hour: self.hour(self.get(register::HOURS)),
            minute: self.decode(register::MINUTES),
            second: self.decode(register::SECONDS),
        };
        self.second = date.unix();
        self.offset = (self.second * 1000 + fraction).saturating_sub(now.wall);
    }

    fn store_time(&mut self, now: Moment) {
        let unix = self.clock(now).div_euclid(1000);
        let date = Date::of(unix);
        let hour = if self.get(register::B) & b::HOURS_24 != 0 {
            self.encode(date.hour)
        } else {
            let half = if date.hour >= 12 { AFTERNOON } else { 0 };
            self.encode((date.hour + 11) % 12 + 1) | half
        };
        self.put(register::HOURS, hour);
        for (register, value) in [
            (register::SECONDS, date.second),
            (register::MINUTES, date.minute),
            (register::WEEKDAY, weekday(unix)),
            (register::DAY, date.day),
            (register::MONTH, date.month),
            (register::YEAR, date.year.rem_euclid(100)),
            (CENTURY, date.year.div_euclid(100).rem_euclid(100)),
        ] {
            self.put(register, self.encode(value));
        }
    }

    fn is_binary(&self) -> bool {
        self.get(register::B) & b::BINARY != 0
    }

    /// A value below 100 as the guest reads it.
    fn encode(&self, value: i64) -> u8 {
        let value = value.clamp(0, 99) as u8;
        if self.is_binary() {
            value
        } else {
            ((value / 10) << 4) | (value % 10)
        }
    }

    fn decode(&self, register: u8) -> i64 {
        self.number(self.get(register))
    }

    fn number(&self, byte: u8) -> i64 {
        let tens = if self.is_binary() { 16 } else { 10 };
        i64::from(byte >> 4) * tens + i64::from(byte & 0x0f)
    }

    fn hour(&self, byte: u8) -> i64 {
        if self.get(register::B) & b::HOURS_24 != 0 {
            return self.number(byte);
        }
        let half = if byte & AFTERNOON != 0 { 12 } else { 0 };
        self.number(byte & !AFTERNOON) % 12 + half
    }

    /// Flags what has happened since the last call, between the interrupt ticks `before` and [`Cmos::tick`].
    pub(super) fn sync(&mut self, before: u64, now: Moment) {
        if self.tick(now) != before {
            self.flags |= interrupt::PERIODIC;
        }
        if !self.runs() {
            return;
        }
        let second = self.clock(now).div_euclid(1000);
        if second != self.second {
            self.flags |= interrupt::UPDATE;
            // A clock that was set back has only the second it shows now.
            let from = if second > self.second {
                self.second
            } else {
                second.saturating_sub(1)
            };
            if self.next_alarm(from).is_some_and(|alarm| alarm <= second) {
                self.flags |= interrupt::ALARM;
            }
            self.second = second;
        }
    }

    /// Cycles of the 32,768 Hz crystal between periodic interrupts.
    fn period(&self) -> Option<u64> {
        if !self.divider_runs() {
            return None;
        }
        match self.get(register::A) & a::RATE {
            0 => None,
            // The two fastest are those of slower crystals.
            rate @ 1..=2 => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    /// Number of the current periodic interrupt; 0 while there are none.
    pub(super) fn tick(&self, now: Moment) -> u64 {
        let cycles = now.monotonic.as_nanos() * 32_768 / 1_000_000_000;
        self.period().map_or(0, |period| cycles as u64 / period)
    }

    /// First second after `after` at which the alarm goes off.
    fn next_alarm(&self, after: i64) -> Option<i64> {
        let field = |register: u8| Some(self.get(register)).filter(|byte| *byte < ANY);
        let hour = field(register::HOURS_ALARM).map(|byte| self.hour(byte));
        let minute = field(register::MINUTES_ALARM).map(|byte| self.number(byte));
        let second = field(register::SECONDS_ALARM).map(|byte| self.number(byte));
        let start = after.saturating_add(1);
        let time = start.rem_euclid(DAY);
        let alarm = [(hour, 24), (minute, 60), (second, 60)];
        let wait = match first_match(alarm, time) {
            Some(today) => today - time,
            None => first_match(alarm, 0)? + DAY - time,
        };
        Some(start.saturating_add(wait))
    }

    /// How long until there is something to interrupt for.
    pub(super) fn deadline(&self, now: Moment) -> Option<Duration> {
        let wanted = self.get(register::B) & !self.flags & interrupt::ALL;
        if wanted == 0 || self.interrupts() {
            return None;
        }
        let seconds = [
            (wanted & interrupt::UPDATE != 0).then(|| self.second.saturating_add(1)),
            (wanted & interrupt::ALARM != 0)
                .then(|| self.next_alarm(self.second))
                .flatten(),
        ];
        let second = seconds.into_iter().flatten().min().filter(|_| self.runs());
        let clock = self.clock(now);
        let by_clock = second.map(|second| {
            let millis = second.saturating_mul(1000).saturating_sub(clock);
            Duration::from_millis(millis.clamp(1, LONGEST_WAIT).unsigned_abs())
        });
        let by_crystal = self
            .period()
            .filter(|_| wanted & interrupt::PERIODIC != 0)
            .map(|period| {
                let cycles = u128::from(self.tick(now) + 1) * u128::from(period);
                let at = (cycles * 1_000_000_000).div_ceil(32_768);
                Duration::from_nanos(at.saturating_sub(now.monotonic.as_nanos()).max(1) as u64)
            });
        by_clock.into_iter().chain(by_crystal).min()
    }

    /// Refuses what cannot be in a saved state.
    pub(super) fn check(&self) -> Result<(), StateError> {
        let invalid = |field, value: String| {
            Err(StateError::Invalid {
                kind: super::KIND,
                field,
                value,
            })
        };
        if self.bytes.len() != SIZE {
            return invalid("memory", self.bytes.len().to_string());
        }
        if usize::from(self.index) >= SIZE {
            return invalid("index", self.index.to_string());
        }
        if self.flags & !interrupt::ALL != 0 {
            return invalid("flags", self.flags.to_string());
        }
        if self.get(register::A) & a::UPDATE_IN_PROGRESS != 0 {
            return invalid("register A", self.get(register::A).to_string());
        }
        Ok(())
    }
}

fn is_time(index: u8) -> bool {
    matches!(
        index,
        register::SECONDS
            | register::MINUTES
            | register::HOURS
            | register::WEEKDAY
            | register::DAY
            | register::MONTH
            | register::YEAR
            | CENTURY
    )
}

/// First second of the day, not before `from`, that matches hour, minute and second. Each is given with how many there
/// are; `None` matches every one.
fn first_match([hour, minute, second]: [(Option<i64>, i64); 3], from: i64) -> Option<i64> {
    let matching = |(wanted, count): (Option<i64>, i64)| {
        (0..count).filter(move |value| wanted.is_none_or(|wanted| wanted == *value))
    };
    for hour in matching(hour).filter(|hour| hour * 3600 + 3599 >= from) {
        for minute in matching(minute).filter(|minute| hour * 3600 + minute * 60 + 59 >= from) {
            let mut times = matching(second).map(|second| hour * 3600 + minute * 60 + second);
            if let Some(time) = times.find(|time| *time >= from) {
                return Some(time);
            }
        }
    }
    None
}
