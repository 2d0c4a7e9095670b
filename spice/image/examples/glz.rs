//! Encodes a page that moves up step by step, with one dictionary, and decodes it as a client would.

use std::error::Error;

use caraway_image::{
    Limits,
    glz::{Dictionary, GlzError, Window, WindowBudget},
    zlib_glz::{ZlibDecoder, ZlibEncoder},
};
use caraway_ports::drawing::{Bitmap, BitmapFormat};

/// Pixels of the window that the client announces.
const WINDOW: u32 = 1 << 20;

/// What is on the page at `x`, `y`: rows of marks in many colours.
fn page(x: u32, y: u32) -> u32 {
    let mark = (x / 5).wrapping_mul(0x9e37_79b1) ^ (y / 12).wrapping_mul(0x85eb_ca77);
    let mark = mark.wrapping_mul(0xc2b2_ae3d);
    let is_ink = y % 12 < 8 && mark >> 30 == 0;
    if is_ink { mark >> 6 & 0x7f_7f7f } else { 0xff_ffff }
}

fn screen(width: u32, height: u32, top: u32) -> Bitmap {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| page(x, y + top)));
    Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: pixels.flat_map(u32::to_le_bytes).collect(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (width, height) = (640, 400);
    let limits = Limits::exactly(width, height);
    let mut dictionary = Dictionary::new(WINDOW)?;
    let mut window = Window::new(WindowBudget::for_window(WINDOW));
    let (mut zlib, mut unzlib) = (ZlibEncoder::new(), ZlibDecoder::new());
    for step in 0..4 {
        let bitmap = screen(width, height, step * 24);
        let image = dictionary.encode_bitmap(&bitmap)?;
        // On a slow link the stream is wrapped, if that makes it shorter.
        let (sent, stream) = match zlib.encode(&image.data) {
            Some(wrapped) => {
                let size = u32::try_from(image.data.len())?;
                let stream = unzlib.decode(&wrapped, size, &limits)?;
                (wrapped.len(), stream)
            }
            None => (image.data.len(), image.data.clone()),
        };
        let shown = match window.decode(&stream, &limits) {
            Ok(image) => image.bitmap,
            // With several displays: put this stream aside until that image has come.
            Err(GlzError::NotYet { missing, .. }) => return Err(format!("image {missing} is on its way").into()),
            Err(error) => return Err(error.into()),
        };
        eprintln!(
            "image {}: {} bytes of pixels, {} of GLZ, {sent} sent, same again: {}",
            image.id,
            bitmap.data.len(),
            image.data.len(),
            shown == bitmap
        );
    }
    Ok(())
}
