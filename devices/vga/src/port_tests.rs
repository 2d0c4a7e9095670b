//! Ports: widths, groups, protection, flip-flops, DAC.

use crate::{
    PORTS, changes_mode,
    testing::{MODE_3, Pc, dispi},
};

#[test]
fn a_word_written_to_an_index_port_is_index_and_data() {
    let mut pc = Pc::new();
    pc.outb(0x3c2, 1);
    for (port, word, data) in [(0x3c4, 0x0d02, 0x0d), (0x3ce, 0x5a08, 0x5a), (0x3d4, 0x3c0e, 0x3c)] {
        pc.outw(port, word);
        assert_eq!((pc.inb(port), pc.inb(port + 1)), (word as u8, data));
        assert_eq!(pc.inw(port), word);
    }
}

#[test]
fn dispi_words_are_not_split_and_bytes_are_not_taken() {
    let mut pc = Pc::new();
    pc.outw(0x1ce, 0x0201);
    assert_eq!(pc.inw(0x1ce), 0x0201);
    pc.outw(0x1ce, dispi::X);
    pc.outw(0x1cf, 1024);
    assert_eq!((pc.inw(0x1cf), pc.inw(0x1d0)), (1024, 1024));
    pc.outw(0x1d0, 800);
    pc.outb(0x1cf, 7);
    pc.outb(0x1ce, 7);
    assert_eq!((pc.inw(0x1ce), pc.inw(0x1cf)), (1, 800));
    assert_eq!((pc.inb(0x1ce), pc.inb(0x1cf), pc.inw(0x1d1)), (0xff, 0xff, 0xffff));
    // An access of 32 bits has room for both registers.
    pc.vga.port_write(0x1ce, &[2, 0, 0x58, 2]);
    let mut both = [0; 4];
    pc.vga.port_read(0x1ce, &mut both);
    assert_eq!((pc.get_dispi(dispi::Y), both), (600, [2, 0, 0x58, 2]));
}

#[test]
fn only_one_of_the_mono_and_colour_groups_answers() {
    let mut pc = Pc::new();
    pc.outw(0x3b4, 0x120e);
    pc.outw(0x3d4, 0x340e);
    assert_eq!((pc.inw(0x3b4), pc.inw(0x3d4)), (0x120e, 0xffff));
    assert_eq!(pc.inb(0x3da), 0xff);
    assert_ne!(pc.inb(0x3ba), pc.inb(0x3ba));
    pc.outb(0x3c2, 0x7f);
    assert_eq!((pc.inb(0x3cc), pc.inb(0x3b5), pc.inb(0x3d5)), (0x6f, 0xff, 0x12));
    pc.outb(0x3da, 0xff);
    pc.outb(0x3ba, 0);
    assert_eq!(pc.inb(0x3ca), 0x10);
}

#[test]
fn the_timing_registers_can_be_protected_but_for_a_bit_of_line_compare() {
    let mut pc = Pc::in_mode(&MODE_3);
    for index in 0..8 {
        pc.cr(index, 0xe5);
    }
    let registers: Vec<u8> = (0..8).map(|index| pc.read_register(0x3d4, index)).collect();
    assert_eq!(registers, [0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x0f]);
    pc.cr(0x11, 0x0e);
    pc.cr(0x07, 0xe5);
    assert_eq!(pc.read_register(0x3d4, 7), 0xe5);
}

#[test]
fn the_attribute_flip_flop_goes_back_to_the_index_when_the_status_is_read() {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.inb(0x3da);
    pc.outb(0x3c0, 0x02);
    assert_eq!(pc.inb(0x3c0), 0);
    pc.inb(0x3da);
    assert_eq!(pc.inb(0x3c0), 0x02);
    pc.outb(0x3c0, 0x23);
    pc.outb(0x3c0, 0xff);
    assert_eq!((pc.inb(0x3c1), pc.inb(0x3c0)), (0x3f, 0x23));
    // Past the last register there is nothing.
    pc.outb(0x3c0, 0x35);
    pc.outb(0x3c0, 0xff);
    assert_eq!(pc.inb(0x3c1), 0);
}

#[test]
fn registers_keep_the_bits_they_have() {
    let mut pc = Pc::new();
    pc.outb(0x3c2, 1);
    for index in 0..16 {
        pc.sr(index & 7, 0xff);
        pc.gr(index, 0xff);
    }
    let read = |pc: &mut Pc, port, last| {
        (0..=last)
            .map(|index| pc.read_register(port, index))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        read(&mut pc, 0x3c4, 7),
        [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0x00, 0x00, 0xff]
    );
    assert_eq!(
        read(&mut pc, 0x3ce, 15),
        [
            0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff, 0, 0, 0, 0, 0, 0, 0
        ]
    );
    pc.outb(0x3c4, 0xff);
    pc.outb(0x3ce, 0xff);
    assert_eq!((pc.inb(0x3c4), pc.inb(0x3ce)), (7, 0x0f));
    pc.ar(0x10, 0xff);
    pc.ar(0x14, 0xff);
    assert_eq!((pc.read_ar(0x10), pc.read_ar(0x14)), (0xef, 0x0f));
    for index in [0x19, 0x40, 0xff] {
        pc.cr(index, index ^ 0x55);
        assert_eq!(pc.read_register(0x3d4, index), index ^ 0x55);
    }
}

#[test]
fn colours_are_written_and_read_three_bytes_at_a_time() {
    let mut pc = Pc::new();
    pc.colour(0xff, [1, 2, 3]);
    assert_eq!((pc.inb(0x3c8), pc.inb(0x3c7)), (0, 0));
    // The index went on by itself, past the last to the first. Two bytes change nothing yet.
    for value in [4, 5, 6, 7, 8] {
        pc.outb(0x3c9, value);
    }
    pc.outb(0x3c7, 0xff);
    assert_eq!(pc.inb(0x3c7), 3);
    let read: Vec<u8> = (0..9).map(|_| pc.inb(0x3c9)).collect();
    assert_eq!(read, [1, 2, 3, 4, 5, 6, 0, 0, 0]);
    assert_eq!(pc.inb(0x3c6), 0xff);
    pc.outb(0x3c6, 0x0f);
    assert_eq!(pc.inb(0x3c6), 0x0f);
}

#[test]
fn the_screen_is_blank_after_a_reset_and_dispi_as_new() {
    let mut pc = Pc::in_mode(&MODE_3);
    pc.set_linear(640, 480, 32);
    pc.vga.reset();
    assert_eq!((pc.inb(0x3cc), pc.inb(0x3c0), pc.inb(0x3d4)), (0, 0, 0xff));
    assert_eq!(pc.get_dispi(dispi::ID), 0xb0c5);
    for index in 1..10 {
        assert_eq!(pc.get_dispi(index), 0);
    }
    assert_eq!(pc.get_dispi(dispi::MEMORY), 0x100);
    assert_eq!(pc.vga.scanout().size(), None);
}

#[test]
fn ports_that_change_the_mode_are_the_standard_ones_of_the_list() {
    for port in 0..=u16::MAX {
        let listed = PORTS
            .iter()
            .any(|(first, count)| (*first..first + count).contains(&port));
        assert_eq!(changes_mode(port), listed && port >= 0x3b4, "{port:#x}");
    }
}
