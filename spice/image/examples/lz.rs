//! Encodes a picture with LZ and decodes it again.

use std::error::Error;

use bytes::Bytes;
use caraway_image::{
    Limits,
    lz::{self, LzImage, LzType},
};

fn main() -> Result<(), Box<dyn Error>> {
    let (width, height) = (320u32, 200u32);
    let pixel = |x: u32, y: u32| {
        if (x / 16 + y / 16).is_multiple_of(2) {
            [0x20, 0x40, x as u8, 0]
        } else {
            [0; 4]
        }
    };
    let data: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)))
        .collect();
    let image = LzImage {
        kind: LzType::Rgb32,
        width,
        height,
        top_down: true,
        data: Bytes::from(data),
    };
    let stream = lz::encode(&image)?;
    let again = lz::decode(&stream, &Limits::exactly(width, height))?;
    eprintln!(
        "{} bytes of pixels, {} of LZ, same again: {}",
        image.data.len(),
        stream.len(),
        image == again
    );
    Ok(())
}
