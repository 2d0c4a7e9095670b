//! Legacy PC devices: UART, PS/2, RTC, power management, reset and debug-exit ports; and the panic device of virtual
//! machines.
//!
//! Each is a register block ([`caraway_base::bus::BusDevice`]) with short locks of its own, so any thread may call. The
//! constants beside them say where a PC has them.
#![forbid(unsafe_code)]

pub mod clock;
pub mod debug_exit;
pub mod i8042;
pub mod pm;
pub mod pvpanic;
pub mod reset;
pub mod rtc;
pub mod uart;

#[cfg(test)]
mod test_support;
