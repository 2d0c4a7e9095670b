//! One pass of the encoder: what it copies, and where it finds it.

use super::{
    MAX_FAR, MAX_NEAR,
    sink::{PIECE, Sink},
};

/// Bits of the hash of three units; one place for the last position with each hash.
const HASH_BITS: u32 = 14;
/// Bytes of the pieces that short literal runs are written in.
const SHORT_PIECE: usize = 16;
/// Most units in one literal run.
const MAX_LITERALS: usize = 32;
/// Units that are compared at once where matches are long.
const BLOCK: usize = 16;
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
    fn place<U: Unit>(&mut self, three: &[U; 3]) -> &mut u32 {
        &mut self.places[(U::mixed(three) >> (64 - HASH_BITS)) as usize % (1 << HASH_BITS)]
    }

    /// Forgets the positions of a pass.
    const fn end(&mut self, units: u32) {
        self.base += units;
    }
}

/// What a pass copies.
pub(super) trait Unit: Copy {
    /// Shortest match that can be written.
    const MIN_MATCH: usize;
    /// Shortest match worth writing at a distance of more than [`MAX_NEAR`].
    const MIN_FAR: usize;
    /// Bytes of a literal.
    const BYTES: usize;

    /// A mixture of three units, best in its high bits.
    fn mixed(three: &[Self; 3]) -> u64;
    /// Whether two units are the same.
    fn same(self, other: Self) -> bool;
    /// How many units two blocks have in common from their begin on. Without a branch: that is hard to foresee.
    fn common(a: &[Self; 8], b: &[Self; 8]) -> usize;
    /// Whether two longer blocks are the same.
    fn all_same(a: &[Self; BLOCK], b: &[Self; BLOCK]) -> bool;
    /// Stores a unit as a literal, which takes `BYTES`, in each place there is for one.
    fn store(run: &[Self], to: &mut [u8]);
}

/// A byte of anything.
impl Unit for u8 {
    const MIN_MATCH: usize = 3;
    const MIN_FAR: usize = 5;
    const BYTES: usize = 1;

    fn mixed(three: &[Self; 3]) -> u64 {
        let [a, b, c] = *three;
        u64::from(u32::from_le_bytes([a, b, c, 0])).wrapping_mul(MIX[0])
    }

    fn same(self, other: Self) -> bool {
        self == other
    }

    fn common(a: &[Self; 8], b: &[Self; 8]) -> usize {
        (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)).trailing_zeros() as usize / 8
    }

    fn all_same(a: &[Self; BLOCK], b: &[Self; BLOCK]) -> bool {
        a == b
    }

    fn store(run: &[Self], to: &mut [u8]) {
        to.iter_mut().zip(run).for_each(|(to, byte)| *to = *byte);
    }
}

/// A pixel of 16 bits, of which 15 matter.
impl Unit for [u8; 2] {
    const MIN_MATCH: usize = 2;
    const MIN_FAR: usize = 3;
    const BYTES: usize = 2;

    fn mixed(three: &[Self; 3]) -> u64 {
        let [a, b, c] = three.map(|pixel| u64::from(u16::from_le_bytes(pixel) & 0x7fff));
        (a | b << 16 | c << 32).wrapping_mul(MIX[0])
    }

    fn same(self, other: Self) -> bool {
        (u16::from_le_bytes(self) ^ u16::from_le_bytes(other)) & 0x7fff == 0
    }

    fn all_same(a: &[Self; BLOCK], b: &[Self; BLOCK]) -> bool {
        let pairs = a.iter().zip(b);
        pairs.fold(0, |differ, (a, b)| {
            differ | (u16::from_le_bytes(*a) ^ u16::from_le_bytes(*b))
        }) & 0x7fff
            == 0
    }

    fn common(a: &[Self; 8], b: &[Self; 8]) -> usize {
        let mut differ = [0; 8];
        for (differ, (a, b)) in differ.iter_mut().zip(a.iter().zip(b)) {
            *differ = u8::from(!a.same(*b));
        }
        u64::from_le_bytes(differ).trailing_zeros() as usize / 8
    }

    fn store(run: &[Self], to: &mut [u8]) {
        for (to, [low, high]) in to.as_chunks_mut().0.iter_mut().zip(run) {
            // The high byte comes first.
            *to = [high & 0x7f, *low];
        }
    }
}

/// A pixel of 32 bits: blue, green, red and a byte that does not matter.
impl Unit for [u8; 4] {
    const MIN_MATCH: usize = 1;
    const MIN_FAR: usize = 2;
    const BYTES: usize = 3;

    fn mixed(three: &[Self; 3]) -> u64 {
        let [a, b, c] = three.map(|pixel| u64::from(u32::from_le_bytes(pixel) & 0x00ff_ffff));
        (a | b << 32).wrapping_mul(MIX[0]) ^ c.wrapping_mul(MIX[1])
    }

    fn same(self, other: Self) -> bool {
        (u32::from_le_bytes(self) ^ u32::from_le_bytes(other)) & 0x00ff_ffff == 0
    }

    fn all_same(a: &[Self; BLOCK], b: &[Self; BLOCK]) -> bool {
        let pairs = a.iter().zip(b);
        pairs.fold(0, |differ, (a, b)| {
            differ | (u32::from_le_bytes(*a) ^ u32::from_le_bytes(*b))
        }) & 0x00ff_ffff
            == 0
    }

    fn common(a: &[Self; 8], b: &[Self; 8]) -> usize {
        let mut differ = [0; 8];
        for (differ, (a, b)) in differ.iter_mut().zip(a.iter().zip(b)) {
            *differ = u8::from(!a.same(*b));
        }
        u64::from_le_bytes(differ).trailing_zeros() as usize / 8
    }

    fn store(run: &[Self], to: &mut [u8]) {
        for (to, [b, g, r, _]) in to.as_chunks_mut().0.iter_mut().zip(run) {
            *to = [*b, *g, *r];
        }
    }
}

/// Writes one pass: greedy matches found by a run test and a table of the last position of each three units.
pub(super) fn pass<U: Unit>(units: &[U], table: &mut Table, sink: &mut Sink, out: &mut Vec<u8>) {
    // Fewer than 2^30.
    let count = units.len() as u32;
    table.begin(count);
    let (mut at, mut pending, mut misses) = (0, 0, 0usize);
    while at < units.len() {
        let Some((length, distance)) = find(units, at, table) else {
            at += 1 + (misses >> PATIENCE);
            misses += 1;
            continue;
        };
        misses = 0;
        // Units before that are the same belong to the match, too.
        let before = units.get(pending..at).unwrap_or_default().iter().rev();
        let earlier = units.get(..at - distance).unwrap_or_default().iter().rev();
        let more = before.zip(earlier).take_while(|(a, b)| a.same(**b)).count();
        literals(units.get(pending..at - more).unwrap_or_default(), sink, out);
        put_match::<U>(length + more, distance, sink, out);
        at += length;
        pending = at;
        for last in at.saturating_sub(2)..at {
            if let Some(three) = units.get(last..).and_then(<[U]>::first_chunk) {
                let entry = table.base + last as u32;
                *table.place(three) = entry;
            }
        }
    }
    literals(units.get(pending..).unwrap_or_default(), sink, out);
    sink.flush(out);
    table.end(count);
}

/// The longer of a run and of what the table knows for the units from `at` on, when it is worth writing: length and
/// distance. Remembers the position unless a run goes on there: then the begin of the run is the better one to know.
fn find<U: Unit>(units: &[U], at: usize, table: &mut Table) -> Option<(usize, usize)> {
    let rest = units.get(at..)?;
    let three: &[U; 3] = rest.first_chunk()?;
    let base = table.base;
    let place = table.place(three);
    let candidate = place.checked_sub(base).map(|before| before as usize);
    let run = at.checked_sub(1).map_or(0, |before| common(rest, units, before));
    let (length, distance) = match candidate {
        Some(before) if at - before <= MAX_FAR => (common(rest, units, before), at - before),
        _ => (0, 1),
    };
    let shortest = if distance > MAX_NEAR { U::MIN_FAR } else { U::MIN_MATCH };
    if run < 3 {
        *place = base + at as u32;
    }
    if run >= length.max(U::MIN_MATCH) {
        Some((run, 1))
    } else {
        (length >= shortest).then_some((length, distance))
    }
}

/// How many units from the begin of `rest` on are the same from `before` on.
fn common<U: Unit>(rest: &[U], units: &[U], before: usize) -> usize {
    let earlier = units.get(before..).unwrap_or_default();
    match (rest, earlier) {
        // Most often nothing.
        ([a, ..], [b, ..]) if a.same(*b) => {}
        _ => return 0,
    }
    let short = |rest: &[U], earlier: &[U]| match (rest.first_chunk(), earlier.first_chunk()) {
        (Some(a), Some(b)) => U::common(a, b),
        _ => rest.iter().zip(earlier).take_while(|(a, b)| a.same(**b)).count(),
    };
    // Most matches are short.
    let mut count = short(rest, earlier);
    if count < 8 {
        return count;
    }
    let blocks = rest.as_chunks().0.iter().zip(earlier.as_chunks().0);
    count = BLOCK * blocks.take_while(|(a, b)| U::all_same(a, b)).count();
    loop {
        let more = short(
            rest.get(count..).unwrap_or_default(),
            earlier.get(count..).unwrap_or_default(),
        );
        count += more;
        if more < 8 {
            return count;
        }
    }
}

/// Writes units as they are.
fn literals<U: Unit>(units: &[U], sink: &mut Sink, out: &mut Vec<u8>) {
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
fn literal_run<U: Unit, const N: usize>(run: &[U], sink: &mut Sink, out: &mut Vec<u8>) {
    let mut piece = [0; N];
    if let Some((count, bytes)) = piece.split_first_mut() {
        *count = run.len() as u8 - 1;
        U::store(run, bytes);
    }
    sink.write(piece, 1 + run.len() * U::BYTES, out);
}

/// Writes a match; length extension comes before the low byte of the distance.
fn put_match<U: Unit>(length: usize, distance: usize, sink: &mut Sink, out: &mut Vec<u8>) {
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
        fn check<U: Unit>(unit: impl Fn(u8) -> U) {
            for length in 0..80 {
                for differ in 0..=length {
                    let first: Vec<U> = (0..length).map(|at| unit(at as u8)).collect();
                    let mut second = first.clone();
                    if let Some(other) = second.get_mut(differ) {
                        *other = unit(200);
                    }
                    let all = [second, first.clone()].concat();
                    assert_eq!(common(&first, &all[..length], 0), differ);
                }
            }
        }
        check(|byte| byte);
        // What does not matter differs from unit to unit.
        check(|byte| [byte, byte << 7]);
        check(|byte| [1, byte, 2, byte]);
    }
}
