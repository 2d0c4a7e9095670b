//! A machine that was saved goes on in a new one as if nothing had happened.

use std::{os::unix::fs::FileExt as _, sync::Arc};

use caraway_base::state::{Record, Records, StateError};
use caraway_ports::input::{InputEvent, Scancode};
use iced_x86::code_asm::{
    CodeLabel, byte_ptr, cr3, cr4, dword_ptr, dx, eax, qword_ptr, r15, r15d, rax, rbx, rcx, rdi, rdx, xmm0, xmm1,
    xmmword_ptr,
};

use super::{
    LIMIT, PROBE_PORT, Probe, Running, builder,
    program::{APIC, Program, SCRATCH, STACK},
};
use crate::{BuildError, Command, Kernel, MachineBuilder, MachineSpec, RunState};

const VECTOR: u32 = 0x41;
const GDT: u32 = 0x23_0000;
const TSS: u32 = 0x23_1000;
const POINTER: u32 = 0x23_2000;
const USER_DATA: u32 = 0x20 | 3;
const USER_CODE: u32 = 0x28 | 3;
const TSS_SELECTOR: u32 = 0x30;
/// In scratch memory: ticks of the timer, and the counts of ring 3.
const TICKS: u32 = SCRATCH;
const COUNT: u32 = SCRATCH + 8;
const XMM: u32 = SCRATCH + 16;

/// What was taken from a machine.
pub(super) struct Taken {
    records: Vec<Record>,
    memories: Vec<(String, Vec<u8>)>,
}

pub(super) fn save(running: &Running) -> Taken {
    let saved = running.handle.save(|saved| Taken {
        records: saved.records,
        memories: saved
            .memories
            .iter()
            .map(|memory| {
                let mut bytes = vec![0; usize::try_from(memory.size()).unwrap()];
                memory.file().read_exact_at(&mut bytes, 0).unwrap();
                (memory.name().to_owned(), bytes)
            })
            .collect(),
    });
    saved.unwrap()
}

/// A builder with the records and the memory of another machine.
pub(super) fn restored(spec: MachineSpec, taken: &Taken, probe: &Arc<Probe>) -> MachineBuilder {
    let mut builder = MachineBuilder::incoming(spec, Records::new(taken.records.clone())).unwrap();
    builder.add_ports("probe", PROBE_PORT, 8, probe.clone()).unwrap();
    let files = builder.ram_files();
    assert_eq!(files.len(), taken.memories.len());
    for file in files {
        let (_, bytes) = taken.memories.iter().find(|(name, _)| name == file.name()).unwrap();
        assert_eq!(bytes.len() as u64, file.size());
        file.file().write_all_at(bytes, 0).unwrap();
    }
    builder
}

pub(super) fn spec_of(kernel: &Arc<[u8]>) -> MachineSpec {
    MachineSpec {
        debug_exit: true,
        ..MachineSpec::new(Kernel::Bytes(kernel.clone()), 16 << 20)
    }
}

/// Counts in ring 3, in a register, in memory and in an SSE register; a timer of 1 kHz reports all three.
fn counts_in_ring_3() -> Arc<[u8]> {
    let mut program = Program::long();
    let (mut handler, mut user): (CodeLabel, CodeLabel) = (program.label(), program.label());
    program.out8(0x21, 0xff);
    program.out8(0xa1, 0xff);
    program.interrupt_table();
    program.gate(VECTOR, handler);
    user_memory(&mut program);
    segments(&mut program);
    program.enable_apic();
    // Divide by one, a million ticks of 1 GHz, periodic.
    program.store32(APIC + 0x3e0, 0xb);
    program.store32(APIC + 0x320, 0x2_0000 | VECTOR);
    program.store32(APIC + 0x380, 1_000_000);
    let asm = &mut program.asm;
    // PAE, OSFXSR, OSXMMEXCPT.
    asm.mov(eax, 0x620).unwrap();
    asm.mov(cr4, rax).unwrap();
    asm.push(i32::try_from(USER_DATA).unwrap()).unwrap();
    asm.push(i32::try_from(STACK).unwrap()).unwrap();
    asm.push(0x202).unwrap();
    asm.push(i32::try_from(USER_CODE).unwrap()).unwrap();
    asm.lea(rax, qword_ptr(user)).unwrap();
    asm.push(rax).unwrap();
    asm.iretq().unwrap();

    program.place(&mut user);
    let asm = &mut program.asm;
    asm.mov(eax, 1).unwrap();
    asm.movq(xmm1, rax).unwrap();
    asm.pxor(xmm0, xmm0).unwrap();
    asm.mov(r15, 0_u64).unwrap();
    let again = program.here();
    let asm = &mut program.asm;
    asm.inc(r15).unwrap();
    asm.mov(qword_ptr(COUNT), r15).unwrap();
    asm.paddq(xmm0, xmm1).unwrap();
    asm.movups(xmmword_ptr(XMM), xmm0).unwrap();
    asm.jmp(again).unwrap();

    program.place(&mut handler);
    let asm = &mut program.asm;
    asm.push(rax).unwrap();
    asm.push(rdx).unwrap();
    asm.push(rdi).unwrap();
    asm.mov(dx, u32::from(PROBE_PORT)).unwrap();
    asm.inc(dword_ptr(TICKS)).unwrap();
    asm.mov(eax, dword_ptr(TICKS)).unwrap();
    asm.out(dx, eax).unwrap();
    asm.mov(eax, r15d).unwrap();
    asm.out(dx, eax).unwrap();
    asm.mov(eax, dword_ptr(COUNT)).unwrap();
    asm.out(dx, eax).unwrap();
    asm.mov(eax, dword_ptr(XMM)).unwrap();
    asm.out(dx, eax).unwrap();
    program.end_of_interrupt();
    let asm = &mut program.asm;
    asm.pop(rdi).unwrap();
    asm.pop(rdx).unwrap();
    asm.pop(rax).unwrap();
    asm.iretq().unwrap();
    program.kernel()
}

/// Opens the first 16 MiB of the loader's page tables to ring 3.
fn user_memory(program: &mut Program) {
    let asm = &mut program.asm;
    asm.mov(rbx, cr3).unwrap();
    asm.or(byte_ptr(rbx), 4).unwrap();
    for table in [rcx, rdx] {
        asm.mov(rax, qword_ptr(if table == rcx { rbx } else { rcx })).unwrap();
        asm.and(rax, -4096).unwrap();
        asm.mov(table, rax).unwrap();
        for entry in 0..8 {
            asm.or(byte_ptr(table + 8 * entry), 4).unwrap();
        }
    }
    asm.mov(cr3, rbx).unwrap();
}

/// The loader's segments, those of ring 3, and a task state with a stack for interrupts.
fn segments(program: &mut Program) {
    let entries: [u64; 8] = [
        0,
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        0x0000_8900_0000_0067 | u64::from(TSS & 0xff_ffff) << 16,
        0,
    ];
    for (at, entry) in (GDT..).step_by(8).zip(entries) {
        program.store32(at, (entry & 0xffff_ffff) as u32);
        program.store32(at + 4, (entry >> 32) as u32);
    }
    program.store32(TSS + 4, STACK - 0x1000);
    program.store32(POINTER, 63 | GDT << 16);
    program.store32(POINTER + 4, GDT >> 16);
    let asm = &mut program.asm;
    asm.lgdt(qword_ptr(POINTER)).unwrap();
    asm.mov(eax, TSS_SELECTOR).unwrap();
    asm.ltr(iced_x86::code_asm::ax).unwrap();
}

/// Checks all that was reported by [`counts_in_ring_3`], as the life of one machine.
fn check_counts(values: &[u64]) -> u64 {
    let reports: Vec<[u32; 4]> = values
        .chunks_exact(4)
        .map(|four| std::array::from_fn(|index| u32::try_from(four[index]).unwrap()))
        .collect();
    for ([ticks, register, memory, sse], expected) in reports.iter().zip(1..) {
        assert_eq!(*ticks, expected, "a tick was lost or came twice");
        assert!(
            register.wrapping_sub(*memory) <= 1,
            "{register} in the register, {memory} in memory"
        );
        assert!(memory.wrapping_sub(*sse) <= 1, "{memory} in memory, {sse} in xmm0");
    }
    for pair in reports.windows(2) {
        let further = pair[1][1].wrapping_sub(pair[0][1]);
        assert!(further < 1 << 31, "the count went back: {pair:?}");
    }
    reports.len() as u64
}

#[test]
fn a_guest_in_ring_3_goes_on_with_its_counts_and_its_timer() {
    let kernel = counts_in_ring_3();
    let (probe, heard) = Probe::listening();
    let hear = |count: usize| {
        for _ in 0..count {
            heard.recv_timeout(LIMIT).unwrap();
        }
    };
    let mut running = Running::start(builder(spec_of(&kernel), &probe));
    for generation in 0..10 {
        hear(80);
        // Saved and left to go on; then saved for good.
        let first = save(&running);
        assert_eq!(running.handle.status().unwrap().state, RunState::Running);
        hear(8);
        running.handle.call(Command::Pause).unwrap();
        let taken = save(&running);
        assert_eq!(running.handle.status().unwrap().state, RunState::Paused);
        running.quit();
        assert_ne!(first.records, taken.records);
        // Nothing changed in between: what is saved from a restored machine that has not run is the same memory.
        let start_paused = generation % 2 == 0;
        let next = restored(
            MachineSpec {
                start_paused,
                ..spec_of(&kernel)
            },
            &taken,
            &probe,
        );
        running = Running::start(next);
        if start_paused {
            assert_eq!(running.handle.status().unwrap().state, RunState::Prelaunch);
            assert_eq!(save(&running).memories, taken.memories);
            while heard.try_recv().is_ok() {}
            let told = probe.values().len();
            running.handle.status().unwrap();
            assert_eq!(probe.values().len(), told);
            running.handle.call(Command::Resume).unwrap();
        }
        hear(8);
    }
    running.quit();
    assert!(check_counts(&probe.values()) > 200);
}

/// Has the keyboard send keys and interrupt.
fn keyboard(program: &mut Program) {
    // Command byte: interrupt of the keyboard, scan codes of set 1. Then scanning on, and its answer read.
    program.out8(0x64, 0x60);
    program.out8(0x60, 0x41);
    program.out8(0x60, 0xf4);
    program.asm.in_(iced_x86::code_asm::al, 0x60).unwrap();
}

/// Reports [`READY`]; for each interrupt of the keyboard writes 1; for each other value read from the probe does `order`.
/// A `closed` one takes no interrupts until the first such value, for which it does nothing else.
fn interrupted(closed: bool, order: impl FnOnce(&mut Program)) -> Arc<[u8]> {
    let mut program = Program::long();
    let mut handler: CodeLabel = program.label();
    program.out8(0x21, 0xff);
    program.out8(0xa1, 0xff);
    program.interrupt_table();
    program.gate(VECTOR, handler);
    program.enable_apic();
    keyboard(&mut program);
    program.ioapic(1, VECTOR);
    program.store32(SCRATCH, 0);
    program.out32(PROBE_PORT, READY);
    if closed {
        let closed = program.here();
        program.in_eax(PROBE_PORT);
        program.asm.test(eax, eax).unwrap();
        program.asm.je(closed).unwrap();
        program.asm.mov(dword_ptr(SCRATCH), eax).unwrap();
    }
    program.asm.sti().unwrap();
    let again = program.here();
    program.in_eax(PROBE_PORT);
    program.asm.cmp(eax, dword_ptr(SCRATCH)).unwrap();
    program.asm.je(again).unwrap();
    program.asm.mov(dword_ptr(SCRATCH), eax).unwrap();
    order(&mut program);
    program.asm.jmp(again).unwrap();
    program.place(&mut handler);
    let asm = &mut program.asm;
    asm.push(rax).unwrap();
    asm.push(rdx).unwrap();
    asm.push(rdi).unwrap();
    program.out32(PROBE_PORT, 1);
    program.end_of_interrupt();
    let asm = &mut program.asm;
    asm.pop(rdi).unwrap();
    asm.pop(rdx).unwrap();
    asm.pop(rax).unwrap();
    asm.iretq().unwrap();
    program.kernel()
}

const READY: u32 = 0x1000;
const KEY_A: Scancode = Scancode::Plain(0x1e);

fn key(down: bool) -> InputEvent {
    InputEvent::Key { code: KEY_A, down }
}

fn pass_on(
    running: Running,
    spec: MachineSpec,
    probe: &Arc<Probe>,
) -> (Running, Arc<dyn caraway_ports::input::InputSink>) {
    running.handle.call(Command::Pause).unwrap();
    let taken = save(&running);
    running.quit();
    let next = restored(spec, &taken, probe);
    let input = next.input();
    (Running::start(next), input)
}

#[test]
fn an_interrupt_that_was_taken_does_not_come_again_and_the_next_does() {
    // The keyboard's first byte raises the line; the handler leaves it unread, so the line stays up over the restore.
    let kernel = interrupted(false, |program| {
        program.asm.mov(eax, 0).unwrap();
        program.asm.in_(iced_x86::code_asm::al, 0x60).unwrap();
        program.out_eax(PROBE_PORT);
    });
    let (probe, heard) = Probe::listening();
    let next = || heard.recv_timeout(LIMIT).unwrap();
    let first = builder(spec_of(&kernel), &probe);
    let mut input = first.input();
    let mut running = Running::start(first);
    assert_eq!(next(), u64::from(READY));
    for round in 1..=6 {
        input.send(key(round % 2 == 1));
        assert_eq!(next(), 1);
        (running, input) = pass_on(running, spec_of(&kernel), &probe);
        *probe.answer.lock().unwrap() = round;
        // Anything that came again would be here before the byte.
        assert_eq!(next(), if round % 2 == 1 { 0x1e } else { 0x9e });
    }
    running.quit();
}

#[test]
fn an_interrupt_that_was_not_taken_yet_comes_once() {
    let kernel = interrupted(true, |program| program.out32(PROBE_PORT, 2));
    let (probe, heard) = Probe::listening();
    let next = || heard.recv_timeout(LIMIT).unwrap();
    let first = builder(spec_of(&kernel), &probe);
    let input = first.input();
    let running = Running::start(first);
    assert_eq!(next(), u64::from(READY));
    input.send(key(true));
    let (running, _) = pass_on(running, spec_of(&kernel), &probe);
    let (running, _) = pass_on(running, spec_of(&kernel), &probe);
    *probe.answer.lock().unwrap() = 1;
    assert_eq!(next(), 1);
    *probe.answer.lock().unwrap() = 2;
    // A second one would be here before.
    assert_eq!(next(), 2);
    running.quit();
}

#[test]
fn what_the_guest_asked_for_just_before_is_not_lost() {
    // Resets itself at once; if that were forgotten, it would wait for ever.
    let mut program = Program::long();
    program.out32(PROBE_PORT, READY);
    program.out8(0xcf9, 6);
    program.asm.cli().unwrap();
    program.halt_forever();
    let kernel = program.kernel();
    let (probe, heard) = Probe::listening();
    let mut running = Running::start(builder(spec_of(&kernel), &probe));
    for _ in 0..30 {
        heard.recv_timeout(LIMIT).unwrap();
        let taken = save(&running);
        running.quit();
        while heard.try_recv().is_ok() {}
        running = Running::start(restored(spec_of(&kernel), &taken, &probe));
    }
    heard.recv_timeout(LIMIT).unwrap();
    running.quit();
}

#[test]
fn a_restored_machine_resets_to_its_kernel() {
    let kernel = interrupted(false, |program| program.out32(PROBE_PORT, 7));
    let (probe, heard) = Probe::listening();
    let next = || heard.recv_timeout(LIMIT).unwrap();
    let running = Running::start(builder(spec_of(&kernel), &probe));
    assert_eq!(next(), u64::from(READY));
    let (running, _) = pass_on(running, spec_of(&kernel), &probe);
    running.handle.call(Command::Reset).unwrap();
    assert_eq!(next(), u64::from(READY));
    *probe.answer.lock().unwrap() = 1;
    assert_eq!(next(), 7);
    running.quit();
}

#[test]
fn other_processors_are_where_they_were() {
    // The first processor starts the other one when it is told.
    let mut program = Program::new();
    program.out32(PROBE_PORT, READY);
    let again = program.here();
    program.in_eax(PROBE_PORT);
    program.asm.test(eax, eax).unwrap();
    program.asm.je(again).unwrap();
    program.copy_code(&super::cpus::trampoline(), super::cpus::TRAMPOLINE);
    program.enable_apic();
    program.store32(APIC + 0x300, super::cpus::INIT_ALL_BUT_SELF);
    program.store32(APIC + 0x300, super::cpus::SIPI_ALL_BUT_SELF);
    program.wait_for_byte(0x9000, 1);
    program.out32(PROBE_PORT, 0x77);
    program.halt_forever();
    let kernel = program.kernel();
    let spec = || MachineSpec {
        cpus: 2,
        ..spec_of(&kernel)
    };
    let (probe, heard) = Probe::listening();
    let next = || heard.recv_timeout(LIMIT).unwrap();
    let running = Running::start(builder(spec(), &probe));
    assert_eq!(next(), u64::from(READY));
    // It still waits to be started.
    let (running, _) = pass_on(running, spec(), &probe);
    *probe.answer.lock().unwrap() = 1;
    // Its APIC id, as its own code reads it.
    let mut told = [next(), next()];
    told.sort_unstable();
    assert_eq!(told, [1, 0x77]);
    // Both sleep now.
    let (running, _) = pass_on(running, spec(), &probe);
    running.handle.call(Command::Reset).unwrap();
    assert_eq!(next(), u64::from(READY));
    running.quit();
}

#[test]
fn records_of_another_machine_are_refused() {
    let kernel = interrupted(false, |_| ());
    let (probe, heard) = Probe::listening();
    let running = Running::start(builder(spec_of(&kernel), &probe));
    heard.recv_timeout(LIMIT).unwrap();
    running.handle.call(Command::Pause).unwrap();
    let taken = save(&running);
    running.quit();
    let build = |records: Vec<Record>, cpus| {
        let spec = MachineSpec {
            cpus,
            ..spec_of(&kernel)
        };
        MachineBuilder::incoming(spec, Records::new(records))?.build().map(drop)
    };
    let without = |kind: &str| {
        let kept = taken.records.iter().filter(|record| record.kind != kind);
        kept.cloned().collect::<Vec<_>>()
    };
    for kind in ["uart", "i8042", "rtc", "kvm", "vcpu", "pci", "reset-control"] {
        let error = build(without(kind), 1).unwrap_err();
        assert!(
            matches!(&error, BuildError::State(StateError::Missing { .. })),
            "{kind}: {error}"
        );
    }
    let error = build(taken.records.clone(), 2).unwrap_err();
    assert_eq!(error.to_string(), "no record \"vcpu\" for \"1\"");
    let mut more = taken.records.clone();
    more.extend(taken.records.iter().find(|record| record.kind == "uart").cloned());
    let error = build(more, 1).unwrap_err();
    assert_eq!(error.to_string(), "left-over records: uart (0)");
    for record in 0..taken.records.len() {
        let mut damaged = taken.records.clone();
        damaged[record].payload.clear();
        if damaged[record].kind != "reset-control" {
            assert!(build(damaged, 1).is_err(), "{}", taken.records[record].kind);
        }
    }
}
