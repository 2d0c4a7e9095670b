//! Programs of a connection from its first byte on.

use bytes::BytesMut;
use caraway_protocol::{
    Progress,
    caps::{Caps, CommonCap},
    channel::{ChannelId, ChannelType},
    link::{AuthMechanism, LinkMessage, LinkReply, TICKET_BYTES},
};
use caraway_server::Accepts;
use rsa::{PublicKey, pkcs8::DecodePublicKey as _};
use sha1::Sha1;

use crate::{
    client::Client,
    input::Input,
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
    pub(crate) const COUNT: u8 = 8;
}

struct Program<'a> {
    input: Input<'a>,
    world: World,
    accepts: Accepts,
    client: Client,
    tickets: usize,
}

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let mut input = Input::new(data);
        let flags = input.byte();
        let world = World::new(flags & 8).await;
        let accepts = [Accepts::Both, Accepts::Plain, Accepts::Tls, Accepts::Both][usize::from(flags & 3)];
        let client = world.accept(accepts);
        let mut program = Program {
            input,
            world,
            accepts,
            client,
            tickets: 0,
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
            step::RAW => self.client.write(self.input.counted()).await,
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
                let next = self.world.accept(self.accepts);
                let before = std::mem::replace(&mut self.client, next);
                self.world.part(before).await;
            }
            _ => {
                let id = self.input.word();
                self.client.send_body(id, self.input.counted()).await;
            }
        }
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
        let key = PublicKey::from_public_key_der(&key).expect("the server's key is one");
        let ticket = key.oaep_encrypt::<Sha1>(&clear).expect("a password is short enough");
        self.client.write(&ticket).await;
        // RSA is done beside the event loop, and the clock stands still meanwhile.
        run_server().await;
    }
}
