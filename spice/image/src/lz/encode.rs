//! Writing a stream.

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, SurfaceFormat},
};

use super::{HEADER_BYTES, LzError, LzImage, LzType, MAGIC, MAX_BYTES, MAX_FAR, MAX_NEAR, VERSION};
use crate::color;

/// Bits of the hash of three units; one place for the last position with each hash.
const HASH_BITS: u32 = 14;
/// Most units in one literal run.
const MAX_LITERALS: usize = 32;

/// Encodes an image. The unused byte of RGB32 and bit 15 of RGB16 are not kept.
///
/// # Errors
/// A size of zero or beyond the format, rows that are shorter or longer than the size says.
pub fn encode(image: &LzImage) -> Result<Vec<u8>, LzError> {
    let (width, height) = (image.width, image.height);
    let stride = image.kind.row_bytes(width);
    let needed = stride * u64::from(height);
    if needed == 0 || needed > MAX_BYTES {
        return Err(LzError::Size { width, height });
    }
    let rows = &image.data[..];
    if rows.len() as u64 != needed {
        return Err(LzError::Data {
            have: rows.len(),
            needed,
        });
    }
    let mut out = Vec::with_capacity(HEADER_BYTES + rows.len() / 4);
    // The stride is at most `needed`, which fits 30 bits.
    let (kind, top_down) = (image.kind as u32, u32::from(image.top_down));
    for word in [MAGIC, VERSION, kind, width, height, stride as u32, top_down] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    match image.kind {
        LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 | LzType::A8 => {
            pass(rows, &mut out);
        }
        LzType::Rgb16 => pass(&units(rows, |pixel| u16::from_le_bytes(*pixel) & 0x7fff), &mut out),
        LzType::Rgb24 => pass(&units(rows, |[b, g, r]| Colour::new(*b, *g, *r)), &mut out),
        LzType::Rgb32 => pass(&units(rows, |[b, g, r, _]| Colour::new(*b, *g, *r)), &mut out),
        LzType::Rgba => {
            pass(&units(rows, |[b, g, r, _]| Colour::new(*b, *g, *r)), &mut out);
            pass(&units(rows, |[_, _, _, a]| *a), &mut out);
        }
        LzType::Xxxa => pass(&units(rows, |[_, _, _, a]| *a), &mut out),
    }
    Ok(out)
}

/// Encodes a bitmap, top row first. Its palette, if it has one, travels beside the stream.
///
/// # Errors
/// A bitmap whose rows are not there, a size beyond the format.
pub fn encode_bitmap(bitmap: &Bitmap) -> Result<Vec<u8>, LzError> {
    let (width, height) = (bitmap.width, bitmap.height);
    let kind = LzType::of_bitmap(bitmap.format);
    let needed = kind.row_bytes(width) * u64::from(height);
    if needed == 0 || needed > MAX_BYTES {
        return Err(LzError::Size { width, height });
    }
    let tight = u64::from(bitmap.stride) == kind.row_bytes(width) && bitmap.data.len() as u64 == needed;
    let data = if bitmap.top_down && tight {
        bitmap.data.clone()
    } else {
        let have = bitmap.data.len();
        if u64::from(bitmap.stride) * u64::from(height - 1) + kind.row_bytes(width) > have as u64 {
            return Err(LzError::Data { have, needed });
        }
        let mut rows = Vec::with_capacity(needed as usize);
        for y in 0..height {
            rows.extend_from_slice(bitmap.row(y).ok_or(LzError::Data { have, needed })?);
        }
        Bytes::from(rows)
    };
    encode(&LzImage {
        kind,
        width,
        height,
        top_down: true,
        data,
    })
}

/// Encodes a part of a surface: RGB32 for xRGB and 565 (which LZ does not have), RGBA for ARGB, RGB16 for 555, A8 for
/// 8 bits of alpha. A 1-bit surface becomes A8 of 0 and 255.
///
/// # Errors
/// Rows that are not there, a size beyond the format.
pub fn encode_pixels(pixels: &Pixels) -> Result<Vec<u8>, LzError> {
    let (width, height) = (pixels.width, pixels.height);
    let kind = match pixels.format {
        SurfaceFormat::Xrgb | SurfaceFormat::Rgb565 => LzType::Rgb32,
        SurfaceFormat::Argb => LzType::Rgba,
        SurfaceFormat::Rgb555 => LzType::Rgb16,
        SurfaceFormat::A8 | SurfaceFormat::A1 => LzType::A8,
    };
    let needed = kind.row_bytes(width) * u64::from(height);
    if needed == 0 || needed > MAX_BYTES {
        return Err(LzError::Size { width, height });
    }
    let have = pixels.data.len();
    let (stride, row) = (pixels.stride as usize, pixels.format.row_bytes(width) as usize);
    if stride < row || u64::from(height - 1) * stride as u64 + row as u64 > have as u64 {
        return Err(LzError::Data { have, needed });
    }
    let rows = pixels
        .data
        .chunks(stride)
        .take(height as usize)
        .filter_map(|bytes| bytes.get(..row));
    let mut data = Vec::with_capacity(needed as usize);
    for row in rows {
        match pixels.format {
            SurfaceFormat::Rgb565 => {
                let wide = row
                    .as_chunks()
                    .0
                    .iter()
                    .map(|pixel| color::from_565(u16::from_le_bytes(*pixel)));
                data.extend(wide.flat_map(u32::to_le_bytes));
            }
            SurfaceFormat::A1 => {
                let bits = row.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1));
                data.extend(bits.take(width as usize).map(|bit| bit * 255));
            }
            _ => data.extend_from_slice(row),
        }
    }
    encode(&LzImage {
        kind,
        width,
        height,
        top_down: true,
        data: Bytes::from(data),
    })
}

/// A unit from each `N` bytes of the rows.
fn units<const N: usize, U>(rows: &[u8], unit: impl Fn(&[u8; N]) -> U) -> Vec<U> {
    rows.as_chunks().0.iter().map(unit).collect()
}

/// What a pass copies.
trait Unit: Copy + Eq {
    /// Shortest match that can be written.
    const MIN_MATCH: usize;
    /// Shortest match worth writing at a distance of more than [`MAX_NEAR`].
    const MIN_FAR: usize;
    /// The bits that matter.
    fn bits(self) -> u32;
    /// Writes it as a literal.
    fn put(self, out: &mut Vec<u8>);
}

impl Unit for u8 {
    const MIN_MATCH: usize = 3;
    const MIN_FAR: usize = 5;

    fn bits(self) -> u32 {
        u32::from(self)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.push(self);
    }
}

impl Unit for u16 {
    const MIN_MATCH: usize = 2;
    const MIN_FAR: usize = 3;

    fn bits(self) -> u32 {
        u32::from(self)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

/// A colour of 8 bits a component, 0x00RRGGBB.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Colour(u32);

impl Colour {
    const fn new(b: u8, g: u8, r: u8) -> Self {
        Self(u32::from_le_bytes([b, g, r, 0]))
    }
}

impl Unit for Colour {
    const MIN_MATCH: usize = 1;
    const MIN_FAR: usize = 2;

    fn bits(self) -> u32 {
        self.0
    }

    fn put(self, out: &mut Vec<u8>) {
        let [b, g, r, _] = self.0.to_le_bytes();
        out.extend_from_slice(&[b, g, r]);
    }
}

/// Writes one pass: greedy matches found by a run test and a table of the last position of each three units.
fn pass<U: Unit>(units: &[U], out: &mut Vec<u8>) {
    let mut table = vec![0u32; 1 << HASH_BITS];
    let (mut at, mut pending) = (0, 0);
    while at < units.len() {
        match find(units, at, &mut table) {
            Some((length, distance)) => {
                literals(units.get(pending..at).unwrap_or_default(), out);
                put_match::<U>(length, distance, out);
                at += length;
                for last in at.saturating_sub(2)..at {
                    let known = units.get(last..).and_then(place);
                    if let Some(known) = known.and_then(|known| table.get_mut(known)) {
                        *known = last as u32 + 1;
                    }
                }
                pending = at;
            }
            None => at += 1,
        }
    }
    literals(units.get(pending..).unwrap_or_default(), out);
}

/// The longer of a run and of what the table knows for the units from `at` on, when it is worth writing: length and
/// distance. Remembers the position unless a run goes on there: then the begin of the run is the better one to know.
fn find<U: Unit>(units: &[U], at: usize, table: &mut [u32]) -> Option<(usize, usize)> {
    let rest = units.get(at..)?;
    let place = table.get_mut(place(rest)?)?;
    // Positions are below 2^30; 0 means none.
    let candidate = place.checked_sub(1).map(|before| before as usize);
    let run = at.checked_sub(1).map_or(0, |before| common(rest, units, before));
    let (length, distance) = match candidate {
        Some(before) if at - before <= MAX_FAR => (common(rest, units, before), at - before),
        _ => (0, 1),
    };
    let shortest = if distance > MAX_NEAR { U::MIN_FAR } else { U::MIN_MATCH };
    if run < 3 {
        *place = at as u32 + 1;
    }
    if run >= length.max(U::MIN_MATCH) {
        Some((run, 1))
    } else {
        (length >= shortest).then_some((length, distance))
    }
}

/// How many units from the begin of `rest` on are the same from `before` on.
fn common<U: Unit>(rest: &[U], units: &[U], before: usize) -> usize {
    let earlier = units.get(before..).unwrap_or_default();
    rest.iter().zip(earlier).take_while(|(a, b)| a == b).count()
}

/// Where the table remembers the first three of `units`; `None` when there are not so many.
fn place<U: Unit>(units: &[U]) -> Option<usize> {
    let mixed = units.first_chunk::<3>()?.iter().fold(0u32, |hash, unit| {
        (hash ^ unit.bits()).wrapping_mul(0x9e37_79b1).rotate_left(15)
    });
    Some((mixed.wrapping_mul(0x85eb_ca77) >> (32 - HASH_BITS)) as usize)
}

/// Writes units as they are.
fn literals<U: Unit>(units: &[U], out: &mut Vec<u8>) {
    for run in units.chunks(MAX_LITERALS) {
        out.push(run.len() as u8 - 1);
        run.iter().for_each(|unit| unit.put(out));
    }
}

/// Writes a match; length extension comes before the low byte of the distance.
fn put_match<U: Unit>(length: usize, distance: usize, out: &mut Vec<u8>) {
    let code = length - (U::MIN_MATCH - 1);
    let near = distance <= MAX_NEAR;
    let value = if near { distance - 1 } else { MAX_NEAR };
    out.push(((code.min(7) << 5) | (value >> 8)) as u8);
    if let Some(mut more) = code.checked_sub(7) {
        while more >= 255 {
            out.push(255);
            more -= 255;
        }
        out.push(more as u8);
    }
    out.push(value as u8);
    if !near {
        let far = distance - 1 - MAX_NEAR;
        out.extend_from_slice(&(far as u16).to_be_bytes());
    }
}
