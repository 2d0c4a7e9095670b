//! Images cut into bands of rows that several threads encode at the same time.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    thread,
};

/// Bytes of rows of the smallest band: a codec takes a few times as long for it as a thread takes to begin.
const MIN_BYTES: usize = 256 << 10;
/// Most bands for each thread: the rows of a screen are not alike, and the threads should end together.
const PER_THREAD: usize = 4;

/// Rows of a band of an image of `height` rows in `bytes` bytes; all of them for a single thread.
pub(crate) fn rows_in_band(bytes: usize, height: usize, threads: NonZeroUsize) -> usize {
    if threads == NonZeroUsize::MIN {
        return height;
    }
    let bands = (bytes / MIN_BYTES).min(threads.get().saturating_mul(PER_THREAD)).max(1);
    height.div_ceil(bands)
}

/// Does each job once, in order of their begin. There is a thread for each worker, the calling one among them; where the
/// host has no more threads, those there are do all.
pub(crate) fn share<W, J>(workers: &mut [W], jobs: impl Iterator<Item = J> + Send, each: impl Fn(&mut W, J) + Sync)
where
    W: Send,
    J: Send,
{
    let jobs = Mutex::new(jobs);
    let run = |worker: &mut W| {
        // No lock while a job is done.
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(job) = next() {
            each(worker, job);
        }
    };
    let Some((first, others)) = workers.split_first_mut() else {
        return;
    };
    thread::scope(|scope| {
        for worker in others {
            if thread::Builder::new().spawn_scoped(scope, || run(worker)).is_err() {
                break;
            }
        }
        run(first);
    });
}

/// Bytes of a stream from which on a second thread copies sooner than it begins.
const MIN_COPIED: usize = 1 << 20;

/// Makes `stream` the `header` with the `pieces` behind it.
pub(crate) fn join<'a, W: Send>(
    workers: &mut [W],
    header: &'a [u8],
    pieces: impl Iterator<Item = &'a [u8]> + Clone + Send,
    stream: &mut Vec<u8>,
) {
    let bytes = header.len() + pieces.clone().map(<[u8]>::len).sum::<usize>();
    if bytes < MIN_COPIED {
        stream.clear();
        stream.extend_from_slice(header);
        pieces.for_each(|piece| stream.extend_from_slice(piece));
        return;
    }
    // What it holds is overwritten: memory is not cleared first for every stream.
    stream.resize(bytes, 0);
    let mut rest = stream.as_mut_slice();
    let places = std::iter::once(header).chain(pieces).map(|piece| {
        // Both are as long as all pieces are.
        let (place, after) = std::mem::take(&mut rest).split_at_mut(piece.len());
        rest = after;
        (place, piece)
    });
    share(workers, places, |_, (place, piece)| place.copy_from_slice(piece));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_large_and_not_many() {
        let rows = |bytes, height, threads| rows_in_band(bytes, height, NonZeroUsize::new(threads).unwrap());
        assert_eq!(rows(100 << 20, 1000, 1), 1000, "one thread");
        assert_eq!(rows(2 * MIN_BYTES - 1, 1000, 2), 1000, "not enough for two");
        assert_eq!(rows(2 * MIN_BYTES, 1000, 2), 500);
        assert_eq!(rows(100 << 20, 1001, 2), 126, "eight");
        assert_eq!(rows(100 << 20, 3, 2), 1);
        assert_eq!(rows(100 << 20, 1, usize::MAX), 1);
    }

    #[test]
    fn pieces_take_the_place_of_what_was_there() {
        for length in [100, MIN_COPIED] {
            let pieces = [vec![1; length], vec![], vec![2; length / 2]];
            let mut stream = vec![9; length];
            for _ in 0..2 {
                join(&mut [(); 2], &[7, 8], pieces.iter().map(Vec::as_slice), &mut stream);
                assert!(stream == [&[7, 8][..], &pieces.concat()].concat());
            }
        }
    }

    #[test]
    fn every_job_is_done_once() {
        for workers in 1..5 {
            let mut done = vec![Vec::new(); workers];
            share(&mut done, 0..100, |done, job| done.push(job));
            let mut all: Vec<i32> = done.concat();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
        }
        share(&mut [0; 0], 0..3, |_, _| unreachable!("without a worker"));
    }
}
