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
const TABLE: usize = 1 << HASH_BITS;
/// Most units in one literal run.
const MAX_LITERALS: usize = 32;

/// Longest stretch of positions that is not looked at, after many where no match began.
const MAX_SKIP: usize = 16;
/// Units without a match after which one position more is passed over each time.
const SKIP_AFTER: usize = 128;

/// Encodes an image. The unused byte of RGB32 and bit 15 of RGB16 are not kept.
///
/// # Errors
/// A size of zero or beyond the format, rows that are shorter or longer than the size says.
pub fn encode(image: &LzImage) -> Result<Vec<u8>, LzError> {
    let mut out = Vec::with_capacity(HEADER_BYTES + image.data.len() / 4);
    LzEncoder::new().encode(image, &mut out)?;
    Ok(out)
}

/// An encoder that keeps its memory from one image to the next.
#[derive(Clone, Debug, Default)]
pub struct LzEncoder {
    /// The last position with each hash, plus 1.
    table: Vec<u32>,
}

impl LzEncoder {
    /// One for any number of images.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: Vec::new() }
    }

    /// As [`encode`], into `out`, whose content is replaced.
    ///
    /// # Errors
    /// As [`encode`]; `out` holds nothing useful then.
    pub fn encode(&mut self, image: &LzImage, out: &mut Vec<u8>) -> Result<(), LzError> {
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
        out.clear();
        // The stride is at most `needed`, which fits 30 bits.
        let (kind, top_down) = (image.kind as u32, u32::from(image.top_down));
        for word in [MAGIC, VERSION, kind, width, height, stride as u32, top_down] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        match image.kind {
            LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 | LzType::A8 => {
                self.pass::<1, Single>(rows, out);
            }
            LzType::Rgb16 => self.pass::<2, Rgb555>(rows, out),
            LzType::Rgb24 => self.pass::<3, Colours>(rows, out),
            LzType::Rgb32 => self.pass::<4, Colours>(rows, out),
            LzType::Rgba => {
                self.pass::<4, Colours>(rows, out);
                self.pass::<4, Alpha>(rows, out);
            }
            LzType::Xxxa => self.pass::<4, Alpha>(rows, out),
        }
        Ok(())
    }

    /// Writes one pass: greedy matches found by a run test and a table of the last position of each three units.
    fn pass<const N: usize, U: Units<N>>(&mut self, rows: &[u8], out: &mut Vec<u8>) {
        let units = rows.as_chunks::<N>().0;
        self.table.clear();
        self.table.resize(TABLE, 0);
        let Ok(table) = <&mut [u32; TABLE]>::try_from(&mut self.table[..]) else {
            return;
        };
        let (mut at, mut pending) = (0, 0);
        while at < units.len() {
            let Some((length, distance)) = find::<N, U>(units, at, table) else {
                // What has no matches for long has few.
                at += 1 + ((at - pending) / SKIP_AFTER).min(MAX_SKIP);
                continue;
            };
            literals::<N, U>(units.get(pending..at).unwrap_or_default(), out);
            put_match(length - (U::MIN_MATCH - 1), distance, out);
            at += length;
            for last in at.saturating_sub(2)..at {
                if let Some(place) = units.get(last..).and_then(place::<N, U>) {
                    table[place] = last as u32 + 1;
                }
            }
            pending = at;
        }
        literals::<N, U>(units.get(pending..).unwrap_or_default(), out);
    }
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

/// Units of one kind of pass, `N` bytes each in the rows.
trait Units<const N: usize> {
    /// Shortest match that can be written.
    const MIN_MATCH: usize;
    /// Shortest match worth writing at a distance of more than [`MAX_NEAR`].
    const MIN_FAR: usize;

    /// The bits that matter, and no others.
    fn value(unit: &[u8; N]) -> u32;

    /// Writes literals.
    fn put(run: &[[u8; N]], out: &mut Vec<u8>);
}

/// Bytes: palette indices, or alpha alone.
struct Single;

impl Units<1> for Single {
    const MIN_MATCH: usize = 3;
    const MIN_FAR: usize = 5;

    fn value([unit]: &[u8; 1]) -> u32 {
        u32::from(*unit)
    }

    fn put(run: &[[u8; 1]], out: &mut Vec<u8>) {
        out.extend_from_slice(run.as_flattened());
    }
}

/// The last byte of B, G, R, A.
struct Alpha;

impl Units<4> for Alpha {
    const MIN_MATCH: usize = 3;
    const MIN_FAR: usize = 5;

    fn value([.., alpha]: &[u8; 4]) -> u32 {
        u32::from(*alpha)
    }

    fn put(run: &[[u8; 4]], out: &mut Vec<u8>) {
        out.extend(run.iter().map(|[.., alpha]| *alpha));
    }
}

/// x1r5g5b5, the high byte first in the stream.
struct Rgb555;

impl Units<2> for Rgb555 {
    const MIN_MATCH: usize = 2;
    const MIN_FAR: usize = 3;

    fn value(unit: &[u8; 2]) -> u32 {
        u32::from(u16::from_le_bytes(*unit) & 0x7fff)
    }

    fn put(run: &[[u8; 2]], out: &mut Vec<u8>) {
        out.extend(run.iter().flat_map(|[low, high]| [*high & 0x7f, *low]));
    }
}

/// B, G, R.
struct Colours;

impl Units<3> for Colours {
    const MIN_MATCH: usize = 1;
    const MIN_FAR: usize = 2;

    fn value([b, g, r]: &[u8; 3]) -> u32 {
        u32::from_le_bytes([*b, *g, *r, 0])
    }

    fn put(run: &[[u8; 3]], out: &mut Vec<u8>) {
        out.extend_from_slice(run.as_flattened());
    }
}

impl Units<4> for Colours {
    const MIN_MATCH: usize = 1;
    const MIN_FAR: usize = 2;

    fn value([b, g, r, _]: &[u8; 4]) -> u32 {
        u32::from_le_bytes([*b, *g, *r, 0])
    }

    fn put(run: &[[u8; 4]], out: &mut Vec<u8>) {
        let mut packed = [[0; 3]; MAX_LITERALS];
        for (to, [b, g, r, _]) in packed.iter_mut().zip(run) {
            *to = [*b, *g, *r];
        }
        if let Some(packed) = packed.get(..run.len()) {
            out.extend_from_slice(packed.as_flattened());
        }
    }
}

/// The longer of a run and of what the table knows for the units from `at` on, when it is worth writing: length and
/// distance. Remembers the position unless a run goes on there: then the begin of the run is the better one to know.
fn find<const N: usize, U: Units<N>>(units: &[[u8; N]], at: usize, table: &mut [u32; TABLE]) -> Option<(usize, usize)> {
    let rest = units.get(at..)?;
    let place = &mut table[place::<N, U>(rest)?];
    // Positions are below 2^30; 0 means none.
    let candidate = place.checked_sub(1).map(|before| before as usize);
    let run = at
        .checked_sub(1)
        .and_then(|before| units.get(before..))
        .map_or(0, |earlier| common::<N, U>(rest, earlier));
    let (length, distance) = match candidate.and_then(|before| Some((units.get(before..)?, at - before))) {
        Some((earlier, distance)) if distance <= MAX_FAR => (common::<N, U>(rest, earlier), distance),
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

/// How many units of `rest` are the same in `earlier`, which is no shorter.
fn common<const N: usize, U: Units<N>>(rest: &[[u8; N]], earlier: &[[u8; N]]) -> usize {
    const BLOCK: usize = 8;
    let alike = |(a, b): &(&[u8; N], &[u8; N])| U::value(a) == U::value(b);
    let first = rest.iter().zip(earlier).take(BLOCK).take_while(alike).count();
    if first < BLOCK {
        return first;
    }
    // Long ones many units at a time.
    let blocks = rest.as_chunks::<BLOCK>().0.iter().zip(earlier.as_chunks::<BLOCK>().0);
    let same = |(a, b): &(&[[u8; N]; BLOCK], &[[u8; N]; BLOCK])| {
        a.iter()
            .zip(b.iter())
            .fold(0, |all, (a, b)| all | (U::value(a) ^ U::value(b)))
            == 0
    };
    let whole = blocks.take_while(same).count() * BLOCK;
    let (rest, earlier) = (rest.get(whole..), earlier.get(whole..));
    let last = rest.unwrap_or_default().iter().zip(earlier.unwrap_or_default());
    whole + last.take_while(alike).count()
}

/// Where the table remembers the first three of `units`; `None` when there are not so many.
fn place<const N: usize, U: Units<N>>(units: &[[u8; N]]) -> Option<usize> {
    let [a, b, c] = units.first_chunk::<3>()?;
    // Odd constants with bits all over; the products do not wait for each other.
    let mixed = U::value(a).wrapping_mul(0x9e37_79b1)
        ^ U::value(b).wrapping_mul(0x85eb_ca77).rotate_left(11)
        ^ U::value(c).wrapping_mul(0xc2b2_ae3d).rotate_left(21);
    Some((mixed.wrapping_mul(0x27d4_eb2f) >> (32 - HASH_BITS)) as usize)
}

/// Writes units as they are.
fn literals<const N: usize, U: Units<N>>(units: &[[u8; N]], out: &mut Vec<u8>) {
    for run in units.chunks(MAX_LITERALS) {
        out.push(run.len() as u8 - 1);
        U::put(run, out);
    }
}

/// Writes a match by its length code; the extension comes before the low byte of the distance.
fn put_match(code: usize, distance: usize, out: &mut Vec<u8>) {
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
