//! A client made of our own decoders and our own canvas.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use caraway_canvas::{Canvas, Limits as CanvasLimits};
use caraway_image::{
    Limits,
    glz::{Window, WindowBudget},
    jpeg, lz, lz4,
    zlib_glz::ZlibDecoder,
};
use caraway_ports::{
    display::SurfaceSpec,
    drawing::{self, Bitmap, Drawable, ImageData as Data, Palette},
    geometry::Point,
};
use caraway_protocol::{
    display::{Brush, Draw, DrawOp, Image, ImageData, ImageFlags, Mask, PaletteRef, ServerMessage, Source},
    wire::Point16,
};

/// What all displays of a client share.
pub(crate) type SharedWindow = Arc<Mutex<Window>>;

pub(crate) fn window() -> SharedWindow {
    let budget = WindowBudget {
        max_pixels: 4 << 20,
        max_images: 1 << 16,
    };
    Arc::new(Mutex::new(Window::new(budget)))
}

/// One display of a client.
pub(crate) struct Client {
    pub(crate) canvas: Canvas,
    pub(crate) window: SharedWindow,
    /// Palettes it was told to keep.
    pub(crate) palettes: BTreeMap<u64, Arc<Palette>>,
    /// Images it was told to keep.
    pub(crate) cache: BTreeMap<u64, drawing::Image>,
    /// Images drawn, by what they were compressed with.
    pub(crate) images: BTreeMap<&'static str, usize>,
}

impl Client {
    pub(crate) fn new(window: SharedWindow) -> Self {
        Self {
            canvas: Canvas::new(CanvasLimits::default()),
            window,
            palettes: BTreeMap::new(),
            cache: BTreeMap::new(),
            images: BTreeMap::new(),
        }
    }

    pub(crate) fn apply(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::SurfaceCreate(surface) => {
                let spec = SurfaceSpec {
                    id: surface.surface_id,
                    width: surface.width,
                    height: surface.height,
                    format: surface.format,
                    pixels: None,
                };
                self.canvas.create(&spec).unwrap();
            }
            ServerMessage::SurfaceDestroy(id) => assert!(self.canvas.destroy(id)),
            ServerMessage::InvalList(resources) => {
                for resource in resources {
                    assert!(self.cache.remove(&resource.id).is_some(), "no image {}", resource.id);
                }
            }
            ServerMessage::InvalPalette(id) => assert!(self.palettes.remove(&id).is_some(), "no palette {id}"),
            ServerMessage::Draw(draw) => {
                let drawable = self.drawable(*draw);
                self.canvas.draw(&drawable).unwrap();
            }
            _ => {}
        }
    }

    fn drawable(&mut self, draw: Draw) -> Drawable {
        let op = match draw.op {
            DrawOp::Fill { brush, rop, mask } => drawing::DrawOp::Fill {
                brush: self.brush(brush),
                rop,
                mask: self.mask(mask),
            },
            DrawOp::Opaque {
                source,
                brush,
                rop,
                mask,
            } => drawing::DrawOp::Opaque {
                source: self.source(source),
                brush: self.brush(brush),
                rop,
                mask: self.mask(mask),
            },
            DrawOp::Copy { source, rop, mask } => drawing::DrawOp::Copy {
                source: self.source(source),
                rop,
                mask: self.mask(mask),
            },
            DrawOp::Blend { source, rop, mask } => drawing::DrawOp::Blend {
                source: self.source(source),
                rop,
                mask: self.mask(mask),
            },
            DrawOp::CopyBits { src_pos } => drawing::DrawOp::CopyBits { src_pos },
            DrawOp::Blackness { mask } => drawing::DrawOp::Blackness { mask: self.mask(mask) },
            DrawOp::Whiteness { mask } => drawing::DrawOp::Whiteness { mask: self.mask(mask) },
            DrawOp::Invers { mask } => drawing::DrawOp::Invers { mask: self.mask(mask) },
            DrawOp::Rop3 {
                source,
                brush,
                rop3,
                mask,
            } => drawing::DrawOp::Rop3 {
                source: self.source(source),
                brush: self.brush(brush),
                rop3,
                mask: self.mask(mask),
            },
            DrawOp::Stroke(stroke) => drawing::DrawOp::Stroke {
                path: stroke.path,
                style: stroke.line.style,
                start_with_gap: stroke.line.start_with_gap,
                brush: self.brush(stroke.brush),
                fore_mode: stroke.fore_mode,
                back_mode: stroke.back_mode,
            },
            DrawOp::Text(text) => drawing::DrawOp::Text {
                glyphs: text.text.glyphs,
                depth: text.text.depth,
                back_area: text.back_area,
                fore_brush: self.brush(text.fore_brush),
                back_brush: self.brush(text.back_brush),
                fore_mode: text.fore_mode,
                back_mode: text.back_mode,
            },
            DrawOp::Transparent {
                image,
                area,
                src_color,
                true_color,
            } => drawing::DrawOp::Transparent {
                source: self.nearest(image, area),
                src_color,
                true_color,
            },
            DrawOp::AlphaBlend {
                flags,
                alpha,
                image,
                area,
            } => drawing::DrawOp::AlphaBlend {
                source: self.nearest(image, area),
                flags: flags.bits(),
                alpha,
            },
            DrawOp::Composite(composite) => drawing::DrawOp::Composite(Box::new(drawing::Composite {
                flags: composite.flags,
                src: self.image(composite.src),
                mask: composite.mask.map(|mask| self.image(mask)),
                src_transform: composite.src_transform,
                mask_transform: composite.mask_transform,
                src_origin: point(composite.src_origin),
                mask_origin: point(composite.mask_origin),
            })),
        };
        Drawable {
            surface: draw.surface_id,
            bbox: draw.bbox,
            clip: draw.clip,
            mm_time: 0,
            op,
        }
    }

    fn source(&mut self, source: Source) -> drawing::Source {
        drawing::Source {
            image: self.image(source.image),
            area: source.area,
            scale: source.scale,
        }
    }

    fn nearest(&mut self, image: Image, area: caraway_ports::geometry::Rect) -> drawing::Source {
        drawing::Source {
            image: self.image(image),
            area,
            scale: drawing::ScaleMode::Nearest,
        }
    }

    fn brush(&mut self, brush: Brush) -> drawing::Brush {
        match brush {
            Brush::None => drawing::Brush::None,
            Brush::Solid(colour) => drawing::Brush::Solid(colour),
            Brush::Pattern { image, pos } => drawing::Brush::Pattern {
                image: self.image(image),
                pos,
            },
        }
    }

    fn mask(&mut self, mask: Mask) -> drawing::Mask {
        drawing::Mask {
            inverse: mask.inverse,
            pos: mask.pos,
            bitmap: mask.image.map(|image| self.image(image)),
        }
    }

    fn palette(&mut self, palette: PaletteRef) -> Arc<Palette> {
        match palette {
            PaletteRef::Inline { palette, cache } => {
                if cache {
                    self.palettes.insert(palette.unique, Arc::clone(&palette));
                }
                palette
            }
            PaletteRef::Cached(id) => Arc::clone(&self.palettes[&id]),
        }
    }

    fn image(&mut self, image: Image) -> drawing::Image {
        if matches!(image.data, ImageData::FromCache | ImageData::FromCacheLossless) {
            *self.images.entry("cache").or_default() += 1;
            return self.cache[&image.id].clone();
        }
        let (id, flags) = (image.id, image.flags);
        let image = self.decoded(image);
        if flags.intersects(ImageFlags::CACHE_ME | ImageFlags::CACHE_REPLACE_ME) {
            self.cache.insert(id, image.clone());
        }
        image
    }

    fn decoded(&mut self, image: Image) -> drawing::Image {
        let (width, height) = (image.width, image.height);
        let limits = Limits::exactly(width, height);
        let of = |bitmap: Bitmap| Data::Bitmap(Arc::new(bitmap));
        let window = Arc::clone(&self.window);
        let glz = |stream: &[u8]| window.lock().unwrap().decode(stream, &limits).unwrap().bitmap;
        let (name, data) = match image.data {
            ImageData::Bitmap(sent) => (
                "bitmap",
                of(Bitmap {
                    format: sent.format,
                    width,
                    height,
                    stride: sent.stride,
                    top_down: sent.top_down,
                    palette: sent.palette.map(|colours| self.palette(colours)),
                    data: sent.data,
                }),
            ),
            // The canvas decodes it.
            ImageData::Quic(stream) => ("quic", Data::Quic(stream)),
            ImageData::LzRgb(stream) => ("lz", of(lz::decode(&stream, &limits).unwrap().into_bitmap().unwrap())),
            ImageData::LzPalette {
                palette: colours, data, ..
            } => (
                "lz-palette",
                of(Bitmap {
                    palette: Some(self.palette(colours)),
                    ..lz::decode(&data, &limits).unwrap().into_bitmap().unwrap()
                }),
            ),
            ImageData::GlzRgb(stream) => ("glz", of(glz(&stream))),
            ImageData::ZlibGlzRgb { glz_bytes, data } => {
                let stream = ZlibDecoder::new().decode(&data, glz_bytes, &limits).unwrap();
                ("zlib-glz", of(glz(&stream)))
            }
            ImageData::Lz4(stream) => ("lz4", of(lz4::decode(&stream, width, height, &limits).unwrap())),
            ImageData::Jpeg(stream) => ("jpeg", of(jpeg::decode(&stream, &limits).unwrap())),
            ImageData::JpegAlpha { top_down, jpeg, alpha } => {
                let both = [&jpeg[..], &alpha[..]].concat();
                let bitmap = jpeg::decode_alpha(&both, jpeg.len(), top_down, &limits).unwrap();
                ("jpeg-alpha", of(bitmap))
            }
            ImageData::Surface(id) => ("surface", Data::Surface(id)),
            cached @ (ImageData::FromCache | ImageData::FromCacheLossless) => panic!("{cached:?}"),
        };
        if let Data::Bitmap(bitmap) = &data {
            assert_eq!((bitmap.width, bitmap.height), (width, height));
        }
        *self.images.entry(name).or_default() += 1;
        drawing::Image {
            id: image.id,
            cache: false,
            high_bits_set: image.flags.contains(ImageFlags::HIGH_BITS_SET),
            width,
            height,
            data,
        }
    }
}

fn point(at: Point16) -> Point {
    Point::new(at.x.into(), at.y.into())
}
