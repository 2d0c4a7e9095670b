//! Where clients arrive.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};

use crate::{Accepts, Peer, Server, socket};

/// A socket clients connect to.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Listens on a TCP address; port 0 means any.
    ///
    /// # Errors
    /// When the host refuses: the port is in use, for example.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self::Tcp)
    }

    /// Listens on a Unix socket.
    ///
    /// # Errors
    /// When the host refuses: the path exists, for example.
    pub fn unix(path: &Path) -> io::Result<Self> {
        UnixListener::bind(path).map(Self::Unix)
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> Peer {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or(Peer::Unnamed, Peer::Tcp),
            Self::Unix(listener) => Peer::Unix(
                listener
                    .local_addr()
                    .ok()
                    .and_then(|address| address.as_pathname().map(|path| path.display().to_string()))
                    .unwrap_or_default(),
            ),
        }
    }

    /// Serves everybody who connects without TLS.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(self, server: Arc<Server>) -> io::Result<()> {
        self.serve_as(server, Accepts::Plain).await
    }

    /// Serves everybody who connects as is accepted.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve_as(self, server: Arc<Server>, accepts: Accepts) -> io::Result<()> {
        self.serve_all(server, Comes::Spice(accepts)).await
    }

    /// Serves the page for browsers to everybody who connects, and SPICE by WebSocket ([`Server::serve_web_stream`]).
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve_web(self, server: Arc<Server>) -> io::Result<()> {
        self.serve_all(server, Comes::Web).await
    }

    async fn serve_all(self, server: Arc<Server>, comes: Comes) -> io::Result<()> {
        let local = self.local();
        loop {
            match self.accept(&server, &local, comes).await {
                Ok(()) => {}
                // A client that left before it was accepted, or no descriptor for now: the others go on.
                Err(error) if transient(&error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn accept(&self, server: &Arc<Server>, local: &Peer, comes: Comes) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                socket::set_up_tcp(&stream)?;
                comes.spawn(server, stream, local.clone(), Peer::Tcp(address));
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                socket::set_up_unix(&stream)?;
                comes.spawn(server, stream, local.clone(), Peer::Unix(String::new()));
            }
        }
        Ok(())
    }
}

/// Who connects.
#[derive(Clone, Copy)]
enum Comes {
    /// SPICE clients.
    Spice(Accepts),
    /// Browsers.
    Web,
}

impl Comes {
    fn spawn<S>(self, server: &Arc<Server>, stream: S, local: Peer, client: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match self {
            Self::Spice(accepts) => server.spawn_as(stream, local, client, accepts),
            Self::Web => server.spawn_web(stream, local, client),
        }
    }
}

fn transient(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
