//! The picture the video shows: waves of colour that run through each other. Tables and additions only.

use crate::{Color, Image, theme};

/// Frames of the video until it begins again.
pub const FRAMES: u32 = 256;

/// Steps of a turn: of a wave, and of the colours.
const TURN: usize = 1024;
/// The colours, one after the other and the first again.
const COLORS: [Color; 4] = [theme::BACKGROUND_BOTTOM, theme::TEAL, theme::CREAM, theme::AMBER_DEEP];

/// How far a wave goes to either side: three of them stay within a turn of the colours.
const HEIGHT: usize = TURN / 6;

/// A wave around [`HEIGHT`]: two parabolas, which to the eye are a sine.
const WAVE: [u16; TURN] = {
    const HALF: usize = TURN / 2;
    let mut wave = [0; TURN];
    let mut at = 0;
    while at < TURN {
        let from = at % HALF;
        let height = from * (HALF - from) * HEIGHT / (HALF * HALF / 4);
        wave[at] = if at < HALF { HEIGHT + height } else { HEIGHT - height } as u16;
        at += 1;
    }
    wave
};

/// The colours with what lies between them.
const PALETTE: [Color; TURN] = {
    const STEPS: usize = TURN / COLORS.len();
    let mut palette = [0; TURN];
    let mut at = 0;
    while at < TURN {
        let (from, to) = (COLORS[at / STEPS], COLORS[(at / STEPS + 1) % COLORS.len()]);
        let mut shift = 0;
        while shift < 24 {
            let (from, to) = (((from >> shift) & 0xff) as usize, ((to >> shift) & 0xff) as usize);
            let between = (from * (STEPS - at % STEPS) + to * (at % STEPS)) / STEPS;
            palette[at] |= (between as Color) << shift;
            shift += 8;
        }
        at += 1;
    }
    palette
};

/// A frame of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plasma {
    /// How far into a turn: 0 to [`TURN`].
    time: i32,
}

impl Plasma {
    /// The frame of this number, modulo [`FRAMES`].
    pub(crate) const fn new(frame: u32) -> Self {
        Self {
            time: (frame % FRAMES) as i32 * (TURN as i32 / FRAMES as i32),
        }
    }
}

/// The place in a table: what is above a turn does not count.
const fn place(at: i32) -> usize {
    at as usize % TURN
}

fn wave(at: i32) -> i32 {
    WAVE[place(at)].into()
}

impl Image for Plasma {
    fn row(&self, y: i32, out: &mut [Color]) {
        let time = self.time;
        let across = wave(4 * y + 2 * time) + time;
        // How far the other two are bent depends on the row.
        let bend = wave(2 * y - time);
        for (x, pixel) in (0..).zip(out) {
            let along = wave(3 * x + bend - time);
            let aslant = wave(2 * (x + y) + bend + 3 * time);
            *pixel = PALETTE[place(across + along + aslant)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 320;
    const ROWS: usize = 240;

    fn pixels(frame: u32) -> std::vec::Vec<Color> {
        let mut pixels = std::vec![0; WIDTH * ROWS];
        for (y, row) in (0..).zip(pixels.chunks_mut(WIDTH)) {
            Plasma::new(frame).row(y, row);
        }
        pixels
    }

    /// The largest difference in a channel.
    fn distance(one: Color, other: Color) -> u8 {
        let channels = one.to_le_bytes().into_iter().zip(other.to_le_bytes());
        channels.map(|(one, other)| one.abs_diff(other)).max().unwrap_or(0)
    }

    #[test]
    fn waves_and_colours_have_no_jump_where_they_begin_again() {
        for at in 0..TURN {
            let next = (at + 1) % TURN;
            assert!(WAVE[at].abs_diff(WAVE[next]) <= 2, "wave at {at}");
            assert!(distance(PALETTE[at], PALETTE[next]) <= 1, "palette at {at}");
            assert!(usize::from(WAVE[at]) <= 2 * HEIGHT);
        }
    }

    #[test]
    fn neighbours_are_alike_in_every_frame() {
        for frame in 0..FRAMES {
            let pixels = pixels(frame);
            for row in pixels.chunks(WIDTH) {
                assert!(
                    row.windows(2).all(|pair| distance(pair[0], pair[1]) <= 24),
                    "frame {frame}"
                );
            }
        }
    }

    #[test]
    fn frames_differ_from_each_other_and_come_again() {
        let first = pixels(0);
        assert_eq!(first, pixels(FRAMES));
        let mut last = pixels(FRAMES - 1);
        for frame in 0..FRAMES {
            let next = pixels(frame);
            let changed = next.iter().zip(&last).filter(|(one, other)| one != other).count();
            assert!(changed > WIDTH * ROWS / 2, "frame {frame}: {changed} pixels changed");
            last = next;
        }
    }
}
