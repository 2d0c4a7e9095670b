//! What a pass of the decoder writes.

/// Units of a match that are copied at once.
const BLOCK: usize = 8;
/// Units of a match that are copied all at once.
const LONG: usize = 256;

/// One unit as the rows have it.
pub(super) trait Unit: Copy {
    /// Bytes of a literal.
    const BYTES: usize;
    /// Shortest match.
    const MIN_MATCH: usize;

    /// Reads `count` literals from `from`, which has as many or more, to the begin of `to`. What follows there, and is
    /// written by what follows in the stream, may change.
    fn literals(from: &[u8], to: &mut [Self], count: usize);
}

/// [`Unit::literals`] in blocks of `OUT` units from `IN` bytes as long as there are whole ones, and then one by one.
#[inline(always)]
fn in_blocks<U, const IN: usize, const OUT: usize>(
    from: &[u8],
    to: &mut [U],
    count: usize,
    block: impl Fn(&[u8; IN]) -> [U; OUT],
    one: impl Fn(&[u8]) -> U,
) {
    let blocks = to.as_chunks_mut::<OUT>().0.iter_mut().zip(from.as_chunks::<IN>().0);
    let mut written = 0;
    for (to, from) in blocks {
        *to = block(from);
        written += OUT;
        if written >= count {
            return;
        }
    }
    let bytes = IN / OUT;
    let from = from.get(written * bytes..).unwrap_or_default().chunks_exact(bytes);
    let to = to.get_mut(written..count).unwrap_or_default().iter_mut();
    to.zip(from).for_each(|(to, from)| *to = one(from));
}

/// A byte of anything.
impl Unit for u8 {
    const BYTES: usize = 1;
    const MIN_MATCH: usize = 3;

    fn literals(from: &[u8], to: &mut [Self], count: usize) {
        in_blocks(from, to, count, |from: &[Self; 16]| *from, |from| from[0]);
    }
}

/// A pixel of 16 bits, whose high byte comes first in the stream.
impl Unit for [u8; 2] {
    const BYTES: usize = 2;
    const MIN_MATCH: usize = 2;

    fn literals(from: &[u8], to: &mut [Self], count: usize) {
        let swapped = |from: &[u8; 16]| {
            let mut to = [[0; 2]; 8];
            let pairs = to.iter_mut().zip(from.as_chunks().0);
            pairs.for_each(|(to, [high, low])| *to = [*low, *high]);
            to
        };
        in_blocks(from, to, count, swapped, |from| [from[1], from[0]]);
    }
}

/// A pixel of 24 bits.
impl Unit for [u8; 3] {
    const BYTES: usize = 3;
    const MIN_MATCH: usize = 1;

    fn literals(from: &[u8], to: &mut [Self], count: usize) {
        let block = |from: &[u8; 24]| {
            let mut to = [[0; 3]; 8];
            to.as_flattened_mut().copy_from_slice(from);
            to
        };
        in_blocks(from, to, count, block, |from| [from[0], from[1], from[2]]);
    }
}

/// A pixel of 32 bits whose last byte is not in the stream.
impl Unit for [u8; 4] {
    const BYTES: usize = 3;
    const MIN_MATCH: usize = 1;

    fn literals(from: &[u8], to: &mut [Self], count: usize) {
        let widened = |from: &[u8; 12]| {
            // The bytes of four pixels follow each other.
            let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = *from;
            let a = u32::from_le_bytes([a0, a1, a2, a3]);
            let b = u32::from_le_bytes([b0, b1, b2, b3]);
            let c = u32::from_le_bytes([c0, c1, c2, c3]);
            [a, a >> 24 | b << 8, b >> 16 | c << 16, c >> 8].map(|pixel| (pixel & 0x00ff_ffff).to_le_bytes())
        };
        in_blocks(from, to, count, widened, |from| [from[0], from[1], from[2], 0]);
    }
}

/// Repeats `length` units from `distance` before `at` on, at `at`; both are there. What follows, and is written by what
/// follows in the stream, may change.
pub(crate) fn repeat<U: Copy>(out: &mut [U], at: usize, distance: usize, length: usize) {
    let (start, end) = (at - distance, at + length);
    if distance == 1 {
        let Some(unit) = out.get(start).copied() else { return };
        let mut left = length;
        for block in out.get_mut(at..).unwrap_or_default().as_chunks_mut::<BLOCK>().0 {
            if left == 0 {
                return;
            }
            *block = [unit; BLOCK];
            left = left.saturating_sub(BLOCK);
        }
        out.get_mut(end - left..end).unwrap_or_default().fill(unit);
    } else if distance >= length && length >= LONG {
        out.copy_within(start..start + length, at);
    } else if distance >= BLOCK {
        // A block never reaches what it writes itself.
        let mut done = 0;
        while done < length {
            let block = out.get(start + done..).and_then(<[U]>::first_chunk::<BLOCK>).copied();
            let to = out.get_mut(at + done..).and_then(<[U]>::first_chunk_mut);
            let (Some(block), Some(to)) = (block, to) else {
                // Less than a block up to the very end.
                out.copy_within(start + done..start + length, at + done);
                return;
            };
            *to = block;
            done += BLOCK;
        }
    } else {
        // What was copied doubles what can be copied next.
        let mut to = at;
        while to < end {
            let count = (end - to).min(to - start);
            out.copy_within(start..start + count, to);
            to += count;
        }
    }
}
