//! The memory window at 0xa0000: how a CPU sees four planes.
//!
//! A byte access goes through five steps: which planes, odd/even chaining, scaling, bound, access. Chain 4 bypasses the
//! graphics controller; everything else loads or uses the four latches.

use crate::{WINDOW_SIZE, vga::Vga};

/// For each set of four planes the dword with ones in them.
const PLANES: [u32; 16] = {
    let mut planes = [0; 16];
    let mut set = 0;
    while set < 16 {
        let mut plane = 0;
        while plane < 4 {
            if set & (1 << plane) != 0 {
                planes[set] |= 0xff << (8 * plane);
            }
            plane += 1;
        }
        set += 1;
    }
    planes
};

/// The dword of a set of planes; only the low four bits count.
fn planes(set: u8) -> u32 {
    PLANES.get(usize::from(set & 0x0f)).copied().unwrap_or(0)
}

/// The same byte in all planes.
const fn in_all(byte: u8) -> u32 {
    u32::from_le_bytes([byte; 4])
}

impl Vga {
    /// The guest reads from the window; `offset` counts from its start. Ones where the window does not show memory.
    pub fn window_read(&mut self, offset: u64, data: &mut [u8]) {
        for (at, slot) in data.iter_mut().enumerate() {
            let address = self.translate(offset.saturating_add(at as u64));
            *slot = address.and_then(|address| self.read_byte(address)).unwrap_or(0xff);
        }
    }

    /// The guest writes to the window.
    pub fn window_write(&mut self, offset: u64, data: &[u8]) {
        for (at, byte) in data.iter().enumerate() {
            if let Some(address) = self.translate(offset.saturating_add(at as u64)) {
                self.write_byte(address, *byte);
            }
        }
    }

    /// Where the part of the window that is on begins, and the bank.
    fn translate(&self, offset: u64) -> Option<u64> {
        let (first, size, bank) = match self.registers.gr[6] >> 2 & 3 {
            0 => (0, WINDOW_SIZE, 0),
            1 => (0, 0x1_0000, self.dispi.bank_start()),
            2 => (0x1_0000, 0x8000, 0),
            _ => (0x1_8000, 0x8000, 0),
        };
        let inside = offset.checked_sub(first).filter(|inside| *inside < size)?;
        Some(inside + bank)
    }

    fn read_byte(&mut self, address: u64) -> Option<u8> {
        let gr = &self.registers.gr;
        let [_, _, _, _, memory_mode, ..] = self.sequencer();
        let odd_even = gr[5] & 0x10 != 0;
        if memory_mode & 0x08 != 0 {
            let dword = self.dword(self.scale(address & !3, odd_even))?;
            let mut byte = [0];
            self.memory.read(dword + (address & 3), &mut byte).ok()?;
            let [byte] = byte;
            return Some(byte);
        }
        let [odd, ..] = (address & 1).to_le_bytes();
        let plane = if odd_even { gr[4] & 2 | odd } else { gr[4] & 3 };
        let even = if gr[6] & 0x02 != 0 { address & !1 } else { address };
        let dword = self.dword(self.scale(even, odd_even))?;
        let mut bytes = [0; 4];
        self.memory.read(dword, &mut bytes).ok()?;
        self.latch = u32::from_le_bytes(bytes);
        if gr[5] & 0x08 == 0 {
            return bytes.get(usize::from(plane)).copied();
        }
        let differing = (self.latch ^ planes(gr[2])) & planes(gr[7]);
        Some(!differing.to_le_bytes().into_iter().fold(0, |all, plane| all | plane))
    }

    fn write_byte(&mut self, address: u64, value: u8) {
        let [_, _, map_mask, _, memory_mode, ..] = self.sequencer();
        let odd_even = memory_mode & 0x04 == 0;
        if memory_mode & 0x08 != 0 {
            let plane = address & 3;
            if let Some(dword) = self.dword(self.scale(address & !3, odd_even))
                && map_mask & (1 << plane) != 0
            {
                self.store(dword + plane, &[value]);
            }
            return;
        }
        let reached = match (odd_even, address & 1) {
            (false, _) => 0x0f,
            (true, 0) => 0x05,
            (true, _) => 0x0a,
        };
        let even = if self.registers.gr[6] & 0x02 != 0 {
            address & !1
        } else {
            address
        };
        let Some(dword) = self.dword(self.scale(even, odd_even)) else {
            return;
        };
        let written = map_mask & reached;
        let bytes = self.written(value).to_le_bytes();
        if written == 0x0f {
            self.store(dword, &bytes);
            return;
        }
        // Other planes are left alone, not written with what they held: another vCPU may be writing them.
        for (plane, byte) in (0_u8..).zip(bytes) {
            if written & (1 << plane) != 0 {
                self.store(dword + u64::from(plane), &[byte]);
            }
        }
    }

    /// Byte address of the window to planar address.
    const fn scale(&self, address: u64, odd_even: bool) -> u64 {
        let cr = &self.registers.cr;
        if cr[0x14] & 0x40 != 0 {
            address >> 2
        } else if odd_even && cr[0x17] & 0x40 == 0 {
            address >> 1
        } else {
            address
        }
    }

    /// Address of the dword at a planar address, when it is in the memory.
    fn dword(&self, planar: u64) -> Option<u64> {
        let address = planar.checked_mul(4)?;
        self.memory.contains(address, 4).then_some(address)
    }

    fn store(&mut self, address: u64, bytes: &[u8]) {
        if self.memory.write(address, bytes).is_ok() {
            self.dirty.mark(address, bytes.len() as u64);
        }
    }

    /// What the graphics controller makes of a byte written, in all planes.
    fn written(&self, value: u8) -> u32 {
        let gr = &self.registers.gr;
        let rotated = value.rotate_right(u32::from(gr[3] & 7));
        match gr[5] & 3 {
            0 => {
                let enabled = planes(gr[1]);
                self.combined(in_all(rotated) & !enabled | planes(gr[0]) & enabled, gr[8])
            }
            1 => self.latch,
            2 => self.combined(planes(value), gr[8]),
            _ => self.combined(planes(gr[0]), rotated & gr[8]),
        }
    }

    /// Function of GR3, then the bits of `mask` of it and the others of the latches.
    const fn combined(&self, value: u32, mask: u8) -> u32 {
        let result = match self.registers.gr[3] >> 3 & 3 {
            0 => value,
            1 => value & self.latch,
            2 => value | self.latch,
            _ => value ^ self.latch,
        };
        result & in_all(mask) | self.latch & !in_all(mask)
    }
}
