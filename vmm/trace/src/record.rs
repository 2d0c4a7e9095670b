//! What a recording says, field by field: the guest's structures as they were, nothing judged yet.

use bytes::Bytes;
use caraway_ports::geometry::{Point, Rect};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 0.
    pub counter: u32,
    /// When: nanoseconds of the recording machine's monotonic clock. Only differences mean anything.
    pub time: u64,
    /// What.
    pub what: What,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A command was taken from a ring.
    Command(Command),
    /// A request of the device is about to be handled.
    Request(Request),
}

/// A request of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: u32,
    /// The new screen, for a request to create one that was not refused.
    pub primary: Option<Primary>,
}

/// A primary surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next; negative when the bottom row comes first.
    pub stride: i32,
    /// Number of the pixel format.
    pub format: u32,
    /// Unused.
    pub position: u32,
    /// Unused.
    pub mouse_mode: u32,
    /// Bit 0: `data` is the first content.
    pub flags: u32,
    /// Unused.
    pub kind: u32,
    /// The surface's memory.
    pub data: Bytes,
}

/// A command of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Draw.
    Draw(Box<Drawable>),
    /// Render an area.
    Update(Update),
    /// Change the cursor.
    Cursor(Cursor),
    /// Text for the log.
    Message(Bytes),
    /// Create or destroy a surface.
    Surface(Surface),
}

/// Asks for an area to be rendered into guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The area.
    pub area: Rect,
    /// The guest's number for it.
    pub id: u32,
    /// The surface.
    pub surface: u32,
}

/// A surface command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surface {
    /// The surface's number.
    pub id: u32,
    /// Bit 0: the memory is the first content.
    pub flags: u32,
    /// `None` destroys it.
    pub create: Option<NewSurface>,
}

/// An off-screen surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSurface {
    /// Number of the pixel format.
    pub format: u32,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next; negative when the bottom row comes first.
    pub stride: i32,
    /// The surface's memory, when the flag says that it holds something.
    pub data: Option<Bytes>,
}

/// A cursor command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// A new shape.
    Set(Box<Shape>),
    /// A new position.
    Move(Point),
    /// Not shown.
    Hide,
    /// Ghosts.
    Trail { length: u16, frequency: u16 },
}

/// A new cursor shape and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Position of the hot spot.
    pub position: Point,
    /// Whether it is shown.
    pub visible: bool,
    /// The guest's name for it.
    pub unique: u64,
    /// Number of the kind.
    pub kind: u16,
    /// Pixels across.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The pixel that points.
    pub hot_spot: (u16, u16),
    /// Bytes the guest says there are; what is there counts.
    pub data_size: u32,
    /// Pixels, colours, masks.
    pub data: Chunks,
}

/// Data the guest keeps in a chain, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    /// The bytes of all chunks.
    pub data: Bytes,
    /// Chunks after the first.
    pub more: u32,
}

/// A drawing command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawable {
    /// The box drawn in.
    pub bbox: Rect,
    /// The part of it that is drawn; `None` = all.
    pub clip: Option<ClipRects>,
    /// What the command does to what is below: a hint.
    pub effect: u8,
    /// Media time in milliseconds.
    pub mm_time: u32,
    /// Whether an absent source is the destination itself.
    pub self_bitmap: bool,
    /// Which part of it.
    pub self_bitmap_area: Rect,
    /// The surface drawn on.
    pub surface: u32,
    /// Surfaces it reads and where; a number of -1 is none.
    pub reads: [(i32, Rect); 3],
    /// What is drawn.
    pub op: Op,
}

/// Clip rectangles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipRects {
    /// How many.
    pub count: u32,
    /// Top, left, bottom, right of each, 32 bits.
    pub rects: Chunks,
}

/// A drawing operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Nothing.
    Nop,
    /// Paint with a brush.
    Fill { brush: Brush, rop: u16, mask: Mask },
    /// Copy, then combine a brush with it.
    Opaque {
        source: Source,
        brush: Brush,
        rop: u16,
        scale: u8,
        mask: Mask,
    },
    /// Combine an image with the destination.
    Copy {
        source: Source,
        rop: u16,
        scale: u8,
        mask: Mask,
    },
    /// Copy within the surface, from `position`.
    CopyBits { position: Point },
    /// As `Copy`.
    Blend {
        source: Source,
        rop: u16,
        scale: u8,
        mask: Mask,
    },
    /// All zero.
    Blackness { mask: Mask },
    /// All one.
    Whiteness { mask: Mask },
    /// Invert.
    Invers { mask: Mask },
    /// Ternary raster operation.
    Rop3 {
        source: Source,
        brush: Brush,
        rop3: u8,
        scale: u8,
        mask: Mask,
    },
    /// Lines.
    Stroke(Box<Stroke>),
    /// Glyphs.
    Text(Box<Text>),
    /// Copy all but one colour.
    Transparent {
        source: Source,
        src_color: u32,
        true_color: u32,
    },
    /// Over, times a constant alpha.
    AlphaBlend { flags: u16, alpha: u8, source: Source },
    /// Render-style compositing.
    Composite(Box<Composite>),
}

/// A part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The image, if there is one.
    pub image: Option<Image>,
    /// The part of it.
    pub area: Rect,
}

/// Lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// Segments of the path in the device's layout.
    pub path: Chunks,
    /// Bit 2 starts with a gap, bit 3 is styled.
    pub flags: u8,
    /// Lengths, 28.4 fixed point, for a styled line.
    pub style: Option<Bytes>,
    /// What is drawn with.
    pub brush: Brush,
    /// Raster operation of the line.
    pub fore_mode: u16,
    /// Raster operation of the gaps.
    pub back_mode: u16,
}

/// Text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Bytes of the string.
    pub data_size: u32,
    /// Glyphs in it.
    pub length: u16,
    /// Depth, and bit 3: top-down.
    pub flags: u16,
    /// Glyphs in the device's layout.
    pub data: Chunks,
    /// What is painted with the back brush.
    pub back_area: Rect,
    /// For the glyphs.
    pub fore_brush: Brush,
    /// For the area behind.
    pub back_brush: Brush,
    /// Raster operation of the glyphs.
    pub fore_mode: u16,
    /// Raster operation of the area behind.
    pub back_mode: u16,
}

/// Render-style compositing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// Operator, filters, repeats.
    pub flags: u32,
    /// The source.
    pub src: Option<Image>,
    /// 24 bytes, 16.16 fixed point.
    pub src_transform: Option<Bytes>,
    /// The mask.
    pub mask: Option<Image>,
    /// 24 bytes, 16.16 fixed point.
    pub mask_transform: Option<Bytes>,
    /// Offset in the source.
    pub src_origin: Point,
    /// Offset in the mask.
    pub mask_origin: Point,
}

/// What an area is painted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brush {
    /// Nothing.
    None,
    /// One colour.
    Solid(u32),
    /// A tile and where it lies.
    Pattern(Option<Image>, Point),
}

/// Selects pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// Bit 0: inverted.
    pub flags: u8,
    /// Place in the mask of the box's corner.
    pub position: Point,
    /// The bits.
    pub image: Option<Image>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The guest's name for it.
    pub id: u64,
    /// Bit 0 cache, bit 1 high bits set.
    pub flags: u8,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The pixels.
    pub pixels: PixelSource,
}

/// Where an image's pixels are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PixelSource {
    /// Here.
    Bitmap(Box<Bitmap>),
    /// Here, compressed.
    Quic {
        /// Bytes the guest says there are.
        size: u32,
        /// The stream.
        data: Chunks,
    },
    /// On another surface.
    Surface(u32),
}

/// Plain pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// Number of the format.
    pub format: u8,
    /// Bit 0 one block, bit 2 top-down.
    pub flags: u8,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Colours.
    pub palette: Option<Palette>,
    /// The rows.
    pub data: Chunks,
}

/// Colours of a bitmap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    /// The guest's name for it.
    pub unique: u64,
    /// 0x00RRGGBB each.
    pub entries: Vec<u32>,
}
