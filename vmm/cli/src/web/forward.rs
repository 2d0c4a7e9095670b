//! On to a VM: where it is, the request it gets, and bytes in both directions.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    pin::{Pin, pin},
    time::Duration,
};

use caraway_server::http::Request;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

use crate::rundir::Info;

/// What a VM answers by itself is answered by then: a wrong ticket may be looked at 4 s later, and a machine that is
/// busy takes its time.
const PATIENCE: Duration = Duration::from_secs(30);
/// A client that was told the end has so long to see it.
const LINGER: Duration = Duration::from_secs(10);

/// Where a VM takes connections.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Upstream {
    /// Where its page is, if it is not in TLS alone.
    pub(super) fn of_page(info: &Info) -> Option<Self> {
        Self::parse(info.web.as_deref()?, "http")
    }

    /// Where it takes SPICE by WebSocket.
    pub(super) fn of_spice(info: &Info) -> Option<Self> {
        Self::of_page(info).or_else(|| Self::parse(info.spice.as_deref()?, "spice"))
    }

    fn parse(uri: &str, scheme: &str) -> Option<Self> {
        let rest = uri.strip_prefix(scheme)?;
        if let Some(path) = rest.strip_prefix("+unix://") {
            return Some(Self::Unix(path.into()));
        }
        let address: SocketAddr = rest.strip_prefix("://")?.trim_end_matches('/').parse().ok()?;
        // One that listens on all addresses listens on this one.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Some(Self::Tcp((ip, address.port()).into()))
    }

    /// Asks for SPICE, with what of a request counts for that.
    pub(super) async fn websocket(&self, request: &Request) -> io::Result<Onward> {
        let protocol = match request.header("Sec-WebSocket-Protocol") {
            Some(_) => "Sec-WebSocket-Protocol: binary\r\n",
            None => "",
        };
        let key = request.header("Sec-WebSocket-Key").unwrap_or_default();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: \
             13\r\nSec-WebSocket-Key: {key}\r\n{protocol}\r\n"
        );
        self.send(head.as_bytes(), None).await
    }

    /// Asks what a page knows before it has a link.
    pub(super) async fn facts(&self, request: &Request) -> io::Result<Onward> {
        let method = request.method();
        let head = format!("{method} /vm.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        self.send(head.as_bytes(), Some(PATIENCE)).await
    }

    /// Hands a command on.
    pub(super) async fn power(&self, request: &Request) -> io::Result<Onward> {
        let ticket = request
            .header("Authorization")
            .map(|value| format!("Authorization: {value}\r\n"))
            .unwrap_or_default();
        let length = request.body().len();
        let head = format!(
            "POST /power HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{ticket}Content-Length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), request.body()].concat(), Some(PATIENCE))
            .await
    }

    async fn send(&self, bytes: &[u8], time: Option<Duration>) -> io::Result<Onward> {
        let mut stream: Pin<Box<dyn Stream>> = match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::pin(stream)
            }
            Self::Unix(path) => Box::pin(UnixStream::connect(path).await?),
        };
        stream.write_all(bytes).await?;
        Ok(Onward { stream, time })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// A VM that has been asked.
pub(super) struct Onward {
    stream: Pin<Box<dyn Stream>>,
    /// How long it may take; `None` = for ever.
    time: Option<Duration>,
}

impl Onward {
    /// Carries bytes until both ends have ended.
    pub(super) async fn relay(self, client: impl AsyncRead + AsyncWrite) -> io::Result<()> {
        let carried = carry(client, self.stream);
        match self.time {
            Some(time) => tokio::time::timeout(time, carried).await?,
            None => carried.await,
        }
    }
}

async fn carry(client: impl AsyncRead + AsyncWrite, vm: Pin<Box<dyn Stream>>) -> io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_vm, mut to_vm) = tokio::io::split(vm);
    let mut up = pin!(async {
        tokio::io::copy(&mut from_client, &mut to_vm).await?;
        to_vm.shutdown().await
    });
    let mut down = pin!(async {
        tokio::io::copy(&mut from_vm, &mut to_client).await?;
        to_client.shutdown().await
    });
    tokio::select! {
        ended = &mut up => {
            ended?;
            // The VM sees that, and ends by itself.
            down.await
        }
        ended = &mut down => {
            ended?;
            // A connection that is closed with bytes unread is reset, and the last answer may be lost with it.
            tokio::time::timeout(LINGER, up).await?
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_vms_are_taken_apart_and_what_is_in_tls_is_none() {
        let tcp = |text: &str| Some(Upstream::Tcp(text.parse().unwrap()));
        for (uri, scheme, place) in [
            ("http://127.0.0.1:5980/", "http", tcp("127.0.0.1:5980")),
            ("http://[::1]:5980/", "http", tcp("[::1]:5980")),
            (
                "http+unix:///run/a.sock",
                "http",
                Some(Upstream::Unix("/run/a.sock".into())),
            ),
            ("spice://0.0.0.0:5900", "spice", tcp("127.0.0.1:5900")),
            ("spice://[::]:5900", "spice", tcp("[::1]:5900")),
            ("spice+unix:///run/s", "spice", Some(Upstream::Unix("/run/s".into()))),
            ("https://127.0.0.1:5980/", "http", None),
            ("http://vm.example.org:5980/", "http", None),
            ("spice+tls://127.0.0.1:1", "spice", None),
            ("", "http", None),
        ] {
            assert_eq!(Upstream::parse(uri, scheme), place, "{uri}");
        }
    }
}
