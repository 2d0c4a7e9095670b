//! How many images went out in which form.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The form in which the pixels of an image are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Codec {
    /// As they are.
    Bitmap,
    /// Not at all: the client has kept them.
    Cached,
    /// QUIC.
    Quic,
    /// LZ of pixels.
    Lz,
    /// LZ of indices.
    LzPalette,
    /// GLZ.
    Glz,
    /// GLZ in zlib.
    ZlibGlz,
    /// LZ4.
    Lz4,
    /// JPEG.
    Jpeg,
    /// JPEG with alpha in LZ.
    JpegAlpha,
    /// A frame of a stream, in JPEG.
    Mjpeg,
    /// A frame of a stream, in H.264.
    H264,
}

impl Codec {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Bitmap,
        Self::Cached,
        Self::Quic,
        Self::Lz,
        Self::LzPalette,
        Self::Glz,
        Self::ZlibGlz,
        Self::Lz4,
        Self::Jpeg,
        Self::JpegAlpha,
        Self::Mjpeg,
        Self::H264,
    ];

    /// Whether it is one of frames of streams.
    #[must_use]
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Mjpeg | Self::H264)
    }

    /// As it is called in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitmap => "bitmap",
            Self::Cached => "cached",
            Self::Quic => "quic",
            Self::Lz => "lz",
            Self::LzPalette => "lz-palette",
            Self::Glz => "glz",
            Self::ZlibGlz => "zlib-glz",
            Self::Lz4 => "lz4",
            Self::Jpeg => "jpeg",
            Self::JpegAlpha => "jpeg-alpha",
            Self::Mjpeg => "mjpeg",
            Self::H264 => "h264",
        }
    }
}

/// Images sent since the start, by codec; streams of the guest's own, masks, surfaces and cursors are not among them.
/// Encoders that share one count together.
#[derive(Debug, Default)]
pub struct ImageCounts {
    counts: [AtomicU64; Codec::ALL.len()],
    whole: Option<Arc<Self>>,
}

impl ImageCounts {
    /// Counts of which each is a part of those of `whole`, too.
    #[must_use]
    pub fn part_of(whole: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            counts: Default::default(),
            whole: Some(Arc::clone(whole)),
        })
    }

    pub(super) fn add(&self, codec: Codec) {
        if let Some(count) = self.counts.get(codec as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(whole) = &self.whole {
            whole.add(codec);
        }
    }

    /// How many were sent in this form.
    #[must_use]
    pub fn get(&self, codec: Codec) -> u64 {
        self.counts
            .get(codec as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
