//! `corpus replay FOLDER...` carries out every program of the folders; `corpus seeds FOLDER` writes the programs that
//! a corpus starts from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use caraway_fuzz_replay::Counts;

fn replay(folders: &[String]) -> std::io::Result<ExitCode> {
    let mut counts = Counts::default();
    for folder in folders {
        counts.replay(Path::new(folder), |program| {
            caraway_fuzz_qxl::run(program);
        })?;
    }
    Ok(counts.report())
}

fn seeds(folder: &str) -> std::io::Result<ExitCode> {
    fs::create_dir_all(folder)?;
    for (name, program) in caraway_fuzz_qxl::seeds() {
        fs::write(PathBuf::from(folder).join(name), program)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> std::io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [command, folders @ ..] if command == "replay" && !folders.is_empty() => replay(folders),
        [command, folder] if command == "seeds" => seeds(folder),
        _ => {
            eprintln!("usage: corpus replay FOLDER... | corpus seeds FOLDER");
            Ok(ExitCode::from(2))
        }
    }
}
