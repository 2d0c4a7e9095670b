//! Render-style compositing.

use caraway_ports::{
    drawing::{Composite, Image, SurfaceFormat, Transform},
    geometry::{Point, Rect},
};

use crate::{
    blend::{Dest, multiply, scaled},
    color::OPAQUE,
    error::DrawError,
    paint::Painter,
    picture::{Picture, Sources},
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

/// What lies outside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    None,
    Tile,
    Pad,
    Reflect,
}

impl Repeat {
    /// Of the two bits from `shift` on.
    const fn from_flags(flags: u32, shift: u32) -> Self {
        match (flags >> shift) & 3 {
            0 => Self::None,
            1 => Self::Tile,
            2 => Self::Pad,
            _ => Self::Reflect,
        }
    }

    /// The pixel of a side of `length` that stands at `at`.
    fn place(self, at: i64, length: u32) -> Option<u32> {
        let side = i64::from(length);
        let inside = match self {
            Self::None => at,
            Self::Tile => at.rem_euclid(side),
            Self::Pad => at.clamp(0, side - 1),
            Self::Reflect => {
                let at = at.rem_euclid(2 * side);
                if at < side { at } else { 2 * side - 1 - at }
            }
        };
        u32::try_from(inside).ok().filter(|inside| *inside < length)
    }
}

/// A picture over the plane.
#[derive(Debug)]
struct Plane<'s> {
    picture: Picture<'s>,
    transform: Option<Transform>,
    /// What to add to a place on the surface before the transform.
    offset: (i64, i64),
    repeat: Repeat,
    opaque: bool,
}

impl<'s> Plane<'s> {
    fn open(image: &'s Image, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        Ok(Self {
            picture: Picture::open(image, sources)?,
            transform: None,
            offset: (0, 0),
            repeat: Repeat::None,
            opaque: false,
        })
    }

    fn placed(self, bbox: &Rect, origin: Point, transform: Option<Transform>) -> Self {
        let offset = (
            i64::from(origin.x) - i64::from(bbox.left),
            i64::from(origin.y) - i64::from(bbox.top),
        );
        Self {
            transform,
            offset,
            ..self
        }
    }

    /// The values that pixels of a row of the surface meet.
    fn row(&self, x: u32, y: u32, out: &mut [u32]) {
        let (width, height) = self.picture.size();
        let (left, top) = (i64::from(x) + self.offset.0, i64::from(y) + self.offset.1);
        let inside = left >= 0 && left + out.len() as i64 <= i64::from(width);
        if let (None, true, Some(top)) = (&self.transform, inside, self.repeat.place(top, height)) {
            self.picture.argb_row(left as u32, top, out);
            if self.opaque {
                out.iter_mut().for_each(|value| *value |= OPAQUE);
            }
            return;
        }
        for (at, value) in (x..).zip(out) {
            *value = self.sample(at, y);
        }
    }

    /// The value that a pixel of the surface meets.
    fn sample(&self, x: u32, y: u32) -> u32 {
        let (x, y) = (i64::from(x) + self.offset.0, i64::from(y) + self.offset.1);
        let (x, y) = self.transform.map_or((x, y), |transform| transformed(&transform, x, y));
        let (width, height) = self.picture.size();
        match (self.repeat.place(x, width), self.repeat.place(y, height)) {
            (Some(x), Some(y)) if self.opaque => self.picture.argb_pixel(x, y) | OPAQUE,
            (Some(x), Some(y)) => self.picture.argb_pixel(x, y),
            _ => 0,
        }
    }
}

/// The pixel that the middle of pixel `x`, `y` falls on; on an edge the one before.
fn transformed(transform: &Transform, x: i64, y: i64) -> (i64, i64) {
    let Transform([xx, xy, x0, yx, yy, y0]) = *transform;
    let middle = |at: i64| (i128::from(at) << 16) + 0x8000;
    let (x, y) = (middle(x), middle(y));
    let place = |by_x: i32, by_y: i32, constant: i32| {
        let sum = i128::from(by_x) * x + i128::from(by_y) * y + (i128::from(constant) << 16);
        // Three terms below 2^81 each; 32 bits less leave what fits an i64.
        ((((sum + 0x8000) >> 16) - 1) >> 16) as i64
    };
    (place(xx, xy, x0), place(yx, yy, y0))
}

/// A compositing operation ready to be applied.
#[derive(Debug)]
pub(crate) struct Compositor<'s> {
    operator: Operator,
    source: Plane<'s>,
    mask: Option<Plane<'s>>,
    component_alpha: bool,
    dest_opaque: bool,
}

impl<'s> Compositor<'s> {
    pub(crate) fn open(composite: &'s Composite, bbox: &Rect, sources: &Sources<'s, '_>) -> Result<Self, DrawError> {
        let flags = composite.flags;
        let operator = Operator::from_raw((flags & 0xff) as u8)?;
        let source = Plane::open(&composite.src, sources)?.placed(bbox, composite.src_origin, composite.src_transform);
        let mask = match &composite.mask {
            None => None,
            Some(image) => {
                let mask = Plane::open(image, sources)?.placed(bbox, composite.mask_origin, composite.mask_transform);
                Some(Plane {
                    repeat: Repeat::from_flags(flags, 16),
                    opaque: flags & MASK_OPAQUE != 0,
                    ..mask
                })
            }
        };
        Ok(Self {
            operator,
            source: Plane {
                repeat: Repeat::from_flags(flags, 14),
                opaque: flags & SOURCE_OPAQUE != 0,
                ..source
            },
            mask,
            component_alpha: flags & COMPONENT_ALPHA != 0,
            dest_opaque: flags & DEST_OPAQUE != 0,
        })
    }

    /// Applies it to the pixels of `painter`, whose surface has this format.
    pub(crate) fn paint(&self, painter: Painter<'_, '_>, format: SurfaceFormat) {
        let dest = Dest::new(format, !self.dest_opaque);
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

    #[test]
    fn repeats_find_their_pixel() {
        let places = |repeat: Repeat| [-4, -1, 0, 2, 3, 5, 6].map(|at| repeat.place(at, 3));
        assert_eq!(places(Repeat::None), [None, None, Some(0), Some(2), None, None, None]);
        assert_eq!(places(Repeat::Tile), [2, 2, 0, 2, 0, 2, 0].map(Some));
        assert_eq!(places(Repeat::Pad), [0, 0, 0, 2, 2, 2, 2].map(Some));
        assert_eq!(places(Repeat::Reflect), [2, 0, 0, 2, 2, 0, 0].map(Some));
    }

    #[test]
    fn transforms_map_pixel_middles() {
        let one = 0x1_0000;
        assert_eq!(transformed(&Transform([one, 0, 0, 0, one, 0]), -3, 7), (-3, 7));
        assert_eq!(transformed(&Transform([one / 2, 0, one, 0, 2 * one, 0]), 4, 1), (3, 2));
        assert_eq!(transformed(&Transform([0, -one, 0, one, 0, 0]), 2, 3), (-4, 2));
        let extreme = Transform([i32::MIN; 6]);
        let _ = transformed(&extreme, i64::from(i32::MIN) * 2, i64::from(u32::MAX) * 2);
    }
}
