//! A part of a picture brought to a box.

use caraway_ports::{
    drawing::{ScaleMode, SurfaceFormat},
    geometry::Rect,
};

use crate::{color::narrow, error::DrawError, picture::Picture};

/// Where a column or row of the box lies in the source area: 16.16 fixed point, the middle of the pixel.
#[derive(Clone, Copy, Debug)]
struct Axis {
    /// Place of the first box pixel on the surface.
    start: u32,
    /// First pixel of the source area.
    source: u32,
    /// Pixels of the source area.
    length: u32,
    /// Source pixels for one of the box, 16.16.
    step: u64,
}

impl Axis {
    const fn new(start: i32, to: u32, source: i32, length: u32) -> Self {
        Self {
            start: start.unsigned_abs(),
            source: source.unsigned_abs(),
            length,
            step: ((length as u64) << 16) / (if to == 0 { 1 } else { to as u64 }),
        }
    }

    /// Middle of box pixel `at`, from the begin of the source area.
    fn middle(&self, at: u32) -> u64 {
        let index = u64::from(at.saturating_sub(self.start));
        index * self.step + self.step.div_ceil(2)
    }

    /// The source pixel that covers the middle; on an edge the one before.
    fn nearest(&self, at: u32) -> u32 {
        let index = (self.middle(at).saturating_sub(1) >> 16).min(u64::from(self.length - 1));
        self.source + index as u32
    }

    /// The two source pixels around the middle, and the weight of the second in 128ths. At the edge of the area both
    /// are the outermost.
    fn around(&self, at: u32) -> (u32, u32, u32) {
        let last = u64::from(self.length - 1);
        let Some(place) = self.middle(at).checked_sub(0x8000) else {
            return (self.source, self.source, 0);
        };
        let (first, weight) = (place >> 16, (place >> 9) & 0x7f);
        let pick = |index: u64| self.source + index.min(last) as u32;
        (pick(first), pick(first + 1), weight as u32)
    }
}

/// A part of a picture, of the size of the box or scaled to it.
#[derive(Debug)]
pub(crate) struct Scaled<'s> {
    picture: Picture<'s>,
    x: Axis,
    y: Axis,
    /// `None`: one to one.
    mode: Option<ScaleMode>,
}

impl<'s> Scaled<'s> {
    /// `area` of `picture` in the box `to`, which holds a pixel.
    pub(crate) fn new(picture: Picture<'s>, area: Rect, to: Rect, mode: ScaleMode) -> Result<Self, DrawError> {
        picture.check_area(&area)?;
        let same = (area.width(), area.height()) == (to.width(), to.height());
        Ok(Self {
            picture,
            x: Axis::new(to.left, to.width(), area.left, area.width()),
            y: Axis::new(to.top, to.height(), area.top, area.height()),
            mode: (!same).then_some(mode),
        })
    }

    /// Raw values for a surface of format `dest`, at row `y` of the surface from column `x` on, inside the box.
    pub(crate) fn row(&self, x: u32, y: u32, out: &mut [u32], dest: SurfaceFormat) {
        match self.mode {
            None => self.picture.raw_row(self.x.nearest(x), self.y.nearest(y), out, dest),
            Some(ScaleMode::Nearest) => {
                let from = self.y.nearest(y);
                for (at, value) in (x..).zip(out) {
                    *value = self.picture.raw_pixel(self.x.nearest(at), from, dest);
                }
            }
            Some(ScaleMode::Interpolate) => {
                let wide = if matches!(dest, SurfaceFormat::A1 | SurfaceFormat::A8) {
                    SurfaceFormat::Argb
                } else {
                    SurfaceFormat::Xrgb
                };
                for (at, value) in (x..).zip(out) {
                    *value = narrow(dest, self.interpolated(at, y, wide));
                }
            }
        }
    }

    /// Premultiplied values with a meaningful alpha, of the nearest pixels.
    pub(crate) fn argb_row(&self, x: u32, y: u32, out: &mut [u32]) {
        let from = self.y.nearest(y);
        if self.mode.is_none() {
            return self.picture.argb_row(self.x.nearest(x), from, out);
        }
        for (at, value) in (x..).zip(out) {
            *value = self.picture.argb_pixel(self.x.nearest(at), from);
        }
    }

    /// The bytes of `count` pixels when a surface of format `dest` would store just the same.
    pub(crate) fn same_bytes(&self, x: u32, y: u32, count: u32, dest: SurfaceFormat) -> Option<&[u8]> {
        match self.mode {
            None => {
                let (x, y) = (self.x.nearest(x), self.y.nearest(y));
                self.picture.same_bytes(x, y, count, dest)
            }
            Some(_) => None,
        }
    }

    /// The weighted mean of the four pixels around the middle of a box pixel, each byte for itself.
    fn interpolated(&self, x: u32, y: u32, wide: SurfaceFormat) -> u32 {
        let (left, right, wx) = self.x.around(x);
        let (top, bottom, wy) = self.y.around(y);
        let fetch = |x, y| {
            if wide == SurfaceFormat::Argb {
                self.picture.argb_pixel(x, y)
            } else {
                self.picture.raw_pixel(x, y, wide)
            }
        };
        let corners = [
            (fetch(left, top), (128 - wx) * (128 - wy)),
            (fetch(right, top), wx * (128 - wy)),
            (fetch(left, bottom), (128 - wx) * wy),
            (fetch(right, bottom), wx * wy),
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
