//! Records into the commands of a display, as a device would give them.

mod cursor;
mod draw;
mod image;
mod shapes;

use std::collections::BTreeMap;

use bytes::Bytes;
use caraway_ports::{
    display::{CursorCommand, DisplayCommand, DisplaySink, Pixels, SurfaceSpec},
    drawing::SurfaceFormat,
    layout::Malformed,
};

use crate::{
    KEEP_DATA,
    record::{Command, Primary, Request, Surface, What},
    request,
};

/// Surface numbers there are.
const SURFACE_COUNT: u32 = 1024;
/// Longest side of a surface.
const SIDE_MAX: u32 = 16 * 8192;
/// Bytes of pixels of all surfaces: what a canvas takes.
const SURFACES_MAX: u64 = 256 << 20;

/// Plays records into a display. What makes no sense is dropped and counted, as a device drops it: an image that is
/// not what it says, a box outside its surface, a surface that is not there.
#[derive(Debug, Default)]
pub struct Player {
    surfaces: Surfaces,
    dropped: u64,
    last_dropped: Option<Malformed>,
}

/// The live surfaces by number.
#[derive(Debug, Default)]
struct Surfaces(BTreeMap<u32, Size>);

#[derive(Clone, Copy, Debug)]
struct Size {
    width: u32,
    height: u32,
    bytes: u64,
}

impl Surfaces {
    fn size_of(&self, id: u32) -> Option<(u32, u32)> {
        self.0.get(&id).map(|size| (size.width, size.height))
    }

    fn bytes(&self) -> u64 {
        self.0.values().map(|size| size.bytes).sum()
    }
}

impl Player {
    /// A player whose display has no surface.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plays one record.
    pub fn play(&mut self, what: What, sink: &dyn DisplaySink) {
        for command in self.translate(what) {
            sink.submit(command);
        }
    }

    /// The display commands a record stands for; most requests stand for none.
    pub fn translate(&mut self, what: What) -> Vec<DisplayCommand> {
        let result = match what {
            What::Request(request) => Ok(self.request(&request)),
            What::Command(Command::Draw(drawable)) => draw::drawable(&drawable, &self.surfaces)
                .map(|drawable| drawable.map(|drawable| DisplayCommand::Draw(Box::new(drawable))))
                .map(Vec::from_iter),
            What::Command(Command::Cursor(cursor)) => {
                cursor::command(&cursor).map(|command| vec![DisplayCommand::Cursor(command)])
            }
            What::Command(Command::Surface(surface)) => self.surface(&surface).map(|command| vec![command]),
            // Pictures are always up to date here.
            What::Command(Command::Update(_) | Command::Message(_)) => Ok(Vec::new()),
        };
        result.unwrap_or_else(|reason| {
            self.drop_record(reason);
            Vec::new()
        })
    }

    const fn drop_record(&mut self, reason: Malformed) {
        self.dropped += 1;
        self.last_dropped = Some(reason);
    }

    /// Records that were dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Why the last one was.
    #[must_use]
    pub const fn last_dropped(&self) -> Option<Malformed> {
        self.last_dropped
    }

    fn request(&mut self, request: &Request) -> Vec<DisplayCommand> {
        match request.number {
            request::CREATE_PRIMARY | request::CREATE_PRIMARY_ASYNC => match &request.primary {
                Some(primary) => self.create_primary(primary),
                None => Vec::new(),
            },
            request::DESTROY_PRIMARY | request::DESTROY_PRIMARY_ASYNC => Vec::from_iter(self.destroy(0)),
            request::DESTROY_SURFACES | request::DESTROY_SURFACES_ASYNC => {
                self.surfaces.0.clear();
                vec![DisplayCommand::Reset]
            }
            request::RESET_CURSOR => vec![DisplayCommand::Cursor(CursorCommand::Reset)],
            _ => Vec::new(),
        }
    }

    fn destroy(&mut self, id: u32) -> Option<DisplayCommand> {
        self.surfaces.0.remove(&id).map(|_| DisplayCommand::DestroySurface(id))
    }

    fn create_primary(&mut self, primary: &Primary) -> Vec<DisplayCommand> {
        // A screen that is there still has been left behind by a guest that changes modes.
        let mut commands = Vec::from_iter(self.destroy(0));
        let geometry = Geometry {
            id: 0,
            width: primary.width,
            height: primary.height,
            stride: primary.stride,
            format: primary.format,
        };
        let data = (primary.flags & KEEP_DATA != 0).then_some(&primary.data);
        match self.create(&geometry, data) {
            Ok(command) => commands.push(command),
            Err(reason) => self.drop_record(reason),
        }
        commands
    }

    fn surface(&mut self, surface: &Surface) -> Result<DisplayCommand, Malformed> {
        let id = surface.id;
        if id == 0 || id >= SURFACE_COUNT {
            return Err(Malformed::value("surface id", id));
        }
        let not_now = Malformed::value("surface command for", id);
        let Some(new) = &surface.create else {
            return self.destroy(id).ok_or(not_now);
        };
        if self.surfaces.0.contains_key(&id) {
            return Err(not_now);
        }
        let geometry = Geometry {
            id,
            width: new.width,
            height: new.height,
            stride: new.stride,
            format: new.format,
        };
        self.create(&geometry, new.data.as_ref())
    }

    fn create(&mut self, geometry: &Geometry, data: Option<&Bytes>) -> Result<DisplayCommand, Malformed> {
        let format = geometry.check()?;
        let bytes = format
            .row_bytes(geometry.width)
            .saturating_mul(u64::from(geometry.height));
        if bytes > SURFACES_MAX.saturating_sub(self.surfaces.bytes()) {
            return Err(Malformed::value("surface bytes", bytes));
        }
        let pixels = data.map(|data| geometry.pixels(format, data)).transpose()?;
        let Geometry { id, width, height, .. } = *geometry;
        self.surfaces.0.insert(id, Size { width, height, bytes });
        Ok(DisplayCommand::CreateSurface(SurfaceSpec {
            id,
            width,
            height,
            format,
            pixels,
        }))
    }
}

/// A surface as the guest describes it.
struct Geometry {
    id: u32,
    width: u32,
    height: u32,
    stride: i32,
    format: u32,
}

impl Geometry {
    /// The format, once everything fits together.
    fn check(&self) -> Result<SurfaceFormat, Malformed> {
        let format = SurfaceFormat::from_raw(self.format).ok_or(Malformed::value("surface format", self.format))?;
        if self.id == 0 && matches!(format, SurfaceFormat::A1 | SurfaceFormat::A8) {
            return Err(Malformed::value("primary surface format", self.format));
        }
        for side in [self.width, self.height] {
            if !(1..=SIDE_MAX).contains(&side) {
                return Err(Malformed::value("surface side", side));
            }
        }
        let stride = self.stride.unsigned_abs();
        let row_fits = u64::from(stride) >= format.row_bytes(self.width);
        if !stride.is_multiple_of(4) || self.stride == i32::MIN || !row_fits {
            return Err(Malformed::value("surface stride", self.stride));
        }
        Ok(format)
    }

    /// The picture in the surface's memory, the top row first, without padding.
    fn pixels(&self, format: SurfaceFormat, data: &Bytes) -> Result<Pixels, Malformed> {
        let short = || Malformed::value("bytes of the surface", data.len());
        let row = usize::try_from(format.row_bytes(self.width)).map_err(|_| short())?;
        let stride = usize::try_from(self.stride.unsigned_abs()).map_err(|_| short())?;
        let height = usize::try_from(self.height).map_err(|_| short())?;
        if stride.checked_mul(height) != Some(data.len()) {
            return Err(short());
        }
        let packed = if stride == row && self.stride > 0 {
            data.clone()
        } else {
            let rows = data
                .chunks_exact(stride)
                .map(|line| line.get(..row).unwrap_or_default());
            let mut packed = Vec::with_capacity(row.saturating_mul(height));
            if self.stride < 0 {
                rows.rev().for_each(|line| packed.extend_from_slice(line));
            } else {
                rows.for_each(|line| packed.extend_from_slice(line));
            }
            Bytes::from(packed)
        };
        Ok(Pixels {
            format,
            width: self.width,
            height: self.height,
            stride: u32::try_from(row).map_err(|_| short())?,
            data: packed,
        })
    }
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
