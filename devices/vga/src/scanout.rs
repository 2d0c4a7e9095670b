//! What the registers say is on the screen, at one moment.

use crate::{dispi::Layout, vga::Vga};

/// A frame may have twice the bytes that dispi modes may use, or this if that is more: room for the largest picture
/// the standard registers can describe, 4096 x 1024 pixels of 32 bits. Modes of 4 and 8 bits a pixel could ask for
/// more; of them the upper lines are shown.
const FRAME_BYTES: u64 = 16 << 20;

/// Everything a renderer needs besides the memory. Equal scan-outs of equal memory are equal pictures (but for what
/// blinks).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanout {
    pub(crate) picture: Picture,
    /// Pixels, when the picture has a size.
    pub(crate) size: Option<(u32, u32)>,
    /// Colours as 0x00rrggbb, through all tables on the way. Those that do not matter to the picture are 0.
    pub(crate) palette: [u32; 256],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    Blank,
    Text(Text),
    Graphics(Graphics),
}

/// Rows or lines past this one start again at the beginning of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Last line of the upper part.
    pub(crate) line: u32,
    /// The lower part is not panned.
    pub(crate) stops_pan: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) style: TextStyle,
    /// Address of the first cell.
    pub(crate) start: u64,
    /// Bytes from row to row.
    pub(crate) pitch: u64,
    /// Where to start again, in lines.
    pub(crate) split: u32,
    pub(crate) cursor: Option<TextCursor>,
}

/// How cells look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextStyle {
    pub(crate) columns: u32,
    pub(crate) rows: u32,
    /// 8, 9, or 16 for characters of double width.
    pub(crate) cell_width: u32,
    /// 1 to 32.
    pub(crate) cell_height: u32,
    /// Addresses of the fonts for attributes with bit 3 clear and set: of dwords, whose plane 2 it is.
    pub(crate) fonts: [u64; 2],
    /// The ninth column of line graphics continues the eighth.
    pub(crate) joins_lines: bool,
    /// Attribute bit 7 blinks; else it is a bright background.
    pub(crate) blinks: bool,
    /// Line of the cell that underlines, in monochrome modes.
    pub(crate) underline: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextCursor {
    /// Its cell, in dwords from the start of the memory.
    pub(crate) cell: u64,
    /// First and last line in the cell; none when first is past last.
    pub(crate) first: u8,
    pub(crate) last: u8,
}

/// How bytes become pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Eight pixels of four bits a dword, one bit from each plane.
    Planar,
    /// Eight pixels a dword, two bits from planes 0 and 1, upper two from planes 2 and 3.
    Cga,
    /// One byte a pixel.
    Indexed,
    /// x1r5g5b5.
    Rgb555,
    /// r5g6b5.
    Rgb565,
    /// B, G, R.
    Bgr,
    /// B, G, R, x.
    Bgrx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Graphics {
    pub(crate) format: Format,
    /// Pixels of the frame for one of the memory, 1 or 2.
    pub(crate) dot_width: u32,
    /// Address of the first line.
    pub(crate) start: u64,
    /// Bytes from line to line.
    pub(crate) pitch: u64,
    /// Pixels of the frame that are left out at the left edge.
    pub(crate) pan: u32,
    /// How often a line of the memory is shown.
    pub(crate) repeat: u32,
    /// Bit of the address that is bit 0 of the line's number, as on a CGA.
    pub(crate) bank_bit: Option<u32>,
    /// Bit 15 of the address is bit 1 of the line's number.
    pub(crate) four_banks: bool,
    pub(crate) split: Option<Split>,
}

impl Scanout {
    pub(crate) fn new(vga: &Vga) -> Self {
        let registers = &vga.registers;
        let eight_bit = vga.dispi.has_eight_bit_dac();
        let (picture, width, height) = if registers.is_blank() {
            (Picture::Blank, 0, 0)
        } else if let Some(layout) = vga.dispi.layout() {
            (Picture::Graphics(linear(&layout)), layout.width, layout.height)
        } else if registers.gr[6] & 1 != 0 {
            graphics(vga)
        } else {
            text(vga)
        };
        let limit = FRAME_BYTES.max(vga.dispi.memory().saturating_mul(2)) / 4;
        let height = u32::try_from(limit / u64::from(width.max(1))).map_or(height, |most| height.min(most));
        let mut scanout = Self {
            picture,
            size: Some((width, height)),
            palette: [0; 256],
        };
        if width == 0 || height == 0 {
            scanout.picture = Picture::Blank;
        }
        match &mut scanout.picture {
            Picture::Blank => scanout.size = None,
            Picture::Text(text) => {
                text.style.rows = height / text.style.cell_height.max(1);
                scanout.size = Some((width, text.style.rows * text.style.cell_height));
                scanout.fill_palette(16, |pixel| registers.attribute_colour(pixel, eight_bit));
            }
            Picture::Graphics(graphics) => match graphics.format {
                Format::Planar | Format::Cga => {
                    scanout.fill_palette(16, |pixel| registers.attribute_colour(pixel, eight_bit));
                }
                Format::Indexed => scanout.fill_palette(256, |pixel| registers.dac_colour(pixel, eight_bit)),
                _ => {}
            },
        }
        scanout
    }

    fn fill_palette(&mut self, colours: usize, colour: impl Fn(u8) -> u32) {
        for (index, slot) in (0..=u8::MAX).zip(self.palette.iter_mut().take(colours)) {
            *slot = colour(index);
        }
    }

    /// Pixels across and down. None when the screen is blank: a blank screen keeps the size it had.
    #[must_use]
    pub const fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// Whether it shows characters.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self.picture, Picture::Text(_))
    }
}

/// A dispi mode. Line compare, panning, banks and doubling of the standard registers do not apply.
fn linear(layout: &Layout) -> Graphics {
    Graphics {
        format: match layout.depth {
            4 => Format::Planar,
            15 => Format::Rgb555,
            16 => Format::Rgb565,
            24 => Format::Bgr,
            32 => Format::Bgrx,
            _ => Format::Indexed,
        },
        dot_width: 1,
        start: layout.start,
        pitch: u64::from(layout.line),
        pan: 0,
        repeat: 1,
        bank_bit: None,
        four_banks: false,
        split: None,
    }
}

fn graphics(vga: &Vga) -> (Picture, u32, u32) {
    let registers = &vga.registers;
    let (cr, ar) = (&registers.cr, &registers.ar);
    let width = registers.columns() * 8;
    let doubled = u32::from(registers.sr[1] & 0x08 != 0);
    let pan = u32::from(ar[0x13] & 7);
    let (format, dot_width, pan, width) = match registers.gr[5] >> 5 & 3 {
        0 => (Format::Planar, 1 + doubled, pan << doubled, width << doubled),
        1 => (Format::Cga, 1 + doubled, pan << doubled, width << doubled),
        _ => (Format::Indexed, 2, pan, width),
    };
    let banked = cr[0x17] & 0x01 == 0;
    let scan_lines = if banked { 1 } else { u32::from(cr[0x09] & 0x1f) + 1 };
    let graphics = Graphics {
        format,
        dot_width,
        start: 4 * registers.start(),
        pitch: registers.pitch(),
        pan,
        repeat: scan_lines << (cr[0x09] >> 7),
        bank_bit: banked.then_some(if cr[0x17] & 0x40 == 0 { 14 } else { 15 }),
        four_banks: cr[0x17] & 0x02 == 0,
        split: Some(Split {
            line: registers.line_compare(),
            stops_pan: ar[0x10] & 0x20 != 0,
        }),
    };
    (Picture::Graphics(graphics), width, registers.lines())
}

fn text(vga: &Vga) -> (Picture, u32, u32) {
    let registers = &vga.registers;
    let (sr, cr, ar) = (&registers.sr, &registers.cr, &registers.ar);
    let columns = registers.columns();
    let cell_width = match (sr[1] & 0x08 != 0, sr[1] & 0x01 != 0) {
        (true, _) => 16,
        (false, true) => 8,
        (false, false) => 9,
    };
    let cell_height = u32::from(cr[0x09] & 0x1f) + 1;
    // A vertical total of 100 is a trick of old: 160 x 100 blocks, each half a character of two lines.
    let rows = if cr[0x06] == 100 {
        100
    } else {
        registers.lines() / cell_height
    };
    // The lowest bit of a font's number is apart from the other two in SR3.
    let font = |low: u8, high: u8| u64::from(low & 1 | (high & 3) << 1) * 0x8000;
    let text = Text {
        style: TextStyle {
            columns,
            rows,
            cell_width,
            cell_height,
            fonts: [font(sr[3] >> 4, sr[3]), font(sr[3] >> 5, sr[3] >> 2)],
            joins_lines: ar[0x10] & 0x04 != 0,
            blinks: ar[0x10] & 0x08 != 0,
            underline: (ar[0x10] & 0x02 != 0).then_some(u32::from(cr[0x14] & 0x1f)),
        },
        start: 4 * registers.start(),
        pitch: registers.pitch(),
        split: registers.line_compare(),
        cursor: (cr[0x0a] & 0x20 == 0).then_some(TextCursor {
            cell: registers.cursor(),
            first: cr[0x0a] & 0x1f,
            last: cr[0x0b] & 0x1f,
        }),
    };
    (Picture::Text(text), columns * cell_width, rows * cell_height)
}
