//! What the program prints: results on standard output, one line for an error on standard error.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::Context as _;
pub(crate) use caraway_base::errors::chain;
use caraway_config::ConfigError;
use serde::Serialize;

/// Exit code of what could not be done.
const FAILED: u8 = 1;
/// Exit code of a wrong configuration or command line, as clap has it.
const USAGE: u8 = 2;

/// A mistake on the command line that only shows when the command is carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Writes to standard output. When nobody reads it any more - a pager that was left - that is no error.
pub(crate) fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Prints JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(text)
}

/// Says what went wrong; the exit code.
pub(crate) fn report(error: &anyhow::Error) -> u8 {
    let (line, code) = if let Some(error) = error.downcast_ref::<ConfigError>() {
        // As compilers do it, so that editors find the place.
        (error.to_string(), USAGE)
    } else {
        let code = if error.is::<UsageError>() { USAGE } else { FAILED };
        (format!("caraway: {error:#}"), code)
    };
    // Nobody may be there to read it.
    writeln!(io::stderr(), "{}", one_line(&line)).ok();
    code
}

/// Text with control characters escaped: it comes from files and from other programs and may end up on a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            // Writing to a string cannot fail.
            write!(line, "{}", character.escape_default()).ok();
        } else {
            line.push(character);
        }
    }
    line
}

/// Rows in columns, each as wide as its widest cell; the last one as it is.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a string cannot fail.
            write!(line, "{cell:width$}  ").ok();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
