//! The link stage of one connection.

use std::sync::Arc;

use bytes::BytesMut;
use caraway_protocol::{
    Progress,
    caps::{Caps, CommonCap, DisplayCap, InputsCap, MainCap, StreamCap},
    channel::{ChannelId, ChannelType},
    header::HeaderKind,
    link::{
        Acceptance, AuthMechanism, LinkCode, LinkMessage, LinkReply, Negotiated, PUBLIC_KEY_BYTES, Ticket,
        encode_result,
    },
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    Role, ServeError, Users,
    access::Who,
    admission::{Guesses, Origin},
    key::{KeyHandle, TicketKey},
    sasl,
    ticket::{Expected, Tickets},
};

/// A connection that has authenticated. The link result has not been sent yet.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) message: LinkMessage,
    pub(crate) header: HeaderKind,
    /// Whose it is.
    pub(crate) who: Who,
    /// Bytes the client sent behind the link stage.
    pub(crate) rest: BytesMut,
}

/// Whom a server lets in.
pub(crate) struct Gate<'a> {
    pub(crate) keys: &'a KeyHandle,
    pub(crate) tickets: &'a Tickets,
    /// Who may come in by SASL; the ticket is not asked for then.
    pub(crate) sasl: Option<&'a Arc<Users>>,
    pub(crate) guesses: &'a Guesses,
    /// Where this client comes from.
    pub(crate) origin: Origin,
}

/// What a server can do on every channel.
pub(crate) fn common_caps(sasl: bool) -> Caps {
    let auth = if sasl {
        CommonCap::AuthSasl
    } else {
        CommonCap::AuthSpice
    };
    Caps::of(&[CommonCap::AuthSelection, auth, CommonCap::MiniHeader])
}

/// What it can do on this channel. What is ours alone is said to those alone who say it.
fn channel_caps(kind: ChannelType, clients: &Caps) -> Caps {
    match kind {
        ChannelType::Main => {
            let caps = Caps::of(&[MainCap::NameAndUuid, MainCap::AgentConnectedTokens]);
            if clients.has(MainCap::Resume) {
                caps.with(MainCap::Resume)
            } else {
                caps
            }
        }
        ChannelType::Display if clients.has(DisplayCap::Resume) => {
            channel_caps(kind, &Caps::none()).with(DisplayCap::Resume)
        }
        ChannelType::Display => Caps::of(&[
            DisplayCap::MonitorsConfig,
            DisplayCap::StreamReport,
            DisplayCap::PrefCompression,
            DisplayCap::PrefVideoCodecType,
        ]),
        ChannelType::Inputs => Caps::of(&[InputsCap::KeyScancode]),
        ChannelType::Usbredir | ChannelType::Port | ChannelType::Webdav => Caps::of(&[StreamCap::DataCompressLz4]),
        _ => Caps::none(),
    }
}

/// Runs the link stage up to authentication. `refuses` says why a channel cannot be had, or not on this connection.
pub(crate) async fn link<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    gate: &Gate<'_>,
    refuses: impl Fn(ChannelId) -> Option<LinkCode>,
) -> Result<Linked, ServeError> {
    let mut buffer = BytesMut::with_capacity(512);
    let message = loop {
        match LinkMessage::decode(&mut buffer) {
            Ok(Progress::Done(message)) => break message,
            Ok(Progress::Need(_)) => fill(stream, &mut buffer).await?,
            Err(error) => {
                if let Some(code) = error.link_answer() {
                    refuse(stream, code).await?;
                }
                return Err(error.into());
            }
        }
    };
    if let Some(code) = refuses(message.channel) {
        refuse(stream, code).await?;
        return Err(ServeError::Refused(code));
    }
    let common = common_caps(gate.sasl.is_some());
    let negotiated = Negotiated::new(&common, &message.common_caps);
    // Nobody encrypts anything for a client that will use SASL.
    let key = if gate.sasl.is_some() && message.common_caps.has(CommonCap::AuthSasl) {
        None
    } else {
        let Some(key) = gate.keys.get().await else {
            refuse(stream, LinkCode::Error).await?;
            return Err(ServeError::Refused(LinkCode::Error));
        };
        Some(key)
    };
    let acceptance = Acceptance {
        public_key: key.as_ref().map_or([0; PUBLIC_KEY_BYTES], |key| key.public()),
        common_caps: common,
        channel_caps: channel_caps(message.channel.kind, &message.channel_caps),
    };
    stream
        .write_all(&LinkReply::Accepted(Box::new(acceptance)).encode())
        .await?;
    stream.flush().await?;
    let wanted = if gate.sasl.is_some() {
        AuthMechanism::Sasl
    } else {
        AuthMechanism::Spice
    };
    if let Some(code) = refuses_mechanism(stream, &mut buffer, negotiated.selects, wanted).await? {
        refuse(stream, code).await?;
        return Err(ServeError::Refused(code));
    }
    let who = match (gate.sasl, key) {
        (Some(users), _) => sasl::authenticate(stream, &mut buffer, users, gate).await?.into(),
        (None, Some(key)) => check_ticket(stream, &mut buffer, key, gate).await?.into(),
        // There is a key wherever there is no SASL.
        (None, None) => return Err(ServeError::Refused(LinkCode::Error)),
    };
    Ok(Linked {
        message,
        header: negotiated.header,
        who,
        rest: buffer,
    })
}

/// Why the client cannot authenticate as it wants to.
async fn refuses_mechanism<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    selects: bool,
    wanted: AuthMechanism,
) -> Result<Option<LinkCode>, ServeError> {
    if !selects {
        // Who does not choose has a ticket.
        return Ok((wanted != AuthMechanism::Spice).then_some(LinkCode::VersionMismatch));
    }
    loop {
        match AuthMechanism::decode(buffer) {
            Progress::Done(mechanism) => return Ok((mechanism != wanted).then_some(LinkCode::InvalidData)),
            Progress::Need(_) => fill(stream, buffer).await?,
        }
    }
}

/// Takes the ticket: what the client may do. A client whose ticket is wrong was told so.
async fn check_ticket<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    key: Arc<TicketKey>,
    gate: &Gate<'_>,
) -> Result<Role, ServeError> {
    let given = loop {
        match Ticket::decode(buffer) {
            Progress::Done(ticket) => break ticket,
            Progress::Need(_) => fill(stream, buffer).await?,
        }
    };
    gate.guesses.pause(gate.origin).await;
    // RSA takes a millisecond or two: beside the event loop.
    let expected = gate.tickets.expected();
    // Without a ticket there is nothing to be guessed.
    let guarded = matches!(expected, Expected::Passwords { .. });
    let role = tokio::task::spawn_blocking(move || expected.role(&key.open(&given)?))
        .await
        .map_err(|error| ServeError::Task(error.to_string()))?;
    let Some(role) = role else {
        if guarded {
            gate.guesses.wrong(gate.origin);
        }
        send_result(stream, LinkCode::PermissionDenied).await?;
        return Err(ServeError::Refused(LinkCode::PermissionDenied));
    };
    // Who knows the ticket for viewers could guess at the other one for ever.
    if guarded && role == Role::Control {
        gate.guesses.right(gate.origin);
    }
    Ok(role)
}

/// The link result, the last step.
pub(crate) async fn send_result<S: AsyncWrite + Unpin>(stream: &mut S, code: LinkCode) -> Result<(), ServeError> {
    stream.write_all(&encode_result(code)).await?;
    stream.flush().await?;
    Ok(())
}

pub(crate) async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, code: LinkCode) -> Result<(), ServeError> {
    stream.write_all(&LinkReply::Refused(code).encode()).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads more. The decoders bound what is ever buffered: at most a link message, and what fits beside it.
pub(crate) async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> Result<(), ServeError> {
    buffer.reserve(512);
    if stream.read_buf(buffer).await? == 0 {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}
