//! What a VGA BIOS leaves behind, register by register.

use crate::testing::{MODE_3, Pc, dispi};

/// A VGA BIOS sets VBE mode 0x144 (1024x768, 32 bits) with a linear frame buffer, coming from mode 3.
fn set_vbe_144(pc: &mut Pc) {
    let (width, height) = (1024_u16, 768_u16);
    pc.set_dispi(dispi::ENABLE, 0);
    pc.set_dispi(dispi::BPP, 32);
    pc.set_dispi(dispi::X, width);
    pc.set_dispi(dispi::Y, height);
    pc.set_dispi(dispi::BANK, 0);
    pc.set_dispi(dispi::ENABLE, 0x41);
    pc.cr(0x11, 0);
    pc.cr(0x01, (width / 8 - 1) as u8);
    pc.cr(0x13, (width * 4 / 8).to_le_bytes()[0]);
    pc.cr(0x12, (height - 1).to_le_bytes()[0]);
    pc.change(0x3d4, 0x07, 0x42, 0x40);
    pc.cr(0x09, 0);
    pc.change(0x3d4, 0x17, 0, 0x03);
    let mode = pc.read_ar(0x10);
    pc.ar(0x10, mode | 0x01);
    pc.gr(0x06, 0x05);
    pc.sr(0x02, 0x0f);
    pc.change(0x3d4, 0x14, 0, 0x40);
    let mode = pc.read_ar(0x10);
    pc.ar(0x10, mode | 0x40);
    pc.change(0x3c4, 0x04, 0, 0x08);
    pc.change(0x3ce, 0x05, 0x20, 0x40);
    pc.screen(true);
}

#[test]
fn registers_after_a_vbe_mode_set_are_those_known_guests_find() {
    let mut pc = Pc::in_mode(&MODE_3);
    set_vbe_144(&mut pc);
    let dispi: Vec<u16> = (0..11).map(|index| pc.get_dispi(index)).collect();
    assert_eq!(dispi, [0xb0c5, 0x400, 0x300, 0x20, 0x41, 0, 0x400, 0x1000, 0, 0, 0x100]);
    assert_eq!(pc.inb(0x3cc), 0x67);
    let read = |pc: &mut Pc, port, count| {
        (0..count)
            .map(|index| pc.read_register(port, index))
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&mut pc, 0x3c4, 5), [0x03, 0x00, 0x0f, 0x00, 0x0a]);
    assert_eq!(
        read(&mut pc, 0x3d4, 25),
        [
            0x5f, 0x7f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x5d, 0x00, 0x40, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x00,
            0xff, 0x00, 0x5f, 0x96, 0xb9, 0xa3, 0xff
        ]
    );
    assert_eq!(
        read(&mut pc, 0x3ce, 9),
        [0x00, 0x00, 0x00, 0x00, 0x00, 0x50, 0x05, 0x0f, 0xff]
    );
    let attributes: Vec<u8> = (0..0x15).map(|index| pc.read_ar(index)).collect();
    assert_eq!(attributes[..16], MODE_3.ar[..16]);
    assert_eq!(attributes[16..], [0x4d, 0x00, 0x0f, 0x08, 0x00]);
    pc.refresh();
    assert_eq!(pc.renderer.size(), (1024, 768));
}

#[test]
fn text_is_in_planes_0_and_1_and_glyphs_in_plane_2() {
    let mut pc = Pc::in_mode(&MODE_3);
    let a = [
        0x00, 0x00, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0, 0, 0, 0,
    ];
    pc.load_font(0, &[(b'A', &a)]);
    pc.poke(0xb_8000, b"S\x07e\x07a\x07");
    for (cell, character) in (0..).zip(b"Sea") {
        let bytes = pc.memory.read_vec(4 * cell, 2).unwrap();
        assert_eq!(bytes, [*character, 0x07]);
        assert_eq!(pc.peek(0xb_8000 + 2 * cell), *character);
        assert_eq!(pc.peek(0xb_8001 + 2 * cell), 0x07);
    }
    let glyph = pc.memory.read_vec(4 * 0x41 * 32, 64).unwrap();
    let rows: Vec<u8> = glyph.chunks(4).map(|planes| planes[2]).collect();
    assert_eq!(rows, a);
}
