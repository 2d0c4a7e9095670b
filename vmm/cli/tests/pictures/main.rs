//! Recordings of real guests played into a display: what it shows at the end is what the reference client showed after
//! the reference server had played them, pixel by pixel.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers are tests too.

mod damaged;

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use caraway_canvas::Limits;
use caraway_display::{CursorItem, Display};
use caraway_trace::{Player, TraceReader};
use serde_json::{Value, json};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../trace/tests/traces")
        .join(name)
}

/// Width, height, and R, G, B of each pixel.
fn png(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap()))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(
        (info.color_type, info.bit_depth),
        (png::ColorType::Rgb, png::BitDepth::Eight)
    );
    (info.width, info.height, pixels)
}

/// The display after a recording.
fn played(name: &str) -> Arc<Display> {
    let display = Display::new(Limits::default());
    let input = caraway_trace::open(&path(&format!("{name}.rec.zst"))).unwrap();
    let mut player = Player::new();
    for event in TraceReader::new(input, caraway_trace::Limits::default()).unwrap() {
        player.play(event.unwrap().what, display.as_ref());
    }
    assert_eq!(
        display.dropped(),
        0,
        "the canvas takes all that the player lets through"
    );
    display
}

/// The cursor as the last line of the JSON file has it.
fn cursor(display: &Arc<Display>) -> Value {
    let viewer = display.attach_cursor(Arc::new(|| {}));
    let Some(CursorItem::Init { position, shape, .. }) = viewer.next() else {
        panic!("the first item is another one");
    };
    match shape {
        None => json!({"last": null, "pos": null}),
        Some(shape) => json!({
            "last": [shape.width, shape.height, shape.hot_spot.0, shape.hot_spot.1],
            "pos": [position.x, position.y],
        }),
    }
}

fn ends_with_the_picture(name: &str) {
    let display = played(name);
    let seen = display.picture(None, false).unwrap();
    let (width, height, pixels) = png(&path(&format!("{name}.final.png")));
    assert_eq!((seen.width, seen.height), (width, height), "{name}");
    let different = seen.rgb.chunks(3).zip(pixels.chunks(3)).filter(|(a, b)| a != b).count();
    assert_eq!(different, 0, "{name}: pixels that differ");
    let text = fs::read_to_string(path(&format!("{name}.contents.json"))).unwrap();
    let contents: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(cursor(&display), contents["final_cursor"], "{name}");
}

#[test]
fn console_ends_with_its_picture() {
    ends_with_the_picture("console");
}

#[test]
fn gtk_ums_ends_with_its_picture() {
    ends_with_the_picture("gtk-ums");
}

#[test]
fn video_ums_ends_with_its_picture() {
    ends_with_the_picture("video-ums");
}

#[test]
fn cursor_kms_ends_with_its_picture() {
    ends_with_the_picture("cursor-kms");
}
