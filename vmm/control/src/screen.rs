//! Pictures of the screen.

use crate::QmpError;

/// A screen: that of a display device, or the part of it one monitor shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Number of the device, from 0.
    pub device: u32,
    /// Number of the monitor, from 0.
    pub head: Option<u32>,
}

/// A picture of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screenshot {
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// R, G, B of each pixel, rows top-down, no padding.
    pub rgb: Vec<u8>,
    /// The project's checksum of the picture: 64-bit FNV-1a over width, height (u32, little-endian), then B, G, R of
    /// each pixel.
    pub hash: u64,
}

/// PNG, 8-bit RGB.
///
/// # Errors
/// When the picture's size and data do not agree.
pub fn encode_png(shot: &Screenshot) -> Result<Vec<u8>, QmpError> {
    let fail = |e: png::EncodingError| QmpError::generic(format!("cannot encode the screen as PNG: {e}"));
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, shot.width, shot.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(fail)?;
    writer.write_image_data(&shot.rgb).map_err(fail)?;
    writer.finish().map_err(fail)?;
    Ok(out)
}

/// Binary PPM (P6).
#[must_use]
pub fn encode_ppm(shot: &Screenshot) -> Vec<u8> {
    let mut out = format!("P6\n{} {}\n255\n", shot.width, shot.height).into_bytes();
    out.extend_from_slice(&shot.rgb);
    out
}
