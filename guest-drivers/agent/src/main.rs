//! `caraway-agent`: the daemon, and the part of a session.
#![deny(unsafe_code)]

use std::process::ExitCode;

use caraway_agent::{daemon, session};

const USAGE: &str = "\
caraway-agent [OPTION...]          the daemon
    --port PATH       the port to the host, a device or a Unix socket (may be given again; the first there is counts)
    --uinput PATH     where pointers are made; /dev/uinput
    --socket PATH     where sessions come; /run/caraway-agent/socket
    --no-files        takes no files
    --root PATH       the system whose seat it is; /
caraway-agent session [OPTION...]  the part of a session
    --socket PATH     where the daemon is
    --folder PATH     where files go; the user's folder for downloads
    --once            ends when the daemon does
caraway-agent --version
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_session = arguments.first().is_some_and(|first| first == "session");
    if is_session {
        arguments.remove(0);
    }
    match arguments.first().map(String::as_str) {
        Some("--version") => return say(concat!("caraway-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Some("--help" | "-h") => return say(USAGE),
        _ => {}
    }
    let result = if is_session {
        session_options(arguments).map(|options| session::run(&options))
    } else {
        daemon_options(arguments).map(|options| daemon::run(&options).map_err(Into::into))
    };
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("caraway-agent: {error}");
            ExitCode::FAILURE
        }
        Err(wrong) => {
            eprint!("caraway-agent: {wrong}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stdout)] // What was asked for.
fn say(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn daemon_options(arguments: Vec<String>) -> Result<daemon::Options, String> {
    let mut options = daemon::Options::default();
    let mut ports = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--port" => ports.push(value()?.into()),
            "--uinput" => options.uinput = value()?.into(),
            "--socket" => options.socket = value()?.into(),
            "--no-files" => options.takes_files = false,
            "--root" => options.seat = daemon::Seat::new(value()?.as_ref()),
            _ => return Err(format!("unknown option {argument}")),
        }
    }
    if !ports.is_empty() {
        options.ports = ports;
    }
    Ok(options)
}

fn session_options(arguments: Vec<String>) -> Result<session::Options, String> {
    let mut options = session::Options::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--socket" => options.socket = value()?.into(),
            "--folder" => options.folder = Some(value()?.into()),
            "--once" => options.once = true,
            _ => return Err(format!("unknown option {argument}")),
        }
    }
    Ok(options)
}
