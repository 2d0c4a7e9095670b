use std::{
    io::{Read as _, Seek as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::mpsc,
};

use caraway_base::{bus::BusDevice as _, irq::IrqLine};
use caraway_legacy::uart::UartArgs;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct NoLine;

impl IrqLine for NoLine {
    fn set(&self, _: bool) {}
}

struct Rig {
    uart: Arc<Uart>,
    backend: SerialBackend,
    folder: tempfile::TempDir,
    log: File,
}

/// A console with a socket and a log.
fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let log = tempfile::tempfile().unwrap();
    let output = SerialOutput::new().unwrap();
    let uart = Arc::new(
        Uart::new(UartArgs {
            line: Arc::new(NoLine),
            sink: output.sink(),
        })
        .unwrap(),
    );
    let spec = SerialSpec {
        stdio: false,
        socket: Some(UnixListener::bind(folder.path().join("serial.sock")).unwrap()),
        log: Some(log.try_clone().unwrap()),
    };
    let backend = output.connect(spec, uart.clone(), Box::new(|| ())).unwrap();
    Rig {
        uart,
        backend,
        folder,
        log,
    }
}

impl Rig {
    fn print(&self, text: &[u8]) {
        for byte in text {
            self.uart.write(0, &[*byte]);
        }
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(self.folder.path().join("serial.sock")).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client
    }

    /// What the guest reads.
    fn typed(&self, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + LIMIT;
        let mut typed = Vec::new();
        while typed.len() < count {
            assert!(Instant::now() < deadline, "{typed:?}");
            let mut status = [0];
            self.uart.read(5, &mut status);
            if status[0] & 1 == 0 {
                std::thread::yield_now();
                continue;
            }
            let mut byte = [0];
            self.uart.read(0, &mut byte);
            typed.push(byte[0]);
        }
        typed
    }
}

fn expect(client: &mut UnixStream, text: &[u8]) {
    let mut bytes = vec![0; text.len()];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, text);
}

#[test]
fn clients_see_what_came_before_and_what_follows() {
    let rig = rig();
    rig.print(b"before ");
    let (mut first, mut second) = (rig.client(), rig.client());
    expect(&mut first, b"before ");
    expect(&mut second, b"before ");
    rig.print(b"after");
    expect(&mut first, b"after");
    expect(&mut second, b"after");
}

#[test]
fn a_late_client_sees_the_last_64_kib() {
    let rig = rig();
    let lines: Vec<u8> = (0..20_000)
        .flat_map(|line| format!("{line:05}\n").into_bytes())
        .collect();
    rig.print(&lines);
    let mut client = rig.client();
    expect(&mut client, &lines[lines.len() - 65536..]);
}

#[test]
fn what_a_client_types_reaches_the_guest_even_when_it_reads_slowly() {
    let rig = rig();
    let mut client = rig.client();
    let text: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
    let writer = {
        let (mut client, text) = (client.try_clone().unwrap(), text.clone());
        std::thread::spawn(move || client.write_all(&text))
    };
    assert_eq!(rig.typed(text.len()), text);
    writer.join().unwrap().unwrap();
    rig.print(b"done");
    expect(&mut client, b"done");
}

#[test]
fn a_client_that_goes_away_makes_room_for_the_next() {
    let rig = rig();
    for round in 1..=20 {
        let mut client = rig.client();
        rig.print(b"x");
        expect(&mut client, &vec![b'x'; round]);
        client.write_all(b"y").unwrap();
        assert_eq!(rig.typed(1), b"y");
    }
}

#[test]
fn the_log_has_everything_when_the_machine_has_ended() {
    let mut rig = rig();
    let lines: Vec<u8> = (0..5_000)
        .flat_map(|line| format!("{line:05}\n").into_bytes())
        .collect();
    rig.print(&lines);
    rig.backend.finish();
    let mut text = Vec::new();
    rig.log.rewind().unwrap();
    rig.log.read_to_end(&mut text).unwrap();
    assert_eq!(text, lines);
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_the_end() {
    let mut rig = rig();
    let client = rig.client();
    rig.print(&vec![b'x'; 600_000]);
    let start = Instant::now();
    rig.backend.finish();
    assert!(start.elapsed() < 3 * LAST_WORDS);
    drop(client);
}

/// The worker on a pseudo-terminal: the escape quits, other keys reach the guest.
#[test]
fn ctrl_bracket_twice_quits_from_a_terminal() {
    let (controller, terminal) = terminal::tests::terminal();
    let output = SerialOutput::new().unwrap();
    let uart = Arc::new(
        Uart::new(UartArgs {
            line: Arc::new(NoLine),
            sink: output.sink(),
        })
        .unwrap(),
    );
    let (sender, quit) = mpsc::channel();
    let mut raw = rustix::termios::tcgetattr(&terminal).unwrap();
    raw.make_raw();
    rustix::termios::tcsetattr(&terminal, rustix::termios::OptionalActions::Now, &raw).unwrap();
    let worker = Worker::new(
        Arc::clone(&output.0),
        uart.clone(),
        worker::Places {
            input: Some(File::from(terminal.try_clone().unwrap())),
            output: Some(File::from(terminal)),
            terminal: true,
            socket: None,
            log: None,
        },
    );
    let shared = Arc::clone(&output.0);
    let thread = std::thread::spawn(move || {
        worker.run(
            &(Box::new(move || {
                sender.send(()).ok();
            }) as Quit),
        );
    });
    let mut keyboard = File::from(controller);
    uart.write(0, b"login: ");
    let mut screen = vec![0; 1];
    keyboard.read_exact(&mut screen).unwrap();
    assert_eq!(screen, b"l");
    keyboard.write_all(b"a\x1db\x1d\x1d").unwrap();
    quit.recv_timeout(LIMIT).unwrap();
    assert_eq!(uart.unread(), 3);
    shared.lock().end_by = Some(Instant::now());
    shared.wake();
    thread.join().unwrap();
}
