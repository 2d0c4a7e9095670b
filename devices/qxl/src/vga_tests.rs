use std::{
    collections::VecDeque,
    sync::{Condvar, PoisonError},
};

use caraway_base::{
    address_space::{AddressSpace, MapError, Mapping, MappingId},
    lifecycle::Lifecycle as _,
    memory::PAGE_SIZE,
    state::{Migratable as _, Records},
};
use caraway_pci::function::PciFunction as _;
use caraway_ports::display::{Audience, DisplaySink, DisplaySource as _};

use super::*;
use crate::{
    Drive, QxlArgs, ports,
    testing::{
        Rig, config,
        guest::{Driver, slot},
        sink::TestSink,
    },
};

const LONG: Duration = Duration::from_secs(60);

/// What a vCPU does: an `out` of one or two bytes.
fn out(device: &Qxl, port: u16, data: &[u8]) {
    let (first, _, block) = device
        .vga_ports()
        .into_iter()
        .find(|(first, count, _)| (*first..first + count).contains(&port))
        .expect("the port is the core's");
    block.write(u64::from(port - first), data);
}

fn input(device: &Qxl, port: u16) -> u8 {
    let (first, _, block) = device
        .vga_ports()
        .into_iter()
        .find(|(first, count, _)| (*first..first + count).contains(&port))
        .unwrap();
    let mut data = [0xff];
    block.read(u64::from(port - first), &mut data);
    data[0]
}

fn dispi(device: &Qxl, index: u16, value: u16) {
    out(device, 0x1ce, &index.to_le_bytes());
    out(device, 0x1cf, &value.to_le_bytes());
}

/// A linear mode of 64x48 with 32 bits a pixel, as firmware sets one.
fn linear_mode(device: &Qxl) {
    for (index, value) in [(4, 0), (3, 32), (1, 64), (2, 48), (4, 0x41)] {
        dispi(device, index, value);
    }
    // The palette's address source: the screen is on.
    out(device, 0x3c0, &[0x20]);
}

/// KVM's log, filled by the test.
#[derive(Default)]
struct FakeLog(Mutex<VecDeque<Vec<u64>>>);

impl AddressSpace for FakeLog {
    fn change(&self, _remove: &[MappingId], _add: Vec<Mapping>) -> Result<Vec<MappingId>, MapError> {
        Ok(Vec::new())
    }

    fn take_dirty_log(&self, _id: MappingId) -> Option<Vec<u64>> {
        lock(&self.0).pop_front()
    }
}

impl FakeLog {
    fn wrote(&self, page: u64) {
        let mut pages = vec![0; usize::try_from(page / 64 + 1).unwrap()];
        *pages.last_mut().unwrap() = 1 << (page % 64);
        lock(&self.0).push_back(pages);
    }
}

/// A device with a log whose worker is the test.
fn logged() -> (Rig, Arc<FakeLog>) {
    let rig = Rig::new();
    let log = Arc::new(FakeLog::default());
    rig.device.bar_logged(0, Some(DirtyLog::new(log.clone(), MappingId(1))));
    (rig, log)
}

/// The guest writes a pixel to the linear frame buffer; KVM may log it.
fn poke(rig: &Rig, x: u64, y: u64, colour: u32) -> u64 {
    let offset = 4 * (y * 64 + x);
    rig.ram().write(offset, &colour.to_le_bytes()).unwrap();
    offset / PAGE_SIZE
}

#[test]
fn nothing_is_shown_before_the_guest_shows_something() {
    let (rig, _) = logged();
    rig.device.refresh();
    assert!(rig.sink.take().is_empty());
    linear_mode(&rig.device);
    rig.device.refresh();
    let said = rig.sink.take();
    assert!(
        matches!(&said[..], [DisplayCommand::CreateSurface(spec)] if (spec.width, spec.height) == (64, 48)),
        "{said:?}"
    );
    rig.device.refresh();
    assert!(rig.sink.take().is_empty(), "and nothing while nothing changes");
}

#[test]
fn what_is_in_the_log_is_drawn_and_nothing_else() {
    let (rig, log) = logged();
    linear_mode(&rig.device);
    rig.device.refresh();
    rig.sink.take();
    let page = poke(&rig, 5, 20, 0x00aa_bbcc);
    rig.device.refresh();
    assert!(rig.sink.take().is_empty(), "not logged");
    log.wrote(page);
    rig.device.refresh();
    assert_eq!(rig.sink.pixel(0, 5, 20), 0x00aa_bbcc);
    let [drawn] = &rig.sink.draws()[..] else {
        panic!("one rectangle");
    };
    assert!(drawn.bbox.contains(&Rect::at(5, 20, 1, 1)) && drawn.bbox.height() == 1);
}

#[test]
fn a_bar_that_moves_makes_everything_new() {
    let (rig, log) = logged();
    linear_mode(&rig.device);
    rig.device.refresh();
    poke(&rig, 1, 2, 0x0012_3456);
    // The log of the old place is lost.
    rig.device.bar_logged(0, None);
    rig.device.bar_logged(0, Some(DirtyLog::new(log, MappingId(2))));
    rig.device.refresh();
    assert_eq!(rig.sink.pixel(0, 1, 2), 0x0012_3456);
}

#[test]
fn a_linear_mode_is_set_as_firmware_would() {
    let (mut rig, log) = logged();
    let memory = rig.device.set_linear_mode(1024, 768).unwrap();
    assert_eq!(u64::from(memory.address), crate::testing::BAR0);
    assert_eq!(u64::from(memory.size), config().sizes.vgamem());
    rig.ram().write(4 * (1024 * 700 + 1000), &[1, 2, 3, 0]).unwrap();
    log.wrote(4 * (1024 * 700 + 1000) / PAGE_SIZE);
    rig.device.refresh();
    assert_eq!(rig.sink.pixel(0, 1000, 700), 0x0003_0201);
    assert_eq!(rig.sink.read(0, Rect::at(0, 0, 4096, 4096)).unwrap().width, 1024);
    assert_eq!(
        rig.device.set_linear_mode(8192, 8192),
        None,
        "more than there is memory"
    );
    rig.device.bar_moved(0, None);
    assert_eq!(rig.device.set_linear_mode(1024, 768), None, "BAR 0 is nowhere");
    rig.out(ports::RESET, 0);
    let driver = Driver::with_primary();
    assert_eq!(
        driver.rig.device.set_linear_mode(1024, 768),
        None,
        "a driver has the screen"
    );
}

#[test]
fn text_written_through_the_window_is_shown() {
    let (rig, _) = logged();
    let device = &rig.device;
    let (range, window) = device.vga_window().unwrap();
    assert_eq!(range, 0xa_0000..0xc_0000);
    // Mode 3 as the VGA BIOS sets it: 80x25 characters of 9x16.
    out(device, 0x3c2, &[0x67]);
    for (index, value) in [(1, 0), (2, 3), (3, 0), (4, 2)] {
        out(device, 0x3c4, &[index, value]);
    }
    let crtc = [
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x2d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f,
        0x96, 0xb9, 0xa3, 0xff,
    ];
    for (index, value) in (0..).zip(crtc) {
        out(device, 0x3d4, &[index, value]);
    }
    for (index, value) in (0..).zip([0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff]) {
        out(device, 0x3ce, &[index, value]);
    }
    input(device, 0x3da);
    for index in 0..16 {
        out(device, 0x3c0, &[index]);
        out(device, 0x3c0, &[index]);
    }
    for (index, value) in [(0x10, 0x0c), (0x12, 0x0f), (0x13, 0x08)] {
        out(device, 0x3c0, &[index]);
        out(device, 0x3c0, &[value]);
    }
    out(device, 0x3c0, &[0x20]);
    // Colour 7 of the palette.
    out(device, 0x3c8, &[7]);
    for _ in 0..3 {
        out(device, 0x3c9, &[0x2a]);
    }
    // A glyph of one full row for character 0x41: the font lies in plane 2.
    for (port, index, value) in [(0x3c4, 2, 4), (0x3c4, 4, 7), (0x3ce, 5, 0), (0x3ce, 6, 4)] {
        out(device, port, &[index, value]);
    }
    window.write(0x41 * 32 + 3, &[0xff]);
    for (port, index, value) in [(0x3c4, 2, 3), (0x3c4, 4, 2), (0x3ce, 5, 0x10), (0x3ce, 6, 0x0e)] {
        out(device, port, &[index, value]);
    }
    window.write(0x1_8000 + 2 * 81, &[0x41, 0x07]);
    let mut back = [0; 2];
    window.read(0x1_8000 + 2 * 81, &mut back);
    assert_eq!(back, [0x41, 0x07]);
    device.refresh();
    let whole = rig.sink.read(0, Rect::at(0, 0, 4096, 4096)).unwrap();
    assert_eq!((whole.width, whole.height), (720, 400));
    // Second row, second column.
    assert_eq!(rig.sink.pixel(0, 9, 16 + 3), 0x00aa_aaaa);
    assert_eq!(rig.sink.pixel(0, 9, 16 + 4), 0);
}

#[test]
fn a_driver_takes_the_screen_and_a_reset_gives_it_back() {
    let (mut rig, _) = logged();
    linear_mode(&rig.device);
    // The colour ports.
    out(&rig.device, 0x3c2, &[0x67]);
    poke(&rig, 3, 3, 0x0000_00ff);
    rig.device.refresh();
    assert_eq!(rig.sink.pixel(0, 3, 3), 0xff);
    rig.out(ports::RESET, 0);
    let mut driver = Driver::new(rig);
    driver.probe();
    driver.create_primary(640, 480, 640 * 4, slot(2, 0), 0);
    driver.rig.sink.take();
    driver.rig.device.refresh();
    assert!(driver.rig.sink.take().is_empty(), "the screen is the driver's");
    assert_eq!(driver.rig.sink.pixel(0, 639, 479), 0);
    // Revision 5: registers change, the screen does not.
    out(&driver.rig.device, 0x3d4, &[0x0e, 0x12]);
    driver.rig.run();
    assert_eq!(driver.rig.sink.pixel(0, 639, 479), 0);

    driver.rig.out(ports::RESET, 0);
    driver.rig.device.refresh();
    assert_eq!(driver.rig.sink.pixel(0, 3, 3), 0xff, "the mode is as it was");
    assert_eq!(input(&driver.rig.device, 0x3d4), 0x0e);
    // A machine reset takes the mode too.
    driver.rig.device.reset();
    driver.rig.sink.take();
    driver.rig.device.refresh();
    assert!(driver.rig.sink.take().is_empty());
    assert_eq!(
        input(&driver.rig.device, 0x3d4),
        0xff,
        "the colour ports wait for firmware"
    );
}

#[test]
fn up_to_revision_4_a_vga_register_takes_the_screen_back() {
    let rig = Rig::with(crate::QxlConfig {
        revision: 4,
        ..config()
    });
    linear_mode(&rig.device);
    poke(&rig, 9, 9, 0x0055_4433);
    let mut driver = Driver::new(rig);
    driver.probe();
    driver.create_primary(640, 480, 640 * 4, slot(2, 0), 0);
    // Dispi registers leave the driver alone.
    dispi(&driver.rig.device, 8, 0);
    driver.rig.run();
    assert_eq!(driver.rig.sink.live(), [0]);
    let effect = {
        let front = driver.rig.core.vga.as_ref().unwrap();
        front.lock().port_write(0x3c2, &[0x67]);
        driver.rig.core.vga_written()
    };
    assert!(effect.wake);
    driver.rig.run();
    driver.rig.device.refresh();
    assert_eq!(driver.rig.sink.pixel(0, 9, 9), 0x0055_4433);
}

#[test]
fn only_the_primary_device_has_a_vga_core() {
    let rig = Rig::with(crate::QxlConfig {
        primary: false,
        index: 1,
        ..config()
    });
    assert!(rig.device.vga_ports().is_empty());
    assert!(rig.device.vga_window().is_none());
    rig.device.refresh();
    assert!(rig.sink.take().is_empty());
}

#[test]
fn the_picture_is_the_same_after_a_restore() {
    let (rig, _) = logged();
    linear_mode(&rig.device);
    poke(&rig, 63, 47, 0x0001_0203);
    let mut records = Records::default();
    records.put("0", &rig.device).unwrap();
    let sink = Arc::new(TestSink::default());
    let args = QxlArgs {
        config: config(),
        sink: sink.clone(),
        ram: rig.ram().clone(),
        vram: rig.vram().clone(),
        option_rom: None,
        drive: Drive::default(),
    };
    let restored: Qxl = records.take("0", args).unwrap();
    restored.refresh();
    assert_eq!(sink.pixel(0, 63, 47), 0x0001_0203);
    let saved = |device: &Qxl| device.shared().core.vga.as_ref().unwrap().lock().save();
    assert_eq!(saved(&restored), saved(&rig.device));
}

/// Lets the test wait until something was drawn.
#[derive(Default)]
struct Awaited {
    sink: TestSink,
    count: Mutex<u64>,
    changed: Condvar,
}

impl Awaited {
    /// Waits for the next command after the first `seen`.
    fn more_than(&self, seen: u64) -> u64 {
        let (count, _) = self
            .changed
            .wait_timeout_while(lock(&self.count), LONG, |count| *count <= seen)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(*count > seen, "nothing was drawn");
        *count
    }
}

impl DisplaySink for Awaited {
    fn submit(&self, command: DisplayCommand) {
        self.sink.submit(command);
        *lock(&self.count) += 1;
        self.changed.notify_all();
    }

    fn read(&self, surface: u32, area: Rect) -> Option<Pixels> {
        self.sink.read(surface, area)
    }
}

#[test]
fn the_picture_follows_the_guest_while_somebody_looks() {
    let sink = Arc::new(Awaited::default());
    let device = Qxl::new(config(), sink.clone()).unwrap();
    let log = Arc::new(FakeLog::default());
    device.bar_logged(0, Some(DirtyLog::new(log.clone(), MappingId(1))));
    linear_mode(&device);
    device.audience(Audience {
        watched: true,
        clients: None,
    });
    let seen = sink.more_than(0);
    let ram = &device.shared().core.memory.ram;
    ram.write(0, &[1, 2, 3, 0]).unwrap();
    log.wrote(0);
    let seen = sink.more_than(seen);
    assert_eq!(sink.sink.pixel(0, 0, 0), 0x0003_0201);
    device.audience(Audience::default());
    // Held still, the display thread draws nothing; what it drew before the audience left is counted.
    device.pause();
    let after = *lock(&sink.count);
    assert!(after >= seen);
    device.resume();
    ram.write(0, &[4, 5, 6, 0]).unwrap();
    log.wrote(0);
    device.refresh();
    assert_eq!(sink.sink.pixel(0, 0, 0), 0x0006_0504, "on request");
}
