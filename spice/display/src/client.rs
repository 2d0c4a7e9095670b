//! What a client can be sent: by its capabilities, and by what the reference client (spice-gtk) does with it. It ends
//! itself at images it has no conversion for, so a guest could end every viewer; and where it draws anything else than our
//! canvas, its picture would go on being wrong. What is refused here is sent as a picture of the result.

use caraway_canvas::Canvas;
use caraway_image::quic::{self, QuicType};
use caraway_ports::{
    drawing::{
        BitmapFormat, Brush, Composite, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Rop, Source,
        SurfaceFormat, Transform,
    },
    geometry::{Point, Rect},
};

use crate::{
    adapt::{MASK_OPAQUE, SOURCE_OPAQUE, as_copy_bits, takes_stroke},
    core::ViewerCaps,
    item::{images, mask_of},
};

/// `alpha_flags`: the unused byte of a source that is a surface counts as alpha.
const SRC_SURFACE_HAS_ALPHA: u8 = 2;
/// Flag of a composite.
const DEST_OPAQUE: u32 = 1 << 24;
/// Render's operator that is another one for the client when source and mask have no alpha.
const SATURATE: u32 = 13;
/// Operators that the client calculates in floating point, HSL modes last.
const FLOATING: [u32; 8] = [SATURATE, 0x35, 0x36, 0x38, 0x3b, 0x3c, 0x3d, 0x3e];
/// The first of the HSL modes.
const HUE: u32 = 0x3b;

/// Whether a viewer is told of surfaces of this format. The reference client has no conversion of any image to A1.
pub(crate) const fn takes_surface(format: SurfaceFormat, caps: ViewerCaps) -> bool {
    match format {
        SurfaceFormat::A1 => false,
        SurfaceFormat::A8 => caps.a8_surface,
        _ => true,
    }
}

/// Whether a viewer that is told of the surface drawn on can be sent the command itself, and not only its result.
pub(crate) fn takes_command(drawable: &Drawable, canvas: &Canvas, caps: ViewerCaps) -> bool {
    let Some(format) = canvas.format(drawable.surface) else {
        return false;
    };
    let known = |data: &ImageData| match data {
        ImageData::Surface(id) => canvas.format(*id).is_some_and(|format| takes_surface(format, caps)),
        ImageData::Bitmap(_) => true,
        // It knows no grey.
        ImageData::Quic(stream) => quic::header(stream).is_ok_and(|header| header.kind != QuicType::Gray),
    };
    let target = Target {
        format,
        drawable,
        canvas,
    };
    let composite = caps.composite || !matches!(drawable.op, DrawOp::Composite(_));
    composite && images(&drawable.op).into_iter().chain(mask_of(&drawable.op)).all(known) && target.takes()
}

/// A command and the surface it draws on.
struct Target<'a> {
    format: SurfaceFormat,
    drawable: &'a Drawable,
    canvas: &'a Canvas,
}

impl Target<'_> {
    fn takes(&self) -> bool {
        match &self.drawable.op {
            DrawOp::CopyBits { .. } | DrawOp::Blackness { .. } | DrawOp::Whiteness { .. } | DrawOp::Invers { .. } => {
                true
            }
            DrawOp::Fill { brush, .. } => self.takes_brush(brush),
            DrawOp::Copy { source, rop, .. } | DrawOp::Blend { source, rop, .. } => {
                self.copies(&source.image.data)
                    && (self.is_apart(source) || as_copy_bits(self.drawable).is_some())
                    && (is_put(*rop) || self.scales_raw(source))
            }
            DrawOp::Opaque { source, brush, .. } => {
                self.copies(&source.image.data) && self.is_apart(source) && self.takes_brush(brush)
            }
            DrawOp::Rop3 {
                source, brush, rop3, ..
            } => {
                // It has tables for 16 and 32 bits.
                self.format != SurfaceFormat::A8
                    && is_ternary(*rop3)
                    && self.copies(&source.image.data)
                    && self.scales_raw(source)
                    && self.takes_brush(brush)
            }
            DrawOp::Transparent { source, .. } => {
                // It compares all 16 bits, and the highest is left to chance.
                let unused_bit = self.surface(&source.image.data) == Some(SurfaceFormat::Rgb555);
                self.copies(&source.image.data) && self.is_apart(source) && self.scales_raw(source) && !unused_bit
            }
            DrawOp::AlphaBlend { source, flags, .. } => {
                // The unused byte of a surface differs from server to client.
                let unused_is_alpha =
                    flags & SRC_SURFACE_HAS_ALPHA != 0 && self.surface(&source.image.data) == Some(SurfaceFormat::Xrgb);
                self.takes_colours(&source.image.data) && self.is_apart(source) && !unused_is_alpha
            }
            DrawOp::Stroke { brush, .. } => {
                // It takes a surface for an image there, and ends.
                let surface = matches!(brush, Brush::Pattern { image, .. } if self.surface(&image.data).is_some());
                !surface && self.takes_brush(brush) && takes_stroke(self.drawable)
            }
            DrawOp::Text {
                glyphs,
                depth,
                fore_brush,
                back_brush,
                ..
            } => {
                // It reads A8 glyphs from the wrong row. A surface as the brush keeps its place there for later.
                let surface = matches!(fore_brush, Brush::Pattern { image, .. } if self.surface(&image.data).is_some());
                *depth != GlyphDepth::A8
                    && !surface
                    && self.takes_brush(fore_brush)
                    && self.takes_brush(back_brush)
                    && holds_glyphs(glyphs)
            }
            DrawOp::Composite(composite) => self.composites(composite),
        }
    }

    /// The format of an image that is a surface.
    fn surface(&self, data: &ImageData) -> Option<SurfaceFormat> {
        match data {
            ImageData::Surface(id) => self.canvas.format(*id),
            _ => None,
        }
    }

    fn takes_brush(&self, brush: &Brush) -> bool {
        match brush {
            // What it draws on would be tiles of what it draws.
            Brush::Pattern { image, .. } => !self.is_own(&image.data) && self.copies(&image.data),
            _ => true,
        }
    }

    /// Whether an image is the surface drawn on.
    fn is_own(&self, data: &ImageData) -> bool {
        *data == ImageData::Surface(self.drawable.surface)
    }

    /// Whether drawing leaves the source as it is: the client does not read it before.
    fn is_apart(&self, source: &Source) -> bool {
        let Rect {
            top,
            left,
            bottom,
            right,
        } = source.area;
        let around = Rect {
            top: top.saturating_sub(1),
            left: left.saturating_sub(1),
            bottom: bottom.saturating_add(1),
            right: right.saturating_add(1),
        };
        !self.is_own(&source.image.data) || around.intersect(&self.drawable.bbox).is_empty()
    }

    /// Whether the pixels of an image are copied as they are meant. From surface to surface the client copies raw
    /// values, and ends where their sizes differ; the unused byte differs from server to client.
    fn copies(&self, data: &ImageData) -> bool {
        match self.surface(data) {
            None => self.takes_colours(data),
            Some(format) => {
                format == self.format || (format, self.format) == (SurfaceFormat::Argb, SurfaceFormat::Xrgb)
            }
        }
    }

    /// Of colours the client makes alpha in a way of its own.
    fn takes_colours(&self, data: &ImageData) -> bool {
        self.format != SurfaceFormat::A8 || brings_alpha(data)
    }

    /// Where a scaled source is a picture between, its unused byte is left to chance, and becomes alpha.
    fn scales_raw(&self, source: &Source) -> bool {
        let size = |rect: &Rect| (rect.width(), rect.height());
        let same_size = size(&source.area) == size(&self.drawable.bbox);
        self.format != SurfaceFormat::Argb || same_size || brings_alpha(&source.image.data)
    }

    fn composites(&self, composite: &Composite) -> bool {
        let Composite {
            flags,
            src,
            mask,
            src_transform,
            mask_transform,
            src_origin,
            mask_origin,
        } = composite;
        let own_alpha = matches!(self.format, SurfaceFormat::Argb | SurfaceFormat::A8);
        // It heeds the flag for nothing but to look whether there is a format without alpha.
        let dest_opaque = flags & DEST_OPAQUE != 0 && own_alpha;
        // Of one surface it has one image, with one repeat and one filter.
        let surface = |image: &Image| matches!(image.data, ImageData::Surface(_));
        let same = surface(src) && mask.as_ref().is_some_and(|mask| mask.data == src.data);
        !dest_opaque
            && !same
            && (!FLOATING.contains(&(flags & 0xff)) || self.calculates_alike(composite))
            && self.composes(
                src,
                src_transform.as_ref(),
                *src_origin,
                flags & SOURCE_OPAQUE != 0,
                true,
            )
            && mask.as_ref().is_none_or(|mask| {
                self.composes(
                    mask,
                    mask_transform.as_ref(),
                    *mask_origin,
                    flags & MASK_OPAQUE != 0,
                    false,
                )
            })
    }

    /// Whether floating point makes no difference: all pictures have 8 bits, and no mean of several pixels is taken.
    fn calculates_alike(&self, composite: &Composite) -> bool {
        let Composite {
            flags,
            src,
            mask,
            src_transform,
            mask_transform,
            ..
        } = composite;
        let nearest = |shift: u32| matches!(flags >> shift & 7, 0 | 3);
        let has_8_bits = |image: &Image| {
            !matches!(
                self.surface(&image.data),
                Some(SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565)
            )
        };
        let alpha = flags & SOURCE_OPAQUE == 0
            && brings_alpha(&src.data)
            && self.surface(&src.data) != Some(SurfaceFormat::Xrgb);
        let plain = |image: &Image, transform: Option<&Transform>, shift: u32| {
            has_8_bits(image) && (transform.is_none() || nearest(shift))
        };
        let operator = flags & 0xff;
        !matches!(self.format, SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565)
            && plain(src, src_transform.as_ref(), 8)
            && mask.as_ref().is_none_or(|mask| plain(mask, mask_transform.as_ref(), 11))
            && (operator != SATURATE || alpha)
            // Of a mask it takes the green twice, and the blue not at all.
            && (operator < HUE || mask.is_none())
    }

    /// Whether the client takes this as source or mask of a composite.
    fn composes(
        &self,
        image: &Image,
        transform: Option<&Transform>,
        origin: Point,
        opaque: bool,
        is_source: bool,
    ) -> bool {
        let narrow = matches!(self.format, SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565);
        let image_fits = match &image.data {
            // On a surface of 16 bits it has lost its alpha before.
            ImageData::Bitmap(bitmap) => !narrow || opaque || !has_alpha(bitmap.format),
            ImageData::Quic(stream) => {
                let alpha = quic::header(stream).is_ok_and(|header| header.kind == QuicType::Rgba);
                !alpha || !(narrow || opaque)
            }
            ImageData::Surface(id) => match (self.canvas.format(*id), opaque) {
                // The transform of a surface stays there for later, but for one that was taken without its alpha.
                (Some(SurfaceFormat::Argb), true) => is_source,
                (Some(SurfaceFormat::A8), true) => false,
                _ => transform.is_none(),
            },
        };
        self.takes_colours(&image.data) && image_fits && stays_near(&self.drawable.bbox, transform, origin)
    }
}

const fn has_alpha(format: BitmapFormat) -> bool {
    matches!(format, BitmapFormat::Rgba | BitmapFormat::Bit8A)
}

/// Whether the client takes the alpha of an image from the image itself. Of a surface it takes whatever is there; images
/// of QUIC count as colours, though one type has alpha.
fn brings_alpha(data: &ImageData) -> bool {
    match data {
        ImageData::Bitmap(bitmap) => has_alpha(bitmap.format),
        ImageData::Quic(_) => false,
        ImageData::Surface(_) => true,
    }
}

/// Whether a descriptor means a plain copy of the source.
pub(crate) fn is_put(rop: Rop) -> bool {
    let others = Rop::OP_OR | Rop::OP_AND | Rop::OP_XOR | Rop::OP_BLACKNESS | Rop::OP_WHITENESS | Rop::OP_INVERS;
    let inverted = rop.0 & Rop::INVERS_SRC != 0;
    let inverted_after = rop.0 & Rop::INVERS_RES != 0;
    if rop.0 & Rop::OP_PUT != 0 {
        return inverted == inverted_after;
    }
    rop.0 & others == 0
}

/// Whether the result depends on brush, source and destination: the client has no other operations, and ends.
fn is_ternary(code: u8) -> bool {
    let depends = |operand: u8| (0..8).any(|bits| (code >> bits ^ code >> (bits ^ operand)) & 1 == 1);
    depends(1) && depends(2) && depends(4)
}

/// Whether there are glyphs, and the client has room for a mask around all of them.
fn holds_glyphs(glyphs: &[Glyph]) -> bool {
    const MOST: i64 = 8192;
    let near = |at: i64| (-MOST..=MOST).contains(&at);
    let inside = |glyph: &Glyph| {
        let x = i64::from(glyph.render_pos.x) + i64::from(glyph.origin.x);
        let y = i64::from(glyph.render_pos.y) + i64::from(glyph.origin.y);
        near(x) && near(y) && near(x + i64::from(glyph.width)) && near(y + i64::from(glyph.height))
    };
    !glyphs.is_empty() && glyphs.iter().all(inside)
}

/// Whether the box lies near enough in the source that the client draws at all: it calculates with 16.16 numbers.
fn stays_near(bbox: &Rect, transform: Option<&Transform>, origin: Point) -> bool {
    /// A little less than 16 bits have.
    const MOST: i128 = 0x7f00;
    let one = Transform([1 << 16, 0, 0, 0, 1 << 16, 0]);
    let Transform([xx, xy, x0, yx, yy, y0]) = transform.copied().unwrap_or(one);
    let xs = [
        i128::from(origin.x) - 2,
        i128::from(origin.x) + i128::from(bbox.width()) + 2,
    ];
    let ys = [
        i128::from(origin.y) - 2,
        i128::from(origin.y) + i128::from(bbox.height()) + 2,
    ];
    let near = |value: i128| (-MOST..=MOST).contains(&value);
    let mapped =
        |a: i32, b: i32, c: i32, x: i128, y: i128| (i128::from(a) * x + i128::from(b) * y + i128::from(c)) >> 16;
    xs.into_iter().all(|x| {
        ys.into_iter()
            .all(|y| near(x) && near(y) && near(mapped(xx, xy, x0, x, y)) && near(mapped(yx, yy, y0, x, y)))
    })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
