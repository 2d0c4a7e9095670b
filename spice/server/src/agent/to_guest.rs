//! The bytes for the agent's port: one message of one client at a time, the server's own between them.

use std::collections::VecDeque;

use bytes::Bytes;
use caraway_protocol::main_channel::{AGENT_DATA_MAX, AgentKind, CLIENT_PORT, ChunkHeader, SERVER_PORT};

use super::{AgentFault, AgentMouse, head::Head};

/// Messages of the server's own that wait, at most.
const MOST_OWN: usize = 512;

/// What is left of a message that its client did not finish is made up with zeros, if it is not more than this: then the
/// agent is better told to begin anew.
const MOST_PADDING: u64 = 1 << 20;

/// A part of a client's message.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// The bytes of the whole message, if this is where it begins.
    pub(super) begins: Option<u64>,
    /// AGENT_DATA messages it came in.
    pub(super) tokens: u32,
}

/// The message that is being written.
#[derive(Debug)]
struct Current {
    /// Whose; nobody's if its client is gone.
    client: Option<u32>,
    left: u64,
}

/// The writer.
#[derive(Debug, Default)]
pub(super) struct ToGuest {
    /// The chunk that is being written, and how much of it has been.
    chunk: Vec<u8>,
    written: usize,
    /// Whose chunk it is, and the tokens that go back when it is written.
    credit: Option<(u32, u32)>,
    current: Option<Current>,
    /// Of the stream of the clients.
    own: VecDeque<Head>,
    /// Of the server's stream.
    servers: VecDeque<Head>,
    /// The client whose message was last.
    last: u32,
}

impl ToGuest {
    /// A message of the server's own, in its stream.
    pub(super) fn tell(&mut self, head: Head) {
        if self.servers.len() < MOST_OWN {
            self.servers.push_back(head);
        }
    }

    /// Where the pointer is. One that waits is replaced if nothing but the place differs: no click gets lost.
    pub(super) fn point(&mut self, mouse: &AgentMouse) {
        let is_full = self.servers.len() >= MOST_OWN;
        if let Some(last) = self
            .servers
            .back_mut()
            .filter(|last| last.kind == AgentKind::MouseState)
            && (is_full || last.word(AgentMouse::BUTTONS_AT) == Some(mouse.buttons))
        {
            *last = mouse.head();
        } else {
            self.tell(mouse.head());
        }
    }

    /// A message on behalf of a client that is gone.
    pub(super) fn tell_for_client(&mut self, head: Head) {
        if self.own.len() < MOST_OWN {
            self.own.push_back(head);
        }
    }

    /// What is to be written next. `next` has the next piece of a client's messages, or that of the next client after one.
    pub(super) fn bytes(&mut self, next: impl FnOnce(Next) -> Option<(u32, Piece)>) -> &[u8] {
        if self.written == self.chunk.len() {
            self.chunk.clear();
            self.written = 0;
            self.prepare(next);
        }
        self.chunk.get(self.written..).unwrap_or_default()
    }

    /// So many were written. Whose tokens go back, and how many.
    pub(super) fn wrote(&mut self, count: usize) -> Option<(u32, u32)> {
        self.written = self.written.saturating_add(count).min(self.chunk.len());
        if self.written < self.chunk.len() {
            return None;
        }
        self.credit.take()
    }

    /// Whose message is being written.
    pub(super) fn waits_for(&self) -> Option<u32> {
        let current = self.current.as_ref()?;
        current.client.filter(|_| self.written == self.chunk.len())
    }

    /// A client is gone.
    ///
    /// # Errors
    /// The agent has to begin anew.
    pub(super) fn leave(&mut self, client: u32) -> Result<(), AgentFault> {
        if self.credit.is_some_and(|(whose, _)| whose == client) {
            self.credit = None;
        }
        let Some(current) = self.current.as_mut().filter(|current| current.client == Some(client)) else {
            return Ok(());
        };
        current.client = None;
        if current.left > MOST_PADDING {
            return Err(AgentFault::Abandoned { left: current.left });
        }
        Ok(())
    }

    fn prepare(&mut self, next: impl FnOnce(Next) -> Option<(u32, Piece)>) {
        if let Some(head) = self.servers.pop_front() {
            return self.put(SERVER_PORT, &head.encode());
        }
        let Some(current) = &mut self.current else {
            if let Some(head) = self.own.pop_front() {
                return self.put(CLIENT_PORT, &head.encode());
            }
            if let Some((client, piece)) = next(Next::After(self.last)) {
                self.last = client;
                let left = piece.begins.unwrap_or(piece.bytes.len() as u64);
                self.current = Some(Current {
                    client: Some(client),
                    left,
                });
                self.put_piece(client, &piece);
            }
            return;
        };
        match current.client {
            Some(client) => {
                if let Some((_, piece)) = next(Next::Of(client)) {
                    self.put_piece(client, &piece);
                }
            }
            None => {
                let count = current.left.min(AGENT_DATA_MAX as u64) as usize;
                self.went(count);
                self.put(CLIENT_PORT, &vec![0; count]);
            }
        }
    }

    fn put_piece(&mut self, client: u32, piece: &Piece) {
        self.credit = Some((client, piece.tokens));
        self.went(piece.bytes.len());
        self.put(CLIENT_PORT, &piece.bytes);
    }

    /// So many bytes of the current message are in chunks.
    fn went(&mut self, count: usize) {
        if let Some(current) = &mut self.current {
            current.left = current.left.saturating_sub(count as u64);
            if current.left == 0 {
                self.current = None;
            }
        }
    }

    fn put(&mut self, port: u32, data: &[u8]) {
        for part in data.chunks(AGENT_DATA_MAX) {
            // At most as long as a constant.
            let size = part.len() as u32;
            self.chunk.extend_from_slice(&ChunkHeader { port, size }.encode());
            self.chunk.extend_from_slice(part);
        }
    }
}

/// Which piece is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// The next one of this client.
    Of(u32),
    /// The first one of the next client after this one, around the end.
    After(u32),
}
