//! Control messages (virtio 1.2, 5.3.6.2): port number, event, value, all little-endian; the name of a port follows its
//! PORT_NAME.

/// Bytes of a message without a name.
pub(super) const MESSAGE_BYTES: usize = 8;

mod event {
    pub(super) const DEVICE_READY: u16 = 0;
    pub(super) const PORT_ADD: u16 = 1;
    pub(super) const PORT_READY: u16 = 3;
    pub(super) const PORT_OPEN: u16 = 6;
    pub(super) const PORT_NAME: u16 = 7;
}

/// What a driver says. A value other than 0 and 1 has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DriverMessage {
    /// It can take ports, or has failed.
    DeviceReady(bool),
    /// It has set the port up, or has failed to.
    PortReady(u32, bool),
    /// Someone in the guest has opened the port, or closed it.
    PortOpen(u32, bool),
}

impl DriverMessage {
    /// `None` for what a driver does not say.
    pub(super) fn parse(bytes: [u8; MESSAGE_BYTES]) -> Option<Self> {
        let [n0, n1, n2, n3, e0, e1, v0, v1] = bytes;
        let port = u32::from_le_bytes([n0, n1, n2, n3]);
        let value = match u16::from_le_bytes([v0, v1]) {
            0 => false,
            1 => true,
            _ => return None,
        };
        match u16::from_le_bytes([e0, e1]) {
            // Not of a port; drivers put any number there.
            event::DEVICE_READY => Some(Self::DeviceReady(value)),
            event::PORT_READY => Some(Self::PortReady(port, value)),
            event::PORT_OPEN => Some(Self::PortOpen(port, value)),
            _ => None,
        }
    }
}

/// What the driver is told of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortMessage {
    /// It exists.
    Add,
    /// What it is called.
    Name,
    /// Whether the host's side is open.
    Open(bool),
}

impl PortMessage {
    /// The message as the driver reads it.
    pub(super) fn bytes(self, port: u32, name: &str) -> Vec<u8> {
        let (event, value, name) = match self {
            Self::Add => (event::PORT_ADD, 0, ""),
            // The name is as long as the rest of the message; Linux ends it with a zero itself.
            Self::Name => (event::PORT_NAME, 0, name),
            Self::Open(open) => (event::PORT_OPEN, u16::from(open), ""),
        };
        let mut bytes = Vec::with_capacity(MESSAGE_BYTES + name.len());
        bytes.extend(port.to_le_bytes());
        bytes.extend(event.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes.extend(name.bytes());
        bytes
    }
}
