//! Which commands are frames of a video.

use std::{sync::Arc, time::Duration};

use caraway_image::choice::{Graduality, graduality};
use caraway_ports::{
    drawing::{Bitmap, BitmapFormat, Clip, DrawOp, Drawable, ImageData, Source, SurfaceFormat},
    geometry::Rect,
};

use super::{
    IDLE, MAX_RECTS, Stream, VideoMode,
    frame::{bitmap_source, part_of},
};
use crate::{client::is_put, part::cut};

/// Streams of one display at a time: the reference's figure, and below what clients have room for.
const STREAMS: usize = 50;

/// Places that are watched: the reference's figure.
const TRACES: usize = 8;

/// Longest time from one copy to the next that may be a frame after it: the reference's figure.
const NEXT: Duration = Duration::from_millis(200);

/// Fewest pixels of a frame where what it shows counts: 96x96, the reference's figure.
const LEAST: u64 = 9216;

/// Copies to a place after which it is a stream if one in five is smooth: the reference's figure.
const MANY: u32 = 20;

/// The same if all of them are. The reference has no such number: it sends twenty pictures without loss first, which is
/// more than a second of video.
const FEW: u32 = 6;

/// Of a place that has had more copies than [`MANY`], only one in so many is looked at.
const RARELY: u32 = 8;

/// The surfaces of a display as far as finding video needs them.
pub(crate) trait Surfaces {
    /// The format of a surface.
    fn format(&self, surface: u32) -> Option<SurfaceFormat>;
    /// The pixels of a part of a surface as a bitmap.
    fn read(&self, surface: u32, area: &Rect) -> Option<Bitmap>;
}

/// What a command is.
#[derive(Debug)]
pub(crate) enum Look {
    /// No frame.
    Plain,
    /// The frame of a stream.
    Frame(Box<Found>),
}

/// A command that is a frame.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) stream: Arc<Stream>,
    pub(crate) period: Duration,
    /// The copy of a bitmap, which may be another command than the guest's.
    pub(crate) drawable: Drawable,
    /// What else the command draws.
    pub(crate) rest: Option<Drawable>,
}

/// One stream.
#[derive(Debug)]
struct Running {
    stream: Arc<Stream>,
    dest: Rect,
    last: Duration,
    period: Duration,
}

/// Copies to one place.
#[derive(Clone, Copy, Debug)]
struct Trace {
    surface: u32,
    dest: Rect,
    width: u32,
    height: u32,
    first: Duration,
    last: Duration,
    /// Copies after the first one, and those of them that were looked at and found smooth.
    count: u32,
    looked: u32,
    smooth: u32,
}

/// Finds video in the commands of a display.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    pub(crate) mode: VideoMode,
    running: Vec<Running>,
    /// The newest last.
    traces: Vec<Trace>,
    lives: u64,
}

impl Detector {
    /// Looks at a command before it is drawn.
    pub(crate) fn look(&mut self, drawable: &Drawable, now: Duration, surfaces: &impl Surfaces) -> Look {
        let Some(source) = self.streamable(drawable, surfaces) else {
            return Look::Plain;
        };
        let size = (source.area.width(), source.area.height());
        let place = |stream: &Running| stream.stream.surface == drawable.surface;
        let same = |stream: &Running| (stream.stream.width, stream.stream.height) == size;
        let found = self
            .running
            .iter()
            .position(|stream| place(stream) && same(stream) && stream.dest == drawable.bbox);
        if let Some(at) = found {
            return self.frame(at, drawable, source, now, surfaces);
        }
        let around = self
            .running
            .iter()
            .position(|stream| place(stream) && contains(drawable, &stream.dest));
        if let Some(at) = around
            && let Some(look) = self.split(at, drawable, source, now)
        {
            return look;
        }
        self.trace(drawable, source, now, surfaces)
    }

    /// The streams that have had no frame for too long; they are no more.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Arc<Stream>> {
        self.stop(|stream| now.saturating_sub(stream.last) >= IDLE)
    }

    /// When [`Detector::expire`] may have something again.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.running.iter().map(|stream| stream.last + IDLE).min()
    }

    /// A surface is gone: so are the streams on it.
    pub(crate) fn forget(&mut self, surface: u32) -> Vec<Arc<Stream>> {
        self.traces.retain(|trace| trace.surface != surface);
        self.stop(|stream| stream.stream.surface == surface)
    }

    /// Ends all streams.
    pub(crate) fn stop_all(&mut self) -> Vec<Arc<Stream>> {
        self.traces.clear();
        self.stop(|_| true)
    }

    /// Streams there are.
    pub(crate) fn streams(&self) -> usize {
        self.running.len()
    }

    fn stop(&mut self, is_over: impl Fn(&Running) -> bool) -> Vec<Arc<Stream>> {
        let (over, running) = self.running.drain(..).partition(is_over);
        self.running = running;
        let over: Vec<Running> = over;
        over.into_iter().map(|stream| stream.stream).collect()
    }

    /// What a command copies if it may be a frame: the plain copy of colours to a surface without alpha.
    fn streamable<'a>(&self, drawable: &'a Drawable, surfaces: &impl Surfaces) -> Option<&'a Source> {
        let DrawOp::Copy { source, rop, mask } = &drawable.op else {
            return None;
        };
        let least = match self.mode {
            VideoMode::Off => return None,
            VideoMode::Filter => LEAST,
            VideoMode::All => 1,
        };
        let colours = match &source.image.data {
            ImageData::Bitmap(bitmap) => {
                let whole = Rect::at(0, 0, bitmap.width, bitmap.height);
                whole.contains(&source.area)
                    && matches!(
                        bitmap.format,
                        BitmapFormat::Bit16 | BitmapFormat::Bit24 | BitmapFormat::Bit32 | BitmapFormat::Rgba
                    )
            }
            ImageData::Surface(id) => *id != drawable.surface && surfaces.format(*id).is_some_and(is_colours),
            ImageData::Quic(_) => false,
        };
        let target = surfaces.format(drawable.surface).is_some_and(is_colours);
        let plain = is_put(*rop) && mask.bitmap.is_none();
        let simple = !matches!(&drawable.clip, Clip::Rects(rects) if rects.len() > MAX_RECTS);
        (plain && simple && target && colours && source.area.area() >= least).then_some(source)
    }

    /// The command is a frame of the stream.
    fn frame(
        &mut self,
        at: usize,
        drawable: &Drawable,
        source: &Source,
        now: Duration,
        surfaces: &impl Surfaces,
    ) -> Look {
        let drawable = match &source.image.data {
            ImageData::Surface(id) => match surfaces.read(*id, &source.area) {
                Some(bitmap) if (bitmap.width, bitmap.height) == (source.area.width(), source.area.height()) => {
                    copy_of(drawable, source, bitmap)
                }
                _ => return Look::Plain,
            },
            _ => drawable.clone(),
        };
        match self.note(at, now) {
            Some((stream, period)) => Look::Frame(Box::new(Found {
                stream,
                period,
                drawable,
                rest: None,
            })),
            None => Look::Plain,
        }
    }

    /// A command that draws more than the place of a stream: the part of it that is a frame, and the rest. Nothing where
    /// it cannot be cut, or that part does not look like video.
    fn split(&mut self, at: usize, drawable: &Drawable, source: &Source, now: Duration) -> Option<Look> {
        let running = self.running.get(at)?;
        let dest = running.dest;
        let same_size = (dest.width(), dest.height()) == (running.stream.width, running.stream.height);
        let (inner, rest) = part_of(drawable, source, &dest).filter(|_| same_size)?;
        if self.mode == VideoMode::Filter && !bitmap_source(&inner).is_some_and(|bitmap| is_smooth(&bitmap)) {
            return None;
        }
        let (stream, period) = self.note(at, now)?;
        Some(Look::Frame(Box::new(Found {
            stream,
            period,
            drawable: inner,
            rest,
        })))
    }

    /// Takes up a frame.
    fn note(&mut self, at: usize, now: Duration) -> Option<(Arc<Stream>, Duration)> {
        let running = self.running.get_mut(at)?;
        let since = now.saturating_sub(running.last);
        running.period = (running.period * 7 + since.min(IDLE)) / 8;
        running.last = now;
        Some((Arc::clone(&running.stream), running.period))
    }

    /// Counts copies to a place that is no stream yet, and makes it one.
    fn trace(&mut self, drawable: &Drawable, source: &Source, now: Duration, surfaces: &impl Surfaces) -> Look {
        let (width, height) = (source.area.width(), source.area.height());
        let found = self.traces.iter().position(|trace| {
            trace.surface == drawable.surface
                && trace.dest == drawable.bbox
                && (trace.width, trace.height) == (width, height)
        });
        let mut trace = match found.map(|at| self.traces.remove(at)) {
            Some(trace) if now.saturating_sub(trace.last) <= NEXT => trace,
            _ => {
                if self.traces.len() >= TRACES {
                    self.traces.remove(0);
                }
                self.traces.push(Trace {
                    surface: drawable.surface,
                    dest: drawable.bbox,
                    width,
                    height,
                    first: now,
                    last: now,
                    count: 0,
                    looked: 0,
                    smooth: 0,
                });
                return Look::Plain;
            }
        };
        trace.last = now;
        trace.count += 1;
        if trace.count <= MANY || trace.count.is_multiple_of(RARELY) {
            trace.looked += 1;
            trace.smooth += u32::from(self.shows_video(source, surfaces));
            // What was long ago does not count.
            if trace.looked > 5 * MANY {
                (trace.looked, trace.smooth) = (trace.looked / 2, trace.smooth / 2);
            }
        }
        let moved = self.moves_to(&trace);
        let all = trace.smooth == trace.looked && trace.count >= FEW;
        let many = trace.smooth * 5 >= trace.looked && trace.count >= MANY;
        let at = match moved {
            Some(at) if trace.count >= 2 && trace.smooth > 0 => at,
            _ if all || many => match self.start(&trace) {
                Some(at) => at,
                None => {
                    self.traces.push(trace);
                    return Look::Plain;
                }
            },
            _ => {
                self.traces.push(trace);
                return Look::Plain;
            }
        };
        if let Some(running) = self.running.get_mut(at) {
            running.dest = trace.dest;
        }
        self.frame(at, drawable, source, now, surfaces)
    }

    /// The stream that seems to have moved to a place: of the same size, and without a frame since there are some there.
    fn moves_to(&self, trace: &Trace) -> Option<usize> {
        self.running.iter().position(|running| {
            let Stream {
                surface, width, height, ..
            } = *running.stream;
            (surface, width, height) == (trace.surface, trace.width, trace.height)
                && (running.dest.width(), running.dest.height()) == (trace.dest.width(), trace.dest.height())
                && running.last <= trace.first
        })
    }

    fn start(&mut self, trace: &Trace) -> Option<usize> {
        if self.running.len() >= STREAMS {
            return None;
        }
        let id = (0..).find(|id| self.running.iter().all(|running| running.stream.id != *id))?;
        self.lives += 1;
        let period = trace.last.saturating_sub(trace.first) / trace.count.max(1);
        self.running.push(Running {
            stream: Arc::new(Stream {
                id,
                life: self.lives,
                surface: trace.surface,
                width: trace.width,
                height: trace.height,
            }),
            dest: trace.dest,
            last: trace.last.saturating_sub(period),
            period,
        });
        Some(self.running.len() - 1)
    }

    fn shows_video(&self, source: &Source, surfaces: &impl Surfaces) -> bool {
        if self.mode == VideoMode::All {
            return true;
        }
        match &source.image.data {
            ImageData::Bitmap(bitmap) => cut(bitmap, &source.area).is_none_or(|part| is_smooth(&part)),
            ImageData::Surface(id) => surfaces.read(*id, &source.area).is_some_and(|part| is_smooth(&part)),
            ImageData::Quic(_) => false,
        }
    }
}

const fn is_colours(format: SurfaceFormat) -> bool {
    matches!(
        format,
        SurfaceFormat::Xrgb | SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565
    )
}

/// What cannot be told counts as smooth, as with the reference.
fn is_smooth(bitmap: &Bitmap) -> bool {
    graduality(bitmap).is_none_or(|graduality| graduality > Graduality::Low)
}

/// Whether a command draws a place whole, and more.
fn contains(drawable: &Drawable, dest: &Rect) -> bool {
    drawable.bbox.contains(dest)
        && match &drawable.clip {
            Clip::None => true,
            Clip::Rects(rects) => rects.iter().any(|rect| rect.contains(dest)),
        }
}

/// The copy of a bitmap in place of one of a surface.
fn copy_of(drawable: &Drawable, source: &Source, bitmap: Bitmap) -> Drawable {
    Drawable {
        clip: drawable.clip.clone(),
        mm_time: drawable.mm_time,
        ..Drawable::copy(drawable.surface, drawable.bbox, Arc::new(bitmap), source.scale)
    }
}
