//! Random drawing commands for a cell.

use caraway_ports::{
    drawing::{Clip, Composite, DrawOp, Drawable, Glyph, GlyphDepth, PathSegment, Rop, Transform},
    geometry::{Point, Rect},
};

use crate::{
    cell::{Cell, Clipped, Kind, Mode},
    picture::{Maker, Place},
};

const ONE: i32 = 0x1_0000;

impl Maker<'_> {
    /// A command of a cell for a surface.
    pub fn command(&mut self, cell: &Cell, target: &Place) -> Drawable {
        let width = self.chance.size(1..=target.width.min(40));
        let height = self.chance.size(1..=target.height.min(36));
        let bbox = self.inside(target.width, target.height, width, height);
        let clip = self.clip(cell.clip, &bbox);
        let op = self.operation(cell, target, &bbox);
        Drawable {
            surface: target.id,
            bbox,
            clip,
            mm_time: 0,
            op,
        }
    }

    fn operation(&mut self, cell: &Cell, target: &Place, bbox: &Rect) -> DrawOp {
        let mask = self.mask(cell.mask, bbox);
        let mode = cell.mode;
        let brush_dest = mode.rops(Rop::INVERS_BRUSH, Rop::INVERS_DEST);
        let source_dest = mode.rops(Rop::INVERS_SRC, Rop::INVERS_DEST);
        match cell.kind {
            Kind::Fill => DrawOp::Fill {
                brush: self.brush(),
                rop: self.rop(&brush_dest),
                mask,
            },
            Kind::Opaque => DrawOp::Opaque {
                source: self.source(bbox, true),
                brush: self.brush(),
                rop: self.rop(&mode.rops(Rop::INVERS_BRUSH, Rop::INVERS_SRC)),
                mask,
            },
            Kind::Copy => DrawOp::Copy {
                source: self.source(bbox, true),
                rop: self.rop(&source_dest),
                mask,
            },
            Kind::Blend => DrawOp::Blend {
                source: self.source(bbox, true),
                rop: self.rop(&source_dest),
                mask,
            },
            Kind::CopyBits => {
                let from = self.inside(target.width, target.height, bbox.width(), bbox.height());
                DrawOp::CopyBits {
                    src_pos: Point::new(from.left, from.top),
                }
            }
            Kind::Blackness => DrawOp::Blackness { mask },
            Kind::Whiteness => DrawOp::Whiteness { mask },
            Kind::Invers => DrawOp::Invers { mask },
            Kind::Rop3 => {
                let high = if let Mode::Ternary(high) = mode { high } else { 0 };
                DrawOp::Rop3 {
                    source: self.source(bbox, true),
                    brush: self.brush(),
                    rop3: high << 4 | self.chance.bits() as u8 & 15,
                    mask,
                }
            }
            Kind::Stroke => self.stroke(bbox, &brush_dest),
            Kind::Text => self.text(mode, bbox),
            Kind::Transparent => self.transparent(bbox),
            Kind::AlphaBlend => DrawOp::AlphaBlend {
                source: self.source(bbox, true),
                flags: self.chance.bits() as u8 & 3,
                alpha: match self.chance.pick(0..=3) {
                    0 => 255,
                    _ => self.chance.bits() as u8,
                },
            },
            Kind::Composite => self.composite(mode),
        }
    }

    fn clip(&mut self, clipped: Clipped, bbox: &Rect) -> Clip {
        let count = match clipped {
            Clipped::No => return Clip::None,
            Clipped::One => 1,
            Clipped::Several => self.chance.pick(2..=6),
        };
        let (across, down) = (bbox.width().cast_signed(), bbox.height().cast_signed());
        let rects = (0..count).map(|_| {
            let left = bbox.left + self.chance.int(-3..=across - 1);
            let top = bbox.top + self.chance.int(-3..=down - 1);
            let rect = Rect::at(left, top, self.chance.size(1..=30), self.chance.size(1..=24));
            rect.intersect(bbox)
        });
        Clip::Rects(rects.filter(|rect| !rect.is_empty()).collect())
    }

    fn stroke(&mut self, bbox: &Rect, rops: &[Rop]) -> DrawOp {
        let segments = self.chance.pick(1..=4);
        let mut path = Vec::new();
        for _ in 0..segments {
            // BEGIN, END, CLOSE, BEZIER
            let begin = u8::from(path.is_empty() || self.chance.percent(60));
            let end = if self.chance.percent(50) { 2 } else { 0 };
            let close = if end != 0 && self.chance.percent(50) { 8 } else { 0 };
            let curved = self.chance.percent(25);
            let steps = if curved {
                3 * self.chance.pick(1..=2)
            } else {
                self.chance.pick(1..=5)
            };
            let points = (0..steps + i64::from(begin)).map(|_| self.path_point(bbox)).collect();
            path.push(PathSegment {
                flags: begin | end | close | if curved { 0x10 } else { 0 },
                points,
            });
        }
        let style: Vec<i32> = if self.chance.percent(30) {
            (0..self.chance.pick(1..=5))
                .map(|_| self.chance.int(1..=9) * 16)
                .collect()
        } else {
            Vec::new()
        };
        DrawOp::Stroke {
            path: path.into(),
            start_with_gap: !style.is_empty() && self.chance.percent(40),
            style: style.into(),
            brush: self.brush(),
            fore_mode: self.rop(rops),
            back_mode: Rop::PUT,
        }
    }

    /// A point in or near the box, or far from it.
    fn path_point(&mut self, bbox: &Rect) -> Point {
        let far = match self.chance.pick(0..=99) {
            0 => 1 << 21,
            1..=10 => 900,
            _ => 12,
        };
        let x = self.chance.int(bbox.left - far..=bbox.right + far);
        let y = self.chance.int(bbox.top - far..=bbox.bottom + far);
        let fraction = if self.chance.percent(50) {
            (0, 0)
        } else {
            (self.chance.int(0..=15), self.chance.int(0..=15))
        };
        Point::new(x * 16 + fraction.0, y * 16 + fraction.1)
    }

    fn text(&mut self, mode: Mode, bbox: &Rect) -> DrawOp {
        let depth = if let Mode::Glyphs(depth) = mode {
            depth
        } else {
            GlyphDepth::A1
        };
        let glyphs: Vec<Glyph> = (0..self.chance.pick(1..=6)).map(|_| self.glyph(depth, bbox)).collect();
        let back_area = if self.chance.percent(50) {
            Rect::default()
        } else {
            self.inside(bbox.width(), bbox.height(), 1 + bbox.width() / 2, 1 + bbox.height() / 2)
                .translate(bbox.left, bbox.top)
        };
        DrawOp::Text {
            glyphs: glyphs.into(),
            depth,
            back_area,
            fore_brush: self.brush(),
            back_brush: self.brush(),
            fore_mode: if self.chance.percent(80) {
                Rop::PUT
            } else {
                Rop(self.chance.bits() as u16 & 0x7ff)
            },
            back_mode: Rop::PUT,
        }
    }

    fn glyph(&mut self, depth: GlyphDepth, bbox: &Rect) -> Glyph {
        let (width, height) = (self.chance.size(0..=14), self.chance.size(0..=14));
        let bits = match depth {
            GlyphDepth::A1 => 1,
            GlyphDepth::A4 => 4,
            GlyphDepth::A8 => 8,
        };
        let origin = self.offset(6);
        let far = if self.chance.percent(1) { 1 << 20 } else { 0 };
        let length = (width * bits).div_ceil(8) * height;
        Glyph {
            render_pos: Point::new(
                self.chance.int(bbox.left - 4 - far..=bbox.right + far),
                self.chance.int(bbox.top - 4..=bbox.bottom),
            ),
            origin,
            width: u16::try_from(width).unwrap_or(0),
            height: u16::try_from(height).unwrap_or(0),
            data: (0..length).map(|_| self.chance.bits() as u8).collect(),
        }
    }

    fn transparent(&mut self, bbox: &Rect) -> DrawOp {
        let source = self.source(bbox, true);
        // A colour that is there, if it is easily found.
        let found = match &source.image.data {
            caraway_ports::drawing::ImageData::Bitmap(bitmap) => caraway_image::bitmap::BitmapReader::new(bitmap)
                .ok()
                .map(|reader| reader.pixel(source.area.left.unsigned_abs(), source.area.top.unsigned_abs())),
            _ => None,
        };
        let true_color = match found {
            Some(color) if self.chance.percent(80) => color,
            _ => self.chance.bits(),
        };
        DrawOp::Transparent {
            source,
            src_color: self.chance.bits(),
            true_color,
        }
    }

    fn composite(&mut self, mode: Mode) -> DrawOp {
        let operator = if let Mode::Operator(number) = mode {
            u32::from(number)
        } else {
            3
        };
        let mut flags = operator;
        flags |= (self.chance.size(0..=4) << 8) | (self.chance.size(0..=4) << 11);
        flags |= (self.chance.size(0..=3) << 14) | (self.chance.size(0..=3) << 16);
        let mut flag = |bit: u32, percent: u64| {
            if self.chance.percent(percent) {
                flags |= 1 << bit;
            }
        };
        flag(18, 25);
        flag(22, 15);
        flag(23, 15);
        flag(24, 15);
        let mask = self.chance.percent(50).then(|| self.image((1, 1)));
        let src = self.image((1, 1));
        DrawOp::Composite(Box::new(Composite {
            flags,
            src_transform: self.transform(),
            mask_transform: if mask.is_some() { self.transform() } else { None },
            src,
            mask,
            src_origin: self.origin(),
            mask_origin: self.origin(),
        }))
    }

    /// Where a composite begins in an image: 16 bits.
    fn origin(&mut self) -> Point {
        let Point { x, y } = self.offset(12);
        let held = |at: i32| at.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        Point::new(held(x), held(y))
    }

    /// None, a shift, a turn, a scale, or anything, that can be inverted.
    fn transform(&mut self) -> Option<Transform> {
        let shift = (self.chance.int(-8..=8) * ONE, self.chance.int(-8..=8) * ONE);
        let fraction = (self.chance.int(0..=ONE), self.chance.int(0..=ONE));
        let matrix = match self.chance.pick(0..=9) {
            0..=3 => return None,
            4 => [ONE, 0, shift.0, 0, ONE, shift.1],
            5 => {
                let turns = [
                    [0, ONE, 0, -ONE, 0, 20 * ONE],
                    [0, -ONE, 20 * ONE, ONE, 0, 0],
                    [-ONE, 0, 20 * ONE, 0, -ONE, 20 * ONE],
                    [-ONE, 0, 24 * ONE, 0, ONE, 0],
                ];
                self.chance.one(&turns)?
            }
            6 | 7 => {
                let scale = (self.chance.int(ONE / 8..=3 * ONE), self.chance.int(ONE / 8..=3 * ONE));
                [scale.0, 0, shift.0 + fraction.0, 0, scale.1, shift.1 + fraction.1]
            }
            8 if self.chance.percent(10) => {
                // Far out, or so large that the middle of a pixel is nowhere near.
                let mut any = || self.chance.bits().cast_signed();
                [any(), any(), any(), any(), any(), any()]
            }
            8 => {
                let whole = (self.chance.int(1..=3) * ONE, self.chance.int(1..=3) * ONE);
                [whole.0, 0, shift.0, 0, whole.1, shift.1]
            }
            _ => {
                let mut any = || self.chance.int(-2 * ONE..=2 * ONE);
                [any(), any(), shift.0 + fraction.0, any(), any(), shift.1 + fraction.1]
            }
        };
        let [a, b, _, c, d, _] = matrix.map(i64::from);
        (a * d != b * c).then_some(Transform(matrix))
    }
}
