//! What one viewer has not been sent yet.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use caraway_canvas::Canvas;
use caraway_ports::geometry::{Point, Rect};

use crate::{
    cull::{self, Again},
    damage::Damage,
    figures::ViewerFigures,
    item::{Item, OVERHEAD},
    lossy::Lossy,
    pace::Pace,
    video::{Frame, Shown, Stream},
};

/// Damage items after which a viewer that lags is shown the screen even if more damage has come in between.
const MARK_AFTER: u32 = 512;

/// Memory and commands a viewer may have waiting before it is moved to damage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) bytes: usize,
    pub(crate) items: usize,
}

/// The scene of one viewer. Written under the display's lock only.
#[derive(Debug)]
pub(crate) struct Scene {
    queue: VecDeque<Item>,
    cost: usize,
    budget: Budget,
    pub(crate) pace: Pace,
    /// Per surface, what must be read from the canvas. Empty while the viewer is sent commands.
    damage: BTreeMap<u32, Damage>,
    lagging: bool,
    /// A MARK waits for damage to be sent; counts the items sent since.
    mark_after_damage: Option<u32>,
    pub(crate) lossy: Lossy,
    shown: Shown,
    /// Frames may have a place of their own.
    sized: bool,
    /// Steps that come before all others, in order.
    ready: VecDeque<Item>,
    /// A frame went out; damage is next.
    after_frame: bool,
    counts: ViewerFigures,
}

impl Scene {
    /// A viewer that has seen nothing: it is told of the surfaces, and everything on them is damaged.
    pub(crate) fn new(budget: Budget, sized: bool) -> Self {
        Self {
            queue: VecDeque::new(),
            cost: 0,
            budget,
            pace: Pace::default(),
            damage: BTreeMap::new(),
            lagging: true,
            mark_after_damage: None,
            lossy: Lossy::default(),
            shown: Shown::default(),
            sized,
            ready: VecDeque::new(),
            after_frame: false,
            counts: ViewerFigures::default(),
        }
    }

    /// Adds a step that is not drawing: surfaces, monitors, mark.
    pub(crate) fn control(&mut self, item: Item) {
        match item {
            Item::DestroySurface(id) => self.destroy(id),
            Item::DestroyStream(stream) => self.end(stream),
            Item::Monitors { .. } => {
                self.queue.retain(|queued| !matches!(queued, Item::Monitors { .. }));
                self.queue.push_back(item);
            }
            Item::Mark if self.lagging => self.mark_after_damage = Some(0),
            Item::Mark => {
                self.queue.retain(|queued| *queued != Item::Mark);
                self.queue.push_back(item);
            }
            other => self.queue.push_back(other),
        }
    }

    /// Damages an area without a command (the first picture, or what was lost).
    pub(crate) fn add_damage(&mut self, surface: u32, area: Rect) {
        self.lagging = true;
        self.damage.entry(surface).or_default().add(area, 0);
    }

    /// Adds what a viewer that lags is shown of the canvas before all that is damaged.
    pub(crate) fn show(&mut self, item: Item) {
        self.lossy.sent(&item);
        self.cost += item.cost();
        self.queue.push_back(item);
    }

    /// Adds a drawing step. `touched` is what it may have changed in the canvas.
    pub(crate) fn draw(&mut self, item: Item, touched: Rect) {
        let Some((surface, _)) = item.touched() else { return };
        if self.lagging {
            let (damage, small) = (self.damage.entry(surface).or_default(), self.pace.small());
            item.parts(touched).into_iter().for_each(|part| damage.add(part, small));
            self.counts.replaced += 1;
            return;
        }
        if let Item::Draw(drawable) = &item {
            match cull::again(&self.queue, drawable) {
                Again::Draw => {}
                Again::Nothing => {
                    self.counts.hidden += 1;
                    return;
                }
                Again::Undo(first) => {
                    let undone = self.queue.remove(first);
                    self.cost = self.cost.saturating_sub(undone.map_or(0, |item| item.cost()));
                    self.counts.hidden += 2;
                    return;
                }
            }
        }
        self.lossy.sent(&item);
        if item.is_opaque() {
            self.hide(surface, &touched);
        }
        self.cost += item.cost();
        self.queue.push_back(item);
        if self.is_full() {
            self.fall_behind();
        }
    }

    /// Adds a frame of a stream. One of the same stream that waits is replaced.
    pub(crate) fn frame(&mut self, frame: Frame) {
        let (surface, dest) = (frame.stream.surface, frame.dest());
        // The first picture goes out whole.
        if self.mark_after_damage.is_some() {
            self.damage.entry(surface).or_default().add(dest, 0);
            return;
        }
        let waiting = self.queue.iter().position(|item| match item {
            Item::Frame(other) => other.stream.life == frame.stream.life && frame.covers(other),
            _ => false,
        });
        if let Some(old) = waiting.and_then(|at| self.queue.remove(at)) {
            self.cost = self.cost.saturating_sub(old.cost());
            self.counts.frames_replaced += 1;
        }
        let item = Item::Frame(frame);
        self.lossy.sent(&item);
        if item.is_opaque() {
            if self.lagging {
                if let Some(region) = self.damage.get_mut(&surface) {
                    region.subtract(&dest);
                }
                self.damage.retain(|_, region| !region.is_empty());
            } else {
                self.hide(surface, &dest);
            }
        }
        self.cost += item.cost();
        self.queue.push_back(item);
        if self.is_full() {
            self.fall_behind();
        }
    }

    /// The next step to send.
    pub(crate) fn next(&mut self, canvas: &Canvas) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let item = self.next_step(canvas)?;
            self.shown.steps(item, self.sized, &mut self.ready);
        }
    }

    /// The next step, if it is one that nothing has to be read for.
    pub(crate) fn next_without_canvas(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.is_turn_of_damage() {
                return None;
            }
            let item = self.pop()?;
            self.shown.steps(item, self.sized, &mut self.ready);
        }
    }

    /// Takes a step out of the queue.
    fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        if item.touched().is_some() {
            self.cost = self.cost.saturating_sub(item.cost());
        }
        self.after_frame = matches!(item, Item::Frame(_));
        if self.lagging && self.after_frame {
            // What was drawn over it since may have gone before it, from the canvas.
            self.lossy.sent(&item);
        }
        Some(item)
    }

    /// Whether damage comes before what is in the queue: it takes turns with frames that show other places, so that a link
    /// that is too slow for a video has the rest of the screen, too.
    fn is_turn_of_damage(&self) -> bool {
        let frames = || {
            self.queue.iter().filter_map(|item| match item {
                Item::Frame(frame) => Some(frame),
                _ => None,
            })
        };
        self.after_frame
            && !self.damage.is_empty()
            && matches!(self.queue.front(), Some(Item::Frame(_)))
            && !frames().any(|frame| {
                let damage = self.damage.get(&frame.stream.surface);
                damage.is_some_and(|region| frame.clip().iter().any(|part| region.overlaps(part)))
            })
    }

    fn next_step(&mut self, canvas: &Canvas) -> Option<Item> {
        if !self.is_turn_of_damage()
            && let Some(item) = self.pop()
        {
            return Some(item);
        }
        self.after_frame = false;
        while self.lagging {
            let Some((&surface, region)) = self.damage.iter_mut().next() else {
                self.lagging = false;
                break;
            };
            if let Some(sent) = &mut self.mark_after_damage {
                *sent += 1;
                if *sent > MARK_AFTER {
                    self.mark_after_damage = None;
                    return Some(Item::Mark);
                }
            }
            let area = canvas.area(surface).unwrap_or_default();
            region.clip(&area);
            // The first picture goes out whole where the link allows it: programs that take one picture and leave
            // (spicy-screenshot) take it at the first update they see, without waiting for MARK.
            let whole = self.mark_after_damage.is_some() && self.pace.whole;
            let taken = region.take(if whole { u64::MAX } else { self.pace.pixels });
            if region.is_empty() {
                self.damage.remove(&surface);
            }
            let Some(rect) = taken else { continue };
            if let Some(pixels) = canvas.read(surface, rect) {
                let item = Item::Pixels {
                    surface,
                    at: Point::new(rect.left, rect.top),
                    pixels,
                };
                self.lossy.sent(&item);
                return Some(item);
            }
        }
        self.mark_after_damage.take().map(|_| Item::Mark).or_else(|| self.pop())
    }

    /// Has what may have been lost, and has rested, sent again.
    pub(crate) fn refine(&mut self, now: Duration) {
        for (surface, area) in self.lossy.rested(now) {
            self.add_damage(surface, area);
        }
    }

    /// Whether the viewer is shown what the canvas has instead of commands.
    pub(crate) fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// Streams the viewer shows.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.shown.streams()
    }

    /// A stream is over. Its last frame is shown without loss.
    fn end(&mut self, stream: Arc<Stream>) {
        let damage = &mut self.damage;
        let mut freed = 0;
        self.queue.retain(|item| match item {
            Item::Frame(frame) if frame.stream.life == stream.life => {
                damage.entry(frame.stream.surface).or_default().add(frame.dest(), 0);
                freed += item.cost();
                false
            }
            _ => true,
        });
        self.cost = self.cost.saturating_sub(freed);
        self.lagging |= !self.damage.is_empty();
        if self.shown.streams().any(|shown| shown.life == stream.life) {
            self.queue.push_back(Item::DestroyStream(stream));
        }
    }

    /// Bytes that wait, for counters.
    pub(crate) fn waiting(&self) -> usize {
        self.cost
    }

    /// What waits, and what became of the rest.
    pub(crate) fn figures(&self) -> ViewerFigures {
        ViewerFigures {
            waiting: self.queue.len(),
            waiting_bytes: self.cost,
            waiting_pixels: self.damage.values().map(Damage::area).sum(),
            ..self.counts
        }
    }

    /// Steps that wait, damage not among them.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Takes out what an opaque command hides.
    fn hide(&mut self, surface: u32, area: &Rect) {
        let hidden = cull::hide(&mut self.queue, surface, area);
        self.cost = self.cost.saturating_sub(hidden.bytes);
        self.counts.hidden += hidden.commands;
    }

    /// Whether more waits than memory or the link allow.
    fn is_full(&self) -> bool {
        let commands = self.queue.len();
        let pixels = self.cost.saturating_sub(commands.saturating_mul(OVERHEAD));
        self.cost > self.budget.bytes
            || commands > self.budget.items.min(self.pace.commands)
            || pixels > self.pace.images
    }

    /// Turns all queued drawing into damage: from now on the viewer is sent what the canvas shows.
    fn fall_behind(&mut self) {
        self.lagging = true;
        self.counts.fell_behind += 1;
        let before = self.queue.len();
        let mut mark = false;
        // Of each stream the last frame stays: they are what replaces itself.
        let frames = |item: &Item| matches!(item, Item::Frame(_)).then(|| item.cost());
        self.cost = self.queue.iter().filter_map(frames).sum();
        let keeps_frames = self.cost <= self.budget.bytes / 2;
        if !keeps_frames {
            self.cost = 0;
        }
        let (damage, small) = (&mut self.damage, self.pace.small());
        self.queue.retain(|item| {
            if keeps_frames && matches!(item, Item::Frame(_)) {
                return true;
            }
            if let Some((surface, area)) = item.touched() {
                let damage = damage.entry(surface).or_default();
                item.parts(area).into_iter().for_each(|part| damage.add(part, small));
                return false;
            }
            if *item == Item::Mark {
                mark = true;
                return false;
            }
            true
        });
        self.counts.replaced += (before - self.queue.len()) as u64;
        if mark {
            self.mark_after_damage = Some(0);
        }
        self.drop_surfaces_never_seen();
    }

    /// Without the commands that used it, a surface created and destroyed in the queue is nothing.
    fn drop_surfaces_never_seen(&mut self) {
        let mut kept: VecDeque<Item> = VecDeque::new();
        for item in self.queue.drain(..) {
            if let Item::DestroySurface(id) = item
                && let Some(created) = kept
                    .iter()
                    .rposition(|k| matches!(k, Item::CreateSurface { id: other, .. } if *other == id))
            {
                kept.remove(created);
                continue;
            }
            kept.push_back(item);
        }
        self.queue = kept;
    }

    /// Ends a surface. What was queued for it alone goes; a surface the viewer never heard of leaves no trace, so that
    /// a guest that creates and destroys in a loop cannot fill the queue.
    fn destroy(&mut self, id: u32) {
        self.lossy.forget(id);
        self.damage.remove(&id);
        if id == 0 {
            self.mark_after_damage = None;
        }
        // An earlier surface with this number may still be in the queue, with its end; only the last one is meant.
        let created = self
            .queue
            .iter()
            .rposition(|item| matches!(item, Item::CreateSurface { id: created, .. } if *created == id));
        let start = created.unwrap_or(0);
        // Commands on other surfaces that read this one must still find it; only a viewer that lags forgets it.
        let read_elsewhere = self
            .queue
            .range(start..)
            .any(|item| item.moves_pixels_of(id) && item.touched().is_some_and(|(on, _)| on != id));
        let unsent = created.is_some() && !read_elsewhere;
        if !read_elsewhere {
            let mut freed = 0;
            let mut index = 0;
            self.queue.retain(|item| {
                let place = index;
                index += 1;
                if place < start {
                    return true;
                }
                let drawn = item.touched().is_some_and(|(surface, _)| surface == id);
                if drawn {
                    freed += item.cost();
                }
                !(drawn || created == Some(place) || (id == 0 && *item == Item::Mark))
            });
            self.cost = self.cost.saturating_sub(freed);
        }
        if !unsent {
            self.queue.push_back(Item::DestroySurface(id));
            // Controls count as well: a guest that flips surfaces the viewer knows is bounded like one that draws.
            if self.queue.len() > self.budget.items {
                self.fall_behind();
            }
        }
    }
}
