//! A viewer that keeps surfaces and draws solid fills, plain copies of 32-bit bitmaps and box copies; it remembers
//! everything else it is told.

use std::{collections::BTreeMap, sync::Mutex};

use bytes::Bytes;
use caraway_ports::{
    display::{CursorCommand, DisplayCommand, DisplaySink, Head, Pixels},
    drawing::{Brush, Clip, DrawOp, Drawable, ImageData, SurfaceFormat},
    geometry::Rect,
};

use super::whole::assert_whole;
use crate::lock;

#[derive(Debug, Default)]
pub(crate) struct TestSink {
    surfaces: Mutex<BTreeMap<u32, Canvas>>,
    said: Mutex<Vec<DisplayCommand>>,
}

#[derive(Clone, Debug)]
struct Canvas {
    format: SurfaceFormat,
    width: u32,
    height: u32,
    row: usize,
    data: Vec<u8>,
}

impl TestSink {
    /// What was said since the last call.
    pub(crate) fn take(&self) -> Vec<DisplayCommand> {
        std::mem::take(&mut *lock(&self.said))
    }

    pub(crate) fn draws(&self) -> Vec<Drawable> {
        let draw = |command| match command {
            DisplayCommand::Draw(drawable) => Some(*drawable),
            _ => None,
        };
        self.take().into_iter().filter_map(draw).collect()
    }

    pub(crate) fn cursors(&self) -> Vec<CursorCommand> {
        let cursor = |command| match command {
            DisplayCommand::Cursor(cursor) => Some(cursor),
            _ => None,
        };
        self.take().into_iter().filter_map(cursor).collect()
    }

    /// The last monitors said.
    pub(crate) fn monitors(&self) -> Option<(Vec<Head>, u16)> {
        let monitors = |command| match command {
            DisplayCommand::Monitors { heads, max } => Some((heads, max)),
            _ => None,
        };
        self.take().into_iter().filter_map(monitors).next_back()
    }

    pub(crate) fn live(&self) -> Vec<u32> {
        lock(&self.surfaces).keys().copied().collect()
    }

    /// A 32-bit pixel.
    pub(crate) fn pixel(&self, surface: u32, x: i32, y: i32) -> u32 {
        let pixels = self.read(surface, Rect::at(x, y, 1, 1)).expect("the surface is there");
        u32::from_le_bytes(pixels.data[..4].try_into().unwrap())
    }
}

impl Canvas {
    fn at(&self, x: usize, y: usize, bytes: usize) -> usize {
        y * self.row + x * bytes
    }

    fn draw(&mut self, drawable: &Drawable) {
        let rects = match &drawable.clip {
            Clip::None => vec![drawable.bbox],
            Clip::Rects(rects) => rects.to_vec(),
        };
        let bytes = self.format.bits_per_pixel() as usize / 8;
        let before = self.clone();
        for rect in rects {
            for y in rect.top..rect.bottom {
                for x in rect.left..rect.right {
                    if let Some(value) = source(&before, drawable, x, y, bytes) {
                        let at = self.at(x as usize, y as usize, bytes);
                        self.data[at..at + bytes].copy_from_slice(&value[..bytes]);
                    }
                }
            }
        }
    }
}

fn source(before: &Canvas, drawable: &Drawable, x: i32, y: i32, bytes: usize) -> Option<[u8; 4]> {
    let (dx, dy) = (x - drawable.bbox.left, y - drawable.bbox.top);
    match &drawable.op {
        DrawOp::Fill {
            brush: Brush::Solid(colour),
            ..
        } => Some(colour.to_le_bytes()),
        DrawOp::Copy { source, .. } => {
            let ImageData::Bitmap(bitmap) = &source.image.data else {
                return None;
            };
            if bitmap.format.bits_per_pixel() != 32 || bytes != 4 {
                return None;
            }
            let row = bitmap.row((source.area.top + dy) as u32)?;
            let at = 4 * (source.area.left + dx) as usize;
            row.get(at..at + 4)?.try_into().ok()
        }
        DrawOp::CopyBits { src_pos } => {
            let at = before.at((src_pos.x + dx) as usize, (src_pos.y + dy) as usize, bytes);
            let mut value = [0; 4];
            value[..bytes].copy_from_slice(before.data.get(at..at + bytes)?);
            Some(value)
        }
        _ => None,
    }
}

impl DisplaySink for TestSink {
    fn submit(&self, command: DisplayCommand) {
        assert_whole(&command);
        let mut surfaces = lock(&self.surfaces);
        match &command {
            DisplayCommand::CreateSurface(spec) => {
                let row = spec.format.row_bytes(spec.width) as usize;
                let data = match &spec.pixels {
                    Some(pixels) => {
                        assert_eq!(pixels.stride as usize, row);
                        pixels.data.to_vec()
                    }
                    None => vec![0; row * spec.height as usize],
                };
                assert_eq!(data.len(), row * spec.height as usize);
                let canvas = Canvas {
                    format: spec.format,
                    width: spec.width,
                    height: spec.height,
                    row,
                    data,
                };
                surfaces.insert(spec.id, canvas);
            }
            DisplayCommand::DestroySurface(id) => {
                assert!(surfaces.remove(id).is_some(), "surface {id} was not there");
            }
            DisplayCommand::Draw(drawable) => {
                let canvas = surfaces.get_mut(&drawable.surface).expect("drawn on a live surface");
                let whole = Rect::at(0, 0, canvas.width, canvas.height);
                assert!(whole.contains(&drawable.bbox), "{:?} in {whole:?}", drawable.bbox);
                if canvas.format.bits_per_pixel() >= 8 {
                    canvas.draw(drawable);
                }
            }
            DisplayCommand::Reset => surfaces.clear(),
            DisplayCommand::Cursor(_) | DisplayCommand::Monitors { .. } => {}
        }
        lock(&self.said).push(command);
    }

    fn read(&self, surface: u32, area: Rect) -> Option<Pixels> {
        let surfaces = lock(&self.surfaces);
        let canvas = surfaces.get(&surface)?;
        let area = area.intersect(&Rect::at(0, 0, canvas.width, canvas.height));
        if area.is_empty() {
            return None;
        }
        let bits = canvas.format.bits_per_pixel() as usize;
        let start = area.left as usize * bits / 8;
        let row = canvas.format.row_bytes(area.width()) as usize;
        let data: Vec<u8> = (area.top as usize..area.bottom as usize)
            .flat_map(|y| canvas.data[y * canvas.row + start..][..row].to_vec())
            .collect();
        Some(Pixels {
            format: canvas.format,
            width: area.width(),
            height: area.height(),
            stride: row as u32,
            data: Bytes::from(data),
        })
    }
}
