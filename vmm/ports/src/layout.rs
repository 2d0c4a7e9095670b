//! The packed layouts of QXL operands, which a device finds in guest memory and a recording holds as it found them. Bytes
//! become checked values here, whoever brings them (QXL ABI 11 to 13).
//!
//! What is made of bytes is a small multiple of them; who reads them limits how many there are.

use std::sync::Arc;

use crate::{
    display::CursorType,
    drawing::{Clip, Glyph, GlyphDepth, PathSegment, Rop, ScaleMode, Transform},
    geometry::{Point, Rect},
};

/// Why bytes cannot be what they are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field holds what it cannot.
    #[error("{field} = {value}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The bytes end too soon.
    #[error("{field} is too short")]
    Short {
        /// What they should have held.
        field: &'static str,
    },
}

impl Malformed {
    /// A field with a value it cannot have.
    pub fn value(field: &'static str, value: impl TryInto<i64>) -> Self {
        Self::Value {
            field,
            value: value.try_into().unwrap_or(i64::MAX),
        }
    }
}

/// 28.4 coordinates are held to this before anybody calculates with them.
const FIXED_MAX: i32 = 1 << 26;
/// All bits a rop descriptor has.
const ROP_BITS: u16 = 0x7ff;
/// Flags of a path segment that mean something.
const SEGMENT_FLAGS: u32 = 0x1b;
const STRING_TOP_DOWN: u16 = 8;
/// Operator, filters, repeats and component alpha of a composite.
const COMPOSITE_BITS: u32 = 0x7_ffff;

/// Largest width and height of a cursor shape.
pub const CURSOR_SIDE_MAX: u16 = 512;
/// [`scale_mode`] of an operation that has none.
pub const NEAREST: u8 = 1;

/// The fields of a packed little-endian structure, one after the other.
#[derive(Debug)]
pub struct Fields<'a> {
    name: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `name` is said when the bytes end too soon.
    #[must_use]
    pub const fn new(name: &'static str, bytes: &'a [u8]) -> Self {
        Self { name, rest: bytes }
    }

    /// What was not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    const fn short(&self) -> Malformed {
        Malformed::Short { field: self.name }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// When there are not as many. So for all that follow.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(self.short())?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.short())?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Leaves bytes out.
    #[expect(clippy::missing_errors_doc, reason = "as of `bytes`")]
    pub fn skip(&mut self, length: usize) -> Result<(), Malformed> {
        self.bytes(length).map(|_| ())
    }

    /// A point of two `i32`.
    #[expect(clippy::missing_errors_doc, reason = "as of `bytes`")]
    pub fn point(&mut self) -> Result<Point, Malformed> {
        Ok(Point {
            x: self.i32()?,
            y: self.i32()?,
        })
    }

    /// A point of two `i16`.
    #[expect(clippy::missing_errors_doc, reason = "as of `bytes`")]
    pub fn point16(&mut self) -> Result<Point, Malformed> {
        Ok(Point {
            x: self.i16()?.into(),
            y: self.i16()?.into(),
        })
    }

    /// A rectangle: top, left, bottom, right as `i32`.
    #[expect(clippy::missing_errors_doc, reason = "as of `bytes`")]
    pub fn rect(&mut self) -> Result<Rect, Malformed> {
        Ok(Rect {
            top: self.i32()?,
            left: self.i32()?,
            bottom: self.i32()?,
            right: self.i32()?,
        })
    }
}

macro_rules! integers {
    ($($name:ident)*) => {
        impl Fields<'_> {
            $(
                /// The next integer of this type.
                #[expect(clippy::missing_errors_doc, reason = "as of `bytes`")]
                pub fn $name(&mut self) -> Result<$name, Malformed> {
                    self.array().map($name::from_le_bytes)
                }
            )*
        }
    };
}

integers!(u8 u16 u32 u64 i16 i32);

/// Refuses a rectangle that is inverted or reaches out of `width` x `height`.
///
/// # Errors
/// Names the rectangle.
pub fn check_inside(name: &'static str, rect: &Rect, (width, height): (u32, u32)) -> Result<(), Malformed> {
    let ordered = rect.left >= 0 && rect.top >= 0 && rect.left <= rect.right && rect.top <= rect.bottom;
    let fits = |edge: i32, size: u32| u32::try_from(edge).is_ok_and(|edge| edge <= size);
    if ordered && fits(rect.right, width) && fits(rect.bottom, height) {
        return Ok(());
    }
    Err(Malformed::value(name, rect.right))
}

/// A rop descriptor; unknown bits are cleared.
#[must_use]
pub const fn rop(descriptor: u16) -> Rop {
    Rop(descriptor & ROP_BITS)
}

/// How an image is sampled.
///
/// # Errors
/// When there is no such mode.
pub fn scale_mode(mode: u8) -> Result<ScaleMode, Malformed> {
    match mode {
        0 => Ok(ScaleMode::Interpolate),
        NEAREST => Ok(ScaleMode::Nearest),
        other => Err(Malformed::value("scale mode", other)),
    }
}

/// A clip of `count` rectangles. They are cut to the box and empty ones left out: what remains is what counts.
///
/// # Errors
/// When there are fewer.
pub fn clip(count: u32, bytes: &[u8], bbox: &Rect) -> Result<Clip, Malformed> {
    let mut fields = Fields::new("clip rectangles", bytes);
    let mut rects = Vec::new();
    for _ in 0..count {
        let rect = fields.rect()?.intersect(bbox);
        if !rect.is_empty() {
            rects.push(rect);
        }
    }
    Ok(Clip::Rects(rects.into()))
}

/// A path: segments until the bytes are used up, never past them.
///
/// # Errors
/// When the last one is cut.
pub fn path(bytes: &[u8]) -> Result<Arc<[PathSegment]>, Malformed> {
    let mut fields = Fields::new("path", bytes);
    let mut segments = Vec::new();
    while !fields.rest().is_empty() {
        let flags = fields.u32()? & SEGMENT_FLAGS;
        let count = fields.u32()?;
        let length = usize::try_from(u64::from(count) * 8).map_err(|_| Malformed::value("path points", count))?;
        let mut points = Fields::new("path points", fields.bytes(length)?);
        segments.push(PathSegment {
            flags: u8::try_from(flags).unwrap_or(0),
            points: (0..count).map(|_| points.point().map(held)).collect::<Result<_, _>>()?,
        });
    }
    Ok(segments.into())
}

fn held(point: Point) -> Point {
    Point {
        x: point.x.clamp(-FIXED_MAX, FIXED_MAX),
        y: point.y.clamp(-FIXED_MAX, FIXED_MAX),
    }
}

/// The lengths of a styled line: not negative, and not all zero, so that walking along them gets ahead.
///
/// # Errors
/// Names the length.
pub fn line_style(bytes: &[u8]) -> Result<Arc<[i32]>, Malformed> {
    let (lengths, _) = bytes.as_chunks();
    let lengths: Vec<i32> = lengths.iter().map(|length| i32::from_le_bytes(*length)).collect();
    if let Some(length) = lengths.iter().find(|length| !(0..=FIXED_MAX).contains(*length)) {
        return Err(Malformed::value("line style length", *length));
    }
    if !lengths.iter().any(|length| *length > 0) {
        return Err(Malformed::value("line style", lengths.len()));
    }
    Ok(lengths.into())
}

/// A string of `count` glyphs that ends exactly where its bytes do.
///
/// # Errors
/// When it does not, or the flags are not those of one depth.
pub fn string(count: u16, flags: u16, bytes: &[u8]) -> Result<(Arc<[Glyph]>, GlyphDepth), Malformed> {
    let depth = match flags & 7 {
        1 => GlyphDepth::A1,
        2 => GlyphDepth::A4,
        4 => GlyphDepth::A8,
        _ => return Err(Malformed::value("string flags", flags)),
    };
    let mut fields = Fields::new("string", bytes);
    let glyphs = (0..count)
        .map(|_| glyph(&mut fields, depth, flags & STRING_TOP_DOWN != 0))
        .collect::<Result<_, _>>()?;
    if !fields.rest().is_empty() {
        return Err(Malformed::value("string size", bytes.len()));
    }
    Ok((glyphs, depth))
}

fn glyph(fields: &mut Fields<'_>, depth: GlyphDepth, top_down: bool) -> Result<Glyph, Malformed> {
    let (render_pos, origin) = (fields.point()?, fields.point()?);
    let (width, height) = (fields.u16()?, fields.u16()?);
    let bits = match depth {
        GlyphDepth::A1 => 1,
        GlyphDepth::A4 => 4,
        GlyphDepth::A8 => 8,
    };
    let row = (usize::from(width) * bits).div_ceil(8);
    let stored = fields.bytes(row * usize::from(height))?;
    let data = if top_down || row == 0 {
        stored.to_vec()
    } else {
        stored.chunks_exact(row).rev().flatten().copied().collect()
    };
    Ok(Glyph {
        render_pos,
        origin,
        width,
        height,
        data,
    })
}

/// A transform that can be inverted: 24 bytes.
///
/// # Errors
/// When it cannot.
pub fn transform(bytes: &[u8]) -> Result<Transform, Malformed> {
    let mut fields = Fields::new("transform", bytes);
    let mut matrix = [0; 6];
    for element in &mut matrix {
        *element = fields.i32()?;
    }
    let [t00, t01, _, t10, t11, _] = matrix.map(i64::from);
    if t00 * t11 == t01 * t10 {
        return Err(Malformed::value("transform determinant", 0));
    }
    Ok(Transform(matrix))
}

/// Flags of a composite: known operators only (pixman's numbers); what means nothing is cleared.
///
/// # Errors
/// Names the operator.
pub fn composite_flags(flags: u32) -> Result<u32, Malformed> {
    if !matches!(flags & 0xff, 0x00..=0x0d | 0x30..=0x3e) {
        return Err(Malformed::value("composite operator", flags & 0xff));
    }
    let known_filter = |flags: u32, shift: u32| match flags >> shift & 7 {
        0..=4 => flags,
        _ => flags & !(7 << shift),
    };
    Ok(known_filter(known_filter(flags & COMPOSITE_BITS, 8), 11))
}

/// Where a composite reads when its source is the part `self_area` of the destination and it begins at `origin` of that
/// part: the origin in the destination. The box must read nothing around the part, or the result would not be that of a
/// copy. Origins have 16 bits everywhere.
///
/// # Errors
/// When it would, or does not fit.
pub fn own_composite_origin(self_area: &Rect, origin: Point, bbox: &Rect) -> Result<Point, Malformed> {
    let read = Rect::at(origin.x, origin.y, bbox.width(), bbox.height());
    check_inside("composite source", &read, (self_area.width(), self_area.height()))?;
    let moved = read.translate(self_area.left, self_area.top);
    if i16::try_from(moved.left).is_err() || i16::try_from(moved.top).is_err() {
        return Err(Malformed::value("composite origin", moved.left));
    }
    Ok(Point::new(moved.left, moved.top))
}

/// What the first bytes of a QUIC stream must say of a picture of this size.
///
/// # Errors
/// When it is no such stream, or of another size.
pub fn quic_header(stream: &[u8], width: u32, height: u32) -> Result<(), Malformed> {
    const MAGIC: u32 = u32::from_le_bytes(*b"QUIC");
    let mut header = Fields::new("QUIC header", stream);
    let (magic, version, kind) = (header.u32()?, header.u32()?, header.u32()?);
    if magic != MAGIC || version != 0 || !(1..=5).contains(&kind) {
        return Err(Malformed::value("QUIC header", magic));
    }
    let same = (header.u32()?, header.u32()?) == (width, height);
    if !same || width == 0 || height == 0 {
        return Err(Malformed::value("QUIC width", width));
    }
    Ok(())
}

/// The cursor type with this number, and sides a shape can have: how many bytes of pixels, palette and AND mask it takes.
///
/// # Errors
/// Names the type or the side.
pub fn cursor_data(kind: u16, width: u16, height: u16) -> Result<(CursorType, usize), Malformed> {
    let kind = match kind {
        0 => CursorType::Alpha,
        1 => CursorType::Mono,
        2 => CursorType::Color4,
        3 => CursorType::Color8,
        4 => CursorType::Color16,
        5 => CursorType::Color24,
        6 => CursorType::Color32,
        other => return Err(Malformed::value("cursor type", other)),
    };
    for side in [width, height] {
        if !(1..=CURSOR_SIDE_MAX).contains(&side) {
            return Err(Malformed::value("cursor side", side));
        }
    }
    let (width, height) = (usize::from(width), usize::from(height));
    let mask = width.div_ceil(8) * height;
    let bytes = match kind {
        CursorType::Alpha => 4 * width * height,
        CursorType::Mono => 2 * mask,
        CursorType::Color4 => width.div_ceil(2) * height + 16 * 4 + mask,
        CursorType::Color8 => width * height + 256 * 4 + mask,
        CursorType::Color16 => 2 * width * height + mask,
        CursorType::Color24 => 3 * width * height + mask,
        CursorType::Color32 => 4 * width * height + mask,
    };
    Ok((kind, bytes))
}
