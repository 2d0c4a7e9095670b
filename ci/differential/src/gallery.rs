//! Pictures for the codecs: photographs, text, flat colours, noise, and earlier pictures that come again.

use std::sync::Arc;

use caraway_ports::{
    display::{DisplayCommand, SurfaceSpec},
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Mask, Palette, Rop,
        ScaleMode, Source, SurfaceFormat,
    },
    geometry::{Point, Rect},
};

use crate::{chance::Chance, round::PRIMARY};

/// The screens that pictures are drawn on, in turn.
pub const SCREENS: [SurfaceFormat; 4] = [
    SurfaceFormat::Xrgb,
    SurfaceFormat::Argb,
    SurfaceFormat::Rgb555,
    SurfaceFormat::Rgb565,
];
/// Large enough that a picture of all of it has several blocks of LZ4.
const SIZE: (u32, u32) = (320, 240);
/// How often each format comes among ten pictures, or less.
const FORMATS: [BitmapFormat; 14] = [
    BitmapFormat::Bit32,
    BitmapFormat::Bit32,
    BitmapFormat::Bit32,
    BitmapFormat::Bit32,
    BitmapFormat::Rgba,
    BitmapFormat::Rgba,
    BitmapFormat::Bit24,
    BitmapFormat::Bit16,
    BitmapFormat::Bit8,
    BitmapFormat::Bit4Be,
    BitmapFormat::Bit4Le,
    BitmapFormat::Bit1Be,
    BitmapFormat::Bit1Le,
    BitmapFormat::Bit8A,
];
/// Pictures that may come again.
const KEPT: usize = 8;

/// Pixels as B, G, R and alpha.
#[derive(Clone, Debug)]
struct Painting {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 4]>,
}

/// A screen and the pictures that are drawn on it.
#[derive(Debug)]
pub struct Gallery {
    chance: Chance,
    /// Glyphs that all galleries of a seed write with.
    glyphs: Vec<[u8; 8]>,
    kept: Vec<(Painting, BitmapFormat)>,
}

impl Gallery {
    /// The gallery of this number, with the steps that set it up.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> (Self, Vec<DisplayCommand>) {
        let mut font = Chance::new(seed, &[]);
        let glyphs = (0..24).map(|_| font.word().to_le_bytes()).collect();
        let format = SCREENS[(number % SCREENS.len() as u64) as usize];
        let gallery = Self {
            chance: Chance::new(seed, &[number]),
            glyphs,
            kept: Vec::new(),
        };
        let screen = SurfaceSpec {
            id: PRIMARY,
            width: SIZE.0,
            height: SIZE.1,
            format,
            pixels: None,
        };
        (
            gallery,
            vec![DisplayCommand::Reset, DisplayCommand::CreateSurface(screen)],
        )
    }

    /// The next picture.
    pub fn hang(&mut self) -> Drawable {
        let (width, height) = self.size();
        let format = self.chance.one(&FORMATS).unwrap_or(BitmapFormat::Bit32);
        let (painting, format) = match self.chance.pick(0..=9) {
            0..=2 => (self.photo(width, height), format),
            3 | 4 => (self.text(width, height), format),
            5 => (self.noise(width, height), format),
            6 => (self.flat(width, height), format),
            7 => self.one_before().unwrap_or_else(|| (self.flat(width, height), format)),
            _ => self.again(width, height),
        };
        self.kept.push((painting.clone(), format));
        if self.kept.len() > KEPT {
            self.kept.remove(0);
        }
        if self.chance.percent(10) {
            return self.string(&painting, format);
        }
        self.copy(&painting, format)
    }

    /// A photograph on all of its box, in one of the formats for such.
    pub fn hang_photo(&mut self, alpha: bool) -> Drawable {
        let (width, height) = (self.chance.size(40..=120), self.chance.size(40..=100));
        let painting = self.photo(width, height);
        let format = if alpha {
            Some(BitmapFormat::Rgba)
        } else {
            let plain = [BitmapFormat::Bit32, BitmapFormat::Bit24, BitmapFormat::Bit16];
            self.chance.one(&plain)
        };
        let mut drawable = self.copy(&painting, format.unwrap_or(BitmapFormat::Bit32));
        drawable.clip = Clip::None;
        drawable
    }

    fn size(&mut self) -> (u32, u32) {
        match self.chance.pick(0..=9) {
            0 => SIZE,
            1 | 2 => (self.chance.size(1..=12), self.chance.size(1..=12)),
            _ => (self.chance.size(8..=SIZE.0), self.chance.size(4..=120)),
        }
    }

    fn painting(width: u32, height: u32, mut pixel: impl FnMut(u32, u32) -> [u8; 4]) -> Painting {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Painting {
            width,
            height,
            pixels: places.map(|(x, y)| pixel(x, y)).collect(),
        }
    }

    /// Slopes with a little noise.
    fn photo(&mut self, width: u32, height: u32) -> Painting {
        let [b, g, r, _] = self.chance.bits().to_le_bytes();
        let slopes = [(); 3].map(|()| (self.chance.int(-3..=3), self.chance.int(-3..=3)));
        let chance = &mut self.chance;
        Self::painting(width, height, |x, y| {
            let noise = chance.bits().to_le_bytes();
            let mut pixel = [0, 0, 0, 255 - ((x + y) % 96) as u8];
            for ((to, (across, down)), (base, noise)) in
                pixel.iter_mut().zip(slopes).zip([b, g, r].into_iter().zip(noise))
            {
                let at = x.cast_signed() * across + y.cast_signed() * down;
                // There and back again, so that no step is large.
                let wave = (at + i32::from(base)).rem_euclid(400);
                *to = (wave.min(400 - wave) + 24 + i32::from(noise % 4)) as u8;
            }
            pixel
        })
    }

    /// Glyphs in a colour on another.
    fn text(&mut self, width: u32, height: u32) -> Painting {
        let colours = [0x00ff_ffff_u32, 0x0000_0000, 0x00d4_d0c8, 0x0000_3c78].map(|c| c | 0xff00_0000);
        let paper = self.chance.one(&colours).unwrap_or(0);
        let ink = self.chance.one(&colours).unwrap_or(0) ^ 0x0010_1010;
        let across = width.div_ceil(8) as usize;
        let written: Vec<[u8; 8]> = (0..across * height.div_ceil(8) as usize)
            .map(|_| self.chance.one(&self.glyphs).unwrap_or_default())
            .collect();
        Self::painting(width, height, |x, y| {
            let glyph = written.get((y / 8) as usize * across + (x / 8) as usize);
            let row = glyph.map_or(0, |glyph| glyph[(y % 8) as usize]);
            let colour = if row >> (x % 8) & 1 == 1 { ink } else { paper };
            colour.to_le_bytes()
        })
    }

    fn noise(&mut self, width: u32, height: u32) -> Painting {
        let chance = &mut self.chance;
        Self::painting(width, height, |_, _| chance.bits().to_le_bytes())
    }

    fn flat(&mut self, width: u32, height: u32) -> Painting {
        let colour = self.chance.bits().to_le_bytes();
        Self::painting(width, height, |_, _| colour)
    }

    /// One of the last pictures and its format.
    fn one_before(&mut self) -> Option<(Painting, BitmapFormat)> {
        let last = i64::try_from(self.kept.len().checked_sub(1)?).ok()?;
        let place = usize::try_from(self.chance.pick(0..=last)).ok()?;
        self.kept.get(place).cloned()
    }

    /// An earlier picture in another place, with some pixels changed, and its format.
    fn again(&mut self, width: u32, height: u32) -> (Painting, BitmapFormat) {
        let Some((old, format)) = self.one_before() else {
            return (self.text(width, height), BitmapFormat::Bit32);
        };
        let (dx, dy) = (self.chance.size(0..=40), self.chance.size(0..=9));
        let chance = &mut self.chance;
        let painting = Self::painting(width, height, |x, y| {
            let at = ((y + dy) % old.height) * old.width + (x + dx) % old.width;
            let pixel = old.pixels.get(at as usize).copied().unwrap_or_default();
            if chance.percent(1) {
                [chance.bits() as u8; 4]
            } else {
                pixel
            }
        });
        (painting, format)
    }

    /// A copy of a painting, in a format, to somewhere on the screen.
    fn copy(&mut self, painting: &Painting, format: BitmapFormat) -> Drawable {
        let bitmap = self.bitmap(painting, format);
        let (width, height) = (bitmap.width, bitmap.height);
        let shrunk = self.chance.percent(8);
        let (across, down) = if shrunk {
            (width.div_ceil(2), height.div_ceil(2))
        } else {
            (width, height)
        };
        let left = self.chance.size(0..=SIZE.0 - across);
        let top = self.chance.size(0..=SIZE.1 - down);
        let bbox = Rect::at(left.cast_signed(), top.cast_signed(), across, down);
        let clip = if self.chance.percent(10) {
            let third = Rect::at(bbox.left, bbox.top, across.div_ceil(3), down);
            Clip::Rects([third, Rect::at(bbox.left, bbox.top, across, 1)].into())
        } else {
            Clip::None
        };
        let image = Image {
            id: u64::from(self.chance.bits()),
            cache: false,
            high_bits_set: format == BitmapFormat::Bit32 && self.chance.percent(15),
            width,
            height,
            data: ImageData::Bitmap(Arc::new(bitmap)),
        };
        let source = Source {
            image,
            area: Rect::at(0, 0, width, height),
            scale: ScaleMode::Nearest,
        };
        let blends = format == BitmapFormat::Rgba && self.chance.percent(30);
        let op = if blends {
            DrawOp::AlphaBlend {
                source,
                flags: 0,
                alpha: 200,
            }
        } else {
            DrawOp::Copy {
                source,
                rop: Rop::PUT,
                mask: Mask::default(),
            }
        };
        Drawable {
            surface: PRIMARY,
            bbox,
            clip,
            mm_time: 0,
            op,
        }
    }

    /// A string whose background is empty, so that the tile for it, a painting, is never looked at.
    fn string(&mut self, painting: &Painting, format: BitmapFormat) -> Drawable {
        let bitmap = self.bitmap(painting, format);
        let tile = Brush::Pattern {
            image: Image {
                id: 0,
                cache: false,
                high_bits_set: false,
                width: bitmap.width,
                height: bitmap.height,
                data: ImageData::Bitmap(Arc::new(bitmap)),
            },
            pos: Point::default(),
        };
        let glyph = self.chance.one(&self.glyphs).unwrap_or_default();
        let at = Point::new(self.chance.int(0..=200), self.chance.int(0..=200));
        let op = DrawOp::Text {
            glyphs: [Glyph {
                render_pos: at,
                origin: Point::default(),
                width: 8,
                height: 8,
                data: glyph.to_vec(),
            }]
            .into(),
            depth: GlyphDepth::A1,
            back_area: Rect::default(),
            fore_brush: Brush::Solid(self.chance.bits()),
            back_brush: tile,
            fore_mode: Rop::PUT,
            back_mode: Rop::PUT,
        };
        Drawable {
            surface: PRIMARY,
            bbox: Rect::at(at.x, at.y, 8, 8),
            clip: Clip::None,
            mm_time: 0,
            op,
        }
    }

    fn bitmap(&mut self, painting: &Painting, format: BitmapFormat) -> Bitmap {
        let Painting { width, height, .. } = *painting;
        // On a screen of alpha the unused byte matters: none, all, or whatever is there.
        let unused = self.chance.one(&[Some(0), Some(0), Some(0xff), None]).flatten();
        let row_bytes = format.row_bytes(width) as usize;
        let stride = row_bytes + if self.chance.percent(20) { 4 } else { 0 };
        let mut data = Vec::with_capacity(stride * height as usize);
        for row in painting.pixels.chunks(width as usize) {
            let start = data.len();
            pack(format, row, unused, &mut data);
            data.resize(start + stride, 0x5a);
        }
        let palette = format.has_palette().then(|| {
            Arc::new(Palette {
                unique: 0,
                entries: (0..1_u32 << format.bits_per_pixel())
                    .map(|index| index.wrapping_mul(0x0035_4f73) & 0x00ff_ffff)
                    .collect(),
            })
        });
        Bitmap {
            format,
            width,
            height,
            stride: stride as u32,
            top_down: self.chance.percent(70),
            palette,
            data: data.into(),
        }
    }
}

/// A command that reads the screen, or leaves some of it, one of several kinds and places by its path.
#[must_use]
pub fn disturbance(path: u64) -> Drawable {
    let mut chance = Chance::new(path, &[]);
    let (across, down) = (chance.size(20..=90), chance.size(20..=70));
    let left = chance.size(0..=SIZE.0 - across).cast_signed();
    let top = chance.size(0..=SIZE.1 - down).cast_signed();
    let bbox = Rect::at(left, top, across, down);
    let mask = Mask::default();
    let elsewhere = (
        chance.size(0..=SIZE.0 - across).cast_signed(),
        chance.size(0..=SIZE.1 - down).cast_signed(),
    );
    let screen = Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: SIZE.0,
        height: SIZE.1,
        data: ImageData::Surface(PRIMARY),
    };
    let half = Rect::at(elsewhere.0, elsewhere.1, across.div_ceil(2), down.div_ceil(2));
    let op = match path % 6 {
        0 => DrawOp::CopyBits {
            src_pos: Point::new(elsewhere.0, elsewhere.1),
        },
        1 => DrawOp::Invers { mask },
        2 => DrawOp::Fill {
            brush: Brush::Solid(chance.bits()),
            rop: Rop(Rop::OP_XOR),
            mask,
        },
        3 => DrawOp::Copy {
            source: Source {
                image: screen,
                area: half,
                scale: ScaleMode::Nearest,
            },
            rop: Rop::PUT,
            mask,
        },
        4 => DrawOp::Fill {
            brush: Brush::Solid(chance.bits()),
            rop: Rop::PUT,
            mask,
        },
        _ => DrawOp::Rop3 {
            source: Source {
                image: screen,
                area: Rect::at(elsewhere.0, elsewhere.1, across, down),
                scale: ScaleMode::Nearest,
            },
            brush: Brush::Solid(chance.bits()),
            rop3: 0x96,
            mask,
        },
    };
    Drawable {
        surface: PRIMARY,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op,
    }
}

/// A row of pixels in a format.
fn pack(format: BitmapFormat, row: &[[u8; 4]], unused: Option<u8>, out: &mut Vec<u8>) {
    let index = |[b, g, r, _]: &[u8; 4]| b >> 5 ^ g >> 3 & 0x1c ^ r & 0xe0;
    match format {
        BitmapFormat::Bit32 => row
            .iter()
            .for_each(|[b, g, r, a]| out.extend([*b, *g, *r, unused.unwrap_or(*a)])),
        BitmapFormat::Rgba => row.iter().for_each(|[b, g, r, a]| {
            let times = |value: u8| (u16::from(value) * u16::from(*a) / 255) as u8;
            out.extend([times(*b), times(*g), times(*r), *a]);
        }),
        BitmapFormat::Bit24 => row.iter().for_each(|[b, g, r, _]| out.extend([*b, *g, *r])),
        BitmapFormat::Bit16 => row.iter().for_each(|[b, g, r, a]| {
            let five = |value: u8| u16::from(value >> 3);
            let value = five(*b) | five(*g) << 5 | five(*r) << 10 | u16::from(a & 1) << 15;
            out.extend(value.to_le_bytes());
        }),
        BitmapFormat::Bit8 => out.extend(row.iter().map(index)),
        BitmapFormat::Bit8A => out.extend(row.iter().map(|[_, _, _, a]| *a)),
        BitmapFormat::Bit4Be => out.extend(row.chunks(2).map(|pair| {
            let at = |place: usize| pair.get(place).map_or(0, |pixel| index(pixel) & 15);
            at(0) << 4 | at(1)
        })),
        BitmapFormat::Bit4Le => out.extend(row.chunks(2).map(|pair| {
            let at = |place: usize| pair.get(place).map_or(0, |pixel| index(pixel) & 15);
            at(1) << 4 | at(0)
        })),
        BitmapFormat::Bit1Be | BitmapFormat::Bit1Le => out.extend(row.chunks(8).map(|eight| {
            let bits = (0..8).map(|place| (place, eight.get(place).map_or(0, |pixel| pixel[1] >> 6 & 1)));
            let low_first = format == BitmapFormat::Bit1Le;
            bits.fold(0, |byte, (place, bit)| {
                byte | bit << if low_first { place } else { 7 - place }
            })
        })),
    }
}
