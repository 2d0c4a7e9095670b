//! The server's answer to a link message.

use bytes::BytesMut;

use super::{HEADER_BYTES, LinkCode, put_caps, put_count, put_header, read_caps, sendable, take_body};
use crate::Progress;
use crate::caps::{Caps, MAX_WORDS};
use crate::error::Result;
use crate::wire::Reader;

/// Bytes of the public key: SubjectPublicKeyInfo in DER of a 1024-bit RSA key with exponent 65537.
pub const PUBLIC_KEY_BYTES: usize = 162;

/// What a server that accepts a link message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Key for the ticket, DER; all zero when the connection is authenticated by SASL.
    pub public_key: [u8; PUBLIC_KEY_BYTES],
    /// Common capabilities of the server, at most [`MAX_WORDS`] words.
    pub common_caps: Caps,
    /// Its capabilities for the type of channel that was asked for, at most as many.
    pub channel_caps: Caps,
}

/// The server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkReply {
    /// Go on with authentication.
    Accepted(Box<Acceptance>),
    /// The server closes after this; never [`LinkCode::Ok`].
    Refused(LinkCode),
}

impl LinkReply {
    const NAME: &'static str = "link reply";
    /// Bytes before the capabilities.
    const FIXED_BYTES: u32 = 178;
    /// A reply with as many capabilities as there can be.
    const MAX_BYTES: u32 = Self::FIXED_BYTES + 2 * 4 * MAX_WORDS;

    /// Takes header and reply from the front of `buffer`.
    ///
    /// # Errors
    /// Violations of the protocol.
    pub fn decode(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        let body = match take_body(Self::NAME, buffer, Self::FIXED_BYTES, Self::MAX_BYTES)? {
            Progress::Need(bytes) => return Ok(Progress::Need(bytes)),
            Progress::Done(body) => body.freeze(),
        };
        let start = Reader::new(Self::NAME, &body);
        let mut reader = start.clone();
        let code = LinkCode::from(reader.u32("error")?);
        if code != LinkCode::Ok {
            return Ok(Progress::Done(Self::Refused(code)));
        }
        let public_key = reader.array("pub_key")?;
        let (common_caps, channel_caps) = read_caps(Self::NAME, &mut reader, &start, Self::FIXED_BYTES)?;
        Ok(Progress::Done(Self::Accepted(Box::new(Acceptance {
            public_key,
            common_caps,
            channel_caps,
        }))))
    }

    /// Header and reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let words = match self {
            Self::Accepted(accepted) => sendable(&accepted.common_caps).len() + sendable(&accepted.channel_caps).len(),
            Self::Refused(_) => 0,
        };
        let size = Self::FIXED_BYTES as usize + 4 * words;
        let mut out = Vec::with_capacity(HEADER_BYTES + size);
        put_header(&mut out, size);
        match self {
            Self::Accepted(accepted) => {
                put_count(&mut out, 0);
                out.extend_from_slice(&accepted.public_key);
                put_caps(
                    &mut out,
                    &accepted.common_caps,
                    &accepted.channel_caps,
                    Self::FIXED_BYTES as usize,
                );
            }
            Self::Refused(code) => {
                out.extend_from_slice(&u32::from(*code).to_le_bytes());
                out.resize(HEADER_BYTES + size, 0);
            }
        }
        out
    }
}
