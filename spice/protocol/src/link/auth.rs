//! Authentication: choice of a mechanism, the ticket, the link result.

use bytes::{Buf, BytesMut};

use super::LinkCode;
use crate::Progress;
use crate::wire::wire_enum;

/// Bytes of an encrypted ticket: one block of a 1024-bit RSA key.
pub const TICKET_BYTES: usize = 128;
/// Longest password in bytes, without the NUL that is encrypted with it.
pub const PASSWORD_MAX: usize = 60;

wire_enum! {
    /// How the client authenticates; the numbers are those of the capability bits.
    pub enum AuthMechanism: u32 {
        /// A ticket (password).
        Spice = 1,
        /// SASL.
        Sasl = 2,
    }
}

impl AuthMechanism {
    /// Takes the client's choice from the front of `buffer`.
    pub fn decode(buffer: &mut BytesMut) -> Progress<Self> {
        take_u32(buffer).map_or_else(|need| need, |raw| Progress::Done(raw.into()))
    }

    /// The choice on the wire.
    #[must_use]
    pub fn encode(self) -> [u8; 4] {
        u32::from(self).to_le_bytes()
    }
}

/// A password and its NUL, encrypted with the server's key: RSAES-OAEP, SHA-1, MGF1 with SHA-1, empty label.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(pub [u8; TICKET_BYTES]);

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(..)")
    }
}

impl Ticket {
    /// Takes the ticket from the front of `buffer`.
    pub fn decode(buffer: &mut BytesMut) -> Progress<Self> {
        let Some(block) = buffer.first_chunk::<TICKET_BYTES>() else {
            return Progress::Need(TICKET_BYTES - buffer.len());
        };
        let ticket = Self(*block);
        buffer.advance(TICKET_BYTES);
        Progress::Done(ticket)
    }
}

/// Takes the link result from the front of `buffer`.
pub fn decode_result(buffer: &mut BytesMut) -> Progress<LinkCode> {
    take_u32(buffer).map_or_else(|need| need, |raw| Progress::Done(raw.into()))
}

/// The link result on the wire: the step after authentication.
#[must_use]
pub fn encode_result(code: LinkCode) -> [u8; 4] {
    u32::from(code).to_le_bytes()
}

fn take_u32<T>(buffer: &mut BytesMut) -> Result<u32, Progress<T>> {
    let Some(bytes) = buffer.first_chunk::<4>() else {
        return Err(Progress::Need(4 - buffer.len()));
    };
    let raw = u32::from_le_bytes(*bytes);
    buffer.advance(4);
    Ok(raw)
}
