//! Surfaces, monitors and GL scanouts.

use bitflags::bitflags;
use caraway_ports::drawing::SurfaceFormat;

use crate::error::Result;
use crate::wire::{Reader, Writer};

bitflags! {
    /// What a surface is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SurfaceFlags: u32 {
        /// The one that is shown; id 0.
        const PRIMARY = 1;
        /// Only streams that cover all of it will be sent; for clients with MULTI_CODEC.
        const STREAMING_MODE = 2;
        const _ = !0;
    }
}

/// SURFACE_CREATE. A new surface is all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurfaceCreate {
    /// 0 to 1023; the primary surface is 0.
    pub surface_id: u32,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Format of its pixels.
    pub format: SurfaceFormat,
    /// What it is.
    pub flags: SurfaceFlags,
}

impl SurfaceCreate {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let surface_id = reader.u32("surface_id")?;
        let width = reader.u32("width")?;
        let height = reader.u32("height")?;
        let format = reader.u32("format")?;
        let Some(format) = SurfaceFormat::from_raw(format) else {
            return Err(reader.unexpected("format", "a surface format", format));
        };
        Ok(Self {
            surface_id,
            width,
            height,
            format,
            flags: SurfaceFlags::from_bits_retain(reader.u32("flags")?),
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.surface_id);
        out.u32(self.width);
        out.u32(self.height);
        out.u32(self.format as u32);
        out.u32(self.flags.bits());
    }
}

/// One monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 0 within the channel.
    pub monitor_id: u32,
    /// The surface it shows.
    pub surface_id: u32,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// First column in the surface.
    pub x: u32,
    /// First row in the surface.
    pub y: u32,
    /// 0.
    pub flags: u32,
}

/// MONITORS_CONFIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorsConfig {
    /// Monitors this channel can ever have.
    pub max_allowed: u16,
    /// Those it has, at most 65535; clients ignore an empty list.
    pub heads: Vec<Head>,
}

impl MonitorsConfig {
    const HEAD_BYTES: usize = 28;

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.u16("count")?;
        Ok(Self {
            max_allowed: reader.u16("max_allowed")?,
            heads: reader.items("heads", u32::from(count), Self::HEAD_BYTES, |reader| {
                Ok(Head {
                    monitor_id: reader.u32("head monitor_id")?,
                    surface_id: reader.u32("head surface_id")?,
                    width: reader.u32("head width")?,
                    height: reader.u32("head height")?,
                    x: reader.u32("head x")?,
                    y: reader.u32("head y")?,
                    flags: reader.u32("head flags")?,
                })
            })?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<()> {
        out.count_u16("count", self.heads.len())?;
        out.u16(self.max_allowed);
        for head in &self.heads {
            out.u32(head.monitor_id);
            out.u32(head.surface_id);
            out.u32(head.width);
            out.u32(head.height);
            out.u32(head.x);
            out.u32(head.y);
            out.u32(head.flags);
        }
        Ok(())
    }
}

bitflags! {
    /// How the rows of a GL scanout lie.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ScanoutFlags: u32 {
        /// Row 0 is the top one.
        const Y0TOP = 1;
        const _ = !0;
    }
}

/// GL_SCANOUT_UNIX. When `fourcc` is not 0 a descriptor follows out of band behind the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlScanout {
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// DRM format; 0 = no scanout.
    pub fourcc: u32,
    /// How rows lie.
    pub flags: ScanoutFlags,
}

impl GlScanout {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            width: reader.u32("width")?,
            height: reader.u32("height")?,
            stride: reader.u32("stride")?,
            fourcc: reader.u32("drm_fourcc_format")?,
            flags: ScanoutFlags::from_bits_retain(reader.u32("flags")?),
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.width);
        out.u32(self.height);
        out.u32(self.stride);
        out.u32(self.fourcc);
        out.u32(self.flags.bits());
    }
}

/// GL_SCANOUT2_UNIX: a scanout of up to four planes. `num_dmabuf` descriptors follow out of band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlScanout2 {
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// First byte of each plane.
    pub offset: [u32; 4],
    /// Bytes from one row to the next of each plane.
    pub stride: [u32; 4],
    /// DRM format; 0 = no scanout.
    pub fourcc: u32,
    /// How rows lie.
    pub flags: ScanoutFlags,
    /// DRM format modifier.
    pub modifier: u64,
    /// Planes.
    pub num_planes: u16,
    /// Descriptors, 1 to 4.
    pub num_dmabuf: u16,
}

impl GlScanout2 {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let width = reader.u32("width")?;
        let height = reader.u32("height")?;
        let mut planes = |field| -> Result<[u32; 4]> {
            let mut values = [0; 4];
            for value in &mut values {
                *value = reader.u32(field)?;
            }
            Ok(values)
        };
        let offset = planes("offset")?;
        let stride = planes("stride")?;
        Ok(Self {
            width,
            height,
            offset,
            stride,
            fourcc: reader.u32("drm_fourcc_format")?,
            flags: ScanoutFlags::from_bits_retain(reader.u32("flags")?),
            modifier: reader.u64("modifier")?,
            num_planes: reader.u16("num_planes")?,
            num_dmabuf: reader.u16("num_dmabuf")?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.width);
        out.u32(self.height);
        self.offset.iter().chain(&self.stride).for_each(|value| out.u32(*value));
        out.u32(self.fourcc);
        out.u32(self.flags.bits());
        out.u64(self.modifier);
        out.u16(self.num_planes);
        out.u16(self.num_dmabuf);
    }
}
