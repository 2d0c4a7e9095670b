//! `caraway user`, and what `caraway check` says of the file it makes.

use std::{
    fs::{self, File, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use crate::program::{PROGRAM, World};

fn users(world: &World) -> Vec<(String, String)> {
    let text = fs::read_to_string(world.work().join("users")).unwrap();
    let lines = text.lines().map(|line| {
        let (who, verifier) = line.split_once(":SCRAM-SHA-256$65536:").unwrap();
        (who.to_owned(), verifier.to_owned())
    });
    lines.collect()
}

fn mode(world: &World) -> u32 {
    fs::metadata(world.work().join("users")).unwrap().permissions().mode() & 0o777
}

fn named(users: &[(String, String)]) -> Vec<&str> {
    users.iter().map(|(who, _)| who.as_str()).collect()
}

#[test]
fn users_are_added_changed_and_removed_and_the_others_stay_as_they_are() {
    let world = World::new();
    assert_eq!(world.shell("echo one | \"$0\" user add users ann").done(), "");
    assert_eq!(mode(&world), 0o600);
    assert_eq!(
        world.shell("printf two | \"$0\" user add users bob --role view").done(),
        ""
    );
    let before = users(&world);
    assert_eq!(named(&before), ["ann:control", "bob:view"]);
    fs::set_permissions(world.work().join("users"), Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("users", world.work().join("link")).unwrap();
    assert_eq!(
        world.shell("echo three | \"$0\" user add link ann --role view").done(),
        ""
    );
    let after = users(&world);
    assert_eq!(named(&after), ["bob:view", "ann:view"]);
    assert_eq!(after[0], before[1]);
    assert_ne!(after[1].1, before[0].1);
    assert_eq!(mode(&world), 0o640);
    assert!(
        !fs::read_to_string(world.work().join("users"))
            .unwrap()
            .contains("three")
    );
    assert_eq!(world.caraway(&["user", "remove", "users", "bob"]).done(), "");
    assert_eq!(named(&users(&world)), ["ann:view"]);
    // Only the file and the link are left.
    assert_eq!(fs::read_dir(world.work()).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_changed_is_said_and_stays() {
    let world = World::new();
    let failed = |script: &str, code| world.shell(script).failed(code);
    assert!(failed("echo x | \"$0\" user add users 'a b'", 2).starts_with("caraway: user add: \"a b\" is not"));
    assert_eq!(
        failed("echo | \"$0\" user add users ann", 2),
        "caraway: user add: the password has 0 bytes, not 1 to 256"
    );
    let long = failed("printf '%5000s' x | \"$0\" user add users ann", 2);
    assert_eq!(long, "caraway: user add: the password has 4096 bytes, not 1 to 256");
    assert_eq!(
        failed("printf 'a\\tb' | \"$0\" user add users ann", 2),
        "caraway: user add: the password has a control character in it"
    );
    assert!(!world.work().join("users").exists());
    world.write("users", "# mine\nann\n");
    let error = failed("echo x | \"$0\" user add users bob", 2);
    assert!(error.ends_with("users:2: not NAME:ROLE:VERIFIER"), "{error}");
    world.write("users", "# mine\n");
    let error = world.caraway(&["user", "remove", "users", "ann"]).failed(2);
    assert_eq!(error, "caraway: users: there is no user \"ann\"");
    world.write("users.new", "");
    let error = failed("echo x | \"$0\" user add users bob", 1);
    assert!(
        error.contains("users.new is there: somebody else is changing"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(world.work().join("users")).unwrap(), "# mine\n");
    assert!(world.work().join("users.new").exists());
}

#[test]
fn a_password_that_is_typed_on_a_terminal_is_asked_for_twice_and_not_shown() {
    let world = World::new();
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let mut controller = File::from(controller);
    let mut add = |typed: [&str; 2]| {
        let mut command = world.command(PROGRAM);
        command.args(["user", "add", "users", "ann"]);
        let mut child = command
            .stdin(terminal.try_clone().unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = child.stderr.take().unwrap();
        for (prompt, word) in ["Password: ", "\nOnce more: "].iter().zip(typed) {
            let mut said = vec![0; prompt.len()];
            says.read_exact(&mut said).unwrap();
            assert_eq!(said, prompt.as_bytes());
            writeln!(controller, "{word}").unwrap();
        }
        let mut rest = String::new();
        says.read_to_string(&mut rest).unwrap();
        (child.wait().unwrap().code(), rest)
    };
    assert_eq!(
        add(["one", "two"]),
        (Some(2), "\ncaraway: the two are not the same\n".to_owned())
    );
    assert_eq!(add(["one", "one"]), (Some(0), "\n".to_owned()));
    assert_eq!(named(&users(&world)), ["ann:control"]);
    let modes = tcgetattr(&terminal).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ECHO | LocalModes::ISIG));
    // What the terminal was told to show: nothing but this.
    (&terminal).write_all(b"end").unwrap();
    let mut shown = [0; 16];
    let bytes = controller.read(&mut shown).unwrap();
    assert_eq!(&shown[..bytes], b"end");
}

#[test]
fn check_names_the_line_of_a_user_that_is_wrong_and_a_file_that_others_can_read() {
    let world = World::new();
    world.write("kernel", crate::program::kernel());
    world.write(
        "vm.toml",
        "[boot]\nkernel = \"kernel\"\n[spice]\ntls = { generate = true }\nsasl = { users = \"users\" }\n\
         listen = \"127.0.0.1:5900\"\n",
    );
    assert_eq!(world.shell("echo one | \"$0\" user add users ann").done(), "");
    let shown = world.caraway(&["check", "vm.toml"]).done();
    assert!(shown.contains("[spice.sasl]\nusers = "), "{shown}");
    fs::set_permissions(world.work().join("users"), Permissions::from_mode(0o644)).unwrap();
    let error = world.caraway(&["check", "vm.toml"]).failed(2);
    assert!(
        error.starts_with("vm.toml:5: spice.sasl.users: ") && error.contains("mode 644 lets others at it"),
        "{error}"
    );
    world.write("users", "ann:control:secret\n");
    fs::set_permissions(world.work().join("users"), Permissions::from_mode(0o600)).unwrap();
    let error = world.caraway(&["check", "vm.toml"]).failed(2);
    assert!(error.contains("users:1: the verifier is not SCRAM-SHA-256$"), "{error}");
}
