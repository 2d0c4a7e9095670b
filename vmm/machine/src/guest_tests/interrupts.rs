//! Interrupts: messages, wired lines through the IOAPIC, the PIT.

use std::sync::Arc;

use caraway_base::irq::{IrqLine, MsiVector};
use iced_x86::code_asm::{CodeLabel, eax};

use super::{LIMIT, PROBE_PORT, Probe, Running, builder, program::Program, spec};
use crate::Command;

const VECTOR: u32 = 0x40;
/// Message to the local APIC with id 0.
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;
const READY: u64 = 0x1000;

/// A guest that reports [`READY`], then writes 1 to the probe for each interrupt at [`VECTOR`].
fn waiting(setup: impl FnOnce(&mut Program)) -> Program {
    waiting_with(setup, |_| ())
}

fn waiting_with(setup: impl FnOnce(&mut Program), handle: impl FnOnce(&mut Program)) -> Program {
    let mut program = Program::long();
    let mut handler: CodeLabel = program.label();
    program.interrupt_table();
    program.gate(VECTOR, handler);
    program.enable_apic();
    // The PICs see lines 0 to 15 too.
    program.out8(0x21, 0xff);
    program.out8(0xa1, 0xff);
    setup(&mut program);
    program.out32(PROBE_PORT, READY as u32);
    program.asm.sti().unwrap();
    program.halt_forever();
    program.place(&mut handler);
    program.out32(PROBE_PORT, 1);
    handle(&mut program);
    program.end_of_interrupt();
    program.asm.iretq().unwrap();
    program
}

/// Programs IOAPIC input `input` to [`VECTOR`], with the given low flag bits.
fn ioapic(program: &mut Program, input: u32, flags: u32) {
    program.ioapic(input, VECTOR | flags);
}

const LEVEL_LOW: u32 = 1 << 15 | 1 << 13;

#[test]
fn messages_arrive_while_the_vector_is_open_and_a_masked_one_arrives_later() {
    let (probe, heard) = Probe::listening();
    let builder = builder(spec(waiting(|_| ())), &probe);
    let vector = builder.msi_allocator().allocate().unwrap();
    let running = Running::start(builder);
    let next = || heard.recv_timeout(LIMIT).unwrap();
    assert_eq!(next(), READY);
    vector.route(MESSAGE_ADDRESS, VECTOR).unwrap();
    for _ in 0..20 {
        vector.event().write(1).unwrap();
        assert_eq!(next(), 1);
    }
    vector.mask().unwrap();
    vector.event().write(1).unwrap();
    running.handle.status().unwrap();
    assert!(heard.try_recv().is_err());
    vector.route(MESSAGE_ADDRESS, VECTOR).unwrap();
    assert_eq!(next(), 1);
    running.quit();
}

#[test]
fn vectors_are_used_again_and_running_out_is_an_error() {
    let builder = builder(spec(Program::new()), &Arc::new(Probe::default()));
    let messages = builder.msi_allocator();
    for _ in 0..3 {
        let all: Vec<_> = std::iter::from_fn(|| messages.allocate().ok()).collect();
        assert!(all.len() > 900, "{}", all.len());
        assert!(messages.allocate().is_err());
        // Routed ones go back too.
        all.iter().take(50).for_each(|vector: &Arc<dyn MsiVector>| {
            vector.route(MESSAGE_ADDRESS, VECTOR).unwrap();
        });
    }
}

#[test]
fn a_level_line_interrupts_again_until_it_is_lowered() {
    // The handler reads the device, which lowers its line on the third read.
    struct Device {
        line: Arc<dyn IrqLine>,
        reads: std::sync::atomic::AtomicU32,
    }
    impl caraway_base::bus::BusDevice for Device {
        fn read(&self, _: u64, _: &mut [u8]) {
            if self.reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                self.line.set(false);
            }
        }
        fn write(&self, _: u64, _: &[u8]) -> caraway_base::bus::Outcome {
            caraway_base::bus::Outcome::Done
        }
    }
    let (probe, heard) = Probe::listening();
    let program = waiting_with(
        |program| ioapic(program, 17, LEVEL_LOW),
        |program| program.in_eax(0x520),
    );
    let mut builder = builder(spec(program), &probe);
    let (line, other) = (builder.irq_line(17), builder.irq_line(17));
    let device = Arc::new(Device {
        line: line.clone(),
        reads: 0.into(),
    });
    builder.add_ports("device", 0x520, 4, device).unwrap();
    let running = Running::start(builder);
    let next = || heard.recv_timeout(LIMIT).unwrap();
    assert_eq!(next(), READY);
    line.set(true);
    for _ in 0..3 {
        assert_eq!(next(), 1);
    }
    // Hosts that interpret ring 0 end the interrupt when they deliver it, so the line is seen high once more there.
    let quiet = std::time::Duration::from_millis(50);
    let late: Vec<_> = std::iter::from_fn(|| heard.recv_timeout(quiet).ok()).take(2).collect();
    assert!(
        matches!(late.as_slice(), [] | [1]),
        "{late:?} after the line was lowered"
    );
    // Another device on the same line.
    other.set(true);
    for _ in 0..2 {
        assert_eq!(next(), 1);
    }
    running.quit();
}

#[test]
fn the_pit_arrives_at_ioapic_input_2() {
    let (probe, heard) = Probe::listening();
    let program = waiting(|program| {
        ioapic(program, 2, 0);
        // Mode 2, 100 Hz.
        program.out8(0x43, 0x34);
        program.out8(0x40, (11932 & 0xff) as u8);
        program.out8(0x40, (11932 >> 8) as u8);
    });
    let running = Running::start(builder(spec(program), &probe));
    let next = || heard.recv_timeout(LIMIT).unwrap();
    assert_eq!(next(), READY);
    for _ in 0..5 {
        assert_eq!(next(), 1);
    }
    running.quit();
}

#[test]
fn a_reset_silences_lines_and_timers_of_the_life_before() {
    let (probe, heard) = Probe::listening();
    // After the reset the guest does not touch the IOAPIC or the PIT any more, but it is open for interrupts.
    let program = waiting(|program| {
        let mut second = program.label();
        program.in_eax(PROBE_PORT);
        program.asm.test(eax, eax).unwrap();
        program.asm.jne(second).unwrap();
        ioapic(program, 2, 0);
        program.out8(0x43, 0x34);
        program.out8(0x40, (11932 & 0xff) as u8);
        program.out8(0x40, (11932 >> 8) as u8);
        program.place(&mut second);
    });
    let running = Running::start(builder(spec(program), &probe));
    let next = || heard.recv_timeout(LIMIT).unwrap();
    assert_eq!(next(), READY);
    assert_eq!(next(), 1);
    running.handle.call(Command::Pause).unwrap();
    *probe.answer.lock().unwrap() = 1;
    while heard.try_recv().is_ok() {}
    running.handle.call(Command::Reset).unwrap();
    running.handle.call(Command::Resume).unwrap();
    assert_eq!(next(), READY);
    // A PIT period is 10 ms: a tick would be here within ten of them.
    assert!(heard.recv_timeout(std::time::Duration::from_millis(100)).is_err());
    running.quit();
}
