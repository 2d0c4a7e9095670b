//! Where bytes lie: layouts and sizes that are easy to get wrong, and that nothing is copied without need.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use caraway_protocol::common::{Notify, Ping, ServerCommon, Severity, Visibility};
use caraway_protocol::display::*;
use caraway_protocol::header::{FrameDecoder, FrameEncoder, HeaderKind, Limits};
use caraway_protocol::main_channel::{DstInfo, MouseMode, MouseModes, ServerMessage as MainMessage};
use caraway_protocol::sublist::SubMessage;
use caraway_protocol::{Message, Progress};

use crate::support::frame;

fn bitmap(format: BitmapFormat, palette: Option<PaletteRef>, data: Bytes) -> Image {
    Image {
        id: 1,
        flags: ImageFlags::CACHE_ME,
        width: 4,
        height: 1,
        data: ImageData::Bitmap(Bitmap {
            format,
            top_down: true,
            stride: u32::try_from(data.len()).unwrap(),
            palette,
            data,
        }),
    }
}

fn copy(image: Image, mask: Option<Image>) -> ServerMessage {
    let source = Source {
        image,
        area: Rect::at(0, 0, 4, 1),
        scale: ScaleMode::Interpolate,
    };
    let mask = Mask {
        image: mask,
        ..Mask::default()
    };
    let op = DrawOp::Copy {
        source,
        rop: Rop::PUT,
        mask,
    };
    Draw {
        surface_id: 0,
        bbox: Rect::at(0, 0, 4, 1),
        clip: Clip::None,
        op,
    }
    .into()
}

fn u32_at(body: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(body[at..at + 4].try_into().unwrap())
}

#[test]
fn targets_follow_in_the_order_of_their_pointers_and_nested_ones_come_last() {
    let palette = PaletteRef::Inline {
        palette: Arc::new(Palette {
            unique: 5,
            entries: vec![1, 2],
        }),
        cache: true,
    };
    let source = bitmap(BitmapFormat::Bit8, Some(palette), Bytes::from_static(&[0xaa; 4]));
    let mask = bitmap(BitmapFormat::Bit1Be, None, Bytes::from_static(&[0xf0]));
    let body = copy(source, Some(mask)).to_body().unwrap();
    let (source, mask, palette) = (57, 57 + 36 + 4, 57 + 36 + 4 + 36 + 1);
    assert_eq!(u32_at(&body, 21), source);
    assert_eq!(u32_at(&body, 53), mask);
    assert_eq!(u32_at(&body, 57 + 32), palette);
    assert_eq!(body.len(), palette as usize + 10 + 2 * 4);
}

#[test]
fn a_cached_palette_is_eight_bytes_and_a_pointer_four() {
    let data = Bytes::from_static(&[0; 4]);
    let cached = bitmap(
        BitmapFormat::Bit8,
        Some(PaletteRef::Cached(0x1122_3344_5566_7788)),
        data.clone(),
    );
    let none = bitmap(BitmapFormat::Bit8, None, data);
    let (cached, none) = (
        copy(cached, None).to_body().unwrap(),
        copy(none, None).to_body().unwrap(),
    );
    assert_eq!(cached.len(), none.len() + 4);
    assert_eq!(cached[57 + 19], 2 | 4, "PAL_FROM_CACHE, TOP_DOWN");
    assert_eq!(cached[57 + 9], 1, "CACHE_ME of the image is another bit");
    assert_eq!(
        cached[57 + 32..57 + 40],
        [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]
    );
}

#[test]
fn pointers_in_a_sub_message_count_from_its_own_body() {
    let image = bitmap(BitmapFormat::Bit32, None, Bytes::from_static(&[7; 16]));
    let draw = copy(image, None);
    let sub = SubMessage::new(&draw).unwrap();
    assert_eq!(u32_at(&sub.body, 21), 57);
    let wire = FrameEncoder::new(HeaderKind::Full)
        .encode_with(&ServerMessage::Mark, &[sub])
        .unwrap()
        .to_bytes();
    let frame = frame(HeaderKind::Full, Limits::FromServer, &wire);
    assert_eq!(frame.message::<ServerMessage>(), Ok(ServerMessage::Mark));
    let subs = frame.sub_messages().unwrap();
    assert_eq!(subs.iter().map(SubMessage::message).collect::<Vec<_>>(), [Ok(draw)]);
}

#[test]
fn the_nul_counts_in_names_and_hosts_but_not_in_notices() {
    let name = MainMessage::Name("vm".to_owned()).to_body().unwrap();
    assert_eq!(&name[..], b"\x03\0\0\0vm\0");
    let notify = MainMessage::Common(ServerCommon::Notify(Notify {
        time_stamp: 0,
        severity: Severity::Warn,
        visibility: Visibility::High,
        what: 0,
        text: "vm".to_owned(),
    }));
    assert_eq!(&notify.to_body().unwrap()[20..], b"\x02\0\0\0vm\0");
    let host = MainMessage::MigrateBegin(DstInfo {
        port: 1,
        tls_port: 2,
        host: "h".to_owned(),
        cert_subject: None,
    });
    assert_eq!(
        &host.to_body().unwrap()[..],
        b"\x01\0\x02\0\x02\0\0\0\x14\0\0\0\0\0\0\0\0\0\0\0h\0"
    );
}

#[test]
fn mouse_modes_are_16_bits_when_they_change() {
    let change = MainMessage::MouseMode {
        supported: MouseModes::SERVER | MouseModes::CLIENT,
        current: MouseMode::Client,
    };
    assert_eq!(change.to_body().unwrap(), [3, 0, 2, 0][..]);
}

#[test]
fn padding_of_a_ping_is_counted_and_its_bytes_are_not_looked_at() {
    let ping = |padding| {
        MainMessage::Common(ServerCommon::Ping(Ping {
            id: 1,
            timestamp: 2,
            padding,
        }))
    };
    let body = ping(256_000).to_body().unwrap();
    assert_eq!(body.len(), 12 + 256_000);
    let garbage = [&body[..12], &[0xee; 9]].concat();
    assert_eq!(MainMessage::decode(4, &garbage.into()), Ok(ping(9)));
}

#[test]
fn rows_of_glyphs_are_bottom_up_on_the_wire() {
    let glyph = Glyph {
        render_pos: Point::new(1, 2),
        origin: Point::new(0, -8),
        width: 9,
        height: 2,
        data: vec![0x80, 0x00, 0xff, 0x80],
    };
    let text = |text| {
        ServerMessage::from(Draw {
            surface_id: 0,
            bbox: Rect::at(0, 0, 9, 2),
            clip: Clip::None,
            op: DrawOp::Text(DrawText {
                text,
                back_area: Rect::default(),
                fore_brush: Brush::Solid(0),
                back_brush: Brush::None,
                fore_mode: Rop::PUT,
                back_mode: Rop(0),
            }),
        })
    };
    let message = text(Text {
        depth: GlyphDepth::A1,
        glyphs: Arc::new([glyph]),
    });
    let mut body = message.to_body().unwrap().to_vec();
    assert_eq!(body[body.len() - 4..], [0xff, 0x80, 0x80, 0x00]);
    let flags = u32_at(&body, 21) as usize + 2;
    assert_eq!(body[flags], 1);
    // With RASTER_TOP_DOWN the same bytes are the other way round.
    body[flags] = 1 | 8;
    let ServerMessage::Draw(draw) = ServerMessage::decode(message.id(), &body.into()).unwrap() else {
        panic!("not a drawing");
    };
    let DrawOp::Text(DrawText { text, .. }) = draw.op else {
        panic!("not a text");
    };
    assert_eq!(text.glyphs[0].data, [0xff, 0x80, 0x80, 0x00]);
}

#[test]
fn large_payloads_are_shared_by_encoder_and_decoder() {
    let pixels = Bytes::from(vec![0x42; 64 << 10]);
    let message = copy(bitmap(BitmapFormat::Bit32, None, pixels.clone()), None);
    let encoded = FrameEncoder::new(HeaderKind::Mini).encode(&message).unwrap();
    let segments: Vec<&[u8]> = encoded.segments().collect();
    assert_eq!(segments.len(), 2, "header with metadata, pixels");
    assert_eq!(segments[1].as_ptr(), pixels.as_ptr());

    let mut buffer = BytesMut::from(&encoded.to_bytes()[..]);
    let received = buffer.as_ptr_range();
    let mut decoder = FrameDecoder::new(HeaderKind::Mini, Limits::FromServer);
    let Progress::Done(frame) = decoder.decode(&mut buffer).unwrap() else {
        panic!("incomplete");
    };
    let ServerMessage::Draw(draw) = frame.message().unwrap() else {
        panic!("not a drawing");
    };
    let DrawOp::Copy { source, .. } = draw.op else {
        panic!("not a copy");
    };
    let ImageData::Bitmap(bitmap) = source.image.data else {
        panic!("not a bitmap");
    };
    assert!(received.contains(&bitmap.data.as_ptr()));
}

#[test]
fn a_palette_behind_shared_pixels_lies_where_its_pointer_says() {
    let palette = PaletteRef::Inline {
        palette: Arc::new(Palette {
            unique: 9,
            entries: vec![3],
        }),
        cache: false,
    };
    let message = copy(
        bitmap(BitmapFormat::Bit8, Some(palette), Bytes::from(vec![0; 5000])),
        None,
    );
    let encoded = FrameEncoder::new(HeaderKind::Full).encode(&message).unwrap();
    assert_eq!(encoded.segments().count(), 3, "metadata, pixels, palette");
    let frame = frame(HeaderKind::Full, Limits::FromServer, &encoded.to_bytes());
    assert_eq!(frame.message(), Ok(message));
}
