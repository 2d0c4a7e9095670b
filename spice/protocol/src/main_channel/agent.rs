//! The tunnel between the client and the guest's agent: AGENT_DATA messages and their tokens.

use bitflags::bitflags;
use bytes::Bytes;

use crate::agent::MonitorsConfig;
use crate::error::Result;
use crate::wire::{Reader, wire_enum};

/// Largest body of an AGENT_DATA message, in both directions.
pub const AGENT_DATA_MAX: usize = 2048;

/// Header of a message between client and agent (VDAgentMessage). A message is a header and `size` bytes, cut into
/// AGENT_DATA bodies of at most [`AGENT_DATA_MAX`]; the first of them has at least the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentHeader {
    /// Version of the agent protocol; 1.
    pub protocol: u32,
    /// Type of the message.
    pub kind: u32,
    /// Meaning depends on the type; mostly 0.
    pub opaque: u64,
    /// Bytes behind the header.
    pub size: u32,
}

impl AgentHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 20;
    /// The only version of the agent protocol.
    pub const PROTOCOL: u32 = 1;

    /// The header at the start of `data`.
    ///
    /// # Errors
    /// [`crate::Error::Truncated`] when `data` is shorter, [`crate::Error::Unexpected`] for another version.
    pub fn decode(data: &Bytes) -> Result<Self> {
        let mut reader = Reader::new("VDAgentMessage", data);
        let protocol = reader.u32("protocol")?;
        if protocol != Self::PROTOCOL {
            return Err(reader.unexpected("protocol", "1", protocol));
        }
        Ok(Self {
            protocol,
            kind: reader.u32("type")?,
            opaque: reader.u64("opaque")?,
            size: reader.u32("size")?,
        })
    }

    /// The header on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.extend_from_slice(&self.protocol.to_le_bytes());
        out.extend_from_slice(&self.kind.to_le_bytes());
        out.extend_from_slice(&self.opaque.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out
    }
}

wire_enum! {
    /// What a message between client and agent is.
    pub enum AgentKind: u32 {
        /// Where the pointer is and which buttons are down; from the server.
        MouseState = 1,
        /// The monitors the client wants.
        MonitorsConfig = 2,
        /// Whether a request was met.
        Reply = 3,
        /// What a selection holds.
        Clipboard = 4,
        /// How the desktop is to look.
        DisplayConfig = 5,
        /// What the sender can do.
        AnnounceCapabilities = 6,
        /// The sender has a selection now.
        ClipboardGrab = 7,
        /// The sender wants what a selection holds.
        ClipboardRequest = 8,
        /// The sender has a selection no more.
        ClipboardRelease = 9,
        /// A file follows.
        FileXferStart = 10,
        /// How a file fares.
        FileXferStatus = 11,
        /// A part of a file.
        FileXferData = 12,
        /// No client is left; from the server.
        ClientDisconnected = 13,
        /// Most bytes of a selection.
        MaxClipboard = 14,
        /// How loud it is.
        AudioVolumeSync = 15,
        /// Which display is which device; from the server.
        GraphicsDeviceInfo = 16,
    }
}

bitflags! {
    /// The first word of what agents and clients can do.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AgentCaps: u32 {
        /// It takes the mouse's state.
        const MOUSE_STATE = 1;
        /// It takes monitors.
        const MONITORS_CONFIG = 1 << 1;
        /// It sends or takes replies.
        const REPLY = 1 << 2;
        /// Selections are sent unasked: obsolete.
        const CLIPBOARD = 1 << 3;
        /// It takes a configuration of the display.
        const DISPLAY_CONFIG = 1 << 4;
        /// Selections are sent when asked for.
        const CLIPBOARD_BY_DEMAND = 1 << 5;
        /// There are several selections, named in front of every message about them.
        const CLIPBOARD_SELECTION = 1 << 6;
        /// It takes monitors by their number, those that are off among them.
        const SPARSE_MONITORS_CONFIG = 1 << 7;
        /// Lines of the guest's text end with LF.
        const GUEST_LINEEND_LF = 1 << 8;
        /// Lines of the guest's text end with CR and LF.
        const GUEST_LINEEND_CRLF = 1 << 9;
        /// It takes a limit for what a selection holds.
        const MAX_CLIPBOARD = 1 << 10;
        /// It takes how loud the client has it.
        const AUDIO_VOLUME_SYNC = 1 << 11;
        /// Monitors have places.
        const MONITORS_CONFIG_POSITION = 1 << 12;
        /// There is no file transfer.
        const FILE_XFER_DISABLED = 1 << 13;
        /// It knows more ways in which a file transfer fails.
        const FILE_XFER_DETAILED_ERRORS = 1 << 14;
        /// It takes which display is which device.
        const GRAPHICS_DEVICE_INFO = 1 << 15;
        /// Who grabs a selection anew does not release it before.
        const CLIPBOARD_NO_RELEASE_ON_REGRAB = 1 << 16;
        /// Grabs have numbers, to tell who was first.
        const CLIPBOARD_GRAB_SERIAL = 1 << 17;
        const _ = !0;
    }
}

/// A monitor in a MONITORS_CONFIG message of the agent's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentMonitor {
    /// Pixels across; 0 = off.
    pub width: u32,
    /// Rows; 0 = off.
    pub height: u32,
    /// Bits of a pixel.
    pub depth: u32,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
}

impl AgentMonitor {
    /// Most monitors in a message: the reference's figure.
    pub const MOST: u32 = 256;
    /// Bytes of the longest message behind its header: with how large they are on a desk.
    pub const MOST_BYTES: u32 = 8 + Self::MOST * 24;

    /// Those of a message, without its header.
    ///
    /// # Errors
    /// More than [`AgentMonitor::MOST`] of them, or another length than their number says.
    pub fn decode(body: &Bytes) -> Result<Vec<Self>> {
        let mut reader = Reader::new("VDAgentMonitorsConfig", body);
        Ok(MonitorsConfig::decode(&mut reader)?.monitors)
    }
}

/// Whose messages a chunk on the agent's port belongs to: the client's.
pub const CLIENT_PORT: u32 = 1;

/// The server's own.
pub const SERVER_PORT: u32 = 2;

/// Header of a chunk on the agent's port (VDIChunkHeader): a part of the messages of one of its two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// [`CLIENT_PORT`] or [`SERVER_PORT`].
    pub port: u32,
    /// Bytes behind the header. Senders cut at [`AGENT_DATA_MAX`], but for the agent for Linux, which sends each message in
    /// one chunk.
    pub size: u32,
}

impl ChunkHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 8;

    /// From the wire.
    #[must_use]
    pub const fn decode([a, b, c, d, e, f, g, h]: [u8; Self::BYTES]) -> Self {
        Self {
            port: u32::from_le_bytes([a, b, c, d]),
            size: u32::from_le_bytes([e, f, g, h]),
        }
    }

    /// To the wire.
    #[must_use]
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.port.to_le_bytes());
        bytes[4..].copy_from_slice(&self.size.to_le_bytes());
        bytes
    }
}

/// AGENT_DATA messages one side may still send. One token is one message, whatever its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens(u32);

impl Tokens {
    /// This many (INIT, AGENT_CONNECTED_TOKENS, AGENT_START).
    #[must_use]
    pub const fn new(tokens: u32) -> Self {
        Self(tokens)
    }

    /// How many are left.
    #[must_use]
    pub const fn left(self) -> u32 {
        self.0
    }

    /// More of them (AGENT_TOKEN). The sum saturates: clients grant `u32::MAX` to say "without limit".
    pub const fn grant(&mut self, tokens: u32) {
        self.0 = self.0.saturating_add(tokens);
    }

    /// Takes one for a message that is sent, or that has arrived; `false` when there is none, which from a peer is a
    /// violation of the protocol.
    #[must_use]
    pub const fn take(&mut self) -> bool {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_token_is_refused() {
        let mut tokens = Tokens::new(1);
        assert!(tokens.take());
        assert!(!tokens.take());
        tokens.grant(2);
        assert_eq!(tokens.left(), 2);
    }

    #[test]
    fn granting_more_than_everything_saturates() {
        let mut tokens = Tokens::new(u32::MAX);
        tokens.grant(5);
        assert_eq!(tokens.left(), u32::MAX);
    }

    #[test]
    fn monitors_are_as_many_as_their_message_says() {
        let words = |words: &[u32]| Bytes::from_iter(words.iter().flat_map(|word| word.to_le_bytes()));
        let one = [768, 1024, 32, u32::MAX, 5];
        let monitor = AgentMonitor {
            width: 1024,
            height: 768,
            depth: 32,
            x: -1,
            y: 5,
        };
        assert_eq!(
            AgentMonitor::decode(&words(&[&[1, 1][..], &one].concat())),
            Ok(vec![monitor])
        );
        let sized = [&[2, 3][..], &one, &one, &[1, 2]].concat();
        assert_eq!(AgentMonitor::decode(&words(&sized)), Ok(vec![monitor; 2]));
        assert_eq!(AgentMonitor::decode(&words(&[0, 0])), Ok(Vec::new()));
        for wrong in [&sized[..13], &[257, 0], &[1, 1, 768, 1024, 32, 0], &[1]] {
            assert!(AgentMonitor::decode(&words(wrong)).is_err(), "{wrong:?}");
        }
    }
}
