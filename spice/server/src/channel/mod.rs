//! The channels.

pub(crate) mod cursor;
mod details;
pub(crate) mod display;
mod feed;
pub(crate) mod inputs;
pub(crate) mod main;
pub(crate) mod smartcard;
pub(crate) mod spicevmc;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use caraway_protocol::{
    Message,
    caps::Caps,
    channel::ChannelId,
    common::{ClientCommon, Pong, ServerCommon},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};

use crate::{
    ServeError,
    flow::Flow,
    transport::{Receiver, Sender},
};

/// Messages a client may have on their way. The reference server's figure for a fast connection.
const ACK_WINDOW: u32 = 20;

/// For how long what a client said last is passed on when it has hung up: a guest that reads takes no second.
const LINGER: Duration = Duration::from_secs(5);

/// A channel after the link stage.
pub(crate) struct Io<S> {
    pub(crate) receiver: Receiver<ReadHalf<S>>,
    pub(crate) sender: Sender<WriteHalf<S>>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) id: ChannelId,
    pub(crate) caps: Caps,
}

/// Starts the acknowledgement window. `wrap` makes the channel's own message of a common one.
async fn start_acks<S, M>(
    sender: &mut Sender<WriteHalf<S>>,
    flow: &Flow,
    wrap: impl Fn(ServerCommon) -> M,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite,
    M: Message + Sync,
{
    let set = flow.ack().set_window(ACK_WINDOW);
    sender.send_now(&wrap(ServerCommon::SetAck(set))).await
}

/// Waits for the guest to take what a client said; `None` when that one has hung up and the guest takes too long. Else a
/// channel would be the client's for as long as a guest that hangs does.
async fn passed_on<R, T>(receiver: &mut Receiver<R>, work: impl Future<Output = T>) -> Option<T>
where
    R: AsyncRead + Unpin,
{
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return Some(done),
        () = receiver.gone() => {}
    }
    tokio::time::timeout(LINGER, work).await.ok()
}

/// What a common message asks of a channel.
enum Common {
    /// Nothing more.
    Done,
    /// A ping was answered.
    Pong(Pong),
    /// The client says good-bye.
    Leaving,
}

/// Handles a message every channel knows.
fn common(flow: &Flow, id: ChannelId, message: &ClientCommon) -> Result<Common, ServeError> {
    match message {
        ClientCommon::AckSync(generation) => flow.on_ack_sync(*generation),
        ClientCommon::Ack => flow.on_ack(),
        ClientCommon::Pong(pong) => return Ok(Common::Pong(*pong)),
        ClientCommon::Disconnecting(_) => return Ok(Common::Leaving),
        ClientCommon::MigrateFlushMark | ClientCommon::MigrateData(_) => {
            return Err(ServeError::Unexpected {
                channel: id,
                id: message.id(),
                why: "no migration is under way",
            });
        }
    }
    Ok(Common::Done)
}
