//! IOAPIC, LAPIC and PIT: which interrupts arrive, and the tick.
//!
//! ISA lines are edge-triggered, active high; PCI lines (pins 16 to 23) level-triggered, active low. Vectors are
//! 0x30 + pin, as ring0.s has them. The device of a PCI line is not looked up: all eight pins are open, and the
//! interrupt entry masks one that stays up without an owner.

use crate::cpu::out8;

const IOAPIC: usize = 0xfec0_0000;
const IOAPIC_WINDOW: usize = IOAPIC + 0x10;
const LAPIC: usize = 0xfee0_0000;
const LAPIC_ID: usize = LAPIC + 0x20;
const LAPIC_TASK_PRIORITY: usize = LAPIC + 0x80;
const LAPIC_SPURIOUS: usize = LAPIC + 0xf0;

const SPURIOUS_VECTOR: u32 = 0x4f;
const LAPIC_ENABLE: u32 = 0x100;
const FIRST_VECTOR: u32 = 0x30;
const REDIRECTION_TABLE: u32 = 0x10;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;

/// ISA pins of the devices this runtime drives: PIT (by either routing), keyboard, serial port, mouse.
const ISA_PINS: [u32; 5] = [0, 1, 2, 4, 12];
const PCI_PINS: core::ops::Range<u32> = 16..24;

const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;
const PIT_HZ: u32 = 1_193_182;

fn write(register: usize, value: u32) {
    // SAFETY: a register of the IOAPIC or the LAPIC, mapped one to one and uncached by ring0.s.
    unsafe { (register as *mut u32).write_volatile(value) }
}

fn read(register: usize) -> u32 {
    // SAFETY: as in `write`.
    unsafe { (register as *const u32).read_volatile() }
}

fn redirect(pin: u32, flags: u32, apic_id: u32) {
    let entry = REDIRECTION_TABLE + 2 * pin;
    write(IOAPIC, entry + 1);
    write(IOAPIC_WINDOW, apic_id << 24);
    write(IOAPIC, entry);
    write(IOAPIC_WINDOW, flags | (FIRST_VECTOR + pin));
}

/// Switches the LAPIC on and opens the IOAPIC pins named above towards this processor.
pub fn init() {
    write(LAPIC_TASK_PRIORITY, 0);
    write(LAPIC_SPURIOUS, LAPIC_ENABLE | SPURIOUS_VECTOR);
    let apic_id = read(LAPIC_ID) >> 24;
    for pin in ISA_PINS {
        redirect(pin, 0, apic_id);
    }
    for pin in PCI_PINS {
        redirect(pin, LEVEL | ACTIVE_LOW, apic_id);
    }
}

/// Starts the periodic tick, 19 to 1000 a second ([`crate::cpu::EVENT_TICK`], [`crate::cpu::ticks`]).
pub fn start_ticks(per_second: u32) {
    let [low, high, ..] = (PIT_HZ / per_second.clamp(19, 1000)).to_le_bytes();
    out8(PIT_COMMAND, 0x34); // channel 0, both bytes, rate generator
    out8(PIT_CHANNEL_0, low);
    out8(PIT_CHANNEL_0, high);
}
