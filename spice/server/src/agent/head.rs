//! The begin of a message between client and agent: what decides where it goes.

use caraway_protocol::main_channel::{AgentHeader, AgentKind};

use super::AgentFault;

/// The first word of an announcement of capabilities is behind whether an answer is wanted.
const ANNOUNCED: usize = 8;

/// Bytes in front of messages about a selection: its number, and three of no meaning.
pub(super) const PREFIX: usize = 4;

/// The number of a file, and in a message of how it fares, that.
const FILE: usize = 4;
const STATUS: usize = 8;

/// The type of what a selection holds.
const HELD: usize = 4;

/// A message's header, and what has to be known of what follows it. Of messages that are shorter than that, all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: AgentKind,
    opaque: u64,
    /// Bytes behind the header, those of `lead` among them.
    pub(super) size: u32,
    pub(super) lead: Vec<u8>,
}

impl Head {
    /// A message of the server's own that is no longer than this.
    pub(super) fn whole(kind: AgentKind, body: Vec<u8>) -> Self {
        Self {
            kind,
            opaque: 0,
            size: u32::try_from(body.len()).unwrap_or(u32::MAX),
            lead: body,
        }
    }

    /// Bytes of the message that follow these.
    pub(super) fn left(&self) -> u64 {
        u64::from(self.size).saturating_sub(self.lead.len() as u64)
    }

    /// The word at `at` of what follows the header.
    pub(super) fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.lead.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    /// Puts another word at `at`, if there is one.
    pub(super) fn set_word(&mut self, at: usize, word: u32) {
        let place = self.lead.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
        if let Some(place) = place {
            *place = word.to_le_bytes();
        }
    }

    /// Puts a selection in front.
    pub(super) fn add_prefix(&mut self, selection: u8) {
        self.size = self.size.saturating_add(PREFIX as u32);
        self.lead.splice(..0, [selection, 0, 0, 0]);
    }

    /// Takes the selection away.
    pub(super) fn remove_prefix(&mut self) {
        let bytes = PREFIX.min(self.lead.len());
        self.size = self.size.saturating_sub(bytes as u32);
        self.lead.drain(..bytes);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let header = AgentHeader {
            protocol: AgentHeader::PROTOCOL,
            kind: self.kind.into(),
            opaque: self.opaque,
            size: self.size,
        };
        let mut bytes = header.encode();
        bytes.extend_from_slice(&self.lead);
        bytes
    }
}

/// How many bytes behind the header of such a message have to be known.
fn lead_bytes(kind: AgentKind, has_prefix: bool) -> usize {
    let prefix = if has_prefix { PREFIX } else { 0 };
    match kind {
        AgentKind::AnnounceCapabilities => ANNOUNCED,
        AgentKind::Clipboard | AgentKind::ClipboardRequest => prefix + HELD,
        AgentKind::ClipboardGrab | AgentKind::ClipboardRelease => prefix,
        AgentKind::FileXferStart | AgentKind::FileXferData => FILE,
        AgentKind::FileXferStatus => STATUS,
        _ => 0,
    }
}

/// Gathers the begin of the next message.
#[derive(Debug, Default)]
pub(super) struct Gather(Vec<u8>);

impl Gather {
    /// Takes what it needs of `bytes`: how many, and the begin if it is complete. `has_prefix` is whether messages about
    /// selections name them.
    pub(super) fn take(&mut self, bytes: &[u8], has_prefix: bool) -> Result<(usize, Option<Head>), AgentFault> {
        let mut used = self.fill(bytes, AgentHeader::BYTES);
        let Some(header) = self.header()? else {
            return Ok((used, None));
        };
        let lead = lead_bytes(header.kind.into(), has_prefix).min(header.size as usize);
        let needed = AgentHeader::BYTES + lead;
        used += self.fill(bytes.get(used..).unwrap_or_default(), needed);
        if self.0.len() < needed {
            return Ok((used, None));
        }
        let lead = self.0.split_off(AgentHeader::BYTES);
        self.0.clear();
        let head = Head {
            kind: header.kind.into(),
            opaque: header.opaque,
            size: header.size,
            lead,
        };
        Ok((used, Some(head)))
    }

    /// Whether a message has begun.
    pub(super) const fn has_begun(&self) -> bool {
        !self.0.is_empty()
    }

    fn fill(&mut self, bytes: &[u8], needed: usize) -> usize {
        let count = needed.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend(bytes.iter().take(count));
        count
    }

    fn header(&self) -> Result<Option<AgentHeader>, AgentFault> {
        let Some(bytes) = self.0.first_chunk::<{ AgentHeader::BYTES }>() else {
            return Ok(None);
        };
        let header = AgentHeader::decode(&bytes.to_vec().into()).map_err(AgentFault::Header)?;
        Ok(Some(header))
    }
}
