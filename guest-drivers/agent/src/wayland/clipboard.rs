//! The clipboard and what is marked with the mouse: what programs have is offered to the client, what the client has to
//! programs. Contents go through pipes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use caraway_protocol::agent::{AgentMessage, ClipboardKind, Selection};
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use wayland_client::QueueHandle;
use wayland_client::backend::ObjectId;
use wayland_client::protocol::wl_seat::WlSeat;

use super::State;
use super::control::{Device, Manager, Offer, Source};
use crate::link::Link;
use crate::log::note;
use crate::port::MOST_CLIPBOARD;
use crate::queue::{self, Queue};
use crate::session::nothing;

/// How long a program or the client may take for its next step.
const PATIENCE: Duration = Duration::from_secs(15);
/// Questions that wait, of each side.
const MOST_WAITING: usize = 16;
/// Pipes that are written to.
const MOST_WRITING: usize = 64;
/// Names of an offer, and bytes of one.
const MOST_NAMES: usize = 256;
const MOST_NAME: usize = 256;
/// Offers that are not selected yet.
const MOST_OFFERS: usize = 64;
/// Among what we offer: tells our own offers from those of programs.
const OURS: &str = "application/x-caraway-agent";

const KINDS: [(ClipboardKind, &[&str]); 5] = [
    (
        ClipboardKind::Text,
        &[
            "text/plain;charset=utf-8",
            "UTF8_STRING",
            "text/plain",
            "TEXT",
            "STRING",
        ],
    ),
    (ClipboardKind::Png, &["image/png"]),
    (ClipboardKind::Bmp, &["image/bmp", "image/x-bmp", "image/x-MS-bmp"]),
    (ClipboardKind::Tiff, &["image/tiff"]),
    (ClipboardKind::Jpeg, &["image/jpeg"]),
];

fn names(kind: ClipboardKind) -> &'static [&'static str] {
    KINDS
        .iter()
        .find(|(other, _)| *other == kind)
        .map_or(&[], |(_, names)| names)
}

/// A program that wants what the client has.
#[derive(Debug)]
struct Waiting {
    kind: ClipboardKind,
    to: OwnedFd,
    since: Instant,
}

/// What is written to a program.
#[derive(Debug)]
struct Writing {
    to: OwnedFd,
    queue: Queue,
    since: Instant,
}

/// What is read from a program.
#[derive(Debug)]
struct Reading {
    kind: ClipboardKind,
    from: OwnedFd,
    bytes: Vec<u8>,
    since: Instant,
}

/// One of the clipboards.
#[derive(Debug, Default)]
struct Held {
    /// Of a program: each kind, and its name there.
    offer: Option<(Offer, BTreeMap<u32, &'static str>)>,
    /// The client's: what we stand for it with, and what it has.
    source: Option<(Source, Vec<ClipboardKind>)>,
    waiting: VecDeque<Waiting>,
    reading: Option<Reading>,
    asked: VecDeque<ClipboardKind>,
}

/// Both of them.
#[derive(Debug)]
pub(super) struct Clipboards {
    manager: Manager,
    device: Device,
    handle: QueueHandle<State>,
    /// Of which it is not known yet where they belong.
    offers: HashMap<ObjectId, (Offer, Vec<String>)>,
    held: [(Selection, Held); 2],
    writing: Vec<Writing>,
    is_active: bool,
    most: usize,
}

impl Clipboards {
    pub(super) fn new(manager: Manager, seat: &WlSeat, handle: QueueHandle<State>) -> Self {
        let device = manager.device(seat, &handle);
        Self {
            manager,
            device,
            handle,
            offers: HashMap::new(),
            held: [Selection::Clipboard, Selection::Primary].map(|selection| (selection, Held::default())),
            writing: Vec::new(),
            is_active: false,
            most: 0,
        }
    }

    /// There is a client: what programs have is offered to it.
    pub(super) fn activate(&mut self, most: u64, out: &mut Vec<Link>) {
        self.is_active = true;
        self.most = usize::try_from(most).unwrap_or(usize::MAX).min(MOST_CLIPBOARD);
        self.held
            .iter()
            .for_each(|(selection, held)| held.tell(*selection, out));
    }

    /// There is none any more: what it had is nobody's.
    pub(super) fn deactivate(&mut self) {
        self.is_active = false;
        for (selection, held) in &mut self.held {
            held.drop_client(&self.device, *selection);
            held.reading = None;
            held.asked.clear();
        }
    }

    pub(super) fn take(&mut self, message: AgentMessage, out: &mut Vec<Link>) {
        match message {
            AgentMessage::ClipboardGrab { selection, kinds, .. } => {
                let Some(held) = find(&mut self.held, selection) else {
                    return;
                };
                let source = self.manager.source(selection, &self.handle);
                source.offer(OURS);
                kinds
                    .iter()
                    .flat_map(|kind| names(*kind))
                    .for_each(|name| source.offer(name));
                self.device.set(selection, Some(&source));
                // The one before is told that it is no more, and destroyed then.
                held.source = Some((source, kinds));
                held.waiting.clear();
            }
            AgentMessage::ClipboardRelease { selection } => {
                if let Some(held) = find(&mut self.held, selection) {
                    held.drop_client(&self.device, selection);
                }
            }
            AgentMessage::ClipboardRequest { selection, kind } => match find(&mut self.held, selection) {
                Some(held) if held.asked.len() < MOST_WAITING => {
                    held.asked.push_back(kind);
                    held.ask_next(selection, out);
                }
                _ => out.push(nothing(selection)),
            },
            AgentMessage::Clipboard { selection, kind, data } => self.answered(selection, kind, &data),
            _ => {}
        }
    }

    /// The client answers: the first who waits for this kind has it.
    fn answered(&mut self, selection: Selection, kind: ClipboardKind, data: &Bytes) {
        let Some(held) = find(&mut self.held, selection) else {
            return;
        };
        let is_nothing = kind == ClipboardKind::None;
        let place = held
            .waiting
            .iter()
            .position(|waiting| is_nothing || waiting.kind == kind);
        let Some(waiting) = place.and_then(|place| held.waiting.remove(place)) else {
            return;
        };
        // Without an answer the pipe is closed, which is as empty as a program can be told.
        if !is_nothing && self.writing.len() < MOST_WRITING && unblock(&waiting.to) {
            let mut queue = Queue::default();
            queue.back().extend_from_slice(data);
            let (to, since) = (waiting.to, Instant::now());
            self.writing.push(Writing { to, queue, since });
        }
    }

    /// An offer that belongs somewhere soon.
    pub(super) fn offered(&mut self, id: ObjectId, offer: Offer) {
        if self.offers.len() >= MOST_OFFERS {
            offer.destroy();
        } else {
            self.offers.insert(id, (offer, Vec::new()));
        }
    }

    /// One of its names.
    pub(super) fn named(&mut self, id: &ObjectId, name: String) {
        if let Some((_, names)) = self.offers.get_mut(id)
            && names.len() < MOST_NAMES
            && name.len() <= MOST_NAME
        {
            names.push(name);
        }
    }

    /// Something else is in a clipboard.
    pub(super) fn selected(&mut self, selection: Selection, id: Option<ObjectId>, out: &mut Vec<Link>) {
        let is_active = self.is_active;
        let offer = id.and_then(|id| self.offers.remove(&id));
        let Some(held) = find(&mut self.held, selection) else {
            return;
        };
        let had_offer = held.offer.as_ref().is_some_and(|(_, kinds)| !kinds.is_empty());
        held.fail(selection, out);
        if let Some((before, _)) = held.offer.take() {
            before.destroy();
        }
        if let Some((offer, seen)) = offer {
            if seen.iter().any(|name| name == OURS) {
                // The client knows what it has.
                offer.destroy();
                return;
            }
            let best = |names: &[&'static str]| names.iter().copied().find(|name| seen.iter().any(|seen| seen == name));
            let kinds = KINDS
                .iter()
                .filter_map(|(kind, names)| Some((u32::from(*kind), best(names)?)));
            held.offer = Some((offer, kinds.collect()));
        }
        if !is_active {
            return;
        }
        if held.offer.as_ref().is_some_and(|(_, kinds)| !kinds.is_empty()) {
            held.tell(selection, out);
        } else if had_offer {
            out.push(Link::Agent(AgentMessage::ClipboardRelease { selection }));
        }
    }

    /// A program wants what the client has.
    pub(super) fn asked(
        &mut self,
        selection: Selection,
        source: &ObjectId,
        name: &str,
        to: OwnedFd,
        out: &mut Vec<Link>,
    ) {
        let is_active = self.is_active;
        let Some(held) = find(&mut self.held, selection) else {
            return;
        };
        let Some((_, kinds)) = held.source.as_ref().filter(|(ours, _)| ours.id() == *source) else {
            return;
        };
        let kind = kinds.iter().copied().find(|kind| names(*kind).contains(&name));
        if let Some(kind) = kind.filter(|_| is_active && held.waiting.len() < MOST_WAITING) {
            let since = Instant::now();
            held.waiting.push_back(Waiting { kind, to, since });
            out.push(Link::Agent(AgentMessage::ClipboardRequest { selection, kind }));
        }
    }

    /// Somebody else has the clipboard that the client had.
    pub(super) fn cancelled(&mut self, selection: Selection, source: &ObjectId) {
        if let Some(held) = find(&mut self.held, selection)
            && held.source.as_ref().is_some_and(|(ours, _)| ours.id() == *source)
        {
            held.source = None;
        }
    }

    /// There is no clipboard any more.
    pub(super) fn finish(&mut self, out: &mut Vec<Link>) {
        for selection in [Selection::Clipboard, Selection::Primary] {
            self.selected(selection, None, out);
        }
    }

    /// Pipes that are waited for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let reading = self.held.iter().filter_map(|(_, held)| held.reading.as_ref());
        let reading = reading.map(|reading| (reading.from.as_fd(), PollFlags::IN));
        reading.chain(self.writing.iter().map(|writing| (writing.to.as_fd(), PollFlags::OUT)))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let reading = self
            .held
            .iter()
            .filter_map(|(_, held)| held.reading.as_ref().map(|reading| reading.since));
        let waiting = self
            .held
            .iter()
            .filter_map(|(_, held)| held.waiting.front().map(|waiting| waiting.since));
        let writing = self.writing.iter().map(|writing| writing.since);
        reading
            .chain(waiting)
            .chain(writing)
            .min()
            .map(|since| since + PATIENCE)
    }

    /// Reads and writes what can be without waiting, and gives up on who has had enough time.
    pub(super) fn go_on(&mut self, out: &mut Vec<Link>) {
        for (selection, held) in &mut self.held {
            held.read(*selection, self.most, out);
            while held.waiting.front().is_some_and(|waiting| is_late(waiting.since)) {
                held.waiting.pop_front();
            }
        }
        self.writing.retain_mut(|writing| {
            match writing.queue.write(&writing.to) {
                Ok(true) => writing.since = Instant::now(),
                Ok(false) => {}
                // It has enough.
                Err(_) => return false,
            }
            !writing.queue.is_empty() && !is_late(writing.since)
        });
    }
}

impl Held {
    /// Says what a program has, if one has something.
    fn tell(&self, selection: Selection, out: &mut Vec<Link>) {
        if let Some((_, kinds)) = self.offer.as_ref().filter(|(_, kinds)| !kinds.is_empty()) {
            let kinds = kinds.keys().map(|kind| (*kind).into()).collect();
            out.push(Link::Agent(AgentMessage::ClipboardGrab {
                selection,
                serial: None,
                kinds,
            }));
        }
    }

    fn drop_client(&mut self, device: &Device, selection: Selection) {
        self.waiting.clear();
        if let Some((source, _)) = self.source.take() {
            device.set(selection, None);
            source.destroy();
        }
    }

    /// Nobody will answer any more.
    fn fail(&mut self, selection: Selection, out: &mut Vec<Link>) {
        let open = usize::from(self.reading.take().is_some()) + self.asked.drain(..).count();
        (0..open).for_each(|_| out.push(nothing(selection)));
    }

    /// Asks the next question, if none is open.
    fn ask_next(&mut self, selection: Selection, out: &mut Vec<Link>) {
        while self.reading.is_none()
            && let Some(kind) = self.asked.pop_front()
        {
            match self.ask(kind) {
                Some(reading) => self.reading = Some(reading),
                None => out.push(nothing(selection)),
            }
        }
    }

    fn ask(&self, kind: ClipboardKind) -> Option<Reading> {
        let (offer, kinds) = self.offer.as_ref()?;
        let name = kinds.get(&kind.into())?;
        let (from, to) = std::io::pipe().ok()?;
        offer.receive(name, to.as_fd());
        let from = OwnedFd::from(from);
        let (bytes, since) = (Vec::new(), Instant::now());
        unblock(&from).then_some(Reading {
            kind,
            from,
            bytes,
            since,
        })
    }

    /// Reads what has come.
    fn read(&mut self, selection: Selection, most: usize, out: &mut Vec<Link>) {
        let mut buffer = [0; 64 << 10];
        while let Some(reading) = &mut self.reading {
            let answer = match queue::read(&reading.from, &mut buffer) {
                Ok(Some([])) if is_late(reading.since) => None,
                Ok(Some([])) => return,
                Ok(Some(bytes)) if bytes.len() <= most.saturating_sub(reading.bytes.len()) => {
                    reading.bytes.extend_from_slice(bytes);
                    reading.since = Instant::now();
                    continue;
                }
                Ok(Some(_)) => {
                    note("a program gives more of a selection than is taken");
                    None
                }
                Ok(None) => Some((reading.kind, std::mem::take(&mut reading.bytes))),
                Err(_) => None,
            };
            self.reading = None;
            out.push(answer.map_or_else(
                || nothing(selection),
                |(kind, bytes)| {
                    let data = convert(kind, bytes);
                    Link::Agent(AgentMessage::Clipboard { selection, kind, data })
                },
            ));
            self.ask_next(selection, out);
        }
    }
}

/// Text is UTF-8, whatever a program says.
fn convert(kind: ClipboardKind, bytes: Vec<u8>) -> Bytes {
    if kind != ClipboardKind::Text {
        return bytes.into();
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    text.trim_end_matches('\0').to_owned().into()
}

fn find(held: &mut [(Selection, Held); 2], selection: Selection) -> Option<&mut Held> {
    held.iter_mut()
        .find(|(other, _)| *other == selection)
        .map(|(_, held)| held)
}

fn unblock(pipe: &OwnedFd) -> bool {
    rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK).is_ok()
}

fn is_late(since: Instant) -> bool {
    since.elapsed() >= PATIENCE
}
