//! `caraway doctor`. That the demo VM can run is what every host of these tests is for.

use std::fs;

use serde_json::Value;

use crate::program::World;

#[test]
fn a_host_for_vms_is_told_so_and_whether_linux_boots_in_one_line() {
    let world = World::new();
    let text = world.caraway(&["doctor"]).done();
    let linux: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("Linux guests can"))
        .collect();
    assert_eq!(linux.len(), 1, "{text}");
    assert!(text.contains("The demo VM can run here"), "{text}");
    let run_directory = world.run_directory().display().to_string();
    for looked_at in [
        "kvm",
        "ring 0",
        "ring 3",
        "memory",
        "ports",
        "open files",
        "tun",
        run_directory.as_str(),
    ] {
        assert!(text.contains(looked_at), "{looked_at}: {text}");
    }
}

#[test]
fn as_json_linux_follows_from_the_measured_speed() {
    let report: Value = serde_json::from_str(&World::new().caraway(&["doctor", "--json"]).done()).unwrap();
    assert_eq!(report["demo"], true);
    let speeds = &report["loops_per_second"];
    let native = speeds["ring0"].as_f64().unwrap() >= speeds["linux_needs"].as_f64().unwrap();
    assert_eq!(report["linux"], native);
    assert_eq!(speeds["ring0_native"], native);
    assert!(speeds["ring3"].as_f64().unwrap() > 1e6, "{report}");
    assert!(report["findings"].as_array().unwrap().len() >= 8, "{report}");
}

#[test]
fn what_keeps_vms_from_running_is_code_1_and_says_what_to_do() {
    let world = World::new();
    fs::remove_dir(world.run_directory()).unwrap();
    fs::write(world.run_directory(), "in the way").unwrap();
    let outcome = world.caraway(&["doctor"]);
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, ""), "{text}");
    assert!(text.contains("is not a directory"), "{text}");
    assert!(text.contains("-> set CARAWAY_RUN_DIR"), "{text}");
    assert!(text.contains("The demo VM cannot run here"), "{text}");

    let outcome = World::new().shell("ulimit -n 40; exec $0 doctor --json");
    let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!((outcome.code, &report["demo"]), (1, &Value::Bool(false)));
    let files = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["name"] == "open files");
    let files = files.unwrap();
    assert_eq!(files["verdict"], "bad");
    assert!(files["advice"].as_str().unwrap().contains("ulimit -n"), "{files}");
}
