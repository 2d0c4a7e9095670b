//! Programs of two clients that talk to the guest's agent, and of that.

use caraway_protocol::{
    caps::Caps,
    channel::ChannelType,
    header::HeaderKind,
    main_channel::{self as main, AGENT_DATA_MAX, CLIENT_PORT, SERVER_PORT},
};

use crate::{
    client::Client,
    guest::message,
    input::Input,
    world::{World, block_on, run as run_server, tokens},
};

const MAX_STEPS: usize = 200;

const SECONDS: [u64; 4] = [1, 5, 31, 61];

/// Tokens that make a difference.
const TOKENS: [u32; 6] = [0, 1, 10, 1 << 16, u32::MAX - 1, u32::MAX];

/// Sizes that make a difference, beside the right one.
const SIZES: [u32; 10] = [0, 1, 4, 8, 2048, 6152, 6153, 1 << 20, 1 << 31, u32::MAX];

/// The steps of a program. The clients' ones have the number of the client behind them.
pub(crate) mod step {
    /// AGENT_DATA of these bytes.
    pub(crate) const DATA: u8 = 0;
    /// A message of a client: type, whether its size is right and else which, number, bytes.
    pub(crate) const SAY: u8 = 1;
    /// AGENT_START: tokens.
    pub(crate) const START: u8 = 2;
    /// AGENT_TOKEN: tokens.
    pub(crate) const GRANT: u8 = 3;
    /// A chunk of the agent: stream, size, number, bytes.
    pub(crate) const CHUNK: u8 = 4;
    /// A message of the agent: type, whether its size is right and else which, number, bytes.
    pub(crate) const AGENT_SAYS: u8 = 5;
    /// The agent comes or goes.
    pub(crate) const PORT: u8 = 6;
    /// The agent reads: 64 bytes so often.
    pub(crate) const AGENT_READS: u8 = 7;
    pub(crate) const RUN: u8 = 8;
    /// The client reads and answers.
    pub(crate) const ANSWER: u8 = 9;
    pub(crate) const TIME: u8 = 10;
    /// The client leaves, and comes again.
    pub(crate) const AGAIN: u8 = 11;
    /// The client asks for a mouse mode.
    pub(crate) const MODE: u8 = 12;
    /// The agent says a message so often.
    pub(crate) const FLOOD: u8 = 13;
    /// Bytes of the agent, as they are.
    pub(crate) const RAW: u8 = 14;
    /// The agent says what it can do.
    pub(crate) const ANNOUNCE: u8 = 15;
    pub(crate) const COUNT: u8 = 16;
}

struct Program<'a> {
    input: Input<'a>,
    world: World,
    clients: [Client; 2],
}

fn caps(with_tokens: bool) -> Caps {
    if with_tokens { tokens() } else { Caps::none() }
}

fn client(world: &World, with_tokens: bool) -> Client {
    world.connect(ChannelType::Main, 0, HeaderKind::Mini, caps(with_tokens))
}

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let mut input = Input::new(data);
        let flags = input.byte();
        let world = World::new(flags & 7).await;
        let clients = [client(&world, flags & 0x10 == 0), client(&world, flags & 0x20 == 0)];
        let mut program = Program { input, world, clients };
        if flags & 0x40 == 0 {
            program.world.agent.open();
            run_server().await;
            for client in &mut program.clients {
                client.send(main::ClientMessage::AgentStart(u32::MAX)).await;
            }
            run_server().await;
        }
        for _ in 0..MAX_STEPS {
            if program.input.is_empty() {
                break;
            }
            program.step().await;
        }
        program.world.end(program.clients.into()).await;
    });
}

impl Program<'_> {
    fn client(&mut self) -> &mut Client {
        let at = usize::from(self.input.byte()) % self.clients.len();
        &mut self.clients[at]
    }

    /// A message and what its header says.
    fn message(&mut self) -> Vec<u8> {
        let (kind, lie) = (self.input.byte(), self.input.byte());
        let body = self.input.counted();
        let size = if lie & 1 == 0 {
            body.len() as u32
        } else {
            SIZES[usize::from(lie >> 1) % SIZES.len()]
        };
        message(u32::from(kind % 18), size, body)
    }

    async fn step(&mut self) {
        match self.input.byte() % step::COUNT {
            step::DATA => {
                let at = usize::from(self.input.byte()) % 2;
                let data = self.input.counted().to_vec();
                self.clients[at].send(main::ClientMessage::AgentData(data.into())).await;
            }
            step::SAY => {
                let at = usize::from(self.input.byte()) % 2;
                let message = self.message();
                for part in message.chunks(AGENT_DATA_MAX) {
                    let data = main::ClientMessage::AgentData(part.to_vec().into());
                    self.clients[at].send(data).await;
                }
            }
            step::START => {
                let tokens = *self.input.one_of(&TOKENS);
                self.client().send(main::ClientMessage::AgentStart(tokens)).await;
            }
            step::GRANT => {
                let tokens = *self.input.one_of(&TOKENS);
                self.client().send(main::ClientMessage::AgentToken(tokens)).await;
            }
            step::CHUNK => {
                let port = *self.input.one_of(&[CLIENT_PORT, CLIENT_PORT, SERVER_PORT, 0, u32::MAX]);
                let lie = self.input.byte();
                let bytes = self.input.counted();
                let size = if lie & 1 == 0 {
                    bytes.len() as u32
                } else {
                    SIZES[usize::from(lie >> 1) % SIZES.len()]
                };
                self.world.agent.chunk(port, size, bytes);
            }
            step::AGENT_SAYS => {
                let message = self.message();
                self.world.agent.chunk(CLIENT_PORT, message.len() as u32, &message);
            }
            step::PORT => {
                if self.world.agent.is_open() {
                    self.world.agent.close();
                } else {
                    self.world.agent.open();
                }
            }
            step::AGENT_READS => {
                let count = 64 * (1 + usize::from(self.input.byte()));
                self.world.agent.read(count);
            }
            step::RUN => run_server().await,
            step::ANSWER => self.client().answer().await,
            step::TIME => {
                let seconds = *self.input.one_of(&SECONDS);
                self.world.pass(seconds).await;
            }
            step::AGAIN => {
                let at = usize::from(self.input.byte());
                let next = client(&self.world, at & 2 == 0);
                let before = std::mem::replace(&mut self.clients[at % 2], next);
                self.world.part(before).await;
            }
            step::MODE => {
                let mode = u32::from(self.input.byte());
                self.client()
                    .send(main::ClientMessage::MouseModeRequest(mode.into()))
                    .await;
            }
            step::FLOOD => {
                let count = self.input.byte();
                let message = self.message();
                for _ in 0..count {
                    self.world.agent.chunk(CLIENT_PORT, message.len() as u32, &message);
                }
            }
            step::RAW => self.world.agent.write(self.input.counted()),
            _ => self.world.agent.announce(self.input.byte()),
        }
    }
}
