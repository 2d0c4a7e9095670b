use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream as StdStream},
    sync::mpsc,
};

use caraway_ports::port::{Connection, attended_port};

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

/// A port of which one end is served, and what tells of the other.
struct Fixture<E> {
    other: E,
    woken: mpsc::Receiver<()>,
    folder: tempfile::TempDir,
    _runtime: Runtime,
}

impl<E> Fixture<E> {
    fn when<T>(&self, what: &str, mut look: impl FnMut(&E) -> Option<T>) -> T {
        loop {
            if let Some(found) = look(&self.other) {
                return found;
            }
            self.woken.recv_timeout(LIMIT).expect(what);
        }
    }
}

fn serve_end(end: End, place: impl FnOnce(PathBuf) -> Place) -> (tempfile::TempDir, Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = crate::run::runtime::start().unwrap();
    let place = place(folder.path().join("socket"));
    Socket::new(end, place).serve(&runtime).unwrap();
    (folder, runtime)
}

fn waker() -> (PortWaker, mpsc::Receiver<()>) {
    let (sender, woken) = mpsc::channel();
    let waker = move || {
        sender.send(()).ok();
    };
    (Arc::new(waker), woken)
}

fn listening(path: PathBuf) -> Place {
    Place::bind(&PortAddress::Unix(path)).unwrap()
}

/// A socket that leads to a client.
fn for_client(place: impl FnOnce(PathBuf) -> Place) -> Fixture<HostPort> {
    let (host, device) = attended_port();
    let (waker, woken) = waker();
    host.set_waker(waker);
    let (folder, runtime) = serve_end(End::Device(device), place);
    Fixture {
        other: host,
        woken,
        folder,
        _runtime: runtime,
    }
}

impl Fixture<HostPort> {
    fn opened(&self, after: u64) -> u64 {
        let is_new = |now: Connection| (now.is_open && now.number > after).then_some(now.number);
        self.when("a program is there", |host| is_new(host.connection()))
    }

    fn closed(&self) {
        self.when("the program is gone", |host| (!host.connection().is_open).then_some(()));
    }

    fn hears(&self, connection: u64, count: usize) -> Vec<u8> {
        let (mut bytes, mut have) = (vec![0; count], 0);
        while have < count {
            let rest = &mut bytes[have..];
            have += self.when("something comes", |host| {
                Some(host.read(connection, rest)).filter(|count| *count > 0)
            });
        }
        bytes
    }
}

fn exactly(stream: &mut StdStream, count: usize) -> Vec<u8> {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn ended(stream: &mut StdStream) -> bool {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    matches!(stream.read(&mut [0; 1]), Ok(0))
}

#[test]
fn a_program_that_connects_waits_for_a_client_and_begins_anew_with_the_next() {
    let fixture = for_client(listening);
    let path = fixture.folder.path().join("socket");
    let mut number = 0;
    for round in 0..3 {
        let mut program = StdStream::connect(&path).unwrap();
        program.write_all(b"hello").unwrap();
        assert!(!fixture.other.connection().is_open, "nobody is there");
        fixture.other.attend();
        number = fixture.opened(number);
        assert_eq!(fixture.hears(number, 5), b"hello");
        assert_eq!(fixture.other.write(number, b"hello to you"), 12);
        assert_eq!(exactly(&mut program, 12), b"hello to you");
        if round == 1 {
            drop(program);
            fixture.closed();
        } else {
            assert_eq!(fixture.other.write(number, b"bye"), 3);
            fixture.other.leave();
            assert_eq!(exactly(&mut program, 3), b"bye", "the client has left");
            assert!(ended(&mut program));
        }
        fixture.other.leave();
    }
    drop(fixture);
    assert!(!path.exists(), "the file goes with the socket");
}

#[test]
fn more_than_a_port_holds_goes_through_both_ways() {
    let fixture = for_client(listening);
    let mut program = StdStream::connect(fixture.folder.path().join("socket")).unwrap();
    fixture.other.attend();
    let number = fixture.opened(0);
    let much: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut reader = program.try_clone().unwrap();
    let (sent, expected) = (much.clone(), much.clone());
    let writing = std::thread::spawn(move || program.write_all(&sent));
    assert_eq!(fixture.hears(number, much.len()), much);
    writing.join().unwrap().unwrap();
    let reading = std::thread::spawn(move || exactly(&mut reader, expected.len()) == expected);
    let mut left = &much[..];
    while !left.is_empty() {
        let count = fixture.when("there is room", |host| {
            Some(host.write(number, left)).filter(|count| *count > 0)
        });
        left = &left[count..];
    }
    assert!(reading.join().unwrap());
}

#[test]
fn a_client_that_leaves_does_not_wait_for_a_program_that_takes_nothing() {
    let fixture = for_client(listening);
    let path = fixture.folder.path().join("socket");
    let _program = StdStream::connect(&path).unwrap();
    let mut second = StdStream::connect(&path).unwrap();
    fixture.other.attend();
    let number = fixture.opened(0);
    // More than the kernel takes.
    let mut written = 0;
    while written < 8 << 20 {
        let count = fixture.other.write(number, &[7; 4096]);
        written += count;
        if count == 0 && fixture.woken.recv_timeout(Duration::from_millis(300)).is_err() {
            break;
        }
    }
    assert!(written < 8 << 20, "it takes nothing");
    fixture.other.leave();
    fixture.other.attend();
    let number = fixture.opened(number);
    second.write_all(b"me").unwrap();
    assert_eq!(fixture.hears(number, 2), b"me");
}

#[test]
fn a_program_that_listens_is_connected_to_when_it_is_there_and_a_client_is() {
    let fixture = for_client(Place::ToUnix);
    let path = fixture.folder.path().join("socket");
    fixture.other.attend();
    let listener = UnixListener::bind(&path).unwrap();
    let mut number = 0;
    for _ in 0..2 {
        let (mut program, _) = listener.accept().unwrap();
        number = fixture.opened(number);
        program.write_all(b"here").unwrap();
        assert_eq!(fixture.hears(number, 4), b"here");
        // It ends, and is connected to again.
    }
}

#[test]
fn a_program_at_a_port_of_the_guest_stays_while_the_guest_opens_and_closes() {
    let (host, device) = attended_port();
    let (waker, woken) = waker();
    device.set_waker(waker);
    let (folder, runtime) = serve_end(End::Host(host), listening);
    let fixture = Fixture {
        other: device,
        woken,
        folder,
        _runtime: runtime,
    };
    assert!(!fixture.other.open(), "nobody is there");
    let mut program = StdStream::connect(fixture.folder.path().join("socket")).unwrap();
    for round in 0..3 {
        // What is written while the guest has it closed waits.
        program.write_all(b"hello").unwrap();
        fixture.when("a program is there", |device| device.open().then_some(()));
        let mut bytes = [0; 5];
        let mut have = 0;
        while have < 5 {
            have += fixture.when("something comes", |device| {
                Some(device.read(&mut bytes[have..])).filter(|count| *count > 0)
            });
        }
        assert_eq!(&bytes, b"hello", "round {round}");
        assert_eq!(fixture.other.write(b"last words"), 10);
        fixture.other.close();
        assert_eq!(exactly(&mut program, 10), b"last words");
    }
    assert!(fixture.other.open());
    drop(program);
    fixture.when("it is closed", |device| (!device.is_open()).then_some(()));
}
