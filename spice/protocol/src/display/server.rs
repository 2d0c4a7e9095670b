//! What the server says on a display channel.

use bytes::Bytes;
use caraway_ports::drawing::Clip;

use super::draw::{Draw, decode_clip, encode_clip};
use super::stream::{StreamActivateReport, StreamCreate, StreamData, StreamDataSized};
use super::surface::{GlScanout, GlScanout2, MonitorsConfig, SurfaceCreate};
use crate::common::{self, ServerCommon, WaitFor};
use crate::error::Result;
use crate::message::{Message, carries_common};
use crate::wire::{Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "DISPLAY_" {
        MODE = 101,
        MARK = 102,
        RESET = 103,
        COPY_BITS = 104,
        INVAL_LIST = 105,
        INVAL_ALL_PIXMAPS = 106,
        INVAL_PALETTE = 107,
        INVAL_ALL_PALETTES = 108,
        STREAM_CREATE = 122,
        STREAM_DATA = 123,
        STREAM_CLIP = 124,
        STREAM_DESTROY = 125,
        STREAM_DESTROY_ALL = 126,
        DRAW_FILL = 302,
        DRAW_OPAQUE = 303,
        DRAW_COPY = 304,
        DRAW_BLEND = 305,
        DRAW_BLACKNESS = 306,
        DRAW_WHITENESS = 307,
        DRAW_INVERS = 308,
        DRAW_ROP3 = 309,
        DRAW_STROKE = 310,
        DRAW_TEXT = 311,
        DRAW_TRANSPARENT = 312,
        DRAW_ALPHA_BLEND = 313,
        SURFACE_CREATE = 314,
        SURFACE_DESTROY = 315,
        STREAM_DATA_SIZED = 316,
        MONITORS_CONFIG = 317,
        DRAW_COMPOSITE = 318,
        STREAM_ACTIVATE_REPORT = 319,
        GL_SCANOUT_UNIX = 320,
        GL_DRAW = 321,
        QUALITY_INDICATOR = 322,
        GL_SCANOUT2_UNIX = 323,
    }
}

wire_enum! {
    /// What kind of thing a client keeps.
    pub enum ResourceType: u8 {
        /// A decoded image.
        Pixmap = 1,
    }
}

/// A thing a client keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What kind.
    pub kind: ResourceType,
    /// Its name.
    pub id: u64,
}

/// A server message of a display channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A message every channel has.
    Common(ServerCommon),
    /// A primary surface of this size and depth; obsolete, servers send `SurfaceCreate`.
    Mode {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
        /// Bits of a pixel.
        bits: u32,
    },
    /// The primary surface has its content: show it.
    Mark,
    /// Clear the primary surface and the palettes, hide the display.
    Reset,
    /// Forget these images; at most 65535.
    InvalList(Vec<Resource>),
    /// When these channels have come so far, forget all images; at most 255 entries.
    InvalAllPixmaps(Vec<WaitFor>),
    /// Forget this palette.
    InvalPalette(u64),
    /// Forget all palettes.
    InvalAllPalettes,
    /// A video stream begins.
    StreamCreate(StreamCreate),
    /// A frame of a stream.
    StreamData(StreamData),
    /// Which part of a stream is drawn.
    StreamClip {
        /// The stream.
        id: u32,
        /// The part.
        clip: Clip,
    },
    /// A stream ends.
    StreamDestroy(u32),
    /// All streams end.
    StreamDestroyAll,
    /// A drawing: COPY_BITS and all DRAW messages.
    Draw(Box<Draw>),
    /// A new surface.
    SurfaceCreate(SurfaceCreate),
    /// A surface is gone.
    SurfaceDestroy(u32),
    /// A frame of a stream with its own size; for clients with SIZED_STREAM.
    StreamDataSized(StreamDataSized),
    /// Monitors; for clients with MONITORS_CONFIG.
    MonitorsConfig(MonitorsConfig),
    /// Report on a stream; for clients with STREAM_REPORT.
    StreamActivateReport(StreamActivateReport),
    /// A GL scanout; for local clients with GL_SCANOUT.
    GlScanout(GlScanout),
    /// A part of the scanout has changed; answered by GL_DRAW_DONE.
    GlDraw {
        /// First column.
        x: u32,
        /// First row.
        y: u32,
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Reserved; to be ignored.
    QualityIndicator(Bytes),
    /// A GL scanout of several planes; for local clients with GL_SCANOUT2.
    GlScanout2(GlScanout2),
    /// A message with an id that has no meaning here.
    Unknown {
        /// The id.
        id: u16,
        /// The body.
        body: Bytes,
    },
}

impl From<Draw> for ServerMessage {
    fn from(draw: Draw) -> Self {
        Self::Draw(Box::new(draw))
    }
}

carries_common!(ServerMessage, ServerCommon);

impl Message for ServerMessage {
    fn id(&self) -> u16 {
        match self {
            Self::Common(common) => common.id(),
            Self::Mode { .. } => server_id::MODE,
            Self::Mark => server_id::MARK,
            Self::Reset => server_id::RESET,
            Self::InvalList(_) => server_id::INVAL_LIST,
            Self::InvalAllPixmaps(_) => server_id::INVAL_ALL_PIXMAPS,
            Self::InvalPalette(_) => server_id::INVAL_PALETTE,
            Self::InvalAllPalettes => server_id::INVAL_ALL_PALETTES,
            Self::StreamCreate(_) => server_id::STREAM_CREATE,
            Self::StreamData(_) => server_id::STREAM_DATA,
            Self::StreamClip { .. } => server_id::STREAM_CLIP,
            Self::StreamDestroy(_) => server_id::STREAM_DESTROY,
            Self::StreamDestroyAll => server_id::STREAM_DESTROY_ALL,
            Self::Draw(draw) => draw.id(),
            Self::SurfaceCreate(_) => server_id::SURFACE_CREATE,
            Self::SurfaceDestroy(_) => server_id::SURFACE_DESTROY,
            Self::StreamDataSized(_) => server_id::STREAM_DATA_SIZED,
            Self::MonitorsConfig(_) => server_id::MONITORS_CONFIG,
            Self::StreamActivateReport(_) => server_id::STREAM_ACTIVATE_REPORT,
            Self::GlScanout(_) => server_id::GL_SCANOUT_UNIX,
            Self::GlDraw { .. } => server_id::GL_DRAW,
            Self::QualityIndicator(_) => server_id::QUALITY_INDICATOR,
            Self::GlScanout2(_) => server_id::GL_SCANOUT2_UNIX,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        server_id::name(id)
            .or_else(|| common::server_id::name(id))
            .unwrap_or("unknown display message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = server_id::name(id) else {
            return Ok(
                ServerCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        if let Some(draw) = Draw::decode(id, &mut reader)? {
            return Ok(draw.into());
        }
        Self::decode_other(id, &mut reader)
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out)?,
            Self::Mode { width, height, bits } => [width, height, bits].into_iter().for_each(|value| out.u32(*value)),
            Self::InvalList(list) => {
                out.count_u16("count", list.len())?;
                for resource in list {
                    out.u8(resource.kind.into());
                    out.u64(resource.id);
                }
            }
            Self::InvalAllPixmaps(list) => WaitFor::encode_list(list, out)?,
            Self::InvalPalette(id) => out.u64(*id),
            Self::StreamCreate(create) => create.encode(out)?,
            Self::StreamData(data) => data.encode(out)?,
            Self::StreamClip { id, clip } => {
                out.u32(*id);
                encode_clip(clip, out)?;
            }
            Self::StreamDestroy(id) | Self::SurfaceDestroy(id) => out.u32(*id),
            Self::Draw(draw) => draw.encode(out)?,
            Self::SurfaceCreate(create) => create.encode(out),
            Self::StreamDataSized(data) => data.encode(out)?,
            Self::MonitorsConfig(config) => config.encode(out)?,
            Self::StreamActivateReport(activate) => activate.encode(out),
            Self::GlScanout(scanout) => scanout.encode(out),
            Self::GlScanout2(scanout) => scanout.encode(out),
            Self::GlDraw { x, y, width, height } => {
                [x, y, width, height].into_iter().for_each(|value| out.u32(*value));
            }
            Self::QualityIndicator(data) => out.payload(data),
            Self::Unknown { body, .. } => out.payload(body),
            Self::Mark | Self::Reset | Self::InvalAllPalettes | Self::StreamDestroyAll => {}
        }
        Ok(())
    }
}

impl ServerMessage {
    /// The messages that are not drawings.
    fn decode_other(id: u16, reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match id {
            server_id::MODE => Self::Mode {
                width: reader.u32("x_res")?,
                height: reader.u32("y_res")?,
                bits: reader.u32("bits")?,
            },
            server_id::MARK => Self::Mark,
            server_id::RESET => Self::Reset,
            server_id::INVAL_LIST => {
                let count = reader.u16("count")?;
                Self::InvalList(reader.items("resources", u32::from(count), 9, |reader| {
                    Ok(Resource {
                        kind: reader.u8("resource type")?.into(),
                        id: reader.u64("resource id")?,
                    })
                })?)
            }
            server_id::INVAL_ALL_PIXMAPS => Self::InvalAllPixmaps(WaitFor::decode_list(reader)?),
            server_id::INVAL_PALETTE => Self::InvalPalette(reader.u64("id")?),
            server_id::INVAL_ALL_PALETTES => Self::InvalAllPalettes,
            server_id::STREAM_CREATE => Self::StreamCreate(StreamCreate::decode(reader)?),
            server_id::STREAM_DATA => Self::StreamData(StreamData::decode(reader)?),
            server_id::STREAM_CLIP => Self::StreamClip {
                id: reader.u32("id")?,
                clip: decode_clip(reader)?,
            },
            server_id::STREAM_DESTROY => Self::StreamDestroy(reader.u32("id")?),
            server_id::STREAM_DESTROY_ALL => Self::StreamDestroyAll,
            server_id::SURFACE_CREATE => Self::SurfaceCreate(SurfaceCreate::decode(reader)?),
            server_id::SURFACE_DESTROY => Self::SurfaceDestroy(reader.u32("surface_id")?),
            server_id::STREAM_DATA_SIZED => Self::StreamDataSized(StreamDataSized::decode(reader)?),
            server_id::MONITORS_CONFIG => Self::MonitorsConfig(MonitorsConfig::decode(reader)?),
            server_id::STREAM_ACTIVATE_REPORT => Self::StreamActivateReport(StreamActivateReport::decode(reader)?),
            server_id::GL_SCANOUT_UNIX => Self::GlScanout(GlScanout::decode(reader)?),
            server_id::GL_DRAW => Self::GlDraw {
                x: reader.u32("x")?,
                y: reader.u32("y")?,
                width: reader.u32("w")?,
                height: reader.u32("h")?,
            },
            server_id::GL_SCANOUT2_UNIX => Self::GlScanout2(GlScanout2::decode(reader)?),
            _ => Self::QualityIndicator(reader.rest()),
        })
    }
}
