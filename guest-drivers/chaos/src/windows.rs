//! Nonsense in the PCI windows: BARs of every function, MSI-X tables, places where nothing answers.

use caraway_guest_rt::mmio::{self, Width};
use caraway_guest_rt::qxl::abi;

use crate::access::Machine;
use crate::random::Random;
use crate::target::{QxlMap, Targets};

const WIDTHS: [Width; 4] = [Width::B1, Width::B2, Width::B4, Width::B8];
const PORT_WIDTHS: [Width; 3] = [Width::B1, Width::B2, Width::B4];
const PCI_PORTS: (u32, u32) = (0xc000, 0xffff);
const BARS: u32 = 6;
/// A BAR's registers are at its start.
const REGISTERS: u32 = 0x1000;
/// Bytes of surface memory that one step goes about in.
const NEIGHBOURHOOD: u32 = 0x2000;

/// A few accesses to BARs and around them.
pub(crate) fn step(machine: &mut Machine, random: &mut Random, targets: &Targets, map: Option<&QxlMap>) {
    if random.once_in(3) {
        ports(machine, random, map);
        return;
    }
    let (base, size) = region(random, targets);
    for _ in 0..random.between(8, 40) {
        let address = base.saturating_add(random.below(size));
        memory_access(machine, random, address);
    }
}

/// A BAR as it was at the start or thereabouts, or anywhere in the window.
fn region(random: &mut Random, targets: &Targets) -> (u32, u32) {
    let window = (mmio::WINDOW.start, mmio::WINDOW.end - mmio::WINDOW.start);
    if random.once_in(4) {
        return window;
    }
    let index = random.below(BARS) as usize;
    let bar = targets.any(random).map_or(0, |target| target.bar(index));
    match bar {
        0 => window,
        ports if ports & 1 == 1 => window,
        memory => ((memory & !0xf).saturating_sub(8), REGISTERS + 16),
    }
}

fn memory_access(machine: &mut Machine, random: &mut Random, address: u32) {
    let width = random.pick(&WIDTHS);
    let address = if random.once_in(2) {
        address & !(width.bytes() - 1)
    } else {
        address
    };
    if random.once_in(3) {
        machine.memory_read(address, width);
    } else {
        machine.memory_write(address, width, random.nonsense());
    }
}

fn ports(machine: &mut Machine, random: &mut Random, map: Option<&QxlMap>) {
    for _ in 0..random.between(8, 64) {
        let port = match map {
            // Around the I/O BAR, with the bytes before and behind it.
            Some(map) if !random.once_in(3) => {
                u32::from(map.ports).saturating_sub(4) + random.below(u32::from(abi::PORT_COUNT) + 8)
            }
            _ => random.between(PCI_PORTS.0, PCI_PORTS.1),
        };
        let port = port.min(0xfffc) as u16;
        let width = random.pick(&PORT_WIDTHS);
        if random.once_in(3) {
            machine.port_read(port, width);
        } else {
            machine.port_write(port, width, random.nonsense() as u32);
        }
    }
}

/// Surface memory and ROM of the QXL device.
pub(crate) fn surface_memory(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    let (base, size) = if random.once_in(4) {
        (map.rom, map.rom_size)
    } else {
        (map.vram, map.vram_size)
    };
    // Over both ends too. Few pages each time: the guest pays for every first touch.
    let last = base.saturating_add(size).saturating_sub(NEIGHBOURHOOD / 2);
    let start = match random.below(4) {
        0 => base.saturating_sub(NEIGHBOURHOOD / 2),
        1 => last,
        _ => base.saturating_add(random.below(size)),
    };
    for _ in 0..random.between(16, 64) {
        let address = start.saturating_add(random.below(NEIGHBOURHOOD));
        memory_access(machine, random, address);
    }
}
