//! The device against a guest that does what `qxl.ko` does, in its order.

use caraway_ports::{
    display::{CursorCommand, DisplayCommand, Head},
    drawing::{DrawOp, ImageData},
    geometry::{Point, Rect},
};

use crate::{
    core::Mode,
    header::offset,
    interrupts, ports,
    testing::{
        Rig,
        guest::{Driver, Frame, Packed, copy_of, slot},
    },
    worker::Step,
};

fn monitors(driver: &mut Driver, heads: &[[u32; 4]]) {
    let packed = Packed::new().u16(heads.len() as u16).u16(4);
    let packed = heads.iter().zip(0..).fold(packed, |packed, (head, id)| {
        let [width, height, x, y] = *head;
        packed.u32(id).u32(0).u32(width).u32(height).u32(x).u32(y).u32(0)
    });
    let address = driver.place(&packed);
    driver
        .rig
        .header()
        .write(offset::MONITORS_CONFIG, &address.to_le_bytes());
    driver.rig.async_out(ports::MONITORS_ASYNC, 0);
}

#[test]
fn probe_resets_and_adds_both_slots_in_vga_mode() {
    let mut driver = Driver::new(Rig::new());
    driver.probe();
    let front = driver.rig.core.front();
    assert_eq!(front.mode, Mode::Vga);
    let (first, second) = (front.slots.get(1).unwrap(), front.slots.get(2).unwrap());
    assert_eq!((first.offset, first.size), (0, (16 << 20) - 8192));
    assert_eq!((second.offset, second.size), (0, 16 << 20));
    assert_eq!(front.current_async, None);
    drop(front);
    assert_eq!(driver.rig.rom.read_vec(0x44, 1).unwrap(), [0], "generation");
    assert!(!driver.rig.line.level());
}

#[test]
fn console_update_with_the_pitch_of_the_screen_is_drawn_and_given_back() {
    let mut driver = Driver::with_primary();
    let (width, height, pitch) = (16_u32, 8_u32, 640 * 4);
    let mut pixels = vec![0xee; (pitch * height) as usize];
    for (y, row) in pixels.chunks_exact_mut(pitch as usize).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(4).take(width as usize).enumerate() {
            pixel.copy_from_slice(&(0x0010_0000 + (y * 256 + x) as u32).to_le_bytes());
        }
    }
    let image = driver.bitmap(width, height, pitch, &pixels);
    let clip = driver.clip(&[[100, 200, 108, 216]]);
    let frame = Frame {
        id: 7,
        kind: 3,
        bbox: [100, 200, 108, 216],
        clip,
        ..Frame::default()
    };
    let body = driver.draw(&frame, &copy_of(image, 16, 8));
    assert_eq!(driver.rig.sink.pixel(0, 200, 100), 0x0010_0000);
    assert_eq!(driver.rig.sink.pixel(0, 215, 107), 0x0010_070f);
    assert_eq!(driver.rig.sink.pixel(0, 216, 107), 0);
    let draws = driver.rig.sink.draws();
    let DrawOp::Copy { source, .. } = &draws[0].op else {
        panic!("{draws:?}")
    };
    let ImageData::Bitmap(bitmap) = &source.image.data else {
        panic!("{source:?}")
    };
    assert_eq!(bitmap.stride, 64, "the stale end of each row stays behind");
    assert!(!bitmap.data.contains(&0xee));
    assert_eq!(driver.rig.take_pending() & interrupts::DISPLAY, interrupts::DISPLAY);
    assert_eq!(driver.collect(|_| body), [7]);
}

#[test]
fn mode_set_replaces_the_primary_in_the_surface_bar_and_keeps_the_heads() {
    let mut driver = Driver::probed();
    // Completes without effect in VGA mode.
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    assert_eq!(driver.rig.core.front().mode, Mode::Vga);
    driver.create_primary(1024, 768, 4096, slot(2, 0), 1);
    assert_eq!(driver.rig.core.front().mode, Mode::Native);
    let (heads, _) = driver.rig.sink.monitors().unwrap();
    assert!(heads.is_empty(), "one head that covers the primary");
    monitors(&mut driver, &[[800, 600, 0, 0], [0, 0, 0, 0], [400, 600, 800, 0]]);
    let expected = vec![
        Head {
            id: 0,
            surface: 0,
            area: Rect::at(0, 0, 800, 600),
        },
        Head {
            id: 2,
            surface: 0,
            area: Rect::at(800, 0, 224, 600),
        },
    ];
    assert_eq!(driver.rig.sink.monitors(), Some((expected.clone(), 4)));
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    assert_eq!(driver.rig.core.front().mode, Mode::Undefined);
    driver.create_primary(1024, 768, 4096, slot(2, 1 << 20), 1);
    assert_eq!(driver.rig.sink.monitors(), Some((expected, 4)));
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    driver.probe();
    driver.create_primary(1024, 768, 4096, slot(2, 0), 1);
    assert_eq!(driver.rig.sink.monitors().unwrap().0, [], "a reset forgets them");
}

#[test]
fn cursor_is_set_moved_hidden_and_its_commands_come_back() {
    let mut driver = Driver::with_primary();
    let shape = Packed::new()
        .u64(0)
        .u16(0)
        .u16(64)
        .u16(64)
        .u16(3)
        .u16(4)
        .u32(16384)
        .chunk(16384, 0)
        .bytes(&[0x80; 16384]);
    let shape = driver.place(&shape);
    let set = Packed::new().u64(11).u8(0).u16(50).u16(60).u8(1).u64(shape).zeros(128);
    let set = driver.place(&set);
    driver.cursor_command(set);
    let moved = driver.place(&Packed::new().u64(12).u8(1).u16(51).u16(0xffff).zeros(137));
    driver.cursor_command(moved);
    let hidden = driver.place(&Packed::new().u64(13).u8(2).zeros(141));
    driver.cursor_command(hidden);
    let cursors = driver.rig.sink.cursors();
    let CursorCommand::Set {
        position,
        visible,
        shape,
    } = &cursors[0]
    else {
        panic!("{cursors:?}")
    };
    assert_eq!((*position, *visible), (Point::new(50, 60), true));
    assert_eq!((shape.width, shape.height, shape.hot_spot), (64, 64, (3, 4)));
    assert_eq!(shape.data.len(), 16384);
    assert_eq!(
        cursors[1..],
        [CursorCommand::Move(Point::new(51, -1)), CursorCommand::Hide]
    );
    let body_of = |id| [set, moved, hidden][id as usize - 11];
    assert_eq!(driver.collect(body_of), [11]);
    // The device looks again after a while, without being told that the ring is empty.
    assert_eq!(driver.rig.worker().step(), Step::Idle { unreturned: false });
    assert_eq!(driver.collect(body_of), [12, 13]);
}

#[test]
fn surface_eviction_puts_the_picture_into_memory_before_the_surface_goes() {
    let mut driver = Driver::with_primary();
    let create = Packed::new()
        .u64(21)
        .u32(5)
        .u8(0)
        .u32(0)
        .u32(32)
        .u32(32)
        .u32(16)
        .i32(128)
        .u64(slot(2, 8 << 20));
    let create = driver.place(&create);
    driver.command(5, create);
    let fill = driver.fill(22, 5, [0, 0, 16, 32], 0x00ab_cdef);
    assert_eq!(driver.collect(|_| fill), [22], "the create command is kept");
    driver.update_area(5, [0, 0, 16, 32]);
    assert_eq!(
        driver.rig.vram().load_u32((8 << 20) + 15 * 128 + 31 * 4).unwrap(),
        0x00ab_cdef
    );
    let destroy = driver.place(&Packed::new().u64(23).u32(5).u8(1).u32(0));
    driver.rig.vram().write(8 << 20, &[0x55; 2048]).unwrap();
    driver.command(5, destroy);
    assert_eq!(driver.collect(|id| if id == 21 { create } else { destroy }), [21, 23]);
    assert_eq!(
        driver.rig.vram().read_vec(8 << 20, 2048).unwrap(),
        [0x55; 2048],
        "memory given up is not written to"
    );
    assert_eq!(driver.rig.sink.live(), [0]);
}

#[test]
fn suspend_finds_the_rings_quiet_and_resume_starts_anew() {
    let mut driver = Driver::with_primary();
    for id in 1..=20 {
        driver.fill(id, 0, [0, 0, 4, 4], id as u32);
    }
    let header = driver.rig.header().clone();
    let ring = |field| header.load(offset::COMMAND_RING + field);
    assert_eq!(ring(offset::RING_CONSUMER), ring(offset::RING_PRODUCER));
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    driver.probe();
    driver.create_primary(640, 480, 2560, slot(2, 0), 1);
    driver.fill(1, 0, [0, 0, 4, 4], 0x77);
    assert_eq!(driver.rig.sink.pixel(0, 3, 3), 0x77);
}

#[test]
fn one_out_of_memory_write_gives_back_everything_with_an_interrupt() {
    let mut driver = Driver::with_primary();
    let first = driver.place(&Frame::default().with(&Packed::new().solid(1).u16(8).no_mask()));
    driver.rig.ram().store_u64(first & 0xffff_ffff, first).unwrap();
    driver.command(1, first);
    // The guest has not looked at the ring: what comes next is kept back.
    let mut bodies = Vec::new();
    for _ in 0..5 {
        let body = driver.place(&Frame::default().with(&Packed::new().solid(1).u16(8).no_mask()));
        driver.rig.ram().store_u64(body & 0xffff_ffff, body).unwrap();
        driver.command(1, body);
        bodies.push(body);
    }
    assert_eq!(driver.collect_addresses(), [first]);
    driver.rig.take_pending();
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!(driver.rig.take_pending(), interrupts::DISPLAY);
    assert_eq!(driver.collect_addresses(), bodies);
}

#[test]
fn unload_leaves_an_undefined_device_that_probes_again() {
    let mut driver = Driver::with_primary();
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!(driver.rig.core.front().mode, Mode::Undefined);
    let commands = driver.rig.sink.take();
    assert!(matches!(
        commands[..],
        [
            DisplayCommand::DestroySurface(0),
            DisplayCommand::Cursor(CursorCommand::Reset)
        ]
    ));
    driver.probe();
    driver.create_primary(800, 600, 3200, slot(2, 0), 0);
    driver.fill(1, 0, [0, 0, 1, 1], 5);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 5);
}

#[test]
fn a_full_ring_interrupts_where_the_guest_asked() {
    let mut driver = Driver::probed();
    let body = driver.place(&Frame::default().with(&Packed::new().solid(1).u16(8).no_mask()));
    // Nothing is taken in VGA mode: the ring fills up.
    for _ in 0..32 {
        driver.command(1, body);
    }
    let header = driver.rig.header().clone();
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_CONSUMER, 1);
    driver.rig.take_pending();
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    assert_eq!(header.load(offset::COMMAND_RING + offset::RING_CONSUMER), 32);
    assert_eq!(driver.rig.core.counters.read().commands, 32);
}
