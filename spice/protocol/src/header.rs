//! Data stage framing: from a byte stream to messages and back.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Progress;
use crate::channel::ChannelType;
use crate::common::client_id;
use crate::error::{Error, Result};
use crate::main_channel::AGENT_DATA_MAX;
use crate::message::Message;
use crate::sublist::{self, SubMessage};
use crate::wire::{Encoded, Writer};

/// Which data header a connection uses, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderKind {
    /// 18 bytes: u64 serial, u16 id, u32 size, u32 sub_list.
    Full,
    /// 6 bytes: u16 id, u32 size. Serials are counted.
    Mini,
}

impl HeaderKind {
    /// Bytes of the header.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Full => 18,
            Self::Mini => 6,
        }
    }
}

/// How large a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// Messages of a client on a channel of this type: what a server accepts.
    FromClient(ChannelType),
    /// Messages of a server: what a client accepts.
    FromServer,
}

impl Limits {
    /// Largest body of any main channel message but AGENT_DATA: the reference server's limit.
    const MAIN: u32 = 4096 + 11 * 2048;
    /// Display and cursor, all but MIGRATE_DATA: the reference server's limit.
    const DISPLAY: u32 = 1024;
    /// Inputs: the reference server's limit.
    const INPUTS: u32 = 2048;
    /// MIGRATE_DATA of display and cursor. The reference has no limit; the largest one there can be (1024 surfaces of
    /// 20 bytes each) is far below this.
    const MIGRATE_DATA: u32 = 256 << 10;
    /// Client messages of channels that carry data. A transfer of a USB disk is one message; the largest that Linux makes are
    /// 1 MiB, and what describes them.
    const DATA: u32 = 2 << 20;
    /// Server messages: an uncompressed picture of 8192 x 8192 pixels and what describes it.
    const FROM_SERVER: u32 = 8192 * 8192 * 4 + (1 << 20);

    /// Largest body of message `id`, in bytes.
    #[must_use]
    pub const fn body_bytes(self, id: u16) -> u32 {
        let channel = match self {
            Self::FromServer => return Self::FROM_SERVER,
            Self::FromClient(channel) => channel,
        };
        match channel {
            ChannelType::Main if id == crate::main_channel::client_id::AGENT_DATA => AGENT_DATA_MAX as u32,
            ChannelType::Main => Self::MAIN,
            ChannelType::Display | ChannelType::Cursor if id == client_id::MIGRATE_DATA => Self::MIGRATE_DATA,
            ChannelType::Display if id == crate::display::client_id::RESUME => Self::DATA,
            ChannelType::Display | ChannelType::Cursor => Self::DISPLAY,
            ChannelType::Inputs => Self::INPUTS,
            _ => Self::DATA,
        }
    }
}

/// One message as it came in, its body not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its serial: from the header, or counted.
    pub serial: u64,
    /// Message id.
    pub id: u16,
    /// The bytes behind the header.
    pub body: Bytes,
    /// Where in the body a list of sub-messages starts; 0 = there is none.
    pub sub_list: u32,
}

impl Frame {
    /// The typed message.
    ///
    /// # Errors
    /// When the body is not one of that message.
    pub fn message<M: Message>(&self) -> Result<M> {
        M::decode(self.id, &self.body)
    }

    /// The sub-messages of the header's list, to be executed in this order before the message itself. A LIST message
    /// carries its own list in its body.
    ///
    /// # Errors
    /// When the list is damaged.
    pub fn sub_messages(&self) -> Result<Vec<SubMessage>> {
        if self.sub_list == 0 {
            return Ok(Vec::new());
        }
        sublist::decode("data header", &self.body, self.sub_list)
    }
}

/// Cuts one direction of a connection into messages.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    kind: HeaderKind,
    limits: Limits,
    serial: u64,
}

impl FrameDecoder {
    /// For the first message of a connection.
    #[must_use]
    pub const fn new(kind: HeaderKind, limits: Limits) -> Self {
        Self {
            kind,
            limits,
            serial: 0,
        }
    }

    /// Serial of the last message that came out; 0 before the first.
    #[must_use]
    pub const fn last_serial(&self) -> u64 {
        self.serial
    }

    /// Takes the next message from the front of `buffer`. The size is checked as soon as the header is there, before
    /// anybody has to find memory for the body.
    ///
    /// # Errors
    /// [`Error::Oversized`].
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Progress<Frame>> {
        let header_bytes = self.kind.bytes();
        let Some(mut header) = buffer.get(..header_bytes) else {
            return Ok(Progress::Need(header_bytes - buffer.len()));
        };
        let full = self.kind == HeaderKind::Full;
        let serial = if full {
            header.get_u64_le()
        } else {
            self.serial.wrapping_add(1)
        };
        let id = header.get_u16_le();
        let size = header.get_u32_le();
        let sub_list = if full { header.get_u32_le() } else { 0 };
        let limit = self.limits.body_bytes(id);
        if size > limit {
            return Err(Error::Oversized { id, size, limit });
        }
        let total = header_bytes.saturating_add(size as usize);
        if buffer.len() < total {
            return Ok(Progress::Need(total - buffer.len()));
        }
        self.serial = serial;
        buffer.advance(header_bytes);
        Ok(Progress::Done(Frame {
            serial,
            id,
            body: buffer.split_to(size as usize).freeze(),
            sub_list,
        }))
    }
}

/// Puts headers before the messages of one direction of a connection.
#[derive(Clone, Debug)]
pub struct FrameEncoder {
    kind: HeaderKind,
    serial: u64,
}

impl FrameEncoder {
    /// For the first message of a connection.
    #[must_use]
    pub const fn new(kind: HeaderKind) -> Self {
        Self { kind, serial: 0 }
    }

    /// The header in use.
    #[must_use]
    pub const fn kind(&self) -> HeaderKind {
        self.kind
    }

    /// Serial of the last message encoded; 0 before the first.
    #[must_use]
    pub const fn last_serial(&self) -> u64 {
        self.serial
    }

    /// Encodes `message` without copying its large payloads.
    ///
    /// # Errors
    /// When a value does not fit its field; the message then takes no serial.
    pub fn encode<M: Message>(&mut self, message: &M) -> Result<Encoded> {
        Ok(self.write(message, &[], Vec::new(), true)?.finish())
    }

    /// As [`Self::encode`], with `subs` to be executed before the message. Only with full headers; with mini headers
    /// send them in a LIST message.
    ///
    /// # Errors
    /// As [`Self::encode`], and [`Error::Unexpected`] with mini headers.
    pub fn encode_with<M: Message>(&mut self, message: &M, subs: &[SubMessage]) -> Result<Encoded> {
        Ok(self.write(message, subs, Vec::new(), true)?.finish())
    }

    /// Encodes `message` behind what `out` holds, payloads included. `out` is as before when it fails.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_into<M: Message>(&mut self, message: &M, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let mut writer = Writer::new(message.name(), std::mem::take(out), self.kind.bytes(), false);
        let written = self.write_into(message, &[], &mut writer);
        *out = writer.into_buffer();
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write<'a, M: Message>(
        &mut self,
        message: &'a M,
        subs: &[SubMessage],
        buffer: Vec<u8>,
        share: bool,
    ) -> Result<Writer<'a>> {
        let mut writer = Writer::new(message.name(), buffer, self.kind.bytes(), share);
        self.write_into(message, subs, &mut writer)?;
        Ok(writer)
    }

    fn write_into<'a, M: Message>(
        &mut self,
        message: &'a M,
        subs: &[SubMessage],
        writer: &mut Writer<'a>,
    ) -> Result<()> {
        message.encode_body(writer)?;
        writer.finish_body()?;
        let mut sub_list = 0;
        if !subs.is_empty() {
            if self.kind == HeaderKind::Mini {
                return Err(writer.unexpected("sub_list", "a full header", subs.len() as u64));
            }
            sub_list = writer.body_bytes()?;
            if sub_list == 0 {
                // An offset of 0 says that there is no list; a message without a body needs one byte of it.
                writer.u8(0);
                sub_list = 1;
            }
            sublist::encode(subs, writer)?;
        }
        let size = writer.body_bytes()?;
        let serial = self.serial.wrapping_add(1);
        let full = self.kind == HeaderKind::Full;
        let mut header = writer.header_mut(self.kind.bytes());
        if full {
            header.put_u64_le(serial);
        }
        header.put_u16_le(message.id());
        header.put_u32_le(size);
        if full {
            header.put_u32_le(sub_list);
        }
        self.serial = serial;
        Ok(())
    }
}
