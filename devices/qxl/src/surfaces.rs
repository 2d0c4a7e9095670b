//! Surfaces: their memory in the guest, and what the canvas and that memory owe each other (ABI 4.2, 14).

use std::collections::BTreeMap;

use bytes::Bytes;
use caraway_ports::{
    display::{DisplaySink, Pixels, SurfaceSpec},
    drawing::SurfaceFormat,
    geometry::Rect,
};
use serde::{Deserialize, Serialize};

use crate::{
    memory::{GuestMemory, Location, SlotTable},
    parse::{Fields, Malformed, drawable::SurfaceSizes},
    ring::Held,
    sizes::SURFACE_COUNT,
};

/// Longest side of a surface: 16 heads of 8192 beside each other.
const SIDE_MAX: u32 = 16 * 8192;
/// The largest surface in bytes.
const BYTES_MAX: u64 = 0x7fff_ffff;

/// The pixel memory of a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backing {
    width: u32,
    height: u32,
    /// Number of the format; checked when made.
    format: u32,
    /// Bytes from one row to the next; negative when the last row comes first.
    stride: i32,
    /// The lowest byte, whatever the stride's sign.
    start: Location,
}

/// What the guest asks for when it creates a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) stride: i32,
    pub(crate) format: u32,
    pub(crate) address: u64,
}

impl Geometry {
    /// The block of memory this describes, at most `limit` bytes of it.
    pub(crate) fn check(&self, slots: &SlotTable, limit: u64) -> Result<Backing, Malformed> {
        let format = SurfaceFormat::from_raw(self.format).ok_or(Malformed::value("surface format", self.format))?;
        for side in [self.width, self.height] {
            if !(1..=SIDE_MAX).contains(&side) {
                return Err(Malformed::value("surface side", side));
            }
        }
        let stride = self.stride.unsigned_abs();
        let row_fits = u64::from(stride) >= format.row_bytes(self.width);
        if !stride.is_multiple_of(4) || self.stride == i32::MIN || !row_fits {
            return Err(Malformed::value("surface stride", stride));
        }
        let bytes = u64::from(stride) * u64::from(self.height);
        if bytes > limit.min(BYTES_MAX) {
            return Err(Malformed::value("surface bytes", bytes));
        }
        Ok(Backing {
            width: self.width,
            height: self.height,
            format: self.format,
            stride: self.stride,
            start: slots.resolve(self.address, bytes)?,
        })
    }
}

impl Backing {
    /// Reads the ten words of `create_surface`; the flag says that the memory holds the picture already.
    pub(crate) fn primary(bytes: &[u8], slots: &SlotTable, vgamem: u64) -> Result<(Self, bool), Malformed> {
        const KEEP_DATA: u32 = 1;
        let mut fields = Fields::new("primary surface", bytes);
        let (width, height) = (fields.u32()?, fields.u32()?);
        let (stride, format) = (fields.i32()?, fields.u32()?);
        fields.skip(8)?; // position, mouse mode
        let flags = fields.u32()?;
        fields.skip(4)?; // type
        let geometry = Geometry {
            width,
            height,
            stride,
            format,
            address: fields.u64()?,
        };
        let backing = geometry.check(slots, vgamem)?;
        if !backing.can_be_primary(vgamem) {
            return Err(Malformed::value("primary surface format", format));
        }
        Ok((backing, flags & KEEP_DATA != 0))
    }

    /// Whether it has colours and fits the draw area.
    pub(crate) fn can_be_primary(&self, vgamem: u64) -> bool {
        !matches!(self.format(), SurfaceFormat::A1 | SurfaceFormat::A8) && self.bytes() <= vgamem
    }

    /// Bytes of guest memory.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.stride.unsigned_abs()) * u64::from(self.height)
    }

    pub(crate) fn area(&self) -> Rect {
        Rect::at(0, 0, self.width, self.height)
    }

    fn format(&self) -> SurfaceFormat {
        SurfaceFormat::from_raw(self.format).unwrap_or(SurfaceFormat::Xrgb)
    }

    /// Whether a saved backing is one that could have been made.
    pub(crate) fn is_valid(&self, memory: &GuestMemory) -> bool {
        let geometry = Geometry {
            width: self.width,
            height: self.height,
            stride: self.stride,
            format: self.format,
            address: 0,
        };
        let mut slots = SlotTable::default();
        slots.set(
            0,
            Some(crate::memory::Slot {
                region: self.start.region,
                offset: 0,
                size: BYTES_MAX,
                bias: 0,
            }),
        );
        geometry.check(&slots, BYTES_MAX).is_ok()
            && memory.of(self.start.region).contains(self.start.offset, self.bytes())
    }

    /// Where row `y`, counted from the top, starts.
    fn row(&self, y: u32) -> Location {
        let stored = if self.stride < 0 { self.height - 1 - y } else { y };
        self.start
            .plus(u64::from(stored) * u64::from(self.stride.unsigned_abs()))
    }

    /// Copies the picture out of guest memory, the top row first, without padding.
    pub(crate) fn load(&self, memory: &GuestMemory) -> Option<Pixels> {
        let row = usize::try_from(self.format().row_bytes(self.width)).ok()?;
        let mut data = vec![0; row.checked_mul(usize::try_from(self.height).ok()?)?];
        for (y, line) in (0..self.height).zip(data.chunks_exact_mut(row)) {
            memory.read(self.row(y), line).ok()?;
        }
        Some(Pixels {
            format: self.format(),
            width: self.width,
            height: self.height,
            stride: u32::try_from(row).ok()?,
            data: Bytes::from(data),
        })
    }

    /// Writes rendered pixels of `area` into guest memory. Whether they were what was asked for.
    fn store(&self, memory: &GuestMemory, area: &Rect, pixels: &Pixels) -> bool {
        let format = self.format();
        if pixels.format != format || (pixels.width, pixels.height) != (area.width(), area.height()) {
            return false;
        }
        let (Ok(left), Ok(top)) = (u64::try_from(area.left), u32::try_from(area.top)) else {
            return false;
        };
        let start = left * u64::from(format.bits_per_pixel()) / 8;
        let (Ok(length), Ok(stride)) = (
            usize::try_from(format.row_bytes(pixels.width)),
            usize::try_from(pixels.stride),
        ) else {
            return false;
        };
        if stride < length {
            return false;
        }
        for (y, line) in (top..).zip(pixels.data.chunks(stride)).take(area.height() as usize) {
            let Some(line) = line.get(..length) else { return false };
            memory.write(self.row(y).plus(start), line);
        }
        true
    }
}

/// A live surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surface {
    pub(crate) backing: Backing,
    /// The command that created it, given back when it is gone; the primary surface has none.
    pub(crate) created_by: Option<Held>,
    /// What the canvas has and guest memory does not: top, left, bottom, right.
    unsaved: (i32, i32, i32, i32),
}

impl Surface {
    pub(crate) fn new(backing: Backing, created_by: Option<Held>, keep_data: bool) -> Self {
        let mut surface = Self {
            backing,
            created_by,
            unsaved: (0, 0, 0, 0),
        };
        if !keep_data {
            surface.drawn(&backing.area());
        }
        surface
    }

    /// What to tell the viewer.
    pub(crate) fn spec(&self, id: u32, pixels: Option<Pixels>) -> SurfaceSpec {
        SurfaceSpec {
            id,
            width: self.backing.width,
            height: self.backing.height,
            format: self.backing.format(),
            pixels,
        }
    }

    /// Notes that the canvas changed there.
    pub(crate) fn drawn(&mut self, area: &Rect) {
        self.set_unsaved(self.unsaved().union(area));
    }

    fn unsaved(&self) -> Rect {
        let (top, left, bottom, right) = self.unsaved;
        Rect {
            top,
            left,
            bottom,
            right,
        }
    }

    fn set_unsaved(&mut self, area: Rect) {
        self.unsaved = (area.top, area.left, area.bottom, area.right);
    }

    /// Brings guest memory up to date within `area`. Only what was drawn is written: the rest belongs to the guest, who
    /// may be preparing the next picture there. Whether anything was written.
    pub(crate) fn write_back(&mut self, id: u32, area: &Rect, memory: &GuestMemory, sink: &dyn DisplaySink) -> bool {
        let unsaved = self.unsaved().intersect(&self.backing.area());
        let mut part = unsaved.intersect(area);
        if part.is_empty() {
            return false;
        }
        // Whole bytes only.
        if self.backing.format() == SurfaceFormat::A1 {
            part.left &= !7;
            part.right = part.right.saturating_add(7) & !7;
            part = part.intersect(&self.backing.area());
        }
        let Some(pixels) = sink.read(id, part) else {
            return false;
        };
        if !self.backing.store(memory, &part, &pixels) {
            tracing::error!(surface = id, "the viewer gave other pixels than those asked for");
            return false;
        }
        if area.contains(&unsaved) {
            self.set_unsaved(Rect::default());
        }
        true
    }
}

/// The live surfaces by id.
#[derive(Debug, Default)]
pub(crate) struct SurfaceTable(BTreeMap<u32, Surface>);

impl SurfaceTable {
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Surface> {
        self.0.get_mut(&id)
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn insert(&mut self, id: u32, surface: Surface) {
        if id < SURFACE_COUNT {
            self.0.insert(id, surface);
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Surface> {
        self.0.remove(&id)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Surface)> {
        self.0.iter().map(|(id, surface)| (*id, surface))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Surface)> {
        self.0.iter_mut().map(|(id, surface)| (*id, surface))
    }

    pub(crate) fn ids(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }

    /// Bytes of all backings. A guest that overlaps its surfaces cannot make the host hold more than its memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.values().map(|surface| surface.backing.bytes()).sum()
    }
}

impl SurfaceSizes for SurfaceTable {
    fn size_of(&self, surface: u32) -> Option<(u32, u32)> {
        self.0
            .get(&surface)
            .map(|surface| (surface.backing.width, surface.backing.height))
    }
}
