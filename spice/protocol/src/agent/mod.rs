//! Messages between a client, the server and the guest's agent (VDAgent), as they stand behind their
//! [`AgentHeader`].
//!
//! The tunnel they travel through is part of the [main channel](crate::main_channel). What some of them look like depends
//! on what both ends announced: their [`Dialect`].

mod file;
mod graphics;
mod monitors;

use bitflags::bitflags;
use bytes::Bytes;

pub use file::{FileStart, FileStatus};
pub use graphics::GraphicsDevice;
pub use monitors::MonitorsConfig;

use crate::error::Result;
pub use crate::main_channel::{AgentCaps, AgentHeader, AgentKind, AgentMonitor};
use crate::wire::{Reader, wire_enum};

/// What both ends of a conversation announced, as far as messages look different by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Messages about the clipboard name a selection; without it they mean [`Selection::Clipboard`].
    pub has_selections: bool,
    /// Grabs have a number.
    pub has_serials: bool,
}

impl Dialect {
    /// That of two ends that can do this.
    #[must_use]
    pub const fn of(caps: AgentCaps, peer: AgentCaps) -> Self {
        let both = caps.intersection(peer);
        Self {
            has_selections: both.contains(AgentCaps::CLIPBOARD_SELECTION),
            has_serials: both.contains(AgentCaps::CLIPBOARD_GRAB_SERIAL),
        }
    }
}

wire_enum! {
    /// Which of the clipboards.
    pub enum Selection: u8 {
        /// What is copied and pasted.
        Clipboard = 0,
        /// What is marked with the mouse.
        Primary = 1,
        /// Another one of X11, which hardly any program uses.
        Secondary = 2,
    }
}

wire_enum! {
    /// What a clipboard holds.
    pub enum ClipboardKind: u32 {
        /// Nothing: what was asked for is not to be had.
        None = 0,
        /// Text.
        Text = 1,
        /// A picture as PNG.
        Png = 2,
        /// A picture as BMP.
        Bmp = 3,
        /// A picture as TIFF.
        Tiff = 4,
        /// A picture as JPEG.
        Jpeg = 5,
        /// `copy` or `cut` and paths in the folder that a client shares, each with a NUL between.
        FileList = 6,
    }
}

bitflags! {
    /// Buttons in a MOUSE_STATE message.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AgentButtons: u32 {
        /// The left one.
        const LEFT = 1 << 1;
        /// The middle one.
        const MIDDLE = 1 << 2;
        /// The right one.
        const RIGHT = 1 << 3;
        /// The wheel is turned away from the hand.
        const UP = 1 << 4;
        /// The wheel is turned to the hand.
        const DOWN = 1 << 5;
        /// The one that goes back.
        const SIDE = 1 << 6;
        /// The one that goes on.
        const EXTRA = 1 << 7;
        const _ = !0;
    }
}

/// Where the pointer is and what is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MouseState {
    /// Pixels from the left edge of the display.
    pub x: u32,
    /// Rows from the top.
    pub y: u32,
    /// What is down.
    pub buttons: AgentButtons,
    /// On which display.
    pub display: u8,
}

/// A message, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the protocol.
pub enum AgentMessage {
    MouseState(MouseState),
    MonitorsConfig(MonitorsConfig),
    /// Whether a request of this kind was met.
    Reply {
        to: AgentKind,
        ok: bool,
    },
    Clipboard {
        selection: Selection,
        kind: ClipboardKind,
        data: Bytes,
    },
    DisplayConfig {
        flags: u32,
        depth: u32,
    },
    /// `wants_answer`: the peer is to announce its own.
    AnnounceCapabilities {
        wants_answer: bool,
        caps: AgentCaps,
    },
    ClipboardGrab {
        selection: Selection,
        serial: Option<u32>,
        kinds: Vec<ClipboardKind>,
    },
    ClipboardRequest {
        selection: Selection,
        kind: ClipboardKind,
    },
    ClipboardRelease {
        selection: Selection,
    },
    FileXferStart(FileStart),
    FileXferStatus {
        id: u32,
        status: FileStatus,
    },
    FileXferData {
        id: u32,
        data: Bytes,
    },
    ClientDisconnected,
    /// Bytes; -1 for as many as there are.
    MaxClipboard(i32),
    AudioVolumeSync {
        is_playback: bool,
        is_mute: bool,
        volumes: Vec<u16>,
    },
    GraphicsDeviceInfo(Vec<GraphicsDevice>),
    /// One without a name here.
    Unknown {
        kind: u32,
        body: Bytes,
    },
}

/// Types a grab may offer: there are seven, and clients of later days may know some more.
const MOST_KINDS: u64 = 64;

impl AgentMessage {
    /// From the bytes behind a header.
    ///
    /// # Errors
    /// A body that is not as long as its kind wants, or that has values which cannot be.
    pub fn decode(kind: AgentKind, body: &Bytes, dialect: Dialect) -> Result<Self> {
        let mut reader = Reader::new(name(kind), body);
        let message = match kind {
            AgentKind::MouseState => Self::MouseState(MouseState {
                x: reader.u32("x")?,
                y: reader.u32("y")?,
                buttons: AgentButtons::from_bits_retain(reader.u32("buttons")?),
                display: reader.u8("display_id")?,
            }),
            AgentKind::MonitorsConfig => Self::MonitorsConfig(MonitorsConfig::decode(&mut reader)?),
            AgentKind::Reply => Self::Reply {
                to: reader.u32("type")?.into(),
                ok: reader.u32("error")? == SUCCESS,
            },
            AgentKind::Clipboard => Self::Clipboard {
                selection: selection(&mut reader, dialect)?,
                kind: reader.u32("type")?.into(),
                data: reader.rest(),
            },
            AgentKind::DisplayConfig => Self::DisplayConfig {
                flags: reader.u32("flags")?,
                depth: reader.u32("depth")?,
            },
            AgentKind::AnnounceCapabilities => Self::AnnounceCapabilities {
                wants_answer: reader.u32("request")? != 0,
                // Later words have no meaning yet; none at all is nothing.
                caps: AgentCaps::from_bits_retain(if reader.remaining() < 4 { 0 } else { reader.u32("caps")? }),
            },
            AgentKind::ClipboardGrab => {
                let selection = selection(&mut reader, dialect)?;
                let serial = if dialect.has_serials {
                    Some(reader.u32("serial")?)
                } else {
                    None
                };
                let count = (reader.remaining() / 4) as u64;
                if count > MOST_KINDS {
                    return Err(reader.unexpected("types", "at most 64", count));
                }
                let kinds = reader.items("types", count as u32, 4, |reader| Ok(reader.u32("type")?.into()))?;
                Self::ClipboardGrab {
                    selection,
                    serial,
                    kinds,
                }
            }
            AgentKind::ClipboardRequest => Self::ClipboardRequest {
                selection: selection(&mut reader, dialect)?,
                kind: reader.u32("type")?.into(),
            },
            AgentKind::ClipboardRelease => Self::ClipboardRelease {
                selection: selection(&mut reader, dialect)?,
            },
            AgentKind::FileXferStart => Self::FileXferStart(FileStart::decode(&mut reader)?),
            AgentKind::FileXferStatus => Self::FileXferStatus {
                id: reader.u32("id")?,
                status: FileStatus::decode(&mut reader)?,
            },
            AgentKind::FileXferData => {
                let id = reader.u32("id")?;
                let size = reader.u64("size")?;
                Self::FileXferData {
                    id,
                    data: reader.bytes("data", size)?,
                }
            }
            AgentKind::ClientDisconnected => Self::ClientDisconnected,
            AgentKind::MaxClipboard => Self::MaxClipboard(reader.i32("max")?),
            AgentKind::AudioVolumeSync => {
                let is_playback = reader.u8("is_playback")? != 0;
                let is_mute = reader.u8("mute")? != 0;
                let channels = u32::from(reader.u8("nchannels")?);
                let volumes = reader.items("volume", channels, 2, |reader| reader.u16("volume"))?;
                Self::AudioVolumeSync {
                    is_playback,
                    is_mute,
                    volumes,
                }
            }
            AgentKind::GraphicsDeviceInfo => Self::GraphicsDeviceInfo(GraphicsDevice::decode_all(&mut reader)?),
            AgentKind::Unknown(kind) => Self::Unknown {
                kind,
                body: reader.rest(),
            },
        };
        Ok(message)
    }

    /// Which message it is.
    #[must_use]
    pub const fn kind(&self) -> AgentKind {
        match self {
            Self::MouseState(_) => AgentKind::MouseState,
            Self::MonitorsConfig(_) => AgentKind::MonitorsConfig,
            Self::Reply { .. } => AgentKind::Reply,
            Self::Clipboard { .. } => AgentKind::Clipboard,
            Self::DisplayConfig { .. } => AgentKind::DisplayConfig,
            Self::AnnounceCapabilities { .. } => AgentKind::AnnounceCapabilities,
            Self::ClipboardGrab { .. } => AgentKind::ClipboardGrab,
            Self::ClipboardRequest { .. } => AgentKind::ClipboardRequest,
            Self::ClipboardRelease { .. } => AgentKind::ClipboardRelease,
            Self::FileXferStart(_) => AgentKind::FileXferStart,
            Self::FileXferStatus { .. } => AgentKind::FileXferStatus,
            Self::FileXferData { .. } => AgentKind::FileXferData,
            Self::ClientDisconnected => AgentKind::ClientDisconnected,
            Self::MaxClipboard(_) => AgentKind::MaxClipboard,
            Self::AudioVolumeSync { .. } => AgentKind::AudioVolumeSync,
            Self::GraphicsDeviceInfo(_) => AgentKind::GraphicsDeviceInfo,
            Self::Unknown { kind, .. } => AgentKind::Unknown(*kind),
        }
    }

    /// The bytes behind the header.
    #[must_use]
    pub fn encode(&self, dialect: Dialect) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::MouseState(mouse) => {
                words(&mut out, &[mouse.x, mouse.y, mouse.buttons.bits()]);
                out.push(mouse.display);
            }
            Self::MonitorsConfig(config) => config.encode(&mut out),
            Self::Reply { to, ok } => words(&mut out, &[(*to).into(), if *ok { SUCCESS } else { FAILURE }]),
            Self::Clipboard { selection, kind, data } => {
                prefix(&mut out, *selection, dialect);
                words(&mut out, &[(*kind).into()]);
                out.extend_from_slice(data);
            }
            Self::DisplayConfig { flags, depth } => words(&mut out, &[*flags, *depth]),
            Self::AnnounceCapabilities { wants_answer, caps } => {
                words(&mut out, &[u32::from(*wants_answer), caps.bits()]);
            }
            Self::ClipboardGrab {
                selection,
                serial,
                kinds,
            } => {
                prefix(&mut out, *selection, dialect);
                if dialect.has_serials {
                    words(&mut out, &[serial.unwrap_or_default()]);
                }
                kinds.iter().for_each(|kind| words(&mut out, &[(*kind).into()]));
            }
            Self::ClipboardRequest { selection, kind } => {
                prefix(&mut out, *selection, dialect);
                words(&mut out, &[(*kind).into()]);
            }
            Self::ClipboardRelease { selection } => prefix(&mut out, *selection, dialect),
            Self::FileXferStart(start) => start.encode(&mut out),
            Self::FileXferStatus { id, status } => {
                words(&mut out, &[*id]);
                status.encode(&mut out);
            }
            Self::FileXferData { id, data } => {
                words(&mut out, &[*id]);
                out.extend_from_slice(&(data.len() as u64).to_le_bytes());
                out.extend_from_slice(data);
            }
            Self::ClientDisconnected => {}
            Self::MaxClipboard(most) => out.extend_from_slice(&most.to_le_bytes()),
            Self::AudioVolumeSync {
                is_playback,
                is_mute,
                volumes,
            } => {
                let count = u8::try_from(volumes.len()).unwrap_or(u8::MAX);
                out.extend_from_slice(&[u8::from(*is_playback), u8::from(*is_mute), count]);
                let volumes = volumes.iter().take(usize::from(count));
                volumes.for_each(|volume| out.extend_from_slice(&volume.to_le_bytes()));
            }
            Self::GraphicsDeviceInfo(devices) => GraphicsDevice::encode_all(devices, &mut out),
            Self::Unknown { body, .. } => out.extend_from_slice(body),
        }
        out
    }
}

/// In a REPLY.
const SUCCESS: u32 = 1;
const FAILURE: u32 = 2;

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// The selection in front of a message about one.
fn selection(reader: &mut Reader<'_>, dialect: Dialect) -> Result<Selection> {
    if !dialect.has_selections {
        return Ok(Selection::Clipboard);
    }
    let [selection, ..] = reader.array::<4>("selection")?;
    Ok(selection.into())
}

fn prefix(out: &mut Vec<u8>, selection: Selection, dialect: Dialect) {
    if dialect.has_selections {
        out.extend_from_slice(&[selection.into(), 0, 0, 0]);
    }
}

const fn name(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::MouseState => "VDAgentMouseState",
        AgentKind::MonitorsConfig => "VDAgentMonitorsConfig",
        AgentKind::Reply => "VDAgentReply",
        AgentKind::Clipboard => "VDAgentClipboard",
        AgentKind::DisplayConfig => "VDAgentDisplayConfig",
        AgentKind::AnnounceCapabilities => "VDAgentAnnounceCapabilities",
        AgentKind::ClipboardGrab => "VDAgentClipboardGrab",
        AgentKind::ClipboardRequest => "VDAgentClipboardRequest",
        AgentKind::ClipboardRelease => "VDAgentClipboardRelease",
        AgentKind::FileXferStart => "VDAgentFileXferStartMessage",
        AgentKind::FileXferStatus => "VDAgentFileXferStatusMessage",
        AgentKind::FileXferData => "VDAgentFileXferDataMessage",
        AgentKind::ClientDisconnected => "VDAgentClientDisconnected",
        AgentKind::MaxClipboard => "VDAgentMaxClipboard",
        AgentKind::AudioVolumeSync => "VDAgentAudioVolumeSync",
        AgentKind::GraphicsDeviceInfo => "VDAgentGraphicsDeviceInfo",
        AgentKind::Unknown(_) => "VDAgentMessage",
    }
}
