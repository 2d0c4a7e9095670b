//! Interpolation: pixels mixed by weights of seven bits, first of two rows, then of two columns.

use crate::lanes::Pixel;

/// A row of pixels and bits that are to be set in each.
pub(crate) type Row<'a> = (&'a [Pixel], u32);

/// Mixes two rows, of which the second counts `weight` 128ths.
pub(crate) fn mix_rows(out: &mut [[i32; 4]], top: Row<'_>, bottom: Row<'_>, weight: u8) {
    pulp::Arch::new().dispatch(MixRows {
        out,
        top,
        bottom,
        weight: i32::from(weight),
    });
}

struct MixRows<'a> {
    out: &'a mut [[i32; 4]],
    top: Row<'a>,
    bottom: Row<'a>,
    weight: i32,
}

impl pulp::NullaryFnOnce for MixRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mix = |top: u8, bottom: u8| {
            let (top, bottom) = (i32::from(top), i32::from(bottom));
            top * 128 + (bottom - top) * self.weight
        };
        let ((top, set_top), (bottom, set_bottom)) = (self.top, self.bottom);
        let components = top.as_flattened().iter().zip(bottom.as_flattened());
        for (out, (top, bottom)) in self.out.as_flattened_mut().iter_mut().zip(components) {
            *out = mix(*top, *bottom);
        }
        if set_top | set_bottom != 0 {
            // Bits are set in alpha only.
            let [set_top, set_bottom] = [set_top, set_bottom].map(|set| (set >> 24) as u8);
            for ([.., out], ([.., top], [.., bottom])) in self.out.iter_mut().zip(top.iter().zip(bottom)) {
                *out = mix(top | set_top, bottom | set_bottom);
            }
        }
    }
}

/// Two places in a row, and how much the second one counts, in 128ths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) weight: u8,
}

/// Mixes pixels of a row that [`mix_rows`] has made, each two at `columns`, which are there.
pub(crate) fn mix_columns(out: &mut [Pixel], columns: &[Column], row: &[[i32; 4]]) {
    pulp::Arch::new().dispatch(MixColumns { out, columns, row });
}

struct MixColumns<'a> {
    out: &'a mut [Pixel],
    columns: &'a [Column],
    row: &'a [[i32; 4]],
}

impl pulp::NullaryFnOnce for MixColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, column) in self.out.iter_mut().zip(self.columns) {
            let sides = (self.row.get(column.left as usize), self.row.get(column.right as usize));
            let (Some(left), Some(right)) = sides else { continue };
            let weight = i32::from(column.weight);
            let mut sums = [0; 4];
            for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
                // 128 * 128 parts.
                *sum = (left * 128 + (right - left) * weight) >> 14;
            }
            *out = [sums[0] as u8, sums[1] as u8, sums[2] as u8, sums[3] as u8];
        }
    }
}

/// What [`mix_rows`] and [`mix_columns`] do, when most pixels of the rows are passed over. A column that is not there is
/// clear.
pub(crate) fn mix(out: &mut [Pixel], columns: &[Column], top: Row<'_>, bottom: Row<'_>, weight: u8) {
    pulp::Arch::new().dispatch(Mix {
        out,
        columns,
        top,
        bottom,
        weight: i32::from(weight),
    });
}

struct Mix<'a> {
    out: &'a mut [Pixel],
    columns: &'a [Column],
    top: Row<'a>,
    bottom: Row<'a>,
    weight: i32,
}

impl pulp::NullaryFnOnce for Mix<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let at = |(pixels, set): Row<'_>, place: u32| {
            let pixel = pixels.get(place as usize);
            pixel.map_or([0; 4], |pixel| (u32::from_le_bytes(*pixel) | set).to_le_bytes())
        };
        for (out, column) in self.out.iter_mut().zip(self.columns) {
            let mut sides = [[0; 4]; 2];
            for (side, place) in sides.iter_mut().zip([column.left, column.right]) {
                let (top, bottom) = (at(self.top, place), at(self.bottom, place));
                for ((side, top), bottom) in side.iter_mut().zip(top).zip(bottom) {
                    let (top, bottom) = (i32::from(top), i32::from(bottom));
                    *side = top * 128 + (bottom - top) * self.weight;
                }
            }
            let [left, right] = sides;
            let weight = i32::from(column.weight);
            let mut sums = [0; 4];
            for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
                *sum = (left * 128 + (right - left) * weight) >> 14;
            }
            *out = [sums[0] as u8, sums[1] as u8, sums[2] as u8, sums[3] as u8];
        }
    }
}
