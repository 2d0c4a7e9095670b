//! The viewer: a real display with its canvas, behind checks of what it is told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use caraway_canvas::Limits;
use caraway_display::{Display, VideoMode, ViewerCaps};
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, Pixels},
    drawing::{Clip, DrawOp, Drawable, Image},
    geometry::Rect,
};

use crate::whole::assert_whole;

/// Pixels a program may have drawn, read and shown, so that it takes no longer than a few milliseconds.
const WORK_MAX: u64 = 1 << 20;
/// Bytes the canvas may hold; of a device that is smaller.
const CANVAS_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) display: Arc<Display>,
    /// Sizes by id, in pixels, and bytes.
    surfaces: Mutex<BTreeMap<u32, (u32, u32, u64)>>,
    /// Bytes all surfaces may have.
    most: u64,
    work: AtomicU64,
    /// Something was not drawn or read because it was too much.
    refused: AtomicBool,
}

impl Sink {
    pub(crate) fn new(most: u64) -> Arc<Self> {
        let limits = Limits {
            max_bytes: CANVAS_MAX,
            ..Limits::default()
        };
        // All at one time: whatever follows in one place is video, and the same in each run.
        let display = Display::with_clock(limits, Arc::new(|| Duration::ZERO));
        display.set_video(VideoMode::All);
        Arc::new(Self {
            display,
            surfaces: Mutex::default(),
            most,
            work: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        })
    }

    /// A viewer who looks along; what it is to be sent is taken by [`Self::drain`].
    pub(crate) fn attach(&self, how: u8) -> caraway_display::Viewer {
        let caps = ViewerCaps {
            composite: how & 1 != 0,
            a8_surface: how & 2 != 0,
            monitors: how & 4 != 0,
            streams: how & 8 != 0,
            sized_streams: how & 16 != 0,
            all: [how; 58],
        };
        self.display.attach(caps, Arc::new(|| {}))
    }

    fn surfaces(&self) -> MutexGuard<'_, BTreeMap<u32, (u32, u32, u64)>> {
        self.surfaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Surfaces that live, with their sizes.
    pub(crate) fn live(&self) -> Vec<(u32, u32, u32)> {
        self.surfaces().iter().map(|(id, (w, h, _))| (*id, *w, *h)).collect()
    }

    pub(crate) fn size(&self, id: u32) -> Option<(u32, u32)> {
        self.surfaces().get(&id).map(|(width, height, _)| (*width, *height))
    }

    /// Takes work from what is left. Whether there was as much.
    pub(crate) fn afford(&self, pixels: u64) -> bool {
        let used = self.work.fetch_add(pixels, Ordering::Relaxed);
        let fits = used.saturating_add(pixels) <= WORK_MAX;
        if !fits {
            self.refused.store(true, Ordering::Relaxed);
        }
        fits
    }

    /// The program's work is over: what follows may take as much again.
    pub(crate) fn renew(&self) {
        self.work.store(0, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
    }

    pub(crate) fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether something large can be afforded.
    pub(crate) fn is_fresh(&self) -> bool {
        self.work.load(Ordering::Relaxed) < WORK_MAX / 2
    }

    /// What surface `id` shows, as far as can be afforded.
    pub(crate) fn whole(&self, id: u32) -> Option<Pixels> {
        let (width, height) = self.size(id)?;
        self.read(id, Rect::at(0, 0, width, height))
    }
}

/// A guess at what drawing takes: pixels, and per thing a little.
fn cost(drawable: &Drawable) -> u64 {
    let image = |image: &Image| u64::from(image.width) * u64::from(image.height);
    let rects = match &drawable.clip {
        Clip::None => 1,
        Clip::Rects(rects) => rects.iter().map(Rect::area).sum::<u64>() / 4 + rects.len() as u64,
    };
    let more = match &drawable.op {
        DrawOp::Opaque { source, .. } | DrawOp::Rop3 { source, .. } => image(&source.image),
        DrawOp::Copy { source, .. } | DrawOp::Blend { source, .. } => image(&source.image),
        DrawOp::Transparent { source, .. } | DrawOp::AlphaBlend { source, .. } => image(&source.image),
        // Pixel by pixel, through transforms.
        DrawOp::Composite(composite) => {
            8 * drawable.bbox.area() + image(&composite.src) + composite.mask.as_ref().map_or(0, image)
        }
        DrawOp::Stroke { path, .. } => 4096 * path.iter().map(|segment| segment.points.len() as u64).sum::<u64>(),
        DrawOp::Text { glyphs, .. } => 16 * glyphs.iter().map(|glyph| glyph.data.len() as u64).sum::<u64>(),
        _ => 0,
    };
    256 + 2 * drawable.bbox.area() + rects + more
}

impl DisplaySink for Sink {
    fn submit(&self, command: DisplayCommand) {
        assert_whole(&command);
        match &command {
            DisplayCommand::CreateSurface(spec) => {
                let bytes = spec.format.row_bytes(spec.width) * u64::from(spec.height);
                if let Some(pixels) = &spec.pixels {
                    assert_eq!(
                        (pixels.width, pixels.height, pixels.format),
                        (spec.width, spec.height, spec.format)
                    );
                    assert!(pixels.data.len() as u64 >= bytes);
                }
                let mut surfaces = self.surfaces();
                surfaces.insert(spec.id, (spec.width, spec.height, bytes));
                let all: u64 = surfaces.values().map(|(.., bytes)| bytes).sum();
                assert!(
                    all <= self.most,
                    "surfaces of {all} bytes, at most {} can be",
                    self.most
                );
            }
            DisplayCommand::DestroySurface(id) => {
                assert!(self.surfaces().remove(id).is_some(), "surface {id} was not there");
            }
            DisplayCommand::Draw(drawable) => {
                let (width, height) = self.size(drawable.surface).expect("drawn on a live surface");
                let whole = Rect::at(0, 0, width, height);
                assert!(whole.contains(&drawable.bbox), "{:?} in {whole:?}", drawable.bbox);
                if !self.afford(cost(drawable)) {
                    return;
                }
            }
            DisplayCommand::Reset => self.surfaces().clear(),
            DisplayCommand::Cursor(_) | DisplayCommand::Monitors { .. } => {}
        }
        self.display.submit(command);
    }

    fn read(&self, surface: u32, area: Rect) -> Option<Pixels> {
        // The display shows black where there is no surface; a device does not ask there.
        let (width, height) = self.size(surface)?;
        let part = area.intersect(&Rect::at(0, 0, width, height));
        if !self.afford(part.area()) {
            return None;
        }
        self.display.read(surface, area)
    }
}
