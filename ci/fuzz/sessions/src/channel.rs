//! Programs for one channel: bytes behind its link stage, and what happens between them.

use caraway_ports::display::DisplaySink as _;
use caraway_protocol::{
    caps::{Caps, DisplayCap, MainCap},
    channel::ChannelType,
    common,
    display::{self, KnownSurface, Resume},
    header::HeaderKind,
    inputs,
    main_channel::{self as main, CLIENT_PORT, MouseMode},
};
use caraway_server::Role;

use crate::{
    client::{Client, STREAM_BYTES},
    guest::{command, known_surface},
    input::Input,
    world::{World, block_on, run as run_server, tokens},
};

/// A program is cut off after so many steps: more say nothing new for the time they take.
const MAX_STEPS: usize = 200;

/// How far time goes on in a step, in seconds: the server's deadlines, and less.
const SECONDS: [u64; 6] = [1, 3, 11, 31, 121, 301];

/// A type of channels.
pub(crate) struct Kind {
    kind: ChannelType,
    messages: &'static [(u16, &'static str)],
}

pub(crate) const MAIN: Kind = Kind {
    kind: ChannelType::Main,
    messages: main::client_id::ALL,
};
pub(crate) const DISPLAY: Kind = Kind {
    kind: ChannelType::Display,
    messages: display::client_id::ALL,
};
pub(crate) const CURSOR: Kind = Kind {
    kind: ChannelType::Cursor,
    messages: &[],
};
pub(crate) const INPUTS: Kind = Kind {
    kind: ChannelType::Inputs,
    messages: inputs::client_id::ALL,
};

/// What a program begins with.
pub(crate) mod flag {
    /// The channel's headers are full ones.
    pub(crate) const FULL: u8 = 1;
    /// The agent is there, and moves the pointer.
    pub(crate) const AGENT: u8 = 2;
    /// The client asks for the pointer, which it gets if the agent is there.
    pub(crate) const POINTER: u8 = 4;
    /// The client's main channel has no capabilities.
    pub(crate) const PLAIN: u8 = 8;
    /// The client can come back.
    pub(crate) const RESUME: u8 = 0x10;
    /// The client may only look.
    pub(crate) const VIEW: u8 = 0x20;
}

/// The steps of a program.
pub(crate) mod step {
    /// Bytes as they are: number, bytes.
    pub(crate) const RAW: u8 = 0;
    /// One of the messages there are, of these bytes: which, number, bytes.
    pub(crate) const MESSAGE: u8 = 1;
    /// A header that says what it likes: id, size, sub_list, number, bytes.
    pub(crate) const LIE: u8 = 2;
    /// The server runs.
    pub(crate) const RUN: u8 = 3;
    /// The client reads, and says nothing: 64 bytes so often.
    pub(crate) const READ: u8 = 4;
    /// The client reads everything, and answers.
    pub(crate) const ANSWER: u8 = 5;
    /// The guest draws: what, how.
    pub(crate) const DRAW: u8 = 6;
    /// The agent comes or goes, or says something: what, and bytes.
    pub(crate) const AGENT: u8 = 7;
    /// Time passes: how long.
    pub(crate) const TIME: u8 = 8;
    /// The guest reads its keyboard otherwise, and sets its lights.
    pub(crate) const KEYBOARD: u8 = 9;
    /// The client hangs up this channel and comes again.
    pub(crate) const AGAIN: u8 = 10;
    /// The client's main channel asks for a mouse mode.
    pub(crate) const MODE: u8 = 11;
    /// A second channel of the same type and session, which has to be refused.
    pub(crate) const TWICE: u8 = 12;
    /// A message many times: which, how often, number, bytes.
    pub(crate) const FLOOD: u8 = 13;
    /// RESUME of what the guest's screen is now: how much of it is wrong, images.
    pub(crate) const RESUME: u8 = 14;
    /// All of the client's connections are cut, and it comes back.
    pub(crate) const BACK: u8 = 15;
    pub(crate) const COUNT: u8 = 16;
}

struct Program<'a> {
    of: &'static Kind,
    input: Input<'a>,
    world: World,
    header: HeaderKind,
    caps: Caps,
    role: Role,
    main_caps: Caps,
    /// The client's main channel, if the program's is another one.
    main: Option<Client>,
    session: u32,
    channel: Client,
}

pub(crate) fn run(of: &'static Kind, data: &[u8]) {
    block_on(async {
        let mut program = Program::new(of, data).await;
        for _ in 0..MAX_STEPS {
            if program.input.is_empty() {
                break;
            }
            program.step().await;
        }
        if program.role == Role::View {
            program.assert_only_looked();
        }
        let clients = [Some(program.channel), program.main];
        program.world.end(clients.into_iter().flatten().collect()).await;
    });
}

impl<'a> Program<'a> {
    async fn new(of: &'static Kind, data: &'a [u8]) -> Self {
        let mut input = Input::new(data);
        let (flags, caps) = (input.byte(), input.word());
        let mut world = World::new(0).await;
        if flags & flag::AGENT != 0 {
            world.agent.open();
            run_server().await;
            world.agent.announce(0);
            run_server().await;
        }
        let header = if flags & flag::FULL == 0 {
            HeaderKind::Mini
        } else {
            HeaderKind::Full
        };
        let role = if flags & flag::VIEW == 0 {
            Role::Control
        } else {
            Role::View
        };
        let mut main_caps = if flags & flag::PLAIN == 0 {
            tokens()
        } else {
            Caps::none()
        };
        let mut caps = Caps::from_words(vec![u32::from(caps)]);
        if flags & flag::RESUME != 0 {
            main_caps = main_caps.with(MainCap::Resume);
            caps = caps.with(DisplayCap::Resume);
        }
        let is_main = of.kind == ChannelType::Main;
        let main_header = if is_main { header } else { HeaderKind::Mini };
        let mut main = world.connect_as(role, ChannelType::Main, 0, main_header, main_caps.clone());
        // As much as INIT needs, so that what the program reads is left.
        main.take(256).await;
        let session = main.session.expect("a session begins with INIT");
        if flags & flag::POINTER != 0 {
            main.send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
                .await;
        }
        let (main, channel) = if is_main {
            (None, main)
        } else {
            (
                Some(main),
                world.connect_as(role, of.kind, session, header, caps.clone()),
            )
        };
        Self {
            of,
            input,
            world,
            header,
            caps,
            role,
            main_caps,
            main,
            session,
            channel,
        }
    }

    /// The id of a message there is.
    fn id(&mut self) -> u16 {
        let at = usize::from(self.input.byte());
        let known = [common::client_id::ALL, self.of.messages].concat();
        known[at % known.len()].0
    }

    async fn step(&mut self) {
        match self.input.byte() % step::COUNT {
            step::RAW => self.channel.write(self.input.counted()).await,
            step::MESSAGE => {
                let id = self.id();
                self.channel.send_body(id, self.input.counted()).await;
            }
            step::LIE => {
                let (id, size, sub_list) = (self.input.word(), self.input.long(), self.input.long());
                self.channel.send_sized(id, size, sub_list, self.input.counted()).await;
            }
            step::RUN => run_server().await,
            step::READ => {
                let count = 64 * (1 + usize::from(self.input.byte()));
                self.channel.take(count).await;
            }
            step::ANSWER => self.channel.answer().await,
            step::DRAW => self.world.display.submit(command(&mut self.input)),
            step::AGENT => self.agent(),
            step::TIME => {
                let seconds = *self.input.one_of(&SECONDS);
                self.world.pass(seconds).await;
                if let Some(main) = &mut self.main {
                    main.answer().await;
                }
            }
            step::KEYBOARD => self.world.keyboard.change(&mut self.input),
            step::AGAIN => self.again().await,
            step::MODE => {
                let mode = u32::from(self.input.byte());
                let main = self.main.as_mut().unwrap_or(&mut self.channel);
                main.send(main::ClientMessage::MouseModeRequest(mode.into())).await;
            }
            step::TWICE => {
                run_server().await;
                let second = self.connect(self.session, self.caps.clone());
                run_server().await;
                self.world.part(second).await;
            }
            step::RESUME => {
                let (wrong, images) = (self.input.byte(), self.input.byte());
                let surface = known_surface(&self.world.display).map(|known| KnownSurface {
                    tiles: known.tiles.iter().map(|hash| hash ^ u64::from(wrong)).collect(),
                    ..known
                });
                let resume = Resume {
                    images: (0..u64::from(images)).collect(),
                    surfaces: surface.into_iter().collect(),
                };
                self.channel.send(display::ClientMessage::Resume(resume)).await;
            }
            step::BACK => self.back().await,
            _ => {
                let (id, count) = (self.id(), self.input.byte());
                let body = self.input.counted();
                for _ in 0..count {
                    self.channel.send_body(id, body).await;
                }
            }
        }
    }

    fn agent(&mut self) {
        let agent = &mut self.world.agent;
        match self.input.byte() % 5 {
            0 => agent.open(),
            1 => agent.close(),
            2 => agent.announce(self.input.byte()),
            3 => agent.write(self.input.counted()),
            _ => agent.read(64 * usize::from(self.input.byte())),
        }
    }

    fn connect(&self, session: u32, caps: Caps) -> Client {
        self.world
            .connect_as(self.role, self.of.kind, session, self.header, caps)
    }

    async fn again(&mut self) {
        let is_main = self.main.is_none();
        let (session, caps) = if is_main {
            (0, self.main_caps.clone())
        } else {
            (self.session, self.caps.clone())
        };
        let next = self.connect(session, caps);
        // The old one ends first: there is one of each in a session.
        let before = std::mem::replace(&mut self.channel, next);
        self.world.part(before).await;
        if !is_main {
            // It was refused as long as the other was there.
            let next = self.connect(self.session, self.caps.clone());
            let refused = std::mem::replace(&mut self.channel, next);
            self.world.part(refused).await;
        }
    }

    /// Comes back to its session if it is there, and else begins a new one.
    async fn back(&mut self) {
        let header = if self.main.is_none() {
            self.header
        } else {
            HeaderKind::Mini
        };
        let mut found = None;
        for session in [self.session, 0] {
            let kind = ChannelType::Main;
            let mut main = self
                .world
                .connect_as(self.role, kind, session, header, self.main_caps.clone());
            main.take(256).await;
            if main.session.is_some() {
                found = Some(main);
                break;
            }
            self.world.part(main).await;
        }
        // As with others, there may be too many already.
        let Some(main) = found else { return };
        self.session = main.session.unwrap_or(self.session);
        let before = match &mut self.main {
            Some(old) => {
                let old = std::mem::replace(old, main);
                let next = self.connect(self.session, self.caps.clone());
                let channel = std::mem::replace(&mut self.channel, next);
                vec![channel, old]
            }
            None => vec![std::mem::replace(&mut self.channel, main)],
        };
        for client in before {
            self.world.part(client).await;
        }
    }

    /// Nothing of a client that may only look has reached the agent.
    fn assert_only_looked(&mut self) {
        let agent = &mut self.world.agent;
        agent.read(2 * STREAM_BYTES);
        let heard = agent.messages.iter().find(|(port, _)| *port == CLIENT_PORT);
        assert!(
            heard.is_none(),
            "the agent has heard a client that may only look: {heard:?}"
        );
    }
}
