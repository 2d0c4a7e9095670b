//! `caraway check` and `caraway schema`.

use std::fs::{self, File};

use rustix::fs::{FlockOperation, flock};

use crate::program::{World, kernel};

fn world() -> World {
    let world = World::new();
    world.write("kernel", kernel());
    world.write("disk.raw", [0; 4096]);
    world
}

/// The one line `check` says about a configuration.
fn mistake(world: &World, config: &str) -> String {
    world.write("vm.toml", config);
    world.caraway(&["check", "vm.toml"]).failed(2)
}

#[test]
fn a_good_configuration_is_printed_with_its_defaults_filled_in() {
    let world = world();
    world.write(
        "web.toml",
        "memory = \"64 MiB\"\n[boot]\nkernel = \"kernel\"\n[[disk]]\npath = \"disk.raw\"\nreadonly = true\n\
         [spice]\norigins = [\"https://example.org\"]\n",
    );
    let printed = world.caraway(&["check", "web.toml", "--set", "cpus=2"]).done();
    let machine: toml::Table = toml::from_str(&printed).unwrap();
    assert_eq!(machine["name"].as_str(), Some("web"));
    assert_eq!(machine["cpus"].as_integer(), Some(2));
    assert_eq!(machine["memory"].as_str(), Some("64 MiB"));
    assert_eq!(machine["boot"]["kernel"].as_str(), Some("kernel"));
    assert_eq!(machine["disk"][0]["readonly"].as_bool(), Some(true));
    assert_eq!(machine["spice"]["origins"][0].as_str(), Some("https://example.org"));
    assert_eq!(machine["spice"]["listen"].as_str(), Some("127.0.0.1:5900-5909"));
    assert_eq!(fs::read(world.work().join("disk.raw")).unwrap(), [0; 4096]);
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let world = world();
    world.write("text", "not a kernel\n");
    world.write("empty", "");
    world.write("cut", &kernel()[..2000]);
    world.write("big", vec![0; 70 << 20]);
    world.write("odd", [0; 1000]);
    let long = "x".repeat(3000);
    for (config, expected) in [
        (
            "cpu = 2\n".to_owned(),
            "vm.toml:1: unknown key `cpu`: did you mean `cpus`?",
        ),
        ("\ncpus = \"two\"\n".to_owned(), "vm.toml:2: cpus: invalid type"),
        (
            "memory = \"1 MiB\"\n[boot]\nkernel = \"kernel\"".to_owned(),
            "vm.toml:1: memory: 1 MiB is not in",
        ),
        (
            "[boot]\nkernel = \"kernel\"\n[spice]\norigins = [\"null\", \"example.org\"]".to_owned(),
            "vm.toml:4: spice.origins: \"example.org\" is neither \"SCHEME://HOST\" nor",
        ),
        (
            "[boot]\nkernel = \"no\"".to_owned(),
            "vm.toml:2: boot.kernel: cannot open no: No such file",
        ),
        (
            "[boot]\nkernel = \".\"".to_owned(),
            "vm.toml:2: boot.kernel: . is a directory",
        ),
        (
            "[boot]\nkernel = \"text\"".to_owned(),
            "vm.toml:2: boot.kernel: text is not a kernel: it is a text file",
        ),
        (
            "[boot]\nkernel = \"empty\"".to_owned(),
            "vm.toml:2: boot.kernel: empty is empty",
        ),
        (
            "[boot]\nkernel = \"cut\"".to_owned(),
            "vm.toml:2: boot.kernel: kernel cut is truncated",
        ),
        (
            "memory = \"64 MiB\"\n[boot]\nkernel = \"kernel\"\ninitramfs = \"big\"".to_owned(),
            "vm.toml:1: memory: initramfs big has 73400320 bytes",
        ),
        (
            "[boot]\nkernel = \"kernel\"\ninitramfs = \"empty\"".to_owned(),
            "vm.toml:3: boot.initramfs: empty is empty",
        ),
        (
            format!("[boot]\nkernel = \"kernel\"\ncmdline = \"{long}\""),
            "vm.toml:3: boot.cmdline: the command line has 3000 bytes",
        ),
        (
            "[boot]\nkernel = \"kernel\"\n[[disk]]\npath = \"odd\"".to_owned(),
            "vm.toml:4: disk.path: disk odd has 1000 bytes",
        ),
        (
            "[boot]\nkernel = \"kernel\"\n[serial]\nlog = \"no/where\"".to_owned(),
            "vm.toml:4: serial.log: cannot make no/where: there is no directory no",
        ),
        (
            "[boot]\nkernel = \"kernel\"\n[spice]\nlisten = \"0.0.0.0:5900\"".to_owned(),
            "vm.toml:4: spice.listen: 0.0.0.0:5900 can be reached from other machines",
        ),
    ] {
        let said = mistake(&world, &config);
        assert!(said.starts_with(expected), "{said}\n{expected}");
    }
}

#[test]
fn overrides_are_checked_as_well() {
    let world = world();
    world.write("vm.toml", "[boot]\nkernel = \"kernel\"\n");
    let said = world.caraway(&["check", "vm.toml", "--set", "cpus"]).failed(2);
    assert!(
        said.starts_with("--set: \"cpus\" is not of the form key=value"),
        "{said}"
    );
    let said = world
        .caraway(&["check", "vm.toml", "--set", "memory=64 MiB", "--set", "color=1"])
        .failed(2);
    assert!(said.starts_with("--set: unknown key `color`"), "{said}");
    let said = world.caraway(&["check", "missing.toml"]).failed(2);
    assert!(
        said.starts_with("missing.toml: cannot read the configuration: No such file"),
        "{said}"
    );
}

#[test]
fn a_disk_in_use_is_no_mistake_of_the_configuration() {
    let world = world();
    world.write(
        "vm.toml",
        "[boot]\nkernel = \"kernel\"\n[[disk]]\npath = \"disk.raw\"\n",
    );
    let disk = File::open(world.work().join("disk.raw")).unwrap();
    flock(&disk, FlockOperation::NonBlockingLockExclusive).unwrap();
    world.caraway(&["check", "vm.toml"]).done();
}

#[test]
fn the_schema_describes_every_part_of_a_configuration() {
    let schema: serde_json::Value = serde_json::from_str(&World::new().caraway(&["schema"]).done()).unwrap();
    for key in [
        "name", "cpus", "memory", "boot", "disk", "display", "spice", "serial", "control",
    ] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
