//! How long drawing operations take: `cargo bench -p caraway-canvas`.

use std::sync::Arc;

use caraway_canvas::{Canvas, Limits};
use caraway_ports::{
    display::SurfaceSpec,
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Mask, Rop, ScaleMode,
        Source, SurfaceFormat,
    },
    geometry::{Point, Rect},
};
use criterion::{Criterion, criterion_group, criterion_main};

const WIDTH: u32 = 1024;
const HEIGHT: u32 = 768;
const SCREEN: Rect = Rect {
    top: 0,
    left: 0,
    bottom: HEIGHT as i32,
    right: WIDTH as i32,
};

/// An image as large as the screen, every byte of which is another than the one before.
fn image(format: BitmapFormat) -> Image {
    let data: Vec<u8> = (0..WIDTH * HEIGHT * 4).map(|at| ((at * 37) >> 3) as u8).collect();
    Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: WIDTH,
        height: HEIGHT,
        data: ImageData::Bitmap(Arc::new(Bitmap {
            format,
            width: WIDTH,
            height: HEIGHT,
            stride: WIDTH * 4,
            top_down: true,
            palette: None,
            data: data.into(),
        })),
    }
}

fn source(format: BitmapFormat, area: Rect, scale: ScaleMode) -> Source {
    Source {
        image: image(format),
        area,
        scale,
    }
}

fn fill(rop: u16) -> DrawOp {
    DrawOp::Fill {
        brush: Brush::Solid(0x0034_65a4),
        rop: Rop(rop),
        mask: Mask::default(),
    }
}

fn copy(area: Rect, scale: ScaleMode) -> DrawOp {
    DrawOp::Copy {
        source: source(BitmapFormat::Bit32, area, scale),
        rop: Rop::PUT,
        mask: Mask::default(),
    }
}

fn blend(alpha: u8) -> DrawOp {
    DrawOp::AlphaBlend {
        source: source(BitmapFormat::Rgba, SCREEN, ScaleMode::Nearest),
        flags: 0,
        alpha,
    }
}

/// Eighty glyphs of 8x14 pixels.
fn text(depth: GlyphDepth, bits: usize) -> DrawOp {
    let glyph = |at: i32| Glyph {
        render_pos: Point::new(20 + at * 8, 30),
        origin: Point::default(),
        width: 8,
        height: 14,
        data: (0..14 * bits).map(|byte| (byte * 73) as u8).collect(),
    };
    DrawOp::Text {
        glyphs: (0..80).map(glyph).collect(),
        depth,
        back_area: Rect::default(),
        fore_brush: Brush::Solid(0x0020_4a87),
        back_brush: Brush::None,
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    }
}

fn operations(criterion: &mut Criterion) {
    let half = Rect::at(0, 0, WIDTH / 2, HEIGHT / 2);
    let scroll = DrawOp::CopyBits {
        src_pos: Point::new(0, 20),
    };
    let cells = [
        ("fill screen", SCREEN, fill(Rop::OP_PUT)),
        ("fill 64x64", Rect::at(100, 100, 64, 64), fill(Rop::OP_PUT)),
        ("fill screen, XOR", SCREEN, fill(Rop::OP_XOR)),
        ("copy screen", SCREEN, copy(SCREEN, ScaleMode::Nearest)),
        ("copy to double size, nearest", SCREEN, copy(half, ScaleMode::Nearest)),
        (
            "copy to double size, interpolated",
            SCREEN,
            copy(half, ScaleMode::Interpolate),
        ),
        ("scroll", Rect::at(0, 0, WIDTH, HEIGHT - 20), scroll),
        ("blend screen", SCREEN, blend(255)),
        ("blend screen, times 128", SCREEN, blend(128)),
        ("80 glyphs of 8 bits", SCREEN, text(GlyphDepth::A8, 8)),
        ("80 glyphs of 4 bits", SCREEN, text(GlyphDepth::A4, 4)),
        ("80 glyphs of 1 bit", SCREEN, text(GlyphDepth::A1, 1)),
    ];
    let mut canvas = Canvas::new(Limits::default());
    let screen = SurfaceSpec {
        id: 0,
        width: WIDTH,
        height: HEIGHT,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    };
    assert_eq!(canvas.create(&screen), Ok(()));
    for (name, bbox, op) in cells {
        let drawable = Drawable {
            surface: 0,
            bbox,
            clip: Clip::None,
            mm_time: 0,
            op,
        };
        assert!(canvas.draw(&drawable).is_ok(), "{name}");
        criterion.bench_function(name, |bencher| bencher.iter(|| canvas.draw(&drawable)));
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
