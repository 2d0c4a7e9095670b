//! The demo VM, with these tests as what serves its agent.

use std::{sync::mpsc, time::Duration};

use caraway_machine::{Command, Ending, MachineHandle};

use super::*;

/// Ten times what it takes on the slowest host.
const LIMIT: Duration = Duration::from_secs(60);

const CLIPBOARD: u32 = 4;
const ANNOUNCE_CAPABILITIES: u32 = 6;
const CLIPBOARD_GRAB: u32 = 7;
const CLIPBOARD_REQUEST: u32 = 8;
const UTF8_TEXT: u32 = 1;
/// CLIPBOARD_BY_DEMAND and GUEST_LINEEND_LF.
const CAPABILITIES: u32 = 0x120;
const CHUNK_MAX: usize = 2048;

/// A demo VM that runs, and the host's side of its agent.
struct Demo {
    handle: MachineHandle,
    ending: mpsc::Receiver<Ending>,
    port: HostPort,
    woken: mpsc::Receiver<()>,
    connection: u64,
    heard: Vec<u8>,
}

impl Demo {
    fn start() -> Self {
        let spec = VmSpec::demo();
        let kernel = machine::Kernel::Static(DEMO_GUEST);
        let mut builder = MachineBuilder::new(MachineSpec::new(kernel, spec.memory)).unwrap();
        plug_display(&mut builder, &spec, 0, None)
            .map_err(|failure| failure.line())
            .unwrap();
        let (host, device) = port();
        plug_vdiport(&mut builder, &spec, device, None)
            .map_err(|failure| failure.line())
            .unwrap();
        let (sender, woken) = mpsc::channel();
        host.set_waker(Arc::new(move || {
            sender.send(()).ok();
        }));
        let machine = builder.build().unwrap();
        let handle = machine.handle();
        let (sender, ending) = mpsc::channel();
        std::thread::spawn(move || sender.send(machine.run()));
        Self {
            handle,
            ending,
            port: host,
            woken,
            connection: 0,
            heard: Vec::new(),
        }
    }

    /// Waits for a connection after the last one, and for the agent to announce itself on it.
    fn meet(&mut self) {
        loop {
            let now = self.port.connection();
            if now.is_open && now.number > self.connection {
                self.connection = now.number;
                self.heard.clear();
                break;
            }
            self.woken.recv_timeout(LIMIT).unwrap();
        }
        self.expect(ANNOUNCE_CAPABILITIES, &words(&[1, CAPABILITIES]));
    }

    fn hear(&mut self, count: usize) -> Vec<u8> {
        while self.heard.len() < count {
            let mut bytes = [0; 4096];
            let read = self.port.read(self.connection, &mut bytes);
            self.heard.extend_from_slice(&bytes[..read]);
            if read == 0 {
                self.woken.recv_timeout(LIMIT).unwrap();
            }
        }
        self.heard.drain(..count).collect()
    }

    /// The next chunk for the client.
    fn chunk(&mut self) -> Vec<u8> {
        let head = self.hear(8);
        assert_eq!(word(&head, 0), 1);
        let size = word(&head, 4) as usize;
        assert!((1..=CHUNK_MAX).contains(&size), "{size}");
        self.hear(size)
    }

    /// The agent's next message is this one; its head is in its first chunk, and it ends with a chunk.
    fn expect(&mut self, kind: u32, body: &[u8]) {
        let mut message = self.chunk();
        assert!(message.len() >= 20);
        let size = word(&message, 16) as usize;
        while message.len() < 20 + size {
            message.extend(self.chunk());
        }
        assert_eq!(message[..16], words(&[1, kind, 0, 0]));
        assert!(message[20..] == *body, "message {kind} of {size} bytes");
    }

    fn say(&self, bytes: &[u8]) {
        let mut said = 0;
        while said < bytes.len() {
            let count = self.port.write(self.connection, &bytes[said..]);
            said += count;
            if count == 0 {
                self.woken.recv_timeout(LIMIT).unwrap();
            }
        }
    }

    /// A message in chunks of at most so many bytes on a port.
    fn tell(&self, port: u32, most: usize, kind: u32, body: &[u8]) {
        let mut message = words(&[1, kind, 0, 0, body.len() as u32]);
        message.extend_from_slice(body);
        for data in message.chunks(most) {
            self.say(&words(&[port, data.len() as u32]));
            self.say(data);
        }
    }

    fn tell_client(&self, kind: u32, body: &[u8]) {
        self.tell(1, CHUNK_MAX, kind, body);
    }

    fn quit(self) {
        self.handle.call(Command::Quit { flush: false }).unwrap();
        assert_eq!(self.ending.recv_timeout(LIMIT).unwrap(), Ending::Quit);
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn clipboard(text: &str) -> Vec<u8> {
    let mut body = words(&[UTF8_TEXT]);
    body.extend_from_slice(text.as_bytes());
    body
}

#[test]
fn the_demo_s_agent_announces_itself_and_is_an_echo_for_the_clipboard() {
    let mut demo = Demo::start();
    demo.meet();
    // A client asks what it can do; one that does not ask is not answered.
    demo.tell_client(ANNOUNCE_CAPABILITIES, &words(&[0, 0x0003_5077]));
    demo.tell(1, 7, ANNOUNCE_CAPABILITIES, &words(&[1, 0x0003_5077]));
    demo.expect(ANNOUNCE_CAPABILITIES, &words(&[0, CAPABILITIES]));
    // Nothing was put there yet.
    demo.tell_client(CLIPBOARD_REQUEST, &words(&[UTF8_TEXT]));
    demo.expect(CLIPBOARD, &clipboard(""));
    let long = "From the client: grüße, 0123456789. ".repeat(1700);
    assert!((60_000..65_536).contains(&long.len()));
    for text in ["héllo", &long, "", "again"] {
        // The server's own messages come between.
        demo.tell(2, CHUNK_MAX, 13, &[]);
        demo.tell_client(CLIPBOARD_GRAB, &words(&[2, UTF8_TEXT]));
        demo.expect(CLIPBOARD_REQUEST, &words(&[UTF8_TEXT]));
        demo.tell_client(CLIPBOARD, &clipboard(text));
        demo.expect(CLIPBOARD_GRAB, &words(&[UTF8_TEXT]));
        demo.tell_client(CLIPBOARD_REQUEST, &words(&[UTF8_TEXT]));
        demo.expect(CLIPBOARD, &clipboard(&text.to_ascii_uppercase()));
    }
    // What is no text, and what is too long, changes nothing.
    demo.tell_client(CLIPBOARD_GRAB, &words(&[2]));
    demo.tell_client(CLIPBOARD, &clipboard(&"x".repeat(70_000)));
    demo.tell_client(999, b"of a later version");
    demo.tell_client(CLIPBOARD_REQUEST, &words(&[2]));
    demo.expect(CLIPBOARD, &words(&[0]));
    demo.tell_client(CLIPBOARD_REQUEST, &words(&[UTF8_TEXT]));
    demo.expect(CLIPBOARD, &clipboard("AGAIN"));
    demo.quit();
}

#[test]
fn the_demo_s_agent_starts_over_when_the_host_does_or_breaks_the_protocol() {
    let mut demo = Demo::start();
    demo.meet();
    // In the middle of a message.
    demo.say(&words(&[1, 100, 1, CLIPBOARD]));
    demo.port.hang_up(demo.connection);
    demo.meet();
    for broken in [
        words(&[3, 4, 0]),
        words(&[1, 2049, 0]),
        words(&[1, 20, 2, CLIPBOARD, 0, 0, 0]),
    ] {
        demo.say(&broken);
        demo.meet();
    }
    demo.tell_client(ANNOUNCE_CAPABILITIES, &words(&[1, 0]));
    demo.expect(ANNOUNCE_CAPABILITIES, &words(&[0, CAPABILITIES]));
    // The machine is reset: its agent begins as the first time.
    demo.handle.call(Command::Reset).unwrap();
    demo.meet();
    demo.quit();
}
