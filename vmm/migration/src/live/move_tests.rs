//! Machines that move.

use std::{
    os::unix::net::UnixStream,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{test_support::*, *};

fn all(memories: &[caraway_base::memory::SharedMemory]) -> Vec<Vec<u8>> {
    let contents = memories.iter().map(|memory| memory.read_vec(0, memory.size()).unwrap());
    contents.collect()
}

#[test]
fn a_machine_moves_with_all_it_has() {
    let machine = Fake::idle();
    let moved = move_through(&machine, untouched(), untouched());
    assert!(moved.exactly_one());
    let (records_there, extras) = moved.arrived.unwrap();
    assert_eq!((records_there, extras), (records(), vec![(1, -2, 3)]));
    assert_eq!(all(&moved.memories), all(&machine.memories));
}

#[test]
fn what_is_written_on_the_way_is_sent_again_and_what_became_zero_is_zero() {
    // More than fits into the downtime at first, less each time.
    let machine = Fake::new(|round, memories| {
        for page in 0..PAGES / (round * round) {
            memories[0].write(page * PAGE + 17, &[round as u8; 3]).unwrap();
        }
        memories[0].zero(70 * PAGE, PAGE).unwrap();
        memories[1].zero(3 * PAGE, PAGE).unwrap();
        memories[1].write((10 + round) * PAGE, &[9]).unwrap();
    });
    let moved = move_through(&machine, untouched(), untouched());
    assert!(moved.exactly_one());
    assert_eq!(all(&moved.memories), all(&machine.memories));
    assert!(
        all(&moved.memories)[1][3 * 4096..4 * 4096]
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn pages_of_zeros_do_not_go_over_the_connection() {
    let (forth, back) = recorded();
    // Eight pages of 600 have something in them.
    assert!(forth.len() < 12 * 4096, "{}", forth.len());
    assert!(back.len() < 400, "{}", back.len());
}

#[test]
fn a_limit_of_bandwidth_holds() {
    let machine = Fake::idle();
    for page in 0..PAGES {
        machine.memories[0].write(page * PAGE, &[1]).unwrap();
    }
    let (source, target) = UnixStream::pair().unwrap();
    let control = Control::default();
    control.set_parameters(Parameters {
        max_bandwidth: 2 << 20,
        downtime_limit: Duration::from_secs(100),
    });
    assert!(control.begin());
    let there = memories();
    let began = Instant::now();
    let other = thread::spawn(move || destination(link(target), &facts(), &there));
    let outcome = send(link(source), &machine, &hello(), &files(&machine.memories), &control);
    assert!(matches!(outcome, Outcome::Moved), "{outcome:?}");
    other.join().unwrap().unwrap();
    // 1.2 MB at 2 MiB a second.
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    let figures = control.report().figures;
    assert_eq!(figures.total, 2 * PAGES * PAGE);
    assert_eq!(figures.remaining, 0);
    assert_eq!((figures.normal, figures.rounds), (PAGES + 1, 2));
}

#[test]
fn a_machine_that_is_cancelled_stays() {
    for wait in [0, 1, 5, 20, 60] {
        let machine = Fake::new(|round, memories| {
            // Never little.
            for page in 0..PAGES {
                memories[0].write(page * PAGE, &[round as u8]).unwrap();
            }
        });
        let (source, target) = UnixStream::pair().unwrap();
        let control = Arc::new(Control::default());
        control.set_parameters(Parameters {
            max_bandwidth: 4 << 20,
            downtime_limit: Duration::ZERO,
        });
        assert!(control.begin());
        let there = memories();
        let other = thread::spawn(move || destination(link(target), &facts(), &there));
        let canceller = Arc::clone(&control);
        let cancel = thread::spawn(move || {
            thread::sleep(Duration::from_millis(wait));
            assert!(canceller.cancel());
        });
        let stop = Arc::clone(&control);
        let link = Link::new(Stream::Unix(source), move || stop.is_cancelled()).unwrap();
        let outcome = send(link, &machine, &hello(), &files(&machine.memories), &control);
        assert!(matches!(outcome, Outcome::Kept(LiveError::Cancelled)), "{outcome:?}");
        assert_eq!(machine.fate(), Fate::Runs);
        assert!(!machine.logging.load(Ordering::SeqCst));
        cancel.join().unwrap();
        let error = other.join().unwrap().unwrap_err();
        // Cancelled before it was greeted, it finds nobody to greet.
        let hears = matches!(error, LiveError::Cancelled | LiveError::Ended | LiveError::Io { .. });
        assert!(hears, "{error}");
    }
}

#[test]
fn a_machine_that_cannot_be_held_stays() {
    struct Ended(Fake);
    impl LiveMachine for Ended {
        type Held = FakeHeld;

        fn start_log(&self) -> Result<(), LiveError> {
            self.0.start_log()
        }

        fn take_log(&self) -> Result<Vec<Vec<u64>>, LiveError> {
            self.0.take_log()
        }

        fn stop_log(&self) {
            self.0.stop_log();
        }

        fn hold(&self) -> Result<FakeHeld, LiveError> {
            Err(LiveError::Machine("the machine has ended".to_owned()))
        }
    }
    let machine = Ended(Fake::idle());
    let (source, target) = UnixStream::pair().unwrap();
    let control = Control::default();
    assert!(control.begin());
    let there = memories();
    let other = thread::spawn(move || destination(link(target), &facts(), &there));
    let outcome = send(link(source), &machine, &hello(), &files(&machine.0.memories), &control);
    assert!(matches!(&outcome, Outcome::Kept(error) if error.to_string() == "the machine has ended"));
    assert!(matches!(other.join().unwrap(), Err(LiveError::Ended)));
}

#[test]
fn a_destination_that_cannot_build_the_machine_says_why() {
    let machine = Fake::idle();
    let (source, target) = UnixStream::pair().unwrap();
    let control = Control::default();
    assert!(control.begin());
    let other = thread::spawn(move || {
        let there = memories();
        let files = files(&there);
        let expected = Expected {
            machine: &facts(),
            memories: &files,
            check_cpu: &|_| Ok(()),
        };
        let arrived = receive(link(target), &expected).unwrap();
        arrived.refuse("record \"uart\" of \"0\" has version 3, this program reads 1 to 2");
    });
    let outcome = send(link(source), &machine, &hello(), &files(&machine.memories), &control);
    other.join().unwrap();
    let Outcome::Kept(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        error.to_string(),
        "the destination says: record \"uart\" of \"0\" has version 3, this program reads 1 to 2"
    );
    assert_eq!(machine.fate(), Fate::Runs);
}
