//! What both programs of the bench are to `ci/bench/pair.py`: commands come as lines on stdin, answers go as lines to
//! stdout, and times are processor times.

use std::io::{self, BufRead, Write as _};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// Answers commands until there are no more.
pub(crate) fn serve(mut command: impl FnMut(&str) -> Result<String>) -> Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.context("reading a command")?;
        let answer = command(&line).with_context(|| format!("command {line:?}"))?;
        writeln!(output, "{answer}").context("answering")?;
        output.flush().context("answering")?;
    }
    Ok(())
}

/// Processor time of this thread in nanoseconds: what others do on the machine does not count.
pub(crate) fn thread_time() -> u128 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u128 * 1_000_000_000 + now.tv_nsec as u128
}
