//! Who comes, goes, and comes back.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use caraway_protocol::agent::{AgentMessage, ClipboardKind, FileStart, FileStatus, Selection};

use crate::bench::{Bench, Program, Screen, wait};

const CLIPBOARD: Selection = Selection::Clipboard;
const TEXT: ClipboardKind = ClipboardKind::Text;

/// The clipboard goes one way and the other.
fn works(bench: &mut Bench) {
    let _program = bench.screen.copy("clipboard", "UTF8_STRING", b"still there");
    // There may be an offer of a program that has just gone.
    wait("text of the guest", || {
        (bench.ask(CLIPBOARD, TEXT).1 == "still there").then_some(())
    });
}

#[test]
fn the_port_is_open_while_there_is_a_session() {
    let mut bench = Bench::new();
    bench.session = None;
    wait("end of the port", || bench.is_closed().then_some(()));
    bench.start_session();
    bench.attach();
    works(&mut bench);
}

#[test]
fn what_was_copied_before_the_client_came_is_offered() {
    let mut bench = Bench::new();
    bench.detach();
    let _program = bench.screen.copy("clipboard", "UTF8_STRING", b"from before");
    bench.attach();
    bench.expect_offer(CLIPBOARD, TEXT);
    assert_eq!(bench.ask(CLIPBOARD, TEXT).1, "from before");
}

#[test]
fn a_daemon_that_is_restarted_finds_the_session() {
    let mut bench = Bench::new();
    bench.daemon = None;
    bench.start_daemon();
    bench.attach();
    works(&mut bench);
}

#[test]
fn a_host_that_breaks_the_protocol_begins_anew() {
    let mut bench = Bench::new();
    bench.write(&[0xff; 64]);
    wait("end of the port", || bench.is_closed().then_some(()));
    bench.attach();
    works(&mut bench);
    // Two gigabytes that never come.
    let mut wire = vec![1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0];
    wire.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    bench.write(&wire);
    bench.detach();
    bench.attach();
    works(&mut bench);
}

#[test]
fn of_two_sessions_the_newest_counts_and_the_other_takes_over() {
    let mut bench = Bench::new();
    works(&mut bench);
    let second = Program(bench.session_command().spawn().unwrap());
    bench.expect("announcement for another session", |message| {
        matches!(message, AgentMessage::AnnounceCapabilities { .. }).then_some(())
    });
    works(&mut bench);
    drop(second);
    bench.expect("announcement for the first session", |message| {
        matches!(message, AgentMessage::AnnounceCapabilities { .. }).then_some(())
    });
    works(&mut bench);
}

#[test]
fn who_says_nothing_or_nonsense_takes_no_place() {
    use std::io::{Read as _, Write as _};
    let mut bench = Bench::new();
    let path = bench.folder.path().join("socket");
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    // One place is the session's.
    let mut idle: Vec<UnixStream> = (0..7).map(|_| connect()).collect();
    let mut byte = [0];
    assert_eq!(connect().read(&mut byte).unwrap(), 0);
    works(&mut bench);
    let mut wrong = idle.pop().unwrap();
    wrong.write_all(&[0xff; 64]).unwrap();
    assert_eq!(wrong.read(&mut byte).unwrap(), 0);
    // After a while the others are gone as well.
    for mut stream in idle {
        assert_eq!(stream.read(&mut byte).unwrap(), 0);
    }
    works(&mut bench);
}

/// Writes what logind would.
fn seat(bench: &Bench, user: u32, session: &str) {
    let folder = bench.folder.path().join("run/systemd/seats");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("new"), format!("ACTIVE={session}\nACTIVE_UID={user}\n")).unwrap();
    std::fs::rename(folder.join("new"), folder.join("seat0")).unwrap();
}

#[test]
fn only_who_has_the_screen_is_served() {
    let us = rustix::process::getuid().as_raw();
    let mut bench = Bench::bare(Screen::x11());
    seat(&bench, us + 1, "c1");
    bench.start_daemon();
    bench.start_session();
    assert!(bench.stays_closed());
    seat(&bench, us, "c1");
    bench.attach();
    works(&mut bench);
    seat(&bench, us + 1, "c1");
    wait("end of the port", || bench.is_closed().then_some(()));
    assert!(bench.stays_closed());
}

#[test]
fn of_several_sessions_of_a_user_it_is_the_one_that_has_the_screen() {
    let us = rustix::process::getuid().as_raw();
    let mut bench = Bench::bare(Screen::x11());
    seat(&bench, us, "c1");
    let mut sessions = Vec::new();
    for name in ["c1", "c2"] {
        // They wait for the daemon, so that it can be said before where they are.
        let mut command = bench.session_command();
        command.arg("--folder").arg(bench.folder.path().join(name));
        let session = Program(command.spawn().unwrap());
        let folder = bench.folder.path().join(format!("proc/{}", session.0.id()));
        std::fs::create_dir_all(&folder).unwrap();
        let group = format!("0::/user.slice/user-{us}.slice/session-{name}.scope\n");
        std::fs::write(folder.join("cgroup"), group).unwrap();
        sessions.push(session);
    }
    bench.start_daemon();
    bench.attach();
    for (id, name) in [(1, "c1"), (2, "c2"), (3, "c1")] {
        seat(&bench, us, name);
        let path = bench.folder.path().join(name).join(format!("f{id}"));
        // As long as it takes the daemon to see it, a file may still go to the other.
        wait("file in the session's folder", || {
            let name = format!("f{id}");
            bench.send(&AgentMessage::FileXferStart(FileStart { id, name, size: 0 }));
            bench.expect("end of a file", |message| match message {
                AgentMessage::FileXferStatus {
                    status: FileStatus::CanSendData,
                    ..
                } => None,
                AgentMessage::FileXferStatus { .. } => Some(()),
                _ => None,
            });
            path.exists().then_some(())
        });
    }
}

#[test]
fn a_second_daemon_does_not_take_the_place() {
    let bench = Bench::new();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_caraway-agent"))
        .arg("--socket")
        .arg(bench.folder.path().join("socket"))
        .args(["--uinput", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("another daemon is there"));
}
