//! The worker's half of the mode changes in [`crate::core`]'s `modes`.

use caraway_ports::display::DisplayCommand;

use super::Worker;
use crate::{core::CompatScreen, parse::Layout, surfaces::Surface};

impl Worker {
    /// A screen by SET_MODE. The reset it begins with is a request of its own, done before this one.
    pub(super) fn set_mode(&mut self, screen: &CompatScreen) {
        self.slots.set(0, Some(screen.slot));
        self.layout = screen.layout;
        self.consuming = true;
        self.rom.set_mode(screen.id);
        self.add_surface(0, Surface::new(screen.backing, None, false), false);
        self.report_monitors();
    }

    /// The screen is the VGA core's. What was pushed before is done (`drain`) unless the guest broke the protocol;
    /// other surfaces live on, and what the guest pushes from now on waits for its next screen.
    pub(super) fn enter_vga(&mut self, drain: bool) {
        if drain {
            self.drain();
        }
        self.remove_surface(0, true);
        self.reset_cursor();
        self.consuming = false;
        self.layout = Layout::Native;
        self.monitors = None;
        self.submit(DisplayCommand::Monitors {
            heads: Vec::new(),
            max: self.core.config.heads,
        });
    }
}
