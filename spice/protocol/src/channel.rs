//! Channel types and channels.

use crate::wire::wire_enum;

wire_enum! {
    /// What a channel is for.
    pub enum ChannelType: u8 {
        /// Session, mouse mode, agent, migration. First, exactly one.
        Main = 1,
        /// Pictures of one graphics device.
        Display = 2,
        /// Keyboard and mouse.
        Inputs = 3,
        /// Pointer shape and place, one for each display channel.
        Cursor = 4,
        /// Sound to the client.
        Playback = 5,
        /// Sound from the client.
        Record = 6,
        /// Obsolete network tunnel, never offered.
        Tunnel = 7,
        /// Smart card readers.
        Smartcard = 8,
        /// One redirected USB device.
        Usbredir = 9,
        /// A named byte stream.
        Port = 10,
        /// Folder sharing.
        Webdav = 11,
    }
}

/// One channel of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId {
    /// What it is for.
    pub kind: ChannelType,
    /// Its number among those of its type, from 0.
    pub id: u8,
}
