//! A VM's folder and control socket without a VM.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::program::World;

/// What a fake VM says to a command: a QMP reply, or nothing and the end of the connection.
pub(crate) type Answer = fn(&str, &Value) -> Option<Value>;

/// A folder that looks as if its VM ran.
pub(crate) struct FakeVm {
    pub(crate) path: PathBuf,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
    _lock: File,
}

impl FakeVm {
    /// Listens and answers.
    pub(crate) fn start(world: &World, name: &str, answer: Answer) -> Self {
        let vm = Self::start_silent(world, name);
        fs::remove_file(vm.path.join("qmp.sock")).unwrap();
        let listener = UnixListener::bind(vm.path.join("qmp.sock")).unwrap();
        let requests = Arc::clone(&vm.requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away in the middle is the test's business.
                serve(&stream.unwrap(), answer, &requests).ok();
            }
        });
        vm
    }

    /// Listens and never says anything.
    pub(crate) fn start_silent(world: &World, name: &str) -> Self {
        let path = world.run_directory().join(name);
        fs::create_dir(&path).unwrap();
        let lock = File::create(path.join("lock")).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let listener = UnixListener::bind(path.join("qmp.sock")).unwrap();
        // Open until the tests end: connecting works, and nobody answers.
        std::mem::forget(listener);
        let info = json!({
            "name": name,
            "pid": std::process::id(),
            "config": format!("/etc/vms/{name}.toml"),
            "spice": "spice://127.0.0.1:5907",
            "web": "http://127.0.0.1:5987/",
            "control": path.join("qmp.sock"),
            "serial": path.join("serial.sock"),
        });
        fs::write(path.join("info.json"), info.to_string()).unwrap();
        Self {
            path,
            requests: Arc::default(),
            _lock: lock,
        }
    }

    /// Commands that came since the last time, without negotiation.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

fn serve(stream: &UnixStream, answer: Answer, requests: &Mutex<Vec<(String, Value)>>) -> std::io::Result<()> {
    let mut writer = stream;
    writeln!(writer, r#"{{"QMP":{{"version":{{}},"capabilities":[]}}}}"#)?;
    for line in BufReader::new(stream).lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let command = request["execute"].as_str().unwrap().to_owned();
        if command == "qmp_capabilities" {
            writeln!(writer, r#"{{"return":{{}}}}"#)?;
            continue;
        }
        let reply = answer(&command, &request["arguments"]);
        requests.lock().unwrap().push((command, request["arguments"].clone()));
        match reply {
            // An event may come before any reply.
            Some(reply) => writeln!(writer, "{}\n{reply}", json!({"event": "RTC_CHANGE"}))?,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Agrees to everything; a picture of two pixels.
pub(crate) fn agreeable(command: &str, arguments: &Value) -> Option<Value> {
    let hash = "0123456789abcdef";
    Some(json!({"return": match command {
        "query-status" => json!({"running": false, "singlestep": false, "status": "paused"}),
        "query-name" => json!({"name": "web"}),
        "query-spice" => json!({"enabled": true, "channels": []}),
        "x-caraway-clients" => json!([{
            "host": "192.0.2.1", "port": "4711", "family": "ipv4", "connection-id": 7, "connected-ms": 61500,
            "round-trip-us": 250, "delivery": 12_345_678,
            "channels": [
                {"channel-type": 1, "channel-id": 0, "bytes-sent": 90, "messages-sent": 5, "bytes-received": 60},
                {"channel-type": 2, "channel-id": 0, "bytes-sent": 1000, "messages-sent": 10, "bytes-received": 60,
                 "waiting-items": 3, "waiting-pixels": 640},
            ],
        }]),
        "x-caraway-shot" if arguments["hash_only"] == true => json!({"width": 2, "height": 1, "hash": hash}),
        "x-caraway-shot" => json!({"width": 2, "height": 1, "hash": hash, "png": "UE5H"}),
        "x-caraway-record-qxl-stop" => {
            json!({"recording": false, "filename": "/tmp/a.rec", "bytes": 1500, "events": 12})
        }
        "x-caraway-query-video" => json!({"mode": "filter"}),
        "x-caraway-wait" => json!({"hash": hash}),
        _ => json!({}),
    }}))
}

/// Refuses everything.
pub(crate) fn contrary(command: &str, _: &Value) -> Option<Value> {
    Some(json!({"error": {"class": "GenericError", "desc": format!("no {command}\u{1b}[2J\ntoday")}}))
}
