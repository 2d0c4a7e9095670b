//! A stream of bytes over WebSocket.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{self, Decoder, Event, MAX_HEADER};

/// Bytes asked of the carrier at once.
const READ_CHUNK: usize = 4096;

/// Reads of the carrier in one go; others have their turn then. Frames without data are not handed on, and a client
/// could send them for ever.
const READS_AT_ONCE: usize = 16;

/// Bytes of a frame, its header included: what the carrier has not taken of one waits here, and can be replaced no more.
/// In TLS a frame is a record.
const FRAME: usize = 16 << 10;

/// Close codes of RFC 6455, 7.4.1.
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;

/// A stream of bytes in the data frames of WebSocket, the server's end.
///
/// Memory is bounded: what was read and not taken apart (4 KiB), a frame on its way (16 KiB), a pong that waits (125
/// bytes; a later one takes its place).
pub(crate) struct WebSocket<S> {
    stream: S,
    decoder: Decoder,
    /// What was read and not taken apart.
    input: BytesMut,
    /// What the stream has not taken of a frame: no other begins before it has.
    output: BytesMut,
    /// The payload of a pong that waits for that.
    pong: Option<BytesMut>,
    closing: Closing,
    /// The client has closed: nothing more is read.
    is_at_end: bool,
    /// A control frame may be on its way that the reading half has to see off: nobody may be writing.
    owes: bool,
    wakers: Arc<Wakers>,
    /// Wakes both halves.
    waker: Waker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// A close frame waits.
    With(Option<u16>),
    /// It is the last that was written.
    Done,
}

/// Who waits for the stream to take more. A stream wakes who asked last, and both halves ask: the one that writes data,
/// and the one that reads, for the answers to what it has read.
#[derive(Debug, Default)]
struct Wakers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        for half in [&self.reader, &self.writer] {
            let waker = lock(half).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<S> WebSocket<S> {
    /// After the handshake; `input` is what the client has sent behind its request.
    pub(crate) fn new(stream: S, input: BytesMut) -> Self {
        let wakers = Arc::<Wakers>::default();
        let waker = Waker::from(Arc::clone(&wakers));
        Self {
            stream,
            decoder: Decoder::default(),
            input,
            output: BytesMut::new(),
            pong: None,
            closing: Closing::No,
            is_at_end: false,
            owes: false,
            wakers,
            waker,
        }
    }

    /// What it goes over.
    pub(crate) const fn carrier(&self) -> &S {
        &self.stream
    }

    /// Puts a control frame that waits into `output`; whether there is one.
    fn next_control(&mut self) -> bool {
        match (self.closing, self.pong.take()) {
            (Closing::Done, _) => return false,
            (_, Some(payload)) => frames::pong(&payload, &mut self.output),
            (Closing::With(code), None) => {
                self.closing = Closing::Done;
                frames::close(code, &mut self.output);
            }
            (Closing::No, None) => return false,
        }
        true
    }

    fn close(&mut self, code: Option<u16>) {
        if self.closing == Closing::No {
            self.closing = Closing::With(code);
        }
    }
}

impl<S: AsyncWrite + Unpin> WebSocket<S> {
    /// Hands the stream what waits.
    fn poll_drain(&mut self) -> Poll<io::Result<()>> {
        loop {
            if self.output.is_empty() && !self.next_control() {
                return Poll::Ready(Ok(()));
            }
            let mut cx = Context::from_waker(&self.waker);
            match ready!(Pin::new(&mut self.stream).poll_write(&mut cx, &self.output))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.output.advance(taken),
            }
        }
    }

    /// The same, to the end of the way.
    fn poll_drain_and_flush(&mut self) -> Poll<io::Result<()>> {
        ready!(self.poll_drain())?;
        ready!(Pin::new(&mut self.stream).poll_flush(&mut Context::from_waker(&self.waker)))?;
        self.owes = false;
        Poll::Ready(Ok(()))
    }

    fn poll_write_slices<'a>(
        &mut self,
        cx: &Context<'_>,
        slices: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Poll<io::Result<usize>> {
        register(&self.wakers.writer, cx);
        if self.closing != Closing::No {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_drain())?;
        let mut left = FRAME - MAX_HEADER;
        let fitting = slices.filter_map(move |slice| {
            let slice = slice.get(..left).unwrap_or(slice);
            left -= slice.len();
            (!slice.is_empty()).then_some(slice)
        });
        let bytes = fitting.clone().map(<[u8]>::len).sum();
        if bytes > 0 {
            frames::data(fitting, &mut self.output);
            if let Poll::Ready(result) = self.poll_drain() {
                result?;
            }
        }
        Poll::Ready(Ok(bytes))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        register(&this.wakers.reader, cx);
        if this.owes
            && let Poll::Ready(result) = this.poll_drain_and_flush()
        {
            result?;
        }
        for _ in 0..READS_AT_ONCE {
            while !this.is_at_end && buffer.remaining() > 0 {
                match this.decoder.next(&mut this.input, buffer) {
                    Ok(None) => break,
                    Ok(Some(Event::Data)) => return Poll::Ready(Ok(())),
                    Ok(Some(Event::Ping(payload))) => this.pong = Some(payload),
                    Ok(Some(Event::Close(code))) => {
                        this.is_at_end = true;
                        this.close(code);
                    }
                    Err(violation) => {
                        this.is_at_end = true;
                        this.close(Some(PROTOCOL_ERROR));
                        // Whether it gets there or not, nothing more is read.
                        let _ = this.poll_drain_and_flush();
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
                    }
                }
                this.owes = true;
                if let Poll::Ready(result) = this.poll_drain_and_flush() {
                    result?;
                }
            }
            if this.is_at_end || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut space = [MaybeUninit::uninit(); READ_CHUNK];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.input.extend_from_slice(read.filled());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_slices(cx, std::iter::once(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_slices(cx, slices.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        register(&this.wakers.writer, cx);
        this.poll_drain_and_flush()
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        register(&this.wakers.writer, cx);
        this.close(Some(NORMAL));
        ready!(this.poll_drain())?;
        Pin::new(&mut this.stream).poll_shutdown(&mut Context::from_waker(&this.waker))
    }
}

fn register(half: &Mutex<Option<Waker>>, cx: &Context<'_>) {
    let mut waker = lock(half);
    if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
