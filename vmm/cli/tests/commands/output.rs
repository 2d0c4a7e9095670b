//! Standard output and error that cannot be written to, and the log.

use std::io::pipe;

use crate::program::{Outcome, PROGRAM, World};

#[test]
fn a_reader_that_has_left_is_no_error() {
    let world = World::new();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = world.command(PROGRAM).arg("schema").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &[][..]));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let message = World::new().shell("$0 schema >/dev/full").failed(1);
    assert!(
        message.starts_with("caraway: cannot write to standard output: No space left"),
        "{message}"
    );
}

#[test]
fn with_standard_error_closed_the_exit_code_still_tells() {
    let world = World::new();
    for log in ["warn", "trace"] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = world.command(PROGRAM);
        command.env("CARAWAY_LOG", log).args(["ctl", "web", "status"]);
        assert_eq!(command.stderr(writer).status().unwrap().code(), Some(1));
    }
    assert_eq!(world.shell("$0 check missing.toml 2>&-").code, 2);
}

#[test]
fn a_wrong_log_filter_is_refused() {
    let world = World::new();
    let message = world.shell("CARAWAY_LOG='caraway=loud' $0 schema").failed(2);
    assert!(message.contains("CARAWAY_LOG: \"caraway=loud\""), "{message}");
}

#[test]
fn a_wrong_command_line_is_code_2_and_help_is_code_0() {
    let world = World::new();
    for wrong in [
        &[][..],
        &["walk"],
        &["ctl"],
        &["ctl", "web"],
        &["check"],
        &["ps", "--yaml"],
    ] {
        let Outcome { code, stdout, stderr } = world.caraway(wrong);
        assert_eq!((code, stdout.is_empty()), (2, true), "{wrong:?}");
        assert!(stderr.contains("Usage: caraway"), "{stderr}");
    }
    let help = world.caraway(&["--help"]).done();
    for command in ["run", "ctl", "ps", "check", "schema", "doctor", "CARAWAY_RUN_DIR"] {
        assert!(help.contains(command), "{command}");
    }
    let help = world.caraway(&["ctl", "web", "send-key", "--help"]).done();
    assert!(help.contains("bracket_left") && help.contains("pause"), "{help}");
    let help = world.caraway(&["ctl", "web", "type", "--help"]).done();
    assert!(help.contains("`\\e` Escape"), "{help}");
}
