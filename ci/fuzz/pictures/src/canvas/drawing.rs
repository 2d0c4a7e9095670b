//! Drawings made of bytes.

use std::sync::Arc;

use caraway_canvas::Canvas;
use caraway_ports::{
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, Composite, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Mask,
        Palette, PathSegment, Rop, ScaleMode, Source, Transform,
    },
    geometry::{Point, Rect},
};

use crate::input::Input;

/// How many kinds of operations there are.
pub(crate) const OPERATIONS: u8 = 14;

pub(crate) fn drawable(input: &mut Input<'_>, canvas: &Canvas) -> Drawable {
    let mut maker = Maker { input, canvas };
    let surface = maker.surface();
    let bbox = maker.bbox(surface);
    let clip = maker.clip(&bbox);
    let op = maker.op();
    Drawable {
        surface,
        bbox,
        clip,
        mm_time: 0,
        op,
    }
}

struct Maker<'i, 'd, 'c> {
    input: &'i mut Input<'d>,
    canvas: &'c Canvas,
}

impl Maker<'_, '_, '_> {
    /// Mostly one there is.
    fn surface(&mut self) -> u32 {
        let number = self.input.byte();
        let count = self.canvas.ids().count();
        match self.canvas.ids().nth(usize::from(number) % count.max(1)) {
            Some(id) if number < 240 => id,
            _ => u32::from(number),
        }
    }

    fn point(&mut self) -> Point {
        Point::new(self.input.number(), self.input.number())
    }

    fn rect(&mut self) -> Rect {
        let (left, top) = (self.input.number(), self.input.number());
        let (width, height) = (self.input.number(), self.input.number());
        Rect {
            top,
            left,
            bottom: top.saturating_add(height),
            right: left.saturating_add(width),
        }
    }

    /// Mostly inside the surface.
    fn bbox(&mut self, surface: u32) -> Rect {
        let Some(area) = self.canvas.area(surface) else {
            return self.rect();
        };
        let (left, top) = (self.input.number(), self.input.number());
        let (width, height) = (self.input.byte(), self.input.byte());
        if width == 255 {
            return self.rect();
        }
        let clamp = |at: i32, end: i32| at.clamp(0, end);
        let (left, top) = (clamp(left, area.right), clamp(top, area.bottom));
        Rect {
            top,
            left,
            bottom: clamp(top + i32::from(height), area.bottom),
            right: clamp(left + i32::from(width), area.right),
        }
    }

    fn clip(&mut self, bbox: &Rect) -> Clip {
        let count = self.input.byte();
        if count < 128 {
            return Clip::None;
        }
        let rects = (0..count % 8).map(|_| {
            let rect = self.rect();
            if count < 240 {
                rect.translate(bbox.left.clamp(0, 200), bbox.top.clamp(0, 200))
            } else {
                rect
            }
        });
        Clip::Rects(rects.collect())
    }

    fn image(&mut self) -> Image {
        let kind = self.input.byte();
        let (mut width, mut height) = (u32::from(self.input.below(48)), u32::from(self.input.below(48)));
        let data = match kind {
            0..=150 => ImageData::Bitmap(Arc::new(self.bitmap(width, height))),
            151..=220 => {
                let id = self.surface();
                if let Some(area) = self.canvas.area(id) {
                    (width, height) = (area.width(), area.height());
                }
                ImageData::Surface(id)
            }
            _ => ImageData::Quic(self.quic(width, height).into()),
        };
        if self.input.byte() == 255 {
            (width, height) = (self.input.long(), self.input.long());
        }
        Image {
            id: 0,
            cache: false,
            high_bits_set: kind & 1 == 1,
            width,
            height,
            data,
        }
    }

    fn bitmap(&mut self, width: u32, height: u32) -> Bitmap {
        let format = BitmapFormat::from_raw(1 + self.input.below(10)).unwrap_or(BitmapFormat::Bit32);
        let padding = self.input.byte();
        let row = format.row_bytes(width) as u32;
        let stride = if padding > 250 {
            u32::from(padding) - 250
        } else {
            row + u32::from(padding % 4)
        };
        let short = usize::from(self.input.byte()).saturating_sub(240);
        let bytes = (stride as usize * height as usize).saturating_sub(short);
        let palette = (padding & 0x40 == 0).then(|| {
            let entries = (0..self.input.below(20)).map(|_| self.input.long()).collect();
            Arc::new(Palette { unique: 0, entries })
        });
        let data = self.input.bytes(bytes).into();
        Bitmap {
            format,
            width,
            height,
            stride,
            top_down: padding & 0x20 == 0,
            palette,
            data,
        }
    }

    /// A good header and any bits behind it.
    fn quic(&mut self, width: u32, height: u32) -> Vec<u8> {
        let kind = u32::from(1 + self.input.below(5));
        let body = self.input.byte();
        let header = [0x4349_5551, 0, kind, width, height]
            .into_iter()
            .flat_map(u32::to_le_bytes);
        header.chain(self.input.bytes(usize::from(body) * 4)).collect()
    }

    fn scale(&mut self) -> ScaleMode {
        if self.input.flag() {
            ScaleMode::Nearest
        } else {
            ScaleMode::Interpolate
        }
    }

    /// Mostly the whole image.
    fn source(&mut self) -> Source {
        let image = self.image();
        let area = match self.input.byte() {
            0..=120 => Rect::at(0, 0, image.width, image.height),
            121..=220 => {
                let (left, top) = (self.input.below(32), self.input.below(32));
                let (right, bottom) = (image.width.min(48), image.height.min(48));
                let (left, top) = (u32::from(left).min(right), u32::from(top).min(bottom));
                Rect::at(left.cast_signed(), top.cast_signed(), right - left, bottom - top)
            }
            _ => self.rect(),
        };
        Source {
            image,
            area,
            scale: self.scale(),
        }
    }

    fn brush(&mut self) -> Brush {
        match self.input.byte() {
            0..=15 => Brush::None,
            16..=150 => Brush::Solid(self.input.long()),
            _ => Brush::Pattern {
                image: self.image(),
                pos: self.point(),
            },
        }
    }

    fn mask(&mut self) -> Mask {
        let kind = self.input.byte();
        if kind < 160 {
            return Mask::default();
        }
        let bitmap = if kind < 200 {
            let (width, height) = (u32::from(self.input.below(64)), u32::from(self.input.below(64)));
            let format = if kind & 2 == 0 {
                BitmapFormat::Bit1Le
            } else {
                BitmapFormat::Bit1Be
            };
            let stride = width.div_ceil(8);
            let data = self.input.bytes(stride as usize * height as usize).into();
            let bitmap = Bitmap {
                format,
                width,
                height,
                stride,
                top_down: kind & 4 == 0,
                palette: None,
                data,
            };
            let data = ImageData::Bitmap(Arc::new(bitmap));
            Image {
                id: 0,
                cache: false,
                high_bits_set: false,
                width,
                height,
                data,
            }
        } else {
            self.image()
        };
        Mask {
            inverse: kind & 1 == 1,
            pos: self.point(),
            bitmap: Some(bitmap),
        }
    }

    fn rop(&mut self) -> Rop {
        Rop(match self.input.byte() {
            0..=80 => Rop::OP_PUT,
            single @ 81..=200 => 1 << (single % 11),
            _ => self.input.word(),
        })
    }

    fn op(&mut self) -> DrawOp {
        match self.input.below(OPERATIONS) {
            0 => DrawOp::Fill {
                brush: self.brush(),
                rop: self.rop(),
                mask: self.mask(),
            },
            1 => DrawOp::Opaque {
                source: self.source(),
                brush: self.brush(),
                rop: self.rop(),
                mask: self.mask(),
            },
            2 => DrawOp::Copy {
                source: self.source(),
                rop: self.rop(),
                mask: self.mask(),
            },
            3 => DrawOp::Blend {
                source: self.source(),
                rop: self.rop(),
                mask: self.mask(),
            },
            4 => DrawOp::CopyBits { src_pos: self.point() },
            5 => DrawOp::Blackness { mask: self.mask() },
            6 => DrawOp::Whiteness { mask: self.mask() },
            7 => DrawOp::Invers { mask: self.mask() },
            8 => {
                let rop3 = self.input.byte();
                DrawOp::Rop3 {
                    source: self.source(),
                    brush: self.brush(),
                    rop3,
                    mask: self.mask(),
                }
            }
            9 => self.stroke(),
            10 => self.text(),
            11 => {
                let (src_color, true_color) = (self.input.long(), self.input.long());
                DrawOp::Transparent {
                    source: self.source(),
                    src_color,
                    true_color,
                }
            }
            12 => {
                let (flags, alpha) = (self.input.byte(), self.input.byte());
                DrawOp::AlphaBlend {
                    source: self.source(),
                    flags,
                    alpha,
                }
            }
            _ => self.composite(),
        }
    }

    fn stroke(&mut self) -> DrawOp {
        let segments = (0..self.input.below(5)).map(|_| {
            let flags = self.input.byte();
            let count = self.input.below(9);
            // 28.4 fixed point.
            let points = (0..count).map(|_| {
                let at = self.point();
                Point::new(at.x.saturating_mul(11), at.y.saturating_mul(11))
            });
            let points = points.collect();
            PathSegment { flags, points }
        });
        let path = segments.collect();
        let style = (0..self.input.below(5)).map(|_| self.input.number()).collect();
        DrawOp::Stroke {
            path,
            style,
            start_with_gap: self.input.flag(),
            brush: self.brush(),
            fore_mode: self.rop(),
            back_mode: self.rop(),
        }
    }

    fn text(&mut self) -> DrawOp {
        let depth = [GlyphDepth::A1, GlyphDepth::A4, GlyphDepth::A8][usize::from(self.input.below(3))];
        let glyphs = (0..self.input.below(5)).map(|_| {
            let (render_pos, origin) = (self.point(), self.point());
            let (width, height) = (u16::from(self.input.below(24)), u16::from(self.input.below(24)));
            let bits = match depth {
                GlyphDepth::A1 => 1,
                GlyphDepth::A4 => 4,
                GlyphDepth::A8 => 8,
            };
            let needed = (usize::from(width) * bits).div_ceil(8) * usize::from(height);
            // The parser sees to it that all rows are there; the canvas has to live without.
            let short = usize::from(self.input.byte()).saturating_sub(245);
            let data = self.input.bytes(needed.saturating_sub(short));
            Glyph {
                render_pos,
                origin,
                width,
                height,
                data,
            }
        });
        let glyphs = glyphs.collect();
        DrawOp::Text {
            glyphs,
            depth,
            back_area: self.rect(),
            fore_brush: self.brush(),
            back_brush: self.brush(),
            fore_mode: self.rop(),
            back_mode: self.rop(),
        }
    }

    fn transform(&mut self) -> Option<Transform> {
        let kind = self.input.byte();
        (kind >= 128).then(|| {
            Transform(std::array::from_fn(|_| {
                let number = self.input.number();
                // 16.16 fixed point: around 1 for most.
                if kind < 230 {
                    number.saturating_mul(1 << 11)
                } else {
                    number
                }
            }))
        })
    }

    fn composite(&mut self) -> DrawOp {
        let flags = self.input.long() & if self.input.flag() { 0x000f_ff0f } else { u32::MAX };
        let src = self.image();
        let src_transform = self.transform();
        let (mask, mask_transform) = if self.input.flag() {
            (Some(self.image()), self.transform())
        } else {
            (None, None)
        };
        DrawOp::Composite(Box::new(Composite {
            flags,
            src,
            src_transform,
            mask,
            mask_transform,
            src_origin: self.point(),
            mask_origin: self.point(),
        }))
    }
}
