//! ACPI fixed hardware: PM1a event and control blocks, the PM timer and the GPE0 block (ACPI 6.5, 4.8).
//!
//! The machine is in ACPI mode from the start: SCI_EN reads one and there is no SMI command port.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::IrqLine,
    lifecycle::Lifecycle,
    state::{Migratable, StateError},
};
use serde::{Deserialize, Serialize};

use crate::clock::MonotonicClock;

/// First port of the block this device answers.
pub const PM_PORT: u16 = 0x600;
/// Ports.
pub const PM_LENGTH: u16 = 0x40;
/// PM1a event block: status and enable, two bytes each.
pub const PM1A_EVENT_PORT: u16 = 0x600;
/// Bytes of the PM1a event block.
pub const PM1A_EVENT_LENGTH: u8 = 4;
/// PM1a control block.
pub const PM1A_CONTROL_PORT: u16 = 0x604;
/// Bytes of the PM1a control block.
pub const PM1A_CONTROL_LENGTH: u8 = 2;
/// PM timer: 32 bits (the FADT says so with `TMR_VAL_EXT`); its low 24 are what 24-bit readers see.
pub const PM_TIMER_PORT: u16 = 0x608;
/// Bytes of the PM timer.
pub const PM_TIMER_LENGTH: u8 = 4;
/// General-purpose event block: status and enable, two bytes each.
pub const GPE0_PORT: u16 = 0x620;
/// Bytes of the GPE0 block.
pub const GPE0_LENGTH: u8 = 4;
/// System control interrupt.
pub const SCI_IRQ: u32 = 9;
/// Sleep type of S5, for `\_S5`.
pub const SLEEP_TYPE_S5: u8 = 5;
/// PM timer frequency.
pub const PM_TIMER_HZ: u64 = 3_579_545;

const TIMER_STATUS: u16 = 1 << 0;
const GLOBAL_STATUS: u16 = 1 << 5;
const POWER_BUTTON: u16 = 1 << 8;
const SLEEP_BUTTON: u16 = 1 << 9;
const RTC_STATUS: u16 = 1 << 10;
const WAKE_STATUS: u16 = 1 << 15;
/// Status bits a write of one clears.
const CLEARABLE: u16 = TIMER_STATUS | GLOBAL_STATUS | POWER_BUTTON | SLEEP_BUTTON | RTC_STATUS | WAKE_STATUS;
/// Enable bits there are.
const ENABLES: u16 = TIMER_STATUS | GLOBAL_STATUS | POWER_BUTTON | SLEEP_BUTTON | RTC_STATUS;

const SCI_EN: u16 = 1 << 0;
const SLEEP_TYPE_SHIFT: u16 = 10;
const SLEEP_TYPE: u16 = 7 << SLEEP_TYPE_SHIFT;
const SLEEP_ENABLE: u16 = 1 << 13;
/// Control bits that read back: bus-master reload and the sleep type.
const CONTROL_STORED: u16 = 1 << 1 | SLEEP_TYPE;
/// The bit of the timer whose changes set the timer status.
const TIMER_TOP: u32 = 1 << 31;

/// What the device is connected to.
#[derive(Clone)]
pub struct PmArgs {
    /// The SCI, level triggered.
    pub sci: Arc<dyn IrqLine>,
    /// What the PM timer counts.
    pub clock: Arc<dyn MonotonicClock>,
}

impl std::fmt::Debug for PmArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PmArgs").field("sci", &self.sci).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Registers {
    status: u16,
    enable: u16,
    control: u16,
    gpe_status: u16,
    gpe_enable: u16,
    /// Timer value at the moment `base`.
    timer: u32,
    base: Duration,
    /// Top bit of the timer when the timer status was last looked at.
    top: u32,
}

/// The block at [`PM_PORT`].
#[derive(Debug)]
pub struct PowerManagement {
    registers: Mutex<Registers>,
    args: PmArgs,
}

impl PowerManagement {
    /// After power-on; the timer starts at 0.
    #[must_use]
    pub fn new(args: PmArgs) -> Self {
        let registers = Mutex::new(Registers::power_on(args.clock.now()));
        Self { registers, args }
    }

    /// A person presses the power button. The guest hears of it if it has enabled the event.
    pub fn press_power_button(&self) {
        let mut registers = self.lock();
        registers.status |= POWER_BUTTON;
        self.update_sci(&registers);
    }

    /// Whether the guest would hear of the power button.
    #[must_use]
    pub fn power_button_enabled(&self) -> bool {
        self.lock().enable & POWER_BUTTON != 0
    }

    /// The registers, with the timer status of now.
    fn current(&self) -> MutexGuard<'_, Registers> {
        let mut registers = self.lock();
        let top = registers.timer_at(self.args.clock.now()) & TIMER_TOP;
        if top != registers.top {
            registers.top = top;
            registers.status |= TIMER_STATUS;
            self.update_sci(&registers);
        }
        registers
    }

    fn update_sci(&self, registers: &Registers) {
        let fixed = registers.status & registers.enable & ENABLES;
        let general = registers.gpe_status & registers.gpe_enable;
        self.args.sci.set(fixed | general != 0);
    }

    fn lock(&self) -> MutexGuard<'_, Registers> {
        self.registers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registers {
    fn power_on(now: Duration) -> Self {
        Self {
            status: 0,
            enable: 0,
            control: 0,
            gpe_status: 0,
            gpe_enable: 0,
            timer: 0,
            base: now,
            top: 0,
        }
    }

    fn timer_at(&self, now: Duration) -> u32 {
        let ticks = now.saturating_sub(self.base).as_nanos() * u128::from(PM_TIMER_HZ) / 1_000_000_000;
        self.timer.wrapping_add(ticks as u32)
    }

    /// Byte `at` of the block, if anything is there.
    fn byte(&self, at: u64, timer: u32) -> Option<u8> {
        let half = |value: u16, index: u64| value.to_le_bytes().get(index as usize).copied();
        match at {
            0x00..=0x01 => half(self.status, at),
            0x02..=0x03 => half(self.enable, at - 0x02),
            0x04..=0x05 => half(self.control | SCI_EN, at - 0x04),
            0x08..=0x0b => timer.to_le_bytes().get((at - 0x08) as usize).copied(),
            0x20..=0x21 => half(self.gpe_status, at - 0x20),
            0x22..=0x23 => half(self.gpe_enable, at - 0x22),
            _ => None,
        }
    }

    fn set_byte(&mut self, at: u64, byte: u8) -> Outcome {
        let shift = (at & 1) * 8;
        let bits = u16::from(byte) << shift;
        let keep = !(0xff << shift);
        match at {
            0x00..=0x01 => self.status &= !(bits & CLEARABLE),
            0x02..=0x03 => self.enable = (self.enable & keep | bits) & ENABLES,
            0x04..=0x05 => {
                self.control = (self.control & keep | bits) & CONTROL_STORED;
                let sleep_type = (self.control & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT;
                if bits & SLEEP_ENABLE != 0 && sleep_type == u16::from(SLEEP_TYPE_S5) {
                    return Outcome::PowerOff;
                }
            }
            0x20..=0x21 => self.gpe_status &= !bits,
            0x22..=0x23 => self.gpe_enable = self.gpe_enable & keep | bits,
            _ => {}
        }
        Outcome::Done
    }
}

impl BusDevice for PowerManagement {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let registers = self.current();
        let timer = registers.timer_at(self.args.clock.now());
        for (at, slot) in (offset..).zip(data) {
            if let Some(byte) = registers.byte(at, timer) {
                *slot = byte;
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        let mut registers = self.current();
        let mut outcome = Outcome::Done;
        for (at, byte) in (offset..).zip(data) {
            if registers.set_byte(at, *byte) == Outcome::PowerOff {
                outcome = Outcome::PowerOff;
            }
        }
        self.update_sci(&registers);
        outcome
    }
}

impl Lifecycle for PowerManagement {
    fn pause(&self) {}

    fn resume(&self) {}

    fn reset(&self) {
        let mut registers = self.lock();
        *registers = Registers::power_on(self.args.clock.now());
        self.update_sci(&registers);
    }
}

/// The registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PmState {
    /// PM1 status and enable.
    pub event: [u16; 2],
    /// PM1 control.
    pub control: u16,
    /// GPE0 status and enable.
    pub gpe: [u16; 2],
    /// The timer.
    pub timer: u32,
}

impl Migratable for PowerManagement {
    type State = PmState;
    type Args = PmArgs;
    const KIND: &'static str = "pm";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> PmState {
        let registers = self.current();
        PmState {
            event: [registers.status, registers.enable],
            control: registers.control,
            gpe: [registers.gpe_status, registers.gpe_enable],
            timer: registers.timer_at(self.args.clock.now()),
        }
    }

    fn restore(args: PmArgs, state: PmState) -> Result<Self, StateError> {
        let [status, enable] = state.event;
        let [gpe_status, gpe_enable] = state.gpe;
        let fields = [
            ("status", status & !CLEARABLE),
            ("enable", enable & !ENABLES),
            ("control", state.control & !CONTROL_STORED),
        ];
        if let Some((field, bits)) = fields.into_iter().find(|(_, bits)| *bits != 0) {
            return Err(StateError::Invalid {
                kind: Self::KIND,
                field,
                value: format!("undefined bits {bits:#x}"),
            });
        }
        let registers = Registers {
            status,
            enable,
            control: state.control,
            gpe_status,
            gpe_enable,
            timer: state.timer,
            base: args.clock.now(),
            top: state.timer & TIMER_TOP,
        };
        let device = Self {
            registers: Mutex::new(registers),
            args,
        };
        device.update_sci(&device.lock());
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use caraway_base::migratable_suite;
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{Line, TestClock, accesses, line, perform, read, write};

    fn pm() -> (PowerManagement, Arc<Line>, Arc<TestClock>) {
        let (sci, clock) = (line(), Arc::new(TestClock::default()));
        let args = PmArgs {
            sci: sci.clone(),
            clock: clock.clone(),
        };
        (PowerManagement::new(args), sci, clock)
    }

    #[test]
    fn registers_after_power_on() {
        let (pm, sci, _) = pm();
        for (offset, width, value) in [
            (0x00, 2, 0x0000),
            (0x02, 2, 0x0000),
            (0x04, 2, 0x0001),
            (0x06, 2, 0xffff),
            (0x08, 4, 0x0000),
            (0x20, 4, 0x0000),
            (0x30, 4, 0xffff_ffff),
        ] {
            assert_eq!(read(&pm, offset, width), value, "{offset:#x}");
        }
        assert!(!sci.level());
    }

    #[test]
    fn the_power_button_raises_the_sci_until_its_status_is_cleared() {
        let (pm, sci, _) = pm();
        pm.press_power_button();
        assert!(!sci.level() && !pm.power_button_enabled());
        assert_eq!(read(&pm, 0, 2), 0x0100);
        write(&pm, 2, 2, 0x0100);
        assert!(sci.level() && pm.power_button_enabled());
        write(&pm, 0, 2, 0x0020);
        assert!(sci.level());
        write(&pm, 0, 2, 0x0100);
        assert!(!sci.level());
        pm.press_power_button();
        write(&pm, 3, 1, 0);
        assert!(!sci.level());
    }

    #[test]
    fn sleep_enable_with_type_5_powers_off_and_nothing_else_does() {
        for sleep_type in 0..8u64 {
            let (pm, ..) = pm();
            let value = sleep_type << 10 | 1;
            assert_eq!(write(&pm, 4, 2, value), Outcome::Done);
            let expected = if sleep_type == 5 {
                Outcome::PowerOff
            } else {
                Outcome::Done
            };
            assert_eq!(write(&pm, 4, 2, value | 1 << 13), expected);
            assert_eq!(read(&pm, 4, 2), value);
            assert_eq!(write(&pm, 5, 1, (value | 1 << 13) >> 8), expected);
        }
    }

    #[test]
    fn the_timer_counts_at_its_frequency_and_wraps() {
        let (pm, _, clock) = pm();
        clock.advance(Duration::from_secs(1));
        assert_eq!(read(&pm, 8, 4), PM_TIMER_HZ);
        clock.advance(Duration::from_nanos(280));
        assert_eq!(read(&pm, 8, 4), PM_TIMER_HZ + 1);
        assert_eq!(read(&pm, 8, 2), (PM_TIMER_HZ + 1) & 0xffff);
        clock.advance(Duration::from_secs(1200));
        assert_eq!(read(&pm, 8, 4), (1201 * PM_TIMER_HZ + 1) & 0xffff_ffff);
        write(&pm, 8, 4, 0);
        assert_eq!(read(&pm, 8, 4), (1201 * PM_TIMER_HZ + 1) & 0xffff_ffff);
    }

    #[test]
    fn a_change_of_the_top_bit_sets_the_timer_status() {
        let (pm, sci, clock) = pm();
        write(&pm, 2, 2, 1);
        clock.advance(Duration::from_secs(599));
        assert_eq!(read(&pm, 0, 2), 0);
        clock.advance(Duration::from_secs(2));
        assert_eq!(read(&pm, 0, 2), 1);
        assert!(sci.level());
        write(&pm, 0, 2, 1);
        assert!(!sci.level());
        assert_eq!(read(&pm, 0, 2), 0);
    }

    #[test]
    fn general_purpose_enables_are_stored() {
        let (pm, sci, _) = pm();
        write(&pm, 0x22, 2, 0xa55a);
        assert_eq!(read(&pm, 0x20, 4), 0xa55a_0000);
        assert!(!sci.level());
    }

    #[test]
    fn reset_lowers_the_sci_and_restarts_the_timer() {
        let (pm, sci, clock) = pm();
        let fresh = pm.save();
        write(&pm, 2, 2, 0x100);
        clock.advance(Duration::from_secs(3));
        pm.press_power_button();
        assert!(sci.level());
        pm.reset();
        assert!(!sci.level());
        assert_eq!(pm.save(), fresh);
    }

    #[test]
    fn undefined_bits_in_a_saved_state_are_refused() {
        let (pm, ..) = pm();
        let state = pm.save();
        for state in [
            PmState {
                event: [2, 0],
                ..state.clone()
            },
            PmState {
                event: [0, 0x8000],
                ..state.clone()
            },
            PmState {
                control: SLEEP_ENABLE,
                ..state
            },
        ] {
            assert!(PowerManagement::restore(pm.args.clone(), state).is_err());
        }
    }

    #[test]
    fn a_restored_timer_goes_on_and_the_sci_is_as_it_was() {
        let (old, _, clock) = pm();
        clock.advance(Duration::from_secs(10));
        write(&old, 2, 2, 0x100);
        old.press_power_button();
        let (new, sci, clock) = pm();
        clock.advance(Duration::from_secs(77));
        let new = PowerManagement::restore(new.args.clone(), old.save()).unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(read(&new, 8, 4), 11 * PM_TIMER_HZ);
        assert!(sci.level());
    }

    migratable_suite!(
        migration,
        PowerManagement,
        fresh: pm().0,
        args: pm().0.args,
        change: |pm: &PowerManagement| {
            pm.press_power_button();
            write(pm, 4, 2, 0x0802);
        }
    );

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        #[test]
        fn any_access_is_survived(accesses in accesses(PM_LENGTH.into(), 1000)) {
            let (pm, _, clock) = pm();
            for (index, chunk) in accesses.chunks(10).enumerate() {
                perform(&pm, chunk);
                clock.advance(Duration::from_secs(index as u64));
                if index % 3 == 0 {
                    pm.press_power_button();
                }
            }
            prop_assert_eq!(read(&pm, 4, 2) & 1, 1);
            prop_assert!(PowerManagement::restore(pm.args.clone(), pm.save()).is_ok());
        }
    }
}
