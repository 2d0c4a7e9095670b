//! A round: fresh surfaces, and commands that draw on them.

use caraway_canvas::{Canvas, Limits};
use caraway_ports::{
    display::{DisplayCommand, Pixels, SurfaceSpec},
    drawing::{Clip, DrawOp, Drawable, Mask, Rop, ScaleMode, Source, SurfaceFormat},
    geometry::Rect,
};

use crate::{
    cell::{Cell, FORMATS},
    chance::Chance,
    picture::{Maker, Place},
};

/// Commands of a round.
pub const COMMANDS: u64 = 100;
/// How often a command is made anew when it would change nothing.
const TRIES: u64 = 16;
/// The screen.
pub const PRIMARY: u32 = 0;
/// A surface of the format the round is about, drawn on as the screen is.
const TWIN: u32 = 1;
/// Where the screen is kept while the twin is shown; no command knows it.
const ASIDE: u32 = 99;

/// A command and what it did to our canvas.
#[derive(Debug)]
pub struct Made {
    pub cell: Cell,
    pub drawable: Drawable,
    /// Pixels with another colour or alpha.
    pub changed: usize,
}

/// The surfaces of a round, as our canvas has them.
#[derive(Debug)]
pub struct Round {
    seed: u64,
    number: u64,
    /// What the round is about.
    pub format: SurfaceFormat,
    /// The surfaces, the screen first.
    pub places: Vec<Place>,
    canvas: Canvas,
    cells: Vec<Cell>,
    made: u64,
}

impl Round {
    /// The round of this number; its cells come in an order that depends on the seed, so that all of a format's have had
    /// their turn after a number of rounds. Returns the commands that set it up, too.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> (Self, Vec<DisplayCommand>) {
        let of_format = number / FORMATS.len() as u64;
        let format = FORMATS[(number % FORMATS.len() as u64) as usize];
        let mut chance = Chance::new(seed, &[number]);
        let size = (chance.size(57..=72), chance.size(41..=56));
        let place = |id: u32, format: SurfaceFormat| Place {
            id,
            format,
            width: size.0,
            height: size.1,
        };
        let screen = if format == SurfaceFormat::A1 {
            SurfaceFormat::Xrgb
        } else {
            format
        };
        let mut places = vec![place(PRIMARY, screen), place(TWIN, format)];
        places.extend((2..).zip(FORMATS).map(|(id, format)| place(id, format)));
        let mut canvas = Canvas::new(Limits::default());
        let mut commands = vec![DisplayCommand::Reset];
        let mut maker = Maker {
            chance,
            places: &places,
            format,
        };
        let aside = Place {
            id: ASIDE,
            ..place(PRIMARY, screen)
        };
        for place in places.iter().chain([&aside]) {
            let pixels = maker.pixels(place);
            let Place {
                id,
                format,
                width,
                height,
            } = *place;
            let spec = SurfaceSpec {
                id,
                width,
                height,
                format,
                pixels: Some(pixels),
            };
            // Within all limits.
            let _ = canvas.create(&spec);
            commands.push(DisplayCommand::CreateSurface(spec));
        }
        let cells = cells_of_round(seed, of_format, format);
        let round = Self {
            seed,
            number,
            format,
            places,
            canvas,
            cells,
            made: 0,
        };
        (round, commands)
    }

    /// The next command. It changes pixels, unless many tries had none that does.
    pub fn draw_next(&mut self) -> Option<Made> {
        let cell = *self.cells.get(usize::try_from(self.made).ok()?)?;
        let made = self.made;
        self.made += 1;
        Some(self.command(&cell, made))
    }

    /// A command of a cell; `path` tells it from others.
    pub fn command(&mut self, cell: &Cell, path: u64) -> Made {
        for attempt in 0.. {
            let chance = Chance::new(self.seed, &[self.number, path, attempt]);
            let mut maker = Maker {
                chance,
                places: &self.places,
                format: self.format,
            };
            let on_screen = self.format != SurfaceFormat::A1 && maker.chance.percent(50);
            let target = self.places[usize::from(!on_screen)];
            let drawable = maker.command(cell, &target);
            let before = self.canvas.read(target.id, drawable.bbox);
            let done = self.canvas.draw(&drawable).is_ok();
            let after = self.canvas.read(target.id, drawable.bbox);
            // What has changed nothing but unused bits is drawn on the display as well.
            let drawn = done && before != after;
            let changed = match (before, after) {
                (Some(before), Some(after)) => different(&before, &after),
                _ => 0,
            };
            if drawn || attempt == TRIES {
                return Made {
                    cell: *cell,
                    drawable,
                    changed,
                };
            }
        }
        unreachable!("the last try returns")
    }

    /// The commands that put what is on the screen aside and show the twin there, so that it can be compared, too.
    pub fn show_twin(&mut self) -> [Drawable; 2] {
        [self.copy(PRIMARY, ASIDE), self.copy(TWIN, PRIMARY)]
    }

    /// The command that brings the screen back after that.
    pub fn hide_twin(&mut self) -> Drawable {
        self.copy(ASIDE, PRIMARY)
    }

    /// A plain copy of a whole surface.
    fn copy(&mut self, from: u32, to: u32) -> Drawable {
        let mut maker = Maker {
            chance: Chance::new(0, &[]),
            places: &self.places,
            format: self.format,
        };
        let from = Place {
            id: from,
            ..self.places[0]
        };
        let area = Rect::at(0, 0, from.width, from.height);
        let drawable = Drawable {
            surface: to,
            bbox: area,
            clip: Clip::None,
            mm_time: 0,
            op: DrawOp::Copy {
                source: Source {
                    image: maker.surface_image(&from),
                    area,
                    scale: ScaleMode::Nearest,
                },
                rop: Rop::PUT,
                mask: Mask::default(),
            },
        };
        // As the display's own canvas does.
        let _ = self.canvas.draw(&drawable);
        drawable
    }

    /// The significant bits of all pixels on the screen: 64-bit FNV-1a.
    #[must_use]
    pub fn fingerprint(&self) -> Option<u64> {
        let pixels = self.screen()?;
        let masked = pixels.data.iter().zip(significant(pixels.format).iter().cycle());
        Some(masked.fold(0xcbf2_9ce4_8422_2325, |hash, (byte, mask)| {
            (hash ^ u64::from(byte & mask)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// What our canvas has on the screen.
    #[must_use]
    pub fn screen(&self) -> Option<Pixels> {
        self.pixels(PRIMARY)
    }

    /// What a surface of our canvas is.
    #[must_use]
    pub fn pixels(&self, id: u32) -> Option<Pixels> {
        self.canvas.read(id, self.canvas.area(id)?)
    }
}

/// The cells of one round of a format: after enough rounds each has come as often as any other.
fn cells_of_round(seed: u64, of_format: u64, format: SurfaceFormat) -> Vec<Cell> {
    let cells = Cell::all(format);
    let all: Vec<Cell> = cells.iter().flat_map(|cell| vec![*cell; cell.weight()]).collect();
    let count = all.len() as u64;
    let first = of_format * COMMANDS;
    (first..first + COMMANDS)
        .filter_map(|place| {
            let mut order: Vec<usize> = (0..all.len()).collect();
            Chance::new(seed, &[format as u64, place / count]).shuffle(&mut order);
            all.get(*order.get(usize::try_from(place % count).ok()?)?).copied()
        })
        .collect()
}

/// The bits of a byte of a pixel that mean something, by its place in the pixel.
#[must_use]
pub fn significant(format: SurfaceFormat) -> &'static [u8] {
    match format {
        SurfaceFormat::Xrgb => &[255, 255, 255, 0],
        SurfaceFormat::Rgb555 => &[255, 127],
        _ => &[255],
    }
}

/// Pixels (of a bit: bytes) that differ.
fn different(one: &Pixels, other: &Pixels) -> usize {
    let mask = significant(one.format);
    let each = (one.format.bits_per_pixel() as usize / 8).max(1);
    let pixels = one.data.chunks(each).zip(other.data.chunks(each));
    pixels
        .filter(|(a, b)| {
            a.iter()
                .zip(*b)
                .zip(mask.iter().cycle())
                .any(|((a, b), mask)| (a ^ b) & mask != 0)
        })
        .count()
}
