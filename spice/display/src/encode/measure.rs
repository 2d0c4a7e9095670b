//! What the codecs did lately.

use std::time::Duration;

use caraway_image::choice::{Choice, Cost, Measured};

/// Bytes of pixels after which what was seen counts half: so many are encoded within a second or so.
const MEMORY: u64 = 8 << 20;

/// No link counts as quicker, bits a second: a client that may have more does not have it for itself, and what it is sent
/// has to be read and decoded, too.
const QUICKEST: u64 = 1_000_000_000;

/// Steps with fewer bytes of pixels say little of a codec: most of their time goes into everything else.
const LEAST: usize = 16 << 10;

/// After so many images of a kind a codec that had none of them is not known any more, and is tried again.
const KNOWN: u32 = 64;

/// What a codec makes of an image depends on this more than on anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// It is smooth.
    pub(super) is_smooth: bool,
    /// It comes with a command; others are areas of the canvas.
    pub(super) is_drawn: bool,
}

/// An image that was encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) kind: Kind,
    pub(super) choice: Choice,
    /// Bytes of pixels.
    pub(super) pixels: usize,
    /// Bytes of the stream, whether it was sent or not.
    pub(super) stream: usize,
}

/// Sums of one codec, over the images it encoded lately.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    pixels: u64,
    stream: u64,
    nanos: u64,
    /// Images since the last one of this codec.
    age: u32,
}

impl Sums {
    fn add(&mut self, pixels: usize, stream: usize, time: Duration) {
        self.age = 0;
        self.pixels = self.pixels.saturating_add(pixels as u64);
        self.stream = self.stream.saturating_add(stream as u64);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos = self.nanos.saturating_add(nanos);
        while self.pixels > MEMORY {
            for sum in [&mut self.pixels, &mut self.stream, &mut self.nanos] {
                *sum /= 2;
            }
        }
    }

    fn cost(&self) -> Option<Cost> {
        let pixels = u128::from(self.pixels);
        let per = |value: u128, of: u64| value.checked_div(u128::from(of.max(1))).unwrap_or(0);
        (pixels > 0).then(|| Cost {
            speed: u64::try_from(per(pixels * 1_000_000_000, self.nanos)).unwrap_or(u64::MAX),
            permille: u32::try_from(per(u128::from(self.stream) * 1000, self.pixels)).unwrap_or(u32::MAX),
        })
    }
}

/// Moving averages of the codecs of one connection, and what its link delivers.
#[derive(Debug, Default)]
pub(super) struct Measure {
    pub(super) delivery: Option<u64>,
    /// For each kind: QUIC, LZ, GLZ, LZ4.
    codecs: [[Sums; 4]; 4],
    /// Images encoded since times were last taken.
    work: Vec<Work>,
}

impl Measure {
    pub(super) fn begin(&mut self) {
        self.work.clear();
    }

    pub(super) fn note(&mut self, work: Work) {
        self.work.push(work);
    }

    /// What was noted since the beginning took so long together. Which part each codec had is not known where there were
    /// several.
    pub(super) fn took(&mut self, time: Duration) {
        let place = |work: &Work| {
            let codec = match work.choice {
                Choice::Quic => 0,
                Choice::Lz => 1,
                Choice::Glz { .. } => 2,
                Choice::Lz4 => 3,
                Choice::Raw | Choice::Jpeg { .. } | Choice::JpegAlpha { .. } => return None,
            };
            Some((row(work.kind), codec))
        };
        let first = self.work.first().and_then(place);
        let pixels: usize = self.work.iter().map(|work| work.pixels).sum();
        if pixels >= LEAST
            && self.work.iter().all(|work| place(work) == first)
            && let Some((row, codec)) = first
            && let Some(sums) = self.codecs.get_mut(row).and_then(|row| row.get_mut(codec))
        {
            let stream = self.work.iter().map(|work| work.stream).sum();
            sums.add(pixels, stream, time);
        }
        self.work.clear();
    }

    /// What is known when an image of a kind comes.
    pub(super) fn measured(&mut self, kind: Kind) -> Measured {
        let mut sums = [Sums::default(); 4];
        if let Some(known) = self.codecs.get_mut(row(kind)) {
            for sums in known.iter_mut() {
                sums.age += 1;
                if sums.age > KNOWN {
                    *sums = Sums::default();
                }
            }
            sums = *known;
        }
        let [quic, lz, glz, lz4] = sums.map(|sums| sums.cost());
        Measured {
            delivery: self.delivery.map(|delivery| delivery.min(QUICKEST)),
            quic,
            lz,
            glz,
            lz4,
        }
    }
}

fn row(kind: Kind) -> usize {
    usize::from(kind.is_smooth) + 2 * usize::from(kind.is_drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Kind = Kind {
        is_smooth: false,
        is_drawn: true,
    };

    fn work(choice: Choice, pixels: usize, stream: usize) -> Work {
        Work {
            kind: TEXT,
            choice,
            pixels,
            stream,
        }
    }

    #[test]
    fn averages_weigh_images_by_their_size_and_forget() {
        let mut measure = Measure::default();
        let mut done = |choice, pixels, stream, millis| {
            measure.begin();
            measure.note(work(choice, pixels, stream));
            measure.took(Duration::from_millis(millis));
            measure.measured(TEXT)
        };
        let first = done(Choice::Lz, 1_000_000, 100_000, 10);
        let cost = |speed, permille| Some(Cost { speed, permille });
        assert_eq!(first.lz, cost(100_000_000, 100));
        assert_eq!((first.quic, first.glz, first.lz4), (None, None, None));
        assert_eq!(done(Choice::Lz, 3_000_000, 700_000, 10).lz, cost(200_000_000, 200));
        for _ in 0..40 {
            done(Choice::Lz, 4_000_000, 400_000, 40);
        }
        let last = done(Choice::Lz, 4_000_000, 400_000, 40).lz.unwrap();
        // Halves are rounded down.
        assert!((99_000_000..=101_000_000).contains(&last.speed), "{last:?}");
        assert!((99..=100).contains(&last.permille), "{last:?}");
    }

    #[test]
    fn a_codec_that_had_no_image_for_long_is_not_known_any_more() {
        let mut measure = Measure::default();
        measure.note(work(Choice::Quic, 100_000, 50_000));
        measure.took(Duration::from_secs(1));
        for at in 0..KNOWN {
            assert!(measure.measured(TEXT).quic.is_some(), "{at}");
            measure.note(work(Choice::Lz, 100_000, 50_000));
            measure.took(Duration::from_secs(1));
        }
        let later = measure.measured(TEXT);
        assert!(later.quic.is_none() && later.lz.is_some());
    }

    #[test]
    fn what_took_no_time_or_several_codecs_or_makes_nothing_shorter_says_nothing_wrong() {
        let mut measure = Measure::default();
        measure.took(Duration::from_secs(1));
        measure.note(work(Choice::Lz, 100_000, 50_000));
        measure.note(work(Choice::Quic, 100_000, 50_000));
        measure.took(Duration::from_secs(1));
        measure.note(work(Choice::Raw, 100_000, 100_000));
        measure.took(Duration::from_secs(1));
        assert_eq!(measure.measured(TEXT), Measured::default());
        measure.note(work(Choice::Lz4, LEAST - 1, 50));
        measure.took(Duration::from_secs(1));
        assert_eq!(measure.measured(TEXT), Measured::default(), "too little");
        measure.note(work(Choice::Lz4, 100_000, 50_000));
        measure.took(Duration::ZERO);
        let instant = measure.measured(TEXT).lz4.unwrap();
        assert_eq!((instant.speed, instant.permille), (100_000_000_000_000, 500));
        for other in [
            Kind {
                is_smooth: true,
                ..TEXT
            },
            Kind {
                is_drawn: false,
                ..TEXT
            },
        ] {
            assert_eq!(measure.measured(other), Measured::default(), "{other:?}");
        }
    }
}
