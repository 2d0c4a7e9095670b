//! What a command becomes draws what it draws, and is little where little has changed.

use caraway_canvas::Limits;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Bitmap, Mask, Rop, ScaleMode},
    geometry::Point,
};
use proptest::prelude::*;

use super::*;
use crate::{Display, Item, Viewer, ViewerCaps};

/// Pixels of 32 bits, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u32>,
}

impl Picture {
    fn new(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u32) -> Self {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = places.map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, pixels }
    }

    /// One in which no place looks like another.
    fn noise(width: u32, height: u32, seed: u32) -> Self {
        Self::new(width, height, |x, y| mixed(seed ^ (y << 16 | x)) & 0x00ff_ffff)
    }

    fn area(&self) -> Rect {
        Rect::at(0, 0, self.width, self.height)
    }

    fn get(&self, x: i32, y: i32) -> Option<u32> {
        let inside = self.area().contains(&Rect::at(x, y, 1, 1));
        inside.then(|| self.pixels[(y as u32 * self.width + x as u32) as usize])
    }

    fn set(&mut self, area: Rect, pixel: impl Fn(i32, i32) -> Option<u32>) {
        let area = area.intersect(&self.area());
        for (x, y) in (area.top..area.bottom).flat_map(|y| (area.left..area.right).map(move |x| (x, y))) {
            if let Some(pixel) = pixel(x, y) {
                self.pixels[(y as u32 * self.width + x as u32) as usize] = pixel;
            }
        }
    }

    /// Brings to an area what is beside it; what comes from outside the picture stays.
    fn shift(&mut self, area: Rect, dx: i32, dy: i32) {
        let before = self.clone();
        self.set(area, |x, y| before.get(x + dx, y + dy));
    }

    fn bytes(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect()
    }

    /// The command that copies an area of it to the screen.
    fn copy(&self, area: Rect, clip: Clip) -> Drawable {
        let bitmap = Bitmap {
            format: BitmapFormat::Bit32,
            width: self.width,
            height: self.height,
            stride: self.width * 4,
            top_down: true,
            palette: None,
            data: self.bytes().into(),
        };
        let source = Source {
            image: Image {
                id: 0,
                cache: false,
                high_bits_set: false,
                width: self.width,
                height: self.height,
                data: ImageData::Bitmap(Arc::new(bitmap)),
            },
            area,
            scale: ScaleMode::Nearest,
        };
        let op = DrawOp::Copy {
            source,
            rop: Rop::PUT,
            mask: Mask::default(),
        };
        Drawable {
            surface: 0,
            bbox: area,
            clip,
            mm_time: 0,
            op,
        }
    }
}

fn mixed(value: u32) -> u32 {
    let value = (value ^ value >> 16).wrapping_mul(0x7feb_352d);
    let value = (value ^ value >> 15).wrapping_mul(0x846c_a68b);
    value ^ value >> 16
}

/// A canvas whose screen is this picture.
fn canvas_of(picture: &Picture, format: SurfaceFormat) -> Canvas {
    let mut canvas = Canvas::new(Limits::default());
    canvas.create(&screen(picture, format)).unwrap();
    canvas.draw(&picture.copy(picture.area(), Clip::None)).unwrap();
    canvas
}

fn screen(picture: &Picture, format: SurfaceFormat) -> SurfaceSpec {
    SurfaceSpec {
        id: 0,
        width: picture.width,
        height: picture.height,
        format,
        pixels: None,
    }
}

/// The colours of a screen.
fn colours(canvas: &Canvas) -> Vec<u32> {
    let pixels = canvas.read(0, canvas.area(0).unwrap()).unwrap();
    let (pixels, _) = pixels.data.as_chunks();
    pixels
        .iter()
        .map(|pixel| u32::from_le_bytes(*pixel) & 0x00ff_ffff)
        .collect()
}

/// What a command becomes on a screen that shows `before`, which has been checked to draw the same.
fn split_on(before: &Picture, command: &Drawable) -> Option<Split> {
    let mut canvas = canvas_of(before, SurfaceFormat::Xrgb);
    let split = split(command, &canvas, true);
    if let Some(split) = &split {
        let mut whole = canvas_of(before, SurfaceFormat::Xrgb);
        whole.draw(command).unwrap();
        split.parts.iter().for_each(|part| {
            assert!(command.bbox.contains(&part.bbox));
            canvas.draw(part).unwrap();
        });
        assert_eq!(colours(&canvas), colours(&whole));
        if let Some(one) = &split.whole {
            let mut canvas = canvas_of(before, SurfaceFormat::Xrgb);
            canvas.draw(one).unwrap();
            assert_eq!(colours(&canvas), colours(&whole));
        }
    }
    split
}

fn copied_pixels(split: &Split) -> u64 {
    let copies = split.parts.iter().filter(|part| matches!(part.op, DrawOp::Copy { .. }));
    copies.map(|part| part.bbox.area()).sum()
}

/// The move among the parts: where to, and from where.
fn move_in(split: &Split) -> Option<(Rect, Point)> {
    split.parts.iter().find_map(|part| match part.op {
        DrawOp::CopyBits { src_pos } => Some((part.bbox, src_pos)),
        _ => None,
    })
}

#[test]
fn what_is_there_already_is_not_drawn() {
    let picture = Picture::noise(200, 150, 1);
    let found = split_on(&picture, &picture.copy(picture.area(), Clip::None)).unwrap();
    assert!(found.parts.is_empty() && !found.moves);
    assert_eq!(found.saved, 200 * 150);
}

#[test]
fn the_unused_byte_of_a_screen_without_alpha_counts_for_nothing_and_alpha_counts() {
    let before = Picture::noise(200, 150, 1);
    let mut after = before.clone();
    after.pixels.iter_mut().for_each(|pixel| *pixel |= 0xff00_0000);
    let command = after.copy(after.area(), Clip::None);
    assert!(split_on(&before, &command).unwrap().parts.is_empty());
    assert!(split(&command, &canvas_of(&before, SurfaceFormat::Argb), true).is_none());
    let same = before.copy(before.area(), Clip::None);
    assert!(
        split(&same, &canvas_of(&before, SurfaceFormat::Argb), true)
            .unwrap()
            .parts
            .is_empty()
    );
}

#[test]
fn changes_here_and_there_are_copied_alone() {
    let before = Picture::noise(640, 480, 1);
    let mut after = before.clone();
    let changes = [
        Rect::at(3, 5, 20, 10),
        Rect::at(601, 300, 39, 7),
        Rect::at(300, 470, 8, 10),
    ];
    for area in changes {
        after.set(area, |x, y| Some(mixed((x + y) as u32) & 0x00ff_ffff));
    }
    let found = split_on(&before, &after.copy(after.area(), Clip::None)).unwrap();
    let mut boxes: Vec<Rect> = found.parts.iter().map(|part| part.bbox).collect();
    boxes.sort_by_key(|area| area.top);
    assert_eq!(boxes, changes);
}

#[test]
fn lines_that_scroll_are_moved_beside_a_bar_that_does_not() {
    let before = Picture::noise(640, 480, 1);
    let mut after = before.clone();
    let text = Rect::at(0, 0, 620, 480);
    after.shift(text, 0, 16);
    after.set(Rect::at(0, 464, 620, 16), |x, y| {
        Some(mixed((y * 7 + x) as u32) & 0x00ff_ffff)
    });
    after.set(Rect::at(620, 100, 20, 50), |_, _| Some(0x0012_3456));
    let found = split_on(&before, &after.copy(after.area(), Clip::None)).unwrap();
    assert_eq!(move_in(&found), Some((Rect::at(0, 0, 620, 464), Point::new(0, 16))));
    assert!(copied_pixels(&found) <= 620 * 16 + 32 * 64);
}

#[test]
fn what_scrolls_sideways_and_windows_that_are_moved_are_found() {
    for (dx, dy) in [(40, 0), (-23, 0), (-31, 45), (100, -70), (0, 33)] {
        let mut before = Picture::new(800, 600, |_, _| 0x0033_6699);
        let window = Rect::at(250, 200, 300, 200);
        let noise = Picture::noise(800, 600, 3);
        before.set(window, |x, y| noise.get(x, y));
        let mut after = Picture::new(800, 600, |_, _| 0x0033_6699);
        after.set(window.translate(dx, dy), |x, y| noise.get(x - dx, y - dy));
        let found = split_on(&before, &after.copy(after.area(), Clip::None)).unwrap();
        let (to, from) = move_in(&found).expect("a move");
        assert_eq!((to.left - from.x, to.top - from.y), (dx, dy));
        assert!(copied_pixels(&found) < 40_000, "{dx}, {dy}: {}", copied_pixels(&found));
    }
}

#[test]
fn a_window_is_moved_from_outside_the_command() {
    let before = Picture::noise(800, 600, 3);
    let mut after = before.clone();
    let area = Rect::at(400, 200, 200, 200);
    after.shift(area, -210, -20);
    let found = split_on(&before, &after.copy(area, Clip::None)).unwrap();
    assert_eq!(move_in(&found), Some((area, Point::new(190, 180))));
    assert_eq!(copied_pixels(&found), 0);
}

#[test]
fn of_several_parts_of_a_clip_one_is_moved_and_nothing_else_is_touched() {
    let before = Picture::noise(640, 480, 1);
    let mut after = Picture::noise(640, 480, 2);
    let (scrolled, other) = (Rect::at(0, 0, 300, 400), Rect::at(320, 10, 100, 100));
    after.set(scrolled, |x, y| before.get(x, y + 10));
    let clip = Clip::Rects([scrolled, other].into());
    let found = split_on(&before, &after.copy(after.area(), clip)).unwrap();
    assert_eq!(move_in(&found), Some((scrolled, Point::new(0, 10))));
    assert_eq!(copied_pixels(&found), other.area());
}

#[test]
fn other_pictures_named_ones_small_ones_and_other_operations_stay_what_they_are() {
    let before = Picture::noise(320, 240, 1);
    let other = Picture::noise(320, 240, 2);
    assert!(split_on(&before, &other.copy(other.area(), Clip::None)).is_none());
    assert!(split_on(&before, &before.copy(Rect::at(0, 0, 60, 60), Clip::None)).is_none());
    let mut named = before.copy(before.area(), Clip::None);
    let mut inverted = named.clone();
    if let DrawOp::Copy { source, .. } = &mut named.op {
        source.image.cache = true;
    }
    if let DrawOp::Copy { rop, .. } = &mut inverted.op {
        *rop = Rop(Rop::OP_XOR);
    }
    assert!(split_on(&before, &named).is_none());
    assert!(split_on(&before, &inverted).is_none());
}

#[test]
fn what_waits_for_a_viewer_does_not_hold_the_pictures_of_the_guest() {
    let before = Picture::noise(640, 480, 1);
    let mut after = before.clone();
    after.set(Rect::at(0, 0, 10, 10), |_, _| Some(0));
    let found = split_on(&before, &after.copy(after.area(), Clip::None)).unwrap();
    let [part] = &found.parts[..] else { panic!("{found:?}") };
    assert_eq!(Item::Draw(Arc::clone(part)).pixel_bytes(), 10 * 10 * 4);
}

/// Something that happens to a screen.
#[derive(Clone, Debug)]
enum Step {
    Shift(Rect, i32, i32),
    Noise(Rect, u32),
    Fill(Rect, u32),
}

const SIDES: (u32, u32) = (320, 256);

fn steps() -> impl Strategy<Value = Vec<(Vec<Step>, Rect, Option<Rect>)>> {
    let rect = || (0..300_i32, 0..240_i32, 1..320_u32, 1..256_u32).prop_map(|(x, y, w, h)| Rect::at(x, y, w, h));
    let wide = || prop_oneof![Just(Rect::at(0, 0, SIDES.0, SIDES.1)), rect()];
    let step = prop_oneof![
        3 => (wide(), -40..40_i32, -40..40_i32).prop_map(|(area, dx, dy)| Step::Shift(area, dx, dy)),
        2 => (wide(), 0..80_i32).prop_map(|(area, dy)| Step::Shift(area, 0, dy)),
        1 => (rect(), any::<u32>()).prop_map(|(area, seed)| Step::Noise(area, seed)),
        1 => (rect(), 0..4_u32).prop_map(|(area, colour)| Step::Fill(area, colour)),
    ];
    let command = (
        proptest::collection::vec(step, 1..4),
        wide(),
        proptest::option::of(rect()),
    );
    proptest::collection::vec(command, 1..12)
}

/// A client that draws what it is sent.
fn drain(viewer: &Viewer, canvas: &mut Canvas, most: usize) {
    for _ in 0..most {
        match viewer.next() {
            None => break,
            Some(Item::CreateSurface {
                id,
                width,
                height,
                format,
            }) => {
                let spec = SurfaceSpec {
                    id,
                    width,
                    height,
                    format,
                    pixels: None,
                };
                canvas.create(&spec).unwrap();
            }
            Some(Item::DestroySurface(id)) => assert!(canvas.destroy(id)),
            Some(Item::Draw(drawable)) => drop(canvas.draw(&drawable).unwrap()),
            Some(Item::Pixels { surface, at, pixels }) => {
                assert_eq!(surface, 0);
                let (words, _) = pixels.data.as_chunks();
                let picture = Picture {
                    width: pixels.width,
                    height: pixels.height,
                    pixels: words.iter().map(|pixel| u32::from_le_bytes(*pixel)).collect(),
                };
                let mut command = picture.copy(picture.area(), Clip::None);
                command.bbox = Rect::at(at.x, at.y, pixels.width, pixels.height);
                canvas.draw(&command).unwrap();
            }
            Some(Item::Monitors { .. } | Item::Mark) => {}
            Some(other) => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_viewer_shows_what_plain_drawing_shows(
        commands in steps(), argb in any::<bool>(), flat in any::<bool>(), pace in 0..6_usize
    ) {
        let mut picture = Picture::noise(SIDES.0, SIDES.1, 9);
        if flat {
            // Much looks like much else.
            picture.pixels.iter_mut().for_each(|pixel| *pixel = u32::from(*pixel & 31 == 0));
        }
        let format = if argb { SurfaceFormat::Argb } else { SurfaceFormat::Xrgb };
        let mut plain = canvas_of(&picture, format);
        let display = Display::new(Limits::default());
        display.submit(DisplayCommand::CreateSurface(screen(&picture, format)));
        display.submit(DisplayCommand::Draw(Box::new(picture.copy(picture.area(), Clip::None))));
        let viewer = display.attach(ViewerCaps::default(), Arc::new(|| {}));
        let mut client = Canvas::new(Limits::default());
        drain(&viewer, &mut client, usize::MAX);
        for (steps, area, clip) in commands {
            for step in steps {
                match step {
                    Step::Shift(area, dx, dy) => picture.shift(area, dx, dy),
                    Step::Noise(area, seed) => picture.set(area, |x, y| {
                        Some(mixed(seed ^ (y as u32) << 12 ^ x as u32) & 0x00ff_ffff)
                    }),
                    Step::Fill(area, colour) => picture.set(area, |_, _| Some(colour)),
                }
            }
            let clip = clip.map_or(Clip::None, |part| Clip::Rects([part, Rect::at(0, 0, 50, 90)].into()));
            let command = picture.copy(area.intersect(&picture.area()), clip);
            plain.draw(&command).unwrap();
            display.submit(DisplayCommand::Draw(Box::new(command)));
            drain(&viewer, &mut client, pace);
        }
        drain(&viewer, &mut client, usize::MAX);
        let all = picture.area();
        prop_assert_eq!(display.read(0, all), plain.read(0, all));
        prop_assert_eq!(client.read(0, all), plain.read(0, all));
    }
}
