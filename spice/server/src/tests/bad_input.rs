//! Messages to a display channel that make no sense: they are passed over, or end that channel, and nobody else is
//! concerned.

use caraway_protocol::display::{ClientMessage, ImageCompression, ServerMessage, StreamReport, VideoCodec};

use super::{images::picture, *};

/// Ids of the display channel's client messages.
const INIT: u16 = 101;
const STREAM_REPORT: u16 = 102;
const PREFERRED_COMPRESSION: u16 = 103;
const PREFERRED_VIDEO_CODEC_TYPE: u16 = 105;

/// Bytes of a report on a stream.
const REPORT_BYTES: usize = 32;

/// Two clients, each with a display channel that has its first picture.
struct Pair {
    fixture: Fixture,
    _mains: [Client; 2],
    sessions: [u32; 2],
    good: Client,
    bad: Client,
    drawn: u8,
}

impl Pair {
    async fn new() -> Self {
        let fixture = fixture(None);
        let ((one, good), (other, bad)) = (fixture.session().await, fixture.session().await);
        Self {
            good: fixture.display_channel(0, good, 1 << 16).await,
            bad: fixture.display_channel(0, bad, 1 << 16).await,
            _mains: [one, other],
            sessions: [good, bad],
            fixture,
            drawn: 0,
        }
    }

    fn draw(&mut self) {
        self.drawn += 1;
        self.fixture.display.submit(picture(self.drawn));
    }

    /// Both are shown what is drawn.
    async fn both_go_on(&mut self) {
        self.draw();
        self.good.image().await;
        self.bad.image().await;
    }

    /// The channel ends; the other client is shown what is drawn, and the session goes on with a new channel.
    async fn only_that_one_ends(&mut self) {
        self.bad.closed().await;
        self.draw();
        self.good.image().await;
        let [_, session] = self.sessions;
        self.bad = self.fixture.display_channel(0, session, 1 << 16).await;
        self.both_go_on().await;
        assert_eq!(self.fixture.server.clients(), 2);
    }

    /// Sends a message of these bytes, whatever they mean.
    async fn send_raw(&mut self, id: u16, body: &[u8]) {
        let size = u32::try_from(body.len()).unwrap();
        let message = [&id.to_le_bytes()[..], &size.to_le_bytes(), body].concat();
        self.bad.stream.write_all(&message).await.unwrap();
    }
}

#[tokio::test]
async fn reports_on_streams_that_are_not_there_and_out_of_range_are_passed_over() {
    let mut pair = Pair::new().await;
    for stream_id in [0, 1, 49, 50, u32::MAX] {
        for extreme in [0, 1, u32::MAX] {
            let report = StreamReport {
                stream_id,
                unique_id: extreme,
                start_frame_mm_time: extreme,
                end_frame_mm_time: extreme.wrapping_add(1),
                num_frames: extreme,
                num_drops: u32::MAX - extreme,
                last_frame_delay: i32::MIN,
                audio_delay: extreme,
            };
            pair.bad.send(ClientMessage::StreamReport(report)).await;
        }
    }
    // More than are read at a time.
    for _ in 0..1000 {
        pair.send_raw(STREAM_REPORT, &[0xff; REPORT_BYTES]).await;
    }
    pair.both_go_on().await;
}

#[tokio::test]
async fn codecs_and_modes_that_do_not_exist_are_passed_over() {
    let mut pair = Pair::new().await;
    let codecs = [0, 6, 77, 255].map(VideoCodec::from).to_vec();
    for preferred in [codecs.clone(), Vec::new(), codecs.repeat(60)] {
        pair.bad.send(ClientMessage::PreferredVideoCodecs(preferred)).await;
    }
    for mode in [0, 8, 200, 255].map(ImageCompression::from) {
        pair.bad.send(ClientMessage::PreferredCompression(mode)).await;
    }
    pair.both_go_on().await;
    // Nor does it matter what nobody knows at all.
    pair.send_raw(9999, &[0xff; 64]).await;
    pair.both_go_on().await;
}

#[tokio::test]
async fn a_display_channel_that_says_init_twice_ends() {
    let mut pair = Pair::new().await;
    pair.send_raw(INIT, &[0; 14]).await;
    pair.only_that_one_ends().await;
}

#[tokio::test]
async fn messages_that_are_too_short_for_what_they_say_end_the_channel() {
    let mut pair = Pair::new().await;
    for length in [0, 1, 7, REPORT_BYTES - 1] {
        pair.send_raw(STREAM_REPORT, &[0; REPORT_BYTES][..length]).await;
        pair.only_that_one_ends().await;
    }
    pair.send_raw(PREFERRED_COMPRESSION, &[]).await;
    pair.only_that_one_ends().await;
    for lie in [&[][..], &[1], &[255, 1, 2, 3]] {
        pair.send_raw(PREFERRED_VIDEO_CODEC_TYPE, lie).await;
        pair.only_that_one_ends().await;
    }
}

#[tokio::test]
async fn a_client_may_announce_caches_and_windows_of_any_size() {
    let fixture = fixture(None);
    let mut mains = Vec::new();
    for (cache, window) in [(i64::MIN, i32::MIN), (-1, -1), (0, 0), (1, 1), (i64::MAX, i32::MAX)] {
        let (main, session) = fixture.session().await;
        mains.push(main);
        let mut display = fixture.link(ChannelType::Display, session).await;
        display
            .send(ClientMessage::Init(display::Init {
                pixmap_cache_id: 255,
                pixmap_cache_size: cache,
                glz_dictionary_id: 255,
                glz_dictionary_window_size: window,
            }))
            .await;
        display
            .until(|message: ServerMessage| matches!(message, ServerMessage::Mark).then_some(()))
            .await;
        fixture.display.submit(picture(mains.len() as u8));
        display.image().await;
    }
    assert_eq!(fixture.server.clients(), mains.len());
}
