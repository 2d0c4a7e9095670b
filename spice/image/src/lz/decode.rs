//! Reading a stream.

use bytes::Bytes;

use super::{
    HEADER_BYTES, LzError, LzHeader, LzImage, LzType, MAGIC, MAX_BYTES, MAX_NEAR, VERSION,
    units::{Unit, repeat},
};
use crate::Limits;

/// Decodes a stream.
///
/// # Errors
/// Anything that the format does not allow, an image beyond `limits`, input that is too short or too long. Memory is
/// taken only for a size that is within the limits and that the input is long enough to fill.
pub fn decode(stream: &[u8], limits: &Limits) -> Result<LzImage, LzError> {
    let mut data = Vec::new();
    let header = LzDecoder::new().decode(stream, limits, &mut data)?;
    Ok(LzImage {
        kind: header.kind,
        width: header.width,
        height: header.height,
        top_down: header.top_down,
        data: Bytes::from(data),
    })
}

/// Decodes one image after the other, with memory of its own that it takes once.
#[derive(Debug, Default)]
pub struct LzDecoder {
    alpha: Vec<u8>,
}

impl LzDecoder {
    /// A decoder for images of any type and size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a stream into `data`, which has the rows of the picture afterwards and nothing else; after an error its
    /// content means nothing.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&mut self, stream: &[u8], limits: &Limits, data: &mut Vec<u8>) -> Result<LzHeader, LzError> {
        let header = read_header(stream, limits)?;
        let mut input = stream.get(HEADER_BYTES..).unwrap_or_default();
        let rows = header.kind.row_bytes(header.width) * u64::from(header.height);
        let pixels = u64::from(header.width) * u64::from(header.height);
        // Both are below MAX_BYTES.
        let (rows, pixels) = (rows as usize, pixels as usize);
        let units = if header.kind.has_palette() { rows } else { pixels };
        // No byte of a stream stands for more than 255 units.
        if units / 255 > input.len() {
            return Err(LzError::Truncated {
                produced: 0,
                expected: units,
            });
        }
        // Every byte is written below: what is there already is not worth clearing.
        data.resize(rows, 0);
        match header.kind {
            LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 | LzType::A8 => {
                pass(&mut input, data)?;
            }
            LzType::Rgb16 => pass(&mut input, data.as_chunks_mut::<2>().0)?,
            LzType::Rgb24 => pass(&mut input, data.as_chunks_mut::<3>().0)?,
            LzType::Rgb32 => pass(&mut input, data.as_chunks_mut::<4>().0)?,
            LzType::Rgba | LzType::Xxxa => {
                let colours = data.as_chunks_mut::<4>().0;
                if header.kind == LzType::Rgba {
                    pass(&mut input, colours)?;
                } else {
                    colours.fill([0; 4]);
                }
                self.alpha.resize(pixels, 0);
                pass(&mut input, &mut self.alpha)?;
                for ([.., to], alpha) in colours.iter_mut().zip(&self.alpha) {
                    *to = *alpha;
                }
            }
        }
        if !input.is_empty() {
            return Err(LzError::Trailing(input.len()));
        }
        Ok(header)
    }
}

fn read_header(stream: &[u8], limits: &Limits) -> Result<LzHeader, LzError> {
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
    Ok(LzHeader {
        kind,
        width,
        height,
        top_down: top_down != 0,
    })
}

/// Reads one pass, which ends when all units are there.
fn pass<U: Unit>(input: &mut &[u8], out: &mut [U]) -> Result<(), LzError> {
    let expected = out.len();
    let mut rest = *input;
    let mut at = 0;
    while at < expected {
        let truncated = LzError::Truncated { produced: at, expected };
        let too_long = |length| LzError::Length { at, length, expected };
        let Some((control, after)) = rest.split_first() else {
            return Err(truncated);
        };
        let control = usize::from(*control);
        if control < 32 {
            let length = control + 1;
            let (Some(out), true) = (out.get_mut(at..), length <= expected - at) else {
                return Err(too_long(length));
            };
            rest = after.get(length * U::BYTES..).ok_or(truncated)?;
            U::literals(after, out, length);
            at += length;
        } else {
            let (length, distance, after) = read_match(after, control, expected).ok_or(truncated)?;
            let length = length + U::MIN_MATCH - 1;
            if length > expected - at {
                return Err(too_long(length));
            }
            if distance > at {
                return Err(LzError::Distance { at, distance });
            }
            repeat(out, at, distance, length);
            rest = after;
            at += length;
        }
    }
    *input = rest;
    Ok(())
}

/// Length above the shortest, distance and what follows of a match that begins with `control`; `None` at the end of the
/// input. A length beyond `most` is cut to one more.
#[inline(always)]
fn read_match(input: &[u8], control: usize, most: usize) -> Option<(usize, usize, &[u8])> {
    let (mut length, high, mut rest) = (control >> 5, control & 31, input);
    if length == 7 {
        loop {
            let (more, after) = rest.split_first()?;
            rest = after;
            length = (length + usize::from(*more)).min(most + 1);
            if *more != 255 {
                break;
            }
        }
    }
    let (low, after) = rest.split_first()?;
    let distance = high << 8 | usize::from(*low);
    if distance != MAX_NEAR {
        return Some((length, distance + 1, after));
    }
    let ([first, second], after) = after.split_first_chunk()?;
    let far = usize::from(u16::from_be_bytes([*first, *second]));
    Some((length, MAX_NEAR + far + 1, after))
}
