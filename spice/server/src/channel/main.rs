//! The main channel: the session, its channels, mouse mode, and how fast the connection is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use caraway_protocol::{
    Message,
    caps::MainCap,
    common::ServerCommon,
    main_channel::{ClientMessage, Init, MouseMode, MouseModes, ServerMessage},
    ping::PingTracker,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tracing::debug;

use super::{Common, Io, common, start_acks};
use crate::{ServeError, Server, session::Session};

/// Agent messages a client may send before it is given more: the reference's figure.
const AGENT_TOKENS: u32 = 10;

/// Payload of the ping that measures the bit rate, in bytes: the reference's figure.
const RATE_PING_BYTES: u32 = 256_000;

/// Replies that wait to be written; reading stops when they are not.
const REPLIES: usize = 16;

pub(crate) async fn run<S>(server: &Arc<Server>, io: Io<S>, session: &Arc<Session>) -> Result<(), ServeError>
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
    let (replies, mut outbox) = mpsc::channel::<ServerMessage>(REPLIES);
    let pings = Mutex::new(PingTracker::new());
    let started = Instant::now();
    let writer = async {
        start_acks(&mut sender, &flow, ServerMessage::Common).await?;
        sender
            .send(&ServerMessage::Init(Init {
                session_id: session.id,
                display_channels_hint: u32::try_from(server.config.displays.len()).unwrap_or(1),
                supported_mouse_modes: MouseModes::SERVER,
                current_mouse_mode: MouseMode::Server,
                agent_connected: 0,
                agent_tokens: AGENT_TOKENS,
                multi_media_time: server.media_time(),
                ram_hint: 0,
            }))
            .await?;
        if caps.has(MainCap::NameAndUuid) {
            sender.send(&ServerMessage::Name(server.config.name.clone())).await?;
            sender.send(&ServerMessage::Uuid(server.config.uuid)).await?;
        }
        // Warm-up, latency, bit rate.
        for padding in [0, 0, RATE_PING_BYTES] {
            let ping = pings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ping(started.elapsed(), padding);
            sender.send(&ServerMessage::Common(ServerCommon::Ping(ping))).await?;
        }
        while let Some(message) = outbox.recv().await {
            sender.send(&message).await?;
        }
        Ok::<(), ServeError>(())
    };
    let reader = async {
        while let Some(frame) = receiver.next().await? {
            let reply = match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => {
                    match common(&flow, id, &message)? {
                        Common::Done => {}
                        Common::Pong(pong) => {
                            let mut pings = pings.lock().unwrap_or_else(PoisonError::into_inner);
                            if let Some(trip) = pings.on_pong(pong, started.elapsed()) {
                                debug!(round_trip = ?trip.time, padding = trip.padding, "ping");
                            }
                        }
                        Common::Leaving => return Ok(()),
                    }
                    continue;
                }
                ClientMessage::AttachChannels => ServerMessage::ChannelsList(server.channels()),
                // Only the mode in force is supported; a request for another is ignored, as the protocol says.
                ClientMessage::MouseModeRequest(_) => continue,
                // There is no agent: what is sent to one is dropped.
                ClientMessage::AgentStart(_) | ClientMessage::AgentData(_) | ClientMessage::AgentToken(_) => continue,
                other => {
                    debug!(message = other.name(), "ignored");
                    continue;
                }
            };
            if replies.send(reply).await.is_err() {
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
