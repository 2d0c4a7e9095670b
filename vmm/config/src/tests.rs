//! What a person can get wrong, and the one message each mistake gives.

use std::{fs, path::PathBuf};

use proptest::prelude::*;

use crate::{
    Access, Agent, Certificate, Clients, Clipboard, Compression, Listen, OnReboot, Use, Video, load, parse, schema,
};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("vmlinuz"), b"kernel").unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, text: &str) -> PathBuf {
        let path = self.path("vm.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn message(&self, text: &str) -> String {
        let path = self.config(text);
        let error = load(&path, &[]).expect_err("the configuration is wrong");
        error.to_string().replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

#[test]
fn a_minimal_configuration_gets_defaults() {
    let folder = Folder::new();
    let spec = load(&folder.config("[boot]\nkernel = \"vmlinuz\"\n"), &[]).unwrap();
    assert_eq!((spec.name.as_str(), spec.cpus, spec.memory), ("vm", 1, 512 << 20));
    assert_eq!(spec.on_reboot, OnReboot::Restart);
    assert_eq!(spec.spice.listen.value, Listen::Default);
    assert_eq!(spec.display.advanced.vgamem, 16 << 20);
}

#[test]
fn an_unknown_key_names_line_and_nearest_known_key() {
    let folder = Folder::new();
    assert_eq!(
        folder.message("name = \"a\"\ncpu = 2\n").split(" (known").next(),
        Some("DIR/vm.toml:2: unknown key `cpu`: did you mean `cpus`?")
    );
    assert!(
        folder
            .message("[boot]\nkernel = \"vmlinuz\"\ninitrd = \"x\"\n")
            .contains("vm.toml:3: unknown key `initrd`")
    );
}

#[test]
fn a_wrong_type_names_the_line() {
    let message = Folder::new().message("cpus = \"two\"\n");
    assert!(
        message.starts_with("DIR/vm.toml:1: cpus: ") && message.contains("integer"),
        "{message}"
    );
}

#[test]
fn a_syntax_error_is_one_line_with_its_place() {
    let message = Folder::new().message("name = \"a\"\n[boot\n");
    assert!(
        message.starts_with("DIR/vm.toml:2: ") && !message.contains('\n'),
        "{message}"
    );
}

#[test]
fn impossible_sizes_name_field_value_and_range() {
    let folder = Folder::new();
    let boot = "[boot]\nkernel = \"vmlinuz\"\n";
    assert_eq!(
        folder.message(&format!("cpus = 0\n{boot}")),
        "DIR/vm.toml:1: cpus: 0 is not in 1 to 64"
    );
    assert_eq!(
        folder.message(&format!("memory = \"1 MiB\"\n{boot}")),
        "DIR/vm.toml:1: memory: 1 MiB is not in 16 MiB to 31 GiB"
    );
    assert!(folder.message(&format!("memory = \"512\"\n{boot}")).contains("no unit"));
    assert!(
        folder
            .message(&format!("{boot}[display]\nmax_resolution = \"9000x10\"\n"))
            .contains("vm.toml:4: display.max")
    );
    assert_eq!(
        folder.message(&format!("{boot}[display]\ndevices = 5\n")),
        "DIR/vm.toml:4: display.devices: 5 is not in 1 to 4"
    );
    assert_eq!(
        folder.message(&format!("{boot}[display]\nheads = 0\n")),
        "DIR/vm.toml:4: display.heads: 0 is not in 1 to 16"
    );
    assert_eq!(
        folder.message(&format!("{boot}[display.advanced]\nrevision = 6\n")),
        "DIR/vm.toml:4: display.advanced.revision: 6 is not in 1 to 5"
    );
    assert_eq!(
        folder.message(&format!("{boot}[display.advanced]\nvram64 = \"32 MiB\"\n")),
        "DIR/vm.toml:4: display.advanced.vram64: 32 MiB is not in 64 MiB to 8 GiB"
    );
}

#[test]
fn images_are_compressed_as_the_names_say_and_other_names_are_refused() {
    let folder = Folder::new();
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\n{keys}\n");
    let spice = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().spice;
    let usual = spice("");
    assert_eq!(
        (usual.compression, usual.jpeg, usual.zlib, usual.video),
        (Compression::AutoGlz, Use::Never, Use::Auto, Video::Filter)
    );
    for (name, meant) in [
        ("auto", Compression::AutoGlz),
        ("auto_glz", Compression::AutoGlz),
        ("auto_lz", Compression::AutoLz),
        ("quic", Compression::Quic),
        ("glz", Compression::Glz),
        ("lz", Compression::Lz),
        ("lz4", Compression::Lz4),
        ("off", Compression::Off),
    ] {
        assert_eq!(spice(&format!("compression = {name:?}")).compression, meant);
    }
    for (name, meant) in [("auto", Use::Auto), ("always", Use::Always), ("never", Use::Never)] {
        let set = spice(&format!("jpeg = {name:?}\nzlib = {name:?}"));
        assert_eq!((set.jpeg, set.zlib), (meant, meant));
    }
    for (name, meant) in [("filter", Video::Filter), ("all", Video::All), ("off", Video::Off)] {
        assert_eq!(spice(&format!("video = {name:?}")).video, meant);
    }
    for (name, meant) in [
        ("many", Clients::Many),
        ("newest", Clients::Newest),
        ("first", Clients::First),
    ] {
        assert_eq!(spice(&format!("clients = {name:?}")).clients, meant);
    }
    assert_eq!(
        folder.message(&text("jpeg = \"yes\"")),
        "DIR/vm.toml:4: spice.jpeg: \"yes\" is not one of \"auto\", \"always\", \"never\""
    );
    for wrong in [
        "compression = \"zip\"",
        "compression = \"Auto\"",
        "zlib = \"\"",
        "zlib = true",
        "video = \"on\"",
        "clients = \"1\"",
    ] {
        assert!(folder.message(&text(wrong)).starts_with("DIR/vm.toml:4: "), "{wrong}");
    }
}

#[test]
fn the_clipboard_goes_the_ways_that_are_said() {
    let folder = Folder::new();
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[agent]\n{keys}\n");
    let agent = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().agent;
    assert_eq!(agent(""), Agent::default());
    assert!(!agent("file_transfer = false").file_transfer);
    for (name, meant) in [
        ("both", Clipboard::Both),
        ("to-guest", Clipboard::ToGuest),
        ("to-client", Clipboard::ToClient),
        ("off", Clipboard::Off),
    ] {
        assert_eq!(agent(&format!("clipboard = {name:?}")).clipboard, meant);
    }
    assert_eq!(
        folder.message(&text("clipboard = \"to_guest\"")),
        "DIR/vm.toml:4: agent.clipboard: \"to_guest\" is not one of \"both\", \"to-guest\", \"to-client\", \"off\""
    );
}

#[test]
fn a_machine_has_a_tablet_unless_it_is_to_have_none() {
    let folder = Folder::new();
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[input]\n{keys}\n");
    let tablet = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().input.tablet;
    assert!(tablet("") && tablet("tablet = true") && !tablet("tablet = false"));
    assert!(folder.message(&text("tablet = 1")).starts_with("DIR/vm.toml:4: "));
    assert!(folder.message(&text("tabelt = true")).contains("`tablet`"));
}

#[test]
fn rates_have_units_and_a_least() {
    let folder = Folder::new();
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\n{keys}\n");
    let spice = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().spice;
    assert_eq!((spice("").client_rate, spice("").total_rate), (None, None));
    let set = spice("client_rate = \"10 Mbit/s\"\ntotal_rate = \"1 Gbit/s\"");
    assert_eq!(
        (set.client_rate, set.total_rate),
        (Some(10_000_000), Some(1_000_000_000))
    );
    assert_eq!(
        folder.message(&text("client_rate = \"63 kbit/s\"")),
        "DIR/vm.toml:4: spice.client_rate: \"63 kbit/s\" is less than 64 kbit/s"
    );
    assert_eq!(
        folder.message(&text("total_rate = \"10\"")),
        "DIR/vm.toml:4: spice.total_rate: \"10\" needs a unit: kbit/s, Mbit/s or Gbit/s"
    );
}

#[test]
fn a_missing_kernel_names_file_and_line() {
    let message = Folder::new().message("[boot]\n\nkernel = \"absent\"\n");
    assert_eq!(
        message,
        "DIR/vm.toml:3: boot.kernel: cannot open DIR/absent: No such file or directory (os error 2)"
    );
    assert!(Folder::new().message("name = \"a\"\n").contains("[boot] is missing"));
}

#[test]
fn an_open_address_without_ticket_is_refused_unless_insecure() {
    let folder = Folder::new();
    let text = "[boot]\nkernel = \"vmlinuz\"\n[spice]\nlisten = \"0.0.0.0:5900\"\n";
    assert!(
        folder
            .message(text)
            .contains("vm.toml:4: spice.listen: 0.0.0.0:5900 can be reached")
    );
    assert!(load(&folder.config(&format!("{text}insecure = true\n")), &[]).is_ok());
    fs::write(folder.path("ticket.txt"), "secret\n").unwrap();
    let spec = load(
        &folder.config(&format!("{text}ticket = {{ file = \"ticket.txt\" }}\n")),
        &[],
    )
    .unwrap();
    assert_eq!(spec.spice.ticket.as_ref().map(|t| t.password.as_str()), Some("secret"));
    assert!(!format!("{spec:?}").contains("secret"));
}

#[test]
fn a_page_has_a_place_of_its_own_and_lets_in_whom_the_screen_does() {
    let folder = Folder::new();
    fs::write(folder.path("ticket.txt"), "secret\n").unwrap();
    let text = |spice: &str, web: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\n{spice}\n[web]\n{web}\n");
    let web = |spice: &str, web: &str| load(&folder.config(&text(spice, web)), &[]).unwrap().web.unwrap();
    let wrong = |spice: &str, web: &str| folder.message(&text(spice, web));
    assert_eq!(
        load(&folder.config("[boot]\nkernel = \"vmlinuz\"\n"), &[]).unwrap().web,
        None
    );
    let usual = web("", "listen = \"127.0.0.1:5980\"");
    assert_eq!(
        (usual.listen.value.to_string().as_str(), usual.power),
        ("127.0.0.1:5980", false)
    );
    assert!(web("", "listen = \"fd:4\"\npower = true").power);
    assert_eq!(
        web("", "listen = \"unix:web.sock\"").listen.value,
        Listen::Unix(folder.path("web.sock"))
    );
    let ticket = "ticket = { file = \"ticket.txt\" }";
    web(ticket, "listen = \"0.0.0.0:5980\"\npower = true");
    web("insecure = true", "listen = \"0.0.0.0:5980\"");
    web("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:0\"");
    assert_eq!(wrong("", "power = true"), "DIR/vm.toml:5: [web] needs a `listen`");
    for (spice, web, says) in [
        (
            "",
            "listen = \"0.0.0.0:5980\"",
            "6: web.listen: 0.0.0.0:5980 can be reached",
        ),
        ("", "listen = \"5980\"", "6: web.listen: \"5980\" is neither"),
        ("", "listen = \"127.0.0.1:1\"\nport = 1", "7: unknown key `port`"),
        (
            "listen = \"127.0.0.1:5900\"",
            "listen = \"127.0.0.1:5900\"",
            "6: web.listen: the same as spice.listen",
        ),
        (
            "tls = { generate = true, listen = \"fd:5\" }",
            "listen = \"fd:5\"",
            "6: web.listen: the same as spice.tls.listen",
        ),
        ("", "listen = \"127.0.0.1:1\"\npower = 1", "7: power: invalid type"),
    ] {
        assert!(wrong(spice, web).contains(says), "{}", wrong(spice, web));
    }
    fs::write(folder.path("users"), "").unwrap();
    let users = "tls = { generate = true }\nsasl = { users = \"users\" }";
    assert!(wrong(users, "listen = \"unix:w\"").contains("7: web.listen: users authenticate in TLS"));
    assert!(wrong(users, "listen = \"0.0.0.0:1\"\npower = true").contains("8: web.power: it needs the `ticket`"));
    assert!(!web(users, "listen = \"0.0.0.0:1\"\npower = false").power);
}

#[test]
fn tls_has_files_or_is_generated_and_says_what_is_missing() {
    let folder = Folder::new();
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        fs::write(folder.path(name), "pem").unwrap();
    }
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\n{keys}\n");
    let tls = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().spice.tls.unwrap();
    let files = tls("tls = { listen = \"[::1]:0\", cert = \"cert.pem\", key = \"key.pem\", ca = \"ca.pem\" }");
    assert_eq!(files.listen.unwrap().value.to_string(), "[::1]:0");
    assert!(matches!(
        files.certificate,
        Certificate::Files { key, ca: Some(_), .. } if key.value == folder.path("key.pem")
    ));
    let made = tls("tls = { generate = true, names = [\"vm.example.org\", \"192.0.2.1\", \"2001:db8::1\"] }");
    assert!(made.listen.is_none() && matches!(made.certificate, Certificate::Generated { names } if names.len() == 3));
    for (keys, says) in [
        ("tls = {}", "spice.tls: give `cert` and `key`, or `generate = true`"),
        ("tls = { cert = \"cert.pem\" }", "spice.tls: `cert` needs its `key`"),
        ("tls = { key = \"key.pem\" }", "spice.tls: `key` needs its `cert`"),
        (
            "tls = { cert = \"cert.pem\", key = \"key.pem\", generate = true }",
            "not both",
        ),
        (
            "tls = { cert = \"absent\", key = \"key.pem\" }",
            "spice.tls.cert: cannot open DIR/absent",
        ),
        (
            "tls = { generate = true, names = [\"a b\"] }",
            "spice.tls.names: \"a b\" is neither",
        ),
        (
            "tls = { cert = \"cert.pem\", key = \"key.pem\", names = [] }",
            "spice.tls.names: only",
        ),
        ("tls = { generate = true, ca = \"ca.pem\" }", "spice.tls.ca: "),
        (
            "tls = { generate = true, listen = \"unix:s\" }",
            "spice.tls.listen: clients do not",
        ),
        (
            "tls = { generate = true, listen = \"0.0.0.0:1\" }",
            "spice.tls.listen: 0.0.0.0:1 can be reached",
        ),
        (
            "tls = { generate = true, listen = \"fd:2\" }",
            "spice.tls.listen: \"fd:2\" is not",
        ),
        (
            "tls = { generate = true, host = \"a b\" }",
            "spice.tls.host: \"a b\" is neither",
        ),
        (
            "tls = { generated = true }",
            "unknown key `generated`: did you mean `generate`?",
        ),
    ] {
        let message = folder.message(&text(keys));
        assert!(
            message.starts_with("DIR/vm.toml:4: ") && message.contains(says),
            "{message}"
        );
    }
    let both = |listen: &str| {
        folder.message(&text(&format!(
            "listen = {listen:?}\ntls = {{ generate = true, listen = {listen:?} }}"
        )))
    };
    assert!(both("127.0.0.1:7").starts_with("DIR/vm.toml:5: spice.tls.listen: the same"));
    let unix = folder.message(&text("listen = \"unix:s\"\ntls = { generate = true }"));
    assert!(unix.starts_with("DIR/vm.toml:5: spice.tls: clients do not"), "{unix}");
    assert_eq!(
        load(&folder.config(&text("listen = \"fd:3\"")), &[])
            .unwrap()
            .spice
            .listen
            .value,
        Listen::Fd(3)
    );
}

#[test]
fn channels_may_need_tls_where_there_is_some() {
    let folder = Folder::new();
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\ntls = {{ generate = true }}\n{keys}\n");
    let channels = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().spice.channels;
    assert_eq!(channels("").of("main"), Access::Any);
    let some = channels("channels = { main = \"tls\", cursor = \"plain\" }");
    assert_eq!(
        ["main", "cursor", "inputs"].map(|name| some.of(name)),
        [Access::Tls, Access::Plain, Access::Any]
    );
    assert_eq!(channels("channels = { default = \"tls\" }").of("usbredir"), Access::Tls);
    assert_eq!(
        folder.message(&text("channels = { main = \"ssl\" }")),
        "DIR/vm.toml:5: spice.channels.main: \"ssl\" is not one of \"any\", \"plain\", \"tls\""
    );
    assert!(
        folder
            .message(&text("channels = { mian = \"tls\" }"))
            .contains("did you mean `main`?")
    );
    assert_eq!(
        folder.message("[boot]\nkernel = \"vmlinuz\"\n[spice]\nchannels = { inputs = \"tls\" }\n"),
        "DIR/vm.toml:4: spice.channels.inputs: there is no `tls` in [spice]"
    );
}

#[test]
fn a_ticket_for_viewers_is_another_one_than_that_for_control() {
    let folder = Folder::new();
    fs::write(folder.path("control"), "secret\n").unwrap();
    fs::write(folder.path("view"), "public\n").unwrap();
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\n{keys}\n");
    let control = "ticket = { file = \"control\" }";
    let keys = format!("{control}\nview_ticket = {{ file = \"view\", expires = \"60 min\" }}");
    let spice = load(&folder.config(&text(&keys)), &[]).unwrap().spice;
    let view = spice.view_ticket.unwrap();
    assert_eq!(view.password, "public");
    assert_eq!(view.expires, Some(std::time::Duration::from_secs(3600)));
    for (keys, says) in [
        (
            "view_ticket = { file = \"view\" }".to_owned(),
            "spice.view_ticket: everybody has control",
        ),
        (
            format!("{control}\nview_ticket = {{ file = \"control\" }}"),
            "spice.view_ticket: it is the same as `ticket`",
        ),
        (
            format!("{control}\nview_ticket = {{ file = \"absent\" }}"),
            "spice.view_ticket: cannot read DIR/absent",
        ),
    ] {
        let message = folder.message(&text(&keys));
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn a_ticket_has_one_source_and_may_expire() {
    let folder = Folder::new();
    fs::write(folder.path("ticket"), "secret\nanother line\n").unwrap();
    let text = |ticket: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\nticket = {ticket}\n");
    let ticket = |keys: &str| load(&folder.config(&text(keys)), &[]).unwrap().spice.ticket.unwrap();
    let usual = ticket("{ file = \"ticket\" }");
    assert_eq!(
        (usual.password.as_str(), usual.in_file, usual.expires),
        ("secret", true, None)
    );
    let short = ticket("{ file = \"ticket\", expires = \"10 min\" }");
    assert_eq!(short.expires, Some(std::time::Duration::from_secs(600)));
    fs::write(folder.path("long"), "x".repeat(61)).unwrap();
    fs::write(folder.path("nul"), "a\0b").unwrap();
    for (keys, says) in [
        ("{}", "spice.ticket: give exactly one"),
        ("{ file = \"long\" }", "DIR/long holds 61 bytes, not 1 to 60"),
        ("{ file = \"nul\" }", "DIR/nul holds a NUL"),
        (
            "{ file = \"ticket\", expires = \"10\" }",
            "spice.ticket.expires: \"10\" needs a unit",
        ),
    ] {
        let message = folder.message(&text(keys));
        assert!(
            message.starts_with("DIR/vm.toml:4: ") && message.contains(says),
            "{message}"
        );
    }
}

#[test]
fn overrides_change_values_and_are_blamed_when_wrong() {
    let folder = Folder::new();
    let path = folder.config("[boot]\nkernel = \"vmlinuz\"\n");
    let set = |list: &[&str]| load(&path, &list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    let spec = set(&["cpus=2", "spice.listen=127.0.0.1:0", "boot.cmdline=console=ttyS0"]).unwrap();
    assert_eq!(spec.cpus, 2);
    assert_eq!(spec.boot.cmdline.value, "console=ttyS0");
    assert_eq!(
        set(&["cpuz=2"]).unwrap_err().to_string().split(" (known").next(),
        Some("--set: unknown key `cpuz`: did you mean `cpus`?")
    );
    // A mistake of the file keeps its line; what is found later names no line of a text nobody has seen.
    fs::write(&path, "[boot]\nkernel = \"vmlinuz\"\n[spice]\nlisten = \"nowhere\"\n").unwrap();
    assert_eq!(set(&["cpus=2"]).unwrap_err().line, Some(4));
    let spec = set(&["cpus=2", "spice.listen=127.0.0.1:0"]).unwrap();
    assert_eq!(spec.spice.listen.origin.line, None);
    assert!(set(&["novalue"]).unwrap_err().to_string().contains("key=value"));
}

#[test]
fn the_schema_lists_every_key_with_a_description() {
    let schema = schema();
    let properties = schema["properties"].as_object().unwrap();
    for key in [
        "name", "cpus", "memory", "boot", "disk", "display", "spice", "serial", "control",
    ] {
        assert!(properties[key].get("description").is_some(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let _ = parse(std::path::Path::new("vm.toml"), &text, &[]);
    }

    #[test]
    fn arbitrary_overrides_never_panic(text in "[a-z.=\\[\\]\"0-9]{0,40}") {
        let _ = parse(std::path::Path::new("vm.toml"), "cpus = 1", &[text]);
    }
}

#[test]
fn users_authenticate_in_tls_and_with_nothing_beside_it() {
    let folder = Folder::new();
    for file in ["users", "ticket", "cert", "key"] {
        fs::write(folder.path(file), "x\n").unwrap();
    }
    let tls = "tls = { cert = \"cert\", key = \"key\", listen = \"127.0.0.1:0\" }\n";
    let sasl = "sasl = { users = \"users\" }\n";
    let text = |keys: &str| format!("[boot]\nkernel = \"vmlinuz\"\n[spice]\n{keys}");
    // Others can come: who they are is asked.
    let open = text(&format!("listen = \"0.0.0.0:5900\"\n{tls}{sasl}"));
    let spec = load(&folder.config(&open), &[]).unwrap();
    assert_eq!(spec.spice.sasl.unwrap().users.value, folder.path("users"));
    assert!(spec.spice.ticket.is_none());
    for (keys, message) in [
        (
            format!("{tls}{sasl}ticket = {{ file = \"ticket\" }}\n"),
            "spice.sasl: there is `ticket`, too",
        ),
        (sasl.to_owned(), "spice.sasl: there is no `tls` in [spice]"),
        (
            format!("listen = \"unix:socket\"\n{tls}{sasl}"),
            "spice.listen: users authenticate in TLS",
        ),
        (
            format!("{tls}{sasl}channels = {{ cursor = \"plain\" }}\n"),
            "spice.channels.cursor is \"plain\"",
        ),
        (
            format!("{tls}{sasl}channels = {{ default = \"plain\" }}\n"),
            "spice.channels.default is \"plain\"",
        ),
        (
            format!("{tls}sasl = {{ users = \"absent\" }}\n"),
            "spice.sasl.users: cannot open DIR/absent",
        ),
        (format!("{tls}sasl = {{}}\n"), "users"),
    ] {
        let got = folder.message(&text(&keys));
        assert!(got.contains(message), "{got}");
    }
}
