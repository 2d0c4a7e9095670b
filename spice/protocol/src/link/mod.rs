//! The link stage: the handshake at the start of each connection.
//!
//! Order: [`LinkMessage`] (client), [`LinkReply`] (server), [`AuthMechanism`] (client, if [`Negotiated::selects`]),
//! [`Ticket`] (client) or the exchange of [`sasl`], [`LinkCode`] as link result (server). Decoders take exactly the
//! bytes of their step from the front of the buffer, since a client may send the steps that follow, and data, without
//! waiting.

mod auth;
mod reply;
mod request;
pub mod sasl;

pub use auth::{AuthMechanism, PASSWORD_MAX, TICKET_BYTES, Ticket, decode_result, encode_result};
pub use reply::{Acceptance, LinkReply, PUBLIC_KEY_BYTES};
pub use request::LinkMessage;

use bytes::{Buf, BytesMut};

use crate::Progress;
use crate::caps::{Caps, CommonCap, MAX_WORDS};
use crate::error::{Error, Result};
use crate::header::HeaderKind;
use crate::wire::{Reader, wire_enum};

/// First four bytes of a SPICE connection.
pub const MAGIC: [u8; 4] = *b"REDQ";
/// Major version of the protocol; the only one accepted.
pub const VERSION_MAJOR: u32 = 2;
/// Minor version of the protocol; only information.
pub const VERSION_MINOR: u32 = 2;
/// Bytes of the link header: magic, major and minor version, size of what follows.
pub const HEADER_BYTES: usize = 16;

wire_enum! {
    /// Link error codes, also the reasons of DISCONNECTING.
    pub enum LinkCode: u32 {
        /// Connection established.
        Ok = 0,
        /// Generic error.
        Error = 1,
        /// Not SPICE.
        InvalidMagic = 2,
        /// A field that cannot be.
        InvalidData = 3,
        /// Another major version.
        VersionMismatch = 4,
        /// Come again on the TLS port.
        NeedSecured = 5,
        /// Come again on the plain port.
        NeedUnsecured = 6,
        /// The ticket is wrong.
        PermissionDenied = 7,
        /// No session with that connection id.
        BadConnectionId = 8,
        /// No such channel.
        ChannelNotAvailable = 9,
    }
}

/// What follows from the common capabilities of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The data header, in both directions from the first message on.
    pub header: HeaderKind,
    /// Whether the client sends its [`AuthMechanism`].
    pub selects: bool,
}

impl Negotiated {
    /// From the common capabilities of the two sides, in any order.
    #[must_use]
    pub fn new(one: &Caps, other: &Caps) -> Self {
        let both = |cap| one.has(cap) && other.has(cap);
        Self {
            header: if both(CommonCap::MiniHeader) {
                HeaderKind::Mini
            } else {
                HeaderKind::Full
            },
            selects: both(CommonCap::AuthSelection),
        }
    }
}

/// Takes a link header and the body it announces from `buffer`. The parts of the header are checked in the order of
/// the protocol as soon as they are there.
fn take_body(
    message: &'static str,
    buffer: &mut BytesMut,
    min_bytes: u32,
    max_bytes: u32,
) -> Result<Progress<BytesMut>> {
    if let Some(magic) = buffer.first_chunk::<4>()
        && *magic != MAGIC
    {
        return Err(Error::Magic { got: *magic });
    }
    let Some(mut header) = buffer.get(MAGIC.len()..HEADER_BYTES) else {
        return Ok(Progress::Need(HEADER_BYTES - buffer.len()));
    };
    let major = header.get_u32_le();
    let _minor = header.get_u32_le();
    let size = header.get_u32_le();
    if major != VERSION_MAJOR {
        return Err(Error::Version { got: major });
    }
    if size < min_bytes {
        return Err(Error::Truncated {
            message,
            field: "size",
            need: u64::from(min_bytes),
            have: u64::from(size),
        });
    }
    if size > max_bytes {
        return Err(Error::Limit {
            message,
            field: "size",
            got: u64::from(size),
            limit: u64::from(max_bytes),
        });
    }
    let total = HEADER_BYTES + size as usize;
    if buffer.len() < total {
        return Ok(Progress::Need(total - buffer.len()));
    }
    buffer.advance(HEADER_BYTES);
    Ok(Progress::Done(buffer.split_to(size as usize)))
}

/// Header for a body of `body_bytes`.
fn put_header(out: &mut Vec<u8>, body_bytes: usize) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION_MAJOR.to_le_bytes());
    out.extend_from_slice(&VERSION_MINOR.to_le_bytes());
    put_count(out, body_bytes);
}

/// Sizes of the link stage: bodies of a few KiB, so the conversion keeps every value.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// Counts and offset of the two capability sets at the end of a link body.
fn put_caps(out: &mut Vec<u8>, common: &Caps, channel: &Caps, offset: usize) {
    let sets = [common, channel].map(sendable);
    sets.iter().for_each(|words| put_count(out, words.len()));
    put_count(out, offset);
    for word in sets.into_iter().flatten() {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// The words of a set that the peer will accept. There is no capability that far out.
fn sendable(caps: &Caps) -> &[u32] {
    let words = caps.words();
    words.get(..MAX_WORDS as usize).unwrap_or(words)
}

/// Reads counts, offset and words of the two capability sets. `body` is the whole link body, `fixed_bytes` the offset
/// behind its fixed part.
fn read_caps(message: &'static str, counts: &mut Reader<'_>, body: &Reader<'_>, fixed: u32) -> Result<(Caps, Caps)> {
    let common = counts.u32("num_common_caps")?;
    let channel = counts.u32("num_channel_caps")?;
    let offset = counts.u32("caps_offset")?;
    for (field, got) in [("num_common_caps", common), ("num_channel_caps", channel)] {
        if got > MAX_WORDS {
            return Err(Error::Limit {
                message,
                field,
                got: u64::from(got),
                limit: u64::from(MAX_WORDS),
            });
        }
    }
    if common == 0 && channel == 0 {
        return Ok((Caps::none(), Caps::none()));
    }
    if offset < fixed {
        return Err(counts.unexpected("caps_offset", "an offset behind the fixed part", offset));
    }
    let mut words = body.clone();
    words.bytes("caps_offset", u64::from(offset))?;
    let mut set = |field, count| {
        words
            .items(field, count, 4, |words| words.u32(field))
            .map(Caps::from_words)
    };
    Ok((set("common caps", common)?, set("channel caps", channel)?))
}
