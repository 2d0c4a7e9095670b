//! Drawing operations as owned data: what a QXL drawable says, with every byte it needs copied out of guest memory.
//!
//! Values are checked where they are made (the device's parser): sizes agree with the data they describe, formats are
//! known. What depends on the state of a surface (does it exist, is the box inside) is checked where it is drawn.

use std::sync::Arc;

use bytes::Bytes;

use crate::geometry::{Point, Rect};

/// Pixel format of a surface; the values are those of QXL and SPICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum SurfaceFormat {
    /// 1 bit, a mask.
    A1 = 1,
    /// 8 bits of alpha.
    A8 = 8,
    /// 16 bits, x1r5g5b5, little endian.
    Rgb555 = 16,
    /// 32 bits, B G R x in memory.
    Xrgb = 32,
    /// 16 bits, r5g6b5, little endian.
    Rgb565 = 80,
    /// 32 bits, B G R A in memory, premultiplied.
    Argb = 96,
}

impl SurfaceFormat {
    /// The format with this number, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Self::A1),
            8 => Some(Self::A8),
            16 => Some(Self::Rgb555),
            32 => Some(Self::Xrgb),
            80 => Some(Self::Rgb565),
            96 => Some(Self::Argb),
            _ => None,
        }
    }

    /// Bits each pixel takes.
    #[must_use]
    pub const fn bits_per_pixel(self) -> u32 {
        match self {
            Self::A1 => 1,
            Self::A8 => 8,
            Self::Rgb555 | Self::Rgb565 => 16,
            Self::Xrgb | Self::Argb => 32,
        }
    }

    /// Bytes a row of `width` pixels takes without padding.
    #[must_use]
    pub const fn row_bytes(self, width: u32) -> u64 {
        (width as u64 * self.bits_per_pixel() as u64).div_ceil(8)
    }
}

/// Pixel format of a bitmap; the values are those of QXL and SPICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BitmapFormat {
    /// 1 bit, leftmost pixel in the low bit.
    Bit1Le = 1,
    /// 1 bit, leftmost pixel in the high bit.
    Bit1Be = 2,
    /// 4 bits, leftmost pixel in the low nibble.
    Bit4Le = 3,
    /// 4 bits, leftmost pixel in the high nibble.
    Bit4Be = 4,
    /// 8 bits, palette.
    Bit8 = 5,
    /// 16 bits, x1r5g5b5.
    Bit16 = 6,
    /// 24 bits, B G R.
    Bit24 = 7,
    /// 32 bits, B G R x.
    Bit32 = 8,
    /// 32 bits, B G R A, premultiplied.
    Rgba = 9,
    /// 8 bits of alpha.
    Bit8A = 10,
}

impl BitmapFormat {
    /// The format with this number, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Bit1Le,
            2 => Self::Bit1Be,
            3 => Self::Bit4Le,
            4 => Self::Bit4Be,
            5 => Self::Bit8,
            6 => Self::Bit16,
            7 => Self::Bit24,
            8 => Self::Bit32,
            9 => Self::Rgba,
            10 => Self::Bit8A,
            _ => return None,
        })
    }

    /// Bits each pixel takes.
    #[must_use]
    pub const fn bits_per_pixel(self) -> u32 {
        match self {
            Self::Bit1Le | Self::Bit1Be => 1,
            Self::Bit4Le | Self::Bit4Be => 4,
            Self::Bit8 | Self::Bit8A => 8,
            Self::Bit16 => 16,
            Self::Bit24 => 24,
            Self::Bit32 | Self::Rgba => 32,
        }
    }

    /// Whether pixels are indices into a palette.
    #[must_use]
    pub const fn has_palette(self) -> bool {
        matches!(
            self,
            Self::Bit1Le | Self::Bit1Be | Self::Bit4Le | Self::Bit4Be | Self::Bit8
        )
    }

    /// Bytes a row of `width` pixels takes without padding.
    #[must_use]
    pub const fn row_bytes(self, width: u32) -> u64 {
        (width as u64 * self.bits_per_pixel() as u64).div_ceil(8)
    }
}

/// Colours of a palette bitmap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    /// The guest's name for it; 0 = none. Never sent to a client as it is.
    pub unique: u64,
    /// 0x00RRGGBB each; an index past the end is black.
    pub entries: Vec<u32>,
}

/// Pixels. `data` holds `height` rows of `stride` bytes in the order they are stored; the row padding is undefined
/// and must not reach a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// How a pixel is stored.
    pub format: BitmapFormat,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Bytes from one row to the next, at least `format.row_bytes(width)`.
    pub stride: u32,
    /// Whether the first row stored is the top one.
    pub top_down: bool,
    /// Colours, for formats with a palette (absent when the bitmap serves as a mask).
    pub palette: Option<Arc<Palette>>,
    /// The rows.
    pub data: Bytes,
}

impl Bitmap {
    /// The bytes of row `y` counted from the top, without padding; `None` outside the picture.
    #[must_use]
    pub fn row(&self, y: u32) -> Option<&[u8]> {
        if y >= self.height {
            return None;
        }
        let stored = if self.top_down { y } else { self.height - 1 - y };
        let start = usize::try_from(u64::from(stored) * u64::from(self.stride)).ok()?;
        let length = usize::try_from(self.format.row_bytes(self.width)).ok()?;
        self.data.get(start..start.checked_add(length)?)
    }
}

/// What an image's pixels come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageData {
    /// Plain pixels.
    Bitmap(Arc<Bitmap>),
    /// A QUIC stream as the SPICE wire carries it.
    Quic(Bytes),
    /// The content of another surface of the same device at this point of the command stream.
    Surface(u32),
}

/// An image a drawing operation reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The guest's name for the pixels; 0 = none. Scoped to the device, never sent to a client as it is.
    pub id: u64,
    /// The guest says that it will use the same pixels under the same id again.
    pub cache: bool,
    /// The unused byte of a 32-bit image is 0xff throughout.
    pub high_bits_set: bool,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Where the pixels are.
    pub data: ImageData,
}

/// Which part of a box is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clip {
    /// All of it.
    None,
    /// Only what lies in one of these; none = nothing.
    Rects(Arc<[Rect]>),
}

/// What an area is painted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brush {
    /// Nothing; where an operation uses it all the same, value 0.
    None,
    /// One pixel value (0x00RRGGBB on 32-bit surfaces).
    Solid(u32),
    /// An image tiled over the plane.
    Pattern {
        /// The tile.
        image: Image,
        /// Where one tile's top left corner lies.
        pos: Point,
    },
}

/// A 1-bit image that selects pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// Draw where the bit is 0.
    pub inverse: bool,
    /// Position in the mask of the top left corner of the box.
    pub pos: Point,
    /// The mask; `None` selects everything.
    pub bitmap: Option<Image>,
}

/// A binary raster operation, the `rop_descriptor` bits of QXL and SPICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rop(pub u16);

impl Rop {
    /// Invert the source first.
    pub const INVERS_SRC: u16 = 0x001;
    /// Invert the brush first.
    pub const INVERS_BRUSH: u16 = 0x002;
    /// Invert the destination first.
    pub const INVERS_DEST: u16 = 0x004;
    /// Replace.
    pub const OP_PUT: u16 = 0x008;
    /// Or.
    pub const OP_OR: u16 = 0x010;
    /// And.
    pub const OP_AND: u16 = 0x020;
    /// Exclusive or.
    pub const OP_XOR: u16 = 0x040;
    /// All zero.
    pub const OP_BLACKNESS: u16 = 0x080;
    /// All one.
    pub const OP_WHITENESS: u16 = 0x100;
    /// Invert the second operand.
    pub const OP_INVERS: u16 = 0x200;
    /// Invert the result.
    pub const INVERS_RES: u16 = 0x400;
    /// Plain copy.
    pub const PUT: Self = Self(Self::OP_PUT);
}

/// How an image is sampled when its size and the box differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ScaleMode {
    /// Bilinear.
    Interpolate = 0,
    /// Nearest pixel.
    Nearest = 1,
}

/// A part of an image and how it is brought to the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The image.
    pub image: Image,
    /// The part used, inside the image.
    pub area: Rect,
    /// Sampling when sizes differ.
    pub scale: ScaleMode,
}

/// One run of a path: 28.4 fixed-point coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSegment {
    /// 1 BEGIN, 2 END, 8 CLOSE, 0x10 BEZIER.
    pub flags: u8,
    /// Points, 28.4.
    pub points: Vec<Point>,
}

/// Depth of the glyphs of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GlyphDepth {
    /// 1 bit.
    A1 = 1,
    /// 4 bits.
    A4 = 2,
    /// 8 bits.
    A8 = 4,
}

/// One glyph; `data` holds `height` rows without padding, the top row first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glyph {
    /// Pen position.
    pub render_pos: Point,
    /// Offset of the box from the pen position.
    pub origin: Point,
    /// Pixels across.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Coverage, leftmost pixel in the high bits.
    pub data: Vec<u8>,
}

/// Affine map from destination offsets to source coordinates, 16.16 fixed point, two rows of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform(pub [i32; 6]);

/// Render-style compositing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// Operator in bits 0-7, filters, repeats, component alpha: the guest's bits, unknown ones cleared.
    pub flags: u32,
    /// Source.
    pub src: Image,
    /// Source transform.
    pub src_transform: Option<Transform>,
    /// Mask.
    pub mask: Option<Image>,
    /// Mask transform.
    pub mask_transform: Option<Transform>,
    /// Offset in the source.
    pub src_origin: Point,
    /// Offset in the mask.
    pub mask_origin: Point,
}

/// A drawing operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrawOp {
    /// Paint with a brush.
    Fill { brush: Brush, rop: Rop, mask: Mask },
    /// Copy the source, then combine the brush with it.
    Opaque {
        source: Source,
        brush: Brush,
        rop: Rop,
        mask: Mask,
    },
    /// Combine the source with the destination.
    Copy { source: Source, rop: Rop, mask: Mask },
    /// As `Copy` (kept apart because the wire does).
    Blend { source: Source, rop: Rop, mask: Mask },
    /// Copy a box of the same surface; overlap as through a temporary.
    CopyBits { src_pos: Point },
    /// All zero.
    Blackness { mask: Mask },
    /// All one.
    Whiteness { mask: Mask },
    /// Invert.
    Invers { mask: Mask },
    /// Ternary raster operation of brush, source, destination.
    Rop3 {
        source: Source,
        brush: Brush,
        rop3: u8,
        mask: Mask,
    },
    /// Lines, one pixel wide.
    Stroke {
        path: Arc<[PathSegment]>,
        /// On and off lengths, 28.4; empty = solid.
        style: Arc<[i32]>,
        /// Start with an off length.
        start_with_gap: bool,
        brush: Brush,
        fore_mode: Rop,
        back_mode: Rop,
    },
    /// Glyphs.
    Text {
        glyphs: Arc<[Glyph]>,
        depth: GlyphDepth,
        back_area: Rect,
        fore_brush: Brush,
        back_brush: Brush,
        fore_mode: Rop,
        back_mode: Rop,
    },
    /// Copy all but the pixels of one colour.
    Transparent {
        source: Source,
        src_color: u32,
        true_color: u32,
    },
    /// Premultiplied over, times a constant alpha.
    AlphaBlend { source: Source, flags: u8, alpha: u8 },
    /// Render-style compositing.
    Composite(Box<Composite>),
}

/// A drawing operation on a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawable {
    /// The surface drawn on.
    pub surface: u32,
    /// The box drawn in.
    pub bbox: Rect,
    /// The part of the box that is drawn.
    pub clip: Clip,
    /// Media time in milliseconds as the guest gave it.
    pub mm_time: u32,
    /// What is drawn.
    pub op: DrawOp,
}

impl Drawable {
    /// The plain copy of a whole bitmap to a box.
    #[must_use]
    pub fn copy(surface: u32, bbox: Rect, bitmap: Arc<Bitmap>, scale: ScaleMode) -> Self {
        let (width, height) = (bitmap.width, bitmap.height);
        let image = Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width,
            height,
            data: ImageData::Bitmap(bitmap),
        };
        let source = Source {
            image,
            area: Rect::at(0, 0, width, height),
            scale,
        };
        Self {
            surface,
            bbox,
            clip: Clip::None,
            mm_time: 0,
            op: DrawOp::Copy {
                source,
                rop: Rop::PUT,
                mask: Mask::default(),
            },
        }
    }
}
