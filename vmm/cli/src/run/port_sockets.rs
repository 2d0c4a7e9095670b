//! Sockets that ports lead to, and the programs at their other ends.
//!
//! A socket is one program's at a time. One that leads to a SPICE channel is connected while a client has the channel, and
//! closed when that one leaves, so that the program begins anew with the next one; until then programs that connect wait.
//! One that leads to the guest is connected whatever the guest does, as a serial line would be.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use caraway_config::PortAddress;
use caraway_ports::port::{DevicePort, HostPort, PortWaker};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    runtime::Runtime,
    sync::Notify,
};
use tracing::debug;

use super::sockets::{self, BoundUnix};

/// Bytes moved at a time.
const BLOCK: usize = 64 << 10;
/// Time between two attempts to connect.
const RETRY: Duration = Duration::from_secs(1);
/// How long a program has, after the client has left, to take what was written to it.
const LINGER: Duration = Duration::from_secs(2);

/// What a socket leads to.
#[derive(Debug)]
pub(super) enum End {
    /// A client: the socket stands in for a device.
    Device(DevicePort),
    /// The guest: the socket stands in for a client.
    Host(HostPort),
}

/// Where a socket comes from.
#[derive(Debug)]
pub(super) enum Place {
    /// A program connects to it.
    Unix(BoundUnix),
    /// The same by TCP.
    Tcp(TcpListener),
    /// A program listens there.
    ToUnix(PathBuf),
    /// The same by TCP.
    ToTcp(SocketAddr),
}

impl Place {
    /// Listens.
    ///
    /// # Errors
    /// When the host refuses: it is in use, for example.
    pub(super) fn bind(address: &PortAddress) -> anyhow::Result<Self> {
        match address {
            PortAddress::Unix(path) => Ok(Self::Unix(sockets::unix(path)?)),
            PortAddress::Tcp(address) => {
                let listener = sockets::tcp(*address);
                let listener = listener.with_context(|| format!("cannot listen for a port on {address}"))?;
                Ok(Self::Tcp(listener))
            }
        }
    }

    /// Where a program listens.
    pub(super) fn to(address: &PortAddress) -> Self {
        match address {
            PortAddress::Unix(path) => Self::ToUnix(path.clone()),
            PortAddress::Tcp(address) => Self::ToTcp(*address),
        }
    }
}

/// A socket and what it leads to.
#[derive(Debug)]
pub(super) struct Socket {
    end: End,
    place: Place,
}

impl Socket {
    pub(super) const fn new(end: End, place: Place) -> Self {
        Self { end, place }
    }

    /// Serves it as long as the runtime lasts.
    ///
    /// # Errors
    /// When the host has nothing to watch it with.
    pub(super) fn serve(self, runtime: &Runtime) -> io::Result<()> {
        let _inside = runtime.enter();
        let source = match self.place {
            Place::Unix(bound) => {
                let listener = tokio::net::UnixListener::from_std(bound.listener.try_clone()?)?;
                Source::Unix {
                    listener,
                    _bound: bound,
                }
            }
            Place::Tcp(listener) => Source::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Place::ToUnix(path) => Source::ToUnix(path),
            Place::ToTcp(address) => Source::ToTcp(address),
        };
        runtime.spawn(serve(self.end, source));
        Ok(())
    }
}

/// A place as the runtime sees it.
enum Source {
    Unix {
        listener: tokio::net::UnixListener,
        /// The file goes with it.
        _bound: BoundUnix,
    },
    Tcp(tokio::net::TcpListener),
    ToUnix(PathBuf),
    ToTcp(SocketAddr),
}

/// A connection with a program.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Source {
    /// The next program. Dropping the future loses nothing.
    async fn next(&self) -> io::Result<Box<dyn Stream>> {
        let tcp = |stream: TcpStream| -> io::Result<Box<dyn Stream>> {
            // What is small is not to wait for an answer to what came before it.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        };
        match self {
            Self::Unix { listener, .. } => Ok(Box::new(listener.accept().await?.0)),
            Self::Tcp(listener) => tcp(listener.accept().await?.0),
            Self::ToUnix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::ToTcp(address) => tcp(TcpStream::connect(address).await?),
        }
    }

    /// How long to wait before the next one.
    const fn pause(&self) -> Duration {
        match self {
            Self::Unix { .. } | Self::Tcp(_) => Duration::ZERO,
            Self::ToUnix(_) | Self::ToTcp(_) => RETRY,
        }
    }
}

impl End {
    fn set_waker(&self, waker: PortWaker) {
        match self {
            Self::Device(device) => device.set_waker(waker),
            Self::Host(host) => host.set_waker(waker),
        }
    }

    /// Whether there is somebody a program would be connected with.
    fn is_wanted(&self) -> bool {
        match self {
            Self::Device(device) => !device.is_taken(),
            Self::Host(_) => true,
        }
    }

    /// A program is there. False if it is not wanted any more.
    fn begin(&self) -> bool {
        match self {
            Self::Device(device) => device.open(),
            Self::Host(host) => {
                host.attend();
                true
            }
        }
    }

    /// Whether a program that is there may stay.
    fn lasts(&self) -> bool {
        match self {
            Self::Device(device) => device.is_open(),
            Self::Host(_) => true,
        }
    }

    fn finish(&self) {
        match self {
            Self::Device(device) => device.close(),
            Self::Host(host) => host.leave(),
        }
    }

    fn read(&self, into: &mut [u8]) -> usize {
        match self {
            Self::Device(device) => device.read(into),
            Self::Host(host) => {
                let number = host.connection().number;
                // What is left of connections before comes first.
                match host.read(number.wrapping_sub(1), into) {
                    0 => host.read(number, into),
                    count => count,
                }
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> usize {
        match self {
            Self::Device(device) => device.write(bytes),
            Self::Host(host) => host.write(host.connection().number, bytes),
        }
    }
}

/// Who waits for something to happen at the port.
#[derive(Debug, Default)]
struct Wakes {
    from_port: Notify,
    to_port: Notify,
    presence: Notify,
}

impl Wakes {
    /// Waits until a condition on the port holds.
    async fn until(&self, condition: impl Fn() -> bool) {
        while !condition() {
            self.presence.notified().await;
        }
    }
}

async fn serve(end: End, source: Source) {
    let wakes = Arc::<Wakes>::default();
    let waker = Arc::clone(&wakes);
    end.set_waker(Arc::new(move || {
        for wake in [&waker.from_port, &waker.to_port, &waker.presence] {
            wake.notify_one();
        }
    }));
    loop {
        wakes.until(|| end.is_wanted()).await;
        let connected = tokio::select! {
            connected = source.next() => connected,
            () = wakes.until(|| !end.is_wanted()) => continue,
        };
        match connected {
            Ok(stream) if end.begin() => {
                if let Err(error) = exchange(stream, &end, &wakes).await {
                    debug!(%error, "the program at a port has gone");
                }
                end.finish();
            }
            Ok(_) => continue,
            Err(error) => {
                debug!(%error, "no program at a port");
                // A listener may fail for want of descriptors, again and again.
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        tokio::time::sleep(source.pause()).await;
    }
}

/// Moves bytes both ways until one side ends.
async fn exchange(stream: Box<dyn Stream>, end: &End, wakes: &Wakes) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    let to_port = async {
        let mut buffer = vec![0; BLOCK];
        loop {
            let count = read.read(&mut buffer).await?;
            let mut bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            while !bytes.is_empty() {
                let taken = end.write(bytes);
                bytes = bytes.get(taken..).unwrap_or_default();
                if taken == 0 {
                    wakes.to_port.notified().await;
                }
            }
        }
    };
    let from_port = async {
        let mut buffer = vec![0; BLOCK];
        loop {
            let lasts = end.lasts();
            let count = end.read(&mut buffer);
            if count > 0 {
                write.write_all(buffer.get(..count).unwrap_or_default()).await?;
            } else if !lasts {
                return write.shutdown().await;
            } else {
                wakes.from_port.notified().await;
            }
        }
    };
    let lingers = async {
        wakes.until(|| !end.lasts()).await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        done = to_port => done,
        done = from_port => done,
        () = lingers => Ok(()),
    }
}

#[cfg(test)]
#[path = "port_sockets_tests.rs"]
mod tests;
