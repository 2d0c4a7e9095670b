use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use caraway_protocol::agent::{AgentMessage, FileStart, FileStatus};

use super::files::{Downloads, MOST_AT_ONCE, MOST_WAITING};
use crate::link::Link;

struct Bench {
    folder: tempfile::TempDir,
    files: Downloads,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Downloads::new(folder.path().join("in"));
        Self { folder, files }
    }

    fn start(&mut self, id: u32, name: &str, size: u64) -> Vec<(u32, FileStatus)> {
        let mut out = Vec::new();
        let name = name.to_owned();
        self.files.start(&FileStart { id, name, size }, &mut out);
        statuses(out)
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Vec<(u32, FileStatus)> {
        let mut out = Vec::new();
        self.files.data(id, data, &mut out);
        statuses(out)
    }

    fn cancel(&mut self, id: u32) -> Vec<(u32, FileStatus)> {
        let mut out = Vec::new();
        self.files.cancel(id, &mut out);
        statuses(out)
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("in")
    }

    /// Names in the folder.
    fn names(&self) -> Vec<String> {
        names(&self.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn statuses(out: Vec<Link>) -> Vec<(u32, FileStatus)> {
    let status = |link| match link {
        Link::Agent(AgentMessage::FileXferStatus { id, status }) => (id, status),
        other => panic!("{other:?}"),
    };
    out.into_iter().map(status).collect()
}

const GO_ON: FileStatus = FileStatus::CanSendData;
const DONE: FileStatus = FileStatus::Success;
const ERROR: FileStatus = FileStatus::Error(None);

#[test]
fn a_file_has_its_name_when_it_is_complete() {
    let mut bench = Bench::new();
    assert_eq!(bench.start(1, "a b.txt", 6), [(1, GO_ON)]);
    assert_eq!(bench.data(1, b"abc"), []);
    assert_eq!(bench.names().len(), 1);
    assert!(bench.names()[0].starts_with(".caraway-"));
    assert_eq!(bench.data(1, b"def"), [(1, DONE)]);
    assert_eq!(bench.names(), ["a b.txt"]);
    assert_eq!(fs::read(bench.path().join("a b.txt")).unwrap(), b"abcdef");
    let mode = fs::metadata(bench.path().join("a b.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    // It is over.
    assert_eq!(bench.data(1, b"x"), []);
    assert_eq!(bench.start(2, "empty", 0), [(2, GO_ON), (2, DONE)]);
    assert_eq!(bench.names(), ["a b.txt", "empty"]);
}

#[test]
fn nothing_is_replaced() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path()).unwrap();
    fs::write(bench.path().join("x.tar.gz"), "mine").unwrap();
    // What leads elsewhere is not followed.
    symlink("/nowhere/at/all", bench.path().join("x.tar (1).gz")).unwrap();
    bench.start(1, "x.tar.gz", 3);
    assert_eq!(bench.data(1, b"new"), [(1, DONE)]);
    assert_eq!(bench.names(), ["x.tar (1).gz", "x.tar (2).gz", "x.tar.gz"]);
    assert_eq!(fs::read(bench.path().join("x.tar.gz")).unwrap(), b"mine");
    assert_eq!(fs::read(bench.path().join("x.tar (2).gz")).unwrap(), b"new");
    let long = "é".repeat(127);
    for id in 2..4 {
        bench.start(id, &long, 0);
    }
    assert_eq!(bench.names().len(), 5);
}

#[test]
fn names_that_are_none_are_refused() {
    let mut bench = Bench::new();
    let long = "x".repeat(256);
    for name in [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "a/b",
        "a\0b",
        "a\nb",
        "\u{1b}[2J",
        ".caraway-1.part",
        &long,
    ] {
        assert_eq!(bench.start(1, name, 1), [(1, ERROR)], "{name:?}");
    }
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(names(bench.folder.path()), [""; 0]);
}

#[test]
fn what_does_not_fit_is_told_before() {
    let mut bench = Bench::new();
    let said = bench.start(1, "x", u64::MAX);
    assert!(
        matches!(said[..], [(1, FileStatus::NotEnoughSpace(Some(1..)))]),
        "{said:?}"
    );
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn more_than_announced_is_an_error() {
    let mut bench = Bench::new();
    bench.start(1, "x", 3);
    assert_eq!(bench.data(1, b"four"), [(1, ERROR)]);
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn what_is_cancelled_leaves_nothing() {
    let mut bench = Bench::new();
    bench.start(1, "x", 3);
    bench.data(1, b"ab");
    assert_eq!(bench.cancel(1), []);
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(bench.data(1, b"c"), []);
    bench.start(2, "y", 3);
    bench.files.forget();
    assert_eq!(bench.names(), [""; 0]);
    bench.start(3, "z", 3);
    let folder = bench.path();
    drop(bench.files);
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn many_files_wait_for_their_turn() {
    let mut bench = Bench::new();
    let most = (MOST_AT_ONCE + MOST_WAITING) as u32;
    let mut said = Vec::new();
    for id in 0..most + 1 {
        said.extend(bench.start(id, &format!("f{id}"), 1));
    }
    assert_eq!(said.len(), MOST_AT_ONCE + 1);
    assert_eq!(said.last(), Some(&(most, ERROR)));
    // One that waits, and one that is on its way.
    assert_eq!(bench.start(20, "again", 1), [(20, ERROR)]);
    assert_eq!(bench.start(0, "again", 1), [(0, ERROR)]);
    assert_eq!(bench.cancel(16), []);
    assert_eq!(bench.data(0, b"x"), [(0, DONE), (17, GO_ON)]);
    assert_eq!(bench.cancel(1), [(18, GO_ON)]);
    for id in (2..16).chain(17..most) {
        let said = bench.data(id, b"x");
        assert_eq!(said[0], (id, DONE));
    }
    assert_eq!(bench.names().len(), most as usize - 2);
}

#[test]
fn bad_names_among_many_do_not_stop_the_rest() {
    let mut bench = Bench::new();
    for id in 0..MOST_AT_ONCE as u32 {
        bench.start(id, &format!("f{id}"), 1);
    }
    for id in 100..1000 {
        assert_eq!(bench.start(id, "a/b", 1), []);
    }
    bench.start(1000, "good", 1);
    let said = bench.data(0, b"x");
    assert_eq!(said.len(), 902);
    assert_eq!(said.last(), Some(&(1000, GO_ON)));
}

#[test]
fn what_a_killed_agent_left_is_removed() {
    let mut bench = Bench::new();
    bench.start(1, "x", 3);
    fs::write(bench.path().join(".caraway-0123456789abcdef.part"), "left").unwrap();
    fs::write(bench.path().join(".caraway-notes"), "somebody's").unwrap();
    // Another agent of this user, while the first one writes.
    let mut other = Downloads::new(bench.path());
    let mut out = Vec::new();
    let name = "y".to_owned();
    other.start(&FileStart { id: 1, name, size: 0 }, &mut out);
    assert_eq!(bench.data(1, b"abc"), [(1, DONE)]);
    assert_eq!(bench.names(), [".caraway-notes", "x", "y"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let mut files = Downloads::new(folder.path().join("file"));
    let mut out = Vec::new();
    let name = "x".to_owned();
    files.start(&FileStart { id: 1, name, size: 1 }, &mut out);
    assert_eq!(statuses(out), [(1, ERROR)]);
}
