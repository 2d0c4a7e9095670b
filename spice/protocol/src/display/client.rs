//! What the client says on a display channel.

use bytes::Bytes;

use super::resume::Resume;
use super::stream::{StreamReport, VideoCodec};
use crate::common::{self, ClientCommon};
use crate::error::Result;
use crate::message::{Message, carries_common};
use crate::wire::{Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the client's messages.
    pub mod client_id, "DISPLAY_" {
        INIT = 101,
        STREAM_REPORT = 102,
        PREFERRED_COMPRESSION = 103,
        GL_DRAW_DONE = 104,
        PREFERRED_VIDEO_CODEC_TYPE = 105,
        RESUME = 200,
    }
}

wire_enum! {
    /// How images are to be compressed. 0 is no wish.
    pub enum ImageCompression: u8 {
        /// Not at all.
        Off = 1,
        /// QUIC for photos, GLZ for the rest.
        AutoGlz = 2,
        /// QUIC for photos, LZ for the rest.
        AutoLz = 3,
        /// QUIC.
        Quic = 4,
        /// GLZ.
        Glz = 5,
        /// LZ.
        Lz = 6,
        /// LZ4.
        Lz4 = 7,
    }
}

/// First message of the client. Channels of one client that give the same id share the cache or dictionary; of those
/// that come later the size is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// Image cache.
    pub pixmap_cache_id: u8,
    /// Its capacity in pixels.
    pub pixmap_cache_size: i64,
    /// GLZ dictionary.
    pub glz_dictionary_id: u8,
    /// Its window in pixels; 0 = the client cannot decode GLZ.
    pub glz_dictionary_window_size: i32,
}

/// A client message of a display channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// A message every channel has.
    Common(ClientCommon),
    /// First message.
    Init(Init),
    /// How a stream arrives.
    StreamReport(StreamReport),
    /// How images are to be compressed.
    PreferredCompression(ImageCompression),
    /// The scanout has been read.
    GlDrawDone,
    /// Codecs, most wanted first; at most 255.
    PreferredVideoCodecs(Vec<VideoCodec>),
    /// What it still has of a session that was cut.
    Resume(Resume),
    /// A message with an id that has no meaning here.
    Unknown {
        /// The id.
        id: u16,
        /// The body.
        body: Bytes,
    },
}

carries_common!(ClientMessage, ClientCommon);

impl Message for ClientMessage {
    fn id(&self) -> u16 {
        match self {
            Self::Common(common) => common.id(),
            Self::Init(_) => client_id::INIT,
            Self::StreamReport(_) => client_id::STREAM_REPORT,
            Self::PreferredCompression(_) => client_id::PREFERRED_COMPRESSION,
            Self::GlDrawDone => client_id::GL_DRAW_DONE,
            Self::PreferredVideoCodecs(_) => client_id::PREFERRED_VIDEO_CODEC_TYPE,
            Self::Resume(_) => client_id::RESUME,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        client_id::name(id)
            .or_else(|| common::client_id::name(id))
            .unwrap_or("unknown display message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = client_id::name(id) else {
            return Ok(
                ClientCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            client_id::INIT => Self::Init(Init {
                pixmap_cache_id: reader.u8("pixmap_cache_id")?,
                pixmap_cache_size: reader.i64("pixmap_cache_size")?,
                glz_dictionary_id: reader.u8("glz_dictionary_id")?,
                glz_dictionary_window_size: reader.i32("glz_dictionary_window_size")?,
            }),
            client_id::STREAM_REPORT => Self::StreamReport(StreamReport::decode(&mut reader)?),
            client_id::PREFERRED_COMPRESSION => Self::PreferredCompression(reader.u8("image_compression")?.into()),
            client_id::GL_DRAW_DONE => Self::GlDrawDone,
            client_id::RESUME => Self::Resume(Resume::decode(&mut reader)?),
            _ => {
                let count = reader.u8("num_of_codecs")?;
                Self::PreferredVideoCodecs(reader.items("codecs", u32::from(count), 1, |reader| {
                    reader.u8("codec").map(VideoCodec::from)
                })?)
            }
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out),
            Self::Init(init) => {
                out.u8(init.pixmap_cache_id);
                out.i64(init.pixmap_cache_size);
                out.u8(init.glz_dictionary_id);
                out.i32(init.glz_dictionary_window_size);
            }
            Self::StreamReport(report) => report.encode(out),
            Self::PreferredCompression(compression) => out.u8((*compression).into()),
            Self::GlDrawDone => {}
            Self::PreferredVideoCodecs(codecs) => {
                out.count_u8("num_of_codecs", codecs.len())?;
                codecs.iter().for_each(|codec| out.u8((*codec).into()));
            }
            Self::Resume(resume) => resume.encode(out)?,
            Self::Unknown { body, .. } => out.payload(body),
        }
        Ok(())
    }
}
