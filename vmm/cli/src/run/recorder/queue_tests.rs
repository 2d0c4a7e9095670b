use std::{io, sync::mpsc, thread};

use super::*;

/// A file that writes one piece for each permission it is given.
struct Slow {
    permitted: mpsc::Receiver<()>,
    written: Vec<u8>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.permitted.recv().map_err(io::Error::other)?;
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn everything_taken_is_written_in_order() {
    let queue = Queue::default();
    queue.begin(b"one ".to_vec(), 1);
    assert!(queue.push(b"two ".to_vec()));
    assert!(queue.push(b"three".to_vec()));
    queue.close();
    assert!(!queue.push(b"late".to_vec()));
    let mut file = Vec::new();
    queue.write_to(&mut file);
    assert_eq!(file, b"one two three");
    assert_eq!(queue.figures(), (13, 3, None));
}

#[test]
fn a_file_that_does_not_keep_up_ends_the_recording_at_a_record() {
    let queue = Queue::default();
    // What it begins with is not counted against the limit.
    queue.begin(vec![1; LIMIT], 1);
    assert!(queue.push(vec![2; LIMIT]));
    assert!(!queue.push(vec![3]));
    assert_eq!(queue.error().unwrap(), "the file cannot keep up: 64 MiB wait for it");
    assert!(!queue.push(vec![4]), "it stays ended");
    let mut file = Vec::new();
    queue.write_to(&mut file);
    assert_eq!(file.len(), 2 * LIMIT);
    assert_eq!((file.first(), file.last()), (Some(&1), Some(&2)));
}

#[test]
fn nobody_waits_for_a_file_that_is_stuck() {
    let queue = Queue::default();
    let (permit, permitted) = mpsc::channel();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = Slow {
                permitted,
                written: Vec::new(),
            };
            queue.write_to(&mut file);
            file.written
        });
        queue.begin(b"head".to_vec(), 1);
        // One record may have any size when nothing else waits, and here something does.
        assert!(queue.push(vec![0; LIMIT / 2]));
        assert!(!queue.push(vec![0; LIMIT]));
        permit.send(()).unwrap();
        permit.send(()).unwrap();
        assert_eq!(writer.join().unwrap().len(), 4 + LIMIT / 2);
    });
    assert!(queue.error().is_some());
}

#[test]
fn a_file_that_fails_ends_the_recording() {
    let queue = Queue::default();
    queue.begin(b"head".to_vec(), 1);
    queue.push(b"more".to_vec());
    let (_, permitted) = mpsc::channel();
    queue.write_to(Slow {
        permitted,
        written: Vec::new(),
    });
    let (bytes, events, error) = queue.figures();
    assert_eq!((bytes, events), (0, 2));
    assert!(error.is_some());
    assert!(!queue.push(b"late".to_vec()));
}
