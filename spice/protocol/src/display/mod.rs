//! Display channels: surfaces, drawings, images, video streams.

mod client;
mod draw;
mod image;
mod resume;
mod server;
mod stream;
mod surface;
mod vector;

pub use caraway_ports::drawing::{
    BitmapFormat, Clip, Glyph, GlyphDepth, Palette, PathSegment, Rop, ScaleMode, SurfaceFormat, Transform,
};
pub use caraway_ports::geometry::{Point, Rect};
pub use client::{ClientMessage, ImageCompression, Init, client_id};
pub use draw::{AlphaFlags, Brush, Composite, Draw, DrawOp, Mask, Source};
pub use image::{Bitmap, Image, ImageData, ImageFlags, PaletteRef};
pub use resume::{KnownSurface, RESUME_IMAGES_MAX, Resume, TILE, tile_hash};
pub use server::{Resource, ResourceType, ServerMessage, server_id};
pub use stream::{
    StreamActivateReport, StreamCreate, StreamData, StreamDataSized, StreamFlags, StreamReport, VideoCodec,
};
pub use surface::{GlScanout, GlScanout2, Head, MonitorsConfig, ScanoutFlags, SurfaceCreate, SurfaceFlags};
pub use vector::{DrawText, Line, Stroke, Text};

/// Surfaces of one channel; ids are below this.
pub const SURFACES_MAX: u32 = 1024;
/// Video streams of one channel; ids are below this.
pub const STREAMS_MAX: u32 = 64;
/// Palettes a client keeps for each display channel.
pub const PALETTE_CACHE_ENTRIES: usize = 128;
