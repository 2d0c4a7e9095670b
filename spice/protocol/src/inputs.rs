//! The inputs channel: keyboard and mouse.

use bitflags::bitflags;
use bytes::Bytes;

use crate::common::{self, ClientCommon, ServerCommon};
use crate::error::Result;
use crate::message::{Message, carries_common};
use crate::wire::{Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "INPUTS_" {
        INIT = 101,
        KEY_MODIFIERS = 102,
        MOUSE_MOTION_ACK = 111,
    }
}

message_ids! {
    /// Ids of the client's messages.
    pub mod client_id, "INPUTS_" {
        KEY_DOWN = 101,
        KEY_UP = 102,
        KEY_MODIFIERS = 103,
        KEY_SCANCODE = 104,
        MOUSE_MOTION = 111,
        MOUSE_POSITION = 112,
        MOUSE_PRESS = 113,
        MOUSE_RELEASE = 114,
    }
}

/// Motion and position messages, counted together, that one MOUSE_MOTION_ACK answers. Clients keep at most twice as
/// many in flight.
pub const MOTION_ACK_BUNCH: u32 = 4;

bitflags! {
    /// Lock keys.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct KeyModifiers: u16 {
        /// Scroll lock.
        const SCROLL_LOCK = 1;
        /// Num lock.
        const NUM_LOCK = 2;
        /// Caps lock.
        const CAPS_LOCK = 4;
        const _ = !0;
    }
}

bitflags! {
    /// Mouse buttons that are down.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MouseButtons: u16 {
        /// Left.
        const LEFT = 1;
        /// Middle.
        const MIDDLE = 2;
        /// Right.
        const RIGHT = 4;
        /// Wheel away from the person.
        const UP = 8;
        /// Wheel towards the person.
        const DOWN = 16;
        /// Fourth ("back").
        const SIDE = 32;
        /// Fifth ("forward").
        const EXTRA = 64;
        const _ = !0;
    }
}

wire_enum! {
    /// One mouse button.
    pub enum MouseButton: u8 {
        /// Left.
        Left = 1,
        /// Middle.
        Middle = 2,
        /// Right.
        Right = 3,
        /// One wheel step away from the person, at the press.
        Up = 4,
        /// One wheel step towards the person, at the press.
        Down = 5,
        /// Fourth ("back").
        Side = 6,
        /// Fifth ("forward").
        Extra = 7,
    }
}

/// Up to 4 bytes of PC/XT scancode set 1 in wire order, the first in the low byte. Break codes have bit 7 set in the
/// last byte; extended keys begin with e0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyCode(pub u32);

impl KeyCode {
    /// The code of at most 4 bytes without a zero; others are not sent.
    #[must_use]
    pub fn from_scancode(scancode: &[u8]) -> Option<Self> {
        if scancode.len() > 4 || scancode.contains(&0) {
            return None;
        }
        let code = scancode.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
        Some(Self(code))
    }

    /// The bytes for the keyboard: up to the first zero byte.
    pub fn scancode(self) -> impl Iterator<Item = u8> {
        self.0.to_le_bytes().into_iter().take_while(|byte| *byte != 0)
    }
}

/// A server message of the inputs channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A message every channel has.
    Common(ServerCommon),
    /// First message: the lock keys.
    Init(KeyModifiers),
    /// The lock keys have changed.
    KeyModifiers(KeyModifiers),
    /// [`MOTION_ACK_BUNCH`] motion or position messages have arrived.
    MouseMotionAck,
    /// A message with an id that has no meaning here.
    Unknown {
        /// The id.
        id: u16,
        /// The body.
        body: Bytes,
    },
}

carries_common!(ServerMessage, ServerCommon);

impl Message for ServerMessage {
    fn id(&self) -> u16 {
        match self {
            Self::Common(common) => common.id(),
            Self::Init(_) => server_id::INIT,
            Self::KeyModifiers(_) => server_id::KEY_MODIFIERS,
            Self::MouseMotionAck => server_id::MOUSE_MOTION_ACK,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        server_id::name(id)
            .or_else(|| common::server_id::name(id))
            .unwrap_or("unknown inputs message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = server_id::name(id) else {
            return Ok(
                ServerCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            server_id::INIT => Self::Init(KeyModifiers::from_bits_retain(reader.u16("keyboard_modifiers")?)),
            server_id::KEY_MODIFIERS => Self::KeyModifiers(KeyModifiers::from_bits_retain(reader.u16("modifiers")?)),
            _ => Self::MouseMotionAck,
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out)?,
            Self::Init(modifiers) | Self::KeyModifiers(modifiers) => out.u16(modifiers.bits()),
            Self::MouseMotionAck => {}
            Self::Unknown { body, .. } => out.payload(body),
        }
        Ok(())
    }
}

/// A client message of the inputs channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// A message every channel has.
    Common(ClientCommon),
    /// A key goes down.
    KeyDown(KeyCode),
    /// A key goes up.
    KeyUp(KeyCode),
    /// The lock keys as the client wants them.
    KeyModifiers(KeyModifiers),
    /// Any scancode bytes; needs the server's KEY_SCANCODE.
    KeyScancode(Bytes),
    /// Relative motion, in server mouse mode.
    MouseMotion {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
        /// Buttons that are down.
        buttons: MouseButtons,
    },
    /// Absolute position, in client mouse mode.
    MousePosition {
        /// Pixels from the left edge of the display.
        x: u32,
        /// Pixels from its top edge.
        y: u32,
        /// Buttons that are down.
        buttons: MouseButtons,
        /// The display channel.
        display_id: u8,
    },
    /// A button goes down.
    MousePress {
        /// The button.
        button: MouseButton,
        /// Buttons that are down, after the press.
        buttons: MouseButtons,
    },
    /// A button goes up.
    MouseRelease {
        /// The button.
        button: MouseButton,
        /// Buttons that are down, after the release.
        buttons: MouseButtons,
    },
    /// A message with an id that has no meaning here.
    Unknown {
        /// The id.
        id: u16,
        /// The body.
        body: Bytes,
    },
}

carries_common!(ClientMessage, ClientCommon);

impl Message for ClientMessage {
    fn id(&self) -> u16 {
        match self {
            Self::Common(common) => common.id(),
            Self::KeyDown(_) => client_id::KEY_DOWN,
            Self::KeyUp(_) => client_id::KEY_UP,
            Self::KeyModifiers(_) => client_id::KEY_MODIFIERS,
            Self::KeyScancode(_) => client_id::KEY_SCANCODE,
            Self::MouseMotion { .. } => client_id::MOUSE_MOTION,
            Self::MousePosition { .. } => client_id::MOUSE_POSITION,
            Self::MousePress { .. } => client_id::MOUSE_PRESS,
            Self::MouseRelease { .. } => client_id::MOUSE_RELEASE,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        client_id::name(id)
            .or_else(|| common::client_id::name(id))
            .unwrap_or("unknown inputs message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = client_id::name(id) else {
            return Ok(
                ClientCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        let buttons = |reader: &mut Reader<'_>| reader.u16("buttons_state").map(MouseButtons::from_bits_retain);
        Ok(match id {
            client_id::KEY_DOWN => Self::KeyDown(KeyCode(reader.u32("code")?)),
            client_id::KEY_UP => Self::KeyUp(KeyCode(reader.u32("code")?)),
            client_id::KEY_MODIFIERS => Self::KeyModifiers(KeyModifiers::from_bits_retain(reader.u16("modifiers")?)),
            client_id::KEY_SCANCODE => Self::KeyScancode(body.clone()),
            client_id::MOUSE_MOTION => Self::MouseMotion {
                dx: reader.i32("dx")?,
                dy: reader.i32("dy")?,
                buttons: buttons(&mut reader)?,
            },
            client_id::MOUSE_POSITION => Self::MousePosition {
                x: reader.u32("x")?,
                y: reader.u32("y")?,
                buttons: buttons(&mut reader)?,
                display_id: reader.u8("display_id")?,
            },
            client_id::MOUSE_PRESS => Self::MousePress {
                button: reader.u8("button")?.into(),
                buttons: buttons(&mut reader)?,
            },
            _ => Self::MouseRelease {
                button: reader.u8("button")?.into(),
                buttons: buttons(&mut reader)?,
            },
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out),
            Self::KeyDown(code) | Self::KeyUp(code) => out.u32(code.0),
            Self::KeyModifiers(modifiers) => out.u16(modifiers.bits()),
            Self::KeyScancode(scancode) => out.payload(scancode),
            Self::MouseMotion { dx, dy, buttons } => {
                out.i32(*dx);
                out.i32(*dy);
                out.u16(buttons.bits());
            }
            Self::MousePosition {
                x,
                y,
                buttons,
                display_id,
            } => {
                out.u32(*x);
                out.u32(*y);
                out.u16(buttons.bits());
                out.u8(*display_id);
            }
            Self::MousePress { button, buttons } | Self::MouseRelease { button, buttons } => {
                out.u8((*button).into());
                out.u16(buttons.bits());
            }
            Self::Unknown { body, .. } => out.payload(body),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_pushed_before_its_scancode() {
        assert_eq!(KeyCode(0x0000_9de0).scancode().collect::<Vec<_>>(), [0xe0, 0x9d]);
        assert_eq!(KeyCode(0x1e).scancode().collect::<Vec<_>>(), [0x1e]);
        assert_eq!(KeyCode::from_scancode(&[0xe0, 0x1d]), Some(KeyCode(0x1de0)));
    }

    #[test]
    fn scancodes_that_do_not_fit_have_no_code() {
        assert_eq!(KeyCode::from_scancode(&[1, 2, 3, 4, 5]), None);
        assert_eq!(KeyCode::from_scancode(&[0xe0, 0]), None);
    }
}
