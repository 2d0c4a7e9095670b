//! Images, brushes and masks as drawing operations read them.

use std::{borrow::Cow, collections::BTreeMap};

use caraway_image::{
    Limits,
    bitmap::{BitmapReader, MaskReader},
    quic::{self, QuicError},
};
use caraway_ports::{
    drawing::{BitmapFormat, Brush, Image, ImageData, Mask, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::{
    color::{OPAQUE, has_alpha, narrow, narrow_row, widen, widen_row},
    error::DrawError,
    lanes::{self, Pixel},
    surface::Surface,
};

/// The surfaces an operation may read: the one it draws on, as it was before, and all others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'s, 'own> {
    pub(crate) own_id: u32,
    pub(crate) own: &'own Surface,
    pub(crate) others: &'s BTreeMap<u32, Surface>,
    /// Most pixels that a compressed image may have.
    pub(crate) max_pixels: u64,
    /// What is around the pixels that are drawn.
    pub(crate) drawn: Rect,
}

impl<'s> Sources<'s, '_> {
    /// A surface that stays what it is now while the operation draws: the one drawn on is copied.
    fn get(&self, id: u32) -> Result<Cow<'s, Surface>, DrawError> {
        if id == self.own_id {
            return Ok(Cow::Owned(self.own.clone()));
        }
        self.others
            .get(&id)
            .map(Cow::Borrowed)
            .ok_or(DrawError::NoSource { id })
    }
}

#[derive(Debug)]
enum Content<'s> {
    Bitmap(BitmapReader<'s>),
    Surface(Cow<'s, Surface>),
    /// A copy of the part of a surface that is read.
    Part {
        pixels: Surface,
        area: Rect,
        whole: (u32, u32),
    },
}

/// The pixels of an image.
#[derive(Debug)]
pub(crate) struct Picture<'s> {
    content: Content<'s>,
    /// Set in every value read.
    high_bits: u32,
    /// Whether the high byte of a value is its alpha.
    has_alpha: bool,
    /// The format of 16 bits to which the colours have been cut.
    cut_to: Option<SurfaceFormat>,
}

impl<'s> Picture<'s> {
    pub(crate) fn open(image: &'s Image, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        match &image.data {
            ImageData::Bitmap(bitmap) => {
                let opaque = image.high_bits_set && bitmap.format == BitmapFormat::Bit32;
                Ok(Self {
                    content: Content::Bitmap(BitmapReader::new(bitmap)?),
                    high_bits: if opaque { OPAQUE } else { 0 },
                    has_alpha: matches!(bitmap.format, BitmapFormat::Rgba | BitmapFormat::Bit8A),
                    cut_to: None,
                })
            }
            ImageData::Surface(id) => {
                let surface = sources.get(*id)?;
                Ok(Self {
                    high_bits: 0,
                    has_alpha: has_alpha(surface.format),
                    cut_to: None,
                    content: Content::Surface(surface),
                })
            }
            ImageData::Quic(stream) => {
                let surface = decompressed(stream, image, sources.max_pixels)?;
                let opaque = image.high_bits_set && surface.format == SurfaceFormat::Xrgb;
                Ok(Self {
                    high_bits: if opaque { OPAQUE } else { 0 },
                    has_alpha: has_alpha(surface.format),
                    cut_to: None,
                    content: Content::Surface(Cow::Owned(surface)),
                })
            }
        }
    }

    /// As [`open`](Self::open), for an operation that brings `area` to a box: of the surface drawn on, no more is copied
    /// than is read. Interpolation reads around the area, and so does a scale whose begin is rounded.
    pub(crate) fn open_part(
        image: &'s Image,
        area: &Rect,
        to: Rect,
        sources: &Sources<'s, '_>,
    ) -> Result<Self, DrawError> {
        let own = sources.own;
        let same_size = (area.width(), area.height()) == (to.width(), to.height());
        if !same_size || image.data != ImageData::Surface(sources.own_id) {
            return Self::open(image, sources);
        }
        let (width, height) = (own.width, own.height);
        check_area(area, width, height)?;
        Ok(Self {
            content: Content::Part {
                pixels: own.part(area),
                area: *area,
                whole: (width, height),
            },
            high_bits: 0,
            has_alpha: has_alpha(own.format),
            cut_to: None,
        })
    }

    /// Pixels across and rows.
    pub(crate) fn size(&self) -> (u32, u32) {
        match &self.content {
            Content::Bitmap(reader) => (reader.bitmap().width, reader.bitmap().height),
            Content::Surface(surface) => (surface.width, surface.height),
            Content::Part { whole, .. } => *whole,
        }
    }

    /// The same pixels; the unused byte of those of an xRGB surface is taken as alpha.
    pub(crate) fn with_alpha(self) -> Self {
        let unused = match &self.content {
            Content::Surface(surface) => surface.format == SurfaceFormat::Xrgb,
            Content::Part { pixels, .. } => pixels.format == SurfaceFormat::Xrgb,
            Content::Bitmap(_) => false,
        };
        Self {
            has_alpha: self.has_alpha || unused,
            ..self
        }
    }

    /// An image as it is for a surface of format `dest`: on one of 16 bits it has their precision, and no alpha.
    /// Surfaces stay what they are.
    pub(crate) fn converted(self, dest: SurfaceFormat, image: &Image) -> Self {
        let narrow = matches!(dest, SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565);
        if !narrow || matches!(image.data, ImageData::Surface(_)) {
            return self;
        }
        Self {
            has_alpha: false,
            cut_to: Some(dest),
            ..self
        }
    }

    /// As [`converted`](Self::converted), unless there is alpha to be lost.
    pub(crate) fn converted_without_alpha(self, dest: SurfaceFormat, image: &Image) -> Self {
        if self.has_alpha {
            self
        } else {
            self.converted(dest, image)
        }
    }

    /// Checks that `area` is a part of the picture that holds a pixel.
    pub(crate) fn check_area(&self, area: &Rect) -> Result<(), DrawError> {
        let (width, height) = self.size();
        check_area(area, width, height)
    }

    /// Values of row `y` from column `x` on as 32 bits, high byte as stored; all of them are inside the picture.
    fn stored(&self, x: u32, y: u32, out: &mut [u32]) {
        match &self.content {
            Content::Bitmap(reader) => reader.row(x, y, out),
            Content::Surface(surface) => load_wide(surface, x, y, out),
            Content::Part { pixels, area, .. } => {
                let (left, top) = (area.left.unsigned_abs(), area.top.unsigned_abs());
                load_wide(pixels, x.saturating_sub(left), y.saturating_sub(top), out);
            }
        }
        if self.high_bits != 0 {
            out.iter_mut().for_each(|value| *value |= self.high_bits);
        }
    }

    /// Raw values for a surface of format `dest`, from row `y`, column `x` on; all of them are inside the picture.
    ///
    /// The unused byte of a 32-bit image is passed on. A surface of alpha takes the alpha of the image, which is full
    /// when it has none. From a surface of the same format all bits come as they are.
    pub(crate) fn raw_row(&self, x: u32, y: u32, out: &mut [u32], dest: SurfaceFormat) {
        match &self.content {
            Content::Surface(surface) if surface.format == dest && self.high_bits == 0 => {
                return surface.load(x, y, out);
            }
            Content::Part { pixels, area, .. } if pixels.format == dest => {
                let (left, top) = (area.left.unsigned_abs(), area.top.unsigned_abs());
                return pixels.load(x.saturating_sub(left), y.saturating_sub(top), out);
            }
            _ => {}
        }
        match dest {
            SurfaceFormat::Xrgb | SurfaceFormat::Argb => return self.stored(x, y, out),
            SurfaceFormat::A1 | SurfaceFormat::A8 => self.argb_row(x, y, out),
            SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565 => self.stored(x, y, out),
        }
        narrow_row(dest, out);
    }

    /// Premultiplied values with a meaningful alpha; all of them are inside the picture.
    pub(crate) fn argb_row(&self, x: u32, y: u32, out: &mut [u32]) {
        self.stored(x, y, out);
        if let Some(format) = self.cut_to {
            out.iter_mut()
                .for_each(|value| *value = widen(format, narrow(format, *value)));
        }
        if !self.has_alpha {
            out.iter_mut().for_each(|value| *value |= OPAQUE);
        }
    }

    /// Whether the pixels are stored as those of 32 bits.
    pub(crate) fn are_pixels(&self) -> bool {
        let format = match &self.content {
            Content::Bitmap(reader) => {
                return matches!(reader.bitmap().format, BitmapFormat::Bit32 | BitmapFormat::Rgba);
            }
            Content::Surface(surface) => surface.format,
            Content::Part { pixels, .. } => pixels.format,
        };
        matches!(format, SurfaceFormat::Xrgb | SurfaceFormat::Argb)
    }

    /// Whether the pixels are stored as bytes of alpha.
    pub(crate) fn are_alphas(&self) -> bool {
        matches!(&self.content, Content::Bitmap(reader) if reader.bitmap().format == BitmapFormat::Bit8A)
            && self.has_alpha
    }

    /// `count` bytes of alpha, if that is what is stored; all of them are inside the picture.
    pub(crate) fn stored_alphas(&self, x: u32, y: u32, count: usize) -> &[u8] {
        let row = match &self.content {
            Content::Bitmap(reader) => reader.bitmap().row(y),
            _ => None,
        };
        let from = row.and_then(|row| row.get(x as usize..)).unwrap_or_default();
        from.get(..count).unwrap_or_default()
    }

    /// `count` pixels of 32 bits just as they are stored; all of them are inside the picture.
    fn stored_pixels(&self, x: u32, y: u32, count: usize) -> Option<&[Pixel]> {
        match &self.content {
            Content::Bitmap(reader) if self.are_pixels() => {
                let pixels = reader.bitmap().row(y)?.as_chunks().0;
                pixels.get(x as usize..)?.get(..count)
            }
            Content::Bitmap(_) => None,
            Content::Surface(surface) => surface.pixels(x, y, count),
            Content::Part { pixels, area, .. } => {
                let (left, top) = (area.left.unsigned_abs(), area.top.unsigned_abs());
                pixels.pixels(x.saturating_sub(left), y.saturating_sub(top), count)
            }
        }
    }

    /// As [`argb_row`](Self::argb_row), for `count` pixels, with bits that are to be set in each; `scratch` is used when
    /// they are not stored just so.
    pub(crate) fn argb_pixels<'a>(
        &'a self,
        (x, y): (u32, u32),
        count: usize,
        scratch: &'a mut Vec<u32>,
    ) -> (&'a [Pixel], u32) {
        if self.cut_to.is_none()
            && let Some(pixels) = self.stored_pixels(x, y, count)
        {
            return (pixels, if self.has_alpha { self.high_bits } else { OPAQUE });
        }
        scratch.resize(count, 0);
        self.argb_row(x, y, scratch);
        (lanes::pixels(scratch), 0)
    }

    /// One premultiplied value with a meaningful alpha, inside the picture.
    pub(crate) fn argb_pixel(&self, x: u32, y: u32) -> u32 {
        let mut value = [0];
        self.argb_row(x, y, &mut value);
        value[0]
    }

    /// The bytes of `count` pixels when they are stored just as a surface of format `dest` stores them.
    pub(crate) fn same_bytes(&self, x: u32, y: u32, count: u32, dest: SurfaceFormat) -> Option<&[u8]> {
        match &self.content {
            Content::Surface(surface)
                if self.high_bits == 0 && surface.format == dest && surface.pixel_bytes().is_some() =>
            {
                Some(surface.span(x, y, count))
            }
            Content::Bitmap(reader) if self.high_bits == 0 => {
                let bitmap = reader.bitmap();
                let plain = matches!(
                    (bitmap.format, dest),
                    (
                        BitmapFormat::Bit32 | BitmapFormat::Rgba,
                        SurfaceFormat::Xrgb | SurfaceFormat::Argb
                    )
                );
                let (start, length) = (x as usize * 4, count as usize * 4);
                plain.then(|| bitmap.row(y)?.get(start..start + length)).flatten()
            }
            _ => None,
        }
    }
}

/// Checks that `area` holds a pixel and lies inside an image of this size.
fn check_area(area: &Rect, width: u32, height: u32) -> Result<(), DrawError> {
    let inside = area.left >= 0 && area.top >= 0 && area.right as u32 <= width && area.bottom as u32 <= height;
    if inside && !area.is_empty() {
        return Ok(());
    }
    Err(DrawError::SourceArea {
        area: *area,
        width,
        height,
    })
}

/// Values of a surface as 32 bits.
fn load_wide(surface: &Surface, x: u32, y: u32, out: &mut [u32]) {
    surface.load(x, y, out);
    widen_row(surface.format, out);
}

/// The pixels of a compressed image, as a surface.
fn decompressed(stream: &[u8], image: &Image, max_pixels: u64) -> Result<Surface, DrawError> {
    let quic::QuicHeader { width, height, .. } = quic::header(stream)?;
    let (expected_width, expected_height) = (image.width, image.height);
    if (width, height) != (expected_width, expected_height) {
        return Err(DrawError::QuicSize {
            width,
            height,
            expected_width,
            expected_height,
        });
    }
    let limits = Limits {
        max_pixels,
        ..Limits::exactly(width, height)
    };
    let pixels = quic::decode(stream, &limits)?.into_pixels();
    Surface::from_pixels(&pixels).ok_or(DrawError::Quic(QuicError::Size { width, height }))
}

/// What an area is painted with.
#[derive(Debug)]
pub(crate) enum Paint<'s> {
    /// One raw value.
    Solid(u32),
    /// A tile repeated in all directions, one of which has its top left corner here.
    Tile(Picture<'s>, Point),
}

impl<'s> Paint<'s> {
    /// As [`open`](Self::open); no brush paints nothing.
    pub(crate) fn open_if_any(brush: &'s Brush, sources: &Sources<'s, '_>) -> Result<Option<Self>, DrawError> {
        match brush {
            Brush::None => Ok(None),
            brush => Self::open(brush, sources).map(Some),
        }
    }

    pub(crate) fn open(brush: &'s Brush, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        Ok(match brush {
            Brush::None => Self::Solid(0),
            Brush::Solid(value) => Self::Solid(*value),
            Brush::Pattern { image, pos } => Self::Tile(
                Picture::open(image, sources)?.converted(sources.own.format, image),
                *pos,
            ),
        })
    }

    /// Raw values for row `y` of a surface of format `dest` from column `x` on.
    pub(crate) fn row(&self, x: u32, y: u32, out: &mut [u32], dest: SurfaceFormat) {
        match self {
            Self::Solid(value) => out.fill(*value),
            Self::Tile(tile, pos) => {
                tiled(tile, *pos, x, y, out, |x, y, out| tile.raw_row(x, y, out, dest));
            }
        }
    }

    /// Premultiplied values for row `y` of a surface of format `dest` from column `x` on; one value is opaque.
    pub(crate) fn argb_row(&self, x: u32, y: u32, out: &mut [u32], dest: SurfaceFormat) {
        match self {
            Self::Solid(value) => out.fill(widen(dest, *value) | OPAQUE),
            Self::Tile(tile, pos) => tiled(tile, *pos, x, y, out, |x, y, out| tile.argb_row(x, y, out)),
        }
    }

    /// The raw value at one place of a surface of format `dest`.
    pub(crate) fn pixel(&self, x: u32, y: u32, dest: SurfaceFormat) -> u32 {
        let mut value = [0];
        self.row(x, y, &mut value, dest);
        value[0]
    }
}

/// Values of a row of tiles, one of which has its top left corner at `pos`; `read` gives those of the tile.
fn tiled(tile: &Picture<'_>, pos: Point, x: u32, y: u32, out: &mut [u32], read: impl Fn(u32, u32, &mut [u32])) {
    let (width, height) = tile.size();
    let start = wrap(x, pos.x, width);
    let row = wrap(y, pos.y, height);
    let period = (width as usize).min(out.len());
    let (first, rest) = out.split_at_mut(period);
    let to_edge = ((width - start) as usize).min(period);
    let (head, tail) = first.split_at_mut(to_edge);
    read(start, row, head);
    read(0, row, tail);
    for chunk in rest.chunks_mut(period.max(1)) {
        if let Some(again) = first.get(..chunk.len()) {
            chunk.copy_from_slice(again);
        }
    }
}

/// Place in a tile of length `period` of a coordinate, a tile beginning at `origin`.
fn wrap(at: u32, origin: i32, period: u32) -> u32 {
    // The remainder is below a u32.
    (i64::from(at) - i64::from(origin)).rem_euclid(i64::from(period.max(1))) as u32
}

#[derive(Debug)]
enum Bits<'s> {
    Bitmap(MaskReader<'s>),
    Surface(Cow<'s, Surface>),
}

/// A 1-bit image that selects the pixels of a box.
#[derive(Debug)]
pub(crate) struct Selection<'s> {
    bits: Bits<'s>,
    inverse: bool,
    /// What to add to a place on the surface for the place in the mask.
    offset: (i64, i64),
}

impl<'s> Selection<'s> {
    /// `None` when `mask` selects everything.
    pub(crate) fn open(mask: &'s Mask, bbox: &Rect, sources: &Sources<'s, '_>) -> Result<Option<Self>, DrawError> {
        let Some(image) = &mask.bitmap else { return Ok(None) };
        let bits = match &image.data {
            ImageData::Bitmap(bitmap) => Bits::Bitmap(MaskReader::new(bitmap)?),
            ImageData::Surface(id) => {
                let surface = sources.get(*id)?;
                if surface.format != SurfaceFormat::A1 {
                    return Err(DrawError::MaskFormat { format: surface.format });
                }
                Bits::Surface(surface)
            }
            ImageData::Quic(_) => return Err(DrawError::CompressedMask),
        };
        Ok(Some(Self {
            bits,
            inverse: mask.inverse,
            offset: (
                i64::from(mask.pos.x) - i64::from(bbox.left),
                i64::from(mask.pos.y) - i64::from(bbox.top),
            ),
        }))
    }

    /// Whether the pixel of the surface is drawn; outside the mask it is not.
    pub(crate) fn contains(&self, x: u32, y: u32) -> bool {
        let place = (
            u32::try_from(i64::from(x) + self.offset.0),
            u32::try_from(i64::from(y) + self.offset.1),
        );
        let (Ok(x), Ok(y)) = place else { return false };
        let bit = match &self.bits {
            Bits::Bitmap(mask) => mask.bit(x, y),
            Bits::Surface(surface) => (x < surface.width && y < surface.height).then(|| surface.pixel(x, y) != 0),
        };
        bit.is_some_and(|bit| bit != self.inverse)
    }
}
