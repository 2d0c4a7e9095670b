//! Where what a picture shows has been before.
//!
//! Pieces of the new picture that occur in it once are looked for on the surface, and those found there once vote for
//! where they were. First whole rows of each quarter of the width, which finds what scrolls up or down; then short pieces
//! of rows at any place.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use caraway_ports::geometry::{Point, Rect};
use twox_hash::XxHash3_128;

use super::compare::{Move, Pair, Pixel};

/// Parts of the width whose rows are looked for: what stays beside what scrolls spoils one of them.
const STRIPS: i32 = 4;

/// Narrowest such part.
const NARROWEST: i32 = 16;

/// Pixels in the middle of such a part that are looked at: enough to tell rows apart, and a part of what encoding them
/// takes.
const LOOKED_AT: i32 = 128;

/// About so many rows of each part are looked for, of twice as many at most: enough for votes, and others would say the
/// same.
const SAMPLED_ROWS: u32 = 128;

/// How far outside the change something may have been before.
const MARGIN: i32 = 256;

/// Votes that decide.
const VOTES: u32 = 8;

/// Pixels of a piece.
const PIECE: i32 = 32;

/// Pieces of a row of the new picture that are looked for.
const PIECES: i32 = 12;

/// Of the surface, one row in so many is searched for pieces.
const STEP: usize = 8;

/// Most different votes for pieces that are counted.
const MOST_VOTES: usize = 4096;

/// Multiplier of the hash of a piece: odd, and otherwise of no meaning.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A displacement: what was at a place plus it is at the place now.
type Displacement = (i32, i32);

/// The move that most of the new picture in `area` is, if there is one. `is_new` is whether hardly anything of it is in its
/// place already.
pub(super) fn motion(pair: &Pair<'_>, area: &Rect, is_new: bool) -> Option<Move> {
    let displacement = scrolled(pair, area, is_new).or_else(|| displaced(pair, area))?;
    moved_part(pair, area, displacement)
}

/// Whether something is known once, and where.
enum Seen<T> {
    Once(T),
    Often,
}

/// Notes that something is somewhere.
fn note<T>(known: &mut HashMap<u64, Seen<T>>, hash: u64, place: T) {
    match known.entry(hash) {
        Entry::Vacant(entry) => {
            entry.insert(Seen::Once(place));
        }
        Entry::Occupied(mut entry) => {
            entry.insert(Seen::Often);
        }
    }
}

/// What has most votes, if they are enough. Of several the nearest.
fn elected(votes: &HashMap<Displacement, u32>) -> Option<Displacement> {
    let rank = |((dx, dy), votes): &(&Displacement, &u32)| {
        let distance = u64::from(dx.unsigned_abs()) + u64::from(dy.unsigned_abs());
        (**votes, std::cmp::Reverse((distance, *dx, *dy)))
    };
    let (displacement, votes) = votes.iter().max_by_key(rank)?;
    (*votes >= VOTES).then_some(*displacement)
}

/// Rows that may have been the source of those of a rectangle.
fn rows_around(pair: &Pair<'_>, area: &Rect) -> Range<i32> {
    let screen = pair.screen();
    area.top.saturating_sub(MARGIN).max(screen.top)..area.bottom.saturating_add(MARGIN).min(screen.bottom)
}

/// By how much something has scrolled up or down.
fn scrolled(pair: &Pair<'_>, area: &Rect, is_new: bool) -> Option<Displacement> {
    let width = i32::try_from(area.width()).ok()?;
    let strips = STRIPS.min(width / NARROWEST).max(1);
    let each = (area.height() / SAMPLED_ROWS).max(1);
    let mut votes = HashMap::new();
    // From the middle on. Nothing stays beside what is new all over: what the first two do not tell, no other does.
    let order = (0..strips).map(|at| (strips - 1) / 2 + if at % 2 == 0 { -at / 2 } else { at / 2 + 1 });
    for (looked, strip) in order.enumerate() {
        if is_new && looked == 2 && votes.is_empty() {
            break;
        }
        let edge = |at: i32| area.left + width / strips * at;
        let middle = i32::midpoint(edge(strip), edge(strip + 1));
        let half = (width / strips).min(LOOKED_AT) / 2;
        let (left, right) = (middle - half, middle + half);
        let mut wanted = HashMap::new();
        for y in (area.top..area.bottom).step_by(each as usize) {
            note(&mut wanted, row_hash(pair.after(y, left, right)), y);
        }
        let filter = Filter::of(wanted.keys());
        let mut before = HashMap::new();
        for y in rows_around(pair, area) {
            let hash = row_hash(pair.before(y, left, right));
            if filter.may_have(hash) {
                note(&mut before, hash, y);
            }
        }
        for (hash, seen) in wanted {
            if let (Seen::Once(to), Some(Seen::Once(from))) = (seen, before.get(&hash))
                && to != *from
            {
                *votes.entry((0, from - to)).or_default() += 1;
            }
        }
    }
    elected(&votes)
}

fn row_hash(row: &[Pixel]) -> u64 {
    XxHash3_128::oneshot(row.as_flattened()) as u64
}

/// By how much something has moved anywhere.
fn displaced(pair: &Pair<'_>, area: &Rect) -> Option<Displacement> {
    let screen = pair.screen();
    // What is new all over the screen has hardly moved, and is the dearest to look for.
    if area.area() > screen.area() / 4 * 3 {
        return None;
    }
    let width = i32::try_from(area.width()).ok().filter(|width| *width >= PIECE)?;
    let pieces = PIECES.min(width / PIECE).max(1);
    let mut wanted: HashMap<u64, Seen<Point>> = HashMap::new();
    for y in area.top..area.bottom {
        for piece in 0..pieces {
            let x = area.left + (width - PIECE) * piece / pieces.max(2).saturating_sub(1);
            let pixels = pair.after(y, x, x + PIECE);
            if pixels.windows(2).any(|two| two.first() != two.last()) {
                note(&mut wanted, piece_hash(pixels), Point::new(x, y));
            }
        }
    }
    let filter = Filter::of(wanted.keys());
    let (left, right) = (
        area.left.saturating_sub(MARGIN).max(screen.left),
        area.right.saturating_add(MARGIN).min(screen.right),
    );
    let mut votes: HashMap<Displacement, u32> = HashMap::new();
    for y in rows_around(pair, area).step_by(STEP) {
        for (from, hash) in (left..).zip(piece_hashes(pair.before(y, left, right))) {
            if filter.may_have(hash)
                && let Some(Seen::Once(to)) = wanted.get(&hash)
            {
                let displacement = (from - to.x, y - to.y);
                let is_known = votes.contains_key(&displacement);
                if displacement != (0, 0) && (is_known || votes.len() < MOST_VOTES) {
                    *votes.entry(displacement).or_default() += 1;
                }
            }
        }
    }
    elected(&votes)
}

/// The hash of a piece: of its pixels as digits of a number.
fn piece_hash(pixels: &[Pixel]) -> u64 {
    pixels.iter().fold(0, |hash, pixel| added(hash, *pixel))
}

const fn added(hash: u64, pixel: Pixel) -> u64 {
    hash.wrapping_mul(FACTOR)
        .wrapping_add(u32::from_le_bytes(pixel) as u64 + 1)
}

/// The hashes of the pieces that begin at each pixel of a row, each made from the one before.
fn piece_hashes(row: &[Pixel]) -> impl Iterator<Item = u64> {
    let length = PIECE.unsigned_abs() as usize;
    let first = row.get(..length).map(piece_hash);
    let highest = FACTOR.wrapping_pow(PIECE.unsigned_abs());
    let rolled = row.iter().zip(row.iter().skip(length));
    let next = rolled.scan(first.unwrap_or_default(), move |hash, (gone, new)| {
        let gone = (u64::from(u32::from_le_bytes(*gone)) + 1).wrapping_mul(highest);
        *hash = added(*hash, *new).wrapping_sub(gone);
        Some(*hash)
    });
    first.into_iter().chain(next)
}

/// Tells quickly of most hashes that they are none of those that are looked for.
struct Filter(Vec<u64>);

impl Filter {
    /// Words of bits.
    const WORDS: usize = 1 << 11;

    fn of<'h>(hashes: impl Iterator<Item = &'h u64>) -> Self {
        let mut words = vec![0; Self::WORDS];
        for hash in hashes {
            let (word, bit) = Self::place(*hash);
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
        Self(words)
    }

    const fn place(hash: u64) -> (usize, u64) {
        ((hash >> 32) as usize % Self::WORDS, 1 << (hash >> 58))
    }

    fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The rectangle that is best moved: around what comes to be right by the move and is not now, but for a few pixels.
fn moved_part(pair: &Pair<'_>, area: &Rect, (dx, dy): Displacement) -> Option<Move> {
    let part = area.intersect(&pair.screen().translate(-dx, -dy));
    let mut columns = vec![0_u32; part.width() as usize];
    let mut rows = vec![0_u32; part.height() as usize];
    for (y, row) in (part.top..part.bottom).zip(&mut rows) {
        let now = pair.before(y, part.left, part.right);
        let then = pair.before(y + dy, part.left + dx, part.right + dx);
        let after = pair.after(y, part.left, part.right);
        for (((now, then), after), column) in now.iter().zip(then).zip(after).zip(&mut columns) {
            let gain = u32::from(!pair.same(*now, *after) && pair.same(*then, *after));
            *column += gain;
            *row += gain;
        }
    }
    let (left, right) = extent(&columns)?;
    let (top, bottom) = extent(&rows)?;
    let to = Rect {
        top: part.top + top,
        left: part.left + left,
        bottom: part.top + bottom,
        right: part.left + right,
    };
    let from = Point::new(to.left + dx, to.top + dy);
    Some(Move { to, from })
}

/// Where the first of the larger counts is, and the end of the last one.
fn extent(counts: &[u32]) -> Option<(i32, i32)> {
    let least = counts.iter().max().filter(|most| **most > 0)? / 8 + 1;
    let is_large = |count: &u32| *count >= least;
    let first = counts.iter().position(is_large)?;
    let last = counts.iter().rposition(is_large)?;
    Some((i32::try_from(first).ok()?, i32::try_from(last + 1).ok()?))
}
