//! The streams of one connection as messages.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use caraway_image::jpeg;
use caraway_ports::{
    drawing::{Bitmap, Clip},
    geometry::Rect,
};
use caraway_protocol::display::{
    ServerMessage, StreamActivateReport, StreamCreate, StreamData, StreamDataSized, StreamFlags, StreamReport,
    VideoCodec,
};

use super::{
    Outgoing,
    counts::Codec,
    h264::{self, Coder},
    rate::{Rate, Verdict},
    stream_codecs::StreamCodecs,
};
use crate::video::{Frame, Stream, bitmap_source};

/// A client is to report after so many frames, or milliseconds: the reference's figures.
const REPORT_FRAMES: u32 = 5;
const REPORT_MILLIS: u32 = 1000;

/// Messages of a stream that are on their way to its client, at most: more than any link holds.
const ON_THEIR_WAY: u64 = 100;

/// The frame the encoder is busy with.
#[derive(Clone, Copy, Debug)]
struct Current {
    id: u32,
    period: Duration,
    took: Duration,
}

/// A stream.
#[derive(Debug)]
struct Open {
    /// As its client was last told of it. Its codec is not, if there is none that both sides have.
    told: StreamCreate,
    coder: Option<Coding>,
    rate: Rate,
    /// Its codec is to be another one.
    is_stale: bool,
    /// Messages since it began that a client which cannot decode it answers, each with the same report.
    answerable: u64,
    /// So many such reports may still come that mean what was before.
    answered: u64,
}

/// How the frames of a stream are encoded.
#[derive(Debug)]
enum Coding {
    Mjpeg,
    H264(Box<Coder>),
}

/// What became of a frame.
#[derive(Debug)]
pub(super) enum Encoded {
    /// A message.
    Frame(ServerMessage, Codec),
    /// There was no room for it.
    LeftOut,
    /// It is to be sent as an image.
    Image,
}

/// What the encoder knows of the streams of its client.
#[derive(Debug)]
pub(super) struct Streams {
    reports: bool,
    codecs: StreamCodecs,
    /// Media time, milliseconds.
    pub(super) now: u32,
    /// Bits a second that the link was measured to deliver.
    pub(super) delivery: Option<u64>,
    open: BTreeMap<u32, Open>,
    current: Option<Current>,
}

impl Streams {
    pub(super) const fn new(reports: bool, codecs: StreamCodecs) -> Self {
        Self {
            reports,
            codecs,
            now: 0,
            delivery: None,
            open: BTreeMap::new(),
            current: None,
        }
    }

    /// Begins a step.
    pub(super) const fn begin(&mut self) {
        self.current = None;
    }

    /// Takes up the order of codecs that the client wants. Streams that this makes other ones begin anew.
    pub(super) fn prefer(&mut self, order: &[VideoCodec]) {
        if self.codecs.prefer(order) {
            self.open.values_mut().for_each(|stream| stream.is_stale = true);
        }
    }

    pub(super) fn create(&mut self, stream: &Stream, dest: Rect, clip: &[Rect]) -> Outgoing {
        self.start(
            StreamCreate {
                surface_id: stream.surface,
                id: stream.id,
                flags: StreamFlags::TOP_DOWN,
                codec: VideoCodec::Mjpeg,
                stamp: 0,
                stream_width: stream.width,
                stream_height: stream.height,
                src_width: stream.width,
                src_height: stream.height,
                dest,
                clip: Clip::Rects(clip.into()),
            },
            0,
        )
    }

    /// Begins a stream in the codec the client wants most of those that take it. The client is told nothing of one that has
    /// none: its frames are images.
    fn start(&mut self, mut told: StreamCreate, answered: u64) -> Outgoing {
        let (id, mut messages) = (told.id, Outgoing::new());
        self.open.remove(&id);
        let chosen = self.choose(&told);
        let mut stream = Open {
            told: told.clone(),
            coder: None,
            rate: Rate::default(),
            is_stale: false,
            answerable: 0,
            answered,
        };
        if let Some((codec, coder)) = chosen {
            told.codec = codec;
            stream.told = told.clone();
            stream.rate = coder.rate();
            stream.coder = Some(coder);
            stream.answerable = 1 + u64::from(self.reports);
            messages.push(ServerMessage::StreamCreate(told));
            if self.reports {
                messages.push(ServerMessage::StreamActivateReport(StreamActivateReport {
                    stream_id: id,
                    unique_id: id,
                    max_window_size: REPORT_FRAMES,
                    timeout_ms: REPORT_MILLIS,
                }));
            }
        }
        self.open.insert(id, stream);
        messages
    }

    /// The codec that the client wants most of those that take the stream.
    fn choose(&self, stream: &StreamCreate) -> Option<(VideoCodec, Coding)> {
        let others = self.open.values().filter(|other| other.told.id != stream.id);
        let coding = |codec| match codec {
            VideoCodec::Mjpeg => Some(Coding::Mjpeg),
            VideoCodec::H264 => {
                let others = others
                    .clone()
                    .filter(|other| matches!(other.coder, Some(Coding::H264(_))));
                let coder = Coder::new(stream, others.map(|other| &other.told))?;
                Some(Coding::H264(Box::new(coder)))
            }
            _ => None,
        };
        self.codecs.iter().find_map(|codec| Some((codec, coding(codec)?)))
    }

    pub(super) fn clip(&mut self, id: u32, clip: &[Rect]) -> Option<ServerMessage> {
        let stream = self.open.get_mut(&id)?;
        stream.told.clip = Clip::Rects(clip.into());
        stream.coder.is_some().then(|| ServerMessage::StreamClip {
            id,
            clip: stream.told.clip.clone(),
        })
    }

    pub(super) fn destroy(&mut self, stream: &Stream) -> Option<ServerMessage> {
        let known = self.open.remove(&stream.id)?;
        known.coder.is_some().then_some(ServerMessage::StreamDestroy(stream.id))
    }

    /// What to send before a frame, and what becomes of it.
    pub(super) fn frame(&mut self, frame: &Frame) -> (Outgoing, Encoded) {
        let Some(bitmap) = bitmap_source(&frame.drawable) else {
            return (Outgoing::new(), Encoded::Image);
        };
        let before = self.renew(frame.stream.id);
        let encoded = self.encode(frame, &bitmap).unwrap_or(Encoded::Image);
        (before, encoded)
    }

    /// Begins a stream anew if it is to have another codec.
    fn renew(&mut self, id: u32) -> Outgoing {
        let mut messages = Outgoing::new();
        let Some(stream) = self.open.get(&id).filter(|stream| stream.is_stale) else {
            return messages;
        };
        let codec = self.choose(&stream.told).map(|(codec, _)| codec);
        if stream.codec() == codec {
            self.open.entry(id).and_modify(|stream| stream.is_stale = false);
            return messages;
        }
        let on_their_way = stream.answerable.min(ON_THEIR_WAY);
        let (told, answered) = (stream.told.clone(), stream.answered.saturating_add(on_their_way));
        if stream.coder.is_some() {
            messages.push(ServerMessage::StreamDestroy(id));
        }
        messages.extend(self.start(told, answered));
        messages
    }

    fn encode(&mut self, frame: &Frame, bitmap: &Bitmap) -> Option<Encoded> {
        let id = frame.stream.id;
        let room = h264::room(frame, self.delivery, self.open.values().map(|stream| &stream.told));
        let stream = self.open.get_mut(&id)?;
        let mut judged = true;
        let (data, codec) = match stream.coder.as_mut()? {
            Coding::Mjpeg => {
                let data = jpeg::encode_frame(bitmap, stream.rate.quality()).ok()?;
                (data, Codec::Mjpeg)
            }
            Coding::H264(coder) => {
                let bits = stream.rate.bits_per_second(room);
                let Some((data, begins)) = coder.encode(bitmap, bits, frame.period).ok()? else {
                    return Some(Encoded::LeftOut);
                };
                // What is larger than the others says nothing of them.
                judged = !begins;
                (data, Codec::H264)
            }
        };
        let data = Bytes::from(data);
        stream.answerable = stream.answerable.saturating_add(1);
        self.current = judged.then_some(Current {
            id,
            period: frame.period,
            took: Duration::ZERO,
        });
        // A client takes 0 for none.
        let mm_time = self.now.max(1);
        let message = if frame.moved {
            ServerMessage::StreamDataSized(StreamDataSized {
                id,
                mm_time,
                width: bitmap.width,
                height: bitmap.height,
                dest: frame.dest(),
                data,
            })
        } else {
            ServerMessage::StreamData(StreamData { id, mm_time, data })
        };
        Some(Encoded::Frame(message, codec))
    }

    /// Encoding the step took so long.
    pub(super) fn took(&mut self, time: Duration) {
        if let Some(current) = &mut self.current
            && self.open.get(&current.id).is_some_and(Open::is_quicker_when_worse)
        {
            current.took = time;
        }
    }

    /// Writing it took so long.
    pub(super) fn wrote(&mut self, time: Duration) {
        if let Some(current) = self.current.take()
            && let Some(stream) = self.open.get_mut(&current.id)
        {
            stream.rate.frame(current.took.saturating_add(time), current.period);
        }
    }

    /// What a client says of a stream it may not have any more. Of one that it cannot decode the codec is not used again.
    pub(super) fn report(&mut self, report: &StreamReport) -> Verdict {
        let Some(stream) = self.open.get_mut(&report.stream_id) else {
            return Verdict::Fine;
        };
        let verdict = stream.rate.report(report, self.now);
        if verdict != Verdict::Useless {
            return verdict;
        }
        if stream.answered > 0 {
            stream.answered -= 1;
            return Verdict::Fine;
        }
        stream.answerable = stream.answerable.saturating_sub(1);
        let Some(codec) = stream.codec().filter(|_| !stream.is_stale) else {
            return Verdict::Fine;
        };
        self.codecs.remove(codec);
        if self.codecs.is_empty() {
            return Verdict::Useless;
        }
        for stream in self.open.values_mut().filter(|stream| stream.codec() == Some(codec)) {
            stream.is_stale = true;
        }
        Verdict::Fine
    }
}

impl Coding {
    fn rate(&self) -> Rate {
        match self {
            Self::Mjpeg => Rate::default(),
            Self::H264(_) => Rate::of_bits(),
        }
    }
}

impl Open {
    /// The codec its client was told.
    fn codec(&self) -> Option<VideoCodec> {
        self.coder.is_some().then_some(self.told.codec)
    }

    /// Whether frames of less quality take less time to encode.
    const fn is_quicker_when_worse(&self) -> bool {
        matches!(self.coder, Some(Coding::Mjpeg))
    }
}

#[cfg(test)]
#[path = "video_tests.rs"]
mod tests;
