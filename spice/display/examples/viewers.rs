//! Two viewers of one display: one follows every command, one looks away and catches up at the end. Prints what each
//! was given. Both have the same picture afterwards.

use std::{io::Write, sync::Arc};

use caraway_canvas::Limits;
use caraway_display::{Display, Encoder, Item, Viewer, ViewerCaps};
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Brush, Clip, DrawOp, Drawable, Mask, Rop, SurfaceFormat},
    geometry::Rect,
};

const SIZE: (u32, u32) = (640, 480);
const FRAMES: u32 = 5000;

/// What a viewer was given so far.
#[derive(Default)]
struct Tally {
    commands: usize,
    pixels: usize,
    other: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let display = Display::new(Limits::default());
    display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
        id: 0,
        width: SIZE.0,
        height: SIZE.1,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    }));
    // A server would let its channel task run again when the waker is called; here the loop below looks by itself.
    let eager = display.attach(ViewerCaps::default(), Arc::new(|| {}));
    let late = display.attach(ViewerCaps::default(), Arc::new(|| {}));
    let mut encoder = Encoder::default();
    let (mut eager_tally, mut late_tally) = (Tally::default(), Tally::default());
    for frame in 0..FRAMES {
        display.submit(DisplayCommand::Draw(Box::new(square(frame))));
        take(&eager, &mut encoder, &mut eager_tally)?;
    }
    take(&late, &mut Encoder::default(), &mut late_tally)?;
    let mut out = std::io::stdout().lock();
    for (name, tally) in [("eager", eager_tally), ("late", late_tally)] {
        let Tally {
            commands,
            pixels,
            other,
        } = tally;
        writeln!(
            out,
            "{name}: {commands} drawing commands, {pixels} areas of pixels, {other} other steps"
        )?;
    }
    Ok(())
}

/// Everything a viewer has waiting, turned into messages of the wire.
fn take(viewer: &Viewer, encoder: &mut Encoder, tally: &mut Tally) -> Result<(), caraway_display::EncodeError> {
    while let Some(item) = viewer.next() {
        // What a server would write to the display channel.
        let _messages = encoder.encode(&item)?;
        match item {
            Item::Draw(_) | Item::Photo(_) => tally.commands += 1,
            Item::Pixels { .. } => tally.pixels += 1,
            _ => tally.other += 1,
        }
    }
    Ok(())
}

/// A small square somewhere, in a colour of its own.
fn square(frame: u32) -> Drawable {
    let (x, y) = (frame * 13 % (SIZE.0 - 16), frame * 7 % (SIZE.1 - 16));
    Drawable {
        surface: 0,
        bbox: Rect::at(x as i32, y as i32, 16, 16),
        clip: Clip::None,
        mm_time: 0,
        op: DrawOp::Fill {
            brush: Brush::Solid(frame.wrapping_mul(0x9e_3779) & 0x00ff_ffff),
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    }
}
