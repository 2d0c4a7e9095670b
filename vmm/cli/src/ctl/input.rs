//! Keyboard and mouse.

use std::{
    io::{self, Read as _},
    time::Duration,
};

use anyhow::Context as _;
use caraway_control::keys;
use serde_json::{Value, json};

use super::{
    PATIENCE, Vm,
    args::{Keys, MouseAction, SendKeyArgs, TypeArgs},
};
use crate::output::UsageError;

/// Longest text the VM takes at once, in characters.
const MAX_TEXT: usize = 64 * 1024;
/// Most keys the VM takes at once.
const MAX_KEYS: usize = 16;
/// A guest that reads its keyboard at all is quicker than this.
const SLOWEST_KEY: Duration = Duration::from_secs(1);

/// Keys that are pressed together, joined by `-`.
pub(super) fn parse_keys(text: &str) -> Result<Keys, String> {
    let names = text
        .split('-')
        .map(|name| keys::qcode_name(name).ok_or_else(|| unknown_key(name)))
        .collect::<Result<Vec<_>, _>>()?;
    if names.len() > MAX_KEYS {
        return Err(format!(
            "{} keys, at most {MAX_KEYS} can be pressed together",
            names.len()
        ));
    }
    Ok(Keys(names))
}

fn unknown_key(name: &str) -> String {
    let nearest = keys::qcode_names().min_by_key(|known| strsim::damerau_levenshtein(name, known));
    match nearest {
        _ if name.is_empty() => "a key's name is missing; the key `-` is called `minus`".to_owned(),
        Some(nearest) if strsim::damerau_levenshtein(name, nearest) <= 1 + name.len() / 3 => {
            format!("{name:?} is not a key: did you mean `{nearest}`?")
        }
        _ => format!("{name:?} is not a key (`caraway ctl VM send-key --help` lists them)"),
    }
}

pub(super) fn send_keys(vm: &mut Vm, args: &SendKeyArgs) -> anyhow::Result<()> {
    let patience = Duration::from_millis(args.hold.into()).saturating_add(PATIENCE);
    for Keys(names) in &args.keys {
        let keys: Vec<Value> = names
            .iter()
            .map(|name| json!({"type": "qcode", "data": name}))
            .collect();
        vm.execute_within("send-key", &json!({"keys": keys, "hold-time": args.hold}), patience)?;
    }
    Ok(())
}

/// What is to be typed.
pub(super) fn text(args: &TypeArgs) -> anyhow::Result<String> {
    let text = match args.text.as_str() {
        "-" => read_stdin()?,
        text if args.raw => text.to_owned(),
        text => unescape(text).map_err(UsageError)?,
    };
    check_text(&text).map_err(UsageError)?;
    Ok(text)
}

fn read_stdin() -> anyhow::Result<String> {
    // Characters have up to four bytes; one more tells that there are too many.
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(4 * MAX_TEXT as u64 + 1)
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    let text = String::from_utf8(bytes)
        .map_err(|error| UsageError(format!("type: standard input is not text: {}", error.utf8_error())))?;
    // A line's end is one key, however it is written.
    Ok(text.replace("\r\n", "\n"))
}

fn check_text(text: &str) -> Result<(), String> {
    let count = text.chars().count();
    if count > MAX_TEXT {
        return Err(format!(
            "type: {count} characters, at most {MAX_TEXT} are typed at once"
        ));
    }
    match text.chars().find(|character| keys::by_char(*character).is_none()) {
        Some(character) => Err(format!("type: {character:?} is not on a US keyboard")),
        None => Ok(()),
    }
}

/// Replaces escapes by the keys they stand for.
pub(super) fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        plain.push(match characters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('e') => '\u{1b}',
            Some('\\') => '\\',
            Some(other) => {
                return Err(format!(
                    "type: \"\\{}\" is none of \\n, \\t, \\b, \\e and \\\\; --raw types backslashes as they are",
                    other.escape_debug()
                ));
            }
            None => {
                return Err("type: the text ends in the middle of an escape; \\\\ is a backslash".to_owned());
            }
        });
    }
    Ok(plain)
}

pub(super) fn type_text(vm: &mut Vm, text: &str) -> anyhow::Result<()> {
    let keys = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let patience = SLOWEST_KEY.saturating_mul(keys).saturating_add(PATIENCE);
    vm.execute_within("x-caraway-type", &json!({"text": text}), patience)
        .map(drop)
}

/// The `input-send-event` requests of a mouse action, each a list of events.
pub(super) fn mouse(action: &MouseAction) -> Vec<Value> {
    let button = |name: &str, down: bool| json!({"type": "btn", "data": {"button": name, "down": down}});
    let motion = |axis: &str, value: i32| json!({"type": "rel", "data": {"axis": axis, "value": value}});
    match action {
        MouseAction::Move { dx, dy } => vec![json!([motion("x", *dx), motion("y", *dy)])],
        MouseAction::Click { button: which, count } => {
            let name = which.qmp_name();
            let click = json!([button(name, true), button(name, false)]);
            (0..*count).map(|_| click.clone()).collect()
        }
        MouseAction::Down { button: which } => vec![json!([button(which.qmp_name(), true)])],
        MouseAction::Up { button: which } => vec![json!([button(which.qmp_name(), false)])],
        MouseAction::Wheel { steps } => {
            let name = if *steps < 0 { "wheel-up" } else { "wheel-down" };
            let step = json!([button(name, true), button(name, false)]);
            (0..steps.unsigned_abs()).map(|_| step.clone()).collect()
        }
    }
}

pub(super) fn send_events(vm: &mut Vm, requests: &[Value]) -> anyhow::Result<()> {
    for events in requests {
        vm.execute("input-send-event", &json!({"events": events}))?;
    }
    Ok(())
}
