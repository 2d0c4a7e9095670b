//! The server on a real socket, driving a machine that only records what it is told.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use caraway_ports::{
    input::{Button, InputEvent, InputSink, LedListener, Leds, Scancode},
    tablet::{TabletEvent, TabletListener, TabletSink},
};
use serde_json::json;

use super::*;
use crate::{
    ChannelCounts, ClientCounts, Connected, Event, Figures, MigrateParameters, Migration, MigrationStatus, Recording,
    Role, RunState, Screen, Screenshot, Snapshot, SpiceInfo, VideoMode, backend::Address, client::Client,
};

#[derive(Default)]
struct Keyboard(Mutex<Vec<InputEvent>>);

impl InputSink for Keyboard {
    fn send(&self, event: InputEvent) {
        self.0.lock().unwrap().push(event);
    }

    fn pending(&self) -> usize {
        0
    }

    fn leds(&self) -> Leds {
        Leds::default()
    }

    fn watch_leds(&self, _listener: Arc<dyn LedListener>) {}
}

#[derive(Default)]
struct Tablet {
    is_present: AtomicBool,
    reports: Mutex<Vec<Vec<TabletEvent>>>,
}

impl TabletSink for Tablet {
    fn is_present(&self) -> bool {
        self.is_present.load(Ordering::SeqCst)
    }

    fn send(&self, events: &[TabletEvent]) {
        self.reports.lock().unwrap().push(events.to_vec());
    }

    fn watch_presence(&self, _listener: Arc<dyn TabletListener>) {}
}

struct Machine {
    tablet: Arc<Tablet>,
    running: Mutex<bool>,
    keyboard: Arc<Keyboard>,
    events: broadcast::Sender<Event>,
    recordings: Mutex<Vec<(u32, PathBuf)>>,
    video: Mutex<VideoMode>,
    ticket: Mutex<Vec<String>>,
    migrations: Mutex<Vec<String>>,
}

impl Backend for Machine {
    fn name(&self) -> String {
        "test".to_owned()
    }

    fn status(&self) -> RunState {
        if *self.running.lock().unwrap() {
            RunState::Running
        } else {
            RunState::Paused
        }
    }

    fn stop(&self) -> Result<(), QmpError> {
        *self.running.lock().unwrap() = false;
        let _ = self.events.send(Event::Stop);
        Ok(())
    }

    fn cont(&self) -> Result<(), QmpError> {
        *self.running.lock().unwrap() = true;
        let _ = self.events.send(Event::Resume);
        Ok(())
    }

    fn reset(&self) -> Result<(), QmpError> {
        Err(QmpError::generic("no"))
    }

    fn powerdown(&self) -> Result<(), QmpError> {
        Ok(())
    }

    fn quit(&self) -> Result<(), QmpError> {
        Ok(())
    }

    fn snapshot(&self, directory: &Path) -> Result<Snapshot, QmpError> {
        std::fs::create_dir(directory).map_err(|error| QmpError::generic(error.to_string()))?;
        Ok(Snapshot {
            bytes: 4096,
            pause_ns: 7,
        })
    }

    fn screenshot(&self, screen: Screen, _cursor: bool) -> Result<Screenshot, QmpError> {
        if screen.device != 0 {
            return Err(QmpError::generic(format!("no device {}", screen.device)));
        }
        match screen.head {
            None | Some(0) => Ok(Screenshot {
                width: 1,
                height: 1,
                rgb: vec![1, 2, 3],
                hash: 0xabcd,
            }),
            Some(head) => Err(QmpError::generic(format!("no head {head}"))),
        }
    }

    fn watch(&self, _device: u32) -> Result<Box<dyn std::any::Any + Send + Sync>, QmpError> {
        Ok(Box::new(()))
    }

    fn screen_changes(&self, _device: u32) -> u64 {
        0
    }

    fn record_qxl(&self, device: u32, path: &Path) -> Result<(), QmpError> {
        self.recordings.lock().unwrap().push((device, path.to_owned()));
        Ok(())
    }

    fn record_qxl_stop(&self, device: u32) -> Result<Recording, QmpError> {
        self.recording(device)?
            .ok_or_else(|| QmpError::generic("this display is not being recorded"))
    }

    fn recording(&self, device: u32) -> Result<Option<Recording>, QmpError> {
        let recordings = self.recordings.lock().unwrap();
        let found = recordings.iter().find(|(of, _)| *of == device);
        Ok(found.map(|(_, path)| Recording {
            recording: true,
            filename: path.display().to_string(),
            bytes: 15,
            events: 1,
            error: None,
        }))
    }

    fn client_migrate_info(&self, destination: crate::ClientDestination) -> Result<(), QmpError> {
        Err(QmpError::generic(destination.host))
    }

    fn migrate(&self, uri: &str) -> Result<(), QmpError> {
        let mut migrations = self.migrations.lock().unwrap();
        if !migrations.is_empty() {
            return Err(QmpError::generic("There's a migration process in progress"));
        }
        migrations.push(uri.to_owned());
        let status = MigrationStatus::Setup;
        let _ = self.events.send(Event::Migration { status });
        Ok(())
    }

    fn migrate_cancel(&self) -> Result<(), QmpError> {
        self.migrations.lock().unwrap().clear();
        Ok(())
    }

    fn migration(&self) -> Option<Migration> {
        let active = !self.migrations.lock().unwrap().is_empty();
        active.then(|| Migration {
            status: MigrationStatus::Active,
            total_time: Duration::from_secs(1),
            setup_time: Duration::ZERO,
            downtime: None,
            total: 8192,
            remaining: 4096,
            transferred: 4096,
            normal: 1,
            zero: 0,
            rounds: 1,
            dirty_rate: 0,
            bandwidth: 0,
            error: None,
        })
    }

    fn migrate_parameters(&self) -> MigrateParameters {
        MigrateParameters {
            max_bandwidth: Some(1 << 20),
            downtime_limit: Some(300),
        }
    }

    fn set_migrate_parameters(&self, parameters: MigrateParameters) -> Result<(), QmpError> {
        match parameters.downtime_limit {
            Some(limit) => Err(QmpError::generic(format!("no {limit}"))),
            None => Ok(()),
        }
    }

    fn input(&self) -> Result<Arc<dyn InputSink>, QmpError> {
        Ok(self.keyboard.clone())
    }

    fn tablet(&self) -> Option<Arc<dyn TabletSink>> {
        Some(self.tablet.clone())
    }

    fn spice(&self) -> SpiceInfo {
        SpiceInfo {
            enabled: true,
            migrated: false,
            host: Some("127.0.0.1".to_owned()),
            port: Some(5900),
            tls_port: Some(5901),
            auth: "none",
            compiled_version: "caraway",
            mouse_mode: "server",
            channels: Vec::new(),
        }
    }

    fn set_ticket(&self, role: Role, ticket: &str, connected: Connected) -> Result<(), QmpError> {
        let text = format!("{role:?} {ticket} {connected:?}");
        self.ticket.lock().unwrap().push(text);
        Ok(())
    }

    fn expire_ticket(&self, role: Role, after: Option<Duration>) -> Result<(), QmpError> {
        self.ticket.lock().unwrap().push(format!("{role:?} {after:?}"));
        Ok(())
    }

    fn clients(&self) -> Vec<ClientCounts> {
        vec![ClientCounts {
            client: Address {
                host: "192.0.2.1".to_owned(),
                port: "4711".to_owned(),
                family: "ipv4",
            },
            connection_id: 7,
            role: Role::Control,
            user: None,
            connected_ms: 1500,
            round_trip_us: Some(250),
            delivery: None,
            channels: vec![ChannelCounts {
                channel_type: 2,
                channel_id: 0,
                bytes_sent: 1000,
                messages_sent: 10,
                bytes_received: 60,
                details: BTreeMap::from([("waiting-items", 3)]),
            }],
        }]
    }

    fn video(&self) -> VideoMode {
        *self.video.lock().unwrap()
    }

    fn set_video(&self, mode: VideoMode) {
        *self.video.lock().unwrap() = mode;
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }

    #[cfg(feature = "misbehave")]
    fn misbehave(&self, misbehaviour: &crate::Misbehaviour) -> Result<u64, QmpError> {
        match (misbehaviour.device.as_str(), misbehaviour.fault.as_deref()) {
            ("qxl", Some("ram-magic")) => {
                Ok(misbehaviour.value.unsigned_abs() + u64::from(misbehaviour.count.unwrap_or(0)))
            }
            ("qxl", None) => Ok(0),
            _ => Err(QmpError::generic("no such device or fault")),
        }
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

struct Harness {
    _runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    keyboard: Arc<Keyboard>,
    tablet: Arc<Tablet>,
    machine: Arc<Machine>,
}

impl Harness {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (keyboard, tablet) = (Arc::new(Keyboard::default()), Arc::new(Tablet::default()));
        let machine = Arc::new(Machine {
            running: Mutex::new(true),
            keyboard: Arc::clone(&keyboard),
            tablet: Arc::clone(&tablet),
            events: broadcast::channel(16).0,
            recordings: Mutex::default(),
            video: Mutex::new(VideoMode::Filter),
            ticket: Mutex::default(),
            migrations: Mutex::default(),
        });
        let _guard = runtime.enter();
        let listener = UnixListener::bind(folder.path().join("qmp.sock")).unwrap();
        runtime.spawn(serve(
            listener,
            Arc::clone(&machine) as Arc<dyn Backend>,
            folder.path().to_owned(),
            std::future::pending(),
        ));
        Self {
            _runtime: runtime,
            folder,
            keyboard,
            tablet,
            machine,
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.folder.path().join("qmp.sock")).unwrap()
    }

    fn raw(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.folder.path().join("qmp.sock")).unwrap())
    }
}

fn line(stream: &mut BufReader<UnixStream>) -> Value {
    let mut text = String::new();
    stream.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"))
}

#[test]
fn commands_before_negotiation_are_refused_and_ids_are_echoed() {
    let harness = Harness::new();
    let mut stream = harness.raw();
    assert_eq!(line(&mut stream)["QMP"]["version"]["qemu"]["major"], 7);
    stream
        .get_mut()
        .write_all(b"{\"execute\": \"query-status\", \"id\": [7]}\n")
        .unwrap();
    let reply = line(&mut stream);
    assert_eq!(reply["error"]["class"], "CommandNotFound");
    assert_eq!(reply["id"], json!([7]));
}

#[test]
fn a_command_in_pieces_and_two_in_one_write_are_all_answered() {
    let harness = Harness::new();
    let mut stream = harness.raw();
    line(&mut stream);
    for piece in [
        &b"{\"execute\": \"qmp_capa"[..],
        b"bilities\"}\n{\"execute\": \"query-status\"}\n{\"execute\"",
    ] {
        stream.get_mut().write_all(piece).unwrap();
    }
    assert_eq!(line(&mut stream), json!({"return": {}}));
    assert_eq!(line(&mut stream)["return"]["status"], "running");
    stream.get_mut().write_all(b": \"nonsense\"}\n").unwrap();
    assert_eq!(
        line(&mut stream)["error"]["desc"],
        "The command nonsense has not been found"
    );
}

#[test]
fn stop_and_cont_change_the_status_and_tell_every_client() {
    let harness = Harness::new();
    let (mut a, mut b) = (harness.client(), harness.client());
    a.execute("stop", &json!({})).unwrap();
    assert_eq!(b.event().unwrap()["event"], "STOP");
    assert_eq!(b.execute("query-status", &json!({})).unwrap()["status"], "paused");
    a.execute("cont", &json!({})).unwrap();
    assert_eq!(b.event().unwrap()["event"], "RESUME");
}

#[test]
fn a_migration_is_begun_watched_and_cancelled() {
    let harness = Harness::new();
    let mut client = harness.client();
    assert_eq!(client.execute("query-migrate", &json!({})).unwrap(), json!({}));
    let uri = json!({"uri": "tcp:127.0.0.1:4444"});
    client.execute("migrate", &uri).unwrap();
    let event = client.event().unwrap();
    assert_eq!(
        (&event["event"], &event["data"]["status"]),
        (&json!("MIGRATION"), &json!("setup"))
    );
    assert!(client.execute("migrate", &uri).is_err());
    let reply = client.execute("query-migrate", &json!({})).unwrap();
    assert_eq!(
        (&reply["status"], &reply["ram"]["total"]),
        (&json!("active"), &json!(8192))
    );
    client.execute("migrate_cancel", &json!({})).unwrap();
    assert_eq!(
        client.execute("query-migrate-parameters", &json!({})).unwrap(),
        json!({"max-bandwidth": 1 << 20, "downtime-limit": 300})
    );
    client
        .execute("migrate-set-parameters", &json!({"max-bandwidth": 5}))
        .unwrap();
    for (arguments, words) in [
        (json!({"downtime-limit": 7}), "no 7"),
        (json!({"multifd-channels": 2}), "'multifd-channels' is unexpected"),
    ] {
        let error = client.execute("migrate-set-parameters", &arguments).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_recording_is_begun_watched_and_ended_by_device() {
    let harness = Harness::new();
    let mut client = harness.client();
    let of_device = |device: u32| json!({"device": device});
    assert_eq!(
        client.execute("x-caraway-query-record-qxl", &json!({})).unwrap(),
        json!({"recording": false})
    );
    let error = client.execute("x-caraway-record-qxl-stop", &of_device(1)).unwrap_err();
    assert!(error.to_string().contains("not being recorded"), "{error}");
    client
        .execute("x-caraway-record-qxl", &json!({"filename": "a.rec", "device": 1}))
        .unwrap();
    let path = harness.folder.path().join("a.rec");
    let expected = json!({"recording": true, "filename": path, "bytes": 15, "events": 1});
    for command in ["x-caraway-query-record-qxl", "x-caraway-record-qxl-stop"] {
        assert_eq!(client.execute(command, &of_device(1)).unwrap(), expected);
    }
    assert_eq!(
        client.execute("x-caraway-query-record-qxl", &of_device(0)).unwrap(),
        json!({"recording": false})
    );
}

#[test]
fn a_password_is_set_and_expires_as_qemu_has_it() {
    let harness = Harness::new();
    let mut client = harness.client();
    let mut set = |command, arguments| client.execute(command, &arguments).map_err(|error| error.to_string());
    for connected in [None, Some("keep"), Some("fail"), Some("disconnect")] {
        let mut arguments = json!({"protocol": "spice", "password": "secret"});
        if let Some(connected) = connected {
            arguments["connected"] = json!(connected);
        }
        assert_eq!(set("set_password", arguments), Ok(json!({})));
    }
    for time in ["never", "now", "+60"] {
        assert_eq!(
            set("expire_password", json!({"protocol": "spice", "time": time})),
            Ok(json!({}))
        );
    }
    let view = json!({"protocol": "spice", "password": "public", "x-caraway-role": "view"});
    assert_eq!(set("set_password", view), Ok(json!({})));
    let view = json!({"protocol": "spice", "time": "never", "x-caraway-role": "view"});
    assert_eq!(set("expire_password", view), Ok(json!({})));
    assert_eq!(
        *harness.machine.ticket.lock().unwrap(),
        [
            "Control secret Keep",
            "Control secret Keep",
            "Control secret Fail",
            "Control secret Disconnect",
            "Control None",
            "Control Some(0ns)",
            "Control Some(60s)",
            "View public Keep",
            "View None"
        ]
    );
    for (command, arguments, says) in [
        (
            "set_password",
            json!({"protocol": "vnc", "password": "x"}),
            "there is no VNC server",
        ),
        (
            "set_password",
            json!({"protocol": "rdp", "password": "x"}),
            "does not accept value 'rdp'",
        ),
        (
            "set_password",
            json!({"protocol": "spice"}),
            "Parameter 'password' is missing",
        ),
        (
            "set_password",
            json!({"protocol": "spice", "password": "x", "connected": "no"}),
            "Invalid parameter",
        ),
        (
            "set_password",
            json!({"protocol": "spice", "password": "x", "x-caraway-role": "root"}),
            "Invalid parameter",
        ),
        (
            "expire_password",
            json!({"protocol": "spice", "time": "soon"}),
            "Invalid parameter 'time'",
        ),
    ] {
        let error = set(command, arguments).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(harness.machine.ticket.lock().unwrap().len(), 9);
}

#[test]
fn a_snapshot_is_made_relative_to_the_start_directory() {
    let harness = Harness::new();
    let mut client = harness.client();
    let made = client
        .execute("x-caraway-snapshot", &json!({"directory": "saved"}))
        .unwrap();
    assert_eq!(made, json!({"bytes": 4096, "pause-ns": 7}));
    assert!(harness.folder.path().join("saved").is_dir());
    assert!(
        client
            .execute("x-caraway-snapshot", &json!({"directory": "saved"}))
            .is_err()
    );
    assert!(client.execute("x-caraway-snapshot", &json!({})).is_err());
}

#[test]
fn a_screendump_is_written_relative_to_the_start_directory() {
    let harness = Harness::new();
    let mut client = harness.client();
    client.execute("screendump", &json!({"filename": "a.ppm"})).unwrap();
    assert_eq!(
        std::fs::read(harness.folder.path().join("a.ppm")).unwrap(),
        b"P6\n1 1\n255\n\x01\x02\x03"
    );
    client
        .execute("screendump", &json!({"filename": "a.png", "format": "png"}))
        .unwrap();
    assert!(
        std::fs::read(harness.folder.path().join("a.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
    let error = client
        .execute("screendump", &json!({"filename": "a", "head": 3}))
        .unwrap_err();
    assert_eq!(error.to_string(), "no head 3");
    for (device, says) in [
        ("display1", "no device 1"),
        ("display", "Invalid parameter 'device': no device \"display\""),
        ("vga", "Invalid parameter 'device': no device \"vga\""),
    ] {
        let arguments = json!({"filename": "a", "device": device});
        let error = client.execute("screendump", &arguments).unwrap_err();
        assert_eq!(error.to_string(), says);
    }
}

#[test]
fn keys_are_pressed_in_order_and_released_in_reverse() {
    let harness = Harness::new();
    let keys = json!({"keys": [{"type": "qcode", "data": "ctrl"}, {"type": "number", "data": 0x1e}], "hold-time": 1});
    harness.client().execute("send-key", &keys).unwrap();
    let key = |code, down| InputEvent::Key {
        code: Scancode::Plain(code),
        down,
    };
    assert_eq!(
        *harness.keyboard.0.lock().unwrap(),
        [key(0x1d, true), key(0x1e, true), key(0x1e, false), key(0x1d, false)]
    );
}

#[test]
fn a_bad_event_in_a_list_sends_none_of_it() {
    let harness = Harness::new();
    let events = json!({"events": [
        {"type": "rel", "data": {"axis": "x", "value": 5}},
        {"type": "btn", "data": {"button": "seventh", "down": true}},
    ]});
    let error = harness.client().execute("input-send-event", &events).unwrap_err();
    assert!(error.to_string().contains("\"seventh\" is not a button"));
    assert!(harness.keyboard.0.lock().unwrap().is_empty());
}

#[test]
fn places_and_buttons_go_to_the_tablet_while_the_guest_has_a_driver() {
    let harness = Harness::new();
    let mut client = harness.client();
    let mice = |client: &mut Client| client.execute("query-mice", &json!({})).unwrap();
    let abs = |axis: &str, value: i64| json!({"type": "abs", "data": {"axis": axis, "value": value}});
    let button = |down: bool| json!({"type": "btn", "data": {"button": "left", "down": down}});
    let wheel = |down: bool| json!({"type": "btn", "data": {"button": "wheel-up", "down": down}});
    let rel = json!({"type": "rel", "data": {"axis": "y", "value": 3}});
    let mouse = |is_current| json!({"name": "PS/2 mouse", "index": 1, "current": is_current, "absolute": false});

    let error = client.execute("input-send-event", &json!({"events": [button(true), abs("x", 1)]}));
    assert!(error.unwrap_err().to_string().contains("use rel"));
    assert_eq!(mice(&mut client), json!([mouse(true)]));
    client
        .execute("input-send-event", &json!({"events": [button(true), wheel(true)]}))
        .unwrap();
    let left = |down| InputEvent::Button {
        button: Button::Left,
        down,
    };
    assert_eq!(*harness.keyboard.0.lock().unwrap(), [left(true), InputEvent::Wheel(-1)]);

    harness.tablet.is_present.store(true, Ordering::SeqCst);
    let tablet = json!({"name": "Virtio tablet", "index": 2, "current": true, "absolute": true});
    assert_eq!(mice(&mut client), json!([tablet, mouse(false)]));
    let events =
        json!({"events": [abs("x", 0), abs("y", 32767), rel, button(true), button(false), wheel(true), wheel(false)]});
    client.execute("input-send-event", &events).unwrap();
    let pressed = |down| TabletEvent::Button {
        button: Button::Left,
        down,
    };
    let (x, y) = (TabletEvent::X(0), TabletEvent::Y(32767));
    let report = vec![x, y, pressed(true), pressed(false), TabletEvent::Wheel(-1)];
    assert_eq!(*harness.tablet.reports.lock().unwrap(), [report]);
    // What the mouse held it holds no more.
    let motion = InputEvent::Motion { dx: 0, dy: 3 };
    assert_eq!(harness.keyboard.0.lock().unwrap()[2..], [motion, left(false)]);
    for (wrong, word) in [(abs("x", 32768), "32768"), (abs("x", -1), "-1"), (abs("z", 1), "\"z\"")] {
        let error = client
            .execute("input-send-event", &json!({"events": [abs("y", 5), wrong]}))
            .unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(harness.tablet.reports.lock().unwrap().len(), 1);
}

#[test]
fn waiting_for_a_picture_that_never_comes_ends_with_the_hash_there_is() {
    let harness = Harness::new();
    let mut client = harness.client();
    assert!(
        client
            .execute("x-caraway-wait", &json!({"hash": "000000000000abcd", "timeout": 5}))
            .is_ok()
    );
    assert!(
        client
            .execute("x-caraway-wait", &json!({"still": 1, "timeout": 5}))
            .is_ok()
    );
    let error = client
        .execute("x-caraway-wait", &json!({"hash": "1", "timeout": 0}))
        .unwrap_err();
    assert!(error.to_string().contains("000000000000abcd"));
}

#[test]
fn a_request_without_end_closes_its_own_connection_only() {
    let harness = Harness::new();
    let mut other = harness.client();
    let mut stream = harness.raw();
    line(&mut stream);
    let junk = vec![b'x'; 2 << 20];
    let _ = stream.get_mut().write_all(&junk);
    let mut rest = String::new();
    // The connection ends, with or without a reset for what was not read.
    while matches!(stream.read_line(&mut rest), Ok(n) if n > 0) {}
    assert_eq!(other.execute("query-name", &json!({})).unwrap()["name"], "test");
}

#[test]
fn clients_are_told_with_all_that_is_counted_of_them() {
    let harness = Harness::new();
    let mut client = harness.client();
    let reply = client.execute("x-caraway-clients", &json!({})).unwrap();
    assert_eq!(
        reply,
        json!([{
            "host": "192.0.2.1", "port": "4711", "family": "ipv4", "connection-id": 7,
            "role": "control", "connected-ms": 1500,
            "round-trip-us": 250, "channels": [{
                "channel-type": 2, "channel-id": 0, "bytes-sent": 1000, "messages-sent": 10, "bytes-received": 60,
                "waiting-items": 3,
            }],
        }])
    );
}

#[test]
fn what_goes_as_video_is_asked_and_changed() {
    let harness = Harness::new();
    let mut client = harness.client();
    let mode = |client: &mut Client| client.execute("x-caraway-query-video", &json!({})).unwrap();
    assert_eq!(mode(&mut client), json!({"mode": "filter"}));
    for name in ["all", "off", "filter", "off"] {
        let changed = client.execute("x-caraway-video", &json!({"mode": name})).unwrap();
        assert_eq!((changed, mode(&mut client)), (json!({}), json!({"mode": name})));
    }
    for (arguments, expected) in [
        (
            json!({"mode": "Fast"}),
            "Invalid parameter 'mode': \"Fast\" is none of off, filter, all",
        ),
        (json!({}), "Parameter 'mode' is missing"),
        (json!({"mode": "all", "device": 0}), "Parameter 'device' is unexpected"),
    ] {
        let error = client.execute("x-caraway-video", &arguments).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(mode(&mut client), json!({"mode": "off"}));
}

#[test]
fn devices_misbehave_only_in_programs_for_tests() {
    let harness = Harness::new();
    let mut client = harness.client();
    let names = client.execute("query-commands", &json!({})).unwrap();
    let is_there = names
        .as_array()
        .unwrap()
        .contains(&json!({"name": "x-caraway-misbehave"}));
    assert_eq!(is_there, cfg!(feature = "misbehave"));
    let asked = json!({"device": "qxl", "fault": "ram-magic", "value": -5, "count": 2});
    let answer = client.execute("x-caraway-misbehave", &asked);
    if cfg!(feature = "misbehave") {
        assert_eq!(answer.unwrap(), json!({"acted": 7}));
        let answer = client.execute("x-caraway-misbehave", &json!({"device": "qxl"}));
        assert_eq!(answer.unwrap(), json!({"acted": 0}));
        for wrong in [
            json!({}),
            json!({"device": "disk"}),
            json!({"device": "qxl", "faults": "none"}),
        ] {
            assert!(client.execute("x-caraway-misbehave", &wrong).is_err(), "{wrong}");
        }
    } else {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("x-caraway-misbehave has not been found"), "{error}");
    }
}
