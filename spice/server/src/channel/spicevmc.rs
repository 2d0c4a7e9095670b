//! Port, webdav and usbredir channels: bytes between a client and a port of the machine.
//!
//! There is no acknowledgement window on these channels. While the port takes nothing the client is not read, its
//! acknowledgements neither, only whether it is still there; what goes to the client waits for the connection, and then in
//! the guest.

use bytes::{Buf, Bytes};
use caraway_ports::port::{Connection, HostPort};
use caraway_protocol::{
    Message,
    caps::StreamCap,
    channel::ChannelType,
    header::Limits,
    spicevmc::{ClientMessage, Compressed, Compression, PortEvent, PortInit, ServerMessage, client_id},
};
use lz4_flex::block::{compress, decompress_into};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::{Common, Io, common, passed_on};
use crate::{
    ServeError,
    ports::{Lease, PortChannel},
};

/// Bytes taken from a port at a time: the reference's figure.
const BLOCK: usize = 64 << 10;

/// Less than this is not compressed: the reference's figure.
const COMPRESS_FROM: usize = 1001;

/// Most bytes that a compressed message may become: what a message without compression may be. The reference has no limit.
const UNCOMPRESSED_MAX: u32 = Limits::FromClient(ChannelType::Usbredir).body_bytes(client_id::DATA);

/// `is_local` is whether the client is on this machine, where compressing saves nothing.
pub(crate) async fn run<S>(io: Io<S>, lease: &Lease, is_local: bool) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Io {
        mut receiver,
        mut sender,
        flow,
        id,
        caps,
    } = io;
    let Some((channel, port)) = lease
        .channel()
        .and_then(|channel| Some((channel, channel.ports.first()?)))
    else {
        return Ok(());
    };
    let compresses = !is_local && caps.has(StreamCap::DataCompressLz4);
    let has_events = id.kind != ChannelType::Usbredir;
    let writer = async {
        let mut told = port.connection();
        if has_events {
            let init = PortInit {
                name: channel.name.clone(),
                opened: told.is_open,
            };
            sender.send(&ServerMessage::PortInit(init)).await?;
        }
        let mut buffer = vec![0; BLOCK];
        loop {
            let now = port.connection();
            if told.is_open {
                // What was written on a connection comes before its end.
                while let count @ 1.. = port.read(told.number, &mut buffer) {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    sender.send(&data(bytes, compresses)).await?;
                }
            }
            if now == told {
                channel.for_client.notified().await;
                continue;
            }
            if told.is_open && !has_events {
                // Nothing else would tell the client that whoever begins now knows nothing of its devices.
                return Ok(());
            }
            told = next(told, now);
            if has_events {
                let event = if told.is_open {
                    PortEvent::Opened
                } else {
                    PortEvent::Closed
                };
                sender.send(&ServerMessage::PortEvent(event)).await?;
            }
        }
    };
    let reader = async {
        while let Some(frame) = receiver.next().await? {
            let bytes = match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => {
                    if let Common::Leaving = common(&flow, id, &message)? {
                        return Ok(());
                    }
                    continue;
                }
                ClientMessage::Data(bytes) => bytes,
                ClientMessage::CompressedData(compressed) => match decompressed(&compressed) {
                    Ok(bytes) => bytes,
                    Err(why) => {
                        let id = frame.id;
                        let channel = channel.id;
                        return Err(ServeError::Unexpected { channel, id, why });
                    }
                },
                other => {
                    debug!(message = other.name(), "ignored");
                    continue;
                }
            };
            let pushed = push(channel, port, bytes, !has_events);
            if passed_on(&mut receiver, pushed).await.is_none() {
                return Ok(());
            }
        }
        Ok::<(), ServeError>(())
    };
    tokio::select! {
        result = writer => result,
        result = reader => result,
    }
}

/// What the client is to be told next: one step after the other, so that it is also told of connections that are over
/// already. Those before the last one are one to it, however many there were.
const fn next(told: Connection, now: Connection) -> Connection {
    if told.is_open {
        return Connection { is_open: false, ..told };
    }
    let before = now.number.saturating_sub(1);
    Connection {
        number: if told.number < before { before } else { now.number },
        is_open: true,
    }
}

/// Gives bytes to the port, as it takes them. Those for nobody are dropped, unless somebody is waited for.
async fn push(channel: &PortChannel, port: &HostPort, mut bytes: Bytes, waits: bool) {
    let mut begun = None;
    while !bytes.is_empty() {
        let now = port.connection();
        let is_over = begun.is_some_and(|number| number != now.number) || (begun.is_some() && !now.is_open);
        if is_over || !(now.is_open || waits) {
            debug!(bytes = bytes.len(), "for a port that is closed");
            return;
        }
        if now.is_open {
            begun = Some(now.number);
            let count = port.write(now.number, &bytes);
            bytes.advance(count);
            if count > 0 {
                continue;
            }
        }
        channel.for_ports.notified().await;
    }
}

fn data(bytes: &[u8], compresses: bool) -> ServerMessage {
    if compresses && bytes.len() >= COMPRESS_FROM {
        let compressed = compress(bytes);
        if let (true, Ok(uncompressed)) = (compressed.len() < bytes.len(), u32::try_from(bytes.len())) {
            return ServerMessage::CompressedData(Compressed {
                compression: Compression::Lz4,
                uncompressed,
                bytes: compressed.into(),
            });
        }
    }
    ServerMessage::Data(Bytes::copy_from_slice(bytes))
}

/// What was compressed, or what is wrong with it.
fn decompressed(compressed: &Compressed) -> Result<Bytes, &'static str> {
    match compressed.compression {
        Compression::None => return Ok(compressed.bytes.clone()),
        Compression::Lz4 => {}
        Compression::Unknown(_) => return Err("it is compressed in a way nobody knows"),
    }
    if compressed.uncompressed > UNCOMPRESSED_MAX {
        return Err("it says that it becomes more than a message may be");
    }
    let size = usize::try_from(compressed.uncompressed).unwrap_or(0);
    let mut bytes = vec![0; size];
    match decompress_into(&compressed.bytes, &mut bytes) {
        Ok(count) if count == size => Ok(bytes.into()),
        _ => Err("it does not become as much as it says"),
    }
}
