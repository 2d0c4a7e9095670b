//! The host's side of the serial console: standard input and output, a socket, a log file.
//!
//! The guest's output goes into a bounded buffer that never makes a vCPU wait; one thread of its own carries it on, so
//! that a slow terminal or pipe holds up nobody else. A place that falls behind by more than the buffer loses the oldest
//! bytes.

mod buffer;
mod escape;
mod worker;

use std::{
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use caraway_legacy::uart::{SerialSink, Uart};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use self::{buffer::Buffer, worker::Worker};
use crate::{
    spec::SerialSpec,
    sys::terminal::{self, RawMode},
};

/// How long the end of the program waits for output that has not been written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the UART and the thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when there is output or the end has come.
    wake: EventFd,
}

#[derive(Debug)]
struct State {
    buffer: Buffer,
    /// The thread is to write what it can until then, and end.
    end_by: Option<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Only a counter at its limit refuses, and then it is signalled already.
        self.wake.write(1).ok();
    }
}

impl SerialSink for Shared {
    fn write(&self, bytes: &[u8]) {
        self.lock().buffer.push(bytes);
        self.wake();
    }
}

/// The console; ends with its machine.
#[derive(Debug)]
pub(crate) struct SerialBackend {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What is called when the user asks to quit from the terminal.
pub(crate) type Quit = Box<dyn Fn() + Send>;

/// The console before the UART exists: output is kept already.
#[derive(Debug)]
pub(crate) struct SerialOutput(Arc<Shared>);

impl SerialOutput {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(State {
                buffer: Buffer::default(),
                end_by: None,
            }),
            wake: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?,
        })))
    }

    /// Where the UART writes.
    pub(crate) fn sink(&self) -> Arc<dyn SerialSink> {
        Arc::clone(&self.0) as Arc<dyn SerialSink>
    }

    /// Connects the other side. The terminal is raw from here on.
    pub(crate) fn connect(self, spec: SerialSpec, uart: Arc<Uart>, quit: Quit) -> io::Result<SerialBackend> {
        let SerialSpec { stdio, socket, log } = spec;
        let (input, output, raw) = if stdio {
            let (input, output) = duplicate_stdio()?;
            let raw = rustix::termios::isatty(&input)
                .then(|| RawMode::enter(&input))
                .transpose()?;
            (Some(input), Some(output), raw)
        } else {
            (None, None, None)
        };
        if let Some(socket) = &socket {
            socket.set_nonblocking(true)?;
        }
        let shared = Arc::clone(&self.0);
        let worker = Worker::new(
            Arc::clone(&shared),
            uart,
            worker::Places {
                input,
                output,
                terminal: raw.is_some(),
                socket,
                log,
            },
        );
        let thread = std::thread::Builder::new().name("serial".into()).spawn(move || {
            let _raw = raw;
            worker.run(&quit);
        })?;
        Ok(SerialBackend {
            shared,
            thread: Some(thread),
        })
    }
}

/// Descriptors of our own for standard input and output.
fn duplicate_stdio() -> io::Result<(File, File)> {
    use std::os::fd::AsFd as _;
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((File::from(input), File::from(output)))
}

impl SerialBackend {
    /// Writes what the guest printed last, for a second at most, and puts the terminal back.
    pub(crate) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            let deadline = Instant::now() + LAST_WORDS;
            self.shared.lock().end_by = Some(deadline);
            self.shared.wake();
            while !thread.is_finished() && Instant::now() < deadline + LAST_WORDS {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            if thread.is_finished() {
                thread.join().ok();
            } else {
                // It hangs in a write to a terminal or pipe nobody reads; the process ends without it.
                tracing::warn!("serial output left behind");
            }
        }
        terminal::restore();
    }
}

impl Drop for SerialBackend {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
#[path = "serial_tests.rs"]
mod tests;
