//! Port and memory accesses, doorbells, and mappings that move under a running guest.

use std::sync::Arc;

use caraway_base::{
    address_space::{Doorbell, Mapping, Space, Target},
    memory::SharedMemory,
};
use iced_x86::code_asm::{ax, byte_ptr, dx, eax, ebx, ecx, edi, esi, ptr};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{
    PROBE_PORT, Probe, Running, builder,
    program::{Program, SCRATCH},
    spec,
};
use crate::{Ending, MachineBuilder};

const BAR: u32 = 0xd000_0000;
const OTHER_BAR: u32 = 0xd800_0000;

fn registers(start: u32, probe: &Arc<Probe>, doorbells: Vec<Doorbell>) -> Mapping {
    Mapping {
        space: Space::Memory,
        range: u64::from(start)..u64::from(start) + 0x1000,
        target: Target::Device(probe.clone()),
        doorbells,
    }
}

fn memory(start: u32, memory: &SharedMemory, read_only: bool) -> Mapping {
    Mapping {
        space: Space::Memory,
        range: u64::from(start)..u64::from(start) + memory.size(),
        target: Target::Memory {
            memory: memory.clone(),
            offset: 0,
            read_only,
            log_dirty: true,
        },
        doorbells: vec![],
    }
}

fn map(builder: &MachineBuilder, mapping: Mapping) {
    builder.address_space().change(&[], vec![mapping]).unwrap();
}

fn event() -> Arc<EventFd> {
    Arc::new(EventFd::new(EFD_NONBLOCK).unwrap())
}

#[test]
fn ports_are_reached_at_every_width_and_by_string_instructions() {
    let probe = Arc::new(Probe::default());
    *probe.answer.lock().unwrap() = 0x1234_5678;
    let mut program = Program::new();
    program.out8(PROBE_PORT, 0xab);
    program.out16(PROBE_PORT + 2, 0xcdef);
    program.in_eax(PROBE_PORT);
    program.out_eax(PROBE_PORT + 4);
    // Three words written and read back as strings.
    program.store32(SCRATCH, 0x0002_0001);
    program.store32(SCRATCH + 4, 3);
    program.asm.mov(dx, u32::from(PROBE_PORT)).unwrap();
    program.asm.mov(esi, SCRATCH).unwrap();
    program.asm.mov(ecx, 3).unwrap();
    program.asm.rep().outsw().unwrap();
    program.asm.mov(edi, SCRATCH).unwrap();
    program.asm.mov(ecx, 3).unwrap();
    program.asm.rep().insw().unwrap();
    program.asm.mov(edi, SCRATCH + 4).unwrap();
    program.asm.mov(ax, ptr(edi)).unwrap();
    program.asm.out(dx, ax).unwrap();
    // Nothing answers there.
    program.in_eax(0x7000);
    program.out_eax(PROBE_PORT);
    program.exit(0);
    let running = Running::start(builder(spec(program), &probe));
    let handle = running.handle.clone();
    handle.status().unwrap();
    assert_eq!(running.ending(), Ending::Exit(0));
    assert_eq!(
        *probe.writes.lock().unwrap(),
        [
            (0, 1, 0xab),
            (2, 2, 0xcdef),
            (4, 4, 0x1234_5678),
            (0, 2, 1),
            (0, 2, 2),
            (0, 2, 3),
            (0, 2, 0x5678),
            (0, 4, 0xffff_ffff),
        ]
    );
}

#[test]
fn device_memory_is_reached_by_offset_and_unmapped_memory_reads_ones() {
    let (probe, ports) = (Arc::new(Probe::default()), Arc::new(Probe::default()));
    *probe.answer.lock().unwrap() = 0xdead_beef;
    let mut program = Program::new();
    program.store32(BAR + 0x10, 0x1122_3344);
    program.asm.mov(byte_ptr(edi + 4), 0x55).unwrap();
    program.load_eax(BAR + 0x20);
    program.out_eax(PROBE_PORT);
    program.load_eax(OTHER_BAR);
    program.out_eax(PROBE_PORT);
    // Half inside, half behind the end.
    program.load_eax(BAR + 0xffe);
    program.out_eax(PROBE_PORT);
    program.exit(0);
    let builder = builder(spec(program), &ports);
    map(&builder, registers(BAR, &probe, vec![]));
    assert_eq!(Running::start(builder).ending(), Ending::Exit(0));
    assert_eq!(*probe.writes.lock().unwrap(), [(0x10, 4, 0x1122_3344), (0x14, 1, 0x55)]);
    assert_eq!(ports.values(), [0xdead_beef, 0xffff_ffff, 0xffff_beef]);
}

#[test]
fn doorbells_ring_without_an_exit_for_their_width_and_value_only() {
    let (probe, ports) = (Arc::new(Probe::default()), Arc::new(Probe::default()));
    let (any, narrow, port) = (event(), event(), event());
    let mut program = Program::new();
    program.asm.mov(ebx, 1000).unwrap();
    let again = program.here();
    program.store32(BAR, 7);
    program.store32(BAR + 8, 3);
    program.out8(0x600 + 0x100, 1);
    program.asm.dec(ebx).unwrap();
    program.asm.jne(again).unwrap();
    // Another value and another width are for the device.
    program.store32(BAR + 8, 4);
    program.asm.mov(byte_ptr(edi), 3).unwrap();
    program.exit(0);
    let builder = builder(spec(program), &ports);
    let bell = |offset, width, value, event: &Arc<EventFd>| Doorbell {
        offset,
        width,
        value,
        event: event.clone(),
    };
    map(
        &builder,
        registers(BAR, &probe, vec![bell(0, 0, None, &any), bell(8, 4, Some(3), &narrow)]),
    );
    map(
        &builder,
        Mapping {
            space: Space::Ports,
            range: 0x700..0x708,
            target: Target::Device(ports.clone()),
            doorbells: vec![bell(0, 1, None, &port)],
        },
    );
    assert_eq!(Running::start(builder).ending(), Ending::Exit(0));
    assert_eq!(
        (any.read().unwrap(), narrow.read().unwrap(), port.read().unwrap()),
        (1000, 1000, 1000)
    );
    assert_eq!(*probe.writes.lock().unwrap(), [(8, 4, 4), (8, 1, 3)]);
    assert!(ports.values().is_empty());
}

#[test]
fn memory_behind_a_bar_is_shared_and_read_only_memory_drops_writes() {
    let ports = Arc::new(Probe::default());
    let shared = SharedMemory::allocate("bar", 0x4000).unwrap();
    let rom = SharedMemory::allocate("rom", 0x1000).unwrap();
    rom.store_u32(0x10, 0x524f_4d21).unwrap();
    shared.store_u32(0x2000, 41).unwrap();
    let mut program = Program::new();
    program.load_eax(BAR + 0x2000);
    program.asm.inc(eax).unwrap();
    program.asm.mov(ptr(edi), eax).unwrap();
    program.store32(OTHER_BAR + 0x10, 0);
    program.load_eax(OTHER_BAR + 0x10);
    program.out_eax(PROBE_PORT);
    program.out_eax(PROBE_PORT);
    program.halt_forever();
    let (probe, heard) = Probe::listening();
    let builder = builder(spec(program), &probe);
    let space = builder.address_space();
    let ids = space
        .change(&[], vec![memory(BAR, &shared, false), memory(OTHER_BAR, &rom, true)])
        .unwrap();
    let running = Running::start(builder);
    for _ in 0..2 {
        assert_eq!(heard.recv_timeout(super::LIMIT).unwrap(), 0x524f_4d21);
    }
    assert_eq!(shared.load_u32(0x2000).unwrap(), 42);
    let log = space.take_dirty_log(ids[0]).unwrap();
    assert_ne!(log[0] & 0b100, 0, "the page the guest wrote is in the log");
    assert_eq!(space.take_dirty_log(ids[0]).unwrap()[0] & 0b100, 0, "and only once");
    running.handle.submit(crate::Command::Quit { flush: false }, |_| ());
    assert_eq!(running.ending(), Ending::Quit);
    assert!(ports.values().is_empty());
}

/// One vCPU counts in memory behind a BAR and reads a register block, while the host moves the block back and forth and
/// takes the memory away and puts it back: nothing is lost, nothing is read that was never there, and nothing waits.
#[test]
fn mappings_move_under_a_hammering_guest_without_loss() {
    let (registers_probe, ports) = (Arc::new(Probe::default()), Arc::new(Probe::default()));
    *registers_probe.answer.lock().unwrap() = 0x1357_9bdf;
    let shared = SharedMemory::allocate("bar", 0x1000).unwrap();
    let mut program = Program::new();
    let mut bad = program.label();
    let mut fine = program.label();
    let mut done = program.label();
    program.asm.mov(ebx, 0).unwrap();
    let again = program.here();
    // In the memory at the start of the BAR: a counter, and at 4 the host's flag to stop.
    program.asm.mov(edi, OTHER_BAR).unwrap();
    program.asm.inc(ebx).unwrap();
    program.asm.mov(eax, ptr(edi)).unwrap();
    program.asm.inc(eax).unwrap();
    program.asm.mov(ptr(edi), eax).unwrap();
    program.asm.cmp(ptr(edi), ebx).unwrap();
    program.asm.jne(bad).unwrap();
    program.load_eax(BAR);
    program.asm.cmp(eax, 0x1357_9bdf).unwrap();
    program.asm.je(fine).unwrap();
    program.asm.cmp(eax, -1).unwrap();
    program.asm.jne(bad).unwrap();
    program.place(&mut fine);
    program.load_eax(OTHER_BAR + 4);
    program.asm.cmp(eax, 1).unwrap();
    program.asm.jne(again).unwrap();
    program.asm.jmp(done).unwrap();
    program.place(&mut bad);
    program.out_eax(PROBE_PORT);
    program.exit(1);
    program.place(&mut done);
    program.exit(0);

    let builder = builder(spec(program), &ports);
    let space = builder.address_space();
    let registers_at = |start| registers(start, &registers_probe, vec![]);
    let mut ids = space
        .change(&[], vec![registers_at(BAR), memory(OTHER_BAR, &shared, false)])
        .unwrap();
    let running = Running::start(builder);
    for round in 0..500 {
        let start = if round % 2 == 0 { BAR + 0x1000 } else { BAR };
        ids = space
            .change(&ids, vec![registers_at(start), memory(OTHER_BAR, &shared, false)])
            .unwrap();
    }
    let before = shared.load_u32(0).unwrap();
    assert!(before > 0);
    shared.store_u32(4, 1).unwrap();
    assert_eq!(running.ending(), Ending::Exit(0), "{:x?}", ports.values());
}
