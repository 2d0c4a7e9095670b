//! Command bodies: drawables (191 bytes) and cursor commands (150 bytes), with their images and shapes.

/// A rectangle on the primary; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub left: i32,
    /// First row.
    pub top: i32,
    /// Column behind the last.
    pub right: i32,
    /// Row behind the last.
    pub bottom: i32,
}

impl Area {
    fn width(self) -> u32 {
        self.right.saturating_sub(self.left).max(0).unsigned_abs()
    }

    fn height(self) -> u32 {
        self.bottom.saturating_sub(self.top).max(0).unsigned_abs()
    }
}

/// A picture, produced row by row.
pub trait Pixels {
    /// Writes row `y` as 32-bit pixels (B, G, R, 0 in memory).
    fn row(&self, y: u32, out: &mut [[u8; 4]]);
}

/// A cursor with alpha.
#[derive(Debug, Clone, Copy)]
pub struct CursorShape<'a> {
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// Column and row of the hot spot.
    pub hot_spot: (u16, u16),
    /// Premultiplied 0xAARRGGBB, rows top-down.
    pub pixels: &'a [u32],
}

pub(super) const DRAWABLE_SIZE: usize = 191;
pub(super) const CURSOR_COMMAND_SIZE: usize = 150;
pub(super) const COMMAND_DRAW: u32 = 1;
pub(super) const COMMAND_CURSOR: u32 = 3;

const EFFECT_OPAQUE: u8 = 1;
const DRAW_FILL: u8 = 1;
const DRAW_COPY: u8 = 3;
const DRAW_COPY_BITS: u8 = 4;
const ROP_PUT: u16 = 8;
const BRUSH_SOLID: u32 = 1;
const IMAGE_BITMAP: u8 = 0;
const BITMAP_32BIT: u8 = 8;
const BITMAP_TOP_DOWN: u8 = 4;
const CURSOR_SET: u8 = 0;
const CURSOR_MOVE: u8 = 1;

/// The image header begins here, behind the drawable; chunk header and data follow.
const IMAGE_AT: usize = 0xc0;
const CHUNK_AT: usize = IMAGE_AT + 0x30;
const CHUNK_HEADER: usize = 20;
const DATA_AT: usize = CHUNK_AT + CHUNK_HEADER;
/// The cursor shape begins here, behind its command; its chunk header ends with the shape's.
const SHAPE_AT: usize = 0xa0;
const SHAPE_HEADER: usize = 0x2a;

/// Writes packed little-endian fields one after another.
struct Fields<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn put<const N: usize>(&mut self, value: [u8; N]) -> &mut Self {
        if let Some(field) = self.bytes.get_mut(self.at..self.at + N) {
            field.copy_from_slice(&value);
        }
        self.at += N;
        self
    }

    fn u8(&mut self, value: u8) -> &mut Self {
        self.put([value])
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn area(&mut self, area: Area) -> &mut Self {
        self.i32(area.top).i32(area.left).i32(area.bottom).i32(area.right)
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            self.u8(0);
        }
        self
    }
}

/// The part all drawables share, up to the type's own fields.
fn drawable<'a>(bytes: &'a mut [u8], id: u64, kind: u8, area: Area) -> Fields<'a> {
    let mut fields = Fields::new(bytes);
    fields.u64(id).u32(0).u8(EFFECT_OPAQUE).u8(kind).u8(0).zeros(16); // no self_bitmap
    fields.area(area).zeros(12); // no clip
    fields.u32(0).i32(-1).i32(-1).i32(-1).zeros(48); // mm_time; no other surfaces
    fields
}

pub(super) fn fill(bytes: &mut [u8], id: u64, area: Area, color: u32) {
    let mut fields = drawable(bytes, id, DRAW_FILL, area);
    fields.u32(BRUSH_SOLID).u32(color).zeros(12).u16(ROP_PUT).zeros(17 + 29);
}

pub(super) fn copy_bits(bytes: &mut [u8], id: u64, area: Area, x: i32, y: i32) {
    drawable(bytes, id, DRAW_COPY_BITS, area).i32(x).i32(y).zeros(60);
}

/// Bytes of a copy command with its picture.
pub(super) fn copy_size(area: Area) -> Option<usize> {
    (area.width() as usize)
        .checked_mul(area.height() as usize)?
        .checked_mul(4)?
        .checked_add(DATA_AT)
}

/// `base` is the slot address of `bytes`.
pub(super) fn copy(bytes: &mut [u8], id: u64, base: u64, area: Area, pixels: &dyn Pixels) {
    let (width, height) = (area.width(), area.height());
    let whole = Area {
        left: 0,
        top: 0,
        right: width as i32,
        bottom: height as i32,
    };
    let mut fields = drawable(bytes, id, DRAW_COPY, area);
    fields
        .u64(base + IMAGE_AT as u64)
        .area(whole)
        .u16(ROP_PUT)
        .u8(0)
        .zeros(17 + 24);
    fields.zeros(IMAGE_AT - DRAWABLE_SIZE);
    fields.u64(0).u8(IMAGE_BITMAP).u8(0).u32(width).u32(height); // id 0, flags 0: never cached
    fields
        .u8(BITMAP_32BIT)
        .u8(BITMAP_TOP_DOWN)
        .u32(width)
        .u32(height)
        .u32(width * 4);
    fields.u64(0).u64(base + CHUNK_AT as u64); // no palette
    fields.u32(width * height * 4).u64(0).u64(0);
    let data = bytes.get_mut(DATA_AT..).unwrap_or_default();
    let (data, _) = data.as_chunks_mut::<4>();
    for (y, row) in (0..height).zip(data.chunks_exact_mut(width as usize)) {
        pixels.row(y, row);
    }
}

pub(super) fn cursor_size(shape: &CursorShape<'_>) -> usize {
    SHAPE_AT + SHAPE_HEADER + shape.pixels.len() * 4
}

/// `base` is the slot address of `bytes`.
pub(super) fn set_cursor(bytes: &mut [u8], id: u64, base: u64, shape: &CursorShape<'_>, x: i32, y: i32) {
    let size = shape.pixels.len() as u32 * 4;
    let mut fields = Fields::new(bytes);
    fields
        .u64(id)
        .u8(CURSOR_SET)
        .u16(x as u16)
        .u16(y as u16)
        .u8(1)
        .u64(base + SHAPE_AT as u64)
        .zeros(128);
    fields.zeros(SHAPE_AT - CURSOR_COMMAND_SIZE);
    fields
        .u64(0)
        .u16(0)
        .u16(shape.size.0)
        .u16(shape.size.1)
        .u16(shape.hot_spot.0)
        .u16(shape.hot_spot.1);
    fields.u32(size).u32(size).u64(0).u64(0);
    for pixel in shape.pixels {
        fields.u32(*pixel);
    }
}

pub(super) fn move_cursor(bytes: &mut [u8], id: u64, x: i32, y: i32) {
    Fields::new(bytes)
        .u64(id)
        .u8(CURSOR_MOVE)
        .u16(x as u16)
        .u16(y as u16)
        .zeros(9 + 128);
}
