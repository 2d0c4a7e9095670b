//! A part of a picture brought to a box.

use caraway_ports::{
    drawing::{ScaleMode, SurfaceFormat, Transform},
    geometry::{Point, Rect},
};

use crate::{
    color::{OPAQUE, narrow_row},
    error::DrawError,
    lanes::{self, Pixel},
    picture::Picture,
    sample::{Filter, Map, Repeat, Sampler},
};

/// How the reference client finds where a scaled part begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Where it says.
    Exact,
    /// At a whole number of pixels of the box, as for ternary raster operations.
    Rounded,
}

/// A part of a picture, of the size of the box or scaled to it.
#[derive(Debug)]
pub(crate) enum Scaled<'s> {
    /// One to one.
    Same {
        picture: Picture<'s>,
        /// What to add to a place on the surface for the place in the picture.
        offset: (i64, i64),
    },
    Sampled(Box<Sampler<'s>>),
}

impl<'s> Scaled<'s> {
    /// `area` of `picture` in the box `to`, which holds a pixel, and of it the part `drawn`. What interpolation reads around
    /// the area is the rest of the picture, and nothing beyond its edge.
    pub(crate) fn new(
        picture: Picture<'s>,
        area: Rect,
        to: Rect,
        (mode, start): (ScaleMode, Start),
        drawn: &Rect,
    ) -> Result<Self, DrawError> {
        picture.check_area(&area)?;
        let (at, from) = (Point::new(to.left, to.top), Point::new(area.left, area.top));
        if (area.width(), area.height()) == (to.width(), to.height()) {
            let Map { offset, .. } = Map::new(at, from, None);
            return Ok(Self::Same { picture, offset });
        }
        let x = Axis::new(area.left, area.width(), to.width(), start);
        let y = Axis::new(area.top, area.height(), to.height(), start);
        let matrix = Transform([x.step, 0, x.constant, 0, y.step, y.constant]);
        let map = Map::new(at, Point::new(x.origin, y.origin), Some(matrix));
        let filter = match mode {
            ScaleMode::Nearest => Filter::Nearest,
            ScaleMode::Interpolate => Filter::Bilinear,
        };
        let sampler = Sampler::new(picture, map, (filter, Repeat::None), false, drawn);
        Ok(Self::Sampled(Box::new(sampler)))
    }

    /// Raw values for a surface of format `dest`, at row `y` of the surface from column `x` on, inside the box. Scaled
    /// pixels without alpha are opaque, and leave the unused byte 0.
    pub(crate) fn row(&mut self, x: u32, y: u32, out: &mut [u32], dest: SurfaceFormat) {
        match self {
            Self::Same { picture, offset } => {
                let (x, y) = shifted(x, y, *offset);
                picture.raw_row(x, y, out, dest);
            }
            Self::Sampled(sampler) => {
                sampler.row(x, y, out);
                if dest == SurfaceFormat::Xrgb {
                    out.iter_mut().for_each(|value| *value &= !OPAQUE);
                }
                narrow_row(dest, out);
            }
        }
    }

    /// `count` pixels for a surface of 32 bits, of format `dest`, as [`row`](Self::row), and the bits that count; `scratch`
    /// is used when they are not stored just so.
    pub(crate) fn raw_pixels<'a>(
        &'a mut self,
        (x, y): (u32, u32),
        count: usize,
        dest: SurfaceFormat,
        scratch: &'a mut Vec<u32>,
    ) -> (&'a [Pixel], u32) {
        // Asked twice, since what is found is borrowed for good.
        if self.same_bytes(x, y, count as u32, dest).is_some() {
            let bytes = self.same_bytes(x, y, count as u32, dest);
            return (bytes.map_or(&[], |bytes| bytes.as_chunks().0), u32::MAX);
        }
        match self {
            Self::Same { picture, offset } => {
                let (x, y) = shifted(x, y, *offset);
                scratch.resize(count, 0);
                picture.raw_row(x, y, scratch, dest);
                (lanes::pixels(scratch), u32::MAX)
            }
            Self::Sampled(sampler) => {
                // Nothing has to be set: a sampler with a transform has done so.
                let (pixels, _) = sampler.pixels((x, y), count, scratch);
                (pixels, if dest == SurfaceFormat::Xrgb { !OPAQUE } else { u32::MAX })
            }
        }
    }

    /// Premultiplied pixels with a meaningful alpha, once the given bits are set in them; `scratch` is used when they are
    /// not stored just so.
    pub(crate) fn argb_pixels<'a>(
        &'a mut self,
        (x, y): (u32, u32),
        count: usize,
        scratch: &'a mut Vec<u32>,
    ) -> (&'a [Pixel], u32) {
        match self {
            Self::Same { picture, offset } => picture.argb_pixels(shifted(x, y, *offset), count, scratch),
            Self::Sampled(sampler) => sampler.pixels((x, y), count, scratch),
        }
    }

    /// The bytes of `count` pixels when a surface of format `dest` would store just the same.
    pub(crate) fn same_bytes(&self, x: u32, y: u32, count: u32, dest: SurfaceFormat) -> Option<&[u8]> {
        match self {
            Self::Same { picture, offset } => {
                let (x, y) = shifted(x, y, *offset);
                picture.same_bytes(x, y, count, dest)
            }
            Self::Sampled(_) => None,
        }
    }
}

/// A place inside the box in the picture.
fn shifted(x: u32, y: u32, offset: (i64, i64)) -> (u32, u32) {
    let shift = |at: u32, by: i64| u32::try_from(i64::from(at) + by).unwrap_or(0);
    (shift(x, offset.0), shift(y, offset.1))
}

/// One axis of a scale.
struct Axis {
    /// Source pixels for one of the box, 16.16.
    step: i32,
    /// Added after the step, 16.16.
    constant: i32,
    /// Added before it, in pixels of the box.
    origin: i32,
}

impl Axis {
    /// `length` pixels from `first` on, in `to` pixels.
    fn new(first: i32, length: u32, to: u32, start: Start) -> Self {
        // Sides have 13 bits, images at most 16: steps beyond saturate, and are refused by no one because none can be.
        let step = i32::try_from((u64::from(length) << 16) / u64::from(to.max(1))).unwrap_or(i32::MAX);
        match start {
            Start::Exact => Self {
                step,
                constant: first.saturating_mul(1 << 16),
                origin: 0,
            },
            Start::Rounded => Self {
                step,
                constant: 0,
                // In the numbers the reference client uses, since halves decide.
                origin: (f64::from(first) / (f64::from(length) / f64::from(to)) + 0.5).floor() as i32,
            },
        }
    }
}
