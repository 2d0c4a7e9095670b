//! What the daemon and the part of a session say to each other: messages of the agent's protocol in one dialect, and a few
//! of their own.

use bytes::{Buf, Bytes, BytesMut};
use caraway_protocol::agent::{AgentCaps, AgentKind, AgentMessage, Dialect};

/// The number of this protocol. Both ends are one program; an old one may still run after an update.
pub const VERSION: u32 = 1;
/// Displays a screen may have.
pub const MOST_HEADS: usize = 64;

/// Selections are always named; serials are the daemon's business.
const DIALECT: Dialect = Dialect {
    has_selections: true,
    has_serials: false,
};

const HELLO: u32 = 0x1001;
const ACTIVE: u32 = 0x1002;
const INACTIVE: u32 = 0x1003;
const SCREEN: u32 = 0x1004;
const HEADER: usize = 8;
/// Bytes of a message that is no clipboard's and no file's.
const MOST_SMALL: usize = 64 << 10;

/// A part of the screen, by the number that clients have for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The client's number.
    pub display: u32,
    /// Left edge on the screen.
    pub x: u32,
    /// Top edge on the screen.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What a session shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Pixels across, of all displays together.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The displays.
    pub heads: Vec<Head>,
}

/// A message between daemon and session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// One of the agent's protocol.
    Agent(AgentMessage),
    /// From a session, first of all: the protocol's number, and what the session can do.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// What may be announced when it is active.
        caps: AgentCaps,
    },
    /// To a session: it is the active one, and there is a client.
    Active {
        /// What the client can do.
        caps: AgentCaps,
        /// Bytes of a selection that the client takes.
        most_clipboard: u64,
    },
    /// To a session: another one is active, or there is no client. What it had from a client is no more.
    Inactive,
    /// From a session: what it shows.
    Screen(Screen),
}

/// The other end does not keep to the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// A message that is longer than it may be.
    #[error("a message of kind {0:#x} with {1} bytes")]
    TooLong(u32, u32),
    /// A message that is none.
    #[error("a message of kind {0:#x} that is none")]
    Malformed(u32),
    /// A message of the agent's protocol that is none.
    #[error(transparent)]
    Agent(#[from] caraway_protocol::Error),
}

impl Link {
    /// Puts it behind what is to be written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, body) = match self {
            Self::Agent(message) => (message.kind().into(), message.encode(DIALECT)),
            Self::Hello { version, caps } => (HELLO, words(&[*version, caps.bits()])),
            Self::Active { caps, most_clipboard } => {
                let mut body = words(&[caps.bits()]);
                body.extend_from_slice(&most_clipboard.to_le_bytes());
                (ACTIVE, body)
            }
            Self::Inactive => (INACTIVE, Vec::new()),
            Self::Screen(screen) => {
                let mut body = words(&[screen.width, screen.height]);
                for head in screen.heads.iter().take(MOST_HEADS) {
                    body.extend(words(&[head.display, head.x, head.y, head.width, head.height]));
                }
                (SCREEN, body)
            }
        };
        let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
        out.extend(words(&[kind, size]));
        out.extend(body);
    }

    fn decode(kind: u32, mut body: Bytes) -> Result<Self, LinkFault> {
        let malformed = LinkFault::Malformed(kind);
        let message = match kind {
            HELLO if body.len() == 8 => Self::Hello {
                version: body.get_u32_le(),
                caps: AgentCaps::from_bits_retain(body.get_u32_le()),
            },
            ACTIVE if body.len() == 12 => Self::Active {
                caps: AgentCaps::from_bits_retain(body.get_u32_le()),
                most_clipboard: body.get_u64_le(),
            },
            INACTIVE if body.is_empty() => Self::Inactive,
            SCREEN if body.len() >= 8 && (body.len() - 8).is_multiple_of(20) && body.len() <= 8 + 20 * MOST_HEADS => {
                let (width, height) = (body.get_u32_le(), body.get_u32_le());
                let mut heads = Vec::new();
                while body.has_remaining() {
                    heads.push(Head {
                        display: body.get_u32_le(),
                        x: body.get_u32_le(),
                        y: body.get_u32_le(),
                        width: body.get_u32_le(),
                        height: body.get_u32_le(),
                    });
                }
                Self::Screen(Screen { width, height, heads })
            }
            HELLO | ACTIVE | INACTIVE | SCREEN => return Err(malformed),
            kind => match AgentMessage::decode(kind.into(), &body, DIALECT)? {
                AgentMessage::Unknown { .. } => return Err(malformed),
                message => Self::Agent(message),
            },
        };
        Ok(message)
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Reads what the other end writes.
#[derive(Debug)]
pub struct LinkReader {
    bytes: BytesMut,
    /// Bytes of a clipboard or of a block of a file that are taken.
    most: usize,
}

impl LinkReader {
    /// One that takes messages of at most so many bytes, or small ones.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            most,
        }
    }

    /// Takes messages of at most so many bytes from now on.
    pub const fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// Takes up bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, if it is complete.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub fn message(&mut self) -> Result<Option<Link>, LinkFault> {
        let Some([k0, k1, k2, k3, s0, s1, s2, s3]) = self.bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let kind = u32::from_le_bytes([*k0, *k1, *k2, *k3]);
        let size = u32::from_le_bytes([*s0, *s1, *s2, *s3]);
        let is_large = matches!(kind.into(), AgentKind::Clipboard | AgentKind::FileXferData);
        let most = if is_large {
            self.most.max(MOST_SMALL)
        } else {
            MOST_SMALL
        };
        if size as usize > most {
            return Err(LinkFault::TooLong(kind, size));
        }
        if self.bytes.len() < HEADER + size as usize {
            return Ok(None);
        }
        self.bytes.advance(HEADER);
        let body = self.bytes.split_to(size as usize).freeze();
        if self.bytes.is_empty() {
            // What was a large message is given back with it.
            self.bytes = BytesMut::new();
        }
        Link::decode(kind, body).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use caraway_protocol::agent::{ClipboardKind, Selection};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<Link> {
        let head = |display| Head {
            display,
            x: 5,
            y: 6,
            width: 7,
            height: 8,
        };
        vec![
            Link::Hello {
                version: 1,
                caps: AgentCaps::REPLY,
            },
            Link::Active {
                caps: AgentCaps::all(),
                most_clipboard: 1 << 40,
            },
            Link::Inactive,
            Link::Screen(Screen {
                width: 3,
                height: 4,
                heads: vec![head(0), head(3)],
            }),
            Link::Agent(AgentMessage::Clipboard {
                selection: Selection::Primary,
                kind: ClipboardKind::Text,
                data: vec![b'x'; 100_000].into(),
            }),
            Link::Agent(AgentMessage::ClientDisconnected),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let mut wire = Vec::new();
        examples().iter().for_each(|link| link.encode(&mut wire));
        let mut reader = LinkReader::new(1 << 20);
        let mut seen = Vec::new();
        for part in wire.chunks(777) {
            reader.push(part);
            while let Some(link) = reader.message().unwrap() {
                seen.push(link);
            }
        }
        assert_eq!(seen, examples());
    }

    #[test]
    fn only_what_may_be_long_is() {
        let mut reader = LinkReader::new(1 << 20);
        reader.push(&words(&[4, (1 << 20) + 1]));
        assert_eq!(reader.message(), Err(LinkFault::TooLong(4, (1 << 20) + 1)));
        let mut reader = LinkReader::new(1 << 20);
        reader.push(&words(&[SCREEN, 1 << 17]));
        assert_eq!(reader.message(), Err(LinkFault::TooLong(SCREEN, 1 << 17)));
        let mut reader = LinkReader::new(0);
        reader.push(&words(&[4, 1 << 17]));
        assert_eq!(reader.message(), Err(LinkFault::TooLong(4, 1 << 17)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_messages_or_a_fault(
            kind in prop_oneof![0..20_u32, HELLO..SCREEN + 2, any::<u32>()],
            body in vec(any::<u8>(), 0..120),
        ) {
            let mut reader = LinkReader::new(1 << 20);
            reader.push(&words(&[kind, body.len() as u32]));
            reader.push(&body);
            while let Ok(Some(_)) = reader.message() {}
        }
    }
}
