//! Files on their way to the guest: clients number theirs as they like, the agent knows one number each.

use std::collections::BTreeMap;

/// Files of one client at a time. A client sends a few; each takes a descriptor of the agent.
const MOST_OF_CLIENT: usize = 64;

/// The files.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// By the agent's number: whose, and the client's number.
    all: BTreeMap<u32, (u32, u32)>,
    next: u32,
}

impl Transfers {
    /// A new file: the agent's number. `None` if the client has too many, or one of this number.
    pub(super) fn start(&mut self, client: u32, id: u32) -> Option<u32> {
        if self.of(client).count() >= MOST_OF_CLIENT || self.find(client, id).is_some() {
            return None;
        }
        // Few are taken.
        while self.all.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.all.insert(number, (client, id));
        Some(number)
    }

    /// The agent's number of a client's file.
    pub(super) fn find(&self, client: u32, id: u32) -> Option<u32> {
        let mine = |entry: &(&u32, &(u32, u32))| *entry.1 == (client, id);
        self.all.iter().find(mine).map(|(number, _)| *number)
    }

    /// Whose file it is, and the client's number.
    pub(super) fn owner(&self, number: u32) -> Option<(u32, u32)> {
        self.all.get(&number).copied()
    }

    /// It is over.
    pub(super) fn end(&mut self, number: u32) {
        self.all.remove(&number);
    }

    /// The client is gone: its files.
    pub(super) fn leave(&mut self, client: u32) -> Vec<u32> {
        let gone: Vec<u32> = self.of(client).collect();
        gone.iter().for_each(|number| self.end(*number));
        gone
    }

    fn of(&self, client: u32) -> impl Iterator<Item = u32> {
        let entries = self.all.iter().filter(move |(_, (owner, _))| *owner == client);
        entries.map(|(number, _)| *number)
    }
}
