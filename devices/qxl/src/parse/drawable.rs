//! Drawables (ABI 11).

use caraway_ports::{
    drawing::{Clip, DrawOp, Drawable, Image, ImageData, Rop, Source},
    geometry::{Point, Rect},
    layout::{self, NEAREST, check_inside},
};

use super::{
    Fields, Guest, Malformed,
    composite::composite,
    envelope::{self, Envelope},
};

/// What the parser asks about live surfaces.
pub(crate) trait SurfaceSizes {
    /// Width and height of a live surface.
    fn size_of(&self, surface: u32) -> Option<(u32, u32)>;
}

/// The fields every type needs.
pub(super) struct Frame<'a, S> {
    pub(super) surfaces: &'a S,
    pub(super) surface: u32,
    pub(super) bbox: Rect,
    /// The area of the destination that serves as the source where the source is absent.
    pub(super) self_area: Option<Rect>,
}

/// Parses the drawable at `address`. `None`: nothing to draw.
pub(crate) fn parse(
    guest: &mut Guest<'_>,
    address: u64,
    surfaces: &impl SurfaceSizes,
) -> Result<Option<Drawable>, Malformed> {
    let mut bytes = [0; envelope::SIZE];
    let Envelope {
        surface,
        kind,
        self_area,
        bbox,
        clip: (clip_kind, clip_data),
        mm_time,
        reads,
        mut payload,
    } = Envelope::read(guest, address, &mut bytes)?;
    let size = surfaces
        .size_of(surface)
        .ok_or(Malformed::value("drawable surface", surface))?;
    // Which surfaces are read is said by the images, and commands run in order; but those named must be there.
    for id in reads.into_iter().flatten() {
        surfaces.size_of(id).ok_or(Malformed::value("surface read", id))?;
    }
    check_inside("drawable box", &bbox, size)?;
    if bbox.is_empty() || kind == 0 {
        return Ok(None);
    }
    let clip = guest.clip(clip_kind, clip_data, &bbox)?;
    if matches!(&clip, Clip::Rects(rects) if rects.is_empty()) {
        return Ok(None);
    }
    let frame = Frame {
        surfaces,
        surface,
        bbox,
        self_area,
    };
    Ok(Some(Drawable {
        surface,
        bbox,
        clip,
        mm_time,
        op: operation(guest, kind, &mut payload, &frame)?,
    }))
}

fn operation(
    guest: &mut Guest<'_>,
    kind: u8,
    fields: &mut Fields<'_>,
    frame: &Frame<'_, impl SurfaceSizes>,
) -> Result<DrawOp, Malformed> {
    let surfaces = frame.surfaces;
    Ok(match kind {
        1 => DrawOp::Fill {
            brush: guest.brush(fields, surfaces)?,
            rop: rop(fields)?,
            mask: guest.mask(fields, surfaces)?,
        },
        2 => {
            let parts = SourceParts::read(fields)?;
            let brush = guest.brush(fields, surfaces)?;
            let rop = rop(fields)?;
            DrawOp::Opaque {
                source: parts.resolve(guest, frame, fields.u8()?)?,
                brush,
                rop,
                mask: guest.mask(fields, surfaces)?,
            }
        }
        3 | 5 => copy(guest, kind, fields, frame)?,
        4 => copy_bits(fields.point()?, frame)?,
        6 => DrawOp::Blackness {
            mask: guest.mask(fields, surfaces)?,
        },
        7 => DrawOp::Whiteness {
            mask: guest.mask(fields, surfaces)?,
        },
        8 => DrawOp::Invers {
            mask: guest.mask(fields, surfaces)?,
        },
        9 => {
            let parts = SourceParts::read(fields)?;
            let brush = guest.brush(fields, surfaces)?;
            let rop3 = fields.u8()?;
            DrawOp::Rop3 {
                source: parts.resolve(guest, frame, fields.u8()?)?,
                brush,
                rop3,
                mask: guest.mask(fields, surfaces)?,
            }
        }
        10 => stroke(guest, fields, surfaces)?,
        11 => text(guest, fields, surfaces)?,
        12 => DrawOp::Transparent {
            source: SourceParts::read(fields)?.resolve(guest, frame, NEAREST)?,
            src_color: fields.u32()?,
            true_color: fields.u32()?,
        },
        13 => {
            let flags = if guest.layout().is_compat() {
                0
            } else {
                u8::try_from(fields.u16()? & 3).unwrap_or(0)
            };
            let alpha = fields.u8()?;
            DrawOp::AlphaBlend {
                source: SourceParts::read(fields)?.resolve(guest, frame, NEAREST)?,
                flags,
                alpha,
            }
        }
        14 if !guest.layout().is_compat() => composite(guest, fields, frame)?,
        other => return Err(Malformed::value("drawable type", other)),
    })
}

fn rop(fields: &mut Fields<'_>) -> Result<Rop, Malformed> {
    Ok(layout::rop(fields.u16()?))
}

/// The source fields, which come before others that have to be read first.
struct SourceParts {
    image: u64,
    area: Rect,
}

impl SourceParts {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            image: fields.u64()?,
            area: fields.rect()?,
        })
    }

    /// The source; where it is absent and the drawable says so, the destination itself.
    fn resolve(
        self,
        guest: &mut Guest<'_>,
        frame: &Frame<'_, impl SurfaceSizes>,
        scale: u8,
    ) -> Result<Source, Malformed> {
        let scale = layout::scale_mode(scale)?;
        let (image, area) = match (self.image, frame.self_area) {
            (0, Some(self_area)) => self.own_content(self_area, frame)?,
            (address, _) => (guest.picture(address, frame.surfaces)?, self.area),
        };
        check_inside("source area", &area, (image.width, image.height))?;
        if area.is_empty() {
            return Err(Malformed::value("source area", 0_u8));
        }
        Ok(Source { image, area, scale })
    }

    /// The part `self_area` of the destination is the image; its coordinates start there.
    fn own_content(&self, self_area: Rect, frame: &Frame<'_, impl SurfaceSizes>) -> Result<(Image, Rect), Malformed> {
        let image = frame.own_image(&self_area)?;
        check_inside("source area", &self.area, (self_area.width(), self_area.height()))?;
        Ok((image, self.area.translate(self_area.left, self_area.top)))
    }
}

impl<S: SurfaceSizes> Frame<'_, S> {
    /// The destination as an image, for the use of `self_area` of it.
    pub(super) fn own_image(&self, self_area: &Rect) -> Result<Image, Malformed> {
        let (width, height) = self
            .surfaces
            .size_of(self.surface)
            .ok_or(Malformed::value("drawable surface", self.surface))?;
        check_inside("self bitmap area", self_area, (width, height))?;
        Ok(Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width,
            height,
            data: ImageData::Surface(self.surface),
        })
    }
}

/// Copy and blend bring their own source whatever the self bitmap flag says.
fn copy(
    guest: &mut Guest<'_>,
    kind: u8,
    fields: &mut Fields<'_>,
    frame: &Frame<'_, impl SurfaceSizes>,
) -> Result<DrawOp, Malformed> {
    let parts = SourceParts::read(fields)?;
    let rop = rop(fields)?;
    let frame = Frame {
        self_area: None,
        ..*frame
    };
    let source = parts.resolve(guest, &frame, fields.u8()?)?;
    let mask = guest.mask(fields, frame.surfaces)?;
    Ok(if kind == 3 {
        DrawOp::Copy { source, rop, mask }
    } else {
        DrawOp::Blend { source, rop, mask }
    })
}

fn copy_bits(src_pos: Point, frame: &Frame<'_, impl SurfaceSizes>) -> Result<DrawOp, Malformed> {
    let source = Rect::at(src_pos.x, src_pos.y, frame.bbox.width(), frame.bbox.height());
    let size = frame.surfaces.size_of(frame.surface).unwrap_or_default();
    check_inside("source position", &source, size)?;
    Ok(DrawOp::CopyBits { src_pos })
}

fn stroke(guest: &mut Guest<'_>, fields: &mut Fields<'_>, surfaces: &impl SurfaceSizes) -> Result<DrawOp, Malformed> {
    const START_WITH_GAP: u8 = 4;
    const STYLED: u8 = 8;
    let path = guest.path(fields.u64()?)?;
    let flags = fields.u8()?;
    fields.skip(2)?; // join and end styles: all lines are one pixel wide
    let count = fields.u8()?;
    fields.skip(8)?; // width and miter limit
    let style = fields.u64()?;
    Ok(DrawOp::Stroke {
        path,
        style: if flags & STYLED != 0 {
            guest.line_style(style, count)?
        } else {
            [].into()
        },
        start_with_gap: flags & START_WITH_GAP != 0,
        brush: guest.brush(fields, surfaces)?,
        fore_mode: rop(fields)?,
        back_mode: rop(fields)?,
    })
}

fn text(guest: &mut Guest<'_>, fields: &mut Fields<'_>, surfaces: &impl SurfaceSizes) -> Result<DrawOp, Malformed> {
    let (glyphs, depth) = guest.string(fields.u64()?)?;
    Ok(DrawOp::Text {
        glyphs,
        depth,
        back_area: fields.rect()?,
        fore_brush: guest.brush(fields, surfaces)?,
        back_brush: guest.brush(fields, surfaces)?,
        fore_mode: rop(fields)?,
        back_mode: rop(fields)?,
    })
}
