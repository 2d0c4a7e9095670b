//! Ring commands (ABI 10, 14, 15): taken, done, given back.

use caraway_ports::{display::DisplayCommand, layout::check_inside};

use super::Worker;
use crate::{
    core::GuestBug,
    counters::Counter,
    cursor, interrupts,
    parse::{Fields, Guest, Malformed, drawable},
    ring::{Held, RingItem},
    sizes::SURFACE_COUNT,
    surfaces::{Geometry, Surface},
};

/// Command types.
mod command {
    pub(super) const NOP: u32 = 0;
    pub(super) const DRAW: u32 = 1;
    pub(super) const UPDATE: u32 = 2;
    pub(super) const CURSOR: u32 = 3;
    pub(super) const MESSAGE: u32 = 4;
    pub(super) const SURFACE: u32 = 5;
}

/// Bytes of a message command that are looked at.
const MESSAGE_MAX: u64 = 4096;

impl Worker {
    /// Guest memory as a command that is done now sees it.
    fn guest(&self) -> Guest<'_> {
        Guest::new(&self.core.memory, &self.slots).with_layout(self.layout)
    }

    /// The release cell of the body at `address`. A body nobody can reach is a breach of the slots' protocol.
    fn hold(&mut self, address: u64) -> Option<Held> {
        let guest = self.guest();
        match (guest.resolve(address, 8), guest.read::<8>(address, 0)) {
            (Ok(body), Ok(id)) => Some(Held {
                id: u64::from_le_bytes(id),
                body,
            }),
            _ => {
                let bug = GuestBug(format!("command at address {address:#x}"));
                self.core.guest_bug(self.epoch, &bug);
                None
            }
        }
    }

    fn drop_command(&self, what: &'static str, reason: Malformed) {
        self.core.counters.add(Counter::Dropped);
        self.core.note(what, &reason);
    }

    pub(super) fn cursor_command(&mut self, item: RingItem) {
        if item.kind == command::NOP || item.kind > command::SURFACE {
            return self.drop_command(
                "cursor ring command dropped",
                Malformed::value("command type", item.kind),
            );
        }
        let Some(held) = self.hold(item.body) else { return };
        if item.kind == command::CURSOR {
            let mut guest = self.guest();
            match cursor::parse(&mut guest, item.body) {
                Ok(command) => {
                    self.cursor.apply(&command);
                    self.submit(DisplayCommand::Cursor(command));
                }
                Err(reason) => self.drop_command("cursor command dropped", reason),
            }
        } else {
            self.drop_command(
                "cursor ring command dropped",
                Malformed::value("command type", item.kind),
            );
        }
        self.give_back(held);
    }

    pub(super) fn ring_command(&mut self, item: RingItem) {
        match item.kind {
            command::NOP => return,
            command::DRAW..=command::SURFACE => {}
            // Whether it has a release cell is anybody's guess.
            other => return self.drop_command("command dropped", Malformed::value("command type", other)),
        }
        let Some(held) = self.hold(item.body) else { return };
        let outcome = match item.kind {
            command::DRAW => self.draw(item.body).map(|()| Some(held)),
            command::UPDATE => self.update(item.body).map(|()| Some(held)),
            command::MESSAGE => self.message(item.body).map(|()| Some(held)),
            command::SURFACE => self.surface(item.body, held),
            other => Err(Malformed::value("command type", other)),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(held)) => self.give_back(held),
            Err(reason) => {
                self.drop_command("command dropped", reason);
                self.give_back(held);
            }
        }
    }

    fn draw(&mut self, address: u64) -> Result<(), Malformed> {
        let mut guest = self.guest();
        if let Some(drawable) = drawable::parse(&mut guest, address, &self.surfaces)? {
            if let Some(surface) = self.surfaces.get_mut(drawable.surface) {
                surface.drawn(&drawable.bbox);
            }
            self.submit(DisplayCommand::Draw(Box::new(drawable)));
        }
        Ok(())
    }

    fn update(&mut self, address: u64) -> Result<(), Malformed> {
        let guest = self.guest();
        let bytes: [u8; 28] = guest.read(address, 0)?;
        let mut fields = Fields::new("update command", &bytes);
        fields.skip(8)?;
        let (area, id) = (fields.rect()?, fields.u32()?);
        // The first drivers had one surface.
        let surface = if self.layout.is_compat() {
            0
        } else {
            u32::from_le_bytes(guest.read(address, 28)?)
        };
        if surface >= SURFACE_COUNT {
            return Err(Malformed::value("update surface", surface));
        }
        check_inside("update area", &area, (u32::MAX, u32::MAX))?;
        self.write_back(surface, &area);
        if id != 0 {
            self.rom.set_update_id(id);
            self.core.interrupts.raise(interrupts::DISPLAY);
        }
        Ok(())
    }

    fn message(&mut self, address: u64) -> Result<(), Malformed> {
        let mut guest = self.guest();
        let room = guest.room(address)?.saturating_sub(8).min(MESSAGE_MAX);
        let text = guest.read_vec(address, 8, room)?;
        self.core.log_guest_text(|| text);
        Ok(())
    }

    /// What is to be given back now: a command that made a surface is kept while the surface lives.
    fn surface(&mut self, address: u64, held: Held) -> Result<Option<Held>, Malformed> {
        const CREATE: u8 = 0;
        const DESTROY: u8 = 1;
        const KEEP_DATA: u32 = 1;
        let guest = self.guest();
        // A destroy command ends where the description of the new surface would start.
        let bytes: [u8; 0x11] = guest.read(address, 0)?;
        let mut fields = Fields::new("surface command", &bytes);
        fields.skip(8)?;
        let (id, kind, flags) = (fields.u32()?, fields.u8()?, fields.u32()?);
        if id == 0 || id >= SURFACE_COUNT {
            return Err(Malformed::value("surface id", id));
        }
        match kind {
            CREATE if !self.surfaces.contains(id) => {
                let bytes: [u8; 24] = guest.read(address, 0x11)?;
                let mut fields = Fields::new("surface", &bytes);
                let geometry = Geometry {
                    format: fields.u32()?,
                    width: fields.u32()?,
                    height: fields.u32()?,
                    stride: fields.i32()?,
                    address: fields.u64()?,
                };
                let total = self.core.memory.size();
                let left = total.saturating_sub(self.surfaces.bytes());
                let backing = geometry.check(&self.slots, left)?;
                let keep_data = flags & KEEP_DATA != 0;
                self.add_surface(id, Surface::new(backing, Some(held), keep_data), keep_data);
                Ok(None)
            }
            // The memory may be in use for something else already: nothing is written there any more.
            DESTROY if self.surfaces.contains(id) => {
                self.remove_surface(id, false);
                Ok(Some(held))
            }
            _ => Err(Malformed::value("surface command", kind)),
        }
    }
}
