//! Keyboard, mouse, clock and panic device, as every machine has them.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use caraway_ports::input::{Button, InputEvent, InputSink, Scancode};
use iced_x86::code_asm::{al, dx, eax, edi, ptr};

use super::{LIMIT, PROBE_PORT, Probe, Running, builder, program::Program, run, spec};
use crate::{Command, Ending, MachineSpec, OnReboot};

const KEYBOARD_VECTOR: u32 = 0x41;
const MOUSE_VECTOR: u32 = 0x4c;
const CLOCK_VECTOR: u32 = 0x48;
const READY: u64 = 0x1000;
/// In what the guest reports: the byte came by the mouse's interrupt.
const BY_MOUSE: u64 = 0x100;
const KEYBOARD_DATA: u16 = 0x60;
const KEYBOARD_COMMAND: u16 = 0x64;

/// Vector, and what is done when it comes.
type Handler<'a> = (u32, &'a dyn Fn(&mut Program));

/// A guest with interrupts on that reports [`READY`] and then sleeps. What handlers do comes between their entry and
/// the end of the interrupt.
fn sleeping(setup: impl FnOnce(&mut Program), handlers: &[Handler<'_>]) -> Program {
    let mut program = Program::long();
    program.interrupt_table();
    let mut labels: Vec<_> = handlers.iter().map(|_| program.label()).collect();
    for ((vector, _), label) in handlers.iter().zip(&labels) {
        program.gate(*vector, *label);
    }
    program.enable_apic();
    // The PICs see lines 0 to 15 too.
    program.out8(0x21, 0xff);
    program.out8(0xa1, 0xff);
    setup(&mut program);
    program.out32(PROBE_PORT, READY as u32);
    program.asm.sti().unwrap();
    program.halt_forever();
    for ((_, handle), label) in handlers.iter().zip(&mut labels) {
        program.place(label);
        handle(&mut program);
        program.end_of_interrupt();
        program.asm.iretq().unwrap();
    }
    program
}

fn read8(program: &mut Program, port: u16) {
    program.asm.mov(eax, 0).unwrap();
    program.asm.mov(dx, u32::from(port)).unwrap();
    program.asm.in_(al, dx).unwrap();
}

/// One byte an interrupt, as drivers take it, reported with `mark`.
fn take_byte(program: &mut Program, mark: u64) {
    let mut none = program.label();
    read8(program, KEYBOARD_COMMAND);
    program.asm.test(al, 1).unwrap();
    program.asm.je(none).unwrap();
    read8(program, KEYBOARD_DATA);
    program.asm.or(eax, mark as i32).unwrap();
    program.out_eax(PROBE_PORT);
    program.place(&mut none);
}

/// Keyboard scanning, mouse reporting, both interrupts on.
fn typing_guest() -> Program {
    sleeping(
        |program| {
            program.ioapic(1, KEYBOARD_VECTOR);
            program.ioapic(12, MOUSE_VECTOR);
            program.out8(KEYBOARD_COMMAND, 0x60);
            program.out8(KEYBOARD_DATA, 0x47);
            program.out8(KEYBOARD_DATA, 0xf4);
            program.out8(KEYBOARD_COMMAND, 0xd4);
            program.out8(KEYBOARD_DATA, 0xf4);
        },
        &[
            (KEYBOARD_VECTOR, &|program| take_byte(program, 0)),
            (MOUSE_VECTOR, &|program| take_byte(program, BY_MOUSE)),
        ],
    )
}

struct Typing {
    running: Running,
    heard: mpsc::Receiver<u64>,
    input: Arc<dyn InputSink>,
}

impl Typing {
    fn start() -> Self {
        let (probe, heard) = Probe::listening();
        let builder = builder(spec(typing_guest()), &probe);
        let input = builder.input();
        let typing = Self {
            running: Running::start(builder),
            heard,
            input,
        };
        typing.ready();
        typing
    }

    /// Both devices have acknowledged.
    fn ready(&self) {
        assert_eq!(self.next(3), [READY, 0xfa, BY_MOUSE | 0xfa]);
    }

    fn next(&self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.heard.recv_timeout(LIMIT).unwrap()).collect()
    }

    fn key(&self, code: u8, down: bool) {
        self.input.send(InputEvent::Key {
            code: Scancode::Plain(code),
            down,
        });
    }

    /// Waits as a harness that types does.
    fn until_read(&self) {
        let start = Instant::now();
        while self.input.pending() > 0 {
            assert!(start.elapsed() < LIMIT, "{} events wait", self.input.pending());
            std::thread::yield_now();
        }
    }
}

#[test]
fn keys_and_mouse_packets_arrive_by_their_interrupts() {
    let typing = Typing::start();
    // One after the other, and then faster than the guest reads.
    for code in 0x02..0x37 {
        typing.key(code, true);
        assert_eq!(typing.next(1), [u64::from(code)]);
        typing.until_read();
        typing.key(code, false);
        assert_eq!(typing.next(1), [u64::from(code) | 0x80]);
    }
    let codes: Vec<u8> = (0x02..0x37).cycle().take(300).collect();
    for code in &codes {
        typing.key(*code, true);
        typing.key(*code, false);
    }
    for code in codes {
        assert_eq!(typing.next(2), [u64::from(code), u64::from(code) | 0x80]);
    }
    typing.until_read();
    typing.input.send(InputEvent::Motion { dx: 2, dy: -1 });
    let packet = [0x08, 2, 1].map(|byte| BY_MOUSE | byte);
    assert_eq!(typing.next(3), packet);
    let button = Button::Left;
    typing.input.send(InputEvent::Button { button, down: true });
    let packet = [0x09, 0, 0].map(|byte| BY_MOUSE | byte);
    assert_eq!(typing.next(3), packet);
    typing.until_read();
    typing.running.quit();
}

#[test]
fn what_is_typed_while_paused_arrives_afterwards_and_a_reset_forgets_it() {
    let typing = Typing::start();
    let call = |command| typing.running.handle.call(command).unwrap();
    call(Command::Pause);
    typing.key(0x1e, true);
    assert_eq!(typing.input.pending(), 1);
    call(Command::Resume);
    assert_eq!(typing.next(1), [0x1e]);
    call(Command::Pause);
    typing.key(0x1e, false);
    call(Command::Reset);
    assert_eq!(typing.input.pending(), 0);
    call(Command::Resume);
    typing.ready();
    typing.key(0x1f, true);
    assert_eq!(typing.next(1), [0x1f]);
    typing.running.quit();
}

#[test]
fn the_keyboard_controller_resets_the_machine() {
    let mut program = Program::new();
    program.out8(KEYBOARD_COMMAND, 0xfe);
    program.halt_forever();
    let ending = run(MachineSpec {
        on_reboot: OnReboot::Exit,
        ..spec(program)
    });
    assert_eq!(ending, Ending::Reboot);
}

#[test]
fn the_ports_between_are_not_the_keyboard_controller_s() {
    let probe = Arc::new(Probe::default());
    let mut program = Program::new();
    // The speaker's gate and data bits read back.
    program.out8(0x61, 0x03);
    read8(&mut program, 0x61);
    program.asm.and(eax, 3).unwrap();
    program.out_eax(PROBE_PORT);
    for port in [0x62, 0x63] {
        read8(&mut program, port);
        program.out_eax(PROBE_PORT);
    }
    program.exit(0);
    assert_eq!(Running::start(builder(spec(program), &probe)).ending(), Ending::Exit(0));
    assert_eq!(probe.values(), [3, 0xff, 0xff]);
}

/// Writes a CMOS byte.
fn set_cmos(program: &mut Program, index: u8, value: u8) {
    program.out8(0x70, index);
    program.out8(0x71, value);
}

#[test]
fn the_clock_interrupts_periodically_and_at_every_second() {
    let program = |control: u8| {
        sleeping(
            move |program| {
                program.ioapic(8, CLOCK_VECTOR);
                set_cmos(program, 0x0b, control);
            },
            &[(CLOCK_VECTOR, &|program: &mut Program| {
                program.out8(0x70, 0x0c);
                read8(program, 0x71);
                program.out_eax(PROBE_PORT);
            })],
        )
    };
    for (control, flag, count, least) in [
        // 24 hours and periodic at 1024 Hz; updates.
        (0x42, 0xc0, 200, Duration::from_millis(150)),
        (0x12, 0x90, 2, Duration::from_millis(900)),
    ] {
        let (probe, heard) = Probe::listening();
        let running = Running::start(builder(spec(program(control)), &probe));
        let next = || heard.recv_timeout(LIMIT).unwrap();
        assert_eq!(next(), READY);
        let start = Instant::now();
        for _ in 0..count {
            let flags = next();
            assert_eq!(flags & flag, flag, "{flags:#x}");
        }
        assert!(start.elapsed() >= least, "{:?} is too fast", start.elapsed());
        // Held, it is silent; afterwards it goes on.
        running.handle.call(Command::Pause).unwrap();
        while heard.try_recv().is_ok() {}
        running.handle.status().unwrap();
        assert!(heard.try_recv().is_err());
        running.handle.call(Command::Resume).unwrap();
        assert_eq!(next() & flag, flag);
        running.quit();
    }
}

#[test]
fn the_clock_tells_the_time_of_the_host_in_utc() {
    let probe = Arc::new(Probe::default());
    let mut program = Program::new();
    // Binary: century, year, month, day, hours.
    set_cmos(&mut program, 0x0b, 0x06);
    for index in [0x32, 0x09, 0x08, 0x07, 0x04] {
        program.out8(0x70, index);
        read8(&mut program, 0x71);
        program.out_eax(PROBE_PORT);
    }
    program.exit(0);
    let hours = || {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        now.as_secs() / 3600
    };
    let before = hours();
    assert_eq!(Running::start(builder(spec(program), &probe)).ending(), Ending::Exit(0));
    let [century, year, month, day, hour] = probe.values().try_into().unwrap();
    let leap = |year: u64| u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)));
    let year = century * 100 + year;
    let days: u64 = (1970..year).map(|year| 365 + leap(year)).sum();
    let lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = days + lengths.iter().take(month as usize - 1).sum::<u64>() + day - 1;
    assert!((before..=hours()).contains(&(days * 24 + hour)));
}

#[test]
fn a_guest_reports_its_panic_to_the_panic_device() {
    let probe = Arc::new(Probe::default());
    let mut program = Program::new();
    // Its ids and its BAR, by the config ports.
    for register in [0x00, 0x10] {
        program.out32(0xcf8, 0x8000_f000 | register);
        program.in_eax(0xcfc);
        program.out_eax(PROBE_PORT);
    }
    program.asm.mov(edi, eax).unwrap();
    program.asm.mov(eax, 0).unwrap();
    program.asm.mov(al, ptr(edi)).unwrap();
    program.out_eax(PROBE_PORT);
    // A crash kernel was loaded: that alone is not the end.
    program.asm.mov(al, 2).unwrap();
    program.asm.mov(ptr(edi), al).unwrap();
    program.out32(PROBE_PORT, 0x77);
    program.asm.mov(al, 1).unwrap();
    program.asm.mov(ptr(edi), al).unwrap();
    program.halt_forever();
    let ending = Running::start(builder(spec(program), &probe)).ending();
    assert!(matches!(ending, Ending::Crashed(_)), "{ending:?}");
    assert_eq!(ending.exit_code(), 3);
    let values = probe.values();
    assert_eq!([values[0], values[2], values[3]], [0x0011_1b36, 3, 0x77]);
    assert!((0xc000_0000..0xfec0_0000).contains(&values[1]), "{values:x?}");
}
