//! Drawing messages.

use bitflags::bitflags;
use caraway_ports::drawing::{Clip, Rop, ScaleMode, Transform};
use caraway_ports::geometry::{Point, Rect};

use super::image::Image;
use super::server_id;
use super::vector::{DrawText, Stroke};
use crate::error::Result;
use crate::wire::{Point16, Reader, Writer};

/// A drawing on a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The surface drawn on.
    pub surface_id: u32,
    /// The box drawn in.
    pub bbox: Rect,
    /// The part of the box that is drawn.
    pub clip: Clip,
    /// What is drawn.
    pub op: DrawOp,
}

/// What an area is painted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brush {
    /// Nothing; where an operation uses it all the same, value 0.
    None,
    /// One pixel value in the format of the surface.
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
    /// The mask, not compressed; `None` selects everything.
    pub image: Option<Image>,
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

bitflags! {
    /// Which alpha counts in ALPHA_BLEND.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct AlphaFlags: u8 {
        /// Write the alpha of the destination.
        const DEST_HAS_ALPHA = 1;
        /// The alpha of a source that is a surface is valid.
        const SRC_SURFACE_HAS_ALPHA = 2;
        const _ = !0;
    }
}

/// Render-style compositing. Only for clients with the capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// Operator, filters, repeats, component alpha, opaque bits. The bits that say which of the optional parts are
    /// there ([`Self::PRESENCE`]) are made from the parts.
    pub flags: u32,
    /// Source.
    pub src: Image,
    /// Mask.
    pub mask: Option<Image>,
    /// Transform of the source.
    pub src_transform: Option<Transform>,
    /// Transform of the mask.
    pub mask_transform: Option<Transform>,
    /// Offset in the source.
    pub src_origin: Point16,
    /// Offset in the mask.
    pub mask_origin: Point16,
}

impl Composite {
    const HAS_MASK: u32 = 1 << 19;
    const HAS_SRC_TRANSFORM: u32 = 1 << 20;
    const HAS_MASK_TRANSFORM: u32 = 1 << 21;
    /// Bits of `flags` that are not free.
    pub const PRESENCE: u32 = Self::HAS_MASK | Self::HAS_SRC_TRANSFORM | Self::HAS_MASK_TRANSFORM;

    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let flags = reader.u32("composite flags")?;
        let src = Image::decode(reader.target("src_bitmap")?)?;
        let mask = match flags & Self::HAS_MASK {
            0 => None,
            _ => Some(Image::decode(reader.target("mask_bitmap")?)?),
        };
        let mut transform = |flag, field| match flags & flag {
            0 => Ok(None),
            _ => decode_transform(reader, field).map(Some),
        };
        let src_transform = transform(Self::HAS_SRC_TRANSFORM, "src_transform")?;
        let mask_transform = transform(Self::HAS_MASK_TRANSFORM, "mask_transform")?;
        Ok(Self {
            flags: flags & !Self::PRESENCE,
            src,
            mask,
            src_transform,
            mask_transform,
            src_origin: reader.point16("src_origin")?,
            mask_origin: reader.point16("mask_origin")?,
        })
    }

    fn encode<'a>(&'a self, out: &mut Writer<'a>) {
        let presence = [
            (self.mask.is_some(), Self::HAS_MASK),
            (self.src_transform.is_some(), Self::HAS_SRC_TRANSFORM),
            (self.mask_transform.is_some(), Self::HAS_MASK_TRANSFORM),
        ];
        let flags = presence
            .iter()
            .filter(|(present, _)| *present)
            .fold(self.flags & !Self::PRESENCE, |flags, (_, flag)| flags | flag);
        out.u32(flags);
        out.pointer(Some(&self.src));
        if let Some(mask) = &self.mask {
            out.pointer(Some(mask));
        }
        for transform in [self.src_transform, self.mask_transform].into_iter().flatten() {
            transform.0.iter().for_each(|value| out.i32(*value));
        }
        out.point16(self.src_origin);
        out.point16(self.mask_origin);
    }
}

fn decode_transform(reader: &mut Reader<'_>, field: &'static str) -> Result<Transform> {
    let mut values = [0; 6];
    for value in &mut values {
        *value = reader.i32(field)?;
    }
    Ok(Transform(values))
}

/// A drawing operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrawOp {
    /// Copy a box of the same surface; overlap as through a temporary.
    CopyBits { src_pos: Point },
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
    /// As `Copy`.
    Blend { source: Source, rop: Rop, mask: Mask },
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
    Stroke(Stroke),
    /// Glyphs.
    Text(DrawText),
    /// Copy all but the pixels of one colour: `src_color` in the format of the image, `true_color` as 0x00RRGGBB.
    Transparent {
        image: Image,
        area: Rect,
        src_color: u32,
        true_color: u32,
    },
    /// Premultiplied over, times a constant alpha.
    AlphaBlend {
        flags: AlphaFlags,
        alpha: u8,
        image: Image,
        area: Rect,
    },
    /// Render-style compositing.
    Composite(Composite),
}

impl Draw {
    pub(super) const fn id(&self) -> u16 {
        match self.op {
            DrawOp::CopyBits { .. } => server_id::COPY_BITS,
            DrawOp::Fill { .. } => server_id::DRAW_FILL,
            DrawOp::Opaque { .. } => server_id::DRAW_OPAQUE,
            DrawOp::Copy { .. } => server_id::DRAW_COPY,
            DrawOp::Blend { .. } => server_id::DRAW_BLEND,
            DrawOp::Blackness { .. } => server_id::DRAW_BLACKNESS,
            DrawOp::Whiteness { .. } => server_id::DRAW_WHITENESS,
            DrawOp::Invers { .. } => server_id::DRAW_INVERS,
            DrawOp::Rop3 { .. } => server_id::DRAW_ROP3,
            DrawOp::Stroke(_) => server_id::DRAW_STROKE,
            DrawOp::Text(_) => server_id::DRAW_TEXT,
            DrawOp::Transparent { .. } => server_id::DRAW_TRANSPARENT,
            DrawOp::AlphaBlend { .. } => server_id::DRAW_ALPHA_BLEND,
            DrawOp::Composite(_) => server_id::DRAW_COMPOSITE,
        }
    }

    /// The drawing message `id`; `None` when it is none.
    pub(super) fn decode(id: u16, reader: &mut Reader<'_>) -> Result<Option<Self>> {
        if !matches!(
            id,
            server_id::COPY_BITS | server_id::DRAW_FILL..=server_id::DRAW_ALPHA_BLEND | server_id::DRAW_COMPOSITE
        ) {
            return Ok(None);
        }
        let surface_id = reader.u32("surface_id")?;
        let bbox = reader.rect("box")?;
        let clip = decode_clip(reader)?;
        let op = DrawOp::decode(id, reader)?;
        Ok(op.map(|op| Self {
            surface_id,
            bbox,
            clip,
            op,
        }))
    }

    pub(super) fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.u32(self.surface_id);
        out.rect(&self.bbox);
        encode_clip(&self.clip, out)?;
        self.op.encode(out)
    }
}

impl DrawOp {
    fn decode(id: u16, reader: &mut Reader<'_>) -> Result<Option<Self>> {
        Ok(Some(match id {
            server_id::COPY_BITS => Self::CopyBits {
                src_pos: reader.point("src_pos")?,
            },
            server_id::DRAW_FILL => Self::Fill {
                brush: Brush::decode(reader)?,
                rop: rop(reader, "rop_descriptor")?,
                mask: Mask::decode(reader)?,
            },
            server_id::DRAW_OPAQUE => {
                let (image, area) = image_and_area(reader)?;
                let brush = Brush::decode(reader)?;
                let rop = rop(reader, "rop_descriptor")?;
                let scale = scale_mode(reader)?;
                Self::Opaque {
                    source: Source { image, area, scale },
                    brush,
                    rop,
                    mask: Mask::decode(reader)?,
                }
            }
            server_id::DRAW_COPY => {
                let (source, rop, mask) = decode_copy(reader)?;
                Self::Copy { source, rop, mask }
            }
            server_id::DRAW_BLEND => {
                let (source, rop, mask) = decode_copy(reader)?;
                Self::Blend { source, rop, mask }
            }
            server_id::DRAW_BLACKNESS => Self::Blackness {
                mask: Mask::decode(reader)?,
            },
            server_id::DRAW_WHITENESS => Self::Whiteness {
                mask: Mask::decode(reader)?,
            },
            server_id::DRAW_INVERS => Self::Invers {
                mask: Mask::decode(reader)?,
            },
            server_id::DRAW_ROP3 => {
                let (image, area) = image_and_area(reader)?;
                let brush = Brush::decode(reader)?;
                let rop3 = reader.u8("rop3")?;
                let scale = scale_mode(reader)?;
                Self::Rop3 {
                    source: Source { image, area, scale },
                    brush,
                    rop3,
                    mask: Mask::decode(reader)?,
                }
            }
            server_id::DRAW_STROKE => Self::Stroke(Stroke::decode(reader)?),
            server_id::DRAW_TEXT => Self::Text(DrawText::decode(reader)?),
            server_id::DRAW_TRANSPARENT => {
                let (image, area) = image_and_area(reader)?;
                Self::Transparent {
                    image,
                    area,
                    src_color: reader.u32("src_color")?,
                    true_color: reader.u32("true_color")?,
                }
            }
            server_id::DRAW_ALPHA_BLEND => {
                let flags = AlphaFlags::from_bits_retain(reader.u8("alpha_flags")?);
                let alpha = reader.u8("alpha")?;
                let (image, area) = image_and_area(reader)?;
                Self::AlphaBlend {
                    flags,
                    alpha,
                    image,
                    area,
                }
            }
            server_id::DRAW_COMPOSITE => Self::Composite(Composite::decode(reader)?),
            _ => return Ok(None),
        }))
    }

    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::CopyBits { src_pos } => out.point(*src_pos),
            Self::Fill { brush, rop, mask } => {
                brush.encode(out);
                out.u16(rop.0);
                mask.encode(out);
            }
            Self::Opaque {
                source,
                brush,
                rop,
                mask,
            } => {
                put_image(&source.image, &source.area, out);
                brush.encode(out);
                out.u16(rop.0);
                out.u8(source.scale as u8);
                mask.encode(out);
            }
            Self::Copy { source, rop, mask } | Self::Blend { source, rop, mask } => {
                put_image(&source.image, &source.area, out);
                out.u16(rop.0);
                out.u8(source.scale as u8);
                mask.encode(out);
            }
            Self::Blackness { mask } | Self::Whiteness { mask } | Self::Invers { mask } => mask.encode(out),
            Self::Rop3 {
                source,
                brush,
                rop3,
                mask,
            } => {
                put_image(&source.image, &source.area, out);
                brush.encode(out);
                out.u8(*rop3);
                out.u8(source.scale as u8);
                mask.encode(out);
            }
            Self::Stroke(stroke) => stroke.encode(out)?,
            Self::Text(text) => text.encode(out),
            Self::Transparent {
                image,
                area,
                src_color,
                true_color,
            } => {
                put_image(image, area, out);
                out.u32(*src_color);
                out.u32(*true_color);
            }
            Self::AlphaBlend {
                flags,
                alpha,
                image,
                area,
            } => {
                out.u8(flags.bits());
                out.u8(*alpha);
                put_image(image, area, out);
            }
            Self::Composite(composite) => composite.encode(out),
        }
        Ok(())
    }
}

impl Brush {
    const NONE: u8 = 0;
    const SOLID: u8 = 1;
    const PATTERN: u8 = 2;

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.u8("brush type")? {
            Self::NONE => Ok(Self::None),
            Self::SOLID => Ok(Self::Solid(reader.u32("brush color")?)),
            Self::PATTERN => Ok(Self::Pattern {
                image: Image::decode(reader.target("brush pattern")?)?,
                pos: reader.point("brush pos")?,
            }),
            other => Err(reader.unexpected("brush type", "0, 1 or 2", other)),
        }
    }

    pub(super) fn encode<'a>(&'a self, out: &mut Writer<'a>) {
        match self {
            Self::None => out.u8(Self::NONE),
            Self::Solid(color) => {
                out.u8(Self::SOLID);
                out.u32(*color);
            }
            Self::Pattern { image, pos } => {
                out.u8(Self::PATTERN);
                out.pointer(Some(image));
                out.point(*pos);
            }
        }
    }
}

impl Mask {
    const INVERS: u8 = 1;

    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            inverse: reader.u8("mask flags")? & Self::INVERS != 0,
            pos: reader.point("mask pos")?,
            image: reader.pointer("mask bitmap")?.map(Image::decode).transpose()?,
        })
    }

    fn encode<'a>(&'a self, out: &mut Writer<'a>) {
        out.u8(if self.inverse { Self::INVERS } else { 0 });
        out.point(self.pos);
        match &self.image {
            Some(image) => out.pointer(Some(image)),
            None => out.pointer(None),
        }
    }
}

pub(super) fn rop(reader: &mut Reader<'_>, field: &'static str) -> Result<Rop> {
    reader.u16(field).map(Rop)
}

fn scale_mode(reader: &mut Reader<'_>) -> Result<ScaleMode> {
    match reader.u8("scale_mode")? {
        0 => Ok(ScaleMode::Interpolate),
        1 => Ok(ScaleMode::Nearest),
        other => Err(reader.unexpected("scale_mode", "0 or 1", other)),
    }
}

fn image_and_area(reader: &mut Reader<'_>) -> Result<(Image, Rect)> {
    let image = Image::decode(reader.target("src_bitmap")?)?;
    Ok((image, reader.rect("src_area")?))
}

fn put_image<'a>(image: &'a Image, area: &Rect, out: &mut Writer<'a>) {
    out.pointer(Some(image));
    out.rect(area);
}

fn decode_copy(reader: &mut Reader<'_>) -> Result<(Source, Rop, Mask)> {
    let (image, area) = image_and_area(reader)?;
    let rop = rop(reader, "rop_descriptor")?;
    let scale = scale_mode(reader)?;
    Ok((Source { image, area, scale }, rop, Mask::decode(reader)?))
}

const CLIP_NONE: u8 = 0;
const CLIP_RECTS: u8 = 1;

pub(super) fn decode_clip(reader: &mut Reader<'_>) -> Result<Clip> {
    match reader.u8("clip type")? {
        CLIP_NONE => Ok(Clip::None),
        CLIP_RECTS => {
            let count = reader.u32("clip num_rects")?;
            let rects = reader.items("clip rects", count, 16, |reader| reader.rect("clip rect"))?;
            Ok(Clip::Rects(rects.into()))
        }
        other => Err(reader.unexpected("clip type", "0 or 1", other)),
    }
}

pub(super) fn encode_clip(clip: &Clip, out: &mut Writer<'_>) -> Result<()> {
    match clip {
        Clip::None => out.u8(CLIP_NONE),
        Clip::Rects(rects) => {
            out.u8(CLIP_RECTS);
            out.count_u32("clip num_rects", rects.len())?;
            rects.iter().for_each(|rect| out.rect(rect));
        }
    }
    Ok(())
}
