//! The memory window against a model written bit by bit.

use proptest::prelude::*;

use crate::testing::{MODE_3, Pc, dispi};

const PLANE: usize = 0x1_0000;

/// Four planes and the registers that matter, each rule on its own.
struct Model {
    plane: [Vec<u8>; 4],
    latch: [u8; 4],
    sr: [u8; 5],
    gr: [u8; 9],
    cr14: u8,
    cr17: u8,
    bank: usize,
}

fn bit(value: u8, number: usize) -> bool {
    value & (1 << number) != 0
}

impl Model {
    fn offset(&self, address: usize) -> Option<usize> {
        match (bit(self.gr[6], 3), bit(self.gr[6], 2)) {
            (false, false) => Some(address - 0xa_0000),
            (false, true) => (address < 0xb_0000).then(|| address - 0xa_0000 + self.bank),
            (true, false) => (0xb_0000..0xb_8000).contains(&address).then(|| address - 0xb_0000),
            (true, true) => (0xb_8000..0xc_0000).contains(&address).then(|| address - 0xb_8000),
        }
    }

    fn scaled(&self, at: usize, odd_even: bool) -> Option<usize> {
        let at = if bit(self.cr14, 6) {
            at / 4
        } else if odd_even && !bit(self.cr17, 6) {
            at / 2
        } else {
            at
        };
        (at < PLANE).then_some(at)
    }

    fn read(&mut self, address: usize) -> u8 {
        let Some(mut at) = self.offset(address) else {
            return 0xff;
        };
        let odd_even = bit(self.gr[5], 4);
        if bit(self.sr[4], 3) {
            let plane = at % 4;
            at -= plane;
            return self.scaled(at, odd_even).map_or(0xff, |at| self.plane[plane][at]);
        }
        let mut plane = usize::from(self.gr[4]);
        if odd_even {
            plane = plane / 2 * 2 + at % 2;
        }
        if bit(self.gr[6], 1) {
            at -= at % 2;
        }
        let Some(at) = self.scaled(at, odd_even) else {
            return 0xff;
        };
        for (latch, plane) in self.latch.iter_mut().zip(&self.plane) {
            *latch = plane[at];
        }
        if !bit(self.gr[5], 3) {
            return self.latch[plane];
        }
        let mut result = 0;
        for number in 0..8 {
            let matches = (0..4).all(|p| !bit(self.gr[7], p) || bit(self.latch[p], number) == bit(self.gr[2], p));
            result |= u8::from(matches) << number;
        }
        result
    }

    fn write(&mut self, address: usize, value: u8) {
        let Some(mut at) = self.offset(address) else { return };
        let odd_even = !bit(self.sr[4], 2);
        if bit(self.sr[4], 3) {
            let plane = at % 4;
            at -= plane;
            if let (true, Some(at)) = (bit(self.sr[2], plane), self.scaled(at, odd_even)) {
                self.plane[plane][at] = value;
            }
            return;
        }
        let parity = at % 2;
        if bit(self.gr[6], 1) {
            at -= parity;
        }
        let Some(at) = self.scaled(at, odd_even) else { return };
        for plane in 0..4 {
            if !bit(self.sr[2], plane) || (odd_even && plane % 2 != parity) {
                continue;
            }
            let mut result = 0;
            for number in 0..8 {
                result |= u8::from(self.written(plane, number, value)) << number;
            }
            self.plane[plane][at] = result;
        }
    }

    /// One bit of what is written.
    fn written(&self, plane: usize, number: usize, value: u8) -> bool {
        let latch = bit(self.latch[plane], number);
        let rotated = bit(value, (number + usize::from(self.gr[3] % 8)) % 8);
        let set = bit(self.gr[0], plane);
        let (source, masked) = match self.gr[5] % 4 {
            0 if bit(self.gr[1], plane) => (set, bit(self.gr[8], number)),
            0 => (rotated, bit(self.gr[8], number)),
            1 => return latch,
            2 => (bit(value, plane), bit(self.gr[8], number)),
            _ => (set, bit(self.gr[8], number) && rotated),
        };
        let result = match self.gr[3] / 8 {
            0 => source,
            1 => source && latch,
            2 => source || latch,
            _ => source != latch,
        };
        if masked { result } else { latch }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Write(usize, u8),
    Graphics(u8, u8),
    MapMask(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let address = || {
        prop_oneof![
            0xa_0000_usize..0xa_0020,
            0xb_8000_usize..0xb_8020,
            0xa_0000_usize..0xc_0000
        ]
    };
    prop_oneof![
        3 => address().prop_map(Step::Read),
        4 => (address(), any::<u8>()).prop_map(|(at, value)| Step::Write(at, value)),
        2 => (0_u8..9, any::<u8>()).prop_map(|(index, value)| Step::Graphics(index, value)),
        1 => (0_u8..16).prop_map(Step::MapMask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Any sequence of accesses in any setting reads and leaves what the model does.
    #[test]
    fn the_window_is_like_the_model(
        sr4 in any::<u8>(),
        gr in any::<[u8; 9]>(),
        (cr14, cr17) in any::<(u8, u8)>(),
        bank in 0_u16..4,
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        const GR_MASK: [u8; 9] = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
        let mut pc = Pc::with_memory(4 * PLANE as u64, 4 * PLANE as u64);
        let noise: Vec<u8> = (0..4 * PLANE as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        pc.memory.write(0, &noise).unwrap();
        let mut model = Model {
            plane: std::array::from_fn(|plane| noise.iter().skip(plane).step_by(4).copied().collect()),
            latch: [0; 4],
            sr: [0, 0, 0x0f, 0, sr4 & 0x0e],
            gr: std::array::from_fn(|index| gr[index] & GR_MASK[index]),
            cr14,
            cr17,
            bank: usize::from(bank) * 0x1_0000,
        };
        pc.outb(0x3c2, 1);
        pc.sr(2, 0x0f);
        pc.sr(4, sr4);
        for (index, value) in (0..).zip(gr) {
            pc.gr(index, value);
        }
        pc.cr(0x14, cr14);
        pc.cr(0x17, cr17);
        pc.set_dispi(dispi::BANK, bank);
        for step in steps {
            match step {
                Step::Read(at) => prop_assert_eq!(pc.peek(at as u64), model.read(at)),
                Step::Write(at, value) => {
                    pc.poke(at as u64, &[value]);
                    model.write(at, value);
                }
                Step::Graphics(index, value) => {
                    pc.gr(index, value);
                    model.gr[usize::from(index)] = value & GR_MASK[usize::from(index)];
                }
                Step::MapMask(mask) => {
                    pc.sr(2, mask);
                    model.sr[2] = mask;
                }
            }
        }
        let memory = pc.memory.read_vec(0, 4 * PLANE as u64).unwrap();
        for plane in 0..4 {
            let found: Vec<u8> = memory.iter().skip(plane).step_by(4).copied().collect();
            prop_assert!(found == model.plane[plane], "plane {}", plane);
        }
    }
}

#[test]
fn wide_accesses_are_bytes_in_ascending_order() {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.poke(0xb_8000, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut read = [0; 8];
    pc.vga.window_read(0x1_8000, &mut read);
    assert_eq!(read, [1, 2, 3, 4, 5, 6, 7, 8]);
    // Past the end of the window, and where it is off, there is nothing.
    pc.poke(0xb_ffff, &[9, 9, 9]);
    pc.vga.window_read(0x1_ffff, &mut read);
    assert_eq!(read[1..], [0xff; 7]);
    pc.vga.window_read(0x1_7ffe, &mut read);
    assert_eq!(read[..4], [0xff, 0xff, 1, 2]);
    pc.vga.window_read(u64::MAX - 2, &mut read);
    assert_eq!(read, [0xff; 8]);
    pc.vga.window_write(u64::MAX - 2, &read);
}

#[test]
fn banks_reach_all_of_the_bar_and_nothing_past_it() {
    let mut pc = Pc::with_memory(1 << 20, 1 << 18);
    pc.outb(0x3c2, 1);
    pc.cr(0x14, 0x40);
    pc.set_linear(64, 64, 8);
    for bank in 0..16_u8 {
        pc.set_dispi(dispi::BANK, bank.into());
        pc.poke(0xa_1234, &[bank + 1]);
        let found = pc.memory.read_vec(u64::from(bank) * 0x1_0000 + 0x1234, 1).unwrap();
        assert_eq!(found, [bank + 1]);
    }
    pc.set_dispi(dispi::BANK, 0xfff5);
    assert_eq!((pc.get_dispi(dispi::BANK), pc.peek(0xa_1234)), (5, 6));
    // Another write of ENABLE goes back to the first, though the register stays.
    pc.set_dispi(dispi::ENABLE, 0x41);
    assert_eq!((pc.get_dispi(dispi::BANK), pc.peek(0xa_1234)), (5, 1));
}
