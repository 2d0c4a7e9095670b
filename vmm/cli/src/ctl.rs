//! `caraway ctl`: the human face of a VM's control socket.

pub(crate) mod args;
mod clients;
mod input;
mod migrate;
mod quit;
mod record;
mod screen;
mod snapshot;
mod ticket;

#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use caraway_control::client::{Client, ClientError};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use self::args::{CtlCommand, QmpArgs};
use crate::{
    args::CtlArgs,
    output::{self, UsageError, one_line},
    rundir::{self, RunDirError, SOCKET_PATH_LIMIT},
};

/// How long a VM may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A VM that answers.
struct Vm {
    client: Client,
    /// As the user named it.
    called: String,
    pid: Option<u32>,
}

/// Carries out one command.
pub(crate) fn ctl(args: &CtlArgs) -> anyhow::Result<u8> {
    let prepared = Prepared::new(&args.command)?;
    let mut vm = Vm::connect(&args.vm)?;
    match prepared {
        Prepared::Command(command, arguments) => drop(vm.execute(command, &arguments)?),
        Prepared::Status { json } => status(&mut vm, json)?,
        Prepared::Clients { json } => clients::clients(&mut vm, json)?,
        Prepared::QueryVideo => {
            let reply = vm.execute("x-caraway-query-video", &json!({}))?;
            output::print(format!("{}\n", one_line(text(&reply, "mode")?)))?;
        }
        Prepared::Quit => quit::quit(vm)?,
        Prepared::Snapshot(directory) => snapshot::snapshot(&mut vm, &directory)?,
        Prepared::Migrate(way, args) => migrate::migrate(&mut vm, &way, args)?,
        Prepared::Screenshot(args) => screen::screenshot(&mut vm, args)?,
        Prepared::Wait(args) => screen::wait(&mut vm, args)?,
        Prepared::Record(args) => record::record(&mut vm, args)?,
        Prepared::Keys(args) => input::send_keys(&mut vm, args)?,
        Prepared::Text(text) => input::type_text(&mut vm, &text)?,
        Prepared::Ticket(ticket, args) => ticket::set(&mut vm, &ticket, args)?,
        Prepared::Mouse(requests) => input::send_events(&mut vm, &requests)?,
        Prepared::Qmp {
            command,
            arguments,
            timeout,
        } => output::print_json(&vm.execute_within(&command, &arguments, timeout)?)?,
    }
    Ok(0)
}

/// A command whose arguments have been checked, before any VM is looked for.
enum Prepared<'a> {
    Command(&'static str, Value),
    Status {
        json: bool,
    },
    Clients {
        json: bool,
    },
    QueryVideo,
    Quit,
    /// An absolute path: the VM has another directory of its own.
    Snapshot(String),
    /// The same for a path in it.
    Migrate(migrate::Move, &'a args::MigrateArgs),
    Screenshot(&'a args::ScreenshotArgs),
    Wait(&'a args::WaitArgs),
    Record(&'a args::RecordArgs),
    Keys(&'a args::SendKeyArgs),
    Text(String),
    Mouse(Vec<Value>),
    Ticket(Zeroizing<String>, &'a args::SetTicketArgs),
    Qmp {
        command: String,
        arguments: Value,
        timeout: Duration,
    },
}

impl<'a> Prepared<'a> {
    fn new(command: &'a CtlCommand) -> anyhow::Result<Self> {
        let simple = |name| Self::Command(name, json!({}));
        Ok(match command {
            CtlCommand::Status { json } => Self::Status { json: *json },
            CtlCommand::Clients { json } => Self::Clients { json: *json },
            CtlCommand::Video { mode: None } => Self::QueryVideo,
            CtlCommand::Video { mode: Some(mode) } => Self::Command("x-caraway-video", json!({"mode": mode})),
            CtlCommand::Pause => simple("stop"),
            CtlCommand::Resume => simple("cont"),
            CtlCommand::Reset => simple("system_reset"),
            CtlCommand::Powerdown => simple("system_powerdown"),
            CtlCommand::Quit => Self::Quit,
            CtlCommand::Snapshot(args) => Self::Snapshot(snapshot::absolute(&args.directory)?),
            CtlCommand::Migrate(args) => Self::Migrate(migrate::Move::new(args)?, args),
            CtlCommand::MigrateCancel => simple("migrate_cancel"),
            CtlCommand::Screenshot(args) => Self::Screenshot(args),
            CtlCommand::WaitScreen(args) => Self::Wait(args),
            CtlCommand::RecordQxl(args) => Self::Record(args),
            CtlCommand::SendKey(args) => Self::Keys(args),
            CtlCommand::Type(args) => Self::Text(input::text(args)?),
            CtlCommand::Mouse { action } => Self::Mouse(input::mouse(action)),
            CtlCommand::SetTicket(args) => Self::Ticket(ticket::read(&args.file)?, args),
            CtlCommand::Qmp(args) => {
                let (command, arguments) = request(args)?;
                Self::Qmp {
                    command,
                    arguments,
                    timeout: Duration::from_secs(args.timeout),
                }
            }
        })
    }
}

impl Vm {
    /// Finds a VM by its name, or by the path of its control socket, which has a slash.
    fn connect(vm: &OsStr) -> anyhow::Result<Self> {
        let called = vm.to_string_lossy().into_owned();
        let (control, pid) = if called.contains('/') {
            (PathBuf::from(vm), None)
        } else {
            let info = rundir::find(&called)?;
            (info.control, Some(info.pid))
        };
        check_length(&control)?;
        let client = Client::connect_within(&control, Some(PATIENCE))
            .with_context(|| format!("cannot command VM {called} by {}", control.display()))?;
        Ok(Self { client, called, pid })
    }

    /// Runs a QMP command that is done at once.
    fn execute(&mut self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        self.execute_within(command, arguments, PATIENCE)
    }

    fn execute_within(&mut self, command: &str, arguments: &Value, timeout: Duration) -> anyhow::Result<Value> {
        self.client
            .set_timeout(Some(timeout))
            .map_err(ClientError::Io)
            .and_then(|()| self.client.execute(command, arguments))
            .with_context(|| format!("VM {}: {command}", self.called))
    }
}

fn check_length(control: &Path) -> Result<(), RunDirError> {
    let length = control.as_os_str().len();
    if length > SOCKET_PATH_LIMIT {
        return Err(RunDirError::TooLong {
            path: control.to_owned(),
            length,
        });
    }
    Ok(())
}

fn status(vm: &mut Vm, as_json: bool) -> anyhow::Result<()> {
    let reply = vm.execute("query-status", &json!({}))?;
    if !as_json {
        return output::print(format!("{}\n", one_line(text(&reply, "status")?)));
    }
    let name = vm.execute("query-name", &json!({}))?;
    let spice = vm.execute("query-spice", &json!({}))?;
    output::print_json(&json!({
        "name": name.get("name"),
        "status": reply.get("status"),
        "running": reply.get("running"),
        "spice": spice,
    }))
}

/// A string that belongs into a reply.
fn text<'a>(reply: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    reply
        .get(field)
        .and_then(Value::as_str)
        .with_context(|| format!("the VM's reply has no {field}"))
}

/// A command and its arguments, as `qmp` takes them.
fn request(args: &QmpArgs) -> anyhow::Result<(String, Value)> {
    let object = |what: &str, text: &str| -> anyhow::Result<Map<String, Value>> {
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(UsageError(format!("qmp: {what} {text:?} is no JSON object")).into()),
            Err(error) => Err(UsageError(format!("qmp: {what} {text:?} is no JSON: {error}")).into()),
        }
    };
    let given = args
        .arguments
        .as_deref()
        .map(|text| object("arguments", text))
        .transpose()?;
    if !args.command.trim_start().starts_with('{') {
        return Ok((args.command.clone(), Value::Object(given.unwrap_or_default())));
    }
    if given.is_some() {
        return Err(UsageError("qmp: a whole request has its arguments inside".to_owned()).into());
    }
    let mut request = object("request", &args.command)?;
    let Some(Value::String(command)) = request.remove("execute") else {
        return Err(UsageError("qmp: the request has no \"execute\" that is a string".to_owned()).into());
    };
    let arguments = request.remove("arguments").unwrap_or_else(|| json!({}));
    request.remove("id");
    if let Some(extra) = request.keys().next() {
        return Err(UsageError(format!("qmp: the request has an unknown member {extra:?}")).into());
    }
    Ok((command, arguments))
}
