//! `sessions-corpus replay FOLDER` gives every target the files of its folder there; `sessions-corpus seeds FOLDER`
//! writes what their corpora start from.

use std::{fs, path::Path, process::ExitCode};

use caraway_fuzz_replay::Counts;
use caraway_fuzz_sessions::TARGETS;

fn replay(folder: &Path) -> std::io::Result<ExitCode> {
    let mut counts = Counts::default();
    for target in TARGETS {
        counts.replay(&folder.join(target.name), |data| target.run(data))?;
    }
    Ok(counts.report())
}

fn seeds(folder: &Path) -> std::io::Result<ExitCode> {
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (name, program) in target.seeds() {
            fs::write(folder.join(name), program)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> std::io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [command, folder] if command == "replay" => replay(folder.as_ref()),
        [command, folder] if command == "seeds" => seeds(folder.as_ref()),
        _ => {
            eprintln!("usage: sessions-corpus replay FOLDER | sessions-corpus seeds FOLDER");
            Ok(ExitCode::from(2))
        }
    }
}
