//! The cursor channel.

use std::sync::Arc;

use caraway_display::{CursorEncoder, Display};
use caraway_protocol::{
    Message,
    cursor::{ClientMessage, ServerMessage},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tracing::debug;

use super::{Common, Io, common, start_acks};
use crate::ServeError;

/// `keeps` is whether the client keeps shapes.
pub(crate) async fn run<S>(io: Io<S>, display: &Arc<Display>, keeps: bool) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Io {
        mut receiver,
        mut sender,
        flow,
        id,
        ..
    } = io;
    let changed = Arc::new(Notify::new());
    let waker = Arc::clone(&changed);
    let viewer = display.attach_cursor(Arc::new(move || waker.notify_one()));
    let writer = async {
        start_acks(&mut sender, &flow, ServerMessage::Common).await?;
        let mut encoder = CursorEncoder::new(keeps);
        loop {
            while let Some(item) = viewer.next() {
                for message in encoder.encode(&item) {
                    sender.send(&message).await?;
                }
            }
            changed.notified().await;
        }
    };
    let reader = async {
        while let Some(frame) = receiver.next().await? {
            match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => {
                    if let Common::Leaving = common(&flow, id, &message)? {
                        return Ok(());
                    }
                }
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
