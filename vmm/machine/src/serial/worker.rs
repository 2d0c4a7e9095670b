//! The `serial` thread.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
    time::Instant,
};

use caraway_legacy::uart::Uart;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Quit, Shared, escape::Escape};
use crate::sys::borrow;

/// Bytes moved at a time; a pipe that polls writable takes as many without blocking.
const CHUNK: usize = 4096;
/// Clients of the socket at a time.
const MOST_CLIENTS: usize = 8;

/// Where output goes and input comes from.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) input: Option<File>,
    pub(super) output: Option<File>,
    /// Whether the input is a terminal, where the escape works.
    pub(super) terminal: bool,
    pub(super) socket: Option<UnixListener>,
    pub(super) log: Option<File>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    position: u64,
}

#[derive(Debug)]
pub(super) struct Worker {
    shared: Arc<Shared>,
    uart: Arc<Uart>,
    places: Places,
    clients: Vec<Client>,
    escape: Escape,
    /// Positions up to which standard output and the log have everything.
    output_at: u64,
    log_at: u64,
    /// Typed bytes the UART had no room for.
    typed: Vec<u8>,
}

/// What a round of waiting found.
#[derive(Debug, Default)]
struct Ready {
    input: bool,
    output: bool,
    accept: bool,
    clients: Vec<PollFlags>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, uart: Arc<Uart>, places: Places) -> Self {
        Self {
            shared,
            uart,
            places,
            clients: Vec::new(),
            escape: Escape::default(),
            output_at: 0,
            log_at: 0,
            typed: Vec::new(),
        }
    }

    pub(super) fn run(mut self, quit: &Quit) {
        loop {
            self.write_log();
            let (end, end_by) = {
                let state = self.shared.lock();
                (state.buffer.end(), state.end_by)
            };
            if let Some(end_by) = end_by
                && (self.all_written(end) || Instant::now() >= end_by)
            {
                return;
            }
            let ready = match self.wait(end, end_by) {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "serial console ended");
                    return;
                }
            };
            self.push_typed();
            if ready.output {
                self.write_output();
            }
            if ready.input {
                self.read_input(quit);
            }
            self.serve_clients(&ready.clients);
            if ready.accept {
                self.accept();
            }
        }
    }

    fn all_written(&self, end: u64) -> bool {
        let output = self.places.output.is_none() || self.output_at >= end;
        output && self.clients.iter().all(|client| client.position >= end)
    }

    /// Waits until a place can be served.
    fn wait(&self, end: u64, end_by: Option<Instant>) -> io::Result<Ready> {
        let may_type = self.typed.is_empty();
        let input = self.places.input.as_ref().filter(|_| may_type);
        let output = self.places.output.as_ref().filter(|_| self.output_at < end);
        let socket = self
            .places
            .socket
            .as_ref()
            .filter(|_| self.clients.len() < MOST_CLIENTS);

        let mut fds = vec![
            PollFd::from_borrowed_fd(borrow(&self.shared.wake), PollFlags::IN),
            PollFd::from_borrowed_fd(borrow(self.uart.room_event()), PollFlags::IN),
        ];
        fds.extend(input.map(|file| PollFd::new(file, PollFlags::IN)));
        fds.extend(output.map(|file| PollFd::new(file, PollFlags::OUT)));
        fds.extend(socket.map(|listener| PollFd::new(listener, PollFlags::IN)));
        for client in &self.clients {
            let mut interest = PollFlags::empty();
            if may_type {
                interest |= PollFlags::IN;
            }
            if client.position < end {
                interest |= PollFlags::OUT;
            }
            fds.push(PollFd::new(&client.stream, interest));
        }
        let timeout = end_by.map(|end_by| {
            let left = end_by.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut events = fds.iter().map(PollFd::revents);
        for event in [&self.shared.wake, self.uart.room_event()] {
            if events.next().is_some_and(|found| !found.is_empty()) {
                // Read by nobody else; nothing to read is fine.
                event.read().ok();
            }
        }
        let mut found = |asked: bool| asked && events.next().is_some_and(|found| !found.is_empty());
        Ok(Ready {
            input: found(input.is_some()),
            output: found(output.is_some()),
            accept: found(socket.is_some()),
            clients: events.collect(),
        })
    }

    fn write_log(&mut self) {
        let Some(log) = &mut self.places.log else { return };
        loop {
            let (lost, bytes) = self.shared.lock().buffer.read(self.log_at, CHUNK);
            if bytes.is_empty() {
                return;
            }
            if let Err(error) = log.write_all(&bytes) {
                tracing::error!(%error, "serial log ended");
                self.places.log = None;
                return;
            }
            self.log_at += lost + bytes.len() as u64;
        }
    }

    fn write_output(&mut self) {
        let Some(output) = &mut self.places.output else { return };
        let (lost, bytes) = self.shared.lock().buffer.read(self.output_at, CHUNK);
        match output.write(&bytes) {
            Ok(written) => self.output_at += lost + written as u64,
            Err(error) if is_temporary(&error) => {}
            // A closed pipe: the guest goes on without a reader.
            Err(_) => self.places.output = None,
        }
    }

    fn read_input(&mut self, quit: &Quit) {
        let Some(input) = &mut self.places.input else { return };
        let mut bytes = [0; CHUNK];
        match input.read(&mut bytes) {
            Ok(0) => self.places.input = None,
            Ok(count) => {
                let typed = bytes.get(..count).unwrap_or(&[]);
                let mut wants_quit = false;
                if self.places.terminal {
                    let (typed, twice) = self.escape.filter(typed);
                    wants_quit = twice;
                    self.typed.extend(typed);
                } else {
                    self.typed.extend(typed);
                }
                self.push_typed();
                if wants_quit {
                    quit();
                }
            }
            Err(error) if is_temporary(&error) => {}
            Err(_) => self.places.input = None,
        }
    }

    /// Gives the UART what it has room for; the rest follows when it says so.
    fn push_typed(&mut self) {
        if !self.typed.is_empty() {
            let taken = self.uart.input(&self.typed);
            self.typed.drain(..taken.min(self.typed.len()));
        }
    }

    fn serve_clients(&mut self, events: &[PollFlags]) {
        let mut typed = std::mem::take(&mut self.typed);
        let shared = &self.shared;
        let mut events = events.iter();
        // Clients accepted in this round have no events yet and are served in the next.
        self.clients.retain_mut(|client| {
            let found = events.next().copied().unwrap_or(PollFlags::empty());
            let mut alive = true;
            if found.contains(PollFlags::OUT) {
                alive &= client.write(shared);
            }
            if found.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                // One that hangs up while there is no room for its input is not waited for.
                alive &= typed.len() < CHUNK && client.read(&mut typed);
            }
            alive
        });
        self.typed = typed;
        self.push_typed();
    }

    fn accept(&mut self) {
        let Some(socket) = &self.places.socket else { return };
        match socket.accept() {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nonblocking(true) {
                    tracing::warn!(%error, "serial client refused");
                    return;
                }
                let position = self.shared.lock().buffer.history();
                self.clients.push(Client { stream, position });
            }
            Err(error) => tracing::debug!(%error, "serial client lost before it was accepted"),
        }
    }
}

impl Client {
    /// Writes what it has not seen; false when it is gone.
    fn write(&mut self, shared: &Shared) -> bool {
        let (lost, bytes) = shared.lock().buffer.read(self.position, CHUNK);
        match self.stream.write(&bytes) {
            Ok(written) => {
                self.position += lost + written as u64;
                true
            }
            Err(error) => is_temporary(&error),
        }
    }

    /// Reads what it typed; false when it is gone.
    fn read(&mut self, typed: &mut Vec<u8>) -> bool {
        let mut bytes = [0; CHUNK];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                typed.extend(bytes.iter().take(count));
                true
            }
            Err(error) => is_temporary(&error),
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
