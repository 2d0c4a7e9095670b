//! A link with a delay and a rate, between TCP clients and a server.
//!
//! [`Relay::serve`] connects everybody who comes to a target, and lets all of them share one line in each direction, as the
//! connections of a client do: bytes leave one after the other at its rate, and arrive a delay later. Nothing is lost: what
//! the queue in front of the line has no room for stays in the sender's socket.
#![forbid(unsafe_code)]

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    time::{Instant, sleep_until},
};

/// Bytes that go over the line at a time, as in an Ethernet packet.
const PACKET: usize = 1448;

/// Bytes the socket takes in before the queue does, about.
const RECEIVE_BUFFER: usize = 32 << 10;

/// Packets that may be on the line at once; only a line of gigabits and seconds has more.
const ON_THE_LINE: usize = 1 << 16;

/// A link.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// From one end to the other; a round trip takes twice as long.
    pub delay: Duration,
    /// Bytes a second in each direction; `None` = as many as come.
    pub bytes_per_second: Option<u64>,
    /// Bytes that wait in front of the line in each direction.
    pub queue: u64,
}

/// One direction.
struct Line {
    relay: Relay,
    /// When what was put on it has left.
    free_at: Mutex<Instant>,
}

impl Relay {
    /// Connects everybody who comes to `listener` with `target`, until it is dropped.
    ///
    /// # Errors
    /// When no connection can be accepted.
    pub async fn serve(self, listener: TcpListener, target: SocketAddr) -> io::Result<()> {
        SockRef::from(&listener).set_recv_buffer_size(RECEIVE_BUFFER)?;
        let (there, back) = (self.line(), self.line());
        loop {
            let (client, _) = listener.accept().await?;
            let (there, back) = (Arc::clone(&there), Arc::clone(&back));
            tokio::spawn(async move {
                // Whatever ends a connection ends it on both sides.
                let _ = connect(client, target, &there, &back).await;
            });
        }
    }

    fn line(self) -> Arc<Line> {
        Arc::new(Line {
            relay: self,
            free_at: Mutex::new(Instant::now()),
        })
    }

    /// How long so many bytes take to leave.
    fn time(&self, bytes: u64) -> Duration {
        let nanos = self
            .bytes_per_second
            .map_or(0, |rate| u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Line {
    /// Puts a packet into the queue once there is room; when it arrives. Those who wait take turns.
    async fn carry(&self, bytes: u64) -> Instant {
        let mut free_at = self.free_at.lock().await;
        let room_at = free_at
            .checked_sub(self.relay.time(self.relay.queue))
            .unwrap_or_else(Instant::now);
        sleep_until(room_at).await;
        *free_at = (*free_at).max(Instant::now()) + self.relay.time(bytes);
        *free_at + self.relay.delay
    }
}

async fn connect(client: TcpStream, target: SocketAddr, there: &Line, back: &Line) -> io::Result<()> {
    let server = tokio::net::TcpSocket::new_v4()?;
    SockRef::from(&server).set_recv_buffer_size(RECEIVE_BUFFER)?;
    let server = server.connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(pass(from_client, to_server, there), pass(from_server, to_client, back))?;
    Ok(())
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, line: &Line) -> io::Result<()> {
    let (enter, mut leave) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_LINE);
    let reader = async move {
        loop {
            let mut packet = vec![0; PACKET];
            let bytes = from.read(&mut packet).await?;
            if bytes == 0 {
                return Ok::<_, io::Error>(());
            }
            packet.truncate(bytes);
            let arrives = line.carry(bytes as u64).await;
            if enter.send((arrives, packet)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writer = async move {
        while let Some((arrives, packet)) = leave.recv().await {
            sleep_until(arrives).await;
            to.write_all(&packet).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reader, writer)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn link(relay: Relay) -> (TcpStream, TcpStream, TcpStream, TcpStream) {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (there, here) = (target.local_addr().unwrap(), listener.local_addr().unwrap());
        tokio::spawn(relay.serve(listener, there));
        let first = TcpStream::connect(here).await.unwrap();
        let (first_end, _) = target.accept().await.unwrap();
        let second = TcpStream::connect(here).await.unwrap();
        let (second_end, _) = target.accept().await.unwrap();
        (first, first_end, second, second_end)
    }

    #[tokio::test]
    async fn a_byte_takes_the_delay_at_least_each_way() {
        let relay = Relay {
            delay: Duration::from_millis(80),
            bytes_per_second: None,
            queue: 1 << 20,
        };
        let (mut client, mut server, ..) = link(relay).await;
        for _ in 0..3 {
            let began = Instant::now();
            client.write_all(b"a").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'a');
            assert!(began.elapsed() >= Duration::from_millis(80));
            server.write_all(b"b").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'b');
            assert!(began.elapsed() >= Duration::from_millis(160));
        }
        // The end takes the same way.
        drop(client);
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn connections_share_the_rate_and_lose_nothing() {
        const RATE: u64 = 400_000;
        const BYTES: usize = 300_000;
        let relay = Relay {
            delay: Duration::from_millis(10),
            bytes_per_second: Some(RATE),
            queue: 10_000,
        };
        let (first, first_end, second, second_end) = link(relay).await;
        let send = |mut stream: TcpStream, seed: u8| async move {
            let bytes: Vec<u8> = (0..BYTES).map(|at| (at as u8).wrapping_mul(seed)).collect();
            stream.write_all(&bytes).await.unwrap();
        };
        let receive = |mut stream: TcpStream, seed: u8| async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes.len(), BYTES);
            assert!(
                (0..)
                    .zip(&bytes)
                    .all(|(at, byte)| *byte == (at as u8).wrapping_mul(seed))
            );
            Instant::now()
        };
        let began = Instant::now();
        let (.., one, other) = tokio::join!(
            send(first, 3),
            send(second, 7),
            receive(first_end, 3),
            receive(second_end, 7)
        );
        // At least as long as the rate says; a busy machine may take longer.
        let whole = Duration::from_secs_f64(2.0 * BYTES as f64 / RATE as f64);
        let took = one.max(other) - began;
        assert!(took >= whole.mul_f64(0.95), "{took:?} for {whole:?}");
        // Neither had the line for itself.
        assert!(one.min(other) - began >= whole.mul_f64(0.6));
    }
}
