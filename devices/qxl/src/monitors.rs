//! Monitors: what the guest says it shows (ABI 16.1) and what the client asks for (ABI 16.2).

use caraway_ports::{display::Head, geometry::Rect};
use serde::{Deserialize, Serialize};

use crate::parse::{Fields, Guest, Malformed, drawable::SurfaceSizes};

/// Heads in a monitors configuration and in the client's block of the ROM.
pub(crate) const MAX_HEADS: usize = 64;
/// Bytes of a head the guest describes.
const HEAD_SIZE: usize = 28;

/// A monitor as the client wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHead {
    /// Left edge in the arrangement of all heads.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Pixels across; 0 = off.
    pub width: u32,
    /// Rows; 0 = off.
    pub height: u32,
}

/// One head of the guest's configuration, as it wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GuestHead {
    id: u32,
    surface: u32,
    width: u32,
    height: u32,
    x: u32,
    y: u32,
}

/// The monitors configuration the guest sent last. Kept as sent: heads are cut to their surface when they are reported,
/// and a larger primary surface brings them back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MonitorsConfig {
    heads: Vec<GuestHead>,
    max: u16,
}

impl MonitorsConfig {
    /// Copies the configuration at `address`, the count read once. `None`: to be ignored. `outputs` is the largest
    /// number of heads the machine is configured for.
    pub(crate) fn read(guest: &mut Guest<'_>, address: u64, outputs: u16) -> Result<Option<Self>, Malformed> {
        let bytes: [u8; 4] = guest.read(address, 0)?;
        let mut fields = Fields::new("monitors config", &bytes);
        let (count, max) = (fields.u16()?, fields.u16()?);
        let max = match usize::from(max) {
            0 => MAX_HEADS,
            max => max.min(MAX_HEADS),
        };
        let count = usize::from(count);
        if count == 0 || count > max {
            return Ok(None);
        }
        let count = count.min(outputs.into());
        let bytes = guest.read_vec(address, 4, (count * HEAD_SIZE) as u64)?;
        let mut fields = Fields::new("monitors config", &bytes);
        let mut heads = Vec::with_capacity(count);
        for _ in 0..count {
            heads.push(GuestHead {
                id: fields.u32()?,
                surface: fields.u32()?,
                width: fields.u32()?,
                height: fields.u32()?,
                x: fields.u32()?,
                y: fields.u32()?,
            });
            fields.skip(4)?; // flags
        }
        let max = u16::try_from(max).unwrap_or(u16::MAX).min(outputs);
        Ok(Some(Self { heads, max }))
    }

    pub(crate) const fn max(&self) -> u16 {
        self.max
    }

    /// Whether it is one that could have been read.
    pub(crate) fn is_valid(&self) -> bool {
        (1..=MAX_HEADS).contains(&self.heads.len()) && (1..=MAX_HEADS).contains(&self.max.into())
    }

    /// The heads that are on, cut to the primary surface; those that show nothing of it are left out.
    pub(crate) fn visible(&self, surfaces: &impl SurfaceSizes) -> Vec<Head> {
        let primary = surfaces.size_of(0);
        let visible = |head: &GuestHead| {
            let (width, height) = primary.filter(|_| head.surface == 0)?;
            let (x, y) = (i32::try_from(head.x).ok()?, i32::try_from(head.y).ok()?);
            let area = Rect::at(x, y, head.width, head.height).intersect(&Rect::at(0, 0, width, height));
            (!area.is_empty()).then_some(Head {
                id: head.id,
                surface: 0,
                area,
            })
        };
        self.heads.iter().filter_map(visible).collect()
    }
}
