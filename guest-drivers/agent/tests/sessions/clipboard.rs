//! Selections, both ways.

use bytes::Bytes;
use caraway_protocol::agent::{AgentMessage, ClipboardKind, Selection};

use crate::bench::{Bench, noise, wait};

const CLIPBOARD: Selection = Selection::Clipboard;
const TEXT: ClipboardKind = ClipboardKind::Text;
const BOTH: [(Selection, &str); 2] = [(CLIPBOARD, "clipboard"), (Selection::Primary, "primary")];

/// What a program is given while the client answers.
fn pasted(bench: &mut Bench, selection: (Selection, &str), target: &str, kind: ClipboardKind, data: &Bytes) -> Vec<u8> {
    let child = bench
        .screen
        .xclip(&["-selection", selection.1, "-t", target, "-o"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    bench.answer(selection.0, kind, data);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    done.stdout
}

#[test]
fn the_clients_text_is_pasted() {
    let mut bench = Bench::new();
    let text = Bytes::from_static("What was copied: äöü, 10 €\nand a second line.".as_bytes());
    for both in BOTH {
        bench.grab(both.0, 0, TEXT);
        bench.screen.wait_target(both.1, "UTF8_STRING");
        for target in ["UTF8_STRING", "text/plain;charset=utf-8", "text/plain"] {
            assert_eq!(pasted(&mut bench, both, target, TEXT, &text), text);
        }
        let latin = pasted(&mut bench, both, "STRING", TEXT, &text);
        assert_eq!(latin[17..20], *b"\xe4\xf6\xfc");
        assert_eq!(latin[25], b'?');
        // What the client does not have.
        assert_eq!(bench.screen.paste(both.1, "image/png"), None);
    }
    bench.send(&AgentMessage::ClipboardRelease { selection: CLIPBOARD });
    wait("end of the selection", || {
        bench.screen.paste("clipboard", "TARGETS").is_none().then_some(())
    });
}

#[test]
fn the_guests_text_is_given_to_the_client() {
    let mut bench = Bench::new();
    let long = "0123456789abcdé\n".repeat(64 << 10);
    for (selection, name) in BOTH {
        for text in ["of the guest", "", &long] {
            let _program = bench.screen.copy(name, "UTF8_STRING", text.as_bytes());
            bench.expect_offer(selection, TEXT);
            let (kind, data) = bench.ask(selection, TEXT);
            assert_eq!(kind, TEXT);
            assert!(data == text.as_bytes(), "{} bytes, not {}", data.len(), text.len());
        }
    }
    let latin = bench.screen.copy("clipboard", "STRING", b"\xe4\xf6");
    bench.expect_offer(CLIPBOARD, TEXT);
    assert_eq!(bench.ask(CLIPBOARD, TEXT), (TEXT, Bytes::from("äö")));
    // What it does not have, and what nobody has.
    assert_eq!(bench.ask(CLIPBOARD, ClipboardKind::Png).0, ClipboardKind::None);
    drop(latin);
    bench.expect("release", |message| {
        (*message == AgentMessage::ClipboardRelease { selection: CLIPBOARD }).then_some(())
    });
    assert_eq!(bench.ask(CLIPBOARD, TEXT).0, ClipboardKind::None);
}

#[test]
fn pictures_go_both_ways_piece_by_piece() {
    let mut bench = Bench::new();
    let kinds = [
        (ClipboardKind::Png, "image/png"),
        (ClipboardKind::Bmp, "image/bmp"),
        (ClipboardKind::Tiff, "image/tiff"),
        (ClipboardKind::Jpeg, "image/jpeg"),
    ];
    let mut serial = 0;
    for (kind, name) in kinds {
        // Not a multiple of anything; more than a request of X11 may have.
        let picture = Bytes::from(noise(9_000_001));
        bench.grab(CLIPBOARD, serial, kind);
        bench.screen.wait_target("clipboard", name);
        let seen = pasted(&mut bench, BOTH[0], name, kind, &picture);
        assert!(picture == seen, "{name}: {} bytes", seen.len());
        let program = bench.screen.copy("clipboard", name, &picture);
        bench.expect_offer(CLIPBOARD, kind);
        let (given, data) = bench.ask(CLIPBOARD, kind);
        assert_eq!(given, kind);
        assert!(picture == data, "{name}: {} bytes", data.len());
        serial += 2;
        drop(program);
        bench.expect("release", |message| {
            (*message == AgentMessage::ClipboardRelease { selection: CLIPBOARD }).then_some(())
        });
    }
}

#[test]
fn a_client_without_an_answer_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.grab(CLIPBOARD, 0, TEXT);
    bench.screen.wait_target("clipboard", "UTF8_STRING");
    let nothing = bench.screen.xclip(&["-selection", "clipboard", "-o"]).spawn().unwrap();
    bench.answer(CLIPBOARD, ClipboardKind::Text, &Bytes::new());
    assert!(nothing.wait_with_output().unwrap().status.success());
    let mut refused = bench.screen.xclip(&["-selection", "clipboard", "-o"]).spawn().unwrap();
    bench.expect("question", |message| {
        matches!(message, AgentMessage::ClipboardRequest { .. }).then_some(())
    });
    bench.send(&AgentMessage::Clipboard {
        selection: CLIPBOARD,
        kind: ClipboardKind::None,
        data: Bytes::new(),
    });
    assert!(!refused.wait().unwrap().success());
    // It goes while a program waits.
    let mut left = bench.screen.xclip(&["-selection", "clipboard", "-o"]).spawn().unwrap();
    bench.expect("question", |message| {
        matches!(message, AgentMessage::ClipboardRequest { .. }).then_some(())
    });
    bench.send_own(&AgentMessage::ClientDisconnected);
    assert!(!left.wait().unwrap().success());
    assert_eq!(bench.screen.paste("clipboard", "TARGETS"), None);
}

#[test]
fn the_clients_limit_holds() {
    let mut bench = Bench::new();
    bench.send(&AgentMessage::MaxClipboard(1000));
    let _long = bench.screen.copy("clipboard", "UTF8_STRING", &[b'x'; 1001]);
    bench.expect_offer(CLIPBOARD, TEXT);
    assert_eq!(bench.ask(CLIPBOARD, TEXT).0, ClipboardKind::None);
    let _fits = bench.screen.copy("clipboard", "UTF8_STRING", &[b'x'; 1000]);
    bench.expect_offer(CLIPBOARD, TEXT);
    assert_eq!(bench.ask(CLIPBOARD, TEXT).1.len(), 1000);
}
