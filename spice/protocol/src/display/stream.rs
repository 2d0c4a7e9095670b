//! Video streams.

use bitflags::bitflags;
use bytes::Bytes;
use caraway_ports::drawing::Clip;
use caraway_ports::geometry::Rect;

use super::draw::{decode_clip, encode_clip};
use crate::error::Result;
use crate::wire::{Reader, Writer, wire_enum};

wire_enum! {
    /// Codec of a video stream.
    pub enum VideoCodec: u8 {
        /// One JPEG for each frame.
        Mjpeg = 1,
        /// VP8, one frame without container.
        Vp8 = 2,
        /// H.264, Annex B, one access unit.
        H264 = 3,
        /// VP9, one frame without container.
        Vp9 = 4,
        /// H.265, Annex B, one access unit.
        H265 = 5,
    }
}

bitflags! {
    /// How frames lie.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct StreamFlags: u8 {
        /// The first row of a frame is the top one.
        const TOP_DOWN = 1;
        const _ = !0;
    }
}

/// STREAM_CREATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCreate {
    /// Surface the frames are drawn on.
    pub surface_id: u32,
    /// Number of the stream, 0 to 63, not in use.
    pub id: u32,
    /// How frames lie.
    pub flags: StreamFlags,
    /// How frames are encoded.
    pub codec: VideoCodec,
    /// 0.
    pub stamp: u64,
    /// Pixels across of an encoded frame.
    pub stream_width: u32,
    /// Rows of an encoded frame.
    pub stream_height: u32,
    /// Pixels across of the source.
    pub src_width: u32,
    /// Rows of the source.
    pub src_height: u32,
    /// Where frames are drawn, scaled.
    pub dest: Rect,
    /// The part of `dest` that is drawn.
    pub clip: Clip,
}

impl StreamCreate {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            surface_id: reader.u32("surface_id")?,
            id: reader.u32("id")?,
            flags: StreamFlags::from_bits_retain(reader.u8("flags")?),
            codec: reader.u8("codec_type")?.into(),
            stamp: reader.u64("stamp")?,
            stream_width: reader.u32("stream_width")?,
            stream_height: reader.u32("stream_height")?,
            src_width: reader.u32("src_width")?,
            src_height: reader.u32("src_height")?,
            dest: reader.rect("dest")?,
            clip: decode_clip(reader)?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<()> {
        out.u32(self.surface_id);
        out.u32(self.id);
        out.u8(self.flags.bits());
        out.u8(self.codec.into());
        out.u64(self.stamp);
        out.u32(self.stream_width);
        out.u32(self.stream_height);
        out.u32(self.src_width);
        out.u32(self.src_height);
        out.rect(&self.dest);
        encode_clip(&self.clip, out)
    }
}

/// STREAM_DATA: one encoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamData {
    /// The stream.
    pub id: u32,
    /// When it is to be shown, multimedia clock in milliseconds.
    pub mm_time: u32,
    /// The frame.
    pub data: Bytes,
}

impl StreamData {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            id: reader.u32("id")?,
            mm_time: reader.u32("multi_media_time")?,
            data: frame(reader)?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<()> {
        out.u32(self.id);
        out.u32(self.mm_time);
        out.count_u32("data_size", self.data.len())?;
        out.payload(&self.data);
        Ok(())
    }
}

/// STREAM_DATA_SIZED: one encoded frame with a size and place of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDataSized {
    /// The stream.
    pub id: u32,
    /// When it is to be shown, multimedia clock in milliseconds.
    pub mm_time: u32,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Where it is drawn, in place of the stream's.
    pub dest: Rect,
    /// The frame.
    pub data: Bytes,
}

impl StreamDataSized {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            id: reader.u32("id")?,
            mm_time: reader.u32("multi_media_time")?,
            width: reader.u32("width")?,
            height: reader.u32("height")?,
            dest: reader.rect("dest")?,
            data: frame(reader)?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<()> {
        out.u32(self.id);
        out.u32(self.mm_time);
        out.u32(self.width);
        out.u32(self.height);
        out.rect(&self.dest);
        out.count_u32("data_size", self.data.len())?;
        out.payload(&self.data);
        Ok(())
    }
}

fn frame(reader: &mut Reader<'_>) -> Result<Bytes> {
    let size = reader.u32("data_size")?;
    reader.bytes("data", u64::from(size))
}

/// STREAM_ACTIVATE_REPORT: the client is to report on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamActivateReport {
    /// The stream.
    pub stream_id: u32,
    /// Echoed in reports.
    pub unique_id: u32,
    /// Frames after which a report is due.
    pub max_window_size: u32,
    /// Milliseconds after which a report is due.
    pub timeout_ms: u32,
}

impl StreamActivateReport {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            stream_id: reader.u32("stream_id")?,
            unique_id: reader.u32("unique_id")?,
            max_window_size: reader.u32("max_window_size")?,
            timeout_ms: reader.u32("timeout_ms")?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.stream_id);
        out.u32(self.unique_id);
        out.u32(self.max_window_size);
        out.u32(self.timeout_ms);
    }
}

/// STREAM_REPORT: how a stream arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// The stream.
    pub stream_id: u32,
    /// That of the activation.
    pub unique_id: u32,
    /// Multimedia time of the first frame.
    pub start_frame_mm_time: u32,
    /// Multimedia time of the last frame.
    pub end_frame_mm_time: u32,
    /// Frames received.
    pub num_frames: u32,
    /// Frames dropped.
    pub num_drops: u32,
    /// Time of the last frame minus the client's clock, milliseconds; negative = late.
    pub last_frame_delay: i32,
    /// Sound that is buffered, milliseconds; `u32::MAX` = no sound.
    pub audio_delay: u32,
}

impl StreamReport {
    /// Whether it says that the client cannot play the stream, or does not know it.
    #[must_use]
    pub const fn cannot_decode(&self) -> bool {
        self.num_frames == 0 && self.num_drops == u32::MAX
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            stream_id: reader.u32("stream_id")?,
            unique_id: reader.u32("unique_id")?,
            start_frame_mm_time: reader.u32("start_frame_mm_time")?,
            end_frame_mm_time: reader.u32("end_frame_mm_time")?,
            num_frames: reader.u32("num_frames")?,
            num_drops: reader.u32("num_drops")?,
            last_frame_delay: reader.i32("last_frame_delay")?,
            audio_delay: reader.u32("audio_delay")?,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.stream_id);
        out.u32(self.unique_id);
        out.u32(self.start_frame_mm_time);
        out.u32(self.end_frame_mm_time);
        out.u32(self.num_frames);
        out.u32(self.num_drops);
        out.i32(self.last_frame_delay);
        out.u32(self.audio_delay);
    }
}
