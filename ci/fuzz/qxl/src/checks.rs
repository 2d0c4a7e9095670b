//! What must hold.

use crate::{
    guest::{Guest, field, port},
    machine::{Region, VGAMEM},
};

/// Links of a chain that are followed when the guest broke the protocol itself.
const LINKS_MAX: usize = 100;

impl Guest {
    /// The line says what the registers say, after they were looked at.
    pub(crate) fn check_line(&self) {
        let level = self.machine.load(field::INT_PENDING) & self.machine.load(field::INT_MASK) != 0;
        assert_eq!(self.machine.line(), level, "the interrupt line after an update");
    }

    /// Takes what the device gave back. Each is something the guest gave and did not get back before.
    pub(crate) fn collect(&mut self) {
        let ring = field::RELEASE_RING;
        for _ in 0..8 {
            if self.machine.load(ring + field::PRODUCER) == self.release_consumer {
                return;
            }
            let at = ring + field::ITEMS + 8 * u64::from(self.release_consumer % 8);
            let mut id = u64::from_le_bytes(self.machine.read(self.machine.header + at));
            self.release_consumer = self.release_consumer.wrapping_add(1);
            self.machine.store(ring + field::CONSUMER, self.release_consumer);
            if !self.knows_commands {
                // Chains may lead anywhere; only what the guest can find is looked at.
                for _ in 0..LINKS_MAX {
                    let Some(given) = self.given.remove(&id) else { break };
                    id = u64::from_le_bytes(self.machine.read(given.at));
                }
                continue;
            }
            assert_ne!(id, 0, "an entry of the release ring without a command");
            while id != 0 {
                let given = self.given.remove(&id);
                let given = given.unwrap_or_else(|| panic!("{id:#x} came back, which the device did not have"));
                id = u64::from_le_bytes(self.machine.read(given.at));
            }
        }
        assert!(
            !self.knows_commands || self.machine.load(ring + field::PRODUCER) == self.release_consumer,
            "the release ring holds more than it has room for"
        );
    }

    /// Everything but what surfaces are made of comes back from a device that works.
    pub(crate) fn check_all_come_back(&mut self) {
        if !self.knows_commands || self.machine.config.revision < 3 || self.machine.paused {
            return;
        }
        self.port(port::OUT_OF_MEMORY, 0);
        for _ in 0..8 {
            self.collect();
            let filtered = self.machine.device.counters().filtered_writes;
            self.port(port::FLUSH_RELEASE, 0);
            // A frozen device, and one in VGA mode, do nothing.
            if self.machine.device.counters().filtered_writes != filtered {
                return;
            }
        }
        self.collect();
        let taken = |ring: u64| self.machine.load(ring + field::PRODUCER) == self.machine.load(ring + field::CONSUMER);
        if !self.knows_commands || !taken(field::COMMAND_RING) || !taken(field::CURSOR_RING) {
            return;
        }
        let lost = self.given.values().filter(|given| !given.is_surface).count();
        assert_eq!(lost, 0, "commands that were done and did not come back");
    }

    /// Saves, goes on with what was restored, and sees the same.
    pub(crate) fn save_and_restore(&mut self) {
        self.machine.pause();
        let pictures = |guest: &Self, live: &[(u32, u32, u32)]| -> Vec<_> {
            let ids = live.iter().map(|(id, ..)| *id);
            ids.map(|id| guest.machine.sink.whole(id)).collect()
        };
        let known = self.knows_pictures;
        let mut live = self.machine.sink.live();
        let mut before = if known { pictures(self, &live) } else { Vec::new() };
        self.machine.save_and_restore();
        let now = self.machine.sink.live();
        if live.first().is_some_and(|(id, ..)| *id == 0) && now.first().is_none_or(|(id, ..)| *id != 0) {
            // The VGA core's picture, which is drawn anew when somebody looks.
            live.remove(0);
            before = before.into_iter().skip(1).collect();
        }
        assert_eq!(live, now, "surfaces after a restore");
        if known {
            let after = pictures(self, &live);
            assert!(
                before == after || self.machine.sink.has_refused(),
                "pictures are not what they were before a restore"
            );
        }
        self.machine.resume();
    }

    /// Writes that may hit what is guarded, or anything shared.
    pub(crate) fn may_hit(&mut self, region: Region, at: u64, length: u64) {
        let memory = self.machine.region(region).size();
        if length == 0 || at >= memory {
            return;
        }
        if region == Region::Ram && at.saturating_add(length) > VGAMEM {
            self.spoil();
        }
        self.knows_pictures = false;
        let guard = match region {
            Region::Ram => self.machine.header + field::END,
            Region::Vram => self.machine.vram_slot(),
        };
        if at.saturating_add(length) > guard {
            self.guards = false;
        }
    }
}
