//! Which channels may be on which connections.

use std::sync::Arc;

use caraway_protocol::{channel::ChannelType, link::LinkCode};

use crate::{Origins, Peer, Tls, Users};

/// What a server does for secrecy.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// The certificate, for listeners that accept TLS.
    pub tls: Option<Arc<Tls>>,
    /// Who may come in by SASL, which then takes the place of the ticket. Only in TLS.
    pub sasl: Option<Arc<Users>>,
    /// Which channels may be on which connections.
    pub channels: ChannelAccess,
    /// Which pages may connect by WebSocket.
    pub origins: Origins,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See the screen and hear the sound. There are no inputs, no agent and no ports for it.
    View,
    /// Everything.
    #[default]
    Control,
}

impl Role {
    /// Whether channels of this type are there for it.
    pub(crate) const fn has(self, kind: ChannelType) -> bool {
        matches!(
            (self, kind),
            (Self::Control, _)
                | (
                    _,
                    ChannelType::Main | ChannelType::Display | ChannelType::Cursor | ChannelType::Playback
                )
        )
    }
}

/// Who a client is, by SASL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
}

/// Whose a connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// What the client may do.
    pub(crate) role: Role,
    /// The user's name, by SASL.
    pub(crate) user: Option<String>,
}

impl From<Identity> for Who {
    fn from(Identity { name, role }: Identity) -> Self {
        Self { role, user: Some(name) }
    }
}

impl From<Role> for Who {
    fn from(role: Role) -> Self {
        Self { role, user: None }
    }
}

/// What a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Connections without encryption.
    Plain,
    /// TLS. Clients that come without it are told so.
    Tls,
    /// Both, told apart by the first bytes; without a certificate only those that are plain.
    Both,
}

/// The connections a channel may be on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// All.
    #[default]
    Any,
    /// Those without TLS.
    Plain,
    /// Those with TLS, and Unix sockets.
    Tls,
}

/// The connections each channel may be on.
#[derive(Clone, Debug, Default)]
pub struct ChannelAccess {
    /// Of channels that are not named.
    pub default: Access,
    /// Of single types of channels.
    pub own: Vec<(ChannelType, Access)>,
}

impl ChannelAccess {
    /// The connections a type of channels may be on.
    #[must_use]
    pub fn of(&self, kind: ChannelType) -> Access {
        let own = self.own.iter().find(|(of, _)| *of == kind);
        own.map_or(self.default, |(_, access)| *access)
    }
}

/// Types of channels by the names that configurations and clients give them.
pub const CHANNEL_NAMES: &[(&str, ChannelType)] = &[
    ("main", ChannelType::Main),
    ("display", ChannelType::Display),
    ("inputs", ChannelType::Inputs),
    ("cursor", ChannelType::Cursor),
    ("playback", ChannelType::Playback),
    ("record", ChannelType::Record),
    ("smartcard", ChannelType::Smartcard),
    ("usbredir", ChannelType::Usbredir),
    ("port", ChannelType::Port),
    ("webdav", ChannelType::Webdav),
];

/// How a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Without encryption.
    Plain,
    /// The same, where only TLS is wanted.
    PlainAtTls,
    /// In TLS.
    Tls,
    /// By a Unix socket: nobody is on the way, and clients do not speak TLS there.
    Unix,
}

impl Way {
    pub(crate) fn new(local: &Peer, accepts: Accepts, encrypted: bool) -> Self {
        match (local, accepts) {
            _ if encrypted => Self::Tls,
            (Peer::Unix(_), _) => Self::Unix,
            (_, Accepts::Tls) => Self::PlainAtTls,
            _ => Self::Plain,
        }
    }

    /// Why a channel may not be on it.
    pub(crate) const fn refuses(self, access: Access) -> Option<LinkCode> {
        match (access, self) {
            (Access::Tls, Self::Plain) | (_, Self::PlainAtTls) => Some(LinkCode::NeedSecured),
            (Access::Plain, Self::Tls) => Some(LinkCode::NeedUnsecured),
            _ => None,
        }
    }

    /// Why nobody can authenticate by SASL on it.
    pub(crate) fn refuses_sasl(self) -> Option<LinkCode> {
        (self != Self::Tls).then_some(LinkCode::NeedSecured)
    }

    /// Whether TLS is spoken where it came, if it is anywhere.
    pub(crate) fn can_be_tls(self) -> bool {
        self != Self::Unix
    }

    /// Whether somebody on the way to this client can read what is typed.
    pub(crate) fn can_be_read(self, client: &Peer) -> bool {
        let far = matches!(client, Peer::Tcp(address) if !address.ip().to_canonical().is_loopback());
        far && self == Self::Plain
    }
}
