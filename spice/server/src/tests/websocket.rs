//! WebSocket, spoken by tungstenite's client: whole sessions, and what requests and frames that are wrong get.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message as WsMessage,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue},
    },
};

use super::{
    tls::{Authority, ends, tls_fixture},
    *,
};
use crate::{
    Accepts, Access, ChannelAccess, Origins,
    wire::frames::tests::{BINARY, CLOSE, FIN, PING, client_frame},
};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:5900\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Protocol: binary\r\n";

/// Asks for WebSocket as a browser does.
pub(super) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    origin: Option<&'static str>,
) -> Result<WebSocketStream<S>, Error> {
    let mut request = "ws://127.0.0.1:5900/".into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("binary"));
    headers.extend(origin.map(|origin| (HeaderName::from_static("origin"), HeaderValue::from_static(origin))));
    let asked = timeout(PATIENCE, client_async(request, stream));
    asked.await.expect("the server answers").map(|(socket, _)| socket)
}

/// The bytes of a WebSocket as a stream: what is written goes in messages of at most `piece` bytes. What the server has
/// closed is at its end.
pub(super) fn bytes_of<S>(socket: WebSocketStream<S>, piece: usize) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (mut to_client, mut from_client) = {
        let (read, write) = tokio::io::split(theirs);
        (write, read)
    };
    let (mut to_server, mut from_server) = socket.split();
    tokio::spawn(async move {
        let mut bytes = vec![0; piece];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            if to_server
                .send(WsMessage::binary(bytes[..count].to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
        let _ = to_server.close().await;
    });
    tokio::spawn(async move {
        while let Some(Ok(message)) = from_server.next().await {
            match message {
                WsMessage::Binary(bytes) if to_client.write_all(&bytes).await.is_err() => return,
                WsMessage::Binary(_) | WsMessage::Close(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let _ = to_client.shutdown().await;
    });
    ours
}

/// Main, inputs and a display with a picture, each on a connection of its own.
async fn whole_session<F: Future<Output = DuplexStream>>(fixture: &Fixture, connect: impl Fn() -> F) {
    let mut main = link(connect().await, ChannelType::Main, 0, 0, "secret").await.unwrap();
    let session = main
        .until(|message: main::ServerMessage| match message {
            main::ServerMessage::Init(init) => Some(init.session_id),
            _ => None,
        })
        .await;
    let mut display = link(connect().await, ChannelType::Display, 0, session, "secret")
        .await
        .unwrap();
    display.send(display::ClientMessage::Init(NO_CACHES)).await;
    display
        .until(|message: display::ServerMessage| matches!(message, display::ServerMessage::Mark).then_some(()))
        .await;
    let before = fixture.keyboard.events.lock().unwrap().len();
    let mut inputs = link(connect().await, ChannelType::Inputs, 0, session, "secret")
        .await
        .unwrap();
    inputs.send(inputs::ClientMessage::KeyDown(inputs::KeyCode(0x1e))).await;
    assert_eq!(fixture.keyboard.wait_for(before + 1).await.len(), before + 1);
    // A client that goes takes all its channels along, and gets to know.
    drop(main);
    display.closed().await;
    inputs.closed().await;
}

#[tokio::test]
async fn a_whole_session_over_websocket_in_pieces_of_any_size() {
    let fixture = fixture(Some("secret"));
    for piece in [1, 7, 4096] {
        whole_session(&fixture, || async {
            bytes_of(upgrade(fixture.connect(), None).await.unwrap(), piece)
        })
        .await;
    }
}

#[tokio::test]
async fn a_whole_session_over_websocket_inside_tls() {
    let authority = Authority::new();
    let channels = ChannelAccess {
        default: Access::Tls,
        own: Vec::new(),
    };
    let fixture = tls_fixture(&authority.tls(), channels);
    for accepts in [Accepts::Tls, Accepts::Both] {
        whole_session(&fixture, || async {
            let stream = authority.handshake(fixture.connect_as(accepts)).await.unwrap();
            bytes_of(upgrade(stream, None).await.unwrap(), 1000)
        })
        .await;
    }
    // Without TLS it is told what it needs, as without WebSocket.
    for accepts in [Accepts::Tls, Accepts::Both] {
        let plain = bytes_of(upgrade(fixture.connect_as(accepts), None).await.unwrap(), 1000);
        let refused = link(plain, ChannelType::Main, 0, 0, "secret").await.err();
        assert_eq!(refused, Some(LinkCode::NeedSecured));
    }
}

#[tokio::test]
async fn a_unix_socket_takes_websocket_too() {
    let fixture = fixture(Some("secret"));
    let unix = || Peer::Unix(String::new());
    whole_session(&fixture, || async {
        bytes_of(
            upgrade(fixture.connect_from(unix(), unix(), Accepts::Plain), None)
                .await
                .unwrap(),
            4096,
        )
    })
    .await;
}

/// Request, link message and all, byte by byte, without waiting for an answer.
#[tokio::test]
async fn everything_may_come_byte_by_byte() {
    let fixture = fixture(None);
    let mut stream = fixture.connect();
    let message = LinkMessage {
        connection_id: 0,
        channel: ChannelId {
            kind: ChannelType::Main,
            id: 0,
        },
        common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::AuthSpice, CommonCap::MiniHeader]),
        channel_caps: Caps::none(),
    };
    let frame = client_frame(FIN | BINARY, &message.encode());
    for byte in [format!("{REQUEST}\r\n").as_bytes(), &frame].concat() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut head = vec![0; 300];
    let mut all = Vec::new();
    while !all.windows(4).any(|bytes| bytes == b"REDQ") {
        let count = timeout(PATIENCE, stream.read(&mut head)).await.unwrap().unwrap();
        assert_ne!(count, 0);
        all.extend_from_slice(&head[..count]);
    }
    let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert!(all.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(all[end..end + 2], [0x82, 126]);
}

#[tokio::test]
async fn pages_connect_when_they_are_listed_or_the_server_s_own_and_are_told_when_they_are_not() {
    let fixture = secured_fixture(
        None,
        &[Display::new(CanvasLimits::default())],
        Security {
            origins: Origins::new(["https://example.org"]).unwrap(),
            ..Security::default()
        },
    );
    for origin in [None, Some("https://example.org"), Some("http://127.0.0.1:5900")] {
        let stream = bytes_of(upgrade(fixture.connect(), origin).await.unwrap(), 4096);
        assert!(link(stream, ChannelType::Main, 0, 0, "").await.is_ok(), "{origin:?}");
    }
    for origin in ["https://evil.example", "http://127.0.0.1:8000", "null"] {
        match upgrade(fixture.connect(), Some(origin)).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.server.clients(), 0);
}

/// What is answered to bytes before the connection is closed.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) -> String {
    stream.write_all(sent).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8_lossy(&ends(stream).await).into_owned()
}

#[tokio::test]
async fn a_request_for_something_else_gets_an_answer_plain_and_in_tls() {
    let authority = Authority::new();
    let fixture = tls_fixture(&authority.tls(), ChannelAccess::default());
    let page = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:5900\r\nAccept: text/html\r\n\r\n";
    let plain = answer(fixture.connect_as(Accepts::Both), page).await;
    assert!(
        plain.starts_with("HTTP/1.1 426 ") && plain.contains("(ws://)"),
        "{plain}"
    );
    let encrypted = authority.handshake(fixture.connect_as(Accepts::Both)).await.unwrap();
    let encrypted = answer(encrypted, page).await;
    assert!(
        encrypted.starts_with("HTTP/1.1 426 ") && encrypted.contains("(wss://)"),
        "{encrypted}"
    );
    for (request, status) in [
        (format!("{REQUEST}Origin: http://evil.example\r\n\r\n"), "403 Forbidden"),
        (format!("{REQUEST}Host: twice\r\n\r\n"), "400 Bad Request"),
        (REQUEST.replace("binary", "base64") + "\r\n", "400 Bad Request"),
        (REQUEST.replace(": 13", ": 8") + "\r\n", "426 Upgrade Required"),
        ("GET HTTP/1.1\r\n\r\n".to_owned(), "400 Bad Request"),
        (
            format!("{REQUEST}X: {}\r\n\r\n", "x".repeat(20_000)),
            "431 Request Header",
        ),
    ] {
        let answer = answer(fixture.connect_as(Accepts::Both), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(fixture.server.clients(), 0);
}

#[tokio::test]
async fn what_is_neither_spice_nor_a_get_request_is_no_link_message() {
    let fixture = fixture(None);
    for other in [
        "POST / HTTP/1.1\r\n\r\n",
        "HEAD / HTTP/1.1\r\n\r\n",
        "GOT / HTTP/1.1\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = fixture.connect();
        stream.write_all(other.as_bytes()).await.unwrap();
        let answer = ends(stream).await;
        assert_eq!((&answer[..4], answer[16]), (&b"REDQ"[..], 2), "{other}");
    }
    // Inside WebSocket the same.
    let mut stream = bytes_of(upgrade(fixture.connect(), None).await.unwrap(), 100);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(ends(stream).await[16], 2);
}

#[tokio::test]
async fn a_request_that_ends_anywhere_ends_the_connection_and_nothing_else() {
    let fixture = fixture(None);
    let request = format!("{REQUEST}\r\n");
    for cut in 0..request.len() {
        let mut stream = fixture.connect();
        stream.write_all(&request.as_bytes()[..cut]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(ends(stream).await, b"", "{cut}");
    }
    fixture.session().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_in_its_request_or_after_it_has_ten_seconds() {
    let fixture = fixture(None);
    let request = format!("{REQUEST}\r\n");
    let frame = client_frame(FIN | BINARY, b"REDQ");
    let all = [request.as_bytes(), &frame].concat();
    for sent in [
        1,
        3,
        4,
        100,
        request.len() - 1,
        request.len(),
        request.len() + 3,
        all.len(),
    ] {
        let from = tokio::time::Instant::now();
        let mut stream = fixture.connect();
        stream.write_all(&all[..sent]).await.unwrap();
        ends(stream).await;
        let waited = from.elapsed();
        assert!(
            waited >= Duration::from_secs(10) && waited < Duration::from_secs(11),
            "{sent}: {waited:?}"
        );
    }
}

/// A channel whose client breaks WebSocket is closed with 1002, and others are not.
#[tokio::test]
async fn a_frame_that_is_wrong_ends_the_session_and_nobody_else_s() {
    let fixture = fixture(None);
    let (_other, _) = fixture.session().await;
    for wrong in [
        &b"\x82\x01x"[..],
        &client_frame(FIN | 0x40 | BINARY, b"x"),
        &client_frame(FIN | 3, b"x"),
        &client_frame(FIN, b"x"),
        &client_frame(PING, b"x"),
        &client_frame(FIN | CLOSE, b"x"),
        &[FIN | PING, 0x80 | 126, 0, 126, 0, 0, 0, 0],
        &[
            FIN | BINARY,
            0x80 | 127,
            0xff,
            255,
            255,
            255,
            255,
            255,
            255,
            255,
            0,
            0,
            0,
            0,
        ],
    ] {
        let mut stream = fixture.connect();
        stream.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
        stream.write_all(wrong).await.unwrap();
        let all = ends(stream).await;
        assert!(all.ends_with(b"\x88\x02\x03\xea"), "{wrong:x?}: {all:x?}");
    }
    assert_eq!(fixture.server.clients(), 1);
}

#[tokio::test]
async fn a_close_in_a_session_is_answered_and_ends_it() {
    let fixture = fixture(None);
    let mut socket = upgrade(fixture.connect(), None).await.unwrap();
    socket.send(WsMessage::Ping(b"there?".as_slice().into())).await.unwrap();
    let pong = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, WsMessage::Pong(b"there?".as_slice().into()));
    socket.close(None).await.unwrap();
    let mut last = None;
    while let Some(Ok(message)) = timeout(PATIENCE, socket.next()).await.unwrap() {
        last = Some(message);
    }
    assert_eq!(last, Some(WsMessage::Close(None)));
}
