//! The client half of the protocol, as far as tests need it.

use caraway_protocol::{ack::AckCounter, common::server_id};

use super::*;

pub(super) async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) {
    assert_ne!(
        stream.read_buf(buffer).await.unwrap(),
        0,
        "the server closed the connection"
    );
}

pub(super) async fn link<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    kind: ChannelType,
    id: u8,
    connection_id: u32,
    password: &str,
) -> Result<Client<S>, LinkCode> {
    let caps = match kind {
        ChannelType::Main => Caps::of(&[MainCap::NameAndUuid]),
        _ => Caps::of(&[DisplayCap::MonitorsConfig]),
    };
    link_with(stream, ChannelId { kind, id }, connection_id, password, caps).await
}

pub(super) async fn link_with<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    channel: ChannelId,
    connection_id: u32,
    password: &str,
    channel_caps: Caps,
) -> Result<Client<S>, LinkCode> {
    let message = LinkMessage {
        connection_id,
        channel,
        common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::AuthSpice, CommonCap::MiniHeader]),
        channel_caps,
    };
    stream.write_all(&message.encode()).await.unwrap();
    stream.flush().await.unwrap();
    let mut buffer = BytesMut::new();
    let accepted = loop {
        match LinkReply::decode(&mut buffer).unwrap() {
            Progress::Need(_) => fill(&mut stream, &mut buffer).await,
            Progress::Done(LinkReply::Accepted(accepted)) => break accepted,
            Progress::Done(LinkReply::Refused(code)) => return Err(code),
        }
    };
    stream.write_all(&AuthMechanism::Spice.encode()).await.unwrap();
    let key = PublicKey::from_public_key_der(&accepted.public_key).unwrap();
    let clear = [password.as_bytes(), &[0]].concat();
    stream
        .write_all(&key.oaep_encrypt::<Sha1>(&clear).unwrap())
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let code = loop {
        match decode_result(&mut buffer) {
            Progress::Need(_) => fill(&mut stream, &mut buffer).await,
            Progress::Done(code) => break code,
        }
    };
    if code != LinkCode::Ok {
        return Err(code);
    }
    Ok(Client {
        over: Vec::new(),
        stream,
        buffer,
        decoder: FrameDecoder::new(HeaderKind::Mini, Limits::FromServer),
        encoder: FrameEncoder::new(HeaderKind::Mini),
        acks: None,
    })
}

pub(super) struct Client<S = DuplexStream> {
    /// Of a stream of bytes, what was read and not wanted yet.
    pub(super) over: Vec<u8>,
    pub(super) stream: S,
    pub(super) buffer: BytesMut,
    pub(super) decoder: FrameDecoder,
    pub(super) encoder: FrameEncoder,
    /// It acknowledges what it is sent.
    pub(super) acks: Option<AckCounter>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Progress::Done(frame) = self.decoder.decode(&mut self.buffer).unwrap() {
                self.acknowledge(&frame).await;
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// From now on it acknowledges what it is sent, as clients do.
    pub(super) fn acknowledging(mut self) -> Self {
        self.acks = Some(AckCounter::new());
        self
    }

    async fn acknowledge(&mut self, frame: &Frame) {
        let Some(acks) = &mut self.acks else { return };
        // All channels have these.
        let answer = if frame.id == server_id::SET_ACK {
            match frame.message().unwrap() {
                display::ServerMessage::Common(ServerCommon::SetAck(set)) => {
                    ClientCommon::AckSync(acks.on_set_ack(set))
                }
                other => panic!("{other:?}"),
            }
        } else if acks.on_received() {
            ClientCommon::Ack
        } else {
            return;
        };
        self.send(display::ClientMessage::Common(answer)).await;
    }

    pub(super) async fn until<M: Message, T>(&mut self, wanted: impl Fn(M) -> Option<T>) -> T {
        timeout(PATIENCE, async {
            loop {
                let frame = self.frame().await.expect("the channel is open");
                if let Some(found) = wanted(frame.message().unwrap()) {
                    return found;
                }
            }
        })
        .await
        .expect("the message comes")
    }

    pub(super) async fn send<M: Message>(&mut self, message: M) {
        let mut out = Vec::new();
        self.encoder.encode_into(&message, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    pub(super) async fn closed(&mut self) {
        timeout(PATIENCE, async { while self.frame().await.is_some() {} })
            .await
            .expect("the channel closes");
    }
}
