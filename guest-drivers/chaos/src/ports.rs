//! Nonsense at the QXL device's ports: values, and the arguments they take from the RAM header.

use caraway_guest_rt::mmio::Width;
use caraway_guest_rt::qxl::abi;

use crate::access::Machine;
use crate::random::Random;
use crate::rings::slot_address;
use crate::target::QxlMap;

/// One port command, with arguments that may even be right.
pub(crate) fn step(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    match random.below(8) {
        0 | 1 => add_slot(machine, random, map),
        2 => create_primary(machine, random, map),
        3 => update_area(machine, random, map),
        4 => monitors(machine, random, map),
        _ => {}
    }
    for _ in 0..random.between(8, 32) {
        // A reset now and then only: it ends what the others have begun.
        let number = match random.below(40) {
            0 => abi::PORT_RESET,
            1 => random.below(u32::from(abi::PORT_COUNT)) as u16,
            2..=6 => abi::PORT_NOTIFY_COMMAND,
            _ => random.pick(&[
                1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
            ]),
        };
        let value = if random.once_in(4) {
            random.nonsense() as u32
        } else {
            random.below(4)
        };
        machine.port_write(map.ports.wrapping_add(number), Width::B1, value);
        if random.once_in(8) {
            machine.port_read(map.ports.wrapping_add(number), Width::B1);
        }
    }
}

fn port(machine: &mut Machine, random: &mut Random, map: &QxlMap, number: u16, value: u32) {
    let value = if random.once_in(8) {
        random.nonsense() as u32
    } else {
        value
    };
    machine.port_write(map.ports.wrapping_add(number), Width::B1, value);
}

fn add_slot(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    let (base, size) = random.pick(&[
        (map.ram, map.ram_size),
        (map.vram, map.vram_size),
        (map.rom, map.rom_size),
        (0, 0x10_0000),
    ]);
    let start = u64::from(base) + u64::from(random.below(size)) * u64::from(!random.once_in(2));
    let end = u64::from(base) + u64::from(size);
    let (start, end) = match random.below(6) {
        0 => (end, start),
        1 => (random.nonsense(), end),
        2 => (start, random.nonsense()),
        _ => (start, end),
    };
    machine.memory_write(map.field(abi::RAM_MEM_SLOT), Width::B8, start);
    machine.memory_write(map.field(abi::RAM_MEM_SLOT + 8), Width::B8, end);
    let number = random.pick(&[abi::PORT_MEMSLOT_ADD, abi::PORT_MEMSLOT_ADD_ASYNC]);
    let slot = random.below(9);
    port(machine, random, map, number, slot);
}

fn create_primary(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    let (width, height) = (random.between(1, 1280), random.between(1, 1024));
    let format = random.pick(&[1, 8, 16, 80, 32, 96]);
    let stride = width.wrapping_mul(4);
    let stride = if random.once_in(3) {
        stride.wrapping_neg()
    } else {
        stride
    };
    let address = slot_address(random, map);
    let fields = [
        width,
        height,
        stride,
        format,
        0,
        random.below(2),
        random.below(4),
        0,
        address as u32,
        (address >> 32) as u32,
    ];
    for (index, mut value) in fields.into_iter().enumerate() {
        if random.once_in(24) {
            value = random.nonsense() as u32;
        }
        machine.memory_write(map.field(abi::RAM_CREATE_SURFACE + 4 * index), Width::B4, value.into());
    }
    let number = random.pick(&[abi::PORT_CREATE_PRIMARY, abi::PORT_CREATE_PRIMARY_ASYNC]);
    port(machine, random, map, number, 0);
}

fn update_area(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    let (left, top) = (random.below(1024), random.below(768));
    let area = [
        top,
        left,
        top + random.below(512),
        left + random.below(512),
        random.below(4),
    ];
    for (index, mut value) in area.into_iter().enumerate() {
        if random.once_in(24) {
            value = random.nonsense() as u32;
        }
        machine.memory_write(map.field(abi::RAM_UPDATE_AREA + 4 * index), Width::B4, value.into());
    }
    let number = random.pick(&[abi::PORT_UPDATE_AREA, abi::PORT_UPDATE_AREA_ASYNC]);
    port(machine, random, map, number, 0);
}

fn monitors(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    let address = slot_address(random, map);
    machine.memory_write(map.field(abi::RAM_MONITORS_CONFIG), Width::B8, address);
    let at = map.ram.wrapping_add(address as u32);
    let count = random.between(0, 4);
    machine.memory_write(at, Width::B4, (count | 4 << 16).into());
    for index in 0..7 * count {
        let value = if random.once_in(8) {
            random.nonsense()
        } else {
            random.below(2048).into()
        };
        machine.memory_write(at.wrapping_add(4 + 4 * index), Width::B4, value);
    }
    port(machine, random, map, abi::PORT_MONITORS_CONFIG_ASYNC, 0);
}
