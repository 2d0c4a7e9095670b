//! Large pictures that viewers are given before they are on the canvas.
//!
//! A screen takes as long to be drawn as a part of encoding it. Of a command that cannot fail, and that every viewer is
//! given as it is, the viewers are told first; while it is drawn, everybody may do what needs no canvas. Whoever needs it
//! waits for it ([`Display::lock`]), so that nobody sees a canvas without what a viewer was given.

use std::sync::{Arc, MutexGuard};

use caraway_canvas::{Canvas, Limits};
use caraway_image::bitmap::BitmapReader;
use caraway_ports::drawing::{Clip, Drawable};

use super::{Display, State, Waker};
use crate::{
    client::{takes_command, takes_surface},
    part::Unscaled,
};

/// Fewest pixels of such a picture: others are drawn sooner than somebody looks.
const LEAST: u64 = 1 << 16;

/// The canvas while somebody draws on it without holding the display. Where it is dropped it is back.
struct Away<'a> {
    display: &'a Display,
    canvas: Canvas,
}

impl<'a> Away<'a> {
    fn take(display: &'a Display, mut state: MutexGuard<'_, State>) -> Self {
        let nothing = Canvas::new(Limits::default());
        let canvas = std::mem::replace(&mut state.canvas, nothing);
        state.is_away = true;
        Self { display, canvas }
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let mut state = self.display.lock_without_canvas();
        std::mem::swap(&mut state.canvas, &mut self.canvas);
        state.is_away = false;
        drop(state);
        self.display.is_back.notify_all();
    }
}

impl Display {
    /// Gives a command to the viewers, which must be sure ([`State::is_sure`]), and draws it.
    pub(super) fn draw_ahead(&self, mut state: MutexGuard<'_, State>, drawable: &Arc<Drawable>) {
        let touched = drawable.bbox;
        let mut wakers: Vec<Waker> = Vec::with_capacity(state.viewers.len());
        state.deliver(drawable, touched, |_, _| true, &mut wakers);
        let mut away = Away::take(self, state);
        wakers.iter().for_each(|wake| wake());
        let drawn = away.canvas.draw(drawable);
        drop(away);
        if let Err(error) = drawn {
            // It is not on the canvas: viewers are shown that again.
            self.drop_command(&error);
            let mut state = self.lock();
            for viewer in state.viewers.values_mut() {
                viewer.scene.add_damage(drawable.surface, touched);
            }
            self.finish_change(state, false);
        }
    }
}

impl State {
    /// Whether a command that is not drawn yet is a large copy of a bitmap that certainly can be drawn, and goes to every
    /// viewer as it is.
    pub(super) fn is_sure(&self, drawable: &Drawable) -> bool {
        let Some((format, area)) = self
            .canvas
            .format(drawable.surface)
            .zip(self.canvas.area(drawable.surface))
        else {
            return false;
        };
        let Some(Unscaled { bitmap, .. }) = Unscaled::of(drawable) else {
            return false;
        };
        let bbox = drawable.bbox;
        bbox.area() >= LEAST
            && drawable.clip == Clip::None
            && area.contains(&bbox)
            && BitmapReader::new(bitmap).is_ok()
            && self.viewers.values().all(|viewer| {
                !takes_surface(format, viewer.caps)
                    || (takes_command(drawable, &self.canvas, viewer.caps) && !viewer.scene.lossy.is_read_by(drawable))
            })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        thread,
    };

    use bytes::Bytes;
    use caraway_ports::{
        display::{DisplayCommand, DisplaySink, SurfaceSpec},
        drawing::{Bitmap, BitmapFormat, DrawOp, ImageData, ScaleMode, SurfaceFormat},
        geometry::Rect,
    };

    use super::*;
    use crate::{Item, ViewerCaps};

    const SIDE: u32 = 256;
    const PICTURES: u32 = 300;

    /// A picture whose pixels all have its number, or that has too few of them.
    fn picture(number: u32, rows: u32) -> Drawable {
        let data: Bytes = number.to_le_bytes().repeat((SIDE * rows) as usize).into();
        let bitmap = Bitmap {
            format: BitmapFormat::Bit32,
            width: SIDE,
            height: SIDE,
            stride: SIDE * 4,
            top_down: true,
            palette: None,
            data,
        };
        Drawable::copy(0, Rect::at(0, 0, SIDE, SIDE), Arc::new(bitmap), ScaleMode::Nearest)
    }

    fn display() -> Arc<Display> {
        let display = Display::new(Limits::default());
        display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
            id: 0,
            width: SIDE,
            height: SIDE,
            format: SurfaceFormat::Xrgb,
            pixels: None,
        }));
        display
    }

    fn number_of(drawable: &Drawable) -> Option<u32> {
        let DrawOp::Copy { source, .. } = &drawable.op else {
            return None;
        };
        let ImageData::Bitmap(bitmap) = &source.image.data else {
            return None;
        };
        Some(u32::from_le_bytes(*bitmap.data.first_chunk()?))
    }

    #[test]
    fn nobody_sees_a_canvas_without_what_a_viewer_was_given() {
        let display = display();
        assert!(display.lock().is_sure(&picture(1, SIDE)));
        let (wake, woken) = mpsc::channel();
        let viewer = display.attach(ViewerCaps::default(), Arc::new(move || wake.send(()).unwrap()));
        while viewer.next().is_some() {}
        let drawing = Arc::clone(&display);
        let drawer = thread::spawn(move || {
            for number in 1..=PICTURES {
                drawing.submit(DisplayCommand::Draw(Box::new(picture(number, SIDE))));
            }
        });
        let mut last = 0;
        while last < PICTURES {
            woken.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
            while let Some(item) = viewer.next() {
                let pixels = display
                    .read(0, Rect::at(SIDE as i32 - 1, SIDE as i32 - 1, 1, 1))
                    .unwrap();
                let seen = u32::from_le_bytes(*pixels.data.first_chunk().unwrap());
                let given = match &item {
                    Item::Draw(drawable) => number_of(drawable).unwrap(),
                    Item::Pixels { pixels, .. } => u32::from_le_bytes(*pixels.data.last_chunk().unwrap()),
                    other => panic!("{other:?}"),
                };
                assert!(given > last && seen >= given, "{last} {given} {seen}");
                last = given;
            }
        }
        drawer.join().unwrap();
        assert_eq!(display.dropped(), 0);
    }

    #[test]
    fn what_may_fail_or_is_told_otherwise_is_drawn_first() {
        let display = display();
        let _viewer = display.attach(ViewerCaps::default(), Arc::new(|| {}));
        let is_sure = |change: &dyn Fn(&mut Drawable)| {
            let mut drawable = picture(1, SIDE);
            change(&mut drawable);
            display.lock().is_sure(&drawable)
        };
        assert!(is_sure(&|_| {}));
        assert!(!display.lock().is_sure(&picture(1, SIDE - 1)), "rows are missing");
        assert!(
            !is_sure(&|drawable| drawable.bbox = drawable.bbox.translate(1, 0)),
            "outside"
        );
        assert!(!is_sure(&|drawable| drawable.surface = 7), "no surface");
        assert!(!is_sure(&|drawable| drawable.clip = Clip::Rects([drawable.bbox].into())));
        assert!(!is_sure(&|drawable| drawable.bbox.right -= 1), "scaled");
        assert!(!is_sure(&|drawable| drawable.op = DrawOp::Blackness {
            mask: caraway_ports::drawing::Mask::default()
        }));
    }

    #[test]
    fn what_was_given_and_cannot_be_drawn_is_shown_as_it_is_on_the_canvas() {
        let display = display();
        let viewer = display.attach(ViewerCaps::default(), Arc::new(|| {}));
        display.submit(DisplayCommand::Draw(Box::new(picture(3, SIDE))));
        while viewer.next().is_some() {}
        // Nobody does that.
        let bad = Arc::new(picture(4, SIDE - 1));
        display.draw_ahead(display.lock(), &bad);
        assert_eq!(display.dropped(), 1);
        let mut shown = Vec::new();
        while let Some(item) = viewer.next() {
            shown.push(match item {
                Item::Draw(drawable) => number_of(&drawable).unwrap(),
                Item::Pixels { pixels, .. } => u32::from_le_bytes(*pixels.data.first_chunk().unwrap()),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(shown, [4, 3]);
    }
}
