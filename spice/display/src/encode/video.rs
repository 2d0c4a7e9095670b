//! The streams of one connection as messages.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use caraway_image::jpeg;
use caraway_ports::{drawing::Clip, geometry::Rect};
use caraway_protocol::display::{
    ServerMessage, StreamActivateReport, StreamCreate, StreamData, StreamDataSized, StreamFlags, StreamReport,
    VideoCodec,
};

use super::{
    Outgoing,
    rate::{Rate, Verdict},
};
use crate::video::{Frame, Stream, bitmap_source};

/// A client is to report after so many frames, or milliseconds: the reference's figures.
const REPORT_FRAMES: u32 = 5;
const REPORT_MILLIS: u32 = 1000;

/// The frame the encoder is busy with.
#[derive(Clone, Copy, Debug)]
struct Current {
    id: u32,
    period: Duration,
    took: Duration,
}

/// What the encoder knows of the streams of its client.
#[derive(Debug)]
pub(super) struct Streams {
    reports: bool,
    /// Media time, milliseconds.
    pub(super) now: u32,
    rates: BTreeMap<u32, Rate>,
    current: Option<Current>,
}

impl Streams {
    pub(super) const fn new(reports: bool) -> Self {
        Self {
            reports,
            now: 0,
            rates: BTreeMap::new(),
            current: None,
        }
    }

    /// Begins a step.
    pub(super) const fn begin(&mut self) {
        self.current = None;
    }

    pub(super) fn create(&mut self, stream: &Stream, dest: Rect, clip: &[Rect]) -> Outgoing {
        self.rates.insert(stream.id, Rate::default());
        let mut messages = vec![ServerMessage::StreamCreate(StreamCreate {
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
        })];
        if self.reports {
            messages.push(ServerMessage::StreamActivateReport(StreamActivateReport {
                stream_id: stream.id,
                unique_id: stream.id,
                max_window_size: REPORT_FRAMES,
                timeout_ms: REPORT_MILLIS,
            }));
        }
        messages
    }

    pub(super) fn destroy(&mut self, stream: &Stream) {
        self.rates.remove(&stream.id);
    }

    /// The message for a frame; `None` when it cannot be encoded.
    pub(super) fn frame(&mut self, frame: &Frame) -> Option<ServerMessage> {
        let id = frame.stream.id;
        let quality = self.rates.entry(id).or_default().quality();
        let bitmap = bitmap_source(&frame.drawable)?;
        let data = Bytes::from(jpeg::encode_frame(&bitmap, quality).ok()?);
        self.current = Some(Current {
            id,
            period: frame.period,
            took: Duration::ZERO,
        });
        // A client takes 0 for none.
        let mm_time = self.now.max(1);
        Some(if frame.moved {
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
        })
    }

    /// Encoding the step took so long.
    pub(super) fn took(&mut self, time: Duration) {
        if let Some(current) = &mut self.current {
            current.took = time;
        }
    }

    /// Writing it took so long.
    pub(super) fn wrote(&mut self, time: Duration) {
        if let Some(current) = self.current.take()
            && let Some(rate) = self.rates.get_mut(&current.id)
        {
            rate.frame(current.took.saturating_add(time), current.period);
        }
    }

    /// What a client says of a stream it may not have any more.
    pub(super) fn report(&mut self, report: &StreamReport) -> Verdict {
        match self.rates.get_mut(&report.stream_id) {
            Some(rate) => rate.report(report, self.now),
            None => Verdict::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_on_streams_that_are_not_there_mean_nothing() {
        let mut streams = Streams::new(true);
        let report = |stream_id| StreamReport {
            stream_id,
            unique_id: u32::MAX,
            start_frame_mm_time: u32::MAX,
            end_frame_mm_time: 0,
            num_frames: 0,
            num_drops: u32::MAX,
            last_frame_delay: i32::MIN,
            audio_delay: 0,
        };
        for id in [0, 49, 50, 64, u32::MAX] {
            assert_eq!(streams.report(&report(id)), Verdict::Fine, "{id}");
        }
        streams.took(Duration::MAX);
        streams.wrote(Duration::MAX);
        assert!(streams.rates.is_empty());
    }
}
