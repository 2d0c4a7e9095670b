//! Programs of a connection from its first byte on.

use bytes::BytesMut;
use caraway_protocol::{
    Progress,
    caps::{Caps, CommonCap},
    channel::{ChannelId, ChannelType},
    link::{
        AuthMechanism, LinkMessage, LinkReply, TICKET_BYTES,
        sasl::{Data, MechanismName, Step, decode_mechanisms},
    },
};
use caraway_server::Accepts;
use rsa::{PublicKey, pkcs8::DecodePublicKey as _};
use sha1::Sha1;

use crate::{
    client::Client,
    input::Input,
    scram,
    web::{REQUEST, Web},
    world::{PASSWORD, World, block_on, run as run_server},
};

const MAX_STEPS: usize = 100;

/// Up to the deadline of the link stage, and beyond.
const SECONDS: [u64; 4] = [1, 4, 9, 11];

/// Wrong tickets keep the next ones waiting, up to 4 s each; the rest of a program may take no longer than this.
const MAX_TICKETS: usize = 4;

pub(crate) mod step {
    /// Bytes as they are.
    pub(crate) const RAW: u8 = 0;
    /// A link message: channel, id, whose session, capabilities.
    pub(crate) const LINK: u8 = 1;
    /// How the client shows who it is.
    pub(crate) const MECHANISM: u8 = 2;
    /// A ticket: 0 right, 1 none, 2 a wrong one, else one that does not decrypt.
    pub(crate) const TICKET: u8 = 3;
    pub(crate) const RUN: u8 = 4;
    pub(crate) const TIME: u8 = 5;
    /// Hangs up, and connects anew.
    pub(crate) const AGAIN: u8 = 6;
    /// A message behind the link stage: id, number, bytes.
    pub(crate) const MESSAGE: u8 = 7;
    /// A request for WebSocket; what follows goes in its frames.
    pub(crate) const WEB: u8 = 8;
    /// A frame that says what it likes: first byte, length or 0 for the right one, number, bytes.
    pub(crate) const FRAME: u8 = 9;
    /// A choice of a mechanism of SASL: 0 SCRAM-SHA-256, 1 PLAIN, else number, bytes.
    pub(crate) const SASL: u8 = 10;
    /// A step of SASL: number, bytes; of 255 there are none.
    pub(crate) const SASL_DATA: u8 = 11;
    /// The last message of SCRAM: how far from right.
    pub(crate) const PROOF: u8 = 12;
    pub(crate) const COUNT: u8 = 13;
}

/// Bits of the first byte: two for what the listener accepts, and these.
pub(crate) mod flag {
    /// A ticket is wanted.
    pub(crate) const TICKET: u8 = 8;
    /// Users authenticate by SASL, as in TLS.
    pub(crate) const USERS: u8 = 0x10;
    /// It is a listener for browsers.
    pub(crate) const WEB: u8 = 0x20;
}

struct Program<'a> {
    input: Input<'a>,
    world: World,
    door: Door,
    client: Client,
    tickets: usize,
    /// The first message of SCRAM that was said.
    said: Vec<u8>,
}

/// Where a client comes.
#[derive(Clone, Copy)]
enum Door {
    Spice(Accepts),
    /// As if it were in TLS.
    InTls,
    Web,
}

fn connect(world: &World, door: Door) -> Client {
    match door {
        Door::Spice(accepts) => world.accept(accepts),
        Door::InTls => world.accept_as_in_tls(),
        Door::Web => world.accept_browser(),
    }
}

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let mut input = Input::new(data);
        let flags = input.byte();
        let world = World::new(flags & (flag::TICKET | flag::USERS)).await;
        let accepts = [Accepts::Both, Accepts::Plain, Accepts::Tls, Accepts::Both][usize::from(flags & 3)];
        let door = match flags & (flag::USERS | flag::WEB) {
            0 => Door::Spice(accepts),
            flag::USERS => Door::InTls,
            _ => Door::Web,
        };
        let client = connect(&world, door);
        let mut program = Program {
            input,
            world,
            door,
            client,
            tickets: 0,
            said: Vec::new(),
        };
        for _ in 0..MAX_STEPS {
            if program.input.is_empty() {
                break;
            }
            program.step().await;
        }
        program.world.end(vec![program.client]).await;
    });
}

impl Program<'_> {
    async fn step(&mut self) {
        match self.input.byte() % step::COUNT {
            step::RAW => self.client.write_raw(self.input.counted()).await,
            step::LINK => {
                let message = self.link();
                self.client.write(&message.encode()).await;
            }
            step::MECHANISM => {
                let mechanism = match self.input.byte() {
                    0 => AuthMechanism::Spice,
                    other => u32::from(other).into(),
                };
                self.client.write(&mechanism.encode()).await;
            }
            step::TICKET => self.ticket().await,
            step::RUN => run_server().await,
            step::TIME => {
                let seconds = *self.input.one_of(&SECONDS);
                self.world.pass(seconds).await;
            }
            step::AGAIN => {
                let next = connect(&self.world, self.door);
                let before = std::mem::replace(&mut self.client, next);
                self.world.part(before).await;
            }
            step::WEB => {
                self.client.write_raw(REQUEST).await;
                self.client.wrap();
                run_server().await;
            }
            step::FRAME => {
                let (first, length) = (self.input.byte(), self.input.byte());
                let content = self.input.counted();
                let length = match length {
                    0 => content.len() as u64,
                    lie => 1u64 << (lie % 64),
                };
                self.client.write_raw(&Web::frame(first, length, content)).await;
            }
            step::SASL => {
                let name = match self.input.byte() {
                    0 => b"SCRAM-SHA-256",
                    1 => &b"PLAIN"[..],
                    _ => self.input.counted(),
                };
                self.client.write(&MechanismName(name.to_vec().into()).encode()).await;
            }
            step::SASL_DATA => {
                let data = match self.input.byte() {
                    255 => None,
                    count => Some(self.input.take(usize::from(count))),
                };
                self.said = data.unwrap_or_default().to_vec();
                self.attempt(&Data(data.map(|data| data.to_vec().into())).encode())
                    .await;
            }
            step::PROOF => {
                let wrong = self.input.byte();
                let proof = self.proof(wrong).await;
                self.attempt(&Data(Some(proof.into())).encode()).await;
            }
            _ => {
                let id = self.input.word();
                self.client.send_body(id, self.input.counted()).await;
            }
        }
    }

    /// Says something that may be a password, unless there were too many.
    async fn attempt(&mut self, bytes: &[u8]) {
        self.tickets += 1;
        if self.tickets > 2 * MAX_TICKETS {
            return;
        }
        self.client.write(bytes).await;
        // A password is computed with beside the event loop.
        run_server().await;
    }

    /// The last message of SCRAM, as the server's answer to the first one asks for.
    async fn proof(&mut self, wrong: u8) -> Vec<u8> {
        run_server().await;
        let mut said = BytesMut::from(&self.client.raw()[..]);
        let mut step = None;
        if let Ok(Progress::Done(LinkReply::Accepted(_))) = LinkReply::decode(&mut said)
            && let Ok(Progress::Done(_)) = decode_mechanisms(&mut said)
            && let Ok(Progress::Done(Step { data, .. })) = Step::decode(&mut said)
        {
            step = data;
        }
        scram::last(&self.said, &step.unwrap_or_default(), wrong)
    }

    fn link(&mut self) -> LinkMessage {
        let kind = ChannelType::from(self.input.byte());
        let id = self.input.byte() % 4;
        let session = match self.input.byte() {
            0 => 0,
            // That of the client that is there.
            1 => self
                .world
                .server
                .figures()
                .first()
                .map_or(0, |client| client.connection_id),
            other => u32::from(other) << 16,
        };
        let caps = self.input.byte();
        let mut common = Vec::new();
        for (bit, cap) in [
            (1, CommonCap::AuthSelection),
            (2, CommonCap::AuthSpice),
            (4, CommonCap::MiniHeader),
            (8, CommonCap::AuthSasl),
        ] {
            if caps & bit == 0 {
                common.push(cap);
            }
        }
        LinkMessage {
            connection_id: session,
            channel: ChannelId { kind, id },
            common_caps: Caps::of(&common),
            channel_caps: Caps::from_words(vec![u32::from(caps); usize::from(caps >> 6)]),
        }
    }

    async fn ticket(&mut self) {
        let what = self.input.byte();
        self.tickets += 1;
        if self.tickets > MAX_TICKETS {
            return;
        }
        run_server().await;
        let mut reply = BytesMut::from(&self.client.raw()[..]);
        let key = match LinkReply::decode(&mut reply) {
            Ok(Progress::Done(LinkReply::Accepted(accepted))) => accepted.public_key,
            _ => return self.client.write(&[what; TICKET_BYTES]).await,
        };
        let clear = match what {
            0 => [PASSWORD.as_bytes(), &[0]].concat(),
            1 => vec![0],
            2 => b"wrong\0".to_vec(),
            _ => return self.client.write(&[what; TICKET_BYTES]).await,
        };
        let key = match PublicKey::from_public_key_der(&key) {
            Ok(key) => key,
            // Where there are users there is none.
            Err(_) if matches!(self.door, Door::InTls) => return self.client.write(&[what; TICKET_BYTES]).await,
            Err(error) => panic!("the server's key is none: {error}"),
        };
        let ticket = key.oaep_encrypt::<Sha1>(&clear).expect("a password is short enough");
        self.client.write(&ticket).await;
        // RSA is done beside the event loop, and the clock stands still meanwhile.
        run_server().await;
    }
}
