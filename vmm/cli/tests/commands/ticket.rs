//! `caraway ctl VM set-ticket`.

use serde_json::json;

use crate::{
    fake::{FakeVm, agreeable},
    program::World,
};

#[test]
fn a_ticket_is_the_first_line_of_a_file_or_of_standard_input() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    world.write("ticket", "secret\nmore\n");
    let requests = |ticket: &str, connected: &str, time: &str| {
        [
            (
                "set_password".to_owned(),
                json!({"protocol": "spice", "password": ticket, "connected": connected}),
            ),
            ("expire_password".to_owned(), json!({"protocol": "spice", "time": time})),
        ]
    };
    assert_eq!(world.caraway(&["ctl", "web", "set-ticket", "ticket"]).done(), "");
    assert_eq!(vm.requests(), requests("secret", "keep", "never"));
    let line = [
        "ctl",
        "web",
        "set-ticket",
        "ticket",
        "--expires",
        "60",
        "--connected",
        "disconnect",
    ];
    assert_eq!(world.caraway(&line).done(), "");
    assert_eq!(vm.requests(), requests("secret", "disconnect", "+60"));
    assert_eq!(
        world.caraway(&["ctl", "web", "set-ticket", "--view", "ticket"]).done(),
        ""
    );
    let of_view = requests("secret", "keep", "never").map(|(command, mut arguments)| {
        arguments["x-caraway-role"] = json!("view");
        (command, arguments)
    });
    assert_eq!(vm.requests(), of_view);
    for script in [
        "echo typed | \"$0\" ctl web set-ticket",
        "echo typed | \"$0\" ctl web set-ticket -",
    ] {
        assert_eq!(world.shell(script).done(), "");
        assert_eq!(vm.requests(), requests("typed", "keep", "never"));
    }
}

#[test]
fn what_is_no_ticket_is_not_sent() {
    let world = World::new();
    let vm = FakeVm::start(&world, "web", agreeable);
    world.write("empty", "\nsecond\n");
    world.write("long", "x".repeat(61));
    world.write("bytes", [0xff; 10]);
    for (file, says) in [
        (
            "empty",
            "caraway: set-ticket: the first line of empty has 0 bytes, not 1 to 60",
        ),
        (
            "long",
            "caraway: set-ticket: the first line of long has 61 bytes, not 1 to 60",
        ),
        ("bytes", "caraway: set-ticket: cannot read bytes: "),
        ("absent", "caraway: set-ticket: cannot read absent: No such file"),
    ] {
        let message = world.caraway(&["ctl", "web", "set-ticket", file]).failed(2);
        assert!(message.starts_with(says), "{message}");
    }
    assert_eq!(vm.requests(), []);
}
