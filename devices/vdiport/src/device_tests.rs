use caraway_ports::port::port;

use crate::testing::{CONNECTION, GENERATION, INPUT, Rig};

use super::*;

#[test]
fn the_function_is_what_drivers_look_for() {
    let (_host, port) = port();
    let device = VdiPort::new(port).unwrap();
    let identity = device.identity();
    assert_eq!(
        (identity.vendor, identity.device, identity.revision),
        (0x1b36, 0x0105, 1)
    );
    assert_eq!((identity.class, identity.intx), ([7, 0x80, 0], true));
    assert_eq!((identity.subsystem_vendor, identity.subsystem), (0x1af4, 0x1100));
    let bars = device.bars();
    let shapes: Vec<_> = bars
        .iter()
        .map(|bar| (bar.index, bar.size, bar.wide, bar.prefetchable))
        .collect();
    assert_eq!(shapes, [(0, 16, false, false), (1, 65536, false, false)]);
    assert!(matches!(bars[0].kind, BarKind::Ports));
    assert!(matches!(
        bars[1].kind,
        BarKind::Memory {
            offset: 0,
            read_only: false,
            log_dirty: true,
            ..
        }
    ));
    assert!(device.capabilities().is_empty());
}

#[test]
fn only_double_words_at_registers_mean_anything() {
    let rig = Rig::new();
    for offset in 0..16 {
        for width in [1, 2, 4] {
            if (offset, width) == (CONNECTION, 4) {
                continue;
            }
            let mut data = [0xff; 4];
            rig.device.bar_read(0, offset, &mut data[..width]);
            assert_eq!(data, [0xff; 4], "{offset} {width}");
        }
    }
    assert!(!rig.host.connection().is_open);
    rig.connect();
    rig.put(1, 1, b"x");
    for offset in 0..16 {
        for width in [1, 2, 4] {
            if width == 4 && [CONNECTION, NOTIFY].contains(&offset) {
                continue;
            }
            rig.device.bar_write(0, offset, &[0; 4][..width]);
            rig.settle();
        }
    }
    assert!(rig.host.connection().is_open);
    assert_eq!((rig.waiting(INPUT), rig.load(GENERATION)), (1, 1));
    rig.outl(NOTIFY, 0xffff_ffff);
    assert_eq!(rig.waiting(INPUT), 0);
}

#[test]
fn notifying_is_a_doorbell_which_leaves_the_work_to_whoever_watches() {
    let rig = Rig::new();
    rig.connect();
    let [bell] = &rig.device.doorbells(0)[..] else {
        panic!("one doorbell");
    };
    assert!(rig.device.doorbells(1).is_empty());
    assert_eq!((bell.offset, bell.width, bell.value), (4, 4, None));
    rig.put(1, 1, b"x");
    bell.event.write(1).unwrap();
    rig.settle();
    assert_eq!(rig.waiting(INPUT), 0);
    // The exit does the same.
    rig.put(1, 1, b"x");
    rig.device.bar_write(0, NOTIFY, &[0; 4]);
    assert_eq!(rig.waiting(INPUT), 1);
    rig.settle();
    assert_eq!(rig.waiting(INPUT), 0);
}

#[test]
fn the_host_may_be_told_from_within_and_may_speak_at_once() {
    let rig = Rig::new();
    let woken = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let waking = Arc::clone(&woken);
    rig.host.set_waker(Arc::new(move || ring(&waking)));
    assert!(woken.read().is_ok(), "told as it is set");
    rig.connect();
    assert!(woken.read().is_ok());
    rig.send(1, b"a");
    assert!(woken.read().is_ok());
    rig.outl(CONNECTION, 0);
    assert!(woken.read().is_ok());
    rig.connect();
    drop(rig.device);
    assert!(woken.read().is_ok());
    assert!(!rig.host.connection().is_open);
}
