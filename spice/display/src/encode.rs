//! From steps of the picture to messages of the wire.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use caraway_image::{bitmap::BitmapReader, lz::LzEncoder};
use caraway_ports::{
    display::{CursorShape, Head, Pixels},
    drawing::{self, Bitmap, BitmapFormat, DrawOp, Drawable, ImageData, Palette, Rop, ScaleMode, SurfaceFormat},
    geometry::{Point, Rect},
};
use caraway_protocol::{
    cursor,
    display::{
        self, AlphaFlags, Brush, Draw, DrawText, Image, ImageFlags, Line, Mask, MonitorsConfig, PaletteRef,
        ServerMessage, Source, Stroke, SurfaceCreate, SurfaceFlags, Text,
    },
    wire::Point16,
};

use crate::{adapt::adapted, cursor::CursorItem, item::Item};

/// Images below this many bytes are sent as they are: a codec's header would eat what it saves.
const MIN_LZ_BYTES: usize = 256;

/// Messages for one step, in order.
pub type Outgoing = Vec<ServerMessage>;

/// Why a step cannot be put into messages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A bitmap whose size and data disagree.
    #[error("a bitmap of {width}x{height} has too little data")]
    Bitmap {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// Turns the steps of one viewer into messages.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Names of images on the wire are ours; the guest's never leave the host.
    last_image: u64,
    /// Formats of the client's surfaces.
    surfaces: BTreeMap<u32, SurfaceFormat>,
    /// Format of the surface that is drawn on.
    target: Option<SurfaceFormat>,
    /// Whether the unused byte of an image becomes a part of the surface.
    copies_raw: bool,
    /// Keeps its memory from image to image.
    lz: LzEncoder,
}

impl Encoder {
    /// For a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages for a step.
    ///
    /// # Errors
    /// When the step holds a bitmap that cannot be.
    pub fn encode(&mut self, item: &Item) -> Result<Outgoing, EncodeError> {
        match item {
            Item::CreateSurface { id, format, .. } => {
                self.surfaces.insert(*id, *format);
            }
            Item::DestroySurface(id) => {
                self.surfaces.remove(id);
            }
            _ => {}
        }
        self.target = item
            .touched()
            .and_then(|(surface, _)| self.surfaces.get(&surface).copied());
        let blends = |op: &DrawOp| matches!(op, DrawOp::Composite(_) | DrawOp::AlphaBlend { .. });
        self.copies_raw =
            self.target == Some(SurfaceFormat::Argb) && !matches!(item, Item::Draw(drawable) if blends(&drawable.op));
        let message = match item {
            Item::CreateSurface {
                id,
                width,
                height,
                format,
            } => ServerMessage::SurfaceCreate(SurfaceCreate {
                surface_id: *id,
                width: *width,
                height: *height,
                format: *format,
                flags: if *id == 0 {
                    SurfaceFlags::PRIMARY
                } else {
                    SurfaceFlags::empty()
                },
            }),
            Item::DestroySurface(id) => ServerMessage::SurfaceDestroy(*id),
            Item::Mark => ServerMessage::Mark,
            Item::Monitors { heads, max } => ServerMessage::MonitorsConfig(monitors(heads, *max)),
            Item::Pixels { surface, at, pixels } => ServerMessage::Draw(Box::new(self.pixels(*surface, *at, pixels)?)),
            Item::Draw(drawable) => {
                let told = adapted(drawable, self.target)?;
                let draw = |drawable| Ok(ServerMessage::Draw(Box::new(self.draw(drawable)?)));
                return told.iter().map(draw).collect();
            }
        };
        Ok(vec![message])
    }

    fn pixels(&mut self, surface: u32, at: Point, pixels: &Pixels) -> Result<Draw, EncodeError> {
        let bbox = Rect::at(at.x, at.y, pixels.width, pixels.height);
        let bitmap = bitmap_of(pixels);
        let image = self.image(&bitmap, ImageFlags::empty(), None)?;
        let area = Rect::at(0, 0, pixels.width, pixels.height);
        let source = Source {
            image,
            area,
            scale: ScaleMode::Nearest,
        };
        Ok(Draw {
            surface_id: surface,
            bbox,
            clip: drawing::Clip::None,
            op: display::DrawOp::Copy {
                source,
                rop: Rop::PUT,
                mask: Mask::default(),
            },
        })
    }

    fn draw(&mut self, drawable: &Drawable) -> Result<Draw, EncodeError> {
        let bbox = drawable.bbox;
        let op = match &drawable.op {
            DrawOp::Fill { brush, rop, mask } => display::DrawOp::Fill {
                brush: self.brush(brush)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::Opaque {
                source,
                brush,
                rop,
                mask,
            } => display::DrawOp::Opaque {
                source: self.source(source, &bbox)?,
                brush: self.brush(brush)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::Copy { source, rop, mask } => display::DrawOp::Copy {
                source: self.source(source, &bbox)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::Blend { source, rop, mask } => display::DrawOp::Blend {
                source: self.source(source, &bbox)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::CopyBits { src_pos } => display::DrawOp::CopyBits { src_pos: *src_pos },
            DrawOp::Blackness { mask } => display::DrawOp::Blackness { mask: self.mask(mask)? },
            DrawOp::Whiteness { mask } => display::DrawOp::Whiteness { mask: self.mask(mask)? },
            DrawOp::Invers { mask } => display::DrawOp::Invers { mask: self.mask(mask)? },
            DrawOp::Rop3 {
                source,
                brush,
                rop3,
                mask,
            } => display::DrawOp::Rop3 {
                source: self.source(source, &bbox)?,
                brush: self.brush(brush)?,
                rop3: *rop3,
                mask: self.mask(mask)?,
            },
            DrawOp::Stroke {
                path,
                style,
                start_with_gap,
                brush,
                fore_mode,
                back_mode,
            } => display::DrawOp::Stroke(Stroke {
                path: Arc::clone(path),
                line: Line {
                    style: Arc::clone(style),
                    start_with_gap: *start_with_gap,
                },
                brush: self.brush(brush)?,
                fore_mode: *fore_mode,
                back_mode: *back_mode,
            }),
            DrawOp::Text {
                glyphs,
                depth,
                back_area,
                fore_brush,
                back_brush,
                fore_mode,
                back_mode,
            } => display::DrawOp::Text(DrawText {
                text: Text {
                    depth: *depth,
                    glyphs: Arc::clone(glyphs),
                },
                back_area: *back_area,
                fore_brush: self.brush(fore_brush)?,
                back_brush: self.brush(back_brush)?,
                fore_mode: *fore_mode,
                back_mode: *back_mode,
            }),
            DrawOp::Transparent {
                source,
                src_color,
                true_color,
            } => {
                let Source { image, area, .. } = self.source(source, &bbox)?;
                display::DrawOp::Transparent {
                    image,
                    area,
                    src_color: *src_color,
                    true_color: *true_color,
                }
            }
            DrawOp::AlphaBlend { source, flags, alpha } => {
                let Source { image, area, .. } = self.source(source, &bbox)?;
                display::DrawOp::AlphaBlend {
                    flags: AlphaFlags::from_bits_truncate(*flags),
                    alpha: *alpha,
                    image,
                    area,
                }
            }
            DrawOp::Composite(composite) => display::DrawOp::Composite(self.composite(composite)?),
        };
        Ok(Draw {
            surface_id: drawable.surface,
            bbox,
            clip: drawable.clip.clone(),
            op,
        })
    }

    fn composite(&mut self, composite: &drawing::Composite) -> Result<display::Composite, EncodeError> {
        Ok(display::Composite {
            flags: composite.flags & !display::Composite::PRESENCE,
            src: self.whole_image(&composite.src)?,
            mask: composite.mask.as_ref().map(|mask| self.whole_image(mask)).transpose()?,
            src_transform: composite.src_transform,
            mask_transform: composite.mask_transform,
            src_origin: point16(composite.src_origin),
            mask_origin: point16(composite.mask_origin),
        })
    }

    /// A source image. One that is not scaled is cut to the part that is used.
    fn source(&mut self, source: &drawing::Source, bbox: &Rect) -> Result<Source, EncodeError> {
        let same_size = (source.area.width(), source.area.height()) == (bbox.width(), bbox.height());
        let (image, area) = match &source.image.data {
            ImageData::Bitmap(bitmap) if same_size => {
                let image = self.image(bitmap, flags(&source.image), Some(&source.area))?;
                let area = Rect::at(0, 0, image.width, image.height);
                (image, area)
            }
            _ => (self.whole_image(&source.image)?, source.area),
        };
        Ok(Source {
            image,
            area,
            scale: source.scale,
        })
    }

    fn brush(&mut self, brush: &drawing::Brush) -> Result<Brush, EncodeError> {
        Ok(match brush {
            drawing::Brush::None => Brush::None,
            drawing::Brush::Solid(color) => Brush::Solid(*color),
            drawing::Brush::Pattern { image, pos } => Brush::Pattern {
                image: self.whole_image(image)?,
                pos: *pos,
            },
        })
    }

    /// Masks go uncompressed, as the protocol demands.
    fn mask(&mut self, mask: &drawing::Mask) -> Result<Mask, EncodeError> {
        let image = match &mask.bitmap {
            None => None,
            Some(image) => Some(match &image.data {
                ImageData::Bitmap(bitmap) => {
                    let (data, stride) = pack(bitmap, &whole(bitmap))?;
                    self.wrap(
                        bitmap.width,
                        bitmap.height,
                        ImageFlags::empty(),
                        plain(bitmap, data, stride),
                    )
                }
                _ => self.whole_image(image)?,
            }),
        };
        Ok(Mask {
            inverse: mask.inverse,
            pos: mask.pos,
            image,
        })
    }

    fn whole_image(&mut self, image: &drawing::Image) -> Result<Image, EncodeError> {
        match &image.data {
            ImageData::Bitmap(bitmap) => self.image(bitmap, flags(image), None),
            ImageData::Quic(data) => {
                let data = display::ImageData::Quic(data.clone());
                Ok(self.wrap(image.width, image.height, flags(image), data))
            }
            ImageData::Surface(id) => Ok(self.wrap(
                image.width,
                image.height,
                ImageFlags::empty(),
                display::ImageData::Surface(*id),
            )),
        }
    }

    /// A bitmap, or the part `area` of it, in the smaller of its plain and its LZ form.
    fn image(&mut self, bitmap: &Bitmap, flags: ImageFlags, area: Option<&Rect>) -> Result<Image, EncodeError> {
        let area = area.copied().unwrap_or_else(|| whole(bitmap)).intersect(&whole(bitmap));
        let (data, stride) = pack(bitmap, &area)?;
        let cut = Bitmap {
            format: bitmap.format,
            width: area.width(),
            height: area.height(),
            stride,
            top_down: true,
            palette: bitmap.palette.clone(),
            data,
        };
        let cut = match self.conversion(cut.format) {
            Some(format) => expanded(&cut, format)?,
            None => cut,
        };
        let cut = if cut.format == BitmapFormat::Bit16 {
            without_unused_bit(cut)
        } else {
            cut
        };
        let (mut flags, mut fits_lz) = (flags, true);
        if self.copies_raw && cut.format == BitmapFormat::Bit32 && !flags.contains(ImageFlags::HIGH_BITS_SET) {
            // LZ has no place for the unused byte; the client knows nothing but 0 and full ones.
            let mut unused = cut.data.iter().skip(3).step_by(4);
            if unused.clone().all(|byte| *byte == 0xff) {
                flags |= ImageFlags::HIGH_BITS_SET;
            } else {
                fits_lz = unused.all(|byte| *byte == 0);
            }
        }
        let mut stream = Vec::new();
        let compressed = fits_lz
            && cut.data.len() >= MIN_LZ_BYTES
            && self.lz.encode_bitmap(&cut, &mut stream).is_ok()
            && stream.len() < cut.data.len();
        let compressed = compressed.then_some(stream);
        let data = match (compressed, whole_palette(&cut)) {
            (Some(stream), Some(palette)) if cut.format.has_palette() => display::ImageData::LzPalette {
                top_down: true,
                palette: PaletteRef::Inline { palette, cache: false },
                data: stream.into(),
            },
            (Some(stream), _) if !cut.format.has_palette() => display::ImageData::LzRgb(stream.into()),
            _ => drawable(&cut),
        };
        Ok(self.wrap(cut.width, cut.height, flags, data))
    }

    /// What an image has to become so that the reference client draws what the guest meant. Colours of a palette are
    /// colours for us; it takes them as pixel values of a 555 surface, for ARGB as values with alpha, and for other
    /// surfaces but xRGB not at all. What 16 bits leave of the alpha of an ARGB surface depends on how they are sent. Alpha
    /// alone it takes for alpha surfaces.
    fn conversion(&self, format: BitmapFormat) -> Option<BitmapFormat> {
        let narrow_on_alpha = format == BitmapFormat::Bit16 && self.target == Some(SurfaceFormat::Argb);
        if narrow_on_alpha || format.has_palette() && self.target != Some(SurfaceFormat::Xrgb) {
            return Some(BitmapFormat::Bit32);
        }
        let alpha = format == BitmapFormat::Bit8A && self.target != Some(SurfaceFormat::A8);
        alpha.then_some(BitmapFormat::Rgba)
    }

    fn wrap(&mut self, width: u32, height: u32, flags: ImageFlags, data: display::ImageData) -> Image {
        self.last_image += 1;
        Image {
            id: self.last_image,
            flags,
            width,
            height,
            data,
        }
    }
}

/// The message for a step of the cursor.
#[must_use]
pub fn encode_cursor(item: &CursorItem) -> cursor::ServerMessage {
    match item {
        CursorItem::Init {
            position,
            visible,
            shape,
            trail,
        } => cursor::ServerMessage::Init {
            position: point16(*position),
            trail_length: trail.0,
            trail_frequency: trail.1,
            visible: u8::from(*visible),
            cursor: shape.as_ref().map_or(cursor::Cursor::None, |shape| shape_of(shape)),
        },
        CursorItem::Reset => cursor::ServerMessage::Reset,
        CursorItem::Set {
            position,
            visible,
            shape,
        } => cursor::ServerMessage::Set {
            position: point16(*position),
            visible: u8::from(*visible),
            cursor: shape_of(shape),
        },
        CursorItem::Move(position) => cursor::ServerMessage::Move(point16(*position)),
        CursorItem::Hide => cursor::ServerMessage::Hide,
        CursorItem::Trail { length, frequency } => cursor::ServerMessage::Trail {
            length: *length,
            frequency: *frequency,
        },
    }
}

fn shape_of(shape: &CursorShape) -> cursor::Cursor {
    cursor::Cursor::Shape {
        header: cursor::CursorHeader {
            unique: 0,
            kind: cursor::CursorType::from(shape.kind as u8),
            width: shape.width,
            height: shape.height,
            hot_spot_x: shape.hot_spot.0,
            hot_spot_y: shape.hot_spot.1,
        },
        cache: false,
        data: shape.data.clone(),
    }
}

fn monitors(heads: &[Head], max: u16) -> MonitorsConfig {
    let heads = heads.iter().map(|head| display::Head {
        monitor_id: head.id,
        surface_id: head.surface,
        width: head.area.width(),
        height: head.area.height(),
        x: head.area.left.unsigned_abs(),
        y: head.area.top.unsigned_abs(),
        flags: 0,
    });
    MonitorsConfig {
        max_allowed: max,
        heads: heads.collect(),
    }
}

/// The high bits count where the guest's image has some: elsewhere the reference client would make them up.
fn flags(image: &drawing::Image) -> ImageFlags {
    let has_some = match &image.data {
        ImageData::Bitmap(bitmap) => bitmap.format == BitmapFormat::Bit32,
        ImageData::Quic(_) => true,
        ImageData::Surface(_) => false,
    };
    if image.high_bits_set && has_some {
        ImageFlags::HIGH_BITS_SET
    } else {
        ImageFlags::empty()
    }
}

fn whole(bitmap: &Bitmap) -> Rect {
    Rect::at(0, 0, bitmap.width, bitmap.height)
}

/// The palette of a bitmap without the guest's name for it, with an entry for every index there can be: missing ones
/// are black here, but the reference client takes indices modulo the number of entries, also of none at all.
fn whole_palette(bitmap: &Bitmap) -> Option<Arc<Palette>> {
    let mut entries = bitmap.palette.as_ref()?.entries.clone();
    let indices = 1_usize << bitmap.format.bits_per_pixel().min(8);
    entries.resize(entries.len().max(indices), 0);
    Some(Arc::new(Palette { unique: 0, entries }))
}

/// The same 16-bit pixels with their highest bit 0, as codecs leave it and our canvas: the client compares it.
fn without_unused_bit(bitmap: Bitmap) -> Bitmap {
    let data = bitmap.data.chunks(2).flat_map(|pixel| match pixel {
        [low, high] => [*low, high & 0x7f],
        _ => [0; 2],
    });
    Bitmap {
        data: data.collect(),
        ..bitmap
    }
}

/// The same pixels in a format of 32 bits.
pub(crate) fn expanded(bitmap: &Bitmap, format: BitmapFormat) -> Result<Bitmap, EncodeError> {
    let (width, height) = (bitmap.width, bitmap.height);
    let wrong = |_| EncodeError::Bitmap { width, height };
    let reader = BitmapReader::new(bitmap).map_err(wrong)?;
    let mut row = vec![0; width as usize];
    let mut data = BytesMut::with_capacity(row.len() * height as usize * 4);
    for y in 0..height {
        reader.row(0, y, &mut row);
        row.iter().for_each(|pixel| data.put_u32_le(*pixel));
    }
    Ok(Bitmap {
        format,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: data.freeze(),
    })
}

/// A packed bitmap as it is, but in a format the reference client draws: of those with a palette, only with the leftmost
/// pixel in the high bits.
fn drawable(bitmap: &Bitmap) -> display::ImageData {
    let (format, data) = match bitmap.format {
        BitmapFormat::Bit1Le => {
            let turned = bitmap.data.iter().map(|byte| byte.reverse_bits()).collect();
            (BitmapFormat::Bit1Be, turned)
        }
        BitmapFormat::Bit4Le => {
            let turned = bitmap.data.iter().map(|byte| byte.rotate_left(4)).collect();
            (BitmapFormat::Bit4Be, turned)
        }
        format => (format, bitmap.data.clone()),
    };
    let turned = Bitmap {
        format,
        palette: bitmap.palette.clone(),
        data: data.clone(),
        ..*bitmap
    };
    plain(&turned, data, bitmap.stride)
}

fn plain(bitmap: &Bitmap, data: Bytes, stride: u32) -> display::ImageData {
    display::ImageData::Bitmap(display::Bitmap {
        format: bitmap.format,
        top_down: true,
        stride,
        palette: whole_palette(bitmap).map(|palette| PaletteRef::Inline { palette, cache: false }),
        data,
    })
}

/// The rows of a part of a bitmap, top row first, without what lies beside them in guest memory: rows are padded to
/// four bytes with zeroes. Formats of less than a byte are cut at whole rows only. Returns data and stride.
fn pack(bitmap: &Bitmap, area: &Rect) -> Result<(Bytes, u32), EncodeError> {
    let wrong = || EncodeError::Bitmap {
        width: bitmap.width,
        height: bitmap.height,
    };
    let bits = bitmap.format.bits_per_pixel();
    let (left, right) = (area.left.unsigned_abs(), area.right.unsigned_abs());
    let row_bytes = usize::try_from(bitmap.format.row_bytes(area.width())).map_err(|_| wrong())?;
    let stride = row_bytes.next_multiple_of(4);
    let total = stride.checked_mul(area.height() as usize).ok_or_else(wrong)?;
    let mut data = BytesMut::with_capacity(total);
    for y in area.top.unsigned_abs()..area.bottom.unsigned_abs() {
        let row = bitmap.row(y).ok_or_else(wrong)?;
        let end = data.len() + stride;
        if bits >= 8 {
            let each = (bits / 8) as usize;
            data.extend_from_slice(row.get(left as usize * each..right as usize * each).ok_or_else(wrong)?);
        } else {
            shift_row(&mut data, row, bitmap.format, left, area.width());
        }
        data.resize(end, 0);
    }
    Ok((data.freeze(), u32::try_from(stride).map_err(|_| wrong())?))
}

/// Copies pixels of less than a byte, so that the first is at the start of a byte and bits behind the last are zero.
fn shift_row(out: &mut BytesMut, row: &[u8], format: BitmapFormat, left: u32, width: u32) {
    let bits = format.bits_per_pixel() as usize;
    let per_byte = 8 / bits;
    let low_first = matches!(format, BitmapFormat::Bit1Le | BitmapFormat::Bit4Le);
    let place = |x: usize| {
        let slot = x % per_byte;
        bits * if low_first { slot } else { per_byte - 1 - slot }
    };
    let mask = (1u8 << bits) - 1;
    let mut byte = 0;
    for x in 0..width as usize {
        let from = left as usize + x;
        let value = row.get(from / per_byte).copied().unwrap_or(0) >> place(from) & mask;
        byte |= value << place(x);
        if x % per_byte == per_byte - 1 {
            out.extend_from_slice(&[byte]);
            byte = 0;
        }
    }
    if !(width as usize).is_multiple_of(per_byte) {
        out.extend_from_slice(&[byte]);
    }
}

/// Canvas pixels as a bitmap that, copied to a surface of the same format, gives the same pixels.
fn bitmap_of(pixels: &Pixels) -> Bitmap {
    let plain = |format, palette| Bitmap {
        format,
        width: pixels.width,
        height: pixels.height,
        stride: pixels.stride,
        top_down: true,
        palette,
        data: pixels.data.clone(),
    };
    match pixels.format {
        SurfaceFormat::Xrgb => plain(BitmapFormat::Bit32, None),
        SurfaceFormat::Argb => plain(BitmapFormat::Rgba, None),
        SurfaceFormat::Rgb555 => plain(BitmapFormat::Bit16, None),
        SurfaceFormat::A8 => plain(BitmapFormat::Bit8A, None),
        SurfaceFormat::A1 => {
            let palette = Palette {
                unique: 0,
                entries: vec![0, 0x00ff_ffff],
            };
            plain(BitmapFormat::Bit1Le, Some(Arc::new(palette)))
        }
        // 16-bit bitmaps are 555: the sixth bit of green survives in 32.
        SurfaceFormat::Rgb565 => widen_565(pixels),
    }
}

fn widen_565(pixels: &Pixels) -> Bitmap {
    let mut data = BytesMut::with_capacity(pixels.width as usize * pixels.height as usize * 4);
    for row in pixels
        .data
        .chunks(pixels.stride.max(1) as usize)
        .take(pixels.height as usize)
    {
        for pixel in row.as_chunks::<2>().0.iter().take(pixels.width as usize) {
            let value = u16::from_le_bytes(*pixel);
            let five = |value: u16| ((value & 0x1f) << 3 | (value & 0x1f) >> 2) as u8;
            let green = (value >> 5) & 0x3f;
            data.extend_from_slice(&[five(value), (green << 2 | green >> 4) as u8, five(value >> 11), 0]);
        }
    }
    Bitmap {
        format: BitmapFormat::Bit32,
        width: pixels.width,
        height: pixels.height,
        stride: pixels.width * 4,
        top_down: true,
        palette: None,
        data: data.freeze(),
    }
}

fn point16(point: Point) -> Point16 {
    let clamp = |value: i32| i16::try_from(value).unwrap_or(if value < 0 { i16::MIN } else { i16::MAX });
    Point16 {
        x: clamp(point.x),
        y: clamp(point.y),
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
