//! The registers of a standard VGA: sequencer (SR), graphics controller (GR), attribute controller (AR), CRT
//! controller (CR) and DAC, with the names of the hardware manuals.

use serde::{Deserialize, Serialize};

use crate::{dac::Dac, dispi::Layout};

/// Bits the sequencer keeps.
const SR_MASKS: [u8; 8] = [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff];
/// Bits the graphics controller keeps.
const GR_MASKS: [u8; 16] = [
    0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff, 0, 0, 0, 0, 0, 0, 0,
];
/// Bits the attribute controller keeps.
const AR_MASKS: [u8; 21] = [
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f,
    0x0f, 0x0f,
];
/// Miscellaneous output without the bit that is not there.
const MISC_MASK: u8 = 0xef;
/// Feature control.
const FEATURE_MASK: u8 = 0x10;
/// Input status 1: display disabled and vertical retrace. They change at every read, so that a loop that waits for
/// either edge ends.
const STATUS_BITS: u8 = 0x09;
/// Bit 5 of the attribute index: the palette belongs to the display, not to the CPU.
const PALETTE_ADDRESS_SOURCE: u8 = 0x20;

/// Registers behind 0x3b4 to 0x3da.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registers {
    misc: u8,
    feature: u8,
    status: u8,
    sr_index: u8,
    pub(crate) sr: [u8; 8],
    gr_index: u8,
    pub(crate) gr: [u8; 16],
    ar_index: u8,
    /// The flip-flop of 0x3c0: the next write is data.
    ar_data: bool,
    pub(crate) ar: [u8; 21],
    cr_index: u8,
    #[serde(with = "crate::array")]
    pub(crate) cr: [u8; 256],
    dac: Dac,
}

impl Registers {
    pub(crate) const fn new() -> Self {
        Self {
            misc: 0,
            feature: 0,
            status: 0,
            sr_index: 0,
            sr: [0; 8],
            gr_index: 0,
            gr: [0; 16],
            ar_index: 0,
            ar_data: false,
            ar: [0; 21],
            cr_index: 0,
            cr: [0; 256],
            dac: Dac::new(),
        }
    }

    /// One byte from a port; ones where nothing answers.
    pub(crate) fn read(&mut self, port: u16) -> u8 {
        match port {
            0x3b4 | 0x3b5 | 0x3ba | 0x3d4 | 0x3d5 | 0x3da if !self.selected(port) => 0xff,
            0x3c0 if self.ar_data => 0,
            0x3c0 => self.ar_index,
            0x3c1 => self.ar.get(usize::from(self.ar_index & 0x1f)).copied().unwrap_or(0),
            0x3c4 => self.sr_index,
            0x3c5 => self.sr.get(usize::from(self.sr_index)).copied().unwrap_or(0),
            0x3c6..=0x3c9 => self.dac.read(port),
            0x3ca => self.feature,
            0x3cc => self.misc,
            0x3ce => self.gr_index,
            0x3cf => self.gr.get(usize::from(self.gr_index)).copied().unwrap_or(0),
            // Input status 0, and ports of the block that hold nothing.
            0x3c2 | 0x3c3 | 0x3cb | 0x3cd => 0,
            0x3b4 | 0x3d4 => self.cr_index,
            0x3b5 | 0x3d5 => self.cr[usize::from(self.cr_index)],
            0x3ba | 0x3da => {
                self.ar_data = false;
                self.status ^= STATUS_BITS;
                self.status
            }
            _ => 0xff,
        }
    }

    /// One byte to a port.
    pub(crate) fn write(&mut self, port: u16, value: u8) {
        match port {
            0x3b4 | 0x3b5 | 0x3ba | 0x3d4 | 0x3d5 | 0x3da if !self.selected(port) => {}
            0x3c0 => self.write_attribute(value),
            0x3c2 => self.misc = value & MISC_MASK,
            0x3c4 => self.sr_index = value & 7,
            0x3c5 => store(&mut self.sr, &SR_MASKS, self.sr_index, value),
            0x3c6..=0x3c9 => self.dac.write(port, value),
            0x3ce => self.gr_index = value & 0x0f,
            0x3cf => store(&mut self.gr, &GR_MASKS, self.gr_index, value),
            0x3b4 | 0x3d4 => self.cr_index = value,
            0x3b5 | 0x3d5 => self.write_crtc(value),
            0x3ba | 0x3da => self.feature = value & FEATURE_MASK,
            _ => {}
        }
    }

    /// Whether the group of the port (mono at 0x3bx, colour at 0x3dx) is the one that answers.
    const fn selected(&self, port: u16) -> bool {
        (self.misc & 1 != 0) == (port >= 0x3d0)
    }

    fn write_attribute(&mut self, value: u8) {
        if self.ar_data {
            store(&mut self.ar, &AR_MASKS, self.ar_index & 0x1f, value);
        } else {
            self.ar_index = value & 0x3f;
        }
        self.ar_data = !self.ar_data;
    }

    fn write_crtc(&mut self, value: u8) {
        let protected = self.cr[0x11] & 0x80 != 0;
        match self.cr_index {
            7 if protected => self.cr[7] = self.cr[7] & !0x10 | value & 0x10,
            0..=6 if protected => {}
            index => self.cr[usize::from(index)] = value,
        }
    }

    /// Makes the registers say what a dispi mode is, for software that reads them.
    pub(crate) const fn follow(&mut self, layout: &Layout) {
        let last = layout.height.saturating_sub(1);
        let [columns, ..] = (layout.width >> 3).saturating_sub(1).to_le_bytes();
        let [pitch, ..] = (layout.line >> 3).to_le_bytes();
        let [last_low, last_high, ..] = last.to_le_bytes();
        let shift = if layout.is_planar() { 0 } else { 0x40 };
        self.gr[5] = self.gr[5] & !0x60 | shift;
        self.gr[6] = self.gr[6] & !0x0c | 0x05;
        self.cr[0x01] = columns;
        self.cr[0x07] = self.cr[0x07] & !0x42 | (last_high & 1) << 1 | (last_high & 2) << 5 | 0x10;
        self.cr[0x09] = self.cr[0x09] & !0x9f | 0x40;
        self.cr[0x12] = last_low;
        self.cr[0x13] = pitch;
        self.cr[0x17] |= 0x03;
        self.cr[0x18] = 0xff;
    }

    /// Whether the screen is off: the palette belongs to the CPU, or SR1 says so.
    pub(crate) const fn is_blank(&self) -> bool {
        self.ar_index & PALETTE_ADDRESS_SOURCE == 0 || self.sr[1] & 0x20 != 0
    }

    /// Columns of eight dots (or characters).
    pub(crate) fn columns(&self) -> u32 {
        u32::from(self.cr[0x01]) + 1
    }

    /// Lines of the picture.
    pub(crate) fn lines(&self) -> u32 {
        let overflow = u32::from(self.cr[0x07]);
        (u32::from(self.cr[0x12]) | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1
    }

    /// The last line before the lower part of a split screen.
    pub(crate) fn line_compare(&self) -> u32 {
        u32::from(self.cr[0x18]) | u32::from(self.cr[0x07] & 0x10) << 4 | u32::from(self.cr[0x09] & 0x40) << 3
    }

    /// Where the picture begins, in dwords.
    pub(crate) fn start(&self) -> u64 {
        u64::from(u16::from_be_bytes([self.cr[0x0c], self.cr[0x0d]]))
    }

    /// The cell of the cursor, in dwords.
    pub(crate) fn cursor(&self) -> u64 {
        u64::from(u16::from_be_bytes([self.cr[0x0e], self.cr[0x0f]]))
    }

    /// Bytes from line to line.
    pub(crate) fn pitch(&self) -> u64 {
        u64::from(self.cr[0x13]) << 3
    }

    /// DAC colour as 0x00rrggbb.
    pub(crate) fn dac_colour(&self, index: u8, eight_bit: bool) -> u32 {
        self.dac.colour(index, eight_bit)
    }

    /// Colour of a pixel of four bits, through the attribute controller.
    pub(crate) fn attribute_colour(&self, pixel: u8, eight_bit: bool) -> u32 {
        let entry = self.ar.get(usize::from(pixel & self.ar[0x12] & 0x0f)).copied();
        let (entry, select) = (entry.unwrap_or(0), self.ar[0x14]);
        let index = if self.ar[0x10] & 0x80 != 0 {
            (select & 0x0f) << 4 | entry & 0x0f
        } else {
            (select & 0x0c) << 4 | entry & 0x3f
        };
        self.dac_colour(index, eight_bit)
    }

    /// A field that no guest can have made so.
    pub(crate) fn impossible(&self) -> Option<(&'static str, u8)> {
        let beyond = |values: &[u8], masks: &[u8]| {
            let bits = values.iter().zip(masks).map(|(value, mask)| value & !mask);
            bits.fold(0, |all, bits| all | bits)
        };
        let fields = [
            ("misc", self.misc & !MISC_MASK),
            ("feature control", self.feature & !FEATURE_MASK),
            ("input status", self.status & !STATUS_BITS),
            ("SR index", self.sr_index & !7),
            ("SR", beyond(&self.sr, &SR_MASKS)),
            ("GR index", self.gr_index & !0x0f),
            ("GR", beyond(&self.gr, &GR_MASKS)),
            ("AR index", self.ar_index & !0x3f),
            ("AR", beyond(&self.ar, &AR_MASKS)),
        ];
        let found = fields.into_iter().find(|(_, bits)| *bits != 0);
        found.or_else(|| self.dac.impossible())
    }
}

fn store(registers: &mut [u8], masks: &[u8], index: u8, value: u8) {
    let index = usize::from(index);
    if let (Some(register), Some(mask)) = (registers.get_mut(index), masks.get(index)) {
        *register = value & mask;
    }
}
