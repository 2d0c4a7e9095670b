//! Large pictures on their way to one client.

use caraway_ports::drawing::{Bitmap, BitmapFormat, Clip, Image, Mask, Source};
use caraway_protocol::display::{ImageData as Sent, ImageFlags};

use super::*;

const SIDE: u32 = 1024;
/// Rows of a band of such a picture.
const ROWS: u32 = 128;

/// A number without pattern.
fn noise(x: u32, y: u32) -> u32 {
    let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0xc2b2_ae3d);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d) >> 3
}

/// Few colours, none of which is near another.
fn text(x: u32, y: u32) -> u32 {
    0x0040_4040 * (noise(x / 3, y) & 3)
}

/// Many colours that are.
fn photo(x: u32, y: u32) -> u32 {
    (x & 0xff) | (y & 0xff) << 8 | ((x + y) & 0xff) << 16
}

fn picture(value: impl Fn(u32, u32) -> u32) -> Bitmap {
    let pixels = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
    Bitmap {
        format: BitmapFormat::Bit32,
        width: SIDE,
        height: SIDE,
        stride: SIDE * 4,
        top_down: true,
        palette: None,
        data: pixels.flat_map(|(x, y)| value(x, y).to_le_bytes()).collect(),
    }
}

/// A copy of a picture to a place.
fn copy(bitmap: Bitmap, clip: Clip) -> Item {
    let area = Rect::at(0, 0, bitmap.width, bitmap.height);
    let source = Source {
        image: Image {
            id: 0,
            cache: false,
            high_bits_set: false,
            width: bitmap.width,
            height: bitmap.height,
            data: ImageData::Bitmap(Arc::new(bitmap)),
        },
        area,
        scale: ScaleMode::Nearest,
    };
    Item::Draw(Arc::new(Drawable {
        surface: 0,
        bbox: area.translate(50, -20),
        clip,
        mm_time: 0,
        op: DrawOp::Copy {
            source,
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    }))
}

/// A client with a cache and a dictionary.
struct Client {
    encoder: Encoder,
    _membership: Membership,
}

impl Client {
    fn new() -> Self {
        Self::with_window(1 << 22)
    }

    fn with_window(window: i32) -> Self {
        let membership = Dictionaries::default().join(1, window).unwrap();
        let config = EncoderConfig {
            dictionary: Some(membership.dictionary()),
            ..EncoderConfig::default()
        };
        let mut encoder = Encoder::new(config, Pixmaps::new(5).join(1, 1 << 24, 0, &[]));
        let surface = Item::CreateSurface {
            id: 0,
            width: SIDE,
            height: SIDE,
            format: SurfaceFormat::Xrgb,
        };
        encoder.encode(&surface).unwrap();
        Self {
            encoder,
            _membership: membership,
        }
    }

    /// The copies a step becomes.
    fn shown(&mut self, item: &Item) -> Vec<(Rect, Clip, display::Image)> {
        let messages = self.encoder.encode(item).unwrap();
        self.encoder.set_serial(messages.len() as u64 + 1);
        let copies = messages.into_iter().map(|message| match message {
            ServerMessage::Draw(draw) => match draw.op {
                display::DrawOp::Copy { source, .. } => {
                    assert_eq!(source.area, Rect::at(0, 0, source.image.width, source.image.height));
                    assert_eq!(source.area.translate(draw.bbox.left, draw.bbox.top), draw.bbox);
                    (draw.bbox, draw.clip, source.image)
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        copies.collect()
    }

    /// What a picture is sent as, from the top.
    fn codecs(&mut self, bitmap: Bitmap) -> Vec<&'static str> {
        let shown = self.shown(&copy(bitmap, Clip::None));
        let mut top = -20;
        for (bbox, clip, _) in &shown {
            assert_eq!((bbox.left, bbox.top, bbox.width(), clip), (50, top, SIDE, &Clip::None));
            top = bbox.bottom;
        }
        assert_eq!(top, SIDE as i32 - 20);
        shown.iter().map(|(_, _, image)| codec(&image.data)).collect()
    }
}

fn codec(data: &Sent) -> &'static str {
    match data {
        Sent::GlzRgb(_) | Sent::ZlibGlzRgb { .. } => "glz",
        Sent::Quic(_) => "quic",
        Sent::FromCache => "cache",
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_picture_that_glz_is_for_is_one_image_and_is_known_as_one() {
    let mut client = Client::new();
    assert_eq!(client.codecs(picture(text)), ["glz"]);
    assert_eq!(client.codecs(picture(text)), ["cache"]);
    assert_eq!(client.codecs(picture(|x, y| text(x, y + 1))), ["glz"], "another one");
}

#[test]
fn a_picture_that_is_too_large_for_the_dictionary_is_not_in_its_bands() {
    let mut client = Client::with_window((SIDE * SIDE) as i32);
    assert_eq!(client.codecs(picture(text)), ["glz"; 8]);
    assert_eq!(client.codecs(picture(text)), ["cache"; 8]);
}

#[test]
fn each_band_has_the_codec_that_fits_it_and_what_stays_is_not_sent_again() {
    let mut client = Client::new();
    let half = |x, y| if y < SIDE / 2 { text(x, y) } else { photo(x, y) };
    let first = [["glz"; 4], ["quic"; 4]].concat();
    assert_eq!(client.codecs(picture(half)), first);
    assert_eq!(client.codecs(picture(half)), ["cache"; 8]);
    let changed = |x, y| if y == 3 * ROWS { 0 } else { half(x, y) };
    let expected = [vec!["cache"; 3], vec!["glz"], vec!["cache"; 4]].concat();
    assert_eq!(client.codecs(picture(changed)), expected);
    // Its upper half alone, which GLZ would be for: what is known stays known.
    let upper = |x, y| if y < SIDE / 2 { text(x, y) } else { text(x, y + 7) };
    assert_eq!(client.codecs(picture(upper)), [["cache"; 4], ["glz"; 4]].concat());
}

#[test]
fn bands_that_are_alike_are_kept_once() {
    let mut client = Client::new();
    let shown = client.shown(&copy(picture(|x, y| photo(x, y % ROWS)), Clip::None));
    let kept = |image: &display::Image| image.flags.contains(ImageFlags::CACHE_ME);
    let kept: Vec<bool> = shown.iter().map(|(.., image)| kept(image)).collect();
    assert_eq!(kept, [vec![true], vec![false; 7]].concat());
    assert_eq!(client.codecs(picture(|x, y| photo(x, y % ROWS))), ["cache"; 8]);
}

#[test]
fn bands_outside_the_clip_are_not_sent() {
    let mut client = Client::new();
    // On the surface the bands begin at -20, 108, 236, ...
    let rects = [Rect::at(60, 230, 10, 10), Rect::at(60, 500, 10, 400)];
    let clip = Clip::Rects(rects.into());
    let shown = client.shown(&copy(picture(photo), clip.clone()));
    let places: Vec<(i32, Clip)> = shown.iter().map(|(bbox, clip, _)| (bbox.top, clip.clone())).collect();
    let only = |at: usize| Clip::Rects([rects[at]].into());
    let below = [492, 620, 748, 876].map(|top| (top, only(1)));
    assert_eq!(places, [vec![(108, only(0)), (236, only(0))], below.to_vec()].concat());
    // One image for those of a picture that GLZ is for would have what nobody sees between them.
    let shown = client.shown(&copy(picture(text), clip));
    assert_eq!(shown.len(), 6);
    let low = Clip::Rects([rects[1]].into());
    let shown = client.shown(&copy(picture(|x, y| text(x, y + 9)), low.clone()));
    let places: Vec<(Rect, Clip)> = shown.iter().map(|(bbox, clip, _)| (*bbox, clip.clone())).collect();
    assert_eq!(places, [(Rect::at(50, 492, SIDE, 4 * ROWS), low)]);
}

#[test]
fn an_area_of_the_canvas_is_one_image() {
    let mut client = Client::new();
    let item = Item::Pixels {
        surface: 0,
        at: Point::new(7, 9),
        pixels: Pixels {
            format: SurfaceFormat::Xrgb,
            width: SIDE,
            height: SIDE,
            stride: SIDE * 4,
            data: picture(photo).data,
        },
    };
    let places: Vec<Rect> = client.shown(&item).into_iter().map(|(bbox, ..)| bbox).collect();
    assert_eq!(places, [Rect::at(7, 9, SIDE, SIDE)]);
}
