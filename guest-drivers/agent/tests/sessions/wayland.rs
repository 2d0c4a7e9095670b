//! The clipboard and the outputs of a Wayland compositor.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use caraway_protocol::agent::{AgentMessage, ClipboardKind, Selection};

use crate::bench::{Bench, Program, Screen, noise, wait};

const TEXT: ClipboardKind = ClipboardKind::Text;
const BOTH: [(Selection, &[&str]); 2] = [(Selection::Clipboard, &[]), (Selection::Primary, &["--primary"])];

/// Puts something in a clipboard; the program that has it stays.
fn copy(screen: &Screen, arguments: &[&str], name: &str, data: &[u8]) -> Program {
    let mut command = screen.command("wl-copy");
    command
        .args(arguments)
        .args(["--foreground", "--type", name])
        .stdin(Stdio::piped());
    let mut child = command
        .spawn()
        .expect("wl-clipboard is one of the packages of ci/setup");
    child.stdin.take().unwrap().write_all(data).unwrap();
    Program(child)
}

fn paste(screen: &Screen, arguments: &[&str], name: &str) -> Command {
    let mut command = screen.command("wl-paste");
    command.args(arguments).args(["--no-newline", "--type", name]);
    command
}

/// Waits until a clipboard has a type.
fn wait_type(screen: &Screen, arguments: &[&str], name: &str) {
    wait(name, || {
        let listed = screen
            .command("wl-paste")
            .args(arguments)
            .arg("--list-types")
            .output()
            .unwrap();
        String::from_utf8_lossy(&listed.stdout)
            .lines()
            .any(|line| line == name)
            .then_some(())
    });
}

#[test]
fn text_goes_both_ways() {
    let mut bench = Bench::on(Screen::wayland());
    let text = Bytes::from_static("What was copied: äöü, 10 €\nand a second line.".as_bytes());
    for (selection, arguments) in BOTH {
        bench.grab(selection, 0, TEXT);
        wait_type(&bench.screen, arguments, "text/plain;charset=utf-8");
        for name in ["text/plain;charset=utf-8", "UTF8_STRING"] {
            let child = paste(&bench.screen, arguments, name)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            bench.answer(selection, TEXT, &text);
            assert_eq!(child.wait_with_output().unwrap().stdout, text);
        }
        let program = copy(
            &bench.screen,
            arguments,
            "text/plain;charset=utf-8",
            "of the guest ✓".as_bytes(),
        );
        bench.expect_offer(selection, TEXT);
        assert_eq!(bench.ask(selection, TEXT), (TEXT, Bytes::from("of the guest ✓")));
        assert_eq!(bench.ask(selection, ClipboardKind::Png).0, ClipboardKind::None);
        drop(program);
        bench.expect("release", |message| {
            (*message == AgentMessage::ClipboardRelease { selection }).then_some(())
        });
        assert_eq!(bench.ask(selection, TEXT).0, ClipboardKind::None);
    }
}

#[test]
fn pictures_go_both_ways() {
    let mut bench = Bench::on(Screen::wayland());
    let selection = Selection::Clipboard;
    let picture = Bytes::from(noise(9_000_001));
    bench.grab(selection, 0, ClipboardKind::Png);
    wait_type(&bench.screen, &[], "image/png");
    let child = paste(&bench.screen, &[], "image/png")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is read while the client answers: a pipe holds little.
    let reader = std::thread::spawn(|| child.wait_with_output().unwrap().stdout);
    bench.answer(selection, ClipboardKind::Png, &picture);
    let seen = reader.join().unwrap();
    assert!(seen == picture, "{} bytes", seen.len());
    let _program = copy(&bench.screen, &[], "image/png", &picture);
    bench.expect_offer(selection, ClipboardKind::Png);
    let (kind, data) = bench.ask(selection, ClipboardKind::Png);
    assert_eq!(kind, ClipboardKind::Png);
    assert!(data == picture, "{} bytes", data.len());
}

#[test]
fn a_client_that_goes_takes_its_clipboard_along() {
    let mut bench = Bench::on(Screen::wayland());
    bench.grab(Selection::Clipboard, 0, TEXT);
    wait_type(&bench.screen, &[], "text/plain");
    let child = paste(&bench.screen, &[], "text/plain")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bench.expect("question", |message| {
        matches!(message, AgentMessage::ClipboardRequest { .. }).then_some(())
    });
    bench.send_own(&AgentMessage::ClientDisconnected);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"");
    wait("end of the clipboard", || {
        let listed = bench
            .screen
            .command("wl-paste")
            .arg("--list-types")
            .stderr(Stdio::null())
            .output()
            .unwrap();
        listed.stdout.is_empty().then_some(())
    });
}

/// Name, place and size of each output that is on.
fn outputs(screen: &Screen) -> Vec<String> {
    let told = screen
        .command("swaymsg")
        .args(["-s", &socket(screen), "-t", "get_outputs", "-r"])
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    let mut outputs = Vec::new();
    let number = |text: &str, key: &str| -> i64 {
        let rest = text.split_once(&format!("\"{key}\": ")).unwrap().1;
        rest.split(|letter: char| letter != '-' && !letter.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    // Each output has its rectangle in the layout.
    for part in text.split("\"rect\": {").skip(1) {
        let rect = part.split_once('}').unwrap().0;
        let size = format!("{}x{}", number(rect, "width"), number(rect, "height"));
        if size != "0x0" {
            outputs.push(format!("{size}+{}+{}", number(rect, "x"), number(rect, "y")));
        }
    }
    outputs.sort();
    outputs
}

fn socket(screen: &Screen) -> String {
    let folder = screen.display();
    let name = crate::bench::names(folder.as_ref())
        .into_iter()
        .find(|name| name.starts_with("sway-ipc"));
    format!("{folder}/{}", name.unwrap())
}

#[test]
fn outputs_are_as_the_client_wants_them() {
    let mut bench = Bench::on(Screen::wayland());
    assert!(bench.want(false, &[(1366, 768, 0, 0), (801, 601, 0, 0)]));
    assert_eq!(outputs(&bench.screen), ["1366x768+0+0", "801x601+1366+0"]);
    assert!(bench.want(true, &[(800, 600, 0, 0), (640, 480, 0, -480)]));
    assert_eq!(outputs(&bench.screen), ["640x480+0+0", "800x600+0+480"]);
    assert!(!bench.want(true, &[(0, 0, 0, 0), (0, 0, 0, 0)]));
    assert_eq!(outputs(&bench.screen), ["640x480+0+0", "800x600+0+480"]);
    // Outputs that are nowhere cannot be switched off in this compositor, which is said.
    assert!(!bench.want(true, &[(800, 600, 0, 480), (0, 0, 0, 0)]));
    assert_eq!(outputs(&bench.screen).len(), 2);
    assert!(bench.want(false, &[(1280, 720, 0, 0), (1280, 720, 0, 0)]));
    assert_eq!(outputs(&bench.screen), ["1280x720+0+0", "1280x720+1280+0"]);
}
