//! TLS, spoken by rustls's client half: who gets in where, and what broken clients get.

use std::{net::SocketAddr, path::Path};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{Accepts, Access, Channel, ChannelAccess, Observer, Tls};

const NAME: &str = "vm.example.org";

/// An authority that signs certificates for [`NAME`].
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    /// A certificate and its key.
    fn sign(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    pub(super) fn tls(&self) -> Arc<Tls> {
        let (cert, key) = self.sign();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Arc::new(Tls::new(vec![cert.der().clone()], key).unwrap())
    }

    fn write(&self, cert: &Path, key: &Path) {
        let (signed, private) = self.sign();
        std::fs::write(cert, signed.pem()).unwrap();
        std::fs::write(key, private.serialize_pem()).unwrap();
    }

    /// What a client that trusts this authority alone speaks with.
    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    pub(super) async fn handshake(&self, stream: DuplexStream) -> std::io::Result<TlsStream<DuplexStream>> {
        self.handshake_in(stream, &[&TLS13, &TLS12]).await
    }

    async fn handshake_in(
        &self,
        stream: DuplexStream,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<DuplexStream>> {
        let connector = TlsConnector::from(self.client(versions));
        let connected = connector.connect(ServerName::try_from(NAME).unwrap(), stream);
        timeout(PATIENCE, connected).await.expect("the handshake ends")
    }
}

pub(super) fn tls_fixture(tls: &Arc<Tls>, channels: ChannelAccess) -> Fixture {
    let security = Security {
        tls: Some(Arc::clone(tls)),
        sasl: None,
        channels,
        ..Security::default()
    };
    secured_fixture(Some("secret"), &[Display::new(CanvasLimits::default())], security)
}

impl Fixture {
    pub(super) fn connect_as(&self, accepts: Accepts) -> DuplexStream {
        self.connect_from(Peer::Unnamed, Peer::Unnamed, accepts)
    }

    pub(super) fn connect_from(&self, local: Peer, client: Peer, accepts: Accepts) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.server.spawn_as(theirs, local, client, accepts);
        ours
    }
}

async fn refused<S: AsyncRead + AsyncWrite + Unpin>(stream: S, kind: ChannelType, session: u32) -> Option<LinkCode> {
    // With a wrong ticket: what is refused is refused before.
    timeout(PATIENCE, link(stream, kind, 0, session, "wrong"))
        .await
        .expect("the server answers")
        .err()
}

/// Reads to the end, whatever comes and however it ends.
pub(super) async fn ends(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let _ = timeout(PATIENCE, read).await.expect("the server closes");
    all
}

#[tokio::test]
async fn a_port_for_both_tells_tls_from_plain_and_serves_a_picture_on_each() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    for version in [&TLS12, &TLS13] {
        let stream = fixture.connect_as(Accepts::Both);
        let stream = authority.handshake_in(stream, &[version]).await.unwrap();
        let mut main = link(stream, ChannelType::Main, 0, 0, "secret").await.unwrap();
        let session = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Init(init) => Some(init.session_id),
                _ => None,
            })
            .await;
        let encrypted = authority.handshake(fixture.connect_as(Accepts::Both)).await.unwrap();
        let plain = fixture.connect_as(Accepts::Both);
        let mut cursor = link(encrypted, ChannelType::Cursor, 0, session, "secret")
            .await
            .unwrap();
        cursor
            .until(|message: cursor::ServerMessage| matches!(message, cursor::ServerMessage::Init { .. }).then_some(()))
            .await;
        let mut display = link(plain, ChannelType::Display, 0, session, "secret").await.unwrap();
        display.send(display::ClientMessage::Init(NO_CACHES)).await;
        display
            .until(|message: display::ServerMessage| matches!(message, display::ServerMessage::Mark).then_some(()))
            .await;
        // A channel that goes takes leave in TLS as well: nothing was cut off.
        drop(main);
        while let Some(_frame) = cursor.frame().await {}
        assert_eq!(cursor.stream.read(&mut [0]).await.unwrap(), 0);
    }
}

/// The lengths of the records in what a server wrote, as far as they are whole.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(after) = rest.get(length..) else { break };
        lengths.push(length);
        bytes = after;
    }
    lengths
}

/// Passes bytes on, and keeps those that come from the server.
fn watched(server: DuplexStream) -> (DuplexStream, Arc<Mutex<Vec<u8>>>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = tokio::io::split(theirs);
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    tokio::spawn(async move {
        let mut bytes = vec![0; 4096];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            kept.lock().unwrap().extend_from_slice(&bytes[..count]);
            to_client.write_all(&bytes[..count]).await.unwrap();
        }
    });
    (ours, seen)
}

#[tokio::test]
async fn a_message_has_tls_records_of_its_own() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let main = link(fixture.connect(), ChannelType::Main, 0, 0, "secret")
        .await
        .unwrap();
    let mut main = main;
    let session = main
        .until(|message: main::ServerMessage| match message {
            main::ServerMessage::Init(init) => Some(init.session_id),
            _ => None,
        })
        .await;
    let (stream, seen) = watched(fixture.connect_as(Accepts::Tls));
    let stream = authority.handshake_in(stream, &[&TLS12]).await.unwrap();
    let mut display = link(stream, ChannelType::Display, 0, session, "secret").await.unwrap();
    let before = records(&seen.lock().unwrap()).len();
    display.send(display::ClientMessage::Init(NO_CACHES)).await;
    let mut sizes = Vec::new();
    loop {
        let frame = timeout(PATIENCE, display.frame())
            .await
            .expect("in time")
            .expect("open");
        sizes.push(6 + frame.body.len());
        if let display::ServerMessage::Mark = frame.message().unwrap() {
            break;
        }
    }
    // In TLS 1.2 with the ciphers there are, a record is 16 or 24 bytes longer than what is in it, and all alike.
    let records = records(&seen.lock().unwrap());
    let more = records.last().unwrap() - sizes.last().unwrap();
    assert!([16, 24].contains(&more), "{more}");
    let expected: Vec<usize> = sizes
        .iter()
        .flat_map(|size| {
            let whole = std::iter::repeat_n(16 << 10, size / (16 << 10));
            whole.chain(Some(size % (16 << 10)).filter(|rest| *rest > 0))
        })
        .map(|size| size + more)
        .collect();
    assert!(
        records.ends_with(&expected) && records.len() <= before + expected.len(),
        "{records:?} {sizes:?}"
    );
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect_and_others_do() {
    let (authority, other) = (Authority::new(), Authority::new());
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let error = other.handshake(fixture.connect_as(Accepts::Tls)).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(authority.handshake(fixture.connect_as(Accepts::Tls)).await.is_ok());
}

#[tokio::test]
async fn a_plain_client_where_only_tls_is_wanted_is_told_so_before_its_ticket() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let plain = fixture.connect_as(Accepts::Tls);
    assert_eq!(refused(plain, ChannelType::Main, 0).await, Some(LinkCode::NeedSecured));
    // Where only plain is wanted, TLS is no link message.
    let answer = async {
        let mut stream = fixture.connect_as(Accepts::Plain);
        stream.write_all(&client_hello(&authority)).await.unwrap();
        ends(stream).await
    };
    assert_eq!(answer.await[16..20], [2, 0, 0, 0]);
}

#[tokio::test]
async fn channels_are_only_where_they_may_be() {
    let authority = Authority::new();
    let channels = ChannelAccess {
        default: Access::Any,
        own: vec![(ChannelType::Inputs, Access::Tls), (ChannelType::Cursor, Access::Plain)],
    };
    let fixture = tls_fixture(&authority.tls(), channels);
    let plain = || fixture.connect_as(Accepts::Both);
    let encrypted = || async { authority.handshake(plain()).await.unwrap() };
    let any = [
        refused(plain(), ChannelType::Main, 0).await,
        refused(encrypted().await, ChannelType::Main, 0).await,
        refused(encrypted().await, ChannelType::Inputs, 7).await,
        refused(plain(), ChannelType::Cursor, 7).await,
    ];
    // Those get as far as their ticket.
    assert_eq!(any, [Some(LinkCode::PermissionDenied); 4]);
    assert_eq!(
        refused(plain(), ChannelType::Inputs, 7).await,
        Some(LinkCode::NeedSecured)
    );
    assert_eq!(
        refused(encrypted().await, ChannelType::Cursor, 7).await,
        Some(LinkCode::NeedUnsecured)
    );
    // Nobody is on the way on a Unix socket, and clients speak no TLS there.
    let unix = fixture.connect_from(Peer::Unix(String::new()), Peer::Unix(String::new()), Accepts::Plain);
    assert_eq!(
        refused(unix, ChannelType::Inputs, 7).await,
        Some(LinkCode::PermissionDenied)
    );
}

#[tokio::test]
async fn the_default_counts_for_channels_without_a_rule_of_their_own() {
    let access = ChannelAccess {
        default: Access::Tls,
        own: vec![(ChannelType::Display, Access::Any)],
    };
    assert_eq!(access.of(ChannelType::Main), Access::Tls);
    assert_eq!(access.of(ChannelType::Display), Access::Any);
    assert_eq!(access.of(ChannelType::from(99)), Access::Tls);
}

/// The first message of a client.
pub(super) fn client_hello(authority: &Authority) -> Vec<u8> {
    let config = authority.client(&[&TLS13, &TLS12]);
    let mut client = ClientConnection::new(config, ServerName::try_from(NAME).unwrap()).unwrap();
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).unwrap();
    }
    hello
}

#[tokio::test]
async fn a_client_hello_that_ends_anywhere_ends_the_connection_and_nothing_else() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let hello = client_hello(&authority);
    for accepts in [Accepts::Tls, Accepts::Both] {
        for cut in 0..hello.len() {
            let mut stream = fixture.connect_as(accepts);
            stream.write_all(&hello[..cut]).await.unwrap();
            stream.shutdown().await.unwrap();
            ends(stream).await;
        }
    }
    assert!(authority.handshake(fixture.connect_as(Accepts::Tls)).await.is_ok());
}

#[tokio::test]
async fn garbage_in_the_handshake_ends_the_connection_and_nothing_else() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let hello = client_hello(&authority);
    for place in 0..hello.len().min(120) {
        for value in [0, 0x7f, 0xff] {
            let mut wrong = hello.clone();
            wrong[place] ^= value | 1;
            // Nothing after it makes sense any more.
            wrong.extend_from_slice(&[value; 64]);
            let mut stream = fixture.connect_as(Accepts::Both);
            // It may have been enough for the server before.
            let _ = stream.write_all(&wrong).await;
            let _ = stream.shutdown().await;
            ends(stream).await;
        }
    }
    let mut stream = fixture.connect_as(Accepts::Tls);
    let _ = stream.write_all(&[[0x16, 3, 1, 0xff, 0xff]; 20_000].concat()).await;
    ends(stream).await;
    assert!(authority.handshake(fixture.connect_as(Accepts::Tls)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_in_the_handshake_has_ten_seconds() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let hello = client_hello(&authority);
    for sent in [0, 1, 2, 100, hello.len()] {
        let from = tokio::time::Instant::now();
        let mut stream = fixture.connect_as(Accepts::Tls);
        stream.write_all(&hello[..sent]).await.unwrap();
        ends(stream).await;
        let waited = from.elapsed();
        assert!(
            waited >= Duration::from_secs(10) && waited < Duration::from_secs(11),
            "{sent}: {waited:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_changes_is_read_again_and_a_broken_one_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let (first, second) = (Authority::new(), Authority::new());
    first.write(&cert, &key);
    let tls = Arc::new(Tls::from_files(&cert, &key).unwrap());
    let fixture = tls_fixture(&tls, ChannelAccess::default());
    let connects = async |authority: &Authority| authority.handshake(fixture.connect_as(Accepts::Tls)).await.is_ok();
    assert!(connects(&first).await && !connects(&second).await);
    second.write(&cert, &key);
    assert!(connects(&second).await && !connects(&first).await);
    std::fs::write(&cert, "not a certificate at all").unwrap();
    assert!(connects(&second).await);
    // One whose key has not come yet.
    let (other, _) = first.sign();
    std::fs::write(&cert, other.pem()).unwrap();
    assert!(connects(&second).await);
    std::fs::remove_file(&key).unwrap();
    assert!(connects(&second).await);
    first.write(&cert, &key);
    assert!(connects(&first).await);
}

#[test]
fn what_is_wrong_with_files_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let error = || Tls::from_files(&cert, &key).unwrap_err();
    let is_of = |wrong: &Path| error().path() == Some(wrong);
    assert!(is_of(&cert) && error().to_string().starts_with("cannot read "));
    let authority = Authority::new();
    authority.write(&cert, &key);
    std::fs::write(&key, "").unwrap();
    assert!(is_of(&key) && error().to_string().ends_with("key.pem: no private key in PEM"));
    authority.write(&folder.path().join("other"), &key);
    assert!(error().path().is_none(), "{:?}", error());
    std::fs::write(&cert, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(is_of(&cert) && error().to_string().contains("more than 1048576 bytes"));
    let (_, private) = authority.sign();
    std::fs::write(&cert, private.serialize_pem()).unwrap();
    assert!(is_of(&cert) && error().to_string().ends_with("no certificate in PEM"));
}

#[derive(Default)]
struct Told(Mutex<Vec<Channel>>);

impl Observer for Told {
    fn connected(&self, _server: &Peer, _client: &Peer) {}

    fn initialized(&self, _server: &Peer, _client: &Peer, channel: &Channel) {
        self.0.lock().unwrap().push(channel.clone());
    }

    fn disconnected(&self, _server: &Peer, _client: &Peer, _channel: Option<&Channel>) {}
}

#[tokio::test]
async fn the_observer_is_told_which_channels_are_encrypted() {
    let authority = Authority::new();
    let told = Arc::new(Told::default());
    let server = Server::new(ServerConfig {
        uuid: [7; 16],
        security: Security {
            tls: Some(authority.tls()),
            ..Security::default()
        },
        observer: Some(told.clone()),
        ..ServerConfig::new(
            "test",
            vec![Display::new(CanvasLimits::default())],
            Arc::new(Keyboard::default()),
        )
    });
    for encrypted in [true, false] {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        server.spawn_as(theirs, Peer::Unnamed, Peer::Unnamed, Accepts::Both);
        if encrypted {
            let stream = authority.handshake(ours).await.unwrap();
            assert!(link(stream, ChannelType::Main, 0, 0, "").await.is_ok());
        } else {
            assert!(link(ours, ChannelType::Main, 0, 0, "").await.is_ok());
        }
    }
    timeout(PATIENCE, async {
        while told.0.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is told");
    let flags: Vec<bool> = told.0.lock().unwrap().iter().map(|channel| channel.tls).collect();
    assert_eq!(flags, [true, false]);
}

#[tokio::test]
async fn a_client_is_told_that_its_keys_can_be_read_unless_it_is_here_or_in_tls() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let main = fixture.connect();
    let mut main = link(main, ChannelType::Main, 0, 0, "secret").await.unwrap();
    let session = main
        .until(|message: main::ServerMessage| match message {
            main::ServerMessage::Init(init) => Some(init.session_id),
            _ => None,
        })
        .await;
    let far: SocketAddr = "192.0.2.1:4000".parse().unwrap();
    let near: SocketAddr = "127.0.0.1:4000".parse().unwrap();
    for (client, encrypted, warned) in [(far, false, true), (near, false, false), (far, true, false)] {
        let stream = fixture.connect_from(Peer::Unnamed, Peer::Tcp(client), Accepts::Both);
        let second = if encrypted {
            let stream = authority.handshake(stream).await.unwrap();
            second_message(link(stream, ChannelType::Inputs, 0, session, "secret").await.unwrap()).await
        } else {
            second_message(link(stream, ChannelType::Inputs, 0, session, "secret").await.unwrap()).await
        };
        match second {
            inputs::ServerMessage::Common(ServerCommon::Notify(notify)) => {
                assert!(warned && notify.text == "keyboard channel is insecure", "{notify:?}");
            }
            other => assert!(!warned && matches!(other, inputs::ServerMessage::Init(_)), "{other:?}"),
        }
    }
}

/// What follows the acknowledgement window; then the channel is closed.
async fn second_message<S: AsyncRead + AsyncWrite + Unpin>(mut channel: Client<S>) -> inputs::ServerMessage {
    channel.frame().await.expect("open");
    let message = channel.frame().await.expect("open").message().unwrap();
    channel
        .send(inputs::ClientMessage::Common(ClientCommon::Disconnecting(
            caraway_protocol::common::Disconnecting {
                time_stamp: 0,
                reason: LinkCode::Ok,
            },
        )))
        .await;
    channel.closed().await;
    message
}
