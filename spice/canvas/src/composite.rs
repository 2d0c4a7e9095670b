//! Render-style compositing.

use caraway_ports::{
    drawing::{Composite, Image, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::{
    blend::{Dest, multiply, scaled},
    error::DrawError,
    paint::Painter,
    picture::{Picture, Sources},
    sample::{Filter, Map, Repeat, Sampler},
};

const COMPONENT_ALPHA: u32 = 1 << 18;
const SOURCE_OPAQUE: u32 = 1 << 22;
const MASK_OPAQUE: u32 = 1 << 23;
const DEST_OPAQUE: u32 = 1 << 24;

/// The operators that are known, under their numbers in the Render extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Clear,
    Src,
    Dst,
    Over,
    OverReverse,
    In,
    InReverse,
    Out,
    OutReverse,
    Atop,
    AtopReverse,
    Xor,
    Add,
    Saturate,
}

impl Operator {
    const ALL: [Self; 14] = [
        Self::Clear,
        Self::Src,
        Self::Dst,
        Self::Over,
        Self::OverReverse,
        Self::In,
        Self::InReverse,
        Self::Out,
        Self::OutReverse,
        Self::Atop,
        Self::AtopReverse,
        Self::Xor,
        Self::Add,
        Self::Saturate,
    ];

    fn from_raw(operator: u8) -> Result<Self, DrawError> {
        let known = Self::ALL.get(usize::from(operator)).copied();
        known.ok_or(DrawError::Operator { operator })
    }

    /// What source and destination count, in 255ths, where their alpha is this.
    fn factors(self, source: u32, dest: u32) -> (u32, u32) {
        match self {
            Self::Clear => (0, 0),
            Self::Src => (255, 0),
            Self::Dst => (0, 255),
            Self::Over => (255, 255 - source),
            Self::OverReverse => (255 - dest, 255),
            Self::In => (dest, 0),
            Self::InReverse => (0, source),
            Self::Out => (255 - dest, 0),
            Self::OutReverse => (0, 255 - source),
            Self::Atop => (dest, 255 - source),
            Self::AtopReverse => (255 - dest, source),
            Self::Xor => (255 - dest, 255 - source),
            Self::Add => (255, 255),
            Self::Saturate if source > 255 - dest => (((255 - dest) * 255 + source / 2) / source, 255),
            Self::Saturate => (255, 255),
        }
    }

    /// The result for a source, the alpha of each of its components, and a destination.
    fn apply(self, source: u32, alphas: u32, dest: u32) -> u32 {
        [0, 8, 16, 24].into_iter().fold(0, |all, shift| {
            let pick = |value: u32| (value >> shift) & 255;
            let (of_source, of_dest) = self.factors(pick(alphas), dest >> 24);
            let sum = multiply(pick(source), of_source) + multiply(pick(dest), of_dest);
            all | sum.min(255) << shift
        })
    }
}

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
            match &self.mask {
                Some(mask) => mask.row(x, y, masks),
                None => masks.fill(u32::MAX),
            }
            for ((value, source), mask) in values.iter_mut().zip(sources).zip(masks) {
                let (source, alphas) = self.masked(*source, *mask);
                let result = self.operator.apply(source, alphas, dest.load(*value));
                *value = dest.store(result, *value);
            }
        });
    }

    /// The source in the mask, and the alpha of each of its components.
    fn masked(&self, source: u32, mask: u32) -> (u32, u32) {
        if !self.component_alpha {
            let source = scaled(source, mask >> 24);
            return (source, spread(source >> 24));
        }
        let per_component = [0, 8, 16, 24].into_iter().fold(0, |all, shift| {
            all | multiply((source >> shift) & 255, (mask >> shift) & 255) << shift
        });
        (per_component, scaled(mask, source >> 24))
    }
}

/// The same number in all four components.
const fn spread(component: u32) -> u32 {
    component * 0x0101_0101
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_do_what_render_says_on_opaque_and_clear_operands() {
        let (red, blue) = (0xffff_0000, 0xff00_00ff);
        let apply = |operator: Operator, s: u32, d: u32| operator.apply(s, spread(s >> 24), d);
        // Columns: both opaque, source only, destination only.
        let expected = [
            (Operator::Clear, [0, 0, 0]),
            (Operator::Src, [red, red, 0]),
            (Operator::Dst, [blue, 0, blue]),
            (Operator::Over, [red, red, blue]),
            (Operator::OverReverse, [blue, red, blue]),
            (Operator::In, [red, 0, 0]),
            (Operator::InReverse, [blue, 0, 0]),
            (Operator::Out, [0, red, 0]),
            (Operator::OutReverse, [0, 0, blue]),
            (Operator::Atop, [red, 0, blue]),
            (Operator::AtopReverse, [blue, red, 0]),
            (Operator::Xor, [0, red, blue]),
            (Operator::Add, [0xffff_00ff, red, blue]),
            (Operator::Saturate, [blue, red, blue]),
        ];
        for (operator, results) in expected {
            assert_eq!(apply(operator, red, blue), results[0], "{operator:?} both");
            assert_eq!(apply(operator, red, 0), results[1], "{operator:?} source");
            assert_eq!(apply(operator, 0, blue), results[2], "{operator:?} destination");
        }
    }
}
