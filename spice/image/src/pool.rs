//! The threads that encode: one for each processor this process may use, shared by all that encode.

use std::{num::NonZeroUsize, sync::OnceLock};

use rayon::{
    ThreadPool, ThreadPoolBuilder,
    iter::{IntoParallelIterator as _, ParallelIterator as _},
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Most threads: a picture has not many more parts than this.
const MOST: usize = 16;

static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// Does all jobs at the same time, and gives their results in the order of the jobs; a single one on the calling thread.
///
/// No job may wait for a lock that somebody holds who waits for jobs: the threads do each other's.
pub fn each<J: Send, R: Send>(jobs: Vec<J>, run: impl Fn(J) -> R + Sync + Send) -> Vec<R> {
    match pool().filter(|_| jobs.len() > 1) {
        Some(pool) => pool.install(|| jobs.into_par_iter().map(run).collect()),
        None => jobs.into_iter().map(run).collect(),
    }
}

fn pool() -> Option<&'static ThreadPool> {
    POOL.get_or_init(|| build(&processors())).as_ref()
}

/// How many jobs are done at the same time.
#[must_use]
pub fn threads() -> NonZeroUsize {
    let threads = pool().map_or(1, ThreadPool::current_num_threads);
    NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN)
}

/// Has the threads begin, if they have not, before there is something to do for them: that may take longer than a picture.
/// Does not wait for them.
pub fn start() {
    pool();
}

/// The processors that this process may use, as far as there is a thread for each.
fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU)
        .filter(|processor| allowed.is_set(*processor))
        .take(MOST)
        .collect()
}

/// None where two threads would be no quicker than one, or are not to be had.
///
/// Each thread stays on one processor. A kernel may let a thread that was just woken wait for that of its waker until the
/// next tick, milliseconds later: longer than a picture takes. What a thread has not begun when its processor is busy with
/// something else, others do.
fn build(processors: &[usize]) -> Option<ThreadPool> {
    let stay = processors.to_vec();
    let on_start = move |thread: usize| {
        let mut own = CpuSet::new();
        if let Some(processor) = stay.get(thread) {
            own.set(*processor);
            // Where that is not allowed it runs as it may.
            let _ = sched_setaffinity(None, &own);
        }
    };
    ThreadPoolBuilder::new()
        .num_threads(processors.len())
        .thread_name(|thread| format!("encode-{thread}"))
        .start_handler(on_start)
        .build()
        .ok()
        .filter(|_| processors.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_their_jobs() {
        for jobs in [0, 1, 2, 1000] {
            let done = each((0..jobs).collect(), |job: u32| job * 2);
            assert_eq!(done, (0..jobs).map(|job| job * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_job_may_have_jobs_of_its_own() {
        let sums = each((0..8).collect(), |outer: u64| {
            each((0..8).collect(), |inner: u64| outer * inner)
                .into_iter()
                .sum::<u64>()
        });
        assert_eq!(sums, (0..8).map(|outer| outer * 28).collect::<Vec<_>>());
    }

    #[test]
    fn threads_stay_on_their_processors() {
        let processors = processors();
        assert!(
            build(processors.get(..1).unwrap_or_default()).is_none(),
            "one is no more than none"
        );
        let Some(pool) = build(&processors) else { return };
        let places = pool.broadcast(|_| sched_getaffinity(None).unwrap());
        for (place, processor) in places.iter().zip(&processors) {
            assert!(place.count() == 1 && place.is_set(*processor));
        }
    }
}
