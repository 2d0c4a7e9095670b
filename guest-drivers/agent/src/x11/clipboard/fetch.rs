//! What programs have, for the client: one question at a time, large answers piece by piece.

use std::collections::VecDeque;
use std::time::Instant;

use caraway_protocol::agent::{AgentMessage, ClipboardKind, Selection};
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, GetPropertyReply, SelectionNotifyEvent, Window};
use x11rb::rust_connection::RustConnection;

use super::{Atoms, Held, Owner, convert};
use crate::link::Link;
use crate::log::note;
use crate::session::{DesktopError, nothing};

/// Questions of the client that wait.
const MOST_WAITING: usize = 16;
/// Bytes of a list of names.
const MOST_TARGETS: u32 = 64 << 10;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Targets,
    Data(ClipboardKind),
}

/// A question that a program has to answer.
#[derive(Debug)]
struct Open {
    what: What,
    target: Atom,
    since: Instant,
    /// It comes piece by piece: what has come, and the type it has.
    pieces: Option<(Atom, Vec<u8>)>,
}

/// The questions about a selection.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    open: Option<Open>,
    waiting: VecDeque<ClipboardKind>,
    /// The client still has an offer of the program before.
    pub(super) offered_before: bool,
}

impl Fetch {
    /// Since when a program is waited for.
    pub(super) fn since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.since)
    }

    /// The client is gone. The list of names stays of use.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.offered_before = false;
        if self.open.as_ref().is_some_and(|open| open.what != What::Targets) {
            self.open = None;
        }
    }

    /// Nobody will answer any more.
    pub(super) fn fail(&mut self, selection: Selection, out: &mut Vec<Link>) {
        if self.open.take().is_some_and(|open| open.what != What::Targets) {
            out.push(nothing(selection));
        }
        self.waiting.drain(..).for_each(|_| out.push(nothing(selection)));
    }

    pub(super) fn ask_targets(
        &mut self,
        connection: &RustConnection,
        window: Window,
        name: Atom,
        property: Atom,
        atoms: &Atoms,
    ) -> Result<(), DesktopError> {
        self.ask(connection, window, name, property, What::Targets, atoms.TARGETS)
    }

    fn ask(
        &mut self,
        connection: &RustConnection,
        window: Window,
        name: Atom,
        property: Atom,
        what: What,
        target: Atom,
    ) -> Result<(), DesktopError> {
        connection.delete_property(window, property)?;
        connection.convert_selection(window, name, target, property, x11rb::CURRENT_TIME)?;
        self.open = Some(Open {
            what,
            target,
            since: Instant::now(),
            pieces: None,
        });
        Ok(())
    }
}

impl Held {
    /// The client asks for what a program has.
    pub(super) fn ask_program(
        &mut self,
        connection: &RustConnection,
        window: Window,
        kind: ClipboardKind,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        if self.fetch.waiting.len() >= MOST_WAITING {
            out.push(nothing(self.selection));
            return Ok(());
        }
        self.fetch.waiting.push_back(kind);
        self.ask_next(connection, window, out)
    }

    /// Asks the next question, if none is open.
    fn ask_next(
        &mut self,
        connection: &RustConnection,
        window: Window,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        while self.fetch.open.is_none()
            && let Some(kind) = self.fetch.waiting.pop_front()
        {
            let target = match &self.owner {
                Owner::Program(offer) => offer
                    .iter()
                    .find(|(offered, _)| *offered == kind)
                    .map(|(_, name)| *name),
                Owner::Nobody | Owner::Client(_) => None,
            };
            match target {
                Some(target) => {
                    let what = What::Data(kind);
                    self.fetch
                        .ask(connection, window, self.name, self.property, what, target)?;
                }
                None => out.push(nothing(self.selection)),
            }
        }
        Ok(())
    }

    /// The open question is not answered.
    pub(super) fn failed(
        &mut self,
        connection: &RustConnection,
        window: Window,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        match self.fetch.open.take().map(|open| open.what) {
            Some(What::Data(_)) => out.push(nothing(self.selection)),
            Some(What::Targets) => self.know(Vec::new(), true, out),
            None => {}
        }
        self.ask_next(connection, window, out)
    }

    /// A program says that its answer is there.
    #[allow(clippy::too_many_arguments)] // What all of them have in common is the event's.
    pub(super) fn given(
        &mut self,
        connection: &RustConnection,
        window: Window,
        event: &SelectionNotifyEvent,
        is_active: bool,
        most: usize,
        atoms: &Atoms,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        let Some(open) = self.fetch.open.as_mut().filter(|open| open.target == event.target) else {
            // Of a question that was given up.
            return Ok(());
        };
        if event.property == x11rb::NONE {
            return self.failed(connection, window, out);
        }
        let limit = if open.what == What::Targets {
            MOST_TARGETS as usize
        } else {
            most
        };
        let Some(property) = read(connection, window, event.property, limit)? else {
            note("a program gives more of a selection than is taken");
            return self.failed(connection, window, out);
        };
        if property.type_ == atoms.INCR {
            // Deleting the property, which reading did, is what the program waits for.
            open.pieces = Some((x11rb::NONE, Vec::new()));
            open.since = Instant::now();
            return Ok(());
        }
        match open.what {
            What::Targets => {
                self.fetch.open = None;
                let targets: Vec<Atom> = property.value32().into_iter().flatten().collect();
                self.know(convert::offered(&targets, atoms), is_active, out);
            }
            What::Data(kind) => {
                self.fetch.open = None;
                self.answer(kind, property.type_, property.value, out);
            }
        }
        self.ask_next(connection, window, out)
    }

    /// A piece of a large answer is there.
    pub(super) fn more(
        &mut self,
        connection: &RustConnection,
        window: Window,
        most: usize,
        _atoms: &Atoms,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        let Some(open) = &mut self.fetch.open else {
            return Ok(());
        };
        let (Some((kind, bytes)), What::Data(asked)) = (&mut open.pieces, open.what) else {
            return Ok(());
        };
        let Some(property) = read(connection, window, self.property, most.saturating_sub(bytes.len()))? else {
            note("a program gives more of a selection than is taken");
            return self.failed(connection, window, out);
        };
        open.since = Instant::now();
        if !property.value.is_empty() {
            *kind = property.type_;
            bytes.extend(property.value);
            return Ok(());
        }
        let (kind, bytes) = (*kind, std::mem::take(bytes));
        self.fetch.open = None;
        self.answer(asked, kind, bytes, out);
        self.ask_next(connection, window, out)
    }

    fn answer(&self, kind: ClipboardKind, given: Atom, bytes: Vec<u8>, out: &mut Vec<Link>) {
        let data = convert::to_client(kind, given, bytes);
        let selection = self.selection;
        out.push(Link::Agent(AgentMessage::Clipboard { selection, kind, data }));
    }

    /// It is known what the program has.
    fn know(&mut self, offer: Vec<(ClipboardKind, Atom)>, is_active: bool, out: &mut Vec<Link>) {
        let had_offer = std::mem::take(&mut self.fetch.offered_before);
        if !matches!(self.owner, Owner::Program(_)) {
            return;
        }
        let is_empty = offer.is_empty();
        self.owner = Owner::Program(offer);
        if is_active && !is_empty {
            self.offer(out);
        } else if is_active && had_offer {
            let selection = self.selection;
            out.push(Link::Agent(AgentMessage::ClipboardRelease { selection }));
        }
    }
}

/// Reads and deletes a property; `None`, and it stays, if it has more bytes.
fn read(
    connection: &RustConnection,
    window: Window,
    property: Atom,
    most: usize,
) -> Result<Option<GetPropertyReply>, DesktopError> {
    // In words of 4 bytes. It is deleted only if all of it is read.
    let words = u32::try_from(most / 4 + 1).unwrap_or(u32::MAX);
    let reply = connection
        .get_property(true, window, property, AtomEnum::ANY, 0, words)?
        .reply()?;
    Ok((reply.bytes_after == 0 && reply.value.len() <= most).then_some(reply))
}
