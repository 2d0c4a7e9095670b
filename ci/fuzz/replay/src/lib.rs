//! Corpora: their files, and carrying out each of them once more.
#![forbid(unsafe_code)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// What takes longer is named.
const LONG: Duration = Duration::from_secs(5);

/// The files of a folder, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    Ok(files)
}

/// How many files of a corpus a target has been given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    passed: u32,
    failed: u32,
}

impl Counts {
    /// Gives every file of a folder to a target, which panics when it fails. A folder without files is a failure.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn replay(&mut self, folder: &Path, run: impl Fn(&[u8]) + std::panic::RefUnwindSafe) -> io::Result<()> {
        let files = files(folder)?;
        self.failed += u32::from(files.is_empty());
        for file in files {
            let data = fs::read(&file)?;
            let start = Instant::now();
            if std::panic::catch_unwind(|| run(&data)).is_ok() {
                self.passed += 1;
            } else {
                eprintln!("{} failed", file.display());
                self.failed += 1;
            }
            if start.elapsed() >= LONG {
                eprintln!("{} took {:?}", file.display(), start.elapsed());
            }
        }
        Ok(())
    }

    /// Prints the summary; whether nothing failed.
    #[must_use]
    pub fn report(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
