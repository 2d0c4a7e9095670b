//! What each revision has and lacks.

use caraway_base::state::Migratable as _;
use caraway_pci::function::{BarKind, PciFunction as _};

use crate::{
    ClientHead, Drive, Qxl, QxlArgs, QxlConfig,
    core::ClientNews,
    header::offset,
    interrupts, ports,
    rom::CLIENT_CAPABILITY_BYTES,
    testing::{BAR0, Rig, config, guest::Driver},
};

fn rig(revision: u8) -> Rig {
    Rig::with(QxlConfig { revision, ..config() })
}

#[test]
fn the_io_bar_grows_with_the_revision() {
    for (revision, size) in [(1, 8), (2, 16), (3, 32), (4, 32), (5, 32)] {
        let rig = rig(revision);
        assert_eq!(rig.device.identity().revision, revision);
        let bars = rig.device.bars();
        let ports = bars.iter().find(|bar| matches!(bar.kind, BarKind::Ports)).unwrap();
        assert_eq!((ports.index, ports.size), (3, size), "revision {revision}");
    }
}

#[test]
fn the_first_revision_has_a_page_of_vram() {
    let config = QxlConfig {
        revision: 1,
        ..config()
    };
    let memory = Qxl::allocate(&config.checked().unwrap()).unwrap();
    assert_eq!(memory.vram.size(), 4096);
    let rig = rig(1);
    let sizes: Vec<_> = rig.device.bars().iter().map(|bar| (bar.index, bar.size)).collect();
    assert_eq!(sizes, [(0, 16 << 20), (1, 4096), (2, 8192), (3, 8)]);
    let args = |vram: u64| QxlArgs {
        config,
        sink: rig.sink.clone(),
        ram: rig.ram().clone(),
        vram: caraway_base::memory::SharedMemory::allocate("vram", vram).unwrap(),
        option_rom: None,
        drive: Drive::default(),
    };
    assert!(Qxl::restore(args(4096), rig.device.save()).is_ok());
    assert!(Qxl::restore(args(16 << 20), rig.device.save()).is_err());
}

#[test]
fn ports_of_later_revisions_are_breaches_in_every_mode() {
    for (revision, first) in [(1, 8), (2, 16), (3, 24)] {
        for (primary, port) in (first..32).flat_map(|port| [(true, port), (false, port)]) {
            let config = QxlConfig {
                revision,
                primary,
                ..config()
            };
            let mut driver = Driver::new(Rig::with(config));
            driver.rig.out(port, 0);
            assert!(driver.rig.frozen(), "revision {revision} port {port}");
            assert_eq!(
                driver.rig.pending(),
                interrupts::ERROR,
                "no completion of what is not there"
            );
            driver.rig.out(ports::RESET, 0);
            assert!(!driver.rig.frozen());
        }
        assert!((0..first).all(|port| rig(revision).core.config.has_port(port)));
    }
    for revision in [4, 5] {
        let mut driver = Driver::new(rig(revision));
        for port in 25..32 {
            driver.rig.out(port, 0);
        }
        assert!(!driver.rig.frozen(), "dropped in VGA mode");
    }
}

#[test]
fn slots_and_screens_work_synchronously_from_revision_2_and_by_interrupt_from_3() {
    let mut driver = Driver::new(rig(2));
    driver.rig.out(ports::RESET, 0);
    driver.set_slot_argument(BAR0, BAR0 + (8 << 20));
    driver.rig.out(ports::ADD_SLOT, 1);
    driver.set_primary_argument(64, 64, 256, crate::testing::guest::slot(1, 0), 0);
    driver.rig.out(ports::CREATE_PRIMARY, 0);
    assert_eq!(driver.rig.sink.live(), [0]);
    assert_eq!(driver.rig.pending(), 0);
    let mut driver = Driver::new(rig(3));
    driver.probe();
    driver.create_primary(640, 480, 2560, crate::testing::guest::slot(2, 0), 0);
    assert_eq!(driver.rig.sink.live(), [0]);
}

#[test]
fn clients_are_told_of_from_revision_4() {
    let head = ClientHead {
        x: 0,
        y: 0,
        width: 800,
        height: 600,
    };
    let news = || ClientNews {
        client: Some((true, Box::new([0xff; CLIENT_CAPABILITY_BYTES]))),
        heads: Some(vec![head]),
    };
    for revision in 1..=5 {
        let mut rig = rig(revision);
        rig.header().store(offset::INT_MASK, 0x3f);
        rig.core.tell(news());
        rig.run();
        let told = revision >= 4;
        let expected = if told {
            interrupts::CLIENT | interrupts::CLIENT_MONITORS
        } else {
            0
        };
        assert_eq!(rig.pending(), expected, "revision {revision}");
        assert_eq!(rig.device.takes_monitors(), told);
        assert_eq!(rig.device.request_monitors(&[head]), told);
        let block = rig.rom.read_vec(0x45, 0x488 - 0x45).unwrap();
        assert_eq!(block.iter().any(|byte| *byte != 0), told);
    }
}

#[test]
fn a_record_with_clients_is_none_of_a_revision_without() {
    let rig = rig(4);
    rig.core.tell(ClientNews {
        client: Some((true, Box::new([1; CLIENT_CAPABILITY_BYTES]))),
        heads: None,
    });
    rig.worker().quiesce();
    let restore = |revision| {
        let config = QxlConfig { revision, ..config() };
        let memory = Qxl::allocate(&config).unwrap();
        let args = QxlArgs {
            config,
            sink: rig.sink.clone(),
            ram: memory.ram,
            vram: memory.vram,
            option_rom: None,
            drive: Drive::default(),
        };
        Qxl::restore(args, rig.device.save().of_revision(revision))
    };
    assert!(restore(4).is_ok());
    assert!(restore(3).is_err());
}
