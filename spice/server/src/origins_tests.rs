use super::*;

fn allows(list: &[&str], origin: &str, host: &str) -> bool {
    let origins =
        Origins::new(list.iter().copied())
            .unwrap()
            .with_names(["vm.example.org", "fd00::7", "*.example.net"]);
    origins.allow(origin, host)
}

#[test]
fn a_page_of_the_server_itself_may_connect() {
    for (origin, host) in [
        ("http://127.0.0.1:5900", "127.0.0.1:5900"),
        ("https://192.0.2.7:5901", "192.0.2.7:5901"),
        ("http://[::1]:5900", "[::1]:5900"),
        ("http://[0:0:0:0:0:0:0:1]:5900", "[::1]:5900"),
        ("http://localhost:5900", "LOCALHOST:5900"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("https://127.0.0.1:443", "127.0.0.1"),
        ("https://vm.example.org:5901", "vm.example.org:5901"),
        ("https://VM.example.org", "vm.example.org"),
        ("http://[fd00::7]:5900", "[fd00::7]:5900"),
    ] {
        assert!(allows(&[], origin, host), "{origin} {host}");
    }
}

#[test]
fn a_page_from_elsewhere_may_not() {
    for (origin, host) in [
        ("http://evil.example", "127.0.0.1:5900"),
        // Another server of the same machine.
        ("http://127.0.0.1:8000", "127.0.0.1:5900"),
        ("http://127.0.0.1", "127.0.0.1:5900"),
        ("http://localhost:5900", "127.0.0.1:5900"),
        ("http://127.0.0.1:80", "127.0.0.1:443"),
        ("http://127.0.0.1.evil.example:5900", "127.0.0.1:5900"),
        ("null", "127.0.0.1:5900"),
        ("", "127.0.0.1:5900"),
        ("http://", "127.0.0.1:5900"),
        ("127.0.0.1:5900", "127.0.0.1:5900"),
        ("http://127.0.0.1:5900/", "127.0.0.1:5900"),
        ("http://127.0.0.1:5900", ""),
        ("http://127.0.0.1:5900", "127.0.0.1:x"),
        ("http://127.0.0.1:5900", "127.0.0.1:5900:5900"),
        ("moz-extension://127.0.0.1", "127.0.0.1"),
    ] {
        assert!(!allows(&[], origin, host), "{origin} {host}");
    }
}

/// The page of a name whose owner lets it lead to this machine has the same origin as what it connects to.
#[test]
fn a_name_that_is_not_the_server_s_makes_no_page_its_own() {
    for name in [
        "evil.example:5900",
        "localhost.evil.example:5900",
        "x.example.net:5900",
        "vm.example.org.:5900",
    ] {
        assert!(!allows(&[], &format!("http://{name}"), name), "{name}");
    }
    assert!(allows(
        &["http://evil.example:5900"],
        "http://evil.example:5900",
        "evil.example:5900"
    ));
}

#[test]
fn listed_origins_may_connect_wherever_they_connect_to() {
    let list = ["https://example.org", "http://[::1]:81", "chrome-extension://abcdef"];
    for (origin, may) in [
        ("https://example.org", true),
        ("https://example.org:443", true),
        ("HTTPS://EXAMPLE.ORG", true),
        ("http://[0::1]:81", true),
        ("chrome-extension://abcdef", true),
        ("http://example.org", false),
        ("https://example.org:444", false),
        ("https://www.example.org", false),
        ("https://example.org.evil.example", false),
        ("https://user@example.org", false),
        ("chrome-extension://abcdeg", false),
        ("null", false),
    ] {
        assert_eq!(allows(&list, origin, "other.example:5900"), may, "{origin}");
    }
}

#[test]
fn pages_without_origin_may_connect_when_that_is_listed_and_all_when_all_are() {
    assert!(allows(&["null"], "null", "127.0.0.1:1"));
    assert!(!allows(&["null"], "http://evil.example", "127.0.0.1:1"));
    for origin in ["null", "http://evil.example", "whatever"] {
        assert!(allows(&["*"], origin, "evil.example"));
    }
}

#[test]
fn what_is_no_origin_cannot_be_listed() {
    let hosts = [
        "",
        "a b",
        "ex\u{e4}mple.org",
        "*.example.org",
        "example.org/",
        "example.org/page",
        "u@example.org",
        "example.org:",
        "example.org:0x1",
        "example.org:65536",
        "example.org:+1",
        "[::1",
        "::1",
    ];
    let wrong = hosts.map(|host| format!("https://{host}"));
    let schemes = ["", "1http", "h ttp"].map(|scheme| format!("{scheme}://example.org"));
    let others = ["", "example.org", "Null", "https:example.org"].map(ToOwned::to_owned);
    for wrong in wrong.iter().chain(&schemes).chain(&others) {
        assert_eq!(
            Origins::new(["*", wrong]),
            Err(OriginError::Malformed(wrong.clone())),
            "{wrong}"
        );
    }
    let error = Origins::new(["https://example.org/"]).unwrap_err().to_string();
    assert!(error.starts_with("\"https://example.org/\" is neither"), "{error}");
    let many = ["https://example.org"; MAX_ORIGINS + 1];
    assert_eq!(Origins::new(many), Err(OriginError::TooMany(MAX_ORIGINS + 1)));
    assert!(Origins::new(many[1..].iter().copied()).is_ok());
}

#[test]
fn an_origin_is_shown_as_it_is_listed() {
    for (sent, listed) in [
        ("HTTPS://Example.org:443", Some("https://example.org")),
        ("http://[0::1]:81", Some("http://[::1]:81")),
        ("https://192.0.2.1", Some("https://192.0.2.1")),
        ("null", Some("null")),
        ("<script>", None),
    ] {
        assert_eq!(shown(sent).as_deref(), listed);
        assert!(listed.is_none_or(|listed| Origins::new([listed]).is_ok()));
    }
}

#[test]
fn a_page_is_shown_where_it_could_connect_from() {
    let origins = Origins::new(["https://example.org"]).unwrap().with_names(["vm.lan"]);
    for host in [
        "127.0.0.1:5980",
        "192.0.2.1",
        "[::1]:5980",
        "localhost",
        "vm.lan:1",
        "example.org",
        "EXAMPLE.org:443",
    ] {
        assert!(origins.allow_host(host), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:5980",
        "example.org:80",
        "",
        "null",
        "*",
        "a b",
        "vm.lan:x",
        "a/b@127.0.0.1",
    ] {
        assert!(!origins.allow_host(host), "{host}");
    }
    assert!(Origins::new(["*"]).unwrap().allow_host("whatever.example"));
}
