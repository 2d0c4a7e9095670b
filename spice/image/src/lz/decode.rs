//! Reading a stream.

use bytes::Bytes;

use super::{HEADER_BYTES, LzError, LzImage, LzType, MAGIC, MAX_BYTES, VERSION};
use crate::Limits;

/// Decodes a stream.
///
/// # Errors
/// Anything that the format does not allow, an image beyond `limits`, input that is too short or too long. Memory is
/// taken only for a size that is within the limits and that the input is long enough to fill.
pub fn decode(stream: &[u8], limits: &Limits) -> Result<LzImage, LzError> {
    let mut data = Vec::new();
    let header = decode_into(stream, limits, &mut data)?;
    Ok(LzImage {
        kind: header.kind,
        width: header.width,
        height: header.height,
        top_down: header.top_down,
        data: Bytes::from(data),
    })
}

/// As [`decode`], with the rows in memory that can be used again and again; what was in `data` is gone, and after an error
/// it holds nothing useful.
///
/// # Errors
/// As [`decode`].
pub fn decode_into(stream: &[u8], limits: &Limits, data: &mut Vec<u8>) -> Result<LzHeader, LzError> {
    let header = LzHeader::read(stream, limits)?;
    let body = stream.get(HEADER_BYTES..).unwrap_or_default();
    let rows = header.kind.row_bytes(header.width) * u64::from(header.height);
    let pixels = u64::from(header.width) * u64::from(header.height);
    let units = match header.kind {
        LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 => rows,
        _ => pixels,
    };
    // Both are below MAX_BYTES.
    let (rows, units) = (rows as usize, units as usize);
    // No byte of a stream stands for more than 255 units.
    if units / 255 > body.len() {
        return Err(LzError::Truncated {
            produced: 0,
            expected: units,
        });
    }
    if header.kind == LzType::Xxxa {
        data.clear();
    }
    // All others write every byte.
    data.resize(rows, 0);
    let mut input = body;
    match header.kind {
        LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 | LzType::A8 => {
            pass::<1, Single>(&mut input, data)?;
        }
        LzType::Rgb16 => pass::<2, HighByteFirst>(&mut input, data)?,
        LzType::Rgb24 => pass::<3, Colours>(&mut input, data)?,
        LzType::Rgb32 => pass::<4, Colours>(&mut input, data)?,
        LzType::Rgba => {
            pass::<4, Colours>(&mut input, data)?;
            pass::<4, Alpha>(&mut input, data)?;
        }
        LzType::Xxxa => pass::<4, Alpha>(&mut input, data)?,
    }
    if !input.is_empty() {
        return Err(LzError::Trailing(input.len()));
    }
    Ok(header)
}

/// What the header of a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LzHeader {
    /// How a pixel is stored.
    pub kind: LzType,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Whether the first row is the top one.
    pub top_down: bool,
}

impl LzHeader {
    fn read(stream: &[u8], limits: &Limits) -> Result<Self, LzError> {
        let Some((words, _)) = stream.split_first_chunk::<HEADER_BYTES>() else {
            return Err(LzError::Truncated {
                produced: 0,
                expected: 0,
            });
        };
        let mut words = words.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or(0);
        let (magic, version, raw, width, height, stride, top_down) =
            (next(), next(), next(), next(), next(), next(), next());
        if magic != MAGIC {
            return Err(LzError::Magic(magic));
        }
        if version != VERSION {
            return Err(LzError::Version(version));
        }
        let kind = LzType::from_raw(raw).ok_or(LzError::Type(raw))?;
        let needed = kind.row_bytes(width);
        if width == 0 || height == 0 || !limits.allow(width, height) || needed * u64::from(height) > MAX_BYTES {
            return Err(LzError::Size { width, height });
        }
        if u64::from(stride) != needed {
            return Err(LzError::Stride { stride, needed });
        }
        Ok(Self {
            kind,
            width,
            height,
            top_down: top_down != 0,
        })
    }
}

/// Units of one kind of pass, `STEP` bytes each in the output.
trait Units<const STEP: usize> {
    /// Bytes of a literal unit in the stream.
    const LITERAL: usize;
    /// Shortest match.
    const MIN_MATCH: usize;

    /// Writes literals, [`LITERAL`](Self::LITERAL) bytes for each unit of `out`.
    fn literals(out: &mut [[u8; STEP]], literals: &[u8]);

    /// Repeats `length` units from unit `at` on; `distance` is 1 to `at`, and they fit.
    fn repeat(out: &mut [[u8; STEP]], at: usize, distance: usize, length: usize) {
        let (done, rest) = out.split_at_mut(at);
        let source = done.get(at - distance..).unwrap_or_default();
        let Some(target) = rest.get_mut(..length) else { return };
        if let Some(source) = source.get(..length) {
            target.copy_from_slice(source);
        } else if let [only] = source {
            target.fill(*only);
        } else {
            for part in target.chunks_mut(distance) {
                if let Some(source) = source.get(..part.len()) {
                    part.copy_from_slice(source);
                }
            }
        }
    }
}

/// Bytes: palette indices, or alpha alone.
struct Single;

impl Units<1> for Single {
    const LITERAL: usize = 1;
    const MIN_MATCH: usize = 3;

    fn literals(out: &mut [[u8; 1]], literals: &[u8]) {
        out.copy_from_slice(literals.as_chunks().0);
    }
}

/// 16-bit pixels, the high byte first in the stream.
struct HighByteFirst;

impl Units<2> for HighByteFirst {
    const LITERAL: usize = 2;
    const MIN_MATCH: usize = 2;

    fn literals(out: &mut [[u8; 2]], literals: &[u8]) {
        for (to, [high, low]) in out.iter_mut().zip(literals.as_chunks().0) {
            *to = [*low, *high];
        }
    }
}

/// B, G, R.
struct Colours;

impl Units<3> for Colours {
    const LITERAL: usize = 3;
    const MIN_MATCH: usize = 1;

    fn literals(out: &mut [[u8; 3]], literals: &[u8]) {
        out.copy_from_slice(literals.as_chunks().0);
    }
}

impl Units<4> for Colours {
    const LITERAL: usize = 3;
    const MIN_MATCH: usize = 1;

    fn literals(out: &mut [[u8; 4]], literals: &[u8]) {
        // Four pixels from three words.
        let (fours, rest) = out.as_chunks_mut::<4>();
        let (twelves, last) = literals.as_chunks::<12>();
        for (to, from) in fours.iter_mut().zip(twelves) {
            let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = *from;
            let a = u32::from_le_bytes([a0, a1, a2, a3]);
            let b = u32::from_le_bytes([b0, b1, b2, b3]);
            let c = u32::from_le_bytes([c0, c1, c2, c3]);
            let colour = |value: u32| (value & 0x00ff_ffff).to_le_bytes();
            *to = [
                colour(a),
                colour(a >> 24 | b << 8),
                colour(b >> 16 | c << 16),
                colour(c >> 8),
            ];
        }
        for (to, [b, g, r]) in rest.iter_mut().zip(last.as_chunks().0) {
            *to = [*b, *g, *r, 0];
        }
    }
}

/// The last byte of B, G, R, A.
struct Alpha;

impl Units<4> for Alpha {
    const LITERAL: usize = 1;
    const MIN_MATCH: usize = 3;

    fn literals(out: &mut [[u8; 4]], literals: &[u8]) {
        for ([.., to], alpha) in out.iter_mut().zip(literals) {
            *to = *alpha;
        }
    }

    fn repeat(out: &mut [[u8; 4]], at: usize, distance: usize, length: usize) {
        let (done, rest) = out.split_at_mut(at);
        let source = done.get(at - distance..).unwrap_or_default();
        let Some(target) = rest.get_mut(..length) else { return };
        // A source shorter than the match is gone through again and again.
        for part in target.chunks_mut(distance) {
            for ([.., to], [.., alpha]) in part.iter_mut().zip(source) {
                *to = *alpha;
            }
        }
    }
}

/// Reads units until `data` is full.
fn pass<const STEP: usize, U: Units<STEP>>(input: &mut &[u8], data: &mut [u8]) -> Result<(), LzError> {
    let out = data.as_chunks_mut::<STEP>().0;
    let units = out.len();
    let mut rest = *input;
    let mut at = 0;
    while at < units {
        let truncated = LzError::Truncated {
            produced: at,
            expected: units,
        };
        let Some((control, behind)) = rest.split_first() else {
            return Err(truncated);
        };
        rest = behind;
        let control = usize::from(*control);
        let (length, distance) = if control < 32 {
            (control + 1, 0)
        } else {
            let (code, distance) = read_match(&mut rest, control, units).ok_or(truncated)?;
            (code + U::MIN_MATCH - 1, distance)
        };
        if length > units - at {
            return Err(LzError::Length {
                at,
                length,
                expected: units,
            });
        }
        if control < 32 {
            let (literals, behind) = rest.split_at_checked(length * U::LITERAL).ok_or(truncated)?;
            rest = behind;
            if let Some(to) = out.get_mut(at..at + length) {
                U::literals(to, literals);
            }
        } else if distance > at {
            return Err(LzError::Distance { at, distance });
        } else {
            U::repeat(out, at, distance, length);
        }
        at += length;
    }
    *input = rest;
    Ok(())
}

/// Length code and distance of a match; `None` at the end of the input. A code beyond `units` is cut to one more.
fn read_match(input: &mut &[u8], control: usize, units: usize) -> Option<(usize, usize)> {
    let mut next = || {
        let (first, rest) = input.split_first()?;
        *input = rest;
        Some(usize::from(*first))
    };
    let mut code = control >> 5;
    let high = control & 31;
    if code == 7 {
        loop {
            let more = next()?;
            code = (code + more).min(units + 1);
            if more != 255 {
                break;
            }
        }
    }
    let low = next()?;
    let distance = if (high, low) == (31, 255) {
        let (first, second) = (next()?, next()?);
        (first << 8) + second + 8191
    } else {
        (high << 8) + low
    };
    Some((code, distance + 1))
}
