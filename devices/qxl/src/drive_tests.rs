use caraway_base::{lifecycle::Lifecycle as _, state::Records};
use caraway_pci::function::PciFunction as _;

use super::*;
use crate::{
    QxlArgs,
    header::{RamHeader, offset},
    interrupts, ports,
    testing::{BAR0, config, guest::Packed, sink::TestSink},
};

/// The device, its header, and what it says.
fn rig() -> (Arc<Qxl>, RamHeader, Arc<TestSink>) {
    let sink = Arc::new(TestSink::default());
    let device = Qxl::without_thread(config(), None, sink.clone()).unwrap();
    device.bar_moved(0, Some(BAR0));
    let header = device.shared().core.header.clone();
    (device, header, sink)
}

fn out(device: &Qxl, port: u8) {
    device.bar_write(3, port.into(), &[0]);
}

/// A slot over all of BAR 0, and 8 x 8 pixels at its start.
fn screen(device: &Qxl, header: &RamHeader) {
    header.write(offset::MEMORY_SLOT, &Packed::new().u64(BAR0).u64(BAR0 + 0x10_0000).0);
    out(device, ports::ADD_SLOT);
    let primary = Packed::new().u32(8).u32(8).i32(32).u32(32).zeros(16).u64(0);
    header.write(offset::CREATE_SURFACE, &primary.0);
    out(device, ports::CREATE_PRIMARY);
}

/// Pushes commands that mean nothing.
fn push(header: &RamHeader, count: u32) {
    let producer = offset::COMMAND_RING + offset::RING_PRODUCER;
    header.store(producer, header.load(producer).wrapping_add(count));
}

#[test]
fn a_port_write_returns_when_everything_is_done() {
    let (device, header, sink) = rig();
    screen(&device, &header);
    assert_eq!(sink.live(), [0]);
    push(&header, 3);
    out(&device, ports::NOTIFY_COMMAND);
    assert_eq!(device.counters().commands, 3);
    assert_eq!(device.counters().timeouts, 0);
}

#[test]
fn doorbells_and_news_wait_for_a_call() {
    let (device, header, _) = rig();
    screen(&device, &header);
    device.doorbells(3)[0].event.write(1).unwrap();
    push(&header, 2);
    device.set_client(true, &[1; 58]);
    assert_eq!(device.counters().commands, 0);
    device.run_until_idle();
    assert_eq!(device.counters().commands, 2);
    assert_ne!(header.load(offset::INT_PENDING) & interrupts::CLIENT, 0);
}

#[test]
fn nothing_is_done_while_paused_and_everything_at_the_end_of_it() {
    let (device, header, _) = rig();
    screen(&device, &header);
    push(&header, 1);
    device.pause();
    device.pause();
    assert_eq!(device.counters().commands, 1, "pausing does what is there");
    push(&header, 1);
    out(&device, ports::NOTIFY_COMMAND);
    device.run_until_idle();
    assert_eq!(device.counters().commands, 1);
    out(&device, ports::FLUSH_RELEASE);
    assert_eq!(device.counters().timeouts, 1, "its work is done later");
    device.resume();
    assert_eq!(device.counters().commands, 2);
}

#[test]
fn a_restored_device_is_paused_and_has_no_thread_either() {
    let (device, header, sink) = rig();
    screen(&device, &header);
    device.pause();
    let mut records = Records::default();
    records.put("0", &*device).unwrap();
    let args = QxlArgs {
        config: config(),
        sink: sink.clone(),
        ram: device.shared().core.memory.ram.clone(),
        vram: device.shared().core.memory.vram.clone(),
        option_rom: None,
        drive: Drive::Caller,
    };
    let restored: Qxl = records.take("0", args).unwrap();
    push(&header, 1);
    restored.run_until_idle();
    assert_eq!(restored.counters().commands, 0);
    restored.resume();
    assert_eq!((restored.counters().commands, sink.live()), (1, vec![0]));
}

#[test]
fn time_stands_still_until_it_is_advanced() {
    let (device, header, _) = rig();
    screen(&device, &header);
    let lines = || device.counters().log_lines;
    (0..50).for_each(|_| out(&device, ports::LOG));
    assert_eq!(lines(), 10);
    device.advance(Duration::from_millis(400));
    (0..50).for_each(|_| out(&device, ports::LOG));
    assert_eq!(lines(), 12);
    device.advance(Duration::MAX);
    device.advance(Duration::MAX);
    out(&device, ports::LOG);
    assert_eq!(lines(), 13);
}

#[test]
fn a_thread_does_its_own_work() {
    let device = Qxl::new(config(), Arc::new(TestSink::default())).unwrap();
    device.run_until_idle();
    device.advance(Duration::from_secs(1 << 40));
    assert!(device.shared().core.clock.now() < Duration::from_secs(1 << 30));
}
