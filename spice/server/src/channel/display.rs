//! The display channel: the picture.

use std::{sync::Arc, time::Duration};

use caraway_display::{Display, Encoder, Item, Outgoing, ViewerCaps};
use caraway_ports::display::CLIENT_CAPABILITY_BYTES;
use caraway_protocol::{
    Message,
    caps::{Caps, DisplayCap},
    display::{ClientMessage, ServerMessage},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, oneshot},
};
use tracing::debug;

use super::{Common, Io, common, start_acks};
use crate::ServeError;

/// A client has this long to say INIT.
const INIT_DEADLINE: Duration = Duration::from_secs(30);

/// Items with more pixels than this are encoded beside the event loop.
const INLINE_BYTES: usize = 16 * 1024;

pub(crate) async fn run<S>(io: Io<S>, display: &Arc<Display>) -> Result<(), ServeError>
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
    let (init, has_init) = oneshot::channel::<()>();
    let writer = async {
        start_acks(&mut sender, &flow, ServerMessage::Common).await?;
        match tokio::time::timeout(INIT_DEADLINE, has_init).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ok::<(), ServeError>(()),
            Err(_) => {
                return Err(ServeError::Timeout {
                    what: "send INIT",
                    seconds: INIT_DEADLINE.as_secs(),
                });
            }
        }
        let changed = Arc::new(Notify::new());
        let waker = Arc::clone(&changed);
        let viewer = display.attach(viewer_caps(&caps), Arc::new(move || waker.notify_one()));
        sender.send(&ServerMessage::InvalAllPalettes).await?;
        let mut encoder = Encoder::new();
        loop {
            while let Some(item) = viewer.next() {
                let (back, messages) = encode(encoder, item).await?;
                encoder = back;
                for message in &messages {
                    sender.send(message).await?;
                }
            }
            changed.notified().await;
        }
    };
    let reader = async {
        let mut init = Some(init);
        while let Some(frame) = receiver.next().await? {
            match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => {
                    if let Common::Leaving = common(&flow, id, &message)? {
                        return Ok(());
                    }
                }
                ClientMessage::Init(_) => match init.take() {
                    Some(init) => {
                        if init.send(()).is_err() {
                            return Ok(());
                        }
                    }
                    None => {
                        return Err(ServeError::Unexpected {
                            channel: id,
                            id: frame.id,
                            why: "INIT was sent before",
                        });
                    }
                },
                other => debug!(message = other.name(), "ignored"),
            }
        }
        Ok::<(), ServeError>(())
    };
    tokio::select! {
        result = writer => result,
        result = reader => result,
    }
}

/// Puts an item into messages; a large one on a thread that may take its time.
async fn encode(mut encoder: Encoder, item: Item) -> Result<(Encoder, Outgoing), ServeError> {
    if item.pixel_bytes() <= INLINE_BYTES {
        let messages = encoder.encode(&item)?;
        return Ok((encoder, messages));
    }
    tokio::task::spawn_blocking(move || {
        let messages = encoder.encode(&item);
        (encoder, messages)
    })
    .await
    .map_err(|error| ServeError::Task(error.to_string()))
    .and_then(|(encoder, messages)| Ok((encoder, messages?)))
}

fn viewer_caps(caps: &Caps) -> ViewerCaps {
    ViewerCaps {
        composite: caps.has(DisplayCap::Composite),
        a8_surface: caps.has(DisplayCap::A8Surface),
        monitors: caps.has(DisplayCap::MonitorsConfig),
        all: caps_for_guest(caps),
    }
}

/// Capability i is bit i%8 of byte i/8; what is past the end no guest can be told of.
fn caps_for_guest(caps: &Caps) -> [u8; CLIENT_CAPABILITY_BYTES] {
    let mut bytes = [0; CLIENT_CAPABILITY_BYTES];
    let words = caps.words().iter().flat_map(|word| word.to_le_bytes());
    bytes.iter_mut().zip(words).for_each(|(byte, given)| *byte = given);
    bytes
}
