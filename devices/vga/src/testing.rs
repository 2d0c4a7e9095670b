//! A guest: it programs the device the way firmware does, and a viewer beside it keeps a copy of the screen from what
//! refreshes report.

use std::time::Duration;

use caraway_base::memory::{PAGE_SIZE, SharedMemory};

use crate::{DirtyPages, Refresh, Renderer, Vga, VgaArgs, WINDOW};

/// Registers of a standard mode, as a VGA BIOS programs them.
#[derive(Clone, Debug)]
pub(crate) struct Mode {
    pub(crate) misc: u8,
    /// SR1 to SR4.
    pub(crate) sr: [u8; 4],
    pub(crate) cr: [u8; 25],
    pub(crate) gr: [u8; 9],
    /// AR0 to AR13.
    pub(crate) ar: [u8; 20],
}

const EGA: [u8; 16] = [
    0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
];

const fn attributes(palette: [u8; 16], control: [u8; 4]) -> [u8; 20] {
    let mut all = [0; 20];
    let mut index = 0;
    while index < 20 {
        all[index] = if index < 16 {
            palette[index]
        } else {
            control[index - 16]
        };
        index += 1;
    }
    all
}

/// 80x25 text, 720x400.
pub(crate) const MODE_3: Mode = Mode {
    misc: 0x67,
    sr: [0x00, 0x03, 0x00, 0x02],
    cr: [
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
        0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    ],
    gr: [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff],
    ar: attributes(EGA, [0x0c, 0x00, 0x0f, 0x08]),
};

/// 640x480, planar.
pub(crate) const MODE_12: Mode = Mode {
    misc: 0xe3,
    sr: [0x01, 0x0f, 0x00, 0x06],
    cr: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x8c,
        0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff,
    ],
    gr: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff],
    ar: attributes(EGA, [0x01, 0x00, 0x0f, 0x00]),
};

/// 320x200, chained, shown as 640x400.
pub(crate) const MODE_13: Mode = Mode {
    misc: 0x63,
    sr: [0x01, 0x0f, 0x00, 0x0e],
    cr: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
        0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff,
    ],
    gr: [0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff],
    ar: attributes(
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [0x41, 0x00, 0x0f, 0x00],
    ),
};

/// 320x200 with four colours in two banks, shown as 640x400.
pub(crate) const MODE_4: Mode = Mode {
    misc: 0x63,
    sr: [0x09, 0x03, 0x00, 0x02],
    cr: [
        0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
        0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff,
    ],
    gr: [0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff],
    ar: attributes(
        [
            0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
        ],
        [0x01, 0x00, 0x03, 0x00],
    ),
};

/// 640x200 with two colours in two banks, shown as 640x400.
pub(crate) const MODE_6: Mode = Mode {
    misc: 0x63,
    sr: [0x01, 0x01, 0x00, 0x06],
    cr: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
        0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff,
    ],
    gr: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0d, 0x0f, 0xff],
    ar: attributes(
        [
            0, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
        ],
        [0x01, 0x00, 0x01, 0x00],
    ),
};

/// Indices of dispi.
pub(crate) mod dispi {
    pub(crate) const ID: u16 = 0;
    pub(crate) const X: u16 = 1;
    pub(crate) const Y: u16 = 2;
    pub(crate) const BPP: u16 = 3;
    pub(crate) const ENABLE: u16 = 4;
    pub(crate) const BANK: u16 = 5;
    pub(crate) const VIRTUAL_WIDTH: u16 = 6;
    pub(crate) const VIRTUAL_HEIGHT: u16 = 7;
    pub(crate) const X_OFFSET: u16 = 8;
    pub(crate) const Y_OFFSET: u16 = 9;
    pub(crate) const MEMORY: u16 = 10;
}

/// Device, guest and viewer.
pub(crate) struct Pc {
    pub(crate) vga: Vga,
    pub(crate) memory: SharedMemory,
    pub(crate) renderer: Renderer,
    pub(crate) time: Duration,
    /// Stands in for KVM's log of direct writes.
    log: DirtyPages,
    viewer: Vec<u8>,
}

impl Pc {
    /// BAR 0 of `bar` bytes, of which modes may use `vgamem`.
    pub(crate) fn with_memory(bar: u64, vgamem: u64) -> Self {
        let memory = SharedMemory::allocate("vga test", bar).unwrap();
        let args = VgaArgs {
            memory: memory.clone(),
            vgamem,
        };
        Self {
            vga: Vga::new(args),
            log: DirtyPages::new(bar),
            memory,
            renderer: Renderer::new(),
            time: Duration::ZERO,
            viewer: Vec::new(),
        }
    }

    /// 64 MiB, 16 of them for modes, as a QXL device has by default.
    pub(crate) fn new() -> Self {
        Self::with_memory(64 << 20, 16 << 20)
    }

    pub(crate) fn in_mode(mode: &Mode) -> Self {
        let mut pc = Self::new();
        pc.set_mode(mode);
        pc
    }

    pub(crate) fn outb(&mut self, port: u16, value: u8) {
        self.vga.port_write(port, &[value]);
    }

    pub(crate) fn inb(&mut self, port: u16) -> u8 {
        let mut value = [0xa5];
        self.vga.port_read(port, &mut value);
        value[0]
    }

    pub(crate) fn outw(&mut self, port: u16, value: u16) {
        self.vga.port_write(port, &value.to_le_bytes());
    }

    pub(crate) fn inw(&mut self, port: u16) -> u16 {
        let mut value = [0xa5; 2];
        self.vga.port_read(port, &mut value);
        u16::from_le_bytes(value)
    }

    fn indexed(&mut self, port: u16, index: u8, value: u8) {
        self.outw(port, u16::from_le_bytes([index, value]));
    }

    pub(crate) fn sr(&mut self, index: u8, value: u8) {
        self.indexed(0x3c4, index, value);
    }

    pub(crate) fn gr(&mut self, index: u8, value: u8) {
        self.indexed(0x3ce, index, value);
    }

    pub(crate) fn cr(&mut self, index: u8, value: u8) {
        self.indexed(0x3d4, index, value);
    }

    /// Leaves the screen on.
    pub(crate) fn ar(&mut self, index: u8, value: u8) {
        self.inb(0x3da);
        self.outb(0x3c0, index);
        self.outb(0x3c0, value);
        self.screen(true);
    }

    pub(crate) fn screen(&mut self, on: bool) {
        self.inb(0x3da);
        self.outb(0x3c0, if on { 0x20 } else { 0 });
    }

    pub(crate) fn read_register(&mut self, port: u16, index: u8) -> u8 {
        self.outb(port, index);
        self.inb(port + 1)
    }

    pub(crate) fn read_ar(&mut self, index: u8) -> u8 {
        self.inb(0x3da);
        self.outb(0x3c0, index);
        let value = self.inb(0x3c1);
        self.screen(true);
        value
    }

    /// Changes the bits of `mask` of a register with an index port, as a BIOS does.
    pub(crate) fn change(&mut self, port: u16, index: u8, mask: u8, value: u8) {
        let old = self.read_register(port, index);
        self.outb(port + 1, old & !mask | value);
    }

    pub(crate) fn colour(&mut self, index: u8, rgb: [u8; 3]) {
        self.outb(0x3c8, index);
        for component in rgb {
            self.outb(0x3c9, component);
        }
    }

    pub(crate) fn set_dispi(&mut self, index: u16, value: u16) {
        self.outw(0x1ce, index);
        self.outw(0x1cf, value);
    }

    pub(crate) fn get_dispi(&mut self, index: u16) -> u16 {
        self.outw(0x1ce, index);
        self.inw(0x1cf)
    }

    /// A linear mode, screen on.
    pub(crate) fn set_linear(&mut self, x: u16, y: u16, bpp: u16) {
        self.set_dispi(dispi::ENABLE, 0);
        self.set_dispi(dispi::BPP, bpp);
        self.set_dispi(dispi::X, x);
        self.set_dispi(dispi::Y, y);
        self.set_dispi(dispi::ENABLE, 0x41);
        self.screen(true);
    }

    /// A standard mode with the palette of an EGA, screen on.
    pub(crate) fn set_mode(&mut self, mode: &Mode) {
        self.set_dispi(dispi::ENABLE, 0);
        self.outb(0x3c2, mode.misc);
        self.screen(false);
        for (index, value) in (1..).zip(mode.sr) {
            self.sr(index, value);
        }
        self.sr(0, 3);
        self.cr(0x11, 0);
        for (index, value) in (0..).zip(mode.cr) {
            // The eleventh protects those before it.
            self.cr(index, value);
        }
        for (index, value) in (0..).zip(mode.gr) {
            self.gr(index, value);
        }
        for (index, value) in (0..).zip(mode.ar) {
            self.ar(index, value);
        }
        self.ar(0x14, 0);
        for index in 0..64 {
            let level = |strong: u8, weak: u8| (index >> strong & 1) * 0x2a + (index >> weak & 1) * 0x15;
            self.colour(index, [level(2, 5), level(1, 4), level(0, 3)]);
        }
    }

    /// Writes at a guest-physical address of the window.
    pub(crate) fn poke(&mut self, address: u64, bytes: &[u8]) {
        self.vga.window_write(address - WINDOW, bytes);
    }

    pub(crate) fn peek(&mut self, address: u64) -> u8 {
        let mut byte = [0xa5];
        self.vga.window_read(address - WINDOW, &mut byte);
        byte[0]
    }

    /// Writes to BAR 0 directly; only the pages written are logged.
    pub(crate) fn write_bar(&mut self, offset: u64, bytes: &[u8]) {
        self.memory.write(offset, bytes).unwrap();
        let mut words = vec![0; usize::try_from(self.memory.size() / PAGE_SIZE / 64 + 1).unwrap()];
        for at in offset..offset + bytes.len() as u64 {
            words[usize::try_from(at / PAGE_SIZE / 64).unwrap()] |= 1 << (at / PAGE_SIZE % 64);
        }
        self.log.merge_log(&words);
    }

    /// Uploads a font in the way of a VGA BIOS, to planar address `at`, and goes back to text.
    pub(crate) fn load_font(&mut self, at: u64, glyphs: &[(u8, &[u8])]) {
        for (index, value) in [(2, 4), (4, 7)] {
            self.sr(index, value);
        }
        for (index, value) in [(4, 2), (5, 0), (6, 4)] {
            self.gr(index, value);
        }
        for (glyph, rows) in glyphs {
            self.poke(WINDOW + at + u64::from(*glyph) * 32, rows);
        }
        for (index, value) in [(2, 3), (4, 3)] {
            self.sr(index, value);
        }
        for (index, value) in [(4, 0), (5, 0x10), (6, 0x0e)] {
            self.gr(index, value);
        }
    }

    /// What the owner does at each refresh; the viewer applies what is reported and must then have the frame.
    pub(crate) fn refresh(&mut self) -> Refresh {
        self.refresh_with(false)
    }

    pub(crate) fn refresh_with(&mut self, full: bool) -> Refresh {
        let mut dirty = std::mem::take(&mut self.log);
        self.log = DirtyPages::new(self.memory.size());
        self.vga.take_dirty(&mut dirty);
        let scanout = self.vga.scanout();
        let refresh = self.renderer.refresh(&self.memory, &scanout, &dirty, self.time, full);
        let (width, height) = self.renderer.size();
        assert_eq!(self.renderer.frame().len(), width as usize * height as usize * 4);
        if let Some(size) = refresh.resized {
            assert_eq!(size, (width, height));
            self.viewer = vec![0xee; self.renderer.frame().len()];
        }
        assert!(refresh.rects.len() <= 64);
        for rect in &refresh.rects {
            assert!(!rect.is_empty() && rect.left >= 0 && rect.top >= 0, "{rect:?}");
            assert!(
                rect.right.unsigned_abs() <= width && rect.bottom.unsigned_abs() <= height,
                "{rect:?}"
            );
            let bytes = rect.width() as usize * 4;
            let pixels = self.renderer.pixels(rect);
            for (row, pixels) in pixels.chunks_exact(bytes).enumerate() {
                let at = ((rect.top as usize + row) * width as usize + rect.left as usize) * 4;
                self.viewer[at..at + bytes].copy_from_slice(pixels);
            }
        }
        assert!(self.viewer == self.renderer.frame(), "a change was not reported");
        refresh
    }

    /// Fails when the frame is not what is drawn from nothing.
    pub(crate) fn assert_frame_is_right(&mut self) {
        self.refresh();
        let mut other = Renderer::new();
        let (scanout, none) = (self.vga.scanout(), DirtyPages::new(0));
        other.refresh(&self.memory, &scanout, &none, self.time, true);
        if scanout.size().is_some() {
            assert_eq!(other.size(), self.renderer.size());
            assert!(
                other.frame() == self.renderer.frame(),
                "the frame is not right for {scanout:?}"
            );
        } else {
            assert!(self.renderer.frame().iter().all(|byte| *byte == 0));
        }
    }

    /// 0x00rrggbb of a pixel of the frame.
    pub(crate) fn pixel(&self, x: u32, y: u32) -> u32 {
        let at = (y * self.renderer.size().0 + x) as usize * 4;
        u32::from_le_bytes(self.renderer.frame()[at..at + 4].try_into().unwrap())
    }

    /// Pixels of a line, as a string of the characters that `names` gives to colours.
    pub(crate) fn line(&self, x: u32, y: u32, length: u32, names: &[(u32, char)]) -> String {
        (x..x + length)
            .map(|x| {
                let colour = self.pixel(x, y);
                names.iter().find(|name| name.0 == colour).map_or('?', |name| name.1)
            })
            .collect()
    }
}
