//! RESUME: what a client still has of a session whose connections were cut.
//!
//! An extension of Caraway's, between a server and a client that both have the capability
//! [`Resume`](crate::caps::DisplayCap::Resume). Such a client links its main channel with the id of the session it had
//! instead of 0, and says RESUME on each display channel before INIT: the images in its cache, by id, and the pixels of its
//! surfaces, by a hash of each tile. It is sent what it has not, and the state of what was on its way does not matter. A
//! surface that is the same but for some tiles is not created again; the others that it named are destroyed.

use caraway_ports::drawing::SurfaceFormat;

use super::SURFACES_MAX;
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// Pixels of a side of a tile. Those at the right and at the bottom have what is left.
pub const TILE: u32 = 32;

/// Most images named.
pub const RESUME_IMAGES_MAX: u32 = 1 << 14;

/// Largest side of a surface.
const SIDE_MAX: u32 = 8192;

/// What a client still has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Ids of the images in the cache that INIT will name.
    pub images: Vec<u64>,
    /// Surfaces of 32 bits a pixel, at most one of each id.
    pub surfaces: Vec<KnownSurface>,
}

/// A surface as a client has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSurface {
    /// Its number.
    pub id: u32,
    /// Pixels across, 1 to 8192.
    pub width: u32,
    /// Rows, 1 to 8192.
    pub height: u32,
    /// [`Xrgb`](SurfaceFormat::Xrgb) or [`Argb`](SurfaceFormat::Argb).
    pub format: SurfaceFormat,
    /// A [`tile_hash`] of each tile, from left to right, top-down.
    pub tiles: Vec<u64>,
}

impl Resume {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let count = limited("image_count", reader.u32("image_count")?, RESUME_IMAGES_MAX)?;
        let images = reader.items("images", count, 8, |reader| reader.u64("image"))?;
        let count = limited("surface_count", reader.u32("surface_count")?, SURFACES_MAX)?;
        let surfaces = reader.items("surfaces", count, 16, KnownSurface::decode)?;
        Ok(Self { images, surfaces })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<()> {
        out.count_u32("image_count", self.images.len())?;
        self.images.iter().for_each(|id| out.u64(*id));
        out.count_u32("surface_count", self.surfaces.len())?;
        for surface in &self.surfaces {
            out.u32(surface.id);
            out.u32(surface.width);
            out.u32(surface.height);
            out.u32(surface.format as u32);
            surface.tiles.iter().for_each(|hash| out.u64(*hash));
        }
        Ok(())
    }
}

impl KnownSurface {
    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let id = reader.u32("surface_id")?;
        let mut side = |field| match reader.u32(field)? {
            side @ 1..=SIDE_MAX => Ok(side),
            side => Err(reader.unexpected(field, "1 to 8192", side)),
        };
        let (width, height) = (side("width")?, side("height")?);
        let format = reader.u32("format")?;
        let Some(format @ (SurfaceFormat::Xrgb | SurfaceFormat::Argb)) = SurfaceFormat::from_raw(format) else {
            return Err(reader.unexpected("format", "32 or 96", format));
        };
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let tiles = reader.items("tiles", columns * rows, 8, |reader| reader.u64("tile"))?;
        Ok(Self {
            id,
            width,
            height,
            format,
            tiles,
        })
    }
}

fn limited(field: &'static str, got: u32, limit: u32) -> Result<u32> {
    if got > limit {
        return Err(Error::Limit {
            message: "DISPLAY_RESUME",
            field,
            got: got.into(),
            limit: limit.into(),
        });
    }
    Ok(got)
}

/// What tells tiles apart: two lanes of 32 bits, which scripts in browsers can do as well.
///
/// `rows` are those of the tile, B G R A in memory. The fourth byte counts only if `has_alpha`.
pub fn tile_hash<'a>(rows: impl IntoIterator<Item = &'a [u8]>, has_alpha: bool) -> u64 {
    let mask = if has_alpha { u32::MAX } else { 0x00ff_ffff };
    let (mut high, mut low) = (0x811c_9dc5_u32, 0x9747_b28c_u32);
    for row in rows {
        for pixel in row.as_chunks().0 {
            let pixel = u32::from_le_bytes(*pixel) & mask;
            high = (high.rotate_left(5) ^ pixel).wrapping_mul(0x9e37_79b1);
            low = low.rotate_left(13).wrapping_add(pixel).wrapping_mul(0x85eb_ca77);
        }
    }
    u64::from(mixed(high)) << 32 | u64::from(mixed(low))
}

/// The last step of MurmurHash3, by which all bits depend on all.
const fn mixed(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Message as _;
    use crate::display::{ClientMessage, client_id};

    fn sample() -> Resume {
        let surface = |id, width, height, format, tiles| KnownSurface {
            id,
            width,
            height,
            format,
            tiles,
        };
        Resume {
            images: vec![1 << 63 | 5, 7],
            surfaces: vec![
                surface(0, 33, 32, SurfaceFormat::Xrgb, vec![1, u64::MAX]),
                surface(9, 1, 1, SurfaceFormat::Argb, vec![3]),
            ],
        }
    }

    fn body(resume: &Resume) -> Vec<u8> {
        let mut out = Writer::new("DISPLAY_RESUME", Vec::new(), 0, false);
        resume.encode(&mut out).unwrap();
        out.finish_body().unwrap();
        out.into_buffer()
    }

    fn decode(body: Vec<u8>) -> Result<ClientMessage> {
        ClientMessage::decode(client_id::RESUME, &Bytes::from(body))
    }

    #[test]
    fn what_is_said_is_understood_and_no_part_of_it_is() {
        let whole = body(&sample());
        assert_eq!(decode(whole.clone()), Ok(ClientMessage::Resume(sample())));
        for length in 0..whole.len() {
            let cut = decode(whole[..length].to_vec());
            assert!(matches!(cut, Err(Error::Truncated { .. })), "{length}: {cut:?}");
        }
    }

    #[test]
    fn counts_sides_and_formats_are_bounded() {
        for (at, value, field) in [
            (0, RESUME_IMAGES_MAX + 1, "image_count"),
            (20, SURFACES_MAX + 1, "surface_count"),
            (28, 0, "width"),
            (28, 8193, "width"),
            (32, u32::MAX, "height"),
            (36, 16, "format"),
            (36, 33, "format"),
        ] {
            let mut body = body(&sample());
            body[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let error = decode(body).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("DISPLAY_RESUME: {field}: ")) && error.contains(&value.to_string()),
                "{error}"
            );
        }
    }

    #[test]
    fn every_pixel_counts_and_the_fourth_byte_where_it_is_alpha() {
        let tile: Vec<u8> = (0..32 * 32 * 4).map(|index: u32| (index * 31 % 251) as u8).collect();
        let hash = |tile: &[u8], has_alpha| tile_hash(tile.chunks(32 * 4), has_alpha);
        let (plain, alpha) = (hash(&tile, false), hash(&tile, true));
        for at in 0..tile.len() {
            let mut other = tile.clone();
            other[at] ^= 1;
            assert_eq!(hash(&other, false) == plain, at % 4 == 3, "{at}");
            assert_ne!(hash(&other, true), alpha, "{at}");
        }
        // A client that computes it otherwise would be sent everything again.
        assert_eq!(tile_hash([&[1, 2, 3, 4, 5, 6, 7, 8][..]], true), 0x110d_32a8_6cff_e64c);
    }
}
