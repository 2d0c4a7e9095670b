use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use caraway_base::{
    memory::{MemoryFile, SharedMemory},
    state::{Record, StateError},
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    state_file::{self, Contents, HEADER, MAGIC, Memory},
    *,
};

const PAGES: u64 = 64;
const SIZE: u64 = PAGES * 4096;

fn memory(name: &str) -> (SharedMemory, MemoryFile) {
    let memory = SharedMemory::allocate(name, SIZE).unwrap();
    let file = MemoryFile::of(name, memory.region()).unwrap();
    (memory, file)
}

fn records() -> Vec<Record> {
    vec![Record {
        kind: "uart".into(),
        instance: "0".into(),
        version: 3,
        payload: vec![1, 2, 3],
    }]
}

fn facts() -> Vec<Fact> {
    vec![Fact::new("cpus", "2"), Fact::new("disk 0", "1024 bytes")]
}

/// A snapshot of a memory with something on pages 0, 5, 6 and the last.
fn saved() -> (TempDir, PathBuf, SharedMemory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("saved");
    let (contents, file) = memory("ram-0");
    for (page, text) in [(0, "first"), (5, "fifth"), (6, "sixth"), (PAGES - 1, "last")] {
        contents.write(page * 4096 + 7, text.as_bytes()).unwrap();
    }
    // Touched, and zero again.
    contents.write(20 * 4096, &[1]).unwrap();
    contents.write(20 * 4096, &[0]).unwrap();
    write(&directory, facts(), &[file], records()).unwrap();
    (folder, directory, contents)
}

fn restore(directory: &Path) -> Result<SharedMemory, SnapshotError> {
    let mut snapshot = Snapshot::open(directory)?;
    snapshot.check(&facts())?;
    let (contents, file) = memory("ram-0");
    snapshot.load(&file)?;
    assert_eq!(snapshot.take_records().into_inner(), records());
    snapshot.finish()?;
    Ok(contents)
}

fn message(error: &SnapshotError) -> String {
    error.to_string()
}

#[test]
fn what_was_saved_comes_back_and_holes_stay_holes() {
    let (folder, directory, before) = saved();
    let after = restore(&directory).unwrap();
    assert_eq!(before.read_vec(0, SIZE).unwrap(), after.read_vec(0, SIZE).unwrap());
    let kept = fs::metadata(directory.join("memory-ram-0")).unwrap();
    assert_eq!((kept.len(), kept.mode() & 0o777), (SIZE, 0o600));
    assert!(kept.blocks() * 512 < SIZE / 2, "{} blocks", kept.blocks());
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    // Nothing else was left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_copy_without_holes_is_the_same_snapshot() {
    let (_folder, directory, before) = saved();
    let path = directory.join("memory-ram-0");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let after = restore(&directory).unwrap();
    assert_eq!(before.read_vec(0, SIZE).unwrap(), after.read_vec(0, SIZE).unwrap());
}

#[test]
fn what_is_there_already_is_left_alone() {
    let (folder, directory, _memory) = saved();
    let error = write(&directory, facts(), &[], records()).unwrap_err();
    assert!(message(&error).ends_with("saved: exists already"), "{error}");
    restore(&directory).unwrap();
    for name in ["..", "/", "gone/saved"] {
        assert!(
            write(&folder.path().join(name), facts(), &[], records()).is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (_memory, odd) = memory("../odd");
    let error = write(&folder.path().join("saved"), facts(), &[odd], records()).unwrap_err();
    assert!(matches!(error, SnapshotError::Unsaved { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn another_machine_is_refused_by_its_first_difference() {
    let (_folder, directory, _memory) = saved();
    let snapshot = Snapshot::open(&directory).unwrap();
    let refused = |facts: &[Fact]| message(&snapshot.check(facts).unwrap_err());
    let [cpus, disk] = <[Fact; 2]>::try_from(facts()).unwrap();
    let text = refused(&[Fact::new("cpus", "4"), disk.clone()]);
    assert!(
        text.ends_with("state: cpus: the saved machine has 2, this one 4"),
        "{text}"
    );
    let text = refused(std::slice::from_ref(&cpus));
    assert!(
        text.ends_with("disk 0: the saved machine has 1024 bytes, this one none"),
        "{text}"
    );
    let text = refused(&[cpus, disk, Fact::new("disk 1", "2048 bytes")]);
    assert!(
        text.ends_with("disk 1: the saved machine has none, this one 2048 bytes"),
        "{text}"
    );
}

#[test]
fn other_memories_are_refused() {
    let (_folder, directory, _memory) = saved();
    let mut snapshot = Snapshot::open(&directory).unwrap();
    let (_memory, other) = memory("ram-1");
    assert!(message(&snapshot.load(&other).unwrap_err()).contains("memory.name = ram-1"));
    assert!(message(&snapshot.finish().unwrap_err()).contains("memory.name = ram-0"));
    let mut snapshot = Snapshot::open(&directory).unwrap();
    let small = SharedMemory::allocate("ram-0", 4096).unwrap();
    let small = MemoryFile::of("ram-0", small.region()).unwrap();
    assert!(message(&snapshot.load(&small).unwrap_err()).contains("memory.size = 262144"));
}

#[test]
fn truncated_or_longer_files_are_refused() {
    for name in ["state", "memory-ram-0"] {
        let (_folder, directory, _memory) = saved();
        let path = directory.join(name);
        let whole = fs::metadata(&path).unwrap().len();
        for size in [
            0,
            1,
            HEADER as u64 - 1,
            HEADER as u64,
            whole - 1,
            whole + 1,
            whole + 4096,
        ] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let bytes = fs::read(&path).unwrap();
            file.set_len(size).unwrap();
            let error = restore(&directory).unwrap_err();
            assert!(message(&error).contains(name), "{size}: {error}");
            file.set_len(0).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            restore(&directory).unwrap();
        }
    }
}

#[test]
fn missing_and_odd_files_are_refused_by_name() {
    for name in ["state", "memory-ram-0"] {
        let (_folder, directory, _memory) = saved();
        fs::remove_file(directory.join(name)).unwrap();
        assert!(message(&restore(&directory).unwrap_err()).ends_with(&format!("{name}: cannot open")));
        // Opening a directory works; a pipe must not be waited for.
        fs::create_dir(directory.join(name)).unwrap();
        assert!(message(&restore(&directory).unwrap_err()).contains("type ="));
        fs::remove_dir(directory.join(name)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(directory.join(name)).status();
        assert!(made.unwrap().success());
        assert!(message(&restore(&directory).unwrap_err()).contains("type ="));
    }
}

#[test]
fn every_flipped_bit_of_the_state_is_noticed() {
    let (_folder, directory, _memory) = saved();
    let path = directory.join("state");
    let good = fs::read(&path).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = state_file::decode(&bad, &path).unwrap_err();
        assert!(message(&error).contains("state: "), "{bit}: {error}");
    }
}

#[test]
fn flipped_bits_of_memory_are_noticed_in_pages_and_in_holes() {
    let (_folder, directory, _memory) = saved();
    let path = directory.join("memory-ram-0");
    for at in [0, 7, 5 * 4096, 6 * 4096 + 4095, 30 * 4096, SIZE - 1] {
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        let error = restore(&directory).unwrap_err();
        assert!(message(&error).contains("damaged"), "{at}: {error}");
        file.write_all_at(&byte, at).unwrap();
        restore(&directory).unwrap();
    }
}

#[test]
fn what_a_state_may_not_say_is_named() {
    let path = Path::new("state");
    let memory = |name: &str, size, pages| Memory {
        name: name.into(),
        size,
        pages,
        checksum: checksum::Fletcher4::default(),
    };
    for (memories, field) in [
        (vec![memory("../../etc/passwd", 4096, 0)], "memory.name"),
        (vec![memory("", 4096, 0)], "memory.name"),
        (vec![memory("a", 4096, 0), memory("a", 4096, 0)], "memory.name"),
        (vec![memory("a", 4095, 0)], "memory.size"),
        (vec![memory("a", 4096, 2)], "memory.pages"),
    ] {
        let contents = Contents {
            memories,
            ..Contents::default()
        };
        let bytes = state_file::encode(&contents, path).unwrap();
        let error = state_file::decode(&bytes, path).unwrap_err();
        assert!(message(&error).contains(field), "{error}");
    }
    let mut newer = state_file::encode(&Contents::default(), path).unwrap();
    newer[8] = 2;
    assert!(message(&state_file::decode(&newer, path).unwrap_err()).contains("version = 2"));
    let odd = StateError::LeftOver("uart (0)".into());
    assert_eq!(
        message(&SnapshotError::of_record(Path::new("saved"), odd)),
        "saved/state"
    );
}

/// A header that is right for any body.
fn with_header(body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(checksum::Fletcher4::of(body).to_bytes());
    bytes.extend(body);
    bytes
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(state_file::decode(&bytes, Path::new("state")).is_err());
        // A right header before them: only what encodes to the same bytes may pass.
        if let Ok(contents) = state_file::decode(&with_header(&bytes), Path::new("state")) {
            prop_assert!(state_file::encode(&contents, Path::new("state")).is_ok());
        }
    }

    #[test]
    fn counts_beyond_the_file_are_refused(count in 1_u64 << 20.., at in 0_usize..3) {
        // A list that claims more entries than there are bytes, in each of the three places.
        let mut body = vec![0; at];
        let mut rest = count;
        while rest >= 0x80 {
            body.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        body.push(rest as u8);
        prop_assert!(state_file::decode(&with_header(&body), Path::new("state")).is_err());
    }
}
