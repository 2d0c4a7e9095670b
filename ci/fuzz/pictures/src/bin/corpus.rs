//! `pictures-corpus replay FOLDER` gives every target the files of its folder there; `pictures-corpus seeds STREAMS FOLDER` writes what a
//! corpus starts from: for decoders the reference streams of up to 4 KiB in STREAMS.

use std::{fs, path::Path, process::ExitCode};

use caraway_fuzz_pictures::TARGETS;
use caraway_fuzz_replay::{Counts, files};

/// Longer streams say nothing new for the time they take.
const MAX_SEED_BYTES: usize = 4096;

fn replay(folder: &Path) -> std::io::Result<ExitCode> {
    let mut counts = Counts::default();
    for target in TARGETS {
        counts.replay(&folder.join(target.name), |data| target.run(data))?;
    }
    Ok(counts.report())
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
        [command, folder] if command == "replay" => replay(folder.as_ref()),
        [command, streams, folder] if command == "seeds" => seeds(streams.as_ref(), folder.as_ref()),
        _ => {
            eprintln!("usage: pictures-corpus replay FOLDER | pictures-corpus seeds STREAMS FOLDER");
            Ok(ExitCode::from(2))
        }
    }
}
