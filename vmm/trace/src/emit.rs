//! Records into a file: the reader's other half.

use std::io::{self, Write};

use caraway_ports::geometry::{Point, Rect};

use crate::{
    BITMAP_DIRECT,
    record::{
        Bitmap, Brush, Chunks, Command, Composite, Cursor, Drawable, Event, Image, Mask, Op, PixelSource, Primary,
        Shape, Source, Stroke, Surface, Text, What,
    },
};

/// Writes a record.
pub(crate) fn event(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let (what, kind) = match &event.what {
        What::Command(command) => (
            0,
            match command {
                Command::Draw(_) => 1,
                Command::Update(_) => 2,
                Command::Cursor(_) => 3,
                Command::Message(_) => 4,
                Command::Surface(_) => 5,
            },
        ),
        What::Request(request) => (1, request.number),
    };
    writeln!(out, "event {} {what} {kind} {}", event.counter, event.time)?;
    match &event.what {
        What::Command(Command::Draw(drawable)) => draw(out, drawable),
        What::Command(Command::Update(update)) => {
            writeln!(out, "update")?;
            rect(out, "area", &update.area)?;
            number(out, "update_id", update.id)?;
            number(out, "surface_id", update.surface)
        }
        What::Command(Command::Cursor(command)) => cursor(out, command),
        What::Command(Command::Message(text)) => binary(out, "message", text),
        What::Command(Command::Surface(command)) => surface(out, command),
        What::Request(request) => request.primary.as_ref().map_or(Ok(()), |new| primary(out, new)),
    }
}

/// Fields of 32 bits are signed numbers in the file.
fn number(out: &mut impl Write, name: &str, value: u32) -> io::Result<()> {
    writeln!(out, "{name} {}", value.cast_signed())
}

fn binary(out: &mut impl Write, name: &str, data: &[u8]) -> io::Result<()> {
    write!(out, "binary 0 {name} {}:", data.len())?;
    out.write_all(data)?;
    out.write_all(b"\n")
}

fn chunks(out: &mut impl Write, name: &str, chunks: &Chunks) -> io::Result<()> {
    writeln!(out, "data_chunks 0 {}", chunks.data.len())?;
    binary(out, name, &chunks.data)
}

fn rect(out: &mut impl Write, name: &str, rect: &Rect) -> io::Result<()> {
    let Rect {
        top,
        left,
        bottom,
        right,
    } = rect;
    writeln!(out, "rect {name} {top} {left} {bottom} {right}")
}

fn point(out: &mut impl Write, name: &str, Point { x, y }: Point) -> io::Result<()> {
    writeln!(out, "{name} {x} {y}")
}

fn primary(out: &mut impl Write, primary: &Primary) -> io::Result<()> {
    let [width, height, format] = [primary.width, primary.height, primary.format].map(u32::cast_signed);
    writeln!(out, "{width} {height} {} {format}", primary.stride)?;
    let more = [primary.position, primary.mouse_mode, primary.flags, primary.kind];
    let [position, mouse_mode, flags, kind] = more.map(u32::cast_signed);
    writeln!(out, "{position} {mouse_mode} {flags} {kind}")?;
    binary(out, "data", &primary.data)
}

fn surface(out: &mut impl Write, surface: &Surface) -> io::Result<()> {
    writeln!(out, "surface_cmd")?;
    number(out, "surface_id", surface.id)?;
    writeln!(out, "type {}", u8::from(surface.create.is_none()))?;
    number(out, "flags", surface.flags)?;
    let Some(new) = &surface.create else { return Ok(()) };
    number(out, "u.surface_create.format", new.format)?;
    number(out, "u.surface_create.width", new.width)?;
    number(out, "u.surface_create.height", new.height)?;
    writeln!(out, "u.surface_create.stride {}", new.stride)?;
    match &new.data {
        Some(data) => binary(out, "data", data),
        None => Ok(()),
    }
}

fn cursor(out: &mut impl Write, command: &Cursor) -> io::Result<()> {
    writeln!(out, "cursor_cmd")?;
    match command {
        Cursor::Set(new) => shape(out, new),
        Cursor::Move(position) => {
            writeln!(out, "type 1")?;
            point(out, "point16", *position)
        }
        Cursor::Hide => writeln!(out, "type 2"),
        Cursor::Trail { length, frequency } => {
            writeln!(out, "type 3\nu.trail.length {length}\nu.trail.frequency {frequency}")
        }
    }
}

fn shape(out: &mut impl Write, shape: &Shape) -> io::Result<()> {
    writeln!(out, "type 0")?;
    point(out, "point16", shape.position)?;
    writeln!(out, "u.set.visible {}", u8::from(shape.visible))?;
    writeln!(out, "header.unique {}", shape.unique)?;
    writeln!(out, "header.type {}", shape.kind)?;
    writeln!(out, "header.width {}\nheader.height {}", shape.width, shape.height)?;
    let (x, y) = shape.hot_spot;
    writeln!(out, "header.hot_spot_x {x}\nheader.hot_spot_y {y}")?;
    number(out, "data_size", shape.data_size)?;
    chunks(out, "cursor", &shape.data)
}

fn draw(out: &mut impl Write, drawable: &Drawable) -> io::Result<()> {
    writeln!(out, "drawable")?;
    rect(out, "bbox", &drawable.bbox)?;
    match &drawable.clip {
        None => writeln!(out, "type 0")?,
        Some(clip) => {
            writeln!(out, "type 1")?;
            number(out, "num_rects", clip.count)?;
            chunks(out, "clip_rects", &clip.rects)?;
        }
    }
    writeln!(out, "effect {}", drawable.effect)?;
    number(out, "mm_time", drawable.mm_time)?;
    writeln!(out, "self_bitmap {}", u8::from(drawable.self_bitmap))?;
    rect(out, "self_bitmap_area", &drawable.self_bitmap_area)?;
    number(out, "surface_id", drawable.surface)?;
    for (id, area) in &drawable.reads {
        writeln!(out, "surfaces_dest {id}")?;
        rect(out, "surfaces_rects", area)?;
    }
    op(out, &drawable.op)
}

fn op(out: &mut impl Write, op: &Op) -> io::Result<()> {
    match op {
        Op::Nop => kind(out, 0),
        Op::Fill {
            brush: with,
            rop,
            mask: by,
        } => {
            kind(out, 1)?;
            brush(out, with)?;
            writeln!(out, "rop_descriptor {rop}")?;
            mask(out, by)
        }
        Op::Opaque {
            source: from,
            brush: with,
            rop,
            scale,
            mask: by,
        } => {
            kind(out, 2)?;
            source(out, from)?;
            brush(out, with)?;
            writeln!(out, "rop_descriptor {rop}\nscale_mode {scale}")?;
            mask(out, by)
        }
        Op::Copy {
            source: from,
            rop,
            scale,
            mask: by,
        }
        | Op::Blend {
            source: from,
            rop,
            scale,
            mask: by,
        } => {
            kind(out, if matches!(op, Op::Copy { .. }) { 3 } else { 5 })?;
            source(out, from)?;
            writeln!(out, "rop_descriptor {rop}\nscale_mode {scale}")?;
            mask(out, by)
        }
        Op::CopyBits { position } => {
            kind(out, 4)?;
            point(out, "point", *position)
        }
        Op::Blackness { mask: by } => {
            kind(out, 6)?;
            mask(out, by)
        }
        Op::Whiteness { mask: by } => {
            kind(out, 7)?;
            mask(out, by)
        }
        Op::Invers { mask: by } => {
            kind(out, 8)?;
            mask(out, by)
        }
        Op::Rop3 {
            source: from,
            brush: with,
            rop3,
            scale,
            mask: by,
        } => {
            kind(out, 9)?;
            source(out, from)?;
            brush(out, with)?;
            writeln!(out, "rop3 {rop3}\nscale_mode {scale}")?;
            mask(out, by)
        }
        Op::Stroke(lines) => {
            kind(out, 10)?;
            stroke(out, lines)
        }
        Op::Text(string) => {
            kind(out, 11)?;
            text(out, string)
        }
        Op::Transparent {
            source: from,
            src_color,
            true_color,
        } => {
            kind(out, 12)?;
            source(out, from)?;
            number(out, "src_color", *src_color)?;
            number(out, "true_color", *true_color)
        }
        Op::AlphaBlend {
            flags,
            alpha,
            source: from,
        } => {
            kind(out, 13)?;
            writeln!(out, "alpha_flags {flags}\nalpha {alpha}")?;
            source(out, from)
        }
        Op::Composite(parts) => {
            kind(out, 14)?;
            composite(out, parts)
        }
    }
}

fn kind(out: &mut impl Write, number: u8) -> io::Result<()> {
    writeln!(out, "type {number}")
}

fn source(out: &mut impl Write, source: &Source) -> io::Result<()> {
    image(out, source.image.as_ref())?;
    rect(out, "src_area", &source.area)
}

fn stroke(out: &mut impl Write, stroke: &Stroke) -> io::Result<()> {
    chunks(out, "path", &stroke.path)?;
    writeln!(out, "attr.flags {}", stroke.flags)?;
    if let Some(style) = &stroke.style {
        writeln!(out, "attr.style_nseg {}", style.len() / 4)?;
        binary(out, "style", style)?;
    }
    brush(out, &stroke.brush)?;
    writeln!(out, "fore_mode {}\nback_mode {}", stroke.fore_mode, stroke.back_mode)
}

fn text(out: &mut impl Write, text: &Text) -> io::Result<()> {
    number(out, "data_size", text.data_size)?;
    writeln!(out, "length {}\nflags {}", text.length, text.flags)?;
    chunks(out, "string", &text.data)?;
    rect(out, "back_area", &text.back_area)?;
    brush(out, &text.fore_brush)?;
    brush(out, &text.back_brush)?;
    writeln!(out, "fore_mode {}\nback_mode {}", text.fore_mode, text.back_mode)
}

fn composite(out: &mut impl Write, composite: &Composite) -> io::Result<()> {
    number(out, "flags", composite.flags)?;
    image(out, composite.src.as_ref())?;
    transform(out, "src_transform", composite.src_transform.as_deref())?;
    writeln!(out, "mask {}", u8::from(composite.mask.is_some()))?;
    if let Some(mask) = &composite.mask {
        image(out, Some(mask))?;
    }
    transform(out, "mask_transform", composite.mask_transform.as_deref())?;
    point(out, "src_origin", composite.src_origin)?;
    point(out, "mask_origin", composite.mask_origin)
}

fn transform(out: &mut impl Write, name: &str, matrix: Option<&[u8]>) -> io::Result<()> {
    writeln!(out, "{name} {}", u8::from(matrix.is_some()))?;
    matrix.map_or(Ok(()), |matrix| binary(out, "transform", matrix))
}

fn brush(out: &mut impl Write, brush: &Brush) -> io::Result<()> {
    match brush {
        Brush::None => writeln!(out, "type 0"),
        Brush::Solid(colour) => {
            writeln!(out, "type 1")?;
            number(out, "u.color", *colour)
        }
        Brush::Pattern(tile, position) => {
            writeln!(out, "type 2")?;
            image(out, tile.as_ref())?;
            point(out, "point", *position)
        }
    }
}

fn mask(out: &mut impl Write, mask: &Mask) -> io::Result<()> {
    writeln!(out, "flags {}", mask.flags)?;
    point(out, "point", mask.position)?;
    image(out, mask.image.as_ref())
}

fn image(out: &mut impl Write, image: Option<&Image>) -> io::Result<()> {
    writeln!(out, "image {}", u8::from(image.is_some()))?;
    let Some(image) = image else { return Ok(()) };
    let kind = match &image.pixels {
        PixelSource::Bitmap(_) => 0,
        PixelSource::Quic { .. } => 1,
        PixelSource::Surface(_) => 104,
    };
    writeln!(out, "descriptor.id {}\ndescriptor.type {kind}", image.id)?;
    writeln!(out, "descriptor.flags {}", image.flags)?;
    number(out, "descriptor.width", image.width)?;
    number(out, "descriptor.height", image.height)?;
    match &image.pixels {
        PixelSource::Bitmap(pixels) => bitmap(out, pixels),
        PixelSource::Quic { size, data } => {
            number(out, "quic.data_size", *size)?;
            chunks(out, "quic.data", data)
        }
        PixelSource::Surface(id) => number(out, "surface_image.surface_id", *id),
    }
}

fn bitmap(out: &mut impl Write, bitmap: &Bitmap) -> io::Result<()> {
    writeln!(out, "bitmap.format {}\nbitmap.flags {}", bitmap.format, bitmap.flags)?;
    number(out, "bitmap.x", bitmap.width)?;
    number(out, "bitmap.y", bitmap.height)?;
    number(out, "bitmap.stride", bitmap.stride)?;
    writeln!(out, "has_palette {}", u8::from(bitmap.palette.is_some()))?;
    if let Some(palette) = &bitmap.palette {
        writeln!(out, "qp.num_ents {}\nunique {}", palette.entries.len(), palette.unique)?;
        for colour in &palette.entries {
            number(out, "ents", *colour)?;
        }
    }
    if bitmap.flags & BITMAP_DIRECT == 0 {
        chunks(out, "bitmap.data", &bitmap.data)
    } else {
        binary(out, "image_data_flat", &bitmap.data.data)
    }
}
