//! Video as a viewer sees it, on a clock of ours.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink},
    drawing::{BitmapFormat, Clip, DrawOp, Drawable, Rop},
    geometry::{Point, Rect},
};
use proptest::prelude::*;

use crate::{
    Display, VideoMode, Viewer, ViewerCaps,
    core_tests::{CAPS, Client, assert_same, bitmap, copy, draw, drawable, fill, silent, surface},
};

const VIDEO: ViewerCaps = ViewerCaps {
    streams: true,
    sized_streams: true,
    ..CAPS
};

/// From frame to frame, milliseconds.
const PERIOD: u64 = 40;

/// A display with a clock that stands until it is moved.
struct Stage {
    display: Arc<Display>,
    clock: Arc<AtomicU64>,
    frames: u32,
}

impl Stage {
    fn new(mode: VideoMode) -> Self {
        let clock = Arc::new(AtomicU64::new(5000));
        let hand = Arc::clone(&clock);
        let now = move || Duration::from_millis(hand.load(Ordering::Relaxed));
        let display = Display::with_clock(Limits::default(), Arc::new(now));
        display.set_video(mode);
        Self {
            display,
            clock,
            frames: 0,
        }
    }

    fn pass(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    fn watch(&self, caps: ViewerCaps) -> (Viewer, Client) {
        let viewer = self.display.attach(caps, silent());
        let mut client = Client::new();
        client.drain(&viewer);
        (viewer, client)
    }

    /// The next picture of a video: smooth, and never the same.
    fn picture(&mut self, at: Rect) -> Drawable {
        self.frames += 1;
        let (width, height) = (at.width(), at.height());
        let frame = self.frames;
        let pixel = |at: u32| {
            let (x, y) = (at % width, at / width);
            let value = |part: u32| (part % 256) as u8;
            [value(x / 2 + frame), value(y / 2 + frame * 3), value((x + y) / 4), 0]
        };
        let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
        copy(0, at, bitmap(BitmapFormat::Bit32, width, height, Bytes::from(pixels)))
    }

    /// Plays `count` pictures.
    fn play(&mut self, at: Rect, count: u32) {
        for _ in 0..count {
            self.pass(PERIOD);
            let picture = self.picture(at);
            draw(&self.display, picture);
        }
    }

    /// Lets everything rest, and has the viewer sent what is due.
    fn rest(&self, viewer: &Viewer, client: &mut Client) {
        for _ in 0..30 {
            self.pass(100);
            viewer.tick();
            client.drain(viewer);
        }
        client.show(usize::MAX);
    }
}

fn place() -> Rect {
    Rect::at(40, 30, 160, 120)
}

#[test]
fn what_follows_in_one_place_is_a_stream_and_exact_once_it_rests() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    for _ in 0..21 {
        stage.play(place(), 1);
        client.drain(&viewer);
    }
    assert_eq!(client.told.first().unwrap(), "create 0");
    assert!(client.told.iter().filter(|told| *told == "frame 0").count() >= 12);
    assert_eq!(stage.display.streams(), 1);
    assert!(viewer.has_lost());
    client.told.clear();
    stage.rest(&viewer, &mut client);
    assert_eq!(client.told, ["clip 0 to 0", "destroy 0"]);
    assert_same(&stage.display, &client, &[0]);
    assert!(!viewer.has_lost());
    assert_eq!((stage.display.streams(), viewer.tick()), (0, None));
}

#[test]
fn nothing_is_a_stream_that_is_small_slow_or_drawn_nor_where_it_is_not_wanted() {
    let small = Rect::at(0, 0, 90, 90);
    for (mode, caps, at, pause) in [
        (VideoMode::Off, VIDEO, place(), 0),
        (VideoMode::Filter, CAPS, place(), 0),
        (VideoMode::Filter, VIDEO, small, 0),
        (VideoMode::Filter, VIDEO, place(), 200),
    ] {
        let mut stage = Stage::new(mode);
        let (viewer, mut client) = stage.watch(caps);
        for _ in 0..40 {
            stage.pass(pause);
            stage.play(at, 1);
            client.drain(&viewer);
        }
        assert!(client.told.is_empty(), "{mode:?} {at:?} {pause}");
        assert_same(&stage.display, &client, &[0]);
    }
    let mut stage = Stage::new(VideoMode::All);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(small, 40);
    client.drain(&viewer);
    assert!(!client.told.is_empty());
    // Letters: every other pixel stands out.
    let stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    for frame in 0..40u32 {
        stage.pass(PERIOD);
        let ink = |at: u32| {
            if (at * 7 + frame).is_multiple_of(3) {
                [0; 4]
            } else {
                [255; 4]
            }
        };
        let pixels: Vec<u8> = (0..160 * 120).flat_map(ink).collect();
        let letters = bitmap(BitmapFormat::Bit32, 160, 120, Bytes::from(pixels));
        draw(&stage.display, copy(0, place(), letters));
        client.drain(&viewer);
    }
    assert!(client.told.is_empty());
}

#[test]
fn a_window_over_a_video_is_exact_and_the_video_goes_on_beside_it() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    client.told.clear();
    let window = Rect::at(50, 40, 30, 30);
    draw(&stage.display, fill(0, window, 0x00ff_ff00, Rop::OP_PUT));
    client.drain(&viewer);
    // Frames that come up late come up beside it.
    client.show(usize::MAX);
    assert_eq!(client.told, ["clip 0 to 4"]);
    let read = |client: &Client, area| client.canvas.read(0, area);
    assert_eq!(read(&client, window), stage.display.read(0, window));
    // The player does not draw there, either.
    for _ in 0..5 {
        stage.pass(PERIOD);
        let mut picture = stage.picture(place());
        let around = [
            Rect::at(40, 30, 160, 10),
            Rect::at(40, 70, 160, 80),
            Rect::at(40, 40, 10, 30),
            Rect::at(80, 40, 120, 30),
        ];
        picture.clip = Clip::Rects(Arc::new(around));
        draw(&stage.display, picture);
        client.drain(&viewer);
        client.show(usize::MAX);
        assert_eq!(read(&client, window), stage.display.read(0, window));
    }
    assert_eq!(client.told.iter().filter(|told| *told == "frame 0").count(), 5);
    stage.rest(&viewer, &mut client);
    assert_same(&stage.display, &client, &[0]);
}

#[test]
fn what_reads_a_video_reads_exact_pixels() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    let mark = Rect::at(60, 50, 20, 20);
    draw(&stage.display, fill(0, mark, 0x00ff_00ff, Rop::OP_XOR));
    let moved = Rect::at(300, 200, 100, 100);
    let src_pos = Point::new(50, 40);
    draw(&stage.display, drawable(0, moved, DrawOp::CopyBits { src_pos }));
    client.drain(&viewer);
    client.show(usize::MAX);
    for area in [mark, moved] {
        assert_eq!(client.canvas.read(0, area), stage.display.read(0, area));
    }
    client.told.clear();
    stage.play(place(), 1);
    client.drain(&viewer);
    assert_eq!(
        client.told,
        ["clip 0 to 1", "frame 0"],
        "it goes on with the next frame"
    );
}

#[test]
fn a_window_that_moves_takes_its_video_along() {
    for (sized_streams, told) in [(true, vec!["clip 0 to 1"]), (false, vec!["destroy 0", "create 0"])] {
        let mut stage = Stage::new(VideoMode::Filter);
        let (viewer, mut client) = stage.watch(ViewerCaps { sized_streams, ..VIDEO });
        stage.play(place(), 20);
        client.drain(&viewer);
        client.told.clear();
        let elsewhere = place().translate(200, 100);
        for _ in 0..6 {
            stage.play(elsewhere, 1);
            client.drain(&viewer);
        }
        assert_eq!(stage.display.streams(), 1);
        let steps: Vec<&String> = client.told.iter().filter(|told| *told != "frame 0").collect();
        assert_eq!(steps, told);
        assert!(client.told.contains(&"frame 0".to_owned()));
        client.show(usize::MAX);
        stage.rest(&viewer, &mut client);
        assert_same(&stage.display, &client, &[0]);
    }
}

#[test]
fn of_a_command_that_draws_more_only_the_video_is_a_frame() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    client.told.clear();
    let around = Rect::at(0, 0, 400, 300);
    stage.play(around, 1);
    client.drain(&viewer);
    client.show(usize::MAX);
    assert_eq!(client.told, ["frame 0"]);
    let right = Rect::at(200, 0, 200, 300);
    assert_eq!(client.canvas.read(0, right), stage.display.read(0, right));
    stage.rest(&viewer, &mut client);
    assert_same(&stage.display, &client, &[0]);
}

#[test]
fn a_slow_viewer_has_fewer_frames_the_last_one_and_the_rest_of_the_screen() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    let before = viewer.figures().frames_replaced;
    stage.play(place(), 30);
    client.told.clear();
    client.drain(&viewer);
    assert_eq!((client.told.len(), viewer.figures().frames_replaced - before), (1, 29));
    // So much elsewhere that it is moved to damage.
    for step in 0..5000 {
        draw(
            &stage.display,
            fill(
                0,
                Rect::at(300 + step % 300, 300, 20, 20),
                step.unsigned_abs(),
                Rop::OP_XOR,
            ),
        );
    }
    let beside = Rect::at(300, 300, 340, 20);
    let mut steps = 0;
    while client.canvas.read(0, beside) != stage.display.read(0, beside) {
        // A frame for each step that it takes: the link is not even enough for the video.
        stage.play(place(), 1);
        client.apply(viewer.next().unwrap());
        steps += 1;
        assert!(steps < 20);
    }
    stage.rest(&viewer, &mut client);
    assert_same(&stage.display, &client, &[0]);
}

#[test]
fn of_a_viewer_that_lags_only_what_is_beside_the_video_is_damaged() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    for step in 0..5000 {
        draw(&stage.display, fill(0, Rect::at(300, 400, 20, 20), step, Rop::OP_XOR));
    }
    let damaged = || viewer.figures().waiting_pixels;
    let (before, around) = (damaged(), Rect::at(0, 0, 400, 300));
    assert!(before > 0, "it does not lag");
    stage.play(around, 1);
    assert_eq!(damaged() - before, around.area() - place().area());
    stage.rest(&viewer, &mut client);
    assert_same(&stage.display, &client, &[0]);
}

#[test]
fn modes_change_at_run_time_and_a_viewer_that_cannot_decode_is_sent_pictures() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    client.told.clear();
    stage.display.set_video(VideoMode::Off);
    stage.play(place(), 20);
    client.drain(&viewer);
    assert_eq!(client.told, ["destroy 0"]);
    assert_same(&stage.display, &client, &[0]);
    stage.display.set_video(VideoMode::All);
    stage.play(place(), 20);
    client.drain(&viewer);
    client.told.clear();
    viewer.refuse_streams();
    stage.play(place(), 5);
    client.drain(&viewer);
    assert_eq!(client.told, ["destroy 0"]);
    stage.rest(&viewer, &mut client);
    assert_same(&stage.display, &client, &[0]);
}

#[test]
fn a_viewer_that_comes_late_is_told_of_the_stream() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (first, mut one) = stage.watch(VIDEO);
    stage.play(place(), 20);
    one.drain(&first);
    let (second, mut two) = stage.watch(VIDEO);
    assert_same(&stage.display, &two, &[0]);
    stage.play(place(), 1);
    two.drain(&second);
    assert_eq!(two.told, ["create 0", "frame 0"]);
    drop(first);
    stage.rest(&second, &mut two);
    assert_same(&stage.display, &two, &[0]);
}

#[test]
fn streams_without_end_do_not_fill_the_queue_of_a_viewer_that_does_not_read() {
    let mut stage = Stage::new(VideoMode::All);
    let (viewer, mut client) = stage.watch(VIDEO);
    for round in 0..200 {
        let at = Rect::at(round % 50 * 10, round % 40 * 10, 40, 40);
        stage.play(at, 10);
        stage.pass(1500);
        viewer.tick();
    }
    assert!(stage.display.waiting() < 200, "{}", stage.display.waiting());
    stage.rest(&viewer, &mut client);
    assert_same(&stage.display, &client, &[0]);
}

#[derive(Clone, Debug)]
enum Step {
    Play(usize),
    Around(usize),
    Fill(u32, Rect, u32, u16),
    Move(u32, Rect, Point),
    Screen,
    Read(usize),
    Show(usize),
    Pass(u64),
}

/// Places of videos; some overlap.
const PLACES: [Rect; 4] = [
    Rect {
        left: 10,
        top: 10,
        right: 110,
        bottom: 110,
    },
    Rect {
        left: 60,
        top: 40,
        right: 190,
        bottom: 150,
    },
    Rect {
        left: 100,
        top: 10,
        right: 200,
        bottom: 110,
    },
    Rect {
        left: 0,
        top: 100,
        right: 96,
        bottom: 196,
    },
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rect = (0..200i32, 0..150i32, 1..120u32, 1..120u32).prop_map(|(x, y, w, h)| Rect::at(x, y, w, h));
    let rop = prop_oneof![Just(Rop::OP_PUT), Just(Rop::OP_XOR), Just(Rop::OP_AND)];
    let step = prop_oneof![
        30 => (0..PLACES.len()).prop_map(Step::Play),
        3 => (0..PLACES.len()).prop_map(Step::Around),
        3 => (rect.clone(), any::<u32>(), rop).prop_map(|(r, c, o)| Step::Fill(0, r, c & 0xff_ffff, o)),
        2 => (rect, 0..200i32, 0..150i32).prop_map(|(r, x, y)| Step::Move(0, r, Point::new(x, y))),
        1 => Just(Step::Screen),
        10 => (0..6usize).prop_map(Step::Read),
        6 => (0..4usize).prop_map(Step::Show),
        3 => (0..900u64).prop_map(Step::Pass),
    ];
    // Videos are several pictures in a row.
    let run = (step, 1..12usize).prop_map(|(step, count)| match step {
        Step::Play(_) | Step::Around(_) => vec![step; count],
        step => vec![step],
    });
    proptest::collection::vec(run, 1..50).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_played_and_drawn_the_screen_is_exact_once_it_rests(
        steps in steps(), sized_streams: bool, late in 0..60usize
    ) {
        let mut stage = Stage::new(VideoMode::All);
        stage.display.submit(surface(0, 320, 200));
        let (viewer, mut client) = stage.watch(ViewerCaps { sized_streams, ..VIDEO });
        let mut second = None;
        for (index, step) in steps.into_iter().enumerate() {
            if index == late {
                second = Some((stage.display.attach(VIDEO, silent()), Client::new()));
            }
            match step {
                Step::Play(place) => stage.play(PLACES[place], 1),
                Step::Around(place) => {
                    let Rect { left, top, right, bottom } = PLACES[place];
                    stage.play(Rect { left, top, right: right + 20, bottom: bottom + 4 }, 1);
                }
                Step::Fill(id, rect, color, rop) => draw(&stage.display, fill(id, rect, color, rop)),
                Step::Move(id, rect, src_pos) => draw(&stage.display, drawable(id, rect, DrawOp::CopyBits { src_pos })),
                Step::Screen => stage.display.submit(surface(0, 320, 200)),
                Step::Read(count) => {
                    for _ in 0..count {
                        viewer.tick();
                        let Some(item) = viewer.next() else { break };
                        client.apply(item);
                    }
                }
                Step::Show(count) => client.show(count),
                Step::Pass(millis) => stage.pass(millis),
            }
        }
        stage.rest(&viewer, &mut client);
        assert_same(&stage.display, &client, &[0]);
        prop_assert!(client.streams.is_empty());
        prop_assert!(!viewer.has_lost());
        if let Some((viewer, mut client)) = second {
            stage.rest(&viewer, &mut client);
            assert_same(&stage.display, &client, &[0]);
        }
    }
}

#[test]
fn a_reset_ends_streams_with_their_surface() {
    let mut stage = Stage::new(VideoMode::Filter);
    let (viewer, mut client) = stage.watch(VIDEO);
    stage.play(place(), 20);
    client.drain(&viewer);
    client.told.clear();
    stage.display.submit(DisplayCommand::Reset);
    client.drain(&viewer);
    assert_eq!(client.told, ["destroy 0"]);
    client.show(usize::MAX);
    assert_same(&stage.display, &client, &[0]);
    assert!(viewer.next().is_none());
}
