//! What the programs of the benches are to those that drive them: commands come as lines on stdin, answers go as lines to
//! stdout.

use std::io::{self, BufRead, Write as _};

use anyhow::{Context as _, Result};

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
