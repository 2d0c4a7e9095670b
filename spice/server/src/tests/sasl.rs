//! Users, who authenticate by SASL: what lets them in, and what those get that do not keep to the protocol.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use caraway_protocol::link::{
    Acceptance,
    sasl::{DATA_MAX, Data, MechanismName, Outcome, Step, decode_mechanisms},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio_rustls::client::TlsStream;

use super::{tls::Authority, *};
use crate::{Accepts, Role, Users, sasl::User};

const SCRAM: &str = "SCRAM-SHA-256";

type Encrypted = TlsStream<DuplexStream>;

fn peer(host: u8) -> Peer {
    Peer::Tcp(([192, 0, 2, host], 4000).into())
}

/// A server with users, and how to get at it.
struct WithUsers {
    fixture: Fixture,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl WithUsers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["ann", "bob"]);
        let users = Users::from_file(folder.path().join("users")).unwrap();
        let authority = Authority::new();
        let security = Security {
            tls: Some(authority.tls()),
            sasl: Some(Arc::new(users)),
            ..Security::default()
        };
        Self {
            fixture: secured_fixture(None, &[Display::new(CanvasLimits::default())], security),
            authority,
            folder,
        }
    }

    /// As far as the link reply.
    async fn reply(&self, host: u8, caps: &[CommonCap], (kind, session): (ChannelType, u32)) -> (Talk, Acceptance) {
        let stream = self.fixture.connect_from(Peer::Unnamed, peer(host), Accepts::Both);
        let mut talk = Talk {
            stream: self.authority.handshake(stream).await.unwrap(),
            buffer: BytesMut::new(),
        };
        let message = LinkMessage {
            connection_id: session,
            channel: ChannelId { kind, id: 0 },
            common_caps: Caps::of(caps),
            channel_caps: Caps::none(),
        };
        talk.say(&message.encode()).await;
        match talk.take(LinkReply::decode).await {
            LinkReply::Accepted(accepted) => (talk, *accepted),
            LinkReply::Refused(code) => panic!("refused: {code:?}"),
        }
    }

    /// As far as the list of mechanisms.
    async fn start(&self, host: u8, kind: ChannelType, session: u32) -> Talk {
        let caps = [CommonCap::AuthSelection, CommonCap::AuthSasl, CommonCap::MiniHeader];
        let (mut talk, _) = self.reply(host, &caps, (kind, session)).await;
        talk.say(&AuthMechanism::Sasl.encode()).await;
        assert_eq!(talk.take(decode_mechanisms).await, [SCRAM, "PLAIN"]);
        talk
    }

    async fn main(&self, host: u8) -> Talk {
        self.start(host, ChannelType::Main, 0).await
    }

    async fn scram(&self, host: u8, name: &str, password: &str) -> Result<Client<Encrypted>, String> {
        let mut talk = self.main(host).await;
        talk.choose(SCRAM, Some(first(name).as_bytes())).await;
        talk.scram_answer(name, password).await?;
        Ok(talk.linked().await)
    }

    async fn plain(&self, host: u8, message: &[u8]) -> Result<Client<Encrypted>, String> {
        let mut talk = self.main(host).await;
        talk.choose("PLAIN", Some(message)).await;
        talk.plain_end().await?;
        Ok(talk.linked().await)
    }
}

fn write(folder: &Path, names: &[&str]) {
    let lines = names.iter().map(|name| {
        let user = User::new(name, Role::Control, &format!("{name}'s secret")).unwrap();
        format!("{user}\n")
    });
    let new = folder.join("new");
    std::fs::write(&new, lines.collect::<String>()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&new, mode).unwrap();
    std::fs::rename(&new, folder.join("users")).unwrap();
}

/// A client in the link stage.
struct Talk {
    stream: Encrypted,
    buffer: BytesMut,
}

impl Talk {
    async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn data(&mut self, data: Option<&[u8]>) {
        let data = Data(data.map(Bytes::copy_from_slice));
        self.say(&data.encode()).await;
    }

    async fn choose(&mut self, mechanism: &str, first: Option<&[u8]>) {
        let name = MechanismName(Bytes::copy_from_slice(mechanism.as_bytes()));
        self.say(&name.encode()).await;
        self.data(first).await;
    }

    async fn take<T>(&mut self, decode: impl Fn(&mut BytesMut) -> caraway_protocol::Result<Progress<T>>) -> T {
        let taking = async {
            loop {
                match decode(&mut self.buffer).unwrap() {
                    Progress::Done(taken) => return taken,
                    Progress::Need(_) => fill(&mut self.stream, &mut self.buffer).await,
                }
            }
        };
        timeout(PATIENCE, taking).await.expect("the server answers")
    }

    async fn challenge(&mut self) -> String {
        let step = self.take(Step::decode).await;
        assert!(!step.complete);
        String::from_utf8(step.data.expect("a challenge").to_vec()).unwrap()
    }

    async fn outcome(&mut self) -> Result<(), String> {
        match self.take(Outcome::decode).await {
            Outcome::Accepted => Ok(()),
            Outcome::Rejected(reason) => Err(reason),
        }
    }

    /// SCRAM from the server's first answer on.
    async fn scram_answer(&mut self, name: &str, password: &str) -> Result<(), String> {
        let challenge = self.challenge().await;
        let (last, proves) = answer(name, password, &challenge);
        self.data(Some(last.as_bytes())).await;
        let end = self.take(Step::decode).await;
        assert!(end.complete);
        let outcome = self.outcome().await;
        // The server proves that it knows the user, too, and says nothing to who is wrong.
        let expected = outcome.is_ok().then(|| Bytes::from(proves));
        assert_eq!(end.data, expected);
        outcome
    }

    async fn plain_end(&mut self) -> Result<(), String> {
        let end = self.take(Step::decode).await;
        assert_eq!((end.data, end.complete), (None, true));
        self.outcome().await
    }

    async fn result(&mut self) -> LinkCode {
        self.take(|buffer| Ok(decode_result(buffer))).await
    }

    /// The link result, and the channel behind it.
    async fn linked(mut self) -> Client<Encrypted> {
        assert_eq!(self.result().await, LinkCode::Ok);
        Client {
            over: Vec::new(),
            stream: self.stream,
            buffer: self.buffer,
            decoder: FrameDecoder::new(HeaderKind::Mini, Limits::FromServer),
            encoder: FrameEncoder::new(HeaderKind::Mini),
            acks: None,
        }
    }

    /// All that comes until the server closes.
    async fn rest(mut self) -> BytesMut {
        let reading = async { while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {} };
        timeout(PATIENCE, reading).await.expect("the server closes");
        self.buffer
    }

    /// The code in a full reply, which is the last that comes.
    async fn refusal(self) -> Option<LinkCode> {
        let mut rest = self.rest().await;
        match LinkReply::decode(&mut rest).unwrap() {
            Progress::Done(LinkReply::Refused(code)) if rest.is_empty() => Some(code),
            _ => None,
        }
    }
}

/// What a client makes of a challenge.
type Reply<'a> = &'a dyn Fn(&str) -> Option<String>;

/// SCRAM's first message.
fn first(name: &str) -> String {
    format!("n,,n={name},r=abc")
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// SCRAM's last message for a challenge, and what the server must prove itself by.
fn answer(name: &str, password: &str, challenge: &str) -> (String, String) {
    let [nonce, salt, iterations] = challenge.splitn(3, ',').collect::<Vec<_>>()[..] else {
        panic!("{challenge}");
    };
    assert!(nonce.starts_with("r=abc") && nonce.len() > 20, "{challenge}");
    let salt = BASE64.decode(salt.strip_prefix("s=").unwrap()).unwrap();
    let iterations = iterations.strip_prefix("i=").unwrap().parse().unwrap();
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    let key = hmac(&salted, "Client Key");
    let unproved = format!("c=biws,{nonce}");
    let proved = format!("n={name},r=abc,{challenge},{unproved}");
    let signature = hmac(&Sha256::digest(key), &proved);
    let proof: Vec<u8> = key
        .iter()
        .zip(signature)
        .map(|(key, signature)| key ^ signature)
        .collect();
    let last = format!("{unproved},p={}", BASE64.encode(proof));
    let proves = format!("v={}", BASE64.encode(hmac(&hmac(&salted, "Server Key"), &proved)));
    (last, proves)
}

async fn has_begun(main: &mut Client<Encrypted>) -> u32 {
    main.until(|message: main::ServerMessage| match message {
        main::ServerMessage::Init(init) => Some(init.session_id),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn users_come_in_by_either_mechanism_on_every_channel() {
    let with = WithUsers::new();
    assert!(with.fixture.server.has_sasl());
    let mut main = with.scram(1, "ann", "ann's secret").await.unwrap();
    let session = has_begun(&mut main).await;
    let mut talk = with.start(1, ChannelType::Inputs, session).await;
    talk.choose("PLAIN", Some(b"\0ann\0ann's secret")).await;
    assert_eq!(talk.plain_end().await, Ok(()));
    let mut inputs = talk.linked().await;
    inputs
        .until(|message: inputs::ServerMessage| matches!(message, inputs::ServerMessage::Init(_)).then_some(()))
        .await;
    let mut other = with.plain(2, b"bob\0bob\0bob's secret").await.unwrap();
    has_begun(&mut other).await;
    assert_eq!(with.fixture.server.clients(), 2);
    // The link result is behind the outcome as ever.
    let mut lost = with.start(1, ChannelType::Inputs, session.wrapping_add(1)).await;
    lost.choose(SCRAM, Some(first("ann").as_bytes())).await;
    assert_eq!(lost.scram_answer("ann", "ann's secret").await, Ok(()));
    assert_eq!(lost.result().await, LinkCode::BadConnectionId);
}

#[tokio::test]
async fn who_is_wrong_is_told_the_same_whatever_is_wrong() {
    let with = WithUsers::new();
    let reason = Some("wrong name or password".to_owned());
    for (host, name, password) in [
        (1, "ann", "bob's secret"),
        (2, "eve", "ann's secret"),
        (3, "ann", ""),
        (4, "a=2Cnn", "ann's secret"),
    ] {
        assert_eq!(with.scram(host, name, password).await.err(), reason, "{name}");
    }
    for (host, message) in [
        (5, &b"\0ann\0bob's secret"[..]),
        (6, b"\0eve\0ann's secret"),
        // One who is right and wants to be somebody else.
        (7, b"bob\0ann\0ann's secret"),
    ] {
        assert_eq!(with.plain(host, message).await.err(), reason);
    }
    // Nothing tells before that either: salt and iterations are there for everybody, and stay the same.
    let challenge = async |name: &str| {
        let mut talk = with.main(8).await;
        talk.choose(SCRAM, Some(first(name).as_bytes())).await;
        let challenge = talk.challenge().await;
        challenge.split_once(',').unwrap().1.to_owned()
    };
    let (known, unknown) = (challenge("ann").await, challenge("eve").await);
    assert_eq!(known.len(), unknown.len());
    assert_eq!(unknown, challenge("eve").await);
    assert_ne!(unknown, challenge("eva").await);
}

#[tokio::test]
async fn the_reply_offers_sasl_instead_of_a_ticket_and_no_key_to_those_who_take_it() {
    let with = WithUsers::new();
    let main = (ChannelType::Main, 0);
    let selection = CommonCap::AuthSelection;
    let (_, offered) = with.reply(1, &[selection, CommonCap::AuthSasl], main).await;
    assert_eq!(offered.public_key, [0; 162]);
    assert!(offered.common_caps.has(CommonCap::AuthSasl) && !offered.common_caps.has(CommonCap::AuthSpice));
    for mechanism in [AuthMechanism::Spice, AuthMechanism::from(0), AuthMechanism::from(3)] {
        let (mut talk, offered) = with.reply(1, &[selection], main).await;
        assert_ne!(offered.public_key, [0; 162]);
        talk.say(&mechanism.encode()).await;
        assert_eq!(talk.refusal().await, Some(LinkCode::InvalidData), "{mechanism:?}");
    }
    // Who does not choose can only have meant a ticket.
    let (talk, _) = with.reply(1, &[CommonCap::MiniHeader], main).await;
    assert_eq!(talk.refusal().await, Some(LinkCode::VersionMismatch));
}

#[tokio::test]
async fn a_server_without_users_knows_no_sasl() {
    let fixture = fixture(None);
    assert!(!fixture.server.has_sasl());
    let message = LinkMessage {
        connection_id: 0,
        channel: ChannelId {
            kind: ChannelType::Main,
            id: 0,
        },
        common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::AuthSasl]),
        channel_caps: Caps::none(),
    };
    let mut stream = fixture.connect();
    stream.write_all(&message.encode()).await.unwrap();
    stream.write_all(&AuthMechanism::Sasl.encode()).await.unwrap();
    let mut all = BytesMut::new();
    timeout(PATIENCE, async {
        while stream.read_buf(&mut all).await.unwrap() != 0 {}
    })
    .await
    .expect("the server closes");
    let Progress::Done(LinkReply::Accepted(offered)) = LinkReply::decode(&mut all).unwrap() else {
        panic!("{all:?}");
    };
    assert!(offered.common_caps.has(CommonCap::AuthSpice) && !offered.common_caps.has(CommonCap::AuthSasl));
    assert_ne!(offered.public_key, [0; 162]);
    assert_eq!(all, LinkReply::Refused(LinkCode::InvalidData).encode());
}

#[tokio::test]
async fn only_what_was_offered_can_be_chosen() {
    let with = WithUsers::new();
    let long = "X".repeat(101);
    for mechanism in [
        "",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256-PLUS",
        "scram-sha-256",
        "SCRAM-SHA-256,PLAIN",
        "SCRAM",
        "PLAIN,",
        "PLAIN\0",
        "ANONYMOUS",
        &long,
    ] {
        let mut talk = with.main(1).await;
        let name = MechanismName(Bytes::copy_from_slice(mechanism.as_bytes()));
        talk.say(&name.encode()).await;
        assert_eq!(talk.refusal().await, Some(LinkCode::InvalidData), "{mechanism:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_asked_once() {
    let with = WithUsers::new();
    let asked = async |mechanism| {
        let mut talk = with.main(1).await;
        talk.choose(mechanism, None).await;
        assert_eq!(talk.challenge().await, "");
        talk
    };
    let mut talk = asked(SCRAM).await;
    talk.data(Some(first("ann").as_bytes())).await;
    assert_eq!(talk.scram_answer("ann", "ann's secret").await, Ok(()));
    has_begun(&mut talk.linked().await).await;
    let mut talk = asked("PLAIN").await;
    talk.data(Some(b"\0ann\0ann's secret")).await;
    assert_eq!(talk.plain_end().await, Ok(()));
    has_begun(&mut talk.linked().await).await;
    for mechanism in [SCRAM, "PLAIN"] {
        let mut talk = asked(mechanism).await;
        talk.data(None).await;
        assert!(talk.rest().await.is_empty());
    }
}

#[tokio::test]
async fn what_does_not_belong_to_the_mechanism_ends_the_connection_without_a_word() {
    let with = WithUsers::new();
    for (mechanism, first) in [
        // Empty is not nothing.
        (SCRAM, &b""[..]),
        ("PLAIN", b""),
        (SCRAM, b"n,,,"),
        (SCRAM, b"n,a,n=u,r=x"),
        (SCRAM, b"n,,n=u,r"),
        (SCRAM, b"p=tls-exporter,,n=ann,r=abc"),
        (SCRAM, b"\0ann\0ann's secret"),
        ("PLAIN", b"n,,n=ann,r=abc"),
        ("PLAIN", b"\0ann\0"),
    ] {
        let mut talk = with.main(1).await;
        talk.choose(mechanism, Some(first)).await;
        assert!(talk.rest().await.is_empty(), "{}", String::from_utf8_lossy(first));
    }
    let right = |challenge: &str| answer("ann", "ann's secret", challenge).0;
    let replies: [Reply<'_>; 4] = [
        &|_| None,
        &|_| Some(String::new()),
        // A proof that is right for another nonce, as one has it from another exchange.
        &|challenge| Some(right(&challenge.replacen("r=abc", "r=abcd", 1))),
        // Another word on channel binding than at first.
        &|challenge| Some(right(challenge).replace("c=biws", "c=eSws")),
    ];
    for reply in replies {
        let mut talk = with.main(1).await;
        talk.choose(SCRAM, Some(first("ann").as_bytes())).await;
        let challenge = talk.challenge().await;
        talk.data(reply(&challenge).as_deref().map(str::as_bytes)).await;
        assert!(talk.rest().await.is_empty());
    }
    // The server is there for others all the time.
    assert!(with.scram(1, "ann", "ann's secret").await.is_ok());
}

#[tokio::test]
async fn a_step_that_is_too_long_ends_the_connection_before_it_has_come() {
    let with = WithUsers::new();
    for length in [DATA_MAX as u32 + 1, 1 << 20, u32::MAX] {
        let mut talk = with.main(1).await;
        talk.say(&MechanismName(SCRAM.into()).encode()).await;
        talk.say(&length.to_le_bytes()).await;
        assert!(talk.rest().await.is_empty(), "{length}");
    }
    // The longest there may be is looked at.
    let first = first("ann") + ",x=";
    let longest = format!("{first}{}", "x".repeat(DATA_MAX - 1 - first.len()));
    let mut talk = with.main(1).await;
    talk.choose(SCRAM, Some(longest.as_bytes())).await;
    assert!(talk.challenge().await.starts_with("r=abc"));
}

#[tokio::test]
async fn half_a_step_is_waited_for_until_the_deadline_of_links() {
    let with = WithUsers::new();
    let from = tokio::time::Instant::now();
    let mut talk = with.main(1).await;
    talk.say(&MechanismName(SCRAM.into()).encode()).await;
    talk.say(&[20, 0, 0, 0, b'n', b',']).await;
    tokio::time::pause();
    assert!(talk.rest().await.is_empty());
    assert!(from.elapsed() >= Duration::from_secs(10));
}

#[tokio::test]
async fn steps_that_come_all_at_once_or_byte_by_byte_are_the_same() {
    let with = WithUsers::new();
    let mechanism = MechanismName("PLAIN".into()).encode();
    let data = Data(Some(Bytes::from_static(b"\0ann\0ann's secret"))).encode();
    let all = [mechanism, data].concat();
    for size in [1, all.len()] {
        let mut talk = with.main(1).await;
        for part in all.chunks(size) {
            talk.say(part).await;
        }
        assert_eq!(talk.plain_end().await, Ok(()));
        has_begun(&mut talk.linked().await).await;
    }
}

#[tokio::test]
async fn without_tls_nobody_is_asked_for_a_name() {
    let with = WithUsers::new();
    let unix = || Peer::Unix(String::new());
    for (local, client) in [
        (Peer::Unnamed, peer(1)),
        (unix(), unix()),
        (Peer::Unnamed, Peer::Unnamed),
    ] {
        for kind in [ChannelType::Main, ChannelType::Inputs] {
            let stream = with.fixture.connect_from(local.clone(), client.clone(), Accepts::Both);
            let linked = timeout(PATIENCE, link(stream, kind, 0, 0, "")).await;
            let refused = linked.expect("the server answers").err();
            assert_eq!(refused, Some(LinkCode::NeedSecured), "{client:?}");
        }
    }
}

#[tokio::test]
async fn who_guesses_is_answered_later_and_later_by_either_mechanism() {
    let with = WithUsers::new();
    tokio::time::pause();
    let timed = async |scram: bool, password: &str| {
        let from = tokio::time::Instant::now();
        let entered = if scram {
            with.scram(1, "ann", password).await.is_ok()
        } else {
            let message = format!("\0ann\0{password}");
            with.plain(1, message.as_bytes()).await.is_ok()
        };
        (entered, from.elapsed().as_millis())
    };
    for (scram, least) in [(true, 0), (false, 250), (true, 500), (false, 1000)] {
        let (entered, took) = timed(scram, "guess").await;
        assert!(!entered && (least..least + 10).contains(&took), "{took}");
    }
    let (entered, took) = timed(true, "ann's secret").await;
    assert!(entered && (2000..2010).contains(&took), "{took}");
    assert!(timed(false, "ann's secret").await.1 < 10);
}

#[tokio::test]
async fn who_is_taken_off_the_file_stays_out_from_then_on() {
    let with = WithUsers::new();
    let mut inside = with.scram(1, "ann", "ann's secret").await.unwrap();
    write(with.folder.path(), &["bob", "carl"]);
    assert!(with.scram(2, "ann", "ann's secret").await.is_err());
    assert!(with.scram(3, "carl", "carl's secret").await.is_ok());
    std::fs::write(with.folder.path().join("users"), "bob\n").unwrap();
    assert!(with.scram(4, "bob", "bob's secret").await.is_err());
    // Who is in stays.
    has_begun(&mut inside).await;
}
