//! Interrupt 10h: the calls that are used, and what they say about modes.

use caraway_guest_rt::mmio::Width;
use caraway_guest_rt::real_mode::{self, Registers};

/// Where calls find and leave tables: es:di and es:dx of every call.
pub(crate) const BUFFER: u32 = real_mode::RESERVED.end;
const BUFFER_SEGMENT: u16 = (BUFFER >> 4) as u16;

/// What VBE calls leave in AX when they did what they were asked to.
const VBE_DONE: u16 = 0x004f;
/// Bit of a VBE mode number: linear frame buffer.
const LINEAR: u16 = 0x4000;

/// The 16-bit registers of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) ax: u16,
    pub(crate) bx: u16,
    pub(crate) cx: u16,
    pub(crate) dx: u16,
}

impl Call {
    /// A call with AX only; AH is the function.
    pub(crate) const fn new(ax: u16) -> Self {
        Self {
            ax,
            bx: 0,
            cx: 0,
            dx: 0,
        }
    }

    pub(crate) const fn bx(self, bx: u16) -> Self {
        Self { bx, ..self }
    }

    pub(crate) const fn cx(self, cx: u16) -> Self {
        Self { cx, ..self }
    }

    pub(crate) const fn dx(self, dx: u16) -> Self {
        Self { dx, ..self }
    }

    /// Makes the call; the registers it returned with.
    pub(crate) fn make(self) -> Self {
        let registers = Registers {
            eax: self.ax.into(),
            ebx: self.bx.into(),
            ecx: self.cx.into(),
            edx: self.dx.into(),
            es: BUFFER_SEGMENT,
            ..Registers::default()
        };
        let registers = real_mode::interrupt(0x10, &registers);
        Self {
            ax: registers.eax as u16,
            bx: registers.ebx as u16,
            cx: registers.ecx as u16,
            dx: registers.edx as u16,
        }
    }
}

/// A VBE mode as the BIOS describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VbeMode {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bits: u32,
    /// Address of the linear frame buffer, if that is how the mode was set.
    pub(crate) linear: Option<u32>,
}

/// How the screen's memory is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// Cells of so many columns.
    Text { columns: u32 },
    /// Four planes in the window.
    Planar { width: u32, height: u32 },
    /// CGA memory of two banks, so many bits a pixel.
    Cga { bits: u32 },
    /// 320x200 bytes in the window.
    Indexed,
    /// A VBE mode of 8 bits or more.
    Vbe(VbeMode),
}

/// What a standard mode is; nothing for one that is not drawn in.
pub(crate) fn standard(mode: u8) -> Option<Screen> {
    let planar = |width, height| Some(Screen::Planar { width, height });
    match mode & 0x7f {
        0x00 | 0x01 => Some(Screen::Text { columns: 40 }),
        0x02 | 0x03 => Some(Screen::Text { columns: 80 }),
        0x04 | 0x05 => Some(Screen::Cga { bits: 2 }),
        0x06 => Some(Screen::Cga { bits: 1 }),
        0x0d => planar(320, 200),
        0x0e => planar(640, 200),
        0x10 => planar(640, 350),
        0x12 => planar(640, 480),
        0x13 => Some(Screen::Indexed),
        0x6a => planar(800, 600),
        _ => None,
    }
}

/// Sets a VBE mode with or without linear frame buffer: what AX was, and the screen if it is there.
pub(crate) fn set_vbe(mode: u16, linear: bool) -> (u16, Option<Screen>) {
    let wanted = if linear { mode | LINEAR } else { mode };
    let ax = Call::new(0x4f02).bx(wanted).make().ax;
    if ax != VBE_DONE {
        return (ax, None);
    }
    if Call::new(0x4f01).cx(mode).make().ax != VBE_DONE {
        return (ax, None);
    }
    let field = |offset, width| real_mode::read(BUFFER + offset, width).unwrap_or(0) as u32;
    let (width, height) = (field(0x12, Width::B2), field(0x14, Width::B2));
    let bits = field(0x19, Width::B1);
    let screen = if bits == 4 {
        Screen::Planar { width, height }
    } else {
        Screen::Vbe(VbeMode {
            width,
            height,
            // 15 bits may be called 16 with green five bits wide.
            bits: if bits == 16 && field(0x21, Width::B1) == 5 {
                15
            } else {
                bits
            },
            linear: linear.then(|| field(0x28, Width::B4)),
        })
    };
    (ax, Some(screen))
}

/// Writes a palette of 256 entries of red, green, blue, of as many bits as the DAC has, by the VBE call.
pub(crate) fn set_palette(colour: impl Fn(u8) -> [u8; 3]) {
    // BH: bits of a component.
    let bits = Call::new(0x4f08).bx(1).make().bx >> 8;
    for index in 0..=u8::MAX {
        let [red, green, blue] = colour(index).map(|value| value >> (8_u16.saturating_sub(bits)));
        real_mode::write_bytes(BUFFER + 4 * u32::from(index), &[blue, green, red, 0]);
    }
    Call::new(0x4f09).cx(256).make();
}
