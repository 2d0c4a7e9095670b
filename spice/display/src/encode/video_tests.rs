use std::sync::Arc;

use caraway_image::Limits;
use caraway_ports::drawing::{BitmapFormat, Drawable, ScaleMode};

use super::*;

const PERIOD: Duration = Duration::from_millis(40);

fn stream(id: u32, (width, height): (u32, u32)) -> Arc<Stream> {
    Arc::new(Stream {
        id,
        life: u64::from(id),
        surface: 0,
        width,
        height,
    })
}

/// A smooth frame that is another one with every `shift`.
fn frame(stream: &Arc<Stream>, shift: u32) -> Frame {
    let Stream { width, height, .. } = **stream;
    let pixel = |at: u32| [(at % width / 2 + shift) as u8, (at / width / 2) as u8, shift as u8, 0];
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: (0..width * height).flat_map(pixel).collect(),
    };
    let area = Rect::at(0, 0, width, height);
    let copy = Drawable::copy(0, area, Arc::new(bitmap), ScaleMode::Nearest);
    Frame {
        stream: Arc::clone(stream),
        drawable: Arc::new(copy),
        period: PERIOD,
        moved: false,
    }
}

fn report(stream_id: u32, num_frames: u32, num_drops: u32) -> StreamReport {
    StreamReport {
        stream_id,
        unique_id: stream_id,
        start_frame_mm_time: 0,
        end_frame_mm_time: 0,
        num_frames,
        num_drops,
        last_frame_delay: 100,
        audio_delay: u32::MAX,
    }
}

fn useless(stream_id: u32) -> StreamReport {
    report(stream_id, 0, u32::MAX)
}

/// What a client does with messages.
#[derive(Default)]
struct Client {
    streams: BTreeMap<u32, VideoCodec>,
    told: Vec<String>,
}

impl Client {
    fn take(&mut self, messages: impl IntoIterator<Item = ServerMessage>) {
        for message in messages {
            let told = match message {
                ServerMessage::StreamCreate(create) => {
                    let before = self.streams.insert(create.id, create.codec);
                    assert_eq!(before, None, "the number is taken");
                    format!("create {} {:?}", create.id, create.codec)
                }
                ServerMessage::StreamActivateReport(activate) => format!("report {}", activate.stream_id),
                ServerMessage::StreamClip { id, .. } => format!("clip {id}"),
                ServerMessage::StreamDestroy(id) => {
                    assert!(self.streams.remove(&id).is_some(), "no stream {id}");
                    format!("destroy {id}")
                }
                ServerMessage::StreamData(StreamData { id, data, .. }) => self.data("frame", id, &data),
                ServerMessage::StreamDataSized(StreamDataSized { id, data, .. }) => self.data("sized", id, &data),
                other => panic!("{other:?}"),
            };
            self.told.push(told);
        }
    }

    fn data(&self, what: &str, id: u32, data: &Bytes) -> String {
        match self.streams[&id] {
            VideoCodec::Mjpeg => drop(jpeg::decode(data, &Limits::default()).unwrap()),
            _ => assert_eq!(data[..4], [0, 0, 0, 1]),
        }
        format!("{what} {id}")
    }

    /// Takes a frame; the codec it came in, if it was one.
    fn frame(&mut self, streams: &mut Streams, frame: &Frame) -> Option<Codec> {
        let (before, encoded) = streams.frame(frame);
        self.take(before);
        match encoded {
            Encoded::Frame(message, codec) => {
                self.take([message]);
                Some(codec)
            }
            Encoded::Image => None,
            Encoded::LeftOut => panic!("there is room"),
        }
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn reports_on_streams_that_are_not_there_mean_nothing() {
    let mut streams = Streams::new(true, StreamCodecs::default());
    for id in [0, 49, 50, 64, u32::MAX] {
        assert_eq!(streams.report(&useless(id)), Verdict::Fine, "{id}");
    }
    streams.took(Duration::MAX);
    streams.wrote(Duration::MAX);
    assert!(streams.open.is_empty());
}

#[test]
fn a_client_that_decodes_nothing_else_is_shown_jpeg_and_then_nothing() {
    let (mut streams, mut client) = (Streams::new(true, StreamCodecs::default()), Client::default());
    let one = stream(3, (160, 120));
    client.take(streams.create(&one, Rect::at(0, 0, 160, 120), &[]));
    assert_eq!(client.frame(&mut streams, &frame(&one, 0)), Some(Codec::Mjpeg));
    client.take(streams.clip(3, &[]));
    assert_eq!(client.told(), ["create 3 Mjpeg", "report 3", "frame 3", "clip 3"]);
    streams.prefer(&[VideoCodec::H264, VideoCodec::Unknown(200)]);
    let moved = Frame {
        moved: true,
        ..frame(&one, 1)
    };
    assert_eq!(client.frame(&mut streams, &moved), Some(Codec::Mjpeg));
    assert_eq!(streams.report(&report(3, 5, 1)), Verdict::Fine);
    assert_eq!(streams.report(&useless(3)), Verdict::Useless);
    client.take(streams.destroy(&one));
    assert_eq!(client.told(), ["sized 3", "destroy 3"]);
}

#[test]
fn a_client_is_told_nothing_of_a_stream_that_there_is_no_codec_for() {
    let (mut streams, mut client) = (Streams::new(true, StreamCodecs::of(|_| false)), Client::default());
    let one = stream(0, (160, 120));
    client.take(streams.create(&one, Rect::at(0, 0, 160, 120), &[]));
    assert_eq!(client.frame(&mut streams, &frame(&one, 0)), None);
    client.take(streams.clip(0, &[]));
    assert_eq!(streams.report(&useless(0)), Verdict::Fine);
    client.take(streams.destroy(&one));
    assert_eq!(client.told(), [""; 0]);
}

#[cfg(feature = "h264")]
mod with_h264 {
    use super::*;

    fn all() -> Streams {
        Streams::new(false, StreamCodecs::of(|_| true))
    }

    fn begin(streams: &mut Streams, client: &mut Client, stream: &Stream) {
        client.take(streams.create(stream, Rect::at(0, 0, stream.width, stream.height), &[]));
    }

    #[test]
    fn a_client_that_decodes_it_is_shown_h264_until_it_wants_something_else() {
        let (mut streams, mut client) = (all(), Client::default());
        let one = stream(0, (160, 120));
        begin(&mut streams, &mut client, &one);
        assert_eq!(client.frame(&mut streams, &frame(&one, 0)), Some(Codec::H264));
        let moved = Frame {
            moved: true,
            ..frame(&one, 1)
        };
        assert_eq!(client.frame(&mut streams, &moved), Some(Codec::H264));
        assert_eq!(client.told(), ["create 0 H264", "frame 0", "sized 0"]);
        // None that it could have.
        streams.prefer(&[VideoCodec::Vp9, VideoCodec::Unknown(77)]);
        assert_eq!(client.frame(&mut streams, &frame(&one, 2)), Some(Codec::H264));
        streams.prefer(&[VideoCodec::Vp9, VideoCodec::Mjpeg]);
        streams.clip(0, &[]);
        assert_eq!(client.frame(&mut streams, &frame(&one, 3)), Some(Codec::Mjpeg));
        assert_eq!(client.told(), ["frame 0", "destroy 0", "create 0 Mjpeg", "frame 0"]);
        assert_eq!(
            streams.open[&0].told.clip,
            Clip::Rects([].into()),
            "it is told the last clip"
        );
        let two = stream(1, (160, 120));
        begin(&mut streams, &mut client, &two);
        streams.prefer(&[]);
        assert_eq!(client.frame(&mut streams, &frame(&two, 4)), Some(Codec::H264));
        assert_eq!(
            client.told(),
            ["create 1 Mjpeg", "destroy 1", "create 1 H264", "frame 1"]
        );
        // It had no frame since.
        client.take(streams.destroy(&one));
        assert_eq!(client.told(), ["destroy 0"]);
    }

    #[test]
    fn what_does_not_fit_is_jpeg_and_a_client_without_that_is_sent_images() {
        let (mut streams, mut client) = (all(), Client::default());
        for (id, size) in [(161, 120), (160, 121), (62, 300), (3842, 100)].into_iter().enumerate() {
            let odd = stream(id as u32, size);
            begin(&mut streams, &mut client, &odd);
            assert_eq!(
                client.frame(&mut streams, &frame(&odd, 0)),
                Some(Codec::Mjpeg),
                "{size:?}"
            );
        }
        let only = StreamCodecs::of(|codec| codec == VideoCodec::H264);
        let (mut streams, mut client) = (Streams::new(true, only), Client::default());
        let odd = stream(0, (161, 120));
        begin(&mut streams, &mut client, &odd);
        assert_eq!(client.frame(&mut streams, &frame(&odd, 0)), None);
        assert_eq!(client.told(), [""; 0]);
    }

    #[test]
    fn all_streams_of_a_client_have_no_more_pixels_than_one_may_have() {
        let (mut streams, mut client) = (all(), Client::default());
        let large: Vec<_> = (0..3).map(|id| stream(id, (1920, 2160))).collect();
        large.iter().for_each(|large| begin(&mut streams, &mut client, large));
        let small = stream(3, (64, 64));
        begin(&mut streams, &mut client, &small);
        assert_eq!(
            client.told(),
            ["create 0 H264", "create 1 H264", "create 2 Mjpeg", "create 3 Mjpeg"]
        );
        client.take(streams.destroy(&large[0]));
        let next = stream(0, (64, 64));
        begin(&mut streams, &mut client, &next);
        assert_eq!(client.told(), ["destroy 0", "create 0 H264"]);
    }

    #[test]
    fn a_client_that_cannot_decode_it_after_all_is_shown_jpeg() {
        let (mut streams, mut client) = (all(), Client::default());
        let [one, two] = [0, 1].map(|id| stream(id, (160, 120)));
        begin(&mut streams, &mut client, &one);
        begin(&mut streams, &mut client, &two);
        for shift in 0..3 {
            client.frame(&mut streams, &frame(&one, shift));
            client.frame(&mut streams, &frame(&two, shift));
        }
        client.told();
        // It answers every message, and the first answer comes when three frames are on their way.
        assert_eq!(streams.report(&useless(0)), Verdict::Fine);
        assert_eq!(streams.report(&useless(1)), Verdict::Fine);
        assert_eq!(client.frame(&mut streams, &frame(&one, 4)), Some(Codec::Mjpeg));
        assert_eq!(client.frame(&mut streams, &frame(&two, 4)), Some(Codec::Mjpeg));
        let begun_anew = [
            "destroy 0",
            "create 0 Mjpeg",
            "frame 0",
            "destroy 1",
            "create 1 Mjpeg",
            "frame 1",
        ];
        assert_eq!(client.told(), begun_anew);
        for id in [0, 1, 0, 1, 0, 1] {
            assert_eq!(streams.report(&useless(id)), Verdict::Fine);
        }
        streams.prefer(&[VideoCodec::H264]);
        assert_eq!(client.frame(&mut streams, &frame(&two, 5)), Some(Codec::Mjpeg));
        assert_eq!(streams.report(&useless(1)), Verdict::Useless, "nor can it decode JPEG");
    }

    #[test]
    fn answers_to_what_was_long_ago_do_not_come_any_more() {
        let (mut streams, mut client) = (all(), Client::default());
        let one = stream(0, (64, 64));
        begin(&mut streams, &mut client, &one);
        for shift in 0..300 {
            client.frame(&mut streams, &frame(&one, shift));
        }
        streams.prefer(&[VideoCodec::Mjpeg]);
        client.frame(&mut streams, &frame(&one, 0));
        for _ in 0..ON_THEIR_WAY {
            assert_eq!(streams.report(&useless(0)), Verdict::Fine);
        }
        streams.report(&useless(0));
        assert_eq!(client.frame(&mut streams, &frame(&one, 0)), Some(Codec::H264));
    }

    #[test]
    fn a_link_that_takes_long_lowers_the_rate_and_frames_that_begin_anew_say_nothing() {
        let (mut streams, mut client) = (all(), Client::default());
        let one = stream(0, (640, 480));
        begin(&mut streams, &mut client, &one);
        let mut bits = |shift, took, wrote| {
            client.frame(&mut streams, &frame(&one, shift));
            streams.took(took);
            streams.wrote(wrote);
            streams.open.get_mut(&0).unwrap().rate.bits_per_second(u64::MAX)
        };
        assert_eq!(bits(0, PERIOD, PERIOD * 9), 10_000_000);
        assert_eq!(
            bits(1, PERIOD * 9, PERIOD / 4),
            10_000_000,
            "encoding would take as long at another rate"
        );
        assert_eq!(bits(2, PERIOD / 4, PERIOD), 5_000_000);
        assert_eq!(bits(3, PERIOD / 4, PERIOD * 9), 5_000_000, "it began anew");
        assert_eq!(bits(4, PERIOD / 4, PERIOD * 9), 1_250_000);
    }

    #[test]
    fn streams_share_what_the_link_delivers() {
        let (mut streams, mut client) = (all(), Client::default());
        let [large, small] = [stream(0, (640, 480)), stream(1, (320, 240))];
        begin(&mut streams, &mut client, &large);
        begin(&mut streams, &mut client, &small);
        let room = |delivery: Option<u64>, stream: &Arc<Stream>| {
            let all = streams.open.values().map(|stream| &stream.told);
            h264::room(&frame(stream, 0), delivery, all)
        };
        assert_eq!(room(None, &large), 640 * 480 * 24 * 25 / 10);
        assert_eq!(room(Some(u64::MAX), &small), 320 * 240 * 24 * 25 / 10);
        assert_eq!(room(Some(10_000_000), &large), 8_000_000 / 5 * 4);
        assert_eq!(room(Some(10_000_000), &small), 8_000_000 / 5);
        assert_eq!(room(Some(0), &small), 0);
    }
}
