//! Which codec an image goes through, and the codecs.

use std::sync::{Arc, Mutex};

use caraway_image::{
    choice::{Choice, Client, Graduality, Mode, Picture, Policy, Switch, choose, graduality, is_slow, sampled_colours},
    glz::GlzStream,
    pool::each,
    quic::QuicType,
};
use caraway_ports::drawing::Bitmap;
use caraway_protocol::display::ImageData;

use super::{
    counts::{Codec, ImageCounts},
    dictionary::{SharedDictionary, lock},
    measure::{Kind, Measure, Work},
    stream_codecs::StreamCodecs,
    tools::Tools,
};

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
    /// What it decodes streams in.
    pub stream_codecs: StreamCodecs,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) role: Role,
    /// LZ4 may be used.
    pub(super) lz4: bool,
    /// GLZ may be used.
    pub(super) glz: bool,
    /// Codecs may be used that drop the unused byte, all but LZ4.
    pub(super) dropping: bool,
}

/// What an image looks like, as far as its codec is chosen by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looks {
    graduality: Option<Graduality>,
    /// Counted of smooth ones only.
    colours: Option<u32>,
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
    /// Those that are not in use.
    tools: Mutex<Vec<Tools>>,
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
            tools: Mutex::default(),
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

    /// What is to be seen of a bitmap that matters for the choice of its codec.
    pub(super) fn looks(&self, bitmap: &Bitmap) -> Looks {
        let graduality = if self.is_open() { graduality(bitmap) } else { None };
        let is_smooth = graduality == Some(Graduality::High);
        Looks {
            graduality,
            colours: if is_smooth { sampled_colours(bitmap) } else { None },
        }
    }

    /// Whether the codec is chosen by what an image looks like.
    const fn is_open(&self) -> bool {
        matches!(self.settings.mode, Mode::AutoGlz | Mode::AutoLz)
    }

    /// Whether the dictionary has room for an image of so many pixels.
    pub(super) fn has_room(&self, pixels: u64) -> bool {
        let window = self.dictionary.as_ref().and_then(SharedDictionary::window);
        window.is_some_and(|window| pixels < u64::from(window))
    }

    /// The codec that a bitmap should go through.
    pub(super) fn plan(&mut self, bitmap: &Bitmap, looks: Looks, ask: Ask) -> Plan {
        let (kind, choice) = self.choose(bitmap, looks, ask);
        let choice = match choice {
            choice @ Choice::Lz4 => choice,
            choice if ask.dropping => choice,
            _ => Choice::Raw,
        };
        Plan { kind, choice }
    }

    /// The streams of bitmaps whose rows are packed, the top one first; `None` for one that is to be sent as it is. But for
    /// those of GLZ, which come one after the other, they go through the codecs at the same time.
    pub(super) fn encode(&mut self, asked: Vec<(&Bitmap, Plan)>) -> Vec<Option<ImageData>> {
        let jobs: Vec<Job<'_>> = asked.into_iter().map(|(bitmap, plan)| self.job(bitmap, plan)).collect();
        let tools = &self.tools;
        let done = each(jobs, |job| {
            let mut taken = lock(tools).pop().unwrap_or_default();
            let encoded = taken.run(job.plan.choice, job.bitmap, job.glz);
            lock(tools).push(taken);
            (job.plan, job.bitmap, encoded)
        });
        let mut streams = Vec::with_capacity(done.len());
        for (Plan { kind, choice }, bitmap, encoded) in done {
            if let Some(stream) = encoded.length {
                self.measure.note(Work {
                    kind,
                    choice,
                    pixels: bitmap.data.len(),
                    stream,
                });
            }
            self.sent.add(encoded.data.as_ref().map_or(Codec::Bitmap, codec));
            streams.push(encoded.data);
        }
        streams
    }

    /// Has the dictionary encode a bitmap if it is for it; LZ is for what it refuses.
    fn job<'a>(&self, bitmap: &'a Bitmap, mut plan: Plan) -> Job<'a> {
        let mut glz = None;
        if plan.is_glz() {
            glz = self
                .dictionary
                .as_ref()
                .and_then(|dictionary| dictionary.encode(bitmap));
            if glz.is_none() {
                plan.choice = Choice::Lz;
            }
        }
        Job { bitmap, plan, glz }
    }

    fn choose(&mut self, bitmap: &Bitmap, looks: Looks, ask: Ask) -> (Kind, Choice) {
        let ImageSettings { mode, jpeg, zlib } = self.settings;
        let is_open = self.is_open();
        let is_smooth = looks.graduality == Some(Graduality::High);
        let picture = Picture {
            format: bitmap.format,
            width: bitmap.width,
            height: bitmap.height,
            stride: bitmap.stride,
            graduality: looks.graduality,
            colours: looks.colours,
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
}

/// The codec that an image is to go through, and what is learned from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    kind: Kind,
    choice: Choice,
}

impl Plan {
    /// Whether it is for the dictionary.
    pub(super) const fn is_glz(&self) -> bool {
        matches!(self.choice, Choice::Glz { .. })
    }
}

/// A bitmap on its way through a codec.
struct Job<'a> {
    bitmap: &'a Bitmap,
    plan: Plan,
    /// What the dictionary has made of it.
    glz: Option<GlzStream>,
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
