//! Messages of display channels.

use std::sync::Arc;

use caraway_protocol::display::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{blob, client_common, clip, point, point16, rect, server_common, unknown, waits};

fn palette() -> impl Strategy<Value = PaletteRef> {
    let inline = (any::<u64>(), vec(any::<u32>(), 0..6), any::<bool>()).prop_map(|(unique, entries, cache)| {
        PaletteRef::Inline {
            palette: Arc::new(Palette { unique, entries }),
            cache,
        }
    });
    prop_oneof![inline, any::<u64>().prop_map(PaletteRef::Cached)]
}

/// Width, height and pixels.
fn bitmap() -> impl Strategy<Value = (u32, u32, ImageData)> {
    let parts = (
        1..=10_u8,
        0..40_u32,
        0..6_u32,
        0..4_u32,
        any::<bool>(),
        option::of(palette()),
        any::<u8>(),
    );
    parts.prop_map(|(format, width, height, padding, top_down, palette, fill)| {
        let format = BitmapFormat::from_raw(format).unwrap();
        let stride = u32::try_from(format.row_bytes(width)).unwrap() + padding;
        let data = vec![fill; (stride * height) as usize].into();
        let bitmap = Bitmap {
            format,
            top_down,
            stride,
            palette,
            data,
        };
        (width, height, ImageData::Bitmap(bitmap))
    })
}

fn compressed() -> impl Strategy<Value = ImageData> {
    prop_oneof![
        blob().prop_map(ImageData::Quic),
        (any::<bool>(), palette(), blob()).prop_map(|(top_down, palette, data)| ImageData::LzPalette {
            top_down,
            palette,
            data
        }),
        blob().prop_map(ImageData::LzRgb),
        blob().prop_map(ImageData::GlzRgb),
        Just(ImageData::FromCache),
        any::<u32>().prop_map(ImageData::Surface),
        blob().prop_map(ImageData::Jpeg),
        Just(ImageData::FromCacheLossless),
        (any::<u32>(), blob()).prop_map(|(glz_bytes, data)| ImageData::ZlibGlzRgb { glz_bytes, data }),
        (any::<bool>(), blob(), blob()).prop_map(|(top_down, jpeg, alpha)| ImageData::JpegAlpha {
            top_down,
            jpeg,
            alpha
        }),
        blob().prop_map(ImageData::Lz4),
    ]
}

fn image() -> impl Strategy<Value = Image> {
    let other = (any::<(u32, u32)>(), compressed()).prop_map(|((width, height), data)| (width, height, data));
    (any::<(u64, u8)>(), prop_oneof![bitmap(), other]).prop_map(|((id, flags), (width, height, data))| Image {
        id,
        flags: ImageFlags::from_bits_retain(flags),
        width,
        height,
        data,
    })
}

fn brush() -> impl Strategy<Value = Brush> {
    prop_oneof![
        Just(Brush::None),
        any::<u32>().prop_map(Brush::Solid),
        (image(), point()).prop_map(|(image, pos)| Brush::Pattern { image, pos }),
    ]
}

fn mask() -> impl Strategy<Value = Mask> {
    (any::<bool>(), point(), option::of(image())).prop_map(|(inverse, pos, image)| Mask { inverse, pos, image })
}

fn source() -> impl Strategy<Value = Source> {
    let scale = prop_oneof![Just(ScaleMode::Interpolate), Just(ScaleMode::Nearest)];
    (image(), rect(), scale).prop_map(|(image, area, scale)| Source { image, area, scale })
}

fn rop() -> impl Strategy<Value = Rop> {
    any::<u16>().prop_map(Rop)
}

fn stroke() -> impl Strategy<Value = DrawOp> {
    let segment = (any::<u8>(), vec(point(), 0..4)).prop_map(|(flags, points)| PathSegment { flags, points });
    let line = (vec(any::<i32>(), 0..4), any::<bool>()).prop_map(|(style, start_with_gap)| Line {
        style: style.into(),
        start_with_gap,
    });
    (vec(segment, 0..4), line, brush(), rop(), rop()).prop_map(|(path, line, brush, fore_mode, back_mode)| {
        DrawOp::Stroke(Stroke {
            path: path.into(),
            line,
            brush,
            fore_mode,
            back_mode,
        })
    })
}

fn glyphs() -> impl Strategy<Value = Text> {
    let depth = prop_oneof![Just(GlyphDepth::A1), Just(GlyphDepth::A4), Just(GlyphDepth::A8)];
    let glyph = (point(), point(), 0..12_u16, 0..4_u16, any::<u8>());
    (depth, vec(glyph, 0..4)).prop_map(|(depth, glyphs)| {
        let bits = match depth {
            GlyphDepth::A1 => 1,
            GlyphDepth::A4 => 4,
            GlyphDepth::A8 => 8,
        };
        let glyph = |(render_pos, origin, width, height, first): (Point, Point, u16, u16, u8)| {
            let bytes = (usize::from(width) * bits).div_ceil(8) * usize::from(height);
            Glyph {
                render_pos,
                origin,
                width,
                height,
                data: (0..bytes).map(|at| first.wrapping_add(at as u8)).collect(),
            }
        };
        Text {
            depth,
            glyphs: glyphs.into_iter().map(glyph).collect(),
        }
    })
}

fn draw_text() -> impl Strategy<Value = DrawOp> {
    (glyphs(), rect(), brush(), brush(), rop(), rop()).prop_map(
        |(text, back_area, fore_brush, back_brush, fore_mode, back_mode)| {
            DrawOp::Text(DrawText {
                text,
                back_area,
                fore_brush,
                back_brush,
                fore_mode,
                back_mode,
            })
        },
    )
}

fn composite() -> impl Strategy<Value = DrawOp> {
    let transform = || option::of(any::<[i32; 6]>().prop_map(Transform));
    let parts = (
        any::<u32>(),
        image(),
        option::of(image()),
        transform(),
        transform(),
        point16(),
        point16(),
    );
    parts.prop_map(
        |(flags, src, mask, src_transform, mask_transform, src_origin, mask_origin)| {
            DrawOp::Composite(Composite {
                flags: flags & !Composite::PRESENCE,
                src,
                mask,
                src_transform,
                mask_transform,
                src_origin,
                mask_origin,
            })
        },
    )
}

fn draw_op() -> impl Strategy<Value = DrawOp> {
    prop_oneof![
        point().prop_map(|src_pos| DrawOp::CopyBits { src_pos }),
        (brush(), rop(), mask()).prop_map(|(brush, rop, mask)| DrawOp::Fill { brush, rop, mask }),
        (source(), brush(), rop(), mask()).prop_map(|(source, brush, rop, mask)| DrawOp::Opaque {
            source,
            brush,
            rop,
            mask
        }),
        (source(), rop(), mask()).prop_map(|(source, rop, mask)| DrawOp::Copy { source, rop, mask }),
        (source(), rop(), mask()).prop_map(|(source, rop, mask)| DrawOp::Blend { source, rop, mask }),
        mask().prop_map(|mask| DrawOp::Blackness { mask }),
        mask().prop_map(|mask| DrawOp::Whiteness { mask }),
        mask().prop_map(|mask| DrawOp::Invers { mask }),
        (source(), brush(), any::<u8>(), mask()).prop_map(|(source, brush, rop3, mask)| DrawOp::Rop3 {
            source,
            brush,
            rop3,
            mask
        }),
        stroke().boxed(),
        draw_text().boxed(),
        (image(), rect(), any::<(u32, u32)>()).prop_map(|(image, area, (src_color, true_color))| {
            DrawOp::Transparent {
                image,
                area,
                src_color,
                true_color,
            }
        }),
        (any::<(u8, u8)>(), image(), rect()).prop_map(|((flags, alpha), image, area)| DrawOp::AlphaBlend {
            flags: AlphaFlags::from_bits_retain(flags),
            alpha,
            image,
            area,
        }),
        composite().boxed(),
    ]
}

pub(crate) fn draw() -> impl Strategy<Value = Draw> {
    (any::<u32>(), rect(), clip(), draw_op().boxed()).prop_map(|(surface_id, bbox, clip, op)| Draw {
        surface_id,
        bbox,
        clip,
        op,
    })
}

fn stream() -> impl Strategy<Value = ServerMessage> {
    use ServerMessage as M;
    let create = (any::<[u32; 6]>(), any::<(u8, u8, u64)>(), rect(), clip()).prop_map(
        |([surface_id, id, w, h, src_w, src_h], (flags, codec, stamp), dest, clip)| {
            M::StreamCreate(StreamCreate {
                surface_id,
                id,
                flags: StreamFlags::from_bits_retain(flags),
                codec: codec.into(),
                stamp,
                stream_width: w,
                stream_height: h,
                src_width: src_w,
                src_height: src_h,
                dest,
                clip,
            })
        },
    );
    let sized = (any::<[u32; 4]>(), rect(), blob()).prop_map(|([id, mm_time, width, height], dest, data)| {
        M::StreamDataSized(StreamDataSized {
            id,
            mm_time,
            width,
            height,
            dest,
            data,
        })
    });
    let activate = any::<[u32; 4]>().prop_map(|[stream_id, unique_id, max_window_size, timeout_ms]| {
        M::StreamActivateReport(StreamActivateReport {
            stream_id,
            unique_id,
            max_window_size,
            timeout_ms,
        })
    });
    prop_oneof![
        create,
        (any::<(u32, u32)>(), blob()).prop_map(|((id, mm_time), data)| M::StreamData(StreamData { id, mm_time, data })),
        (any::<u32>(), clip()).prop_map(|(id, clip)| M::StreamClip { id, clip }),
        any::<u32>().prop_map(M::StreamDestroy),
        Just(M::StreamDestroyAll),
        sized,
        activate,
    ]
}

fn surfaces() -> impl Strategy<Value = ServerMessage> {
    use ServerMessage as M;
    let format = proptest::sample::select(vec![1, 8, 16, 32, 80, 96]);
    let create = (any::<[u32; 4]>(), format).prop_map(|([surface_id, width, height, flags], format)| {
        M::SurfaceCreate(SurfaceCreate {
            surface_id,
            width,
            height,
            format: SurfaceFormat::from_raw(format).unwrap(),
            flags: SurfaceFlags::from_bits_retain(flags),
        })
    });
    let head = any::<[u32; 7]>().prop_map(|[monitor_id, surface_id, width, height, x, y, flags]| Head {
        monitor_id,
        surface_id,
        width,
        height,
        x,
        y,
        flags,
    });
    let monitors = (any::<u16>(), vec(head, 0..4))
        .prop_map(|(max_allowed, heads)| M::MonitorsConfig(MonitorsConfig { max_allowed, heads }));
    let scanout = any::<[u32; 5]>().prop_map(|[width, height, stride, fourcc, flags]| {
        M::GlScanout(GlScanout {
            width,
            height,
            stride,
            fourcc,
            flags: ScanoutFlags::from_bits_retain(flags),
        })
    });
    let planes = (any::<([u32; 4], [u32; 4], [u32; 4])>(), any::<(u64, u16, u16)>()).prop_map(
        |((offset, stride, [width, height, fourcc, flags]), (modifier, num_planes, num_dmabuf))| {
            M::GlScanout2(GlScanout2 {
                width,
                height,
                offset,
                stride,
                fourcc,
                flags: ScanoutFlags::from_bits_retain(flags),
                modifier,
                num_planes,
                num_dmabuf,
            })
        },
    );
    prop_oneof![
        any::<[u32; 3]>().prop_map(|[width, height, bits]| M::Mode { width, height, bits }),
        create,
        any::<u32>().prop_map(M::SurfaceDestroy),
        monitors,
        scanout,
        any::<[u32; 4]>().prop_map(|[x, y, width, height]| M::GlDraw { x, y, width, height }),
        planes,
    ]
}

pub(crate) fn display_server() -> impl Strategy<Value = ServerMessage> {
    use ServerMessage as M;
    let resource = any::<(u8, u64)>().prop_map(|(kind, id)| Resource { kind: kind.into(), id });
    prop_oneof![
        8 => server_common().prop_map(M::Common),
        14 => draw().prop_map(M::from),
        7 => stream(),
        7 => surfaces(),
        1 => Just(M::Mark),
        1 => Just(M::Reset),
        1 => vec(resource, 0..4).prop_map(M::InvalList),
        1 => waits().prop_map(M::InvalAllPixmaps),
        1 => any::<u64>().prop_map(M::InvalPalette),
        1 => Just(M::InvalAllPalettes),
        1 => blob().prop_map(M::QualityIndicator),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn display_client() -> impl Strategy<Value = ClientMessage> {
    use ClientMessage as M;
    let init = any::<(u8, i64, u8, i32)>().prop_map(|(cache, cache_size, dictionary, window)| {
        M::Init(Init {
            pixmap_cache_id: cache,
            pixmap_cache_size: cache_size,
            glz_dictionary_id: dictionary,
            glz_dictionary_window_size: window,
        })
    });
    let report = any::<([u32; 7], i32)>().prop_map(|([id, unique, start, end, frames, drops, audio], delay)| {
        M::StreamReport(StreamReport {
            stream_id: id,
            unique_id: unique,
            start_frame_mm_time: start,
            end_frame_mm_time: end,
            num_frames: frames,
            num_drops: drops,
            last_frame_delay: delay,
            audio_delay: audio,
        })
    });
    let codecs = vec(any::<u8>().prop_map(VideoCodec::from), 0..6);
    let surface = (any::<u32>(), 1..200u32, 1..200u32, any::<bool>()).prop_flat_map(|(id, width, height, alpha)| {
        let tiles = (width.div_ceil(TILE) * height.div_ceil(TILE)) as usize;
        vec(any::<u64>(), tiles).prop_map(move |tiles| KnownSurface {
            id,
            width,
            height,
            format: if alpha {
                SurfaceFormat::Argb
            } else {
                SurfaceFormat::Xrgb
            },
            tiles,
        })
    });
    let resume = (vec(any::<u64>(), 0..6), vec(surface, 0..3))
        .prop_map(|(images, surfaces)| M::Resume(Resume { images, surfaces }));
    prop_oneof![
        6 => client_common().prop_map(M::Common),
        1 => init,
        1 => resume,
        1 => report,
        1 => any::<u8>().prop_map(|raw| M::PreferredCompression(raw.into())),
        1 => Just(M::GlDrawDone),
        1 => codecs.prop_map(M::PreferredVideoCodecs),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}
