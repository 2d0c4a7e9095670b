//! Drawables.

use caraway_ports::{
    drawing::{Clip, Composite, DrawOp, Drawable, Image, ImageData, Source},
    geometry::{Point, Rect},
    layout::{self, NEAREST, check_inside, rop},
};

use super::{
    Malformed, Surfaces,
    image::{brush, mask, picture},
    shapes,
};
use crate::record::{self, Op};

/// The repeat mode of a composite's source.
const SOURCE_REPEAT: u32 = 3 << 14;

/// What a drawable draws; `None`: nothing.
pub(super) fn drawable(drawable: &record::Drawable, surfaces: &Surfaces) -> Result<Option<Drawable>, Malformed> {
    let surface = drawable.surface;
    let size = surfaces
        .size_of(surface)
        .ok_or(Malformed::value("drawable surface", surface))?;
    let bbox = drawable.bbox;
    check_inside("drawable box", &bbox, size)?;
    if bbox.is_empty() || matches!(drawable.op, Op::Nop) {
        return Ok(None);
    }
    let clip = shapes::clip(drawable.clip.as_ref(), &bbox)?;
    if matches!(&clip, Clip::Rects(rects) if rects.is_empty()) {
        return Ok(None);
    }
    let frame = Frame {
        drawable,
        surfaces,
        size,
    };
    Ok(Some(Drawable {
        surface,
        bbox,
        clip,
        mm_time: drawable.mm_time,
        op: frame.operation()?,
    }))
}

/// A drawable and the surfaces it may refer to.
struct Frame<'a> {
    drawable: &'a record::Drawable,
    surfaces: &'a Surfaces,
    /// Of the surface drawn on.
    size: (u32, u32),
}

impl Frame<'_> {
    fn operation(&self) -> Result<DrawOp, Malformed> {
        let surfaces = self.surfaces;
        Ok(match &self.drawable.op {
            // It draws nothing and was left out.
            Op::Nop => return Err(Malformed::value("drawable type", 0)),
            Op::Fill {
                brush: with,
                rop: how,
                mask: by,
            } => DrawOp::Fill {
                brush: brush(with, surfaces)?,
                rop: rop(*how),
                mask: mask(by, surfaces)?,
            },
            Op::Opaque {
                source,
                brush: with,
                rop: how,
                scale,
                mask: by,
            } => DrawOp::Opaque {
                source: self.source(source, *scale)?,
                brush: brush(with, surfaces)?,
                rop: rop(*how),
                mask: mask(by, surfaces)?,
            },
            Op::Copy {
                source,
                rop: how,
                scale,
                mask: by,
            } => DrawOp::Copy {
                source: self.own_source(source, *scale)?,
                rop: rop(*how),
                mask: mask(by, surfaces)?,
            },
            Op::Blend {
                source,
                rop: how,
                scale,
                mask: by,
            } => DrawOp::Blend {
                source: self.own_source(source, *scale)?,
                rop: rop(*how),
                mask: mask(by, surfaces)?,
            },
            Op::CopyBits { position } => {
                let bbox = &self.drawable.bbox;
                let source = Rect::at(position.x, position.y, bbox.width(), bbox.height());
                check_inside("source position", &source, self.size)?;
                DrawOp::CopyBits { src_pos: *position }
            }
            Op::Blackness { mask: by } => DrawOp::Blackness {
                mask: mask(by, surfaces)?,
            },
            Op::Whiteness { mask: by } => DrawOp::Whiteness {
                mask: mask(by, surfaces)?,
            },
            Op::Invers { mask: by } => DrawOp::Invers {
                mask: mask(by, surfaces)?,
            },
            Op::Rop3 {
                source,
                brush: with,
                rop3,
                scale,
                mask: by,
            } => DrawOp::Rop3 {
                source: self.source(source, *scale)?,
                brush: brush(with, surfaces)?,
                rop3: *rop3,
                mask: mask(by, surfaces)?,
            },
            Op::Stroke(stroke) => self.stroke(stroke)?,
            Op::Text(text) => self.text(text)?,
            Op::Transparent {
                source,
                src_color,
                true_color,
            } => DrawOp::Transparent {
                source: self.source(source, NEAREST)?,
                src_color: *src_color,
                true_color: *true_color,
            },
            Op::AlphaBlend { flags, alpha, source } => DrawOp::AlphaBlend {
                source: self.source(source, NEAREST)?,
                flags: u8::try_from(flags & 3).unwrap_or(0),
                alpha: *alpha,
            },
            Op::Composite(composite) => self.composite(composite)?,
        })
    }

    /// The source; where it is absent and the drawable says so, the destination itself.
    fn source(&self, source: &record::Source, scale: u8) -> Result<Source, Malformed> {
        if source.image.is_some() || !self.drawable.self_bitmap {
            return self.own_source(source, scale);
        }
        let (image, self_area) = self.own_image()?;
        check_inside("source area", &source.area, (self_area.width(), self_area.height()))?;
        part(image, source.area.translate(self_area.left, self_area.top), scale)
    }

    /// The surface drawn on as an image, and the area of it that is the source.
    fn own_image(&self) -> Result<(Image, Rect), Malformed> {
        let self_area = self.drawable.self_bitmap_area;
        check_inside("self bitmap area", &self_area, self.size)?;
        let image = Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width: self.size.0,
            height: self.size.1,
            data: ImageData::Surface(self.drawable.surface),
        };
        Ok((image, self_area))
    }

    /// The source of an operation that brings one.
    fn own_source(&self, source: &record::Source, scale: u8) -> Result<Source, Malformed> {
        part(picture(source.image.as_ref(), self.surfaces)?, source.area, scale)
    }

    fn stroke(&self, stroke: &record::Stroke) -> Result<DrawOp, Malformed> {
        const START_WITH_GAP: u8 = 4;
        Ok(DrawOp::Stroke {
            path: shapes::path(&stroke.path)?,
            style: match &stroke.style {
                Some(lengths) => layout::line_style(lengths)?,
                None => [].into(),
            },
            start_with_gap: stroke.flags & START_WITH_GAP != 0,
            brush: brush(&stroke.brush, self.surfaces)?,
            fore_mode: rop(stroke.fore_mode),
            back_mode: rop(stroke.back_mode),
        })
    }

    fn text(&self, text: &record::Text) -> Result<DrawOp, Malformed> {
        let (glyphs, depth) = shapes::string(text)?;
        Ok(DrawOp::Text {
            glyphs,
            depth,
            back_area: text.back_area,
            fore_brush: brush(&text.fore_brush, self.surfaces)?,
            back_brush: brush(&text.back_brush, self.surfaces)?,
            fore_mode: rop(text.fore_mode),
            back_mode: rop(text.back_mode),
        })
    }

    fn composite(&self, composite: &record::Composite) -> Result<DrawOp, Malformed> {
        let flags = layout::composite_flags(composite.flags)?;
        let src_transform = composite.src_transform.as_deref().map(layout::transform).transpose()?;
        let plain = src_transform.is_none() && flags & SOURCE_REPEAT == 0;
        let (src, src_origin) = if composite.src.is_none() && self.drawable.self_bitmap && plain {
            self.own_composite_source(composite.src_origin)?
        } else {
            (picture(composite.src.as_ref(), self.surfaces)?, composite.src_origin)
        };
        Ok(DrawOp::Composite(Box::new(Composite {
            flags,
            src,
            src_transform,
            mask: match &composite.mask {
                None => None,
                mask => Some(picture(mask.as_ref(), self.surfaces)?),
            },
            mask_transform: composite.mask_transform.as_deref().map(layout::transform).transpose()?,
            src_origin,
            mask_origin: composite.mask_origin,
        })))
    }

    /// The destination as the source, where that is the same as a copy of the area.
    fn own_composite_source(&self, origin: Point) -> Result<(Image, Point), Malformed> {
        let (image, self_area) = self.own_image()?;
        let origin = layout::own_composite_origin(&self_area, origin, &self.drawable.bbox)?;
        Ok((image, origin))
    }
}

fn part(image: Image, area: Rect, scale: u8) -> Result<Source, Malformed> {
    let scale = layout::scale_mode(scale)?;
    check_inside("source area", &area, (image.width, image.height))?;
    if area.is_empty() {
        return Err(Malformed::value("source area", 0));
    }
    Ok(Source { image, area, scale })
}
