//! From memory and registers to 32-bit pixels, and which of them changed.

mod damage;
mod graphics;
mod source;
mod text;

use std::time::Duration;

use caraway_base::memory::SharedMemory;
use caraway_ports::geometry::Rect;

use crate::{
    dirty::DirtyPages,
    scanout::{Picture, Scanout},
};
use damage::Damage;
use graphics::GraphicsScreen;
use source::Source;
use text::TextScreen;

/// Bytes of a pixel of the frame.
const PIXEL: usize = 4;

/// Size of the picture before the guest set one.
const FIRST_SIZE: (u32, u32) = (720, 400);

/// What blinks is on and off for 16 frames of 60 Hz each.
const BLINK_MICROSECONDS: u64 = 266_667;

/// What a refresh did to the frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refresh {
    /// The frame is another one, of this size in pixels. At the first refresh too.
    pub resized: Option<(u32, u32)>,
    /// Everything that changed is in these, 64 at most. They may overlap and may hold pixels that did not change.
    pub rects: Vec<Rect>,
}

/// The picture on a screen, kept up to date.
#[derive(Debug)]
pub struct Renderer {
    size: (u32, u32),
    /// Rows top-down without gaps; empty before the first refresh.
    frame: Vec<u8>,
    last: Option<Scanout>,
    text: TextScreen,
    graphics: GraphicsScreen,
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer {
    /// A screen that is black until the first refresh. It has no frame before that.
    #[must_use]
    pub fn new() -> Self {
        Self {
            size: FIRST_SIZE,
            frame: Vec::new(),
            last: None,
            text: TextScreen::default(),
            graphics: GraphicsScreen::default(),
        }
    }

    /// Brings the frame up to date.
    ///
    /// `dirty` holds at least the pages written since the last refresh, taken before this call. `time` is that of a
    /// clock that never goes back; it decides what is blinked off. With `full` everything is drawn anew and reported,
    /// whatever is dirty.
    pub fn refresh(
        &mut self,
        memory: &SharedMemory,
        scanout: &Scanout,
        dirty: &DirtyPages,
        time: Duration,
        full: bool,
    ) -> Refresh {
        let size = scanout.size().unwrap_or(self.size);
        let resized = size != self.size || self.frame.is_empty();
        if resized {
            self.resize(size);
        }
        if full || resized {
            self.last = None;
        }
        let changed = self.last.as_ref() != Some(scanout);
        let source = Source { memory, dirty };
        let mut damage = Damage::default();
        if !matches!(scanout.picture, Picture::Text(_)) || self.last.is_none() {
            self.text.forget();
        }
        let stride = stride(size.0);
        match &scanout.picture {
            Picture::Blank if changed => {
                self.frame.fill(0);
                damage.add_whole(size);
            }
            Picture::Blank => {}
            Picture::Text(text) => {
                let mut frame = text::Target {
                    pixels: &mut self.frame,
                    stride,
                    damage: &mut damage,
                };
                let off = blink_phase(time) % 2 == 1;
                self.text.refresh(&source, text, &scanout.palette, off, &mut frame);
            }
            Picture::Graphics(graphics) => {
                let rows = self.frame.chunks_exact_mut(stride);
                self.graphics
                    .refresh(&source, graphics, &scanout.palette, changed, rows, &mut damage);
            }
        }
        if full || resized {
            damage.add_whole(size);
        }
        if changed {
            self.last = Some(scanout.clone());
        }
        Refresh {
            resized: resized.then_some(size),
            rects: damage.into_rects(),
        }
    }

    /// When something on the screen blinks next, if anything does; on the clock of [`Self::refresh`].
    #[must_use]
    pub fn next_blink(&self, time: Duration) -> Option<Duration> {
        self.text
            .blinks()
            .then(|| Duration::from_micros((blink_phase(time) + 1).saturating_mul(BLINK_MICROSECONDS)))
    }

    /// Pixels across and down.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The frame: B, G, R, 0 of each pixel, rows top-down without gaps. Empty before the first refresh.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// A copy of the part of the frame in `rect`, rows top-down without gaps. What is outside the frame is left out.
    #[must_use]
    pub fn pixels(&self, rect: &Rect) -> Vec<u8> {
        let inside = rect.intersect(&Rect::at(0, 0, self.size.0, self.size.1));
        let edge = |value: i32| usize::try_from(value).unwrap_or(0);
        let columns = edge(inside.left) * PIXEL..edge(inside.right) * PIXEL;
        let mut pixels = Vec::with_capacity(columns.len() * (edge(inside.bottom) - edge(inside.top)));
        let rows = self.frame.chunks_exact(stride(self.size.0));
        for row in rows.take(edge(inside.bottom)).skip(edge(inside.top)) {
            pixels.extend_from_slice(row.get(columns.clone()).unwrap_or_default());
        }
        pixels
    }

    /// A black frame. Its size is bounded by the scan-out.
    fn resize(&mut self, size: (u32, u32)) {
        self.size = size;
        // The old one first, so that there are never two.
        self.frame = Vec::new();
        self.frame = vec![0; stride(size.0) * size.1 as usize];
    }
}

/// Bytes of a row of the frame; never 0.
const fn stride(width: u32) -> usize {
    if width == 0 { PIXEL } else { width as usize * PIXEL }
}

/// How often what blinks has changed since the clock began.
fn blink_phase(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / BLINK_MICROSECONDS
}
