//! The server: JSON on a Unix socket, several clients at once.

use std::{io, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, broadcast, mpsc},
    time::{Instant, interval_at, timeout},
};
use tracing::debug;

use crate::{
    Backend, Event, QmpError, commands,
    framing::{Found, Framing},
    wire,
};

/// Bytes of a request at most.
const MAX_REQUEST: usize = 1 << 20;
/// A client that does not read is cut when this much waits for it, not counting the message being written.
const MAX_BACKLOG: usize = 1 << 20;
/// A reply waits this long for its client to read the ones before.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a client whose command takes long is looked after: whether it is still there.
const LOOK: Duration = Duration::from_millis(500);
/// A command that is still being carried out when the machine has ended has this long to say so.
const LAST_REPLY: Duration = Duration::from_secs(1);
/// Clients at once.
const MAX_CLIENTS: u32 = 32;
/// How long the end of the machine waits for clients to be told of it.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves clients until `closing` is ready or the listener fails. `directory` is where relative file names in commands
/// start. Clients end by themselves when the backend's events do; `closing` is to be ready then, and serving ends when
/// all of them have been sent what they were owed, or at the latest two seconds later.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: UnixListener,
    backend: Arc<dyn Backend>,
    directory: PathBuf,
    closing: impl Future<Output = ()>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS as usize));
    let result = tokio::select! {
        result = accept_clients(&listener, &backend, &directory, &places) => result,
        () = closing => Ok(()),
    };
    drop(listener);
    // All places free: nobody is left. Who has not read by then does not read.
    let _ = timeout(LAST_WORDS, places.acquire_many(MAX_CLIENTS)).await;
    result
}

async fn accept_clients(
    listener: &UnixListener,
    backend: &Arc<dyn Backend>,
    directory: &std::path::Path,
    places: &Arc<Semaphore>,
) -> io::Result<()> {
    let directory: Arc<std::path::Path> = directory.into();
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of descriptors: those that are open go on, and one may close.
            Err(error) if matches!(error.raw_os_error(), Some(24 | 23)) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            debug!("a control client was turned away: {MAX_CLIENTS} are connected");
            continue;
        };
        let (backend, directory) = (Arc::clone(backend), Arc::clone(&directory));
        tokio::spawn(async move {
            if let Err(error) = client(stream, backend, &directory).await {
                debug!(%error, "a control client ended");
            }
            drop(place);
        });
    }
}

async fn client(stream: UnixStream, backend: Arc<dyn Backend>, directory: &std::path::Path) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let (sender, mut outbox) = mpsc::unbounded_channel::<Vec<u8>>();
    let backlog = Arc::new(Semaphore::new(MAX_BACKLOG));
    let outbox_backlog = Arc::clone(&backlog);
    let writer = tokio::spawn(async move {
        while let Some(line) = outbox.recv().await {
            outbox_backlog.add_permits(cost(&line));
            if write.write_all(&line).await.is_err() {
                break;
            }
        }
    });
    let queue = Outbox { sender, backlog };
    let result = converse(read, &queue, &backend, directory).await;
    drop(queue);
    // What was answered is still written, to a client that reads it.
    let _ = timeout(Duration::from_secs(1), writer).await;
    result
}

/// Bytes a message takes of the backlog; one larger than all of it is let through alone.
fn cost(line: &[u8]) -> usize {
    line.len().min(MAX_BACKLOG)
}

struct Outbox {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    backlog: Arc<Semaphore>,
}

impl Outbox {
    /// An event: the client did not ask for it, so it waits for nobody.
    fn send_event(&self, value: &Value) -> io::Result<()> {
        let (line, cost) = Self::line(value)?;
        match self.backlog.try_acquire_many(cost) {
            Ok(permits) => permits.forget(),
            Err(_) => return Err(io::Error::other("the client does not read")),
        }
        self.sender.send(line).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// A reply: no further request is read before there is room for it.
    async fn send_reply(&self, value: &Value) -> io::Result<()> {
        let (line, cost) = Self::line(value)?;
        match timeout(REPLY_TIMEOUT, self.backlog.acquire_many(cost)).await {
            Ok(Ok(permits)) => permits.forget(),
            _ => return Err(io::Error::other("the client does not read its replies")),
        }
        self.sender.send(line).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn line(value: &Value) -> io::Result<(Vec<u8>, u32)> {
        let mut line = serde_json::to_vec(value)?;
        line.extend_from_slice(b"\r\n");
        let cost = u32::try_from(cost(&line)).unwrap_or(u32::MAX);
        Ok((line, cost))
    }
}

async fn converse(
    read: tokio::net::unix::OwnedReadHalf,
    outbox: &Outbox,
    backend: &Arc<dyn Backend>,
    directory: &std::path::Path,
) -> io::Result<()> {
    let mut events = backend.events();
    outbox.send_reply(&wire::greeting()).await?;
    let mut requests = Requests {
        reader: BufReader::new(read),
        framing: Framing::default(),
        request: Vec::new(),
    };
    let mut negotiated = false;
    loop {
        tokio::select! {
            request = requests.next() => {
                let Some(request) = request? else { return Ok(()) };
                let hears = negotiated;
                let reply = answer(&request, &mut negotiated, backend, directory);
                let reply = attend(reply, outbox, hears.then_some(&mut events), &requests).await?;
                outbox.send_reply(&reply).await?;
            }
            event = events.recv() => match event {
                Ok(event) if negotiated => outbox.send_event(&wire::event(&event))?,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// Waits for the reply to a command. Meanwhile the client is sent events, if it wants any; when it leaves, the command
/// ends with it.
async fn attend(
    reply: impl Future<Output = Value>,
    outbox: &Outbox,
    mut events: Option<&mut broadcast::Receiver<Event>>,
    requests: &Requests,
) -> io::Result<Value> {
    let mut reply = pin!(reply);
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    loop {
        let event = async {
            match &mut events {
                Some(events) => events.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = event => match event {
                Ok(event) => outbox.send_event(&wire::event(&event))?,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => {
                    return timeout(LAST_REPLY, reply).await.map_err(io::Error::from);
                }
            },
            reply = &mut reply => {
                // What a command brings about is told before its reply, as QEMU does.
                while let Some(Ok(event)) = events.as_mut().map(|events| events.try_recv()) {
                    outbox.send_event(&wire::event(&event))?;
                }
                return Ok(reply);
            }
            _ = look.tick() => if requests.has_left().await {
                return Err(io::Error::other("the client left before its command was done"));
            },
        }
    }
}

async fn answer(
    request: &[u8],
    negotiated: &mut bool,
    backend: &Arc<dyn Backend>,
    directory: &std::path::Path,
) -> Value {
    let mut request = match wire::parse_request(request) {
        Ok(request) => request,
        Err((error, id)) => return wire::reply(Err(error), id),
    };
    let id = request.id.take();
    let result = match (request.command.as_str(), *negotiated) {
        ("qmp_capabilities", false) => {
            let result = commands::negotiate(request.arguments);
            *negotiated = result.is_ok();
            result
        }
        ("qmp_capabilities", true) => Err(QmpError::not_found(
            "Capabilities negotiation is already complete, command ignored",
        )),
        (_, false) => Err(QmpError::not_found(
            "Expecting capabilities negotiation with 'qmp_capabilities'",
        )),
        (_, true) => commands::execute(backend, directory, request).await,
    };
    wire::reply(result, id)
}

/// Requests of bounded length; cancelling `next` loses nothing.
struct Requests {
    reader: BufReader<tokio::net::unix::OwnedReadHalf>,
    framing: Framing,
    request: Vec<u8>,
}

impl Requests {
    /// Whether the client has closed its socket, and not only its sending half.
    async fn has_left(&self) -> bool {
        let ready = self.reader.get_ref().ready(Interest::WRITABLE);
        // It is not waited for: a socket that cannot be written to is open.
        matches!(timeout(Duration::ZERO, ready).await, Ok(Ok(ready)) if ready.is_write_closed())
    }

    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let piece = self.reader.fill_buf().await?;
            if piece.is_empty() {
                return Ok(None);
            }
            let Found { skip, take, complete } = self.framing.scan(piece);
            if self.request.len() + take > MAX_REQUEST {
                return Err(io::Error::other(format!(
                    "a request is longer than {MAX_REQUEST} bytes"
                )));
            }
            self.request.extend(piece.iter().skip(skip).take(take));
            self.reader.consume(skip + take);
            if complete {
                return Ok(Some(std::mem::take(&mut self.request)));
            }
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
