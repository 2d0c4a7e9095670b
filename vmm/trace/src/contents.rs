//! What a recording consists of, counted.

use std::collections::BTreeMap;

use crate::record::{
    Bitmap, Brush, Chunks, Command, Cursor, Drawable, Event, Image, Mask, Op, PixelSource, Primary, Request, Source,
    Surface, What,
};

/// Counts of everything in a recording, by words a person understands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Records.
    pub events: u64,
    /// Bytes in binary blocks.
    pub binary_bytes: u64,
    /// Time of the first and of the last record.
    pub times: Option<(u64, u64)>,
    /// How many there are of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Every primary surface: width, height, stride, format, position, mouse mode, flags, type.
    pub primaries: Vec<[i64; 8]>,
    /// The last cursor shape: width, height, hot spot.
    pub last_shape: Option<[u16; 4]>,
    /// The last cursor position.
    pub last_position: Option<[i32; 2]>,
}

impl Contents {
    /// Counts a record.
    pub fn add(&mut self, event: &Event) {
        self.events += 1;
        let first = self.times.map_or(event.time, |(first, _)| first);
        self.times = Some((first, event.time));
        match &event.what {
            What::Request(request) => self.request(request),
            What::Command(command) => {
                let kind = match command {
                    Command::Draw(drawable) => {
                        self.draw(drawable);
                        "draw"
                    }
                    Command::Update(_) => "update",
                    Command::Cursor(cursor) => {
                        self.cursor(cursor);
                        "cursor"
                    }
                    Command::Message(text) => {
                        self.binary_bytes += text.len() as u64;
                        "message"
                    }
                    Command::Surface(surface) => {
                        self.surface(surface);
                        "surface"
                    }
                };
                self.count(format!("command {kind}"));
            }
        }
    }

    /// How often something was counted.
    #[must_use]
    pub fn of(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    fn count(&mut self, kind: impl Into<String>) {
        self.add_to(kind, 1);
    }

    fn add_to(&mut self, kind: impl Into<String>, count: u64) {
        *self.counts.entry(kind.into()).or_default() += count;
    }

    fn request(&mut self, request: &Request) {
        let number = request.number;
        self.count(format!("device {number} {}", request_name(number)));
        if let Some(Primary {
            width,
            height,
            stride,
            format,
            position,
            mouse_mode,
            flags,
            kind,
            data,
        }) = &request.primary
        {
            self.binary_bytes += data.len() as u64;
            let [width, height, format] = [*width, *height, *format].map(i64::from);
            let [position, mouse_mode, flags, kind] = [*position, *mouse_mode, *flags, *kind].map(i64::from);
            let stride = i64::from(*stride);
            self.primaries
                .push([width, height, stride, format, position, mouse_mode, flags, kind]);
        }
    }

    fn surface(&mut self, surface: &Surface) {
        let Some(new) = &surface.create else {
            return self.count("surface destroy");
        };
        self.count("surface create");
        if let Some(data) = &new.data {
            self.binary_bytes += data.len() as u64;
            self.count("surface create with data");
        }
    }

    fn cursor(&mut self, cursor: &Cursor) {
        match cursor {
            Cursor::Set(shape) => {
                self.count("cursor set");
                self.count(format!("cursor type {}", shape.kind));
                self.chunks(&shape.data);
                let (x, y) = shape.hot_spot;
                self.last_shape = Some([shape.width, shape.height, x, y]);
                self.last_position = Some([shape.position.x, shape.position.y]);
            }
            Cursor::Move(position) => {
                self.count("cursor move");
                self.last_position = Some([position.x, position.y]);
            }
            Cursor::Hide => self.count("cursor hide"),
            Cursor::Trail { .. } => self.count("cursor trail"),
        }
    }

    fn chunks(&mut self, chunks: &Chunks) {
        self.binary_bytes += chunks.data.len() as u64;
        self.add_to("chunks_more_than_one", u64::from(chunks.more > 0));
    }

    fn draw(&mut self, drawable: &Drawable) {
        if let Some(clip) = &drawable.clip {
            self.count("clip rects");
            self.chunks(&clip.rects);
        }
        self.count(format!("effect {}", drawable.effect));
        self.add_to("self_bitmap", u64::from(drawable.self_bitmap));
        self.count(if drawable.surface == 0 {
            "on surface 0"
        } else {
            "on off-screen surface"
        });
        let reads = drawable.reads.iter().filter(|(id, _)| *id != -1).count();
        self.add_to("surface dependency", reads as u64);
        let kind = match &drawable.op {
            Op::Nop => "nop",
            Op::Fill { brush, rop, mask } => {
                self.painted(None, Some(brush), Some(*rop), mask);
                "fill"
            }
            Op::Opaque {
                source,
                brush,
                rop,
                mask,
                ..
            } => {
                self.painted(Some(source), Some(brush), Some(*rop), mask);
                "opaque"
            }
            Op::Copy { source, rop, mask, .. } => {
                self.painted(Some(source), None, Some(*rop), mask);
                "copy"
            }
            Op::CopyBits { .. } => "copy_bits",
            Op::Blend { source, rop, mask, .. } => {
                self.painted(Some(source), None, Some(*rop), mask);
                "blend"
            }
            Op::Blackness { mask } => {
                self.painted(None, None, None, mask);
                "blackness"
            }
            Op::Whiteness { mask } => {
                self.painted(None, None, None, mask);
                "whiteness"
            }
            Op::Invers { mask } => {
                self.painted(None, None, None, mask);
                "invers"
            }
            Op::Rop3 {
                source, brush, mask, ..
            } => {
                self.painted(Some(source), Some(brush), None, mask);
                "rop3"
            }
            Op::Stroke(stroke) => {
                self.chunks(&stroke.path);
                self.binary_bytes += stroke.style.as_ref().map_or(0, |style| style.len() as u64);
                self.brush(&stroke.brush);
                "stroke"
            }
            Op::Text(text) => {
                self.chunks(&text.data);
                self.brush(&text.fore_brush);
                self.brush(&text.back_brush);
                "text"
            }
            Op::Transparent { source, .. } => {
                self.image(source.image.as_ref());
                "transparent"
            }
            Op::AlphaBlend { source, .. } => {
                self.image(source.image.as_ref());
                "alpha_blend"
            }
            Op::Composite(composite) => {
                self.image(composite.src.as_ref());
                if let Some(mask) = &composite.mask {
                    self.image(Some(mask));
                }
                for matrix in [&composite.src_transform, &composite.mask_transform] {
                    self.binary_bytes += matrix.as_ref().map_or(0, |matrix| matrix.len() as u64);
                }
                "composite"
            }
        };
        self.count(format!("draw {kind}"));
    }

    fn painted(&mut self, source: Option<&Source>, brush: Option<&Brush>, rop: Option<u16>, mask: &Mask) {
        if let Some(source) = source {
            self.image(source.image.as_ref());
        }
        if let Some(brush) = brush {
            self.brush(brush);
        }
        if let Some(rop) = rop {
            self.count(format!("rop_descriptor {rop}"));
        }
        self.image(mask.image.as_ref());
    }

    fn brush(&mut self, brush: &Brush) {
        match brush {
            Brush::None => self.count("brush none"),
            Brush::Solid(_) => self.count("brush solid"),
            Brush::Pattern(image, _) => {
                self.count("brush pattern");
                self.image(image.as_ref());
            }
        }
    }

    fn image(&mut self, image: Option<&Image>) {
        match image.map(|image| &image.pixels) {
            None => self.count("image null"),
            Some(PixelSource::Surface(_)) => self.count("image from surface"),
            Some(PixelSource::Quic { data, .. }) => {
                self.count("image quic");
                self.chunks(data);
            }
            Some(PixelSource::Bitmap(bitmap)) => self.bitmap(bitmap),
        }
    }

    fn bitmap(&mut self, bitmap: &Bitmap) {
        self.count(format!("bitmap format {} flags {}", bitmap.format, bitmap.flags));
        self.add_to("bitmap bytes", bitmap.data.data.len() as u64);
        self.chunks(&bitmap.data);
    }
}

/// What a request of the device is called.
const fn request_name(number: u32) -> &'static str {
    match number {
        1 => "update",
        2 => "wakeup",
        3 => "oom",
        8 => "start",
        9 => "stop",
        13 => "set_compression",
        14 => "set_streaming",
        15 => "set_mouse_mode",
        16 => "add_memslot",
        17 => "del_memslot",
        18 => "reset_memslots",
        19 => "destroy_surfaces",
        20 => "create_primary",
        21 => "destroy_primary",
        22 => "reset_cursor",
        23 => "reset_image_cache",
        24 => "destroy_surface_wait",
        25 => "loadvm_commands",
        26 => "update_async",
        27 => "add_memslot_async",
        28 => "destroy_surfaces_async",
        29 => "create_primary_async",
        30 => "destroy_primary_async",
        31 => "destroy_surface_wait_async",
        32 => "flush_surfaces_async",
        35 => "monitors_config_async",
        36 => "driver_unload",
        37 => "gl_scanout",
        38 => "gl_draw",
        39 => "set_video_codecs",
        40 => "close_worker",
        _ => "unknown",
    }
}
