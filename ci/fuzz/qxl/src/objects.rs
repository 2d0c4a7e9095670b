//! What commands point to: the bytes of chunks, images, palettes, paths, strings, and where they are put.

use crate::{
    guest::{Guest, Packed, Placed},
    machine::{BAR0, Region},
    program::{Data, Image, Palette, Patch, Path, Rects, Ref, Shape, Text},
};

/// Bytes of a chain that is made to fit.
const DATA_MAX: u64 = 64 << 10;

impl Packed {
    /// Puts the other bytes of a program in.
    pub(crate) fn patched(mut self, patch: &Patch) -> Self {
        if let Some(at) = usize::from(patch.at).checked_sub(1) {
            let bytes = patch.value.to_le_bytes();
            let width = usize::from(patch.width % 8) + 1;
            for (place, byte) in self.0.iter_mut().skip(at).zip(&bytes[..width]) {
                *place = *byte;
            }
        }
        self
    }

    fn chunk(self, size: u32, next: u64) -> Self {
        self.u32(size).u64(0).u64(next)
    }
}

/// Bytes that look like something.
fn pattern(seed: u8, count: u64) -> impl Iterator<Item = u8> {
    (0..count).map(move |index| (index as u8).wrapping_mul(seed | 1).wrapping_add(seed))
}

impl Guest {
    /// The address a reference stands for.
    pub(crate) fn address(&self, reference: Ref) -> u64 {
        match reference {
            0 => 0,
            1..0xc0 => {
                let count = self.objects.len();
                let back = usize::from(reference);
                count
                    .checked_sub(back)
                    .map_or(0, |index| self.address_of(self.objects[index]))
            }
            // Ends of slots, and just before.
            0xc0..0xd0 => 1 << 56 | (self.machine.header - u64::from(reference - 0xc0) * 5),
            0xd0..0xe0 => 2 << 56 | (self.machine.vram_slot() - u64::from(reference - 0xd0) * 5),
            0xe0 => 0x0101 << 48 | self.arena,
            0xe1 => self.arena,
            0xe2 => 8 << 56 | self.arena,
            0xe3 => 0xff << 56 | self.arena,
            0xe4 => 3 << 56,
            0xe5 => 1 << 56 | 0xffff_ffff_ffff,
            0xe6 => u64::MAX,
            0xe7 => BAR0 + self.machine.header,
            0xe8 => BAR0 - 1,
            // Into an object.
            _ => {
                let last = self.objects.last().copied();
                last.map_or(0, |last| self.address_of(last) + u64::from(reference - 0xe8))
            }
        }
    }

    /// Puts bytes where nothing else is and remembers them.
    pub(crate) fn place(&mut self, packed: &Packed) -> Placed {
        let placed = self.reserve(packed.0.len() as u64);
        self.machine.write(Region::Ram, placed.at, &packed.0);
        self.objects.push(placed);
        placed
    }

    /// Places a chain of chunks with these bytes, the first after `front`.
    fn chain(&mut self, front: Packed, bytes: &[u8], split: usize, shape: u8) -> Placed {
        let split = if split == 0 { bytes.len().max(1) } else { split };
        let mut parts: Vec<&[u8]> = bytes.chunks(split).take(64).collect();
        let rest = parts.iter().map(|part| part.len()).sum::<usize>();
        if rest < bytes.len() {
            parts.push(&bytes[rest..]);
        }
        if shape & 1 != 0 {
            parts = parts.iter().flat_map(|part| [&[][..], part]).collect();
        }
        if parts.is_empty() {
            parts.push(&[]);
        }
        let more = u32::from(shape & 8 != 0);
        let header = front.0.len() as u64;
        let first = self.reserve(header + parts[0].len() as u64 + 20);
        let mut places = vec![first];
        places.extend(
            parts[1..]
                .iter()
                .map(|part| self.reserve(part.len() as u64 + 20))
                .collect::<Vec<_>>(),
        );
        let last = parts.len() - 1;
        let mut front = Some(front);
        for (index, part) in parts.iter().enumerate() {
            let next = match index {
                _ if index < last => self.address_of(places[index + 1]),
                _ if shape & 2 != 0 => self.address_of(places[0]) + header,
                _ if shape & 4 != 0 && index == 0 => self.address_of(places[0]) + header,
                _ if shape & 4 != 0 => self.address_of(places[index]),
                _ => 0,
            };
            let chunk = front.take().unwrap_or_default();
            let chunk = chunk.chunk(part.len() as u32 + more, next).bytes(part);
            self.machine.write(Region::Ram, places[index].at, &chunk.0);
        }
        self.objects.push(first);
        first
    }

    pub(crate) fn data(&mut self, data: &Data) {
        let size = u64::from(data.size).max(data.start.len() as u64);
        let mut bytes = data.start.clone();
        bytes.extend(pattern(3, size - bytes.len() as u64));
        self.chain(Packed::default(), &bytes, data.split.into(), data.shape);
    }

    pub(crate) fn image(&mut self, image: &Image) {
        const SURFACE: u8 = 104;
        let (width, height) = (u32::from(image.width), u32::from(image.height));
        let kind = match image.kind % 16 {
            1 => 1,
            2 => SURFACE,
            15 => image.kind,
            _ => 0,
        };
        let descriptor = |size: (u32, u32)| {
            let id = u64::from(image.flags) << 32 | u64::from(image.surface);
            Packed::default()
                .u64(id)
                .u8(kind)
                .u8(image.flags)
                .u32(size.0)
                .u32(size.1)
        };
        let packed = match kind {
            1 => {
                // A header that agrees, and something behind it.
                let stream = Packed::default()
                    .bytes(b"QUIC")
                    .u32(0)
                    .u32(u32::from(image.format % 8))
                    .u32(width)
                    .u32(height)
                    .bytes(&pattern(image.format, 40 + u64::from(image.height)).collect::<Vec<_>>())
                    .patched(&image.patch);
                let front = descriptor((width, height)).u32(stream.0.len() as u32);
                let split = usize::from(image.padding.unsigned_abs());
                self.chain(front, &stream.0, split, image.bitmap_flags >> 4);
                return;
            }
            SURFACE => descriptor((width, height)).u32(image.surface.into()),
            _ => {
                const BITS: [u32; 10] = [0, 1, 1, 4, 4, 8, 16, 24, 32, 32];
                let bits = BITS.get(usize::from(image.format)).copied().unwrap_or(8);
                let row = (u64::from(width) * u64::from(bits)).div_ceil(8);
                let stride = (row as i64 + i64::from(image.padding)).max(0) as u64;
                let flat = image.bitmap_flags & 1 != 0;
                let total = stride * u64::from(height);
                let data = if image.data == 0 && total <= DATA_MAX {
                    let bytes: Vec<u8> = pattern(image.flags, total).collect();
                    if flat {
                        self.place(&Packed::default().bytes(&bytes))
                    } else {
                        let split = usize::from(image.bitmap_flags >> 4) * 64;
                        self.chain(Packed::default(), &bytes, split, 0)
                    };
                    self.address(1)
                } else {
                    self.address(image.data)
                };
                let (palette, flags) = (self.address(image.palette), image.bitmap_flags & 0x0f);
                descriptor((width, height))
                    .u8(image.format)
                    .u8(flags)
                    .u32(width)
                    .u32(height)
                    .u32(stride as u32)
                    .u64(palette)
                    .u64(data)
            }
        };
        self.place(&packed.patched(&image.patch));
    }

    pub(crate) fn palette(&mut self, palette: &Palette) {
        let colours: Vec<u8> = pattern(palette.seed, 4 * u64::from(palette.count.min(256))).collect();
        let packed = Packed::default()
            .u64(palette.seed.into())
            .u16(palette.count)
            .bytes(&colours);
        self.place(&packed.patched(&palette.patch));
    }

    pub(crate) fn path(&mut self, path: &Path) {
        let mut bytes = Packed::default();
        for segment in &path.segments {
            bytes = bytes.u32(segment.flags.into()).u32(segment.points.len() as u32);
            for [x, y] in &segment.points {
                // 28.4, with a bit below the pixel.
                bytes = bytes.i32(i32::from(*x) * 8).i32(i32::from(*y) * 8);
            }
        }
        let front = Packed::default().u32(bytes.0.len() as u32);
        let bytes = bytes.patched(&path.patch);
        self.chain(front, &bytes.0, 0, 0);
    }

    pub(crate) fn text(&mut self, text: &Text) {
        let bits = match text.flags & 7 {
            1 => 1,
            2 => 4,
            _ => 8,
        };
        let mut bytes = Packed::default();
        for glyph in &text.glyphs {
            let [x, y, origin_x, origin_y] = glyph.position.map(i32::from);
            bytes = bytes.i32(x).i32(y).i32(origin_x).i32(origin_y);
            bytes = bytes.u16(glyph.width.into()).u16(glyph.height.into());
            let row = (u64::from(glyph.width) * bits).div_ceil(8);
            let pixels: Vec<u8> = pattern(text.seed, row * u64::from(glyph.height)).collect();
            bytes = bytes.bytes(&pixels);
        }
        let front = Packed::default()
            .u32(bytes.0.len() as u32)
            .u16(text.glyphs.len() as u16)
            .u16(text.flags.into());
        let bytes = bytes.patched(&text.patch);
        self.chain(front, &bytes.0, 0, 0);
    }

    pub(crate) fn clip(&mut self, clip: &Rects) {
        let mut bytes = Packed::default();
        for rect in &clip.rects {
            bytes = bytes.rect(*rect);
        }
        let front = Packed::default().u32(clip.rects.len() as u32).patched(&clip.patch);
        self.chain(front, &bytes.0, clip.split.into(), 0);
    }

    pub(crate) fn words(&mut self, words: &[i32]) {
        let packed = words.iter().fold(Packed::default(), |packed, word| packed.i32(*word));
        self.place(&packed);
    }

    pub(crate) fn shape(&mut self, shape: &Shape) {
        let kind = shape.kind % 8;
        let (width, height) = (u64::from(shape.width), u64::from(shape.height));
        let mask = width.div_ceil(8) * height;
        let needed = match kind {
            0 => 4 * width * height,
            1 => 2 * mask,
            2 => width.div_ceil(2) * height + 64 + mask,
            3 => width * height + 1024 + mask,
            4 => 2 * width * height + mask,
            5 => 3 * width * height + mask,
            _ => 4 * width * height + mask,
        };
        let size = needed.saturating_sub(shape.short.into());
        let front = Packed::default()
            .u64(shape.unique.into())
            .u16(kind.into())
            .u16(shape.width)
            .u16(shape.height)
            .u16(shape.hot[0])
            .u16(shape.hot[1])
            .u32(size as u32)
            .patched(&shape.patch);
        let bytes: Vec<u8> = pattern(shape.unique, size.min(DATA_MAX)).collect();
        self.chain(front, &bytes, shape.split.into(), 0);
    }
}
