//! H.264 for the frames of a stream: Annex B, one access unit a frame, parameter sets in front of key frames.
//!
//! The coder is Cisco's OpenH264, by way of the crate `openh264`, which builds it. Pictures become BT.601 with 16 to 235
//! and the colours halved in both directions, and the stream says so.

use caraway_ports::drawing::{Bitmap, BitmapFormat};
use openh264::{
    OpenH264API,
    encoder::{
        BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, Profile, QpRange, RateControlMode,
        UsageType, VuiConfig,
    },
    formats::YUVSource,
};
use thiserror::Error;

use crate::rows::{Rows, SourceError};

/// Pixels of a picture at most: of level 5.2, what the coder takes.
pub const MAX_PIXELS: u64 = 3840 * 2160;

/// The longer side at most, and the other one: the coder's limits.
const LONGEST: (u32, u32) = (3840, 2160);

/// The shorter side at least: around every picture that it keeps the coder has 32 pixels more.
const SHORTEST: u32 = 64;

/// Bits a second that a stream may have: less cannot be held, more is never asked for by a sane caller.
const BIT_RATES: (u32, u32) = (64_000, 100_000_000);

/// The coder's own bounds.
const FRAME_RATES: (u32, u32) = (1, 60);

/// Finer quantisation is not seen, coarser is not worth looking at; these are the coder's own figures for cameras.
const QUANTISERS: QpRange = QpRange::new(12, 42);

/// Why a picture cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum H264Error {
    /// An odd side, or one that is too short or too long: see [`fits`].
    #[error("H.264 picture of {width}x{height} pixels has an odd side or a wrong size")]
    Size {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// What the coder says.
    #[error("H.264: {0}")]
    Coding(String),
    /// Pixels that cannot be encoded.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Whether pictures of this size can be encoded: sides are even, as colours are halved, from 64 to 3840 pixels, and at
/// most one is longer than 2160. One encoder takes 12 bytes for a pixel.
#[must_use]
pub fn fits(width: u32, height: u32) -> bool {
    let (longer, shorter) = (width.max(height), width.min(height));
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    even && shorter >= SHORTEST && longer <= LONGEST.0 && shorter <= LONGEST.1
}

/// What a stream is to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The rate to hold.
    pub bits_per_second: u32,
    /// How many frames share it.
    pub frames_per_second: u32,
}

/// An encoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// The NAL units, each with its start code.
    pub data: Vec<u8>,
    /// It needs no other, and is larger for it: the first one, or the first one after a change of size or rate.
    pub begins: bool,
}

/// The encoder of one stream. All that it makes has to be decoded, in its order: pictures refer to those before.
#[derive(Default)]
pub struct H264Encoder {
    coder: Option<Coder>,
    planes: Planes,
}

impl std::fmt::Debug for H264Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = self.coder.as_ref().map(|coder| (coder.size, coder.bits_per_second));
        f.debug_struct("H264Encoder")
            .field("coder", &told)
            .finish_non_exhaustive()
    }
}

struct Coder {
    encoder: Encoder,
    size: (u32, u32),
    bits_per_second: u32,
    /// It has made nothing yet.
    is_new: bool,
}

impl Coder {
    fn new(size: (u32, u32), target: Target) -> Result<Self, H264Error> {
        let bits = target.bits_per_second.clamp(BIT_RATES.0, BIT_RATES.1);
        let frames = target.frames_per_second.clamp(FRAME_RATES.0, FRAME_RATES.1);
        let config = EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .profile(Profile::Baseline)
            .complexity(Complexity::Low)
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(bits))
            .max_frame_rate(FrameRate::from_hz(frames as f32))
            .qp(QUANTISERS)
            // Nothing is lost on the way: none but the first has to stand alone.
            .intra_frame_period(IntraFramePeriod::auto())
            // Or the rate is not held.
            .skip_frames(true)
            .num_threads(1)
            .vui(VuiConfig::bt601());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(coding)?;
        Ok(Self {
            encoder,
            size,
            bits_per_second: target.bits_per_second,
            is_new: true,
        })
    }
}

impl H264Encoder {
    /// An encoder that has encoded nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes the colours of a picture; alpha is not kept. `None` where the rate leaves no bits for it: the next one
    /// refers to the one before. After an error the next picture begins anew, and so does one of another size or with
    /// another rate of bits; the rate of frames is the one at the last begin.
    ///
    /// # Errors
    /// Sizes that do not fit ([`fits`]), formats with a palette or of alpha alone, a bitmap whose rows are not there,
    /// whatever the coder refuses.
    pub fn encode(&mut self, bitmap: &Bitmap, target: Target) -> Result<Option<AccessUnit>, H264Error> {
        let known = self.coder.take();
        let size = (bitmap.width, bitmap.height);
        if !fits(size.0, size.1) {
            return Err(H264Error::Size {
                width: size.0,
                height: size.1,
            });
        }
        self.planes.fill(&Rows::of_bitmap(bitmap)?);
        let mut coder = match known {
            Some(coder) if (coder.size, coder.bits_per_second) == (size, target.bits_per_second) => coder,
            _ => Coder::new(size, target)?,
        };
        let data = coder.encoder.encode(&self.planes).map_err(coding)?.to_vec();
        let begins = coder.is_new;
        coder.is_new &= data.is_empty();
        self.coder = Some(coder);
        Ok((!data.is_empty()).then_some(AccessUnit { data, begins }))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn coding(error: openh264::Error) -> H264Error {
    H264Error::Coding(error.to_string())
}

/// A picture as the coder takes it: luma, and the two of chroma, each half as wide and half as high.
#[derive(Default)]
struct Planes {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Planes {
    /// Takes up a picture with even sides.
    fn fill(&mut self, rows: &Rows) {
        (self.width, self.height) = (rows.width as usize, rows.height as usize);
        self.data.resize(self.width * self.height * 3 / 2, 0);
        match rows.format {
            BitmapFormat::Bit24 => {
                let tight = rows.tight_top_first();
                let narrow = tight.as_chunks::<3>().0.iter();
                let wide: Vec<[u8; 4]> = narrow.map(|[b, g, r]| [*b, *g, *r, 0]).collect();
                self.convert(wide.as_flattened());
            }
            BitmapFormat::Bit16 => self.convert(&rows.widened_top_first()),
            _ => self.convert(&rows.tight_top_first()),
        }
    }

    /// Takes up pixels of 32 bits: blue, green, red, unused.
    fn convert(&mut self, pixels: &[u8]) {
        let (width, half) = (self.width, self.width / 2);
        let (luma, chroma) = self.data.split_at_mut(width * self.height);
        let (blues, reds) = chroma.split_at_mut(chroma.len() / 2);
        // An even number of rows, none of them empty.
        let pairs = pixels.as_chunks::<4>().0.chunks_exact(width * 2);
        let chroma = blues.chunks_exact_mut(half).zip(reds.chunks_exact_mut(half));
        for ((pixels, luma), (blues, reds)) in pairs.zip(luma.chunks_exact_mut(width * 2)).zip(chroma) {
            luma.iter_mut()
                .zip(pixels)
                .for_each(|(luma, pixel)| *luma = luma_of(pixel));
            let (top, bottom) = pixels.split_at(width);
            let blocks = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
            for (((top, bottom), blue), red) in blocks.zip(blues).zip(reds) {
                (*blue, *red) = chroma_of([top, bottom]);
            }
        }
    }

    fn plane(&self, from: usize, length: usize) -> &[u8] {
        self.data.get(from..from + length).unwrap_or_default()
    }
}

impl YUVSource for Planes {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        self.plane(0, self.width * self.height)
    }

    fn u(&self) -> &[u8] {
        let pixels = self.width * self.height;
        self.plane(pixels, pixels / 4)
    }

    fn v(&self) -> &[u8] {
        let pixels = self.width * self.height;
        self.plane(pixels + pixels / 4, pixels / 4)
    }
}

/// BT.601 in 256ths; the result is from 16 to 235.
fn luma_of([b, g, r, _]: &[u8; 4]) -> u8 {
    let [b, g, r] = [*b, *g, *r].map(u32::from);
    ((66 * r + 129 * g + 25 * b + 128) / 256 + 16) as u8
}

/// The same for the mean of four pixels; the results are from 16 to 240.
fn chroma_of([[a, b], [c, d]]: [&[[u8; 4]; 2]; 2]) -> (u8, u8) {
    let sum = |part: usize| [a, b, c, d].iter().map(|pixel| i32::from(pixel[part])).sum::<i32>();
    let [b, g, r] = [sum(0), sum(1), sum(2)];
    // Shifts round down, also what is below zero.
    let blue = ((112 * b - 74 * g - 38 * r + 512) >> 10) + 128;
    let red = ((112 * r - 94 * g - 18 * b + 512) >> 10) + 128;
    (blue as u8, red as u8)
}

#[cfg(test)]
#[path = "h264/tests.rs"]
mod tests;
