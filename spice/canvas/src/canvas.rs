//! The set of surfaces of one display device.

use std::collections::BTreeMap;

use bytes::Bytes;
use caraway_ports::{
    display::{Pixels, SurfaceSpec},
    drawing::{Drawable, SurfaceFormat},
    geometry::Rect,
};

use crate::{
    color::widen,
    error::{CreateError, DrawError},
    ops,
    surface::Surface,
};

/// What the surfaces of a canvas may take. Checked before memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest side of a surface in pixels.
    pub max_side: u32,
    /// Most surfaces at a time.
    pub max_surfaces: usize,
    /// Most bytes of pixels in all surfaces together, and in each decompressed image while it is drawn. What an
    /// operation reads of the surface it draws on is held twice meanwhile.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// Sides to 8192 pixels, 1024 surfaces (the SPICE wire has no more), 256 MiB (the largest screen memory).
    fn default() -> Self {
        Self {
            max_side: 8192,
            max_surfaces: 1024,
            max_bytes: 256 << 20,
        }
    }
}

/// What a drawing operation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Every pixel that may have changed is in here; empty when nothing was drawn.
    pub bbox: Rect,
}

/// The pixels of a surface as they are stored.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(&'a Surface);

impl<'a> View<'a> {
    /// The format of a pixel.
    #[must_use]
    pub const fn format(&self) -> SurfaceFormat {
        self.0.format
    }

    /// The whole area.
    #[must_use]
    pub fn area(&self) -> Rect {
        self.0.area()
    }

    /// The bytes of a row, without padding; none outside the surface.
    #[must_use]
    pub fn row(&self, y: u32) -> &'a [u8] {
        self.0.row(y)
    }
}

/// The surfaces of one display device and their pixels.
#[derive(Debug)]
pub struct Canvas {
    limits: Limits,
    bytes: u64,
    surfaces: BTreeMap<u32, Surface>,
}

impl Canvas {
    /// A canvas without surfaces.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: 0,
            surfaces: BTreeMap::new(),
        }
    }

    /// Bytes of pixels in all surfaces.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Creates a surface, zero unless `spec` brings content. A live surface with the same number is replaced.
    ///
    /// # Errors
    /// Sides, memory or number of surfaces beyond the limits; content that does not fit. Nothing has changed then.
    pub fn create(&mut self, spec: &SurfaceSpec) -> Result<(), CreateError> {
        let SurfaceSpec { id, width, height, .. } = *spec;
        let max = self.limits.max_side;
        if width == 0 || height == 0 || width > max || height > max {
            return Err(CreateError::Size { id, width, height, max });
        }
        let freed = self.surfaces.get(&id).map_or(0, surface_bytes);
        if freed == 0 && self.surfaces.len() >= self.limits.max_surfaces {
            let max = self.limits.max_surfaces;
            return Err(CreateError::Count { id, max });
        }
        let needed = Surface::bytes(spec.format, width, height);
        let left = self.limits.max_bytes.saturating_sub(self.bytes - freed);
        if needed > left {
            return Err(CreateError::Memory { id, needed, left });
        }
        if !Surface::fits_host(needed) {
            return Err(CreateError::HostMemory { id, needed });
        }
        let mut surface = Surface::new(spec.format, width, height);
        if let Some(pixels) = &spec.pixels {
            surface.fill_from(pixels).ok_or(CreateError::Content { id })?;
        }
        self.bytes = self.bytes - freed + needed;
        self.surfaces.insert(id, surface);
        Ok(())
    }

    /// Ends a surface; whether there was one.
    pub fn destroy(&mut self, id: u32) -> bool {
        let Some(surface) = self.surfaces.remove(&id) else {
            return false;
        };
        self.bytes -= surface_bytes(&surface);
        true
    }

    /// Ends all surfaces.
    pub fn clear(&mut self) {
        self.surfaces.clear();
        self.bytes = 0;
    }

    /// Numbers of the surfaces, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.surfaces.keys().copied()
    }

    /// The whole area of a surface; `None` when there is none with this number.
    #[must_use]
    pub fn area(&self, id: u32) -> Option<Rect> {
        self.surfaces.get(&id).map(Surface::area)
    }

    /// Format of a surface; `None` when there is none with this number.
    #[must_use]
    pub fn format(&self, id: u32) -> Option<SurfaceFormat> {
        self.surfaces.get(&id).map(|surface| surface.format)
    }

    /// Executes a drawing operation.
    ///
    /// # Errors
    /// No such surface, a box outside it, an image that is not there or not readable: see [`DrawError`]. Nothing has
    /// been drawn then.
    pub fn draw(&mut self, drawable: &Drawable) -> Result<Drawn, DrawError> {
        let id = drawable.surface;
        let place = self.surfaces.get_mut(&id).ok_or(DrawError::NoSurface { id })?;
        // While it is drawn on, an empty one stands in its place.
        let mut target = std::mem::replace(place, Surface::empty());
        let max_pixels = self.limits.max_bytes / 4;
        let result = ops::draw(&mut target, &self.surfaces, drawable, max_pixels);
        if let Some(place) = self.surfaces.get_mut(&id) {
            *place = target;
        }
        result.map(|bbox| Drawn { bbox })
    }

    /// The content of `area`, clipped to the surface, rows without padding (a row of 1-bit pixels ends with a whole
    /// byte). `None` when there is no such surface or nothing of the area is in it.
    #[must_use]
    pub fn read(&self, id: u32, area: Rect) -> Option<Pixels> {
        let surface = self.surfaces.get(&id)?;
        let area = area.intersect(&surface.area());
        if area.is_empty() {
            return None;
        }
        let (x, width, height) = (area.left.unsigned_abs(), area.width(), area.height());
        let stride = u32::try_from(surface.format.row_bytes(width)).ok()?;
        let mut data = Vec::with_capacity(stride as usize * height as usize);
        let mut bits = vec![0; width as usize];
        for y in area.top.unsigned_abs()..area.bottom.unsigned_abs() {
            if surface.pixel_bytes().is_some() {
                data.extend_from_slice(surface.span(x, y, width));
            } else {
                surface.load(x, y, &mut bits);
                let pack = |bits: &[u32]| (0..).zip(bits).fold(0, |byte, (at, bit)| byte | (*bit as u8) << at);
                data.extend(bits.chunks(8).map(pack));
            }
        }
        Some(Pixels {
            format: surface.format,
            width,
            height,
            stride,
            data: Bytes::from(data),
        })
    }

    /// The pixels of a surface, to look at where they are; `None` when there is none with this number.
    #[must_use]
    pub fn view(&self, id: u32) -> Option<View<'_>> {
        self.surfaces.get(&id).map(View)
    }

    /// Checksum of a surface: 64-bit FNV-1a over width and height (32 bits each, little endian), then blue, green and
    /// red of each pixel, 8 bits each, rows from top to bottom. Neither alpha nor the unused byte of a pixel counts.
    /// `None` when there is no such surface.
    #[must_use]
    pub fn checksum(&self, id: u32) -> Option<u64> {
        let surface = self.surfaces.get(&id)?;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        add(&surface.width.to_le_bytes());
        add(&surface.height.to_le_bytes());
        let mut row = vec![0; surface.width as usize];
        for y in 0..surface.height {
            surface.load(0, y, &mut row);
            for value in &row {
                let [b, g, r, _] = widen(surface.format, *value).to_le_bytes();
                add(&[b, g, r]);
            }
        }
        Some(hash)
    }
}

/// Bytes that `surface` takes of the budget.
fn surface_bytes(surface: &Surface) -> u64 {
    Surface::bytes(surface.format, surface.width, surface.height)
}
