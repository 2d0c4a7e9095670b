//! Render-style compositing.

use caraway_ports::{
    drawing::{Composite, Image, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::{
    blend::Dest,
    error::DrawError,
    lanes::{self, Over},
    operator::Operator,
    paint::Painter,
    picture::{Picture, Sources},
    sample::{Alphas, Filter, Map, Repeat, Sampler},
};

const COMPONENT_ALPHA: u32 = 1 << 18;
const SOURCE_OPAQUE: u32 = 1 << 22;
const MASK_OPAQUE: u32 = 1 << 23;
const DEST_OPAQUE: u32 = 1 << 24;

/// A compositing operation ready to be applied.
#[derive(Debug)]
pub(crate) struct Compositor<'s> {
    operator: Operator,
    source: Sampler<'s>,
    mask: Option<Sampler<'s>>,
    component_alpha: bool,
    dest_opaque: bool,
}

impl<'s> Compositor<'s> {
    pub(crate) fn open(composite: &'s Composite, bbox: &Rect, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        let flags = composite.flags;
        let operator = Operator::from_raw((flags & 0xff) as u8)?;
        let at = Point::new(bbox.left, bbox.top);
        let open = |image: &'s Image, map: Map, shifts: (u32, u32), opaque: u32| -> Result<Sampler<'s>, DrawError> {
            let picture = Picture::open(image, sources)?;
            let opaque = flags & opaque != 0;
            let picture = if opaque {
                picture.converted(sources.own.format, image)
            } else {
                picture.converted_without_alpha(sources.own.format, image)
            };
            let reading = (Filter::from_flags(flags, shifts.0), Repeat::from_flags(flags, shifts.1));
            Ok(Sampler::new(picture, map, reading, opaque, &sources.drawn))
        };
        let map = Map::new(at, composite.src_origin, composite.src_transform);
        let source = open(&composite.src, map, (8, 14), SOURCE_OPAQUE)?;
        let map = Map::new(at, composite.mask_origin, composite.mask_transform);
        let mask = composite.mask.as_ref();
        Ok(Self {
            operator,
            source,
            mask: mask.map(|mask| open(mask, map, (11, 16), MASK_OPAQUE)).transpose()?,
            component_alpha: flags & COMPONENT_ALPHA != 0,
            dest_opaque: flags & DEST_OPAQUE != 0,
        })
    }

    /// Applies it to the pixels of `painter`, whose surface has this format.
    pub(crate) fn paint(&mut self, painter: Painter<'_, '_>, format: SurfaceFormat) {
        let dest = Dest::new(format, false);
        let dest = if self.dest_opaque { dest.opaque() } else { dest };
        if self.operator.is_over() && !self.component_alpha {
            self.lay_over(painter, dest);
        } else {
            self.combine(painter, dest);
        }
    }

    /// What is asked for most.
    fn lay_over(&mut self, painter: Painter<'_, '_>, dest: Dest) {
        let (mut scratch, mut masks) = (Vec::new(), Alphas::default());
        painter.blend(dest, |x, y, pixels, written| {
            let count = pixels.len();
            let Some(mask) = &mut self.mask else {
                let (source, set) = self.source.pixels((x, y), count, &mut scratch);
                return lanes::over(pixels, source, Over::plain(set, written));
            };
            let (source, set) = self.source.pixels((x, y), count, &mut scratch);
            let mask = mask.alphas((x, y), count, &mut masks);
            lanes::over_in_mask(pixels, source, mask, Over::plain(set, written));
        });
    }

    fn combine(&mut self, painter: Painter<'_, '_>, dest: Dest) {
        let width = painter.region.bounds().width() as usize;
        let mut sources = vec![0; width];
        let mut wide = vec![0; width];
        let mut masks = vec![0; if self.mask.is_some() { width } else { 0 }];
        painter.rows(|x, y, values| {
            let count = values.len();
            let (Some(sources), Some(wide)) = (sources.get_mut(..count), wide.get_mut(..count)) else {
                return;
            };
            self.source.row(x, y, sources);
            let masks = self.mask.as_mut().and_then(|mask| {
                let masks = masks.get_mut(..count)?;
                mask.row(x, y, masks);
                Some(masks)
            });
            wide.copy_from_slice(values);
            dest.widen(wide);
            self.operator.apply_row(sources, masks, self.component_alpha, wide);
            dest.narrow(wide, values);
            values.copy_from_slice(wide);
        });
    }
}
