//! One end of a connection: a client that says what it likes.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::BytesMut;
use caraway_protocol::{
    Message, Progress,
    ack::AckCounter,
    channel::ChannelType,
    common::{ServerCommon, client_id},
    cursor, display,
    header::{Frame, FrameDecoder, HeaderKind, Limits},
    inputs, main_channel as main, smartcard, spicevmc,
};
use caraway_server::ServeError;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf},
    task::JoinHandle,
};

use crate::{web::Web, world::run};

/// Bytes a stream holds in each direction.
pub(crate) const STREAM_BYTES: usize = 64 << 10;

/// How long a connection may be served after its client has gone; the server's clock counts.
const GONE: Duration = Duration::from_secs(10);

/// Rounds of reading and answering at most: a guest that always has something new must not keep a program for ever.
const ROUNDS: usize = 8;

pub(crate) struct Client {
    stream: DuplexStream,
    served: JoinHandle<Result<(), ServeError>>,
    kind: ChannelType,
    header: HeaderKind,
    buffer: BytesMut,
    decoder: FrameDecoder,
    acks: AckCounter,
    serial: u64,
    /// What the bytes are wrapped in.
    web: Option<Web>,
    /// What is to be answered.
    owed: Vec<(u16, Vec<u8>)>,
    /// The last INIT of a main channel.
    pub(crate) session: Option<u32>,
    /// MOUSE_MOTION_ACK messages.
    pub(crate) motion_acks: u32,
    /// AGENT_TOKEN and AGENT_CONNECTED_TOKENS.
    pub(crate) tokens: u32,
    /// What a port has said.
    pub(crate) data: Vec<u8>,
    /// What devices of card readers have said.
    pub(crate) cards: Vec<smartcard::VscMessage>,
}

impl Client {
    pub(crate) fn new(
        stream: DuplexStream,
        served: JoinHandle<Result<(), ServeError>>,
        kind: ChannelType,
        header: HeaderKind,
    ) -> Self {
        Self {
            stream,
            served,
            kind,
            header,
            buffer: BytesMut::new(),
            decoder: FrameDecoder::new(header, Limits::FromServer),
            acks: AckCounter::new(),
            serial: 0,
            web: None,
            owed: Vec::new(),
            session: None,
            motion_acks: 0,
            tokens: 0,
            data: Vec::new(),
            cards: Vec::new(),
        }
    }

    /// From here on bytes go in frames of a WebSocket, and come in them behind the answer to the request.
    pub(crate) fn wrap(&mut self) {
        self.web = Some(Web::default());
    }

    /// Writes bytes, in a frame if they go in frames.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        if self.web.is_some() {
            self.write_raw(&Web::frame(0x82, bytes.len() as u64, bytes)).await;
        } else {
            self.write_raw(bytes).await;
        }
    }

    /// Writes what the server takes; the rest is lost, as with a client that gives up.
    pub(crate) async fn write_raw(&mut self, mut bytes: &[u8]) {
        let mut is_first = true;
        while !bytes.is_empty() {
            let written = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_write(cx, bytes))).await;
            match written {
                Poll::Ready(Ok(count @ 1..)) => {
                    bytes = &bytes[count..];
                    is_first = true;
                }
                Poll::Pending if is_first => {
                    is_first = false;
                    run().await;
                }
                _ => return,
            }
        }
    }

    /// Reads up to so many bytes that are there; how many there were.
    fn read(&mut self, count: usize) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let mut chunk = [0; 8 << 10];
        let mut all = 0;
        while all < count {
            let most = chunk.len().min(count - all);
            let mut buffer = ReadBuf::new(&mut chunk[..most]);
            match Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    all += buffer.filled().len();
                    match &mut self.web {
                        Some(web) => web.unwrap(buffer.filled(), &mut self.buffer),
                        None => self.buffer.extend_from_slice(buffer.filled()),
                    }
                }
                _ => break,
            }
        }
        all
    }

    /// Reads up to so many bytes, and answers nothing yet.
    pub(crate) async fn take(&mut self, count: usize) {
        run().await;
        self.read(count);
        self.hear();
    }

    /// The raw bytes that were read and are no message's.
    pub(crate) fn raw(&mut self) -> &mut BytesMut {
        self.read(STREAM_BYTES);
        &mut self.buffer
    }

    /// A header and what is behind it, whether or not they belong together.
    pub(crate) async fn send_sized(&mut self, id: u16, size: u32, sub_list: u32, body: &[u8]) {
        self.serial = self.serial.wrapping_add(1);
        let mut bytes = Vec::new();
        if self.header == HeaderKind::Full {
            bytes.extend(self.serial.to_le_bytes());
        }
        bytes.extend(id.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        if self.header == HeaderKind::Full {
            bytes.extend(sub_list.to_le_bytes());
        }
        bytes.extend(body);
        self.write(&bytes).await;
    }

    pub(crate) async fn send_body(&mut self, id: u16, body: &[u8]) {
        self.send_sized(id, body.len() as u32, 0, body).await;
    }

    pub(crate) async fn send(&mut self, message: impl Message) {
        let body = message.to_body().expect("what is sent here is well-formed");
        self.send_body(message.id(), &body).await;
    }

    /// What the server said has to be well-formed. Its common message, if it is one.
    fn look_at(&mut self, frame: &Frame) -> Option<ServerCommon> {
        fn decode<M: Message>(frame: &Frame) -> M {
            let message: M = frame.message().expect("the server's messages are well-formed");
            for sub in frame.sub_messages().expect("the server's lists are well-formed") {
                let _: M = sub.message().expect("the server's sub-messages are well-formed");
            }
            message
        }
        match self.kind {
            ChannelType::Main => match decode(frame) {
                main::ServerMessage::Common(common) => return Some(common),
                main::ServerMessage::Init(init) => self.session = Some(init.session_id),
                main::ServerMessage::AgentToken(more) => self.tokens = self.tokens.saturating_add(more),
                main::ServerMessage::AgentConnectedTokens(all) => self.tokens = all,
                _ => {}
            },
            ChannelType::Display => {
                if let display::ServerMessage::Common(common) = decode(frame) {
                    return Some(common);
                }
            }
            ChannelType::Cursor => {
                if let cursor::ServerMessage::Common(common) = decode(frame) {
                    return Some(common);
                }
            }
            ChannelType::Port | ChannelType::Webdav | ChannelType::Usbredir => match decode(frame) {
                spicevmc::ServerMessage::Common(common) => return Some(common),
                spicevmc::ServerMessage::Data(bytes) => self.data.extend_from_slice(&bytes),
                spicevmc::ServerMessage::CompressedData(compressed) => {
                    let size = compressed.uncompressed as usize;
                    let bytes = lz4_flex::block::decompress(&compressed.bytes, size);
                    self.data
                        .extend_from_slice(&bytes.expect("what the server compresses becomes what it was"));
                }
                _ => {}
            },
            ChannelType::Smartcard => match decode(frame) {
                smartcard::ServerMessage::Common(common) => return Some(common),
                smartcard::ServerMessage::Data(message) => self.cards.push(message),
                smartcard::ServerMessage::Unknown { id, .. } => panic!("message {id} of a smartcard channel"),
            },
            _ => match decode(frame) {
                inputs::ServerMessage::Common(common) => return Some(common),
                inputs::ServerMessage::MouseMotionAck => self.motion_acks += 1,
                _ => {}
            },
        }
        None
    }

    /// Reads everything there is, and answers as a client should.
    pub(crate) async fn answer(&mut self) {
        for _ in 0..ROUNDS {
            run().await;
            if self.read(STREAM_BYTES) == 0 && self.owed.is_empty() {
                return;
            }
            self.hear();
            for (id, body) in std::mem::take(&mut self.owed) {
                self.send_body(id, &body).await;
            }
        }
    }

    /// Takes up the messages that were read, and what is to be answered.
    fn hear(&mut self) {
        while let Progress::Done(frame) = self.decoder.decode(&mut self.buffer).expect("the server frames") {
            let common = self.look_at(&frame);
            if let Some(ServerCommon::SetAck(set)) = common {
                let generation = self.acks.on_set_ack(set);
                self.owed.push((client_id::ACK_SYNC, generation.to_le_bytes().to_vec()));
                continue;
            }
            if self.acks.on_received() {
                self.owed.push((client_id::ACK, Vec::new()));
            }
            if let Some(ServerCommon::Ping(ping)) = common {
                let body = [&ping.id.to_le_bytes()[..], &ping.timestamp.to_le_bytes()].concat();
                self.owed.push((client_id::PONG, body));
            }
        }
    }

    /// Hangs up. The connection has to end, and none of the server's tasks may have died.
    pub(crate) async fn hang_up(self) {
        drop(self.stream);
        let ended = tokio::time::timeout(GONE, self.served).await;
        let result = match ended.expect("a connection ends when its client has gone") {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => panic!("{error}"),
        };
        if let Err(error @ (ServeError::Task(_) | ServeError::Encode(_))) = result {
            panic!("{error}");
        }
    }
}
