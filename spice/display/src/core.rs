//! The display: canvas, cursor, monitors, and the viewers that follow them.

mod ahead;
mod deliver;
mod resume;
mod viewer;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use caraway_canvas::{Canvas, DrawError, Limits};
use caraway_ports::{
    display::{
        Audience, CLIENT_CAPABILITY_BYTES, CursorCommand, CursorState, DisplayCommand, DisplaySink, DisplaySource,
        Head, Pixels, SurfaceSpec, WantedHead,
    },
    drawing::{Bitmap, Drawable, SurfaceFormat},
    geometry::{Point, Rect},
};
use caraway_protocol::display::KnownSurface;
use tracing::debug;

use self::resume::Pictures;
pub use self::viewer::{CursorViewer, Viewer, Watch};
use crate::{
    client::takes_surface,
    cursor::CursorScene,
    encode::bitmap_of,
    item::Item,
    motion,
    picture::Picture,
    scene::{Budget, Scene},
    video::{Detector, Frame, Look, Surfaces, VideoMode},
};

/// Size of the black screen shown before any surface exists.
const BLANK: (u32, u32) = (640, 480);

/// Called when a viewer that had nothing to send has something again. Must not call back into the display.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// Time since some beginning; never less than before.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What a viewer can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewerCaps {
    /// DRAW_COMPOSITE.
    pub composite: bool,
    /// 8-bit alpha surfaces.
    pub a8_surface: bool,
    /// MONITORS_CONFIG.
    pub monitors: bool,
    /// Video streams, in a codec there is an encoder for.
    pub streams: bool,
    /// STREAM_DATA_SIZED.
    pub sized_streams: bool,
    /// All display capabilities of the client, for the guest: capability i is bit i%8 of byte i/8.
    pub all: [u8; CLIENT_CAPABILITY_BYTES],
}

impl Default for ViewerCaps {
    /// None.
    fn default() -> Self {
        Self {
            composite: false,
            a8_surface: false,
            monitors: false,
            streams: false,
            sized_streams: false,
            all: [0; CLIENT_CAPABILITY_BYTES],
        }
    }
}

/// A point on the screen, and how large that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// From its left edge.
    pub x: u32,
    /// From its top edge.
    pub y: u32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// One display device as its viewers see it. Commands come from one thread, viewers from any.
pub struct Display {
    state: Mutex<State>,
    /// The canvas is back.
    is_back: Condvar,
    clock: Clock,
    /// Held while the source is told, so that it hears of changes in their order.
    told: Mutex<Told>,
    changes: AtomicU64,
    dropped: AtomicU64,
    moves: AtomicU64,
    saved: AtomicU64,
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Display")
            .field("state", &self.state)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// What the device knows of its audience.
#[derive(Default)]
struct Told {
    source: Option<Weak<dyn DisplaySource>>,
    audience: Audience,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    canvas: Canvas,
    pictures: Pictures,
    /// Somebody draws on the canvas, and what stands in its place is nothing.
    is_away: bool,
    cursor: CursorState,
    heads: Vec<Head>,
    max_heads: u16,
    next_id: u64,
    /// Those who look without being clients.
    watchers: usize,
    viewers: BTreeMap<u64, ViewerState>,
    cursors: BTreeMap<u64, CursorViewerState>,
    video: Detector,
}

struct ViewerState {
    scene: Scene,
    caps: ViewerCaps,
    waker: Waker,
}

impl std::fmt::Debug for ViewerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewerState")
            .field("scene", &self.scene)
            .finish_non_exhaustive()
    }
}

struct CursorViewerState {
    scene: CursorScene,
    waker: Waker,
}

impl std::fmt::Debug for CursorViewerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CursorViewerState")
            .field("scene", &self.scene)
            .finish_non_exhaustive()
    }
}

impl Display {
    /// A display that shows a black screen.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        let started = Instant::now();
        Self::with_clock(limits, Arc::new(move || started.elapsed()))
    }

    /// The same, with a clock for what is video, and what has rested.
    #[must_use]
    pub fn with_clock(limits: Limits, clock: Clock) -> Arc<Self> {
        let mut state = State {
            canvas: Canvas::new(limits),
            pictures: Pictures::default(),
            is_away: false,
            cursor: CursorState::default(),
            heads: Vec::new(),
            max_heads: 1,
            next_id: 0,
            watchers: 0,
            viewers: BTreeMap::new(),
            cursors: BTreeMap::new(),
            video: Detector::default(),
        };
        state.blank();
        Arc::new(Self {
            state: Mutex::new(state),
            is_back: Condvar::new(),
            clock,
            told: Mutex::default(),
            changes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            moves: AtomicU64::new(0),
            saved: AtomicU64::new(0),
        })
    }

    /// Says whose picture this is. The device is told of its audience from now on.
    pub fn set_source(&self, source: Weak<dyn DisplaySource>) {
        let mut told = lock(&self.told);
        if let Some(source) = source.upgrade() {
            source.audience(told.audience.clone());
        }
        told.source = Some(source);
    }

    /// Has the device bring the picture up to date with what the guest has written to its memory. May wait a little.
    pub fn refresh(&self) {
        if let Some(source) = self.source() {
            source.refresh();
        }
    }

    /// Whether the guest's driver takes requests for monitors.
    #[must_use]
    pub fn takes_monitors(&self) -> bool {
        self.source().is_some_and(|source| source.takes_monitors())
    }

    /// Asks the guest's driver for monitors.
    pub fn request_monitors(&self, heads: &[WantedHead]) {
        if let Some(source) = self.source() {
            source.request_monitors(heads);
        }
    }

    fn source(&self) -> Option<Arc<dyn DisplaySource>> {
        lock(&self.told).source.as_ref()?.upgrade()
    }

    /// Looks without being a client: the picture is kept up to date while this lives.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> Watch {
        self.lock().watchers += 1;
        self.tell_source();
        Watch(Arc::clone(self))
    }

    /// Tells the device of its audience if that has changed.
    fn tell_source(&self) {
        let mut told = lock(&self.told);
        let now = self.lock().audience();
        if now == told.audience {
            return;
        }
        told.audience = now.clone();
        if let Some(source) = told.source.as_ref().and_then(Weak::upgrade) {
            source.audience(now);
        }
    }

    /// Adds a viewer. It is told of every surface and of all that is on them; `waker` is called whenever
    /// [`Viewer::next`] has something again after it had nothing.
    #[must_use]
    pub fn attach(self: &Arc<Self>, caps: ViewerCaps, waker: Waker) -> Viewer {
        self.attach_again(caps, &[], waker)
    }

    /// As [`Self::attach`], for a viewer that still `has` surfaces: those that are there in this size and format it keeps, and is
    /// shown what is another picture now.
    #[must_use]
    pub fn attach_again(self: &Arc<Self>, caps: ViewerCaps, has: &[KnownSurface], waker: Waker) -> Viewer {
        let mut state = self.lock();
        let id = state.new_id();
        let budget = state.budget();
        let mut scene = Scene::new(budget, caps.sized_streams);
        let kept = resume::destroy_others(&mut scene, &state.canvas, has);
        let ids: Vec<u32> = state.canvas.ids().collect();
        for surface in ids {
            if let Some(known) = kept.get(&surface) {
                resume::keep(&mut scene, &state.canvas, &state.pictures, known);
            } else if let (Some(area), Some(format)) = (state.canvas.area(surface), state.canvas.format(surface))
                && takes_surface(format, caps)
            {
                scene.control(Item::CreateSurface {
                    id: surface,
                    width: area.width(),
                    height: area.height(),
                    format,
                });
                scene.add_damage(surface, area);
            }
        }
        if state.canvas.area(0).is_some() {
            if caps.monitors {
                scene.control(state.monitors_item());
            }
            scene.control(Item::Mark);
        }
        state.viewers.insert(id, ViewerState { scene, caps, waker });
        drop(state);
        self.tell_source();
        Viewer {
            display: Arc::clone(self),
            id,
        }
    }

    /// Adds a cursor channel; [`CursorItem::Init`](crate::CursorItem::Init) comes first.
    #[must_use]
    pub fn attach_cursor(self: &Arc<Self>, waker: Waker) -> CursorViewer {
        let mut state = self.lock();
        let id = state.new_id();
        state.cursors.insert(
            id,
            CursorViewerState {
                scene: CursorScene::new(),
                waker,
            },
        );
        CursorViewer {
            display: Arc::clone(self),
            id,
        }
    }

    /// The screen as it is now: surface 0, or the part of it one head shows. Black while there is no surface. `None`
    /// when there is no such head.
    #[must_use]
    pub fn picture(&self, head: Option<u32>, cursor: bool) -> Option<Picture> {
        let state = self.lock();
        let pixels = state.canvas.area(0).and_then(|area| state.canvas.read(0, area));
        let heads = state.effective_heads();
        let pointer = cursor.then(|| state.cursor.clone());
        drop(state);
        let mut picture = pixels.map_or_else(|| Picture::black(BLANK.0, BLANK.1), |pixels| Picture::of(&pixels));
        if let Some(pointer) = pointer {
            picture.add_cursor(&pointer);
        }
        match head {
            None => Some(picture),
            Some(wanted) => {
                let head = heads.get(usize::try_from(wanted).ok()?)?;
                let (x, y) = (u32::try_from(head.area.left).ok()?, u32::try_from(head.area.top).ok()?);
                picture.crop(x, y, head.area.width(), head.area.height())
            }
        }
    }

    /// How many heads there can be.
    #[must_use]
    pub fn max_heads(&self) -> u16 {
        self.lock_without_canvas().max_heads
    }

    /// Counts changes of the picture.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Commands that named a surface that is not there, a box outside one, or what this canvas cannot draw.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Copies to the screen that became moves of what was there.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// Pixels that were to be copied to the screen, and were there already or came to be there by a move.
    #[must_use]
    pub fn pixels_saved(&self) -> u64 {
        self.saved.load(Ordering::Relaxed)
    }

    /// Bytes of pixels in the canvas.
    #[must_use]
    pub fn canvas_bytes(&self) -> u64 {
        self.lock().canvas.bytes()
    }

    /// Steps that wait in the queues of all viewers; areas to be read from the canvas are not among them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().viewers.values().map(|viewer| viewer.scene.queued()).sum()
    }

    /// Size of the screen.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.lock()
            .canvas
            .area(0)
            .map_or(BLANK, |area| (area.width(), area.height()))
    }

    /// Where a point of a head lies on the screen. `head` is the guest's number; one that no head has means the screen. A
    /// point beyond an edge is on it.
    #[must_use]
    pub fn locate(&self, head: u32, x: u32, y: u32) -> Located {
        let state = self.lock();
        let screen = state.canvas.area(0).unwrap_or(Rect::at(0, 0, BLANK.0, BLANK.1));
        let heads = state.effective_heads();
        drop(state);
        let area = heads.iter().find(|known| known.id == head);
        let area = area.map_or(screen, |known| known.area);
        // Heads are cut to the screen.
        let within = |start: i32, at: u32, size: u32| start.unsigned_abs() + at.min(size.saturating_sub(1));
        Located {
            x: within(area.left, x, area.width()),
            y: within(area.top, y, area.height()),
            width: screen.width(),
            height: screen.height(),
        }
    }

    /// The state, with its canvas.
    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.lock_without_canvas();
        self.is_back
            .wait_while(state, |state| state.is_away)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for what needs no canvas.
    fn lock_without_canvas(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Counts a command that could not be drawn.
    fn drop_command(&self, error: &DrawError) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        debug!(%error, "drawing command dropped");
    }

    fn draw(&self, drawable: Box<Drawable>) {
        let now = (self.clock)();
        let mut state = self.lock();
        state.expire(now);
        state.pictures.note(&drawable);
        let look = state.look(&drawable, now);
        let split = match look {
            Look::Plain if !state.viewers.is_empty() => {
                // Who lags is shown places, not moves.
                let moves = state.viewers.values().any(|viewer| !viewer.scene.is_lagging());
                motion::split(&drawable, &state.canvas, moves)
            }
            _ => None,
        };
        if matches!(look, Look::Plain) && split.is_none() && state.is_sure(&drawable) {
            self.changes.fetch_add(1, Ordering::AcqRel);
            return self.draw_ahead(state, &Arc::from(drawable));
        }
        let touched = match state.canvas.draw(&drawable) {
            Ok(drawn) => drawn.bbox,
            Err(error) => return self.drop_command(&error),
        };
        if touched.is_empty() {
            return;
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
        let drawable: Arc<Drawable> = Arc::from(drawable);
        let mut wakers = Vec::with_capacity(state.viewers.len());
        match look {
            Look::Plain => match split {
                Some(split) => {
                    self.moves.fetch_add(u64::from(split.moves), Ordering::Relaxed);
                    self.saved.fetch_add(split.saved, Ordering::Relaxed);
                    state.deliver_split(&split, &mut wakers);
                }
                None => state.deliver(&drawable, touched, |_, _| true, &mut wakers),
            },
            Look::Frame(found) => {
                state.deliver(&drawable, touched, |_, caps| !caps.streams, &mut wakers);
                let frame = Frame {
                    stream: found.stream,
                    drawable: Arc::new(found.drawable),
                    period: found.period,
                    moved: false,
                };
                state.deliver_frame(&frame, &mut wakers);
                if let Some(rest) = found.rest {
                    state.deliver(&Arc::new(rest), touched, |_, caps| caps.streams, &mut wakers);
                }
            }
        }
        drop(state);
        wakers.iter().for_each(|wake| wake());
    }

    fn create(&self, spec: &SurfaceSpec) {
        let mut state = self.lock();
        if state.canvas.area(spec.id).is_some() {
            state.destroy(spec.id);
        }
        if let Err(error) = state.canvas.create(spec) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            debug!(%error, "surface not created");
            return;
        }
        state.announce(spec);
        self.finish_change(state, spec.id == 0);
    }

    fn cursor(&self, command: &CursorCommand) {
        let mut state = self.lock();
        state.cursor.apply(command);
        let mut wakers = Vec::with_capacity(state.cursors.len());
        for viewer in state.cursors.values_mut() {
            viewer.scene.note(command);
            wakers.push(Arc::clone(&viewer.waker));
        }
        drop(state);
        wakers.iter().for_each(|wake| wake());
    }

    fn reset(&self) {
        let mut state = self.lock();
        let ids: Vec<u32> = state.canvas.ids().collect();
        for id in ids {
            state.destroy(id);
        }
        state.heads.clear();
        state.max_heads = 1;
        state.blank();
        self.finish_change(state, true);
        self.cursor(&CursorCommand::Reset);
    }

    /// Which commands may become video from now on; streams that there are end.
    pub fn set_video(&self, mode: VideoMode) {
        let mut state = self.lock();
        if state.video.mode == mode {
            return;
        }
        state.video.mode = mode;
        let over = state.video.stop_all();
        state.end_streams(over);
        self.finish_change(state, false);
    }

    /// Which commands may become video.
    #[must_use]
    pub fn video(&self) -> VideoMode {
        self.lock().video.mode
    }

    /// Streams there are now.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.lock().video.streams()
    }

    /// Lets the lock go and wakes all viewers.
    fn finish_change(&self, state: MutexGuard<'_, State>, visible: bool) {
        if visible {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        let wakers: Vec<Waker> = state.viewers.values().map(|viewer| Arc::clone(&viewer.waker)).collect();
        drop(state);
        wakers.iter().for_each(|wake| wake());
    }
}

impl DisplaySink for Display {
    fn submit(&self, command: DisplayCommand) {
        match command {
            DisplayCommand::CreateSurface(spec) => self.create(&spec),
            DisplayCommand::DestroySurface(id) => {
                let mut state = self.lock();
                state.destroy(id);
                self.finish_change(state, id == 0);
            }
            DisplayCommand::Draw(drawable) => self.draw(drawable),
            DisplayCommand::Cursor(command) => self.cursor(&command),
            DisplayCommand::Monitors { heads, max } => {
                let mut state = self.lock();
                state.heads = heads;
                state.max_heads = max.max(1);
                if state.canvas.area(0).is_some() {
                    state.announce_monitors();
                }
                self.finish_change(state, true);
            }
            DisplayCommand::Reset => self.reset(),
        }
    }

    fn read(&self, surface: u32, area: Rect) -> Option<Pixels> {
        self.lock().canvas.read(surface, area)
    }
}

impl Surfaces for Canvas {
    fn format(&self, surface: u32) -> Option<SurfaceFormat> {
        Self::format(self, surface)
    }

    fn read(&self, surface: u32, area: &Rect) -> Option<Bitmap> {
        Self::read(self, surface, *area).map(|pixels| bitmap_of(&pixels))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn audience(&self) -> Audience {
        let common = |a: [u8; CLIENT_CAPABILITY_BYTES], b| {
            let mut both = a;
            both.iter_mut().zip(b).for_each(|(byte, other)| *byte &= other);
            both
        };
        let clients = self.viewers.values().map(|viewer| viewer.caps.all).reduce(common);
        Audience {
            watched: self.watchers > 0 || clients.is_some(),
            clients,
        }
    }

    /// What may wait for one viewer: twice what the screen takes, and a few thousand commands.
    fn budget(&self) -> Budget {
        let pixels = self.canvas.area(0).map_or(0, |area| area.area());
        let bytes = usize::try_from(pixels.saturating_mul(8)).unwrap_or(usize::MAX);
        Budget {
            bytes: bytes.clamp(4 << 20, 128 << 20),
            items: 4096,
        }
    }

    /// The black screen before any surface.
    fn blank(&mut self) {
        let spec = SurfaceSpec {
            id: 0,
            width: BLANK.0,
            height: BLANK.1,
            format: SurfaceFormat::Xrgb,
            pixels: None,
        };
        if self.canvas.create(&spec).is_ok() {
            self.announce(&spec);
        }
    }

    /// Tells all viewers of a surface that was just created.
    fn announce(&mut self, spec: &SurfaceSpec) {
        let content = if spec.pixels.is_some() {
            self.canvas.read(spec.id, Rect::at(0, 0, spec.width, spec.height))
        } else {
            None
        };
        let monitors = (spec.id == 0).then(|| self.monitors_item());
        let SurfaceSpec {
            id,
            width,
            height,
            format,
            ..
        } = *spec;
        for viewer in self
            .viewers
            .values_mut()
            .filter(|viewer| takes_surface(format, viewer.caps))
        {
            viewer.scene.control(Item::CreateSurface {
                id,
                width,
                height,
                format,
            });
            if let Some(pixels) = &content {
                let item = Item::Pixels {
                    surface: id,
                    at: Point::default(),
                    pixels: pixels.clone(),
                };
                viewer.scene.draw(item, Rect::at(0, 0, width, height));
            }
            if let Some(monitors) = &monitors {
                if viewer.caps.monitors {
                    viewer.scene.control(monitors.clone());
                }
                viewer.scene.control(Item::Mark);
            }
        }
    }

    fn announce_monitors(&mut self) {
        let monitors = self.monitors_item();
        for viewer in self.viewers.values_mut().filter(|viewer| viewer.caps.monitors) {
            viewer.scene.control(monitors.clone());
        }
    }

    fn destroy(&mut self, id: u32) {
        let Some(format) = self.canvas.format(id) else { return };
        self.canvas.destroy(id);
        // With the surface the viewers lose its streams.
        self.video.forget(id);
        for viewer in self
            .viewers
            .values_mut()
            .filter(|viewer| takes_surface(format, viewer.caps))
        {
            viewer.scene.control(Item::DestroySurface(id));
        }
    }

    /// The heads the guest asked for, cut to the primary surface; one that covers it when none is left.
    fn effective_heads(&self) -> Vec<Head> {
        let screen = self.canvas.area(0).unwrap_or(Rect::at(0, 0, BLANK.0, BLANK.1));
        let mut heads: Vec<Head> = self
            .heads
            .iter()
            .filter(|head| head.surface == 0)
            .map(|head| Head {
                area: head.area.intersect(&screen),
                ..*head
            })
            .filter(|head| !head.area.is_empty())
            .collect();
        if heads.is_empty() {
            heads.push(Head {
                id: 0,
                surface: 0,
                area: screen,
            });
        }
        heads
    }

    fn monitors_item(&self) -> Item {
        Item::Monitors {
            heads: self.effective_heads(),
            max: self.max_heads,
        }
    }
}
