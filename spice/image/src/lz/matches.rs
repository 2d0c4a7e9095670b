//! One pass of the encoder: what it copies, and where it finds it.

use super::{
    MAX_FAR, MAX_NEAR,
    sink::{PIECE, Sink},
    units::Unit,
};

/// Bits of the hash of three units; one place for the last position with each hash.
const HASH_BITS: u32 = 14;
/// Bytes of the pieces that short literal runs are written in.
const SHORT_PIECE: usize = 16;
/// Most units in one literal run.
const MAX_LITERALS: usize = 32;
/// Blocks after which a match counts as long.
const SHORT: usize = 2;
/// After 2 to this power units without a match they are looked for at every second one, and so on.
const PATIENCE: u32 = 6;
/// Odd numbers without a pattern.
const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

/// Last positions by hash, kept from pass to pass: those of earlier passes count as none.
#[derive(Debug)]
pub(super) struct Table {
    places: Box<[u32; 1 << HASH_BITS]>,
    /// What the first unit of this pass is entered as; smaller entries are of earlier passes.
    base: u32,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            places: Box::new([0; 1 << HASH_BITS]),
            base: 1,
        }
    }
}

impl Table {
    /// Makes sure that the positions of a pass over so many units can be entered.
    fn begin(&mut self, units: u32) {
        if self.base.checked_add(units).is_none() {
            self.places.fill(0);
            self.base = 1;
        }
    }

    /// Where the position of these units is entered.
    fn place<U: Matched>(&mut self, three: &[U; 3]) -> &mut u32 {
        &mut self.places[(U::mixed(three) >> (64 - HASH_BITS)) as usize % (1 << HASH_BITS)]
    }

    /// Enters a position, if three units are there.
    fn enter<U: Matched>(&mut self, units: &[U], at: usize) {
        if let Some(three) = units.get(at..).and_then(<[U]>::first_chunk) {
            *self.place(three) = self.base + at as u32;
        }
    }

    /// Forgets the positions of a pass.
    const fn end(&mut self, units: u32) {
        self.base += units;
    }
}

/// A unit that matches are looked for in; what a stream has of it is that of the [`Unit`].
pub(super) trait Matched: Unit {
    /// Shortest match worth writing at a distance of more than [`MAX_NEAR`].
    const MIN_FAR: usize;
    /// The bits of eight bytes that matter.
    const MASK: u64;
    /// Bytes of a unit.
    const SIZE: usize = size_of::<Self>();

    /// A mixture of three units, best in its high bits.
    fn mixed(three: &[Self; 3]) -> u64;
    /// What matters of a unit.
    fn bits(self) -> u32;
    /// The bytes of units.
    fn bytes(units: &[Self]) -> &[u8];
    /// Stores a unit as a literal, which takes [`BYTES`](Unit::BYTES), in each place there is for one.
    fn store(run: &[Self], to: &mut [u8]);
}

/// A byte of anything.
impl Matched for u8 {
    const MIN_FAR: usize = 5;
    const MASK: u64 = u64::MAX;

    fn mixed(three: &[Self; 3]) -> u64 {
        let [a, b, c] = *three;
        u64::from(u32::from_le_bytes([a, b, c, 0])).wrapping_mul(MIX[0])
    }

    fn bits(self) -> u32 {
        u32::from(self)
    }

    fn bytes(units: &[Self]) -> &[u8] {
        units
    }

    fn store(run: &[Self], to: &mut [u8]) {
        to.iter_mut().zip(run).for_each(|(to, byte)| *to = *byte);
    }
}

/// A pixel of 16 bits, of which 15 matter.
impl Matched for [u8; 2] {
    const MIN_FAR: usize = 3;
    const MASK: u64 = 0x7fff_7fff_7fff_7fff;

    fn mixed(three: &[Self; 3]) -> u64 {
        let [[a, b], [c, d], last] = *three;
        let two = u64::from(u32::from_le_bytes([a, b, c, d]) & 0x7fff_7fff);
        let third = u64::from(last.bits());
        (two | third << 32).wrapping_mul(MIX[0])
    }

    fn bits(self) -> u32 {
        u32::from(u16::from_le_bytes(self) & 0x7fff)
    }

    fn bytes(units: &[Self]) -> &[u8] {
        units.as_flattened()
    }

    fn store(run: &[Self], to: &mut [u8]) {
        for (to, [low, high]) in to.as_chunks_mut().0.iter_mut().zip(run) {
            // The high byte comes first.
            *to = [high & 0x7f, *low];
        }
    }
}

/// A pixel of 32 bits: blue, green, red and a byte that does not matter.
impl Matched for [u8; 4] {
    const MIN_FAR: usize = 2;
    const MASK: u64 = 0x00ff_ffff_00ff_ffff;

    fn mixed(three: &[Self; 3]) -> u64 {
        let [[a, b, c, d], [e, f, g, h], last] = *three;
        let two = u64::from_le_bytes([a, b, c, d, e, f, g, h]) & Self::MASK;
        let third = u64::from(last.bits());
        two.wrapping_mul(MIX[0]) ^ third.wrapping_mul(MIX[1])
    }

    fn bits(self) -> u32 {
        u32::from_le_bytes(self) & 0x00ff_ffff
    }

    fn bytes(units: &[Self]) -> &[u8] {
        units.as_flattened()
    }

    fn store(run: &[Self], to: &mut [u8]) {
        for (to, [b, g, r, _]) in to.as_chunks_mut().0.iter_mut().zip(run) {
            *to = [*b, *g, *r];
        }
    }
}

/// Writes one pass: greedy matches found by a run test and a table of the last position of each three units.
pub(super) fn pass<U: Matched>(units: &[U], table: &mut Table, sink: &mut Sink, out: &mut Vec<u8>) {
    // Fewer than 2^30.
    let count = units.len() as u32;
    table.begin(count);
    table.enter(units, 0);
    // The first unit is a literal.
    let (mut at, mut pending, mut misses) = (1, 0, 0usize);
    while let Some([left, three @ ..]) = units.get(at - 1..).and_then(<[U]>::first_chunk::<4>) {
        let Some((length, distance)) = find(units, at, *left, three, table) else {
            at += 1 + (misses >> PATIENCE);
            misses += 1;
            continue;
        };
        misses = 0;
        // Units before that are the same belong to the match, too.
        let before = units.get(pending..at).unwrap_or_default().iter().rev();
        let earlier = units.get(..at - distance).unwrap_or_default().iter().rev();
        let more = before.zip(earlier).take_while(|(a, b)| same(**a, **b)).count();
        literals(units.get(pending..at - more).unwrap_or_default(), sink, out);
        put_match::<U>(length + more, distance, sink, out);
        at += length;
        pending = at;
        table.enter(units, at - 2);
        table.enter(units, at - 1);
    }
    literals(units.get(pending..).unwrap_or_default(), sink, out);
    sink.flush(out);
    table.end(count);
}

/// The longer of a run and of what the table knows for the `three` units at `at` and those after them, when it is worth
/// writing: length and distance. Remembers the position unless a run goes on there: then the begin of the run is the
/// better one to know.
#[inline(always)]
fn find<U: Matched>(units: &[U], at: usize, left: U, three: &[U; 3], table: &mut Table) -> Option<(usize, usize)> {
    let here = table.base + at as u32;
    let place = table.place(three);
    let distance = (here - *place) as usize;
    let run = if same(three[0], left) { common(units, at, 1) } else { 0 };
    if run < 3 {
        *place = here;
    }
    // Positions of earlier passes are before the begin of this one.
    let length = if distance <= at.min(MAX_FAR) {
        common(units, at, distance)
    } else {
        0
    };
    if run >= length.max(U::MIN_MATCH) {
        return Some((run, 1));
    }
    let shortest = if distance > MAX_NEAR { U::MIN_FAR } else { U::MIN_MATCH };
    (length >= shortest).then_some((length, distance))
}

/// Whether two units are the same.
fn same<U: Matched>(a: U, b: U) -> bool {
    a.bits() == b.bits()
}

/// Bytes that are compared at once, all of them and up to the first one that differs.
type Block = [[u8; 8]; 2];

/// The bits that matter in which two words differ.
fn differ<U: Matched>(a: [u8; 8], b: [u8; 8]) -> u64 {
    (u64::from_le_bytes(a) ^ u64::from_le_bytes(b)) & U::MASK
}

/// How many bytes of two blocks are the same from their begin on. Without a branch: this is hard to foresee.
fn common_bytes<U: Matched>([a, b]: Block, [c, d]: Block) -> usize {
    let (first, second) = (differ::<U>(a, c), differ::<U>(b, d));
    let same = if first == 0 {
        64 + second.trailing_zeros()
    } else {
        first.trailing_zeros()
    };
    same as usize / 8
}

/// How many units from `at` on are the same `distance` before.
fn common<U: Matched>(units: &[U], at: usize, distance: usize) -> usize {
    let rest = U::bytes(units.get(at..).unwrap_or_default());
    let earlier = U::bytes(units.get(at - distance..).unwrap_or_default());
    let words = rest.as_chunks().0.as_chunks().0.iter();
    let mut blocks = words.zip(earlier.as_chunks().0.as_chunks().0);
    let mut count = 0;
    // Most matches are short.
    for (a, b) in blocks.by_ref().take(SHORT) {
        let same = common_bytes::<U>(*a, *b);
        count += same;
        if same < size_of::<Block>() {
            return count / U::SIZE;
        }
    }
    for (a, b) in blocks {
        let same = differ::<U>(a[0], b[0]) | differ::<U>(a[1], b[1]) == 0;
        if !same {
            return (count + common_bytes::<U>(*a, *b)) / U::SIZE;
        }
        count += size_of::<Block>();
    }
    let count = count / U::SIZE;
    let rest = units.get(at + count..).unwrap_or_default().iter();
    let pairs = rest.zip(units.get(at - distance + count..).unwrap_or_default());
    count + pairs.take_while(|(a, b)| same(**a, **b)).count()
}

/// Writes units as they are.
fn literals<U: Matched>(units: &[U], sink: &mut Sink, out: &mut Vec<u8>) {
    for run in units.chunks(MAX_LITERALS) {
        // Most runs are short.
        if run.len() * U::BYTES < SHORT_PIECE {
            literal_run::<U, SHORT_PIECE>(run, sink, out);
        } else {
            literal_run::<U, PIECE>(run, sink, out);
        }
    }
}

/// Writes at most [`MAX_LITERALS`] units, which take less than `N` bytes.
fn literal_run<U: Matched, const N: usize>(run: &[U], sink: &mut Sink, out: &mut Vec<u8>) {
    let mut piece = [0; N];
    if let Some((count, bytes)) = piece.split_first_mut() {
        *count = run.len() as u8 - 1;
        U::store(run, bytes);
    }
    sink.write(piece, 1 + run.len() * U::BYTES, out);
}

/// Writes a match; length extension comes before the low byte of the distance.
fn put_match<U: Matched>(length: usize, distance: usize, sink: &mut Sink, out: &mut Vec<u8>) {
    let code = length - (U::MIN_MATCH - 1);
    let near = distance <= MAX_NEAR;
    let value = if near { distance - 1 } else { MAX_NEAR };
    let first = ((code.min(7) << 5) | (value >> 8)) as u8;
    // What follows the length; the last two are written for far matches.
    let [high, low] = (distance.wrapping_sub(1 + MAX_NEAR) as u16).to_be_bytes();
    let (value, count) = (value as u8, if near { 1 } else { 3 });
    let Some(mut more) = code.checked_sub(7) else {
        sink.write([first, value, high, low], 1 + count, out);
        return;
    };
    sink.write([first], 1, out);
    while more >= 255 {
        sink.write([255], 1, out);
        more -= 255;
    }
    sink.write([more as u8, value, high, low], 1 + count, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(units: &[u8], table: &mut Table) -> Vec<u8> {
        let mut out = Vec::new();
        pass(units, table, &mut Sink::default(), &mut out);
        out
    }

    #[test]
    fn positions_are_forgotten_with_their_pass_and_when_they_run_out_of_numbers() {
        let units = b"as it is, so it was and so it will be, as it is".repeat(3);
        let first = passed(&units, &mut Table::default());
        let mut table = Table {
            base: u32::MAX - 3 * units.len() as u32,
            ..Table::default()
        };
        for _ in 0..6 {
            assert_eq!(passed(&units, &mut table), first);
        }
        assert!(table.base < 5 * units.len() as u32);
    }

    #[test]
    fn common_units_are_counted_one_by_one() {
        fn check<U: Matched>(unit: impl Fn(u8) -> U) {
            for length in 0..80 {
                for differ in 0..=length {
                    let first: Vec<U> = (0..length).map(|at| unit(at as u8)).collect();
                    let mut second = first.clone();
                    if let Some(other) = second.get_mut(differ) {
                        *other = unit(200);
                    }
                    let all = [second, first.clone()].concat();
                    assert_eq!(common(&all, length, length), differ);
                }
            }
        }
        check(|byte| byte);
        // What does not matter differs from unit to unit.
        check(|byte| [byte, byte << 7]);
        check(|byte| [1, byte, 2, byte]);
    }
}
