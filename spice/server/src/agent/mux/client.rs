//! A client of the agent.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use caraway_protocol::main_channel::{AgentCaps, AgentMonitor, ServerMessage, Tokens};

use super::{
    super::{AgentFault, head::Gather, to_guest::Piece},
    TOKENS,
};

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    /// It is told how many messages it may send when an agent comes.
    pub(super) takes_tokens: bool,
    /// It was told that there is one.
    pub(super) knows: bool,
    /// It has said AGENT_START since the agent came.
    pub(super) started: bool,
    pub(super) caps: AgentCaps,
    pub(super) may_send: Tokens,
    pub(super) may_get: Tokens,
    /// Tokens that go back to it.
    pub(super) back: u32,
    /// What it is sent.
    pub(super) out: VecDeque<ServerMessage>,
    /// Messages of the agent among those.
    pub(super) waiting: usize,
    pub(super) gather: Gather,
    pub(super) body: Option<Body>,
    /// AGENT_DATA messages that the begin of a message came in.
    pub(super) held: u32,
    pub(super) pieces: VecDeque<Piece>,
    /// Since when it keeps the agent from others.
    pub(super) keeps_since: Option<Duration>,
}

/// The rest of a message from a client.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) left: u64,
    pub(super) fate: Fate,
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Fate {
    Dropped,
    /// The agent gets it.
    Passed,
    /// It says which monitors the client wants, and the guest's driver takes that. What there is of it.
    Monitors(Vec<u8>),
}

impl Client {
    /// One that connects.
    pub(super) fn new(takes_tokens: bool, knows: bool) -> Self {
        Self {
            takes_tokens,
            knows,
            started: false,
            caps: AgentCaps::empty(),
            may_send: Tokens::new(TOKENS),
            may_get: Tokens::default(),
            back: 0,
            out: VecDeque::new(),
            waiting: 0,
            gather: Gather::default(),
            body: None,
            held: 0,
            pieces: VecDeque::new(),
            keeps_since: None,
        }
    }

    /// What belongs to an agent that is there no more.
    pub(super) fn forget_agent(&mut self) {
        // What waits in pieces has used tokens.
        let unsent: u32 = self.pieces.drain(..).map(|piece| piece.tokens).sum();
        self.back = self.back.saturating_add(unsent);
        // Also what it was to be told of agents meanwhile: a guest may open and close its port as often as it likes.
        self.out.clear();
        (self.waiting, self.started, self.keeps_since) = (0, false, None);
        (self.gather, self.body, self.held) = (Gather::default(), None, 0);
    }

    /// Takes the next part of a message whose begin is known.
    pub(super) fn go_on(&mut self, bytes: Bytes) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
        let Some(mut body) = self.body.take() else {
            return Ok(None);
        };
        let Some(left) = body.left.checked_sub(bytes.len() as u64) else {
            return Err(AgentFault::Beyond {
                bytes: bytes.len(),
                left: body.left,
            });
        };
        body.left = left;
        let passed = matches!(body.fate, Fate::Passed);
        if let Fate::Monitors(collected) = &mut body.fate {
            collected.extend_from_slice(&bytes);
        }
        if passed {
            self.pieces.push_back(Piece {
                bytes,
                begins: None,
                tokens: 1,
            });
        } else {
            self.back = self.back.saturating_add(1);
        }
        if left > 0 {
            self.body = Some(body);
            return Ok(None);
        }
        match body.fate {
            Fate::Monitors(collected) => monitors(collected).map(Some),
            _ => Ok(None),
        }
    }
}

/// The monitors of a whole message.
pub(super) fn monitors(body: Vec<u8>) -> Result<Vec<AgentMonitor>, AgentFault> {
    AgentMonitor::decode(&body.into()).map_err(AgentFault::Monitors)
}
