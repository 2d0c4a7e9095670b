//! A client that keeps palettes as the reference client does: with each image it decodes. It is never told of one it does
//! not have, and sees the colours that are meant.

use std::collections::BTreeMap;

use caraway_image::choice::Mode;
use caraway_ports::{
    drawing::{self, BitmapFormat, Brush, Clip, Drawable, Rop, ScaleMode, SurfaceFormat},
    geometry::{Point, Rect},
};
use caraway_protocol::display::{self as wire, DrawOp, Image};
use proptest::prelude::*;

use super::*;
use crate::{Encoder, EncoderConfig, ImageSettings, Item};

const SIDE: u32 = 12;

#[derive(Default)]
struct Client {
    kept: BTreeMap<u64, Vec<u32>>,
    most: usize,
    named: usize,
}

impl Client {
    /// Takes a message; the colours of the source it draws, if it has a palette.
    fn take(&mut self, message: &ServerMessage) -> Option<Vec<u32>> {
        match message {
            ServerMessage::InvalPalette(key) => {
                assert!(self.kept.remove(key).is_some(), "{key} is not there to be dropped");
                None
            }
            ServerMessage::Draw(draw) => match &draw.op {
                DrawOp::Copy { source, .. } => self.colours(&source.image),
                DrawOp::Opaque { source, brush, .. } => {
                    // It may do without this one.
                    if let wire::Brush::Pattern { image, .. } = brush {
                        let reference = reference(image).expect("a palette");
                        assert!(matches!(reference, PaletteRef::Inline { cache: false, .. }));
                    }
                    self.colours(&source.image)
                }
                other => panic!("{other:?}"),
            },
            ServerMessage::SurfaceCreate(_) => None,
            other => panic!("{other:?}"),
        }
    }

    fn colours(&mut self, image: &Image) -> Option<Vec<u32>> {
        Some(match reference(image)? {
            PaletteRef::Cached(key) => {
                self.named += 1;
                self.kept.get(key).expect("never sent, or dropped").clone()
            }
            PaletteRef::Inline { palette, cache } => {
                if *cache {
                    assert_ne!(palette.unique, 0);
                    let before = self.kept.insert(palette.unique, palette.entries.clone());
                    assert_eq!(before, None, "key given twice");
                    self.most = self.most.max(self.kept.len());
                }
                palette.entries.clone()
            }
        })
    }
}

const fn reference(image: &Image) -> Option<&PaletteRef> {
    match &image.data {
        ImageData::LzPalette { palette, .. } => Some(palette),
        ImageData::Bitmap(bitmap) => bitmap.palette.as_ref(),
        _ => None,
    }
}

/// What the palette of this number has on the wire: colours the guest has left out are black.
fn entries(format: BitmapFormat, number: u32) -> Vec<u32> {
    let mut entries = vec![number, 1, 2];
    entries.resize(entries.len().max(1 << format.bits_per_pixel()), 0);
    entries
}

fn image(format: BitmapFormat, number: u32, pixels: u8) -> drawing::Image {
    let stride = SIDE;
    let bitmap = drawing::Bitmap {
        format,
        width: SIDE,
        height: SIDE,
        stride,
        top_down: true,
        palette: Some(Arc::new(Palette {
            // The guest gives all the same name.
            unique: 5,
            entries: vec![number, 1, 2],
        })),
        data: vec![pixels; (stride * SIDE) as usize].into(),
    };
    drawing::Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: SIDE,
        height: SIDE,
        data: drawing::ImageData::Bitmap(Arc::new(bitmap)),
    }
}

fn draw(source: drawing::Image, brush: Option<drawing::Image>) -> Item {
    let source = drawing::Source {
        image: source,
        area: Rect::at(0, 0, SIDE, SIDE),
        scale: ScaleMode::Nearest,
    };
    let (rop, mask) = (Rop::PUT, drawing::Mask::default());
    let op = match brush {
        None => drawing::DrawOp::Copy { source, rop, mask },
        Some(image) => drawing::DrawOp::Opaque {
            source,
            brush: Brush::Pattern {
                image,
                pos: Point::default(),
            },
            rop,
            mask,
        },
    };
    Item::Draw(Arc::new(Drawable {
        surface: 0,
        bbox: Rect::at(0, 0, SIDE, SIDE),
        clip: Clip::None,
        mm_time: 0,
        op,
    }))
}

fn connected(mode: Mode) -> (Encoder, Client) {
    let config = EncoderConfig {
        settings: ImageSettings {
            mode,
            ..ImageSettings::default()
        },
        ..EncoderConfig::default()
    };
    let (mut encoder, mut client) = (Encoder::new(config, None), Client::default());
    let surface = Item::CreateSurface {
        id: 0,
        width: 64,
        height: 64,
        format: SurfaceFormat::Xrgb,
    };
    for message in encoder.encode(&surface).unwrap() {
        client.take(&message);
    }
    (encoder, client)
}

#[test]
fn a_palette_is_sent_once_compressed_or_not() {
    for mode in [Mode::Lz, Mode::Off] {
        let (mut encoder, mut client) = connected(mode);
        for pixels in 0..3 {
            for message in encoder
                .encode(&draw(image(BitmapFormat::Bit8, 9, pixels), None))
                .unwrap()
            {
                client.take(&message);
            }
        }
        assert_eq!((client.kept.len(), client.named), (1, 2), "{mode:?}");
    }
}

#[test]
fn few_colours_are_not_kept() {
    let (mut encoder, mut client) = connected(Mode::Lz);
    for _ in 0..2 {
        for message in encoder.encode(&draw(image(BitmapFormat::Bit1Be, 9, 0), None)).unwrap() {
            client.take(&message);
        }
    }
    assert_eq!((client.kept.len(), client.named), (0, 0));
}

#[test]
fn a_client_has_at_most_one_palette_more_than_it_keeps() {
    let (mut encoder, mut client) = connected(Mode::Lz);
    for number in 0..300 {
        for message in encoder
            .encode(&draw(image(BitmapFormat::Bit8, number, 0), None))
            .unwrap()
        {
            client.take(&message);
        }
    }
    assert_eq!(
        (client.kept.len(), client.most),
        (PALETTE_CACHE_ENTRIES, PALETTE_CACHE_ENTRIES + 1)
    );
}

proptest! {
    #[test]
    fn a_client_sees_the_colours_and_has_what_it_is_told_of(
        steps in proptest::collection::vec((0..300u32, 0..3u8, any::<u8>(), proptest::option::of(0..300u32)), 1..600),
        off in any::<bool>(),
    ) {
        let (mut encoder, mut client) = connected(if off { Mode::Off } else { Mode::AutoLz });
        for (number, format, pixels, brush) in steps {
            let format = [BitmapFormat::Bit8, BitmapFormat::Bit4Be, BitmapFormat::Bit1Be][usize::from(format)];
            let brush = brush.map(|number| image(BitmapFormat::Bit8, number, pixels));
            let messages = encoder.encode(&draw(image(format, number, pixels), brush)).unwrap();
            let seen: Vec<Vec<u32>> = messages.iter().filter_map(|message| client.take(message)).collect();
            prop_assert_eq!(seen, vec![entries(format, number)]);
            prop_assert!(client.kept.len() <= PALETTE_CACHE_ENTRIES);
        }
    }
}
