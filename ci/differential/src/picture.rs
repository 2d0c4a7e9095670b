//! Random images, brushes and masks.

use std::sync::Arc;

use bytes::Bytes;
use caraway_image::quic;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, Brush, Image, ImageData, Mask, Palette, Rop, ScaleMode, Source, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::{cell::Masked, chance::Chance};

/// A surface that commands draw on or read.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub id: u32,
    pub format: SurfaceFormat,
    pub width: u32,
    pub height: u32,
}

/// What commands are made of.
#[derive(Debug)]
pub struct Maker<'a> {
    pub chance: Chance,
    pub places: &'a [Place],
    /// Of the surface drawn on.
    pub format: SurfaceFormat,
}

const BITMAPS: [BitmapFormat; 10] = [
    BitmapFormat::Bit1Le,
    BitmapFormat::Bit1Be,
    BitmapFormat::Bit4Le,
    BitmapFormat::Bit4Be,
    BitmapFormat::Bit8,
    BitmapFormat::Bit16,
    BitmapFormat::Bit24,
    BitmapFormat::Bit32,
    BitmapFormat::Rgba,
    BitmapFormat::Bit8A,
];

/// Longest side of an image.
const SIDE: u32 = 44;

impl Maker<'_> {
    /// Bytes of pixels: noise, or a few values, so that some images compress.
    fn content(&mut self, length: usize) -> Vec<u8> {
        let few: Vec<u8> = (0..4).map(|_| self.chance.bits() as u8).collect();
        let noisy = self.chance.percent(60);
        (0..length)
            .map(|_| {
                let value = self.chance.bits();
                match few.get(value as usize >> 8 & 3) {
                    Some(one) if !noisy => *one,
                    _ => value as u8,
                }
            })
            .collect()
    }

    /// 32-bit pixels whose colours are at most their alpha; now and then, and with garbage, not.
    fn alpha_content(&mut self, pixels: usize) -> Vec<u8> {
        if self.chance.percent(15) {
            return self.content(pixels * 4);
        }
        let mut data = Vec::with_capacity(pixels * 4);
        for _ in 0..pixels {
            let [b, g, r, a] = self.chance.bits().to_le_bytes();
            let alpha = match a % 8 {
                0 => 0,
                1 | 2 => 255,
                _ => self.chance.bits() as u8,
            };
            let times = |value: u8| (u16::from(value) * u16::from(alpha) / 255) as u8;
            data.extend([times(b), times(g), times(r), alpha]);
        }
        data
    }

    /// First content of a surface.
    pub fn pixels(&mut self, place: &Place) -> Pixels {
        let Place {
            format, width, height, ..
        } = *place;
        let stride = u32::try_from(format.row_bytes(width)).unwrap_or(0);
        let data = if format == SurfaceFormat::Argb {
            self.alpha_content(width as usize * height as usize)
        } else {
            self.content(stride as usize * height as usize)
        };
        Pixels {
            format,
            width,
            height,
            stride,
            data: Bytes::from(data),
        }
    }

    /// A bitmap of at least this size.
    fn bitmap(&mut self, format: BitmapFormat, least: (u32, u32)) -> Bitmap {
        let width = self.chance.size(least.0..=SIDE.max(least.0));
        let height = self.chance.size(least.1..=SIDE.max(least.1));
        let row = u32::try_from(format.row_bytes(width)).unwrap_or(0);
        let stride = if format == BitmapFormat::Rgba || self.chance.percent(50) {
            row.next_multiple_of(4)
        } else {
            row + self.chance.size(0..=9)
        };
        let data = if format == BitmapFormat::Rgba {
            self.alpha_content(width as usize * height as usize)
        } else {
            self.content(stride as usize * height as usize)
        };
        let palette = format.has_palette().then(|| {
            let all = 1 << format.bits_per_pixel();
            let entries = if self.chance.percent(80) {
                all
            } else {
                self.chance.size(1..=all)
            };
            Arc::new(Palette {
                unique: u64::from(self.chance.bits()),
                entries: (0..entries).map(|_| self.chance.bits()).collect(),
            })
        });
        Bitmap {
            format,
            width,
            height,
            stride,
            top_down: self.chance.percent(70),
            palette,
            data: data.into(),
        }
    }

    /// An image of at least this size. `masks` may be read as 1-bit surfaces, too.
    pub fn image(&mut self, least: (u32, u32)) -> Image {
        let fits = |place: &Place| place.width >= least.0 && place.height >= least.1;
        if self.chance.percent(30) {
            let mut fitting: Vec<Place> = self.places.iter().copied().filter(fits).collect();
            // Surfaces of other formats are images of which few clients can be told.
            if self.chance.percent(60) {
                fitting.retain(|place| place.format == self.format);
            }
            if let Some(place) = self.chance.one(&fitting) {
                return self.surface_image(&place);
            }
        }
        let format = if self.format == SurfaceFormat::A8 && self.chance.percent(70) {
            self.chance.one(&[BitmapFormat::Rgba, BitmapFormat::Bit8A])
        } else {
            self.chance.one(&BITMAPS)
        };
        let format = format.unwrap_or(BitmapFormat::Bit32);
        let bitmap = self.bitmap(format, least);
        let high_bits_set = format == BitmapFormat::Bit32 && self.chance.percent(30);
        let (width, height) = (bitmap.width, bitmap.height);
        let quic = if self.chance.percent(15) {
            quic::encode_bitmap(&bitmap).ok()
        } else {
            None
        };
        let data = match quic {
            Some(stream) => ImageData::Quic(stream.into()),
            None => ImageData::Bitmap(Arc::new(bitmap)),
        };
        Image {
            id: u64::from(self.chance.bits()),
            cache: self.chance.percent(30),
            high_bits_set,
            width,
            height,
            data,
        }
    }

    /// A surface as an image.
    pub fn surface_image(&mut self, place: &Place) -> Image {
        Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width: place.width,
            height: place.height,
            data: ImageData::Surface(place.id),
        }
    }

    /// A part of an image for a box, of its size or scaled.
    pub fn source(&mut self, bbox: &Rect, may_scale: bool) -> Source {
        let scaled = may_scale && self.chance.percent(45);
        let (width, height) = if scaled {
            (self.chance.size(1..=SIDE), self.chance.size(1..=SIDE))
        } else {
            (bbox.width(), bbox.height())
        };
        let image = self.image((width, height));
        let area = self.inside(image.width, image.height, width, height);
        let scale = if self.chance.percent(50) {
            ScaleMode::Nearest
        } else {
            ScaleMode::Interpolate
        };
        Source { image, area, scale }
    }

    /// A rectangle of a size somewhere in an area of a size.
    pub fn inside(&mut self, width: u32, height: u32, of_width: u32, of_height: u32) -> Rect {
        let room = |all: u32, part: u32| all.saturating_sub(part).cast_signed();
        let (x, y) = (room(width, of_width), room(height, of_height));
        let at = (self.chance.int(0..=x), self.chance.int(0..=y));
        Rect::at(at.0, at.1, of_width.min(width), of_height.min(height))
    }

    /// A point around the origin, or now and then one as far from it as numbers reach.
    pub fn offset(&mut self, far: i32) -> Point {
        if self.chance.percent(2) {
            let extremes = [i32::MIN, i32::MIN + 1, -70_000, 70_000, i32::MAX - 1, i32::MAX];
            let mut any = || self.chance.one(&extremes).unwrap_or(0);
            return Point::new(any(), any());
        }
        Point::new(self.chance.int(-far..=far), self.chance.int(-far..=far))
    }

    /// A brush.
    pub fn brush(&mut self) -> Brush {
        match self.chance.pick(0..=9) {
            0 => Brush::None,
            1..=5 => Brush::Solid(self.chance.bits()),
            _ => Brush::Pattern {
                image: self.image((1, 1)),
                pos: self.offset(100),
            },
        }
    }

    /// A mask that selects a part of the box, in most cases.
    pub fn mask(&mut self, masked: Masked, bbox: &Rect) -> Mask {
        if masked == Masked::No {
            return Mask::default();
        }
        let one_bit: Vec<Place> = self
            .places
            .iter()
            .copied()
            .filter(|p| p.format == SurfaceFormat::A1)
            .collect();
        let image = match self.chance.one(&one_bit) {
            Some(place) if self.chance.percent(15) => self.surface_image(&place),
            _ => {
                let format = if self.chance.percent(50) {
                    BitmapFormat::Bit1Le
                } else {
                    BitmapFormat::Bit1Be
                };
                let least = if self.chance.percent(70) {
                    (bbox.width(), bbox.height())
                } else {
                    (1, 1)
                };
                let bitmap = Bitmap {
                    palette: None,
                    ..self.bitmap(format, least)
                };
                Image {
                    id: 0,
                    cache: false,
                    high_bits_set: false,
                    width: bitmap.width,
                    height: bitmap.height,
                    data: ImageData::Bitmap(Arc::new(bitmap)),
                }
            }
        };
        Mask {
            inverse: masked == Masked::Inverse,
            pos: if self.chance.percent(60) {
                self.offset(4)
            } else {
                self.offset(40)
            },
            bitmap: Some(image),
        }
    }

    /// One of several descriptors.
    pub fn rop(&mut self, of: &[Rop]) -> Rop {
        self.chance.one(of).unwrap_or(Rop::PUT)
    }
}
