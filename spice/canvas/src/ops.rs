//! Every drawing operation: inputs are opened and checked first, then pixels change.

use std::collections::BTreeMap;

use caraway_ports::{
    drawing::{DrawOp, Drawable, ImageData, Mask, Rop, ScaleMode, Source, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::{
    blend::Dest,
    color::{color_bits, narrow},
    composite::Compositor,
    error::DrawError,
    lanes::{self, Over},
    paint::Painter,
    picture::{Paint, Picture, Selection, Sources},
    region::Region,
    rop::{BinaryOp, Operands, ternary_row},
    scale::{Scaled, Start},
    stroke::{Dashes, Stroke},
    surface::Surface,
    text::Text,
};

/// `alpha_flags`: the alpha of the destination counts and is written.
const DEST_HAS_ALPHA: u8 = 1;
/// `alpha_flags`: the alpha of a source that is a surface counts.
const SRC_SURFACE_HAS_ALPHA: u8 = 2;

/// Executes `drawable` on `surface`, which is not among `others` (what has its number there does not count), with
/// compressed images of at most `max_pixels`; the rectangle around what may have changed.
pub(crate) fn draw(
    surface: &mut Surface,
    others: &BTreeMap<u32, Surface>,
    drawable: &Drawable,
    max_pixels: u64,
) -> Result<Rect, DrawError> {
    let bbox = drawable.bbox;
    let ordered = bbox.left <= bbox.right && bbox.top <= bbox.bottom;
    if !ordered || bbox.left < 0 || bbox.top < 0 || !surface.area().contains(&bbox) {
        return Err(DrawError::Box {
            bbox,
            width: surface.width,
            height: surface.height,
        });
    }
    if bbox.is_empty() {
        return Ok(Rect::default());
    }
    let region = Region::new(bbox, &drawable.clip);
    let sources = Sources {
        own_id: drawable.surface,
        own: surface,
        others,
        max_pixels,
        drawn: region.bounds(),
    };
    let ready = Ready::open(&drawable.op, &bbox, &region, &sources)?;
    Ok(ready.paint(surface, &region))
}

/// An operation whose inputs exist and are consistent.
struct Ready<'s> {
    action: Action<'s>,
    selection: Option<Selection<'s>>,
}

enum Action<'s> {
    Fill(Paint<'s>, BinaryOp),
    Opaque(Scaled<'s>, Paint<'s>, BinaryOp),
    Copy(Scaled<'s>, BinaryOp),
    /// By how much the source lies right of and below the box.
    CopyBits(i32, i32),
    Rop3(Scaled<'s>, Paint<'s>, u8),
    /// Raw key value.
    Transparent(Scaled<'s>, u32),
    AlphaBlend(Scaled<'s>, Dest, u8),
    Text(Text<'s>),
    Stroke(Stroke<'s>),
    Composite(Box<Compositor<'s>>),
}

impl<'s> Ready<'s> {
    fn open(op: &'s DrawOp, bbox: &Rect, region: &Region, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        let mask = mask_of(op);
        let selection = mask.map_or(Ok(None), |mask| Selection::open(mask, bbox, sources))?;
        let action = Action::open(op, bbox, sources)?;
        if let Action::Stroke(stroke) = &action {
            stroke.check(region)?;
        }
        Ok(Self { action, selection })
    }

    /// Draws; the rectangle around what may have changed.
    fn paint(self, surface: &mut Surface, region: &Region) -> Rect {
        let format = surface.format;
        let painter = Painter {
            surface,
            region,
            selection: self.selection,
        };
        match self.action {
            Action::Fill(brush, op) => painter.fill(&brush, op),
            Action::Copy(mut source, op) => painter.copy(&mut source, op),
            Action::CopyBits(dx, dy) => copy_bits(painter.surface, region, dx, dy),
            Action::Opaque(mut source, brush, op) => {
                let mut pixels = vec![0; region.bounds().width() as usize];
                painter.rows(|x, y, values| {
                    if let Some(pixels) = pixels.get_mut(..values.len()) {
                        source.row(x, y, pixels, format);
                        brush.row(x, y, values, format);
                        // The operation's second operand is the source.
                        op.apply_row(values, pixels);
                        values.copy_from_slice(pixels);
                    }
                });
            }
            Action::Rop3(mut source, brush, code) => {
                let mut pattern = vec![0; region.bounds().width() as usize];
                let mut pixels = pattern.clone();
                painter.rows(|x, y, values| {
                    let count = values.len();
                    if let (Some(pattern), Some(pixels)) = (pattern.get_mut(..count), pixels.get_mut(..count)) {
                        brush.row(x, y, pattern, format);
                        source.row(x, y, pixels, format);
                        ternary_row(code, pattern, pixels, values);
                    }
                });
            }
            Action::Transparent(mut source, key) => {
                let significant = color_bits(format);
                painter.zip(
                    |x, y, out| source.row(x, y, out, format),
                    |pixels, values| {
                        for (value, pixel) in values.iter_mut().zip(pixels) {
                            if (*pixel ^ key) & significant != 0 {
                                *value = *pixel;
                            }
                        }
                    },
                );
            }
            Action::AlphaBlend(mut source, dest, factor) => {
                let mut scratch = Vec::new();
                painter.blend(dest, |x, y, pixels, written| {
                    let (source, set) = source.argb_pixels((x, y), pixels.len(), &mut scratch);
                    lanes::over(pixels, source, Over { set, factor, written });
                });
            }
            Action::Text(text) => return text.draw(painter.surface, region),
            Action::Stroke(stroke) => return stroke.draw(painter.surface, region),
            Action::Composite(mut compositor) => compositor.paint(painter, format),
        }
        region.bounds()
    }
}

impl<'s> Action<'s> {
    fn open(op: &'s DrawOp, bbox: &Rect, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        let format = sources.own.format;
        let open_from = |source: &'s Source, scale: ScaleMode, start: Start| -> Result<Scaled<'s>, DrawError> {
            let picture = Picture::open_part(&source.image, &source.area, *bbox, sources)?;
            Scaled::new(
                picture.converted(format, &source.image),
                source.area,
                *bbox,
                (scale, start),
                &sources.drawn,
            )
        };
        let open = |source: &'s Source, scale: ScaleMode| open_from(source, scale, Start::Exact);
        Ok(match op {
            DrawOp::Fill { brush, rop, .. } => {
                let op = BinaryOp::new(*rop, Operands::BRUSH_DEST);
                Self::Fill(Paint::open(brush, sources)?, op)
            }
            DrawOp::Copy { source, rop, .. } | DrawOp::Blend { source, rop, .. } => {
                let op = BinaryOp::new(*rop, Operands::SOURCE_DEST);
                Self::Copy(open(source, source.scale)?, op)
            }
            DrawOp::Opaque { source, brush, rop, .. } => {
                let op = BinaryOp::new(*rop, Operands::BRUSH_SOURCE);
                Self::Opaque(open(source, source.scale)?, Paint::open(brush, sources)?, op)
            }
            DrawOp::CopyBits { src_pos } => copy_offset(*src_pos, bbox, sources.own)?,
            DrawOp::Blackness { .. } => Self::Fill(Paint::Solid(0), BinaryOp::COPY),
            DrawOp::Whiteness { .. } => Self::Fill(Paint::Solid(u32::MAX), BinaryOp::COPY),
            DrawOp::Invers { .. } => {
                let op = BinaryOp::new(Rop(Rop::OP_INVERS), Operands::BRUSH_DEST);
                Self::Fill(Paint::Solid(0), op)
            }
            DrawOp::Rop3 {
                source, brush, rop3, ..
            } => {
                let source = open_from(source, source.scale, Start::Rounded)?;
                Self::Rop3(source, Paint::open(brush, sources)?, *rop3)
            }
            DrawOp::Transparent { source, true_color, .. } => {
                Self::Transparent(open(source, ScaleMode::Nearest)?, key_of(format, *true_color))
            }
            DrawOp::AlphaBlend { source, flags, alpha } => {
                let mut picture = Picture::open_part(&source.image, &source.area, *bbox, sources)?;
                if matches!(source.image.data, ImageData::Surface(_)) && flags & SRC_SURFACE_HAS_ALPHA != 0 {
                    picture = picture.with_alpha();
                }
                let dest = Dest::new(format, flags & DEST_HAS_ALPHA != 0);
                let scaled = Scaled::new(
                    picture,
                    source.area,
                    *bbox,
                    (ScaleMode::Nearest, Start::Exact),
                    &sources.drawn,
                )?;
                Self::AlphaBlend(scaled, dest, *alpha)
            }
            DrawOp::Composite(composite) => Self::Composite(Box::new(Compositor::open(composite, bbox, sources)?)),
            DrawOp::Text {
                glyphs,
                depth,
                back_area,
                fore_brush,
                back_brush,
                ..
            } => Self::Text(Text {
                glyphs,
                depth: *depth,
                back_area: *back_area,
                fore_brush: Paint::open_if_any(fore_brush, sources)?,
                back_brush: Paint::open(back_brush, sources)?,
            }),
            DrawOp::Stroke {
                path,
                style,
                start_with_gap,
                brush,
                fore_mode,
                ..
            } => Self::Stroke(Stroke {
                path,
                dashes: Dashes::new(style, *start_with_gap),
                brush: Paint::open(brush, sources)?,
                mode: *fore_mode,
            }),
        })
    }
}

/// The raw value of the colour that is not drawn; on surfaces of nothing but alpha always 0.
const fn key_of(format: SurfaceFormat, true_color: u32) -> u32 {
    match format {
        SurfaceFormat::A1 | SurfaceFormat::A8 => 0,
        _ => narrow(format, true_color),
    }
}

/// The mask of operations that have one.
const fn mask_of(op: &DrawOp) -> Option<&Mask> {
    match op {
        DrawOp::Fill { mask, .. }
        | DrawOp::Opaque { mask, .. }
        | DrawOp::Copy { mask, .. }
        | DrawOp::Blend { mask, .. }
        | DrawOp::Blackness { mask }
        | DrawOp::Whiteness { mask }
        | DrawOp::Invers { mask }
        | DrawOp::Rop3 { mask, .. } => Some(mask),
        DrawOp::CopyBits { .. }
        | DrawOp::Stroke { .. }
        | DrawOp::Text { .. }
        | DrawOp::Transparent { .. }
        | DrawOp::AlphaBlend { .. }
        | DrawOp::Composite(_) => None,
    }
}

/// Where the pixels of a box come from, if that is inside the surface.
fn copy_offset<'s>(pos: Point, bbox: &Rect, surface: &Surface) -> Result<Action<'s>, DrawError> {
    let (width, height) = (bbox.width(), bbox.height());
    let inside = |at: i32, length: u32, side: u32| {
        at >= 0 && u64::from(at.unsigned_abs()) + u64::from(length) <= u64::from(side)
    };
    if !inside(pos.x, width, surface.width) || !inside(pos.y, height, surface.height) {
        return Err(DrawError::CopySource { pos, width, height });
    }
    Ok(Action::CopyBits(pos.x - bbox.left, pos.y - bbox.top))
}

/// Copies to each pixel of the region the one that lies `dx`, `dy` from it, as all were before.
fn copy_bits(surface: &mut Surface, region: &Region, dx: i32, dy: i32) {
    let bounds = region.bounds();
    let from = bounds.translate(dx, dy);
    if region.is_rect() || from.intersect(&bounds).is_empty() {
        return region.for_each(|rect| surface.copy_within(rect.translate(dx, dy), rect));
    }
    let before = surface.part(&from);
    let mut row = vec![0; bounds.width() as usize];
    region.for_each(|rect| {
        let Some(row) = row.get_mut(..rect.width() as usize) else {
            return;
        };
        for y in rect.top..rect.bottom {
            before.load(
                (rect.left - bounds.left).unsigned_abs(),
                (y - bounds.top).unsigned_abs(),
                row,
            );
            surface.store(rect.left.unsigned_abs(), y.unsigned_abs(), row);
        }
    });
}
