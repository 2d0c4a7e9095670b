//! What passes copy, and how units are found again.

use std::ops::{BitOr, BitXor};

use super::{ALPHA_MIN_MATCH, GlzType, MAX_LITERALS, store::Stored, table::Key};

/// Units that a hash is made of: the shortest match that is looked for.
pub(super) const HASHED: usize = 3;

/// A unit in memory.
pub(super) trait Word: Copy + Eq + Default + BitXor<Output = Self> + BitOr<Output = Self> {
    /// How many are the same at the begin of both.
    fn common(a: &[Self], b: &[Self]) -> usize;
}

impl Word for u8 {
    fn common(a: &[Self], b: &[Self]) -> usize {
        common::<Self, 32>(a, b)
    }
}

impl Word for u32 {
    fn common(a: &[Self], b: &[Self]) -> usize {
        common::<Self, 8>(a, b)
    }
}

/// Compares chunks of `N`, which the compiler makes a few vector instructions each, and within the first two that differ
/// counts without branches: where matches end has no pattern.
#[inline]
fn common<T: Word, const N: usize>(a: &[T], b: &[T]) -> usize {
    let mut whole = 0;
    for (a, b) in a.as_chunks::<N>().0.iter().zip(b.as_chunks::<N>().0) {
        let differ = a
            .iter()
            .zip(b)
            .enumerate()
            .fold(0u32, |all, (at, (a, b))| all | u32::from(a != b) << at);
        if differ != 0 {
            return whole + differ.trailing_zeros() as usize;
        }
        whole += N;
    }
    let (a, b) = (a.get(whole..).unwrap_or_default(), b.get(whole..).unwrap_or_default());
    whole + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What a pass copies.
pub(super) trait Units {
    /// A unit in memory.
    type Unit: Word;
    /// Bytes of a literal.
    const LITERAL: usize;
    /// Shortest match that can be written.
    const MIN_MATCH: usize;

    /// The units of an image, if it has such.
    fn of(image: &Stored) -> &[Self::Unit];
    /// The hash of three units.
    fn key(units: &[Self::Unit; HASHED]) -> Key;
    /// The hash of the three units of an image from `offset` on, of whatever type those are that share the table.
    fn key_at(image: &Stored, offset: usize) -> Option<Key>;
    /// Writes at most [`MAX_LITERALS`] units.
    fn put(units: &[Self::Unit], out: &mut Vec<u8>);
}

/// Two odd numbers without pattern: the fractions of the golden ratio and of the square root of 3.
const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b];

const fn mix(low: u64, high: u64) -> Key {
    Key(low.wrapping_mul(MIX[0]) ^ high.wrapping_mul(MIX[1]))
}

fn colour_key(kind: u8, units: &[u32; HASHED]) -> Key {
    let [a, b, c] = units.map(u64::from);
    // Images of other types are never matched: their pixels have other places.
    mix(a | (b << 32), c | (u64::from(kind) << 32))
}

fn colour_key_at(image: &Stored, offset: usize) -> Option<Key> {
    let units = image.colours.get(offset..)?.first_chunk()?;
    Some(colour_key(image.kind as u8, units))
}

/// Colours of 5 bits a component.
pub(super) struct Colours16;

/// Colours of 8 bits a component, of images of type `KIND`.
pub(super) struct Colours<const KIND: u8>;

/// Alpha.
pub(super) struct Alpha;

impl Units for Colours16 {
    type Unit = u32;
    const LITERAL: usize = 2;
    const MIN_MATCH: usize = GlzType::Rgb16.min_match();

    fn of(image: &Stored) -> &[u32] {
        match image.kind {
            GlzType::Rgb16 => &image.colours,
            _ => &[],
        }
    }

    fn key(units: &[u32; HASHED]) -> Key {
        colour_key(GlzType::Rgb16 as u8, units)
    }

    fn key_at(image: &Stored, offset: usize) -> Option<Key> {
        colour_key_at(image, offset)
    }

    fn put(units: &[u32], out: &mut Vec<u8>) {
        let mut bytes = [[0; 2]; MAX_LITERALS];
        for (bytes, unit) in bytes.iter_mut().zip(units) {
            *bytes = (*unit as u16).to_be_bytes();
        }
        out.extend_from_slice(bytes.get(..units.len()).unwrap_or_default().as_flattened());
    }
}

impl<const KIND: u8> Units for Colours<KIND> {
    type Unit = u32;
    const LITERAL: usize = 3;
    const MIN_MATCH: usize = GlzType::Rgb32.min_match();

    fn of(image: &Stored) -> &[u32] {
        if image.kind as u8 == KIND { &image.colours } else { &[] }
    }

    fn key(units: &[u32; HASHED]) -> Key {
        colour_key(KIND, units)
    }

    fn key_at(image: &Stored, offset: usize) -> Option<Key> {
        colour_key_at(image, offset)
    }

    fn put(units: &[u32], out: &mut Vec<u8>) {
        let mut bytes = [[0; 3]; MAX_LITERALS];
        for (bytes, unit) in bytes.iter_mut().zip(units) {
            let [b, g, r, _] = unit.to_le_bytes();
            *bytes = [b, g, r];
        }
        out.extend_from_slice(bytes.get(..units.len()).unwrap_or_default().as_flattened());
    }
}

impl Units for Alpha {
    type Unit = u8;
    const LITERAL: usize = 1;
    const MIN_MATCH: usize = ALPHA_MIN_MATCH;

    fn of(image: &Stored) -> &[u8] {
        &image.alpha
    }

    fn key([a, b, c]: &[u8; HASHED]) -> Key {
        mix(u64::from(u32::from_le_bytes([*a, *b, *c, 0])), 0)
    }

    fn key_at(image: &Stored, offset: usize) -> Option<Key> {
        Some(Self::key(image.alpha.get(offset..)?.first_chunk()?))
    }

    fn put(units: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(units);
    }
}
