//! From steps of the picture to messages of the wire.

mod bands;
mod bitmaps;
mod codecs;
mod counts;
mod cursor;
mod dictionary;
#[cfg_attr(not(feature = "h264"), path = "encode/no_h264.rs")]
mod h264;
mod images;
mod kept;
mod measure;
mod palettes;
mod pixmaps;
mod rate;
mod stream_codecs;
mod tools;
mod video;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use caraway_image::{choice::Mode, pool};
use caraway_ports::{
    display::{Head, Pixels},
    drawing::{self, Bitmap, DrawOp, Drawable, ImageData, Rop, ScaleMode, SurfaceFormat},
    geometry::{Point, Rect},
};
use caraway_protocol::{
    display::{
        self, AlphaFlags, Brush, Draw, DrawText, Image, ImageFlags, Line, Mask, MonitorsConfig, ServerMessage, Source,
        StreamReport, Stroke, SurfaceCreate, SurfaceFlags, Text, VideoCodec,
    },
    wire::Point16,
};

pub(crate) use self::bitmaps::{bitmap_of, expanded};
use self::{
    bands::{bands, clip_of, may_cut},
    codecs::{Codecs, Role},
    images::{Images, image_flags},
    video::{Encoded, Streams},
};
pub use self::{
    codecs::{EncoderConfig, ImageSettings},
    counts::{Codec, ImageCounts},
    cursor::CursorEncoder,
    dictionary::{Dictionaries, MAX_GLZ_WINDOW, Membership, SharedDictionary},
    pixmaps::{PixmapCache, Pixmaps},
    rate::Verdict,
    stream_codecs::StreamCodecs,
};
use crate::{adapt::adapted, item::Item, part::Unscaled};

/// Messages for one step, in order.
pub type Outgoing = Vec<ServerMessage>;

/// Why a step cannot be put into messages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A bitmap whose size and data disagree.
    #[error("a bitmap of {width}x{height} has too little data")]
    Bitmap {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// Turns the steps of one viewer into messages, one for each connection. Its messages must be sent, all and in their
/// order: the client's dictionary counts its images.
#[derive(Debug)]
pub struct Encoder {
    /// Formats of the client's surfaces.
    surfaces: BTreeMap<u32, SurfaceFormat>,
    /// What the source of a command is.
    source: Role,
    images: Images,
    streams: Streams,
    /// Serial of the next message.
    serial: u64,
}

impl Default for Encoder {
    /// For a client that says nothing of itself.
    fn default() -> Self {
        Self::new(EncoderConfig::default(), None)
    }
}

impl Encoder {
    /// For a new connection; `cache` is its part in what the client keeps.
    #[must_use]
    pub fn new(config: EncoderConfig, cache: Option<PixmapCache>) -> Self {
        pool::start();
        Self {
            surfaces: BTreeMap::new(),
            source: Role::Source,
            streams: Streams::new(config.stream_reports, config.stream_codecs.clone()),
            images: Images::new(Codecs::new(config), cache),
            serial: 1,
        }
    }

    /// Takes up the serial that the connection's next message has: those of other displays may have to wait for it.
    pub const fn set_serial(&mut self, next: u64) {
        self.serial = next;
    }

    /// Changes the codec, as the client may at any time.
    pub const fn set_mode(&mut self, mode: Mode) {
        self.images.codecs.settings.mode = mode;
    }

    /// Takes up what the link to the client was measured to deliver, in bits a second.
    pub const fn set_delivery(&mut self, bits_per_second: Option<u64>) {
        self.images.codecs.measure.delivery = bits_per_second;
        self.streams.delivery = bits_per_second;
    }

    /// Takes up the order in which the client wants codecs of streams, as it may say at any time: those it does not name come
    /// last, those there are no encoders for are passed over. A stream that this gives another codec begins anew with its
    /// next frame.
    pub fn prefer_stream_codecs(&mut self, order: &[VideoCodec]) {
        self.streams.prefer(order);
    }

    /// Takes up how long the last call of [`Encoder::encode`] took: what codecs cost is part of the choice among them.
    pub fn took(&mut self, time: Duration) {
        self.images.codecs.measure.took(time);
        self.streams.took(time);
    }

    /// Sets the media time in milliseconds that frames are stamped with.
    pub const fn set_media_time(&mut self, now: u32) {
        self.streams.now = now;
    }

    /// Takes up how long writing the messages of the last step took: a frame should take less than it is to the next.
    pub fn wrote(&mut self, time: Duration) {
        self.streams.wrote(time);
    }

    /// Takes up what the client says of a stream.
    pub fn report(&mut self, report: &StreamReport) -> Verdict {
        self.streams.report(report)
    }

    /// Whether photographs may lose something now: a viewer has to know ([`crate::Viewer::set_lossy`]).
    #[must_use]
    pub fn may_lose(&self) -> bool {
        self.images.codecs.may_lose()
    }

    /// Whether encoding an image may have to wait until another display of the client has encoded its own.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.images.codecs.may_wait()
    }

    /// The messages for a step.
    ///
    /// # Errors
    /// When the step holds a bitmap that cannot be.
    pub fn encode(&mut self, item: &Item) -> Result<Outgoing, EncodeError> {
        match item {
            Item::CreateSurface { id, format, .. } | Item::KeepSurface { id, format } => {
                self.surfaces.insert(*id, *format);
            }
            Item::DestroySurface(id) => {
                self.surfaces.remove(id);
            }
            _ => {}
        }
        self.images.codecs.measure.begin();
        self.streams.begin();
        let target = item
            .touched()
            .and_then(|(surface, _)| self.surfaces.get(&surface).copied());
        let blends = |op: &DrawOp| matches!(op, DrawOp::Composite(_) | DrawOp::AlphaBlend { .. });
        self.images.target = target;
        self.images.blends = matches!(item, Item::Draw(drawable) if blends(&drawable.op));
        let message = match item {
            Item::CreateSurface {
                id,
                width,
                height,
                format,
            } => ServerMessage::SurfaceCreate(SurfaceCreate {
                surface_id: *id,
                width: *width,
                height: *height,
                format: *format,
                flags: if *id == 0 {
                    SurfaceFlags::PRIMARY
                } else {
                    SurfaceFlags::empty()
                },
            }),
            Item::KeepSurface { .. } => return Ok(Outgoing::new()),
            Item::DestroySurface(id) => ServerMessage::SurfaceDestroy(*id),
            Item::Mark => ServerMessage::Mark,
            Item::Monitors { heads, max } => ServerMessage::MonitorsConfig(monitors(heads, *max)),
            Item::CreateStream { stream, dest, clip } => return Ok(self.streams.create(stream, *dest, clip)),
            Item::ClipStream { id, clip } => return Ok(self.streams.clip(*id, clip).into_iter().collect()),
            Item::DestroyStream(stream) => return Ok(self.streams.destroy(stream).into_iter().collect()),
            Item::Frame(frame) => {
                let (mut messages, encoded) = self.streams.frame(frame);
                match encoded {
                    Encoded::Frame(message, codec) => {
                        self.images.codecs.sent.add(codec);
                        messages.push(message);
                    }
                    Encoded::LeftOut => {}
                    // What cannot be a frame is an image like others.
                    Encoded::Image => {
                        self.serial = self.serial.wrapping_add(messages.len() as u64);
                        messages.extend(self.encode(&Item::Draw(Arc::clone(&frame.drawable)))?);
                    }
                }
                return Ok(messages);
            }
            Item::Pixels { surface, at, pixels } => {
                // In one piece: what programs that take one picture and go are sent first, they take for all of it.
                let mut messages = Outgoing::new();
                self.message(&mut messages, |this| this.pixels(*surface, *at, pixels))?;
                return Ok(messages);
            }
            Item::Draw(drawable) | Item::Photo(drawable) => {
                self.source = if matches!(item, Item::Photo(_)) {
                    Role::Photo
                } else {
                    Role::Source
                };
                let told = adapted(drawable, target)?;
                let mut messages = Outgoing::new();
                for drawable in told.iter() {
                    match plain_copy(drawable, self.source) {
                        Some((told, part)) => self.copy(&mut messages, &told, &part)?,
                        None => self.message(&mut messages, |this| this.draw(drawable))?,
                    }
                }
                return Ok(messages);
            }
        };
        Ok(vec![message])
    }

    /// Adds a message that draws, before it what the client has to be told of its images, and after it of its palettes.
    fn message(
        &mut self,
        messages: &mut Outgoing,
        draw: impl FnOnce(&mut Self) -> Result<Draw, EncodeError>,
    ) -> Result<(), EncodeError> {
        self.images.begin();
        let draw = draw(self)?;
        let serial = self.serial.wrapping_add(messages.len() as u64);
        messages.extend(self.images.commit(serial, 1));
        messages.push(ServerMessage::Draw(Box::new(draw)));
        messages.extend(self.images.palettes.commit());
        Ok(())
    }

    fn pixels(&mut self, surface: u32, at: Point, pixels: &Pixels) -> Result<Draw, EncodeError> {
        let bbox = Rect::at(at.x, at.y, pixels.width, pixels.height);
        let bitmap = bitmap_of(pixels);
        let image = self.images.bitmap(&bitmap, ImageFlags::empty(), None, Role::Area)?;
        let clip = drawing::Clip::None;
        Ok(whole_copy(surface, bbox, clip, Rop::PUT, ScaleMode::Nearest, image))
    }

    /// Adds the messages that copy a part of a bitmap: one, or one for each band.
    fn copy(&mut self, messages: &mut Outgoing, told: &Copy<'_>, part: &Part<'_>) -> Result<(), EncodeError> {
        let bands = bands(part.bitmap, &part.area).into_iter();
        let places = bands.filter_map(|band| {
            // Within the box.
            let top = told.bbox.top.wrapping_add(band.top.wrapping_sub(part.area.top));
            let bottom = top.wrapping_add(band.bottom.wrapping_sub(band.top));
            let bbox = Rect {
                top,
                bottom,
                ..told.bbox
            };
            clip_of(told.clip, &bbox).map(|clip| (band, (bbox, clip)))
        });
        let (bands, places): (Vec<Rect>, Vec<(Rect, drawing::Clip)>) = places.unzip();
        self.images.begin();
        let images = self.images.bands(part.bitmap, part.flags, &bands, part.role)?;
        let places = if images.len() < places.len() {
            // One for all.
            let around = places.iter().fold(Rect::default(), |all, (bbox, _)| all.union(bbox));
            vec![(around, told.clip.clone())]
        } else {
            places
        };
        let serial = self.serial.wrapping_add(messages.len() as u64);
        messages.extend(self.images.commit(serial, images.len()));
        for (image, (bbox, clip)) in images.into_iter().zip(places) {
            let draw = whole_copy(told.surface, bbox, clip, told.rop, told.scale, image);
            messages.push(ServerMessage::Draw(Box::new(draw)));
        }
        messages.extend(self.images.palettes.commit());
        Ok(())
    }

    fn draw(&mut self, drawable: &Drawable) -> Result<Draw, EncodeError> {
        let bbox = drawable.bbox;
        let op = match &drawable.op {
            DrawOp::Fill { brush, rop, mask } => display::DrawOp::Fill {
                brush: self.brush(brush)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::Opaque {
                source,
                brush,
                rop,
                mask,
            } => display::DrawOp::Opaque {
                source: self.source(source, &bbox)?,
                brush: self.brush(brush)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::Copy { source, rop, mask } => display::DrawOp::Copy {
                source: self.source(source, &bbox)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::Blend { source, rop, mask } => display::DrawOp::Blend {
                source: self.source(source, &bbox)?,
                rop: *rop,
                mask: self.mask(mask)?,
            },
            DrawOp::CopyBits { src_pos } => display::DrawOp::CopyBits { src_pos: *src_pos },
            DrawOp::Blackness { mask } => display::DrawOp::Blackness { mask: self.mask(mask)? },
            DrawOp::Whiteness { mask } => display::DrawOp::Whiteness { mask: self.mask(mask)? },
            DrawOp::Invers { mask } => display::DrawOp::Invers { mask: self.mask(mask)? },
            DrawOp::Rop3 {
                source,
                brush,
                rop3,
                mask,
            } => display::DrawOp::Rop3 {
                source: self.source(source, &bbox)?,
                brush: self.brush(brush)?,
                rop3: *rop3,
                mask: self.mask(mask)?,
            },
            DrawOp::Stroke {
                path,
                style,
                start_with_gap,
                brush,
                fore_mode,
                back_mode,
            } => display::DrawOp::Stroke(Stroke {
                path: Arc::clone(path),
                line: Line {
                    style: Arc::clone(style),
                    start_with_gap: *start_with_gap,
                },
                brush: self.brush(brush)?,
                fore_mode: *fore_mode,
                back_mode: *back_mode,
            }),
            DrawOp::Text {
                glyphs,
                depth,
                back_area,
                fore_brush,
                back_brush,
                fore_mode,
                back_mode,
            } => display::DrawOp::Text(DrawText {
                text: Text {
                    depth: *depth,
                    glyphs: Arc::clone(glyphs),
                },
                back_area: *back_area,
                fore_brush: self.brush(fore_brush)?,
                back_brush: self.brush(back_brush)?,
                fore_mode: *fore_mode,
                back_mode: *back_mode,
            }),
            DrawOp::Transparent {
                source,
                src_color,
                true_color,
            } => {
                let Source { image, area, .. } = self.source(source, &bbox)?;
                display::DrawOp::Transparent {
                    image,
                    area,
                    src_color: *src_color,
                    true_color: *true_color,
                }
            }
            DrawOp::AlphaBlend { source, flags, alpha } => {
                let Source { image, area, .. } = self.source(source, &bbox)?;
                display::DrawOp::AlphaBlend {
                    flags: AlphaFlags::from_bits_truncate(*flags),
                    alpha: *alpha,
                    image,
                    area,
                }
            }
            DrawOp::Composite(composite) => display::DrawOp::Composite(self.composite(composite)?),
        };
        Ok(Draw {
            surface_id: drawable.surface,
            bbox,
            clip: drawable.clip.clone(),
            op,
        })
    }

    fn composite(&mut self, composite: &drawing::Composite) -> Result<display::Composite, EncodeError> {
        let mask = composite.mask.as_ref();
        Ok(display::Composite {
            flags: composite.flags & !display::Composite::PRESENCE,
            src: self.images.image(&composite.src, Role::Operand)?,
            mask: mask.map(|mask| self.images.image(mask, Role::Operand)).transpose()?,
            src_transform: composite.src_transform,
            mask_transform: composite.mask_transform,
            src_origin: point16(composite.src_origin),
            mask_origin: point16(composite.mask_origin),
        })
    }

    /// A source image. One that is not scaled is cut to the part that is used.
    fn source(&mut self, source: &drawing::Source, bbox: &Rect) -> Result<Source, EncodeError> {
        let same_size = (source.area.width(), source.area.height()) == (bbox.width(), bbox.height());
        let (image, area) = match &source.image.data {
            ImageData::Bitmap(bitmap) if same_size => {
                self.images.part(&source.image, bitmap, &source.area, self.source)?
            }
            _ => (self.images.image(&source.image, self.source)?, source.area),
        };
        Ok(Source {
            image,
            area,
            scale: source.scale,
        })
    }

    fn brush(&mut self, brush: &drawing::Brush) -> Result<Brush, EncodeError> {
        Ok(match brush {
            drawing::Brush::None => Brush::None,
            drawing::Brush::Solid(color) => Brush::Solid(*color),
            drawing::Brush::Pattern { image, pos } => Brush::Pattern {
                image: self.images.image(image, Role::Other)?,
                pos: *pos,
            },
        })
    }

    fn mask(&mut self, mask: &drawing::Mask) -> Result<Mask, EncodeError> {
        let image = mask.bitmap.as_ref().map(|image| self.images.mask(image));
        Ok(Mask {
            inverse: mask.inverse,
            pos: mask.pos,
            image: image.transpose()?,
        })
    }
}

/// A part of a bitmap, and what it is for.
struct Part<'a> {
    bitmap: &'a Bitmap,
    flags: ImageFlags,
    role: Role,
    area: Rect,
}

/// Where a part of a bitmap of the same size is copied to, and how.
struct Copy<'a> {
    surface: u32,
    bbox: Rect,
    clip: &'a drawing::Clip,
    rop: Rop,
    scale: ScaleMode,
}

/// The copy that a command is, if it may be made piece by piece.
fn plain_copy(drawable: &Drawable, role: Role) -> Option<(Copy<'_>, Part<'_>)> {
    let Unscaled { source, bitmap, rop } = Unscaled::of(drawable).filter(|_| may_cut(&drawable.clip))?;
    let told = Copy {
        surface: drawable.surface,
        bbox: drawable.bbox,
        clip: &drawable.clip,
        rop,
        scale: source.scale,
    };
    let part = Part {
        bitmap,
        flags: image_flags(&source.image),
        role,
        area: source.area,
    };
    Some((told, part))
}

/// The copy of a whole image to a box of its size.
fn whole_copy(surface_id: u32, bbox: Rect, clip: drawing::Clip, rop: Rop, scale: ScaleMode, image: Image) -> Draw {
    let area = Rect::at(0, 0, image.width, image.height);
    Draw {
        surface_id,
        bbox,
        clip,
        op: display::DrawOp::Copy {
            source: Source { image, area, scale },
            rop,
            mask: Mask::default(),
        },
    }
}

fn monitors(heads: &[Head], max: u16) -> MonitorsConfig {
    let heads = heads.iter().map(|head| display::Head {
        monitor_id: head.id,
        surface_id: head.surface,
        width: head.area.width(),
        height: head.area.height(),
        x: head.area.left.unsigned_abs(),
        y: head.area.top.unsigned_abs(),
        flags: 0,
    });
    MonitorsConfig {
        max_allowed: max,
        heads: heads.collect(),
    }
}

fn point16(point: Point) -> Point16 {
    let clamp = |value: i32| i16::try_from(value).unwrap_or(if value < 0 { i16::MIN } else { i16::MAX });
    Point16 {
        x: clamp(point.x),
        y: clamp(point.y),
    }
}

#[cfg(test)]
mod bands_tests;
#[cfg(test)]
mod codecs_tests;
#[cfg(test)]
mod tests;
