//! `caraway ctl VM set-ticket`.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::Context as _;
use caraway_server::PASSWORD_MAX;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Vm, args::SetTicketArgs};
use crate::output::UsageError;

/// Bytes that are read: a line of them is long enough to be told from a ticket.
const READ_LIMIT: u64 = 4096;

/// The first line of a file, or of standard input.
pub(super) fn read(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let (text, from) = if file == Path::new("-") {
        let text = text(io::stdin().lock()).context("cannot read standard input")?;
        (text, "standard input".to_owned())
    } else {
        let from = file.display().to_string();
        let text = File::open(file).and_then(text);
        let text = text.map_err(|error| UsageError(format!("set-ticket: cannot read {from}: {error}")))?;
        (text, from)
    };
    let line = text.lines().next().unwrap_or_default();
    match line.len() {
        1..=PASSWORD_MAX => Ok(Zeroizing::new(line.to_owned())),
        bytes => {
            let says = format!("set-ticket: the first line of {from} has {bytes} bytes, not 1 to {PASSWORD_MAX}");
            Err(UsageError(says).into())
        }
    }
}

fn text(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(READ_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

pub(super) fn set(vm: &mut Vm, ticket: &str, args: &SetTicketArgs) -> anyhow::Result<()> {
    let of_role = |mut arguments: Value| {
        if args.view {
            arguments["x-caraway-role"] = json!("view");
        }
        arguments
    };
    let set = of_role(json!({"protocol": "spice", "password": ticket, "connected": args.connected}));
    vm.execute("set_password", &set)?;
    let time = args
        .expires
        .map_or_else(|| "never".to_owned(), |seconds| format!("+{seconds}"));
    vm.execute("expire_password", &of_role(json!({"protocol": "spice", "time": time})))
        .map(drop)
}
