//! Programs a corpus starts from: what drivers, firmware and a few well-known attackers do.

mod attacks;
mod drawing;
mod drivers;
mod vga;

use crate::{
    program::{
        Access, Audience, BarMove, Brush, Config, Cursor, Data, Dispi, Draw, Fill, Glyph, Head, Image, Mask, Message,
        Monitors, Nothing, Op, Palette, Patch, Path, PortWrite, Primary, Push, RawHeader, RawMemory, Rects, Register,
        RingIndex, Save, Segment, Shape, Slot, Small, Surface, Text, Update, UpdateCommand, Value, WindowAccess, Wish,
        Words,
    },
    wire::Wire as _,
};

fn program(shape: u8, operations: &[Op]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Config { shape, heads: 15 }.write(&mut bytes);
    operations.iter().for_each(|op| op.write(&mut bytes));
    bytes
}

fn small(value: u8) -> Small {
    Small { value }
}

fn port(port: u8, value: u8) -> Op {
    Op::Port(PortWrite { port, value })
}

fn solid(colour: u32) -> Brush {
    Brush {
        kind: 1,
        colour,
        ..Brush::default()
    }
}

fn patch(at: u8, width: u8, value: u64) -> Patch {
    Patch {
        at: at + 1,
        width: width - 1,
        value,
    }
}

/// A drawable on the left upper corner of the primary surface.
fn draw(kind: u8) -> Draw {
    Draw {
        kind,
        bbox: [0, 0, 16, 16],
        area: [0, 0, 16, 16],
        brush: solid(0x00ff_8040),
        rop: 8,
        scale: 1,
        ..Draw::default()
    }
}

fn image(format: u8) -> Image {
    Image {
        width: 16,
        height: 16,
        format,
        bitmap_flags: 4,
        ..Image::default()
    }
}

fn surface(id: u16, format: u8, how: u8) -> Surface {
    Surface {
        how,
        id,
        format,
        width: 32,
        height: 32,
        place: 8192 * u32::from(id),
        ..Surface::default()
    }
}

/// Ends most programs: an update, a driver's interrupt, a save.
fn ending() -> Vec<Op> {
    vec![
        Op::Update(Update {
            area: [0, 0, 48, 64],
            ..Update::default()
        }),
        Op::Interrupt(Nothing {}),
        Op::Save(Save::default()),
        port(23, 0),
        Op::Collect(Nothing {}),
    ]
}

fn with_primary(shape: u8, operations: Vec<Op>) -> Vec<u8> {
    let mut all = vec![Op::BringUp(small(0x1c))];
    all.extend(operations);
    all.extend(ending());
    program(shape, &all)
}

/// All of them with their names.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    [
        drawing::drawing(),
        drivers::commands(),
        drivers::drivers(),
        vga::vga(),
        attacks::attacks(),
    ]
    .concat()
}
