//! Lists the files of `page/` for `include_bytes!`, with their types, their tags and what gzip makes of them.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

/// What a browser is told of a file, by the ending of its name.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("webmanifest", "application/manifest+json"),
    ("woff2", "font/woff2"),
];
/// Bytes of a hash that are its file's tag.
const TAG_BYTES: usize = 12;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"));
    let page = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("page");
    let output = PathBuf::from(variable("OUT_DIR")?);
    let mut paths = Vec::new();
    list(&page, &mut paths)?;
    // By bytes of the names, as they are looked for; paths are sorted by their parts.
    paths.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    let mut text = String::from("static FILES: &[File] = &[\n");
    for (number, path) in paths.iter().enumerate() {
        let name = path.strip_prefix(&page).ok().and_then(Path::to_str);
        let name = name.ok_or_else(|| format!("{}: not a name that a request could have", path.display()))?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let (_, kind) = TYPES
            .iter()
            .find(|(known, _)| *known == ending)
            .ok_or_else(|| format!("{}: build.rs knows no type for {ending:?}", path.display()))?;
        let body = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let hash = Sha256::digest(&body);
        let tag: String = hash.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let packed = pack(&body).map_err(|error| format!("cannot compress {}: {error}", path.display()))?;
        let gzip = if packed.len() < body.len() {
            let file = output.join(format!("{number}.gz"));
            fs::write(&file, packed).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            format!("Some(include_bytes!({file:?}))")
        } else {
            "None".to_owned()
        };
        // Memory does not fail to be written to.
        let _ = writeln!(
            text,
            "File {{ path: {name:?}, kind: {kind:?}, tag: {tag:?}, body: include_bytes!({path:?}), gzip: {gzip} }},"
        );
    }
    text.push_str("];\n");
    let file = output.join("files.rs");
    fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// The files under a folder; says of each that it is built from.
fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(fail)?);
        if kind.is_dir() {
            list(&path, paths)?;
        } else if kind.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
            paths.push(path);
        } else {
            return Err(format!("{} is neither a file nor a folder", path.display()));
        }
    }
    Ok(())
}

fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body)?;
    encoder.finish()
}
