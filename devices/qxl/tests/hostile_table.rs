//! The tests `docs/qxl-hostile-tests.md` names are there.
#![allow(clippy::unwrap_used)] // Helpers are tests too.

use std::{fs, path::Path};

/// All sources below a folder, one after the other.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn every_test_the_table_names_exists() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(package.join("../../docs/qxl-hostile-tests.md")).unwrap();
    let code = sources(&package.join("src")) + &sources(&package.join("tests"));
    let in_rows = table.lines().filter(|line| line.starts_with('|'));
    let names: Vec<_> = in_rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 60, "{}", names.len());
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !code.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
