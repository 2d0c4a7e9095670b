//! A guest that writes anything anywhere: nothing panics, nothing grows.

use std::time::Duration;

use crate::{
    PORTS,
    testing::{MODE_3, MODE_12, MODE_13, Pc},
};

/// Sebastiano Vigna's SplitMix64: each run is the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

const BAR: u64 = 1 << 20;
const VGAMEM: u64 = 1 << 18;
const STEPS: u32 = 1_000_000;
const REFRESH_EVERY: u32 = 5_000;

#[test]
fn a_million_random_accesses_neither_panic_nor_make_large_frames() {
    let mut random = Random(20_140_912);
    let mut pc = Pc::with_memory(BAR, VGAMEM);
    let (mut shown, mut drawn) = ([0_u32; 3], 0);
    for number in 1..=STEPS {
        let value = random.next().to_le_bytes();
        let width = [1, 1, 1, 2, 2, 2, 4, 8, 3][random.below(9) as usize];
        match random.below(16) {
            0..=6 => {
                let (first, count) = PORTS[random.below(PORTS.len() as u64) as usize];
                pc.vga
                    .port_write(first + random.below(count.into()) as u16, &value[..width]);
            }
            // Dispi with indices that are there, and values that are often modes.
            7 | 8 => {
                pc.outw(0x1ce, random.below(12) as u16);
                let value = [640, 480, 32, 8, 16, 1, random.next() as u16][random.below(7) as usize];
                pc.outw(0x1cf, value);
            }
            9 => pc.vga.port_read(random.next() as u16, &mut [0; 8][..width]),
            10 | 11 => pc.vga.window_read(random.below(0x2_0008), &mut [0; 8][..width]),
            12..=14 => pc.vga.window_write(random.below(0x2_0008), &value[..width]),
            _ => pc.vga.port_write(random.next() as u16, &value[..width]),
        }
        if number % REFRESH_EVERY == 0 {
            pc.time += Duration::from_millis(random.below(500));
            // Otherwise it would be off most of the time.
            pc.outb(0x3c2, 1);
            pc.sr(1, (random.next() & 0x1d) as u8);
            pc.screen(random.below(8) != 0);
            pc.refresh();
            let (width, height) = pc.renderer.size();
            assert!(u64::from(width) * u64::from(height) * 4 <= 16 << 20, "{width}x{height}");
            let scanout = pc.vga.scanout();
            shown[usize::from(scanout.size().is_some()) + usize::from(scanout.is_text())] += 1;
            drawn += 1;
            match number / REFRESH_EVERY % 10 {
                0 => pc.set_mode(&MODE_3),
                3 => pc.set_mode(&MODE_12),
                6 => pc.set_mode(&MODE_13),
                9 => pc.vga.reset(),
                _ => {}
            }
        }
    }
    pc.assert_frame_is_right();
    assert_eq!(drawn, STEPS / REFRESH_EVERY);
    // All three kinds of picture were there.
    assert!(shown.iter().all(|count| *count > 0), "{shown:?}");
}

#[test]
fn the_largest_pictures_are_bounded() {
    // Standard registers: 256 columns of double width, 1024 lines.
    let mut pc = Pc::with_memory(BAR, VGAMEM);
    pc.set_mode(&MODE_12);
    pc.cr(0x11, 0);
    for (index, value) in [(0x01, 0xff), (0x07, 0xff), (0x12, 0xff), (0x06, 100)] {
        pc.cr(index, value);
    }
    pc.sr(1, 0x09);
    assert_eq!(pc.vga.scanout().size(), Some((4096, 1024)));
    pc.refresh();
    // A hundred rows of 32 lines would be more; whole rows are left.
    pc.gr(6, 0x0e);
    pc.cr(0x09, 0x1f);
    assert_eq!(pc.vga.scanout().size(), Some((4096, 1024)));
    pc.cr(0x09, 0x1e);
    assert_eq!(pc.vga.scanout().size(), Some((4096, 31 * 33)));
    pc.refresh();
    // Two pixels a byte: all of the mode fits its memory, but not the frame.
    let mut pc = Pc::with_memory(32 << 20, 16 << 20);
    pc.set_linear(16000, 12000, 4);
    assert_eq!(pc.vga.scanout().size(), Some((16000, 524)));
    pc.set_linear(5120, 2160, 8);
    assert_eq!(pc.vga.scanout().size(), Some((5120, 1638)));
    pc.set_linear(3840, 1092, 32);
    assert_eq!(pc.vga.scanout().size(), Some((3840, 1092)));
}
