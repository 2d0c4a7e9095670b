//! The display channel: the picture.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use caraway_display::{
    Display, Encoder, EncoderConfig, ImageCounts, ImageSettings, Item, Membership, Mode, Outgoing, PixmapCache,
    StreamCodecs, Verdict, Viewer, ViewerCaps,
};
use caraway_ports::display::CLIENT_CAPABILITY_BYTES;
use caraway_protocol::{
    Message,
    caps::{Caps, DisplayCap},
    common::ServerCommon,
    display::{ClientMessage, ImageCompression, Init, Resume, ServerMessage, StreamReport, VideoCodec},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, mpsc, oneshot, watch},
};
use tracing::debug;

use super::{
    Common, Io, common,
    details::details,
    feed::{Feed, MEASURE_DEADLINE},
    start_acks,
};
use crate::{MediaClock, ServeError, session::Session};

/// A client has this long to say INIT.
const INIT_DEADLINE: Duration = Duration::from_secs(10);

/// Reports on streams that wait to be read; a client that sends more has them dropped.
const REPORTS: usize = 64;

/// A client that does not report on streams has its media clock behind by so much from the begin: the reference's figure.
const UNREPORTED: Duration = Duration::from_millis(400);

/// Commands without much in them that come within so much time of each other are sent together: a person does not notice,
/// and each time that something is sent costs the host, the network and the client more than the command itself.
const TOGETHER: Duration = Duration::from_millis(2);

/// Bytes of pixels that are not much.
const LIGHT_BYTES: usize = 4 * 1024;

/// Items with more pixels than this are encoded beside the event loop.
const INLINE_BYTES: usize = 16 * 1024;

/// What images of a channel depend on besides its client's capabilities.
pub(crate) struct Images<'a> {
    pub(crate) settings: ImageSettings,
    /// The client is on the same machine.
    pub(crate) is_local: bool,
    pub(crate) sent: Arc<ImageCounts>,
    pub(crate) session: &'a Session,
    pub(crate) clock: MediaClock,
}

impl Images<'_> {
    fn join(&self, init: &Init) -> Option<Membership> {
        self.session
            .dictionaries
            .join(init.glz_dictionary_id, init.glz_dictionary_window_size)
    }

    fn encoder(&self, caps: &Caps, membership: Option<&Membership>, cache: Option<PixmapCache>) -> Encoder {
        let config = EncoderConfig {
            settings: self.settings,
            is_local: self.is_local,
            has_lz4: caps.has(DisplayCap::Lz4Compression),
            dictionary: membership.map(Membership::dictionary),
            stream_reports: caps.has(DisplayCap::StreamReport),
            stream_codecs: stream_codecs(caps),
            sent: Arc::clone(&self.sent),
        };
        Encoder::new(config, cache)
    }
}

pub(crate) async fn run<S>(io: Io<S>, display: &Arc<Display>, images: Images<'_>) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Io {
        mut receiver,
        mut sender,
        flow,
        id,
        caps,
    } = io;
    let feed = Arc::new(Feed::new());
    let (init, has_init) = oneshot::channel::<(Init, Resume)>();
    let (wish, mut wished) = watch::channel(images.settings.mode);
    let (order, mut ordered) = watch::channel(Vec::<VideoCodec>::new());
    let (tell, mut told) = mpsc::channel(REPORTS);
    let writer = async {
        start_acks(&mut sender, &flow, ServerMessage::Common).await?;
        let (init, has) = match tokio::time::timeout(INIT_DEADLINE, has_init).await {
            Ok(Ok(init)) => init,
            Ok(Err(_)) => return Ok::<(), ServeError>(()),
            Err(_) => {
                return Err(ServeError::Timeout {
                    what: "send INIT",
                    seconds: INIT_DEADLINE.as_secs(),
                });
            }
        };
        // What a new viewer sees first is to be the screen as it is now, also when nobody looked until now.
        let before = Arc::clone(display);
        tokio::task::spawn_blocking(move || before.refresh())
            .await
            .map_err(|error| ServeError::Task(error.to_string()))?;
        let changed = Arc::new(Notify::new());
        let waker = Arc::clone(&changed);
        let waker = Arc::new(move || waker.notify_one());
        let viewer = display.attach_again(viewer_caps(&caps), &has.surfaces, waker);
        let viewer = Arc::new(viewer);
        let sent = Arc::clone(&images.sent);
        sender
            .counters
            .set_details(details(Arc::downgrade(&viewer), Arc::clone(&feed), sent));
        sender.send(&ServerMessage::InvalAllPalettes).await?;
        // Held until the channel ends: what was encoded and not sent by then is missing in the client's dictionary.
        let membership = images.join(&init);
        let pixmaps = &images.session.pixmaps;
        let cache = pixmaps.join(init.pixmap_cache_id, init.pixmap_cache_size, id.id, &has.images);
        drop(has);
        let mut encoder = images.encoder(&caps, membership.as_ref(), cache);
        viewer.set_lossy(encoder.may_lose());
        if !caps.has(DisplayCap::StreamReport) {
            images.session.need_latency(UNREPORTED);
        }
        if !images.is_local {
            // The first picture is best sent in one piece, but not on a slow link.
            let _ = tokio::time::timeout(MEASURE_DEADLINE, images.session.measured()).await;
        }
        let cap = sender.allowance.bits_per_second();
        let mut given = None;
        let mut began: Option<Instant> = None;
        let mut woken = tokio::time::Instant::now();
        // Bytes of pixels of the largest command since.
        let mut largest = None;
        loop {
            let due = viewer.tick();
            // What is sent is chosen as late as can be: until then it may be replaced.
            if !feed.is_ready() {
                // What was chosen does not wait with it.
                sender.flush().await?;
            }
            feed.ready(&flow).await;
            sender.ready().await?;
            if let Some(began) = began.take() {
                // Until here the link was busy with it.
                encoder.wrote(began.elapsed());
            }
            feed.hear(images.session);
            let delivery = feed.rate(cap);
            let now = (delivery, feed.pace(cap));
            if wished.has_changed().unwrap_or(false) || given != Some(now) {
                given = Some(now);
                encoder.set_mode(*wished.borrow_and_update());
                encoder.set_delivery(delivery);
                viewer.set_lossy(encoder.may_lose());
                viewer.set_pace(now.1);
            }
            if ordered.has_changed().unwrap_or(false) {
                encoder.prefer_stream_codecs(&ordered.borrow_and_update());
            }
            while let Ok(report) = told.try_recv() {
                heed(&report, &mut encoder, &viewer, images.session);
            }
            let Some(item) = viewer.next() else {
                sender.flush().await?;
                feed.on_idle();
                match due {
                    // What is due is done when it has come round again.
                    Some(due) => drop(tokio::time::timeout(due, changed.notified()).await),
                    None => changed.notified().await,
                }
                // What comes at once goes at once, what comes in a row goes together.
                if largest.take().is_some_and(|bytes| bytes < LIGHT_BYTES) {
                    tokio::time::sleep_until(woken + TOGETHER).await;
                }
                woken = tokio::time::Instant::now();
                continue;
            };
            let (pixel_bytes, before) = (item.pixel_bytes(), sender.counters.bytes_sent());
            largest = largest.max(Some(pixel_bytes));
            if pixel_bytes > INLINE_BYTES {
                // What is ready does not wait for what takes a while.
                sender.flush().await?;
            }
            // Nothing else is sent here until the item's messages are.
            encoder.set_serial(sender.next_serial());
            encoder.set_media_time(images.clock.now());
            let (back, messages) = encode(encoder, item).await?;
            encoder = back;
            began = Some(Instant::now());
            for message in &messages {
                sender.add(message).await?;
            }
            feed.on_sent(sender.counters.bytes_sent() - before, pixel_bytes);
            if let Some(ping) = feed.probe() {
                sender.add(&ServerMessage::Common(ServerCommon::Ping(ping))).await?;
            }
        }
    };
    let reader = async {
        let mut init = Some(init);
        let mut has = None;
        while let Some(frame) = receiver.next().await? {
            match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => match common(&flow, id, &message)? {
                    Common::Done => {}
                    Common::Pong(pong) => feed.on_pong(pong, &flow),
                    Common::Leaving => return Ok(()),
                },
                ClientMessage::Init(message) => match init.take() {
                    Some(init) => {
                        if init.send((message, has.take().unwrap_or_default())).is_err() {
                            return Ok(());
                        }
                    }
                    None => {
                        return Err(ServeError::Unexpected {
                            channel: id,
                            id: frame.id,
                            why: "INIT was sent before",
                        });
                    }
                },
                ClientMessage::Resume(what) => {
                    let may = caps.has(DisplayCap::Resume) && init.is_some() && has.is_none();
                    if !may {
                        return Err(ServeError::Unexpected {
                            channel: id,
                            id: frame.id,
                            why: "RESUME comes once, before INIT, and is announced",
                        });
                    }
                    has = Some(what);
                }
                ClientMessage::PreferredCompression(compression) => {
                    if let Some(mode) = mode(compression) {
                        wish.send_replace(mode);
                    }
                }
                ClientMessage::PreferredVideoCodecs(codecs) => drop(order.send_replace(codecs)),
                // More than are read at a time say nothing new.
                ClientMessage::StreamReport(report) => drop(tell.try_send(report)),
                other => debug!(message = other.name(), "ignored"),
            }
        }
        Ok::<(), ServeError>(())
    };
    tokio::select! {
        result = writer => result,
        result = reader => result,
    }
}

/// Does what a client's report on a stream asks for.
fn heed(report: &StreamReport, encoder: &mut Encoder, viewer: &Viewer, session: &Session) {
    match encoder.report(report) {
        Verdict::Fine => {}
        Verdict::Late(by) => session.raise_latency(by),
        Verdict::Useless => {
            debug!(stream = report.stream_id, "the client cannot decode any video");
            viewer.refuse_streams();
        }
    }
}

/// Puts an item into messages; a large one, or one that may have to wait, on a thread that may take its time.
async fn encode(mut encoder: Encoder, item: Item) -> Result<(Encoder, Outgoing), ServeError> {
    let bytes = item.pixel_bytes();
    let timed = move |mut encoder: Encoder| {
        let began = Instant::now();
        let messages = encoder.encode(&item);
        encoder.took(began.elapsed());
        (encoder, messages)
    };
    let messages;
    if bytes <= INLINE_BYTES && !(bytes > 0 && encoder.may_wait()) {
        (encoder, messages) = timed(encoder);
    } else {
        (encoder, messages) = tokio::task::spawn_blocking(move || timed(encoder))
            .await
            .map_err(|error| ServeError::Task(error.to_string()))?;
    }
    Ok((encoder, messages?))
}

/// The mode a client asks for; none for numbers without a meaning.
const fn mode(compression: ImageCompression) -> Option<Mode> {
    Some(match compression {
        ImageCompression::Off => Mode::Off,
        ImageCompression::AutoGlz => Mode::AutoGlz,
        ImageCompression::AutoLz => Mode::AutoLz,
        ImageCompression::Quic => Mode::Quic,
        ImageCompression::Glz => Mode::Glz,
        ImageCompression::Lz => Mode::Lz,
        ImageCompression::Lz4 => Mode::Lz4,
        ImageCompression::Unknown(_) => return None,
    })
}

fn viewer_caps(caps: &Caps) -> ViewerCaps {
    ViewerCaps {
        composite: caps.has(DisplayCap::Composite),
        a8_surface: caps.has(DisplayCap::A8Surface),
        monitors: caps.has(DisplayCap::MonitorsConfig),
        streams: !stream_codecs(caps).is_empty(),
        sized_streams: caps.has(DisplayCap::SizedStream),
        all: caps_for_guest(caps),
    }
}

/// What a client is shown video in. One that says nothing of codecs knows the first there was.
fn stream_codecs(caps: &Caps) -> StreamCodecs {
    let says = caps.has(DisplayCap::MultiCodec);
    StreamCodecs::of(|codec| match codec {
        VideoCodec::Mjpeg => caps.has(DisplayCap::CodecMjpeg) || !says,
        VideoCodec::H264 => caps.has(DisplayCap::CodecH264) && says,
        _ => false,
    })
}

/// Capability i is bit i%8 of byte i/8; what is past the end no guest can be told of.
fn caps_for_guest(caps: &Caps) -> [u8; CLIENT_CAPABILITY_BYTES] {
    let mut bytes = [0; CLIENT_CAPABILITY_BYTES];
    let words = caps.words().iter().flat_map(|word| word.to_le_bytes());
    bytes.iter_mut().zip(words).for_each(|(byte, given)| *byte = given);
    bytes
}
