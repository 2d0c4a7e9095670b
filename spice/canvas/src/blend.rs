//! Arithmetic on premultiplied 0xAARRGGBB values.

use caraway_ports::drawing::SurfaceFormat;

use crate::color::{OPAQUE, has_alpha, narrow, widen};

/// `a * b / 255`, rounded to the nearest; both at most 255.
pub(crate) const fn multiply(a: u32, b: u32) -> u32 {
    let product = a * b + 0x80;
    (product + (product >> 8)) >> 8
}

/// Every component times `factor / 255`.
pub(crate) fn scaled(pixel: u32, factor: u32) -> u32 {
    map(pixel, |component| multiply(component, factor))
}

/// A value with `f` applied to each component.
fn map(pixel: u32, f: impl Fn(u32) -> u32) -> u32 {
    [0, 8, 16, 24]
        .into_iter()
        .fold(0, |all, shift| all | f((pixel >> shift) & 255) << shift)
}

/// `source` over `dest`, saturating where `source` is not properly premultiplied.
pub(crate) fn over(source: u32, dest: u32) -> u32 {
    let rest = 255 - (source >> 24);
    [0, 8, 16, 24].into_iter().fold(0, |all, shift| {
        let sum = ((source >> shift) & 255) + multiply((dest >> shift) & 255, rest);
        all | sum.min(255) << shift
    })
}

/// A pixel of a surface as an operand of an alpha operation and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dest {
    format: SurfaceFormat,
    has_alpha: bool,
}

impl Dest {
    /// Pixels of `format`. Their alpha counts if they have some; for the unused byte of [`SurfaceFormat::Xrgb`] to be
    /// taken as such, `unused_is_alpha` must say so.
    pub(crate) const fn new(format: SurfaceFormat, unused_is_alpha: bool) -> Self {
        let has_alpha = has_alpha(format) || unused_is_alpha && matches!(format, SurfaceFormat::Xrgb);
        Self { format, has_alpha }
    }

    /// The same pixels, as if their alpha were full, which it stays.
    pub(crate) const fn opaque(self) -> Self {
        // A surface of nothing but alpha has nothing else to write.
        let has_alpha = matches!(self.format, SurfaceFormat::A1 | SurfaceFormat::A8);
        Self { has_alpha, ..self }
    }

    /// The premultiplied value of a raw one.
    pub(crate) const fn load(self, raw: u32) -> u32 {
        let value = widen(self.format, raw);
        if self.has_alpha { value } else { value | OPAQUE }
    }

    /// The raw value for a result that replaces `before`; alpha stays when there is none here.
    pub(crate) const fn store(self, value: u32, before: u32) -> u32 {
        if self.has_alpha || !matches!(self.format, SurfaceFormat::Xrgb | SurfaceFormat::Argb) {
            narrow(self.format, value)
        } else {
            (value & !OPAQUE) | (before & OPAQUE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_round_to_the_nearest() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), (a * b * 2 + 255) / 510);
            }
        }
    }

    #[test]
    fn over_keeps_opaque_sources_and_leaves_the_rest_under_clear_ones() {
        assert_eq!(over(0xff12_3456, 0xff65_4321), 0xff12_3456);
        assert_eq!(over(0, 0x8065_4321), 0x8065_4321);
        assert_eq!(over(0x8040_0000, 0xff00_00ff), 0xff40_007f);
        assert_eq!(over(0x00ff_ffff, 0xff80_8080), 0xffff_ffff, "saturates");
    }
}
