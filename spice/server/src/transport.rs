//! Messages over a byte stream, both directions apart.

use std::{collections::VecDeque, io::IoSlice, sync::Arc};

use bytes::BytesMut;
use caraway_protocol::{
    Message, Progress,
    header::{Frame, FrameDecoder, FrameEncoder},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};

use crate::{ServeError, figures::Counters, flow::Flow, rate::Cap};

/// Bytes asked of the socket at once.
const READ_CHUNK: usize = 4096;

/// The client's messages.
pub(crate) struct Receiver<R> {
    read: R,
    buffer: BytesMut,
    decoder: FrameDecoder,
    counters: Arc<Counters>,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    /// `buffer` is what was read behind the link stage.
    pub(crate) fn new(read: R, buffer: BytesMut, decoder: FrameDecoder, counters: Arc<Counters>) -> Self {
        counters.on_read(buffer.len());
        Self {
            read,
            buffer,
            decoder,
            counters,
        }
    }

    /// The next message; `None` at the end. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ServeError> {
        loop {
            if let Progress::Done(frame) = self.decoder.decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_CHUNK);
            let bytes = self.read.read_buf(&mut self.buffer).await?;
            self.counters.on_read(bytes);
            if bytes == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())
                };
            }
        }
    }

    /// Waits until the client has hung up, reading ahead of what is handled; behind more than [`AHEAD`] bytes that is not
    /// seen. Dropping the future loses nothing.
    pub(crate) async fn gone(&mut self) {
        while self.buffer.len() < AHEAD {
            self.buffer.reserve(READ_CHUNK);
            match self.read.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => self.counters.on_read(bytes),
            }
        }
        std::future::pending::<()>().await;
    }
}

/// What a channel may write.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    /// Of the client.
    pub(crate) client: Arc<Cap>,
    /// Of all clients.
    pub(crate) total: Arc<Cap>,
    /// The channel waits when there is too little; others go first, and have what they take counted.
    pub(crate) waits: bool,
}

impl Allowance {
    /// Bits a second, if there is a limit.
    pub(crate) fn bits_per_second(&self) -> Option<u64> {
        let caps = [self.client.bits_per_second(), self.total.bits_per_second()];
        caps.into_iter().flatten().min()
    }

    fn piece(&self) -> usize {
        if self.waits {
            self.client.piece().min(self.total.piece())
        } else {
            usize::MAX
        }
    }

    /// Whether the channel has to wait until what was sent is paid for.
    fn owes(&self) -> bool {
        self.waits && (self.client.owes() || self.total.owes())
    }

    /// Waits until what was sent is paid for.
    async fn pass(&self) {
        if self.waits {
            self.client.pass().await;
            self.total.pass().await;
        }
    }

    async fn take(&self, bytes: usize) {
        if self.waits {
            self.client.take(bytes).await;
            self.total.take(bytes).await;
        } else {
            self.client.spend(bytes);
            self.total.spend(bytes);
        }
    }
}

/// Bytes of a client that are read before those in front of them are handled, to see whether it is there.
const AHEAD: usize = 128 << 10;

/// Bytes of small messages that are written together.
const TOGETHER: usize = 16 * 1024;

/// Messages to the client.
pub(crate) struct Sender<W> {
    write: BufWriter<W>,
    /// Something was written and not flushed since.
    dirty: bool,
    encoder: FrameEncoder,
    flow: Arc<Flow>,
    pub(crate) allowance: Allowance,
    pub(crate) counters: Arc<Counters>,
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    pub(crate) fn new(
        write: W,
        encoder: FrameEncoder,
        flow: Arc<Flow>,
        allowance: Allowance,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            write: BufWriter::with_capacity(TOGETHER, write),
            dirty: false,
            encoder,
            flow,
            allowance,
            counters,
        }
    }

    /// Each message in a write of its own, and so in TLS records of its own: spice-gtk looks at the socket for the next
    /// message, and would not see one that came in the record of the one before. Records are put together below.
    pub(crate) fn one_by_one(self) -> Self {
        Self {
            write: BufWriter::with_capacity(0, self.write.into_inner()),
            ..self
        }
    }

    /// The serial of the next message.
    pub(crate) const fn next_serial(&self) -> u64 {
        self.encoder.last_serial().wrapping_add(1)
    }

    /// Waits until a message may be written: what it says can be chosen so late. What was added before is on its way by
    /// then.
    pub(crate) async fn ready(&mut self) -> Result<(), ServeError> {
        if !self.flow.ack().can_send() || self.allowance.owes() {
            self.flush().await?;
        }
        self.flow.ready().await;
        self.allowance.pass().await;
        Ok(())
    }

    /// Adds a message to those that go together; [`Sender::flush`] has to follow.
    pub(crate) async fn add<M: Message + Sync>(&mut self, message: &M) -> Result<(), ServeError> {
        if !self.flow.ack().can_send() {
            self.flush().await?;
        }
        self.flow.ready().await;
        self.write(message).await
    }

    /// Writes what was added.
    pub(crate) async fn flush(&mut self) -> Result<(), ServeError> {
        if !self.dirty {
            return Ok(());
        }
        let _waits = self.flow.waits_for_bytes();
        self.write.flush().await?;
        self.dirty = false;
        self.flow.on_progress();
        Ok(())
    }

    /// Writes a message when the window allows it.
    pub(crate) async fn send<M: Message + Sync>(&mut self, message: &M) -> Result<(), ServeError> {
        self.flow.ready().await;
        self.send_now(message).await
    }

    /// Writes a message whatever the window says: SET_ACK itself.
    pub(crate) async fn send_now<M: Message + Sync>(&mut self, message: &M) -> Result<(), ServeError> {
        self.write(message).await?;
        self.flush().await
    }

    async fn write<M: Message + Sync>(&mut self, message: &M) -> Result<(), ServeError> {
        let encoded = self.encoder.encode(message)?;
        self.flow.ack().on_sent();
        self.counters.on_message();
        let mut segments: VecDeque<&[u8]> = encoded.segments().collect();
        let piece = self.allowance.piece();
        while let (bytes @ 1.., mut part) = take_first(&mut segments, piece) {
            if self.allowance.owes() {
                self.flush().await?;
            }
            self.allowance.take(bytes).await;
            self.dirty = true;
            let _waits = self.flow.waits_for_bytes();
            let mut part = part.as_mut_slice();
            while !part.is_empty() {
                let written = self.write.write_vectored(part).await?;
                if written == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
                }
                self.counters.on_written(written);
                self.flow.on_progress();
                IoSlice::advance_slices(&mut part, written);
            }
        }
        Ok(())
    }
}

/// Takes out the first bytes, at most so many, and says how many there were.
fn take_first<'a>(segments: &mut VecDeque<&'a [u8]>, bytes: usize) -> (usize, Vec<IoSlice<'a>>) {
    let (mut taken, mut part) = (0, Vec::with_capacity(segments.len()));
    while taken < bytes
        && let Some(segment) = segments.pop_front()
    {
        let (head, tail) = segment.split_at_checked(bytes - taken).unwrap_or((segment, &[]));
        if !tail.is_empty() {
            segments.push_front(tail);
        }
        if !head.is_empty() {
            taken += head.len();
            part.push(IoSlice::new(head));
        }
    }
    (taken, part)
}
