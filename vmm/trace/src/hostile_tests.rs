//! Files from anybody: no panic, no memory beyond the limits, no end of the world.

use caraway_ports::display::DisplayCommand;
use proptest::{prelude::*, sample::Index};

use crate::{Limits, Player, TraceReader, TraceWriter, strategies};

/// Small enough that what is read beyond them would be seen.
const LIMITS: Limits = Limits {
    block: 1 << 20,
    record: 2 << 20,
    file: 8 << 20,
};

/// Reads and plays; how many records, and how it ended.
fn play(file: &[u8]) -> (u64, Result<bool, String>) {
    let mut player = Player::new();
    let mut reader = match TraceReader::new(file, LIMITS) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error.to_string())),
    };
    let mut events = 0;
    for event in &mut reader {
        match event {
            Ok(event) => {
                player.translate(event.what);
            }
            Err(error) => return (events, Err(error.to_string())),
        }
        events += 1;
    }
    (events, Ok(reader.is_cut()))
}

fn recording(commands: &[DisplayCommand]) -> Vec<u8> {
    let mut writer = TraceWriter::new(Vec::new()).unwrap();
    for command in strategies::surfaces().iter().chain(commands) {
        writer.write(1, command).unwrap();
    }
    writer.into_inner()
}

/// Numbers that overflow something somewhere.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
    "1e9",
];

/// Places of the words of lines that begin as text.
fn numbers(file: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in file.split(|byte| *byte == b'\n') {
        let mut start = at;
        for word in line.split(|byte| matches!(byte, b' ' | b':')) {
            if !word.is_empty() && word.len() < 25 && word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
                found.push((start, start + word.len()));
            }
            start += word.len() + 1;
        }
        at += line.len() + 1;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_cut_file_gives_the_records_before_the_cut(
        commands in proptest::collection::vec(strategies::command(), 1..4),
        at in any::<Index>(),
    ) {
        let file = recording(&commands);
        let (all, end) = play(&file);
        prop_assert_eq!(end, Ok(false));
        let (some, end) = play(&file[..at.index(file.len())]);
        match end {
            Ok(_) => prop_assert!(some <= all),
            Err(error) => prop_assert!(error.contains("not a QXL recording"), "{}", error),
        }
    }

    #[test]
    fn changed_bytes_never_panic(
        commands in proptest::collection::vec(strategies::command(), 1..4),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = recording(&commands);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = play(&file);
    }

    #[test]
    fn other_numbers_never_panic(
        commands in proptest::collection::vec(strategies::command(), 1..4),
        changes in proptest::collection::vec((any::<Index>(), proptest::sample::select(&NUMBERS[..])), 1..4),
    ) {
        let mut file = recording(&commands);
        for (at, number) in changes {
            let places = numbers(&file);
            let (start, end) = places[at.index(places.len())];
            file.splice(start..end, number.bytes());
        }
        let _ = play(&file);
    }

    #[test]
    fn missing_and_repeated_lines_never_panic(
        commands in proptest::collection::vec(strategies::command(), 1..4),
        at in any::<Index>(),
        times in 0..3_usize,
    ) {
        let file = recording(&commands);
        let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
        let changed = at.index(lines.len());
        let parts = lines.iter().enumerate().flat_map(|(number, line)| {
            std::iter::repeat_n(*line, if number == changed { times } else { 1 })
        });
        let _ = play(&parts.collect::<Vec<_>>().concat());
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let _ = play(&[b"SPICE_REPLAY 1\n", bytes.as_slice()].concat());
        let _ = play(&bytes);
    }
}

/// Every number of one recording that has everything, replaced by every one of the list.
#[test]
fn every_number_may_be_any_number() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let commands: Vec<DisplayCommand> = (0..12)
        .map(|_| strategies::command().new_tree(&mut runner).unwrap().current())
        .collect();
    let file = recording(&commands);
    let (all, _) = play(&file);
    for (start, end) in numbers(&file) {
        for number in NUMBERS {
            let mut changed = file.clone();
            changed.splice(start..end, number.bytes());
            assert!(play(&changed).0 <= all + 1);
        }
    }
    for cut in 0..file.len() {
        let (events, end) = play(&file[..cut]);
        assert!(events <= all && (end.is_ok() || events == 0), "{cut}: {end:?}");
    }
}
