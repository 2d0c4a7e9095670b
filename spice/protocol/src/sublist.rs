//! Sub-messages: small messages carried by another one, executed in list order before it.

use bytes::Bytes;

use crate::common::server_id;
use crate::error::{Error, Result};
use crate::message::Message;
use crate::wire::{Reader, Writer};

/// Bytes of a sub-message header: id and size.
const HEADER_BYTES: usize = 6;

const NOT_A_LIST: &str = "a message that is not a LIST itself";

/// A message inside another one. It has no serial and does not count for the acknowledgement window; pointers in it
/// are relative to its own body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubMessage {
    /// The message id.
    pub id: u16,
    /// The body.
    pub body: Bytes,
}

impl SubMessage {
    /// `message` as a sub-message.
    ///
    /// # Errors
    /// When `message` cannot be encoded.
    pub fn new<M: Message>(message: &M) -> Result<Self> {
        Ok(Self {
            id: message.id(),
            body: message.to_body()?,
        })
    }

    /// The typed message.
    ///
    /// # Errors
    /// When the body is not one of that message.
    pub fn message<M: Message>(&self) -> Result<M> {
        M::decode(self.id, &self.body)
    }
}

/// The list that starts at byte `offset` of `body`, in the order of execution.
///
/// Encoders never let sub-messages overlap; a list whose sub-messages together are longer than the body that carries
/// them is an error, so that the work a list causes is bounded by its size. So is a LIST within a list: what carries
/// sub-messages is one level deep.
///
/// # Errors
/// [`Error::Truncated`] or [`Error::Pointer`] when a part lies outside the body, [`Error::Limit`] on overlap,
/// [`Error::Unexpected`] for a LIST.
pub fn decode(message: &'static str, body: &Bytes, offset: u32) -> Result<Vec<SubMessage>> {
    let mut list = Reader::new(message, body);
    list.bytes("sub_list", u64::from(offset))?;
    let count = list.u16("sub_list count")?;
    let mut total = 0_u64;
    list.items("sub_list", u32::from(count), 4, |list| {
        let mut sub = list.sub_message("sub_list offset")?;
        let id = sub.u16("sub-message type")?;
        if id == server_id::LIST {
            return Err(sub.unexpected("sub-message type", NOT_A_LIST, id));
        }
        let size = sub.u32("sub-message size")?;
        total += HEADER_BYTES as u64 + u64::from(size);
        if total > body.len() as u64 {
            return Err(Error::Limit {
                message,
                field: "sub-message bytes",
                got: total,
                limit: body.len() as u64,
            });
        }
        let body = sub.bytes("sub-message body", u64::from(size))?;
        Ok(SubMessage { id, body })
    })
}

/// Writes a list at the current position. Bodies are laid out last first, as the reference server does.
pub(crate) fn encode(list: &[SubMessage], out: &mut Writer<'_>) -> Result<()> {
    out.count_u16("sub_list count", list.len())?;
    let mut position = out.position().saturating_add(list.len().saturating_mul(4));
    let mut offsets = Vec::with_capacity(list.len());
    for sub in list.iter().rev() {
        offsets.push(position);
        position = position.saturating_add(HEADER_BYTES).saturating_add(sub.body.len());
    }
    for offset in offsets.into_iter().rev() {
        out.count_u32("sub_list offset", offset)?;
    }
    for sub in list.iter().rev() {
        if sub.id == server_id::LIST {
            return Err(out.unexpected("sub-message type", NOT_A_LIST, sub.id));
        }
        out.u16(sub.id);
        out.count_u32("sub-message size", sub.body.len())?;
        out.payload(&sub.body);
    }
    Ok(())
}
