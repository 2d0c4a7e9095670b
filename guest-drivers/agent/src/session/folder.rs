//! Where a user has downloads.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the user's settings, or `Downloads` in the home.
///
/// # Errors
/// There is no home.
pub fn downloads() -> io::Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("HOME").ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "HOME is not set"))?;
    let settings = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
    let text = fs::read_to_string(settings.join("user-dirs.dirs")).unwrap_or_default();
    Ok(chosen(&text, &home).unwrap_or_else(|| home.join("Downloads")))
}

/// What `user-dirs.dirs` says: a path in quotation marks that is absolute or begins with `$HOME/`.
fn chosen(text: &str, home: &Path) -> Option<PathBuf> {
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("XDG_DOWNLOAD_DIR="))?;
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    let path = match value.strip_prefix("$HOME/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(value),
    };
    // `$HOME` alone is how one says that there is none.
    (path.is_absolute() && path != home).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_name_a_folder() {
        let of = |text: &str| chosen(text, Path::new("/h"));
        let text = "# made by xdg-user-dirs\nXDG_DESKTOP_DIR=\"$HOME/D\"\nXDG_DOWNLOAD_DIR=\"$HOME/Was kommt\"\n";
        assert_eq!(of(text), Some("/h/Was kommt".into()));
        assert_eq!(of("XDG_DOWNLOAD_DIR=\"/data/in\""), Some("/data/in".into()));
        for none in [
            "",
            "XDG_DOWNLOAD_DIR=\"$HOME/\"",
            "XDG_DOWNLOAD_DIR=\"relative\"",
            "XDG_DOWNLOAD_DIR=/bare",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
