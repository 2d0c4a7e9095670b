//! Strings, as the reference client draws them.

use caraway_ports::drawing::{Glyph, GlyphDepth};

use super::*;

fn glyph(x: i32, width: u16, data: &[u8]) -> Glyph {
    Glyph {
        render_pos: Point::new(x, 0),
        origin: Point::default(),
        width,
        height: 1,
        data: data.to_vec(),
    }
}

fn text(depth: GlyphDepth, glyphs: &[Glyph], fore_brush: Brush) -> DrawOp {
    DrawOp::Text {
        glyphs: glyphs.into(),
        depth,
        back_area: Rect::default(),
        fore_brush,
        back_brush: Brush::None,
        fore_mode: Rop(Rop::OP_XOR),
        back_mode: Rop::PUT,
    }
}

/// Drawn over 0x000000ff in all pixels.
fn shown(format: SurfaceFormat, width: u32, op: DrawOp) -> Vec<u32> {
    let mut canvas = canvas(format, width, 1);
    let area = Rect::at(0, 0, width, 1);
    draw(&mut canvas, area, fill(0xff, 8)).unwrap();
    draw(&mut canvas, area, op).unwrap();
    values(&canvas, 0)
}

fn tiles(format: BitmapFormat, pixels: &[u32]) -> Brush {
    Brush::Pattern {
        image: image32(format, pixels.len() as u32, pixels),
        pos: Point::default(),
    }
}

#[test]
fn glyphs_are_blended_whatever_the_operation_and_need_a_brush() {
    let bits = [glyph(0, 2, &[0x80])];
    let drawn = |brush| shown(SurfaceFormat::Xrgb, 2, text(GlyphDepth::A1, &bits, brush));
    assert_eq!(drawn(Brush::Solid(0x12_3456)), [0x12_3456, 0xff]);
    assert_eq!(drawn(Brush::None), [0xff, 0xff]);
}

#[test]
fn one_colour_is_opaque_and_the_alpha_of_an_image_counts() {
    let bits = [glyph(0, 3, &[0xe0])];
    let drawn = |format, brush| shown(format, 3, text(GlyphDepth::A1, &bits, brush));
    assert_eq!(drawn(SurfaceFormat::Argb, Brush::Solid(0x12_3456)), [0xff12_3456; 3]);
    assert_eq!(drawn(SurfaceFormat::A8, Brush::Solid(0)), [0xff; 3]);
    let alpha = || tiles(BitmapFormat::Rgba, &[0x8080_0000, 0, 0xff00_ff00]);
    assert_eq!(drawn(SurfaceFormat::Argb, alpha()), [0x8080_007f, 0xff, 0xff00_ff00]);
    // What is converted to 16 bits has lost its alpha.
    assert_eq!(drawn(SurfaceFormat::Rgb565, alpha()), [0x8000, 0, 0x07e0]);
}

#[test]
fn coverage_of_four_bits_is_in_16ths_and_adds_up_by_its_maximum() {
    let cover = |glyphs: &[Glyph]| {
        let mut canvas = canvas(SurfaceFormat::A8, 4, 1);
        let op = text(GlyphDepth::A4, glyphs, Brush::Solid(0));
        draw(&mut canvas, Rect::at(0, 0, 4, 1), op).unwrap();
        values(&canvas, 0)
    };
    assert_eq!(cover(&[glyph(0, 4, &[0x0f, 0x81])]), [0, 0xf0, 0x80, 0x10]);
    assert_eq!(cover(&[glyph(0, 2, &[0x50]), glyph(0, 1, &[0x30])]), [0x50, 0, 0, 0]);
    // At an odd column the later glyph hides the earlier one if it covers something to the left.
    assert_eq!(cover(&[glyph(0, 2, &[0x0f]), glyph(0, 2, &[0x01])]), [0, 0xf0, 0, 0]);
    assert_eq!(cover(&[glyph(0, 2, &[0x0f]), glyph(0, 2, &[0x11])]), [0x10, 0x10, 0, 0]);
    assert_eq!(cover(&[glyph(1, 1, &[0xf0]), glyph(0, 2, &[0x11])]), [0x10, 0x10, 0, 0]);
    assert_eq!(cover(&[glyph(0, 2, &[0x0f]), glyph(1, 2, &[0x11])]), [0, 0xf0, 0x10, 0]);
}
