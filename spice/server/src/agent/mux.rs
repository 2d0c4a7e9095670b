//! One agent, several clients: a state machine without I/O.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use caraway_protocol::main_channel::{
    AGENT_DATA_MAX, AgentCaps, AgentHeader, AgentKind, AgentMonitor, ServerMessage, Tokens,
};

use super::{
    AgentFault, AgentMouse, AgentPolicy,
    clipboard::Clipboards,
    from_guest::{Clients, FromGuest, Targets},
    head::{Gather, Head, PREFIX},
    to_guest::{Next, Piece, ToGuest},
    transfers::Transfers,
};

/// Messages that a client may send before it is given more: the reference's figure.
pub(crate) const TOKENS: u32 = 10;

/// So many go back together: the reference's figure.
const TOGETHER: u32 = 5;

/// Messages that wait for a client before the agent is not read any more.
const MOST_WAITING: usize = 16;

/// A client that has kept the agent from others for so long is gone: the reference's figure.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a transfer comes to.
const CANCELLED: u32 = 1;

/// Where the first word of capabilities is, behind whether an answer is wanted.
const CAPS: usize = 4;

/// A client.
#[derive(Debug)]
struct Client {
    /// It is told how many messages it may send when an agent comes.
    takes_tokens: bool,
    /// It has said AGENT_START since the agent came.
    started: bool,
    caps: AgentCaps,
    may_send: Tokens,
    may_get: Tokens,
    /// Tokens that go back to it.
    back: u32,
    /// What it is sent.
    out: VecDeque<ServerMessage>,
    /// Messages of the agent among those.
    waiting: usize,
    gather: Gather,
    body: Option<Body>,
    /// AGENT_DATA messages that the begin of a message came in.
    held: u32,
    pieces: VecDeque<Piece>,
    /// Since when it keeps the agent from others.
    keeps_since: Option<Duration>,
}

/// The rest of a message from a client.
#[derive(Debug)]
struct Body {
    left: u64,
    fate: Fate,
}

/// What becomes of a message.
#[derive(Debug)]
enum Fate {
    Dropped,
    /// The agent gets it.
    Passed,
    /// It says which monitors the client wants, and the guest's driver takes that. What there is of it.
    Monitors(Vec<u8>),
}

/// What clients are told of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// No agent.
    Nobody,
    /// An agent, which is none: the guest's driver takes which monitors a client wants, and clients tell that to agents
    /// only.
    StandIn,
    /// The agent.
    Agent,
}

/// What somebody who stands in for an agent can do.
const STANDS_IN: AgentCaps = AgentCaps::MONITORS_CONFIG
    .union(AgentCaps::SPARSE_MONITORS_CONFIG)
    .union(AgentCaps::MONITORS_CONFIG_POSITION)
    .union(AgentCaps::FILE_XFER_DISABLED);

/// The state of the agent and its clients.
#[derive(Debug)]
pub(crate) struct Mux {
    from_guest: FromGuest,
    to_guest: ToGuest,
    shared: Shared,
}

/// What both directions need.
#[derive(Debug)]
struct Shared {
    policy: AgentPolicy,
    presence: Presence,
    /// The guest's driver takes which monitors a client wants.
    driver_takes: bool,
    /// What the agent said that it can do.
    agent_caps: AgentCaps,
    /// What it was told that its client can do.
    told_caps: AgentCaps,
    clients: BTreeMap<u32, Client>,
    clipboards: Clipboards,
    transfers: Transfers,
}

/// What a client is told when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) is_connected: bool,
    pub(crate) tokens: u32,
}

impl Mux {
    pub(crate) fn new(policy: AgentPolicy) -> Self {
        Self {
            from_guest: FromGuest::default(),
            to_guest: ToGuest::default(),
            shared: Shared {
                policy,
                presence: Presence::Nobody,
                driver_takes: false,
                agent_caps: AgentCaps::empty(),
                told_caps: AgentCaps::empty(),
                clients: BTreeMap::new(),
                clipboards: Clipboards::default(),
                transfers: Transfers::default(),
            },
        }
    }

    /// Whether there is an agent.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.presence == Presence::Agent
    }

    /// The agent has come: nothing of one before counts.
    pub(crate) fn opened(&mut self) {
        self.become_present(Presence::Agent);
    }

    /// The agent has gone.
    pub(crate) fn closed(&mut self) {
        self.become_present(if self.shared.driver_takes {
            Presence::StandIn
        } else {
            Presence::Nobody
        });
    }

    /// Whether the guest's driver takes which monitors a client wants.
    pub(crate) fn set_driver_takes(&mut self, takes: bool) {
        self.shared.driver_takes = takes;
        match (self.shared.presence, takes) {
            (Presence::Nobody, true) | (Presence::StandIn, false) => self.closed(),
            _ => {}
        }
    }

    fn become_present(&mut self, presence: Presence) {
        let shared = &mut self.shared;
        let before = std::mem::replace(&mut shared.presence, presence);
        if before == Presence::Nobody && presence == Presence::Nobody {
            return;
        }
        self.from_guest = FromGuest::default();
        self.to_guest = ToGuest::default();
        shared.clipboards = Clipboards::default();
        shared.transfers = Transfers::default();
        (shared.agent_caps, shared.told_caps) = (AgentCaps::empty(), AgentCaps::empty());
        for client in shared.clients.values_mut() {
            client.forget_agent();
            if before != Presence::Nobody {
                client.out.push_back(ServerMessage::AgentDisconnected(0));
            }
            if presence == Presence::Nobody {
                continue;
            }
            client.out.push_back(if client.takes_tokens {
                // It counts anew.
                (client.may_send, client.back) = (Tokens::new(TOKENS), 0);
                ServerMessage::AgentConnectedTokens(TOKENS)
            } else {
                ServerMessage::AgentConnected
            });
        }
    }

    /// Whether bytes of the agent are to be read: nobody has to catch up.
    pub(crate) fn reads(&self) -> bool {
        let mut clients = self.shared.clients.values();
        clients.all(|client| client.waiting < MOST_WAITING)
    }

    /// Bytes of the agent.
    ///
    /// # Errors
    /// It has broken the protocol, and has to begin anew.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), AgentFault> {
        self.from_guest.push(bytes, &mut self.shared)
    }

    /// Whether the agent moves the pointer.
    pub(crate) fn takes_mouse(&self) -> bool {
        self.is_open() && self.shared.agent_caps.contains(AgentCaps::MOUSE_STATE)
    }

    /// Where the pointer is, if the agent moves it.
    pub(crate) fn point(&mut self, mouse: &AgentMouse) {
        if self.takes_mouse() {
            self.to_guest.point(mouse);
        }
    }

    /// What is to be written to the agent.
    pub(crate) fn writes(&mut self) -> &[u8] {
        let clients = &mut self.shared.clients;
        self.to_guest.bytes(|next| match next {
            Next::Of(client) => Some((client, clients.get_mut(&client)?.pieces.pop_front()?)),
            Next::After(last) => {
                let has_some = |(_, client): &(&u32, &Client)| !client.pieces.is_empty();
                let after = clients.range(last.saturating_add(1)..).find(has_some);
                let id = *after.or_else(|| clients.range(..=last).find(has_some))?.0;
                Some((id, clients.get_mut(&id)?.pieces.pop_front()?))
            }
        })
    }

    /// So many bytes of that were.
    pub(crate) fn wrote(&mut self, count: usize) {
        if let Some((id, tokens)) = self.to_guest.wrote(count) {
            self.shared.give_back(id, tokens);
        }
    }

    /// A client connects.
    pub(crate) fn join(&mut self, id: u32, takes_tokens: bool) -> Joined {
        let client = Client {
            takes_tokens,
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
        };
        self.shared.clients.insert(id, client);
        Joined {
            is_connected: self.shared.presence != Presence::Nobody,
            tokens: TOKENS,
        }
    }

    /// A client is gone.
    ///
    /// # Errors
    /// The agent has to begin anew: it waits for more of a message than one would make up.
    pub(crate) fn leave(&mut self, id: u32) -> Result<(), AgentFault> {
        let Some(client) = self.shared.clients.remove(&id) else {
            return Ok(());
        };
        if !self.is_open() {
            return Ok(());
        }
        self.to_guest.leave(id)?;
        for number in self.shared.transfers.leave(id) {
            self.to_guest.tell_for_client(status(number, CANCELLED));
        }
        let had = self.shared.clipboards.leave(id);
        if self.shared.clients.values().any(|client| client.started) {
            for selection in had {
                let has_prefix = self.shared.agent_has_prefix();
                self.to_guest.tell_for_client(release(selection, has_prefix));
            }
        } else if client.started {
            self.shared.told_caps = AgentCaps::empty();
            self.to_guest
                .tell(Head::whole(AgentKind::ClientDisconnected, Vec::new()));
        }
        Ok(())
    }

    /// A client wants to talk to the agent, and takes so many messages.
    pub(crate) fn start(&mut self, id: u32, tokens: u32) {
        let is_present = self.shared.presence != Presence::Nobody;
        if let Some(client) = self.shared.clients.get_mut(&id) {
            client.started = is_present;
            client.may_get = Tokens::new(tokens);
        }
    }

    /// A client takes so many more.
    pub(crate) fn grant(&mut self, id: u32, tokens: u32) {
        if let Some(client) = self.shared.clients.get_mut(&id) {
            client.may_get.grant(tokens);
        }
    }

    /// A part of a client's messages. The monitors it wants, if this was the end of a message that says so and the guest's
    /// driver takes that.
    ///
    /// # Errors
    /// The client has broken the protocol, and is to be cut off.
    pub(crate) fn data(&mut self, id: u32, bytes: Bytes) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
        self.shared.data(id, bytes)
    }

    /// What a client is sent next.
    pub(crate) fn next(&mut self, id: u32) -> Option<ServerMessage> {
        let client = self.shared.clients.get_mut(&id)?;
        if client.back >= TOGETHER && client.started {
            let tokens = std::mem::take(&mut client.back);
            client.may_send.grant(tokens);
            return Some(ServerMessage::AgentToken(tokens));
        }
        if matches!(client.out.front()?, ServerMessage::AgentData(_)) {
            if !client.may_get.take() {
                return None;
            }
            client.waiting = client.waiting.saturating_sub(1);
            client.keeps_since = None;
        }
        client.out.pop_front()
    }

    /// Whether there is something to send to a client.
    pub(crate) fn has_next(&self, id: u32) -> bool {
        self.shared.clients.get(&id).is_some_and(|client| {
            (client.back >= TOGETHER && client.started)
                || match client.out.front() {
                    Some(ServerMessage::AgentData(_)) => client.may_get.left() > 0,
                    other => other.is_some(),
                }
        })
    }

    /// Whether several clients talk to the agent, and may keep each other waiting.
    pub(crate) fn has_several(&self) -> bool {
        self.shared.clients.values().filter(|client| client.started).count() > 1
    }

    /// The clients that have kept the agent from others for too long: they do not take what it sent, or do not go on with a
    /// message.
    pub(crate) fn stalled(&mut self, now: Duration) -> Vec<u32> {
        let unfinished = self.to_guest.waits_for();
        let has_others = self.has_several();
        let clients = &mut self.shared.clients;
        let mut gone = Vec::new();
        for (id, client) in clients {
            let keeps = has_others && (client.waiting >= MOST_WAITING || unfinished == Some(*id));
            if !keeps {
                client.keeps_since = None;
            } else if now.saturating_sub(*client.keeps_since.get_or_insert(now)) >= PATIENCE {
                gone.push(*id);
            }
        }
        gone
    }
}

impl Client {
    /// What belongs to an agent that is there no more.
    fn forget_agent(&mut self) {
        // What waits in pieces has used tokens.
        let unsent: u32 = self.pieces.drain(..).map(|piece| piece.tokens).sum();
        self.back = self.back.saturating_add(unsent);
        self.out
            .retain(|message| !matches!(message, ServerMessage::AgentData(_)));
        (self.waiting, self.started, self.keeps_since) = (0, false, None);
        (self.gather, self.body, self.held) = (Gather::default(), None, 0);
    }

    /// Takes the next part of a message whose begin is known.
    fn go_on(&mut self, bytes: Bytes) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
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
fn monitors(body: Vec<u8>) -> Result<Vec<AgentMonitor>, AgentFault> {
    AgentMonitor::decode(&body.into()).map_err(AgentFault::Monitors)
}

impl Shared {
    /// Whether the agent names selections.
    fn agent_has_prefix(&self) -> bool {
        (self.agent_caps & self.told_caps).contains(AgentCaps::CLIPBOARD_SELECTION)
    }

    /// Whether a client does.
    fn client_has_prefix(&self, client: &Client) -> bool {
        (self.agent_caps & client.caps).contains(AgentCaps::CLIPBOARD_SELECTION)
    }

    fn give_back(&mut self, id: u32, tokens: u32) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.back = client.back.saturating_add(tokens);
        }
    }

    fn data(&mut self, id: u32, bytes: Bytes) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
        let Some(client) = self.clients.get_mut(&id) else {
            return Ok(None);
        };
        if !client.started && client.takes_tokens {
            // What was on its way when the agent went, or came again: it is not counted.
            return Ok(None);
        }
        if !client.may_send.take() {
            return Err(AgentFault::Tokens);
        }
        if !client.started {
            client.back = client.back.saturating_add(1);
            return Ok(None);
        }
        if bytes.len() > AGENT_DATA_MAX {
            return Err(AgentFault::Long(bytes.len()));
        }
        if client.body.is_some() {
            return client.go_on(bytes);
        }
        if !client.gather.has_begun() && bytes.len() < AgentHeader::BYTES {
            return Err(AgentFault::Short(bytes.len()));
        }
        let has_prefix = (self.agent_caps & client.caps).contains(AgentCaps::CLIPBOARD_SELECTION);
        let (used, head) = client.gather.take(&bytes, has_prefix)?;
        client.held = client.held.saturating_add(1);
        let Some(head) = head else {
            return Ok(None);
        };
        let tokens = std::mem::take(&mut client.held);
        self.begin(id, head, &bytes.slice(used..), tokens)
    }

    /// A client's message begins, and `rest` with it.
    fn begin(
        &mut self,
        id: u32,
        head: Head,
        rest: &Bytes,
        tokens: u32,
    ) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
        let Some(left) = head.left().checked_sub(rest.len() as u64) else {
            return Err(AgentFault::Beyond {
                bytes: rest.len(),
                left: head.left(),
            });
        };
        let is_for_driver = self.driver_takes && head.kind == AgentKind::MonitorsConfig;
        if is_for_driver && head.size > AgentMonitor::MOST_BYTES {
            return Err(AgentFault::ManyMonitors(head.size));
        }
        let admitted = if is_for_driver { None } else { self.admit(id, head) };
        let Some(client) = self.clients.get_mut(&id) else {
            return Ok(None);
        };
        let fate = match admitted {
            Some(head) => {
                let mut begin = head.encode();
                begin.extend_from_slice(rest);
                client.pieces.push_back(Piece {
                    begins: Some(begin.len() as u64 + left),
                    bytes: begin.into(),
                    tokens,
                });
                Fate::Passed
            }
            None => {
                client.back = client.back.saturating_add(tokens);
                if is_for_driver {
                    Fate::Monitors(rest.to_vec())
                } else {
                    Fate::Dropped
                }
            }
        };
        match fate {
            Fate::Monitors(body) if left == 0 => monitors(body).map(Some),
            _ if left == 0 => Ok(None),
            fate => {
                client.body = Some(Body { left, fate });
                Ok(None)
            }
        }
    }

    /// Whether a client's message goes to the agent, and how it begins there.
    fn admit(&mut self, id: u32, mut head: Head) -> Option<Head> {
        if self.presence == Presence::StandIn {
            self.stand_in(id, &head);
            return None;
        }
        let client = self.clients.get(&id)?;
        match head.kind {
            AgentKind::ClipboardGrab
            | AgentKind::Clipboard
            | AgentKind::ClipboardRelease
            | AgentKind::ClipboardRequest => {
                let has_prefix = self.client_has_prefix(client);
                self.admit_clipboard(id, head, has_prefix)
            }
            AgentKind::FileXferStart | AgentKind::FileXferData | AgentKind::FileXferStatus => {
                if !self.policy.file_transfer {
                    return None;
                }
                let file = head.word(0)?;
                let number = if head.kind == AgentKind::FileXferStart {
                    let Some(number) = self.transfers.start(id, file) else {
                        self.deliver(id, status(file, CANCELLED).encode().into());
                        return None;
                    };
                    number
                } else {
                    self.transfers.find(id, file)?
                };
                if head.kind == AgentKind::FileXferStatus {
                    // All that a client says of a file is that it will not send it.
                    self.transfers.end(number);
                }
                head.set_word(0, number);
                Some(head)
            }
            AgentKind::AnnounceCapabilities => {
                let caps = AgentCaps::from_bits_retain(head.word(CAPS).unwrap_or_default());
                self.clients.get_mut(&id)?.caps = caps;
                let told = self.common_caps();
                self.told_caps = told;
                head.set_word(CAPS, told.bits());
                Some(head)
            }
            // The server tells of the mouse, and of clients that leave.
            AgentKind::MouseState | AgentKind::ClientDisconnected | AgentKind::GraphicsDeviceInfo => None,
            _ => Some(head),
        }
    }

    /// Answers in place of an agent.
    fn stand_in(&mut self, id: u32, head: &Head) {
        let wants_answer = head.word(0).is_some_and(|word| word != 0);
        if head.kind == AgentKind::AnnounceCapabilities && wants_answer {
            let body = [0u32.to_le_bytes(), STANDS_IN.bits().to_le_bytes()].concat();
            let answer = Head::whole(AgentKind::AnnounceCapabilities, body);
            self.deliver(id, answer.encode().into());
        }
    }

    /// What the agent may take its clients for: what they all can, but for selections, which are told apart here for those
    /// that have one. Numbers of grabs are left out: each client counts from 0.
    fn common_caps(&self) -> AgentCaps {
        let clients = || {
            self.clients
                .values()
                .map(|client| client.caps)
                .filter(|caps| !caps.is_empty())
        };
        let all = clients().reduce(|a, b| a & b).unwrap_or_default();
        let some = clients().fold(AgentCaps::empty(), |a, b| a | b) | self.told_caps;
        let all = all | (some & AgentCaps::CLIPBOARD_SELECTION);
        all - AgentCaps::CLIPBOARD_GRAB_SERIAL
    }

    fn admit_clipboard(&mut self, id: u32, mut head: Head, has_prefix: bool) -> Option<Head> {
        let selection = if has_prefix { *head.lead.first()? } else { 0 };
        let to_guest = head.kind != AgentKind::ClipboardRequest;
        if !(if to_guest {
            self.policy.clipboard_to_guest
        } else {
            self.policy.clipboard_to_client
        }) {
            return None;
        }
        let held = head.word(if has_prefix { PREFIX } else { 0 });
        let admitted = match head.kind {
            AgentKind::ClipboardGrab => {
                if self.clipboards.client_grabs(selection, id)? {
                    // The others still offer the guest's.
                    let others: Vec<u32> = self.clients.keys().copied().filter(|other| *other != id).collect();
                    for other in others {
                        self.release_at(other, selection);
                    }
                }
                true
            }
            AgentKind::Clipboard => self.clipboards.is_owner(selection, id),
            AgentKind::ClipboardRelease => self.clipboards.client_releases(selection, id),
            _ => self.clipboards.asks(selection, id, held?),
        };
        let agent_has_prefix = self.agent_has_prefix();
        if agent_has_prefix && !has_prefix {
            head.add_prefix(0);
        } else if has_prefix && !agent_has_prefix {
            head.remove_prefix();
        }
        admitted.then_some(head)
    }

    /// Tells a client that the guest has a selection no more.
    fn release_at(&mut self, id: u32, selection: u8) {
        let Some(client) = self.clients.get(&id).filter(|client| client.started) else {
            return;
        };
        let has_prefix = self.client_has_prefix(client);
        if has_prefix || selection == 0 {
            self.deliver(id, release(selection, has_prefix).encode().into());
        }
    }

    /// The same for every client that is there.
    fn everybody(&self, head: &Head) -> Targets {
        let started = self.clients.iter().filter(|(_, client)| client.started);
        Targets {
            clients: started.map(|(id, _)| (*id, head.clone())).collect(),
        }
    }

    /// A message about a selection as a client has it; not if it knows only one, and it is another.
    fn selection_for(&self, id: u32, head: &Head, has_prefix: bool, selection: u8) -> Option<(u32, Head)> {
        let client = self.clients.get(&id).filter(|client| client.started)?;
        let mut head = head.clone();
        match (has_prefix, self.client_has_prefix(client)) {
            (true, false) if selection != 0 => return None,
            (true, false) => head.remove_prefix(),
            (false, true) => head.add_prefix(0),
            _ => {}
        }
        Some((id, head))
    }

    fn route_clipboard(&mut self, head: &Head) -> Option<Targets> {
        let has_prefix = self.agent_has_prefix();
        let selection = if has_prefix { *head.lead.first()? } else { 0 };
        let from_guest = head.kind != AgentKind::ClipboardRequest;
        if !(if from_guest {
            self.policy.clipboard_to_client
        } else {
            self.policy.clipboard_to_guest
        }) {
            return None;
        }
        let held = head.word(if has_prefix { PREFIX } else { 0 });
        let one = match head.kind {
            AgentKind::ClipboardGrab => {
                self.clipboards.guest_grabs(selection);
                None
            }
            AgentKind::ClipboardRelease => {
                self.clipboards.guest_releases(selection);
                None
            }
            AgentKind::Clipboard => Some(self.clipboards.answered(selection, held?)?),
            _ => Some(self.clipboards.owner(selection)?),
        };
        let ids = self
            .clients
            .keys()
            .copied()
            .filter(|id| one.is_none_or(|one| one == *id));
        Some(Targets {
            clients: ids
                .filter_map(|id| self.selection_for(id, head, has_prefix, selection))
                .collect(),
        })
    }

    fn route_status(&mut self, mut head: Head) -> Option<Targets> {
        let (number, result) = (head.word(0)?, head.word(4)?);
        let (client, file) = self.transfers.owner(number)?;
        // Only "go on" is not the end.
        if result != 0 {
            self.transfers.end(number);
        }
        head.set_word(0, file);
        Some(Targets {
            clients: vec![(client, head)],
        })
    }
}

impl Clients for Shared {
    fn has_prefix(&self) -> bool {
        self.agent_has_prefix()
    }

    fn route(&mut self, mut head: Head) -> Targets {
        match head.kind {
            AgentKind::AnnounceCapabilities => {
                let mut caps = AgentCaps::from_bits_retain(head.word(CAPS).unwrap_or_default());
                if !self.policy.clipboard_to_guest && !self.policy.clipboard_to_client {
                    caps -= AgentCaps::CLIPBOARD | AgentCaps::CLIPBOARD_BY_DEMAND | AgentCaps::CLIPBOARD_SELECTION;
                }
                if !self.policy.file_transfer {
                    caps |= AgentCaps::FILE_XFER_DISABLED;
                }
                caps -= AgentCaps::CLIPBOARD_GRAB_SERIAL;
                self.agent_caps = caps;
                head.set_word(CAPS, caps.bits());
                self.everybody(&head)
            }
            AgentKind::Clipboard
            | AgentKind::ClipboardGrab
            | AgentKind::ClipboardRequest
            | AgentKind::ClipboardRelease => self.route_clipboard(&head).unwrap_or_default(),
            AgentKind::FileXferStatus => self.route_status(head).unwrap_or_default(),
            // Clients send files, and get none; the rest is the server's.
            AgentKind::FileXferStart
            | AgentKind::FileXferData
            | AgentKind::MouseState
            | AgentKind::ClientDisconnected
            | AgentKind::GraphicsDeviceInfo => Targets::default(),
            _ => self.everybody(&head),
        }
    }

    fn deliver(&mut self, id: u32, bytes: Bytes) {
        if let Some(client) = self.clients.get_mut(&id).filter(|client| client.started) {
            client.waiting += 1;
            client.out.push_back(ServerMessage::AgentData(bytes));
        }
    }
}

/// How a file fares.
fn status(file: u32, result: u32) -> Head {
    let body = [file.to_le_bytes(), result.to_le_bytes()].concat();
    Head::whole(AgentKind::FileXferStatus, body)
}

/// Somebody has a selection no more.
fn release(selection: u8, has_prefix: bool) -> Head {
    let body = if has_prefix {
        vec![selection, 0, 0, 0]
    } else {
        Vec::new()
    };
    Head::whole(AgentKind::ClipboardRelease, body)
}

#[cfg(test)]
#[path = "mux_tests.rs"]
mod tests;
