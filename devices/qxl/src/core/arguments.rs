//! The ports that take their argument from the RAM header (ABI 7.2): copied once, checked, made a request.

use super::{Action, Core, Front, GuestBug, Mode, Request};
use crate::{
    counters::Counter,
    header::offset,
    memory::{Region, SLOT_COUNT, Slot},
    monitors::MonitorsConfig,
    parse::{Fields, Guest},
    sizes::SURFACE_COUNT,
    surfaces::Backing,
};

impl Core {
    pub(super) fn update_area(&self) -> Result<Action, GuestBug> {
        let bytes: [u8; 20] = self.header.read(offset::UPDATE_AREA);
        let mut fields = Fields::new("update area", &bytes);
        let (Ok(area), Ok(surface)) = (fields.rect(), fields.u32()) else {
            return Ok(Action::Done);
        };
        if surface >= SURFACE_COUNT {
            return Err(GuestBug(format!("update of surface {surface}")));
        }
        if area.left < 0 || area.top < 0 || area.right < area.left || area.bottom < area.top {
            return Err(GuestBug(format!("update of {area:?}")));
        }
        if area.is_empty() {
            return Ok(Action::Done);
        }
        Ok(Action::Queue(Request::UpdateArea { surface, area }))
    }

    pub(super) fn add_slot(&self, front: &mut Front, id: u8) -> Result<Action, GuestBug> {
        let bytes: [u8; 16] = self.header.read(offset::MEMORY_SLOT);
        let mut fields = Fields::new("memory slot", &bytes);
        let (Ok(start), Ok(end)) = (fields.u64(), fields.u64()) else {
            return Ok(Action::Done);
        };
        if usize::from(id) >= SLOT_COUNT {
            return Err(GuestBug(format!("memory slot {id}")));
        }
        if front.slots.get(id).is_some() {
            return Err(GuestBug(format!("memory slot {id} is there already")));
        }
        let slot = self
            .find_bar(front, start, end)
            .ok_or_else(|| GuestBug(format!("memory slot {id} {start:#x}..{end:#x} is not inside a BAR")))?;
        front.slots.set(id, Some(slot));
        Ok(Action::Queue(Request::SetSlot { id, slot: Some(slot) }))
    }

    /// The slot for a guest-physical range inside one BAR as it is mapped now.
    fn find_bar(&self, front: &Front, start: u64, end: u64) -> Option<Slot> {
        let sizes = &self.config.sizes;
        let kinds = [
            (Region::Ram, sizes.ram()),
            (Region::Vram, sizes.vram32()),
            (Region::Vram, sizes.vram64()),
        ];
        let size = end.checked_sub(start)?;
        front.bars.iter().zip(kinds).find_map(|(base, (region, length))| {
            let offset = start.checked_sub((*base)?)?;
            let inside = offset.checked_add(size)? <= length;
            inside.then_some(Slot {
                region,
                offset,
                size,
                bias: 0,
            })
        })
    }

    pub(super) fn create_primary(&self, front: &mut Front, value: u8) -> Result<Action, GuestBug> {
        let bytes: [u8; 40] = self.header.read(offset::CREATE_SURFACE);
        if value != 0 {
            return Err(GuestBug(format!("primary surface {value}")));
        }
        let (backing, keep_data) = Backing::primary(&bytes, &front.slots, self.config.sizes.vgamem())
            .map_err(|reason| GuestBug(format!("primary surface: {reason}")))?;
        if front.mode == Mode::Native {
            self.counters.add(Counter::ReplacedPrimaries);
            self.note("primary surface replaced", &"the guest did not destroy the old one");
        }
        front.mode = Mode::Native;
        Ok(Action::Queue(Request::CreatePrimary { backing, keep_data }))
    }

    /// A bad address or count is ignored, not flagged: X.Org ends itself on the error interrupt.
    pub(super) fn monitors(&self, front: &Front) -> Action {
        let address = u64::from_le_bytes(self.header.read(offset::MONITORS_CONFIG));
        let mut guest = Guest::new(&self.memory, &front.slots);
        match MonitorsConfig::read(&mut guest, address, self.config.heads) {
            Ok(Some(config)) => Action::Queue(Request::Monitors(config)),
            Ok(None) => Action::Done,
            Err(reason) => {
                self.note("monitors configuration ignored", &reason);
                Action::Done
            }
        }
    }
}
