//! The guest: keyboard, picture, and the agent.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use caraway_display::Display;
use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorType, DisplayCommand, DisplaySink as _, Head, SurfaceSpec},
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, DrawOp, Drawable, Image, ImageData, Mask, Rop, ScaleMode, Source,
        SurfaceFormat,
    },
    geometry::{Point, Rect},
    input::{Button, InputEvent, InputSink, LedListener, Leds, Scancode},
    port::DevicePort,
};
use caraway_protocol::display::{KnownSurface, TILE, tile_hash};
use caraway_protocol::main_channel::{
    AGENT_DATA_MAX, AgentCaps, AgentHeader, AgentKind, CLIENT_PORT, ChunkHeader, SERVER_PORT,
};

use crate::input::Input;

/// How the guest reads its keyboard.
const SLOWLY: u8 = 1;
const NEVER: u8 = 2;

#[derive(Default)]
pub(crate) struct Keyboard {
    state: Mutex<KeyboardState>,
    reads: AtomicU8,
}

#[derive(Default)]
struct KeyboardState {
    keys: BTreeSet<Scancode>,
    buttons: BTreeSet<u8>,
    behind: usize,
    leds: Leds,
    listeners: Vec<Weak<dyn LedListener>>,
    /// How often [`Keyboard::WITNESS`] went down.
    witnessed: u32,
}

impl Keyboard {
    /// The key of the client that is there all the time. The others' keys count only in what is held down.
    pub(crate) const WITNESS: Scancode = Scancode::Plain(0x5f);

    fn lock(&self) -> MutexGuard<'_, KeyboardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn witnessed(&self) -> u32 {
        self.lock().witnessed
    }

    /// The guest reads everything at once again.
    pub(crate) fn read_all(&self) {
        self.reads.store(0, Ordering::Relaxed);
    }

    pub(crate) fn assert_nothing_held(&self) {
        let state = self.lock();
        assert!(state.keys.is_empty(), "keys of nobody are down: {:?}", state.keys);
        assert!(
            state.buttons.is_empty(),
            "buttons of nobody are down: {:?}",
            state.buttons
        );
    }

    pub(crate) fn change(&self, input: &mut Input<'_>) {
        let what = input.byte();
        self.reads.store(what % 3, Ordering::Relaxed);
        let leds = Leds {
            scroll: what & 0x80 != 0,
            num: what & 0x40 != 0,
            caps: what & 0x20 != 0,
        };
        let listeners: Vec<_> = {
            let mut state = self.lock();
            state.leds = leds;
            state.listeners.iter().filter_map(Weak::upgrade).collect()
        };
        listeners.iter().for_each(|listener| listener.leds_changed(leds));
    }
}

impl InputSink for Keyboard {
    fn send(&self, event: InputEvent) {
        let mut state = self.lock();
        state.behind += 1;
        match event {
            InputEvent::Key { code, down: true } => {
                state.witnessed += u32::from(code == Self::WITNESS);
                state.keys.insert(code);
            }
            InputEvent::Key { code, down: false } => drop(state.keys.remove(&code)),
            InputEvent::Button { button, down: true } => drop(state.buttons.insert(number(button))),
            InputEvent::Button { button, down: false } => drop(state.buttons.remove(&number(button))),
            InputEvent::Motion { .. } | InputEvent::Wheel(_) => {}
        }
    }

    fn pending(&self) -> usize {
        let mut state = self.lock();
        match self.reads.load(Ordering::Relaxed) {
            NEVER => {}
            SLOWLY => state.behind = state.behind.saturating_sub(16),
            _ => state.behind = 0,
        }
        state.behind
    }

    fn leds(&self) -> Leds {
        self.lock().leds
    }

    fn watch_leds(&self, listener: Arc<dyn LedListener>) {
        let mut state = self.lock();
        state.listeners.retain(|listener| listener.strong_count() > 0);
        state.listeners.push(Arc::downgrade(&listener));
    }
}

const fn number(button: Button) -> u8 {
    match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
        Button::Side => 3,
        Button::Extra => 4,
    }
}

/// Pixels across and down of the primary surface.
const SIDE: u32 = 128;

pub(crate) fn primary(side: u32) -> DisplayCommand {
    DisplayCommand::CreateSurface(SurfaceSpec {
        id: 0,
        width: side,
        height: side,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    })
}

fn draw(bbox: Rect, op: DrawOp) -> DisplayCommand {
    DisplayCommand::Draw(Box::new(Drawable {
        surface: 0,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op,
    }))
}

/// A picture; `seed` says whether a smooth or a noisy one.
fn picture(seed: u8, side: u32, id: u64, at: u32) -> DisplayCommand {
    let pixels = (0..side * side).flat_map(|at| {
        let noise = (at.wrapping_mul(0x9e37_79b1) >> 24) as u8;
        let smooth = (at % side + at / side) as u8;
        let value = if seed & 1 == 0 { smooth } else { noise | 0x1f };
        [value, value ^ seed, value, 0]
    });
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width: side,
        height: side,
        stride: side * 4,
        top_down: true,
        palette: None,
        data: pixels.collect(),
    };
    let image = Image {
        id,
        cache: seed & 2 != 0,
        high_bits_set: false,
        width: side,
        height: side,
        data: ImageData::Bitmap(Arc::new(bitmap)),
    };
    let source = Source {
        image,
        area: Rect::at(0, 0, side, side),
        scale: ScaleMode::Nearest,
    };
    let op = DrawOp::Copy {
        source,
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    draw(Rect::at(at as i32, at as i32, side, side), op)
}

fn cursor(what: u8) -> CursorCommand {
    match what % 5 {
        0 => CursorCommand::Set {
            position: Point::new(i32::from(what), 1),
            visible: what & 0x80 != 0,
            shape: Arc::new(CursorShape {
                unique: u64::from(what >> 6),
                kind: CursorType::Alpha,
                width: 2,
                height: 2,
                hot_spot: (0, 0),
                data: Bytes::from(vec![what; 16]),
            }),
        },
        1 => CursorCommand::Move(Point::new(i32::from(what), -5)),
        2 => CursorCommand::Hide,
        3 => CursorCommand::Trail {
            length: u16::from(what),
            frequency: 10,
        },
        _ => CursorCommand::Reset,
    }
}

/// What the guest does to its screen.
pub(crate) fn command(input: &mut Input<'_>) -> DisplayCommand {
    let (what, how) = (input.byte(), input.byte());
    let part = Rect::at(i32::from(how % 64), i32::from(how / 4), 9, 17);
    match what % 9 {
        0 => primary(SIDE),
        1 => primary(u32::from(how) / 2 + 1),
        2 => picture(how, 16, u64::from(how >> 4), u32::from(how % 8) * 8),
        3 => picture(how, 64, u64::from(how >> 4), 0),
        4 => draw(
            part,
            DrawOp::Fill {
                brush: Brush::Solid(u32::from(how) * 0x0001_0305),
                rop: Rop(if how & 1 == 0 { Rop::OP_PUT } else { Rop::OP_XOR }),
                mask: Mask::default(),
            },
        ),
        5 => DisplayCommand::Cursor(cursor(how)),
        6 => DisplayCommand::Monitors {
            heads: (0..u32::from(how % 3))
                .map(|id| Head {
                    id,
                    surface: 0,
                    area: Rect::at(0, 0, 32, 32),
                })
                .collect(),
            max: 2,
        },
        7 => DisplayCommand::DestroySurface(u32::from(how % 2)),
        _ => DisplayCommand::Reset,
    }
}

/// The primary surface as a client has it that has drawn everything.
pub(crate) fn known_surface(display: &Display) -> Option<KnownSurface> {
    let (width, height) = display.size();
    let pixels = display.read(0, Rect::at(0, 0, width, height))?;
    let stride = pixels.stride as usize;
    let mut tiles = Vec::new();
    for y in (0..height).step_by(TILE as usize) {
        for x in (0..width).step_by(TILE as usize) {
            let rows = pixels.data.chunks(stride).skip(y as usize).take(TILE as usize);
            let bytes = x as usize * 4..(x + TILE).min(width) as usize * 4;
            tiles.push(tile_hash(rows.map(|row| &row[bytes.clone()]), false));
        }
    }
    Some(KnownSurface {
        id: 0,
        width,
        height,
        format: SurfaceFormat::Xrgb,
        tiles,
    })
}

/// The guest's agent, and what it has to find in what it reads.
pub(crate) struct Agent {
    port: DevicePort,
    /// What was read and is not a whole chunk yet.
    unread: Vec<u8>,
    /// What there is of a header, and what is left of a message, of the clients' stream and of the server's.
    streams: [Stream; 2],
    /// Messages that were read to their end.
    pub(crate) messages: Vec<(u32, AgentKind)>,
}

#[derive(Default)]
struct Stream {
    head: Vec<u8>,
    left: u32,
}

impl Agent {
    pub(crate) const fn new(port: DevicePort) -> Self {
        Self {
            port,
            unread: Vec::new(),
            streams: [
                Stream {
                    head: Vec::new(),
                    left: 0,
                },
                Stream {
                    head: Vec::new(),
                    left: 0,
                },
            ],
            messages: Vec::new(),
        }
    }

    fn forget(&mut self) {
        self.unread.clear();
        self.streams = Default::default();
        self.messages.clear();
    }

    pub(crate) fn open(&mut self) {
        if !self.port.is_open() {
            self.forget();
        }
        let _ = self.port.open();
    }

    pub(crate) fn close(&mut self) {
        self.port.close();
        self.forget();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.port.is_open()
    }

    /// Writes as much as there is room for.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let _ = self.port.write(bytes);
    }

    /// A chunk, whatever it says of itself.
    pub(crate) fn chunk(&self, port: u32, size: u32, bytes: &[u8]) {
        self.write(&[&ChunkHeader { port, size }.encode()[..], bytes].concat());
    }

    pub(crate) fn say(&self, kind: AgentKind, body: &[u8]) {
        let message = message(kind.into(), body.len() as u32, body);
        self.chunk(CLIENT_PORT, message.len() as u32, &message);
    }

    /// Says what it can do: the mouse, clipboards, and what the byte says.
    pub(crate) fn announce(&self, request: u8) {
        let caps = AgentCaps::MOUSE_STATE
            | AgentCaps::CLIPBOARD_BY_DEMAND
            | if request & 2 == 0 {
                AgentCaps::empty()
            } else {
                AgentCaps::CLIPBOARD_SELECTION
            };
        let body = [u32::from(request & 1).to_le_bytes(), caps.bits().to_le_bytes()].concat();
        self.say(AgentKind::AnnounceCapabilities, &body);
    }

    /// Reads up to so many bytes, which have to be chunks of messages.
    pub(crate) fn read(&mut self, count: usize) {
        let mut bytes = vec![0; count];
        let count = self.port.read(&mut bytes);
        self.unread.extend_from_slice(&bytes[..count]);
        while let Some(header) = self.unread.first_chunk().copied() {
            let header = ChunkHeader::decode(header);
            assert!(
                [CLIENT_PORT, SERVER_PORT].contains(&header.port),
                "a chunk for port {}",
                header.port
            );
            let size = header.size as usize;
            assert!(size <= AGENT_DATA_MAX, "a chunk of {size} bytes");
            let Some(data) = self.unread.get(ChunkHeader::BYTES..ChunkHeader::BYTES + size) else {
                return;
            };
            let data = data.to_vec();
            self.unread.drain(..ChunkHeader::BYTES + size);
            self.take(header.port, &data);
        }
    }

    fn take(&mut self, port: u32, mut data: &[u8]) {
        let stream = &mut self.streams[(port == SERVER_PORT) as usize];
        loop {
            if stream.head.len() < AgentHeader::BYTES {
                let (head, rest) = data.split_at(data.len().min(AgentHeader::BYTES - stream.head.len()));
                stream.head.extend_from_slice(head);
                data = rest;
                if stream.head.len() < AgentHeader::BYTES {
                    return;
                }
                let header = AgentHeader::decode(&Bytes::from(stream.head.clone()));
                stream.left = header.expect("what the agent is told begins with a header").size;
            }
            let (body, rest) = data.split_at(data.len().min(stream.left as usize));
            stream.left -= body.len() as u32;
            data = rest;
            if stream.left > 0 {
                return;
            }
            let kind = stream.head[4..8].try_into().map_or(0, u32::from_le_bytes);
            self.messages.push((port, kind.into()));
            stream.head.clear();
        }
    }
}

/// A message of the agent's protocol that says it has so many bytes.
pub(crate) fn message(kind: u32, size: u32, body: &[u8]) -> Vec<u8> {
    let header = AgentHeader {
        protocol: AgentHeader::PROTOCOL,
        kind,
        opaque: 0,
        size,
    };
    [&header.encode()[..], body].concat()
}
