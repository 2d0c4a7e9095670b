//! How a machine ends.

/// Why [`crate::Machine::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest powered off.
    PowerOff,
    /// The guest reset itself and the machine was to end then.
    Reboot,
    /// A command ended it.
    Quit,
    /// The host failed it.
    Host(String),
    /// The guest crashed; a text for people.
    Crashed(String),
    /// It runs on another host now.
    Moved,
    /// It was told to stop and did not in time, or was told twice.
    StopLimit,
    /// The guest chose its own code, 0 to 62.
    Exit(u8),
}

impl Ending {
    /// The exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::PowerOff | Self::Reboot | Self::Quit => 0,
            Self::Host(_) => 1,
            Self::Crashed(_) => 3,
            Self::StopLimit => 4,
            Self::Moved => 5,
            Self::Exit(code) => 64 + code.min(&62),
        }
    }

    /// What a person should read, if anything went wrong.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Host(text) | Self::Crashed(text) => Some(text),
            Self::StopLimit => Some("the guest did not power off in time"),
            Self::PowerOff | Self::Reboot | Self::Quit | Self::Moved | Self::Exit(_) => None,
        }
    }

    /// Whether the guest caused it, and the word of QMP's `ShutdownCause`.
    pub(super) fn cause(&self) -> (bool, &'static str) {
        match self {
            Self::PowerOff | Self::Exit(_) => (true, "guest-shutdown"),
            Self::Reboot => (true, "guest-reset"),
            Self::Quit | Self::Moved => (false, "host-qmp-quit"),
            Self::Host(_) => (false, "host-error"),
            Self::Crashed(_) => (true, "guest-panic"),
            Self::StopLimit => (false, "host-signal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        for (ending, code) in [
            (Ending::PowerOff, 0),
            (Ending::Quit, 0),
            (Ending::Host(String::new()), 1),
            (Ending::Crashed(String::new()), 3),
            (Ending::StopLimit, 4),
            (Ending::Moved, 5),
            (Ending::Exit(0), 64),
            (Ending::Exit(62), 126),
            (Ending::Exit(255), 126),
        ] {
            assert_eq!(ending.exit_code(), code, "{ending:?}");
        }
    }
}
