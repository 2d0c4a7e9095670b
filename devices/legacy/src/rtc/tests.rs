use std::time::Duration;

use caraway_base::{migratable_suite, state::Records};
use proptest::prelude::*;

use super::*;
use crate::test_support::{Line, TestClock, TestTimer, accesses, line, perform, read, write};

const A: u8 = 0x0a;
const B: u8 = 0x0b;
const C: u8 = 0x0c;
const PERIODIC: u8 = 0x40;
const ALARM: u8 = 0x20;
const UPDATE: u8 = 0x10;
const SET: u8 = 0x80;
const HOURS_24: u8 = 0x02;
const BINARY: u8 = 0x04;

/// 2024-02-29 23:59:57, a Thursday.
const LEAP_DAY: i64 = 1_709_251_197;

struct Bench {
    rtc: Rtc,
    line: Arc<Line>,
    clock: Arc<TestClock>,
    timer: Arc<TestTimer>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|args| {
            Rtc::new(
                args,
                MemorySizes {
                    low: 0xb000_0000,
                    high: 5 << 30,
                },
            )
        })
    }

    fn with(rtc: impl FnOnce(RtcArgs) -> Rtc) -> Self {
        let (line, clock, timer) = (line(), Arc::new(TestClock::default()), Arc::new(TestTimer::default()));
        clock.set_unix(LEAP_DAY);
        let rtc = rtc(RtcArgs {
            line: line.clone(),
            wall: clock.clone(),
            clock: clock.clone(),
            timer: timer.clone(),
        });
        Self {
            rtc,
            line,
            clock,
            timer,
        }
    }

    fn get(&self, index: u8) -> u8 {
        write(&self.rtc, 0, 1, index.into());
        read(&self.rtc, 1, 1) as u8
    }

    fn put(&self, index: u8, value: u8) {
        write(&self.rtc, 0, 1, index.into());
        write(&self.rtc, 1, 1, value.into());
    }

    /// Century, year, month, day, weekday, hours, minutes, seconds.
    fn time(&self) -> [u8; 8] {
        [CENTURY, 9, 8, 7, 6, 4, 2, 0].map(|index| self.get(index))
    }

    fn set_time(&self, time: [u8; 7]) {
        for (index, value) in [CENTURY, 9, 8, 7, 4, 2, 0].into_iter().zip(time) {
            self.put(index, value);
        }
    }

    fn millis(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Goes to when the timer is due; how long that was.
    fn to_deadline(&self) -> Duration {
        let wait = self.timer.0.lock().unwrap().expect("the timer is set");
        self.clock.advance(wait);
        self.rtc.expired();
        wait
    }

    fn idle(&self) -> bool {
        self.timer.0.lock().unwrap().is_none()
    }
}

#[test]
fn it_shows_the_time_of_the_host_in_every_format() {
    let bench = Bench::new();
    assert_eq!([bench.get(A), bench.get(B), bench.get(0x0d)], [0x26, 0x02, 0x80]);
    assert_eq!(bench.time(), [0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x59, 0x57]);
    bench.put(B, HOURS_24 | BINARY);
    assert_eq!(bench.time(), [20, 24, 2, 29, 5, 23, 59, 57]);
    bench.put(B, BINARY);
    assert_eq!(bench.time(), [20, 24, 2, 29, 5, 0x80 | 11, 59, 57]);
    bench.put(B, 0);
    bench.millis(3000);
    assert_eq!(bench.time(), [0x20, 0x24, 0x03, 0x01, 6, 0x12, 0x00, 0x00]);
    for (hour, shown) in [(1, 0x01), (11, 0x11), (12, 0x92), (13, 0x81), (23, 0x91)] {
        bench.clock.set_unix(1_709_251_200 + hour * 3600);
        assert_eq!(bench.get(4), shown);
    }
}

#[test]
fn a_time_the_guest_sets_goes_on_from_there() {
    let bench = Bench::new();
    // As Linux does: SET, divider reset, the time, and back.
    bench.put(B, HOURS_24 | SET);
    bench.put(A, 0x76);
    bench.set_time([0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59]);
    bench.millis(5000);
    bench.put(B, HOURS_24);
    bench.millis(5000);
    assert_eq!(bench.time(), [0x19, 0x99, 0x12, 0x31, 5, 0x23, 0x59, 0x59]);
    bench.put(A, 0x26);
    // The first second is half a one.
    bench.millis(499);
    assert_eq!(bench.get(0), 0x59);
    bench.millis(1);
    assert_eq!(bench.time(), [0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00]);
    // Only SET: the second goes on underneath.
    bench.millis(300);
    bench.put(B, HOURS_24 | SET);
    assert_eq!(bench.get(A) & 0x80, 0);
    bench.put(2, 0x30);
    bench.millis(200);
    bench.put(B, HOURS_24);
    bench.millis(499);
    assert_eq!([bench.get(2), bench.get(0)], [0x30, 0x00]);
    bench.millis(1);
    assert_eq!([bench.get(2), bench.get(0)], [0x30, 0x01]);
    // A single byte of a clock that runs.
    bench.put(4, 0x07);
    assert_eq!(bench.time(), [0x20, 0x00, 0x01, 0x01, 7, 0x07, 0x30, 0x01]);
}

#[test]
fn update_in_progress_shows_before_the_second_changes() {
    let bench = Bench::new();
    bench.millis(997);
    assert_eq!(bench.get(A), 0x26);
    bench.millis(1);
    assert_eq!(bench.get(A), 0xa6);
    assert_eq!(bench.get(0), 0x57);
    bench.millis(2);
    assert_eq!(bench.get(A), 0x26);
    assert_eq!(bench.get(0), 0x58);
    bench.put(A, 0xff);
    assert_eq!(bench.get(A), 0x7f, "it cannot be written");
}

#[test]
fn flags_come_without_interrupts_and_a_read_clears_them() {
    let bench = Bench::new();
    bench.put(A, 0x20);
    bench.get(C);
    assert_eq!(bench.get(C), 0);
    bench.millis(1000);
    assert_eq!(bench.get(C), UPDATE);
    assert_eq!(bench.get(C), 0);
    // The alarm is at midnight until somebody sets it.
    bench.millis(2000);
    assert_eq!(bench.get(C), UPDATE | ALARM);
    bench.put(A, 0x26);
    bench.millis(1);
    assert_eq!(bench.get(C), PERIODIC);
    assert!(bench.idle() && !bench.line.level());
    bench.put(C, 0xff);
    bench.put(0x0d, 0x00);
    assert_eq!([bench.get(C) & UPDATE, bench.get(0x0d)], [0, 0x80]);
}

#[test]
fn update_interrupts_come_at_every_second_that_is_acknowledged() {
    let bench = Bench::new();
    bench.millis(250);
    bench.put(B, HOURS_24 | UPDATE);
    assert_eq!(bench.to_deadline(), Duration::from_millis(750));
    assert_eq!(bench.line.edges(), 1);
    assert!(
        bench.line.level() && bench.idle(),
        "until it is acknowledged nothing has to happen"
    );
    bench.millis(10_250);
    assert_eq!(bench.get(C) & (UPDATE | 0x80), UPDATE | 0x80);
    assert!(!bench.line.level());
    assert_eq!(bench.to_deadline(), Duration::from_millis(750));
    assert_eq!(bench.line.edges(), 1);
    // SET takes the enable with it.
    bench.put(B, HOURS_24 | UPDATE | SET);
    assert_eq!(bench.get(B), HOURS_24 | SET);
    assert!(!bench.line.level() && bench.idle());
}

#[test]
fn an_expiry_that_comes_too_early_is_no_interrupt() {
    let bench = Bench::new();
    bench.put(B, HOURS_24 | UPDATE);
    bench.millis(999);
    bench.rtc.expired();
    assert!(!bench.line.level());
    assert_eq!(bench.to_deadline(), Duration::from_millis(1));
    assert!(bench.line.level());
}

#[test]
fn alarms_go_off_at_their_time() {
    // Alarm bytes (hours, minutes, seconds), seconds from 23:59:57 on.
    for (alarm, wait) in [
        ([0x23, 0x59, 0x58], 1),
        ([0x00, 0x00, 0x00], 3),
        ([0x23, 0x59, 0x57], 86_400),
        ([0xff, 0xff, 0xff], 1),
        ([0xff, 0xff, 0x57], 60),
        ([0xc0, 0x01, 0x30], 93),
        ([0x02, 0xff, 0xff], 2 * 3600 + 3),
        ([0x01, 0xff, 0x05], 3600 + 8),
    ] {
        let bench = Bench::new();
        for (index, byte) in [5, 3, 1].into_iter().zip(alarm) {
            bench.put(index, byte);
        }
        bench.put(B, HOURS_24 | ALARM);
        let mut waited = Duration::ZERO;
        while !bench.line.level() {
            let wait = bench.to_deadline();
            // The host's clock may be set meanwhile.
            assert!(wait <= Duration::from_secs(60), "{alarm:x?}");
            waited += wait;
        }
        assert_eq!(waited, Duration::from_secs(wait), "{alarm:x?}");
        assert_eq!(bench.get(C) & (ALARM | 0x80), ALARM | 0x80);
    }
    let bench = Bench::new();
    bench.put(5, 0x24);
    bench.put(B, HOURS_24 | ALARM);
    assert!(bench.idle(), "there is no hour 24");
}

#[test]
fn an_alarm_in_the_afternoon_of_a_12_hour_clock() {
    let bench = Bench::new();
    bench.put(B, ALARM | BINARY);
    bench.put(5, 0x80 | 12);
    bench.put(3, 30);
    bench.clock.set_unix(LEAP_DAY + 3 + 12 * 3600 + 29 * 60 + 59);
    bench.rtc.expired();
    bench.get(C);
    assert_eq!(bench.to_deadline(), Duration::from_secs(1));
    assert!(bench.line.level());
}

#[test]
fn a_host_clock_that_is_set_brings_the_alarm_at_once() {
    let bench = Bench::new();
    bench.put(5, 0x12);
    bench.put(B, HOURS_24 | ALARM);
    bench.clock.set_unix(LEAP_DAY + 13 * 3600);
    bench.rtc.expired();
    assert!(bench.line.level());
    bench.get(C);
    // Back again: the alarm is in the future once more.
    bench.clock.set_unix(LEAP_DAY);
    bench.rtc.expired();
    assert!(!bench.line.level() && !bench.idle());
}

#[test]
fn periodic_interrupts_keep_their_rate_and_their_phase() {
    for (rate, hertz) in [(0x26, 1024), (0x2f, 2), (0x23, 8192), (0x21, 256), (0x22, 128)] {
        let bench = Bench::new();
        bench.put(A, rate);
        bench.put(B, HOURS_24 | PERIODIC);
        let start = MonotonicClock::now(&*bench.clock);
        for _ in 0..hertz {
            bench.to_deadline();
            assert_eq!(bench.line.edges(), 1);
            assert_eq!(bench.get(C) & (PERIODIC | 0x80), PERIODIC | 0x80);
        }
        let took = MonotonicClock::now(&*bench.clock) - start;
        assert_eq!(took.as_millis(), 1000, "{rate:#x}");
        // While nobody acknowledges, ticks are lost, not saved up.
        bench.to_deadline();
        bench.millis(3000);
        bench.get(C);
        assert_eq!(bench.get(C) & PERIODIC, 0);
        // Rate 0 and a held divider stop them.
        bench.put(A, rate & 0xf0);
        assert!(bench.idle());
        bench.put(A, 0x70 | rate);
        assert!(bench.idle());
        bench.millis(3000);
        assert_eq!(bench.get(C), 0);
    }
}

#[test]
fn memory_is_kept_and_tells_the_size_of_the_machine() {
    let bench = Bench::new();
    let number = |at: u8, count: u8| {
        (at..at + count)
            .rev()
            .fold(0u32, |value, index| value << 8 | u32::from(bench.get(index)))
    };
    assert_eq!(number(0x15, 2), 640);
    assert_eq!(number(0x17, 2), 0xffff);
    assert_eq!(number(0x30, 2), 0xffff);
    assert_eq!(number(0x34, 2) << 16, 0xb000_0000 - (16 << 20));
    assert_eq!(number(0x5b, 3), 5 << 14);
    assert_eq!(bench.get(0x0f), 0);
    for index in (0x0e..0x80).filter(|index| *index != CENTURY) {
        bench.put(index, !index);
    }
    bench.rtc.pause();
    bench.rtc.reset();
    bench.rtc.resume();
    for index in (0x0e..0x80).filter(|index| *index != CENTURY) {
        assert_eq!(bench.get(index | 0x80), !index, "bit 7 masks the NMI");
    }
    assert_eq!(read(&bench.rtc, 0, 1), 0xff, "the index is not there to be read");
}

#[test]
fn a_small_machine_has_less_of_everything() {
    let bench = Bench::with(|args| Rtc::new(args, MemorySizes { low: 16 << 20, high: 0 }));
    assert_eq!([bench.get(0x17), bench.get(0x18)], [0x00, 0x3c]);
    assert_eq!([bench.get(0x34), bench.get(0x35), bench.get(0x5b)], [0; 3]);
}

#[test]
fn a_word_is_index_and_data() {
    let bench = Bench::new();
    write(&bench.rtc, 0, 2, 0x5a40);
    assert_eq!(bench.get(0x40), 0x5a);
    assert_eq!(read(&bench.rtc, 0, 2), 0x5aff);
}

#[test]
fn reset_ends_interrupts_and_a_stopped_clock_but_keeps_the_time() {
    let bench = Bench::new();
    bench.set_time([0x20, 0x30, 0x05, 0x06, 0x07, 0x08, 0x09]);
    bench.put(B, BINARY | UPDATE | PERIODIC | ALARM);
    bench.to_deadline();
    assert!(bench.line.level());
    bench.rtc.pause();
    bench.rtc.reset();
    assert!(!bench.line.level() && bench.idle());
    bench.rtc.resume();
    assert!(!bench.line.level() && bench.idle());
    assert_eq!([bench.get(A), bench.get(B)], [0x26, 0x02]);
    assert_eq!(bench.time(), [0x20, 0x30, 0x05, 0x06, 2, 0x07, 0x08, 0x09]);
    bench.put(B, HOURS_24 | SET);
    bench.rtc.reset();
    bench.millis(1000);
    assert_eq!(bench.get(0), 0x10);
}

#[test]
fn while_paused_nothing_interrupts_and_the_time_goes_on() {
    let bench = Bench::new();
    bench.put(B, HOURS_24 | UPDATE);
    bench.rtc.pause();
    assert!(bench.idle());
    let state = bench.rtc.save();
    bench.millis(10_000);
    bench.rtc.expired();
    assert!(!bench.line.level());
    assert_eq!(bench.rtc.save(), state);
    bench.rtc.resume();
    assert!(bench.line.level());
    assert_eq!(bench.get(0), 0x07);
    // Another host goes on the same way.
    let other = Bench::with(|args| Rtc::restore(args, state).unwrap());
    other.millis(2000);
    assert!(!other.line.level());
    other.rtc.resume();
    assert!(other.line.level());
    assert_eq!(other.get(0), 0x59);
}

migratable_suite!(
    migration,
    Rtc,
    fresh: Bench::new().rtc,
    args: Bench::new().rtc.args,
    change: |rtc: &Rtc| {
        write(rtc, 0, 2, 0x1234);
        write(rtc, 0, 2, 0x120b);
        write(rtc, 0, 2, 0x0509);
    }
);

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_access_at_any_time_is_survived(
        accesses in accesses(RTC_LENGTH.into(), 2000),
        times in prop::collection::vec(prop_oneof![any::<i64>(), -100_000_000_000i64..100_000_000_000], 1..20),
    ) {
        let bench = Bench::new();
        for (chunk, time) in accesses.chunks(50).zip(times.into_iter().cycle()) {
            bench.clock.set_unix(time.clamp(i64::MIN / 1000, i64::MAX / 1000));
            perform(&bench.rtc, chunk);
            let timer = *bench.timer.0.lock().unwrap();
            if let Some(wait) = timer {
                prop_assert!((Duration::from_nanos(1)..=Duration::from_secs(60)).contains(&wait));
            }
            bench.rtc.expired();
        }
        bench.rtc.pause();
        let state = bench.rtc.save();
        let restored = Rtc::restore(Bench::new().rtc.args, state.clone());
        prop_assert!(restored.is_ok_and(|restored| restored.save() == state));
        bench.rtc.reset();
        bench.rtc.resume();
        prop_assert!(!bench.line.level());
    }

    #[test]
    fn hostile_states_are_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        accesses in accesses(RTC_LENGTH.into(), 100),
    ) {
        let mut records = Records::default();
        records.put("0", &Bench::new().rtc).unwrap();
        let mut list = records.into_inner();
        for (index, byte) in changes {
            let payload = &mut list[0].payload;
            let at = index.index(payload.len());
            payload[at] = byte;
        }
        if let Ok(rtc) = Records::new(list).take::<Rtc>("0", Bench::new().rtc.args) {
            rtc.resume();
            perform(&rtc, &accesses);
            rtc.expired();
        }
    }
}
