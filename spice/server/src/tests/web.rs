//! The page for browsers: its files, facts about the VM, SPICE by WebSocket behind it, and whom it is refused.

use super::{
    tls::{Authority, ends},
    websocket::{bytes_of, upgrade},
    *,
};
use crate::{ChannelAccess, Origins, Web};

/// Who a browser says that it asks.
const HOST: &str = "Host: 127.0.0.1:5980\r\n";

pub(super) fn web_fixture(ticket: Option<&str>, security: Security, web: Web) -> Fixture {
    let display = Display::new(CanvasLimits::default());
    let keyboard = Arc::new(Keyboard::default());
    let server = Server::new(ServerConfig {
        ticket: ticket.map(ToOwned::to_owned),
        view_ticket: ticket.map(|_| "look".to_owned()),
        security,
        web: Some(web),
        ..ServerConfig::new("te\"st", vec![Arc::clone(&display)], keyboard.clone())
    });
    Fixture {
        server,
        display,
        keyboard,
    }
}

pub(super) fn page_alone() -> Web {
    Web {
        address: "http://127.0.0.1:5980/".to_owned(),
        power: None,
    }
}

fn plain(ticket: Option<&str>) -> Fixture {
    web_fixture(ticket, Security::default(), page_alone())
}

/// An answer, as a browser reads it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(known, _)| *known == name).map(|(_, value)| value);
        let first = found.next();
        assert!(found.next().is_none(), "{name} is there twice: {}", self.head);
        first
    }

    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// Reads one answer to a request that was not HEAD.
pub(super) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    read(stream, true).await
}

async fn read(stream: &mut (impl AsyncRead + Unpin), has_body: bool) -> Answer {
    timeout(PATIENCE, async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("the head comes whole"));
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("Content-Length")
            .map_or(0, |length| length.parse().unwrap());
        answer.body.resize(if has_body { length } else { 0 }, 0);
        stream.read_exact(&mut answer.body).await.unwrap();
        answer
    })
    .await
    .expect("the server answers")
}

impl Fixture {
    pub(super) fn browse(&self) -> DuplexStream {
        self.browse_from(Peer::Unnamed, Peer::Unnamed)
    }

    pub(super) fn browse_from(&self, local: Peer, client: Peer) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.server.spawn_web(theirs, local, client);
        ours
    }

    /// The answer to one request on a connection of its own.
    pub(super) async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.browse();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer(&mut stream).await
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{HOST}\r\n")
}

#[tokio::test]
async fn a_page_is_served_with_what_it_may_do_and_connects_to_where_it_came_from() {
    let fixture = plain(None);
    let index = fixture.ask(&get("/")).await;
    assert_eq!(
        (index.status, index.header("Content-Type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(index.text().starts_with("<!doctype html>"));
    let policy = index.header("Content-Security-Policy").unwrap();
    assert!(
        policy.contains("connect-src 'self' ws://127.0.0.1:5980 wss://127.0.0.1:5980;"),
        "{policy}"
    );
    assert_eq!(index.header("X-Content-Type-Options"), Some("nosniff"));
    let tag = index.header("ETag").unwrap();
    let known = format!("GET / HTTP/1.1\r\n{HOST}If-None-Match: {tag}\r\n\r\n");
    assert_eq!(fixture.ask(&known).await.status, 304);
    let packed = fixture
        .ask(&format!("GET / HTTP/1.1\r\n{HOST}Accept-Encoding: gzip\r\n\r\n"))
        .await;
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert!(packed.body.len() < index.body.len());
    assert_eq!(fixture.ask(&get("/nothing.js")).await.status, 404);
    assert_eq!(fixture.ask(&get("/").replace("GET", "PUT")).await.status, 405);
}

#[tokio::test]
async fn a_page_learns_what_it_takes_to_get_in_and_nothing_secret() {
    let facts = async |fixture: &Fixture| fixture.ask(&get("/vm.json")).await.text().to_owned();
    assert_eq!(
        facts(&plain(None)).await,
        r#"{"name":"te\"st","power":false,"ticket":false,"tls":false,"users":false}"#
    );
    let security = Security {
        tls: Some(Authority::new().tls()),
        ..Security::default()
    };
    let fixture = web_fixture(Some("secret"), security, page_alone());
    assert_eq!(
        facts(&fixture).await,
        r#"{"name":"te\"st","power":false,"ticket":true,"tls":true,"users":false}"#
    );
    let post = format!("POST /vm.json HTTP/1.1\r\n{HOST}\r\n");
    assert_eq!(fixture.ask(&post).await.status, 405);
    let answer = fixture.ask(&get("/vm.json?x=1")).await;
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
}

#[tokio::test]
async fn a_connection_takes_many_requests_one_after_the_other_or_all_at_once() {
    let fixture = plain(None);
    let mut stream = fixture.browse();
    for _ in 0..3 {
        stream.write_all(get("/").as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        assert_eq!((answer.status, answer.header("Connection")), (200, Some("keep-alive")));
    }
    let at_once = [
        get("/"),
        get("/").replace("GET", "HEAD"),
        get("/nothing"),
        "HEAD / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n".to_owned(),
        get("/power").replace("GET", "HEAD"),
        get("/vm.json"),
    ]
    .concat();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    for (status, has_body) in [
        (200, true),
        (200, false),
        (404, true),
        (403, false),
        (404, false),
        (200, true),
    ] {
        assert_eq!(read(&mut stream, has_body).await.status, status);
    }
    let last = format!("GET / HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n{}", get("/"));
    stream.write_all(last.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.header("Connection"), Some("close"));
    stream.shutdown().await.unwrap();
    assert_eq!(ends(stream).await, b"");
}

#[tokio::test]
async fn a_hundred_requests_are_the_most_of_one_connection() {
    let fixture = plain(None);
    let mut stream = fixture.browse();
    for number in 1..=100 {
        stream.write_all(get("/vm.json").as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        let wanted = if number < 100 { "keep-alive" } else { "close" };
        assert_eq!(answer.header("Connection"), Some(wanted), "{number}");
    }
    stream.shutdown().await.unwrap();
    assert_eq!(ends(stream).await, b"");
}

#[tokio::test]
async fn spice_comes_by_websocket_also_behind_requests_and_in_tls() {
    let authority = Authority::new();
    let security = Security {
        tls: Some(authority.tls()),
        channels: ChannelAccess::default(),
        ..Security::default()
    };
    let fixture = web_fixture(Some("secret"), security, page_alone());
    let mut stream = fixture.browse();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.status, 200);
    let stream = bytes_of(upgrade(stream, Some("http://127.0.0.1:5900")).await.unwrap(), 4096);
    assert!(link(stream, ChannelType::Main, 0, 0, "secret").await.is_ok());
    let mut encrypted = authority.handshake(fixture.browse()).await.unwrap();
    encrypted.write_all(get("/").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut encrypted).await.status, 200);
    let stream = bytes_of(upgrade(encrypted, None).await.unwrap(), 4096);
    let refused = link(stream, ChannelType::Main, 0, 0, "guess").await.err();
    assert_eq!(refused, Some(LinkCode::PermissionDenied));
}

#[tokio::test]
async fn pages_from_elsewhere_neither_connect_nor_are_shown_under_names_of_theirs() {
    let security = Security {
        origins: Origins::new(["https://vm.example.org"]).unwrap(),
        ..Security::default()
    };
    let fixture = web_fixture(None, security, page_alone());
    for origin in ["http://evil.example", "null"] {
        let refused = upgrade(fixture.browse(), Some(origin)).await;
        assert!(refused.is_err(), "{origin}");
    }
    let request = |host: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    // A name of somebody else's that leads here: his page would be this server's own.
    for path in ["/", "/vm.json", "/nothing"] {
        let answer = fixture.ask(&request("evil.example:5980", path)).await;
        assert_eq!(answer.status, 403);
        assert!(
            answer
                .text()
                .contains("origins = [\"http://evil.example:5980\"] in [spice]"),
            "{answer:?}"
        );
    }
    for host in ["localhost:5980", "[::1]:5980", "192.0.2.7", "vm.example.org"] {
        assert_eq!(fixture.ask(&request(host, "/")).await.status, 200, "{host}");
    }
    for host in ["", "a b", "evil.example/", "127.0.0.1, evil.example"] {
        assert_eq!(fixture.ask(&request(host, "/")).await.status, 400, "{host}");
    }
    assert_eq!(fixture.ask("GET / HTTP/1.1\r\n\r\n").await.status, 400);
    assert_eq!(fixture.server.clients(), 0);
}

#[tokio::test]
async fn requests_that_make_no_sense_end_the_connection_with_an_answer() {
    let fixture = plain(None);
    for (request, status) in [
        ("nonsense".to_owned(), 400),
        ("\x16\x03\x01\x02\0\x01\0\x01".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        (get("/").replace("HTTP/1.1", "HTTP/9.9"), 400),
        (
            format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "x".repeat(20_000)),
            431,
        ),
        (format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", "X: y\r\n".repeat(65)), 431),
        (format!("GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\n\r\nx"), 413),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 257\r\n\r\n"), 413),
        (
            format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 99999999999999999999999\r\n\r\n"),
            413,
        ),
        (
            format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"),
            413,
        ),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\nx"), 400),
        (
            format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
            400,
        ),
    ] {
        let mut stream = fixture.browse();
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.header("Connection"), Some("close"));
        stream.shutdown().await.unwrap();
        assert_eq!(ends(stream).await, b"");
    }
    // A body that nobody wants is no request.
    let mut stream = fixture.browse();
    let body = get("/");
    let post = format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(post.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.status, 405);
    stream.write_all(get("/nothing").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.status, 404);
}

#[tokio::test]
async fn spice_without_websocket_is_refused_as_spice() {
    let fixture = plain(None);
    let refused = link(fixture.browse(), ChannelType::Main, 0, 0, "").await.err();
    assert_eq!(refused, Some(LinkCode::Error));
    for cut in 1..4 {
        let mut stream = fixture.browse();
        stream.write_all(&b"REDQ"[..cut]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(ends(stream).await, b"");
    }
}

#[tokio::test]
async fn who_asks_for_a_page_on_a_listener_of_spice_is_told_where_it_is() {
    let fixture = plain(None);
    let mut stream = fixture.connect();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    let answer = answer(&mut stream).await;
    assert_eq!(answer.status, 426);
    assert!(
        answer
            .text()
            .contains("Its page for browsers is elsewhere: http://127.0.0.1:5980/."),
        "{answer:?}"
    );
}

#[tokio::test]
async fn connections_that_ask_do_not_keep_links_out_nor_each_other_of_other_addresses() {
    let fixture = plain(None);
    let peer = |last: u8| Peer::Tcp(([192, 0, 2, last], 4000).into());
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let mut stream = fixture.browse_from(Peer::Unnamed, peer(1));
        stream.write_all(get("/vm.json").as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await.status, 200);
        waiting.push(stream);
    }
    assert_eq!(ends(fixture.browse_from(Peer::Unnamed, peer(1))).await, b"");
    let mut other = fixture.browse_from(Peer::Unnamed, peer(2));
    other.write_all(get("/vm.json").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut other).await.status, 200);
    // One of them becomes SPICE, and is counted there.
    let stream = waiting.pop().unwrap();
    let stream = bytes_of(upgrade(stream, None).await.unwrap(), 4096);
    assert!(link(stream, ChannelType::Main, 0, 0, "").await.is_ok());
    assert!(link(fixture.connect(), ChannelType::Main, 0, 0, "").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_has_ten_seconds_from_the_answer_before_on() {
    let fixture = plain(None);
    let whole = get("/vm.json");
    for (before, sent) in [(0, 0), (0, 1), (0, 10), (0, whole.len() - 1), (1, 0), (1, 10), (5, 0)] {
        let mut stream = fixture.browse();
        for _ in 0..before {
            stream.write_all(whole.as_bytes()).await.unwrap();
            answer(&mut stream).await;
        }
        let from = tokio::time::Instant::now();
        stream.write_all(&whole.as_bytes()[..sent]).await.unwrap();
        assert_eq!(ends(stream).await, b"");
        let waited = from.elapsed();
        assert!(
            waited >= Duration::from_secs(10) && waited < Duration::from_secs(11),
            "{before} {sent}: {waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_behind_requests_has_the_deadline_of_the_link_stage() {
    let fixture = plain(None);
    let from = tokio::time::Instant::now();
    let socket = upgrade(fixture.browse(), None).await.unwrap();
    let mut stream = bytes_of(socket, 100);
    stream.write_all(b"REDQ").await.unwrap();
    ends(stream).await;
    let waited = from.elapsed();
    assert!(
        waited >= Duration::from_secs(10) && waited < Duration::from_secs(11),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_unix_socket_serves_the_page_and_no_tls() {
    let authority = Authority::new();
    let security = Security {
        tls: Some(authority.tls()),
        ..Security::default()
    };
    let fixture = web_fixture(None, security, page_alone());
    let unix = || Peer::Unix(String::new());
    let mut stream = fixture.browse_from(unix(), unix());
    stream.write_all(get("/vm.json").as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.text().contains("\"tls\":false"));
    assert!(authority.handshake(fixture.browse_from(unix(), unix())).await.is_err());
}
