//! What was drawn, and the streams that it belongs to, for each viewer that is told of the surface.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use caraway_ports::{
    drawing::Drawable,
    geometry::{Point, Rect},
};

use super::{State, ViewerCaps, ViewerState, Waker};
use crate::{
    client::{takes_command, takes_surface},
    item::Item,
    lossy::Way,
    motion::Split,
    video::{Frame, Look, Stream},
};

impl State {
    /// Ends streams that had no frame for long.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let over = self.video.expire(now);
        let any = !over.is_empty();
        self.end_streams(over);
        any
    }

    pub(super) fn end_streams(&mut self, over: Vec<Arc<Stream>>) {
        for stream in over {
            for viewer in self.viewers.values_mut() {
                viewer.scene.control(Item::DestroyStream(Arc::clone(&stream)));
            }
        }
    }

    /// Looks for video, if anybody can be shown some.
    pub(super) fn look(&mut self, drawable: &Drawable, now: Duration) -> Look {
        if self.viewers.values().any(|viewer| viewer.caps.streams) {
            self.video.look(drawable, now, &self.canvas)
        } else {
            Look::Plain
        }
    }

    /// Gives the frame of a stream to the viewers that can be shown it.
    pub(super) fn deliver_frame(&mut self, frame: &Frame, wakers: &mut Vec<Waker>) {
        let format = self.canvas.format(frame.stream.surface);
        let told = |caps: ViewerCaps| caps.streams && format.is_some_and(|format| takes_surface(format, caps));
        for viewer in self.viewers.values_mut().filter(|viewer| told(viewer.caps)) {
            viewer.scene.frame(frame.clone());
            wakers.push(Arc::clone(&viewer.waker));
        }
    }

    /// Gives what a command that was drawn consists of to the viewers. Where more waits than the command itself takes, it is
    /// given itself, and takes the place of what it covers.
    pub(super) fn deliver_split(&mut self, split: &Split, wakers: &mut Vec<Waker>) {
        let mut behind = BTreeSet::new();
        if let Some(whole) = &split.whole {
            let takes = Item::Draw(Arc::clone(whole)).cost();
            let waits = |(id, viewer): (&u64, &ViewerState)| (viewer.scene.waiting() > takes).then_some(*id);
            behind = self.viewers.iter().filter_map(waits).collect();
            self.deliver(whole, whole.bbox, |id, _| behind.contains(&id), wakers);
        }
        for part in &split.parts {
            self.deliver(part, part.bbox, |id, _| !behind.contains(&id), wakers);
        }
    }

    /// Gives a command that was drawn to those viewers that it is for.
    pub(super) fn deliver(
        &mut self,
        drawable: &Arc<Drawable>,
        touched: Rect,
        is_for: impl Fn(u64, ViewerCaps) -> bool,
        wakers: &mut Vec<Waker>,
    ) {
        let Self { canvas, viewers, .. } = self;
        let format = canvas.format(drawable.surface);
        let told = |id, caps| is_for(id, caps) && format.is_some_and(|format| takes_surface(format, caps));
        for (_, viewer) in viewers.iter_mut().filter(|(id, viewer)| told(**id, viewer.caps)) {
            let way = if takes_command(drawable, canvas, viewer.caps) {
                viewer.scene.lossy.way(drawable)
            } else {
                Way::Picture
            };
            let item = match way {
                Way::Exact => Item::Draw(Arc::clone(drawable)),
                Way::Photo => Item::Photo(Arc::clone(drawable)),
                // The result, taken now: later commands may depend on it.
                Way::Picture => match canvas.read(drawable.surface, touched) {
                    Some(pixels) => Item::Pixels {
                        surface: drawable.surface,
                        at: Point::new(touched.left, touched.top),
                        pixels,
                    },
                    None => continue,
                },
            };
            viewer.scene.draw(item, touched);
            wakers.push(Arc::clone(&viewer.waker));
        }
    }
}
