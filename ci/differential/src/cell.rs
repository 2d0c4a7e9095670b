//! What is counted: operation, format of the surface drawn on, raster operation, mask and clip.

use caraway_ports::drawing::{GlyphDepth, Rop, SurfaceFormat};

/// A drawing operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fill,
    Opaque,
    Copy,
    Blend,
    CopyBits,
    Blackness,
    Whiteness,
    Invers,
    Rop3,
    Stroke,
    Text,
    Transparent,
    AlphaBlend,
    Composite,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 14] = [
        Self::Fill,
        Self::Opaque,
        Self::Copy,
        Self::Blend,
        Self::CopyBits,
        Self::Blackness,
        Self::Whiteness,
        Self::Invers,
        Self::Rop3,
        Self::Stroke,
        Self::Text,
        Self::Transparent,
        Self::AlphaBlend,
        Self::Composite,
    ];

    /// Whether it has a mask.
    #[must_use]
    pub const fn is_masked(self) -> bool {
        matches!(
            self,
            Self::Fill
                | Self::Opaque
                | Self::Copy
                | Self::Blend
                | Self::Blackness
                | Self::Whiteness
                | Self::Invers
                | Self::Rop3
        )
    }

    /// The raster operations it is tried with.
    fn modes(self) -> Vec<Mode> {
        match self {
            Self::Fill | Self::Opaque | Self::Copy | Self::Blend | Self::Stroke => {
                BINARY.iter().map(|(name, _)| Mode::Binary(name)).collect()
            }
            Self::Rop3 => (0..16).map(Mode::Ternary).collect(),
            Self::Text => [GlyphDepth::A1, GlyphDepth::A4, GlyphDepth::A8]
                .map(Mode::Glyphs)
                .to_vec(),
            Self::Composite => OPERATORS.iter().map(|(number, _)| Mode::Operator(*number)).collect(),
            _ => vec![Mode::None],
        }
    }
}

/// The binary raster operations there are, each with descriptors that mean it: of first and second operand `a`, `b`. The
/// bits are those for a source as first operand; see [`Mode::rop`].
const BINARY: [(&str, &[u16]); 15] = [
    ("clear", &[Rop::OP_BLACKNESS]),
    ("set", &[Rop::OP_WHITENESS]),
    ("!b", &[Rop::OP_INVERS]),
    ("a", &[Rop::OP_PUT, 0, Rop::OP_PUT | FIRST | Rop::INVERS_RES]),
    ("!a", &[Rop::OP_PUT | FIRST, Rop::OP_PUT | Rop::INVERS_RES]),
    ("a|b", &[Rop::OP_OR, Rop::OP_AND | FIRST | SECOND | Rop::INVERS_RES]),
    ("!a|b", &[Rop::OP_OR | FIRST]),
    ("a|!b", &[Rop::OP_OR | SECOND]),
    ("!a|!b", &[Rop::OP_OR | FIRST | SECOND, Rop::OP_AND | Rop::INVERS_RES]),
    ("a&b", &[Rop::OP_AND, Rop::OP_OR | FIRST | SECOND | Rop::INVERS_RES]),
    ("!a&b", &[Rop::OP_AND | FIRST]),
    ("a&!b", &[Rop::OP_AND | SECOND]),
    ("!a&!b", &[Rop::OP_AND | FIRST | SECOND, Rop::OP_OR | Rop::INVERS_RES]),
    (
        "a^b",
        &[
            Rop::OP_XOR,
            Rop::OP_XOR | FIRST | SECOND,
            Rop::OP_XOR | SECOND | Rop::INVERS_RES,
        ],
    ),
    (
        "!(a^b)",
        &[Rop::OP_XOR | FIRST, Rop::OP_XOR | SECOND, Rop::OP_XOR | Rop::INVERS_RES],
    ),
];

/// Stands for the flag that inverts the first operand.
const FIRST: u16 = 0x1000;
/// Stands for the flag that inverts the second operand.
const SECOND: u16 = 0x2000;

/// Render's operators, with their numbers.
const OPERATORS: [(u8, &str); 29] = [
    (0x00, "clear"),
    (0x01, "src"),
    (0x02, "dst"),
    (0x03, "over"),
    (0x04, "over-reverse"),
    (0x05, "in"),
    (0x06, "in-reverse"),
    (0x07, "out"),
    (0x08, "out-reverse"),
    (0x09, "atop"),
    (0x0a, "atop-reverse"),
    (0x0b, "xor"),
    (0x0c, "add"),
    (0x0d, "saturate"),
    (0x30, "multiply"),
    (0x31, "screen"),
    (0x32, "overlay"),
    (0x33, "darken"),
    (0x34, "lighten"),
    (0x35, "color-dodge"),
    (0x36, "color-burn"),
    (0x37, "hard-light"),
    (0x38, "soft-light"),
    (0x39, "difference"),
    (0x3a, "exclusion"),
    (0x3b, "hue"),
    (0x3c, "saturation"),
    (0x3d, "color"),
    (0x3e, "luminosity"),
];

/// The raster operation, or what an operation has in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    /// By its name.
    Binary(&'static str),
    /// The codes with this high nibble.
    Ternary(u8),
    Glyphs(GlyphDepth),
    /// By its number.
    Operator(u8),
}

impl Mode {
    /// The descriptors of a binary operation whose operands are inverted by these flags.
    #[must_use]
    pub fn rops(self, first: u16, second: u16) -> Vec<Rop> {
        let descriptors = BINARY
            .iter()
            .find(|(name, _)| self == Self::Binary(name))
            .map(|(_, bits)| *bits);
        let real = |bits: &u16| {
            let flag = |stand_in: u16, flag: u16| if bits & stand_in == 0 { 0 } else { flag };
            Rop(bits & !(FIRST | SECOND) | flag(FIRST, first) | flag(SECOND, second))
        };
        descriptors.unwrap_or(&[Rop::OP_PUT]).iter().map(real).collect()
    }

    /// For the table.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::None => "-".to_owned(),
            Self::Binary(name) => name.to_owned(),
            Self::Ternary(high) => format!("{high:x}0-{high:x}f"),
            Self::Glyphs(depth) => format!("{depth:?}"),
            Self::Operator(wanted) => {
                let found = OPERATORS.iter().find(|(number, _)| *number == wanted);
                found.map_or_else(String::new, |(_, name)| (*name).to_owned())
            }
        }
    }
}

/// The mask of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked {
    No,
    Yes,
    Inverse,
}

/// The clip of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clipped {
    No,
    One,
    Several,
}

/// The formats of surfaces.
pub const FORMATS: [SurfaceFormat; 6] = [
    SurfaceFormat::Xrgb,
    SurfaceFormat::Argb,
    SurfaceFormat::Rgb555,
    SurfaceFormat::Rgb565,
    SurfaceFormat::A8,
    SurfaceFormat::A1,
];

/// A cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub kind: Kind,
    pub mode: Mode,
    pub mask: Masked,
    pub clip: Clipped,
}

impl Cell {
    /// The cells of a format in which a command can change a pixel.
    #[must_use]
    pub fn all(format: SurfaceFormat) -> Vec<Self> {
        let mut cells = Vec::new();
        for kind in Kind::ALL {
            let masks: &[Masked] = if kind.is_masked() {
                &[Masked::No, Masked::Yes, Masked::Inverse]
            } else {
                &[Masked::No]
            };
            for mode in kind.modes() {
                for mask in masks {
                    for clip in [Clipped::No, Clipped::One, Clipped::Several] {
                        let cell = Self {
                            kind,
                            mode,
                            mask: *mask,
                            clip,
                        };
                        if cell.can_change(format) {
                            cells.push(cell);
                        }
                    }
                }
            }
        }
        cells
    }

    /// How often a cell has its turn, compared with others: where there are few, much else is left to chance.
    #[must_use]
    pub const fn weight(self) -> usize {
        match self.kind {
            Kind::Transparent | Kind::AlphaBlend => 12,
            Kind::Text => 6,
            Kind::CopyBits | Kind::Composite => 4,
            _ => 1,
        }
    }

    /// Of a destination without alpha, or always, some operators leave everything.
    fn can_change(self, format: SurfaceFormat) -> bool {
        let has_alpha = matches!(format, SurfaceFormat::Argb | SurfaceFormat::A8 | SurfaceFormat::A1);
        match self.mode {
            Mode::Operator(2) => false,
            Mode::Operator(4 | 13) => has_alpha,
            Mode::Operator(9) => !matches!(format, SurfaceFormat::A8 | SurfaceFormat::A1),
            _ => true,
        }
    }

    /// For the table.
    #[must_use]
    pub fn name(self, format: SurfaceFormat) -> String {
        let Self { kind, mode, mask, clip } = self;
        format!("{kind:?}/{format:?}/{}/{mask:?}/{clip:?}", mode.name())
    }
}
