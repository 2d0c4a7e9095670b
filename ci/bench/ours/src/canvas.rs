//! The measured side of the canvas's bench: surfaces, images and a list of operations, driven by lines on stdin.
//!
//! Names of pictures are a letter and a number: `s` for a surface, 0 is drawn on, and `i` for an image. FORMAT is `xrgb`,
//! `argb`, `rgb565` or `a8`, FILTER `nearest` or `interpolate`, ROP `put` or `xor`, BOX is `X Y WIDTH HEIGHT`.
//!
//! | command | what | answer |
//! |---|---|---|
//! | `load NAME FORMAT WIDTH HEIGHT PATH` | a picture from rows without padding | `ok` |
//! | `forget` | no operations and no clip | `ok` |
//! | `clip BOX` | only there, and in the other clips, is drawn; before the operations | `ok` |
//! | `fill BOX COLOUR ROP` | adds an operation, as all that follow | `ok` |
//! | `tile BOX NAME X Y` | fills with a picture, one of whose copies lies there | `ok` |
//! | `copy BOX NAME X Y WIDTH HEIGHT FILTER ROP` | a part of a picture, scaled to the box | `ok` |
//! | `scroll BOX X Y` | from there on the same surface | `ok` |
//! | `blend BOX NAME X Y ALPHA` | a part of a picture over the surface, times 0 to 255 | `ok` |
//! | `composite BOX NAME MASK FILTER SCALE` | OVER, scaled by 16.16 of a pixel for each; `-` for no mask | `ok` |
//! | `text BOX DEPTH COLOUR COUNT BYTES PATH` | glyphs of 1, 4 or 8 bits | `ok` |
//! | `run draw COUNT` | all operations so often | `ok NANOSECONDS` |
//! | `save PATH` | writes the rows of surface 0 | `ok` |
//!
//! The program for pixman, in `ci/bench/reference/canvas`, takes the same commands.
#![forbid(unsafe_code)]

mod drawings;
mod pipe;
mod processor;

use std::fs;

use anyhow::{Context as _, Result};
use caraway_canvas::{Canvas, Limits};
use caraway_ports::{display::SurfaceSpec, drawing::Drawable, geometry::Rect};

use self::{
    drawings::{Pictures, rect},
    pipe::serve,
    processor::thread_time,
};

fn main() -> Result<()> {
    let mut bench = Bench {
        canvas: Canvas::new(Limits::default()),
        pictures: Pictures::default(),
        clip: Vec::new(),
        drawables: Vec::new(),
    };
    serve(|line| bench.command(line))
}

struct Bench {
    canvas: Canvas,
    pictures: Pictures,
    clip: Vec<Rect>,
    drawables: Vec<Drawable>,
}

impl Bench {
    fn command(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["load", name, format, width, height, path] => {
                self.load(name, format, width.parse()?, height.parse()?, path)?;
            }
            ["forget"] => {
                self.clip.clear();
                self.drawables.clear();
            }
            ["clip", x, y, width, height] => self.clip.push(rect([x, y, width, height])?),
            ["run", "draw", count] => return self.run(count.parse()?),
            ["save", path] => {
                let area = self.canvas.area(0).context("no surface 0")?;
                fs::write(path, &self.canvas.read(0, area).context("nothing in surface 0")?.data)?;
            }
            _ => self.drawables.push(self.pictures.drawable(&words, &self.clip)?),
        }
        Ok("ok".into())
    }

    fn load(&mut self, name: &str, format: &str, width: u32, height: u32, path: &str) -> Result<()> {
        let rows = fs::read(path)?.into();
        if let Some(pixels) = self.pictures.load(name, format, (width, height), rows)? {
            self.canvas.create(&SurfaceSpec {
                id: name.trim_start_matches('s').parse()?,
                width,
                height,
                format: pixels.format,
                pixels: Some(pixels),
            })?;
        }
        Ok(())
    }

    /// Draws everything `count` times.
    fn run(&mut self, count: u32) -> Result<String> {
        let began = thread_time();
        for _ in 0..count {
            for drawable in &self.drawables {
                self.canvas.draw(drawable)?;
            }
        }
        Ok(format!("ok {}", thread_time() - began))
    }
}
