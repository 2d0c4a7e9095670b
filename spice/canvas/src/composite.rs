//! Render-style compositing.

use caraway_ports::{
    drawing::{Composite, Image, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::{
    blend::Dest,
    error::DrawError,
    operator::Operator,
    paint::Painter,
    picture::{Picture, Sources},
    sample::{Filter, Map, Repeat, Sampler},
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
            Ok(Sampler {
                picture: if flags & opaque != 0 {
                    picture.converted(sources.own.format, image)
                } else {
                    picture.converted_without_alpha(sources.own.format, image)
                },
                map,
                filter: Filter::from_flags(flags, shifts.0),
                repeat: Repeat::from_flags(flags, shifts.1),
                opaque: flags & opaque != 0,
            })
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
    pub(crate) fn paint(&self, painter: Painter<'_, '_>, format: SurfaceFormat) {
        let dest = Dest::new(format, false);
        let dest = if self.dest_opaque { dest.opaque() } else { dest };
        let mut sources = vec![0; painter.region.bounds().width() as usize];
        let mut masks = sources.clone();
        painter.rows(|x, y, values| {
            let count = values.len();
            let (Some(sources), Some(masks)) = (sources.get_mut(..count), masks.get_mut(..count)) else {
                return;
            };
            self.source.row(x, y, sources);
            if let Some(mask) = &self.mask {
                mask.row(x, y, masks);
            }
            for ((value, source), mask) in values.iter_mut().zip(sources).zip(masks) {
                let mask = self.mask.as_ref().map(|_| *mask);
                let result = self
                    .operator
                    .apply(*source, mask, self.component_alpha, dest.load(*value));
                *value = dest.store(result, *value);
            }
        });
    }
}
