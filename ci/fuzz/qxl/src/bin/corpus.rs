//! `corpus replay FOLDER...` carries out every program of the folders; `corpus seeds FOLDER` writes the programs that
//! a corpus starts from.

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

/// The files of a folder, in the order of their names.
fn files(folder: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn replay(folders: &[String]) -> std::io::Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    for folder in folders {
        for file in files(folder)? {
            let program = fs::read(&file)?;
            let start = Instant::now();
            if std::panic::catch_unwind(|| caraway_fuzz_qxl::run(&program)).is_ok() {
                passed += 1;
            } else {
                eprintln!("{} failed", file.display());
                failed += 1;
            }
            if start.elapsed().as_secs() >= 5 {
                eprintln!("{} took {:?}", file.display(), start.elapsed());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
