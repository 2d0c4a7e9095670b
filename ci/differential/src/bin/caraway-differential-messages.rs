//! Writes the commands of many rounds to standard output as a display channel carries them, and what our canvas makes of
//! each, for a client that is to draw the same: `spice/web/tests/differential.mjs`.
//!
//! The output is a row of messages with the small header of the protocol: u16 id, u32 size, body. Images are plain
//! bitmaps or surfaces. Besides messages of the display channel there are these, with ids the protocol does not have:
//!
//! - [`CELLS`]: the names of all cells, each on a line;
//! - [`COMMAND`]: before a command, the name of its cell, how many pixels it changes, and seed, round and place of it,
//!   separated by blanks;
//! - [`PIXELS`]: what a surface has to be now: u32 id, width, height and format, then its rows as the canvas has them.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, Write},
    sync::Arc,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use caraway_differential::{
    cell::{Cell, FORMATS},
    round::{COMMANDS, Made, Round},
};
use caraway_image::{Limits, quic};
use caraway_ports::{
    display::{DisplayCommand, Pixels, SurfaceSpec},
    drawing::{
        Bitmap, BitmapFormat, Brush, DrawOp, Drawable, Image, ImageData, Mask, Palette, ScaleMode, Source,
        SurfaceFormat,
    },
    geometry::{Point, Rect},
};
use caraway_protocol::{
    Message,
    display::{
        self, AlphaFlags, Draw, DrawText, Line, PaletteRef, ServerMessage, Stroke, SurfaceCreate, SurfaceFlags, Text,
    },
    wire::Point16,
};
use clap::Parser;

/// Names of all cells.
const CELLS: u16 = 0xfffd;
/// What the next command is.
const COMMAND: u16 = 0xfffe;
/// What a surface has to be.
const PIXELS: u16 = 0xffff;

/// `alpha_flags`: the unused byte of a source that is a surface counts as alpha.
const SRC_SURFACE_HAS_ALPHA: u8 = 2;

/// Rounds in which cells that stayed empty get commands, and the number of the first of them.
const AIMED_ROUNDS: u64 = 5;
const AIMED: u64 = 200_000 * FORMATS.len() as u64;

#[derive(Parser)]
struct Options {
    /// What all is made of.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many commands, before those for cells that are still empty.
    #[arg(long, default_value_t = 20_000)]
    commands: u64,
    /// Only this round.
    #[arg(long)]
    round: Option<u64>,
    /// Only this command of the round is described at length on standard error.
    #[arg(long)]
    explain: Option<u64>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut stream = Stream {
        out: BufWriter::new(io::stdout().lock()),
        filled: BTreeSet::new(),
    };
    let names: Vec<String> = FORMATS
        .iter()
        .flat_map(|format| Cell::all(*format).into_iter().map(|cell| cell.name(*format)))
        .collect();
    stream.record(CELLS, names.join("\n").as_bytes())?;
    let rounds = match options.round {
        Some(round) => round..round + 1,
        None => 0..options.commands.div_ceil(COMMANDS),
    };
    for number in rounds {
        let mut round = stream.begin(options.seed, number)?;
        for place in 0.. {
            let Some(made) = round.draw_next() else { break };
            if options.explain == Some(place) {
                eprintln!("{:?}", made.drawable);
            }
            stream.command(&round, &made, &format!("{} {number} {place}", options.seed))?;
        }
        stream.end(&round)?;
    }
    let aimed = if options.round.is_some() { 0 } else { AIMED_ROUNDS };
    for (number, format) in (0..aimed).flat_map(|of_all| (0..).zip(FORMATS).map(move |(at, f)| (of_all * 6 + at, f))) {
        let cells = Cell::all(format);
        let empty: Vec<&Cell> = cells
            .iter()
            .filter(|cell| !stream.filled.contains(&cell.name(format)))
            .collect();
        if empty.is_empty() {
            continue;
        }
        let mut round = stream.begin(options.seed, AIMED + number)?;
        for (place, cell) in (0..).zip(empty) {
            let made = round.command(cell, place);
            stream.command(&round, &made, &format!("{} {} {place}", options.seed, AIMED + number))?;
        }
        stream.end(&round)?;
    }
    stream.out.flush()?;
    Ok(())
}

struct Stream<W> {
    out: W,
    /// Names of the cells that have a command which changed pixels.
    filled: BTreeSet<String>,
}

impl<W: Write> Stream<W> {
    fn record(&mut self, id: u16, body: &[u8]) -> Result<()> {
        self.out.write_all(&id.to_le_bytes())?;
        self.out.write_all(&u32::try_from(body.len())?.to_le_bytes())?;
        self.out.write_all(body)?;
        Ok(())
    }

    fn message(&mut self, message: &ServerMessage) -> Result<()> {
        let body = message.to_body()?;
        self.record(message.id(), &body)
    }

    /// The surfaces of a round.
    fn begin(&mut self, seed: u64, number: u64) -> Result<Round> {
        let (round, commands) = Round::new(seed, number);
        for command in commands {
            if let DisplayCommand::CreateSurface(spec) = command {
                let SurfaceSpec {
                    id,
                    width,
                    height,
                    format,
                    pixels,
                } = spec;
                let create = SurfaceCreate {
                    surface_id: id,
                    width,
                    height,
                    format,
                    flags: SurfaceFlags::empty(),
                };
                self.message(&ServerMessage::SurfaceCreate(create))?;
                self.set(id, &pixels.context("a surface without content")?)?;
            }
        }
        Ok(round)
    }

    /// All surfaces of a round as they are at its end.
    fn end(&mut self, round: &Round) -> Result<()> {
        round.places.iter().try_for_each(|place| self.pixels(round, place.id))
    }

    /// A command, and the surface it draws on after it.
    fn command(&mut self, round: &Round, made: &Made, place: &str) -> Result<()> {
        let Made {
            cell,
            drawable,
            changed,
        } = made;
        let format = |id: u32| {
            round
                .places
                .iter()
                .find(|place| place.id == id)
                .map(|place| place.format)
        };
        if reads_unused_byte(drawable, format) {
            let pixels = round.pixels(drawable.surface).context("a surface that is not there")?;
            return self.set(drawable.surface, &pixels);
        }
        let name = cell.name(round.format);
        self.record(COMMAND, format!("{name} {changed} {place}").as_bytes())?;
        if *changed > 0 {
            self.filled.insert(name);
        }
        self.message(&ServerMessage::Draw(Box::new(draw_of(drawable)?)))?;
        self.pixels(round, drawable.surface)
    }

    fn pixels(&mut self, round: &Round, id: u32) -> Result<()> {
        let pixels = round.pixels(id).context("a surface that is not there")?;
        let mut body = Vec::new();
        for word in [id, pixels.width, pixels.height, pixels.format as u32] {
            body.extend(word.to_le_bytes());
        }
        body.extend_from_slice(&pixels.data);
        self.record(PIXELS, &body)
    }

    /// Sets the content of a surface by a plain copy of a picture.
    fn set(&mut self, surface: u32, pixels: &Pixels) -> Result<()> {
        let bitmap = bitmap_of(pixels);
        let bbox = Rect::at(0, 0, bitmap.width, bitmap.height);
        let drawable = Drawable::copy(surface, bbox, Arc::new(bitmap), ScaleMode::Nearest);
        self.message(&ServerMessage::Draw(Box::new(draw_of(&drawable)?)))
    }
}

/// Whether the unused byte of an xRGB surface becomes alpha. It differs from server to client, so a server sends the
/// result of such commands (`takes_command` of `caraway-display`).
fn reads_unused_byte(drawable: &Drawable, format: impl Fn(u32) -> Option<SurfaceFormat>) -> bool {
    let is_xrgb = |image: &Image| match image.data {
        ImageData::Surface(id) => format(id) == Some(SurfaceFormat::Xrgb),
        _ => false,
    };
    let on_argb = format(drawable.surface) == Some(SurfaceFormat::Argb);
    let brush = |brush: &Brush| on_argb && matches!(brush, Brush::Pattern { image, .. } if is_xrgb(image));
    let source = |source: &Source| on_argb && is_xrgb(&source.image);
    match &drawable.op {
        DrawOp::Fill { brush: with, .. } | DrawOp::Stroke { brush: with, .. } => brush(with),
        DrawOp::Opaque {
            source: from,
            brush: with,
            ..
        }
        | DrawOp::Rop3 {
            source: from,
            brush: with,
            ..
        } => source(from) || brush(with),
        DrawOp::Copy { source: from, .. }
        | DrawOp::Blend { source: from, .. }
        | DrawOp::Transparent { source: from, .. } => source(from),
        // The other brush of a text is laid over what is there, opaque.
        DrawOp::Text { back_brush, .. } => brush(back_brush),
        DrawOp::AlphaBlend { source, flags, .. } => flags & SRC_SURFACE_HAS_ALPHA != 0 && is_xrgb(&source.image),
        DrawOp::CopyBits { .. }
        | DrawOp::Blackness { .. }
        | DrawOp::Whiteness { .. }
        | DrawOp::Invers { .. }
        | DrawOp::Composite(_) => false,
    }
}

/// Canvas pixels as a bitmap that, copied to a surface of the same format, gives the same pixels.
fn bitmap_of(pixels: &Pixels) -> Bitmap {
    let rows = || pixels.data.chunks(pixels.stride.max(1) as usize);
    let (format, stride, data) = match pixels.format {
        SurfaceFormat::Xrgb => (BitmapFormat::Bit32, pixels.stride, pixels.data.clone()),
        SurfaceFormat::Argb => (BitmapFormat::Rgba, pixels.stride, pixels.data.clone()),
        SurfaceFormat::Rgb555 => (BitmapFormat::Bit16, pixels.stride, pixels.data.clone()),
        SurfaceFormat::A8 => (BitmapFormat::Bit8A, pixels.stride, pixels.data.clone()),
        SurfaceFormat::A1 => {
            let bits = rows().flat_map(|row| (0..pixels.width as usize).map(|x| (row.get(x / 8).copied(), x % 8)));
            let alphas = bits.map(|(byte, bit)| if byte.unwrap_or(0) >> bit & 1 == 1 { 255 } else { 0 });
            (BitmapFormat::Bit8A, pixels.width, alphas.collect())
        }
        SurfaceFormat::Rgb565 => {
            let values = rows()
                .flat_map(|row| row.as_chunks().0)
                .map(|pixel| u16::from_le_bytes(*pixel));
            let wide: Vec<u8> = values
                .flat_map(|value| caraway_image::color::from_565(value).to_le_bytes())
                .collect();
            (BitmapFormat::Bit32, pixels.width * 4, Bytes::from(wide))
        }
    };
    Bitmap {
        format,
        width: pixels.width,
        height: pixels.height,
        stride,
        top_down: true,
        palette: None,
        data,
    }
}

fn draw_of(drawable: &Drawable) -> Result<Draw> {
    Ok(Draw {
        surface_id: drawable.surface,
        bbox: drawable.bbox,
        clip: drawable.clip.clone(),
        op: op_of(&drawable.op)?,
    })
}

fn op_of(op: &DrawOp) -> Result<display::DrawOp> {
    Ok(match op {
        DrawOp::Fill { brush, rop, mask } => display::DrawOp::Fill {
            brush: brush_of(brush)?,
            rop: *rop,
            mask: mask_of(mask)?,
        },
        DrawOp::Opaque {
            source,
            brush,
            rop,
            mask,
        } => display::DrawOp::Opaque {
            source: source_of(source)?,
            brush: brush_of(brush)?,
            rop: *rop,
            mask: mask_of(mask)?,
        },
        DrawOp::Copy { source, rop, mask } => display::DrawOp::Copy {
            source: source_of(source)?,
            rop: *rop,
            mask: mask_of(mask)?,
        },
        DrawOp::Blend { source, rop, mask } => display::DrawOp::Blend {
            source: source_of(source)?,
            rop: *rop,
            mask: mask_of(mask)?,
        },
        DrawOp::CopyBits { src_pos } => display::DrawOp::CopyBits { src_pos: *src_pos },
        DrawOp::Blackness { mask } => display::DrawOp::Blackness { mask: mask_of(mask)? },
        DrawOp::Whiteness { mask } => display::DrawOp::Whiteness { mask: mask_of(mask)? },
        DrawOp::Invers { mask } => display::DrawOp::Invers { mask: mask_of(mask)? },
        DrawOp::Rop3 {
            source,
            brush,
            rop3,
            mask,
        } => display::DrawOp::Rop3 {
            source: source_of(source)?,
            brush: brush_of(brush)?,
            rop3: *rop3,
            mask: mask_of(mask)?,
        },
        DrawOp::Stroke {
            path,
            style,
            start_with_gap,
            brush,
            fore_mode,
            back_mode,
        } => display::DrawOp::Stroke(Stroke {
            path: Arc::clone(path),
            line: Line {
                style: Arc::clone(style),
                start_with_gap: *start_with_gap,
            },
            brush: brush_of(brush)?,
            fore_mode: *fore_mode,
            back_mode: *back_mode,
        }),
        DrawOp::Text {
            glyphs,
            depth,
            back_area,
            fore_brush,
            back_brush,
            fore_mode,
            back_mode,
        } => display::DrawOp::Text(DrawText {
            text: Text {
                depth: *depth,
                glyphs: Arc::clone(glyphs),
            },
            back_area: *back_area,
            fore_brush: brush_of(fore_brush)?,
            back_brush: brush_of(back_brush)?,
            fore_mode: *fore_mode,
            back_mode: *back_mode,
        }),
        DrawOp::Transparent {
            source,
            src_color,
            true_color,
        } => display::DrawOp::Transparent {
            image: image_of(&source.image)?,
            area: source.area,
            src_color: *src_color,
            true_color: *true_color,
        },
        DrawOp::AlphaBlend { source, flags, alpha } => display::DrawOp::AlphaBlend {
            flags: AlphaFlags::from_bits_retain(*flags),
            alpha: *alpha,
            image: image_of(&source.image)?,
            area: source.area,
        },
        DrawOp::Composite(composite) => display::DrawOp::Composite(display::Composite {
            flags: composite.flags & !display::Composite::PRESENCE,
            src: image_of(&composite.src)?,
            mask: composite.mask.as_ref().map(image_of).transpose()?,
            src_transform: composite.src_transform,
            mask_transform: composite.mask_transform,
            src_origin: point16(composite.src_origin)?,
            mask_origin: point16(composite.mask_origin)?,
        }),
    })
}

fn point16(Point { x, y }: Point) -> Result<Point16> {
    Ok(Point16 {
        x: i16::try_from(x)?,
        y: i16::try_from(y)?,
    })
}

fn source_of(source: &Source) -> Result<display::Source> {
    Ok(display::Source {
        image: image_of(&source.image)?,
        area: source.area,
        scale: source.scale,
    })
}

fn brush_of(brush: &Brush) -> Result<display::Brush> {
    Ok(match brush {
        Brush::None => display::Brush::None,
        Brush::Solid(color) => display::Brush::Solid(*color),
        Brush::Pattern { image, pos } => display::Brush::Pattern {
            image: image_of(image)?,
            pos: *pos,
        },
    })
}

fn mask_of(mask: &Mask) -> Result<display::Mask> {
    Ok(display::Mask {
        inverse: mask.inverse,
        pos: mask.pos,
        image: mask.bitmap.as_ref().map(image_of).transpose()?,
    })
}

/// An image as it is; one that is compressed as the bitmap it was made of.
fn image_of(image: &Image) -> Result<display::Image> {
    let mut flags = display::ImageFlags::empty();
    flags.set(display::ImageFlags::HIGH_BITS_SET, image.high_bits_set);
    let data = match &image.data {
        ImageData::Surface(id) => display::ImageData::Surface(*id),
        ImageData::Bitmap(bitmap) => display::ImageData::Bitmap(wire_bitmap(bitmap)),
        ImageData::Quic(stream) => {
            let pixels = quic::decode(stream, &Limits::default())?.into_pixels();
            display::ImageData::Bitmap(wire_bitmap(&bitmap_of(&pixels)))
        }
    };
    Ok(display::Image {
        id: image.id,
        flags,
        width: image.width,
        height: image.height,
        data,
    })
}

/// A bitmap whose palette has a colour for every index.
fn wire_bitmap(bitmap: &Bitmap) -> display::Bitmap {
    let palette = bitmap.palette.as_ref().map(|palette| {
        let mut entries = palette.entries.clone();
        entries.resize(entries.len().max(1 << bitmap.format.bits_per_pixel().min(8)), 0);
        PaletteRef::Inline {
            palette: Arc::new(Palette { unique: 0, entries }),
            cache: false,
        }
    });
    display::Bitmap {
        format: bitmap.format,
        top_down: bitmap.top_down,
        stride: bitmap.stride,
        palette,
        data: bitmap.data.clone(),
    }
}
