use std::{
    fs,
    sync::{Barrier, atomic::AtomicBool, atomic::Ordering},
};

use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_display::CursorItem;
use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorType},
    drawing::{Brush, Clip, DrawOp, Drawable, Image, ImageData, Mask, Rop, ScaleMode, Source, SurfaceFormat},
    geometry::Point,
};
use caraway_trace::{Player, TraceReader};

use super::*;

fn create(id: u32, width: u32, height: u32, format: SurfaceFormat) -> DisplayCommand {
    DisplayCommand::CreateSurface(SurfaceSpec {
        id,
        width,
        height,
        format,
        pixels: None,
    })
}

fn draw(surface: u32, bbox: Rect, op: DrawOp) -> DisplayCommand {
    DisplayCommand::Draw(Box::new(Drawable {
        surface,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op,
    }))
}

fn fill(surface: u32, bbox: Rect, colour: u32) -> DisplayCommand {
    let op = DrawOp::Fill {
        brush: Brush::Solid(colour),
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    draw(surface, bbox, op)
}

/// Copies a part of surface 3, which is 16x16, to the screen.
fn copy_from_3(bbox: Rect) -> DisplayCommand {
    let image = Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: 16,
        height: 16,
        data: ImageData::Surface(3),
    };
    let op = DrawOp::Copy {
        source: Source {
            image,
            area: Rect::at(0, 0, bbox.width(), bbox.height()),
            scale: ScaleMode::Nearest,
        },
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    draw(0, bbox, op)
}

fn cursor(x: i32, y: i32) -> DisplayCommand {
    DisplayCommand::Cursor(CursorCommand::Set {
        position: Point::new(x, y),
        visible: true,
        shape: Arc::new(CursorShape {
            unique: 0,
            kind: CursorType::Alpha,
            width: 2,
            height: 1,
            hot_spot: (1, 0),
            data: Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8]),
        }),
    })
}

/// A display after the recording, which is whole.
fn replayed(path: &Path) -> Arc<Display> {
    let display = Display::new(Limits::default());
    let mut player = Player::new();
    let mut reader = TraceReader::new(caraway_trace::open(path).unwrap(), caraway_trace::Limits::default()).unwrap();
    for event in &mut reader {
        player.play(event.unwrap().what, display.as_ref());
    }
    assert!(!reader.is_cut());
    assert_eq!((player.dropped(), display.dropped()), (0, 0));
    display
}

fn cursor_of(display: &Arc<Display>) -> CursorItem {
    display.attach_cursor(Arc::new(|| {})).next().unwrap()
}

#[track_caller]
fn assert_same(one: &Arc<Display>, other: &Arc<Display>) {
    assert_eq!(one.picture(None, true), other.picture(None, true));
    assert_eq!(cursor_of(one), cursor_of(other));
    assert_eq!(one.canvas_bytes(), other.canvas_bytes());
}

struct Bench {
    display: Arc<Display>,
    recorder: Arc<Recorder>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let display = Display::new(Limits::default());
        Self {
            recorder: Recorder::new(Arc::clone(&display)),
            display,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.rec")
    }

    fn submit(&self, commands: impl IntoIterator<Item = DisplayCommand>) {
        commands.into_iter().for_each(|command| self.recorder.submit(command));
    }

    fn set_up(&self) {
        self.submit([
            create(0, 64, 48, SurfaceFormat::Xrgb),
            create(3, 16, 16, SurfaceFormat::Argb),
            create(4, 9, 9, SurfaceFormat::A8),
            fill(0, Rect::at(1, 2, 30, 20), 0x0012_3456),
            fill(3, Rect::at(0, 0, 16, 16), 0xff65_4321),
            cursor(5, 6),
            DisplayCommand::Cursor(CursorCommand::Trail {
                length: 3,
                frequency: 4,
            }),
        ]);
    }
}

#[test]
fn a_recording_that_begins_in_the_middle_ends_with_the_same_picture() {
    let bench = Bench::new();
    bench.set_up();
    bench.recorder.start(&bench.path()).unwrap();
    bench.submit([
        copy_from_3(Rect::at(40, 30, 10, 10)),
        DisplayCommand::DestroySurface(4),
        DisplayCommand::Cursor(CursorCommand::Move(Point::new(20, 21))),
        DisplayCommand::Monitors {
            heads: Vec::new(),
            max: 1,
        },
    ]);
    let recording = bench.recorder.stop().unwrap();
    bench.submit([fill(0, Rect::at(0, 0, 64, 48), 0)]);
    // Three surfaces, the cursor and its trail, then three commands.
    assert_eq!((recording.events, recording.recording), (8, false));
    assert_eq!(recording.bytes, fs::metadata(bench.path()).unwrap().len());

    let expected = Bench::new();
    expected.set_up();
    expected.submit([
        copy_from_3(Rect::at(40, 30, 10, 10)),
        DisplayCommand::DestroySurface(4),
        DisplayCommand::Cursor(CursorCommand::Move(Point::new(20, 21))),
    ]);
    assert_same(&replayed(&bench.path()), &expected.display);
}

#[test]
fn what_was_forgotten_before_is_not_recorded() {
    let bench = Bench::new();
    bench.set_up();
    bench.submit([
        DisplayCommand::Reset,
        create(0, 20, 10, SurfaceFormat::Rgb565),
        // More than a canvas takes: it is not there.
        create(9, 100_000, 100_000, SurfaceFormat::Xrgb),
        fill(0, Rect::at(0, 0, 5, 5), 0x00ff_ffff),
    ]);
    bench.recorder.start(&bench.path()).unwrap();
    assert_eq!(bench.recorder.stop().unwrap().events, 1);
    let replayed = replayed(&bench.path());
    assert_eq!(replayed.picture(None, true), bench.display.picture(None, true));
    assert_eq!(replayed.size(), (20, 10));
}

#[test]
fn a_display_is_recorded_once_at_a_time() {
    let bench = Bench::new();
    let told = |error: QmpError| error.to_string();
    assert_eq!(
        told(bench.recorder.stop().unwrap_err()),
        "this display is not being recorded"
    );
    assert_eq!(bench.recorder.status(), None);
    let nowhere = bench.folder.path().join("no/a.rec");
    assert!(told(bench.recorder.start(&nowhere).unwrap_err()).contains("cannot record to"));
    bench.recorder.start(&bench.path()).unwrap();
    let error = told(bench.recorder.start(&bench.path()).unwrap_err());
    assert!(
        error.contains("is being recorded to") && error.contains("a.rec"),
        "{error}"
    );
    assert!(bench.recorder.status().unwrap().recording);
    bench.recorder.stop().unwrap();
    bench.recorder.start(&bench.path()).unwrap();
    bench.recorder.stop().unwrap();
}

#[test]
fn a_full_disk_ends_a_recording_and_not_the_display() {
    let bench = Bench::new();
    bench.set_up();
    bench.recorder.start(Path::new("/dev/full")).unwrap();
    // It fails when the thread gets to it; what is shown does not care.
    bench.submit([fill(0, Rect::at(0, 0, 64, 48), 7)]);
    assert_eq!(bench.display.dropped(), 0);
    let error = bench.recorder.stop().unwrap_err().to_string();
    assert!(
        error.contains("ended early, after 0 bytes") && error.contains("No space left"),
        "{error}"
    );
    // It is over and in nobody's way.
    bench.recorder.start(&bench.path()).unwrap();
    bench.recorder.stop().unwrap();
}

#[test]
fn a_recording_that_begins_while_the_guest_draws_misses_nothing() {
    let bench = Bench::new();
    bench.set_up();
    let (begun, stop) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while count < 200 || !stop.load(Ordering::Relaxed) {
                let (x, y) = (count * 7 % 60, count * 5 % 44);
                bench.submit([fill(0, Rect::at(x, y, 4, 4), count.cast_unsigned())]);
                count += 1;
                if count == 100 {
                    begun.wait();
                }
            }
        });
        begun.wait();
        bench.recorder.start(&bench.path()).unwrap();
        stop.store(true, Ordering::Relaxed);
    });
    bench.recorder.stop().unwrap();
    assert_same(&replayed(&bench.path()), &bench.display);
}
