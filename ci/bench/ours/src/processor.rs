//! Times that `ci/bench/pair.py` compares: processor times.

use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread in nanoseconds: what others do on the machine does not count.
pub(crate) fn thread_time() -> u128 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u128 * 1_000_000_000 + now.tv_nsec as u128
}
