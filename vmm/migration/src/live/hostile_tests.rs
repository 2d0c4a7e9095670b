//! Connections that end, bits that flip, and other sides that speak nonsense: the machine stays, or moves, and is never in
//! two places.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use caraway_base::memory::{MemoryFile, SharedMemory};
use proptest::prelude::*;

use super::{
    message::PageList,
    record::{Header, Kind, preamble},
    test_support::*,
    *,
};
use crate::Fact;

/// A move whose way forth is cut at these places ends with the machine in one place: the destination only with all of it.
fn cut_forth(places: &[u64], whole: u64) {
    for &place in places {
        let moved = move_through(&Fake::idle(), cut_at(place), untouched());
        assert_eq!(moved.exactly_one(), place == whole, "cut at {place} of {whole}");
    }
}

#[test]
fn a_stream_that_is_cut_at_a_record_leaves_one_machine() {
    let (forth, _) = recorded();
    let ends = boundaries(&forth);
    cut_forth(&ends, forth.len() as u64);
    // And within the header and the payload of each.
    let inside: Vec<_> = ends.iter().flat_map(|end| [end + 1, end + 20, end + 60]).collect();
    let inside: Vec<_> = inside.into_iter().filter(|at| *at < forth.len() as u64).collect();
    cut_forth(&inside, forth.len() as u64);
}

#[test]
fn answers_that_are_cut_leave_one_machine() {
    let (_, back) = recorded();
    let ends = boundaries(&back);
    let (running, ready) = (ends[ends.len() - 2], ends[ends.len() - 3]);
    for place in ends.iter().flat_map(|end| [*end, end + 1, end + 20]) {
        let moved = move_through(&Fake::idle(), untouched(), cut_at(place));
        let there = moved.exactly_one();
        // Before it has said that it is ready, nothing is handed over.
        assert!(
            !there || place >= running,
            "cut at {place}, ready is from {ready} to {running}"
        );
        if place >= back.len() as u64 {
            assert!(matches!(moved.outcome, Outcome::Moved), "{:?}", moved.outcome);
        }
    }
}

#[test]
fn flipped_bits_leave_one_machine_and_are_named() {
    let (forth, back) = recorded();
    let flip = |place: u64, bit: u8| -> Spoil {
        Box::new(move |at, bytes| {
            if let Some(index) = place.checked_sub(at)
                && let Some(byte) = bytes.get_mut(usize::try_from(index).unwrap())
            {
                *byte ^= 1 << bit;
            }
            true
        })
    };
    let places = |stream: &[u8]| -> Vec<u64> {
        let ends = boundaries(stream);
        let headers = ends
            .iter()
            .flat_map(|end| [0, 3, 4, 6, 8, 15, 16, 47, 48, 50].map(|more| end + more));
        headers.filter(|at| *at < stream.len() as u64).collect()
    };
    for place in places(&forth) {
        let moved = move_through(&Fake::idle(), flip(place, (place % 8) as u8), untouched());
        assert!(!moved.exactly_one(), "{place}");
        let text = moved.arrived.unwrap_err().to_string();
        // With a length that is wrong, and still allowed, it waits for what does not come.
        let waits = ["nothing within", "closed the connection"];
        let said = text.contains(" = ") || waits.iter().any(|words| text.contains(words));
        assert!(said, "{place}: {text}");
    }
    for place in places(&back) {
        let moved = move_through(&Fake::idle(), untouched(), flip(place, (place % 8) as u8));
        moved.exactly_one();
    }
}

/// What the destination says to these bytes.
fn told(bytes: &[u8]) -> (LiveError, Vec<u8>) {
    let (mut source, target) = UnixStream::pair().unwrap();
    let there = memories();
    let other = thread::spawn(move || destination(link(target), &facts(), &there).unwrap_err());
    source.write_all(bytes).ok();
    source.shutdown(std::net::Shutdown::Write).ok();
    let mut answer = Vec::new();
    source.read_to_end(&mut answer).ok();
    (other.join().unwrap(), answer)
}

fn record(number: u64, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let header = Header::of(kind, number, &[payload]).unwrap();
    [&header.to_bytes()[..], payload].concat()
}

fn hello_bytes(hello: &Hello) -> Vec<u8> {
    let payload = message::encode("hello", hello).unwrap();
    [preamble().to_vec(), record(0, Kind::Hello, &payload)].concat()
}

#[test]
fn nonsense_and_other_versions_are_refused_by_field_and_value() {
    let mut newer = preamble();
    newer[8] = 2;
    let pages = |memory: u32, count: u32, numbers: &[u64], contents: usize| {
        let mut payload = [memory.to_le_bytes(), count.to_le_bytes()].concat();
        payload.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        payload.extend(vec![7; contents]);
        [hello_bytes(&hello()), record(1, Kind::Pages, &payload)].concat()
    };
    for (bytes, words) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "magic = GET / HT"),
        (newer.to_vec(), "version = 2: this program speaks version 1"),
        (
            [preamble().to_vec(), record(0, Kind::Go, &[])].concat(),
            "kind = Go: Hello was to come",
        ),
        (
            [preamble().to_vec(), record(0, Kind::Hello, &[0xff; 9])].concat(),
            "hello = 9 bytes",
        ),
        (
            [preamble().to_vec(), record(3, Kind::Hello, &[])].concat(),
            "number = 3: record 0 was to come",
        ),
        (pages(7, 1, &[0], 4096), "memory = 7: there are 2 memories"),
        (pages(0, 1, &[PAGES], 4096), "page = 300: memory ram-0 has 300 pages"),
        (pages(0, 1, &[u64::MAX], 4096), "page = 18446744073709551615"),
        (pages(0, 0, &[], 0), "count = 0: a record has 1 to 64 pages"),
        (pages(0, 65, &[], 0), "count = 65"),
        (pages(0, 2, &[1, 2], 4096), "length ="),
        (pages(0, 3, &[1], 0), "length ="),
        (
            [hello_bytes(&hello()), record(1, Kind::Hello, &[])].concat(),
            "kind = Hello",
        ),
        ([hello_bytes(&hello()), record(1, Kind::Go, &[])].concat(), "kind = Go"),
        (
            [hello_bytes(&hello()), record(1, Kind::Complete, &[1, 0xff])].concat(),
            "state = 2 bytes",
        ),
    ] {
        let (error, answer) = told(&bytes);
        assert!(error.to_string().contains(words), "{words}: {error}");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(words), "{words}: the source is told {answer:?}");
    }
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_anything_is_read() {
    for (kind, most) in [(Kind::Hello, 1 << 20), (Kind::Complete, 64 << 20), (Kind::Go, 64 << 10)] {
        let mut header = Header::of(kind, 0, &[]).unwrap().to_bytes();
        header[4..8].copy_from_slice(&(most + 1_u32).to_le_bytes());
        let (error, _) = told(&[&preamble()[..], &header[..]].concat());
        assert!(
            error.to_string().starts_with(&format!("length = {}", most + 1)),
            "{error}"
        );
    }
}

#[test]
fn another_machine_is_refused_before_a_byte_of_memory_moves() {
    let mut other = hello();
    other.machine[0] = Fact::new("cpus", "4");
    let mut less = hello();
    less.memories[0].1 -= 4096;
    let mut more = hello();
    more.memories.push(("vram".to_owned(), 4096));
    let mut twice = hello();
    twice.memories.push(twice.memories[0].clone());
    let mut odd = hello();
    odd.memories[0].0 = "../x".to_owned();
    for (hello, words) in [
        (other, "cpus: the machine that comes has 4, this one 2"),
        (
            less,
            "memory ram-0: the machine that comes has 1224704 bytes, this one 1228800 bytes",
        ),
        (
            more,
            "memory vram: the machine that comes has 4096 bytes, this one none",
        ),
        (twice, "memory.name = ram-0: odd, or there twice"),
        (odd, "memory.name = ../x: odd, or there twice"),
    ] {
        let (source, target) = UnixStream::pair().unwrap();
        let machine = Fake::idle();
        let there = memories();
        let receiver = thread::spawn(move || destination(link(target), &facts(), &there).unwrap_err());
        let control = Control::default();
        assert!(control.begin());
        let outcome = send(link(source), &machine, &hello, &files(&machine.memories), &control);
        let Outcome::Kept(error) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(error.to_string(), format!("the destination says: {words}"));
        assert_eq!(receiver.join().unwrap().to_string(), words);
        assert_eq!(control.report().figures.normal, 0);
        assert_eq!(machine.fate(), Fate::Runs);
    }
}

/// A source that does not wait for long.
fn hasty(source: UnixStream) -> (Outcome, Fake) {
    let machine = Fake::idle();
    let control = Control::default();
    assert!(control.begin());
    let link = link(source).with_patience(Duration::from_millis(300));
    let outcome = send(link, &machine, &hello(), &files(&machine.memories), &control);
    (outcome, machine)
}

/// A source against a destination that answers these bytes, whatever it is told.
fn answered(bytes: &[u8]) -> (Outcome, Fate) {
    let (source, mut target) = UnixStream::pair().unwrap();
    let bytes = bytes.to_vec();
    let other = thread::spawn(move || {
        target.write_all(&bytes).ok();
        std::io::copy(&mut target, &mut std::io::sink()).ok();
    });
    let (outcome, machine) = hasty(source);
    other.join().unwrap();
    (outcome, machine.fate())
}

#[test]
fn a_destination_that_speaks_nonsense_gets_no_machine() {
    let accept = [preamble().to_vec(), record(0, Kind::Accept, &[])].concat();
    let then = |kind, payload: &[u8]| [accept.clone(), record(1, kind, payload)].concat();
    for (bytes, words) in [
        (Vec::new(), "nothing within 0.3 s"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "magic = SSH-2.0-"),
        (
            [preamble().to_vec(), record(0, Kind::Ready, &[0; 8])].concat(),
            "kind = Ready: Accept was to come",
        ),
        (accept.clone(), "nothing within 0.3 s"),
        // Too early: it cannot have everything yet.
        (then(Kind::Running, &[]), "kind = Running"),
        (then(Kind::Ready, &[9, 0, 0, 0, 0, 0, 0, 0]), "= "),
        (
            then(Kind::Refused, b"no\n\x1b[31mroom"),
            "the destination says: no\\n\\u{1b}[31mroom",
        ),
    ] {
        let (outcome, fate) = answered(&bytes);
        let Outcome::Kept(error) = outcome else {
            panic!("{words}: {outcome:?}")
        };
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(fate, Fate::Runs, "{words}");
    }
}

#[test]
fn a_destination_that_goes_silent_after_the_hand_over_leaves_the_machine_held() {
    let (forth, _) = recorded();
    let count = boundaries(&forth).len() as u64 - 3;
    let accept = [preamble().to_vec(), record(0, Kind::Accept, &[])].concat();
    let (source, mut target) = UnixStream::pair().unwrap();
    let other = thread::spawn(move || {
        target.write_all(&accept).unwrap();
        // Everything up to the state; not the word that hands it over.
        let ends = boundaries(&forth);
        let mut seen = vec![0; usize::try_from(ends[ends.len() - 2]).unwrap()];
        target.read_exact(&mut seen).unwrap();
        target.write_all(&record(1, Kind::Ready, &count.to_le_bytes())).unwrap();
        std::io::copy(&mut target, &mut std::io::sink()).ok();
    });
    let (outcome, machine) = hasty(source);
    assert!(
        matches!(outcome, Outcome::Unknown(LiveError::Stalled(_))),
        "{outcome:?}"
    );
    assert_eq!(machine.fate(), Fate::Stays);
    other.join().unwrap();
}

#[test]
fn pages_behind_the_end_of_a_memory_are_refused() {
    let memory = SharedMemory::allocate("small", PAGE).unwrap();
    let file = MemoryFile::of("small", memory.region()).unwrap();
    let list = message::page_list(0, &[1]);
    let error = copy::take_pages(&[file], Kind::Zeros, &list).unwrap_err();
    assert_eq!(error.to_string(), "page = 1: memory small has 1 pages");
    assert_eq!(memory.read_vec(0, PAGE).unwrap(), vec![0; 4096]);
}

proptest! {
    #[test]
    fn any_list_of_pages_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), contents: bool) {
        if let Ok(list) = PageList::parse(&bytes, contents) {
            prop_assert!(list.numbers.len() <= record::MOST_PAGES);
        }
    }

    #[test]
    fn any_bytes_behind_a_right_header_leave_the_machine_where_it_is(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 1_u32..7,
    ) {
        let kind = [Kind::Hello, Kind::Pages, Kind::Zeros, Kind::Complete, Kind::Go, Kind::Cancel][kind as usize - 1];
        if let Ok(header) = Header::of(kind, 1, &[&bytes]) {
            told(&[&hello_bytes(&hello())[..], &header.to_bytes(), &bytes].concat());
        }
    }
}
