//! Frames of WebSocket (RFC 6455): what a client's bytes are, and what is put around the server's.
//!
//! SPICE is what the data frames hold, one behind the other; where one ends says nothing. So data is handed on as it
//! comes, whatever length a frame announces, and only control frames, of at most 125 bytes, are put together.

use std::io::Cursor;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::ReadBuf;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// The longest payload of a control frame.
const MAX_CONTROL: usize = 125;

/// Why a frame is refused, with close code 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame is not masked")]
    Unmasked,
    #[error("a reserved bit of a frame is set")]
    ReservedBit,
    #[error("a frame has a reserved opcode")]
    ReservedOpcode,
    #[error("the length of a frame is not written as briefly as it can be, or has its first bit set")]
    Length,
    #[error("a control frame is fragmented")]
    FragmentedControl,
    #[error("a control frame has more than {MAX_CONTROL} bytes")]
    LongControl,
    #[error("a frame continues a message that was not begun")]
    NothingToContinue,
    #[error("a message begins inside another")]
    Interrupted,
    #[error("a close frame holds no proper code")]
    CloseCode,
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Data, at least a byte, which was handed on.
    Data,
    /// To be answered with the same payload.
    Ping(BytesMut),
    /// The client closes, with this code if it gives one. What comes after it is not looked at.
    Close(Option<u16>),
}

/// Takes frames of a client apart.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// A message was begun and its last frame has not come.
    in_message: bool,
}

#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// Bytes of the payload to come.
    left: u64,
    /// Begins with what the next byte is masked with.
    mask: [u8; 4],
}

#[derive(Debug)]
enum Kind {
    Data,
    /// What has come of it.
    Control(Control, BytesMut),
}

impl Decoder {
    /// Takes what it can from `input`, and hands data on to `out`, in which there has to be room. `None` when more bytes
    /// are needed.
    pub(crate) fn next(&mut self, input: &mut BytesMut, out: &mut ReadBuf<'_>) -> Result<Option<Event>, Violation> {
        loop {
            let Some(frame) = &mut self.frame else {
                match self.header(input)? {
                    Some(frame) => self.frame = Some(frame),
                    None => return Ok(None),
                }
                continue;
            };
            let there = usize::try_from(frame.left).map_or(input.len(), |left| left.min(input.len()));
            let taken = match &mut frame.kind {
                Kind::Data => {
                    let taken = there.min(out.remaining());
                    let mut bytes = input.split_to(taken);
                    unmask(&mut bytes, &mut frame.mask);
                    out.put_slice(&bytes);
                    taken
                }
                Kind::Control(_, payload) => {
                    let mut bytes = input.split_to(there);
                    unmask(&mut bytes, &mut frame.mask);
                    payload.extend_from_slice(&bytes);
                    there
                }
            };
            frame.left -= taken as u64;
            let is_whole = frame.left == 0;
            let event = match &mut frame.kind {
                Kind::Data if taken > 0 => Some(Event::Data),
                Kind::Control(control, payload) if is_whole => of_control(*control, std::mem::take(payload))?,
                Kind::Data | Kind::Control(..) => None,
            };
            if is_whole {
                self.frame = None;
            }
            if event.is_some() || !is_whole {
                return Ok(event);
            }
        }
    }

    fn header(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let mut cursor = Cursor::new(&input[..]);
        let (header, left) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            // It knows no other error.
            Err(_) => return Err(Violation::ReservedOpcode),
        };
        let bytes = cursor.position();
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::ReservedBit);
        }
        let mask = header.mask.ok_or(Violation::Unmasked)?;
        if header.len(left) as u64 != bytes || left >> 63 != 0 {
            return Err(Violation::Length);
        }
        let kind = match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(Violation::FragmentedControl),
            OpCode::Control(_) if left > MAX_CONTROL as u64 => return Err(Violation::LongControl),
            OpCode::Control(control) => Kind::Control(control, BytesMut::new()),
            OpCode::Data(data) => {
                match (data, self.in_message) {
                    (Data::Continue, false) => return Err(Violation::NothingToContinue),
                    (Data::Text | Data::Binary, true) => return Err(Violation::Interrupted),
                    (Data::Reserved(_), _) => return Err(Violation::ReservedOpcode),
                    (Data::Continue, true) | (Data::Text | Data::Binary, false) => {}
                }
                self.in_message = !header.is_final;
                Kind::Data
            }
        };
        input.advance(header.len(left));
        Ok(Some(Frame { kind, left, mask }))
    }
}

/// Undoes the mask, which then begins with what comes next.
fn unmask(bytes: &mut [u8], mask: &mut [u8; 4]) {
    for (byte, mask) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    mask.rotate_left(bytes.len() % 4);
}

fn of_control(control: Control, mut payload: BytesMut) -> Result<Option<Event>, Violation> {
    match control {
        Control::Ping => Ok(Some(Event::Ping(payload))),
        // Nobody asked.
        Control::Pong => Ok(None),
        Control::Close if payload.is_empty() => Ok(Some(Event::Close(None))),
        Control::Close => match payload.try_get_u16() {
            // Those that RFC 6455, 7.4, has for the wire.
            Ok(code @ (1000..=1003 | 1007..=1011 | 3000..=4999)) => Ok(Some(Event::Close(Some(code)))),
            _ => Err(Violation::CloseCode),
        },
        Control::Reserved(_) => Err(Violation::ReservedOpcode),
    }
}

/// Bytes a header of the server takes at most, for a payload of at most 64 KiB.
pub(crate) const MAX_HEADER: usize = 4;

/// A frame of the server: data.
pub(crate) fn data<'a>(slices: impl Iterator<Item = &'a [u8]> + Clone, out: &mut BytesMut) {
    frame(OpCode::Data(Data::Binary), slices, out);
}

/// A frame of the server: the answer to a ping.
pub(crate) fn pong(payload: &[u8], out: &mut BytesMut) {
    frame(OpCode::Control(Control::Pong), std::iter::once(payload), out);
}

/// A frame of the server: the end, with or without a code.
pub(crate) fn close(code: Option<u16>, out: &mut BytesMut) {
    let code = code.map(u16::to_be_bytes);
    let payload = code.as_ref().map_or(&[][..], |code| code);
    frame(OpCode::Control(Control::Close), std::iter::once(payload), out);
}

fn frame<'a>(opcode: OpCode, slices: impl Iterator<Item = &'a [u8]> + Clone, out: &mut BytesMut) {
    let header = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    let length: usize = slices.clone().map(<[u8]>::len).sum();
    // Memory does not fail to be written to.
    let _ = header.format(length as u64, &mut out.writer());
    for slice in slices {
        out.extend_from_slice(slice);
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
pub(crate) mod tests;
