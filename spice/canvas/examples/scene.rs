//! Draws a small scene and writes it to standard output as a portable pixmap.

use std::{error::Error, io::Write};

use caraway_canvas::{Canvas, Limits};
use caraway_ports::{
    display::SurfaceSpec,
    drawing::{Brush, Clip, DrawOp, Drawable, Mask, Rop, SurfaceFormat},
    geometry::{Point, Rect},
};

fn main() -> Result<(), Box<dyn Error>> {
    let (width, height) = (320, 200);
    let mut canvas = Canvas::new(Limits::default());
    canvas.create(&SurfaceSpec {
        id: 0,
        width,
        height,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    })?;
    let fill = |color| DrawOp::Fill {
        brush: Brush::Solid(color),
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    let scroll = DrawOp::CopyBits {
        src_pos: Point::new(20, 20),
    };
    let steps = [
        (Rect::at(0, 0, width, height), fill(0x0020_3040)),
        (Rect::at(20, 20, 100, 60), fill(0x00f0_a030)),
        (Rect::at(70, 50, 100, 60), scroll),
        (Rect::at(10, 10, 60, 40), DrawOp::Invers { mask: Mask::default() }),
    ];
    for (bbox, op) in steps {
        canvas.draw(&Drawable {
            surface: 0,
            bbox,
            clip: Clip::None,
            mm_time: 0,
            op,
        })?;
    }
    let pixels = canvas.read(0, Rect::at(0, 0, width, height)).ok_or("no surface")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "P6 {width} {height} 255")?;
    for pixel in pixels.data.chunks(4) {
        if let [b, g, r, _] = pixel {
            out.write_all(&[*r, *g, *b])?;
        }
    }
    eprintln!("checksum {:016x}", canvas.checksum(0).unwrap_or(0));
    Ok(())
}
