//! `caraway web`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    fake::{FakeVm, agreeable},
    program::{PROGRAM, World},
};

/// The program, listening; ended when dropped.
struct List {
    child: Child,
    address: String,
}

impl List {
    fn start(world: &World) -> Self {
        let mut command = world.command(PROGRAM);
        command.args(["web", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(
            lines.next().unwrap().unwrap(),
            format!("list of VMs (pid {})", child.id())
        );
        let line = lines.next().unwrap().unwrap();
        let address = line.strip_prefix("  browser  http://").unwrap();
        Self {
            address: address.strip_suffix('/').unwrap().to_owned(),
            child,
        }
    }

    /// Status line and headers, and the body, of an answer.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, "")
    }

    fn status(&self, method: &str, path: &str) -> u16 {
        let (head, _) = self.ask(method, path, "");
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Ends it as a person would; its exit code.
    fn end(mut self) -> i32 {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn vms_are_listed_and_each_has_a_page_until_a_signal_comes() {
    let world = World::new();
    let list = List::start(&world);
    assert_eq!(list.get("/vms.json").1, "[]");
    let _vm = FakeVm::start(&world, "web", agreeable);
    let listed: Value = serde_json::from_str(&list.get("/vms.json").1).unwrap();
    assert_eq!(
        listed,
        json!([{"name": "web", "state": "paused", "href": "vm/web/", "screen": true}])
    );
    let (head, page) = list.get("/");
    assert!(
        head.contains("\r\nContent-Security-Policy: default-src 'none';"),
        "{head}"
    );
    assert!(page.starts_with("<!doctype html>"));
    assert!(list.get("/vm/web").0.contains("\r\nLocation: web/"));
    assert!(list.get("/vm/web/").1.starts_with("<!doctype html>"));
    assert_eq!(list.status("GET", "/vm/web/index.html"), 200);
    assert_eq!(list.end(), 0);
}

#[test]
fn names_are_checked_and_what_is_not_there_is_said() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let list = List::start(&world);
    for path in [
        "/vm/nobody",
        "/vm/nobody/",
        "/vm/nobody/vm.json",
        "/vm/../",
        "/vm/../web/vm.json",
        "/vm/%77eb/",
        "/vm/",
        "/vm//",
        "/vm/.web/vm.json",
        "/nothing.js",
    ] {
        assert_eq!(list.status("GET", path), 404, "{path}");
    }
    for (method, path) in [
        ("POST", "/vms.json"),
        ("GET", "/vm/web/power"),
        ("PUT", "/vm/web/vm.json"),
        ("DELETE", "/"),
    ] {
        assert_eq!(list.status(method, path), 405, "{method} {path}");
    }
    let (head, _) = list.ask("GET", "/vm/nobody/", UPGRADE);
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let (head, _) = list.ask("GET", "/", UPGRADE);
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    // A page from elsewhere gets nowhere near the VM.
    let evil = format!("{UPGRADE}Origin: https://evil.example\r\n");
    assert!(list.ask("GET", "/vm/web/", &evil).0.starts_with("HTTP/1.1 403 "));
    let evil = "Origin: https://evil.example\r\n";
    assert!(list.ask("POST", "/vm/web/power", evil).0.starts_with("HTTP/1.1 403 "));
    assert!(vm.requests().is_empty());
}

#[test]
fn a_vm_without_a_page_is_asked_by_its_control_socket() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", |command, arguments| match command {
        "query-spice" => Some(json!({"return": {"enabled": true, "auth": "spice", "channels": []}})),
        _ => agreeable(command, arguments),
    });
    let info = vm.path.join("info.json");
    let mut told: Value = serde_json::from_str(&std::fs::read_to_string(&info).unwrap()).unwrap();
    told["web"] = Value::Null;
    std::fs::write(&info, told.to_string()).unwrap();
    let list = List::start(&world);
    let facts: Value = serde_json::from_str(&list.get("/vm/web/vm.json").1).unwrap();
    assert_eq!(
        facts,
        json!({"name": "web", "ticket": true, "users": false, "tls": false, "power": false})
    );
    assert_eq!(list.status("POST", "/vm/web/power"), 404);
    // Its page is in TLS: that is where one goes.
    told["web"] = json!("https://127.0.0.1:5987/");
    std::fs::write(&info, told.to_string()).unwrap();
    let listed: Value = serde_json::from_str(&list.get("/vms.json").1).unwrap();
    assert_eq!(listed[0]["href"], "https://127.0.0.1:5987/");
}

#[test]
fn only_this_machine_is_listened_to() {
    let world = World::new();
    for (listen, says) in [
        ("0.0.0.0:0", "can be reached from other machines"),
        ("5979", "neither"),
        ("unix:", "needs a path"),
    ] {
        let outcome = world.caraway(&["web", "--listen", listen]);
        assert!(outcome.code == 2 && outcome.stderr.contains(says), "{outcome:?}");
    }
}
