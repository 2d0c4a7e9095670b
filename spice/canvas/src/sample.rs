//! Reading a picture at the places an affine map sends pixels of a surface to.

use caraway_ports::{
    drawing::Transform,
    geometry::{Point, Rect},
};

use crate::{
    color::OPAQUE,
    lanes::{self, Pixel},
    picture::Picture,
    scaler::Scaler,
};

/// 1 in 16.16 fixed point.
const ONE: i64 = 1 << 16;

/// Places beyond this (16.16) are moved to it, so that no arithmetic overflows. No picture reaches as far.
const FAR: i128 = 1 << 60;

/// What lies outside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: 0, alpha included.
    None,
    Tile,
    Pad,
    Reflect,
}

impl Repeat {
    /// Of the two bits from `shift` on.
    pub(crate) const fn from_flags(flags: u32, shift: u32) -> Self {
        match (flags >> shift) & 3 {
            0 => Self::None,
            1 => Self::Tile,
            2 => Self::Pad,
            _ => Self::Reflect,
        }
    }

    /// The pixel of a side of `length` that stands at `at`.
    pub(crate) fn place(self, at: i64, length: u32) -> Option<u32> {
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

/// How many pixels around a place count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Nearest,
    /// Four, by weights of seven bits for each axis.
    Bilinear,
}

impl Filter {
    /// Of the three bits from `shift` on, by pixman's numbers: FAST and NEAREST are the one, GOOD, BEST and BILINEAR
    /// the other.
    pub(crate) const fn from_flags(flags: u32, shift: u32) -> Self {
        match (flags >> shift) & 7 {
            0 | 3 => Self::Nearest,
            _ => Self::Bilinear,
        }
    }

    /// Of the pixels that count at a place (16.16) along an axis the first, and how much the next one does, in 128ths.
    pub(crate) const fn first(self, at: i64) -> (i64, u8) {
        match self {
            // The pixel the place lies in; on an edge the one before.
            Self::Nearest => ((at - 1) >> 16, 0),
            Self::Bilinear => {
                let at = at - ONE / 2;
                (at >> 16, (at >> 9 & 0x7f) as u8)
            }
        }
    }
}

/// Where the pixels of a surface lie in a picture: a shift by whole pixels, then a matrix of 16.16 numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    /// What to add to a place on the surface.
    pub(crate) offset: (i64, i64),
    /// `None`: the place itself.
    pub(crate) transform: Option<Transform>,
}

impl Map {
    /// The point that falls on `origin` is `at` of the surface.
    pub(crate) fn new(at: Point, origin: Point, transform: Option<Transform>) -> Self {
        Self {
            offset: (
                i64::from(origin.x) - i64::from(at.x),
                i64::from(origin.y) - i64::from(at.y),
            ),
            transform,
        }
    }

    /// Whether it is a matrix that leaves the axes what they are.
    pub(crate) const fn only_scales(&self) -> bool {
        matches!(self.transform, Some(Transform([_, 0, _, 0, _, _])))
    }

    /// Where the middle of a pixel falls, 16.16, rounded to the nearest, and how far from it that of the next one to
    /// the right.
    pub(crate) fn place(&self, x: u32, y: u32) -> ((i64, i64), (i64, i64)) {
        let (x, y) = (i64::from(x) + self.offset.0, i64::from(y) + self.offset.1);
        let middle = |at: i64| (i128::from(at) << 16) + 0x8000;
        let (x, y) = (middle(x), middle(y));
        let held = |value: i128| value.clamp(-FAR, FAR) as i64;
        let Some(Transform([xx, xy, x0, yx, yy, y0])) = self.transform else {
            return ((held(x), held(y)), (ONE, 0));
        };
        let mapped = |by_x: i32, by_y: i32, constant: i32| {
            let sum = i128::from(by_x) * x + i128::from(by_y) * y + (i128::from(constant) << 16);
            held((sum + 0x8000) >> 16)
        };
        ((mapped(xx, xy, x0), mapped(yx, yy, y0)), (i64::from(xx), i64::from(yx)))
    }
}

/// Memory for the alphas of a row that are not just so in a picture.
#[derive(Debug, Default)]
pub(crate) struct Alphas {
    alphas: Vec<u8>,
    values: Vec<u32>,
}

/// A picture over the plane.
#[derive(Debug)]
pub(crate) struct Sampler<'s> {
    picture: Picture<'s>,
    map: Map,
    filter: Filter,
    repeat: Repeat,
    /// Whether the alpha of the picture is taken as full.
    opaque: bool,
    scaler: Option<Scaler>,
}

impl<'s> Sampler<'s> {
    /// For the pixels of `drawn`, a part of a surface.
    pub(crate) fn new(
        picture: Picture<'s>,
        map: Map,
        (filter, repeat): (Filter, Repeat),
        opaque: bool,
        drawn: &Rect,
    ) -> Self {
        let (width, _) = picture.size();
        let scaler = Scaler::new(&map, (filter, repeat), opaque, width, drawn);
        Self {
            picture,
            map,
            filter,
            repeat,
            opaque,
            scaler,
        }
    }

    /// The premultiplied values that pixels of row `y` of the surface meet from column `x` on.
    pub(crate) fn row(&mut self, x: u32, y: u32, out: &mut [u32]) {
        if self.plain_row(x, y, out) {
            return;
        }
        if self.is_scaled(out.len()) {
            let line = self.scaled(x, y, out.len());
            return out
                .iter_mut()
                .zip(line)
                .for_each(|(value, pixel)| *value = u32::from_le_bytes(*pixel));
        }
        let ((mut at_x, mut at_y), step) = self.map.place(x, y);
        for value in out {
            *value = match self.filter {
                Filter::Nearest => self.pixel(self.filter.first(at_x).0, self.filter.first(at_y).0),
                Filter::Bilinear => self.interpolated(at_x, at_y),
            };
            at_x += step.0;
            at_y += step.1;
        }
    }

    /// As [`row`](Self::row), for `count` pixels, with bits that are to be set in each; `scratch` is used when they are
    /// not just so in the picture.
    pub(crate) fn pixels<'a>(
        &'a mut self,
        (x, y): (u32, u32),
        count: usize,
        scratch: &'a mut Vec<u32>,
    ) -> (&'a [Pixel], u32) {
        if let Some(place) = self.plain(x, y, count)
            && self.picture.are_pixels()
        {
            let (pixels, set) = self.picture.argb_pixels(place, count, scratch);
            return (pixels, if self.opaque { OPAQUE } else { set });
        }
        if self.is_scaled(count) {
            return (self.scaled(x, y, count), 0);
        }
        scratch.resize(count, 0);
        self.row(x, y, scratch);
        (lanes::pixels(scratch), 0)
    }

    /// The alphas of [`pixels`](Self::pixels).
    pub(crate) fn alphas<'a>(&'a mut self, (x, y): (u32, u32), count: usize, scratch: &'a mut Alphas) -> &'a [u8] {
        if !self.opaque
            && let Some((left, top)) = self.plain(x, y, count)
            && self.picture.are_alphas()
        {
            return self.picture.stored_alphas(left, top, count);
        }
        let (pixels, set) = self.pixels((x, y), count, &mut scratch.values);
        let [.., set] = set.to_le_bytes();
        scratch.alphas.clear();
        scratch.alphas.extend(pixels.iter().map(|[.., alpha]| alpha | set));
        &scratch.alphas
    }

    /// Whether `count` pixels of a row are read by way of whole rows of the picture.
    fn is_scaled(&self, count: usize) -> bool {
        self.scaler.as_ref().is_some_and(|scaler| scaler.pays(count))
    }

    /// A row of a picture that is only scaled, and none when it is not.
    fn scaled(&mut self, x: u32, y: u32, count: usize) -> &[Pixel] {
        let ((_, at), _) = self.map.place(x, y);
        let (row, weight) = self.filter.first(at);
        let (_, height) = self.picture.size();
        let (top, bottom) = (self.repeat.place(row, height), self.repeat.place(row + 1, height));
        match (&mut self.scaler, self.filter) {
            (None, _) => &[],
            (Some(scaler), Filter::Nearest) => scaler.nearest(&self.picture, top, x, count),
            (Some(scaler), Filter::Bilinear) => scaler.mixed(&self.picture, (top, bottom, weight), x, count),
        }
    }

    /// Where a row lies that is one of the picture.
    fn plain(&self, x: u32, y: u32, count: usize) -> Option<(u32, u32)> {
        if self.map.transform.is_some() {
            return None;
        }
        let (width, height) = self.picture.size();
        let (left, top) = (i64::from(x) + self.map.offset.0, i64::from(y) + self.map.offset.1);
        let inside = left >= 0 && left + count as i64 <= i64::from(width);
        let top = self.repeat.place(top, height)?;
        inside.then_some((left as u32, top))
    }

    /// A row that is one of the picture; false when it is not.
    fn plain_row(&self, x: u32, y: u32, out: &mut [u32]) -> bool {
        let Some((left, top)) = self.plain(x, y, out.len()) else {
            return false;
        };
        self.picture.argb_row(left, top, out);
        if self.opaque {
            out.iter_mut().for_each(|value| *value |= OPAQUE);
        }
        true
    }

    /// The value of a pixel, or of what stands for it.
    fn pixel(&self, x: i64, y: i64) -> u32 {
        let (width, height) = self.picture.size();
        match (self.repeat.place(x, width), self.repeat.place(y, height)) {
            (Some(x), Some(y)) if self.opaque => self.picture.argb_pixel(x, y) | OPAQUE,
            (Some(x), Some(y)) => self.picture.argb_pixel(x, y),
            _ => 0,
        }
    }

    /// The weighted mean of the four pixels around a place (16.16), each component for itself.
    fn interpolated(&self, x: i64, y: i64) -> u32 {
        let ((left, wx), (top, wy)) = (Filter::Bilinear.first(x), Filter::Bilinear.first(y));
        let (wx, wy) = (u32::from(wx), u32::from(wy));
        let corners = [
            (self.pixel(left, top), (128 - wx) * (128 - wy)),
            (self.pixel(left + 1, top), wx * (128 - wy)),
            (self.pixel(left, top + 1), (128 - wx) * wy),
            (self.pixel(left + 1, top + 1), wx * wy),
        ];
        [0, 8, 16, 24].into_iter().fold(0, |all, shift| {
            let sum: u32 = corners
                .iter()
                .map(|(pixel, weight)| ((pixel >> shift) & 255) * weight)
                .sum();
            all | ((sum >> 14) << shift)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let nearest = |matrix: [i32; 6], x: i32, y: i32| {
            let map = Map::new(Point::default(), Point::new(x, y), Some(Transform(matrix)));
            let ((x, y), _) = map.place(0, 0);
            ((x - 1) >> 16, (y - 1) >> 16)
        };
        assert_eq!(nearest([one, 0, 0, 0, one, 0], -3, 7), (-3, 7));
        assert_eq!(nearest([one / 2, 0, one, 0, 2 * one, 0], 4, 1), (3, 2));
        assert_eq!(nearest([0, -one, 0, one, 0, 0], 2, 3), (-4, 2));
        let extreme = Map::new(
            Point::new(i32::MIN, 0),
            Point::new(0, 0),
            Some(Transform([i32::MIN; 6])),
        );
        let _ = extreme.place(u32::MAX, u32::MAX);
    }
}
