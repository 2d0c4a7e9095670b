//! Who has which selection, so that several clients do not get each other's.
//!
//! The guest has one owner of a selection at a time: its own programs, or one client. What the guest asks for, that client
//! is asked; what it answers goes to who asked.

use std::collections::{BTreeMap, VecDeque};

/// Questions of one selection that the guest has not answered.
const MOST_ASKED: usize = 64;

/// The selections there are: clipboard, primary, secondary.
const MOST_SELECTIONS: u8 = 3;

/// A question: who asked, for which type.
#[derive(Clone, Copy, Debug)]
struct Asked {
    client: u32,
    held: u32,
}

#[derive(Debug, Default)]
struct Selection {
    /// The client that has it.
    owner: Option<u32>,
    /// The guest has it.
    is_guests: bool,
    asked: VecDeque<Asked>,
}

/// All selections.
#[derive(Debug, Default)]
pub(super) struct Clipboards(BTreeMap<u8, Selection>);

impl Clipboards {
    fn selection(&mut self, number: u8) -> Option<&mut Selection> {
        (number < MOST_SELECTIONS).then(|| self.0.entry(number).or_default())
    }

    /// The guest has it now.
    pub(super) fn guest_grabs(&mut self, number: u8) {
        if let Some(selection) = self.selection(number) {
            selection.owner = None;
            selection.is_guests = true;
        }
    }

    /// The guest has it no more.
    pub(super) fn guest_releases(&mut self, number: u8) {
        if let Some(selection) = self.selection(number) {
            selection.is_guests = false;
        }
    }

    /// A client has it now. `None` if there is no such selection; whether it was the guest's.
    pub(super) fn client_grabs(&mut self, number: u8, client: u32) -> Option<bool> {
        let selection = self.selection(number)?;
        selection.owner = Some(client);
        Some(std::mem::take(&mut selection.is_guests))
    }

    /// Whether the client has it.
    pub(super) fn is_owner(&mut self, number: u8, client: u32) -> bool {
        self.owner(number) == Some(client)
    }

    /// The client that has it.
    pub(super) fn owner(&mut self, number: u8) -> Option<u32> {
        self.selection(number)?.owner
    }

    /// The client has it no more; false if it had it not.
    pub(super) fn client_releases(&mut self, number: u8, client: u32) -> bool {
        let was = self.is_owner(number, client);
        if was && let Some(selection) = self.selection(number) {
            selection.owner = None;
        }
        was
    }

    /// A client asks the guest for it; false if there is no such selection.
    pub(super) fn asks(&mut self, number: u8, client: u32, held: u32) -> bool {
        let Some(selection) = self.selection(number) else {
            return false;
        };
        if selection.asked.len() == MOST_ASKED {
            selection.asked.pop_front();
        }
        selection.asked.push_back(Asked { client, held });
        true
    }

    /// Who asked for what the guest answers with.
    pub(super) fn answered(&mut self, number: u8, held: u32) -> Option<u32> {
        let asked = &mut self.selection(number)?.asked;
        // "None" is an answer to any question.
        let at = asked
            .iter()
            .position(|asked| asked.held == held)
            .or_else(|| (held == 0 && !asked.is_empty()).then_some(0))?;
        asked.remove(at).map(|asked| asked.client)
    }

    /// The client is gone; what it had.
    pub(super) fn leave(&mut self, client: u32) -> Vec<u8> {
        let mut had = Vec::new();
        for (number, selection) in &mut self.0 {
            selection.asked.retain(|asked| asked.client != client);
            if selection.owner == Some(client) {
                selection.owner = None;
                had.push(*number);
            }
        }
        had
    }
}
