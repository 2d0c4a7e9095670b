//! `caraway ctl VM snapshot`, and `caraway run --incoming` where it must not start anything.

use std::fs;

use serde_json::{Value, json};

use crate::{
    fake::{FakeVm, agreeable},
    program::World,
};

fn saving(command: &str, arguments: &Value) -> Option<Value> {
    match command {
        "x-caraway-snapshot" => Some(json!({"return": {"bytes": 8_006_832, "pause-ns": 16_440_000}})),
        _ => agreeable(command, arguments),
    }
}

#[test]
fn a_relative_directory_is_that_of_the_person_who_names_it() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", saving);
    let here = world.work().canonicalize().unwrap().join("saved");
    let here = here.to_str().unwrap();
    let said = world.caraway(&["ctl", "web", "snapshot", "saved"]).done();
    assert_eq!(said, format!("{here}: 8006832 bytes, paused for 16.4 ms\n"));
    let expected = ("x-caraway-snapshot".to_owned(), json!({"directory": here}));
    assert_eq!(vm.requests(), [expected]);
}

#[test]
fn an_answer_without_figures_is_an_error() {
    let world = World::new();
    let _vm = FakeVm::start(&world, "web", agreeable);
    let message = world.caraway(&["ctl", "web", "snapshot", "saved"]).failed(1);
    assert_eq!(message, "caraway: the VM's reply has no bytes");
}

#[test]
fn uris_that_lead_nowhere_are_usage_errors() {
    let world = World::new();
    for (uri, words) in [
        ("tcp:4444", "must be tcp:HOST:PORT"),
        ("unix:", "must be followed by the path of a socket"),
        ("exec:cat", "\"exec\" is not known here"),
        ("saved", "did you mean file:saved?"),
        ("file:", "must be followed by a directory"),
    ] {
        let outcome = world.caraway(&["run", "--incoming", uri]);
        assert_eq!(outcome.code, 2);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_no_snapshot_is_named_with_what_is_wrong() {
    let world = World::new();
    let incoming = || {
        world
            .caraway(&["run", "--headless", "--incoming", "file:saved"])
            .failed(2)
    };
    assert_eq!(
        incoming(),
        "saved/state: cannot open: No such file or directory (os error 2)"
    );
    fs::create_dir(world.work().join("saved")).unwrap();
    world.write("saved/state", "");
    assert_eq!(incoming(), "saved/state: size = 0: too short for a snapshot's state");
    world.write("saved/state", [b'x'; 100]);
    assert_eq!(incoming(), "saved/state: magic = xxxxxxxx: not the state of a snapshot");
    assert_eq!(fs::read_dir(world.run_directory()).unwrap().count(), 0);
}
