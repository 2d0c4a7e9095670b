//! What keyboard and mouse have in common on the wire.

use caraway_base::state::StateError;

/// Command taken.
pub(super) const ACK: u8 = 0xfa;
/// Send that again; also the answer to what is no command.
pub(super) const RESEND: u8 = 0xfe;
/// Self-test passed.
pub(super) const BAT_PASSED: u8 = 0xaa;

/// A byte from a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Byte {
    pub(super) value: u8,
    /// Part of what a person did, not an answer to a command.
    pub(super) event: bool,
}

pub(super) fn invalid(field: &'static str, value: impl std::fmt::Display) -> StateError {
    StateError::Invalid {
        kind: super::KIND,
        field,
        value: value.to_string(),
    }
}
