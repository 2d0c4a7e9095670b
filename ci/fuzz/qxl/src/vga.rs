//! The VGA core as firmware and kernels use it.

use std::time::Duration;

use caraway_ports::display::DisplaySource as _;

use crate::{
    guest::Guest,
    machine::{RAM, Region, VGAMEM},
    program::{Access, Dispi, Fill, Register, WindowAccess},
};

/// Registers of a standard mode: miscellaneous output, SR1 to SR4, CR, GR, AR.
struct Mode {
    misc: u8,
    sr: [u8; 4],
    cr: [u8; 25],
    gr: [u8; 9],
    ar: [u8; 20],
}

const TEXT: [u8; 20] = [
    0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 8,
];
const PLAIN: [u8; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0f, 0];

/// 80 x 25 text; 640 x 480 planar; 320 x 200 in a byte a pixel; 320 x 200 with four colours in two banks.
const MODES: [Mode; 4] = [
    Mode {
        misc: 0x67,
        sr: [0x00, 0x03, 0x00, 0x02],
        cr: [
            0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
            0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
        ],
        gr: [0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff],
        ar: TEXT,
    },
    Mode {
        misc: 0xe3,
        sr: [0x01, 0x0f, 0x00, 0x06],
        cr: [
            0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x8c,
            0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff,
        ],
        gr: [0, 0, 0, 0, 0, 0, 0x05, 0x0f, 0xff],
        ar: PLAIN,
    },
    Mode {
        misc: 0x63,
        sr: [0x01, 0x0f, 0x00, 0x0e],
        cr: [
            0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
            0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff,
        ],
        gr: [0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff],
        ar: PLAIN,
    },
    Mode {
        misc: 0x63,
        sr: [0x09, 0x03, 0x00, 0x02],
        cr: [
            0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
            0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff,
        ],
        gr: [0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff],
        ar: TEXT,
    },
];

/// Ports the core answers, and one it does not.
const PORTS: [u16; 27] = [
    0x1ce, 0x1cf, 0x1d0, 0x1d1, 0x3b4, 0x3b5, 0x3ba, 0x3c0, 0x3c1, 0x3c2, 0x3c3, 0x3c4, 0x3c5, 0x3c6, 0x3c7, 0x3c8,
    0x3c9, 0x3ca, 0x3cb, 0x3cc, 0x3cd, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x3b0,
];

/// What a dispi mode takes, in pixels.
const MODE_COST: u64 = 150_000;

impl Guest {
    /// Writes a port; VGA registers may end a mode of a driver.
    fn vga_out(&mut self, port: u16, data: &[u8]) {
        if (0x1ce..0x1d2).contains(&port) {
            self.dispi_written(port, data);
        }
        self.machine.vga_write(port, data);
    }

    /// What dispi may do to memory others use.
    fn dispi_written(&mut self, port: u16, data: &[u8]) {
        for (number, pair) in data.chunks_exact(2).enumerate() {
            let value = u16::from_le_bytes([pair[0], pair[1]]);
            if port + 2 * number as u16 == 0x1ce {
                self.dispi_index = value;
            } else if self.dispi_index == 5 && value & 0xff >= 30 {
                // The window reaches past the draw area.
                self.spoil();
                self.guards = false;
            } else {
                // A mode clears the draw area.
                self.knows_pictures = false;
            }
        }
    }

    pub(crate) fn vga_access(&mut self, access: &Access) {
        let port = PORTS[usize::from(access.offset) % PORTS.len()];
        let length = access.data.len().min(8);
        self.vga_out(port, &access.data[..length]);
    }

    pub(crate) fn vga_look(&mut self, access: &Access) {
        let port = PORTS[usize::from(access.offset) % PORTS.len()];
        let mut bytes = [0; 8];
        self.machine.vga_read(port, &mut bytes[..access.data.len().clamp(1, 8)]);
    }

    pub(crate) fn register(&mut self, register: &Register) {
        let [low, high] = register.value.to_le_bytes();
        match register.set % 8 {
            0 => self.indexed(0x3c4, register.index, low),
            1 => self.indexed(0x3ce, register.index, low),
            2 => {
                self.machine.vga_read(0x3da, &mut [0]);
                self.machine.vga_read(0x3ba, &mut [0]);
                self.vga_out(0x3c0, &[register.index]);
                self.vga_out(0x3c0, &[low]);
            }
            3 => self.indexed(0x3d4, register.index, low),
            4 => self.dispi_out(register.index.into(), register.value),
            5 => {
                self.vga_out(0x3c8, &[register.index]);
                for component in [low, high, low ^ high] {
                    self.vga_out(0x3c9, &[component]);
                }
            }
            6 => self.vga_out(0x3c2, &[low]),
            _ => {
                self.vga_out(0x3c7, &[register.index]);
                self.machine.vga_read(0x3c9, &mut [0; 4]);
            }
        }
    }

    fn indexed(&mut self, port: u16, index: u8, value: u8) {
        self.vga_out(port, &[index]);
        self.vga_out(port + 1, &[value]);
    }

    fn dispi_out(&mut self, index: u16, value: u16) {
        // A mode that is set clears up to all of the draw area.
        if index == 4 && value != 0 && !self.machine.sink.afford(MODE_COST) {
            return;
        }
        self.vga_out(0x1ce, &index.to_le_bytes());
        self.vga_out(0x1cf, &value.to_le_bytes());
    }

    /// The attribute controller shows the palette.
    fn unblank(&mut self) {
        self.machine.vga_read(0x3da, &mut [0]);
        self.machine.vga_read(0x3ba, &mut [0]);
        self.vga_out(0x3c0, &[0x20]);
    }

    pub(crate) fn vga_mode(&mut self, number: u8) {
        if !self.machine.config.primary {
            return;
        }
        let mode = &MODES[usize::from(number) % MODES.len()];
        self.dispi_out(4, 0);
        self.vga_out(0x3c2, &[mode.misc]);
        for (index, value) in (1..).zip(mode.sr) {
            self.indexed(0x3c4, index, value);
        }
        self.indexed(0x3d4, 0x11, 0);
        for (index, value) in (0..).zip(mode.cr) {
            self.indexed(0x3d4, index, value);
        }
        for (index, value) in (0..).zip(mode.gr) {
            self.indexed(0x3ce, index, value);
        }
        self.machine.vga_read(0x3da, &mut [0]);
        for (index, value) in (0..).zip(mode.ar) {
            self.vga_out(0x3c0, &[index]);
            self.vga_out(0x3c0, &[value]);
        }
        self.vga_out(0x3c8, &[0]);
        for colour in 0..64_u8 {
            for component in [colour, colour << 1, colour << 2] {
                self.vga_out(0x3c9, &[component]);
            }
        }
        self.unblank();
    }

    pub(crate) fn dispi(&mut self, dispi: &Dispi) {
        self.dispi_out(4, 0);
        let depth = [32, 16, 15, 24, 8, 4, 0, 33][usize::from(dispi.depth % 8)];
        for (index, value) in [(1, dispi.width), (2, dispi.height), (3, depth)] {
            self.dispi_out(index, value);
        }
        self.dispi_out(4, u16::from(dispi.enable) | 1);
        self.unblank();
    }

    pub(crate) fn window_write(&mut self, access: &WindowAccess) {
        if let Some(window) = self.machine.window() {
            window.write(u64::from(access.offset % 0x2_0010), &access.data);
            self.knows_pictures = false;
        }
    }

    pub(crate) fn window_read(&mut self, access: &WindowAccess) {
        if let Some(window) = self.machine.window() {
            let mut bytes = vec![0; access.data.len().clamp(1, 16)];
            window.read(u64::from(access.offset % 0x2_0010), &mut bytes);
        }
    }

    /// Fills a part of the draw area through BAR 0.
    pub(crate) fn fill(&mut self, fill: &Fill) {
        let at = u64::from(fill.at) % VGAMEM;
        let count = u64::from(fill.count).min(RAM - at);
        let bytes: Vec<u8> = (0..count)
            .map(|index| (index as u8).wrapping_mul(fill.seed | 1))
            .collect();
        self.may_hit(Region::Ram, at, count);
        self.machine.write(Region::Ram, at, &bytes);
    }

    pub(crate) fn refresh(&mut self, milliseconds: u32) {
        if !self.machine.sink.is_fresh() {
            return;
        }
        self.machine.device.advance(Duration::from_millis(milliseconds.into()));
        self.machine.device.refresh();
        let (width, height) = self.machine.sink.size(0).unwrap_or_default();
        self.machine.sink.afford(u64::from(width) * u64::from(height) / 4);
    }

    /// A picture of the core after a reset of the machine, to the pixel.
    pub(crate) fn check_vga_shows(&mut self) {
        const WIDTH: u16 = 64;
        const HEIGHT: u16 = 4;
        self.dispi(&Dispi {
            width: WIDTH,
            height: HEIGHT,
            depth: 0,
            enable: 0x40,
        });
        let expected: Vec<u8> = (0..u32::from(WIDTH * HEIGHT))
            .flat_map(|pixel| ((pixel * 0x0001_0305) & 0x00ff_ffff).to_le_bytes())
            .collect();
        self.machine.write(Region::Ram, 0, &expected);
        self.machine.device.refresh();
        let shown = self.machine.sink.whole(0).expect("the picture of the VGA core");
        assert_eq!(
            (shown.width, shown.height),
            (WIDTH.into(), HEIGHT.into()),
            "size of the VGA mode"
        );
        assert!(shown.data[..] == expected[..], "the VGA core's picture after a reset");
    }
}
