//! Arithmetic on rows of premultiplied pixels, component by component.
//!
//! A pixel is blue, green, red and alpha, as surfaces of 32 bits hold it. Products have 16 bits, and pixels are taken in
//! blocks of a fixed size, so that the compiler makes vector instructions of the loops. A block is first asked whether
//! there is anything to calculate.

use zerocopy::IntoBytes;

use crate::color::OPAQUE;

/// Blue, green, red, alpha.
pub(crate) type Pixel = [u8; 4];

/// Pixels that are calculated at once; what is left of a row is taken by eights.
const BLOCK: usize = 16;
/// A factor for each of some pixels, twice: for blue and red, and for green and alpha.
type Factors<const N: usize> = [[u16; 2]; N];

/// A row of 0xAARRGGBB values as pixels. [`values`] makes them values again.
pub(crate) fn pixels(row: &mut [u32]) -> &mut [Pixel] {
    row.iter_mut().for_each(|value| *value = value.to_le());
    row.as_mut_bytes().as_chunks_mut().0
}

/// Undoes [`pixels`].
pub(crate) fn values(row: &mut [u32]) {
    row.iter_mut().for_each(|value| *value = u32::from_le(*value));
}

/// `a * b / 255` of numbers to 255, rounded to the nearest.
#[inline(always)]
const fn product(a: u16, b: u16) -> u16 {
    // The products of bytes leave room for what is added. The rest is (p + (p >> 8)) >> 8.
    let product = a.wrapping_mul(b).wrapping_add(0x80);
    ((product as u32 * 0x101) >> 16) as u16
}

/// `a * b / 255`, rounded to the nearest.
#[inline(always)]
const fn multiply(a: u8, b: u8) -> u8 {
    product(a as u16, b as u16) as u8
}

/// Every component times the factor of its pixel.
#[inline(always)]
fn times<const N: usize>(block: &[Pixel; N], factors: &Factors<N>) -> [Pixel; N] {
    let halves = block.map(|[b, g, r, a]| [u16::from_le_bytes([b, g]), u16::from_le_bytes([r, a])]);
    let mut products = [[0; 2]; N];
    let operands = halves.as_flattened().iter().zip(factors.as_flattened());
    for (out, (half, factor)) in products.as_flattened_mut().iter_mut().zip(operands) {
        *out = product(half & 255, *factor) | product(half >> 8, *factor) << 8;
    }
    products.map(|[low, high]| {
        let ([b, g], [r, a]) = (low.to_le_bytes(), high.to_le_bytes());
        [b, g, r, a]
    })
}

/// The sums of components, at most 255.
#[inline(always)]
fn plus<const N: usize>(a: &[Pixel; N], b: &[Pixel; N]) -> [Pixel; N] {
    let mut sums = [[0; 4]; N];
    let operands = a.as_flattened().iter().zip(b.as_flattened());
    for (sum, (a, b)) in sums.as_flattened_mut().iter_mut().zip(operands) {
        *sum = a.saturating_add(*b);
    }
    sums
}

/// What is left of each pixel behind one of `block`.
#[inline(always)]
fn rests<const N: usize>(block: &[Pixel; N]) -> Factors<N> {
    block.map(|[.., alpha]| [u16::from(!alpha); 2])
}

/// Sets the bits of `written`.
#[inline(always)]
fn put<const N: usize>(dest: &mut [Pixel; N], new: &[Pixel; N], written: u32) {
    for (dest, new) in dest.iter_mut().zip(new) {
        *dest = (u32::from_le_bytes(*new) & written | u32::from_le_bytes(*dest) & !written).to_le_bytes();
    }
}

/// What is done to some pixels, with what two other rows have there. It is compiled into the loops over rows.
trait Step<S, T> {
    fn apply<const N: usize>(&self, dest: &mut [Pixel; N], source: &[S; N], other: &[T; N]);
}

/// Does `step` to rows that are as long as each other, with the instructions this processor has.
fn each<S: Copy + Default, T: Copy + Default>(dest: &mut [Pixel], source: &[S], other: &[T], step: impl Step<S, T>) {
    pulp::Arch::new().dispatch(Each {
        dest,
        source,
        other,
        step,
    });
}

/// What [`each`] does, to be compiled for several sets of instructions.
struct Each<'a, S, T, F> {
    dest: &'a mut [Pixel],
    source: &'a [S],
    other: &'a [T],
    step: F,
}

impl<S: Copy + Default, T: Copy + Default, F: Step<S, T>> pulp::NullaryFnOnce for Each<'_, S, T, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (dest, source, other) = by::<BLOCK, _, _>(self.dest, self.source, self.other, &self.step);
        let (dest, source, other) = by::<8, _, _>(dest, source, other, &self.step);
        let count = dest.len().min(source.len()).min(other.len());
        let mut last = ([[0; 4]; 8], [S::default(); 8], [T::default(); 8]);
        if count == 0 {
            return;
        }
        last.0.iter_mut().zip(&*dest).for_each(|(to, from)| *to = *from);
        last.1.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
        last.2.iter_mut().zip(other).for_each(|(to, from)| *to = *from);
        self.step.apply(&mut last.0, &last.1, &last.2);
        dest.iter_mut().zip(last.0).for_each(|(to, from)| *to = from);
    }
}

/// Does `step` to so many pixels at a time; what is left.
#[inline(always)]
fn by<'a, const N: usize, S, T>(
    dest: &'a mut [Pixel],
    source: &'a [S],
    other: &'a [T],
    step: &impl Step<S, T>,
) -> (&'a mut [Pixel], &'a [S], &'a [T]) {
    let (dests, dest) = dest.as_chunks_mut::<N>();
    let (sources, source) = source.as_chunks::<N>();
    let (others, other) = other.as_chunks::<N>();
    for ((dest, source), other) in dests.iter_mut().zip(sources).zip(others) {
        step.apply(dest, source, other);
    }
    (dest, source, other)
}

/// A row of nothing, for steps that need no other one.
fn nothing(count: usize) -> Vec<()> {
    vec![(); count]
}

/// Applies a function to each value of a row, with the instructions this processor has.
pub(crate) fn map(row: &mut [u32], function: impl Fn(u32) -> u32) {
    pulp::Arch::new().dispatch(Map { row, function });
}

struct Map<'a, F> {
    row: &'a mut [u32],
    function: F,
}

impl<F: Fn(u32) -> u32> pulp::NullaryFnOnce for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.row.iter_mut().for_each(|value| *value = (self.function)(*value));
    }
}

/// How a source is laid over a destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    /// Set in each value of the source: its alpha, if it has none.
    pub(crate) set: u32,
    /// What the source counts, in 255ths.
    pub(crate) factor: u8,
    /// The bits of the destination that change.
    pub(crate) written: u32,
}

impl Over {
    /// As it is.
    pub(crate) const fn plain(set: u32, written: u32) -> Self {
        Self {
            set,
            factor: 255,
            written,
        }
    }
}

/// Lays `source` over `dest`, saturating where it is not properly premultiplied.
pub(crate) fn over(dest: &mut [Pixel], source: &[Pixel], how: Over) {
    let nothing = nothing(dest.len());
    if how.factor == 255 {
        each(dest, source, &nothing, how);
    } else {
        each(dest, source, &nothing, Thinned(how));
    }
}

/// As [`over`], the source times the alphas of a mask as well, and not times a factor.
pub(crate) fn over_in_mask(dest: &mut [Pixel], source: &[Pixel], mask: &[u8], how: Over) {
    each(dest, source, mask, Masked(how));
}

#[inline(always)]
fn with<const N: usize>(pixels: &[Pixel; N], set: u32) -> [Pixel; N] {
    pixels.map(|pixel| (u32::from_le_bytes(pixel) | set).to_le_bytes())
}

impl Step<Pixel, ()> for Over {
    #[inline(always)]
    fn apply<const N: usize>(&self, dest: &mut [Pixel; N], source: &[Pixel; N], _: &[(); N]) {
        let source = with(source, self.set);
        let values = source.map(u32::from_le_bytes);
        if values.iter().fold(u32::MAX, |all, value| all & value) >= OPAQUE {
            put(dest, &source, self.written);
        } else if values.iter().fold(0, |any, value| any | value) != 0 {
            let new = plus(&source, &times(dest, &rests(&source)));
            put(dest, &new, self.written);
        }
    }
}

/// With a factor below 255.
struct Thinned(Over);

impl Step<Pixel, ()> for Thinned {
    #[inline(always)]
    fn apply<const N: usize>(&self, dest: &mut [Pixel; N], source: &[Pixel; N], _: &[(); N]) {
        let Self(Over { set, factor, written }) = *self;
        let source = times(&with(source, set), &[[u16::from(factor); 2]; N]);
        let new = plus(&source, &times(dest, &rests(&source)));
        put(dest, &new, written);
    }
}

/// In a mask.
struct Masked(Over);

impl Step<Pixel, u8> for Masked {
    #[inline(always)]
    fn apply<const N: usize>(&self, dest: &mut [Pixel; N], source: &[Pixel; N], mask: &[u8; N]) {
        let Self(Over { set, written, .. }) = *self;
        if *mask == [0; N] {
            return;
        }
        let source = times(&with(source, set), &mask.map(|alpha| [u16::from(alpha); 2]));
        let new = plus(&source, &times(dest, &rests(&source)));
        put(dest, &new, written);
    }
}

/// Lays one opaque colour over `dest` by the coverage of each pixel, in 255ths. Only the bits of `written` change.
pub(crate) fn cover(dest: &mut [Pixel], color: u32, covers: &[u8], written: u32) {
    let color = (color | OPAQUE).to_le_bytes();
    each(dest, covers, &nothing(covers.len()), Cover { color, written });
}

struct Cover {
    color: Pixel,
    written: u32,
}

impl Step<u8, ()> for Cover {
    #[inline(always)]
    fn apply<const N: usize>(&self, dest: &mut [Pixel; N], covers: &[u8; N], _: &[(); N]) {
        if *covers == [0; N] {
            return;
        }
        let factors = covers.map(|cover| [u16::from(cover); 2]);
        let rests = covers.map(|cover| [u16::from(!cover); 2]);
        let new = plus(&times(&[self.color; N], &factors), &times(dest, &rests));
        put(dest, &new, self.written);
    }
}

/// A factor made of an alpha: none of it, all of it, the alpha or its complement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factor {
    kept: u8,
    flipped: u8,
}

impl Factor {
    pub(crate) const NONE: Self = Self { kept: 0, flipped: 0 };
    pub(crate) const ALL: Self = Self { kept: 0, flipped: 255 };
    pub(crate) const ALPHA: Self = Self { kept: 255, flipped: 0 };
    pub(crate) const REST: Self = Self {
        kept: 255,
        flipped: 255,
    };

    #[inline(always)]
    const fn of(self, alpha: u8) -> u8 {
        alpha & self.kept ^ self.flipped
    }
}

/// Sets each component of `dest` to the sum of that of `source`, times the first factor of the alpha of `dest`, and of its
/// own, times the second factor of `alphas`, which holds the alpha of the source for each component.
pub(crate) fn combine(dest: &mut [Pixel], source: &[Pixel], alphas: &[Pixel], by_dest: Factor, by_source: Factor) {
    for ((dest, source), alphas) in dest.iter_mut().zip(source).zip(alphas) {
        let of_source = by_dest.of(dest[3]);
        for ((dest, source), alpha) in dest.iter_mut().zip(source).zip(alphas) {
            *dest = multiply(*source, of_source).saturating_add(multiply(*dest, by_source.of(*alpha)));
        }
    }
}

/// Every component times that of `factors`, in 255ths.
pub(crate) fn multiply_rows(row: &mut [Pixel], factors: &[Pixel]) {
    let operands = row.as_flattened_mut().iter_mut().zip(factors.as_flattened());
    for (component, factor) in operands {
        *component = multiply(*component, *factor);
    }
}

/// Puts the alpha of each pixel into all its components.
pub(crate) fn spread_alphas(row: &mut [Pixel]) {
    row.iter_mut().for_each(|pixel| *pixel = [pixel[3]; 4]);
}

/// Sets the pixels of a row.
pub(crate) fn fill(row: &mut [Pixel], pixel: Pixel) {
    pulp::Arch::new().dispatch(Fill { row, pixel });
}

struct Fill<'a> {
    row: &'a mut [Pixel],
    pixel: Pixel,
}

impl pulp::NullaryFnOnce for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.row.fill(self.pixel);
    }
}

/// Copies pixels, and drops the bits of each that are not `kept`.
///
/// The C library copies rows of this length with the processor's string instructions, which take half as long again.
pub(crate) fn copy(row: &mut [Pixel], from: &[Pixel], kept: u32) {
    pulp::Arch::new().dispatch(Copied { row, from, kept });
}

struct Copied<'a> {
    row: &'a mut [Pixel],
    from: &'a [Pixel],
    kept: u32,
}

impl pulp::NullaryFnOnce for Copied<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (to, from) in self.row.iter_mut().zip(self.from) {
            *to = (u32::from_le_bytes(*from) & self.kept).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Pixels among which clear, opaque and improper ones are frequent.
    fn row() -> impl Strategy<Value = Vec<Pixel>> {
        let pixel = || {
            let with_alpha = |alpha: u8| any::<[u8; 3]>().prop_map(move |[b, g, r]| [b, g, r, alpha]);
            prop_oneof![any::<Pixel>(), Just([0; 4]), with_alpha(255), with_alpha(0)]
        };
        let opaque = any::<[u8; 3]>().prop_map(|[b, g, r]| [b, g, r, 255]);
        prop_oneof![vec(pixel(), 40), vec(opaque, 40), vec(Just([0; 4]), 40)]
    }

    /// Rounded to the nearest.
    fn exactly(a: u8, b: u8) -> u8 {
        ((u32::from(a) * u32::from(b) * 2 + 255) / 510) as u8
    }

    /// One pixel by its definition.
    fn over_pixel(dest: Pixel, source: Pixel, factor: u8, written: u32) -> Pixel {
        let source = source.map(|component| exactly(component, factor));
        let new: Pixel = std::array::from_fn(|at| source[at].saturating_add(exactly(dest[at], 255 - source[3])));
        if written == u32::MAX {
            new
        } else {
            [new[0], new[1], new[2], dest[3]]
        }
    }

    #[test]
    fn products_round_to_the_nearest() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), exactly(a, b));
                let block = times(&[[a, 1, 255, b]; 8], &[[u16::from(b); 2]; 8]);
                assert_eq!(block[5], [exactly(a, b), exactly(1, b), b, exactly(b, b)]);
            }
        }
    }

    proptest! {
        #[test]
        fn rows_are_calculated_as_pixels_are(
            dest in vec(any::<Pixel>(), 40), source in row(), covers in vec(any::<u8>(), 40), length in 0..40usize,
            factor in prop_oneof![Just(255), any::<u8>()], color in any::<u32>(), narrow in any::<bool>(),
            opaque in any::<bool>(),
        ) {
            let written = if narrow { !OPAQUE } else { u32::MAX };
            let set = if opaque { OPAQUE } else { 0 };
            let with = |pixel: &Pixel| with(&[*pixel], set)[0];
            let mut new = dest[..length].to_vec();
            over(&mut new, &source[..length], Over { set, factor, written });
            for ((new, dest), source) in new.iter().zip(&dest).zip(&source) {
                prop_assert_eq!(*new, over_pixel(*dest, with(source), factor, written));
            }
            let mut new = dest[..length].to_vec();
            cover(&mut new, color, &covers[..length], written);
            for ((new, dest), cover) in new.iter().zip(&dest).zip(&covers) {
                let color = (color | OPAQUE).to_le_bytes();
                prop_assert_eq!(*new, over_pixel(*dest, color, *cover, written));
            }
            let mut new = dest[..length].to_vec();
            over_in_mask(&mut new, &source[..length], &covers[..length], Over::plain(set, written));
            for (((new, dest), source), cover) in new.iter().zip(&dest).zip(&source).zip(&covers) {
                prop_assert_eq!(*new, over_pixel(*dest, with(source), *cover, written));
            }
        }
    }
}
