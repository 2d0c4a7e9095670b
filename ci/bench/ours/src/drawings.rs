//! Operations from the words of a command.

use std::{collections::BTreeMap, fs, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, Composite, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Mask, Rop,
        ScaleMode, Source, SurfaceFormat, Transform,
    },
    geometry::{Point, Rect},
};

/// OVER, with these filters of source and mask.
const OVER: u32 = 3;
const NEAREST: u32 = 3;
const GOOD: u32 = 1;

/// A rectangle from left, top, width and height.
pub(crate) fn rect(words: [&str; 4]) -> Result<Rect> {
    let [left, top, width, height] = words;
    Ok(Rect::at(left.parse()?, top.parse()?, width.parse()?, height.parse()?))
}

/// What operations read, by name.
#[derive(Default)]
pub(crate) struct Pictures(BTreeMap<String, Image>);

impl Pictures {
    /// Takes rows as a picture; those of a surface are handed back as they are for one.
    pub(crate) fn load(
        &mut self,
        name: &str,
        format: &str,
        (width, height): (u32, u32),
        data: Bytes,
    ) -> Result<Option<Pixels>> {
        let (of_surface, of_bitmap) = match format {
            "xrgb" => (SurfaceFormat::Xrgb, Some(BitmapFormat::Bit32)),
            "argb" => (SurfaceFormat::Argb, Some(BitmapFormat::Rgba)),
            "a8" => (SurfaceFormat::A8, Some(BitmapFormat::Bit8A)),
            "rgb565" => (SurfaceFormat::Rgb565, None),
            _ => bail!("no format {format:?}"),
        };
        let stride = u32::try_from(of_surface.row_bytes(width))?;
        let number = name.strip_prefix('s').map(str::parse).transpose()?;
        let content = match number {
            Some(id) => ImageData::Surface(id),
            None => ImageData::Bitmap(Arc::new(Bitmap {
                format: of_bitmap.context("no such images")?,
                width,
                height,
                stride,
                top_down: true,
                palette: None,
                data: data.clone(),
            })),
        };
        let image = Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width,
            height,
            data: content,
        };
        self.0.insert(name.to_owned(), image);
        Ok(number.map(|_| Pixels {
            format: of_surface,
            width,
            height,
            stride,
            data,
        }))
    }

    fn named(&self, name: &str) -> Result<Image> {
        self.0.get(name).cloned().context("no such picture")
    }

    /// The operation that `words` are, inside a clip.
    pub(crate) fn drawable(&self, words: &[&str], clip: &[Rect]) -> Result<Drawable> {
        let [name, x, y, width, height, rest @ ..] = words else {
            bail!("no such command");
        };
        Ok(Drawable {
            surface: 0,
            bbox: rect([x, y, width, height])?,
            clip: if clip.is_empty() {
                Clip::None
            } else {
                Clip::Rects(clip.into())
            },
            mm_time: 0,
            op: self.operation(name, rest, [width, height])?,
        })
    }

    fn operation(&self, name: &str, words: &[&str], [width, height]: [&str; 2]) -> Result<DrawOp> {
        let mask = Mask::default();
        Ok(match (name, words) {
            ("fill", [colour, rop]) => DrawOp::Fill {
                brush: Brush::Solid(colour.parse()?),
                rop: rop_named(rop)?,
                mask,
            },
            ("tile", [picture, x, y]) => DrawOp::Fill {
                brush: Brush::Pattern {
                    image: self.named(picture)?,
                    pos: Point::new(x.parse()?, y.parse()?),
                },
                rop: Rop::PUT,
                mask,
            },
            ("copy", [picture, x, y, width, height, filter, rop]) => DrawOp::Copy {
                source: Source {
                    image: self.named(picture)?,
                    area: rect([x, y, width, height])?,
                    scale: if *filter == "nearest" {
                        ScaleMode::Nearest
                    } else {
                        ScaleMode::Interpolate
                    },
                },
                rop: rop_named(rop)?,
                mask,
            },
            ("scroll", [x, y]) => DrawOp::CopyBits {
                src_pos: Point::new(x.parse()?, y.parse()?),
            },
            ("blend", [picture, x, y, alpha]) => DrawOp::AlphaBlend {
                source: Source {
                    image: self.named(picture)?,
                    area: rect([x, y, width, height])?,
                    scale: ScaleMode::Nearest,
                },
                flags: 0,
                alpha: alpha.parse()?,
            },
            ("composite", [picture, mask, filter, scale]) => {
                let scale: i32 = scale.parse()?;
                let filter = if *filter == "nearest" { NEAREST } else { GOOD };
                DrawOp::Composite(Box::new(Composite {
                    flags: OVER | filter << 8 | filter << 11,
                    src: self.named(picture)?,
                    src_transform: (scale != 1 << 16).then_some(Transform([scale, 0, 0, 0, scale, 0])),
                    mask: (*mask != "-").then(|| self.named(mask)).transpose()?,
                    mask_transform: None,
                    src_origin: Point::default(),
                    mask_origin: Point::default(),
                }))
            }
            ("text", [depth, colour, count, size, path]) => {
                let data = fs::read(path)?;
                ensure!(data.len() == size.parse::<usize>()?, "{path} has {} bytes", data.len());
                let (depth, bits) = match *depth {
                    "1" => (GlyphDepth::A1, 1),
                    "4" => (GlyphDepth::A4, 4),
                    "8" => (GlyphDepth::A8, 8),
                    _ => bail!("no glyphs of {depth} bits"),
                };
                DrawOp::Text {
                    glyphs: glyphs(&data, count.parse()?, bits)?.into(),
                    depth,
                    back_area: Rect::default(),
                    fore_brush: Brush::Solid(colour.parse()?),
                    back_brush: Brush::None,
                    fore_mode: Rop::PUT,
                    back_mode: Rop::PUT,
                }
            }
            _ => bail!("no such operation"),
        })
    }
}

fn rop_named(name: &str) -> Result<Rop> {
    Ok(Rop(match name {
        "put" => Rop::OP_PUT,
        "xor" => Rop::OP_XOR,
        _ => bail!("no raster operation {name:?}"),
    }))
}

/// Glyphs one after the other: x, y, width and height as 32-bit words, low byte first, then rows.
fn glyphs(mut data: &[u8], count: usize, bits: usize) -> Result<Vec<Glyph>> {
    let mut made = Vec::new();
    while made.len() < count {
        let (head, rest) = data.split_first_chunk::<16>().context("a glyph is missing")?;
        let mut words = head.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let (x, y, width, height) = (word(), word(), u16::try_from(word())?, u16::try_from(word())?);
        let size = (usize::from(width) * bits).div_ceil(8) * usize::from(height);
        let (rows, rest) = rest.split_at_checked(size).context("a glyph is short")?;
        data = rest;
        made.push(Glyph {
            render_pos: Point::new(x, y),
            origin: Point::default(),
            width,
            height,
            data: rows.to_vec(),
        });
    }
    Ok(made)
}
