//! `caraway replay`: what it prints, writes and ends with.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{PROGRAM, World};

fn trace(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../trace/tests/traces")
        .join(name)
}

fn console() -> String {
    trace("console.rec.zst").to_str().unwrap().to_owned()
}

/// The checksum of the picture the console recording ends with.
const CONSOLE_HASH: &str = "40c3c5ac4347094c";

/// A replay in the background, and the lines it prints.
fn start(world: &World, arguments: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = world
        .command(PROGRAM)
        .arg("replay")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map(Result::unwrap))
}

/// Ends it as a person would; its exit code, and what it said on standard error.
fn terminate(mut child: Child) -> (i32, String) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    let mut said = String::new();
    child.stderr.unwrap().read_to_string(&mut said).unwrap();
    (code, said)
}

#[test]
fn without_a_server_it_plays_at_once_and_says_what() {
    let world = World::new();
    let said = world
        .caraway(&["replay", &console(), "--headless", "--png", "a.png"])
        .done();
    assert_eq!(
        said,
        format!("1327 records of 40.2 s, 1 dropped; 1024x768, hash {CONSOLE_HASH}\n")
    );
    assert!(fs::read(world.work().join("a.png")).unwrap().starts_with(b"\x89PNG"));
    let said = world.caraway(&["replay", &console(), "--headless", "--hash"]).done();
    assert_eq!(said, format!("{CONSOLE_HASH}\n"));
}

#[test]
fn a_server_is_there_from_the_begin_until_a_signal() {
    let world = World::new();
    let (child, mut lines) = start(&world, &[&console(), "--fast", "--hash", "--listen", "127.0.0.1:0"]);
    let mut next = || lines.next().unwrap();
    assert!(next().starts_with("replay console.rec.zst (pid "));
    let screen = next();
    let address = screen.strip_prefix("  screen   spice://").unwrap();
    assert_eq!(next(), CONSOLE_HASH);
    // It is over, and the last picture is served still.
    TcpStream::connect(address).unwrap();
    assert_eq!(terminate(child), (0, String::new()));
}

#[test]
fn a_signal_ends_it_in_the_middle() {
    let world = World::new();
    let recording = console();
    let socket = format!("unix:{}", world.work().join("s").display());
    for (wanted, code) in [(&[][..], 0), (&["--hash"][..], 1)] {
        // Its pace is that of the guest: 40 seconds.
        let arguments = [&[recording.as_str(), "--timed", "--listen", &socket], wanted].concat();
        let (child, mut lines) = start(&world, &arguments);
        assert!(lines.next().unwrap().starts_with("replay "));
        let (seen, said) = terminate(child);
        assert_eq!(seen, code, "{said}");
        assert_eq!(said.is_empty(), code == 0, "{said}");
    }
    assert!(!world.work().join("s").exists(), "the socket goes with the program");
}

#[test]
fn a_recording_that_is_none_is_code_2_and_its_place_is_named() {
    let world = World::new();
    let told = |name: &str| world.caraway(&["replay", name, "--headless"]).failed(2);
    let message = told("no.rec");
    assert!(
        message.starts_with("caraway: no.rec: cannot open the recording: No such file"),
        "{message}"
    );
    world.write("text", "hello\n");
    assert_eq!(
        told("text"),
        "caraway: text: line 1, byte 0: not a QXL recording: the first line is \"hello\" and not \"SPICE_REPLAY 1\""
    );
    world.write(
        "wrong.rec",
        "SPICE_REPLAY 1\nevent 0 1 2 7\nevent 1 0 5 8\nsurface_cmd\nsurface_id one\n",
    );
    assert_eq!(
        told("wrong.rec"),
        "caraway: wrong.rec: line 5, byte 55: surface_id = one"
    );
    world.write("packed.rec", b"\x28\xb5\x2f\xfd and nothing more of it");
    assert!(told("packed.rec").starts_with("caraway: packed.rec: line 1, byte 0: cannot read on: "));
}

#[test]
fn a_recording_that_was_cut_is_played_as_far_as_it_goes() {
    let world = World::new();
    world.write("cut.rec", "SPICE_REPLAY 1\nevent 0 1 2 7\nevent 1 1 2 8\nevent 2 0 5");
    let output = world
        .command(PROGRAM)
        .args(["replay", "cut.rec", "--headless"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        out.starts_with("2 records of 0.0 s, 0 dropped; 640x480, hash "),
        "{out}"
    );
    assert!(err.contains("ends in the middle of a record"), "{err}");
}

#[test]
fn data_that_is_only_announced_takes_no_memory() {
    let world = World::new();
    // A block as large as one may be, of which three bytes come.
    world.write(
        "large.rec",
        "SPICE_REPLAY 1\nevent 0 0 4 7\nbinary 0 message 268435456:abc",
    );
    let outcome = world.shell("ulimit -v 160000 && exec $0 replay large.rec --headless");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    world.write(
        "larger.rec",
        "SPICE_REPLAY 1\nevent 0 0 4 7\nbinary 0 message 268435457:abc",
    );
    assert_eq!(
        world.caraway(&["replay", "larger.rec", "--headless"]).failed(2),
        "caraway: larger.rec: line 3, byte 29: block of 268435457 bytes, at most 268435456 are read"
    );
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let world = World::new();
    for arguments in [
        &["--fast", "--timed"][..],
        &["--headless", "--listen", "127.0.0.1:0"],
        &["--loop", "--exit"],
        &["--loop", "--hash"],
        &["--listen", "0.0.0.0:5900"],
        &["--listen", "somewhere"],
        &["--listen", "unix:"],
    ] {
        let outcome = world.caraway(&[&["replay", "x.rec"], arguments].concat());
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
    }
}
