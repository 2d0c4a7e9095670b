//! Arithmetic on premultiplied 0xAARRGGBB values.

use caraway_ports::drawing::SurfaceFormat;

use crate::color::{OPAQUE, has_alpha, narrow_row, widen_row};

/// `a * b / 255`, rounded to the nearest; both at most 255.
pub(crate) const fn multiply(a: u32, b: u32) -> u32 {
    let product = a * b + 0x80;
    (product + (product >> 8)) >> 8
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

    /// Makes raw values premultiplied ones.
    pub(crate) fn widen(self, row: &mut [u32]) {
        widen_row(self.format, row);
        if !self.has_alpha {
            row.iter_mut().for_each(|value| *value |= OPAQUE);
        }
    }

    /// Makes results raw values that replace `before`; alpha stays when there is none here.
    pub(crate) fn narrow(self, row: &mut [u32], before: &[u32]) {
        narrow_row(self.format, row);
        let written = self.written();
        if written != u32::MAX {
            for (value, before) in row.iter_mut().zip(before) {
                *value = *value & written | *before & !written;
            }
        }
    }

    /// The bits of a raw value that are written.
    pub(crate) const fn written(self) -> u32 {
        if !self.has_alpha && matches!(self.format, SurfaceFormat::Xrgb | SurfaceFormat::Argb) {
            !OPAQUE
        } else {
            u32::MAX
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
    fn unused_bits_stay_and_missing_alpha_is_full() {
        let (xrgb, argb) = (SurfaceFormat::Xrgb, SurfaceFormat::Argb);
        let there_and_back = |dest: Dest| {
            let mut row = [0x1265_4321];
            dest.widen(&mut row);
            let wide = row[0];
            row[0] = 0x8012_3456;
            dest.narrow(&mut row, &[0x1265_4321]);
            (wide, row[0])
        };
        assert_eq!(there_and_back(Dest::new(xrgb, false)), (0xff65_4321, 0x1212_3456));
        assert_eq!(there_and_back(Dest::new(xrgb, true)), (0x1265_4321, 0x8012_3456));
        assert_eq!(there_and_back(Dest::new(argb, false)), (0x1265_4321, 0x8012_3456));
        assert_eq!(
            there_and_back(Dest::new(argb, false).opaque()),
            (0xff65_4321, 0x1212_3456)
        );
    }
}
