//! What the loader handed over.

use core::ffi::CStr;

/// Room for the command line with its zero, as ring0.s has it.
const COMMAND_LINE_SIZE: usize = 1024;

// SAFETY: defined in ring0.s, which writes it before ring 3 begins and never again.
unsafe extern "C" {
    static GUEST_COMMAND_LINE: [u8; COMMAND_LINE_SIZE];
}

/// The command line, cut at 1023 bytes; empty when there is none or it is not UTF-8.
pub fn command_line() -> &'static str {
    // SAFETY: initialised up to its zero, and nobody writes it any more.
    let bytes = unsafe { &GUEST_COMMAND_LINE };
    CStr::from_bytes_until_nul(bytes)
        .ok()
        .and_then(|line| line.to_str().ok())
        .unwrap_or_default()
}
