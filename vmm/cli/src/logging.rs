//! The log: to standard error, warnings and errors unless `CARAWAY_LOG` says otherwise.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::output::UsageError;

const VARIABLE: &str = "CARAWAY_LOG";

/// Starts the log.
pub(crate) fn start() -> anyhow::Result<()> {
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    let filter = match std::env::var(VARIABLE) {
        Ok(text) => builder.parse(&text).map_err(|error| {
            UsageError(format!(
                "{VARIABLE}: {text:?} is not a log filter such as \"debug\" or \"caraway_qxl=trace,info\": {error}"
            ))
        })?,
        Err(_) => builder.parse_lossy(""),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // It would panic when standard error is closed.
        .log_internal_errors(false)
        .init();
    Ok(())
}
