//! From a file to a checked machine.

use std::path::Path;

use crate::{ConfigError, VmSpec, raw::RawVm, resolve};

/// Largest configuration read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads and checks a configuration file, with `--set key=value` overrides applied.
///
/// # Errors
/// Names the file and the line of the first thing that is wrong; `--set` for an override.
pub fn load(path: &Path, overrides: &[String]) -> Result<VmSpec, ConfigError> {
    let fail = |message: String| ConfigError::new(path, None, message);
    let metadata = std::fs::metadata(path).map_err(|e| fail(format!("cannot read the configuration: {e}")))?;
    if !metadata.is_file() {
        return Err(fail("is not a file".to_owned()));
    }
    if metadata.len() > MAX_FILE {
        return Err(fail(format!(
            "is {} bytes long, a configuration has at most {MAX_FILE}",
            metadata.len()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(format!("cannot read the configuration: {e}")))?;
    parse(path, &text, overrides)
}

/// Checks the text of a configuration file. `path` is used in errors, for the default name, and to resolve relative
/// paths.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<VmSpec, ConfigError> {
    let alone = resolve::resolve(from_text(path, text)?, path, Some(text));
    if overrides.is_empty() {
        return alone;
    }
    // Overrides are merged into the tree; the tree is written out and read again. Lines of the merged text mean
    // nothing to the reader, so errors are laid at the file without a line, unless the file alone has the same one, or
    // at `--set` when keys or types are wrong.
    let set = Path::new("--set");
    let mut tree: toml::Table = toml::from_str(text).map_err(|e| explain(path, text, &e))?;
    for assignment in overrides {
        apply(&mut tree, assignment).map_err(|message| ConfigError::new(set, None, message))?;
    }
    let merged = toml::to_string(&tree).map_err(|e| ConfigError::new(set, None, e.to_string()))?;
    let blame = |error: ConfigError| ConfigError::new(set, None, error.message);
    let raw = from_text(path, &merged).map_err(blame)?;
    resolve::resolve(raw, path, None).map_err(|error| match alone {
        Err(located) if located.message == error.message => located,
        _ => error,
    })
}

/// The JSON schema of the configuration.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawVm).to_value()
}

fn from_text(path: &Path, text: &str) -> Result<RawVm, ConfigError> {
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

/// Line, from 1, of a byte position.
pub(crate) fn line_of(text: &str, position: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(position)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map(|span| line_of(text, span.start));
    let message = unknown_key(error.message()).unwrap_or_else(|| plain_words(error.message()));
    let key = line
        .filter(|_| message.starts_with("invalid "))
        .and_then(|line| key_on(text, line));
    ConfigError::new(
        path,
        line,
        key.map_or_else(|| message.clone(), |key| format!("{key}: {message}")),
    )
}

/// Rust's names of types mean nothing to the reader of a message about a TOML file.
fn plain_words(message: &str) -> String {
    let message = message
        .replace('\n', " ")
        .replace("expected i64", "expected an integer")
        .replace(" as i128", "")
        .replace(" as u128", "")
        .replace("missing field ", "missing key ");
    match message.split_once("expected struct ") {
        // What follows is the name of a type of ours.
        Some((before, _)) => format!("{before}expected a table"),
        None => message,
    }
}

/// The key a line assigns to.
fn key_on(text: &str, line: usize) -> Option<String> {
    let (key, _) = text.lines().nth(line.checked_sub(1)?)?.split_once('=')?;
    Some(key.trim().to_owned())
}

/// Rewrites serde's "unknown field `cpu`, expected one of `name`, `cpus`" so that it names the nearest known key.
fn unknown_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let nearest = known
        .iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(key, candidate))?;
    Some(if strsim::damerau_levenshtein(key, nearest) <= 1 + key.len() / 3 {
        format!(
            "unknown key `{key}`: did you mean `{nearest}`? (known here: {})",
            known.join(", ")
        )
    } else {
        format!("unknown key `{key}` (known here: {})", known.join(", "))
    })
}

/// `a.b.c=value`; the value is TOML when it parses as such, else a string. Array elements are named by index.
fn apply(tree: &mut toml::Table, assignment: &str) -> Result<(), String> {
    let (key, value) = assignment
        .split_once('=')
        .ok_or_else(|| format!("{assignment:?} is not of the form key=value"))?;
    let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let parts: Vec<&str> = key.trim().split('.').collect();
    let Some((last, path)) = parts.split_last() else {
        return Err(format!("{assignment:?} names no key"));
    };
    let mut table = tree;
    for part in path {
        let entry = table
            .entry((*part).to_owned())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = entry
            .as_table_mut()
            .ok_or_else(|| format!("`{part}` in {key:?} is not a table"))?;
    }
    if last.is_empty() {
        return Err(format!("{assignment:?} names no key"));
    }
    table.insert((*last).to_owned(), value);
    Ok(())
}
