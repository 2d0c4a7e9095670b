//! What of the device is saved, and how it is built again (ABI 20). The contents of RAM and VRAM, with them the rings and
//! the interrupt registers, travel with the machine's memory.

use std::{collections::BTreeSet, sync::Arc};

use caraway_base::{
    memory::SharedMemory,
    state::{Migratable, StateError},
};
use caraway_ports::display::DisplaySink;
use caraway_vga::{Vga, VgaState};
use serde::{Deserialize, Serialize};

use crate::{
    Qxl, QxlConfig,
    core::Mode,
    cursor::SavedCursor,
    device::vga_args,
    drive::Drive,
    lock,
    memory::{GuestMemory, Location, SlotTable},
    modes,
    monitors::MonitorsConfig,
    option_rom::OptionRom,
    parse::Layout,
    ring::{Batch, CommandRing, Held, ReleaseRing},
    rom::ClientBlock,
    sizes::SURFACE_COUNT,
    surfaces::{Surface, SurfaceTable},
    worker::Worker,
};

/// What a device is built from besides its record.
pub struct QxlArgs {
    /// As the saved device was configured.
    pub config: QxlConfig,
    /// The viewer, who is told everything anew.
    pub sink: Arc<dyn DisplaySink>,
    /// Contents of BAR 0, `config.sizes.ram()` bytes.
    pub ram: SharedMemory,
    /// Contents of BAR 1 and 4, as many bytes as [`QxlSizes::for_revision`](crate::QxlSizes::for_revision) gives
    /// `vram64`.
    pub vram: SharedMemory,
    /// The VGA BIOS; with one, the saved device had one too.
    pub option_rom: Option<OptionRom>,
    /// Who does the work of its display thread.
    pub drive: Drive,
}

impl std::fmt::Debug for QxlArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QxlArgs")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The record of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QxlState {
    shape: Shape,
    mode: Mode,
    guest_bug: bool,
    slots: SlotTable,
    command_consumer: u32,
    cursor_consumer: u32,
    release_producer: u32,
    batch: Option<Batch>,
    surfaces: Vec<(u32, Surface)>,
    cursor: SavedCursor,
    monitors: Option<MonitorsConfig>,
    update_id: u32,
    rom_mode: u32,
    client: ClientBlock,
    /// The VGA core of a primary device.
    vga: Option<VgaState>,
}

/// What two devices must agree in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    index: u32,
    primary: bool,
    revision: u8,
    vgamem: u64,
    ram: u64,
    vram32: u64,
    vram64: u64,
}

impl From<&QxlConfig> for Shape {
    fn from(config: &QxlConfig) -> Self {
        Self {
            index: config.index,
            primary: config.primary,
            revision: config.revision,
            vgamem: config.sizes.vgamem(),
            ram: config.sizes.ram(),
            vram32: config.sizes.vram32(),
            vram64: config.sizes.vram64(),
        }
    }
}

fn invalid(field: &'static str, value: impl std::fmt::Debug) -> StateError {
    StateError::Invalid {
        kind: Qxl::KIND,
        field,
        value: format!("{value:?}"),
    }
}

impl QxlState {
    /// Refuses what no device can have saved: places outside the memory above all.
    fn check(&self, config: &QxlConfig, memory: &GuestMemory) -> Result<(), StateError> {
        if self.shape != Shape::from(config) {
            return Err(invalid("shape", self.shape));
        }
        for (field, region, size) in [
            ("ram", &memory.ram, config.sizes.ram()),
            ("vram", &memory.vram, config.sizes.vram64()),
        ] {
            if region.size() != size {
                return Err(invalid(field, region.size()));
            }
        }
        if self.mode == Mode::Vga && !config.primary {
            return Err(invalid("mode", self.mode));
        }
        if self.vga.is_some() != config.primary {
            return Err(invalid("vga", self.vga.is_some()));
        }
        if !self.slots.fits(memory) {
            return Err(invalid("slots", &self.slots));
        }
        let cell = |place: &Location| memory.of(place.region).contains(place.offset, 8);
        let held = |held: &Held| cell(&held.body);
        if self.batch.is_some_and(|batch| !cell(&batch.last())) {
            return Err(invalid("batch", self.batch));
        }
        // The viewer holds a copy of each surface: all together no more than a guest could have asked for.
        let mut left = memory.size().saturating_add(config.sizes.vgamem());
        let mut ids = BTreeSet::new();
        for (id, surface) in &self.surfaces {
            let backing = &surface.backing;
            let valid = *id < SURFACE_COUNT && ids.insert(*id) && backing.is_valid(memory);
            let primary = *id != 0 || backing.can_be_primary(config.sizes.vgamem());
            let rest = left.checked_sub(backing.bytes());
            match rest {
                Some(rest) if valid && primary && surface.created_by.iter().all(held) => left = rest,
                _ => return Err(invalid("surfaces", (id, surface))),
            }
        }
        if modes::find(config.sizes.vgamem(), self.rom_mode).is_none() {
            return Err(invalid("mode of the ROM", self.rom_mode));
        }
        if !config.tells_of_clients() && self.client != ClientBlock::default() {
            return Err(invalid("client", &self.client));
        }
        if self.monitors.as_ref().is_some_and(|monitors| !monitors.is_valid()) {
            return Err(invalid("monitors", &self.monitors));
        }
        Ok(())
    }

    /// The record as another revision would have written it.
    #[cfg(test)]
    pub(crate) const fn of_revision(mut self, revision: u8) -> Self {
        self.shape.revision = revision;
        self
    }

    fn apply(self, worker: &mut Worker) -> Result<(), StateError> {
        worker.consuming = self.mode != Mode::Vga;
        if self.mode == Mode::Compat {
            let mode = modes::find(worker.core.config.sizes.vgamem(), self.rom_mode);
            worker.layout = mode.map_or(Layout::Native, |mode| Layout::of_bits(mode.bits));
        }
        worker.slots = self.slots;
        worker.commands = CommandRing::command(self.command_consumer);
        worker.cursor_commands = CommandRing::cursor(self.cursor_consumer);
        worker.release = ReleaseRing::new(self.release_producer, self.batch);
        let mut surfaces = SurfaceTable::default();
        for (id, surface) in self.surfaces {
            surfaces.insert(id, surface);
        }
        worker.surfaces = surfaces;
        worker.cursor = self.cursor.restore().ok_or_else(|| invalid("cursor", "a shape"))?;
        worker.monitors = self.monitors;
        worker.rom.set_saved(self.update_id, self.rom_mode, self.client);
        Ok(())
    }
}

impl Migratable for Qxl {
    type State = QxlState;
    type Args = QxlArgs;
    const KIND: &'static str = "qxl";
    /// 2: the compatibility mode, with the bias of its slot. 3: the VGA core.
    const VERSION: u16 = 3;
    const OLDEST: u16 = 3;

    fn save(&self) -> QxlState {
        let shared = self.shared();
        // The worker first: it takes the front's lock while it works.
        let worker = lock(&shared.worker);
        let front = shared.core.front();
        QxlState {
            shape: Shape::from(&shared.core.config),
            mode: front.mode,
            guest_bug: front.guest_bug,
            slots: worker.slots.clone(),
            command_consumer: worker.commands.consumer(),
            cursor_consumer: worker.cursor_commands.consumer(),
            release_producer: worker.release.producer(),
            batch: worker.release.batch(),
            surfaces: worker
                .surfaces
                .iter()
                .map(|(id, surface)| (id, surface.clone()))
                .collect(),
            cursor: SavedCursor::of(&worker.cursor),
            monitors: worker.monitors.clone(),
            update_id: worker.rom.update_id(),
            rom_mode: worker.rom.mode(),
            client: worker.rom.client().clone(),
            vga: shared.core.vga.as_ref().map(|vga| vga.lock().save()),
        }
    }

    fn restore(args: QxlArgs, state: QxlState) -> Result<Self, StateError> {
        let memory = GuestMemory {
            ram: args.ram,
            vram: args.vram,
        };
        let config = args.config.checked().map_err(|error| invalid("config", error))?;
        state.check(&config, &memory)?;
        let vga = state
            .vga
            .clone()
            .map(|vga| Vga::restore(vga_args(&config, &memory), vga))
            .transpose()?;
        let device = Self::assemble_with(config, memory, vga, args.option_rom, args.sink, args.drive)
            .map_err(|error| invalid("config", error))?;
        {
            let mut worker = lock(&device.shared().worker);
            let mut front = device.shared().core.front();
            front.mode = state.mode;
            front.guest_bug = state.guest_bug;
            front.slots = state.slots.clone();
            drop(front);
            state.apply(&mut worker)?;
            worker.announce();
        }
        device.start(true).map_err(|error| invalid("thread", error))?;
        Ok(device)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
