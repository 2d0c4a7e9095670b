//! Programs for one channel: bytes behind its link stage, and what happens between them.

use caraway_ports::display::DisplaySink as _;
use caraway_protocol::{
    caps::Caps,
    channel::ChannelType,
    common, display,
    header::HeaderKind,
    inputs,
    main_channel::{self as main, MouseMode},
};

use crate::{
    client::Client,
    guest::command,
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
    pub(crate) const COUNT: u8 = 14;
}

struct Program<'a> {
    of: &'static Kind,
    input: Input<'a>,
    world: World,
    header: HeaderKind,
    caps: Caps,
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
        let main_caps = if flags & flag::PLAIN == 0 {
            tokens()
        } else {
            Caps::none()
        };
        let is_main = of.kind == ChannelType::Main;
        let main_header = if is_main { header } else { HeaderKind::Mini };
        let mut main = world.connect(ChannelType::Main, 0, main_header, main_caps);
        // As much as INIT needs, so that what the program reads is left.
        main.take(256).await;
        let session = main.session.expect("a session begins with INIT");
        if flags & flag::POINTER != 0 {
            main.send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
                .await;
        }
        let caps = Caps::from_words(vec![u32::from(caps)]);
        let (main, channel) = if is_main {
            (None, main)
        } else {
            (Some(main), world.connect(of.kind, session, header, caps.clone()))
        };
        Self {
            of,
            input,
            world,
            header,
            caps,
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
                let second = self
                    .world
                    .connect(self.of.kind, self.session, self.header, self.caps.clone());
                run_server().await;
                self.world.part(second).await;
            }
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

    async fn again(&mut self) {
        let session = if self.main.is_some() { self.session } else { 0 };
        let caps = if self.main.is_some() {
            self.caps.clone()
        } else {
            tokens()
        };
        let next = self.world.connect(self.of.kind, session, self.header, caps);
        // The old one ends first: there is one of each in a session.
        let before = std::mem::replace(&mut self.channel, next);
        self.world.part(before).await;
        if self.main.is_some() {
            // It was refused as long as the other was there.
            let next = self
                .world
                .connect(self.of.kind, session, self.header, self.caps.clone());
            let refused = std::mem::replace(&mut self.channel, next);
            self.world.part(refused).await;
        }
    }
}
