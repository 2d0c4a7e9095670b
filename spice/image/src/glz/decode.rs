//! Reading a stream.

use super::{ALPHA_MIN_MATCH, GlzError, GlzType, HEADER_BYTES, MAGIC, TOP_DOWN, VERSION, Window, window::Kept};
use crate::{Limits, color, lz};

/// B, G, R, A.
type Pixel = [u8; 4];

/// Pixels that a short copy may write beyond its end; the next ones overwrite them.
const SLACK: usize = 8;

/// A checked header.
pub(super) struct Header {
    pub(super) kind: GlzType,
    pub(super) top_down: bool,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bytes of a decoded row.
    pub(super) decoded_stride: u32,
    pub(super) id: u64,
    pub(super) win_head_dist: u32,
    /// Units of each pass: pixels.
    pub(super) units: usize,
}

impl Header {
    pub(super) fn read(stream: &[u8], limits: &Limits) -> Result<Self, GlzError> {
        let Some(header) = stream.first_chunk::<HEADER_BYTES>() else {
            return Err(GlzError::Truncated {
                produced: 0,
                expected: 0,
            });
        };
        let word = |at: usize| {
            let bytes = header.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        let (magic, version, raw) = (word(0), word(4), header[8]);
        let (width, height, stride) = (word(9), word(13), word(17));
        let (id, win_head_dist) = ((u64::from(word(21)) << 32) | u64::from(word(25)), word(29));
        if magic != MAGIC {
            return Err(GlzError::Magic(magic));
        }
        if version != VERSION {
            return Err(GlzError::Version(version));
        }
        let kind = GlzType::from_raw(raw & !TOP_DOWN).ok_or(GlzError::Type(raw))?;
        let too_large = GlzError::Size { width, height };
        if width == 0 || height == 0 || !limits.allow(width, height) {
            return Err(too_large);
        }
        let decoded_stride = width.checked_mul(4).ok_or(too_large)?;
        let bytes = u64::from(decoded_stride) * u64::from(height);
        let units = usize::try_from(bytes).map_err(|_| too_large)? / 4;
        let needed = u64::from(width) * u64::from(kind.pixel_bytes());
        if u64::from(stride) != needed {
            return Err(GlzError::Stride { stride, needed });
        }
        if u64::from(win_head_dist) > id {
            return Err(GlzError::WindowHead { id, win_head_dist });
        }
        Ok(Self {
            kind,
            top_down: raw & TOP_DOWN != 0,
            width,
            height,
            decoded_stride,
            id,
            win_head_dist,
            units,
        })
    }

    /// The oldest image it may refer to, or itself.
    pub(super) const fn oldest(&self) -> u64 {
        // Checked when the header was read.
        self.id - self.win_head_dist as u64
    }
}

/// The earlier images that matches lie in.
pub(super) struct Sources<'a> {
    window: &'a Window,
    id: u64,
    win_head_dist: u32,
    /// The image asked for last: most matches lie where the one before did.
    last: Option<(u32, &'a Kept)>,
}

impl<'a> Sources<'a> {
    pub(super) const fn new(window: &'a Window, header: &Header) -> Self {
        Self {
            window,
            id: header.id,
            win_head_dist: header.win_head_dist,
            last: None,
        }
    }

    /// The image `distance` back; never itself.
    fn back(&mut self, distance: u32) -> Result<&'a Kept, GlzError> {
        if let Some((last, image)) = self.last
            && last == distance
        {
            return Ok(image);
        }
        if distance > self.win_head_dist {
            return Err(GlzError::Outside {
                id: self.id,
                distance,
                win_head_dist: self.win_head_dist,
            });
        }
        let image = self.window.image(self.id, self.id - u64::from(distance))?;
        self.last = Some((distance, image));
        Ok(image)
    }

    fn reach(&self, found: &Match, units: usize) -> GlzError {
        GlzError::Reach {
            id: self.id - u64::from(found.images_back),
            offset: found.offset,
            length: found.length,
            units,
        }
    }
}

struct Input<'a> {
    rest: &'a [u8],
}

/// A match as the stream says it.
struct Match {
    length: usize,
    /// 0: in the image itself.
    images_back: u32,
    /// In the image itself one less than how many units back; in another the unit where it begins.
    offset: usize,
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

    /// The rest of a match after its control byte; `None` at the end of the input. A length beyond `units` is cut to
    /// something that is still beyond.
    fn read_match(&mut self, control: u8, min_match: usize, units: usize) -> Option<Match> {
        let mut code = usize::from(control >> 5);
        if code == 7 {
            loop {
                let more = self.byte()?;
                code = (code + usize::from(more)).min(units + 1);
                if more != 255 {
                    break;
                }
            }
        }
        let far = control & 0x10 != 0;
        let (second, third) = (self.byte()?, self.byte()?);
        let mut offset = usize::from(control & 15) | (usize::from(second) << 4);
        let (mut images_back, mut shift) = if far {
            offset |= usize::from(third & 31) << 12;
            (0, 0)
        } else {
            (u32::from(third & 63), 6)
        };
        for _ in 0..third >> 6 {
            images_back |= u32::from(self.byte()?) << shift;
            shift += 8;
        }
        if far && third & 32 != 0 {
            offset |= usize::from(self.byte()?) << 17;
        }
        Some(Match {
            length: code + min_match - 1,
            images_back,
            offset,
        })
    }
}

/// Decodes the colours of an image, and what follows them in the stream.
pub(super) fn colours<'a>(
    header: &Header,
    body: &'a [u8],
    sources: &mut Sources<'_>,
) -> Result<(Vec<Pixel>, &'a [u8]), GlzError> {
    let mut input = Input { rest: body };
    let mut out = vec![[0; 4]; header.units + SLACK];
    match header.kind {
        GlzType::Rgb16 => decode_colours::<2>(&mut input, &mut out, header, sources)?,
        _ => decode_colours::<3>(&mut input, &mut out, header, sources)?,
    }
    out.truncate(header.units);
    Ok((out, input.rest))
}

/// A pass over colours, whose literals have `LITERAL` bytes.
fn decode_colours<const LITERAL: usize>(
    input: &mut Input<'_>,
    out: &mut [Pixel],
    header: &Header,
    sources: &mut Sources<'_>,
) -> Result<(), GlzError> {
    let expected = header.units;
    let mut at = 0;
    while at < expected {
        let truncated = GlzError::Truncated { produced: at, expected };
        let control = input.byte().ok_or(truncated)?;
        if control < 32 {
            let length = usize::from(control) + 1;
            check_length(at, length, expected)?;
            let literals = input.bytes(length * LITERAL).ok_or(truncated)?;
            put::<LITERAL>(out.get_mut(at..at + length).unwrap_or_default(), literals);
            at += length;
            continue;
        }
        let found = input.read_match(control, header.kind.min_match(), expected);
        let found = found.ok_or(truncated)?;
        check_length(at, found.length, expected)?;
        if found.images_back == 0 {
            let distance = found.offset + 1;
            if distance > at {
                return Err(GlzError::Distance { at, distance });
            }
            lz::repeat(out, at, distance, found.length);
        } else {
            let image = sources.back(found.images_back)?;
            let pixels = image.pixels();
            if found.length > pixels.len().saturating_sub(found.offset) {
                return Err(sources.reach(&found, pixels.len()));
            }
            copy(out, at, pixels, found.offset, found.length);
            if image.has_alpha() && header.kind != GlzType::Rgba {
                let copied = out.get_mut(at..at + found.length).unwrap_or_default();
                copied.iter_mut().for_each(|pixel| pixel[3] = 0);
            }
        }
        at += found.length;
    }
    Ok(())
}

fn check_length(at: usize, length: usize, expected: usize) -> Result<(), GlzError> {
    if length > expected - at {
        return Err(GlzError::Length { at, length, expected });
    }
    Ok(())
}

/// Writes literal colours.
fn put<const LITERAL: usize>(out: &mut [Pixel], literals: &[u8]) {
    if LITERAL == 3 {
        lz::put_colours(literals, out);
        return;
    }
    for (pixel, literal) in out.iter_mut().zip(literals.as_chunks::<2>().0) {
        *pixel = color::from_555(u16::from_be_bytes(*literal)).to_le_bytes();
    }
}

/// Copies pixels of another image; all of them are there, and `length` pixels and the slack fit.
fn copy(out: &mut [Pixel], at: usize, pixels: &[Pixel], from: usize, length: usize) {
    let pixels = pixels.get(from..).unwrap_or_default();
    let to = out.get_mut(at..).unwrap_or_default();
    if length <= SLACK
        && let (Some(to), Some(chunk)) = (to.first_chunk_mut::<SLACK>(), pixels.first_chunk::<SLACK>())
    {
        *to = *chunk;
    } else if let (Some(to), Some(pixels)) = (to.get_mut(..length), pixels.get(..length)) {
        to.copy_from_slice(pixels);
    }
}

/// A pass over the alpha of all of `out`.
pub(super) fn decode_alpha(body: &[u8], out: &mut [Pixel], sources: &mut Sources<'_>) -> Result<(), GlzError> {
    let mut input = Input { rest: body };
    let expected = out.len();
    let mut at = 0;
    while at < expected {
        let truncated = GlzError::Truncated { produced: at, expected };
        let control = input.byte().ok_or(truncated)?;
        if control < 32 {
            let length = usize::from(control) + 1;
            check_length(at, length, expected)?;
            let literals = input.bytes(length).ok_or(truncated)?;
            for (pixel, alpha) in out.get_mut(at..).unwrap_or_default().iter_mut().zip(literals) {
                pixel[3] = *alpha;
            }
            at += length;
            continue;
        }
        let found = input.read_match(control, ALPHA_MIN_MATCH, expected);
        let found = found.ok_or(truncated)?;
        check_length(at, found.length, expected)?;
        let (done, rest) = out.split_at_mut(at);
        let to = rest.get_mut(..found.length).unwrap_or_default();
        if found.images_back == 0 {
            let distance = found.offset + 1;
            if distance > at {
                return Err(GlzError::Distance { at, distance });
            }
            let period = done.get(at - distance..).unwrap_or_default();
            if distance == 1 {
                let alpha = period.first().map_or(0, |pixel| pixel[3]);
                to.iter_mut().for_each(|pixel| pixel[3] = alpha);
            } else {
                for (pixel, value) in to.iter_mut().zip(period.iter().cycle()) {
                    pixel[3] = value[3];
                }
            }
        } else {
            let image = sources.back(found.images_back)?;
            if !image.has_alpha() {
                return Err(GlzError::NoAlpha(sources.id - u64::from(found.images_back)));
            }
            let pixels = image.pixels();
            if found.length > pixels.len().saturating_sub(found.offset) {
                return Err(sources.reach(&found, pixels.len()));
            }
            for (pixel, value) in to.iter_mut().zip(pixels.get(found.offset..).unwrap_or_default()) {
                pixel[3] = value[3];
            }
        }
        at += found.length;
    }
    Ok(())
}
