//! What the server wants of sockets.

use std::{io, os::fd::AsFd, time::Duration};

use rustix::net::sockopt;
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};

/// Bytes the kernel takes beyond what is on its way on the network: enough to keep it busy until the server is woken, and
/// not more, because nothing of it can be taken back.
const UNSENT: u32 = 32 << 10;

/// The same for a Unix socket, where nothing is on its way. The kernel counts its own overhead in it, and doubles it.
const UNIX_BUFFER: usize = 128 << 10;

/// A peer that says nothing is asked whether it is there after so long: longer than routers keep an idle connection would
/// be too late.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Sets up an accepted TCP connection.
pub(crate) fn set_up_tcp(stream: &TcpStream) -> io::Result<()> {
    // Small messages (cursor, inputs) must not wait for an acknowledgement of the one before.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_keepalive(true)?;
    sockopt::set_tcp_keepidle(stream.as_fd(), KEEPALIVE)?;
    Ok(())
}

/// Sets up an accepted connection of a Unix socket.
pub(crate) fn set_up_unix(stream: &UnixStream) -> io::Result<()> {
    Ok(sockopt::set_socket_send_buffer_size(stream.as_fd(), UNIX_BUFFER)?)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, UnixListener},
    };

    use super::*;

    /// Bytes that a stream takes while its peer reads nothing.
    async fn takes(stream: &mut (impl AsyncWriteExt + Unpin)) -> usize {
        let mut bytes = 0;
        while let Ok(written) = tokio::time::timeout(Duration::from_millis(200), stream.write(&[0; 4096])).await {
            bytes += written.unwrap();
        }
        bytes
    }

    #[tokio::test]
    async fn the_kernel_takes_little_that_is_not_on_its_way() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        // What it takes in is on its way no more.
        client.set_recv_buffer_size(16 << 10).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        set_up_tcp(&stream).unwrap();
        let taken = takes(&mut stream).await;
        assert!(taken <= 256 << 10, "{taken}");
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_notsent_lowat().unwrap() == UNSENT && socket.keepalive().unwrap());
    }

    #[tokio::test]
    async fn a_unix_socket_takes_little() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        set_up_unix(&stream).unwrap();
        let taken = takes(&mut stream).await;
        assert!(taken <= 2 * UNIX_BUFFER, "{taken}");
    }
}
