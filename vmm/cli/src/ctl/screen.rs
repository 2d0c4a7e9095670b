//! Pictures of the screen.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use base64::Engine as _;
use serde_json::{Value, json};

use super::{
    PATIENCE, Vm,
    args::{ScreenshotArgs, WaitArgs},
    text,
};
use crate::output::{self, one_line};

/// Takes a picture, writes it where it is wanted, and says what it is.
pub(super) fn screenshot(vm: &mut Vm, args: &ScreenshotArgs) -> anyhow::Result<()> {
    let output = output_file(vm, args)?;
    let reply = vm.execute(
        "x-caraway-shot",
        &json!({
            "device": args.device,
            "head": args.head,
            "cursor": args.cursor,
            "hash_only": output.is_none(),
        }),
    )?;
    let hash = one_line(text(&reply, "hash")?);
    let to_stdout = output.as_deref() == Some(Path::new("-"));
    if let Some(path) = &output {
        let png = base64::engine::general_purpose::STANDARD
            .decode(text(&reply, "png")?)
            .context("the VM's picture is not base64")?;
        if to_stdout {
            return output::print(png);
        }
        fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.hash {
        return output::print(format!("{hash}\n"));
    }
    let size = |field: &str| -> anyhow::Result<u64> {
        let value = reply.get(field).and_then(Value::as_u64);
        value.with_context(|| format!("the VM's reply has no {field}"))
    };
    let (width, height) = (size("width")?, size("height")?);
    if args.json {
        return output::print_json(&json!({"file": output, "width": width, "height": height, "hash": hash}));
    }
    let file = output.unwrap_or_default();
    output::print(format!(
        "{}: {width}x{height}, hash {hash}\n",
        one_line(&file.display().to_string())
    ))
}

/// Where the picture goes; `None` when only its checksum is wanted.
fn output_file(vm: &mut Vm, args: &ScreenshotArgs) -> anyhow::Result<Option<PathBuf>> {
    if args.output.is_some() || args.hash {
        return Ok(args.output.clone());
    }
    let reply = vm.execute("query-name", &json!({}))?;
    // What it says is not to lead out of this directory.
    let name: String = text(&reply, "name")?
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .collect();
    Ok(Some(PathBuf::from(format!("{name}.png"))))
}

/// Waits for a picture; prints the checksum that was waited for.
pub(super) fn wait(vm: &mut Vm, args: &WaitArgs) -> anyhow::Result<()> {
    let mut arguments = json!({"device": args.device, "timeout": args.timeout});
    if let Some(hash) = args.hash {
        arguments["hash"] = format!("{hash:016x}").into();
    }
    if let Some(still) = args.still {
        arguments["still"] = still.into();
    }
    let patience = Duration::from_secs(args.timeout).saturating_add(PATIENCE);
    vm.execute_within("x-caraway-wait", &arguments, patience).map(drop)
}

/// A checksum in hexadecimal.
pub(super) fn parse_hash(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        u64::from_str_radix(digits, 16).map_err(|error| error.to_string())
    } else {
        Err("a checksum has 16 hexadecimal digits".to_owned())
    }
}
