//! What images are sent with.

use std::time::Duration;

use caraway_ports::drawing::{Bitmap, BitmapFormat, Image, ImageData, ScaleMode, Source};
use caraway_protocol::display::{
    ClientMessage, DrawOp as Sent, ImageCompression, ImageData as SentData, ServerMessage,
};

use super::*;

const SIDE: u32 = 64;

/// A picture of few colours: no photograph.
pub(super) fn picture(number: u8) -> DisplayCommand {
    let pixels = (0..SIDE * SIDE).flat_map(|at| {
        let shade = (at.wrapping_mul(0x9e37_79b1) >> 29) as u8 * 30;
        [shade, number, 0, 0]
    });
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width: SIDE,
        height: SIDE,
        stride: SIDE * 4,
        top_down: true,
        palette: None,
        data: pixels.collect(),
    };
    let image = Image {
        id: 1,
        cache: false,
        high_bits_set: false,
        width: SIDE,
        height: SIDE,
        data: ImageData::Bitmap(Arc::new(bitmap)),
    };
    let area = Rect::at(0, 0, SIDE, SIDE);
    let source = Source {
        image,
        area,
        scale: ScaleMode::Nearest,
    };
    DisplayCommand::Draw(Box::new(Drawable {
        surface: 0,
        bbox: area,
        clip: Clip::None,
        mm_time: 0,
        op: DrawOp::Copy {
            source,
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    }))
}

/// Number of the image in the dictionary, which is in the header.
fn glz_id(stream: &[u8]) -> u64 {
    u64::from_be_bytes(stream[21..29].try_into().unwrap())
}

impl Fixture {
    /// A display channel that has announced a dictionary and shown its first picture.
    pub(super) async fn display_channel(&self, id: u8, session: u32, window: i32) -> Client {
        let channel = self.try_link(ChannelType::Display, id, session, "").await;
        let mut channel = channel.expect("the link is accepted");
        channel
            .send(ClientMessage::Init(display::Init {
                pixmap_cache_id: 1,
                pixmap_cache_size: 0,
                glz_dictionary_id: 1,
                glz_dictionary_window_size: window,
            }))
            .await;
        channel
            .until(|message: ServerMessage| matches!(message, ServerMessage::Mark).then_some(()))
            .await;
        channel
    }
}

impl Client {
    /// The data of the next image of its picture's size.
    pub(super) async fn image(&mut self) -> SentData {
        self.until(|message: ServerMessage| match message {
            ServerMessage::Draw(draw) => match draw.op {
                Sent::Copy { source, .. } if source.image.width == SIDE => Some(source.image.data),
                _ => None,
            },
            _ => None,
        })
        .await
    }

    /// Asks for a mode. The channel has taken it up once it is there: a channel's messages are read in order.
    async fn prefer(&mut self, compression: ImageCompression) {
        self.send(ClientMessage::PreferredCompression(compression)).await;
    }
}

fn displays() -> [Arc<Display>; 2] {
    [(); 2].map(|()| Display::new(CanvasLimits::default()))
}

#[tokio::test]
async fn displays_of_a_client_count_the_images_of_their_dictionary_together() {
    let displays = displays();
    let fixture = fixture_of(None, &displays);
    let (_main, session) = fixture.session().await;
    let mut first = fixture.display_channel(0, session, 1 << 20).await;
    let mut second = fixture.display_channel(1, session, 1 << 20).await;
    let (_other_main, other_session) = fixture.session().await;
    let mut other = fixture.display_channel(0, other_session, 1 << 20).await;
    for number in 0..6u8 {
        let at = usize::from(number % 2);
        displays[at].submit(picture(number));
        let channel = if at == 0 { &mut first } else { &mut second };
        match channel.image().await {
            SentData::GlzRgb(stream) => assert_eq!(glz_id(&stream), u64::from(number)),
            data => panic!("{data:?}"),
        }
    }
    // Another client has a dictionary of its own.
    match other.image().await {
        SentData::GlzRgb(stream) => assert_eq!(glz_id(&stream), 0),
        data => panic!("{data:?}"),
    }

    // What the second display was sent may not have arrived: nothing refers to it any more.
    drop(second);
    timeout(PATIENCE, async {
        loop {
            displays[0].submit(picture(9));
            match first.image().await {
                SentData::LzRgb(_) => return,
                SentData::GlzRgb(_) => {}
                data => panic!("{data:?}"),
            }
        }
    })
    .await
    .expect("the dictionary ends");
    let mut again = fixture.display_channel(1, session, 1 << 20).await;
    displays[1].submit(picture(10));
    assert!(matches!(again.image().await, SentData::LzRgb(_)));
}

#[tokio::test]
async fn a_client_without_a_window_gets_no_glz() {
    for window in [0, -1] {
        let fixture = fixture(None);
        let (_main, session) = fixture.session().await;
        let mut channel = fixture.display_channel(0, session, window).await;
        fixture.display.submit(picture(1));
        assert!(matches!(channel.image().await, SentData::LzRgb(_)), "{window}");
    }
}

#[tokio::test]
async fn a_client_changes_the_mode_of_its_own_channel() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.display_channel(0, session, 1 << 20).await;
    let (_other_main, other_session) = fixture.session().await;
    let mut other = fixture.display_channel(0, other_session, 1 << 20).await;
    // What is there already is not sent again.
    let mut numbers = [1, 2].into_iter().cycle();
    for (compression, wanted) in [
        (ImageCompression::Off, "bitmap"),
        (ImageCompression::Quic, "quic"),
        (ImageCompression::Lz, "lz"),
        // This client cannot do LZ4.
        (ImageCompression::Lz4, "lz"),
        (ImageCompression::Glz, "glz"),
        (ImageCompression::Unknown(99), "glz"),
    ] {
        channel.prefer(compression).await;
        timeout(PATIENCE, async {
            for number in &mut numbers {
                fixture.display.submit(picture(number));
                assert!(matches!(other.image().await, SentData::GlzRgb(_)));
                let sent = match channel.image().await {
                    SentData::Bitmap(_) => "bitmap",
                    SentData::Quic(_) => "quic",
                    SentData::LzRgb(_) => "lz",
                    SentData::GlzRgb(_) => "glz",
                    data => panic!("{data:?}"),
                };
                if sent == wanted {
                    return;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{compression:?} gives {wanted}"));
    }
}

#[tokio::test]
async fn on_a_link_measured_to_be_slow_glz_is_put_in_zlib() {
    let fixture = fixture(None);
    let (mut main, session) = fixture.session().await;
    let mut channel = fixture.display_channel(0, session, 1 << 20).await;
    fixture.display.submit(picture(1));
    assert!(
        matches!(channel.image().await, SentData::GlzRgb(_)),
        "nothing is known yet"
    );
    for padded in [false, false, true] {
        let ping = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Common(ServerCommon::Ping(ping)) => Some(ping),
                _ => None,
            })
            .await;
        assert_eq!(ping.padding > 0, padded);
        if padded {
            // 256,000 bytes in so long are 4 Mbit/s.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let pong = Pong {
            id: ping.id,
            timestamp: ping.timestamp,
        };
        main.send(main::ClientMessage::Common(ClientCommon::Pong(pong))).await;
    }
    timeout(PATIENCE, async {
        for number in 2.. {
            // Nothing of it has come before, so that there is something left for zlib.
            fixture.display.submit(picture(number));
            match channel.image().await {
                SentData::ZlibGlzRgb { .. } => return,
                SentData::GlzRgb(_) => {}
                data => panic!("{data:?}"),
            }
        }
    })
    .await
    .expect("zlib is used");
}
