//! A host with a client, a screen, and the agent between them.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use caraway_agent::port::{self, Arrived, Origin, Reader};
use caraway_protocol::agent::{
    AgentCaps, AgentKind, AgentMessage, AgentMonitor, ClipboardKind, Dialect, MonitorsConfig, Selection,
};
use tempfile::TempDir;

/// What spice-gtk announces.
pub(crate) const CLIENT: AgentCaps = AgentCaps::from_bits_retain(0x35077);
/// Whatever takes longer does not happen. Machines that run tests are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A program that ends with its owner.
#[derive(Debug)]
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A screen that nobody sees.
#[derive(Debug)]
pub(crate) struct Screen {
    _server: Program,
    /// Where a compositor has its socket.
    _folder: TempDir,
    /// How programs find it.
    environment: Vec<(&'static str, String)>,
}

impl Screen {
    /// That of an X server.
    pub(crate) fn x11() -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "2560x1600x24",
                "-nolisten",
                "tcp",
                "-noreset",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is one of the packages of ci/setup");
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            _server: Program(server),
            _folder: tempfile::tempdir().unwrap(),
            environment: vec![("DISPLAY", format!(":{}", line.trim()))],
        }
    }

    /// That of a Wayland compositor, with two outputs.
    pub(crate) fn wayland() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let config = folder.path().join("config");
        std::fs::write(&config, "xwayland disable\noutput * resolution 1280x720\n").unwrap();
        // It does not run as root; in a namespace of its own root is an ordinary user.
        let is_root = rustix::process::geteuid().is_root();
        let program: &[&str] = if is_root {
            &["unshare", "--user", "--map-user=1000", "sway"]
        } else {
            &["sway"]
        };
        let server = Command::new(program[0])
            .args(&program[1..])
            .arg("--config")
            .arg(&config)
            .env("XDG_RUNTIME_DIR", &path)
            .env("WLR_BACKENDS", "headless")
            .env("WLR_HEADLESS_OUTPUTS", "2")
            .env("WLR_RENDERER", "pixman")
            .env("WLR_LIBINPUT_NO_DEVICES", "1")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DISPLAY")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sway is one of the packages of ci/setup");
        let server = Program(server);
        let is_socket = |name: &String| name.starts_with("wayland-") && !name.ends_with(".lock");
        let name = wait("compositor", || names(folder.path()).into_iter().find(is_socket));
        Self {
            _server: server,
            _folder: folder,
            environment: vec![("XDG_RUNTIME_DIR", path), ("WAYLAND_DISPLAY", name)],
        }
    }

    /// The X server's name.
    pub(crate) fn display(&self) -> &str {
        &self.environment[0].1
    }

    /// A program on this screen.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// xclip on this screen.
    pub(crate) fn xclip(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("xclip");
        command.args(arguments);
        command
    }

    /// Puts something in a selection; the program that has it stays.
    pub(crate) fn copy(&self, selection: &str, target: &str, data: &[u8]) -> Program {
        let arguments = ["-quiet", "-selection", selection, "-t", target, "-i"];
        let mut child = self
            .xclip(&arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(data).unwrap();
        Program(child)
    }

    /// What a program is given of a selection; `None` if it is refused.
    pub(crate) fn paste(&self, selection: &str, target: &str) -> Option<Vec<u8>> {
        let done = self
            .xclip(&["-selection", selection, "-t", target, "-o"])
            .output()
            .unwrap();
        done.status.success().then_some(done.stdout)
    }

    /// Waits until a selection has a target.
    pub(crate) fn wait_target(&self, selection: &str, target: &str) {
        wait(&format!("{target} in {selection}"), || {
            let targets = self.paste(selection, "TARGETS").unwrap_or_default();
            String::from_utf8_lossy(&targets)
                .lines()
                .any(|line| line == target)
                .then_some(())
        });
    }
}

/// Waits until there is something.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} for {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) screen: Screen,
    pub(crate) daemon: Option<Program>,
    pub(crate) session: Option<Program>,
    listener: UnixListener,
    port: Option<UnixStream>,
    reader: Reader,
    arrived: Vec<Arrived>,
    dialect: Dialect,
}

impl Bench {
    /// Agent and client know each other.
    pub(crate) fn new() -> Self {
        Self::on(Screen::x11())
    }

    pub(crate) fn on(screen: Screen) -> Self {
        let mut bench = Self::bare(screen);
        bench.start_daemon();
        bench.start_session();
        bench.attach();
        bench
    }

    /// Nothing runs yet but the screen.
    pub(crate) fn bare(screen: Screen) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("port")).unwrap();
        Self {
            screen,
            daemon: None,
            session: None,
            listener,
            port: None,
            reader: Reader::default(),
            arrived: Vec::new(),
            dialect: Dialect::default(),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where files go.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.path("in")
    }

    fn agent(&self) -> Command {
        self.screen.command(env!("CARGO_BIN_EXE_caraway-agent"))
    }

    pub(crate) fn start_daemon(&mut self) {
        let mut command = self.agent();
        command.arg("--port").arg(self.path("port"));
        command.arg("--socket").arg(self.path("socket"));
        // Neither pointer nor seat of the machine that tests.
        command.arg("--uinput").arg(self.path("none"));
        command.arg("--root").arg(self.folder.path());
        self.daemon = Some(Program(command.spawn().unwrap()));
    }

    pub(crate) fn session_command(&self) -> Command {
        let mut command = self.agent();
        command.arg("session");
        command.arg("--socket").arg(self.path("socket"));
        command.arg("--folder").arg(self.downloads());
        command
    }

    pub(crate) fn start_session(&mut self) {
        self.session = Some(Program(self.session_command().spawn().unwrap()));
    }

    /// Takes the agent's connection, and has a client that says what it can.
    pub(crate) fn attach(&mut self) {
        self.listener.set_nonblocking(true).unwrap();
        let port = wait("connection of the agent", || self.listener.accept().ok()).0;
        port.set_nonblocking(false).unwrap();
        port.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        self.port = Some(port);
        self.reader = Reader::default();
        self.arrived.clear();
        self.dialect = Dialect::default();
        let caps = self.expect("announcement", |message| match message {
            AgentMessage::AnnounceCapabilities {
                wants_answer: true,
                caps,
            } => Some(*caps),
            _ => None,
        });
        self.send(&AgentMessage::AnnounceCapabilities {
            wants_answer: false,
            caps: CLIENT,
        });
        self.dialect = Dialect::of(caps, CLIENT);
    }

    /// Whether the agent does not open the port for a while.
    pub(crate) fn stays_closed(&self) -> bool {
        std::thread::sleep(Duration::from_secs(3));
        self.listener.set_nonblocking(true).unwrap();
        self.listener.accept().is_err()
    }

    /// Whether the agent has not opened the port, or has closed it.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.port.as_mut().map(|port| port.read(&mut byte)) {
            None | Some(Ok(0)) => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// The host goes.
    pub(crate) fn detach(&mut self) {
        self.port = None;
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.port.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Of a client.
    pub(crate) fn send(&mut self, message: &AgentMessage) {
        self.send_in(Origin::Client, message);
    }

    /// Of the server itself.
    pub(crate) fn send_own(&mut self, message: &AgentMessage) {
        self.send_in(Origin::Server, message);
    }

    fn send_in(&mut self, stream: Origin, message: &AgentMessage) {
        let mut wire = Vec::new();
        port::write(stream, message.kind(), &message.encode(self.dialect), &mut wire);
        self.write(&wire);
    }

    /// The client has something.
    pub(crate) fn grab(&mut self, selection: Selection, serial: u32, kind: ClipboardKind) {
        self.send(&AgentMessage::ClipboardGrab {
            selection,
            serial: Some(serial),
            kinds: vec![kind],
        });
    }

    /// The client has a window for each of these, by width, height and place; whether the agent says that it is done.
    pub(crate) fn want(&mut self, has_places: bool, monitors: &[(u32, u32, i32, i32)]) -> bool {
        let monitor = |&(width, height, x, y): &(u32, u32, i32, i32)| AgentMonitor {
            width,
            height,
            depth: 32,
            x,
            y,
        };
        let monitors = monitors.iter().map(monitor).collect();
        self.send(&AgentMessage::MonitorsConfig(MonitorsConfig { has_places, monitors }));
        self.expect("reply", |message| match message {
            AgentMessage::Reply {
                to: AgentKind::MonitorsConfig,
                ok,
            } => Some(*ok),
            _ => None,
        })
    }

    /// The next message, if one comes soon.
    pub(crate) fn next(&mut self) -> Option<AgentMessage> {
        let mut buffer = vec![0; 1 << 16];
        if self.arrived.is_empty() {
            match self.port.as_mut().unwrap().read(&mut buffer) {
                Ok(0) => panic!("the agent has closed the port"),
                Ok(count) => self.reader.push(&buffer[..count], &mut self.arrived).unwrap(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if self.arrived.is_empty() {
            return None;
        }
        match self.arrived.remove(0) {
            Arrived::Message { kind, body, .. } => Some(AgentMessage::decode(kind, &body, self.dialect).unwrap()),
            other @ Arrived::TooLong { .. } => panic!("{other:?}"),
        }
    }

    /// Waits for a message; others are passed over.
    pub(crate) fn expect<T>(&mut self, what: &str, mut is_it: impl FnMut(&AgentMessage) -> Option<T>) -> T {
        wait(what, || self.next().and_then(|message| is_it(&message)))
    }

    /// Waits until the guest offers a kind in a selection; its number.
    pub(crate) fn expect_offer(&mut self, selection: Selection, kind: ClipboardKind) {
        self.expect(&format!("offer of {kind:?}"), |message| match message {
            AgentMessage::ClipboardGrab {
                selection: at, kinds, ..
            } if *at == selection && kinds.contains(&kind) => Some(()),
            _ => None,
        });
    }

    /// What the guest has in a selection.
    pub(crate) fn ask(&mut self, selection: Selection, kind: ClipboardKind) -> (ClipboardKind, Bytes) {
        self.send(&AgentMessage::ClipboardRequest { selection, kind });
        self.expect("answer", |message| match message {
            AgentMessage::Clipboard {
                selection: at,
                kind,
                data,
            } if *at == selection => Some((*kind, data.clone())),
            _ => None,
        })
    }

    /// Waits until the guest asks for what the client has, and answers.
    pub(crate) fn answer(&mut self, selection: Selection, kind: ClipboardKind, data: &Bytes) {
        self.expect("question", |message| {
            (*message == AgentMessage::ClipboardRequest { selection, kind }).then_some(())
        });
        let data = data.clone();
        self.send(&AgentMessage::Clipboard { selection, kind, data });
    }
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Bytes that repeat nowhere.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}
