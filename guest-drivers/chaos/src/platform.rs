//! Nonsense at the legacy ports; which are left alone, [`crate::guard`] says.

use caraway_guest_rt::mmio::Width;

use crate::access::Machine;
use crate::random::Random;

const WIDTHS: [Width; 3] = [Width::B1, Width::B2, Width::B4];

/// First port and number of ports: DMA, PICs, PIT, i8042 and speaker, RTC, POST, fast reset, dispi, VGA, serial ports, fw_cfg,
/// power management, PCI config, and everything below the PCI window.
const BLOCKS: [(u16, u32); 16] = [
    (0x00, 0x20),
    (0x20, 0x02),
    (0x40, 0x04),
    (0x60, 0x05),
    (0x70, 0x08),
    (0x80, 0x20),
    (0xb2, 0x02),
    (0xf0, 0x10),
    (0x1ce, 0x04),
    (0x1f0, 0x08),
    (0x3b0, 0x30),
    (0x3f8, 0x08),
    (0x510, 0x0c),
    (0x600, 0x40),
    (0xcf8, 0x08),
    (0x0000, 0xc000),
];

/// A few accesses to one block.
pub(crate) fn step(machine: &mut Machine, random: &mut Random) {
    let (first, length) = random.pick(&BLOCKS);
    for _ in 0..random.between(16, 64) {
        let port = first.saturating_add(random.below(length) as u16);
        let width = random.pick(&WIDTHS);
        if random.once_in(3) {
            machine.port_read(port, width);
        } else {
            machine.port_write(port, width, random.nonsense() as u32);
        }
    }
}
