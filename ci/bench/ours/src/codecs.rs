//! The codecs by name.

use std::num::NonZeroUsize;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use caraway_image::{
    Limits,
    glz::{Dictionary, Window, WindowBudget},
    lz::{LzDecoder, LzEncoder, LzImage, LzType},
    lz4::{self, Lz4Encoder},
    quic::{QuicDecoder, QuicEncoder, QuicImage, QuicType},
};
use caraway_ports::drawing::{Bitmap, BitmapFormat};

/// Types of pixels, as the commands name them.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Rgb16,
    Rgb24,
    Rgb32,
    Rgba,
    A8,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "RGB16" => Self::Rgb16,
            "RGB24" => Self::Rgb24,
            "RGB32" => Self::Rgb32,
            "RGBA" => Self::Rgba,
            "A8" => Self::A8,
            _ => bail!("no type {name:?}"),
        })
    }

    fn quic(self) -> Result<QuicType> {
        Ok(match self {
            Self::Rgb16 => QuicType::Rgb16,
            Self::Rgb24 => QuicType::Rgb24,
            Self::Rgb32 => QuicType::Rgb32,
            Self::Rgba => QuicType::Rgba,
            Self::A8 => bail!("QUIC has no A8"),
        })
    }

    /// How a bitmap stores such pixels, for codecs that take bitmaps.
    fn bitmap(self) -> Result<BitmapFormat> {
        Ok(match self {
            Self::Rgb32 => BitmapFormat::Bit32,
            Self::Rgba => BitmapFormat::Rgba,
            _ => bail!("GLZ and LZ4 are measured with RGB32 and RGBA"),
        })
    }

    const fn lz(self) -> LzType {
        match self {
            Self::Rgb16 => LzType::Rgb16,
            Self::Rgb24 => LzType::Rgb24,
            Self::Rgb32 => LzType::Rgb32,
            Self::Rgba => LzType::Rgba,
            Self::A8 => LzType::A8,
        }
    }
}

/// Rows without padding, the top row first.
pub(crate) struct Picture {
    pub(crate) kind: Kind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rows: Bytes,
}

impl Picture {
    /// As a bitmap that shares the rows.
    fn bitmap(&self) -> Result<Bitmap> {
        Ok(Bitmap {
            format: self.kind.bitmap()?,
            width: self.width,
            height: self.height,
            stride: self.width * 4,
            top_down: true,
            palette: None,
            data: self.rows.clone(),
        })
    }
}

/// A codec with the memory it keeps between pictures.
pub(crate) enum Codec {
    Quic(Box<QuicEncoder>, Box<QuicDecoder>),
    Lz(Box<LzEncoder>, Box<LzDecoder>),
    Lz4(Box<Lz4Encoder>, Bytes),
    Glz(Box<Glz>),
}

impl Codec {
    /// One of them; with `-bands` behind the name its encoder cuts a picture into bands for two threads.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let two = NonZeroUsize::MIN.saturating_add(1);
        Ok(match name {
            "quic" => Self::Quic(Box::default(), Box::default()),
            "lz" => Self::Lz(Box::default(), Box::default()),
            "lz-bands" => Self::Lz(Box::new(LzEncoder::with_threads(two)), Box::default()),
            "lz4" => Self::Lz4(Box::default(), Bytes::new()),
            "lz4-bands" => Self::Lz4(Box::new(Lz4Encoder::with_threads(two)), Bytes::new()),
            "glz" => Self::Glz(Box::default()),
            _ => bail!("no codec {name:?}"),
        })
    }

    pub(crate) fn encode(&mut self, picture: &Picture, out: &mut Vec<u8>) -> Result<()> {
        let (width, height, data) = (picture.width, picture.height, picture.rows.clone());
        match self {
            Self::Quic(encoder, _) => {
                let kind = picture.kind.quic()?;
                let image = QuicImage {
                    kind,
                    width,
                    height,
                    data,
                };
                encoder.encode(&image, out)?;
            }
            Self::Lz(encoder, _) => {
                let image = LzImage {
                    kind: picture.kind.lz(),
                    width,
                    height,
                    top_down: true,
                    data,
                };
                encoder.encode(&image, out)?;
            }
            Self::Lz4(encoder, _) => *out = encoder.encode_bitmap(&picture.bitmap()?)?,
            Self::Glz(glz) => *out = glz.encode(picture, std::mem::take(out))?,
        }
        Ok(())
    }

    pub(crate) fn decode(&mut self, picture: &Picture, stream: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let limits = Limits::exactly(picture.width, picture.height);
        match self {
            Self::Quic(_, decoder) => {
                decoder.decode(stream, &limits, out)?;
            }
            Self::Lz(_, decoder) => {
                decoder.decode(stream, &limits, out)?;
            }
            // Into new memory, as GLZ.
            Self::Lz4(_, decoded) => {
                *decoded = Bytes::new();
                *decoded = lz4::decode(stream, picture.width, picture.height, &limits)?.data;
                ensure!(decoded.len() == picture.rows.len(), "{} bytes of rows", decoded.len());
                return Ok(());
            }
            Self::Glz(glz) => return glz.decode(picture, stream),
        }
        ensure!(out.len() == picture.rows.len(), "{} bytes of rows", out.len());
        Ok(())
    }

    /// Copies what was decoded to `out`, when decoding does not: it uses memory of its own.
    pub(crate) fn collect(&self, out: &mut Vec<u8>) {
        match self {
            Self::Glz(glz) => *out = glz.decoded.to_vec(),
            Self::Lz4(_, decoded) => *out = decoded.to_vec(),
            Self::Quic(..) | Self::Lz(..) => {}
        }
    }
}

/// GLZ with what it keeps.
#[derive(Default)]
pub(crate) struct Glz {
    dictionary: Option<Dictionary>,
    window: Option<Window>,
    decoded: Bytes,
}

impl Glz {
    /// The dictionary has room for one picture, so that each leaves before the next is looked at.
    fn encode(&mut self, picture: &Picture, memory: Vec<u8>) -> Result<Vec<u8>> {
        let dictionary = match self.dictionary.take() {
            Some(dictionary) => dictionary,
            None => Dictionary::new(picture.width * picture.height + 1)?,
        };
        let dictionary = self.dictionary.insert(dictionary);
        Ok(dictionary.encode_bitmap_into(&picture.bitmap()?, memory)?.data)
    }

    /// Into a new window and new memory, as a client does.
    fn decode(&mut self, picture: &Picture, stream: &[u8]) -> Result<()> {
        // The last one is let go first.
        (self.window, self.decoded) = (None, Bytes::new());
        let window = WindowBudget::for_window(picture.width * picture.height + 1);
        let window = self.window.insert(Window::new(window));
        let limits = Limits::exactly(picture.width, picture.height);
        self.decoded = window.decode(stream, &limits)?.bitmap.data;
        ensure!(
            self.decoded.len() == picture.rows.len(),
            "{} bytes of rows",
            self.decoded.len()
        );
        Ok(())
    }
}
