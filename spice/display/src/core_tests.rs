//! A viewer that applies what it is sent ends with the same pixels as the canvas, however slowly it reads.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use caraway_canvas::{Canvas, Limits};
use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorType, DisplayCommand, DisplaySink, Head, SurfaceSpec},
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, DrawOp, Drawable, Image, ImageData, Mask, Rop, ScaleMode, Source,
        SurfaceFormat,
    },
    geometry::{Point, Rect},
};
use caraway_protocol::display::{KnownSurface, TILE, tile_hash};
use proptest::prelude::*;

use crate::{CursorItem, Display, Frame, Item, Located, Pace, Viewer, ViewerCaps};

pub(crate) const CAPS: ViewerCaps = ViewerCaps {
    composite: true,
    a8_surface: true,
    monitors: true,
    streams: false,
    sized_streams: false,
    all: [0; 58],
};

/// The other end: a client's surfaces, and its streams.
pub(crate) struct Client {
    pub(crate) canvas: Canvas,
    marked: bool,
    pub(crate) items: usize,
    /// Surface, place and clip of each stream.
    pub(crate) streams: BTreeMap<u32, (u32, Rect, Vec<Rect>)>,
    /// Frames that were not shown yet.
    pending: VecDeque<Frame>,
    /// What it was told of streams, in short.
    pub(crate) told: Vec<String>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            canvas: Canvas::new(Limits::default()),
            marked: false,
            items: 0,
            streams: BTreeMap::new(),
            pending: VecDeque::new(),
            told: Vec::new(),
        }
    }

    /// Its connection is cut. What it keeps.
    pub(crate) fn again(&mut self) -> Vec<KnownSurface> {
        (self.marked, self.items) = (false, 0);
        self.streams.clear();
        self.pending.clear();
        let known = |id| {
            let area = self.canvas.area(id)?;
            let pixels = self.canvas.read(id, area)?;
            let stride = pixels.stride as usize;
            let tile = |(x, y): (u32, u32)| {
                let row = |y: u32| {
                    let at = y as usize * stride;
                    &pixels.data[at + x as usize * 4..at + (x + TILE).min(area.width()) as usize * 4]
                };
                tile_hash((y..(y + TILE).min(area.height())).map(row), false)
            };
            let starts = (0..area.height()).step_by(TILE as usize);
            let starts = starts.flat_map(|y| (0..area.width()).step_by(TILE as usize).map(move |x| (x, y)));
            Some(KnownSurface {
                id,
                width: area.width(),
                height: area.height(),
                format: SurfaceFormat::Xrgb,
                tiles: starts.map(tile).collect(),
            })
        };
        self.canvas.ids().filter_map(known).collect()
    }

    /// Shows frames that it has kept for a while, with the clip their stream has now.
    pub(crate) fn show(&mut self, most: usize) {
        for _ in 0..most {
            let Some(frame) = self.pending.pop_front() else { return };
            let Some((surface, dest, clip)) = self.streams.get(&frame.stream.id).cloned() else {
                continue;
            };
            let mut drawable = (*frame.drawable).clone();
            drawable.surface = surface;
            drawable.bbox = if frame.moved { frame.dest() } else { dest };
            drawable.clip = Clip::Rects(clip.into());
            // What it has lost is the same everywhere, and much.
            if let DrawOp::Copy { source, .. } = &mut drawable.op
                && let ImageData::Bitmap(bitmap) = &mut source.image.data
            {
                let lost = bitmap.data.iter().map(|byte| byte ^ 0x55).collect();
                *bitmap = Arc::new(Bitmap {
                    data: lost,
                    ..(**bitmap).clone()
                });
            }
            self.canvas.draw(&drawable).unwrap();
        }
    }

    pub(crate) fn apply(&mut self, item: Item) {
        self.items += 1;
        match item {
            Item::CreateStream { stream, dest, clip } => {
                self.told.push(format!("create {}", stream.id));
                assert!(
                    self.canvas.area(stream.surface).is_some(),
                    "no surface {}",
                    stream.surface
                );
                let new = self.streams.insert(stream.id, (stream.surface, dest, clip));
                assert!(new.is_none(), "stream {} created twice", stream.id);
            }
            Item::ClipStream { id, clip } => {
                self.told.push(format!("clip {id} to {}", clip.len()));
                self.streams.get_mut(&id).unwrap().2 = clip;
            }
            Item::DestroyStream(stream) => {
                self.told.push(format!("destroy {}", stream.id));
                self.pending.retain(|frame| frame.stream.id != stream.id);
                assert!(
                    self.streams.remove(&stream.id).is_some(),
                    "stream {} is not there",
                    stream.id
                );
            }
            Item::Frame(frame) => {
                self.told.push(format!("frame {}", frame.stream.id));
                assert!(self.streams.contains_key(&frame.stream.id));
                self.pending.push_back(frame);
            }
            Item::CreateSurface {
                id,
                width,
                height,
                format,
            } => {
                assert!(self.canvas.area(id).is_none(), "surface {id} created twice");
                self.canvas
                    .create(&SurfaceSpec {
                        id,
                        width,
                        height,
                        format,
                        pixels: None,
                    })
                    .unwrap();
            }
            Item::KeepSurface { id, format } => assert_eq!(self.canvas.format(id), Some(format)),
            Item::DestroySurface(id) => {
                assert!(self.canvas.destroy(id), "surface {id} is not there");
                assert!(self.streams.values().all(|(surface, ..)| *surface != id));
                self.marked &= id != 0;
            }
            Item::Draw(drawable) | Item::Photo(drawable) => {
                self.canvas.draw(&drawable).unwrap();
            }
            Item::Pixels { surface, at, pixels } => {
                let format = match pixels.format {
                    SurfaceFormat::Xrgb => BitmapFormat::Bit32,
                    other => panic!("{other:?} is not in these tests"),
                };
                let (width, height) = (pixels.width, pixels.height);
                let data = bitmap(format, width, height, pixels.data);
                let bbox = Rect::at(at.x, at.y, width, height);
                self.canvas.draw(&copy(surface, bbox, data)).unwrap();
            }
            Item::Monitors { heads, .. } => assert!(!heads.is_empty()),
            Item::Mark => {
                assert!(self.canvas.area(0).is_some());
                self.marked = true;
            }
        }
    }

    pub(crate) fn drain(&mut self, viewer: &Viewer) {
        while let Some(item) = viewer.next() {
            self.apply(item);
        }
    }
}

pub(crate) fn bitmap(format: BitmapFormat, width: u32, height: u32, data: Bytes) -> ImageData {
    let stride = width * 4;
    ImageData::Bitmap(Arc::new(Bitmap {
        format,
        width,
        height,
        stride,
        top_down: true,
        palette: None,
        data,
    }))
}

pub(crate) fn copy(surface: u32, bbox: Rect, data: ImageData) -> Drawable {
    let (width, height) = (bbox.width(), bbox.height());
    let image = Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width,
        height,
        data,
    };
    let source = Source {
        image,
        area: Rect::at(0, 0, width, height),
        scale: ScaleMode::Nearest,
    };
    drawable(
        surface,
        bbox,
        DrawOp::Copy {
            source,
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    )
}

pub(crate) fn drawable(surface: u32, bbox: Rect, op: DrawOp) -> Drawable {
    Drawable {
        surface,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op,
    }
}

pub(crate) fn fill(surface: u32, bbox: Rect, color: u32, rop: u16) -> Drawable {
    drawable(
        surface,
        bbox,
        DrawOp::Fill {
            brush: Brush::Solid(color),
            rop: Rop(rop),
            mask: Mask::default(),
        },
    )
}

pub(crate) fn surface(id: u32, width: u32, height: u32) -> DisplayCommand {
    DisplayCommand::CreateSurface(SurfaceSpec {
        id,
        width,
        height,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    })
}

pub(crate) fn draw(display: &Display, drawable: Drawable) {
    display.submit(DisplayCommand::Draw(Box::new(drawable)));
}

pub(crate) fn silent() -> Arc<dyn Fn() + Send + Sync> {
    Arc::new(|| {})
}

pub(crate) fn assert_same(display: &Display, client: &Client, ids: &[u32]) {
    for id in ids {
        let area = client.canvas.area(*id);
        let ours = area.and_then(|area| display.read(*id, area));
        let theirs = area.and_then(|area| client.canvas.read(*id, area));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            assert!(area.is_none(), "surface {id} is there at one side only");
            continue;
        };
        let differ = ours
            .data
            .iter()
            .zip(&theirs.data)
            .position(|(ours, theirs)| ours != theirs);
        let place = differ.map(|at| (at / 4 % ours.width as usize, at / 4 / ours.width as usize));
        assert_eq!(place, None, "surface {id} of {}x{} differs", ours.width, ours.height);
    }
}

#[test]
fn a_viewer_of_a_machine_without_driver_sees_a_black_screen() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    assert!(client.marked);
    assert_eq!(client.canvas.area(0), Some(Rect::at(0, 0, 640, 480)));
    assert_eq!(
        display.picture(None, false).map(|p| (p.width, p.height)),
        Some((640, 480))
    );
}

#[test]
fn the_first_picture_is_one_step_before_the_mark() {
    let display = Display::new(Limits::default());
    display.submit(surface(0, 1024, 768));
    draw(&display, fill(0, Rect::at(0, 0, 1024, 768), 0x00ff_0000, Rop::OP_PUT));
    let viewer = display.attach(CAPS, silent());
    let mut seen = Vec::new();
    while let Some(item) = viewer.next() {
        seen.push(match item {
            Item::CreateSurface { .. } => "surface",
            Item::Monitors { .. } => "monitors",
            Item::Pixels { .. } => "picture",
            Item::Mark => "mark",
            _ => "other",
        });
    }
    assert_eq!(seen, ["surface", "monitors", "picture", "mark"]);
}

#[test]
fn a_new_primary_replaces_the_old_one_and_is_marked_again() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    display.submit(surface(0, 100, 50));
    draw(&display, fill(0, Rect::at(0, 0, 10, 10), 0x00ff_0000, Rop::OP_PUT));
    client.drain(&viewer);
    assert!(client.marked);
    assert_same(&display, &client, &[0]);
    assert_eq!(display.size(), (100, 50));
}

#[test]
fn hidden_commands_are_not_sent() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    let before = client.items;
    for color in 0..100 {
        draw(&display, fill(0, Rect::at(5, 5, 50, 50), color, Rop::OP_PUT));
    }
    client.drain(&viewer);
    assert_eq!(client.items - before, 1);
    assert_same(&display, &client, &[0]);
}

#[test]
fn a_copied_area_protects_what_was_drawn_in_its_source() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    draw(&display, fill(0, Rect::at(0, 0, 10, 10), 0x1234, Rop::OP_PUT));
    draw(
        &display,
        drawable(
            0,
            Rect::at(100, 100, 10, 10),
            DrawOp::CopyBits {
                src_pos: Point::new(0, 0),
            },
        ),
    );
    draw(&display, fill(0, Rect::at(0, 0, 10, 10), 0x5678, Rop::OP_PUT));
    client.drain(&viewer);
    assert_same(&display, &client, &[0]);
}

#[test]
fn a_surface_copied_onto_itself_keeps_what_it_reads() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    draw(&display, fill(0, Rect::at(10, 10, 10, 10), 0x1234, Rop::OP_PUT));
    let image = Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: 640,
        height: 480,
        data: ImageData::Surface(0),
    };
    let source = Source {
        image,
        area: Rect::at(0, 0, 100, 100),
        scale: ScaleMode::Nearest,
    };
    let op = DrawOp::Copy {
        source,
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    // The box hides the fill, but the fill is also where the pixels come from.
    draw(&display, drawable(0, Rect::at(5, 5, 100, 100), op));
    client.drain(&viewer);
    assert_same(&display, &client, &[0]);
}

#[test]
fn a_viewer_that_does_not_read_costs_bounded_memory_and_catches_up() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    let pixels = Bytes::from(vec![0x5a; 200 * 200 * 4]);
    for step in 0..2000 {
        let bbox = Rect::at(step % 400, step % 200, 200, 200);
        draw(
            &display,
            copy(0, bbox, bitmap(BitmapFormat::Bit32, 200, 200, pixels.clone())),
        );
        draw(&display, fill(0, Rect::at(step % 600, 3, 40, 400), 0x0f0f, Rop::OP_XOR));
        assert!(viewer.waiting() <= 5 << 20);
    }
    client.drain(&viewer);
    assert_same(&display, &client, &[0]);
    // Caught up: the next command goes as a command.
    draw(&display, fill(0, Rect::at(0, 0, 4, 4), 1, Rop::OP_PUT));
    assert!(matches!(viewer.next(), Some(Item::Draw(_))));
}

#[test]
fn surfaces_created_and_destroyed_in_a_loop_do_not_fill_the_queue() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    for _ in 0..20_000 {
        display.submit(surface(7, 16, 16));
        draw(&display, fill(7, Rect::at(0, 0, 16, 16), 5, Rop::OP_PUT));
        let image = Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width: 16,
            height: 16,
            data: ImageData::Surface(7),
        };
        let source = Source {
            image,
            area: Rect::at(0, 0, 16, 16),
            scale: ScaleMode::Nearest,
        };
        let op = DrawOp::Copy {
            source,
            rop: Rop(Rop::OP_XOR),
            mask: Mask::default(),
        };
        draw(&display, drawable(0, Rect::at(0, 0, 16, 16), op));
        display.submit(DisplayCommand::DestroySurface(7));
    }
    let before = client.items;
    client.drain(&viewer);
    assert!(client.items - before < 10_000, "{}", client.items - before);
    assert_same(&display, &client, &[0]);
    assert_eq!(client.canvas.area(7), None);
}

#[test]
fn monitors_outside_the_screen_are_cut_and_never_none() {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    while viewer.next().is_some() {}
    let head = |area| Head {
        id: 0,
        surface: 0,
        area,
    };
    let heads = vec![head(Rect::at(600, 0, 100, 100)), head(Rect::at(900, 0, 10, 10))];
    display.submit(DisplayCommand::Monitors { heads, max: 4 });
    assert_eq!(
        viewer.next(),
        Some(Item::Monitors {
            heads: vec![head(Rect::at(600, 0, 40, 100))],
            max: 4
        })
    );
    assert_eq!(
        display.picture(Some(0), false).map(|p| (p.width, p.height)),
        Some((40, 100))
    );
    assert!(display.picture(Some(1), false).is_none());
}

#[test]
fn a_point_of_a_head_is_found_on_the_screen() {
    let display = Display::new(Limits::default());
    let on_screen = |display: &Display, head, x, y| {
        let Located { x, y, width, height } = display.locate(head, x, y);
        (x, y, width, height)
    };
    assert_eq!(on_screen(&display, 0, 639, 480), (639, 479, 640, 480), "no surface yet");
    let spec = SurfaceSpec {
        id: 0,
        width: 1000,
        height: 300,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    };
    display.submit(DisplayCommand::CreateSurface(spec));
    let head = |id, area| Head { id, surface: 0, area };
    let heads = vec![
        head(3, Rect::at(600, 100, 400, 200)),
        head(0, Rect::at(0, 0, 600, 300)),
        head(5, Rect::at(900, 250, 400, 400)),
    ];
    display.submit(DisplayCommand::Monitors { heads, max: 4 });
    for (head, (x, y), expected) in [
        (0, (5, 6), (5, 6)),
        (3, (5, 6), (605, 106)),
        (3, (399, 199), (999, 299)),
        (3, (u32::MAX, 200), (999, 299)),
        (5, (99, 60), (999, 299)),
        // There is no such head.
        (1, (999, 7), (999, 7)),
        (255, (u32::MAX, u32::MAX), (999, 299)),
    ] {
        let (there_x, there_y) = expected;
        let there = (there_x, there_y, 1000, 300);
        assert_eq!(on_screen(&display, head, x, y), there, "head {head}");
    }
}

#[test]
fn a_cursor_channel_is_told_the_latest_state_only() {
    let display = Display::new(Limits::default());
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let cursor = display.attach_cursor(Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    assert!(matches!(cursor.next(), Some(CursorItem::Init { shape: None, .. })));
    assert_eq!(cursor.next(), None);
    let shape = Arc::new(CursorShape {
        unique: 0,
        kind: CursorType::Alpha,
        width: 1,
        height: 1,
        hot_spot: (0, 0),
        data: Bytes::from_static(&[0; 4]),
    });
    let set = CursorCommand::Set {
        position: Point::new(1, 1),
        visible: true,
        shape: Arc::clone(&shape),
    };
    display.submit(DisplayCommand::Cursor(set));
    for x in 0..100 {
        display.submit(DisplayCommand::Cursor(CursorCommand::Move(Point::new(x, 2))));
    }
    assert_eq!(
        cursor.next(),
        Some(CursorItem::Set {
            position: Point::new(99, 2),
            visible: true,
            shape
        })
    );
    assert_eq!(cursor.next(), None);
    display.submit(DisplayCommand::Cursor(CursorCommand::Hide));
    assert_eq!(cursor.next(), Some(CursorItem::Hide));
    display.submit(DisplayCommand::Reset);
    assert_eq!(cursor.next(), Some(CursorItem::Reset));
    assert!(matches!(
        cursor.next(),
        Some(CursorItem::Init {
            shape: None,
            visible: false,
            ..
        })
    ));
    assert_eq!(woken.load(Ordering::SeqCst), 103);
}

#[derive(Clone, Debug)]
enum Step {
    Fill(u32, Rect, u32, u16),
    Move(u32, Rect, Point),
    FromSurface(u32, u32, Rect, Point),
    Create(u32, u32, u32),
    Destroy(u32),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..3u32;
    let rect = (0..80i32, 0..60i32, 1..60u32, 1..60u32).prop_map(|(x, y, w, h)| Rect::at(x, y, w, h));
    let rop = prop_oneof![Just(Rop::OP_PUT), Just(Rop::OP_XOR), Just(Rop::OP_AND)];
    let step = prop_oneof![
        4 => (id.clone(), rect.clone(), any::<u32>(), rop).prop_map(|(i, r, c, o)| Step::Fill(i, r, c & 0xff_ffff, o)),
        2 => (id.clone(), rect.clone(), 0..80i32, 0..60i32).prop_map(|(i, r, x, y)| Step::Move(i, r, Point::new(x, y))),
        2 => (id.clone(), id.clone(), rect, 0..40i32, 0..40i32)
            .prop_map(|(a, b, r, x, y)| Step::FromSurface(a, b, r, Point::new(x, y))),
        1 => (id.clone(), 20..120u32, 20..100u32).prop_map(|(i, w, h)| Step::Create(i, w, h)),
        1 => id.prop_map(Step::Destroy),
        2 => (0..20usize).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_viewer_ends_with_the_pixels_of_the_canvas(
        steps in steps(),
        late in 0..60usize,
        cut in 0..60usize,
        lost in 0..10usize,
    ) {
        let display = Display::new(Limits::default());
        let mut viewer = display.attach(CAPS, silent());
        let mut client = Client::new();
        let mut second: Option<(Viewer, Client)> = None;
        for (index, step) in steps.into_iter().enumerate() {
            if index == late {
                let slow = display.attach(CAPS, silent());
                slow.set_pace(Pace::of_link(1000, 1000));
                second = Some((slow, Client::new()));
            }
            if index == cut {
                // What was on its way is lost, and more happens before the client is back.
                (0..lost).for_each(|_| drop(viewer.next()));
                viewer = display.attach_again(CAPS, &client.again(), silent());
            }
            match step {
                Step::Fill(id, rect, color, rop) => draw(&display, fill(id, rect, color, rop)),
                Step::Move(id, rect, src_pos) => draw(&display, drawable(id, rect, DrawOp::CopyBits { src_pos })),
                Step::FromSurface(to, from, rect, src) => {
                    let data = ImageData::Surface(from);
                    let size = (rect.width(), rect.height());
                    let image = Image { id: 0, cache: false, high_bits_set: false, width: size.0, height: size.1, data };
                    let source = Source { image, area: Rect::at(src.x, src.y, size.0, size.1), scale: ScaleMode::Nearest };
                    let op = DrawOp::Copy { source, rop: Rop::PUT, mask: Mask::default() };
                    draw(&display, drawable(to, rect, op));
                }
                Step::Create(id, width, height) => display.submit(surface(id, width, height)),
                Step::Destroy(id) => display.submit(DisplayCommand::DestroySurface(id)),
                Step::Read(count) => {
                    for _ in 0..count {
                        let Some(item) = viewer.next() else { break };
                        client.apply(item);
                    }
                    if let Some((viewer, client)) = &mut second && let Some(item) = viewer.next() {
                        client.apply(item);
                    }
                }
            }
        }
        client.drain(&viewer);
        assert_same(&display, &client, &[0, 1, 2]);
        for id in 0..3 {
            prop_assert_eq!(client.canvas.area(id).is_some(), display.read(id, Rect::at(0, 0, 1, 1)).is_some());
        }
        if let Some((viewer, mut client)) = second {
            client.drain(&viewer);
            assert_same(&display, &client, &[0, 1, 2]);
        }
    }
}
