//! Tests of whole operations: hand-computed cases, and properties against definitions pixel by pixel.

mod alpha;
mod basic;
mod lines;
mod properties;
mod sources;
mod text;

use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::{
    display::SurfaceSpec,
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, DrawOp, Drawable, Image, ImageData, Mask, Rop, ScaleMode, Source,
        SurfaceFormat,
    },
    geometry::{Point, Rect},
};

use crate::{Canvas, DrawError, Drawn, Limits};

/// A canvas with one surface, number 0.
fn canvas(format: SurfaceFormat, width: u32, height: u32) -> Canvas {
    let mut canvas = Canvas::new(Limits::default());
    add_surface(&mut canvas, 0, format, width, height);
    canvas
}

fn add_surface(canvas: &mut Canvas, id: u32, format: SurfaceFormat, width: u32, height: u32) {
    let spec = SurfaceSpec {
        id,
        width,
        height,
        format,
        pixels: None,
    };
    canvas.create(&spec).unwrap();
}

/// Draws `op` in `bbox` of surface 0.
fn draw(canvas: &mut Canvas, bbox: Rect, op: DrawOp) -> Result<Drawn, DrawError> {
    draw_clipped(canvas, bbox, Clip::None, op)
}

fn draw_clipped(canvas: &mut Canvas, bbox: Rect, clip: Clip, op: DrawOp) -> Result<Drawn, DrawError> {
    draw_on(canvas, 0, bbox, clip, op)
}

fn draw_on(canvas: &mut Canvas, surface: u32, bbox: Rect, clip: Clip, op: DrawOp) -> Result<Drawn, DrawError> {
    canvas.draw(&Drawable {
        surface,
        bbox,
        clip,
        mm_time: 0,
        op,
    })
}

/// Raw values of surface `id`, row by row.
fn values(canvas: &Canvas, id: u32) -> Vec<u32> {
    let pixels = canvas.read(id, canvas.area(id).unwrap()).unwrap();
    let each = pixels.format.bits_per_pixel() as usize / 8;
    let widen = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    pixels.data.chunks(each).map(widen).collect()
}

/// Sets the raw values of a 32-bit surface 0, row by row.
fn set(canvas: &mut Canvas, pixels: &[u32]) {
    let area = canvas.area(0).unwrap();
    let op = DrawOp::Copy {
        source: source(image32(BitmapFormat::Rgba, area.width(), pixels)),
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    draw(canvas, area, op).unwrap();
}

fn bitmap(format: BitmapFormat, width: u32, height: u32, stride: u32, data: &[u8]) -> Image {
    image(ImageData::Bitmap(Arc::new(Bitmap {
        format,
        width,
        height,
        stride,
        top_down: true,
        palette: None,
        data: Bytes::copy_from_slice(data),
    })))
}

/// A 32-bit image from values, row by row.
fn image32(format: BitmapFormat, width: u32, pixels: &[u32]) -> Image {
    let data: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    bitmap(format, width, pixels.len() as u32 / width, width * 4, &data)
}

fn image(data: ImageData) -> Image {
    let (width, height) = match &data {
        ImageData::Bitmap(bitmap) => (bitmap.width, bitmap.height),
        _ => (0, 0),
    };
    Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width,
        height,
        data,
    }
}

/// All of an image, nearest pixels.
fn source(image: Image) -> Source {
    Source {
        area: Rect::at(0, 0, image.width, image.height),
        image,
        scale: ScaleMode::Nearest,
    }
}

fn fill(value: u32, rop: u16) -> DrawOp {
    DrawOp::Fill {
        brush: Brush::Solid(value),
        rop: Rop(rop),
        mask: Mask::default(),
    }
}

fn copy(source: Source) -> DrawOp {
    DrawOp::Copy {
        source,
        rop: Rop::PUT,
        mask: Mask::default(),
    }
}

fn mask(image: Image, x: i32, y: i32, inverse: bool) -> Mask {
    Mask {
        inverse,
        pos: Point::new(x, y),
        bitmap: Some(image),
    }
}
