//! One port: what its driver knows and has said, and the connection that follows from it.
//!
//! Someone in the guest who has the port open has a connection on the host, unless another device has it. When the
//! connection ends before the guest closes the port, the driver is told that the host's side is closed, and only then that
//! it is open again. Linux keeps nothing but the last of that, so there is time between the two, for who waits in the guest
//! to see it: until the port is closed there, or [`HANG_UP`] has passed. What the guest sends meanwhile belongs to no
//! connection and is dropped.

use std::time::{Duration, Instant};

use caraway_ports::port::DevicePort;
use serde::{Deserialize, Serialize};

use super::message::PortMessage;

/// How long the host's side stays closed at most for a guest that does not close the port. A reader that sleeps in poll(2)
/// has long woken then, on a busy machine too.
pub(super) const HANG_UP: Duration = Duration::from_secs(1);

/// What a driver knows of a port and has said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsolePortState {
    /// Its name.
    pub name: String,
    /// The driver was told that it exists, or knew.
    pub is_added: bool,
    /// The driver has set it up.
    pub is_ready: bool,
    /// The driver was told the name since then.
    pub is_named: bool,
    /// Someone in the guest has it open.
    pub is_open: bool,
}

/// Why the host's side is closed though nobody else has the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HangUp {
    /// The driver does not know yet.
    ToBeTold,
    /// It was told then.
    Told(Instant),
}

/// A port of the device.
#[derive(Debug)]
pub(super) struct Port {
    state: ConsolePortState,
    device: DevicePort,
    /// What the driver was told of the host's side; if nothing, it is to be told.
    told: Option<bool>,
    hang_up: Option<HangUp>,
    /// The guest has a connection on the host.
    is_connected: bool,
    /// Bytes of the chain at the head of the transmit queue that the host has taken.
    pub(super) taken: u64,
}

impl Port {
    pub(super) fn new(name: String, device: DevicePort) -> Self {
        let state = ConsolePortState {
            name,
            ..ConsolePortState::default()
        };
        Self::with(state, device)
    }

    /// A port in a saved state. Whoever had it open then loses the connection now. Nothing of what was under way is needed
    /// any more: not the rest of a chain that was begun, nor what the driver was told of the host's side.
    pub(super) fn with(state: ConsolePortState, device: DevicePort) -> Self {
        Self {
            hang_up: state.is_open.then_some(HangUp::ToBeTold),
            state,
            device,
            told: None,
            is_connected: false,
            taken: 0,
        }
    }

    pub(super) fn state(&self) -> &ConsolePortState {
        &self.state
    }

    pub(super) fn device(&self) -> &DevicePort {
        &self.device
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// As after power-on.
    pub(super) fn reset(&mut self) {
        self.disconnect();
        self.state = ConsolePortState {
            name: std::mem::take(&mut self.state.name),
            ..ConsolePortState::default()
        };
        self.told = None;
    }

    /// The driver has set the port up. It may say so again, after a suspend for instance: then it knows that the port is
    /// there, and is told the rest once more.
    pub(super) fn set_ready(&mut self, ready: bool) {
        self.state.is_added = true;
        self.state.is_ready = ready;
        self.state.is_named = false;
        self.told = None;
        if !ready {
            self.close();
        }
    }

    /// Someone in the guest opens the port: a new connection, unless it was open.
    pub(super) fn open(&mut self) {
        if !self.state.is_open {
            self.state.is_open = true;
            self.connect();
        }
    }

    /// The guest has closed the port.
    pub(super) fn close(&mut self) {
        self.state.is_open = false;
        self.disconnect();
    }

    fn connect(&mut self) {
        self.taken = 0;
        self.is_connected = self.device.open();
        // Another device has it. Who waits for an answer here is to know, also if the other one lets go soon.
        if !self.is_connected && self.told != Some(false) {
            self.hang_up = Some(HangUp::ToBeTold);
        }
    }

    fn disconnect(&mut self) {
        self.device.close();
        self.is_connected = false;
        self.hang_up = None;
        self.taken = 0;
    }

    /// Follows what has happened on the host, and the time.
    pub(super) fn look(&mut self, now: Instant) {
        if self.is_connected && !self.device.is_open() {
            self.disconnect();
            self.hang_up = (self.told != Some(false)).then_some(HangUp::ToBeTold);
        }
        if self.hang_up_ends().is_some_and(|end| end <= now) {
            self.hang_up = None;
        }
        if self.state.is_open && !self.is_connected && self.hang_up.is_none() {
            self.connect();
        }
    }

    /// When the host's side is open again by itself.
    pub(super) fn hang_up_ends(&self) -> Option<Instant> {
        match self.hang_up {
            Some(HangUp::Told(at)) => at.checked_add(HANG_UP),
            Some(HangUp::ToBeTold) | None => None,
        }
    }

    /// What the driver is to be told next: never more than one message of a kind waits.
    pub(super) fn message(&self) -> Option<PortMessage> {
        let state = &self.state;
        if !state.is_added {
            return Some(PortMessage::Add);
        }
        if !state.is_ready {
            return None;
        }
        if !state.is_named {
            return Some(PortMessage::Name);
        }
        // Who has it open is told only once there is a connection: what is written before it is lost.
        let is_open = if state.is_open {
            self.is_connected
        } else {
            !self.device.is_taken()
        };
        (self.told != Some(is_open)).then_some(PortMessage::Open(is_open))
    }

    /// The driver was told.
    pub(super) fn told(&mut self, message: PortMessage, now: Instant) {
        match message {
            PortMessage::Add => self.state.is_added = true,
            PortMessage::Name => self.state.is_named = true,
            PortMessage::Open(open) => {
                self.told = Some(open);
                if !open && self.hang_up == Some(HangUp::ToBeTold) {
                    self.hang_up = Some(HangUp::Told(now));
                }
            }
        }
    }
}
