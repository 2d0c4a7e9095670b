//! The main channel: session, channel list, mouse mode, guest agent tunnel, migration.

mod agent;
mod client;
mod server;

pub use agent::{
    AGENT_DATA_MAX, AgentCaps, AgentHeader, AgentKind, AgentMonitor, CLIENT_PORT, ChunkHeader, SERVER_PORT, Tokens,
};
pub use client::{ClientMessage, client_id};
pub use server::{DstInfo, Init, ServerMessage, server_id};

use bitflags::bitflags;

use crate::wire::wire_enum;

bitflags! {
    /// A set of mouse modes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MouseModes: u32 {
        /// Relative motion; the guest moves its pointer.
        const SERVER = 1;
        /// Absolute positions; the client moves the pointer.
        const CLIENT = 2;
        const _ = !0;
    }
}

wire_enum! {
    /// The mouse mode in force, or asked for. 32 bits in INIT, 16 in MOUSE_MODE and MOUSE_MODE_REQUEST; numbers beyond
    /// 16 bits are not sent.
    pub enum MouseMode: u32 {
        /// Relative motion; the guest moves its pointer.
        Server = 1,
        /// Absolute positions; the client moves the pointer.
        Client = 2,
    }
}

impl MouseMode {
    /// As 16 bits; a number that does not fit becomes 0, which is no mode.
    fn to_u16(self) -> u16 {
        u16::try_from(u32::from(self)).unwrap_or(0)
    }
}
