//! A guest that drives a VDIPort: rings in memory, a doorbell, a level-triggered line, and a machine that is saved.

use std::sync::{Arc, mpsc};

use caraway_base::memory::SharedMemory;
use caraway_ports::port::{HostPort, port};
use caraway_vdiport::{BAR_SIZE, VdiPort, VdiPortArgs};
use iced_x86::code_asm::{
    CodeLabel, al, bl, dword_ptr, dx, eax, ebx, ecx, edi, edx, ptr, r12, r12d, r13, r13d, r14d, r15d, rax, rdi, rdx,
};

use super::{
    LIMIT, PROBE_PORT, Probe, Running, builder,
    program::{Program, SCRATCH},
    snapshot::{restored, save, spec_of},
};
use crate::{Command, Ending, EventSet, MachineBuilder, Next};

const VECTOR: u32 = 0x40;
const SLOT: u8 = 3;
const PLACE: &str = "00:03.0";
/// IOAPIC input of the slot's INTA#, and how PCI lines are.
const INPUT: u32 = 19;
const LEVEL_LOW: u32 = 1 << 15 | 1 << 13;

// Registers, and fields of the shared memory.
const CONNECTION: i32 = 0;
const NOTIFY: i32 = 4;
const UPDATE_IRQ: i32 = 8;
const GENERATION: i32 = 0x0004;
const INT_PENDING: i32 = 0x0008;
const INT_MASK: i32 = 0x000c;
const INPUT_PROD: i32 = 0x0014;
const INPUT_NOTIFY_ON_PROD: i32 = 0x0018;
const INPUT_CONS: i32 = 0x001c;
const INPUT_ITEMS: i32 = 0x0024;
const OUTPUT_PROD: i32 = 0x4028;
const OUTPUT_NOTIFY_ON_PROD: i32 = 0x402c;
const OUTPUT_CONS: i32 = 0x4030;
const OUTPUT_ITEMS: i32 = 0x4038;

/// What the guest reports between its values: it waits for the host to hang up; it has let go.
const WAITS: u32 = 0x1000;
const GONE: u32 = 0x2000;

/// Packets of the long message, and bytes in each. Three times round the ring.
const PACKETS: u32 = 100;
const PACKET_BYTES: u32 = 300;

/// Throughout, r12 has the first port, r13 the memory, r15 the generation.
struct Driver {
    program: Program,
    handler: CodeLabel,
}

impl Driver {
    /// Finds the device, opens its interrupt, connects and reports the generation.
    fn new() -> Self {
        let mut program = Program::long();
        let handler = program.label();
        program.interrupt_table();
        program.gate(VECTOR, handler);
        program.enable_apic();
        program.out8(0x21, 0xff);
        program.out8(0xa1, 0xff);
        program.ioapic(INPUT, VECTOR | LEVEL_LOW);
        program.store32(SCRATCH, 0);
        program.out32(0xcf8, 0x8000_0000 | u32::from(SLOT) << 11 | 0x10);
        program.in_eax(0xcfc);
        program.asm.and(eax, 0xfffc).unwrap();
        program.asm.mov(r12d, eax).unwrap();
        program.out32(0xcf8, 0x8000_0000 | u32::from(SLOT) << 11 | 0x14);
        program.in_eax(0xcfc);
        program.asm.and(eax, -16).unwrap();
        program.asm.mov(r13d, eax).unwrap();
        let mut driver = Self { program, handler };
        driver.port(CONNECTION);
        driver.program.asm.in_(eax, dx).unwrap();
        driver.program.asm.mov(r15d, eax).unwrap();
        driver.report();
        driver.program.asm.mov(dword_ptr(r13 + INT_MASK), 1).unwrap();
        driver.write(UPDATE_IRQ);
        driver
    }

    fn port(&mut self, register: i32) {
        self.program.asm.lea(edx, ptr(r12 + register)).unwrap();
    }

    fn write(&mut self, register: i32) {
        self.port(register);
        self.program.asm.out(dx, eax).unwrap();
    }

    fn report(&mut self) {
        self.program.out_eax(PROBE_PORT);
    }

    /// Puts a packet of this generation, `size` times the byte in bl, when there is room.
    fn put(&mut self, size: u32) {
        let asm = &mut self.program.asm;
        let mut full = asm.create_label();
        let mut quiet = asm.create_label();
        asm.set_label(&mut full).unwrap();
        asm.mov(r14d, dword_ptr(r13 + INPUT_PROD)).unwrap();
        asm.mov(ecx, r14d).unwrap();
        asm.sub(ecx, dword_ptr(r13 + INPUT_CONS)).unwrap();
        asm.cmp(ecx, 32).unwrap();
        asm.je(full).unwrap();
        asm.mov(eax, r14d).unwrap();
        asm.and(eax, 31).unwrap();
        asm.shl(eax, 9).unwrap();
        asm.lea(rdi, ptr(r13 + rax + INPUT_ITEMS)).unwrap();
        asm.mov(dword_ptr(rdi), r15d).unwrap();
        asm.mov(dword_ptr(rdi + 4), size).unwrap();
        asm.add(rdi, 8).unwrap();
        asm.mov(al, bl).unwrap();
        asm.mov(ecx, size).unwrap();
        asm.rep().stosb().unwrap();
        asm.inc(r14d).unwrap();
        // An exchange is a full barrier.
        asm.mov(eax, r14d).unwrap();
        asm.xchg(dword_ptr(r13 + INPUT_PROD), eax).unwrap();
        asm.cmp(dword_ptr(r13 + INPUT_NOTIFY_ON_PROD), r14d).unwrap();
        asm.jne(quiet).unwrap();
        self.write(NOTIFY);
        self.program.place(&mut quiet);
    }

    /// Takes a packet and reports its generation, its size and its first four bytes.
    fn take(&mut self) {
        let asm = &mut self.program.asm;
        asm.mov(r14d, dword_ptr(r13 + OUTPUT_CONS)).unwrap();
        asm.mov(eax, r14d).unwrap();
        asm.and(eax, 31).unwrap();
        asm.shl(eax, 9).unwrap();
        asm.lea(rdi, ptr(r13 + rax + OUTPUT_ITEMS)).unwrap();
        for offset in [0, 4, 8] {
            self.program.asm.mov(eax, dword_ptr(rdi + offset)).unwrap();
            self.report();
        }
        let asm = &mut self.program.asm;
        asm.inc(r14d).unwrap();
        asm.mov(dword_ptr(r13 + OUTPUT_CONS), r14d).unwrap();
    }

    /// Asks to be told of the next packet.
    fn arm(&mut self) {
        let asm = &mut self.program.asm;
        asm.mov(eax, dword_ptr(r13 + OUTPUT_PROD)).unwrap();
        asm.inc(eax).unwrap();
        asm.xchg(dword_ptr(r13 + OUTPUT_NOTIFY_ON_PROD), eax).unwrap();
    }

    /// Sleeps until the device has interrupted.
    fn wait(&mut self) {
        let again = self.program.here();
        let asm = &mut self.program.asm;
        let mut told = asm.create_label();
        asm.cli().unwrap();
        asm.mov(edi, SCRATCH).unwrap();
        asm.mov(eax, ptr(edi)).unwrap();
        asm.test(eax, eax).unwrap();
        asm.jne(told).unwrap();
        asm.sti().unwrap();
        asm.hlt().unwrap();
        asm.jmp(again).unwrap();
        self.program.place(&mut told);
        self.program.store32(SCRATCH, 0);
    }

    /// Takes the generation there is now and reports it.
    fn adopt(&mut self) {
        self.program.asm.mov(eax, dword_ptr(r13 + GENERATION)).unwrap();
        self.program.asm.mov(r15d, eax).unwrap();
        self.report();
    }

    /// The program with its handler, which takes what is pending and lowers the line.
    fn kernel(self) -> Arc<[u8]> {
        let Self {
            mut program,
            mut handler,
        } = self;
        program.halt_forever();
        program.place(&mut handler);
        let asm = &mut program.asm;
        asm.push(rax).unwrap();
        asm.push(rdx).unwrap();
        asm.push(rdi).unwrap();
        asm.mov(eax, 0).unwrap();
        asm.xchg(dword_ptr(r13 + INT_PENDING), eax).unwrap();
        asm.mov(edi, SCRATCH).unwrap();
        asm.or(ptr(edi), eax).unwrap();
        asm.lea(edx, ptr(r12 + UPDATE_IRQ)).unwrap();
        asm.out(dx, eax).unwrap();
        program.end_of_interrupt();
        let asm = &mut program.asm;
        asm.pop(rdi).unwrap();
        asm.pop(rdx).unwrap();
        asm.pop(rax).unwrap();
        asm.iretq().unwrap();
        program.kernel()
    }
}

fn plug(builder: &mut MachineBuilder, device: VdiPort) -> Arc<VdiPort> {
    let device = Arc::new(device);
    let attended = Arc::clone(&device);
    let attend = Box::new(move |_| {
        attended.attend();
        Next::Keep
    });
    builder
        .register_event(device.wake().clone(), EventSet::IN, attend)
        .unwrap();
    builder.add_pci(SLOT, device.clone()).unwrap();
    builder.add_record(PLACE, device.clone());
    builder.add_lifecycle(device.clone());
    device
}

/// The host's side, and its news.
struct Host {
    port: HostPort,
    woken: mpsc::Receiver<()>,
}

impl Host {
    fn new(port: HostPort) -> Self {
        let (sender, woken) = mpsc::channel();
        port.set_waker(Arc::new(move || {
            sender.send(()).ok();
        }));
        Self { port, woken }
    }

    fn hear(&self, connection: u64, count: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let mut bytes = [0; 4096];
            let read = self.port.read(connection, &mut bytes);
            heard.extend_from_slice(&bytes[..read]);
            if read == 0 {
                self.woken.recv_timeout(LIMIT).unwrap();
            }
        }
        heard
    }

    fn until(&self, is_open: bool) {
        while self.port.connection().is_open != is_open {
            self.woken.recv_timeout(LIMIT).unwrap();
        }
    }
}

fn word(bytes: &[u8; 4]) -> u64 {
    u32::from_le_bytes(*bytes).into()
}

#[test]
fn a_guest_and_the_host_talk_hang_up_and_talk_again() {
    let mut driver = Driver::new();
    driver.program.asm.mov(ebx, 0).unwrap();
    let again = driver.program.here();
    driver.put(PACKET_BYTES);
    driver.program.asm.inc(ebx).unwrap();
    driver.program.asm.cmp(ebx, PACKETS as i32).unwrap();
    driver.program.asm.jne(again).unwrap();
    driver.wait();
    driver.take();
    driver.arm();
    driver.program.out32(PROBE_PORT, WAITS);
    driver.wait();
    driver.adopt();
    driver.program.asm.mov(ebx, 0x55).unwrap();
    driver.put(3);
    driver.wait();
    driver.take();
    driver.write(CONNECTION);
    driver.program.out32(PROBE_PORT, GONE);
    driver.program.exit(0);
    let (probe, heard) = Probe::listening();
    let mut builder = builder(spec_of(&driver.kernel()), &probe);
    let (host, device) = port();
    plug(&mut builder, VdiPort::new(device).unwrap());
    let host = Host::new(host);
    let running = Running::start(builder);
    let next = |count: usize| -> Vec<u64> { (0..count).map(|_| heard.recv_timeout(LIMIT).unwrap()).collect() };

    assert_eq!(next(1), [1]);
    let told = host.hear(1, (PACKETS * PACKET_BYTES) as usize);
    let expected: Vec<u8> = (0..PACKETS)
        .flat_map(|packet| vec![packet as u8; PACKET_BYTES as usize])
        .collect();
    assert!(told == expected);
    assert_eq!(host.port.write(1, b"answer"), 6);
    assert_eq!(next(4), [1, 6, word(b"answ"), WAITS.into()]);
    host.port.hang_up(1);
    assert_eq!(next(1), [2]);
    host.until(true);
    assert_eq!(host.hear(2, 3), [0x55; 3]);
    assert_eq!(host.port.write(2, b"bye!"), 4);
    assert_eq!(next(4), [2, 4, word(b"bye!"), GONE.into()]);
    host.until(false);
    assert_eq!(running.ending(), Ending::Exit(0));
}

#[test]
fn a_restored_guest_is_told_that_its_host_is_another_one() {
    let mut driver = Driver::new();
    driver.program.out32(PROBE_PORT, WAITS);
    let again = driver.program.here();
    driver.wait();
    driver.adopt();
    driver.program.asm.mov(ebx, 0x55).unwrap();
    driver.put(3);
    driver.program.asm.jmp(again).unwrap();
    let kernel = driver.kernel();
    let (probe, heard) = Probe::listening();
    let next = || heard.recv_timeout(LIMIT).unwrap();
    let mut first = builder(spec_of(&kernel), &probe);
    let (host, device) = port();
    let mut device = plug(&mut first, VdiPort::new(device).unwrap());
    let mut running = Running::start(first);
    assert_eq!((next(), next()), (1, WAITS.into()));
    assert!(host.connection().is_open);
    for generation in 2..5 {
        running.handle.call(Command::Pause).unwrap();
        let taken = save(&running);
        running.quit();
        let memory = SharedMemory::allocate("vdiport", BAR_SIZE).unwrap();
        memory
            .write(0, &device.memory().read_vec(0, BAR_SIZE).unwrap())
            .unwrap();
        let (host, port) = port();
        let mut builder = restored(spec_of(&kernel), &taken, &probe);
        let restored = builder.restore(PLACE, VdiPortArgs { port, memory }).unwrap();
        device = plug(&mut builder, restored);
        running = Running::start(builder);
        let host = Host::new(host);
        assert_eq!(next(), generation);
        assert_eq!(host.hear(1, 3), [0x55; 3]);
    }
    running.quit();
}
