//! Files of the client.

use std::fs;

use bytes::Bytes;
use caraway_protocol::agent::{AgentMessage, FileStart, FileStatus};

use crate::bench::{Bench, names, noise, wait};

fn start(bench: &mut Bench, id: u32, name: &str, size: usize) -> FileStatus {
    let name = name.to_owned();
    let size = size as u64;
    bench.send(&AgentMessage::FileXferStart(FileStart { id, name, size }));
    status(bench, id)
}

fn status(bench: &mut Bench, id: u32) -> FileStatus {
    bench.expect("status of a file", |message| match message {
        AgentMessage::FileXferStatus { id: of, status } if *of == id => Some(*status),
        _ => None,
    })
}

fn send(bench: &mut Bench, id: u32, data: &[u8]) {
    for block in data.chunks(64 << 10) {
        let data = Bytes::copy_from_slice(block);
        bench.send(&AgentMessage::FileXferData { id, data });
    }
}

#[test]
fn a_large_file_arrives_as_it_was() {
    let mut bench = Bench::new();
    let data = noise(100 << 20);
    assert_eq!(
        start(&mut bench, 1, "sent file.bin", data.len()),
        FileStatus::CanSendData
    );
    send(&mut bench, 1, &data);
    assert_eq!(status(&mut bench, 1), FileStatus::Success);
    assert!(fs::read(bench.downloads().join("sent file.bin")).unwrap() == data);
    assert_eq!(names(&bench.downloads()), ["sent file.bin"]);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let mut bench = Bench::new();
    for (id, name) in (0..).zip(["../escaped", "/tmp/escaped", "..", "a/b", ""]) {
        assert!(matches!(start(&mut bench, id, name, 1), FileStatus::Error(_)), "{name}");
    }
    assert_eq!(names(&bench.downloads()), [""; 0]);
    assert!(!bench.folder.path().join("escaped").exists());
}

#[test]
fn nothing_is_left_of_a_file_whose_host_vanishes() {
    let mut bench = Bench::new();
    assert_eq!(start(&mut bench, 1, "half", 1000), FileStatus::CanSendData);
    send(&mut bench, 1, &[1; 500]);
    wait("part", || (names(&bench.downloads()).len() == 1).then_some(()));
    bench.detach();
    wait("end of the part", || names(&bench.downloads()).is_empty().then_some(()));
    // It comes back.
    bench.attach();
    assert_eq!(start(&mut bench, 1, "whole", 4), FileStatus::CanSendData);
    send(&mut bench, 1, b"abcd");
    assert_eq!(status(&mut bench, 1), FileStatus::Success);
    // Or only its client goes.
    assert_eq!(start(&mut bench, 2, "half", 1000), FileStatus::CanSendData);
    bench.send_own(&AgentMessage::ClientDisconnected);
    wait("end of the part", || {
        (names(&bench.downloads()) == ["whole"]).then_some(())
    });
}

#[test]
fn nothing_is_left_of_a_file_whose_session_is_killed() {
    let mut bench = Bench::new();
    assert_eq!(start(&mut bench, 1, "half", 1000), FileStatus::CanSendData);
    bench.session = None;
    assert_eq!(status(&mut bench, 1), FileStatus::NotConnected);
    bench.start_session();
    bench.attach();
    assert_eq!(start(&mut bench, 2, "whole", 1), FileStatus::CanSendData);
    send(&mut bench, 2, b"x");
    assert_eq!(status(&mut bench, 2), FileStatus::Success);
    assert_eq!(names(&bench.downloads()), ["whole"]);
}
