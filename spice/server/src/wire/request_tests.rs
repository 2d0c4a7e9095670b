use super::*;

/// The example of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const USUAL: &[(&str, &str)] = &[
    ("Host", "127.0.0.1:5900"),
    ("Upgrade", "websocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Protocol", "binary"),
];

fn request(headers: &[(&str, &str)]) -> Vec<u8> {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("GET /path?query HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

/// The usual request with a header's value replaced, or without the header.
fn with(name: &str, value: Option<&str>) -> Vec<u8> {
    let mut headers: Vec<_> = USUAL.iter().copied().filter(|(known, _)| *known != name).collect();
    headers.extend(value.map(|value| (name, value)));
    request(&headers)
}

fn twice(name: &'static str, value: &'static str) -> Vec<u8> {
    request(&[USUAL, &[(name, value)]].concat())
}

/// What a client is told.
fn told(refusal: &Refusal, is_encrypted: bool, page: Option<&str>) -> String {
    String::from_utf8(refusal.answer(is_encrypted, page)).unwrap()
}

fn upgrade(request: &[u8]) -> Result<String, Refusal> {
    Request::parse(request)?.upgrade(&Origins::new(["https://example.org"]).unwrap())
}

#[test]
fn a_proper_request_is_answered_with_the_key_and_the_protocol() {
    assert_eq!(
        upgrade(&request(USUAL)).unwrap(),
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: binary\r\n\r\n"
        )
    );
}

#[test]
fn names_of_headers_and_their_words_are_known_in_any_letters() {
    let strange: Vec<_> = [
        ("hOST", "127.0.0.1"),
        ("UPGRADE", "WebSocket"),
        ("connection", "UPGRADE"),
        ("sec-websocket-version", " 13 "),
        ("SEC-WEBSOCKET-KEY", "  dGhlIHNhbXBsZSBub25jZQ==\t"),
    ]
    .into();
    assert!(upgrade(&request(&strange)).unwrap().contains(ACCEPT));
}

#[test]
fn the_protocol_is_echoed_only_when_it_is_offered() {
    assert!(
        !upgrade(&with("Sec-WebSocket-Protocol", None))
            .unwrap()
            .contains("Protocol: ")
    );
    for offers in ["binary", "base64, binary", "binary,base64"] {
        let answer = upgrade(&with("Sec-WebSocket-Protocol", Some(offers))).unwrap();
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: binary\r\n"), "{offers}");
    }
    let two = [
        with(
            "Sec-WebSocket-Protocol",
            Some("base64\r\nSec-WebSocket-Protocol: binary"),
        ),
        with(
            "Sec-WebSocket-Protocol",
            Some("binary\r\nSec-WebSocket-Protocol: base64"),
        ),
    ];
    assert!(two.iter().all(|request| upgrade(request).is_ok()));
    for offers in ["", "base64", "binary2", "Binary"] {
        assert_eq!(
            upgrade(&with("Sec-WebSocket-Protocol", Some(offers))),
            Err(Refusal::Protocol),
            "{offers}"
        );
    }
}

#[test]
fn a_browser_that_wants_a_page_is_told_what_is_there() {
    let page = request(&[("Host", "127.0.0.1:5900"), ("Accept", "text/html")]);
    assert_eq!(upgrade(&page), Err(Refusal::NoUpgrade));
    assert_eq!(upgrade(b"GET / HTTP/1.0\r\n\r\n"), Err(Refusal::NoUpgrade));
    assert_eq!(upgrade(&with("Upgrade", Some("h2c"))), Err(Refusal::NoUpgrade));
    let answer = told(&Refusal::NoUpgrade, false, None);
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n") && answer.contains("\r\nUpgrade: websocket\r\n"));
    assert!(answer.contains("remote-viewer") && answer.contains("(ws://)"));
    assert!(told(&Refusal::NoUpgrade, true, None).contains("(wss://)"));
    assert!(answer.ends_with("There is no page here.\n"));
    let elsewhere = told(&Refusal::NoUpgrade, false, Some("http://127.0.0.1:5980/"));
    assert!(elsewhere.ends_with("Its page for browsers is elsewhere: http://127.0.0.1:5980/.\n"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (name, value) in [
        ("Connection", None),
        ("Connection", Some("close")),
        ("Host", None),
        ("Sec-WebSocket-Key", None),
        ("Sec-WebSocket-Key", Some("")),
        ("Sec-WebSocket-Key", Some("not base64 at all")),
        ("Sec-WebSocket-Key", Some("c2hvcnQ=")),
        ("Origin", Some("nonsense")),
    ] {
        assert_eq!(
            upgrade(&with(name, value)),
            Err(Refusal::Header(name)),
            "{name} {value:?}"
        );
        let answer = told(&Refusal::Header(name), false, None);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(name), "{answer}");
    }
}

#[test]
fn what_may_be_there_once_is_refused_twice() {
    for (name, value) in [
        ("Host", "evil.example"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ] {
        assert_eq!(upgrade(&twice(name, value)), Err(Refusal::Header(name)));
    }
    let origins = [("Origin", "https://example.org"), ("origin", "http://evil.example")];
    assert_eq!(
        upgrade(&request(&[USUAL, &origins].concat())),
        Err(Refusal::Header("Origin"))
    );
}

#[test]
fn another_version_is_told_which_there_is() {
    for value in [None, Some("8"), Some("13, 8")] {
        assert_eq!(upgrade(&with("Sec-WebSocket-Version", value)), Err(Refusal::Version));
    }
    let answer = told(&Refusal::Version, false, None);
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn what_is_not_http_1_1_is_refused() {
    let usual = String::from_utf8(request(USUAL)).unwrap();
    for (from, to) in [
        (" HTTP/1.1", " HTTP/1.0"),
        (" HTTP/1.1", " HTTP/2.0"),
        (" HTTP/1.1", ""),
        (" HTTP/1.1\r\n", " HTTP/1.1\n\n"),
        ("Host: ", "Host : "),
        ("Host: ", "Host\r\n"),
        ("Host: ", "H\0st: "),
    ] {
        let wrong = usual.replacen(from, to, 1);
        assert_eq!(upgrade(wrong.as_bytes()), Err(Refusal::Malformed), "{to:?}");
    }
}

#[test]
fn a_page_that_may_not_connect_is_told_which_key_to_set() {
    let origin = |origin| upgrade(&twice("Origin", origin));
    assert!(origin("https://example.org").is_ok() && origin("http://127.0.0.1:5900").is_ok());
    let refusal = origin("https://Evil.example").unwrap_err();
    assert_eq!(refusal, Refusal::Origin("https://evil.example".to_owned()));
    let answer = told(&refusal, false, None);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("origins = [\"https://evil.example\"] in [spice]"));
    assert!(matches!(origin("null"), Err(Refusal::Origin(_))));
}

#[test]
fn answers_have_the_length_they_say() {
    for refusal in [
        Refusal::Malformed,
        Refusal::TooLong,
        Refusal::NoUpgrade,
        Refusal::Version,
        Refusal::Header("Host"),
        Refusal::Protocol,
        Refusal::Origin("https://evil.example".to_owned()),
    ] {
        let answer = told(&refusal, false, None);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("\r\nContent-Length: {}", body.len())) && body.ends_with(".\n"),
            "{answer}"
        );
        assert!(!head.contains('\u{a}') || head.lines().all(|line| !line.is_empty()));
    }
}

/// What is made of bytes that come so many at a time, and what is left of them.
async fn read(bytes: &[u8], at_once: usize) -> (Result<String, Refusal>, Vec<u8>) {
    let mut stream = Ahead::new(tokio_pieces(bytes, at_once));
    let answered = answer(&mut stream, &Origins::default()).await.unwrap();
    (answered, stream.ahead.to_vec())
}

fn tokio_pieces(bytes: &[u8], at_once: usize) -> impl AsyncRead + Unpin {
    let (mut ours, theirs) = tokio::io::duplex(at_once);
    let bytes = bytes.to_vec();
    tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut ours, &bytes).await });
    theirs
}

#[tokio::test]
async fn a_request_may_come_in_any_pieces_and_what_is_behind_it_is_kept() {
    let whole = [&request(USUAL)[..], b"more"].concat();
    for at_once in [1, 2, 3, 5, 8192] {
        let (answer, left) = read(&whole, at_once).await;
        assert!(answer.unwrap().contains(ACCEPT));
        assert!(b"more".starts_with(&left));
    }
}

#[tokio::test]
async fn a_request_has_4096_bytes_at_most() {
    let padded = |bytes: usize| {
        let bare = with("X", Some("")).len();
        with("X", Some(&"x".repeat(bytes - bare)))
    };
    for at_once in [1, 7, 8192] {
        assert!(read(&padded(MAX_REQUEST), at_once).await.0.is_ok(), "{at_once}");
        for bytes in [MAX_REQUEST + 1, 2 * MAX_REQUEST] {
            assert_eq!(
                read(&padded(bytes), at_once).await.0,
                Err(Refusal::TooLong),
                "{at_once}"
            );
        }
    }
    let many = request(&[USUAL, &[("X", "y"); MAX_HEADERS]].concat());
    assert_eq!(read(&many, 8192).await.0, Err(Refusal::TooLong));
    assert!(told(&Refusal::TooLong, false, None).starts_with("HTTP/1.1 431 "));
}
