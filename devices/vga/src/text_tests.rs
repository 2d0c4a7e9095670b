//! Text: fonts, attributes, cursor, blinking, splits.

use std::time::Duration;

use caraway_ports::geometry::Rect;

use crate::testing::{MODE_3, Mode, Pc};

const GREY: u32 = 0xaa_aaaa;
const WHITE: u32 = 0xff_ffff;
const BLUE: u32 = 0x00_00aa;
const NAMES: [(u32, char); 4] = [(0, '.'), (GREY, '#'), (WHITE, 'W'), (BLUE, 'b')];
/// A letter, a block that reaches the right edge, and a box-drawing line that does.
const FONT: [(u8, &[u8]); 3] = [
    (b'A', &[0x18, 0x3c, 0x66]),
    (b'B', &[0xff, 0x01]),
    (0xc4, &[0x00, 0xff]),
];

fn text() -> Pc {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.load_font(0, &FONT);
    // The cursor off.
    pc.cr(0x0a, 0x20);
    pc.refresh();
    pc
}

#[test]
fn glyphs_of_an_uploaded_font_are_drawn() {
    let mut pc = text();
    assert_eq!(pc.renderer.size(), (720, 400));
    pc.poke(0xb_8000, b"A\x07B\x07\xc4\x07");
    let refresh = pc.refresh();
    assert_eq!(refresh.rects, [Rect::at(0, 0, 27, 16)]);
    assert_eq!(pc.line(0, 0, 27, &NAMES), "...##....########..........");
    assert_eq!(pc.line(0, 1, 27, &NAMES), "..####..........#.#########");
    assert_eq!(pc.line(0, 2, 27, &NAMES), ".##..##....................");
    // Without line graphics the ninth column is background.
    pc.ar(0x10, 0x08);
    pc.refresh();
    assert_eq!(pc.line(0, 1, 27, &NAMES), "..####..........#.########.");
    pc.assert_frame_is_right();
}

#[test]
fn rows_follow_each_other_and_a_change_of_one_cell_is_one_rectangle() {
    let mut pc = text();
    pc.poke(0xb_8000 + 2 * (80 * 24 + 79), b"A\x17");
    let refresh = pc.refresh();
    assert_eq!(refresh.rects, [Rect::at(79 * 9, 24 * 16, 9, 16)]);
    assert_eq!(pc.line(79 * 9, 384, 9, &NAMES), "bbb##bbbb");
    assert!(pc.refresh().rects.is_empty());
    // The same again is no change.
    pc.poke(0xb_8000 + 2 * (80 * 24 + 79), b"A\x17");
    assert!(pc.refresh().rects.is_empty());
}

#[test]
fn a_second_font_is_chosen_by_the_map_select_and_bit_3_of_the_attribute() {
    let mut pc = text();
    pc.load_font(0x4000, &[(b'A', &[0xff])]);
    pc.load_font(0x2000, &[(b'A', &[0x81])]);
    pc.poke(0xb_8000, b"A\x07A\x0f");
    let first = |pc: &mut Pc, select| {
        pc.sr(3, select);
        pc.refresh();
        pc.line(0, 0, 18, &NAMES)
    };
    assert_eq!(first(&mut pc, 0x00), "...##.......WW....");
    assert_eq!(first(&mut pc, 0x04), "...##....WWWWWWWW.");
    assert_eq!(first(&mut pc, 0x21), "########.W......W.");
    pc.assert_frame_is_right();
}

#[test]
fn a_glyph_that_is_written_is_redrawn_wherever_it_stands() {
    let mut pc = text();
    pc.poke(0xb_8000, b"A\x07B\x07");
    pc.poke(0xb_8000 + 160, b"A\x07");
    pc.refresh();
    pc.load_font(0, &[(b'A', &[0x01])]);
    let refresh = pc.refresh();
    assert_eq!(refresh.rects, [Rect::at(0, 0, 9, 32)]);
    assert_eq!(pc.line(0, 0, 9, &NAMES), ".......#.");
    pc.assert_frame_is_right();
}

#[test]
fn the_cursor_covers_its_lines_and_blinks() {
    let mut pc = text();
    pc.poke(0xb_8000 + 2, b"A\x1f");
    pc.refresh();
    assert_eq!(pc.renderer.next_blink(pc.time), None);
    for (index, value) in [(0x0a, 1), (0x0b, 31), (0x0f, 1)] {
        pc.cr(index, value);
    }
    let refresh = pc.refresh();
    assert_eq!(refresh.rects, [Rect::at(9, 0, 9, 16)]);
    assert_eq!(pc.line(9, 0, 9, &NAMES), "bbbWWbbbb");
    assert_eq!(
        (pc.line(9, 1, 9, &NAMES), pc.pixel(17, 15)),
        ("WWWWWWWWW".into(), WHITE)
    );
    // Nothing happens before the time it asks to be called at.
    let next = pc.renderer.next_blink(pc.time).unwrap();
    assert!((200..300).contains(&(next - pc.time).as_millis()));
    pc.time = next - Duration::from_micros(1);
    assert!(pc.refresh().rects.is_empty());
    pc.time = next;
    assert_eq!(pc.refresh().rects, [Rect::at(9, 0, 9, 16)]);
    assert_eq!(pc.line(9, 1, 9, &NAMES), "bbWWWWbbb");
    // It moves: the cell it left is drawn too, and the first line past the last draws nothing.
    pc.time = pc.renderer.next_blink(pc.time).unwrap();
    pc.refresh();
    pc.cr(0x0f, 0x03);
    let refresh = pc.refresh();
    assert_eq!(refresh.rects.len(), 2);
    pc.cr(0x0b, 0);
    pc.refresh();
    assert_eq!(pc.renderer.next_blink(pc.time), None);
    pc.assert_frame_is_right();
}

#[test]
fn the_cursor_is_a_cell_of_the_memory_not_of_the_screen() {
    let mut pc = text();
    for (index, value) in [(0x0a, 0), (0x0b, 15), (0x0d, 80), (0x0f, 79)] {
        pc.cr(index, value);
    }
    pc.refresh();
    assert_eq!(pc.renderer.next_blink(pc.time), None);
    pc.cr(0x0f, 80);
    pc.poke(0xb_8000 + 160, b" \x07");
    pc.refresh();
    assert_eq!(pc.pixel(0, 0), GREY);
    assert!(pc.renderer.next_blink(pc.time).is_some());
}

#[test]
fn attributes_blink_or_have_a_bright_background() {
    let mut pc = text();
    pc.poke(0xb_8000, b"A\x9f");
    pc.refresh();
    assert_eq!(pc.line(0, 0, 9, &NAMES), "bbbWWbbbb");
    pc.time = pc.renderer.next_blink(pc.time).unwrap();
    pc.refresh();
    assert_eq!(pc.line(0, 0, 9, &NAMES), "bbbbbbbbb");
    pc.ar(0x10, 0x04);
    pc.refresh();
    assert_eq!((pc.pixel(0, 0), pc.renderer.next_blink(pc.time)), (0x55_55ff, None));
    pc.assert_frame_is_right();
}

#[test]
fn monochrome_underlines() {
    let mut pc = text();
    pc.cr(0x14, 0x0c);
    pc.ar(0x10, 0x0e);
    pc.poke(0xb_8000, b"A\x01A\x07");
    pc.refresh();
    assert_eq!(pc.line(0, 12, 18, &NAMES), "bbbbbbbbb.........");
}

#[test]
fn other_sizes_of_cells() {
    // 80x50: cells of eight lines.
    let mut pc = text();
    pc.cr(0x09, 0x47);
    pc.poke(0xb_8000 + 160 * 49, b"A\x07");
    pc.refresh();
    assert_eq!(
        (pc.renderer.size(), pc.line(3, 49 * 8, 2, &NAMES)),
        ((720, 400), "##".into())
    );
    // Eight dots wide.
    pc.sr(1, 0x01);
    let refresh = pc.refresh();
    assert_eq!(refresh.resized, Some((640, 400)));
    // 40 columns of double width.
    let narrow = Mode {
        sr: [0x08, 0x03, 0x00, 0x02],
        ..MODE_3
    };
    pc.set_mode(&narrow);
    pc.cr(0x11, 0);
    pc.cr(0x01, 0x27);
    pc.cr(0x13, 0x14);
    pc.cr(0x0a, 0x20);
    pc.poke(0xb_8000, b"A\x07");
    pc.refresh();
    assert_eq!(pc.renderer.size(), (640, 400));
    assert_eq!(pc.line(0, 0, 16, &NAMES), "......####......");
    // A vertical total of 100: a hundred rows of two lines.
    pc.cr(0x06, 100);
    pc.cr(0x09, 0x41);
    pc.refresh();
    assert_eq!(pc.renderer.size(), (640, 200));
    pc.assert_frame_is_right();
}

#[test]
fn the_start_address_scrolls_and_line_compare_splits() {
    let mut pc = text();
    pc.poke(0xb_8000, b"A\x07");
    pc.poke(0xb_8000 + 160, b"B\x07");
    pc.cr(0x0d, 80);
    pc.refresh();
    assert_eq!(pc.line(0, 0, 9, &NAMES), "########.");
    // The 20th row and those below it begin at the first byte of the memory.
    pc.cr(0x11, 0);
    pc.cr(0x18, 0x3f);
    pc.cr(0x07, 0x1f);
    pc.cr(0x09, 0x0f);
    pc.refresh();
    assert_eq!(pc.line(0, 19 * 16, 9, &NAMES), ".........");
    assert_eq!(pc.line(0, 20 * 16, 9, &NAMES), "...##....");
    // It counts as soon as a row ends at it.
    pc.cr(0x18, 0x40);
    pc.refresh();
    assert_eq!(pc.line(0, 20 * 16, 9, &NAMES), "...##....");
    pc.cr(0x07, 0x0f);
    pc.refresh();
    assert_eq!(pc.line(0, 0, 9, &NAMES), "########.");
    assert_eq!(pc.line(0, 4 * 16, 9, &NAMES), "...##....");
    pc.assert_frame_is_right();
}

#[test]
fn colours_and_blanking() {
    let mut pc = text();
    pc.poke(0xb_8000, b"A\x07");
    pc.refresh();
    pc.colour(7, [0x3f, 0, 0]);
    let refresh = pc.refresh();
    assert_eq!((pc.pixel(3, 0), refresh.rects.len()), (0xff_0000, 1));
    pc.ar(0x12, 0x08);
    pc.refresh();
    assert_eq!(pc.pixel(3, 0), 0);
    pc.ar(0x12, 0x0f);
    for off in [true, false] {
        // The screen is off by the palette address source, and by the sequencer.
        pc.refresh();
        assert_eq!(pc.pixel(3, 0), 0xff_0000);
        if off {
            pc.screen(false);
        } else {
            pc.sr(1, 0x20);
        }
        let refresh = pc.refresh();
        assert_eq!((refresh.resized, refresh.rects.len()), (None, 1));
        assert_eq!((pc.pixel(3, 0), pc.renderer.next_blink(pc.time)), (0, None));
        assert!(pc.refresh().rects.is_empty());
        pc.screen(true);
        pc.sr(1, 0);
    }
}

#[test]
fn the_screen_is_720x400_and_black_before_anything_is_set() {
    let mut pc = Pc::new();
    assert!(pc.renderer.frame().is_empty());
    let refresh = pc.refresh();
    assert_eq!(refresh.resized, Some((720, 400)));
    assert_eq!(refresh.rects, [Rect::at(0, 0, 720, 400)]);
    assert!(pc.renderer.frame().iter().all(|byte| *byte == 0));
    assert_eq!(pc.refresh(), crate::Refresh::default());
}

#[test]
fn a_full_refresh_reports_everything() {
    let mut pc = text();
    let refresh = pc.refresh_with(true);
    assert_eq!((refresh.resized, refresh.rects), (None, vec![Rect::at(0, 0, 720, 400)]));
    // Direct writes nobody logged are found by it.
    pc.memory.write(0, b"A\x07").unwrap();
    pc.refresh_with(true);
    assert_eq!(pc.line(0, 0, 9, &NAMES), "...##....");
}

#[test]
fn parts_of_the_frame_are_copied_out() {
    let mut pc = text();
    pc.poke(0xb_8000, b"A\x07");
    pc.refresh();
    let part = pc.renderer.pixels(&Rect::at(2, 0, 3, 2));
    let lit: Vec<bool> = part.chunks(4).map(|pixel| pixel != [0; 4]).collect();
    assert_eq!(lit, [false, true, true, true, true, true]);
    assert_eq!(pc.renderer.pixels(&Rect::at(718, 398, 50, 50)).len(), 2 * 2 * 4);
    assert!(pc.renderer.pixels(&Rect::at(800, 0, 50, 50)).is_empty());
    assert!(pc.renderer.pixels(&Rect::at(-60, -60, 50, 50)).is_empty());
}
