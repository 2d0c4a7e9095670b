use std::{
    fs,
    io::{self, IoSlice, IoSliceMut},
    path::PathBuf,
};

use rustix::io::{FdFlags, fcntl_getfd};

use super::*;

fn image(bytes: usize) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.img");
    let content: Vec<u8> = (0..bytes).map(|index| (index / 512 + 1) as u8).collect();
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn read(disk: &RawFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let (head, tail) = bytes.split_at_mut(length / 3);
    disk.read_at(
        offset,
        &mut [IoSliceMut::new(head), IoSliceMut::new(&mut []), IoSliceMut::new(tail)],
    )?;
    Ok(bytes)
}

#[test]
fn buffers_are_read_and_written_in_a_row() {
    let (_directory, path) = image(4096);
    let disk = RawFile::open(&path, false).unwrap();
    assert_eq!(disk.size(), 4096);
    disk.write_at(
        1024,
        &mut [IoSlice::new(&[]), IoSlice::new(&[7; 100]), IoSlice::new(&[8; 412])],
    )
    .unwrap();
    disk.flush().unwrap();
    let mut expected = vec![2; 512];
    expected.extend([7; 100]);
    expected.extend([8; 412]);
    expected.extend([4; 512]);
    assert_eq!(read(&disk, 512, 1536).unwrap(), expected);
    assert_eq!(fs::read(&path).unwrap()[1024..1536], expected[512..1024]);
}

#[test]
fn more_buffers_than_one_system_call_takes_are_all_served() {
    let (_directory, path) = image(512 * 8);
    let disk = RawFile::open(&path, false).unwrap();
    let bytes: Vec<u8> = (0..3000).map(|index| index as u8).collect();
    let mut parts: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
    disk.write_at(0, &mut parts).unwrap();
    let mut back = vec![0; 3000];
    let mut parts: Vec<_> = back.chunks_mut(1).map(IoSliceMut::new).collect();
    disk.read_at(0, &mut parts).unwrap();
    assert_eq!(back, bytes);
}

#[test]
fn ranges_past_the_end_are_errors_and_change_nothing() {
    let (_directory, path) = image(1024);
    let disk = RawFile::open(&path, false).unwrap();
    let before = fs::read(&path).unwrap();
    for offset in [1023, 1024, u64::MAX - 1] {
        assert!(read(&disk, offset, 3).is_err());
        assert!(disk.write_at(offset, &mut [IoSlice::new(&[1; 3])]).is_err());
        assert!(disk.discard(offset, 3).is_err());
        assert!(disk.write_zeroes(offset, 3, true).is_err());
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_shrank_behind_our_back_is_a_read_error() {
    let (_directory, path) = image(1024);
    let disk = RawFile::open(&path, false).unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(512)
        .unwrap();
    let error = read(&disk, 512, 512).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn zeroed_ranges_read_as_zeroes_and_keep_the_size() {
    let (_directory, path) = image(64 << 10);
    let disk = RawFile::open(&path, false).unwrap();
    for (offset, unmap) in [(4096, true), (16384, false)] {
        disk.write_zeroes(offset, 4608, unmap).unwrap();
        assert_eq!(read(&disk, offset, 4608).unwrap(), vec![0; 4608]);
        assert_ne!(read(&disk, offset - 1, 1).unwrap(), [0]);
        assert_ne!(read(&disk, offset + 4608, 1).unwrap(), [0]);
    }
    disk.zero_by_writing(32768, 512).unwrap();
    assert_eq!(read(&disk, 32768, 512).unwrap(), vec![0; 512]);
    disk.discard(0, 4096).unwrap();
    disk.discard(0, 0).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 64 << 10);
}

#[test]
fn a_read_only_disk_refuses_every_change() {
    let (_directory, path) = image(1024);
    let disk = RawFile::open(&path, true).unwrap();
    assert!(disk.read_only() && !disk.can_discard());
    assert!(disk.write_at(0, &mut [IoSlice::new(&[0])]).is_err());
    assert!(disk.discard(0, 512).is_err());
    assert!(disk.write_zeroes(0, 512, false).is_err());
    assert_eq!(read(&disk, 0, 512).unwrap(), [1; 512]);
}

#[test]
fn a_writer_keeps_everybody_out_and_readers_keep_writers_out() {
    let (_directory, path) = image(512);
    let writer = RawFile::open(&path, false).unwrap();
    for read_only in [false, true] {
        let error = RawFile::open(&path, read_only).unwrap_err();
        assert!(matches!(error, StorageError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("root.img is in use"), "{error}");
    }
    drop(writer);
    let _first = RawFile::open(&path, true).unwrap();
    let _second = RawFile::open(&path, true).unwrap();
    assert!(matches!(RawFile::open(&path, false), Err(StorageError::InUse { .. })));
}

#[test]
fn what_is_no_raw_image_is_refused_by_name() {
    let (directory, path) = image(513);
    let odd = RawFile::open(&path, false).unwrap_err();
    assert!(odd.to_string().contains("root.img has 513 bytes"), "{odd}");
    fs::write(&path, []).unwrap();
    assert!(matches!(
        RawFile::open(&path, false),
        Err(StorageError::Size { size: 0, .. })
    ));
    assert!(matches!(
        RawFile::open(directory.path(), true),
        Err(StorageError::NotADisk { .. })
    ));
    let missing = RawFile::open(&directory.path().join("none"), false).unwrap_err();
    assert!(
        missing.to_string().contains("none for reading and writing"),
        "{missing}"
    );
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(matches!(RawFile::open(&pipe, true), Err(StorageError::NotADisk { .. })));
}

#[test]
fn the_descriptor_does_not_survive_an_exec() {
    let (_directory, path) = image(512);
    let disk = RawFile::open(&path, false).unwrap();
    assert!(fcntl_getfd(&disk.file).unwrap().contains(FdFlags::CLOEXEC));
}
