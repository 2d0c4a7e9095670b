//! Every kind of request, and every file there is.

use std::io::Read as _;

use super::*;

/// Bytes that all files have at most, as they are sent: what a page over a slow line may cost.
const MOST: usize = 300_000;

fn get(path: &str) -> Response {
    page(&of("GET", path), SCREEN)
}

fn of<'a>(method: &'a str, path: &'a str) -> Request<'a> {
    Request {
        method,
        path,
        host: "127.0.0.1:5980",
        ..Request::default()
    }
}

#[test]
fn every_file_is_served_with_its_type_its_length_and_a_tag() {
    assert!(!FILES.is_empty());
    for file in FILES {
        let path = format!("/{}", file.path);
        let response = get(&path);
        assert_eq!((response.status(), response.body()), (Status::OK, file.body), "{path}");
        assert_eq!(response.header("content-type"), Some(file.kind));
        assert_eq!(response.header("Cache-Control"), Some("no-cache"));
        let tag = response.header("ETag").unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 26, "{tag}");
        let head = response.head(true);
        assert!(
            head.contains(&format!("\r\nContent-Length: {}\r\n", file.body.len())),
            "{head}"
        );
    }
    for (ending, kind) in [
        (".html", "text/html; charset=utf-8"),
        (".js", "text/javascript; charset=utf-8"),
    ] {
        let mut files = FILES.iter().filter(|file| file.path.ends_with(ending));
        assert!(files.all(|file| file.kind == kind));
    }
}

#[test]
fn the_whole_page_is_small() {
    assert!(weight() <= MOST, "{} bytes", weight());
}

#[test]
fn files_are_in_order_so_that_they_are_found() {
    assert!(FILES.windows(2).all(|pair| pair[0].path < pair[1].path));
}

#[test]
fn the_root_is_the_page_that_is_said_and_a_query_says_nothing() {
    let index = get("/index.html");
    assert_eq!(get("/").body(), index.body());
    assert_eq!(get("/?view=1").body(), index.body());
    assert_eq!(page(&of("GET", "/"), LIST).body(), get("/list.html").body());
}

#[test]
fn what_is_not_there_is_not_found_however_it_is_written() {
    for path in [
        "",
        "/nothing.js",
        "//index.html",
        "/./index.html",
        "/../Cargo.toml",
        "/%69ndex.html",
        "/Index.html",
        "/index.html/",
        "/page/index.html",
        "*",
        "/\0",
        "index.htm",
    ] {
        let response = get(path);
        assert_eq!(response.status(), Status::NOT_FOUND, "{path:?}");
        assert_eq!(response.header("Content-Type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn other_methods_are_told_which_there_are() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""] {
        let response = page(&of(method, "/"), SCREEN);
        assert_eq!(response.status(), Status::METHOD_NOT_ALLOWED, "{method:?}");
        assert_eq!(response.header("Allow"), Some("GET, HEAD"));
    }
}

#[test]
fn head_is_answered_as_get_is_without_the_body() {
    for path in ["/", "/nothing"] {
        let (got, head) = (get(path), page(&of("HEAD", path), SCREEN));
        assert_eq!(head.head(true), got.head(true));
        assert!(head.body().is_empty() && !got.body().is_empty());
    }
}

#[test]
fn a_client_that_has_it_is_sent_nothing() {
    let tag = get("/").header("ETag").unwrap().to_owned();
    let ask = |if_none_match: &str| {
        page(
            &Request {
                if_none_match: Some(if_none_match),
                ..of("GET", "/")
            },
            SCREEN,
        )
    };
    for tags in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"old\", {tag}"),
        format!("\"old\" ,W/{tag}"),
        "*".to_owned(),
    ] {
        let response = ask(&tags);
        assert_eq!(response.status(), Status::NOT_MODIFIED, "{tags}");
        assert!(response.body().is_empty());
        assert_eq!(response.header("ETag"), Some(tag.as_str()));
        let head = response.head(true);
        assert!(
            !head.contains("Content-Length") && !head.contains("\nContent-Type"),
            "{head}"
        );
        assert!(head.contains("\r\nContent-Security-Policy: "), "{head}");
    }
    for tags in ["", "\"old\"", &tag[1..], &tag.replace('"', "")] {
        assert_eq!(ask(tags).status(), Status::OK, "{tags:?}");
    }
}

#[test]
fn gzip_goes_to_those_who_take_it_and_has_a_tag_of_its_own() {
    let ask = |path: &str, accept_encoding: Option<&str>| {
        page(
            &Request {
                accept_encoding,
                ..of("GET", path)
            },
            SCREEN,
        )
    };
    let mut packed = 0;
    for file in FILES {
        let response = ask(&format!("/{}", file.path), Some("gzip, deflate, br"));
        let Some(gzip) = file.gzip else {
            assert_eq!((response.header("Vary"), response.body()), (None, file.body));
            continue;
        };
        packed += 1;
        assert_eq!(response.body(), gzip);
        assert_eq!(response.header("Content-Encoding"), Some("gzip"));
        assert_eq!(response.header("Vary"), Some("Accept-Encoding"));
        assert_eq!(get(&format!("/{}", file.path)).header("Vary"), Some("Accept-Encoding"));
        assert_ne!(
            response.header("ETag"),
            get(&format!("/{}", file.path)).header("ETag"),
            "{}",
            file.path
        );
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut body).unwrap();
        assert_eq!(body, file.body);
    }
    assert!(packed > 0);
    let is_packed = |accepted| ask("/", accepted).header("Content-Encoding").is_some();
    for accepted in ["gzip", "GZIP", "br, gzip;q=0.5", "*", "gzip ; q=1"] {
        assert!(is_packed(Some(accepted)), "{accepted}");
    }
    for accepted in ["", "br", "gzip;q=0", "gzip; q=0.000", "identity, gzip;Q=0", "gzipped"] {
        assert!(!is_packed(Some(accepted)), "{accepted}");
    }
    assert!(!is_packed(None));
}

#[test]
fn every_answer_says_what_a_page_may_do() {
    for response in [
        get("/"),
        get("/nothing"),
        page(&of("POST", "/"), SCREEN),
        Response::json("{}"),
        Response::empty(Status::NO_CONTENT),
        Response::redirect("b/".to_owned()),
    ] {
        let head = response.head(false);
        for line in [
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cross-Origin-Opener-Policy: same-origin",
            "Cross-Origin-Resource-Policy: same-origin",
            "Connection: close",
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
        }
        let policy = head.split("\r\nContent-Security-Policy: ").nth(1).unwrap();
        let policy = policy.split("\r\n").next().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; "),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        let permissions = head.split("\r\nPermissions-Policy: ").nth(1).unwrap();
        for allowed in [
            "clipboard-read",
            "clipboard-write",
            "fullscreen",
            "keyboard-map",
            "microphone",
        ] {
            assert!(permissions.contains(&format!("{allowed}=(self)")), "{allowed}");
        }
        assert!(head.ends_with("\r\n\r\n") && head.matches("\r\n\r\n").count() == 1);
    }
    assert!(get("/").head(true).contains("\r\nConnection: keep-alive\r\n"));
}

#[test]
fn the_policy_lets_pages_connect_to_where_they_come_from_and_nowhere_else() {
    let connect = |host: &str| {
        let policy = policy(host);
        let part = policy
            .split("; ")
            .find(|part| part.starts_with("connect-src "))
            .unwrap();
        part.to_owned()
    };
    assert_eq!(
        connect("127.0.0.1:5980"),
        "connect-src 'self' ws://127.0.0.1:5980 wss://127.0.0.1:5980"
    );
    assert_eq!(
        connect("vm.example.org"),
        "connect-src 'self' ws://vm.example.org wss://vm.example.org"
    );
    for host in [
        "",
        "[::1]:5980",
        "a b",
        "a; script-src *",
        "a,b",
        "*",
        "a/b",
        "a:",
        ":1",
        "a:1:2",
        "a:x",
        "\u{e9}",
        &"a".repeat(261),
    ] {
        assert_eq!(connect(host), "connect-src 'self'", "{host:?}");
    }
}

#[test]
fn a_header_is_one_line_whatever_is_in_it() {
    let response = Response::redirect("a\r\nSet-Cookie: b=c\0/".to_owned());
    let head = response.head(false);
    assert!(head.contains("\r\nLocation: aSet-Cookie: b=c/\r\n"), "{head}");
}
