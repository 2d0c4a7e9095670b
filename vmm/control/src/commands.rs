//! The commands.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Backend, MigrateParameters, QmpError, RunState, Screen, Screenshot, VideoMode, encode_png, encode_ppm,
    input::{self, KeyValue, QmpInput},
    migrate, password,
    wire::{self, Request},
};

/// Names of all commands, for `query-commands`.
pub(crate) const NAMES: &[&str] = &[
    "client_migrate_info",
    "cont",
    "expire_password",
    "input-send-event",
    "migrate",
    "migrate-set-parameters",
    "migrate_cancel",
    "qmp_capabilities",
    "query-commands",
    "query-kvm",
    "query-mice",
    "query-migrate",
    "query-migrate-parameters",
    "query-name",
    "query-spice",
    "query-status",
    "query-version",
    "quit",
    "screendump",
    "send-key",
    "set_password",
    "stop",
    "system_powerdown",
    "system_reset",
    "x-caraway-clients",
    "x-caraway-figures",
    #[cfg(feature = "misbehave")]
    "x-caraway-misbehave",
    "x-caraway-query-record-qxl",
    "x-caraway-query-video",
    "x-caraway-record-qxl",
    "x-caraway-record-qxl-stop",
    "x-caraway-shot",
    "x-caraway-snapshot",
    "x-caraway-type",
    "x-caraway-video",
    "x-caraway-wait",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    #[serde(default)]
    enable: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Video {
    mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Screendump {
    filename: PathBuf,
    #[serde(default)]
    head: Option<u32>,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Ppm,
    Png,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shot {
    #[serde(default)]
    device: u32,
    #[serde(default)]
    head: Option<u32>,
    #[serde(default)]
    cursor: bool,
    #[serde(default)]
    hash_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    directory: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SendKey {
    keys: Vec<KeyValue>,
    #[serde(default)]
    hold_time: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputSendEvent {
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    head: Option<i64>,
    events: Vec<QmpInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordQxl {
    filename: PathBuf,
    #[serde(default)]
    device: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDevice {
    #[serde(default)]
    device: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeText {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(default)]
    device: u32,
    /// Milliseconds without a change of the screen.
    #[serde(default)]
    still: Option<u64>,
    /// The checksum the screen is to have, 16 hexadecimal digits.
    #[serde(default)]
    hash: Option<String>,
    /// Seconds to wait at most.
    timeout: u64,
}

/// `qmp_capabilities`: the greeting offers none.
pub(crate) fn negotiate(arguments: Value) -> Result<Value, QmpError> {
    let Capabilities { enable } = wire::arguments(arguments)?;
    match enable.first() {
        Some(name) => Err(QmpError::generic(format!("QMP capability '{name}' not available"))),
        None => Ok(json!({})),
    }
}

/// Runs one command. `directory` is where relative file names start.
pub(crate) async fn execute(backend: &Arc<dyn Backend>, directory: &Path, request: Request) -> Result<Value, QmpError> {
    let Request { command, arguments, .. } = request;
    match command.as_str() {
        "query-version" => none(arguments).map(|()| wire::version()),
        "query-commands" => none(arguments).map(|()| NAMES.iter().map(|name| json!({"name": name})).collect::<Value>()),
        "query-kvm" => none(arguments).map(|()| json!({"enabled": true, "present": true})),
        "query-mice" => none(arguments).map(|()| input::mice(backend.tablet().as_deref())),
        "query-name" => none(arguments).map(|()| json!({"name": backend.name()})),
        "query-status" => {
            none(arguments)?;
            let status = off_loop(backend, |backend| Ok(backend.status())).await?;
            Ok(json!({"running": status == RunState::Running, "singlestep": false, "status": status}))
        }
        "query-spice" => none(arguments).map(|()| json!(backend.spice())),
        "set_password" => {
            let (role, ticket, connected) = password::set(arguments)?;
            off_loop(backend, move |backend| backend.set_ticket(role, &ticket, connected))
                .await
                .map(|()| json!({}))
        }
        "expire_password" => {
            let (role, after) = password::expire(arguments)?;
            off_loop(backend, move |backend| backend.expire_ticket(role, after))
                .await
                .map(|()| json!({}))
        }
        "x-caraway-clients" => {
            none(arguments)?;
            off_loop(backend, |backend| Ok(json!(backend.clients()))).await
        }
        #[cfg(feature = "misbehave")]
        "x-caraway-misbehave" => {
            let misbehaviour: crate::Misbehaviour = wire::arguments(arguments)?;
            off_loop(backend, move |backend| {
                Ok(json!({"acted": backend.misbehave(&misbehaviour)?}))
            })
            .await
        }
        "x-caraway-query-video" => {
            none(arguments)?;
            off_loop(backend, |backend| Ok(json!({"mode": backend.video()}))).await
        }
        "x-caraway-video" => {
            let Video { mode } = wire::arguments(arguments)?;
            let mode = mode.parse::<VideoMode>()?;
            off_loop(backend, move |backend| {
                backend.set_video(mode);
                Ok(json!({}))
            })
            .await
        }
        "x-caraway-figures" => {
            none(arguments)?;
            off_loop(backend, |backend| Ok(json!(backend.figures()))).await
        }
        "stop" => act(backend, arguments, |b| b.stop()).await,
        "cont" => act(backend, arguments, |b| b.cont()).await,
        "system_reset" => act(backend, arguments, |b| b.reset()).await,
        "system_powerdown" => act(backend, arguments, |b| b.powerdown()).await,
        "quit" => act(backend, arguments, |b| b.quit()).await,
        "screendump" => screendump(backend, directory, wire::arguments(arguments)?).await,
        "x-caraway-shot" => shot(backend, wire::arguments(arguments)?).await,
        "x-caraway-snapshot" => {
            let Snapshot { directory: name } = wire::arguments(arguments)?;
            let path = directory.join(name);
            off_loop(backend, move |backend| Ok(json!(backend.snapshot(&path)?))).await
        }
        "client_migrate_info" => {
            let destination = migrate::clients(arguments)?;
            backend.client_migrate_info(destination).map(|()| json!({}))
        }
        "migrate" => {
            let uri = migrate::uri(arguments)?;
            off_loop(backend, move |backend| backend.migrate(&uri))
                .await
                .map(|()| json!({}))
        }
        "migrate_cancel" => act(backend, arguments, |b| b.migrate_cancel()).await,
        "query-migrate" => none(arguments).map(|()| migrate::reply(backend.migration().as_ref())),
        "query-migrate-parameters" => none(arguments).map(|()| migrate::parameters(backend.migrate_parameters())),
        "migrate-set-parameters" => {
            let parameters: MigrateParameters = wire::arguments(arguments)?;
            backend.set_migrate_parameters(parameters).map(|()| json!({}))
        }
        "x-caraway-wait" => wait(backend, wire::arguments(arguments)?).await,
        "send-key" => {
            let SendKey { keys, hold_time } = wire::arguments(arguments)?;
            let hold = Duration::from_millis(u64::from(hold_time.unwrap_or(100).min(10_000)));
            input::send_keys(&backend.input()?, &keys, hold)
                .await
                .map(|()| json!({}))
        }
        "input-send-event" => {
            let InputSendEvent { device, head, events } = wire::arguments(arguments)?;
            if let Some(device) = device {
                return Err(QmpError::generic(format!(
                    "Invalid parameter 'device': no device {device:?}"
                )));
            }
            if head.is_some_and(|head| head != 0) {
                return Err(QmpError::generic(
                    "Invalid parameter 'head': the pointer is one for all heads",
                ));
            }
            let tablet = backend.tablet();
            input::send_events(backend.input()?.as_ref(), tablet.as_deref(), &events).map(|()| json!({}))
        }
        "x-caraway-record-qxl" => {
            let RecordQxl { filename, device } = wire::arguments(arguments)?;
            let path = directory.join(filename);
            off_loop(backend, move |backend| backend.record_qxl(device, &path))
                .await
                .map(|()| json!({}))
        }
        "x-caraway-record-qxl-stop" => {
            let OfDevice { device } = wire::arguments(arguments)?;
            off_loop(backend, move |backend| Ok(json!(backend.record_qxl_stop(device)?))).await
        }
        "x-caraway-query-record-qxl" => {
            let OfDevice { device } = wire::arguments(arguments)?;
            let recording = off_loop(backend, move |backend| backend.recording(device)).await?;
            Ok(recording.map_or_else(|| json!({"recording": false}), |recording| json!(recording)))
        }
        "x-caraway-type" => {
            let TypeText { text } = wire::arguments(arguments)?;
            input::type_text(&backend.input()?, &text).await.map(|()| json!({}))
        }
        other => Err(QmpError::not_found(format!("The command {other} has not been found"))),
    }
}

fn none(arguments: Value) -> Result<(), QmpError> {
    wire::arguments::<NoArguments>(arguments).map(|NoArguments {}| ())
}

async fn act(
    backend: &Arc<dyn Backend>,
    arguments: Value,
    action: fn(&dyn Backend) -> Result<(), QmpError>,
) -> Result<Value, QmpError> {
    none(arguments)?;
    off_loop(backend, action).await.map(|()| json!({}))
}

/// Runs what may block beside the event loop.
async fn off_loop<T: Send + 'static>(
    backend: &Arc<dyn Backend>,
    action: impl FnOnce(&dyn Backend) -> Result<T, QmpError> + Send + 'static,
) -> Result<T, QmpError> {
    let backend = Arc::clone(backend);
    tokio::task::spawn_blocking(move || action(backend.as_ref()))
        .await
        .unwrap_or_else(|error| Err(QmpError::generic(format!("the command died: {error}"))))
}

async fn screendump(backend: &Arc<dyn Backend>, directory: &Path, dump: Screendump) -> Result<Value, QmpError> {
    let device = match &dump.device {
        None => 0,
        Some(id) => device_number(id)
            .ok_or_else(|| QmpError::generic(format!("Invalid parameter 'device': no device {id:?}")))?,
    };
    let screen = Screen {
        device,
        head: dump.head,
    };
    let path = directory.join(dump.filename);
    off_loop(backend, move |backend| {
        let shot = backend.screenshot(screen, false)?;
        let bytes = match dump.format {
            Format::Ppm => encode_ppm(&shot),
            Format::Png => encode_png(&shot)?,
        };
        std::fs::write(&path, bytes)
            .map_err(|error| QmpError::generic(format!("cannot write {}: {error}", path.display())))
    })
    .await
    .map(|()| json!({}))
}

/// The number in the id of a display device: `display0` and so on.
fn device_number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("display")?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

async fn shot(backend: &Arc<dyn Backend>, shot: Shot) -> Result<Value, QmpError> {
    let screen = Screen {
        device: shot.device,
        head: shot.head,
    };
    off_loop(backend, move |backend| {
        let picture: Screenshot = backend.screenshot(screen, shot.cursor)?;
        let mut reply = json!({
            "width": picture.width,
            "height": picture.height,
            "hash": format!("{:016x}", picture.hash),
        });
        if !shot.hash_only
            && let Some(object) = reply.as_object_mut()
        {
            let png = base64::engine::general_purpose::STANDARD.encode(encode_png(&picture)?);
            object.insert("png".to_owned(), Value::String(png));
        }
        Ok(reply)
    })
    .await
}

async fn wait(backend: &Arc<dyn Backend>, wait: Wait) -> Result<Value, QmpError> {
    const POLL: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + Duration::from_secs(wait.timeout.min(24 * 3600));
    let target = match (&wait.hash, wait.still) {
        (Some(text), None) => Some(u64::from_str_radix(text, 16).map_err(|_| {
            QmpError::generic(format!(
                "Invalid parameter 'hash': {text:?} is not 16 hexadecimal digits"
            ))
        })?),
        (None, Some(_)) => None,
        _ => return Err(QmpError::generic("give exactly one of 'still' and 'hash'")),
    };
    let still = Duration::from_millis(wait.still.unwrap_or(0));
    let device = wait.device;
    let _watch = backend.watch(device)?;
    let screen = Screen { device, head: None };
    let mut seen = backend.screen_changes(device);
    let mut since = Instant::now();
    let mut looked = false;
    loop {
        if let Some(target) = target {
            if !looked {
                looked = true;
                let hash = off_loop(backend, move |backend| Ok(backend.screenshot(screen, false)?.hash)).await?;
                if hash == target {
                    return Ok(json!({"hash": format!("{hash:016x}")}));
                }
            }
        } else if since.elapsed() >= still {
            return Ok(json!({}));
        }
        if Instant::now() >= deadline {
            let hash = off_loop(backend, move |backend| Ok(backend.screenshot(screen, false)?.hash)).await?;
            return Err(QmpError::generic(format!(
                "the screen did not get there within {} s; its hash is {hash:016x}",
                wait.timeout
            )));
        }
        tokio::time::sleep(POLL).await;
        let now = backend.screen_changes(device);
        if now != seen {
            seen = now;
            since = Instant::now();
            looked = false;
        }
    }
}
