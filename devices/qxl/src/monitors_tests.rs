//! Monitors in both directions, and what the guest learns of the clients.

use caraway_ports::{display::Head, geometry::Rect};

use crate::{
    ClientHead, QxlConfig,
    core::ClientNews,
    header::offset,
    interrupts, ports,
    rom::CLIENT_CAPABILITY_BYTES,
    testing::{
        Rig, config,
        guest::{Driver, Packed, slot},
    },
};

/// One head: id, surface, width, height, x, y.
fn config_of(count: u16, max: u16, heads: &[[u32; 6]]) -> Packed {
    heads.iter().fold(Packed::new().u16(count).u16(max), |packed, head| {
        head.iter().fold(packed, |packed, word| packed.u32(*word)).u32(0)
    })
}

fn send(driver: &mut Driver, address: u64) {
    driver
        .rig
        .header()
        .write(offset::MONITORS_CONFIG, &address.to_le_bytes());
    driver.rig.async_out(ports::MONITORS_ASYNC, 0);
}

fn head(id: u32, area: Rect) -> Head {
    Head { id, surface: 0, area }
}

#[test]
fn what_cannot_be_is_ignored_without_an_error() {
    let mut driver = Driver::with_primary();
    let one = [[0, 0, 640, 480, 0, 0]];
    let none = driver.place(&config_of(0, 4, &one));
    let too_many = driver.place(&config_of(2, 1, &[one[0], one[0]]));
    let past_all = driver.place(&config_of(65, 0, &one));
    let end = slot(1, (16 << 20) - 8192 - 31);
    let bad = [none, too_many, past_all, 0, slot(7, 0), end, slot(1, 1 << 47), u64::MAX];
    for address in bad {
        send(&mut driver, address);
        assert_eq!(driver.rig.sink.monitors(), None, "{address:#x}");
        assert!(!driver.rig.frozen());
    }
}

#[test]
fn a_maximum_of_zero_is_none_and_more_heads_than_outputs_are_cut() {
    let rig = Rig::with(QxlConfig { heads: 2, ..config() });
    let mut driver = Driver::new(rig);
    driver.probe();
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    let address = driver.place(&config_of(
        3,
        0,
        &[[7, 0, 320, 480, 0, 0], [8, 0, 320, 480, 320, 0], [9, 0, 1, 1, 0, 0]],
    ));
    send(&mut driver, address);
    let heads = vec![head(7, Rect::at(0, 0, 320, 480)), head(8, Rect::at(320, 0, 320, 480))];
    assert_eq!(driver.rig.sink.monitors(), Some((heads, 2)));
}

#[test]
fn heads_off_the_screen_or_on_other_surfaces_are_left_out() {
    let mut driver = Driver::with_primary();
    let address = driver.place(&config_of(
        6,
        64,
        &[
            [0, 0, 100, 100, 600, 0],
            [1, 0, 100, 100, 640, 0],
            [2, 0, 0, 100, 0, 0],
            [3, 5, 100, 100, 0, 0],
            [4, 0, u32::MAX, u32::MAX, 10, 10],
            [5, 0, 100, 100, u32::MAX, 0],
        ],
    ));
    send(&mut driver, address);
    let heads = vec![head(0, Rect::at(600, 0, 40, 100)), head(4, Rect::at(10, 10, 630, 470))];
    assert_eq!(driver.rig.sink.monitors(), Some((heads, 16)));
}

#[test]
fn the_configuration_is_copied_once() {
    let mut driver = Driver::with_primary();
    let address = driver.place(&config_of(1, 1, &[[0, 0, 320, 240, 0, 0]]));
    send(&mut driver, address);
    driver.rig.ram().write(address & 0xffff_ffff, &[0xff; 32]).unwrap();
    // Said again with the next screen, from the copy.
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    driver.create_primary(1024, 768, 4096, slot(2, 0), 0);
    assert_eq!(
        driver.rig.sink.monitors(),
        Some((vec![head(0, Rect::at(0, 0, 320, 240))], 1))
    );
}

#[test]
fn a_client_is_announced_once_for_every_change() {
    let mut driver = Driver::with_primary();
    let mut capabilities = Box::new([0; CLIENT_CAPABILITY_BYTES]);
    capabilities[0] = 0x0f;
    for (present, bits) in [(true, interrupts::CLIENT), (true, 0), (false, interrupts::CLIENT)] {
        driver.rig.take_pending();
        driver.rig.core.tell(ClientNews {
            client: Some((present, capabilities.clone())),
            heads: None,
        });
        driver.rig.run();
        assert_eq!(driver.rig.take_pending(), bits);
        let rom = driver.rig.rom.read_vec(0x45, 3).unwrap();
        assert_eq!(rom, [u8::from(present), 0x0f, 0]);
    }
}

#[test]
fn news_of_clients_outlives_a_reset_and_only_the_newest_counts() {
    let mut driver = Driver::with_primary();
    let capabilities = Box::new([0; CLIENT_CAPABILITY_BYTES]);
    for width in 100..300 {
        driver.rig.core.tell(ClientNews {
            client: None,
            heads: Some(vec![ClientHead {
                x: 0,
                y: 0,
                width,
                height: 77,
            }]),
        });
        driver.rig.core.tell(ClientNews {
            client: Some((true, capabilities.clone())),
            heads: None,
        });
    }
    driver.rig.out(ports::RESET, 0);
    let words: Vec<u32> = (0..5)
        .map(|word| driver.rig.rom.load_u32(0x84 + 4 * word).unwrap())
        .collect();
    assert_eq!(words, [1, 0, 0, 77, 299]);
    assert_eq!(driver.rig.rom.load_u8(0x45).unwrap(), 1);
}

#[test]
fn monitors_are_asked_for_where_the_driver_listens() {
    let driver = Driver::with_primary();
    for (mask, takes) in [(0, false), (u32::MAX, false), (7, false), (0x27, true), (0x20, true)] {
        driver.rig.header().store(offset::INT_MASK, mask);
        assert_eq!(driver.rig.core.takes_client_monitors(), takes, "{mask:#x}");
    }
}

#[test]
fn the_block_is_whole_when_the_interrupt_comes_and_the_same_wish_is_told_once() {
    let mut driver = Driver::with_primary();
    let heads = vec![
        ClientHead {
            x: 0,
            y: 0,
            width: 1024,
            height: 768,
        };
        64
    ];
    for bits in [interrupts::CLIENT_MONITORS, 0] {
        driver.rig.take_pending();
        driver.rig.core.tell(ClientNews {
            client: None,
            heads: Some(heads.clone()),
        });
        driver.rig.run();
        assert_eq!(driver.rig.take_pending(), bits);
    }
    let words = [0x84, 0x478, 0x47c, 0x480, 0x484].map(|at| driver.rig.rom.load_u32(at).unwrap());
    assert_eq!(words, [64, 0, 0, 768, 1024], "count and the last rectangle");
    let modes = crate::modes::modes(8 << 20).count();
    assert_eq!(
        driver.rig.rom.load_u32(0x488).unwrap() as usize,
        modes,
        "what follows is whole"
    );
}
