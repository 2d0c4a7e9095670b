//! A minimal guest agent on the VDIPort: it announces what it can do, is an echo for text in the clipboard, and moves the
//! pointer when it is told to.
//!
//! When a client takes the clipboard, the agent asks for its text, makes the ASCII letters in it capitals, and takes the
//! clipboard with the result. Messages are those of the SPICE agent protocol, in chunks with a header of 8 bytes.

use caraway_guest_rt::input::{BUTTON_LEFT, BUTTON_MIDDLE, BUTTON_RIGHT};
use caraway_guest_rt::once::TakeOnce;
use caraway_guest_rt::print;
use caraway_guest_rt::vdiport::{StartedOver, VdiPort, VdiPortError};

/// Text in the clipboard at most; a longer one is ignored.
const TEXT_MAX: usize = 64 << 10;
/// Type of the data, before the text.
const CLIPBOARD_HEAD: usize = 4;
const BODY_MAX: usize = CLIPBOARD_HEAD + TEXT_MAX;
/// What waits to be sent at most: a clipboard in chunks, with room for what is short.
const OUTGOING_MAX: usize = TEXT_MAX + 4096;

const CHUNK_HEAD: usize = 8;
const CHUNK_MAX: usize = 2048;
const CLIENT_PORT: u32 = 1;
const SERVER_PORT: u32 = 2;

const MESSAGE_HEAD: usize = 20;
const PROTOCOL: u32 = 1;
const MOUSE_STATE: u32 = 1;
const CLIPBOARD: u32 = 4;
const ANNOUNCE_CAPABILITIES: u32 = 6;
const CLIPBOARD_GRAB: u32 = 7;
const CLIPBOARD_REQUEST: u32 = 8;

/// CLIPBOARD_BY_DEMAND and GUEST_LINEEND_LF. Without CLIPBOARD_SELECTION there is one clipboard, and messages have no prefix.
const CAPABILITIES: u32 = 1 << 5 | 1 << 8;
/// MOUSE_STATE: clients say where the pointer is.
const CAN_POINT: u32 = 1;
/// x, y, buttons, display.
const MOUSE_BODY: usize = 13;
/// Buttons of a mouse state: left, middle, right, and the wheel away from the user and towards.
const LEFT: u32 = 1 << 1;
const MIDDLE: u32 = 1 << 2;
const RIGHT: u32 = 1 << 3;
const UP: u32 = 1 << 4;
const DOWN: u32 = 1 << 5;
const NONE: u32 = 0;
const UTF8_TEXT: u32 = 1;

/// Bytes read at a time.
const STEP: usize = 2048;
/// Steps in a row: the guest has more to do than this.
const STEPS: usize = 64;

static BUFFERS: TakeOnce<Buffers> = TakeOnce::new(Buffers {
    body: [0; BODY_MAX],
    text: [0; TEXT_MAX],
    outgoing: [0; OUTGOING_MAX],
});

struct Buffers {
    body: [u8; BODY_MAX],
    text: [u8; TEXT_MAX],
    outgoing: [u8; OUTGOING_MAX],
}

/// Where the pointer is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pointing {
    pub(crate) x: i32,
    pub(crate) y: i32,
    /// Buttons held, as a mouse has them.
    pub(crate) buttons: u8,
    /// What the wheel is held at, positive towards the user.
    pub(crate) wheel: i32,
}

impl Pointing {
    fn new(x: u32, y: u32, buttons: u32) -> Self {
        let held = |mask, value| if buttons & mask != 0 { value } else { 0 };
        Self {
            x: i32::try_from(x).unwrap_or(i32::MAX),
            y: i32::try_from(y).unwrap_or(i32::MAX),
            buttons: held(LEFT, BUTTON_LEFT) | held(MIDDLE, BUTTON_MIDDLE) | held(RIGHT, BUTTON_RIGHT),
            wheel: i32::from(held(DOWN, 1)) - i32::from(held(UP, 1)),
        }
    }
}

/// A violation of the protocol by the other side.
struct Malformed;

/// A head that comes byte by byte.
struct Head<const N: usize> {
    bytes: [u8; N],
    count: usize,
}

impl<const N: usize> Head<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            count: 0,
        }
    }

    /// Takes what it lacks off the front.
    fn fill(&mut self, from: &mut &[u8]) {
        while let (Some(cell), Some((byte, rest))) = (self.bytes.get_mut(self.count), from.split_first()) {
            *cell = *byte;
            self.count += 1;
            *from = rest;
        }
    }

    fn is_whole(&self) -> bool {
        self.count == N
    }

    fn word(&self, at: usize) -> u32 {
        word(&self.bytes, at)
    }
}

/// The little-endian word at an offset; 0 where there is none.
fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.copied().map_or(0, u32::from_le_bytes)
}

/// The agent.
pub(crate) struct Agent {
    port: VdiPort,
    buffers: &'static mut Buffers,
    chunk: Head<CHUNK_HEAD>,
    /// Bytes left of the chunk.
    chunk_left: usize,
    message: Head<MESSAGE_HEAD>,
    /// The beginning of what the server says itself, which is one chunk.
    mouse: Head<{ MESSAGE_HEAD + MOUSE_BODY }>,
    /// Whether clients may say where the pointer is.
    can_point: bool,
    /// Bytes there are of the message's body.
    body: usize,
    /// Length of the text in the clipboard.
    text: usize,
    /// What is to be sent: from, to.
    outgoing: (usize, usize),
    /// What the client has announced last.
    client: u32,
}

impl Agent {
    /// Connects and announces itself.
    pub(crate) fn open() -> Result<Self, VdiPortError> {
        let port = VdiPort::open()?;
        let buffers = BUFFERS.take().ok_or(VdiPortError::Taken)?;
        let mut agent = Self {
            port,
            buffers,
            chunk: Head::new(),
            chunk_left: 0,
            message: Head::new(),
            mouse: Head::new(),
            can_point: false,
            body: 0,
            text: 0,
            outgoing: (0, 0),
            client: 0,
        };
        agent.start_over();
        Ok(agent)
    }

    /// Prints what there is to know.
    pub(crate) fn print_state(&self) {
        print!(
            "agent generation={} client={:08x} clipboard={}\n",
            self.port.generation(),
            self.client,
            self.text
        );
    }

    /// Says whether clients may have the pointer in client mode.
    pub(crate) fn set_pointing(&mut self, can_point: bool) {
        self.can_point = can_point;
        self.announce(false);
    }

    /// Reads, answers and sends as far as it goes; `point` is given where the pointer is to be.
    pub(crate) fn attend(&mut self, mut point: impl FnMut(Pointing)) {
        for _ in 0..STEPS {
            match self.step(&mut point) {
                Ok(false) => return,
                Ok(true) => {}
                Err(StartedOver) => self.start_over(),
            }
        }
    }

    /// Whether there may be more.
    fn step(&mut self, point: &mut impl FnMut(Pointing)) -> Result<bool, StartedOver> {
        self.send()?;
        let mut bytes = [0; STEP];
        let count = self.port.read(&mut bytes)?;
        if self.receive(bytes.get(..count).unwrap_or_default(), point).is_err() {
            print!("demo: agent: the other side breaks the protocol\n");
            self.port.reopen();
            self.start_over();
        }
        self.send()?;
        Ok(count > 0)
    }

    /// Begins a connection: nothing of the last one counts.
    fn start_over(&mut self) {
        self.chunk = Head::new();
        self.chunk_left = 0;
        self.message = Head::new();
        self.body = 0;
        self.outgoing = (0, 0);
        self.client = 0;
        self.announce(true);
    }

    fn receive(&mut self, mut bytes: &[u8], point: &mut impl FnMut(Pointing)) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if self.chunk_left == 0 {
                self.chunk.fill(&mut bytes);
                if !self.chunk.is_whole() {
                    return Ok(());
                }
                let size = self.chunk.word(4) as usize;
                if !matches!(self.chunk.word(0), CLIENT_PORT | SERVER_PORT) || size > CHUNK_MAX {
                    return Err(Malformed);
                }
                self.chunk_left = size;
                self.mouse = Head::new();
            } else {
                let (mut data, rest) = bytes.split_at(self.chunk_left.min(bytes.len()));
                self.chunk_left -= data.len();
                bytes = rest;
                if self.chunk.word(0) == CLIENT_PORT {
                    self.assemble(data)?;
                } else if !self.mouse.is_whole() {
                    self.mouse.fill(&mut data);
                    if self.mouse.is_whole() && self.mouse.word(4) == MOUSE_STATE {
                        let [x, y, buttons] = [0, 4, 8].map(|at| self.mouse.word(MESSAGE_HEAD + at));
                        point(Pointing::new(x, y, buttons));
                    }
                }
            }
            if self.chunk_left == 0 {
                self.chunk = Head::new();
            }
        }
        Ok(())
    }

    fn assemble(&mut self, mut data: &[u8]) -> Result<(), Malformed> {
        while !data.is_empty() {
            self.message.fill(&mut data);
            if !self.message.is_whole() {
                return Ok(());
            }
            if self.message.word(0) != PROTOCOL {
                return Err(Malformed);
            }
            let size = self.message.word(16) as usize;
            let (part, rest) = data.split_at((size - self.body).min(data.len()));
            data = rest;
            // Of what is too long, the beginning is enough to know that.
            if let Some(body) = self.buffers.body.get_mut(self.body..) {
                for (cell, byte) in body.iter_mut().zip(part) {
                    *cell = *byte;
                }
            }
            self.body += part.len();
            if self.body == size {
                let kind = self.message.word(4);
                self.message = Head::new();
                self.body = 0;
                if size <= BODY_MAX {
                    self.answer(kind, size);
                }
            }
        }
        Ok(())
    }

    /// Answers a message whose body has come.
    fn answer(&mut self, kind: u32, size: usize) {
        let body = self.buffers.body.get(..size).unwrap_or_default();
        let first = word(body, 0);
        match kind {
            ANNOUNCE_CAPABILITIES => {
                self.client = word(body, 4);
                if first != 0 {
                    self.announce(false);
                }
            }
            CLIPBOARD_GRAB if body.chunks_exact(4).any(|kind| word(kind, 0) == UTF8_TEXT) => {
                self.queue(CLIPBOARD_REQUEST, &[UTF8_TEXT], 0);
            }
            CLIPBOARD if first == UTF8_TEXT => {
                let text = body.get(CLIPBOARD_HEAD..).unwrap_or_default();
                self.text = text.len();
                for (cell, byte) in self.buffers.text.iter_mut().zip(text) {
                    *cell = byte.to_ascii_uppercase();
                }
                self.queue(CLIPBOARD_GRAB, &[UTF8_TEXT], 0);
            }
            CLIPBOARD_REQUEST if first == UTF8_TEXT => self.queue(CLIPBOARD, &[UTF8_TEXT], self.text),
            CLIPBOARD_REQUEST => self.queue(CLIPBOARD, &[NONE], 0),
            // A client that lets go of the clipboard leaves the guest its text. Others are for agents that can do more.
            _ => {}
        }
    }

    fn announce(&mut self, request: bool) {
        let capabilities = CAPABILITIES | if self.can_point { CAN_POINT } else { 0 };
        self.queue(ANNOUNCE_CAPABILITIES, &[request.into(), capabilities], 0);
    }

    /// Has a message sent: some words, then `text` bytes of the clipboard. One there is no room for is left out: nobody
    /// listens.
    fn queue(&mut self, kind: u32, words: &[u32], text: usize) {
        let body = 4 * words.len() + text;
        let size = MESSAGE_HEAD + body;
        if self.outgoing.0 == self.outgoing.1 {
            self.outgoing = (0, 0);
        }
        let Some(mut free) = self
            .buffers
            .outgoing
            .get_mut(self.outgoing.1..)
            .filter(|free| free.len() >= size + CHUNK_HEAD * size.div_ceil(CHUNK_MAX))
        else {
            return;
        };
        let head = [PROTOCOL, kind, 0, 0, body as u32];
        let words = head.iter().chain(words).flat_map(|word| word.to_le_bytes());
        let mut message = words.chain(self.buffers.text.iter().copied().take(text));
        let mut left = size;
        while left > 0 {
            let chunk = left.min(CHUNK_MAX);
            let head = [CLIENT_PORT, chunk as u32];
            let bytes = head
                .into_iter()
                .flat_map(u32::to_le_bytes)
                .chain(message.by_ref().take(chunk));
            let (part, rest) = free.split_at_mut(CHUNK_HEAD + chunk);
            for (cell, byte) in part.iter_mut().zip(bytes) {
                *cell = byte;
            }
            free = rest;
            left -= chunk;
            self.outgoing.1 += CHUNK_HEAD + chunk;
        }
    }

    fn send(&mut self) -> Result<(), StartedOver> {
        let (from, to) = self.outgoing;
        let bytes = self.buffers.outgoing.get(from..to).unwrap_or_default();
        self.outgoing.0 += self.port.write(bytes)?;
        Ok(())
    }
}
