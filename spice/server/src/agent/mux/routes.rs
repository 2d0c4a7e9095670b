//! Which messages pass, to whom, and how they begin there.

use bytes::Bytes;
use caraway_protocol::main_channel::{AGENT_DATA_MAX, AgentCaps, AgentHeader, AgentKind, AgentMonitor, ServerMessage};

use super::{
    super::{
        AgentFault,
        from_guest::{Clients, Targets},
        head::{Head, PREFIX},
        to_guest::Piece,
    },
    CANCELLED, CAPS, Presence, STANDS_IN, Shared,
    client::{Body, Client, Fate, monitors},
};

impl Shared {
    /// Whether the agent names selections.
    pub(super) fn agent_has_prefix(&self) -> bool {
        (self.agent_caps & self.told_caps).contains(AgentCaps::CLIPBOARD_SELECTION)
    }

    /// Whether a client does.
    fn client_has_prefix(&self, client: &Client) -> bool {
        (self.agent_caps & client.caps).contains(AgentCaps::CLIPBOARD_SELECTION)
    }

    pub(super) fn give_back(&mut self, id: u32, tokens: u32) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.back = client.back.saturating_add(tokens);
        }
    }

    pub(super) fn data(&mut self, id: u32, bytes: Bytes) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
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
                self.told_displays = None;
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
pub(super) fn status(file: u32, result: u32) -> Head {
    let body = [file.to_le_bytes(), result.to_le_bytes()].concat();
    Head::whole(AgentKind::FileXferStatus, body)
}

/// Somebody has a selection no more.
pub(super) fn release(selection: u8, has_prefix: bool) -> Head {
    let body = if has_prefix {
        vec![selection, 0, 0, 0]
    } else {
        Vec::new()
    };
    Head::whole(AgentKind::ClipboardRelease, body)
}
