//! One channel of a client, on TCP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use caraway_protocol::{
    Message, Progress,
    ack::AckCounter,
    caps::{Caps, CommonCap, DisplayCap, MainCap},
    channel::{ChannelId, ChannelType},
    common::{ClientCommon, Pong, ServerCommon},
    header::{Frame, FrameDecoder, FrameEncoder, HeaderKind, Limits},
    link::{AuthMechanism, LinkCode, LinkMessage, LinkReply, decode_result},
};
use rsa::{PublicKey, pkcs8::DecodePublicKey};
use sha1::Sha1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A channel behind the link stage.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    decoder: FrameDecoder,
    encoder: FrameEncoder,
    acks: AckCounter,
    /// Bytes read since the link stage.
    pub(crate) received: Arc<AtomicU64>,
    /// Bytes read at a time, and how long it rests after them.
    pub(crate) pace: Option<(usize, Duration)>,
}

impl Connection {
    pub(crate) async fn open(server: SocketAddr, kind: ChannelType, connection_id: u32) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let message = LinkMessage {
            connection_id,
            channel: ChannelId { kind, id: 0 },
            common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::AuthSpice, CommonCap::MiniHeader]),
            channel_caps: match kind {
                ChannelType::Display => Caps::of(&[
                    DisplayCap::MonitorsConfig,
                    DisplayCap::Lz4Compression,
                    DisplayCap::Resume,
                ]),
                ChannelType::Main => Caps::of(&[MainCap::Resume]),
                _ => Caps::none(),
            },
        };
        stream.write_all(&message.encode()).await?;
        let mut buffer = BytesMut::new();
        let accepted = loop {
            match LinkReply::decode(&mut buffer)? {
                Progress::Need(_) => fill(&mut stream, &mut buffer).await?,
                Progress::Done(LinkReply::Accepted(accepted)) => break accepted,
                Progress::Done(LinkReply::Refused(code)) => bail!("refused: {code:?}"),
            }
        };
        stream.write_all(&AuthMechanism::Spice.encode()).await?;
        let key = PublicKey::from_public_key_der(&accepted.public_key)?;
        stream.write_all(&key.oaep_encrypt::<Sha1>(&[0])?).await?;
        let code = loop {
            match decode_result(&mut buffer) {
                Progress::Need(_) => fill(&mut stream, &mut buffer).await?,
                Progress::Done(code) => break code,
            }
        };
        if code != LinkCode::Ok {
            bail!("refused: {code:?}");
        }
        let received = AtomicU64::new(buffer.len() as u64);
        Ok(Self {
            stream,
            buffer,
            decoder: FrameDecoder::new(HeaderKind::Mini, Limits::FromServer),
            encoder: FrameEncoder::new(HeaderKind::Mini),
            acks: AckCounter::new(),
            received: Arc::new(received),
            pace: None,
        })
    }

    /// The next message. Dropping the future loses nothing.
    pub(crate) async fn frame(&mut self) -> anyhow::Result<Frame> {
        loop {
            if let Progress::Done(frame) = self.decoder.decode(&mut self.buffer)? {
                return Ok(frame);
            }
            let bytes = match self.pace {
                None => self.stream.read_buf(&mut self.buffer).await?,
                Some((bytes, rest)) => {
                    tokio::time::sleep(rest).await;
                    let mut part = vec![0; bytes];
                    let bytes = self.stream.read(&mut part).await?;
                    self.buffer.extend_from_slice(part.get(..bytes).unwrap_or_default());
                    bytes
                }
            };
            self.received.fetch_add(bytes as u64, Ordering::Relaxed);
            if bytes == 0 {
                bail!("the server closed the connection");
            }
        }
    }

    pub(crate) async fn send<M: Message>(&mut self, message: &M) -> anyhow::Result<()> {
        let mut out = Vec::new();
        self.encoder.encode_into(message, &mut out)?;
        self.stream.write_all(&out).await.context("cannot send")
    }

    /// Does what every client does with every message; `common` is the message if it is one every channel knows.
    pub(crate) async fn keep<M: Message>(
        &mut self,
        common: Option<&ServerCommon>,
        wrap: impl Fn(ClientCommon) -> M,
    ) -> anyhow::Result<()> {
        match common {
            Some(ServerCommon::SetAck(set)) => {
                let generation = self.acks.on_set_ack(*set);
                return self.send(&wrap(ClientCommon::AckSync(generation))).await;
            }
            Some(ServerCommon::Ping(ping)) => {
                let pong = Pong {
                    id: ping.id,
                    timestamp: ping.timestamp,
                };
                self.send(&wrap(ClientCommon::Pong(pong))).await?;
            }
            _ => {}
        }
        if self.acks.on_received() {
            self.send(&wrap(ClientCommon::Ack)).await?;
        }
        Ok(())
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut BytesMut) -> anyhow::Result<()> {
    if stream.read_buf(buffer).await? == 0 {
        bail!("the server closed the connection");
    }
    Ok(())
}
