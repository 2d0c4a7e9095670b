//! The one error of this crate.

use std::path::PathBuf;

/// Why a configuration cannot be used. Displays as `FILE:LINE: message`.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or `--set` for an override given on the command line.
    pub file: PathBuf,
    /// Line in the file, from 1; `None` when it is not about one line.
    pub line: Option<usize>,
    /// What is wrong, naming field and value.
    pub message: String,
}

impl ConfigError {
    /// About a line of a file.
    pub fn new(file: impl Into<PathBuf>, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}
