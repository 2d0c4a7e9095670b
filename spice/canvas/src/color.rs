//! Conversions between the raw pixel values of surfaces and 0xAARRGGBB.

use caraway_image::color::{from_555, from_565, to_555, to_565};
use caraway_ports::drawing::SurfaceFormat;

use crate::lanes;

/// Alpha of an opaque pixel.
pub(crate) const OPAQUE: u32 = 0xff00_0000;

/// The raw value as 32 bits: the high byte is that of a 32-bit pixel, the alpha of an alpha surface, else 0.
pub(crate) const fn widen(format: SurfaceFormat, raw: u32) -> u32 {
    match format {
        SurfaceFormat::Xrgb | SurfaceFormat::Argb => raw,
        SurfaceFormat::Rgb555 => from_555(raw as u16),
        SurfaceFormat::Rgb565 => from_565(raw as u16),
        SurfaceFormat::A8 => raw << 24,
        SurfaceFormat::A1 => {
            if raw == 0 {
                0
            } else {
                OPAQUE
            }
        }
    }
}

/// The raw value of 32 bits as [`widen`] makes them; alpha formats take the high byte.
pub(crate) const fn narrow(format: SurfaceFormat, value: u32) -> u32 {
    match format {
        SurfaceFormat::Xrgb | SurfaceFormat::Argb => value,
        SurfaceFormat::Rgb555 => to_555(value) as u32,
        SurfaceFormat::Rgb565 => to_565(value) as u32,
        SurfaceFormat::A8 => value >> 24,
        SurfaceFormat::A1 => value >> 31,
    }
}

/// [`widen`] for a row.
pub(crate) fn widen_row(format: SurfaceFormat, row: &mut [u32]) {
    match format {
        SurfaceFormat::Xrgb | SurfaceFormat::Argb => {}
        SurfaceFormat::Rgb555 => lanes::map(row, |raw| widen(SurfaceFormat::Rgb555, raw)),
        SurfaceFormat::Rgb565 => lanes::map(row, |raw| widen(SurfaceFormat::Rgb565, raw)),
        SurfaceFormat::A8 => lanes::map(row, |raw| widen(SurfaceFormat::A8, raw)),
        SurfaceFormat::A1 => lanes::map(row, |raw| widen(SurfaceFormat::A1, raw)),
    }
}

/// [`narrow`] for a row.
pub(crate) fn narrow_row(format: SurfaceFormat, row: &mut [u32]) {
    match format {
        SurfaceFormat::Xrgb | SurfaceFormat::Argb => {}
        SurfaceFormat::Rgb555 => lanes::map(row, |value| narrow(SurfaceFormat::Rgb555, value)),
        SurfaceFormat::Rgb565 => lanes::map(row, |value| narrow(SurfaceFormat::Rgb565, value)),
        SurfaceFormat::A8 => lanes::map(row, |value| narrow(SurfaceFormat::A8, value)),
        SurfaceFormat::A1 => lanes::map(row, |value| narrow(SurfaceFormat::A1, value)),
    }
}

/// Whether pixels hold an alpha value.
pub(crate) const fn has_alpha(format: SurfaceFormat) -> bool {
    matches!(format, SurfaceFormat::Argb | SurfaceFormat::A8 | SurfaceFormat::A1)
}

/// The bits of a raw value that mean a colour.
pub(crate) const fn color_bits(format: SurfaceFormat) -> u32 {
    match format {
        SurfaceFormat::Xrgb | SurfaceFormat::Argb => 0x00ff_ffff,
        SurfaceFormat::Rgb555 => 0x7fff,
        SurfaceFormat::Rgb565 => 0xffff,
        SurfaceFormat::A8 => 0xff,
        SurfaceFormat::A1 => 1,
    }
}
