//! `guest-corpus replay FOLDER` gives the target the files of its folder there; `guest-corpus seeds FOLDER` writes what a
//! corpus starts from.

use std::{fs, path::Path, process::ExitCode};

use caraway_fuzz_guest::{NAME, run, seeds};
use caraway_fuzz_replay::Counts;

fn replay(folder: &Path) -> std::io::Result<ExitCode> {
    let mut counts = Counts::default();
    counts.replay(&folder.join(NAME), run)?;
    Ok(counts.report())
}

fn write_seeds(folder: &Path) -> std::io::Result<ExitCode> {
    let folder = folder.join(NAME);
    fs::create_dir_all(&folder)?;
    for (number, program) in seeds().into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), program)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> std::io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [command, folder] if command == "replay" => replay(folder.as_ref()),
        [command, folder] if command == "seeds" => write_seeds(folder.as_ref()),
        _ => {
            eprintln!("usage: guest-corpus replay FOLDER | guest-corpus seeds FOLDER");
            Ok(ExitCode::from(2))
        }
    }
}
