//! Every way a machine ends, and resets in place.

use std::{sync::Arc, time::Duration};

use caraway_base::{
    bus::{BusDevice, Outcome},
    lifecycle::Lifecycle,
};
use iced_x86::code_asm::{dx, eax, esp, xmm0};

use super::{
    LIMIT, PROBE_PORT, Probe, Running, builder,
    program::{Program, SCRATCH},
    run, run_printing, spec,
};
use crate::{
    BuildError, Command, CommandError, Ending, Event, Kernel, MachineBuilder, MachineSpec, OnReboot, RunState,
};

const RESET_PORT: u16 = 0xcf9;
const PM1A_STATUS: u16 = 0x600;
const PM1A_CONTROL: u16 = 0x604;
const POWER_OFF: u16 = 5 << 10 | 1 << 13;

/// Triple-faults: a stack that is not there and no interrupt table.
fn triple_fault(program: &mut Program) {
    program.asm.mov(esp, 0).unwrap();
    program.asm.ud2().unwrap();
}

#[test]
fn s5_powers_off() {
    let mut program = Program::new();
    program.out16(PM1A_CONTROL, POWER_OFF);
    program.exit(1);
    assert_eq!(run(spec(program)), Ending::PowerOff);
}

#[test]
fn the_debug_exit_port_is_only_there_when_asked_for() {
    let mut program = Program::new();
    program.exit(1);
    program.out16(PM1A_CONTROL, POWER_OFF);
    let ending = run(MachineSpec {
        debug_exit: false,
        ..spec(program)
    });
    assert_eq!(ending, Ending::PowerOff);
}

/// Counts power-ons: each reset of the machine adds one to what the guest reads.
#[derive(Default)]
struct Boots(std::sync::atomic::AtomicU64);

impl BusDevice for Boots {
    fn read(&self, _: u64, data: &mut [u8]) {
        caraway_base::bus::store_value(data, self.0.load(std::sync::atomic::Ordering::SeqCst));
    }
    fn write(&self, _: u64, _: &[u8]) -> Outcome {
        Outcome::Done
    }
}

impl Lifecycle for Boots {
    fn pause(&self) {}
    fn resume(&self) {}
    fn reset(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn a_reset_starts_the_kernel_again_in_clean_memory_with_all_registers_fresh() {
    let mut program = Program::new();
    let mut last = program.label();
    let mut dirty = program.label();
    // What an earlier life left: memory, a changed kernel, descriptor tables, a local APIC in x2APIC mode.
    program.load_eax(SCRATCH);
    program.asm.test(eax, eax).unwrap();
    program.asm.jne(dirty).unwrap();
    program.store32(SCRATCH, 1);
    program.asm.mov(iced_x86::code_asm::ecx, 0x1b).unwrap();
    program.asm.rdmsr().unwrap();
    program.asm.test(eax, 0x400).unwrap();
    program.asm.jne(dirty).unwrap();
    program.asm.or(eax, 0xc00).unwrap();
    program.asm.wrmsr().unwrap();
    program.interrupt_table();
    program.in_eax(0x518);
    program.asm.cmp(eax, 3).unwrap();
    program.asm.je(last).unwrap();
    program.out8(PROBE_PORT, 1);
    program.out8(RESET_PORT, 2);
    program.out8(RESET_PORT, 6);
    program.out8(PROBE_PORT, 0xee);
    program.place(&mut dirty);
    program.exit(1);
    program.place(&mut last);
    program.exit(0);

    let probe = Arc::new(Probe::default());
    let mut builder = builder(
        MachineSpec {
            cpus: 2,
            ..spec(program)
        },
        &probe,
    );
    let boots = Arc::new(Boots::default());
    builder.add_ports("boots", 0x518, 4, boots.clone()).unwrap();
    builder.add_lifecycle(boots);
    let (sender, events) = std::sync::mpsc::channel();
    builder.handle().subscribe(move |event| sender.send(event).is_ok());
    assert_eq!(Running::start(builder).ending(), Ending::Exit(0));
    assert_eq!(
        probe.values(),
        [1, 1, 1],
        "nothing runs between the reset and the new start"
    );
    let expected = [
        Event::Resumed,
        Event::Reset { guest: true },
        Event::Reset { guest: true },
        Event::Reset { guest: true },
        Event::Shutdown {
            guest: true,
            reason: "guest-shutdown",
        },
    ];
    assert_eq!(events.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_reset_may_end_the_machine_instead() {
    let mut program = Program::new();
    program.out8(RESET_PORT, 6);
    let ending = run(MachineSpec {
        on_reboot: OnReboot::Exit,
        ..spec(program)
    });
    assert_eq!((ending.exit_code(), ending), (0, Ending::Reboot));
}

#[test]
fn a_triple_fault_reboots_and_the_fourth_in_a_row_is_a_crash() {
    let mut program = Program::new();
    program.print("x");
    triple_fault(&mut program);
    let (ending, text) = run_printing(spec(program));
    assert_eq!(ending.exit_code(), 3, "{ending:?}");
    assert_eq!(text, "xxxx");
}

#[test]
fn an_instruction_kvm_cannot_emulate_ends_with_a_report() {
    let mut program = Program::new();
    program.asm.mov(eax, 0x1234_5678).unwrap();
    program.asm.movd(xmm0, eax).unwrap();
    program.exit(0);
    match run(spec(program)) {
        Ending::Crashed(report) => {
            for part in [
                "vCPU 0",
                "rip 0x100",
                "ring 0, 32-bit",
                "movd xmm0,eax",
                "12345678",
                "interprets",
            ] {
                assert!(report.contains(part), "{part:?} is missing in:\n{report}");
            }
        }
        // A processor that runs ring 0 itself has no trouble with it.
        ending => assert_eq!(ending, Ending::Exit(0)),
    }
}

#[test]
fn the_power_button_reaches_a_guest_that_looks() {
    let mut program = Program::new();
    program.out8(PROBE_PORT, 1);
    let again = program.here();
    program.in_eax(PM1A_STATUS);
    program.asm.test(eax, 1 << 8).unwrap();
    program.asm.je(again).unwrap();
    program.out16(PM1A_CONTROL, POWER_OFF);
    let (probe, heard) = Probe::listening();
    let running = Running::start(builder(spec(program), &probe));
    heard.recv_timeout(LIMIT).unwrap();
    running.handle.call(Command::PowerButton).unwrap();
    assert_eq!(running.ending(), Ending::PowerOff);
}

#[test]
fn quit_flushes_first_and_later_commands_are_told_that_it_is_gone() {
    let mut program = Program::new();
    program.halt_forever();
    let probe = Arc::new(Probe::default());
    let mut builder = builder(spec(program), &probe);
    let (sender, flushed) = std::sync::mpsc::channel();
    builder.add_flush(Box::new(move || {
        sender.send(()).ok();
        Ok(())
    }));
    let running = Running::start(builder);
    let handle = running.handle.clone();
    assert_eq!(handle.status().unwrap().state, RunState::Running);
    handle.call(Command::Quit { flush: true }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
    assert_eq!(flushed.try_recv(), Ok(()));
    assert_eq!(handle.status(), Err(CommandError::Gone));
}

#[test]
fn a_flush_that_fails_is_a_host_error() {
    let mut program = Program::new();
    program.out16(PM1A_CONTROL, POWER_OFF);
    let probe = Arc::new(Probe::default());
    let mut builder = builder(spec(program), &probe);
    builder.add_flush(Box::new(|| Err(std::io::ErrorKind::StorageFull.into())));
    let ending = Running::start(builder).ending();
    assert_eq!(ending.exit_code(), 1, "{ending:?}");
}

#[test]
fn a_guest_panic_is_told_and_ends_with_code_3() {
    struct Panics;
    impl BusDevice for Panics {
        fn read(&self, _: u64, _: &mut [u8]) {}
        fn write(&self, _: u64, _: &[u8]) -> Outcome {
            Outcome::GuestPanicked
        }
    }
    let mut program = Program::new();
    let again = program.here();
    program.out8(0x505, 1);
    program.asm.jmp(again).unwrap();
    let probe = Arc::new(Probe::default());
    let mut builder = builder(spec(program), &probe);
    builder.add_ports("panic port", 0x505, 1, Arc::new(Panics)).unwrap();
    let (sender, events) = std::sync::mpsc::channel();
    builder.handle().subscribe(move |event| sender.send(event).is_ok());
    assert_eq!(Running::start(builder).ending().exit_code(), 3);
    assert!(events.iter().any(|event| event == Event::GuestPanicked));
}

/// SIGTERM, in a thread whose signal mask is its own: the power button first, then the limit.
#[test]
fn a_guest_that_ignores_the_power_button_is_ended_by_the_limit() {
    let mut program = Program::new();
    program.halt_forever();
    std::thread::spawn(move || {
        let signals = crate::Signals::take().unwrap();
        let machine = MachineBuilder::new(MachineSpec {
            signals: Some(signals),
            stop_timeout: Duration::from_millis(50),
            ..spec(program)
        })
        .unwrap()
        .build()
        .unwrap();
        let (sender, events) = std::sync::mpsc::channel();
        machine.handle().subscribe(move |event| sender.send(event).is_ok());
        crate::sys::kick::Thread::current().send(libc::SIGTERM);
        let ending = machine.run();
        assert_eq!((ending.exit_code(), ending), (4, Ending::StopLimit));
        let expected = [
            Event::Resumed,
            Event::Powerdown,
            Event::Shutdown {
                guest: false,
                reason: "host-signal",
            },
        ];
        assert_eq!(events.iter().collect::<Vec<_>>(), expected);
    })
    .join()
    .unwrap();
}

#[test]
fn what_the_config_got_wrong_is_told_apart_from_what_the_host_lacks() {
    let text = || Kernel::Static(b"#!/bin/sh\necho I am no kernel\n");
    let error = MachineBuilder::new(MachineSpec::new(text(), 16 << 20))
        .unwrap()
        .build()
        .unwrap_err();
    assert!(error.is_config(), "{error}");
    for (cpus, memory) in [
        (0, 16 << 20),
        (100_000, 16 << 20),
        (1, 4096),
        (1, (16 << 20) + 1),
        (1, 1 << 60),
    ] {
        let error = MachineBuilder::new(MachineSpec {
            cpus,
            ..MachineSpec::new(text(), memory)
        })
        .unwrap_err();
        assert!(error.is_config(), "{cpus} {memory}: {error}");
    }
    let source = || std::io::ErrorKind::OutOfMemory.into();
    assert!(
        !BuildError::Host {
            what: "x",
            source: source()
        }
        .is_config()
    );
}

#[test]
fn ports_out_of_a_loop_do_not_keep_the_driver_from_answering() {
    let mut program = Program::new();
    program.asm.mov(dx, u32::from(PROBE_PORT)).unwrap();
    let again = program.here();
    program.asm.out(dx, eax).unwrap();
    program.asm.jmp(again).unwrap();
    let probe = Arc::new(Probe::default());
    let running = Running::start(builder(spec(program), &probe));
    for _ in 0..100 {
        running.handle.status().unwrap();
    }
    running.handle.call(Command::Quit { flush: false }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
}
