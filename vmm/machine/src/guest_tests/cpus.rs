//! Several vCPUs: INIT and SIPI, APIC ids, parallel work.

use std::sync::Arc;

use iced_x86::code_asm::{CodeAssembler, ax, dx, eax, ebx, ecx, edi, edx, ptr};

use super::{
    LIMIT, PROBE_PORT, Probe, Running, builder,
    program::{APIC, Program, SCRATCH},
    spec,
};
use crate::{Command, Ending, MachineSpec};

/// Page of the start-up code: vector 8.
pub(super) const TRAMPOLINE: u32 = 0x8000;
pub(super) const INIT_ALL_BUT_SELF: u32 = 0x000c_4500;
pub(super) const SIPI_ALL_BUT_SELF: u32 = 0x000c_4600 | (TRAMPOLINE >> 12);

/// Real-mode code of the other processors: their APIC id to the probe, one more in the counter at 0x9000, sleep.
pub(super) fn trampoline() -> Vec<u8> {
    let mut asm = CodeAssembler::new(16).unwrap();
    asm.mov(eax, 1).unwrap();
    asm.cpuid().unwrap();
    asm.mov(eax, ebx).unwrap();
    asm.shr(eax, 24).unwrap();
    asm.mov(dx, u32::from(PROBE_PORT)).unwrap();
    asm.out(dx, ax).unwrap();
    asm.mov(ax, 0x900).unwrap();
    asm.mov(iced_x86::code_asm::ds, ax).unwrap();
    asm.lock().inc(iced_x86::code_asm::word_ptr(0)).unwrap();
    let mut again = asm.create_label();
    asm.set_label(&mut again).unwrap();
    asm.hlt().unwrap();
    asm.jmp(again).unwrap();
    asm.assemble(0).unwrap()
}

fn starts_all(cpus: u8) -> Program {
    let mut program = Program::new();
    program.copy_code(&trampoline(), TRAMPOLINE);
    program.enable_apic();
    program.store32(APIC + 0x300, INIT_ALL_BUT_SELF);
    program.store32(APIC + 0x300, SIPI_ALL_BUT_SELF);
    program.wait_for_byte(0x9000, cpus - 1);
    program
}

#[test]
fn init_and_sipi_start_every_other_processor() {
    for cpus in [1, 2, 4] {
        let mut program = starts_all(cpus);
        program.exit(0);
        let probe = Arc::new(Probe::default());
        let running = Running::start(builder(
            MachineSpec {
                cpus: cpus.into(),
                ..spec(program)
            },
            &probe,
        ));
        assert_eq!(running.ending(), Ending::Exit(0));
        let mut ids = probe.values();
        ids.sort_unstable();
        assert_eq!(ids, (1..u64::from(cpus)).collect::<Vec<_>>());
    }
}

#[test]
fn processors_start_again_after_a_reset() {
    let (probe, heard) = Probe::listening();
    let mut program = starts_all(4);
    program.out32(PROBE_PORT, 0x100);
    program.halt_forever();
    let running = Running::start(builder(
        MachineSpec {
            cpus: 4,
            ..spec(program)
        },
        &probe,
    ));
    for _ in 0..5 {
        let mut heard: Vec<_> = (0..4).map(|_| heard.recv_timeout(LIMIT).unwrap()).collect();
        heard.sort_unstable();
        assert_eq!(heard, [1, 2, 3, 0x100]);
        running.handle.call(Command::Reset).unwrap();
    }
    running.handle.call(Command::Quit { flush: false }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
}

#[test]
fn x2apic_mode_can_be_switched_on_and_knows_the_same_id() {
    let probe = Arc::new(Probe::default());
    let mut program = Program::new();
    program.asm.mov(ecx, 0x1b).unwrap();
    program.asm.rdmsr().unwrap();
    program.asm.or(eax, 0xc00).unwrap();
    program.asm.wrmsr().unwrap();
    program.asm.mov(ecx, 0x802).unwrap();
    program.asm.rdmsr().unwrap();
    program.out_eax(PROBE_PORT);
    // The extended topology leaf says how many processors there are.
    program.asm.mov(eax, 0xb).unwrap();
    program.asm.mov(ecx, 1).unwrap();
    program.asm.cpuid().unwrap();
    program.asm.mov(eax, ebx).unwrap();
    program.out_eax(PROBE_PORT);
    program.exit(0);
    let running = Running::start(builder(
        MachineSpec {
            cpus: 3,
            ..spec(program)
        },
        &probe,
    ));
    assert_eq!(running.ending(), Ending::Exit(0));
    assert_eq!(probe.values(), [0, 3]);
}

#[test]
fn the_paravirtual_clock_writes_where_it_is_told_and_stops_at_a_reset() {
    const MSR_KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;
    let (probe, heard) = Probe::listening();
    let mut program = Program::new();
    let mut second = program.label();
    program.in_eax(PROBE_PORT);
    program.asm.test(eax, eax).unwrap();
    program.asm.jne(second).unwrap();
    program.asm.mov(ecx, MSR_KVM_SYSTEM_TIME).unwrap();
    program.asm.mov(eax, SCRATCH | 1).unwrap();
    program.asm.mov(edx, 0).unwrap();
    program.asm.wrmsr().unwrap();
    program.place(&mut second);
    // Bytes 24 to 27 are the multiplier, never zero in a filled page.
    program.asm.mov(edi, SCRATCH).unwrap();
    program.asm.mov(eax, ptr(edi + 24)).unwrap();
    program.out_eax(PROBE_PORT);
    program.halt_forever();
    let running = Running::start(builder(spec(program), &probe));
    assert_ne!(heard.recv_timeout(LIMIT).unwrap(), 0);
    *probe.answer.lock().unwrap() = 1;
    running.handle.call(Command::Reset).unwrap();
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), 0);
    running.handle.call(Command::Quit { flush: false }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
}

#[test]
fn mtrrs_a_guest_wrote_are_gone_after_a_reset() {
    const MSR_MTRR_PHYS_BASE0: u32 = 0x200;
    const MSR_MTRR_FIX_64K: u32 = 0x250;
    let (probe, heard) = Probe::listening();
    let mut program = Program::new();
    let mut second = program.label();
    program.in_eax(PROBE_PORT);
    program.asm.test(eax, eax).unwrap();
    program.asm.jne(second).unwrap();
    for (msr, low, high) in [
        (MSR_MTRR_PHYS_BASE0, 0x1_0000, 0),
        (MSR_MTRR_FIX_64K, 0x0606_0606, 0x0606_0606),
    ] {
        program.asm.mov(ecx, msr).unwrap();
        program.asm.mov(eax, low).unwrap();
        program.asm.mov(edx, high).unwrap();
        program.asm.wrmsr().unwrap();
    }
    program.place(&mut second);
    for msr in [MSR_MTRR_PHYS_BASE0, MSR_MTRR_FIX_64K] {
        program.asm.mov(ecx, msr).unwrap();
        program.asm.rdmsr().unwrap();
        program.out_eax(PROBE_PORT);
    }
    program.halt_forever();
    let running = Running::start(builder(spec(program), &probe));
    let next = || heard.recv_timeout(LIMIT).unwrap();
    assert_eq!([next(), next()], [0x1_0000, 0x0606_0606]);
    *probe.answer.lock().unwrap() = 1;
    running.handle.call(Command::Reset).unwrap();
    assert_eq!([next(), next()], [0, 0]);
    running.quit();
}
