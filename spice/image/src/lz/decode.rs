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
    let header = Header::read(stream, limits)?;
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
    let mut data = vec![0; rows];
    let mut input = Input { rest: body };
    match header.kind {
        LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 | LzType::A8 => {
            Pass::bytes(1, 0).run(&mut input, &mut data, units)?;
        }
        LzType::Rgb16 => Pass::rgb16().run(&mut input, &mut data, units)?,
        LzType::Rgb24 => Pass::pixels(3).run(&mut input, &mut data, units)?,
        LzType::Rgb32 => Pass::pixels(4).run(&mut input, &mut data, units)?,
        LzType::Rgba => {
            Pass::pixels(4).run(&mut input, &mut data, units)?;
            Pass::bytes(4, 3).run(&mut input, &mut data, units)?;
        }
        LzType::Xxxa => Pass::bytes(4, 3).run(&mut input, &mut data, units)?,
    }
    if !input.rest.is_empty() {
        return Err(LzError::Trailing(input.rest.len()));
    }
    Ok(LzImage {
        kind: header.kind,
        width: header.width,
        height: header.height,
        top_down: header.top_down,
        data: Bytes::from(data),
    })
}

struct Header {
    kind: LzType,
    width: u32,
    height: u32,
    top_down: bool,
}

impl Header {
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

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }
}

/// How the units of a pass lie in the output.
struct Pass {
    /// Bytes of a literal unit in the stream.
    literal: usize,
    /// Bytes from one unit to the next in the output.
    step: usize,
    /// Where in its step a unit begins.
    offset: usize,
    /// Shortest match.
    min_match: usize,
    /// Whether the two bytes of a literal are the other way round in the output.
    swapped: bool,
}

impl Pass {
    /// Single bytes, one in `step`.
    const fn bytes(step: usize, offset: usize) -> Self {
        Self {
            literal: 1,
            step,
            offset,
            min_match: 3,
            swapped: false,
        }
    }

    /// 16-bit pixels, high byte first.
    const fn rgb16() -> Self {
        Self {
            literal: 2,
            step: 2,
            offset: 0,
            min_match: 2,
            swapped: true,
        }
    }

    /// Colours of `step` bytes a pixel.
    const fn pixels(step: usize) -> Self {
        Self {
            literal: 3,
            step,
            offset: 0,
            min_match: 1,
            swapped: false,
        }
    }

    fn run(&self, input: &mut Input<'_>, out: &mut [u8], units: usize) -> Result<(), LzError> {
        let mut at = 0;
        while at < units {
            let truncated = LzError::Truncated {
                produced: at,
                expected: units,
            };
            let control = usize::from(input.byte().ok_or(truncated)?);
            let (length, distance) = if control < 32 {
                (control + 1, 0)
            } else {
                self.read_match(input, control, units).ok_or(truncated)?
            };
            if length > units - at {
                return Err(LzError::Length {
                    at,
                    length,
                    expected: units,
                });
            }
            if control < 32 {
                let literals = input.bytes(length * self.literal).ok_or(truncated)?;
                self.put(out, at, literals);
            } else if distance > at {
                return Err(LzError::Distance { at, distance });
            } else {
                self.copy(out, at, distance, length);
            }
            at += length;
        }
        Ok(())
    }

    /// Length and distance of a match; `None` at the end of the input. A length beyond `units` is cut to one more.
    fn read_match(&self, input: &mut Input<'_>, control: usize, units: usize) -> Option<(usize, usize)> {
        let mut code = control >> 5;
        let high = control & 31;
        if code == 7 {
            loop {
                let more = usize::from(input.byte()?);
                code = (code + more).min(units + 1);
                if more != 255 {
                    break;
                }
            }
        }
        let low = usize::from(input.byte()?);
        let distance = if (high, low) == (31, 255) {
            let (first, second) = (usize::from(input.byte()?), usize::from(input.byte()?));
            (first << 8) + second + 8191
        } else {
            (high << 8) + low
        };
        Some((code + self.min_match - 1, distance + 1))
    }

    /// Writes literal units from unit `at` on.
    fn put(&self, out: &mut [u8], at: usize, literals: &[u8]) {
        let out = out.get_mut(at * self.step..).unwrap_or_default();
        if self.step == self.literal && !self.swapped {
            if let Some(to) = out.get_mut(..literals.len()) {
                to.copy_from_slice(literals);
            }
            return;
        }
        for (to, from) in out.chunks_exact_mut(self.step).zip(literals.chunks_exact(self.literal)) {
            if let Some(to) = to.get_mut(self.offset..self.offset + self.literal) {
                to.copy_from_slice(from);
                if self.swapped {
                    to.reverse();
                }
            }
        }
    }

    /// Repeats units; `distance` is at most `at`, and `length` units fit.
    fn copy(&self, out: &mut [u8], at: usize, distance: usize, length: usize) {
        if self.literal == 1 && self.step > 1 {
            let start = (at - distance) * self.step + self.offset;
            let mut from = start;
            for _ in 0..length {
                let value = out.get(from).copied().unwrap_or(0);
                if let Some(to) = out.get_mut(from + distance * self.step) {
                    *to = value;
                }
                from += self.step;
            }
            return;
        }
        // The bytes between units are 0 or written by a later pass. What was copied doubles what can be copied next.
        let start = (at - distance) * self.step;
        let mut to = at * self.step;
        let mut left = length * self.step;
        while left > 0 {
            let count = left.min(to - start);
            out.copy_within(start..start + count, to);
            to += count;
            left -= count;
        }
    }
}
