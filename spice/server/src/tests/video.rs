//! What video is sent in.

use caraway_display::{Codec, VideoMode};
use caraway_ports::drawing::{Bitmap, BitmapFormat, ScaleMode};
use caraway_protocol::display::{ClientMessage, ServerMessage, VideoCodec};
use tokio::task::JoinHandle;

use super::*;

const SIDE: u32 = 128;

/// From frame to frame.
const PERIOD: Duration = Duration::from_millis(20);

const ALL: [DisplayCap; 3] = [DisplayCap::MultiCodec, DisplayCap::CodecMjpeg, DisplayCap::CodecH264];

/// The codec of a client that decodes all.
const BEST: VideoCodec = if cfg!(feature = "h264") {
    VideoCodec::H264
} else {
    VideoCodec::Mjpeg
};

/// A smooth picture that is another one with every number.
fn picture(number: u32) -> DisplayCommand {
    let pixels = (0..SIDE * SIDE).flat_map(|at| [(at % SIDE + number) as u8, (at / SIDE) as u8, number as u8, 0]);
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width: SIDE,
        height: SIDE,
        stride: SIDE * 4,
        top_down: true,
        palette: None,
        data: pixels.collect(),
    };
    let area = Rect::at(0, 0, SIDE, SIDE);
    let copy = Drawable::copy(0, area, Arc::new(bitmap), ScaleMode::Nearest);
    DisplayCommand::Draw(Box::new(copy))
}

/// A guest that plays a video until this is dropped.
struct Player(JoinHandle<()>);

impl Player {
    fn new(fixture: &Fixture) -> Self {
        let display = Arc::clone(&fixture.display);
        display.set_video(VideoMode::Filter);
        Self(tokio::spawn(async move {
            let mut frames = tokio::time::interval(PERIOD);
            for number in 0.. {
                frames.tick().await;
                display.submit(picture(number));
            }
        }))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fixture {
    /// A display channel with these capabilities that has said INIT.
    async fn video_channel(&self, session: u32, caps: &[DisplayCap]) -> Client {
        let id = ChannelId {
            kind: ChannelType::Display,
            id: 0,
        };
        let linked = link_with(self.connect(), id, session, "", Caps::of(caps)).await;
        let mut channel = linked.expect("the link is accepted").acknowledging();
        channel.send(ClientMessage::Init(NO_CACHES)).await;
        channel
    }
}

impl Client {
    /// The codec of the next stream.
    async fn stream(&mut self) -> VideoCodec {
        self.until(|message: ServerMessage| match message {
            ServerMessage::StreamCreate(create) => Some(create.codec),
            _ => None,
        })
        .await
    }

    /// The answer to the next ping, or nothing if a picture is drawn before.
    async fn ping_or_picture(&mut self) -> Option<Pong> {
        self.until(|message: ServerMessage| match message {
            ServerMessage::Draw(_) => Some(None),
            ServerMessage::Common(ServerCommon::Ping(ping)) => Some(Some(Pong {
                id: ping.id,
                timestamp: ping.timestamp,
            })),
            ServerMessage::StreamCreate(create) => panic!("{create:?}"),
            _ => None,
        })
        .await
    }

    /// So many frames, and no other stream meanwhile.
    async fn frames(&mut self, count: usize) {
        for _ in 0..count {
            self.until(|message: ServerMessage| match message {
                ServerMessage::StreamData(data) => (!data.data.is_empty()).then_some(()),
                ServerMessage::StreamCreate(create) => panic!("{create:?}"),
                _ => None,
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_client_is_shown_the_best_codec_it_has() {
    let fixture = fixture(None);
    let _player = Player::new(&fixture);
    for (caps, wanted) in [
        (&[][..], VideoCodec::Mjpeg),
        (&[DisplayCap::CodecH264], VideoCodec::Mjpeg),
        (&[DisplayCap::MultiCodec, DisplayCap::CodecMjpeg], VideoCodec::Mjpeg),
        (
            &[DisplayCap::MultiCodec, DisplayCap::CodecMjpeg, DisplayCap::CodecVp8],
            VideoCodec::Mjpeg,
        ),
        (&ALL, BEST),
    ] {
        let (_main, session) = fixture.session().await;
        let mut channel = fixture.video_channel(session, caps).await;
        assert_eq!(channel.stream().await, wanted, "{caps:?}");
        channel.frames(3).await;
    }
    let frames = |codec| fixture.server.images_sent().get(codec);
    assert!(frames(Codec::Mjpeg) >= 3);
    assert_eq!(frames(Codec::H264) >= 3, BEST == VideoCodec::H264);
}

#[tokio::test]
async fn a_client_without_a_codec_is_shown_pictures() {
    let fixture = fixture(None);
    let _player = Player::new(&fixture);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.video_channel(session, &[DisplayCap::MultiCodec]).await;
    for _ in 0..30 {
        // Pictures take more of the link than frames: it is asked what has arrived.
        while let Some(ping) = channel.ping_or_picture().await {
            channel.send(ClientMessage::Common(ClientCommon::Pong(ping))).await;
        }
    }
}

#[tokio::test]
async fn the_codecs_that_a_client_wants_are_for_it_alone_and_nonsense_is_passed_over() {
    let fixture = fixture(None);
    let _player = Player::new(&fixture);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.video_channel(session, &ALL).await;
    let (_other_main, other_session) = fixture.session().await;
    let mut other = fixture.video_channel(other_session, &ALL).await;
    assert_eq!((channel.stream().await, other.stream().await), (BEST, BEST));
    let prefer = |codecs: &[VideoCodec]| ClientMessage::PreferredVideoCodecs(codecs.to_vec());
    let nonsense: Vec<VideoCodec> = (0..=254).map(VideoCodec::Unknown).collect();
    channel.send(prefer(&nonsense)).await;
    channel.send(prefer(&[])).await;
    channel.frames(10).await;
    channel
        .send(prefer(&[VideoCodec::Unknown(0), VideoCodec::Vp9, VideoCodec::Mjpeg]))
        .await;
    if BEST == VideoCodec::Mjpeg {
        channel.frames(10).await;
    } else {
        assert_eq!(channel.stream().await, VideoCodec::Mjpeg);
        channel.frames(3).await;
        channel.send(prefer(&[])).await;
        assert_eq!(channel.stream().await, BEST);
    }
    other.frames(10).await;
}
