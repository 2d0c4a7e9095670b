use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use caraway_base::irq::IrqLine;
use caraway_ports::{
    display::{DisplayCommand, Pixels},
    geometry::Rect,
};

use super::*;
use crate::{
    QxlSizes,
    header::{RamHeader, offset},
    interrupts,
    testing::{
        BAR0, BAR1, TestLine, config,
        guest::{Frame, Packed, slot},
        sink::TestSink,
    },
};

const MIB: u64 = 1 << 20;
/// Long enough for any machine.
const LONG: Duration = Duration::from_secs(60);

/// A viewer that can be held up and that says when it is.
#[derive(Default)]
struct Gate {
    sink: TestSink,
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    waiting: bool,
}

impl Gate {
    fn close(&self) {
        lock(&self.state).closed = true;
    }

    fn open(&self) {
        lock(&self.state).closed = false;
        self.changed.notify_all();
    }

    /// Waits until the display thread stands at the gate.
    fn await_visitor(&self) {
        let state = self
            .changed
            .wait_timeout_while(lock(&self.state), LONG, |state| !state.waiting)
            .unwrap();
        assert!(state.0.waiting);
    }
}

impl DisplaySink for Gate {
    fn submit(&self, command: DisplayCommand) {
        let mut state = lock(&self.state);
        if state.closed {
            state.waiting = true;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.closed).unwrap();
            state.waiting = false;
        }
        drop(state);
        self.sink.submit(command);
    }

    fn read(&self, surface: u32, area: Rect) -> Option<Pixels> {
        self.sink.read(surface, area)
    }
}

/// A running device and what its guest sees of it.
struct Guest {
    device: Arc<Qxl>,
    gate: Arc<Gate>,
    line: Arc<TestLine>,
    header: RamHeader,
}

impl Guest {
    fn new() -> Self {
        let gate = Arc::new(Gate::default());
        let device = Qxl::new(config(), gate.clone()).unwrap();
        let line = Arc::new(TestLine::default());
        device.plugged(PciInterrupts {
            intx: Some(line.clone() as Arc<dyn IrqLine>),
            msix: Vec::new(),
            msix_enabled: Arc::default(),
        });
        device.bar_moved(0, Some(BAR0));
        device.bar_moved(1, Some(BAR1));
        let header = device.shared.core.header.clone();
        Self {
            device,
            gate,
            line,
            header,
        }
    }

    /// Reset, both slots and a screen of 640x480, by synchronous ports.
    fn with_screen() -> Self {
        let guest = Self::new();
        guest.start();
        guest
    }

    fn start(&self) {
        self.out(ports::RESET, 0);
        self.header.store(offset::INT_MASK, 0x27);
        let ram = BAR0 + self.device.shared.core.config.sizes.ram_header();
        for (id, start, end) in [(1, BAR0, ram), (2, BAR1, BAR1 + 16 * MIB)] {
            self.header
                .write(offset::MEMORY_SLOT, &Packed::new().u64(start).u64(end).0);
            self.out(ports::ADD_SLOT, id);
        }
        let primary = Packed::new()
            .u32(640)
            .u32(480)
            .i32(2560)
            .u32(32)
            .zeros(16)
            .u64(slot(2, 0));
        self.header.write(offset::CREATE_SURFACE, &primary.0);
        self.out(ports::CREATE_PRIMARY, 0);
    }

    fn out(&self, port: u8, value: u8) {
        assert_eq!(self.device.bar_write(3, port.into(), &[value]), Outcome::Done);
    }

    /// Puts a fill of the top left corner into the ring.
    fn push(&self, id: u64, colour: u32) {
        let at = 8 * MIB + id * 256;
        let frame = Frame { id, ..Frame::default() };
        let body = frame.with(&Packed::new().solid(colour).u16(8).no_mask());
        self.memory().ram.write(at, &body.0).unwrap();
        let producer = self.header.load(offset::COMMAND_RING + offset::RING_PRODUCER);
        let item = offset::COMMAND_RING + offset::RING_ITEMS + 16 * u64::from(producer % 32);
        self.header.write(item, &Packed::new().u64(slot(1, at)).u32(1).u32(0).0);
        self.header
            .store(offset::COMMAND_RING + offset::RING_PRODUCER, producer.wrapping_add(1));
    }

    /// Rings as the guest's port write does, which never reaches the device's code.
    fn ring(&self) {
        self.device.doorbells(3)[0].event.write(1).unwrap();
    }

    /// Returns when everything pushed so far is done.
    fn update(&self) {
        let argument = Packed::new().rect([0, 0, 1, 1]).u32(0);
        self.header.write(offset::UPDATE_AREA, &argument.0);
        self.out(ports::UPDATE_AREA, 0);
    }

    fn memory(&self) -> &GuestMemory {
        &self.device.shared.core.memory
    }

    fn take_pending(&self) -> u32 {
        let base = self.device.shared.core.config.sizes.ram_header();
        let bits = self.memory().ram.swap_u32(base + offset::INT_PENDING, 0).unwrap();
        self.out(ports::UPDATE_IRQ, 0);
        bits
    }

    fn pixel(&self) -> u32 {
        self.gate.sink.pixel(0, 0, 0)
    }
}

#[test]
fn the_identity_is_what_drivers_look_for() {
    for (primary, class) in [(true, [3, 0, 0]), (false, [3, 0x80, 0])] {
        let config = QxlConfig { primary, ..config() };
        let device = Qxl::new(config, Arc::new(TestSink::default())).unwrap();
        let identity = device.identity();
        assert_eq!((identity.vendor, identity.device), (0x1b36, 0x0100));
        assert_eq!((identity.subsystem_vendor, identity.subsystem), (0x1af4, 0x1100));
        assert_eq!((identity.revision, identity.class), (5, class));
        assert!(identity.intx);
        assert!(device.capabilities().is_empty(), "no MSI, no power management");
    }
}

#[test]
fn the_bars_have_their_order_kinds_and_sizes() {
    let bars = |sizes| {
        let config = QxlConfig { sizes, ..config() };
        let device = Qxl::new(config, Arc::new(TestSink::default())).unwrap();
        device
            .bars()
            .into_iter()
            .map(|bar| {
                let kind = match bar.kind {
                    BarKind::Ports => "ports",
                    BarKind::Registers => "registers",
                    BarKind::Memory {
                        read_only: true,
                        log_dirty: false,
                        ..
                    } => "rom",
                    BarKind::Memory {
                        read_only: false,
                        log_dirty: true,
                        offset: 0,
                        ..
                    } => "ram",
                    BarKind::Memory { .. } => "something else",
                };
                (bar.index, bar.size, bar.wide, bar.prefetchable, kind)
            })
            .collect::<Vec<_>>()
    };
    let mut expected = vec![
        (0, 64 * MIB, false, false, "ram"),
        (1, 64 * MIB, false, false, "ram"),
        (2, 8192, false, false, "rom"),
        (3, 32, false, false, "ports"),
    ];
    assert_eq!(bars(QxlSizes::default()), expected);
    let wide = QxlSizes::new(16 * MIB, 64 * MIB, 64 * MIB, Some(256 * MIB)).unwrap();
    expected.push((4, 256 * MIB, true, true, "ram"));
    assert_eq!(bars(wide), expected);
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let refused = |config| Qxl::new(config, Arc::new(TestSink::default())).is_err();
    for revision in [0, 6, 255] {
        assert!(refused(QxlConfig { revision, ..config() }));
    }
    for heads in [0, 65, u16::MAX] {
        assert!(refused(QxlConfig { heads, ..config() }));
    }
    assert!(!refused(QxlConfig {
        revision: 4,
        heads: 64,
        ..config()
    }));
}

#[test]
fn ports_read_as_ones_and_wide_writes_mean_nothing() {
    let guest = Guest::with_screen();
    for width in [1, 2, 4] {
        let mut data = vec![0xff; width];
        guest.device.bar_read(3, 5, &mut data);
        assert_eq!(data, vec![0xff; width]);
    }
    let reset = [ports::RESET; 4];
    for data in [&reset[..2], &reset, &[]] {
        guest.device.bar_write(3, ports::RESET.into(), data);
    }
    guest.device.bar_write(2, 0, &[0]);
    guest.device.bar_write(3, 256 + u64::from(ports::RESET), &[0]);
    assert_eq!(guest.device.counters().ignored_accesses, 5);
    assert_eq!(guest.device.shared.core.front().mode, Mode::Native);
}

#[test]
fn doorbells_cover_the_two_notifications() {
    let guest = Guest::with_screen();
    let bells = guest.device.doorbells(3);
    let places: Vec<_> = bells.iter().map(|bell| (bell.offset, bell.width, bell.value)).collect();
    assert_eq!(places, [(0, 1, None), (1, 1, None)]);
    assert!((0..3).chain(4..6).all(|bar| guest.device.doorbells(bar).is_empty()));
    for bell in bells {
        guest.take_pending();
        let id = guest.device.counters().commands + 1;
        guest.push(id, id as u32);
        guest.header.store(
            offset::RELEASE_RING + offset::RING_CONSUMER,
            guest.header.load(offset::RELEASE_RING + offset::RING_PRODUCER),
        );
        bell.event.write(1).unwrap();
        assert!(guest.line.wait(LONG), "the command came back");
        assert_eq!(guest.pixel(), id as u32);
    }
}

#[test]
fn a_guest_that_takes_returns_without_a_word_gets_the_next_ones() {
    let guest = Guest::with_screen();
    // The device looks for a while and then rests until something happens; a machine that is slower than that gets
    // another try.
    for round in 0..50 {
        let first = 2 * round + 1;
        guest.push(first, 1);
        guest.ring();
        assert!(guest.line.wait(LONG));
        guest.take_pending();
        guest.push(first + 1, 2);
        guest.update();
        let published = guest.header.load(offset::RELEASE_RING + offset::RING_PRODUCER);
        guest
            .header
            .store(offset::RELEASE_RING + offset::RING_CONSUMER, published);
        if guest.line.wait(Duration::from_secs(2)) {
            let now = guest.header.load(offset::RELEASE_RING + offset::RING_PRODUCER);
            assert_eq!(now, published.wrapping_add(1));
            return;
        }
    }
    panic!("nothing came back");
}

#[test]
fn a_synchronous_port_returns_after_five_seconds_and_the_work_goes_on() {
    let guest = Guest::with_screen();
    guest.gate.close();
    guest.push(1, 0x77);
    guest.ring();
    guest.gate.await_visitor();
    let start = Instant::now();
    guest.out(ports::DESTROY_PRIMARY, 0);
    assert!(start.elapsed() >= PORT_WAIT);
    assert_eq!(guest.device.counters().timeouts, 1);
    assert_eq!(guest.gate.sink.live(), [0], "not done yet");
    guest.gate.open();
    guest.out(ports::FLUSH_RELEASE, 0);
    assert!(guest.gate.sink.live().is_empty(), "done before what came later");
    assert_eq!(guest.memory().vram.load_u32(0).unwrap(), 0x77);
    assert_eq!(guest.device.counters().timeouts, 1);
}

#[test]
fn a_reset_while_the_display_thread_is_busy_ends_what_it_does() {
    let guest = Guest::with_screen();
    guest.gate.close();
    guest.push(1, 0x77);
    guest.push(2, 0x78);
    guest.ring();
    guest.gate.await_visitor();
    guest.out(ports::FLUSH_RELEASE + 1, 0);
    thread::scope(|scope| {
        let reset = scope.spawn(|| guest.out(ports::RESET, 0));
        // The port is free and slots are gone at once; the rest waits for the display thread.
        while guest.device.shared.core.front().epoch < 2 {
            thread::yield_now();
        }
        let front = guest.device.shared.core.front();
        assert_eq!(front.current_async, None);
        assert_eq!(front.slots.get(1), None);
        drop(front);
        guest.gate.open();
        reset.join().unwrap();
    });
    assert_eq!(guest.device.counters().timeouts, 0);
    assert_eq!(guest.device.counters().commands, 1, "the second was not taken");
    for field in [offset::RING_PRODUCER, offset::RING_CONSUMER] {
        assert_eq!(guest.header.load(offset::COMMAND_RING + field), 0);
        assert_eq!(guest.header.load(offset::RELEASE_RING + field), 0);
    }
    assert_eq!(guest.header.load(offset::INT_PENDING), 0);
    guest.start();
    guest.push(3, 0x99);
    guest.update();
    assert_eq!(guest.pixel(), 0x99);
}

#[test]
fn a_pause_finishes_what_was_asked_for_and_then_nothing_moves() {
    let guest = Guest::with_screen();
    for id in 1..=20 {
        guest.push(id, id as u32);
    }
    guest.out(ports::FLUSH_SURFACES_ASYNC, 0);
    guest.device.pause();
    assert_eq!(guest.pixel(), 20);
    assert_eq!(
        guest.memory().vram.load_u32(0).unwrap(),
        20,
        "the picture is in guest memory"
    );
    assert_ne!(guest.take_pending() & interrupts::IO_COMMAND, 0);
    guest.push(21, 21);
    guest.ring();
    guest.device.set_client(true, &[1; CLIENT_CAPABILITY_BYTES]);
    guest.header.store(offset::INT_MASK, 0x3f);
    assert!(
        !guest.line.wait(Duration::from_millis(300)),
        "no interrupt while paused"
    );
    assert_eq!(guest.device.counters().commands, 20);
    guest.device.resume();
    assert!(guest.line.wait(LONG));
    guest.device.pause();
    assert_eq!(guest.pixel(), 21);
    assert_ne!(guest.take_pending() & interrupts::CLIENT, 0);
    guest.device.resume();
}

#[test]
fn a_machine_reset_while_paused_is_the_power_on_state() {
    let guest = Guest::with_screen();
    guest.push(1, 5);
    guest.ring();
    guest.device.set_client(true, &[1; CLIENT_CAPABILITY_BYTES]);
    guest.device.pause();
    guest.memory().vram.store_u32(4096, 0x1234).unwrap();
    guest.device.reset();
    assert!(guest.gate.sink.live().is_empty());
    assert!(!guest.line.level());
    assert_eq!(guest.header.load(offset::INT_MASK), 0);
    assert_eq!(guest.memory().vram.load_u32(4096).unwrap(), 0x1234);
    assert_eq!(
        guest.device.shared.rom.load_u8(0x45).unwrap(),
        1,
        "the client is still there"
    );
    guest.device.resume();
    guest.start();
    guest.push(2, 6);
    guest.update();
    assert_eq!(guest.pixel(), 6);
}

#[test]
fn monitors_are_passed_on_where_the_driver_takes_them() {
    let guest = Guest::with_screen();
    let head = ClientHead {
        x: 0,
        y: 0,
        width: 800,
        height: 600,
    };
    guest.header.store(offset::INT_MASK, 7);
    assert!(!guest.device.takes_monitors() && !guest.device.request_monitors(&[head]));
    guest.header.store(offset::INT_MASK, 0x27);
    guest.take_pending();
    // More than the device has heads.
    assert!(guest.device.request_monitors(&[head; 100]));
    assert!(guest.line.wait(LONG));
    assert_eq!(guest.take_pending(), interrupts::CLIENT_MONITORS);
    assert_eq!(guest.device.shared.rom.load_u32(0x84).unwrap(), 16);
    assert_eq!(guest.device.shared.rom.load_u32(0x88 + 8).unwrap(), 600);
}

#[test]
fn dropping_the_device_ends_its_thread() {
    let guest = Guest::with_screen();
    let gate = guest.gate.clone();
    guest.push(1, 1);
    guest.ring();
    drop(guest);
    assert_eq!(Arc::strong_count(&gate), 1, "nobody holds the viewer any more");
    // Paused as well.
    let guest = Guest::with_screen();
    let gate = guest.gate.clone();
    guest.device.pause();
    drop(guest);
    assert_eq!(Arc::strong_count(&gate), 1);
}

#[test]
fn a_viewer_that_fails_does_not_hang_the_machine() {
    struct Broken;
    impl DisplaySink for Broken {
        fn submit(&self, command: DisplayCommand) {
            assert!(matches!(command, DisplayCommand::Reset), "as this test wants it");
        }
        fn read(&self, _: u32, _: Rect) -> Option<Pixels> {
            None
        }
    }
    let device = Qxl::new(config(), Arc::new(Broken)).unwrap();
    let core = device.shared.core.clone();
    device.bar_moved(0, Some(BAR0));
    let base = core.config.sizes.ram_header();
    core.header
        .write(offset::MEMORY_SLOT, &Packed::new().u64(BAR0).u64(BAR0 + base).0);
    device.bar_write(3, ports::ADD_SLOT.into(), &[1]);
    let primary = Packed::new().u32(64).u32(64).i32(256).u32(32).zeros(16).u64(slot(1, 0));
    core.header.write(offset::CREATE_SURFACE, &primary.0);
    device.bar_write(3, ports::CREATE_PRIMARY_ASYNC.into(), &[0]);
    device.pause();
}

/// Numbers that differ: xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}

/// A guest whose processors write everywhere at once: commands change under the device's hands.
#[test]
fn memory_that_changes_while_it_is_read_breaks_nothing_but_the_picture() {
    let guest = Guest::with_screen();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 1..=2_u64 {
            let (guest, stop) = (&guest, &stop);
            scope.spawn(move || {
                let mut random = Random(seed);
                while !stop.load(Ordering::Relaxed) {
                    let (at, word) = (random.next(), random.next());
                    let word = if word & 1 == 0 { word & 0xff } else { word };
                    // The bodies most of the time, the header sometimes.
                    if at % 16 == 0 {
                        guest.header.store((u64::from(at >> 8) % 0x14e0) & !3, word);
                    } else {
                        let at = 8 * MIB + u64::from(at >> 4) % 8192;
                        guest.memory().ram.write(at, &word.to_le_bytes()).unwrap();
                    }
                }
            });
        }
        let mut random = Random(9);
        for step in 0..3000_u64 {
            if step % 100 == 0 {
                guest.start();
            }
            guest.push(1 + step % 31, step as u32);
            guest.ring();
            let port = (random.next() % 25) as u8;
            guest.out(port, (random.next() % 8) as u8);
        }
        stop.store(true, Ordering::Relaxed);
    });
    guest.start();
    guest.push(1, 0x99);
    guest.update();
    assert_eq!(guest.pixel(), 0x99);
}
