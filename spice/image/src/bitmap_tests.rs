use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::drawing::Palette;

use super::*;

fn bitmap(format: BitmapFormat, width: u32, stride: u32, top_down: bool, data: &'static [u8]) -> Bitmap {
    Bitmap {
        format,
        width,
        height: 2,
        stride,
        top_down,
        palette: format.has_palette().then(|| {
            Arc::new(Palette {
                unique: 0,
                entries: vec![0x10, 0x20, 0xff00_0030],
            })
        }),
        data: Bytes::from_static(data),
    }
}

fn rows(bitmap: &Bitmap) -> Vec<Vec<u32>> {
    let reader = BitmapReader::new(bitmap).unwrap();
    (0..bitmap.height)
        .map(|y| {
            let mut row = vec![0; bitmap.width as usize];
            reader.row(0, y, &mut row);
            for (x, value) in row.iter().enumerate() {
                assert_eq!(reader.pixel(x as u32, y), *value);
            }
            row
        })
        .collect()
}

#[test]
fn each_format_puts_the_leftmost_pixel_where_its_name_says() {
    let b = bitmap(BitmapFormat::Bit1Le, 3, 1, true, &[0b001, 0b110]);
    assert_eq!(rows(&b), [[0x20, 0x10, 0x10], [0x10, 0x20, 0x20]]);
    let b = bitmap(BitmapFormat::Bit1Be, 3, 1, true, &[0x80, 0x60]);
    assert_eq!(rows(&b), [[0x20, 0x10, 0x10], [0x10, 0x20, 0x20]]);
    let b = bitmap(BitmapFormat::Bit4Le, 3, 2, true, &[0x21, 0x00, 0x00, 0x0f]);
    assert_eq!(rows(&b), [[0x20, 0x30, 0x10], [0x10, 0x10, 0]]);
    let b = bitmap(BitmapFormat::Bit4Be, 3, 2, true, &[0x21, 0x00, 0x00, 0xf0]);
    assert_eq!(rows(&b), [[0x30, 0x20, 0x10], [0x10, 0x10, 0]]);
    let b = bitmap(BitmapFormat::Bit8, 2, 2, true, &[0, 1, 2, 3]);
    assert_eq!(rows(&b), [[0x10, 0x20], [0x30, 0]]);
    let b = bitmap(BitmapFormat::Bit8A, 2, 2, true, &[0, 1, 2, 255]);
    assert_eq!(rows(&b), [[0, 0x0100_0000], [0x0200_0000, 0xff00_0000]]);
    let b = bitmap(BitmapFormat::Bit16, 1, 2, true, &[0x00, 0xfc, 0x1f, 0x00]);
    assert_eq!(rows(&b), [[0xff_0000], [0xff]]);
    let b = bitmap(BitmapFormat::Bit24, 1, 3, true, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(rows(&b), [[0x03_0201], [0x06_0504]]);
    let b = bitmap(BitmapFormat::Bit32, 1, 4, true, &[1, 2, 3, 9, 4, 5, 6, 8]);
    assert_eq!(rows(&b), [[0x0903_0201], [0x0806_0504]]);
}

#[test]
fn bottom_up_rows_and_padding_are_put_right() {
    let b = bitmap(BitmapFormat::Bit8A, 1, 3, false, &[1, 9, 9, 2]);
    assert_eq!(rows(&b), [[0x0200_0000], [0x0100_0000]]);
}

#[test]
fn what_is_outside_stays_untouched() {
    let b = bitmap(BitmapFormat::Bit8A, 2, 2, true, &[1, 2, 3, 4]);
    let reader = BitmapReader::new(&b).unwrap();
    let mut out = [7, 7];
    reader.row(1, 0, &mut out);
    assert_eq!(out, [0x0200_0000, 7]);
    reader.row(u32::MAX, u32::MAX, &mut out);
    assert_eq!(out, [0x0200_0000, 7]);
}

#[test]
fn inconsistent_bitmaps_are_refused() {
    let good = bitmap(BitmapFormat::Bit32, 1, 4, true, &[0; 8]);
    let with = |change: fn(&mut Bitmap)| {
        let mut b = good.clone();
        change(&mut b);
        BitmapReader::new(&b).err()
    };
    assert_eq!(with(|b| b.width = 0), Some(BitmapError::Empty { width: 0, height: 2 }));
    assert_eq!(
        with(|b| b.stride = 3),
        Some(BitmapError::Stride { stride: 3, needed: 4 })
    );
    assert_eq!(with(|b| b.height = 3), Some(BitmapError::Data { have: 8, needed: 12 }));
    assert_eq!(
        with(|b| b.format = BitmapFormat::Bit8),
        Some(BitmapError::NoPalette {
            format: BitmapFormat::Bit8
        })
    );
    assert_eq!(
        MaskReader::new(&good).err(),
        Some(BitmapError::NotAMask {
            format: BitmapFormat::Bit32
        })
    );
}

#[test]
fn a_mask_has_bits_inside_and_none_outside() {
    let mut b = bitmap(BitmapFormat::Bit1Be, 3, 1, true, &[0x80, 0x60]);
    b.palette = None;
    let mask = MaskReader::new(&b).unwrap();
    assert_eq!(
        [mask.bit(0, 0), mask.bit(1, 0), mask.bit(3, 0), mask.bit(0, 2)],
        [Some(true), Some(false), None, None]
    );
}

#[test]
fn reference_bitmaps_show_what_the_reference_does() {
    let vectors = crate::vectors::of_codec("bitmap");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let bitmap = Bitmap {
            format: BitmapFormat::from_raw(vector.number("type") as u8).unwrap(),
            width: vector.number("width"),
            height: vector.number("height"),
            stride: vector.number("stride"),
            top_down: vector.top_down(),
            palette: None,
            data: vector.encoded().unwrap().into(),
        };
        vector.assert_shows(bitmap);
    }
}
