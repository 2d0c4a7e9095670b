//! Drawables.

use std::io::BufRead;

use bytes::Bytes;

use crate::{
    BITMAP_DIRECT,
    error::{ErrorKind, TraceError},
    record::{
        Bitmap, Brush, Chunks, ClipRects, Composite, Drawable, Image, Mask, Op, Palette, PixelSource, Source, Stroke,
        Text,
    },
    scan::Scanner,
};

const IMAGE_BITMAP: u8 = 0;
const IMAGE_QUIC: u8 = 1;
const IMAGE_SURFACE: u8 = 104;
/// A line has on and off lengths.
const STYLED: u8 = 8;

impl<R: BufRead> Scanner<R> {
    pub(super) fn drawable(&mut self) -> Result<Drawable, TraceError> {
        self.keyword("drawable")?;
        let bbox = self.rect("rect bbox")?;
        let clip = match self.number::<u32>("type")? {
            0 => None,
            1 => Some(ClipRects {
                count: self.number("num_rects")?,
                rects: self.chunks("clip_rects")?,
            }),
            other => return Err(self.value_error("clip type", other)),
        };
        let effect = self.number("effect")?;
        let mm_time = self.number("mm_time")?;
        if self.next_starts_with("bitmap_offset ")? {
            return Err(self.error(ErrorKind::OldDrawable));
        }
        let self_bitmap = self.number::<u8>("self_bitmap")? != 0;
        let self_bitmap_area = self.rect("rect self_bitmap_area")?;
        let surface = self.number("surface_id")?;
        let mut reads = <[_; 3]>::default();
        for (id, area) in &mut reads {
            *id = self.number("surfaces_dest")?;
            *area = self.rect("rect surfaces_rects")?;
        }
        Ok(Drawable {
            bbox,
            clip,
            effect,
            mm_time,
            self_bitmap,
            self_bitmap_area,
            surface,
            reads,
            op: self.op()?,
        })
    }

    fn op(&mut self) -> Result<Op, TraceError> {
        // Fields are read in the order they are written here.
        Ok(match self.number::<u8>("type")? {
            0 => Op::Nop,
            1 => Op::Fill {
                brush: self.brush()?,
                rop: self.rop()?,
                mask: self.mask()?,
            },
            2 => Op::Opaque {
                source: self.source()?,
                brush: self.brush()?,
                rop: self.rop()?,
                scale: self.scale()?,
                mask: self.mask()?,
            },
            3 => Op::Copy {
                source: self.source()?,
                rop: self.rop()?,
                scale: self.scale()?,
                mask: self.mask()?,
            },
            4 => Op::CopyBits {
                position: self.point()?,
            },
            5 => Op::Blend {
                source: self.source()?,
                rop: self.rop()?,
                scale: self.scale()?,
                mask: self.mask()?,
            },
            6 => Op::Blackness { mask: self.mask()? },
            7 => Op::Whiteness { mask: self.mask()? },
            8 => Op::Invers { mask: self.mask()? },
            9 => Op::Rop3 {
                source: self.source()?,
                brush: self.brush()?,
                rop3: self.number("rop3")?,
                scale: self.scale()?,
                mask: self.mask()?,
            },
            10 => Op::Stroke(Box::new(self.stroke()?)),
            11 => Op::Text(Box::new(Text {
                data_size: self.number("data_size")?,
                length: self.number("length")?,
                flags: self.number("flags")?,
                data: self.chunks("string")?,
                back_area: self.rect("rect back_area")?,
                fore_brush: self.brush()?,
                back_brush: self.brush()?,
                fore_mode: self.number("fore_mode")?,
                back_mode: self.number("back_mode")?,
            })),
            12 => Op::Transparent {
                source: self.source()?,
                src_color: self.number("src_color")?,
                true_color: self.number("true_color")?,
            },
            13 => Op::AlphaBlend {
                flags: self.number("alpha_flags")?,
                alpha: self.number("alpha")?,
                source: self.source()?,
            },
            14 => Op::Composite(Box::new(Composite {
                flags: self.number("flags")?,
                src: self.image()?,
                src_transform: self.transform("src_transform")?,
                mask: self.composite_mask()?,
                mask_transform: self.transform("mask_transform")?,
                src_origin: self.point16("src_origin")?,
                mask_origin: self.point16("mask_origin")?,
            })),
            other => return Err(self.value_error("drawable type", other)),
        })
    }

    fn rop(&mut self) -> Result<u16, TraceError> {
        self.number("rop_descriptor")
    }

    fn scale(&mut self) -> Result<u8, TraceError> {
        self.number("scale_mode")
    }

    fn source(&mut self) -> Result<Source, TraceError> {
        Ok(Source {
            image: self.image()?,
            area: self.rect("rect src_area")?,
        })
    }

    fn stroke(&mut self) -> Result<Stroke, TraceError> {
        let path = self.chunks("path")?;
        let flags = self.number("attr.flags")?;
        let style = if flags & STYLED == 0 {
            None
        } else {
            let count = self.number::<u8>("attr.style_nseg")?;
            let style = self.binary("style")?;
            if style.len() != 4 * usize::from(count) {
                return Err(self.value_error("attr.style_nseg", count));
            }
            Some(style)
        };
        Ok(Stroke {
            path,
            flags,
            style,
            brush: self.brush()?,
            fore_mode: self.number("fore_mode")?,
            back_mode: self.number("back_mode")?,
        })
    }

    fn composite_mask(&mut self) -> Result<Option<Image>, TraceError> {
        if self.number::<bool>("mask")? {
            self.image()
        } else {
            Ok(None)
        }
    }

    fn transform(&mut self, keyword: &'static str) -> Result<Option<Bytes>, TraceError> {
        if !self.number::<bool>(keyword)? {
            return Ok(None);
        }
        let matrix = self.binary("transform")?;
        if matrix.len() != 24 {
            return Err(self.value_error("bytes of the transform", matrix.len()));
        }
        Ok(Some(matrix))
    }

    fn brush(&mut self) -> Result<Brush, TraceError> {
        Ok(match self.number::<u32>("type")? {
            0 => Brush::None,
            1 => Brush::Solid(self.number("u.color")?),
            2 => Brush::Pattern(self.image()?, self.point()?),
            other => return Err(self.value_error("brush type", other)),
        })
    }

    fn mask(&mut self) -> Result<Mask, TraceError> {
        Ok(Mask {
            flags: self.number("flags")?,
            position: self.point()?,
            image: self.image()?,
        })
    }

    fn image(&mut self) -> Result<Option<Image>, TraceError> {
        if !self.number::<bool>("image")? {
            return Ok(None);
        }
        let id = self.number("descriptor.id")?;
        let kind = self.number("descriptor.type")?;
        let flags = self.number("descriptor.flags")?;
        let width = self.number("descriptor.width")?;
        let height = self.number("descriptor.height")?;
        let pixels = match kind {
            IMAGE_BITMAP => PixelSource::Bitmap(Box::new(self.bitmap()?)),
            IMAGE_QUIC => PixelSource::Quic {
                size: self.number("quic.data_size")?,
                data: self.chunks("quic.data")?,
            },
            IMAGE_SURFACE => PixelSource::Surface(self.number("surface_image.surface_id")?),
            other => return Err(self.value_error("descriptor.type", other)),
        };
        Ok(Some(Image {
            id,
            flags,
            width,
            height,
            pixels,
        }))
    }

    fn bitmap(&mut self) -> Result<Bitmap, TraceError> {
        let format = self.number("bitmap.format")?;
        let flags = self.number("bitmap.flags")?;
        let width = self.number("bitmap.x")?;
        let height = self.number("bitmap.y")?;
        let stride = self.number("bitmap.stride")?;
        let palette = if self.number("has_palette")? {
            Some(self.palette()?)
        } else {
            None
        };
        let data = if flags & BITMAP_DIRECT == 0 {
            // What a guest's chain holds is the guest's matter.
            self.chunks("bitmap.data")?
        } else {
            let data = self.binary("image_data_flat")?;
            if data.len() as u64 != u64::from(stride) * u64::from(height) {
                return Err(self.value_error("bytes of the bitmap", data.len()));
            }
            Chunks { data, more: 0 }
        };
        Ok(Bitmap {
            format,
            flags,
            width,
            height,
            stride,
            palette,
            data,
        })
    }

    fn palette(&mut self) -> Result<Palette, TraceError> {
        let count = self.number::<u16>("qp.num_ents")?;
        let unique = self.number("unique")?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(self.number("ents")?);
        }
        Ok(Palette { unique, entries })
    }
}
