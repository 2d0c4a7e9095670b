//! Display commands into a recording.

mod draw;

use std::io::{self, Write};

use bytes::Bytes;
use caraway_ports::{
    display::{CursorCommand, DisplayCommand, Pixels, SurfaceSpec},
    drawing::SurfaceFormat,
    geometry::Point,
};

use crate::{
    HEADER, KEEP_DATA, emit,
    record::{Chunks, Command, Cursor, Event, NewSurface, Primary, Request, Shape, Surface, What},
    request,
};

/// Rows of a surface begin at multiples of this.
const ALIGNMENT: u32 = 4;

/// Writes a recording. What it wrote is read and played as the same commands; monitors are not in the format.
#[derive(Debug)]
pub struct TraceWriter<W> {
    out: W,
    next: u32,
}

impl<W: Write> TraceWriter<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        writeln!(out, "{HEADER}")?;
        Ok(Self { out, next: 0 })
    }

    /// Writes a command given at `time`, nanoseconds of any monotonic clock. False when the format has no word for it:
    /// then nothing was written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, time: u64, command: &DisplayCommand) -> io::Result<bool> {
        let Some(what) = what(command) else { return Ok(false) };
        let event = Event {
            counter: self.next,
            time,
            what,
        };
        emit::event(&mut self.out, &event)?;
        self.next = self.next.wrapping_add(1);
        Ok(true)
    }

    /// Where it writes to.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the recording; the file is complete as it is.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn what(command: &DisplayCommand) -> Option<What> {
    Some(match command {
        DisplayCommand::CreateSurface(spec) if spec.id == 0 => What::Request(Request {
            number: request::CREATE_PRIMARY,
            primary: Some(primary(spec)?),
        }),
        DisplayCommand::CreateSurface(spec) => What::Command(Command::Surface(surface(spec)?)),
        DisplayCommand::DestroySurface(0) => What::Request(Request {
            number: request::DESTROY_PRIMARY,
            primary: None,
        }),
        DisplayCommand::DestroySurface(id) => What::Command(Command::Surface(Surface {
            id: *id,
            flags: 0,
            create: None,
        })),
        DisplayCommand::Draw(drawable) => What::Command(Command::Draw(Box::new(draw::drawable(drawable)?))),
        DisplayCommand::Cursor(CursorCommand::Reset) => What::Request(Request {
            number: request::RESET_CURSOR,
            primary: None,
        }),
        DisplayCommand::Cursor(command) => What::Command(Command::Cursor(cursor(command)?)),
        DisplayCommand::Monitors { .. } => return None,
        DisplayCommand::Reset => What::Request(Request {
            number: request::DESTROY_SURFACES,
            primary: None,
        }),
    })
}

/// Bytes of a row in the file.
fn stride(format: SurfaceFormat, width: u32) -> Option<i32> {
    i32::try_from(format.row_bytes(width).checked_next_multiple_of(ALIGNMENT.into())?).ok()
}

fn primary(spec: &SurfaceSpec) -> Option<Primary> {
    let stride = stride(spec.format, spec.width)?;
    let data = match &spec.pixels {
        Some(pixels) => memory(pixels, stride)?,
        // The data is always there.
        None => Bytes::from(vec![
            0;
            usize::try_from(stride)
                .ok()?
                .checked_mul(usize::try_from(spec.height).ok()?)?
        ]),
    };
    Some(Primary {
        width: spec.width,
        height: spec.height,
        stride,
        format: spec.format as u32,
        position: 0,
        mouse_mode: 1,
        flags: if spec.pixels.is_some() { KEEP_DATA } else { 0 },
        kind: 0,
        data,
    })
}

fn surface(spec: &SurfaceSpec) -> Option<Surface> {
    let stride = stride(spec.format, spec.width)?;
    let data = match &spec.pixels {
        Some(pixels) => Some(memory(pixels, stride)?),
        None => None,
    };
    Some(Surface {
        id: spec.id,
        flags: if data.is_some() { KEEP_DATA } else { 0 },
        create: Some(NewSurface {
            format: spec.format as u32,
            width: spec.width,
            height: spec.height,
            stride,
            data,
        }),
    })
}

/// The rows, each `stride` bytes long. `None` when there are not as many as the size says.
fn memory(pixels: &Pixels, stride: i32) -> Option<Bytes> {
    let (from, to) = (usize::try_from(pixels.stride).ok()?, usize::try_from(stride).ok()?);
    let height = usize::try_from(pixels.height).ok()?;
    let row = usize::try_from(pixels.format.row_bytes(pixels.width)).ok()?;
    if from == to && pixels.data.len() == to.checked_mul(height)? {
        return Some(pixels.data.clone());
    }
    let mut memory = Vec::with_capacity(to.checked_mul(height)?);
    for (_, line) in (0..height).zip(pixels.data.chunks(from.max(1))) {
        memory.extend_from_slice(line.get(..row)?);
        memory.resize(memory.len() + (to - row), 0);
    }
    (memory.len() == to * height).then(|| Bytes::from(memory))
}

fn cursor(command: &CursorCommand) -> Option<Cursor> {
    Some(match command {
        CursorCommand::Set {
            position,
            visible,
            shape,
        } => Cursor::Set(Box::new(Shape {
            position: held(*position),
            visible: *visible,
            unique: shape.unique,
            kind: shape.kind as u16,
            width: shape.width,
            height: shape.height,
            hot_spot: shape.hot_spot,
            data_size: u32::try_from(shape.data.len()).ok()?,
            data: chunks(shape.data.clone()),
        })),
        CursorCommand::Move(position) => Cursor::Move(held(*position)),
        CursorCommand::Hide => Cursor::Hide,
        CursorCommand::Trail { length, frequency } => Cursor::Trail {
            length: *length,
            frequency: *frequency,
        },
        CursorCommand::Reset => return None,
    })
}

/// Positions of 16 bits: a device gives no others.
fn held(position: Point) -> Point {
    let hold = |value: i32| value.clamp(i16::MIN.into(), i16::MAX.into());
    Point {
        x: hold(position.x),
        y: hold(position.y),
    }
}

const fn chunks(data: Bytes) -> Chunks {
    Chunks { data, more: 0 }
}
