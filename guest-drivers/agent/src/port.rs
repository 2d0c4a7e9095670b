//! The agent's port: from chunks of two streams to messages, and back.

use bytes::Bytes;
use caraway_protocol::agent::{AgentHeader, AgentKind};
use caraway_protocol::main_channel::{AGENT_DATA_MAX, CLIENT_PORT, ChunkHeader, SERVER_PORT};

/// Bytes of a selection that are taken from a client, or given to it: a picture of a 4K screen is half of that.
pub const MOST_CLIPBOARD: usize = 64 << 20;
/// Bytes of a block of a file. Clients send 64 KiB.
const MOST_BLOCK: usize = 1 << 20;
/// Bytes of any other message.
const MOST_OTHER: usize = 64 << 10;
/// What is kept of a message that is too long: enough to tell what it was about.
const LEAD: usize = 12;

/// Whose messages a stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's.
    Client,
    /// The server's own.
    Server,
}

/// What has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A message.
    Message {
        /// From whom.
        from: Origin,
        /// What it is.
        kind: AgentKind,
        /// The bytes behind its header.
        body: Bytes,
    },
    /// One that is too long to be kept; it was passed over.
    TooLong {
        /// What it is.
        kind: AgentKind,
        /// The bytes it announced.
        size: u32,
        /// Its first bytes.
        lead: Bytes,
    },
}

/// The host does not keep to the protocol: nothing that follows can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A stream that does not exist.
    #[error("a chunk of port {0}")]
    Port(u32),
    /// A chunk that is longer than chunks are.
    #[error("a chunk of {0} bytes")]
    Chunk(u32),
    /// A header of a message that is none.
    #[error(transparent)]
    Header(#[from] caraway_protocol::Error),
}

/// The most bytes of a message of this kind.
fn most(kind: AgentKind) -> usize {
    match kind {
        // Selection and type.
        AgentKind::Clipboard => MOST_CLIPBOARD + 8,
        // Number and size.
        AgentKind::FileXferData => MOST_BLOCK + 12,
        _ => MOST_OTHER,
    }
}

/// A message whose header is known.
#[derive(Debug)]
struct Body {
    kind: AgentKind,
    size: u32,
    left: u32,
    /// Bytes that are kept.
    keep: usize,
    bytes: Vec<u8>,
}

/// One of the two streams.
#[derive(Debug, Default)]
struct Stream {
    head: Vec<u8>,
    body: Option<Body>,
}

impl Stream {
    fn push(&mut self, mut bytes: &[u8], from: Origin, out: &mut Vec<Arrived>) -> Result<(), Fault> {
        loop {
            if let Some(body) = &mut self.body {
                let count = bytes.len().min(body.left as usize);
                let (part, rest) = bytes.split_at(count);
                bytes = rest;
                body.left -= count as u32;
                let room = body.keep.saturating_sub(body.bytes.len());
                body.bytes.extend(part.iter().take(room));
                if body.left > 0 {
                    return Ok(());
                }
                out.extend(self.body.take().map(|body| body.arrived(from)));
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let count = bytes.len().min(AgentHeader::BYTES - self.head.len());
            let (part, rest) = bytes.split_at(count);
            bytes = rest;
            self.head.extend_from_slice(part);
            if self.head.len() == AgentHeader::BYTES {
                let header = AgentHeader::decode(&std::mem::take(&mut self.head).into())?;
                self.body = Some(Body::new(&header));
            }
        }
    }
}

impl Body {
    fn new(header: &AgentHeader) -> Self {
        let kind = header.kind.into();
        let is_too_long = header.size as usize > most(kind);
        Self {
            kind,
            size: header.size,
            left: header.size,
            keep: if is_too_long { LEAD } else { header.size as usize },
            // Grows by what really comes.
            bytes: Vec::new(),
        }
    }

    fn arrived(self, from: Origin) -> Arrived {
        let (kind, size) = (self.kind, self.size);
        if self.keep < size as usize {
            let lead = self.bytes.into();
            return Arrived::TooLong { kind, size, lead };
        }
        let body = self.bytes.into();
        Arrived::Message { from, kind, body }
    }
}

/// Reads the port.
#[derive(Debug, Default)]
pub struct Reader {
    header: Vec<u8>,
    chunk: Option<ChunkHeader>,
    client: Stream,
    server: Stream,
}

impl Reader {
    /// Takes up bytes of the port, as they come; what they complete goes to `out`.
    ///
    /// # Errors
    /// The host has to begin anew.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Arrived>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let Some(chunk) = &mut self.chunk else {
                let count = bytes.len().min(ChunkHeader::BYTES - self.header.len());
                let (part, rest) = bytes.split_at(count);
                bytes = rest;
                self.header.extend_from_slice(part);
                if let Some(header) = self.header.first_chunk() {
                    let chunk = ChunkHeader::decode(*header);
                    self.header.clear();
                    check(chunk)?;
                    self.chunk = (chunk.size > 0).then_some(chunk);
                }
                continue;
            };
            let count = bytes.len().min(chunk.size as usize);
            let (part, rest) = bytes.split_at(count);
            bytes = rest;
            let is_servers = chunk.port == SERVER_PORT;
            chunk.size -= count as u32;
            if chunk.size == 0 {
                self.chunk = None;
            }
            if is_servers {
                self.server.push(part, Origin::Server, out)?;
            } else {
                self.client.push(part, Origin::Client, out)?;
            }
        }
        Ok(())
    }
}

fn check(chunk: ChunkHeader) -> Result<(), Fault> {
    if chunk.port != CLIENT_PORT && chunk.port != SERVER_PORT {
        return Err(Fault::Port(chunk.port));
    }
    if chunk.size as usize > AGENT_DATA_MAX {
        return Err(Fault::Chunk(chunk.size));
    }
    Ok(())
}

/// Puts a message behind what is to be written to the port, in the clients' stream or, as only a server does, in its own.
pub fn write(stream: Origin, kind: AgentKind, body: &[u8], out: &mut Vec<u8>) {
    let port = match stream {
        Origin::Client => CLIENT_PORT,
        Origin::Server => SERVER_PORT,
    };
    let header = AgentHeader {
        protocol: AgentHeader::PROTOCOL,
        kind: kind.into(),
        opaque: 0,
        size: u32::try_from(body.len()).unwrap_or(u32::MAX),
    };
    let first = body.len().min(AGENT_DATA_MAX - AgentHeader::BYTES);
    let (first, rest) = body.split_at(first);
    chunk(port, &[&header.encode(), first], out);
    rest.chunks(AGENT_DATA_MAX).for_each(|part| chunk(port, &[part], out));
}

fn chunk(port: u32, parts: &[&[u8]], out: &mut Vec<u8>) {
    // At most as long as a constant.
    let size = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
    let header = ChunkHeader { port, size };
    out.extend_from_slice(&header.encode());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Arrived>, Fault> {
        let mut out = Vec::new();
        reader.push(bytes, &mut out)?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn messages_survive_any_cut(messages in vec((0..20_u32, vec(any::<u8>(), 0..5000)), 0..5), cut in 1..3000_usize) {
            let mut wire = Vec::new();
            messages.iter().for_each(|(kind, body)| write(Origin::Client, (*kind).into(), body, &mut wire));
            let mut reader = Reader::default();
            let mut out = Vec::new();
            for part in wire.chunks(cut) {
                reader.push(part, &mut out).unwrap();
            }
            let wanted: Vec<Arrived> = messages
                .into_iter()
                .map(|(kind, body)| Arrived::Message { from: Origin::Client, kind: kind.into(), body: body.into() })
                .collect();
            prop_assert_eq!(out, wanted);
        }

        #[test]
        fn any_bytes_are_messages_or_a_fault(bytes in vec(any::<u8>(), 0..4000), chunked: bool) {
            let mut reader = Reader::default();
            let mut wire = Vec::new();
            if chunked {
                bytes.chunks(700).for_each(|part| chunk(CLIENT_PORT, &[part], &mut wire));
            } else {
                wire = bytes;
            }
            let _ = read(&mut reader, &wire);
        }
    }

    fn header(kind: u32, size: u32) -> Vec<u8> {
        AgentHeader {
            protocol: 1,
            kind,
            opaque: 0,
            size,
        }
        .encode()
    }

    #[test]
    fn the_streams_are_put_together_each_by_itself() {
        let mut wire = Vec::new();
        write(Origin::Client, AgentKind::Clipboard, &[7; 4000], &mut wire);
        // Between the first and the second chunk.
        let mut servers = ChunkHeader {
            port: SERVER_PORT,
            size: 20,
        }
        .encode()
        .to_vec();
        servers.extend(header(13, 0));
        let at = ChunkHeader::BYTES + AGENT_DATA_MAX;
        wire.splice(at..at, servers);
        let arrived = read(&mut Reader::default(), &wire).unwrap();
        let kinds: Vec<AgentKind> = arrived
            .iter()
            .map(|arrived| match arrived {
                Arrived::Message { kind, .. } | Arrived::TooLong { kind, .. } => *kind,
            })
            .collect();
        assert_eq!(kinds, [AgentKind::ClientDisconnected, AgentKind::Clipboard]);
        assert!(matches!(
            arrived[0],
            Arrived::Message {
                from: Origin::Server,
                ..
            }
        ));
    }

    #[test]
    fn what_is_announced_takes_no_memory() {
        let mut reader = Reader::default();
        let mut wire = Vec::new();
        chunk(CLIENT_PORT, &[&header(4, 2 << 30)], &mut wire);
        assert_eq!(read(&mut reader, &wire), Ok(Vec::new()));
        let body = reader.client.body.as_ref().unwrap();
        assert_eq!((body.keep, body.bytes.capacity()), (LEAD, 0));
        // All of it comes; none of it is kept.
        let mut part = Vec::new();
        chunk(CLIENT_PORT, &[&[9; AGENT_DATA_MAX]], &mut part);
        for _ in 0..((2_u64 << 30) / AGENT_DATA_MAX as u64 - 1) / 4096 {
            assert_eq!(read(&mut reader, &part), Ok(Vec::new()));
        }
        assert_eq!(reader.client.body.as_ref().unwrap().bytes.len(), LEAD);
    }

    #[test]
    fn one_that_is_too_long_is_passed_over() {
        let mut wire = Vec::new();
        write(
            Origin::Client,
            AgentKind::AudioVolumeSync,
            &vec![1; MOST_OTHER + 1],
            &mut wire,
        );
        write(Origin::Client, AgentKind::MaxClipboard, &[0; 4], &mut wire);
        let arrived = read(&mut Reader::default(), &wire).unwrap();
        let lead = Bytes::from_static(&[1; LEAD]);
        let size = MOST_OTHER as u32 + 1;
        let kind = AgentKind::AudioVolumeSync;
        assert_eq!(arrived[0], Arrived::TooLong { kind, size, lead });
        assert_eq!(arrived.len(), 2);
    }

    #[test]
    fn a_host_that_breaks_the_protocol_is_told_from_one_that_does_not() {
        let of = |port, size| ChunkHeader { port, size }.encode();
        assert_eq!(read(&mut Reader::default(), &of(3, 1)), Err(Fault::Port(3)));
        assert_eq!(read(&mut Reader::default(), &of(1, 2049)), Err(Fault::Chunk(2049)));
        assert_eq!(read(&mut Reader::default(), &of(1, 0)), Ok(Vec::new()));
        let mut wire = Vec::new();
        chunk(CLIENT_PORT, &[&[2; AgentHeader::BYTES]], &mut wire);
        assert!(matches!(read(&mut Reader::default(), &wire), Err(Fault::Header(_))));
    }
}
