//! Legacy PC devices: UART, PS/2, RTC, power management, reset and debug-exit ports.
#![forbid(unsafe_code)]
