//! The codecs by name.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use caraway_image::{
    Limits,
    glz::{Dictionary, Window, WindowBudget},
    lz::{LzDecoder, LzEncoder, LzImage, LzType},
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

/// A codec with the memory it keeps between pictures.
pub(crate) enum Codec {
    Quic(Box<QuicEncoder>, Box<QuicDecoder>),
    Lz(Box<LzEncoder>, Box<LzDecoder>),
    Glz(Box<Glz>),
}

impl Codec {
    pub(crate) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "quic" => Self::Quic(Box::default(), Box::default()),
            "lz" => Self::Lz(Box::default(), Box::default()),
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
            Self::Glz(glz) => *out = glz.encode(picture)?,
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
            Self::Glz(glz) => return glz.decode(picture, stream),
        }
        ensure!(out.len() == picture.rows.len(), "{} bytes of rows", out.len());
        Ok(())
    }

    /// Copies what was decoded to `out`, when decoding does not: it uses memory of its own.
    pub(crate) fn collect(&self, out: &mut Vec<u8>) {
        if let Self::Glz(glz) = self {
            *out = glz.decoded.to_vec();
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
    fn encode(&mut self, picture: &Picture) -> Result<Vec<u8>> {
        let dictionary = match self.dictionary.take() {
            Some(dictionary) => dictionary,
            None => Dictionary::new(picture.width * picture.height + 1)?,
        };
        let dictionary = self.dictionary.insert(dictionary);
        let bitmap = Bitmap {
            format: match picture.kind {
                Kind::Rgb32 => BitmapFormat::Bit32,
                Kind::Rgba => BitmapFormat::Rgba,
                _ => bail!("GLZ is measured with RGB32 and RGBA"),
            },
            width: picture.width,
            height: picture.height,
            stride: picture.width * 4,
            top_down: true,
            palette: None,
            data: picture.rows.clone(),
        };
        Ok(dictionary.encode_bitmap(&bitmap)?.data)
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
