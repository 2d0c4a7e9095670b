//! Recordings of real guests, whose contents were counted by another reader (see `traces/README.md`).
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers are tests too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use caraway_ports::display::DisplayCommand;
use caraway_trace::{Contents, Limits, Player, TraceReader, open, record::Event};
use serde_json::{Value, json};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(name)
}

/// Reads a recording to its end.
fn read(name: &str, mut each: impl FnMut(Event)) -> bool {
    let input = open(&path(&format!("{name}.rec.zst"))).unwrap();
    let mut reader = TraceReader::new(input, Limits::default()).unwrap();
    for event in &mut reader {
        each(event.unwrap_or_else(|error| panic!("{name}: {error}")));
    }
    reader.is_cut()
}

/// A recording's contents as its JSON file has them.
fn described(contents: &Contents, cut: bool) -> Value {
    let (first, last) = contents.times.unwrap_or_default();
    json!({
        "events": contents.events,
        "seconds": ((last - first) as f64 / 1e7).round() / 100.0,
        "binary_bytes": contents.binary_bytes,
        "cut": cut,
        "primaries_w_h_stride_format_pos_mouse_flags_type": contents.primaries,
        "counts": contents.counts,
        "final_cursor": {"last": contents.last_shape, "pos": contents.last_position},
    })
}

fn contents_are_those_counted(name: &str) {
    let mut contents = Contents::default();
    let cut = read(name, |event| contents.add(&event));
    let text = fs::read_to_string(path(&format!("{name}.contents.json"))).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(described(&contents, cut), expected, "{name}");
    assert!(contents.of("command draw") > 0);
}

#[test]
fn contents_of_console_are_those_counted() {
    contents_are_those_counted("console");
}

#[test]
fn contents_of_gtk_ums_are_those_counted() {
    contents_are_those_counted("gtk-ums");
}

#[test]
fn contents_of_video_ums_are_those_counted() {
    contents_are_those_counted("video-ums");
}

#[test]
fn contents_of_cursor_kms_are_those_counted() {
    contents_are_those_counted("cursor-kms");
}

#[test]
fn what_is_dropped_is_what_a_device_drops() {
    // A guest whose screen has just become smaller draws on the old one once more.
    let smaller = Some("drawable box = 1024".to_owned());
    for (name, expected) in [
        ("console", (1, smaller.clone())),
        ("gtk-ums", (0, None)),
        ("video-ums", (0, None)),
        ("cursor-kms", (1, smaller)),
    ] {
        let mut player = Player::new();
        let mut drawn = 0;
        read(name, |event| {
            for command in player.translate(event.what) {
                drawn += u64::from(matches!(command, DisplayCommand::Draw(_)));
            }
        });
        let last = player.last_dropped().map(|reason| reason.to_string());
        assert_eq!((player.dropped(), last), expected, "{name}");
        assert!(drawn > 0, "{name}");
    }
}
