//! A guest that drives the tablet: it reports each event it is told, over a level-triggered line.

use std::sync::{Arc, mpsc::Receiver};

use caraway_ports::{
    input::Button,
    tablet::{TabletEvent, TabletSink as _},
};
use caraway_virtio::{Input, Tablet, VirtioPci};
use iced_x86::code_asm::{
    CodeLabel, ax, bl, byte_ptr, cx, dword_ptr, dx, eax, ebx, ecx, edi, edx, ptr, qword_ptr, r12, r12d, r13d, r13w,
    rbx, rcx, rdi, word_ptr,
};

use super::{
    LIMIT, PROBE_PORT, Probe, Running, builder,
    program::Program,
    snapshot::{restored, save, spec_of},
};
use crate::{Command, MachineBuilder};

const SLOT: u8 = 4;
const PLACE: &str = "00:04.0";
const VECTOR: u32 = 0x40;
/// IOAPIC input of the slot's INTA#, and how PCI lines are.
const INPUT: u32 = 16;
const LEVEL_LOW: u32 = 1 << 15 | 1 << 13;
const READY: u64 = 0x1000_0000;

/// Where the structures are in BAR 0, and fields of the common one (virtio 1.2, 4.1.4.3).
const DRIVER_FEATURE_SELECT: i32 = 0x08;
const DRIVER_FEATURE: i32 = 0x0c;
const STATUS: i32 = 0x14;
const QUEUE_SELECT: i32 = 0x16;
const QUEUE_SIZE: i32 = 0x18;
const QUEUE_ENABLE: i32 = 0x1c;
const QUEUE_DESC: i32 = 0x20;
const QUEUE_DRIVER: i32 = 0x28;
const QUEUE_DEVICE: i32 = 0x30;
const ISR: i32 = 0x1000;
const CONFIG: i32 = 0x2000;
const NOTIFY: i32 = 0x3000;

/// The event queue in memory.
const SIZE: u32 = 16;
const TABLE: u32 = 0x23_0000;
const AVAILABLE: u32 = 0x23_1000;
const USED: u32 = 0x23_2000;
const EVENTS: u32 = 0x23_3000;

/// Finds the device and starts it; reports the farthest place on the X axis as the device says it, then [`READY`].
/// Throughout, r12 has the BAR and r13 the next used element.
fn guest() -> Arc<[u8]> {
    let mut program = Program::long();
    let mut handler: CodeLabel = program.label();
    program.interrupt_table();
    program.gate(VECTOR, handler);
    program.enable_apic();
    program.out8(0x21, 0xff);
    program.out8(0xa1, 0xff);
    program.ioapic(INPUT, VECTOR | LEVEL_LOW);
    // Memory and bus master.
    program.out32(0xcf8, 0x8000_0000 | u32::from(SLOT) << 11 | 0x04);
    program.out16(0xcfc, 0x0006);
    program.out32(0xcf8, 0x8000_0000 | u32::from(SLOT) << 11 | 0x10);
    program.in_eax(0xcfc);
    let asm = &mut program.asm;
    asm.and(eax, -16).unwrap();
    asm.mov(r12d, eax).unwrap();
    asm.mov(r13d, 0).unwrap();
    // ABS_INFO of axis 0, its second word.
    asm.mov(byte_ptr(r12 + CONFIG), 0x12).unwrap();
    asm.mov(byte_ptr(r12 + CONFIG + 1), 0).unwrap();
    asm.mov(eax, dword_ptr(r12 + CONFIG + 12)).unwrap();
    program.out_eax(PROBE_PORT);
    for descriptor in 0..SIZE {
        let at = TABLE + 16 * descriptor;
        program.store32(at, EVENTS + 8 * descriptor);
        program.store32(at + 4, 0);
        program.store32(at + 8, 8);
        // The device writes it.
        program.store32(at + 12, 2);
    }
    for pair in 0..SIZE / 2 {
        program.store32(AVAILABLE + 4 + 4 * pair, (2 * pair) | ((2 * pair + 1) << 16));
    }
    program.store32(AVAILABLE, SIZE << 16);
    program.store32(USED, 0);
    let asm = &mut program.asm;
    for status in [0, 1, 3] {
        asm.mov(byte_ptr(r12 + STATUS), status).unwrap();
    }
    // VERSION_1 and nothing else.
    for (select, features) in [(0, 0), (1, 1)] {
        asm.mov(dword_ptr(r12 + DRIVER_FEATURE_SELECT), select).unwrap();
        asm.mov(dword_ptr(r12 + DRIVER_FEATURE), features).unwrap();
    }
    asm.mov(byte_ptr(r12 + STATUS), 0xb).unwrap();
    asm.mov(word_ptr(r12 + QUEUE_SELECT), 0).unwrap();
    asm.mov(word_ptr(r12 + QUEUE_SIZE), SIZE as i32).unwrap();
    for (register, address) in [(QUEUE_DESC, TABLE), (QUEUE_DRIVER, AVAILABLE), (QUEUE_DEVICE, USED)] {
        asm.mov(qword_ptr(r12 + register), address as i32).unwrap();
    }
    asm.mov(word_ptr(r12 + QUEUE_ENABLE), 1).unwrap();
    asm.mov(byte_ptr(r12 + STATUS), 0xf).unwrap();
    program.out32(PROBE_PORT, READY as u32);
    program.asm.sti().unwrap();
    program.halt_forever();
    program.place(&mut handler);
    // Reading it lowers the line.
    program.asm.mov(bl, byte_ptr(r12 + ISR)).unwrap();
    take_events(&mut program);
    program.asm.mov(word_ptr(r12 + NOTIFY), 0).unwrap();
    program.end_of_interrupt();
    program.asm.iretq().unwrap();
    program.kernel()
}

/// Reports type and code, then the value of each event, and gives its buffer back.
fn take_events(program: &mut Program) {
    let again = program.here();
    let asm = &mut program.asm;
    let mut none = asm.create_label();
    asm.mov(edi, USED).unwrap();
    asm.mov(cx, word_ptr(rdi + 2)).unwrap();
    asm.cmp(cx, r13w).unwrap();
    asm.je(none).unwrap();
    asm.mov(ecx, r13d).unwrap();
    asm.and(ecx, SIZE as i32 - 1).unwrap();
    asm.mov(ebx, dword_ptr(rdi + rcx * 8 + 4)).unwrap();
    asm.mov(edi, EVENTS).unwrap();
    for word in [0, 4] {
        program.asm.mov(eax, dword_ptr(rdi + rbx * 8 + word)).unwrap();
        program.out_eax(PROBE_PORT);
    }
    let asm = &mut program.asm;
    asm.mov(edi, AVAILABLE).unwrap();
    asm.mov(edx, 0).unwrap();
    asm.mov(dx, word_ptr(rdi + 2)).unwrap();
    asm.mov(ecx, edx).unwrap();
    asm.and(ecx, SIZE as i32 - 1).unwrap();
    asm.mov(eax, ebx).unwrap();
    asm.mov(ptr(rdi + rcx * 2 + 4), ax).unwrap();
    asm.inc(edx).unwrap();
    asm.mov(ptr(rdi + 2), dx).unwrap();
    asm.inc(r13d).unwrap();
    asm.jmp(again).unwrap();
    program.place(&mut none);
}

fn plug(
    builder: &mut MachineBuilder,
    tablet: Tablet,
    function: impl FnOnce(&mut MachineBuilder, Input) -> VirtioPci,
) -> Arc<Tablet> {
    let tablet = Arc::new(tablet);
    let device = Input::new(tablet.clone()).unwrap();
    let function = Arc::new(function(builder, device));
    builder.add_record(PLACE, tablet.clone());
    builder.add_pci(SLOT, function.clone()).unwrap();
    builder.add_record(PLACE, function.clone());
    builder.add_lifecycle(function);
    tablet
}

/// The values the guest reports.
struct Heard(Receiver<u64>);

impl Heard {
    fn next(&self) -> u64 {
        self.0.recv_timeout(LIMIT).unwrap()
    }

    fn ready(&self) {
        assert_eq!((self.next(), self.next()), (0x7fff, READY));
    }

    /// The next group: type, code, value of each event, without the SYN_REPORT at its end.
    fn group(&self) -> Vec<(u64, u64, u64)> {
        let mut events = Vec::new();
        loop {
            let (head, value) = (self.next(), self.next());
            if (head, value) == (0, 0) {
                return events;
            }
            events.push((head & 0xffff, head >> 16, value));
        }
    }
}

fn at(x: u16, y: u16) -> [TabletEvent; 2] {
    [TabletEvent::X(x), TabletEvent::Y(y)]
}

fn left(down: bool) -> TabletEvent {
    let button = Button::Left;
    TabletEvent::Button { button, down }
}

#[test]
fn a_guest_is_told_where_the_pointer_is_and_what_is_pressed_also_after_a_reset_and_a_restore() {
    let kernel = guest();
    let (probe, heard) = Probe::listening();
    let heard = Heard(heard);
    let mut first = builder(spec_of(&kernel), &probe);
    let tablet = plug(&mut first, Tablet::new(), |builder, device| {
        VirtioPci::new(Box::new(device), builder.guest_ram()).unwrap()
    });
    assert!(!tablet.is_present());
    let running = Running::start(first);
    heard.ready();
    assert!(tablet.is_present());
    // Many times round the ring.
    for place in 0..200_u16 {
        tablet.send(&at(place, 0x7fff - place));
        let place = u64::from(place);
        assert_eq!(heard.group(), [(3, 0, place), (3, 1, 0x7fff - place)]);
    }
    tablet.send(&[TabletEvent::X(7), left(true), TabletEvent::Wheel(-1)]);
    assert_eq!(heard.group(), [(3, 0, 7), (1, 0x110, 1), (2, 8, 1)]);

    running.handle.call(Command::Pause).unwrap();
    running.handle.call(Command::Reset).unwrap();
    assert!(!tablet.is_present());
    running.handle.call(Command::Resume).unwrap();
    heard.ready();
    assert!(tablet.is_present());
    tablet.send(&[left(true)]);
    assert_eq!(heard.group(), [(1, 0x110, 1)], "this driver knows of no button");

    running.handle.call(Command::Pause).unwrap();
    tablet.send(&at(1, 2));
    let taken = save(&running);
    running.quit();
    let mut next = restored(spec_of(&kernel), &taken, &probe);
    let saved = next.restore::<Tablet>(PLACE, ()).unwrap();
    let tablet = plug(&mut next, saved, |builder, device| {
        let args = (
            Box::new(device) as Box<dyn caraway_virtio::VirtioDevice>,
            builder.guest_ram(),
        );
        builder.restore::<VirtioPci>(PLACE, args).unwrap()
    });
    let running = Running::start(next);
    assert_eq!(heard.group(), [(3, 0, 1), (3, 1, 2)]);
    tablet.send(&[left(false)]);
    assert_eq!(heard.group(), [(1, 0x110, 0)]);
    running.quit();
}
