//! Changes of mode that are more than a primary surface: SET_MODE (ABI 17), and VGA registers that take the screen back
//! (ABI 8).

use std::sync::Arc;

use super::{Action, Completion, Core, Front, GuestBug, JOBS_MAX, Mode, PortEffect, Request, Ticket};
use crate::{
    lock,
    memory::{Region, Slot, SlotTable},
    modes,
    parse::Layout,
    surfaces::{Backing, Geometry},
};

/// The screen SET_MODE makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompatScreen {
    /// Number of the mode.
    pub(crate) id: u32,
    /// How commands are laid out from now on.
    pub(crate) layout: Layout,
    /// Slot 0, all of BAR 0 by its guest-physical addresses.
    pub(crate) slot: Slot,
    /// The primary surface, at the start of BAR 0.
    pub(crate) backing: Backing,
}

impl Core {
    /// Everything is checked before the reset that a mode begins with. Modes are known by their id, whatever their
    /// place in the table.
    pub(super) fn set_mode(&self, front: &mut Front, value: u8) -> Result<Action, GuestBug> {
        let screen = self.compat_screen(front, value.into())?;
        self.reset_front(front);
        front.slots.set(0, Some(screen.slot));
        front.mode = Mode::Compat;
        Ok(Action::Queue(Request::SetMode(screen)))
    }

    fn compat_screen(&self, front: &Front, id: u32) -> Result<CompatScreen, GuestBug> {
        const XRGB: u32 = 32;
        let sizes = &self.config.sizes;
        let mode = modes::find(sizes.vgamem(), id).ok_or_else(|| GuestBug(format!("there is no mode {id}")))?;
        let [Some(base), ..] = front.bars else {
            return Err(GuestBug("a mode while BAR 0 is nowhere".into()));
        };
        let slot = Slot {
            region: Region::Ram,
            offset: 0,
            size: sizes.ram(),
            bias: base,
        };
        let mut slots = SlotTable::default();
        slots.set(0, Some(slot));
        // 32 bits whatever the mode has, the last row first, so a mode of 16 bits may be too large.
        let geometry = Geometry {
            width: mode.width,
            height: mode.height,
            stride: i32::try_from(4 * mode.width).map_or(i32::MIN, |stride| -stride),
            format: XRGB,
            address: base,
        };
        let backing = geometry
            .check(&slots, sizes.vgamem())
            .map_err(|reason| GuestBug(format!("mode {id}: {reason}")))?;
        Ok(CompatScreen {
            id,
            layout: Layout::of_bits(mode.bits),
            slot,
            backing,
        })
    }

    /// The guest wrote a VGA register. Up to revision 4 the screen is the VGA core's from then on: the primary surface
    /// goes, a frozen device thaws, a command in flight is not answered; slots, ROM and interrupt mask stay.
    pub(crate) fn vga_written(&self) -> PortEffect {
        if !self.config.vga_takes_over() {
            return PortEffect::NONE;
        }
        let mut front = lock(&self.front);
        // A guest that goes to and fro faster than the worker waits where it is.
        if front.mode == Mode::Vga || front.jobs.len() >= JOBS_MAX {
            return PortEffect::NONE;
        }
        let drain = !front.guest_bug;
        front.mode = Mode::Vga;
        front.guest_bug = false;
        front.current_async = None;
        let ticket = Arc::new(Ticket::default());
        front.push(Request::EnterVga { drain }, Completion::Ticket(Arc::clone(&ticket)));
        PortEffect {
            wake: true,
            ticket: Some(ticket),
        }
    }
}
