//! Which codec an image goes through, and the codecs.

use std::sync::Arc;

use bytes::Bytes;
use caraway_image::{
    choice::{Choice, Client, Graduality, Mode, Picture, Policy, Switch, choose, graduality, is_slow, sampled_colours},
    jpeg,
    lz::LzEncoder,
    lz4::Lz4Encoder,
    quic::{QuicEncoder, QuicType},
    zlib_glz::ZlibEncoder,
};
use caraway_ports::drawing::Bitmap;
use caraway_protocol::display::{ImageData, PaletteRef};

use super::{
    bitmaps::whole_palette,
    counts::{Codec, ImageCounts},
    dictionary::SharedDictionary,
    measure::{Kind, Measure, Work},
};

/// Bytes of memory for streams that are kept from image to image; larger streams go out in memory of their own.
const KEPT: usize = 1 << 20;

/// What images are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSettings {
    /// The codec, or how it is chosen.
    pub mode: Mode,
    /// Photographs that are copied to the screen as JPEG, in modes that would take QUIC for them. Nothing that reads them
    /// afterwards is drawn from what they lost.
    pub jpeg: Switch,
    /// Zlib around GLZ.
    pub zlib: Switch,
}

impl Default for ImageSettings {
    /// QUIC for photographs, GLZ for all else, zlib on slow links, nothing that is lost.
    fn default() -> Self {
        Self {
            mode: Mode::AutoGlz,
            jpeg: Switch::Never,
            zlib: Switch::Auto,
        }
    }
}

/// What an encoder has to know of its client and its server.
#[derive(Clone, Debug, Default)]
pub struct EncoderConfig {
    /// What images are compressed with, until the client wants something else.
    pub settings: ImageSettings,
    /// The client is on the same machine.
    pub is_local: bool,
    /// The client decodes LZ4.
    pub has_lz4: bool,
    /// The dictionary the client has announced; without one GLZ is not used.
    pub dictionary: Option<SharedDictionary>,
    /// The client reports on streams.
    pub stream_reports: bool,
    /// Where images are counted.
    pub sent: Arc<ImageCounts>,
}

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The source of a command. The client decodes it, whatever it draws of it.
    Source,
    /// The same of a photograph that may lose something.
    Photo,
    /// Source or mask of a composite, which the client decodes as well.
    Operand,
    /// An area of the canvas, which no command of the guest belongs to.
    Area,
    /// Anything else. The client may do without decoding it, and must not have to remember it.
    Other,
}

/// What is asked of the codecs for a bitmap: the client has to get the pixels exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) role: Role,
    /// LZ4 may be used.
    pub(super) lz4: bool,
    /// GLZ may be used.
    pub(super) glz: bool,
    /// Codecs may be used that drop the unused byte, all but LZ4.
    pub(super) dropping: bool,
}

/// The codecs of one connection. They keep their memory from image to image, and hold nothing of one once it is done; only
/// a dictionary does.
#[derive(Debug)]
pub(super) struct Codecs {
    pub(super) settings: ImageSettings,
    is_local: bool,
    has_lz4: bool,
    dictionary: Option<SharedDictionary>,
    pub(super) sent: Arc<ImageCounts>,
    pub(super) measure: Measure,
    lz: LzEncoder,
    quic: QuicEncoder,
    lz4: Lz4Encoder,
    zlib: ZlibEncoder,
    stream: Vec<u8>,
}

impl Codecs {
    pub(super) fn new(config: EncoderConfig) -> Self {
        let EncoderConfig {
            settings,
            is_local,
            has_lz4,
            dictionary,
            sent,
            ..
        } = config;
        Self {
            settings,
            is_local,
            has_lz4,
            dictionary,
            sent,
            measure: Measure::default(),
            lz: LzEncoder::new(),
            quic: QuicEncoder::new(),
            lz4: Lz4Encoder::new(),
            zlib: ZlibEncoder::new(),
            stream: Vec::new(),
        }
    }

    /// Whether photographs go as JPEG now.
    pub(super) fn may_lose(&self) -> bool {
        let ImageSettings { mode, jpeg, .. } = self.settings;
        let is_slow = self.measure.delivery.is_some_and(is_slow);
        matches!(mode, Mode::AutoGlz | Mode::AutoLz | Mode::Quic) && jpeg.is_on(is_slow)
    }

    /// Whether encoding may have to wait for another display.
    pub(super) fn may_wait(&self) -> bool {
        self.dictionary.as_ref().is_some_and(SharedDictionary::is_shared)
    }

    /// The stream of a bitmap whose rows are packed, the top one first; `None` when it is to be sent as it is.
    pub(super) fn encode(&mut self, bitmap: &Bitmap, ask: Ask) -> Option<ImageData> {
        let data = self.stream_of(bitmap, ask);
        self.sent.add(data.as_ref().map_or(Codec::Bitmap, codec));
        data
    }

    fn stream_of(&mut self, bitmap: &Bitmap, ask: Ask) -> Option<ImageData> {
        let (kind, choice) = self.choose(bitmap, ask);
        let choice = match choice {
            choice @ Choice::Lz4 => choice,
            choice if ask.dropping => choice,
            _ => Choice::Raw,
        };
        match self.run(kind, choice, bitmap) {
            // What the dictionary refuses.
            None if matches!(choice, Choice::Glz { .. }) => self.run(kind, Choice::Lz, bitmap),
            data => data,
        }
    }

    fn choose(&mut self, bitmap: &Bitmap, ask: Ask) -> (Kind, Choice) {
        let ImageSettings { mode, jpeg, zlib } = self.settings;
        let is_open = matches!(mode, Mode::AutoGlz | Mode::AutoLz);
        let graduality = if is_open { graduality(bitmap) } else { None };
        let is_smooth = graduality == Some(Graduality::High);
        let picture = Picture {
            format: bitmap.format,
            width: bitmap.width,
            height: bitmap.height,
            stride: bitmap.stride,
            graduality,
            colours: if is_smooth { sampled_colours(bitmap) } else { None },
            is_drawn: matches!(ask.role, Role::Source | Role::Photo),
            is_settled: true,
        };
        let dictionary = self.dictionary.as_ref().filter(|_| ask.glz);
        let client = Client {
            is_local: self.is_local,
            has_lz4: self.has_lz4 && ask.lz4,
            glz_window: dictionary.and_then(SharedDictionary::window),
        };
        let lossy = ask.role == Role::Photo;
        let policy = Policy {
            mode,
            jpeg,
            zlib,
            lossy,
        };
        let kind = Kind {
            is_smooth,
            is_drawn: picture.is_drawn,
        };
        let measured = self.measure.measured(kind);
        let chosen = choose(&picture, &client, &policy, &measured);
        // The link is not this client's alone: where it is quicker than any codec, a quick codec still saves most of it.
        let can_lz4 = client.has_lz4 && QuicType::of_bitmap(bitmap.format).is_some();
        let choice = match chosen {
            Choice::Raw if !is_open || self.is_local => Choice::Raw,
            Choice::Raw if can_lz4 => Choice::Lz4,
            Choice::Raw => Choice::Lz,
            chosen => chosen,
        };
        (kind, choice)
    }

    /// What a codec makes of a bitmap; `None` when it refuses or makes it longer.
    fn run(&mut self, kind: Kind, choice: Choice, bitmap: &Bitmap) -> Option<ImageData> {
        let (data, length) = match choice {
            Choice::Raw => return None,
            Choice::Quic => {
                self.quic.encode_bitmap(bitmap, &mut self.stream).ok()?;
                let length = self.stream.len();
                (self.taken_if(choice, bitmap).map(ImageData::Quic), length)
            }
            Choice::Lz => {
                self.lz.encode_bitmap(bitmap, &mut self.stream).ok()?;
                let length = self.stream.len();
                (self.taken_if(choice, bitmap).and_then(|data| lz(bitmap, data)), length)
            }
            Choice::Glz { zlib } => {
                let glz = self.dictionary.as_ref()?.encode(bitmap)?.data;
                let wrapped = if zlib { self.zlib.encode(&glz) } else { None };
                let length = wrapped.as_ref().map_or(glz.len(), Vec::len);
                let data = match (wrapped, u32::try_from(glz.len())) {
                    (Some(data), Ok(glz_bytes)) => ImageData::ZlibGlzRgb {
                        glz_bytes,
                        data: data.into(),
                    },
                    _ => ImageData::GlzRgb(glz.into()),
                };
                (Some(data), length)
            }
            Choice::Lz4 => {
                let stream = self.lz4.encode_bitmap(bitmap).ok()?;
                let length = stream.len();
                let kept = choice.keeps(length, bitmap.data.len());
                (kept.then(|| ImageData::Lz4(stream.into())), length)
            }
            Choice::Jpeg { quality } => {
                let stream = jpeg::encode_bitmap(bitmap, quality).ok()?;
                let length = stream.len();
                let kept = choice.keeps(length, bitmap.data.len());
                (kept.then(|| ImageData::Jpeg(stream.into())), length)
            }
            Choice::JpegAlpha { quality } => {
                let encoded = jpeg::encode_alpha_bitmap(bitmap, quality).ok()?;
                let (length, mut data) = (encoded.data.len(), Bytes::from(encoded.data));
                let jpeg = data.split_to(encoded.jpeg_size.min(length));
                let kept = choice.keeps(length, bitmap.data.len());
                let data = ImageData::JpegAlpha {
                    top_down: encoded.top_down,
                    jpeg,
                    alpha: data,
                };
                (kept.then_some(data), length)
            }
        };
        self.measure.note(Work {
            kind,
            choice,
            pixels: bitmap.data.len(),
            stream: length,
        });
        data
    }

    /// The stream just made, if it is worth sending.
    fn taken_if(&mut self, choice: Choice, bitmap: &Bitmap) -> Option<Bytes> {
        if !choice.keeps(self.stream.len(), bitmap.data.len()) {
            self.stream.truncate(0);
            self.stream.shrink_to(KEPT);
            return None;
        }
        Some(if self.stream.capacity() > KEPT {
            std::mem::take(&mut self.stream).into()
        } else {
            Bytes::copy_from_slice(&self.stream)
        })
    }
}

/// An LZ stream with what the message has beside it.
fn lz(bitmap: &Bitmap, data: Bytes) -> Option<ImageData> {
    if !bitmap.format.has_palette() {
        return Some(ImageData::LzRgb(data));
    }
    let palette = whole_palette(bitmap)?;
    Some(ImageData::LzPalette {
        top_down: true,
        palette: PaletteRef::Inline { palette, cache: false },
        data,
    })
}

const fn codec(data: &ImageData) -> Codec {
    match data {
        ImageData::Quic(_) => Codec::Quic,
        ImageData::LzPalette { .. } => Codec::LzPalette,
        ImageData::LzRgb(_) => Codec::Lz,
        ImageData::GlzRgb(_) => Codec::Glz,
        ImageData::ZlibGlzRgb { .. } => Codec::ZlibGlz,
        ImageData::Lz4(_) => Codec::Lz4,
        ImageData::Jpeg(_) => Codec::Jpeg,
        ImageData::JpegAlpha { .. } => Codec::JpegAlpha,
        ImageData::Bitmap(_) | ImageData::FromCache | ImageData::Surface(_) | ImageData::FromCacheLossless => {
            Codec::Bitmap
        }
    }
}
