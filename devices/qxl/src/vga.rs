//! The screen of the primary device while no driver has it: the VGA core (ABI 8, VGA 14). vCPUs meet the core at its
//! ports and its window; the display thread draws what they left there.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use caraway_base::{
    address_space::DirtyLog,
    bus::{BusDevice, Outcome},
    memory::SharedMemory,
};
use caraway_ports::{
    display::{DisplayCommand, Pixels, SurfaceSpec},
    drawing::{Bitmap, BitmapFormat, Drawable, ScaleMode, SurfaceFormat},
    geometry::Rect,
};
use caraway_vga::{DirtyPages, PORTS, Renderer, Scanout, Vga, WINDOW, WINDOW_SIZE, changes_mode};

use crate::{Qxl, core::Mode, device::Shared, lock, worker::Worker};

/// The VGA core as vCPUs and the display thread share it.
#[derive(Debug)]
pub(crate) struct VgaFront {
    vga: Mutex<Vga>,
    log: Mutex<Log>,
}

/// What the guest writes to BAR 0 past the core.
#[derive(Debug, Default)]
struct Log {
    /// KVM's log of where the BAR is now.
    now: Option<DirtyLog>,
    /// The BAR was moved: what was written before is in no log any more.
    moved: bool,
}

impl VgaFront {
    pub(crate) fn new(vga: Vga) -> Self {
        Self {
            vga: Mutex::new(vga),
            log: Mutex::default(),
        }
    }

    /// The core, for a short while.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vga> {
        lock(&self.vga)
    }

    /// BAR 0 was mapped or unmapped.
    pub(crate) fn logged(&self, log: Option<DirtyLog>) {
        *lock(&self.log) = Log { now: log, moved: true };
    }

    /// Adds what was written since the last call, and only then looks at the registers: what is written between is seen
    /// the next time at the latest.
    fn scan(&self, dirty: &mut DirtyPages) -> Scanout {
        let log = {
            let mut log = lock(&self.log);
            if std::mem::take(&mut log.moved) {
                dirty.mark_all();
            }
            log.now.clone()
        };
        if let Some(pages) = log.and_then(|log| log.take()) {
            dirty.merge_log(&pages);
        }
        let mut vga = self.lock();
        vga.take_dirty(dirty);
        vga.scanout()
    }
}

/// The VGA core's picture as the display thread keeps it.
#[derive(Debug)]
pub(crate) struct VgaScreen {
    renderer: Renderer,
    dirty: DirtyPages,
    /// The viewer's surface 0 is this picture.
    shown: bool,
}

impl VgaScreen {
    pub(crate) fn new(memory: &SharedMemory) -> Self {
        Self {
            renderer: Renderer::new(),
            dirty: DirtyPages::new(memory.size()),
            shown: false,
        }
    }

    /// The viewer's surface 0 is something else from now on, or nothing.
    pub(crate) fn hidden(&mut self) {
        self.shown = false;
    }

    /// What brings the viewer up to date. Nothing until the guest has shown something: before that the screen is the
    /// viewer's own black one.
    fn refresh(&mut self, front: &VgaFront, memory: &SharedMemory, time: Duration) -> Vec<DisplayCommand> {
        let scanout = front.scan(&mut self.dirty);
        if !self.shown && scanout.size().is_none() {
            return Vec::new();
        }
        let refresh = self.renderer.refresh(memory, &scanout, &self.dirty, time, !self.shown);
        self.dirty.clear();
        if refresh.resized.is_some() || !self.shown {
            self.shown = true;
            return vec![DisplayCommand::CreateSurface(self.surface())];
        }
        refresh.rects.iter().map(|rect| self.copy(rect)).collect()
    }

    fn surface(&self) -> SurfaceSpec {
        let (width, height) = self.renderer.size();
        SurfaceSpec {
            id: 0,
            width,
            height,
            format: SurfaceFormat::Xrgb,
            pixels: Some(Pixels {
                format: SurfaceFormat::Xrgb,
                width,
                height,
                stride: 4 * width,
                data: Bytes::copy_from_slice(self.renderer.frame()),
            }),
        }
    }

    /// A part of the picture as a drawing command.
    fn copy(&self, rect: &Rect) -> DisplayCommand {
        let (width, height) = (rect.width(), rect.height());
        let bitmap = Bitmap {
            format: BitmapFormat::Bit32,
            width,
            height,
            stride: 4 * width,
            top_down: true,
            palette: None,
            data: Bytes::from(self.renderer.pixels(rect)),
        };
        let copy = Drawable::copy(0, *rect, Arc::new(bitmap), ScaleMode::Nearest);
        DisplayCommand::Draw(Box::new(copy))
    }
}

impl Worker {
    /// Whether the screen is the VGA core's.
    pub(crate) fn shows_vga(&self) -> bool {
        self.core.vga.is_some() && !self.consuming
    }

    /// Brings the viewer up to date with the VGA core, if the screen is the core's. `time` is that of blinking.
    pub(crate) fn refresh_vga(&mut self, time: Duration) {
        if !self.shows_vga() {
            return;
        }
        if let Some(front) = &self.core.vga {
            let commands = self.vga.refresh(front, &self.core.memory.ram, time);
            for command in commands {
                self.submit(command);
            }
        }
    }
}

/// Where the linear frame buffer of the VGA core lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearMemory {
    /// Guest-physical address.
    pub address: u32,
    /// Bytes.
    pub size: u32,
}

impl Qxl {
    /// Does what firmware would: sets a linear mode of 32 bits a pixel, black. Where its pixels are. `None` when this is
    /// not the VGA device, a driver has the screen, BAR 0 is not mapped below 4 GiB, or the mode does not fit.
    pub fn set_linear_mode(&self, width: u16, height: u16) -> Option<LinearMemory> {
        const DISPI_INDEX: u16 = 0x1ce;
        const DISPI_DATA: u16 = 0x1cf;
        const MISC_OUTPUT: u16 = 0x3c2;
        const INPUT_STATUS: u16 = 0x3da;
        const ATTRIBUTE: u16 = 0x3c0;
        // Colour ports, both clocks, RAM enabled.
        const MISC: u8 = 0x67;
        const PALETTE_ADDRESS_SOURCE: u8 = 0x20;
        let core = &self.shared().core;
        let vga = core.vga.as_ref()?;
        let address = {
            let front = core.front();
            (front.mode == Mode::Vga).then(|| front.bar0())??
        };
        let bytes = u64::from(width) * u64::from(height) * 4;
        let memory = LinearMemory {
            address: u32::try_from(address).ok()?,
            size: u32::try_from(core.config.sizes.vgamem()).ok()?,
        };
        if bytes > memory.size.into() {
            return None;
        }
        let mut vga = vga.lock();
        vga.port_write(MISC_OUTPUT, &[MISC]);
        // Off; depth, width, height; on, linear.
        for (index, value) in [(4u16, 0u16), (3, 32), (1, width), (2, height), (4, 0x41)] {
            vga.port_write(DISPI_INDEX, &index.to_le_bytes());
            vga.port_write(DISPI_DATA, &value.to_le_bytes());
        }
        // The next write to the attribute port is an index.
        vga.port_read(INPUT_STATUS, &mut [0]);
        vga.port_write(ATTRIBUTE, &[PALETTE_ADDRESS_SOURCE]);
        Some(memory)
    }

    /// The fixed ports of the VGA core: the first of a block, how many, and what answers there. None for a device that
    /// is not the VGA device.
    #[must_use]
    pub fn vga_ports(&self) -> Vec<(u16, u16, Arc<dyn BusDevice>)> {
        if self.shared().core.vga.is_none() {
            return Vec::new();
        }
        PORTS
            .map(|(first, count)| {
                let shared = Arc::clone(self.shared());
                let device: Arc<dyn BusDevice> = Arc::new(Ports { shared, first });
                (first, count, device)
            })
            .into()
    }

    /// The legacy memory window of the VGA core and what answers there.
    #[must_use]
    pub fn vga_window(&self) -> Option<(Range<u64>, Arc<dyn BusDevice>)> {
        self.shared().core.vga.as_ref()?;
        let shared = Arc::clone(self.shared());
        Some((WINDOW..WINDOW + WINDOW_SIZE, Arc::new(Window(shared))))
    }
}

/// A block of the core's ports.
struct Ports {
    shared: Arc<Shared>,
    first: u16,
}

impl Ports {
    fn port(&self, offset: u64) -> u16 {
        u16::try_from(offset).map_or(u16::MAX, |offset| self.first.saturating_add(offset))
    }
}

impl BusDevice for Ports {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if let Some(front) = &self.shared.core.vga {
            front.lock().port_read(self.port(offset), data);
        }
    }

    /// Up to revision 4 a write takes the screen from a driver; the registers change in every case.
    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        let port = self.port(offset);
        if let Some(front) = &self.shared.core.vga {
            front.lock().port_write(port, data);
            if changes_mode(port) {
                self.shared.finish(&self.shared.core.vga_written());
            }
        }
        Outcome::Done
    }
}

/// The legacy memory window.
struct Window(Arc<Shared>);

impl BusDevice for Window {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if let Some(front) = &self.0.core.vga {
            front.lock().window_read(offset, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        if let Some(front) = &self.0.core.vga {
            front.lock().window_write(offset, data);
        }
        Outcome::Done
    }
}

#[cfg(test)]
#[path = "vga_tests.rs"]
mod tests;
