//! `caraway ps`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    fake::{FakeVm, agreeable},
    program::World,
};

fn states(world: &World) -> Vec<(String, String)> {
    let listed: Value = serde_json::from_str(&world.caraway(&["ps", "--json"]).done()).unwrap();
    let word = |vm: &Value, field: &str| vm[field].as_str().unwrap().to_owned();
    let vms = listed.as_array().unwrap().iter();
    vms.map(|vm| (word(vm, "name"), word(vm, "state"))).collect()
}

#[test]
fn without_vms_there_is_a_heading_and_an_empty_list() {
    let world = World::new();
    assert_eq!(
        world.caraway(&["ps"]).done(),
        "NAME  PID  STATE  SCREEN  BROWSER  CONFIG\n"
    );
    assert_eq!(world.caraway(&["ps", "--json"]).done(), "[]\n");
    fs::remove_dir(world.run_directory()).unwrap();
    world.caraway(&["ps"]).done();
}

#[test]
fn a_vm_is_listed_with_its_state_screen_and_configuration() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    let pid = std::process::id();
    let text = world.caraway(&["ps"]).done();
    let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row,
        [
            "web",
            &pid.to_string(),
            "paused",
            "spice://127.0.0.1:5907",
            "http://127.0.0.1:5987/",
            "/etc/vms/web.toml"
        ]
    );
    let listed: Value = serde_json::from_str(&world.caraway(&["ps", "--json"]).done()).unwrap();
    assert_eq!(
        listed,
        json!([{
            "name": "web",
            "pid": pid,
            "state": "paused",
            "spice": "spice://127.0.0.1:5907",
            "web": "http://127.0.0.1:5987/",
            "config": "/etc/vms/web.toml",
            "control": vm.path.join("qmp.sock"),
            "serial": vm.path.join("serial.sock"),
        }])
    );
}

#[test]
fn vms_that_are_starting_or_silent_do_not_hold_up_the_others_and_dead_ones_go() {
    let world = World::new();
    let _silent = FakeVm::start_silent(&world, "silent");
    let starting = FakeVm::start_silent(&world, "starting");
    fs::remove_file(starting.path.join("info.json")).unwrap();
    let _web = FakeVm::start(&world, "web", agreeable);
    let dead = FakeVm::start_silent(&world, "dead");
    let dead_path = dead.path.clone();
    drop(dead);
    fs::create_dir(world.run_directory().join("documents")).unwrap();
    let pair = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(
        states(&world),
        [
            pair("silent", "no answer"),
            pair("starting", "starting"),
            pair("web", "paused")
        ]
    );
    assert!(!dead_path.exists());
    assert!(world.run_directory().join("documents").exists());
}

#[test]
fn a_run_directory_that_is_not_safe_is_refused() {
    let world = World::new();
    fs::set_permissions(
        world.run_directory(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let message = world.caraway(&["ps"]).failed(1);
    assert!(message.contains("has mode 0777"), "{message}");
}
