//! The operators of Render: Porter and Duff's, and the blend modes of PDF (ISO 32000, 11.3.5) for premultiplied colours.

use crate::{
    blend::multiply,
    error::DrawError,
    float::{self, Floating},
    lanes::{self, Factor, Pixel},
};

/// An operator, by its way of calculating.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operator {
    PorterDuff(PorterDuff),
    /// A blend mode, in whole numbers.
    Blend(Blend),
    /// One that divides, in floating point.
    Floating(Floating),
}

/// What a component of a pixel is made of: source and destination, each times a factor of their alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PorterDuff {
    Clear,
    Src,
    Dst,
    Over,
    OverReverse,
    In,
    InReverse,
    Out,
    OutReverse,
    Atop,
    AtopReverse,
    Xor,
    Add,
}

/// A blend mode whose function of two colours needs no division once they are premultiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blend {
    Multiply,
    Screen,
    Overlay,
    Darken,
    Lighten,
    HardLight,
    Difference,
    Exclusion,
}

impl Operator {
    /// By its number in the Render extension.
    pub(crate) fn from_raw(operator: u8) -> Result<Self, DrawError> {
        Ok(match operator {
            0x00 => Self::PorterDuff(PorterDuff::Clear),
            0x01 => Self::PorterDuff(PorterDuff::Src),
            0x02 => Self::PorterDuff(PorterDuff::Dst),
            0x03 => Self::PorterDuff(PorterDuff::Over),
            0x04 => Self::PorterDuff(PorterDuff::OverReverse),
            0x05 => Self::PorterDuff(PorterDuff::In),
            0x06 => Self::PorterDuff(PorterDuff::InReverse),
            0x07 => Self::PorterDuff(PorterDuff::Out),
            0x08 => Self::PorterDuff(PorterDuff::OutReverse),
            0x09 => Self::PorterDuff(PorterDuff::Atop),
            0x0a => Self::PorterDuff(PorterDuff::AtopReverse),
            0x0b => Self::PorterDuff(PorterDuff::Xor),
            0x0c => Self::PorterDuff(PorterDuff::Add),
            0x0d => Self::Floating(Floating::Saturate),
            0x30 => Self::Blend(Blend::Multiply),
            0x31 => Self::Blend(Blend::Screen),
            0x32 => Self::Blend(Blend::Overlay),
            0x33 => Self::Blend(Blend::Darken),
            0x34 => Self::Blend(Blend::Lighten),
            0x35 => Self::Floating(Floating::ColorDodge),
            0x36 => Self::Floating(Floating::ColorBurn),
            0x37 => Self::Blend(Blend::HardLight),
            0x38 => Self::Floating(Floating::SoftLight),
            0x39 => Self::Blend(Blend::Difference),
            0x3a => Self::Blend(Blend::Exclusion),
            0x3b => Self::Floating(Floating::Hue),
            0x3c => Self::Floating(Floating::Saturation),
            0x3d => Self::Floating(Floating::Color),
            0x3e => Self::Floating(Floating::Luminosity),
            _ => return Err(DrawError::Operator { operator }),
        })
    }

    /// Whether it lays the source over the destination.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::PorterDuff(PorterDuff::Over))
    }

    /// Sets each value of `dest` to the result for that of the source and of its mask, if there is one; `source` and
    /// `mask` may change. With `by_component` each component of the mask counts for that of the source, and else the
    /// mask's alpha for all.
    pub(crate) fn apply_row(self, source: &mut [u32], mask: Option<&mut [u32]>, by_component: bool, dest: &mut [u32]) {
        if let Self::Floating(floating) = self {
            for (at, (dest, source)) in dest.iter_mut().zip(source).enumerate() {
                let mask = mask.as_ref().and_then(|mask| mask.get(at).copied());
                *dest = float::apply(floating, *source, mask, by_component, *dest);
            }
            return;
        }
        let mut own = Vec::new();
        let source_pixels = lanes::pixels(source);
        let alphas: &[Pixel] = match mask {
            Some(mask) if by_component => {
                let mask = lanes::pixels(mask);
                own.extend_from_slice(source_pixels);
                lanes::spread_alphas(&mut own);
                lanes::multiply_rows(source_pixels, mask);
                lanes::multiply_rows(mask, &own);
                mask
            }
            Some(mask) => {
                let mask = lanes::pixels(mask);
                lanes::spread_alphas(mask);
                lanes::multiply_rows(source_pixels, mask);
                own.extend_from_slice(source_pixels);
                lanes::spread_alphas(&mut own);
                &own
            }
            None => {
                own.extend_from_slice(source_pixels);
                lanes::spread_alphas(&mut own);
                &own
            }
        };
        match self {
            Self::PorterDuff(operator) => {
                let (by_dest, by_source) = operator.factors();
                lanes::combine(lanes::pixels(dest), source_pixels, alphas, by_dest, by_source);
                lanes::values(dest);
            }
            Self::Blend(blend) => {
                for ((dest, source), alphas) in dest.iter_mut().zip(source_pixels).zip(alphas) {
                    let [source, alphas] = [source, alphas].map(|pixel| u32::from_le_bytes(*pixel));
                    *dest = blend.pixel(source, alphas, *dest);
                }
            }
            Self::Floating(_) => {}
        }
    }
}

/// A component in 255ths of a sum in 65025ths, rounded to the nearest.
fn blended(sum: u32, minus: u32, both: i32) -> u32 {
    let sum = i64::from(sum) - i64::from(minus) + i64::from(both);
    multiply_out(sum.clamp(0, 255 * 255) as u32)
}

/// `product / 255`, rounded to the nearest; at most 255².
const fn multiply_out(product: u32) -> u32 {
    let product = product + 0x80;
    (product + (product >> 8)) >> 8
}

impl PorterDuff {
    /// What source and destination count by the alpha of the other, 255 at most.
    const fn factors(self) -> (Factor, Factor) {
        match self {
            Self::Clear => (Factor::NONE, Factor::NONE),
            Self::Src => (Factor::ALL, Factor::NONE),
            Self::Dst => (Factor::NONE, Factor::ALL),
            Self::Over => (Factor::ALL, Factor::REST),
            Self::OverReverse => (Factor::REST, Factor::ALL),
            Self::In => (Factor::ALPHA, Factor::NONE),
            Self::InReverse => (Factor::NONE, Factor::ALPHA),
            Self::Out => (Factor::REST, Factor::NONE),
            Self::OutReverse => (Factor::NONE, Factor::REST),
            Self::Atop => (Factor::ALPHA, Factor::REST),
            Self::AtopReverse => (Factor::REST, Factor::ALPHA),
            Self::Xor => (Factor::REST, Factor::REST),
            Self::Add => (Factor::ALL, Factor::ALL),
        }
    }
}

impl Blend {
    /// The result for a source, with an alpha for each component, and a destination.
    fn pixel(self, source: u32, alphas: u32, dest: u32) -> u32 {
        let of_dest = dest >> 24;
        [0, 8, 16, 24].into_iter().fold(0, |all, shift| {
            let pick = |value: u32| (value >> shift) & 255;
            let (s, alpha, d) = (pick(source), pick(alphas), pick(dest));
            let component = match self {
                Self::Multiply => {
                    let apart = (multiply(s, 255 - of_dest) + multiply(d, 255 - alpha)).min(255);
                    (apart + multiply(s, d)).min(255)
                }
                // Both are opaque to the extent that one of them is.
                _ if shift == 24 => blended(255 * (of_dest + alpha), of_dest * alpha, 0),
                _ => {
                    let apart = (255 - alpha) * d + (255 - of_dest) * s;
                    let [s, alpha, d, of_dest] = [s, alpha, d, of_dest].map(u32::cast_signed);
                    blended(apart, 0, self.both(s, alpha, d, of_dest))
                }
            };
            all | component << shift
        })
    }

    /// The function of the two colours where both are, times both alphas, in 65025ths.
    fn both(self, s: i32, sa: i32, d: i32, da: i32) -> i32 {
        let hard = |by_source: bool| {
            let low = if by_source { 2 * s < sa } else { 2 * d < da };
            if low {
                2 * s * d
            } else {
                sa * da - 2 * (da - d) * (sa - s)
            }
        };
        match self {
            Self::Multiply => s * d,
            Self::Screen => s * da + d * sa - s * d,
            Self::Overlay => hard(false),
            Self::HardLight => hard(true),
            Self::Darken => (s * da).min(d * sa),
            Self::Lighten => (s * da).max(d * sa),
            Self::Difference => (s * da - d * sa).abs(),
            Self::Exclusion => s * da + d * sa - 2 * s * d,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a mask.
    fn apply(operator: u8, s: u32, d: u32) -> u32 {
        let mut dest = [d];
        Operator::from_raw(operator)
            .unwrap()
            .apply_row(&mut [s], None, false, &mut dest);
        dest[0]
    }

    #[test]
    fn operators_do_what_render_says_on_opaque_and_clear_operands() {
        let (red, blue) = (0xffff_0000, 0xff00_00ff);
        // Columns: both opaque, source only, destination only.
        let expected = [
            [0, 0, 0],
            [red, red, 0],
            [blue, 0, blue],
            [red, red, blue],
            [blue, red, blue],
            [red, 0, 0],
            [blue, 0, 0],
            [0, red, 0],
            [0, 0, blue],
            [red, 0, blue],
            [blue, red, 0],
            [0, red, blue],
            [0xffff_00ff, red, blue],
            [blue, red, blue],
        ];
        for (operator, results) in (0..).zip(expected) {
            assert_eq!(apply(operator, red, blue), results[0], "{operator} both");
            assert_eq!(apply(operator, red, 0), results[1], "{operator} source");
            assert_eq!(apply(operator, 0, blue), results[2], "{operator} destination");
        }
    }

    #[test]
    fn blend_modes_leave_what_has_no_counterpart() {
        for operator in 0x30..=0x3e {
            for pixel in [0xff12_3456, 0x8012_3456, 0] {
                assert_eq!(apply(operator, pixel, 0), pixel, "{operator:#x} source");
                assert_eq!(apply(operator, 0, pixel), pixel, "{operator:#x} destination");
            }
        }
        assert!(matches!(
            Operator::from_raw(14),
            Err(DrawError::Operator { operator: 14 })
        ));
        assert!(matches!(
            Operator::from_raw(0x3f),
            Err(DrawError::Operator { operator: 0x3f })
        ));
    }

    #[test]
    fn blend_modes_of_opaque_colours_are_those_of_pdf() {
        let (s, d) = (0xff40_80c0, 0xff20_a0ff);
        let expected = [
            (0x30, 0x08_50c0),
            (0x31, 0x58_d0ff),
            (0x32, 0x10_a0ff),
            (0x33, 0x20_80c0),
            (0x34, 0x40_a0ff),
            (0x35, 0x2a_ffff),
            (0x36, 0x00_42ff),
            (0x37, 0x10_a0ff),
            (0x39, 0x20_203f),
            (0x3a, 0x50_7f3f),
        ];
        for (operator, color) in expected {
            assert_eq!(apply(operator, s, d), 0xff00_0000 | color, "{operator:#x}");
        }
    }
}
