//! Writing one pass of a stream.

use super::{
    FAR_PIXEL, MAX_LITERALS, VERY_FAR_PIXEL,
    store::{Store, Stored},
    table::{IMAGE_MASK, Place, Table},
    units::{HASHED, Units, Word},
};

/// So many units are a match that no table needs to be asked for a longer one.
const ENOUGH: usize = 16;
/// In a long match that lies in another image every so many units are remembered: when that image leaves the window,
/// this one is known.
const STEP_IN_MATCH: usize = 32;
/// After this many units without a match, as a power of two, one is left out at each step; after twice as many two.
const PATIENCE: u32 = 6;
/// At most so many units are left out.
const MAX_STEP: usize = 32;

/// Units that are the same as earlier ones.
#[derive(Clone, Copy)]
struct Match {
    /// Where it stands.
    at: usize,
    /// How many units it has.
    length: usize,
    /// In which image it lies; 0: in the same one.
    images_back: u32,
    /// Where it begins there.
    from: usize,
}

impl Match {
    /// The offset as the stream has it.
    const fn pixel(&self) -> usize {
        if self.images_back == 0 {
            self.at - self.from - 1
        } else {
            self.from
        }
    }

    /// Whether it is short enough to be written in fewer bytes than the literals it stands for. One byte more is
    /// counted for the literal run that it breaks in two.
    fn pays<U: Units>(&self) -> bool {
        let Some(code) = (self.length + 1).checked_sub(U::MIN_MATCH).filter(|code| *code > 0) else {
            return false;
        };
        let extension = code.checked_sub(7).map_or(0, |more| 1 + more / 255);
        let pixel = self.pixel();
        let (room, last) = match pixel {
            ..FAR_PIXEL => (6, 0),
            FAR_PIXEL..VERY_FAR_PIXEL => (0, 0),
            _ => (0, 1),
        };
        let cost = 3 + extension + extra_bytes(self.images_back, room) + last;
        self.length * U::LITERAL > cost + 1
    }

    fn put<U: Units>(&self, out: &mut Vec<u8>) {
        let code = self.length + 1 - U::MIN_MATCH;
        let pixel = self.pixel();
        let far = pixel >= FAR_PIXEL;
        let very_far = pixel >= VERY_FAR_PIXEL;
        out.push(((code.min(7) << 5) | (usize::from(far) << 4) | (pixel & 15)) as u8);
        if let Some(more) = code.checked_sub(7) {
            out.extend(std::iter::repeat_n(255, more / 255));
            out.push((more % 255) as u8);
        }
        let (third, mut image, count) = if far {
            let high = (usize::from(very_far) << 5) | ((pixel >> 12) & 31);
            (high as u8, self.images_back, extra_bytes(self.images_back, 0))
        } else {
            let low = self.images_back as u8 & 63;
            (low, self.images_back >> 6, extra_bytes(self.images_back, 6))
        };
        out.extend_from_slice(&[(pixel >> 4) as u8, third | ((count as u8) << 6)]);
        for _ in 0..count {
            out.push(image as u8);
            image >>= 8;
        }
        if very_far {
            out.push((pixel >> 17) as u8);
        }
    }
}

/// Bytes that an image distance takes beyond the `room` bits it has without any.
const fn extra_bytes(images_back: u32, room: u32) -> usize {
    (u32::BITS - images_back.leading_zeros())
        .saturating_sub(room)
        .div_ceil(8) as usize
}

/// The longer one; the first if they are equally long.
fn longer(a: Option<Match>, b: Option<Match>) -> Option<Match> {
    match (a, b) {
        (Some(a), Some(b)) if a.length >= b.length => Some(a),
        (a, b) => b.or(a),
    }
}

/// The pass over the units `U` of an image.
///
/// Greedy: at each unit the longest of a few matches is taken. Tried are the unit before (a run), the row above, where
/// the last match would go on, and the last place with the same three units. The first three need no table, and most
/// matches of a screen are such.
pub(super) struct Pass<'a, U: Units> {
    own: Own<'a>,
    /// Those of the image, but for what lies behind the part that is written.
    units: &'a [U::Unit],
    table: &'a mut Table,
    /// Tables that others write.
    others: &'a [Table],
}

/// The image of a pass, and those before it.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) image: &'a Stored,
    /// Units of a row.
    pub(super) width: usize,
    /// The end of the image's number, which is the next one of `store`.
    pub(super) number: u32,
    pub(super) store: &'a Store,
}

impl<'a, U: Units> Pass<'a, U> {
    /// Up to unit `end`. `others` are only asked for what `table` does not know.
    pub(super) fn new(own: Own<'a>, end: usize, table: &'a mut Table, others: &'a [Table]) -> Self {
        let units = U::of(own.image);
        Self {
            own,
            units: units.get(..end).unwrap_or(units),
            table,
            others,
        }
    }

    /// Writes the pass from unit `start` on. What the parts of an image come to is one stream: a match may lie in a part
    /// before.
    pub(super) fn run(mut self, start: usize, out: &mut Vec<u8>) {
        let (mut at, mut pending, mut misses) = (start, start, 0usize);
        // Where the last match lay: the image, and the distance in units, around the end of numbers.
        let mut last = (0, usize::MAX);
        self.grow_if_crowded();
        while let Some(three) = self.units.get(at..).and_then(<[U::Unit]>::first_chunk::<HASHED>) {
            let Some(mut found) = self.find(at, three, last).filter(Match::pays::<U>) else {
                misses += 1;
                at += (1 + (misses >> PATIENCE)).min(MAX_STEP);
                continue;
            };
            misses = 0;
            self.extend_back(&mut found, pending);
            self.literals(pending..found.at, out);
            found.put::<U>(out);
            last = (found.images_back, found.from.wrapping_sub(found.at));
            let end = found.at + found.length;
            self.remember(&found, at + 1);
            self.grow_if_crowded();
            at = end;
            pending = end;
        }
        self.literals(pending..self.units.len(), out);
    }

    /// The longest match for the three units at `at`. Unless one of those that need no table is long enough, the units
    /// are remembered; in a run its begin is the better place to know, for from there on it is longer.
    fn find(&mut self, at: usize, three: &[U::Unit; HASHED], (image, distance): (u32, usize)) -> Option<Match> {
        let before = |units: usize| at.checked_sub(units).and_then(|from| self.extended(at, three, 0, from));
        let run = before(1);
        let last = self.extended(at, three, image, at.wrapping_add(distance));
        let near = longer(longer(run, before(self.own.width)), last);
        if near.is_some_and(|near| near.length >= ENOUGH) {
            return near;
        }
        let place = Place {
            image: self.own.number,
            offset: at,
        };
        let key = U::key(three);
        let known = self.table.swap(key, place, run.is_some());
        let known = known.or_else(|| self.others.iter().find_map(|table| table.look(key)));
        let known = known.and_then(|place| {
            let images_back = self.own.number.wrapping_sub(place.image) & IMAGE_MASK;
            self.extended(at, three, images_back, place.offset)
        });
        longer(near, known)
    }

    /// The match for the three units at `at` that begins at a place, if they are the same there.
    fn extended(&self, at: usize, three: &[U::Unit; HASHED], images_back: u32, from: usize) -> Option<Match> {
        let earlier = self.image_back(images_back)?.get(from..)?;
        if (images_back == 0 && from >= at) || earlier.first_chunk()? != three {
            return None;
        }
        Some(Match {
            at,
            length: Word::common(self.units.get(at..)?, earlier),
            images_back,
            from,
        })
    }

    fn image_back(&self, images_back: u32) -> Option<&'a [U::Unit]> {
        match images_back {
            0 => Some(self.units),
            distance => Some(U::of(self.own.store.back(distance as usize)?)),
        }
    }

    /// Lets a match begin earlier, but not before `pending`.
    fn extend_back(&self, found: &mut Match, pending: usize) {
        let waiting = self.units.get(pending..found.at).unwrap_or_default();
        let earlier = self
            .image_back(found.images_back)
            .and_then(|units| units.get(..found.from));
        let pairs = waiting.iter().rev().zip(earlier.unwrap_or_default().iter().rev());
        let more = pairs.take_while(|(a, b)| a == b).count();
        found.at -= more;
        found.from -= more;
        found.length += more;
    }

    /// Remembers some of the units of a match from `first` on: its last ones, and what lies in another image.
    fn remember(&mut self, found: &Match, first: usize) {
        let end = found.at + found.length;
        let tail = end.saturating_sub(HASHED - 1).max(first);
        let inside = if found.images_back == 0 {
            tail..tail
        } else {
            first..tail
        };
        for offset in inside.step_by(STEP_IN_MATCH).chain(tail..end) {
            if let Some(three) = self.units.get(offset..).and_then(<[U::Unit]>::first_chunk::<HASHED>) {
                let place = Place {
                    image: self.own.number,
                    offset,
                };
                self.table.swap(U::key(three), place, false);
            }
        }
    }

    fn grow_if_crowded(&mut self) {
        if !self.table.is_crowded() {
            return;
        }
        let Own {
            image, number, store, ..
        } = self.own;
        self.table.grow(|place| {
            let here = (place.image ^ number) & IMAGE_MASK == 0;
            let image = if here {
                Some(image)
            } else {
                store.numbered(place.image, IMAGE_MASK)
            };
            U::key_at(image?, place.offset)
        });
    }

    /// Writes units as they are.
    fn literals(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        for run in self.units.get(range).unwrap_or_default().chunks(MAX_LITERALS) {
            out.push(run.len() as u8 - 1);
            U::put(run, out);
        }
    }
}
