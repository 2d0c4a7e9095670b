//! Programs for a channel that leads to ports: what its client says, and what the devices behind them do.

use caraway_ports::port::DevicePort;
use caraway_protocol::{
    Progress,
    caps::Caps,
    channel::ChannelType,
    common,
    header::HeaderKind,
    smartcard::{self, NO_READER, VSC_DATA_MAX, VSC_HEADER_BYTES, VscMessage, VscType},
    spicevmc,
};

use crate::{
    client::{Client, STREAM_BYTES},
    input::Input,
    world::{self, World, block_on, run as run_server, tokens},
};

const MAX_STEPS: usize = 200;

const SECONDS: [u64; 4] = [1, 11, 31, 121];

/// The channels, by the first two bits of a program, and where their devices begin in [`world::PORTS`].
const KINDS: [(ChannelType, usize); 4] = [
    (ChannelType::Port, 0),
    (ChannelType::Webdav, 1),
    (ChannelType::Usbredir, 2),
    (ChannelType::Smartcard, 3),
];

/// Lengths that make a difference, beside the right one.
const LENGTHS: [u32; 8] = [
    0,
    1,
    12,
    VSC_DATA_MAX as u32,
    VSC_DATA_MAX as u32 + 1,
    (2 << 20) + 1,
    1 << 31,
    u32::MAX,
];

pub(crate) mod flag {
    /// The channel's headers are full ones.
    pub(crate) const FULL: u8 = 4;
    /// The client takes compressed data.
    pub(crate) const LZ4: u8 = 8;
    /// The devices are there before the client says anything.
    pub(crate) const OPEN: u8 = 0x10;
}

pub(crate) mod step {
    /// Bytes as they are: number, bytes.
    pub(crate) const RAW: u8 = 0;
    /// One of the messages there are, of these bytes: which, number, bytes.
    pub(crate) const MESSAGE: u8 = 1;
    /// A header that says what it likes: id, size, number, bytes.
    pub(crate) const LIE: u8 = 2;
    /// COMPRESSED_DATA of these bytes, how often: whether its size is right and else which.
    pub(crate) const COMPRESSED: u8 = 3;
    /// A message about a reader: type, reader, whether its length is right and else which, number, bytes.
    pub(crate) const CARD: u8 = 4;
    pub(crate) const RUN: u8 = 5;
    /// The client reads, and says nothing: 64 bytes so often.
    pub(crate) const READ: u8 = 6;
    /// The client reads everything, and answers.
    pub(crate) const ANSWER: u8 = 7;
    pub(crate) const TIME: u8 = 8;
    /// The client hangs up this channel and comes again.
    pub(crate) const AGAIN: u8 = 9;
    /// A device opens its port.
    pub(crate) const OPEN: u8 = 10;
    /// It closes it.
    pub(crate) const CLOSE: u8 = 11;
    /// It writes: number, bytes.
    pub(crate) const WRITE: u8 = 12;
    /// It writes as much as there is room for: how often, number, bytes.
    pub(crate) const FLOOD: u8 = 13;
    /// It reads: 256 bytes so often.
    pub(crate) const TAKE: u8 = 14;
    /// It says something of a card: as [`CARD`], in its stream.
    pub(crate) const ANSWERS: u8 = 15;
    /// Another client wants the channel, and its main channel is read.
    pub(crate) const OTHER: u8 = 16;
    pub(crate) const COUNT: u8 = 17;
}

struct Program<'a> {
    input: Input<'a>,
    world: World,
    kind: ChannelType,
    first: usize,
    header: HeaderKind,
    caps: Caps,
    main: Client,
    session: u32,
    channel: Client,
}

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let mut input = Input::new(data);
        let flags = input.byte();
        let world = World::new(world::flag::PORTS).await;
        let (kind, first) = KINDS[usize::from(flags & 3)];
        let header = if flags & flag::FULL == 0 {
            HeaderKind::Mini
        } else {
            HeaderKind::Full
        };
        let caps = Caps::from_words(vec![u32::from(flags & flag::LZ4 != 0)]);
        let mut main = world.connect(ChannelType::Main, 0, HeaderKind::Mini, tokens());
        main.take(256).await;
        let session = main.session.expect("a session begins with INIT");
        let channel = world.connect(kind, session, header, caps.clone());
        let mut program = Program {
            input,
            world,
            kind,
            first,
            header,
            caps,
            main,
            session,
            channel,
        };
        if flags & flag::OPEN != 0 {
            run_server().await;
            for device in program.devices() {
                let _ = device.open();
            }
        }
        for _ in 0..MAX_STEPS {
            if program.input.is_empty() {
                break;
            }
            program.step().await;
        }
        program.end().await;
    });
}

impl Program<'_> {
    fn devices(&self) -> &[DevicePort] {
        let count = if self.kind == ChannelType::Smartcard { 2 } else { 1 };
        &self.world.devices[self.first..self.first + count]
    }

    fn device(&mut self) -> &DevicePort {
        let at = usize::from(self.input.byte());
        let devices = self.devices();
        &devices[at % devices.len()]
    }

    fn connect(&self, session: u32) -> Client {
        self.world.connect(self.kind, session, self.header, self.caps.clone())
    }

    fn length(&mut self, right: usize) -> u32 {
        match self.input.byte() {
            0 => right as u32,
            lie => LENGTHS[usize::from(lie) % LENGTHS.len()],
        }
    }

    /// The words of a message about a reader, and what is behind them.
    fn card(&mut self) -> ([u32; 3], Vec<u8>) {
        let (kind, reader) = (self.input.byte() % 12, self.input.byte());
        let reader = if reader == 255 { NO_READER } else { u32::from(reader) };
        let (lie, data) = (self.input.byte(), self.input.counted());
        let length = match lie {
            0 => data.len() as u32,
            lie => LENGTHS[usize::from(lie) % LENGTHS.len()],
        };
        ([kind.into(), reader, length], data.to_vec())
    }

    async fn step(&mut self) {
        match self.input.byte() % step::COUNT {
            step::RAW => self.channel.write_raw(self.input.counted()).await,
            step::MESSAGE => {
                let own = match self.kind {
                    ChannelType::Smartcard => smartcard::client_id::ALL,
                    _ => spicevmc::client_id::ALL,
                };
                let known = [own, common::client_id::ALL].concat();
                let (id, _) = known[usize::from(self.input.byte()) % known.len()];
                self.channel.send_body(id, self.input.counted()).await;
            }
            step::LIE => {
                let (id, size) = (self.input.word(), self.input.long());
                self.channel.send_sized(id, size, 0, self.input.counted()).await;
            }
            step::COMPRESSED => {
                let times = self.input.byte();
                let bytes = self.input.counted().repeat(usize::from(times));
                let size = self.length(bytes.len());
                let block = lz4_flex::block::compress(&bytes);
                let body = [&[1], &size.to_le_bytes()[..], &block].concat();
                let id = spicevmc::client_id::COMPRESSED_DATA;
                self.channel.send_body(id, &body).await;
            }
            step::CARD => {
                let (words, data) = self.card();
                let words = words.map(u32::to_le_bytes);
                let body = [words.as_flattened(), &data].concat();
                self.channel.send_body(smartcard::client_id::DATA, &body).await;
            }
            step::RUN => run_server().await,
            step::READ => {
                let count = 64 * (1 + usize::from(self.input.byte()));
                self.channel.take(count).await;
            }
            step::ANSWER => self.channel.answer().await,
            step::TIME => {
                let seconds = *self.input.one_of(&SECONDS);
                self.world.pass(seconds).await;
                self.main.answer().await;
            }
            step::AGAIN => {
                let next = self.connect(self.session);
                let before = std::mem::replace(&mut self.channel, next);
                self.world.part(before).await;
                // It was refused as long as the other was there.
                let next = self.connect(self.session);
                let refused = std::mem::replace(&mut self.channel, next);
                self.world.part(refused).await;
            }
            step::OPEN => {
                let _ = self.device().open();
            }
            step::CLOSE => self.device().close(),
            step::WRITE => {
                let bytes = self.input.counted();
                let _ = self.device().write(bytes);
            }
            step::FLOOD => {
                let (times, bytes) = (self.input.byte(), self.input.counted());
                let device = self.device();
                for _ in 0..times {
                    let _ = device.write(bytes);
                }
            }
            step::TAKE => {
                let count = 256 * (1 + usize::from(self.input.byte()));
                let _ = self.device().read(&mut vec![0; count]);
            }
            step::ANSWERS => {
                let (words, data) = self.card();
                let words = words.map(u32::to_be_bytes);
                let bytes = [words.as_flattened(), &data].concat();
                let _ = self.device().write(&bytes);
            }
            _ => {
                let mut other = self.world.connect(ChannelType::Main, 0, HeaderKind::Mini, tokens());
                other.take(256).await;
                let session = other.session.unwrap_or(0);
                let channel = self.connect(session);
                run_server().await;
                self.main.answer().await;
                self.world.part(channel).await;
                self.world.part(other).await;
            }
        }
    }

    /// The client leaves; who comes next gets nothing of it, nor the devices of what was for it.
    async fn end(mut self) {
        let mut main = self.world.connect(ChannelType::Main, 0, HeaderKind::Mini, tokens());
        main.take(256).await;
        // The session of the program's client may have ended meanwhile.
        let session = main.session.expect("a session begins with INIT");
        let before = std::mem::replace(&mut self.channel, main);
        self.world.part(before).await;
        for device in self.devices() {
            assert!(!device.is_open(), "a device has its port while nobody is there");
        }
        let mut next = self.connect(session);
        run_server().await;
        for device in self.devices() {
            assert!(device.open(), "a client is there");
        }
        if self.kind == ChannelType::Smartcard {
            next.send(smartcard::ClientMessage::Data(VscMessage {
                kind: VscType::ReaderAdd,
                reader: NO_READER,
                data: b"next"[..].into(),
            }))
            .await;
            run_server().await;
            let heard = messages(&self.devices()[0]);
            let kinds: Vec<_> = heard.iter().map(|message| message.kind).collect();
            assert_eq!(kinds, [VscType::Init, VscType::ReaderAdd], "nothing of the one before");
            assert_eq!(&heard[1].data[..], b"next");
            next.answer().await;
            assert!(next.cards.is_empty(), "nothing of the one before: {:?}", next.cards);
        } else {
            let hello = b"hello".to_vec();
            next.send(spicevmc::ClientMessage::Data(hello.clone().into())).await;
            assert_eq!(self.devices()[0].write(b"to you"), 6);
            next.answer().await;
            let mut heard = vec![0; STREAM_BYTES];
            let count = self.devices()[0].read(&mut heard);
            assert_eq!(heard[..count], hello, "nothing of the one before");
            assert_eq!(next.data, b"to you", "nothing of the one before");
        }
        let clients = vec![next, self.channel, self.main];
        self.world.end(clients).await;
    }
}

/// Messages a device has been told, all of them whole.
fn messages(device: &DevicePort) -> Vec<VscMessage> {
    let mut bytes = vec![0; STREAM_BYTES + VSC_HEADER_BYTES];
    let count = device.read(&mut bytes);
    let mut bytes = bytes[..count].into();
    let mut messages = Vec::new();
    while let Progress::Done(message) = VscMessage::decode_device(&mut bytes).expect("the server keeps the protocol") {
        messages.push(message);
    }
    assert!(bytes.is_empty(), "a part of a message");
    messages
}
