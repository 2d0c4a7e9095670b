//! What must hold whatever a host, its clients and a user's session say to the guest agent.
//!
//! The input is a program of steps, each a byte for what it is, one for how many bytes follow, and these. It fails when
//! anything panics or overflows, when what the agent writes to the port cannot be read there, when a step makes more work
//! than it may, or when more memory is taken than [`BUDGET`].
#![forbid(unsafe_code)]

use caraway_agent::daemon::{Engine, Mouse};
use caraway_agent::link::{Head, Link, LinkReader, Screen};
use caraway_agent::port::{self, Origin, Reader};
use caraway_protocol::agent::{AgentCaps, AgentKind};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most bytes that may be taken: an input is short, and what it announces takes nothing.
pub const BUDGET: usize = 4 << 20;
/// Most things to do after one step.
const MOST_TODO: usize = 4096;
/// Messages of a session that are taken.
const MOST_MESSAGE: usize = 1 << 16;

/// The target's name, and that of its folder in the corpora.
pub const NAME: &str = "guest-agent";

/// What can be done, by its number.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Bytes on the port.
    Port,
    /// A message of a client: its kind, its body.
    Client,
    /// A message of the server.
    Server,
    /// Bytes of a session.
    Session,
    /// A message of a session.
    Says,
    /// Another session, or none.
    Switch,
    /// The port is closed and opened.
    Reopen,
    /// A client says what it can do.
    Hello,
}

impl From<u8> for Step {
    fn from(number: u8) -> Self {
        match number % 8 {
            0 => Self::Port,
            1 => Self::Client,
            2 => Self::Server,
            3 => Self::Session,
            4 => Self::Says,
            5 => Self::Switch,
            6 => Self::Reopen,
            _ => Self::Hello,
        }
    }
}

/// Gives `data` to the target. Panics when something that must hold does not.
pub fn run(data: &[u8]) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    converse(data);
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= BUDGET, "{taken} bytes were taken, {BUDGET} are allowed");
}

struct Conversation {
    engine: Engine,
    /// The host's.
    reader: Reader,
    session: LinkReader,
    mouse: Mouse,
    screen: Screen,
}

fn converse(mut data: &[u8]) {
    let mut all = Conversation {
        engine: Engine::new(AgentCaps::MOUSE_STATE),
        reader: Reader::default(),
        session: LinkReader::new(MOST_MESSAGE),
        mouse: Mouse::default(),
        screen: Screen::default(),
    };
    all.engine.session(Some(AgentCaps::all()));
    all.engine.opened();
    while let [step, count, rest @ ..] = data {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*count)));
        data = rest;
        all.step((*step).into(), bytes);
        all.check();
    }
}

impl Conversation {
    fn step(&mut self, step: Step, bytes: &[u8]) {
        match step {
            Step::Port => self.port(bytes),
            Step::Client => self.port(&in_stream(Origin::Client, bytes)),
            Step::Server => self.port(&in_stream(Origin::Server, bytes)),
            Step::Session => self.session(bytes),
            Step::Says => {
                let (kind, body) = split(bytes);
                let words = [u32::from(kind), body.len() as u32];
                let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                self.session(&[&head, body].concat());
            }
            Step::Switch => {
                let caps = bytes.first().filter(|byte| **byte != 0);
                self.engine.session(caps.map(|_| AgentCaps::all()));
            }
            Step::Reopen => self.reopen(),
            Step::Hello => {
                let caps = bytes.first_chunk().map_or(0x35077, |bytes| u32::from_le_bytes(*bytes));
                let words = [1, caps];
                let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let mut wire = Vec::new();
                port::write(Origin::Client, AgentKind::AnnounceCapabilities, &body, &mut wire);
                self.port(&wire);
            }
        }
    }

    fn port(&mut self, bytes: &[u8]) {
        if self.engine.port_says(bytes).is_err() {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        self.engine.take_output();
        self.engine.opened();
        self.reader = Reader::default();
    }

    fn session(&mut self, bytes: &[u8]) {
        self.session.push(bytes);
        loop {
            match self.session.message() {
                Ok(Some(Link::Agent(message))) => self.engine.session_says(message),
                Ok(Some(Link::Screen(screen))) => self.screen = screen,
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) => {
                    self.session = LinkReader::new(MOST_MESSAGE);
                    return;
                }
            }
        }
    }

    /// What was written can be read, and what is to be done can be done.
    fn check(&mut self) {
        let mut arrived = Vec::new();
        let output = self.engine.take_output();
        if let Err(fault) = self.reader.push(&output, &mut arrived) {
            panic!("what the agent writes is not what the host reads: {fault}");
        }
        let todo = self.engine.take_todo();
        assert!(todo.len() <= MOST_TODO, "{} things to do", todo.len());
        for todo in todo {
            match todo {
                caraway_agent::daemon::Do::Tell(link) => tell(&link),
                caraway_agent::daemon::Do::Point(state) => {
                    self.mouse.events(&state, &self.screen);
                }
                caraway_agent::daemon::Do::LetGo => {
                    self.mouse.release();
                }
                caraway_agent::daemon::Do::Note(_) => {}
            }
        }
    }
}

/// What a session is told, it reads as it was said.
fn tell(link: &Link) {
    let mut wire = Vec::new();
    link.encode(&mut wire);
    let mut reader = LinkReader::new(MOST_MESSAGE);
    reader.push(&wire);
    let read = reader.message();
    assert_eq!(
        read.as_ref(),
        Ok(&Some(link.clone())),
        "what the daemon says is not what the session reads"
    );
}

fn split(bytes: &[u8]) -> (AgentKind, &[u8]) {
    match bytes {
        [kind, body @ ..] => (u32::from(*kind).into(), body),
        [] => (AgentKind::ClientDisconnected, &[]),
    }
}

fn in_stream(stream: Origin, bytes: &[u8]) -> Vec<u8> {
    let (kind, body) = split(bytes);
    let mut wire = Vec::new();
    port::write(stream, kind, body, &mut wire);
    wire
}

/// What fuzzing starts from: conversations as they usually are.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let program = |steps: &[(u8, &[u8])]| -> Vec<u8> {
        steps
            .iter()
            .flat_map(|(step, bytes)| [&[*step, bytes.len() as u8][..], bytes].concat())
            .collect()
    };
    let screen = Link::Screen(Screen {
        width: 1024,
        height: 768,
        heads: vec![Head {
            display: 0,
            x: 0,
            y: 0,
            width: 1024,
            height: 768,
        }],
    });
    let mut screen_wire = Vec::new();
    screen.encode(&mut screen_wire);
    let file = b"\x0a\x01\0\0\0[vdagent-file-xfer]\nname=a\nsize=3\n\0";
    let grab: &[u8] = &[7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let session_grab: &[u8] = &[7, 0, 0, 0, 0, 1, 0, 0, 0];
    let ask: &[u8] = &[8, 0, 0, 0, 0, 1, 0, 0, 0];
    let text: &[u8] = &[4, 0, 0, 0, 0, 1, 0, 0, 0, b'h', b'i'];
    let monitors: &[u8] = &[
        2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    vec![
        program(&[(7, &[]), (1, grab), (4, ask), (1, text), (1, &[9, 0, 0, 0, 0])]),
        program(&[(7, &[]), (4, session_grab), (1, ask), (4, text), (5, &[0]), (5, &[1])]),
        program(&[
            (7, &[]),
            (1, file),
            (4, &[11, 1, 0, 0, 0, 0, 0, 0, 0]),
            (1, &[12, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]),
            (4, &[11, 1, 0, 0, 0, 3, 0, 0, 0]),
        ]),
        program(&[
            (7, &[]),
            (3, &screen_wire),
            (2, &[1, 5, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 0]),
            (2, &[13]),
        ]),
        program(&[
            (7, &[]),
            (1, monitors),
            (4, &[3, 2, 0, 0, 0, 1, 0, 0, 0]),
            (6, &[]),
            (1, &[14, 9, 0, 0, 0]),
        ]),
        program(&[
            (7, &[1, 0, 0, 0]),
            (2, b"\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0pci/0000/01.0\0"),
            (5, &[1]),
        ]),
        program(&[(
            0,
            &[
                1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80,
            ],
        )]),
    ]
}
