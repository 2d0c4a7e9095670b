//! Graphics modes of the standard registers.

use caraway_ports::geometry::Rect;

use crate::testing::{MODE_4, MODE_6, MODE_12, MODE_13, Mode, Pc};

/// Palette of an EGA.
const NAMES: [(u32, char); 16] = [
    (0x00_0000, '0'),
    (0x00_00aa, '1'),
    (0x00_aa00, '2'),
    (0x00_aaaa, '3'),
    (0xaa_0000, '4'),
    (0xaa_00aa, '5'),
    (0xaa_5500, '6'),
    (0xaa_aaaa, '7'),
    (0x55_5555, '8'),
    (0x55_55ff, '9'),
    (0x55_ff55, 'a'),
    (0x55_ffff, 'b'),
    (0xff_5555, 'c'),
    (0xff_55ff, 'd'),
    (0xff_ff55, 'e'),
    (0xff_ffff, 'f'),
];

#[test]
fn mode_12_has_a_bit_of_a_pixel_in_each_plane() {
    let mut pc = Pc::in_mode(&MODE_12);
    // The second byte of the third line: pixels 8 to 15.
    for (plane, byte) in [0x55, 0x33, 0x0f, 0xf0].into_iter().enumerate() {
        pc.sr(2, 1 << plane);
        pc.poke(0xa_0000 + 2 * 80 + 1, &[byte]);
    }
    pc.refresh();
    assert_eq!(pc.renderer.size(), (640, 480));
    assert_eq!(pc.line(7, 2, 10, &NAMES), "089ab45670");
    // Colour plane enable and the palette are on the way.
    pc.ar(0x12, 0x07);
    pc.ar(0x05, 0x3f);
    let refresh = pc.refresh();
    assert_eq!(pc.line(7, 2, 10, &NAMES), "001234f670");
    assert_eq!(refresh.rects, [Rect::at(0, 2, 32, 1)]);
    // The last line has its bytes where it should.
    pc.write_bar(4 * (479 * 80 + 79), &[0x01, 0, 0, 0]);
    assert_eq!(pc.refresh().rects, [Rect::at(608, 479, 32, 1)]);
    assert_eq!(pc.line(638, 479, 2, &NAMES), "01");
}

#[test]
fn mode_12_pans_and_doubles() {
    let mut pc = Pc::in_mode(&MODE_12);
    pc.sr(2, 1);
    pc.poke(0xa_0000, &[0x1f, 0xa0]);
    pc.ar(0x13, 3);
    pc.refresh();
    assert_eq!(pc.line(0, 0, 10, &NAMES), "1111110100");
    // Pixels of double width.
    pc.sr(1, 0x09);
    pc.refresh();
    assert_eq!(pc.renderer.size(), (1280, 480));
    assert_eq!(pc.line(0, 0, 20, &NAMES), "11111111111100110000");
    // The start address moves by eight pixels.
    pc.sr(1, 0x01);
    pc.cr(0x0d, 1);
    pc.refresh();
    assert_eq!(pc.line(0, 0, 4, &NAMES), "0000");
    pc.ar(0x13, 0);
    pc.refresh();
    assert_eq!(pc.line(0, 0, 4, &NAMES), "1010");
    pc.assert_frame_is_right();
}

#[test]
fn mode_13_has_a_byte_a_pixel_shown_four_times() {
    let mut pc = Pc::in_mode(&MODE_13);
    pc.poke(0xa_0000 + 320 + 1, &[1, 2, 3]);
    let refresh = pc.refresh();
    assert_eq!((pc.renderer.size(), refresh.resized), ((640, 400), Some((640, 400))));
    for line in [2, 3] {
        assert_eq!(pc.line(0, line, 10, &NAMES), "0011223300");
    }
    assert_eq!(pc.pixel(2, 1), 0);
    // The last pixel is byte 63999 of the memory.
    pc.write_bar(63999, &[7]);
    assert_eq!(pc.refresh().rects, [Rect::at(608, 398, 32, 2)]);
    assert_eq!(pc.line(636, 399, 4, &NAMES), "0077");
    // Panning is in halves of a pixel.
    for (pan, found) in [(2, "11223300"), (3, "12233000")] {
        pc.ar(0x13, pan);
        pc.refresh();
        assert_eq!(pc.line(0, 2, 8, &NAMES), found);
    }
    pc.assert_frame_is_right();
}

#[test]
fn mode_x_has_320x240_pixels_in_four_planes() {
    // As mode 13h, unchained, byte mode, 480 lines.
    let mut mode = Mode {
        misc: 0xe3,
        sr: [0x01, 0x0f, 0x00, 0x06],
        ..MODE_13
    };
    for (index, value) in [
        (0x06, 0x0d),
        (0x07, 0x3e),
        (0x10, 0xea),
        (0x11, 0x8c),
        (0x12, 0xdf),
        (0x14, 0x00),
        (0x15, 0xe7),
        (0x16, 0x06),
        (0x17, 0xe3),
    ] {
        mode.cr[index] = value;
    }
    let mut pc = Pc::in_mode(&mode);
    for (plane, colour) in [5, 3, 7, 4].into_iter().enumerate() {
        pc.sr(2, 1 << plane);
        pc.poke(0xa_0000 + 239 * 80 + 1, &[colour]);
    }
    pc.refresh();
    assert_eq!(pc.renderer.size(), (640, 480));
    assert_eq!(pc.line(7, 479, 10, &NAMES), "0553377440");
    // Latched copies of four pixels at once.
    pc.sr(2, 0x0f);
    pc.gr(5, 0x41);
    pc.peek(0xa_0000 + 239 * 80 + 1);
    pc.poke(0xa_0000, &[0]);
    pc.refresh();
    assert_eq!(pc.line(0, 0, 10, &NAMES), "5533774400");
    // A second page, and a split screen back to the first.
    pc.cr(0x0c, 0x40);
    pc.cr(0x11, 0);
    pc.cr(0x18, 99);
    pc.cr(0x07, 0x2e);
    pc.cr(0x09, 0x01);
    pc.refresh();
    assert_eq!(pc.line(0, 99, 10, &NAMES), "0000000000");
    assert_eq!(pc.line(0, 100, 10, &NAMES), "5533774400");
    pc.assert_frame_is_right();
}

#[test]
fn the_lower_part_of_a_split_screen_is_panned_unless_asked_not_to() {
    let mut pc = Pc::in_mode(&MODE_12);
    pc.write_bar(0, &[0xff, 0, 0, 0, 0, 0, 0, 0]);
    pc.cr(0x11, 0);
    for (index, value) in [(0x0c, 0x80), (0x07, 0x2e), (0x09, 0x00), (0x18, 10)] {
        pc.cr(index, value);
    }
    pc.ar(0x13, 4);
    pc.refresh();
    assert_eq!(pc.line(0, 11, 8, &NAMES), "11110000");
    pc.ar(0x10, 0x21);
    pc.refresh();
    assert_eq!(pc.line(0, 11, 9, &NAMES), "111111110");
    assert_eq!(pc.line(0, 10, 9, &NAMES), "000000000");
    pc.assert_frame_is_right();
}

/// A mode of the CGA: of six bits of a colour the fifth is intensity.
fn cga(mode: &Mode) -> Pc {
    let mut pc = Pc::in_mode(mode);
    for (index, rgb) in [
        (0x13, [0x15, 0x3f, 0x3f]),
        (0x15, [0x3f, 0x15, 0x3f]),
        (0x17, [0x3f; 3]),
    ] {
        pc.colour(index, rgb);
    }
    pc
}

#[test]
fn mode_4_has_four_colours_in_two_banks() {
    let mut pc = cga(&MODE_4);
    pc.poke(0xb_8000, &[0x1b, 0xe4]);
    pc.poke(0xb_8000 + 0x2000 + 80, &[0x55]);
    pc.refresh();
    assert_eq!(pc.renderer.size(), (640, 400));
    let names = [(0, '0'), (0x55_ffff, '1'), (0xff_55ff, '2'), (0xff_ffff, '3')];
    for line in [0, 1] {
        assert_eq!(pc.line(0, line, 18, &names), "001122333322110000");
    }
    // The second bank has the odd lines: its second is line 3, shown at 6 and 7.
    assert_eq!(
        (pc.pixel(0, 5), pc.pixel(0, 6), pc.pixel(7, 7)),
        (0, 0x55_ffff, 0x55_ffff)
    );
    assert_eq!((pc.pixel(8, 6), pc.pixel(0, 8)), (0, 0));
    pc.assert_frame_is_right();
}

#[test]
fn mode_6_has_two_colours_in_two_banks() {
    let mut pc = cga(&MODE_6);
    pc.poke(0xb_8000 + 1, &[0xa5]);
    pc.poke(0xb_8000 + 0x2000, &[0x80]);
    pc.refresh();
    assert_eq!(pc.renderer.size(), (640, 400));
    let names = [(0, '.'), (0xff_ffff, '#')];
    assert_eq!(pc.line(7, 1, 10, &names), ".#.#..#.#.");
    assert_eq!(pc.line(0, 2, 3, &names), "#..");
    pc.assert_frame_is_right();
}

#[test]
fn four_banks_have_every_fourth_line_each() {
    let mut pc = cga(&MODE_6);
    pc.cr(0x17, 0x80);
    // Address bits 14 and 15 are bits 0 and 1 of the line's number.
    for bank in 0..4 {
        pc.write_bar(bank * 0x4000, &[0x80 >> bank, 0, 0, 0]);
    }
    pc.write_bar(0x28 * 8, &[0xff, 0, 0, 0]);
    pc.refresh();
    let names = [(0, '.'), (0xff_ffff, '#')];
    let lines: Vec<String> = (0..5).map(|line| pc.line(0, 2 * line, 4, &names)).collect();
    assert_eq!(lines, ["#...", ".#..", "..#.", "...#", "####"]);
    pc.assert_frame_is_right();
}

#[test]
fn lines_go_on_at_the_beginning_of_the_memory() {
    let mut pc = Pc::with_memory(0x4_0000, 0x2_0000);
    pc.set_mode(&MODE_12);
    pc.cr(0x0c, 0xff);
    pc.cr(0x0d, 0xff);
    pc.refresh();
    pc.write_bar(0x3_fffc, &[0x81, 0, 0, 0]);
    pc.refresh();
    pc.write_bar(0, &[0x81, 0, 0, 0]);
    assert_eq!(pc.refresh().rects, [Rect::at(0, 0, 32, 1)]);
    assert_eq!(pc.line(0, 0, 17, &NAMES), "10000001100000010");
    pc.assert_frame_is_right();
}

#[test]
fn one_line_of_the_memory_may_be_shown_with_and_without_panning() {
    let mut pc = Pc::in_mode(&MODE_12);
    pc.write_bar(0, &[0xf0, 0, 0, 0]);
    pc.cr(0x11, 0);
    for (index, value) in [(0x13, 0), (0x07, 0x2e), (0x09, 0), (0x18, 10)] {
        pc.cr(index, value);
    }
    pc.ar(0x13, 2);
    pc.ar(0x10, 0x21);
    pc.refresh();
    assert_eq!(
        (pc.line(0, 10, 5, &NAMES), pc.line(0, 11, 5, &NAMES)),
        ("11000".into(), "11110".into())
    );
    pc.assert_frame_is_right();
}

#[test]
fn a_single_pixel_in_a_linear_frame_buffer_is_a_small_rectangle() {
    let mut pc = Pc::in_mode(&MODE_12);
    pc.set_linear(1024, 768, 32);
    pc.refresh();
    assert!(pc.refresh().rects.is_empty());
    for (x, y) in [(0, 0), (1023, 767), (500, 300)] {
        pc.write_bar((y * 1024 + x) * 4, &[1, 2, 3, 0]);
        let (x, y) = (x as u32, y as u32);
        assert_eq!(pc.refresh().rects, [Rect::at((x & !31) as i32, y as i32, 32, 1)]);
        assert_eq!(pc.pixel(x, y), 0x03_0201);
    }
    // The unused byte is not a change.
    pc.write_bar(3, &[0xff]);
    assert!(pc.refresh().rects.is_empty());
    // Nor is what was written outside the picture, or what nobody says is dirty.
    pc.write_bar(1024 * 768 * 4, &[0xff; 4]);
    pc.memory.write(8, &[0xff; 4]).unwrap();
    assert!(pc.refresh().rects.is_empty());
}

#[test]
fn a_page_of_narrow_lines_is_all_of_them() {
    let mut pc = Pc::in_mode(&MODE_12);
    pc.set_linear(64, 768, 32);
    pc.refresh();
    // 16 lines a page; two columns of them change.
    for line in 32..48 {
        pc.write_bar(line * 256, &[0xff; 4]);
        pc.write_bar(line * 256 + 252, &[0xff; 4]);
    }
    assert_eq!(pc.refresh().rects, [Rect::at(0, 32, 64, 16)]);
}
