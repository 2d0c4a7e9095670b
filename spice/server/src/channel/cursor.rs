//! The cursor channel.

use std::sync::Arc;

use caraway_display::{CursorEncoder, CursorItem, Display};
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
use crate::{Role, ServeError, agent::AgentHub, session::Session};

/// What a client sees of the pointer that it does not see anyway.
#[derive(Debug, Default)]
struct Seen {
    visible: bool,
}

impl Seen {
    /// Whether the client is told. In client mode it is where the client has it, unless it comes into sight.
    fn tells(&mut self, item: &CursorItem, is_client_mode: bool) -> bool {
        let was_visible = self.visible;
        match item {
            CursorItem::Init { visible, .. } | CursorItem::Set { visible, .. } => self.visible = *visible,
            CursorItem::Move(_) => self.visible = true,
            CursorItem::Hide | CursorItem::Reset => self.visible = false,
            CursorItem::Trail { .. } => {}
        }
        !(is_client_mode && was_visible && matches!(item, CursorItem::Move(_)))
    }
}

/// A client that may only look does not move the pointer itself: it is told all that others move it.
pub(crate) async fn run<S>(
    io: Io<S>,
    display: &Arc<Display>,
    session: &Session,
    agent: &Arc<AgentHub>,
) -> Result<(), ServeError>
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
        let mut encoder = CursorEncoder::new(session.keeps_shapes());
        let mut seen = Seen::default();
        loop {
            while let Some(item) = viewer.next() {
                if !seen.tells(&item, session.role == Role::Control && agent.is_client_mode()) {
                    continue;
                }
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

#[cfg(test)]
mod tests {
    use caraway_ports::geometry::Point;

    use super::*;

    #[test]
    fn moves_are_told_in_server_mode_and_when_the_pointer_comes_into_sight() {
        let mut seen = Seen::default();
        let item = CursorItem::Move(Point::new(1, 2));
        assert!(seen.tells(&item, true), "it was hidden");
        assert!(!seen.tells(&item, true) && seen.tells(&item, false));
        assert!(seen.tells(&CursorItem::Hide, true) && seen.tells(&item, true) && !seen.tells(&item, true));
        assert!(seen.tells(&CursorItem::Reset, true) && seen.tells(&item, true));
    }
}
