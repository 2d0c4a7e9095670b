//! One agent, several clients: a state machine without I/O.

mod client;
mod routes;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use caraway_protocol::main_channel::{AgentCaps, AgentKind, AgentMonitor, ServerMessage, Tokens};

use self::{
    client::Client,
    routes::{release, status},
};
use super::{
    AgentFault, AgentMouse, AgentPolicy,
    clipboard::Clipboards,
    from_guest::FromGuest,
    head::Head,
    to_guest::{Next, ToGuest},
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
    /// As the agent was last told.
    mouse: AgentMouse,
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
    /// What it was told of the displays since it said what it can do.
    told_displays: Option<Vec<u8>>,
    clients: BTreeMap<u32, Client>,
    clipboards: Clipboards,
    transfers: Transfers,
}

/// What a client is told when it connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) is_connected: bool,
    pub(crate) tokens: u32,
}

impl Mux {
    pub(crate) fn new(policy: AgentPolicy) -> Self {
        Self {
            from_guest: FromGuest::default(),
            to_guest: ToGuest::default(),
            mouse: AgentMouse::default(),
            shared: Shared {
                policy,
                presence: Presence::Nobody,
                driver_takes: false,
                agent_caps: AgentCaps::empty(),
                told_caps: AgentCaps::empty(),
                told_displays: None,
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
        self.mouse = AgentMouse::default();
        shared.clipboards = Clipboards::default();
        shared.transfers = Transfers::default();
        (shared.agent_caps, shared.told_caps) = (AgentCaps::empty(), AgentCaps::empty());
        shared.told_displays = None;
        for client in shared.clients.values_mut() {
            client.forget_agent();
            if client.knows {
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
        self.from_guest.push(bytes, &mut self.shared)?;
        if !self.takes_mouse() {
            // It was said to before: nobody would let go later.
            self.release_buttons();
        }
        Ok(())
    }

    /// Whether the agent moves the pointer.
    pub(crate) fn takes_mouse(&self) -> bool {
        self.is_open() && self.shared.agent_caps.contains(AgentCaps::MOUSE_STATE)
    }

    /// Tells the agent of the displays, if it wants to know and has not been told the same. Whether it is told.
    pub(crate) fn tell_displays(&mut self, displays: impl FnOnce() -> Option<Vec<u8>>) -> bool {
        if !self.is_open() || !self.shared.agent_caps.contains(AgentCaps::GRAPHICS_DEVICE_INFO) {
            return false;
        }
        match displays() {
            Some(now) if self.shared.told_displays.as_ref() != Some(&now) => {
                self.to_guest
                    .tell(Head::whole(AgentKind::GraphicsDeviceInfo, now.clone()));
                self.shared.told_displays = Some(now);
                true
            }
            _ => false,
        }
    }

    /// Where the pointer is, if the agent moves it.
    pub(crate) fn point(&mut self, mouse: &AgentMouse) {
        if self.takes_mouse() {
            self.mouse = *mouse;
            self.to_guest.point(mouse);
        }
    }

    /// Lets go of the buttons that are down, also of an agent that does not move the pointer any more.
    pub(crate) fn release_buttons(&mut self) {
        if self.is_open() && self.mouse.buttons != 0 {
            self.mouse.buttons = 0;
            self.to_guest.point(&self.mouse);
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
        let client = Client::new(takes_tokens, self.shared.presence != Presence::Nobody);
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
        match client.out.front()? {
            ServerMessage::AgentData(_) => {
                if !client.may_get.take() {
                    return None;
                }
                client.waiting = client.waiting.saturating_sub(1);
                client.keeps_since = None;
            }
            ServerMessage::AgentDisconnected(_) => client.knows = false,
            _ => client.knows = true,
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

#[cfg(test)]
#[path = "mux_tests.rs"]
mod tests;
