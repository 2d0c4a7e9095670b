//! `pictures-corpus replay FOLDER` gives every target the files of its folder there; `pictures-corpus seeds STREAMS FOLDER` writes what a
//! corpus starts from: for decoders the reference streams of up to 4 KiB in STREAMS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use caraway_fuzz_pictures::{TARGETS, Target};

/// Longer streams say nothing new for the time they take.
const MAX_SEED_BYTES: usize = 4096;

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

/// How many files pass and fail.
fn replay(target: &Target, folder: &Path) -> std::io::Result<(u32, u32)> {
    let (mut passed, mut failed) = (0, 0);
    for file in files(folder)? {
        let data = fs::read(&file)?;
        let start = Instant::now();
        if std::panic::catch_unwind(|| target.run(&data)).is_ok() {
            passed += 1;
        } else {
            eprintln!("{} failed", file.display());
            failed += 1;
        }
        if start.elapsed().as_secs() >= 5 {
            eprintln!("{} took {:?}", file.display(), start.elapsed());
        }
    }
    Ok((passed, failed))
}

fn replay_all(folder: &Path) -> std::io::Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    for target in TARGETS {
        let (good, bad) = replay(target, &folder.join(target.name))?;
        println!("{}: {good} passed, {bad} failed", target.name);
        passed += good;
        failed += bad + u32::from(good == 0);
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn seeds(streams: &Path, folder: &Path) -> std::io::Result<ExitCode> {
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, program) in target.made_seeds().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), program)?;
        }
        for file in files(streams)? {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let seed = target.stream_seed(name, &fs::read(&file)?);
            if let Some(seed) = seed.filter(|seed| seed.len() <= MAX_SEED_BYTES) {
                fs::write(folder.join(name), seed)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> std::io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [command, folder] if command == "replay" => replay_all(folder.as_ref()),
        [command, streams, folder] if command == "seeds" => seeds(streams.as_ref(), folder.as_ref()),
        _ => {
            eprintln!("usage: pictures-corpus replay FOLDER | pictures-corpus seeds STREAMS FOLDER");
            Ok(ExitCode::from(2))
        }
    }
}
