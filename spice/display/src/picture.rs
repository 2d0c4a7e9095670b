//! Pictures of the screen for people and tests.

use caraway_ports::{
    display::{CursorState, CursorType, Pixels},
    drawing::SurfaceFormat,
};

/// Pixels as R, G, B bytes, rows top-down, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Three bytes each.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// A black picture.
    pub(crate) fn black(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            rgb: vec![0; width as usize * height as usize * 3],
        }
    }

    /// What a surface shows.
    pub(crate) fn of(pixels: &Pixels) -> Self {
        let mut rgb = Vec::with_capacity(pixels.width as usize * pixels.height as usize * 3);
        let five = |value: u16| ((value << 3) | (value >> 2)) as u8;
        let six = |value: u16| ((value << 2) | (value >> 4)) as u8;
        for row in pixels
            .data
            .chunks(pixels.stride.max(1) as usize)
            .take(pixels.height as usize)
        {
            match pixels.format {
                SurfaceFormat::Xrgb | SurfaceFormat::Argb => {
                    for [b, g, r, _] in row.as_chunks::<4>().0.iter().take(pixels.width as usize) {
                        rgb.extend_from_slice(&[*r, *g, *b]);
                    }
                }
                SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565 => {
                    for bytes in row.as_chunks::<2>().0.iter().take(pixels.width as usize) {
                        let value = u16::from_le_bytes(*bytes);
                        let blue = five(value & 0x1f);
                        if pixels.format == SurfaceFormat::Rgb555 {
                            rgb.extend_from_slice(&[five((value >> 10) & 0x1f), five((value >> 5) & 0x1f), blue]);
                        } else {
                            rgb.extend_from_slice(&[five(value >> 11), six((value >> 5) & 0x3f), blue]);
                        }
                    }
                }
                SurfaceFormat::A8 => {
                    rgb.extend(row.iter().take(pixels.width as usize).flat_map(|value| [*value; 3]));
                }
                SurfaceFormat::A1 => {
                    for x in 0..pixels.width as usize {
                        let set = row.get(x / 8).is_some_and(|byte| byte >> (x % 8) & 1 == 1);
                        rgb.extend_from_slice(&[if set { 0xff } else { 0 }; 3]);
                    }
                }
            }
        }
        rgb.resize(pixels.width as usize * pixels.height as usize * 3, 0);
        Self {
            width: pixels.width,
            height: pixels.height,
            rgb,
        }
    }

    /// Cut out of a larger one whose top left corner is the origin; `None` when not all of it is inside.
    pub(crate) fn crop(&self, x: u32, y: u32, width: u32, height: u32) -> Option<Self> {
        if x.checked_add(width)? > self.width || y.checked_add(height)? > self.height || width == 0 || height == 0 {
            return None;
        }
        let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
        for row in self
            .rgb
            .chunks(self.width as usize * 3)
            .skip(y as usize)
            .take(height as usize)
        {
            rgb.extend_from_slice(row.get(x as usize * 3..(x + width) as usize * 3)?);
        }
        Some(Self { width, height, rgb })
    }

    /// The project's checksum: 64-bit FNV-1a over width and height (u32, little-endian), then B, G, R of each pixel.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.width
            .to_le_bytes()
            .into_iter()
            .chain(self.height.to_le_bytes())
            .for_each(&mut add);
        for [r, g, b] in self.rgb.as_chunks::<3>().0 {
            add(*b);
            add(*g);
            add(*r);
        }
        hash
    }

    /// Draws the cursor where it points, for shapes a person would recognise: ALPHA blended, MONO by its masks.
    pub(crate) fn add_cursor(&mut self, cursor: &CursorState) {
        let Some(shape) = cursor.shape.as_ref().filter(|_| cursor.visible) else {
            return;
        };
        let (width, height) = (usize::from(shape.width), usize::from(shape.height));
        let mask_row = width.div_ceil(8);
        for row in 0..height {
            for column in 0..width {
                let x = i64::from(cursor.position.x) - i64::from(shape.hot_spot.0) + column as i64;
                let y = i64::from(cursor.position.y) - i64::from(shape.hot_spot.1) + row as i64;
                if x < 0 || y < 0 || x >= i64::from(self.width) || y >= i64::from(self.height) {
                    continue;
                }
                let at = (y as usize * self.width as usize + x as usize) * 3;
                let Some(Ok(pixel)) = self.rgb.get_mut(at..at + 3).map(<&mut [u8; 3]>::try_from) else {
                    continue;
                };
                match shape.kind {
                    CursorType::Alpha => {
                        let from = (row * width + column) * 4;
                        if let Some(&[b, g, r, a]) = shape.data.get(from..from + 4) {
                            for (below, above) in pixel.iter_mut().zip([r, g, b]) {
                                let kept = u16::from(*below) * (255 - u16::from(a)) / 255;
                                *below = u8::try_from(kept + u16::from(above)).unwrap_or(u8::MAX);
                            }
                        }
                    }
                    CursorType::Mono => {
                        let bit = |offset: usize| {
                            let byte = shape
                                .data
                                .get(offset + row * mask_row + column / 8)
                                .copied()
                                .unwrap_or(0);
                            byte & (0x80 >> (column % 8)) != 0
                        };
                        match (bit(0), bit(mask_row * height)) {
                            (false, false) => *pixel = [0; 3],
                            (false, true) => *pixel = [0xff; 3],
                            (true, false) => {}
                            (true, true) => pixel.iter_mut().for_each(|value| *value = !*value),
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
