//! The codecs that need nothing but the bitmap, each with memory of its own.

use bytes::Bytes;
use caraway_image::{
    choice::Choice, glz::GlzStream, jpeg, lz::LzEncoder, lz4::Lz4Encoder, quic::QuicEncoder, zlib_glz::ZlibEncoder,
};
use caraway_ports::drawing::Bitmap;
use caraway_protocol::display::{ImageData, PaletteRef};

use super::bitmaps::whole_palette;

/// Bytes of memory for streams that are kept from image to image; larger streams go out in memory of their own.
const KEPT: usize = 1 << 20;

/// What a codec has made of a bitmap.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The stream; none if the codec refuses, or if it would be no shorter.
    pub(super) data: Option<ImageData>,
    /// Bytes of the stream, whether it is sent or not; none if the codec refuses.
    pub(super) length: Option<usize>,
}

/// One codec of each kind. They keep their memory from image to image, and hold nothing of one once it is done.
#[derive(Debug)]
pub(super) struct Tools {
    lz: LzEncoder,
    quic: QuicEncoder,
    lz4: Lz4Encoder,
    zlib: ZlibEncoder,
    stream: Vec<u8>,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            lz: LzEncoder::new(),
            quic: QuicEncoder::new(),
            lz4: Lz4Encoder::new(),
            zlib: ZlibEncoder::new(),
            stream: Vec::new(),
        }
    }
}

impl Tools {
    /// What a codec makes of a bitmap; `glz` is what a dictionary has made of it.
    pub(super) fn run(&mut self, choice: Choice, bitmap: &Bitmap, glz: Option<GlzStream>) -> Encoded {
        let encoded = self.encoded(choice, bitmap, glz);
        encoded.map_or_else(Encoded::default, |(data, length)| Encoded {
            data,
            length: Some(length),
        })
    }

    fn encoded(
        &mut self,
        choice: Choice,
        bitmap: &Bitmap,
        glz: Option<GlzStream>,
    ) -> Option<(Option<ImageData>, usize)> {
        let is_kept = |length: usize| choice.keeps(length, bitmap.data.len());
        Some(match choice {
            Choice::Raw => return None,
            Choice::Quic => {
                self.quic.encode_bitmap(bitmap, &mut self.stream).ok()?;
                let length = self.stream.len();
                (self.taken_if(is_kept(length)).map(ImageData::Quic), length)
            }
            Choice::Lz => {
                self.lz.encode_bitmap(bitmap, &mut self.stream).ok()?;
                let length = self.stream.len();
                (self.taken_if(is_kept(length)).and_then(|data| lz(bitmap, data)), length)
            }
            Choice::Glz { zlib } => {
                let glz = glz?.data;
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
                (is_kept(length).then(|| ImageData::Lz4(stream.into())), length)
            }
            Choice::Jpeg { quality } => {
                let stream = jpeg::encode_bitmap(bitmap, quality).ok()?;
                let length = stream.len();
                (is_kept(length).then(|| ImageData::Jpeg(stream.into())), length)
            }
            Choice::JpegAlpha { quality } => {
                let encoded = jpeg::encode_alpha_bitmap(bitmap, quality).ok()?;
                let (length, mut data) = (encoded.data.len(), Bytes::from(encoded.data));
                let jpeg = data.split_to(encoded.jpeg_size.min(length));
                let data = ImageData::JpegAlpha {
                    top_down: encoded.top_down,
                    jpeg,
                    alpha: data,
                };
                (is_kept(length).then_some(data), length)
            }
        })
    }

    /// The stream just made, if it is worth sending.
    fn taken_if(&mut self, is_kept: bool) -> Option<Bytes> {
        if !is_kept {
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
