//! FILE_XFER_START and FILE_XFER_STATUS.

use crate::error::Result;
use crate::wire::Reader;

/// A file that a client wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStart {
    /// The client's number for it.
    pub id: u32,
    /// As the client has it: whoever makes a file of this name has to look at it first.
    pub name: String,
    /// Bytes that will come.
    pub size: u64,
}

/// The group of the keys.
const GROUP: &str = "[vdagent-file-xfer]";
/// Bytes of the whole text: names are shorter on every file system.
const MOST_TEXT: u64 = 16 << 10;

impl FileStart {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let id = reader.u32("id")?;
        let text = reader.rest();
        if text.len() as u64 > MOST_TEXT {
            return Err(reader.unexpected("text", "at most 16 KiB", text.len() as u64));
        }
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let mut is_ours = false;
        let (mut name, mut size) = (None, None);
        for line in text.lines() {
            let line = line.trim_start();
            if line.starts_with('[') {
                is_ours = line.trim_end() == GROUP;
            } else if let Some((key, value)) = line.split_once('=').filter(|_| is_ours) {
                match key.trim_end() {
                    "name" => name = unescape(value.trim_start()),
                    "size" => size = value.trim().parse().ok(),
                    _ => {}
                }
            }
        }
        match (name, size) {
            (Some(name), Some(size)) => Ok(Self { id, name, size }),
            (None, _) => Err(reader.unexpected("text", "a name", 0_u32)),
            (_, None) => Err(reader.unexpected("text", "a size", 0_u32)),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        super::words(out, &[self.id]);
        let text = format!("{GROUP}\nname={}\nsize={}\n\0", escape(&self.name), self.size);
        out.extend_from_slice(text.as_bytes());
    }
}

/// The value of a key file as it was before it was written there; `None` for what nobody writes.
fn unescape(value: &str) -> Option<String> {
    let mut text = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next()? {
                's' => ' ',
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            letter => letter,
        });
    }
    Some(text)
}

fn escape(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        match letter {
            // Needed at the begin, allowed everywhere.
            ' ' if text.is_empty() || text.ends_with("\\s") => text.push_str("\\s"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            letter => text.push(letter),
        }
    }
    text
}

/// How a file fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStatus {
    /// The agent waits for the bytes.
    CanSendData,
    /// One side wants it no more.
    Cancelled,
    /// It went wrong. With detailed errors: where the code comes from, and the code.
    Error(Option<(u8, u32)>),
    /// It is there.
    Success,
    /// There is no room; with detailed errors, how much there is.
    NotEnoughSpace(Option<u64>),
    /// The user's session is locked.
    SessionLocked,
    /// Nobody is there to take it.
    NotConnected,
    /// The guest takes no files.
    Disabled,
    /// Another result.
    Unknown(u32),
}

impl FileStatus {
    /// As a peer without FILE_XFER_DETAILED_ERRORS knows it.
    #[must_use]
    pub const fn plain(self) -> Self {
        match self {
            Self::CanSendData | Self::Cancelled | Self::Success | Self::Unknown(_) => self,
            Self::Error(_) | Self::NotEnoughSpace(_) | Self::SessionLocked | Self::NotConnected | Self::Disabled => {
                Self::Error(None)
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match reader.u32("result")? {
            0 => Self::CanSendData,
            1 => Self::Cancelled,
            2 if reader.remaining() >= 5 => Self::Error(Some((reader.u8("error_type")?, reader.u32("error_code")?))),
            2 => Self::Error(None),
            3 => Self::Success,
            4 if reader.remaining() >= 8 => Self::NotEnoughSpace(Some(reader.u64("disk_free_space")?)),
            4 => Self::NotEnoughSpace(None),
            5 => Self::SessionLocked,
            6 => Self::NotConnected,
            7 => Self::Disabled,
            other => Self::Unknown(other),
        })
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        let result = match self {
            Self::CanSendData => 0,
            Self::Cancelled => 1,
            Self::Error(_) => 2,
            Self::Success => 3,
            Self::NotEnoughSpace(_) => 4,
            Self::SessionLocked => 5,
            Self::NotConnected => 6,
            Self::Disabled => 7,
            Self::Unknown(other) => other,
        };
        super::words(out, &[result]);
        match self {
            Self::Error(Some((source, code))) => {
                out.push(source);
                super::words(out, &[code]);
            }
            Self::NotEnoughSpace(Some(free)) => out.extend_from_slice(&free.to_le_bytes()),
            _ => {}
        }
    }
}
