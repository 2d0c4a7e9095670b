//! Streams in H.264: which may be, and how many bits they have. `no_h264.rs` stands for this where it is not built.

use std::time::Duration;

use caraway_image::h264::{H264Encoder, MAX_PIXELS, Target, fits};
use caraway_ports::drawing::Bitmap;
use caraway_protocol::display::StreamCreate;
use tracing::debug;

use crate::video::Frame;

/// Of what the link delivers streams have so many tenths: the reference's figure.
const SHARE: u64 = 8;

/// A stream has at most this part of the bits of its pixels as they are: the reference's figure.
const RAW_PART: u64 = 10;

/// Bits a second that there is room for: of the link a stream has what its pixels are of those of all.
pub(super) fn room<'a>(frame: &Frame, delivery: Option<u64>, all: impl Iterator<Item = &'a StreamCreate>) -> u64 {
    let own = u64::from(frame.stream.width) * u64::from(frame.stream.height);
    let raw = own.saturating_mul(24).saturating_mul(per_second(frame.period).into()) / RAW_PART;
    let Some(delivery) = delivery else {
        return raw;
    };
    let sum = all.map(pixels).fold(0, u64::saturating_add).max(own).max(1);
    let part = u128::from(delivery) * u128::from(SHARE) * u128::from(own) / (10 * u128::from(sum));
    raw.min(u64::try_from(part).unwrap_or(u64::MAX))
}

fn pixels(stream: &StreamCreate) -> u64 {
    u64::from(stream.stream_width) * u64::from(stream.stream_height)
}

/// Frames in a second.
fn per_second(period: Duration) -> u32 {
    u32::try_from(1000 / period.as_millis().max(1))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// The encoder of one stream.
#[derive(Debug)]
pub(super) struct Coder(H264Encoder);

impl Coder {
    /// One for a stream beside others, if it may be H.264: all of one client have as many pixels as one picture may have at
    /// most, as each takes memory.
    pub(super) fn new<'a>(stream: &StreamCreate, others: impl Iterator<Item = &'a StreamCreate>) -> Option<Self> {
        let taken = others.map(pixels).fold(0, u64::saturating_add);
        let may = fits(stream.stream_width, stream.stream_height) && pixels(stream).saturating_add(taken) <= MAX_PIXELS;
        may.then(|| Self(H264Encoder::new()))
    }

    /// An access unit for a picture, and whether it is one that begins anew, which is larger. Nothing if there are no bits
    /// for it, an error if it has to be sent otherwise.
    pub(super) fn encode(
        &mut self,
        bitmap: &Bitmap,
        bits_per_second: u32,
        period: Duration,
    ) -> Result<Option<(Vec<u8>, bool)>, ()> {
        let target = Target {
            bits_per_second,
            frames_per_second: per_second(period),
        };
        let unit = self
            .0
            .encode(bitmap, target)
            .map_err(|error| debug!(%error, "a frame goes as an image"))?;
        Ok(unit.map(|unit| (unit.data, unit.begins)))
    }
}
