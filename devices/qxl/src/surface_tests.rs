//! Surfaces: what may be one, where its pixels are in guest memory, and what the guest finds there.

use caraway_ports::{
    display::{DisplayCommand, SurfaceSpec},
    drawing::SurfaceFormat,
};
use proptest::prelude::*;

use crate::{
    header::offset,
    interrupts, ports,
    testing::guest::{Driver, Packed, slot},
};

const MIB: u64 = 1 << 20;

/// A command that creates surface `surface`.
struct Create {
    id: u64,
    surface: u32,
    keep: bool,
    format: u32,
    width: u32,
    height: u32,
    stride: i32,
    data: u64,
}

impl Default for Create {
    fn default() -> Self {
        Self {
            id: 100,
            surface: 5,
            keep: false,
            format: 32,
            width: 16,
            height: 8,
            stride: 64,
            data: slot(2, 8 * MIB),
        }
    }
}

impl Create {
    fn push(&self, driver: &mut Driver) -> u64 {
        let body = Packed::new()
            .u64(self.id)
            .u32(self.surface)
            .u8(0)
            .u32(self.keep.into())
            .u32(self.format)
            .u32(self.width)
            .u32(self.height)
            .i32(self.stride)
            .u64(self.data);
        let body = driver.place(&body);
        driver.command(5, body);
        body
    }
}

fn destroy(driver: &mut Driver, id: u64, surface: u32) -> u64 {
    let body = driver.place(&Packed::new().u64(id).u32(surface).u8(1).u32(0));
    driver.command(5, body);
    body
}

fn created(driver: &Driver) -> Vec<SurfaceSpec> {
    let spec = |command| match command {
        DisplayCommand::CreateSurface(spec) => Some(spec),
        _ => None,
    };
    driver.rig.sink.take().into_iter().filter_map(spec).collect()
}

fn create_primary_with(driver: &mut Driver, words: [u32; 5], memory: u64) -> u32 {
    let [width, height, stride, format, flags] = words;
    let argument = Packed::new()
        .u32(width)
        .u32(height)
        .u32(stride)
        .u32(format)
        .u32(0xffff_ffff)
        .u32(0xffff_ffff)
        .u32(flags)
        .u32(0)
        .u64(memory);
    driver.rig.header().write(offset::CREATE_SURFACE, &argument.0);
    driver.rig.take_pending();
    driver.rig.out(ports::CREATE_PRIMARY_ASYNC, 0);
    driver.rig.take_pending()
}

#[test]
fn primaries_that_fit_the_draw_area_are_taken() {
    let negative = (-2560_i32).cast_unsigned();
    for words in [
        [640, 480, 2560, 32, 0],
        [640, 480, 2560, 96, 1],
        [640, 480, 1280, 16, 0],
        [640, 480, 1280, 80, 0],
        [639, 480, 1280, 16, 0],
        [640, 480, negative, 32, 1],
        [1, 1, 4, 32, 0],
        // 8 MiB exactly.
        [1024, 2048, 4096, 32, 0],
        [100, 2048, 4096, 32, 0],
    ] {
        let mut driver = Driver::probed();
        driver.rig.sink.take();
        let bits = create_primary_with(&mut driver, words, slot(2, 0));
        assert_eq!(bits, interrupts::IO_COMMAND, "{words:?}");
        let [spec] = &created(&driver)[..] else {
            panic!("{words:?}")
        };
        assert_eq!((spec.id, spec.width, spec.height), (0, words[0], words[1]));
        assert_eq!(spec.pixels.is_some(), words[4] == 1);
    }
}

#[test]
fn primaries_that_cannot_be_freeze_the_device_and_complete() {
    let min = i32::MIN.cast_unsigned();
    let memory = slot(2, 0);
    for (words, memory) in [
        ([0, 480, 2560, 32, 0], memory),
        ([640, 0, 2560, 32, 0], memory),
        ([640, 480, 2559, 32, 0], memory),
        ([640, 480, 2556, 32, 0], memory),
        ([640, 480, 0, 32, 0], memory),
        ([640, 480, min, 32, 0], memory),
        ([640, 480, 2560, 0, 0], memory),
        ([640, 480, 2560, 33, 0], memory),
        ([640, 480, 2560, 1, 0], memory),
        ([640, 480, 2560, 8, 0], memory),
        ([1024, 2049, 4096, 32, 0], memory),
        ([u32::MAX, u32::MAX, 0x7fff_fffc, 32, 0], memory),
        ([0x4000_0001, 1, 4, 32, 0], memory),
        ([1, u32::MAX, 4, 32, 0], memory),
        ([640, 480, 2560, 32, 0], slot(2, 15 * MIB)),
        ([640, 480, 2560, 32, 0], slot(2, 0xffff_ffff_ffff)),
        ([640, 480, 2560, 32, 0], slot(0, 0)),
        ([640, 480, 2560, 32, 0], slot(3, 0)),
        ([640, 480, 2560, 32, 0], slot(2, 0) | 1 << 48),
    ] {
        let mut driver = Driver::probed();
        let bits = create_primary_with(&mut driver, words, memory);
        assert_eq!(
            bits,
            interrupts::IO_COMMAND | interrupts::ERROR,
            "{words:?} {memory:#x}"
        );
        assert!(driver.rig.frozen());
        assert!(driver.rig.sink.live().is_empty());
    }
}

#[test]
fn a_negative_stride_stores_the_last_line_first() {
    let mut driver = Driver::probed();
    for y in 0..480_u32 {
        driver.rig.vram().store_u32(u64::from(y) * 2560, y).unwrap();
    }
    driver.create_primary(640, 480, -2560, slot(2, 0), 1);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 479);
    assert_eq!(driver.rig.sink.pixel(0, 0, 479), 0);
    driver.fill(1, 0, [1, 3, 2, 4], 0x00ab_cdef);
    driver.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
    assert_eq!(driver.rig.vram().load_u32(478 * 2560 + 12).unwrap(), 0x00ab_cdef);
}

#[test]
fn without_keep_data_the_memory_is_zero_once_it_is_written_back() {
    for keep in [false, true] {
        let mut driver = Driver::with_primary();
        driver.rig.vram().write(8 * MIB, &[0x5a; 512]).unwrap();
        Create {
            keep,
            ..Create::default()
        }
        .push(&mut driver);
        driver.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
        let expected = if keep { [0x5a; 512] } else { [0; 512] };
        assert_eq!(driver.rig.vram().read_vec(8 * MIB, 512).unwrap(), expected);
    }
}

#[test]
fn only_what_was_drawn_is_written_back() {
    let mut driver = Driver::probed();
    driver.create_primary(640, 480, 2560, slot(2, 0), 1);
    driver.fill(1, 0, [10, 10, 12, 12], 0x77);
    // The guest prepares something beside it.
    driver.rig.vram().write(0, &[0x11; 2560]).unwrap();
    let before = driver.rig.core.counters.read().write_backs;
    driver.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
    assert_eq!(driver.rig.vram().read_vec(0, 2560).unwrap(), [0x11; 2560]);
    assert_eq!(driver.rig.vram().load_u32(11 * 2560 + 44).unwrap(), 0x77);
    driver.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
    assert_eq!(
        driver.rig.core.counters.read().write_backs,
        before + 1,
        "nothing was drawn since"
    );
}

#[test]
fn every_format_is_written_back_where_it_belongs() {
    for (format, stride, expected) in [
        (SurfaceFormat::Xrgb, 64, vec![0x34, 0x12, 0xcd, 0xab]),
        (SurfaceFormat::Argb, 64, vec![0x34, 0x12, 0xcd, 0xab]),
        (SurfaceFormat::Rgb555, 32, vec![0x34, 0x12]),
        (SurfaceFormat::Rgb565, 32, vec![0x34, 0x12]),
        (SurfaceFormat::A8, 16, vec![0x34]),
    ] {
        let mut driver = Driver::with_primary();
        Create {
            format: format as u32,
            stride,
            ..Create::default()
        }
        .push(&mut driver);
        driver.fill(1, 5, [2, 3, 3, 4], 0xabcd_1234);
        driver.update_area(5, [2, 3, 3, 4]);
        let pixel = expected.len() as u64;
        let at = 8 * MIB + 2 * stride as u64 + 3 * pixel;
        assert_eq!(driver.rig.vram().read_vec(at, pixel).unwrap(), expected, "{format:?}");
        let around = driver.rig.vram().read_vec(at - pixel, pixel).unwrap();
        assert!(around.iter().all(|byte| *byte == 0), "{format:?}");
    }
}

#[test]
fn a_part_of_a_one_bit_surface_is_written_back_in_whole_bytes() {
    let mut driver = Driver::with_primary();
    driver.rig.vram().write(8 * MIB, &[0xff; 64]).unwrap();
    Create {
        format: 1,
        width: 29,
        stride: 4,
        ..Create::default()
    }
    .push(&mut driver);
    driver.update_area(5, [0, 9, 1, 12]);
    let rows = driver.rig.vram().read_vec(8 * MIB, 8).unwrap();
    assert_eq!(rows, [0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn create_commands_that_cannot_be_are_dropped_and_given_back() {
    let base = Create::default;
    let bad = [
        Create { surface: 0, ..base() },
        Create {
            surface: 1024,
            ..base()
        },
        Create {
            surface: u32::MAX,
            ..base()
        },
        Create { width: 0, ..base() },
        Create { height: 0, ..base() },
        Create {
            height: u32::MAX,
            ..base()
        },
        Create { stride: 60, ..base() },
        Create { stride: 66, ..base() },
        Create {
            stride: i32::MIN,
            ..base()
        },
        Create { format: 7, ..base() },
        Create { data: 0, ..base() },
        Create {
            data: slot(2, 16 * MIB - 511),
            ..base()
        },
        Create {
            data: slot(2, u64::MAX >> 16),
            ..base()
        },
    ];
    for create in bad {
        let mut driver = Driver::with_primary();
        let body = create.push(&mut driver);
        assert_eq!(driver.collect(|_| body), [100]);
        assert_eq!(driver.rig.core.counters.read().dropped, 1);
        assert_eq!(driver.rig.sink.live(), [0]);
        assert!(!driver.rig.frozen());
    }
}

#[test]
fn double_creates_and_destroys_are_dropped_and_given_back() {
    let mut driver = Driver::with_primary();
    let first = Create::default().push(&mut driver);
    let second = Create {
        id: 101,
        ..Create::default()
    }
    .push(&mut driver);
    assert_eq!(driver.collect(|_| second), [101], "the first is kept");
    let gone = destroy(&mut driver, 102, 5);
    assert_eq!(driver.collect(|id| if id == 100 { first } else { gone }), [100, 102]);
    let again = destroy(&mut driver, 103, 5);
    assert_eq!(driver.collect(|_| again), [103]);
    assert_eq!(driver.rig.core.counters.read().dropped, 2);
}

#[test]
fn the_destroy_port_keeps_the_picture_and_gives_the_command_back() {
    for port in [ports::DESTROY_SURFACE, ports::DESTROY_SURFACE_ASYNC] {
        let mut driver = Driver::with_primary();
        let create = Create::default().push(&mut driver);
        let fill = driver.fill(1, 5, [0, 0, 8, 16], 0x77);
        driver.collect(|_| fill);
        driver.rig.out(port, 5);
        assert_eq!(driver.rig.vram().load_u32(8 * MIB + 7 * 64 + 60).unwrap(), 0x77);
        assert_eq!(driver.collect(|_| create), [100]);
        assert_eq!(driver.rig.sink.live(), [0]);
        driver.rig.out(port, 5);
        assert!(!driver.rig.frozen(), "a surface that is not there is fine");
    }
}

#[test]
fn destroying_all_gives_every_create_command_back() {
    let mut driver = Driver::with_primary();
    let bodies: Vec<u64> = (1..=40)
        .map(|surface| {
            Create {
                id: surface.into(),
                surface,
                data: slot(2, 8 * MIB + u64::from(surface) * 512),
                ..Create::default()
            }
            .push(&mut driver)
        })
        .collect();
    driver.rig.out(ports::DESTROY_ALL, 0);
    assert_eq!(
        driver.collect(|id| bodies[id as usize - 1]),
        (1..=40).collect::<Vec<_>>()
    );
    assert!(driver.rig.sink.live().is_empty());
}

#[test]
fn surfaces_take_no_more_than_the_devices_memory_on_the_host() {
    let mut driver = Driver::with_primary();
    let mut made = 0;
    for surface in 1..1024 {
        // All of them in the same place.
        Create {
            id: 0,
            surface,
            width: 1024,
            height: 1024,
            stride: 4096,
            data: slot(2, 0),
            ..Create::default()
        }
        .push(&mut driver);
        made = driver.rig.sink.live().len() - 1;
    }
    assert_eq!(
        made, 7,
        "16 MiB of RAM and 16 of VRAM, less the primary, in pieces of 4"
    );
    assert!(!driver.rig.frozen());
}

#[test]
fn an_update_command_renders_stores_its_number_and_interrupts() {
    let mut driver = Driver::with_primary();
    driver.fill(1, 0, [0, 0, 1, 1], 0x77);
    driver.rig.take_pending();
    let update = Packed::new().u64(9).rect([0, 0, 480, 640]).u32(0x1234).u32(0);
    let update = driver.place(&update);
    driver.command(2, update);
    assert_eq!(driver.rig.vram().load_u32(0).unwrap(), 0x77);
    assert_eq!(driver.rig.rom.load_u32(8).unwrap(), 0x1234);
    assert_eq!(driver.rig.take_pending() & interrupts::DISPLAY, interrupts::DISPLAY);
    driver.rig.out(ports::RESET, 0);
    assert_eq!(driver.rig.rom.load_u32(8).unwrap(), 0);
}

#[test]
fn a_message_is_logged_up_to_its_end_and_given_back() {
    let mut driver = Driver::with_primary();
    let message = driver.place(&Packed::new().u64(4).bytes(b"hello\0"));
    driver.command(4, message);
    // Without an end, right before the end of the slot.
    let last = (16 * MIB) - 8192 - 12;
    driver
        .rig
        .ram()
        .write(last, &[5, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', b'c', b'd'])
        .unwrap();
    driver.command(4, slot(1, last));
    assert_eq!(driver.collect(|id| if id == 4 { message } else { slot(1, last) }), [4]);
    assert_eq!(driver.rig.core.counters.read().log_lines, 2);
    assert_eq!(driver.rig.core.counters.read().dropped, 0);
}

proptest! {
    /// A primary that is taken lies inside its slot and inside the draw area, whatever the guest asks for.
    #[test]
    fn no_primary_reaches_out_of_its_slot(
        width in prop_oneof![1_u32..4096, any::<u32>()],
        height in prop_oneof![1_u32..4096, any::<u32>()],
        stride in prop_oneof![(-4096_i32..4096).prop_map(|value| value * 4), any::<i32>()],
        format in prop_oneof![Just(32_u32), Just(16), Just(80), any::<u32>()],
        place in prop_oneof![0_u64..17 * MIB, any::<u64>()],
    ) {
        let mut driver = Driver::probed();
        let words = [width, height, stride.cast_unsigned(), format, 1];
        let bits = create_primary_with(&mut driver, words, slot(2, place & 0xffff_ffff_ffff));
        if bits & interrupts::ERROR == 0 {
            let bytes = u64::from(stride.unsigned_abs()) * u64::from(height);
            prop_assert!(bytes <= 8 * MIB);
            prop_assert!((place & 0xffff_ffff_ffff) + bytes <= 16 * MIB);
            driver.fill(1, 0, [0, 0, height as i32, width as i32], 1);
            driver.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
        } else {
            prop_assert!(driver.rig.frozen());
        }
    }
}
