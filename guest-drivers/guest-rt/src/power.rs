//! Power-off, reset, the power button and the debug-exit port.

use crate::cpu::{in16, out8, out16};

const PM1_STATUS: u16 = 0x600;
const PM1_CONTROL: u16 = 0x604;
const POWER_BUTTON_STATUS: u16 = 1 << 8;
const SLEEP_ENABLE: u16 = 1 << 13;
/// SLP_TYP of S5 in Caraway's `\_S5`.
const SLEEP_TYPE_CARAWAY: u16 = 5;
/// SLP_TYP of S5 on QEMU's q35, where this guest runs as well. Other machines ignore it.
const SLEEP_TYPE_Q35: u16 = 0;
const SLEEP_TYPE_SHIFT: u16 = 10;
const RESET_CONTROL: u16 = 0xcf9;
const RESET_FULL: u8 = 0x06;
const DEBUG_EXIT: u16 = 0xf4;

/// Switches the machine off.
pub fn off() -> ! {
    out16(PM1_CONTROL, SLEEP_ENABLE | (SLEEP_TYPE_CARAWAY << SLEEP_TYPE_SHIFT));
    out16(PM1_CONTROL, SLEEP_ENABLE | (SLEEP_TYPE_Q35 << SLEEP_TYPE_SHIFT));
    crate::cpu::halt()
}

/// Resets the machine through the reset control register.
pub fn reset() -> ! {
    out8(RESET_CONTROL, RESET_FULL);
    crate::cpu::halt()
}

/// Whether the power button was pressed since the last call.
pub fn button_pressed() -> bool {
    let status = in16(PM1_STATUS);
    // All ones: no PM block there.
    if status == 0xffff || status & POWER_BUTTON_STATUS == 0 {
        return false;
    }
    out16(PM1_STATUS, POWER_BUTTON_STATUS);
    true
}

/// Writes a code to the debug-exit port; nothing happens where there is none.
pub fn debug_exit(code: u8) {
    out8(DEBUG_EXIT, code);
}
