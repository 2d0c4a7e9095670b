//! The streams one viewer was told of, and which part of each it shows.

use std::{collections::BTreeMap, sync::Arc};

use caraway_ports::geometry::Rect;

use super::{Frame, MAX_RECTS, Stream};
use crate::{item::Item, region::around};

/// One stream.
#[derive(Debug)]
struct Showing {
    stream: Arc<Stream>,
    /// Where the client was told that it is.
    dest: Rect,
    /// What it shows: frames that it has and has not shown yet come up nowhere else.
    clip: Vec<Rect>,
}

/// What a client knows of streams, as of the last step it was sent.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    streams: BTreeMap<u32, Showing>,
}

impl Shown {
    /// The steps to send for a step: it, and before it what keeps frames that the client has not shown yet from being
    /// shown over it. `sized` = frames may have a place of their own.
    pub(crate) fn steps(&mut self, item: Item, sized: bool, out: &mut impl Extend<Item>) {
        match item {
            Item::Frame(frame) => self.frame(frame, sized, out),
            Item::DestroyStream(stream) => out.extend(self.end(&stream)),
            Item::DestroySurface(id) => {
                let on_it = self.streams.values().filter(|showing| showing.stream.surface == id);
                let over: Vec<Arc<Stream>> = on_it.map(|showing| Arc::clone(&showing.stream)).collect();
                out.extend(over.iter().filter_map(|stream| self.end(stream)));
                out.extend([item]);
            }
            item => {
                if let Some((surface, area)) = item.touched() {
                    self.cover(surface, &item.parts(area), None, out);
                }
                out.extend([item]);
            }
        }
    }

    /// The streams the client knows.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values().map(|showing| &showing.stream)
    }

    fn end(&mut self, stream: &Stream) -> Option<Item> {
        let known = self.streams.get(&stream.id)?.stream.life == stream.life;
        let showing = known.then(|| self.streams.remove(&stream.id))??;
        Some(Item::DestroyStream(showing.stream))
    }

    fn frame(&mut self, frame: Frame, sized: bool, out: &mut impl Extend<Item>) {
        let (id, surface) = (frame.stream.id, frame.stream.surface);
        let dest = frame.dest();
        let clip = frame.clip();
        self.cover(surface, &clip, Some(id), out);
        let same = |showing: &Showing| showing.stream.life == frame.stream.life && (sized || showing.dest == dest);
        let mut moved = false;
        match self.streams.get_mut(&id) {
            Some(showing) if same(showing) => {
                moved = showing.dest != dest;
                if showing.clip != clip {
                    showing.clip.clone_from(&clip);
                    out.extend([Item::ClipStream { id, clip }]);
                }
            }
            known => {
                if let Some(showing) = known {
                    out.extend([Item::DestroyStream(Arc::clone(&showing.stream))]);
                }
                out.extend([Item::CreateStream {
                    stream: Arc::clone(&frame.stream),
                    dest,
                    clip: clip.clone(),
                }]);
                let stream = Arc::clone(&frame.stream);
                self.streams.insert(id, Showing { stream, dest, clip });
            }
        }
        out.extend([Item::Frame(Frame { moved, ..frame })]);
    }

    /// Something is drawn: streams do not show there any more.
    fn cover(&mut self, surface: u32, areas: &[Rect], except: Option<u32>, out: &mut impl Extend<Item>) {
        for (id, showing) in &mut self.streams {
            let under = |part: &Rect| areas.iter().any(|area| !area.intersect(part).is_empty());
            if showing.stream.surface != surface || except == Some(*id) || !showing.clip.iter().any(under) {
                continue;
            }
            for area in areas {
                let parts = showing.clip.iter().flat_map(|part| {
                    if part.intersect(area).is_empty() {
                        [*part, Rect::default(), Rect::default(), Rect::default()]
                    } else {
                        around(part, area)
                    }
                });
                showing.clip = parts.filter(|part| !part.is_empty()).take(MAX_RECTS + 1).collect();
                if showing.clip.len() > MAX_RECTS {
                    showing.clip.clear();
                }
            }
            let clip = showing.clip.clone();
            out.extend([Item::ClipStream { id: *id, clip }]);
        }
    }
}
