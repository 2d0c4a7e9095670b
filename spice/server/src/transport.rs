//! Messages over a byte stream, both directions apart.

use std::{
    io::IoSlice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use caraway_protocol::{
    Message, Progress,
    ack::AckWindow,
    header::{Frame, FrameDecoder, FrameEncoder},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
};

use crate::ServeError;

/// Bytes asked of the socket at once.
const READ_CHUNK: usize = 4096;

/// The acknowledgement window, shared by the two directions of a channel.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    ack: Mutex<AckWindow>,
    changed: Notify,
}

impl Flow {
    pub(crate) fn ack(&self) -> MutexGuard<'_, AckWindow> {
        self.ack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on_ack(&self) {
        self.ack().on_ack();
        self.changed.notify_one();
    }

    pub(crate) fn on_ack_sync(&self, generation: u32) {
        self.ack().on_ack_sync(generation);
        self.changed.notify_one();
    }

    async fn ready(&self) {
        loop {
            let changed = self.changed.notified();
            if self.ack().can_send() {
                return;
            }
            changed.await;
        }
    }
}

/// The client's messages.
pub(crate) struct Receiver<R> {
    read: R,
    buffer: BytesMut,
    decoder: FrameDecoder,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    /// `buffer` is what was read behind the link stage.
    pub(crate) fn new(read: R, buffer: BytesMut, decoder: FrameDecoder) -> Self {
        Self { read, buffer, decoder }
    }

    /// The next message; `None` at the end. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ServeError> {
        loop {
            if let Progress::Done(frame) = self.decoder.decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_CHUNK);
            if self.read.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())
                };
            }
        }
    }
}

/// Messages to the client.
pub(crate) struct Sender<W> {
    write: W,
    encoder: FrameEncoder,
    flow: Arc<Flow>,
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    pub(crate) fn new(write: W, encoder: FrameEncoder, flow: Arc<Flow>) -> Self {
        Self { write, encoder, flow }
    }

    /// The serial of the next message.
    pub(crate) const fn next_serial(&self) -> u64 {
        self.encoder.last_serial().wrapping_add(1)
    }

    /// Writes a message when the window allows it.
    pub(crate) async fn send<M: Message + Sync>(&mut self, message: &M) -> Result<(), ServeError> {
        self.flow.ready().await;
        self.send_now(message).await
    }

    /// Writes a message whatever the window says: SET_ACK itself.
    pub(crate) async fn send_now<M: Message + Sync>(&mut self, message: &M) -> Result<(), ServeError> {
        let encoded = self.encoder.encode(message)?;
        self.flow.ack().on_sent();
        let mut slices: Vec<IoSlice<'_>> = encoded.segments().map(IoSlice::new).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = self.write.write_vectored(rest).await?;
            if written == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        self.write.flush().await?;
        Ok(())
    }
}
