//! `caraway ctl` against sockets that answer as a VM would, or as one should not.

use std::{fs, io::Write as _, os::unix::net::UnixListener, process::Stdio, thread};

use serde_json::{Value, json};

use crate::{
    fake::{FakeVm, agreeable, contrary},
    program::{Outcome, PROGRAM, World},
};

#[test]
fn a_vm_that_does_not_run_is_code_1_and_the_others_are_named() {
    let world = World::new();
    let message = world.caraway(&["ctl", "web", "status"]).failed(1);
    assert_eq!(message, "caraway: no VM web is running; none is");
    let _vm = FakeVm::start(&world, "mail", agreeable);
    let message = world.caraway(&["ctl", "web", "status"]).failed(1);
    assert_eq!(message, "caraway: no VM web is running; mail is");
    let message = world.caraway(&["ctl", "web!", "status"]).failed(1);
    assert!(
        message.starts_with("caraway: \"web!\" cannot be a VM's name"),
        "{message}"
    );
    let message = world.caraway(&["ctl", "./no.sock", "status"]).failed(1);
    assert!(
        message.contains("./no.sock: the control socket failed: No such file"),
        "{message}"
    );
    let long = format!("/{}", "x".repeat(107));
    let message = world.caraway(&["ctl", &long, "status"]).failed(1);
    assert!(
        message.contains("has 108 bytes, a Unix socket's has at most 107"),
        "{message}"
    );
}

#[test]
fn every_command_becomes_its_qmp_commands() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let key = |name: &str| json!({"type": "qcode", "data": name});
    let events = |events: Value| ("input-send-event".to_owned(), json!({"events": events}));
    let rel = |axis: &str, value: i32| json!({"type": "rel", "data": {"axis": axis, "value": value}});
    let press = |name: &str, down: bool| json!({"type": "btn", "data": {"button": name, "down": down}});
    let click = |name: &str| events(json!([press(name, true), press(name, false)]));
    let plain = |name: &str| vec![(name.to_owned(), json!({}))];
    let one = |name: &str, arguments: Value| vec![(name.to_owned(), arguments)];
    for (line, expected) in [
        (&["pause"][..], plain("stop")),
        (&["resume"], plain("cont")),
        (&["reset"], plain("system_reset")),
        (&["powerdown"], plain("system_powerdown")),
        (
            &["send-key", "ctrl-alt-f2", "enter"],
            vec![
                (
                    "send-key".to_owned(),
                    json!({"keys": [key("ctrl"), key("alt"), key("f2")], "hold-time": 100}),
                ),
                ("send-key".to_owned(), json!({"keys": [key("ret")], "hold-time": 100})),
            ],
        ),
        (
            &["send-key", "--hold", "5", "a"],
            one("send-key", json!({"keys": [key("a")], "hold-time": 5})),
        ),
        (
            &["type", r"echo \\ a\n"],
            one("x-caraway-type", json!({"text": "echo \\ a\n"})),
        ),
        (
            &["type", "--raw", r"a\n"],
            one("x-caraway-type", json!({"text": "a\\n"})),
        ),
        (
            &["mouse", "move", "-5", "7"],
            vec![events(json!([rel("x", -5), rel("y", 7)]))],
        ),
        (
            &["mouse", "click", "left", "--count", "2"],
            vec![click("left"), click("left")],
        ),
        (
            &["mouse", "down", "middle"],
            vec![events(json!([press("middle", true)]))],
        ),
        (
            &["mouse", "up", "middle"],
            vec![events(json!([press("middle", false)]))],
        ),
        (&["mouse", "wheel", "-2"], vec![click("wheel-up"), click("wheel-up")]),
        (
            &["wait-screen", "--still", "200", "--timeout", "9"],
            one("x-caraway-wait", json!({"device": 0, "still": 200, "timeout": 9})),
        ),
        (
            &["wait-screen", "--hash", "0123456789ABCDEF"],
            one(
                "x-caraway-wait",
                json!({"device": 0, "hash": "0123456789abcdef", "timeout": 30}),
            ),
        ),
    ] {
        let line: Vec<_> = ["ctl", "web"].iter().chain(line).copied().collect();
        assert_eq!(world.caraway(&line).done(), "", "{line:?}");
        assert_eq!(vm.requests(), expected, "{line:?}");
    }
}

#[test]
fn a_recording_is_begun_by_its_file_and_told_of_at_its_end() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    assert_eq!(world.caraway(&["ctl", "web", "record-qxl", "a.rec"]).done(), "");
    // The VM may have been started in another directory.
    let file = fs::canonicalize(world.work()).unwrap().join("a.rec");
    let begin = json!({"filename": file, "device": 0});
    assert_eq!(vm.requests(), [("x-caraway-record-qxl".to_owned(), begin)]);
    let line = ["ctl", "web", "record-qxl", "--stop", "--device", "1"];
    assert_eq!(world.caraway(&line).done(), "/tmp/a.rec: 12 records, 1500 bytes\n");
    let end = ("x-caraway-record-qxl-stop".to_owned(), json!({"device": 1}));
    assert_eq!(vm.requests(), [end]);
    for wrong in [&["record-qxl"][..], &["record-qxl", "a.rec", "--stop"]] {
        assert_eq!(world.caraway(&[&["ctl", "web"], wrong].concat()).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_vm_is_named_by_its_control_socket_as_well() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let socket = vm.path.join("qmp.sock");
    let status = world.caraway(&["ctl", socket.to_str().unwrap(), "status"]).done();
    assert_eq!(status, "paused\n");
}

#[test]
fn the_status_is_a_word_or_json() {
    let world = World::new();
    let _vm = FakeVm::start(&world, "web", agreeable);
    assert_eq!(world.caraway(&["ctl", "web", "status"]).done(), "paused\n");
    let status: Value = serde_json::from_str(&world.caraway(&["ctl", "web", "status", "--json"]).done()).unwrap();
    assert_eq!(
        status,
        json!({"name": "web", "status": "paused", "running": false, "spice": {"enabled": true, "channels": []}})
    );
}

#[test]
fn clients_are_a_line_each_and_one_for_each_channel_or_json() {
    let world = World::new();
    let _vm = FakeVm::start(&world, "web", agreeable);
    assert_eq!(
        world.caraway(&["ctl", "web", "clients"]).done(),
        "192.0.2.1:4711, connected 61 s, round trip 0.2 ms, delivers 12345 kbit/s\n  \
         main 0: 90 bytes in 5 messages\n  \
         display 0: 1000 bytes in 10 messages, 3 commands and 640 pixels wait\n"
    );
    let all: Value = serde_json::from_str(&world.caraway(&["ctl", "web", "clients", "--json"]).done()).unwrap();
    assert_eq!(all[0]["channels"][1]["waiting-pixels"], 640);
}

#[test]
fn what_goes_as_video_is_printed_or_changed() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    assert_eq!(world.caraway(&["ctl", "web", "video"]).done(), "filter\n");
    vm.requests();
    assert_eq!(world.caraway(&["ctl", "web", "video", "all"]).done(), "");
    assert_eq!(vm.requests(), [("x-caraway-video".to_owned(), json!({"mode": "all"}))]);
    let Outcome { code, stderr, .. } = world.caraway(&["ctl", "web", "video", "fast"]);
    assert!(
        code == 2 && stderr.contains("'fast'") && stderr.contains("not one of"),
        "{stderr}"
    );
}

#[test]
fn a_screenshot_goes_to_a_file_or_standard_output_or_is_only_a_checksum() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let said = world.caraway(&["ctl", "web", "screenshot"]).done();
    assert_eq!(said, "web.png: 2x1, hash 0123456789abcdef\n");
    assert_eq!(fs::read(world.work().join("web.png")).unwrap(), b"PNG");
    vm.requests();

    let said = world
        .caraway(&["ctl", "web", "screenshot", "-o", "-", "--head", "1", "--cursor"])
        .done();
    assert_eq!(said, "PNG");
    let shot = json!({"device": 0, "head": 1, "cursor": true, "hash_only": false});
    assert_eq!(vm.requests(), [("x-caraway-shot".to_owned(), shot)]);

    let said = world.caraway(&["ctl", "web", "screenshot", "--hash"]).done();
    assert_eq!(said, "0123456789abcdef\n");
    let shot = json!({"device": 0, "head": null, "cursor": false, "hash_only": true});
    assert_eq!(vm.requests(), [("x-caraway-shot".to_owned(), shot)]);

    let said = world
        .caraway(&["ctl", "web", "screenshot", "-o", "a.png", "--json"])
        .done();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        said,
        json!({"file": "a.png", "width": 2, "height": 1, "hash": "0123456789abcdef"})
    );
    assert_eq!(fs::read(world.work().join("a.png")).unwrap(), b"PNG");

    let message = world.caraway(&["ctl", "web", "screenshot", "-o", "no/a.png"]).failed(1);
    assert!(message.contains("cannot write no/a.png: No such file"), "{message}");
}

#[test]
fn text_is_read_from_standard_input_as_it_is() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let mut child = world
        .command(PROGRAM)
        .args(["ctl", "web", "type", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a\\n\r\nb\n").unwrap();
    assert!(child.wait().unwrap().success());
    let text = json!({"text": "a\\n\nb\n"});
    assert_eq!(vm.requests(), [("x-caraway-type".to_owned(), text)]);
}

#[test]
fn what_no_vm_could_do_is_refused_before_one_is_looked_for() {
    let world = World::new();
    for (line, expected) in [
        (&["type", "naïve"][..], "type: 'ï' is not on a US keyboard"),
        (&["type", r"\x"], "none of \\n, \\t"),
        (&["send-key", "crtl-a"], "did you mean `ctrl`?"),
        (&["mouse", "click", "top"], "invalid value 'top'"),
        (&["wait-screen", "--hash", "123"], "16 hexadecimal digits"),
        (&["wait-screen"], "--hash"),
        (&["qmp", "{\"a\":1}"], "no \"execute\""),
        (&["qmp", "stop", "[]"], "is no JSON object"),
    ] {
        let line: Vec<_> = ["ctl", "web"].iter().chain(line).copied().collect();
        let outcome = world.caraway(&line);
        assert_eq!(outcome.code, 2, "{line:?}");
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
    let outcome = world.shell("head -c 70000 /dev/zero | tr '\\0' a | $0 ctl web type -");
    assert!(outcome.failed(2).contains("70000 characters, at most 65536"));
}

#[test]
fn any_qmp_command_can_be_run_and_its_reply_is_printed() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let reply = world.caraway(&["ctl", "web", "qmp", "query-name"]).done();
    assert_eq!(serde_json::from_str::<Value>(&reply).unwrap(), json!({"name": "web"}));
    world
        .caraway(&[
            "ctl",
            "web",
            "qmp",
            r#"{"execute":"screendump","arguments":{"filename":"a"}}"#,
        ])
        .done();
    let requests = vm.requests();
    assert_eq!(requests[1], ("screendump".to_owned(), json!({"filename": "a"})));
}

#[test]
fn a_refusal_is_one_line_whatever_is_in_it() {
    let world = World::new();
    let _vm = FakeVm::start(&world, "web", contrary);
    let message = world.caraway(&["ctl", "web", "pause"]).failed(1);
    assert_eq!(message, r"caraway: VM web: stop: no stop\u{1b}[2J\ntoday");
}

#[test]
fn a_socket_that_ends_or_speaks_something_else_is_code_1() {
    let world = World::new();
    let _vm = FakeVm::start(&world, "web", |_, _| None);
    let message = world.caraway(&["ctl", "web", "pause"]).failed(1);
    assert!(
        message.contains("VM web: stop: the control socket failed: the VM closed"),
        "{message}"
    );

    let listener = UnixListener::bind(world.work().join("other.sock")).unwrap();
    let server = thread::spawn(move || listener.accept().unwrap().0.write_all(b"220 smtp ready\n").unwrap());
    let message = world.caraway(&["ctl", "./other.sock", "pause"]).failed(1);
    assert!(message.contains("\"220 smtp ready\\n\", which is not QMP"), "{message}");
    server.join().unwrap();
}

#[test]
fn quit_by_the_socket_returns_when_the_connection_has_ended() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", |_, _| None);
    let socket = vm.path.join("qmp.sock");
    world.caraway(&["ctl", socket.to_str().unwrap(), "quit"]).done();
    assert_eq!(vm.requests(), [("quit".to_owned(), json!({}))]);
}
