//! Who wants to know about connections.

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// TCP.
    Tcp(std::net::SocketAddr),
    /// A Unix socket, by its path (empty for the client's end).
    Unix(String),
    /// A stream without address.
    Unnamed,
}

/// A channel that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Session id.
    pub connection_id: u32,
    /// SPICE channel type.
    pub kind: u8,
    /// SPICE channel id.
    pub id: u8,
    /// Whether it is encrypted.
    pub tls: bool,
}

/// Told about connections. Called on the server's tasks; must not block.
pub trait Observer: Send + Sync {
    /// A connection was accepted.
    fn connected(&self, server: &Peer, client: &Peer);
    /// A channel has passed the link stage.
    fn initialized(&self, server: &Peer, client: &Peer, channel: &Channel);
    /// A connection that was accepted has ended; with the channel it carried, if it got that far.
    fn disconnected(&self, server: &Peer, client: &Peer, channel: Option<&Channel>);
}
