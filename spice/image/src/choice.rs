//! Which codec an image is sent with: a pure function of what is known of the image, the client, the settings and what
//! was measured.
//!
//! The order of decisions is that of the reference server, with two additions for the modes that leave the choice open:
//! an image of few colours is no photograph however alike its neighbours are, and where encode speed and delivery rate
//! have been measured, a codec that is clearly sooner at the client is taken instead.

mod kind;

use caraway_ports::drawing::BitmapFormat;

use crate::jpeg;

pub use kind::{COLOUR_SAMPLES, Graduality, graduality, is_photo, sampled_colours};

/// Images of fewer bytes are not worth encoding.
const MIN_BYTES: u64 = 54;
/// QUIC needs as many pixels across and down.
const MIN_QUIC_SIDE: u32 = 3;
/// Most pixels on a side of a JPEG.
const MAX_JPEG_SIDE: u32 = 65535;
/// A picture in which the samples show no more colours is drawn, not photographed.
pub(crate) const FEW_COLOURS: u32 = COLOUR_SAMPLES / 8;
/// Links that deliver less, in bits a second, are slow: 10 Mi.
const SLOW: u64 = 10 << 20;

/// Whether a link that delivers so many bits a second is slow.
#[must_use]
pub const fn is_slow(delivery: u64) -> bool {
    delivery < SLOW
}

/// Which codec the settings or the client ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// None.
    Off,
    /// QUIC for photographs, GLZ for all else.
    #[default]
    AutoGlz,
    /// QUIC for photographs, LZ for all else.
    AutoLz,
    /// QUIC.
    Quic,
    /// GLZ.
    Glz,
    /// LZ.
    Lz,
    /// LZ4.
    Lz4,
}

/// When something that only pays on slow links is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Switch {
    /// When the link is slow.
    #[default]
    Auto,
    /// At all times.
    Always,
    /// At no time.
    Never,
}

impl Switch {
    /// Whether it is done on a link that is slow or not.
    #[must_use]
    pub const fn is_on(self, slow: bool) -> bool {
        match self {
            Self::Auto => slow,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// What is known of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// How a pixel is stored.
    pub format: BitmapFormat,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// How smooth it is; `None` when that was not measured, which counts as not smooth.
    pub graduality: Option<Graduality>,
    /// How many of [`COLOUR_SAMPLES`] pixels differ; `None` when they were not counted.
    pub colours: Option<u32>,
    /// Whether it belongs to a drawing command; others are parts of a surface that the server sends by itself.
    pub is_drawn: bool,
    /// Whether LZ, GLZ and LZ4 can have it: its rows are tight or may be copied, and do not change meanwhile. Always
    /// so for the bitmaps of this project.
    pub is_settled: bool,
}

impl Picture {
    const fn is_rgb(&self) -> bool {
        matches!(
            self.format,
            BitmapFormat::Bit16 | BitmapFormat::Bit24 | BitmapFormat::Bit32 | BitmapFormat::Rgba
        )
    }

    const fn bytes(&self) -> u64 {
        self.height as u64 * self.stride as u64
    }

    fn is_photo(&self) -> bool {
        self.graduality == Some(Graduality::High) && self.colours.is_none_or(|colours| colours > FEW_COLOURS)
    }

    const fn can_quic(&self) -> bool {
        self.is_rgb() && self.width >= MIN_QUIC_SIDE && self.height >= MIN_QUIC_SIDE
    }
}

/// What a client can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// It is on the same machine: bytes cost it less than decoding.
    pub is_local: bool,
    /// It decodes LZ4.
    pub has_lz4: bool,
    /// Pixels of its GLZ window; `None` when there is no dictionary or it is frozen.
    pub glz_window: Option<u32>,
}

/// What the settings allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The codec asked for.
    pub mode: Mode,
    /// JPEG in place of QUIC.
    pub jpeg: Switch,
    /// Zlib around GLZ.
    pub zlib: Switch,
    /// Whether this image may lose something where it is drawn.
    pub lossy: bool,
}

/// What a codec did with images of this kind lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of pixels encoded in a second.
    pub speed: u64,
    /// Bytes that come out of a thousand.
    pub permille: u32,
}

/// What was measured on the way to a client. Nothing of it is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// What the link delivers, in bits a second.
    pub delivery: Option<u64>,
    /// QUIC.
    pub quic: Option<Cost>,
    /// LZ.
    pub lz: Option<Cost>,
    /// GLZ, with its wrapper where it has one.
    pub glz: Option<Cost>,
    /// LZ4.
    pub lz4: Option<Cost>,
}

/// How an image is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// As a bitmap.
    Raw,
    /// QUIC.
    Quic,
    /// LZ.
    Lz,
    /// GLZ.
    Glz {
        /// Try to make it shorter with zlib.
        zlib: bool,
    },
    /// LZ4.
    Lz4,
    /// JPEG.
    Jpeg {
        /// 1 (worst) to 100.
        quality: u8,
    },
    /// JPEG with alpha.
    JpegAlpha {
        /// 1 (worst) to 100.
        quality: u8,
    },
}

impl Choice {
    /// Whether a stream of so many bytes is sent in place of a bitmap of `raw` bytes. GLZ always is: later images may
    /// refer to it.
    #[must_use]
    pub const fn keeps(self, bytes: usize, raw: usize) -> bool {
        matches!(self, Self::Glz { .. }) || bytes <= raw
    }
}

/// How an image is sent. What the codec chosen refuses, or makes longer than it was, is sent as a bitmap
/// ([`Choice::keeps`]); what GLZ refuses, with LZ.
#[must_use]
pub fn choose(picture: &Picture, client: &Client, policy: &Policy, measured: &Measured) -> Choice {
    let raw = picture.bytes() < MIN_BYTES || policy.mode == Mode::Off;
    if raw || (client.is_local && picture.is_drawn) {
        return Choice::Raw;
    }
    let slow = measured.delivery.is_some_and(is_slow);
    let chosen = by_mode(picture, client, policy, slow);
    let is_open = matches!(policy.mode, Mode::AutoGlz | Mode::AutoLz);
    let chosen = if is_open {
        soonest(chosen, picture, client, measured)
    } else {
        chosen
    };
    match chosen {
        Choice::Quic if policy.lossy && policy.jpeg.is_on(slow) => lossy(picture),
        other => other,
    }
}

/// The choice of the reference among what loses nothing.
fn by_mode(picture: &Picture, client: &Client, policy: &Policy, slow: bool) -> Choice {
    let is_auto = match policy.mode {
        Mode::Off => return Choice::Raw,
        Mode::Quic if picture.can_quic() => return Choice::Quic,
        Mode::Quic => return Choice::Raw,
        Mode::AutoGlz | Mode::AutoLz => true,
        Mode::Glz | Mode::Lz | Mode::Lz4 => false,
    };
    if is_auto && picture.can_quic() && (picture.is_photo() || !picture.is_settled) {
        return Choice::Quic;
    }
    if !picture.is_settled {
        return Choice::Raw;
    }
    match policy.mode {
        Mode::AutoGlz | Mode::Glz if can_glz(picture, client) => Choice::Glz {
            zlib: policy.zlib.is_on(slow),
        },
        Mode::Lz4 if picture.is_rgb() && client.has_lz4 => Choice::Lz4,
        _ => Choice::Lz,
    }
}

fn can_glz(picture: &Picture, client: &Client) -> bool {
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    let fits = client.glz_window.is_some_and(|window| pixels < u64::from(window));
    fits && picture.is_rgb() && picture.is_drawn
}

/// JPEG in place of QUIC, where it can be.
const fn lossy(picture: &Picture) -> Choice {
    if picture.width > MAX_JPEG_SIDE || picture.height > MAX_JPEG_SIDE {
        return Choice::Quic;
    }
    let quality = jpeg::QUALITY;
    match picture.format {
        BitmapFormat::Rgba if picture.is_settled => Choice::JpegAlpha { quality },
        BitmapFormat::Rgba => Choice::Quic,
        _ => Choice::Jpeg { quality },
    }
}

/// `chosen`, or what is at the client in less than three quarters of its time: a margin, so that images of one kind do
/// not go from codec to codec with every measurement.
fn soonest(chosen: Choice, picture: &Picture, client: &Client, measured: &Measured) -> Choice {
    let Some(delivery) = measured.delivery.filter(|delivery| *delivery > 0) else {
        return chosen;
    };
    // For each byte of pixels, in units of 2^-40 seconds.
    let time = |cost: Cost| {
        let encode = (1u128 << 40) / u128::from(cost.speed.max(1));
        encode + ((u128::from(cost.permille) * 8) << 40) / (1000 * u128::from(delivery))
    };
    let cost = |choice: Choice| match choice {
        Choice::Quic => measured.quic,
        Choice::Lz => measured.lz,
        Choice::Glz { .. } => measured.glz,
        Choice::Lz4 => measured.lz4,
        Choice::Raw => Some(Cost {
            speed: u64::MAX,
            permille: 1000,
        }),
        Choice::Jpeg { .. } | Choice::JpegAlpha { .. } => None,
    };
    let Some(usual) = cost(chosen).map(time) else {
        return chosen;
    };
    let can_lz4 = picture.is_rgb() && client.has_lz4;
    let others = [
        (Choice::Raw, true),
        (Choice::Lz4, can_lz4 && picture.is_settled),
        (Choice::Lz, picture.is_settled),
        (Choice::Quic, picture.can_quic()),
    ];
    let possible = others.into_iter().filter(|(_, possible)| *possible);
    let timed = possible.filter_map(|(choice, _)| Some((time(cost(choice)?), choice)));
    match timed.min_by_key(|(time, _)| *time) {
        Some((time, choice)) if time * 4 < usual * 3 => choice,
        _ => chosen,
    }
}

#[cfg(test)]
#[path = "choice/tests.rs"]
mod tests;
