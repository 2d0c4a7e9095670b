//! How good the frames of a stream are: as good as the link takes them in time.

use std::time::Duration;

use caraway_protocol::display::StreamReport;

/// The qualities there are, the reference's but for the worst ones, which nobody wants to look at.
const QUALITIES: [u8; 6] = [30, 40, 50, 60, 70, 80];

/// Where a stream of JPEG begins.
const FIRST: usize = 3;

/// Rates in bits a second there are of a codec that holds one. Each is twice the one before: a change costs a frame that
/// needs no other.
const BIT_RATES: [u32; 7] = [
    312_500, 625_000, 1_250_000, 2_500_000, 5_000_000, 10_000_000, 20_000_000,
];

/// Where a stream with a rate begins, if the link has room for that: 10 Mbit/s, the reference's figure.
const FIRST_BIT_RATE: usize = 5;

/// So long everything has to go well before frames become better.
const CALM: Duration = Duration::from_secs(1);

/// Frames that a client reports as late by less than this are its own affair: they are shown all the same.
const TOLERANCE: i32 = -15;

/// What a client's report asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// Frames came too late by so much: they have to be shown later from now on.
    Late(Duration),
    /// The client can decode none: it has said so of the last codec that was left.
    Useless,
}

/// The rate of one stream to one client.
#[derive(Debug)]
pub(super) struct Rate {
    step: usize,
    /// The best step it may come to.
    best: usize,
    /// How long it went well.
    calm: Duration,
    /// The last report had frames that were dropped.
    dropping: bool,
    /// Media time when frames were last said to be late: the client's clock was set back then, and what was stamped before
    /// says nothing of whether that is enough.
    late_at: Option<u32>,
}

impl Default for Rate {
    /// That of JPEG.
    fn default() -> Self {
        Self {
            step: FIRST,
            best: QUALITIES.len() - 1,
            calm: Duration::ZERO,
            dropping: false,
            late_at: None,
        }
    }
}

impl Rate {
    /// The quality of the next frame, 1 to 100.
    pub(super) fn quality(&self) -> u8 {
        QUALITIES.get(self.step).copied().unwrap_or(50)
    }

    /// The rate of a codec that holds one.
    pub(super) fn of_bits() -> Self {
        Self {
            step: FIRST_BIT_RATE,
            best: FIRST_BIT_RATE,
            ..Self::default()
        }
    }

    /// Bits a second for the next frame, where there is room for so many.
    pub(super) fn bits_per_second(&mut self, room: u64) -> u32 {
        let largest = |room| BIT_RATES.iter().rposition(|rate| u64::from(*rate) <= room).unwrap_or(0);
        self.step = self.step.min(largest(room));
        // It is not to become better for a moment only.
        self.best = largest(room / 4 * 3);
        BIT_RATES.get(self.step).copied().unwrap_or(BIT_RATES[0])
    }

    /// A frame took so long to encode and to write, and the guest draws one every `period`.
    pub(super) fn frame(&mut self, took: Duration, period: Duration) {
        if took > period * 2 {
            self.worse(2);
        } else if took * 10 > period * 9 {
            self.worse(1);
        } else if took * 2 < period && !self.dropping {
            self.calm += period;
            if self.calm >= CALM && self.step < self.best {
                self.step += 1;
                self.calm = Duration::ZERO;
            }
        } else {
            self.calm = Duration::ZERO;
        }
    }

    fn worse(&mut self, steps: usize) {
        self.step = self.step.saturating_sub(steps);
        self.calm = Duration::ZERO;
    }

    /// What the client says, at this media time.
    pub(super) fn report(&mut self, report: &StreamReport, now: u32) -> Verdict {
        if report.cannot_decode() {
            return Verdict::Useless;
        }
        self.dropping = report.num_drops > 0;
        if report.last_frame_delay < TOLERANCE {
            let is_old = |at: u32| report.end_frame_mm_time.wrapping_sub(at) > u32::MAX / 2;
            if self.late_at.is_some_and(is_old) {
                return Verdict::Fine;
            }
            self.late_at = Some(now);
            let late = u64::from(report.last_frame_delay.unsigned_abs());
            return Verdict::Late(Duration::from_millis(late));
        }
        if self.dropping {
            // They came in time, and still the client could not show them all.
            self.worse(1);
        }
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(40);

    fn report(drops: u32, delay: i32) -> StreamReport {
        StreamReport {
            stream_id: 0,
            unique_id: 0,
            start_frame_mm_time: 0,
            end_frame_mm_time: 0,
            num_frames: 5,
            num_drops: drops,
            last_frame_delay: delay,
            audio_delay: u32::MAX,
        }
    }

    #[test]
    fn quality_follows_what_the_link_takes_in_time() {
        let mut rate = Rate::default();
        let first = rate.quality();
        (0..24).for_each(|_| rate.frame(PERIOD / 4, PERIOD));
        assert_eq!(rate.quality(), first, "not yet");
        (0..200).for_each(|_| rate.frame(PERIOD / 4, PERIOD));
        assert_eq!(rate.quality(), 80);
        rate.frame(PERIOD, PERIOD);
        assert_eq!(rate.quality(), 70);
        rate.frame(PERIOD * 3, PERIOD);
        assert_eq!(rate.quality(), 50);
        (0..10).for_each(|_| rate.frame(Duration::from_secs(9), PERIOD));
        assert_eq!(rate.quality(), 30);
        (0..200).for_each(|_| rate.frame(PERIOD * 2 / 3, PERIOD));
        assert_eq!(rate.quality(), 30, "a link that is busy is not filled");
    }

    #[test]
    fn a_rate_of_bits_stays_within_the_room_there_is_and_does_not_go_back_and_forth() {
        let (mut rate, plenty) = (Rate::of_bits(), u64::MAX);
        let calm = |rate: &mut Rate| (0..30).for_each(|_| rate.frame(Duration::ZERO, PERIOD));
        assert_eq!(rate.bits_per_second(plenty), 10_000_000);
        calm(&mut rate);
        assert_eq!(rate.bits_per_second(plenty), 20_000_000);
        assert_eq!(rate.bits_per_second(5_500_000), 5_000_000);
        calm(&mut rate);
        assert_eq!(rate.bits_per_second(10_500_000), 5_000_000, "the room was not there");
        calm(&mut rate);
        assert_eq!(rate.bits_per_second(10_500_000), 5_000_000, "nor is it by far");
        assert_eq!(rate.bits_per_second(14_000_000), 5_000_000);
        calm(&mut rate);
        assert_eq!(rate.bits_per_second(10_500_000), 10_000_000);
        rate.frame(PERIOD, PERIOD);
        assert_eq!(rate.bits_per_second(plenty), 5_000_000);
        assert_eq!(rate.report(&report(3, 50), 500), Verdict::Fine);
        assert_eq!(rate.bits_per_second(plenty), 2_500_000);
        assert_eq!(rate.bits_per_second(0), 312_500);
    }

    #[test]
    fn reports_tell_what_comes_late_and_what_is_too_much() {
        let mut rate = Rate::default();
        assert_eq!(rate.report(&report(0, 20), 100), Verdict::Fine);
        assert_eq!(rate.report(&report(0, -10), 200), Verdict::Fine);
        let late = |delay, end_frame_mm_time| StreamReport {
            end_frame_mm_time,
            ..report(3, delay)
        };
        // The clock begins again on the way.
        let now = u32::MAX - 10;
        assert_eq!(
            rate.report(&late(-80, now - 300), now),
            Verdict::Late(Duration::from_millis(80))
        );
        assert_eq!(rate.report(&late(-80, now - 1), 50), Verdict::Fine, "stamped before");
        let most = Duration::from_millis(1 << 31);
        assert_eq!(rate.report(&late(i32::MIN, 20), 400), Verdict::Late(most));
        let before = rate.quality();
        assert_eq!(rate.report(&report(3, 50), 500), Verdict::Fine);
        assert!(rate.quality() < before);
        assert_eq!(
            rate.report(
                &StreamReport {
                    num_frames: 0,
                    ..report(u32::MAX, 0)
                },
                600
            ),
            Verdict::Useless
        );
    }
}
