//! The bytes from the agent's port: chunks of two streams, of which that for the clients is cut into messages.

use bytes::Bytes;
use caraway_protocol::main_channel::{AGENT_DATA_MAX, CLIENT_PORT, ChunkHeader, SERVER_PORT};

use super::{
    AgentFault,
    head::{Gather, Head},
};

/// Who gets a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    /// The clients, and what the begin of the message is to each.
    pub(super) clients: Vec<(u32, Head)>,
}

/// What the reader is given to decide, and what it has for clients.
pub(super) trait Clients {
    /// Whether messages about selections name them.
    fn has_prefix(&self) -> bool;
    /// A message begins: who gets it.
    fn route(&mut self, head: Head) -> Targets;
    /// Bytes of a message for a client, at most [`AGENT_DATA_MAX`].
    fn deliver(&mut self, client: u32, bytes: Bytes);
}

/// A message whose begin is known.
#[derive(Debug)]
struct Body {
    targets: Vec<u32>,
    left: u64,
}

/// The reader.
#[derive(Debug, Default)]
pub(super) struct FromGuest {
    header: Vec<u8>,
    chunk: Option<ChunkHeader>,
    gather: Gather,
    body: Option<Body>,
}

impl FromGuest {
    /// Takes up bytes.
    ///
    /// # Errors
    /// A chunk of neither stream, or another version of the protocol.
    pub(super) fn push(&mut self, mut bytes: &[u8], clients: &mut impl Clients) -> Result<(), AgentFault> {
        while !bytes.is_empty() {
            let Some(chunk) = &mut self.chunk else {
                let count = (ChunkHeader::BYTES - self.header.len()).min(bytes.len());
                let (header, rest) = bytes.split_at(count);
                self.header.extend_from_slice(header);
                bytes = rest;
                if let Some(header) = self.header.first_chunk() {
                    self.chunk = Some(ChunkHeader::decode(*header)).filter(|chunk| chunk.size > 0);
                    self.header.clear();
                }
                continue;
            };
            let count = bytes.len().min(chunk.size as usize);
            let (data, rest) = bytes.split_at(count);
            bytes = rest;
            let port = chunk.port;
            chunk.size -= count as u32;
            if chunk.size == 0 {
                self.chunk = None;
            }
            match port {
                CLIENT_PORT => self.data(data, clients)?,
                // The server asks the agent nothing.
                SERVER_PORT => {}
                port => return Err(AgentFault::Port(port)),
            }
        }
        Ok(())
    }

    /// Bytes of the stream for the clients.
    fn data(&mut self, mut data: &[u8], clients: &mut impl Clients) -> Result<(), AgentFault> {
        loop {
            let Some(body) = &mut self.body else {
                if data.is_empty() {
                    return Ok(());
                }
                let (used, head) = self.gather.take(data, clients.has_prefix())?;
                data = data.get(used..).unwrap_or_default();
                if let Some(head) = head {
                    let left = head.left();
                    let mut targets = Vec::new();
                    for (client, head) in clients.route(head).clients {
                        deliver(client, &head.encode().into(), clients);
                        targets.push(client);
                    }
                    self.body = (left > 0).then_some(Body { targets, left });
                }
                continue;
            };
            if data.is_empty() {
                return Ok(());
            }
            let count = usize::try_from(body.left).unwrap_or(usize::MAX).min(data.len());
            let (part, rest) = data.split_at(count);
            data = rest;
            body.left -= count as u64;
            let part = Bytes::copy_from_slice(part);
            body.targets.iter().for_each(|client| deliver(*client, &part, clients));
            if body.left == 0 {
                self.body = None;
            }
        }
    }
}

fn deliver(client: u32, bytes: &Bytes, clients: &mut impl Clients) {
    for start in (0..bytes.len()).step_by(AGENT_DATA_MAX) {
        let end = bytes.len().min(start + AGENT_DATA_MAX);
        clients.deliver(client, bytes.slice(start..end));
    }
}
