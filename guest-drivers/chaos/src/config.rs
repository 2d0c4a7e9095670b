//! Nonsense in PCI config space.

use caraway_guest_rt::mmio::{self, Width};

use crate::access::Machine;
use crate::random::Random;
use crate::target::Targets;

const ADDRESS: u16 = 0xcf8;
const DATA: u32 = 0xcfc;
const WIDTHS: [Width; 3] = [Width::B1, Width::B2, Width::B4];
const ANY_WIDTH: [Width; 4] = [Width::B1, Width::B2, Width::B4, Width::B8];

const COMMAND: u32 = 0x04;
const BAR0: u32 = 0x10;
const BARS: u32 = 6;
const INTERRUPT_LINE: u32 = 0x3c;
const CAPABILITIES: u32 = 0x40;

/// A few accesses by one of the two ways.
pub(crate) fn step(machine: &mut Machine, random: &mut Random, targets: &Targets) {
    let by_ports = random.once_in(2);
    for _ in 0..random.between(8, 48) {
        let place = place(random, targets);
        let register = register(random);
        let value = value(random, targets, register);
        if by_ports {
            through_ports(machine, random, place, register, value);
        } else {
            through_ecam(machine, random, place, register, value);
        }
    }
}

/// Bus, device and function, packed as in the config address register above the registers.
fn place(random: &mut Random, targets: &Targets) -> u32 {
    let known = match random.below(10) {
        0..=3 => targets.qxl().map(|(target, _)| target),
        4..=6 => targets.any(random),
        _ => None,
    };
    if let Some(target) = known {
        return u32::from(target.function.device()) << 3;
    }
    match random.below(3) {
        // Bus 0, function 0.
        0 => random.below(32) << 3,
        // Bus 0.
        1 => random.below(0x100),
        _ => random.below(0x1_0000),
    }
}

fn register(random: &mut Random) -> u32 {
    match random.below(20) {
        0..=7 => BAR0 + 4 * random.below(BARS),
        8..=10 => COMMAND,
        11 => INTERRUPT_LINE,
        12..=14 => CAPABILITIES + random.below(0x60),
        15..=18 => random.below(0x100),
        _ => random.below(0x1000),
    }
}

fn value(random: &mut Random, targets: &Targets, register: u32) -> u64 {
    if !(BAR0..BAR0 + 4 * BARS).contains(&register) {
        return random.nonsense();
    }
    let window = mmio::WINDOW.end - mmio::WINDOW.start;
    match random.below(8) {
        // Somewhere in the window, where BARs fit.
        0 | 1 => u64::from(mmio::WINDOW.start + random.below(window)) & !0xf_ffff,
        2 => u64::from(mmio::WINDOW.start + random.below(window)) & !0xfff,
        // Where a port BAR fits.
        3 => u64::from(random.between(0xc000, 0xffff)) & !0x1f | 1,
        // Onto another BAR.
        4 => {
            let index = random.below(BARS) as usize;
            targets.any(random).map_or(0, |target| target.bar(index).into())
        }
        // Memory of the guest, ECAM, interrupt controllers, KVM's own pages, the end.
        5 => random.pick(&[
            0x0010_0000,
            0x0020_0000,
            0x000a_0000,
            0x000f_0000,
            0xb000_0000,
            0xb7f0_0000,
            0xfec0_0000,
            0xfee0_0000,
            0xfeff_c000,
            0xffff_f000,
            0xfebf_f000,
        ]),
        6 => u64::from(u32::MAX),
        _ => random.nonsense(),
    }
}

fn through_ports(machine: &mut Machine, random: &mut Random, place: u32, register: u32, value: u64) {
    let mut address = 0x8000_0000 | place << 8 | register & 0xfc;
    if random.once_in(16) {
        address = random.nonsense() as u32;
    }
    let width = if random.once_in(8) {
        random.pick(&WIDTHS)
    } else {
        Width::B4
    };
    machine.port_write(ADDRESS, Width::B4, address);
    let mut port = DATA;
    let mut width = width;
    if random.once_in(4) {
        // Into the middle, over the end, at the address register itself.
        port = random.pick(&[
            DATA,
            DATA + 1,
            DATA + 2,
            DATA + 3,
            DATA - 1,
            DATA - 2,
            DATA - 3,
            DATA - 4,
        ]);
        width = random.pick(&WIDTHS);
    }
    if random.once_in(3) {
        machine.port_read(port as u16, width);
    } else {
        machine.port_write(port as u16, width, value as u32);
    }
}

fn through_ecam(machine: &mut Machine, random: &mut Random, place: u32, register: u32, value: u64) {
    let mut address = mmio::ECAM + (place << 12) + (register & 0xffc);
    let mut width = Width::B4;
    if random.once_in(4) {
        address += random.below(4);
        width = random.pick(&ANY_WIDTH);
    }
    if random.once_in(3) {
        machine.memory_read(address, width);
    } else {
        machine.memory_write(address, width, value);
    }
}
