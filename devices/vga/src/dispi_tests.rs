//! Dispi: probe, limits, rounding, panning, formats, what a mode set clears.

use proptest::prelude::*;

use crate::testing::{MODE_3, MODE_12, Pc, dispi};

fn registers(pc: &mut Pc) -> Vec<u16> {
    (0..12).map(|index| pc.get_dispi(index)).collect()
}

#[test]
fn ids_are_probed_and_others_are_not_taken() {
    let mut pc = Pc::new();
    for id in 0xb0c0..=0xb0c5 {
        pc.set_dispi(dispi::ID, id);
        assert_eq!(pc.get_dispi(dispi::ID), id);
    }
    for id in [0xb0bf, 0xb0c6, 0, 0xffff] {
        pc.set_dispi(dispi::ID, id);
        assert_eq!(pc.get_dispi(dispi::ID), 0xb0c5);
    }
}

#[test]
fn capabilities_are_read_instead_of_the_mode_while_asked_for() {
    let mut pc = Pc::new();
    pc.set_dispi(dispi::X, 640);
    pc.set_dispi(dispi::ENABLE, 0x02);
    assert_eq!(registers(&mut pc)[1..5], [16000, 12000, 32, 2]);
    pc.set_dispi(dispi::ENABLE, 0);
    assert_eq!(registers(&mut pc)[1..5], [640, 0, 0, 0]);
    pc.set_dispi(dispi::MEMORY, 7);
    pc.set_dispi(dispi::VIRTUAL_HEIGHT, 7);
    pc.set_dispi(0xb, 7);
    assert_eq!(registers(&mut pc)[7..], [0, 0, 0, 0x100, 0]);
}

#[test]
fn a_mode_is_rounded_to_what_the_memory_can_show() {
    for (asked, found) in [
        // x, y, bits -> x, y, bits, lines
        ([1366, 768, 32], [1360, 768, 32, 3084]),
        ([0, 0, 0], [8, 1, 8, 0xffff]),
        ([7, 5, 4], [8, 5, 4, 0xffff]),
        ([0xffff, 0xffff, 32], [16000, 262, 32, 262]),
        ([0xffff, 0xffff, 4], [16000, 2097, 4, 2097]),
        ([640, 0xffff, 15], [640, 12000, 15, 13107]),
        ([640, 480, 17], [640, 480, 8, 26214]),
        ([1024, 768, 24], [1024, 768, 24, 5461]),
    ] {
        let mut pc = Pc::new();
        let [x, y, bits] = asked;
        pc.set_linear(x, y, bits);
        let registers = registers(&mut pc);
        assert_eq!([&registers[1..4], &registers[7..8]].concat(), found, "{asked:?}");
        assert_eq!(registers[6], registers[1]);
    }
}

#[test]
fn a_mode_set_clears_what_it_shows_unless_asked_not_to() {
    let mut pc = Pc::new();
    let size = 64 * 48 * 4;
    pc.memory.write(0, &vec![0x77; size as usize + 100]).unwrap();
    pc.set_dispi(dispi::BPP, 32);
    pc.set_dispi(dispi::X, 64);
    pc.set_dispi(dispi::Y, 48);
    pc.set_dispi(dispi::ENABLE, 0x81);
    assert_eq!(pc.memory.read_vec(0, 1).unwrap(), [0x77]);
    // It is on already: nothing is set.
    pc.set_dispi(dispi::ENABLE, 0x01);
    assert_eq!(pc.memory.read_vec(0, 1).unwrap(), [0x77]);
    pc.set_dispi(dispi::ENABLE, 0);
    pc.set_dispi(dispi::ENABLE, 0x01);
    let memory = pc.memory.read_vec(0, size + 100).unwrap();
    assert!(memory[..size as usize].iter().all(|byte| *byte == 0));
    assert!(memory[size as usize..].iter().all(|byte| *byte == 0x77));
    pc.screen(true);
    pc.assert_frame_is_right();
}

#[test]
fn a_second_page_is_flipped_to_and_a_window_moved() {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.set_linear(1024, 768, 32);
    pc.set_dispi(dispi::VIRTUAL_WIDTH, 2053);
    assert_eq!(pc.get_dispi(dispi::VIRTUAL_WIDTH), 2048);
    assert_eq!(pc.get_dispi(dispi::VIRTUAL_HEIGHT), 2048);
    let pixel = |x: u64, y: u64| (y * 2048 + x) * 4;
    pc.write_bar(pixel(3, 0), &[1, 0, 0, 0xff]);
    pc.write_bar(pixel(1003, 800), &[2, 0, 0, 0xff]);
    pc.refresh();
    assert_eq!((pc.pixel(3, 0), pc.renderer.size()), (1, (1024, 768)));
    pc.set_dispi(dispi::Y_OFFSET, 800);
    pc.refresh();
    assert_eq!(pc.pixel(3, 0), 0);
    pc.set_dispi(dispi::X_OFFSET, 1000);
    pc.refresh();
    assert_eq!(pc.pixel(3, 0), 2);
    // Past the end of the memory: lines first, then columns go back to the start.
    pc.set_dispi(dispi::Y_OFFSET, 1281);
    assert_eq!(
        (pc.get_dispi(dispi::X_OFFSET), pc.get_dispi(dispi::Y_OFFSET)),
        (1000, 0)
    );
    pc.assert_frame_is_right();
    // A picture of all the lines there are leaves no room for columns to be moved.
    pc.set_dispi(dispi::Y, 2048);
    assert_eq!((pc.get_dispi(dispi::X_OFFSET), pc.get_dispi(dispi::Y)), (0, 2048));
    pc.assert_frame_is_right();
}

#[test]
fn offsets_have_limits_and_pictures_begin_at_a_dword() {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.set_linear(64, 48, 24);
    pc.write_bar(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (offset, found) in [(1, 0x03_0201), (2, 0x07_0605), (3, 0x00_0009)] {
        pc.set_dispi(dispi::X_OFFSET, offset);
        pc.refresh();
        assert_eq!(pc.pixel(0, 0), found);
    }
    pc.set_dispi(dispi::X_OFFSET, 0xffff);
    pc.set_dispi(dispi::Y_OFFSET, 0xffff);
    assert_eq!(pc.get_dispi(dispi::X_OFFSET), 16000);
    assert_eq!(pc.get_dispi(dispi::Y_OFFSET), 12000);
}

#[test]
fn every_depth_has_its_own_pixels() {
    let colours = |pc: &Pc| (0..4).map(|x| pc.pixel(x, 1)).collect::<Vec<_>>();
    let mut pc = Pc::in_mode(&MODE_3);
    for (depth, bytes, found) in [
        (8_u16, vec![0, 63, 7, 200], vec![0, 0xff_ffff, 0xaa_aaaa, 0]),
        (
            15,
            vec![0x00, 0x7c, 0xe0, 0x03, 0x1f, 0x80, 0x21, 0x04],
            vec![0xff_0000, 0x00_ff00, 0x00_00ff, 0x08_0808],
        ),
        (
            16,
            vec![0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00, 0x41, 0x08],
            vec![0xff_0000, 0x00_ff00, 0x00_00ff, 0x08_0808],
        ),
        (
            24,
            vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 0xfe, 0xfd],
            vec![0x03_0201, 0x06_0504, 0x09_0807, 0xfd_feff],
        ),
        (
            32,
            vec![1, 2, 3, 0xff, 4, 5, 6, 0, 7, 8, 9, 1, 0xff, 0xfe, 0xfd, 0xfc],
            vec![0x03_0201, 0x06_0504, 0x09_0807, 0xfd_feff],
        ),
    ] {
        pc.set_linear(64, 48, depth);
        pc.write_bar(u64::from(depth.next_multiple_of(8)) * 8, &bytes);
        pc.refresh();
        assert_eq!((pc.renderer.size(), colours(&pc)), ((64, 48), found), "{depth}");
    }
}

#[test]
fn four_bits_a_pixel_are_planar_and_use_the_map_mask() {
    let mut pc = Pc::in_mode(&MODE_12);
    pc.set_linear(800, 600, 4);
    for (mask, byte) in [(0x01, 0xf0), (0x08, 0xaa)] {
        pc.sr(2, mask);
        pc.poke(0xa_0000 + 100, &[byte]);
    }
    pc.refresh();
    assert_eq!(pc.renderer.size(), (800, 600));
    let names = [(0, '.'), (0xaa, 'b'), (0x55_5555, 'g'), (0x55_55ff, 'B')];
    assert_eq!(pc.line(0, 1, 10, &names), "BbBbg.g...");
}

#[test]
fn the_dac_has_eight_bits_while_enable_says_so() {
    let mut pc = Pc::new();
    pc.set_linear(8, 8, 8);
    pc.colour(1, [0x80, 0x3f, 0x81]);
    pc.write_bar(0, &[1]);
    pc.refresh();
    assert_eq!(pc.pixel(0, 0), 0x00_ff04);
    pc.set_dispi(dispi::ENABLE, 0x61);
    let refresh = pc.refresh();
    assert_eq!((pc.pixel(0, 0), refresh.rects.len()), (0x80_3f81, 1));
    pc.outb(0x3c6, 0xfe);
    pc.refresh();
    assert_eq!(pc.pixel(0, 0), 0);
}

#[test]
fn standard_registers_do_not_touch_the_picture_of_a_mode() {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.set_linear(64, 64, 32);
    let before = pc.vga.scanout();
    for index in 0..0x19 {
        pc.cr(index, 0x5a);
    }
    for index in 0..9 {
        pc.gr(index, 0xff);
    }
    pc.ar(0x13, 7);
    pc.sr(1, 0x08);
    assert!(pc.vga.scanout() == before);
    // Off again, they count.
    pc.set_dispi(dispi::ENABLE, 0);
    assert!(pc.vga.scanout() != before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is written to dispi, what is shown is inside the memory that modes may use.
    #[test]
    fn every_mode_is_inside_its_memory(
        vgamem in prop_oneof![Just(16_u64 << 20), Just(8 << 20), 0_u64..0x4_0000],
        writes in proptest::collection::vec(
            (0_u16..11, prop_oneof![any::<u16>(), 0_u16..65, Just(32_u16), 15990_u16..16010]), 1..40),
    ) {
        let mut pc = Pc::with_memory(32 << 20, vgamem);
        pc.screen(true);
        for (index, value) in writes {
            // Clearing megabytes two thousand times takes long and shows nothing.
            let value = if index == dispi::ENABLE { value | 0x80 } else { value };
            pc.set_dispi(index, value);
            let Some(layout) = pc.vga.dispi.layout() else { continue };
            let end = layout.start + u64::from(layout.height) * u64::from(layout.line);
            prop_assert!(end <= vgamem);
            prop_assert!(u64::from(layout.width) * u64::from(layout.depth) / 8 <= u64::from(layout.line));
            if let Some((width, height)) = pc.vga.scanout().size() {
                let most = (2 * vgamem).max(16 << 20);
                prop_assert!(u64::from(width) * u64::from(height) * 4 <= most);
            }
        }
    }
}
