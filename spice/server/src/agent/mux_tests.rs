use caraway_protocol::main_channel::{AGENT_DATA_MAX, AgentHeader, CLIENT_PORT, ChunkHeader, SERVER_PORT};
use proptest::prelude::*;

use super::*;

const A: u32 = 7;
const B: u32 = 9;

/// What spice-gtk announces, and spice-vdagent.
const GTK: u32 = 0x0003_5077;
const VDAGENT: u32 = 0x0003_dff7;
const SELECTION: u32 = 1 << 6;
const SERIAL: u32 = 1 << 17;

fn message(kind: AgentKind, body: &[u8]) -> Vec<u8> {
    Head::whole(kind, body.to_vec()).encode()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn chunk(port: u32, data: &[u8]) -> Vec<u8> {
    let size = data.len() as u32;
    [&ChunkHeader { port, size }.encode()[..], data].concat()
}

/// A message: what it is and what is behind its header.
type Told = (AgentKind, Vec<u8>);

/// The messages in a stream that ends with one.
fn messages(mut stream: &[u8]) -> Vec<Told> {
    let mut all = Vec::new();
    while !stream.is_empty() {
        let header = AgentHeader::decode(&stream[..AgentHeader::BYTES].to_vec().into()).unwrap();
        let (body, rest) = stream[AgentHeader::BYTES..].split_at(header.size as usize);
        all.push((header.kind.into(), body.to_vec()));
        stream = rest;
    }
    all
}

struct Bench {
    mux: Mux,
    /// The two streams to the agent.
    streams: BTreeMap<u32, Vec<u8>>,
}

impl Bench {
    fn new(policy: AgentPolicy) -> Self {
        Self {
            mux: Mux::new(policy),
            streams: BTreeMap::new(),
        }
    }

    /// An agent with clients that have started and said what they can do.
    fn with(clients: &[(u32, u32)]) -> Self {
        let mut bench = Self::new(AgentPolicy::default());
        bench.mux.opened();
        bench.announces(VDAGENT);
        for (id, caps) in clients {
            bench.client(*id, *caps);
        }
        bench.agent_got();
        clients.iter().for_each(|(id, _)| drop(bench.client_got(*id)));
        bench
    }

    fn client(&mut self, id: u32, caps: u32) {
        self.mux.join(id, true);
        self.mux.start(id, u32::MAX);
        // As the agent answers.
        self.says(id, &message(AgentKind::AnnounceCapabilities, &words(&[1, caps])));
        self.agent_got();
        self.announces(VDAGENT);
        self.client_got(id);
    }

    fn announces(&mut self, caps: u32) {
        self.agent_says(AgentKind::AnnounceCapabilities, &words(&[0, caps]));
    }

    fn agent_says(&mut self, kind: AgentKind, body: &[u8]) {
        self.mux.read(&chunk(CLIENT_PORT, &message(kind, body))).unwrap();
    }

    /// A client sends a whole message.
    fn says(&mut self, id: u32, message: &[u8]) {
        for part in message.chunks(AGENT_DATA_MAX) {
            self.mux.data(id, Bytes::copy_from_slice(part)).unwrap();
        }
    }

    /// Takes all there is for the agent, by odd counts.
    fn drain(&mut self) {
        let mut bytes = Vec::new();
        loop {
            let some = self.mux.writes();
            let count = some.len().min(777);
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&some[..count]);
            self.mux.wrote(count);
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = ChunkHeader::decode(*rest.first_chunk().unwrap());
            let end = ChunkHeader::BYTES + header.size as usize;
            assert!(header.size as usize <= AGENT_DATA_MAX);
            self.streams
                .entry(header.port)
                .or_default()
                .extend_from_slice(&rest[ChunkHeader::BYTES..end]);
            rest = &rest[end..];
        }
    }

    /// What the agent was told of the clients' messages.
    fn agent_got(&mut self) -> Vec<Told> {
        self.drain();
        messages(&self.streams.remove(&CLIENT_PORT).unwrap_or_default())
    }

    /// What it was told by the server.
    fn server_said(&mut self) -> Vec<Told> {
        self.drain();
        messages(&self.streams.remove(&SERVER_PORT).unwrap_or_default())
    }

    fn all(&mut self, id: u32) -> Vec<ServerMessage> {
        std::iter::from_fn(|| self.mux.next(id)).collect()
    }

    /// What a client was told by the agent.
    fn client_got(&mut self, id: u32) -> Vec<Told> {
        let mut stream = Vec::new();
        for message in self.all(id) {
            if let ServerMessage::AgentData(bytes) = message {
                assert!(bytes.len() <= AGENT_DATA_MAX);
                stream.extend_from_slice(&bytes);
            }
        }
        messages(&stream)
    }
}

fn tokens_in(messages: &[ServerMessage]) -> Vec<u32> {
    let tokens = |message: &ServerMessage| match message {
        ServerMessage::AgentToken(tokens) => Some(*tokens),
        _ => None,
    };
    messages.iter().filter_map(tokens).collect()
}

#[test]
fn clients_are_told_when_an_agent_comes_and_goes() {
    let mut bench = Bench::new(AgentPolicy::default());
    let none = Joined {
        is_connected: false,
        tokens: TOKENS,
    };
    assert_eq!(bench.mux.join(A, true), none);
    bench.mux.join(B, false);
    assert!(!bench.mux.has_next(A) && bench.all(A).is_empty());
    bench.mux.opened();
    assert_eq!(bench.all(A), [ServerMessage::AgentConnectedTokens(TOKENS)]);
    assert_eq!(bench.all(B), [ServerMessage::AgentConnected]);
    bench.mux.opened();
    let again = [
        ServerMessage::AgentDisconnected(0),
        ServerMessage::AgentConnectedTokens(TOKENS),
    ];
    assert_eq!(bench.all(A), again, "another connection");
    bench.mux.closed();
    bench.mux.closed();
    assert_eq!(bench.all(A), [ServerMessage::AgentDisconnected(0)]);
    // One that does not listen is told how it is in the end.
    (0..1000).for_each(|_| {
        bench.mux.opened();
        bench.mux.closed();
    });
    assert!(bench.all(A).is_empty());
    assert_eq!(bench.all(B), [ServerMessage::AgentDisconnected(0)]);
    assert!(bench.mux.leave(A).is_ok() && bench.server_said().is_empty());
}

#[test]
fn messages_of_the_agent_reach_clients_wherever_its_bytes_are_cut() {
    let long: Vec<u8> = (0..5000u32).map(|at| at as u8).collect();
    let stream = [
        chunk(CLIENT_PORT, &message(AgentKind::Unknown(99), &long)),
        chunk(SERVER_PORT, b"for the server, which asks nothing"),
        chunk(CLIENT_PORT, &message(AgentKind::Reply, &words(&[2, 1]))),
        chunk(CLIENT_PORT, b""),
    ]
    .concat();
    for step in [1, 3, 7, 8, 20, 28, 500, stream.len()] {
        let mut bench = Bench::with(&[(A, GTK)]);
        for part in stream.chunks(step) {
            bench.mux.read(part).unwrap();
        }
        let wanted = [
            (AgentKind::Unknown(99), long.clone()),
            (AgentKind::Reply, words(&[2, 1])),
        ];
        assert_eq!(bench.client_got(A), wanted, "by {step}");
    }
}

#[test]
fn an_agent_that_breaks_the_protocol_is_found_out() {
    for (bytes, wanted) in [
        (chunk(3, b"x"), "agent chunk for port 3"),
        (chunk(CLIENT_PORT, &words(&[2, 1, 0, 0, 0])), "header"),
    ] {
        let mut bench = Bench::with(&[(A, GTK)]);
        let error = bench.mux.read(&bytes).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn a_client_is_sent_what_it_has_tokens_for_and_the_agent_waits() {
    let mut bench = Bench::with(&[]);
    bench.mux.join(A, true);
    bench.mux.start(A, 3);
    let say = |bench: &mut Bench| bench.agent_says(AgentKind::Unknown(50), b"");
    (0..MOST_WAITING).for_each(|_| say(&mut bench));
    assert!(!bench.mux.reads());
    assert_eq!(bench.all(A).len(), 3);
    assert!(bench.mux.reads() && !bench.mux.has_next(A));
    bench.mux.grant(A, 2);
    bench.mux.grant(A, u32::MAX);
    assert!(bench.mux.has_next(A));
    assert_eq!(bench.all(A).len(), MOST_WAITING - 3);
    say(&mut bench);
    assert_eq!(bench.all(A).len(), 1);
}

#[test]
fn tokens_go_back_as_messages_are_written_and_without_one_nothing_is_taken() {
    let mut bench = Bench::with(&[(A, GTK)]);
    // Those of the announcement.
    let mut left = TOKENS - 1;
    let text = message(AgentKind::Unknown(40), &[1; 100]);
    while left > 0 {
        bench.says(A, &text);
        left -= 1;
    }
    let error = bench.mux.data(A, text.clone().into()).unwrap_err();
    assert!(matches!(error, AgentFault::Tokens), "{error}");
    assert!(bench.all(A).is_empty(), "nothing is written yet");
    assert_eq!(bench.agent_got().len(), TOKENS as usize - 1);
    assert_eq!(tokens_in(&bench.all(A)), [TOKENS]);
}

#[test]
fn clients_that_lie_about_sizes_are_found_out() {
    let begin = message(AgentKind::Unknown(40), &[0; 100]);
    for (parts, wanted) in [
        (vec![&begin[..19]], "of 19 bytes begins"),
        (vec![&[0; AGENT_DATA_MAX + 1][..]], "2049 bytes, more than"),
        (
            vec![&[&begin[..], &[0]].concat()[..]],
            "101 bytes of a message, 100 are left",
        ),
        (vec![&begin[..50], &[0; 71]], "71 bytes of a message, 70 are left"),
        (vec![&[&[2][..], &begin[1..]].concat()[..]], "header"),
    ] {
        let mut bench = Bench::with(&[(A, GTK)]);
        let done: Result<Vec<_>, AgentFault> = parts
            .iter()
            .map(|part| bench.mux.data(A, Bytes::copy_from_slice(part)))
            .collect();
        let error = done.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn what_comes_before_the_start_or_from_before_is_dropped() {
    let mut bench = Bench::with(&[]);
    bench.mux.join(A, true);
    let text = message(AgentKind::Unknown(40), &[0; 3000]);
    // More than it has tokens for, and a half.
    (0..20).for_each(|_| bench.says(A, &text));
    bench.says(A, &text[..1000]);
    bench.mux.start(A, 1);
    bench.says(A, &text);
    assert_eq!(bench.agent_got().len(), 1);
    bench.says(A, &text[..2048]);
    bench.mux.opened();
    bench.says(A, &text[2048..]);
    assert!(bench.agent_got().is_empty());
    bench.mux.start(A, 1);
    (0..TOKENS / 2).for_each(|_| bench.says(A, &text));
    assert_eq!(bench.agent_got().len() as u32, TOKENS / 2);
}

#[test]
fn one_message_of_one_client_is_written_at_a_time_and_one_left_unfinished_is_made_up() {
    let mut bench = Bench::with(&[(A, GTK), (B, GTK)]);
    let (a, b) = (
        message(AgentKind::Unknown(41), &[1; 3000]),
        message(AgentKind::Unknown(42), &[2; 50]),
    );
    bench.says(A, &a[..1000]);
    bench.says(B, &b);
    bench.drain();
    bench.mux.data(A, Bytes::copy_from_slice(&a[1000..2000])).unwrap();
    bench.drain();
    let so_far = &bench.streams[&CLIENT_PORT];
    assert_eq!(*so_far, a[..2000], "B waits");
    bench.mux.leave(A).unwrap();
    let got = bench.agent_got();
    let padded: Vec<u8> = a[AgentHeader::BYTES..2000].iter().copied().chain([0; 1020]).collect();
    assert_eq!(
        got,
        [(AgentKind::Unknown(41), padded), (AgentKind::Unknown(42), vec![2; 50])]
    );
    // Nobody makes up gigabytes.
    let mut huge = message(AgentKind::Unknown(43), &[3; 30]);
    huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    bench.says(B, &huge);
    bench.drain();
    assert!(matches!(bench.mux.leave(B), Err(AgentFault::Abandoned { .. })));
}

#[test]
fn who_keeps_others_from_the_agent_is_cut_off() {
    let mut bench = Bench::with(&[(A, GTK), (B, GTK)]);
    let second = Duration::from_secs(1);
    let text = message(AgentKind::Unknown(41), &[1; 3000]);
    bench.says(A, &text[..1000]);
    bench.drain();
    assert!(bench.mux.stalled(second).is_empty());
    assert!(bench.mux.stalled(second + PATIENCE / 2).is_empty());
    bench.says(A, &text[1000..]);
    bench.drain();
    assert!(bench.mux.stalled(second * 2 + PATIENCE).is_empty(), "it has gone on");
    bench.agent_got();
    bench.client_got(A);
    (0..MOST_WAITING).for_each(|_| bench.agent_says(AgentKind::Unknown(50), b""));
    bench.client_got(A);
    assert!(bench.mux.stalled(second * 100).is_empty());
    assert_eq!(bench.mux.stalled(second * 100 + PATIENCE), [B], "it takes nothing");
    bench.mux.leave(A).unwrap();
    assert!(bench.mux.stalled(second * 500).is_empty(), "there are no others");
}

#[test]
fn the_last_client_to_go_is_told_the_agent() {
    let mut bench = Bench::with(&[(A, GTK), (B, GTK)]);
    bench.mux.leave(A).unwrap();
    assert!(bench.server_said().is_empty());
    bench.mux.leave(B).unwrap();
    assert_eq!(bench.server_said(), [(AgentKind::ClientDisconnected, Vec::new())]);
}

#[test]
fn an_agent_that_moves_the_pointer_no_more_is_told_to_let_go_of_its_buttons() {
    let mut bench = Bench::with(&[]);
    let state = |buttons: u32| {
        let body = [words(&[3, 4, buttons]), vec![0]].concat();
        (AgentKind::MouseState, body)
    };
    bench.mux.point(&AgentMouse {
        x: 3,
        y: 4,
        buttons: 8,
        display: 0,
    });
    bench.announces(VDAGENT);
    assert_eq!(bench.server_said(), [state(8)], "it still does");
    bench.announces(VDAGENT & !1);
    assert_eq!(bench.server_said(), [state(0)]);
    bench.announces(VDAGENT & !1);
    bench.announces(VDAGENT);
    assert_eq!(bench.server_said(), [], "once");
}

#[test]
fn what_is_disabled_is_dropped_and_not_announced() {
    let clipboards = [
        AgentKind::ClipboardGrab,
        AgentKind::Clipboard,
        AgentKind::ClipboardRequest,
        AgentKind::ClipboardRelease,
    ];
    for (to_guest, to_client) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut bench = Bench::new(AgentPolicy {
            clipboard_to_guest: to_guest,
            clipboard_to_client: to_client,
            file_transfer: false,
        });
        bench.mux.opened();
        bench.mux.join(A, true);
        bench.mux.start(A, u32::MAX);
        bench.announces(VDAGENT);
        let announced = bench.client_got(A)[0].1.clone();
        let caps = u32::from_le_bytes(*announced[4..].first_chunk().unwrap());
        assert_eq!(caps & 0b110_1000 != 0, to_guest || to_client);
        assert_eq!((caps >> 13 & 1, caps & SERIAL), (1, 0));
        let body = words(&[0, 1]);
        for kind in clipboards.into_iter().chain([AgentKind::FileXferStart]) {
            bench.says(A, &message(kind, &body));
        }
        let got: Vec<AgentKind> = bench.agent_got().into_iter().map(|(kind, _)| kind).collect();
        let mut wanted = Vec::new();
        if to_guest {
            wanted.extend([AgentKind::ClipboardGrab, AgentKind::Clipboard]);
        }
        if to_client {
            wanted.push(AgentKind::ClipboardRequest);
        }
        if to_guest {
            wanted.push(AgentKind::ClipboardRelease);
        }
        assert_eq!(got, wanted, "{to_guest} {to_client}");
    }
}

#[test]
fn selections_are_of_one_client_and_answers_for_who_asked() {
    let mut bench = Bench::with(&[(A, GTK), (B, GTK)]);
    let text = 1;
    bench.agent_says(AgentKind::ClipboardGrab, &words(&[0, text]));
    let grab = [(AgentKind::ClipboardGrab, words(&[0, text]))];
    assert_eq!(
        (bench.client_got(A), bench.client_got(B)),
        (grab.to_vec(), grab.to_vec())
    );
    // Both paste; the second one first.
    let request = message(AgentKind::ClipboardRequest, &words(&[0, text]));
    bench.says(B, &request);
    bench.says(A, &request);
    assert_eq!(bench.agent_got().len(), 2);
    let answer = |with: &[u8]| [&words(&[0, text])[..], with].concat();
    bench.agent_says(AgentKind::Clipboard, &answer(b"to B"));
    bench.agent_says(AgentKind::Clipboard, &answer(b"to A"));
    bench.agent_says(AgentKind::Clipboard, &answer(b"nobody asked"));
    assert_eq!(bench.client_got(A), [(AgentKind::Clipboard, answer(b"to A"))]);
    assert_eq!(bench.client_got(B), [(AgentKind::Clipboard, answer(b"to B"))]);
    // A copies: B does not offer the guest's any more, and is not asked for A's.
    bench.says(A, &message(AgentKind::ClipboardGrab, &words(&[0, text])));
    assert_eq!(bench.client_got(B), [(AgentKind::ClipboardRelease, words(&[0]))]);
    bench.says(B, &message(AgentKind::Clipboard, &answer(b"not B's")));
    bench.says(B, &message(AgentKind::ClipboardRelease, &words(&[0])));
    assert_eq!(bench.agent_got(), [(AgentKind::ClipboardGrab, words(&[0, text]))]);
    bench.agent_says(AgentKind::ClipboardRequest, &words(&[0, text]));
    assert!(bench.client_got(B).is_empty());
    assert_eq!(bench.client_got(A).len(), 1);
    bench.says(A, &message(AgentKind::Clipboard, &answer(b"A's")));
    assert_eq!(bench.agent_got(), [(AgentKind::Clipboard, answer(b"A's"))]);
    // What goes with a client goes from the guest.
    bench.mux.leave(A).unwrap();
    assert_eq!(bench.agent_got(), [(AgentKind::ClipboardRelease, words(&[0]))]);
    // There is no fourth selection.
    bench.says(B, &message(AgentKind::ClipboardGrab, &words(&[3, text])));
    assert!(bench.agent_got().is_empty());
}

#[test]
fn a_client_that_knows_one_selection_has_the_first_one() {
    let mut bench = Bench::with(&[(A, GTK), (B, GTK & !SELECTION)]);
    bench.says(B, &message(AgentKind::ClipboardGrab, &words(&[1])));
    assert_eq!(bench.agent_got(), [(AgentKind::ClipboardGrab, words(&[0, 1]))]);
    bench.agent_says(AgentKind::ClipboardRequest, &words(&[0, 1]));
    assert_eq!(bench.client_got(B), [(AgentKind::ClipboardRequest, words(&[1]))]);
    // Of the second one it hears nothing.
    bench.agent_says(AgentKind::ClipboardGrab, &words(&[1, 1]));
    bench.agent_says(AgentKind::ClipboardGrab, &words(&[0, 1]));
    assert_eq!(bench.client_got(B), [(AgentKind::ClipboardGrab, words(&[1]))]);
    assert_eq!(bench.client_got(A).len(), 2);
    // Alone it is told as it is by the agent.
    let mut bench = Bench::with(&[(B, GTK & !SELECTION)]);
    bench.says(B, &message(AgentKind::ClipboardGrab, &words(&[1])));
    assert_eq!(bench.agent_got(), [(AgentKind::ClipboardGrab, words(&[1]))]);
}

#[test]
fn the_agent_takes_its_clients_for_what_all_of_them_can() {
    let mut bench = Bench::with(&[(A, GTK)]);
    bench.mux.join(B, true);
    bench.mux.start(B, u32::MAX);
    bench.says(B, &message(AgentKind::AnnounceCapabilities, &words(&[1, 0b10_0101])));
    let told = GTK & !SERIAL & 0b10_0101 | SELECTION;
    assert_eq!(
        bench.agent_got(),
        [(AgentKind::AnnounceCapabilities, words(&[1, told]))]
    );
}

#[test]
fn files_of_clients_do_not_meet() {
    let mut bench = Bench::with(&[(A, GTK), (B, GTK)]);
    let start = message(AgentKind::FileXferStart, &[&words(&[1])[..], b"name"].concat());
    bench.says(A, &start);
    bench.says(B, &start);
    let got = bench.agent_got();
    let numbers: Vec<u32> = got
        .iter()
        .map(|(_, body)| u32::from_le_bytes(*body.first_chunk().unwrap()))
        .collect();
    assert_eq!((got.len(), numbers[0] != numbers[1]), (2, true));
    bench.agent_says(AgentKind::FileXferStatus, &words(&[numbers[1], 0]));
    assert!(bench.client_got(A).is_empty());
    assert_eq!(bench.client_got(B), [(AgentKind::FileXferStatus, words(&[1, 0]))]);
    let data = |id: u32| [&words(&[id, 4, 0])[..], b"data"].concat();
    bench.says(B, &message(AgentKind::FileXferData, &data(1)));
    bench.says(B, &message(AgentKind::FileXferData, &data(2)));
    assert_eq!(bench.agent_got(), [(AgentKind::FileXferData, data(numbers[1]))]);
    bench.agent_says(AgentKind::FileXferStatus, &words(&[numbers[1], 3]));
    assert_eq!(bench.client_got(B).len(), 1);
    bench.says(B, &message(AgentKind::FileXferData, &data(1)));
    assert!(bench.agent_got().is_empty(), "it is over");
    // The same number twice is no two files.
    bench.says(A, &start);
    assert_eq!(
        bench.client_got(A),
        [(AgentKind::FileXferStatus, words(&[1, CANCELLED]))]
    );
    bench.mux.leave(A).unwrap();
    assert_eq!(
        bench.agent_got(),
        [(AgentKind::FileXferStatus, words(&[numbers[0], CANCELLED]))]
    );
}

#[test]
fn monitors_go_to_the_driver_that_takes_them_and_to_the_agent_otherwise() {
    let mut bench = Bench::with(&[(A, GTK)]);
    let body = words(&[&[16, 3][..], &[600, 800, 32, 0, 0].repeat(16), &[7; 16]].concat());
    let config = message(AgentKind::MonitorsConfig, &body);
    bench.says(A, &config);
    assert_eq!(bench.agent_got(), [(AgentKind::MonitorsConfig, body.clone())]);
    bench.mux.set_driver_takes(true);
    for parts in [config.len(), 200, AgentHeader::BYTES] {
        let mut got = None;
        for part in config.chunks(parts) {
            assert_eq!(got, None);
            got = bench.mux.data(A, Bytes::copy_from_slice(part)).unwrap();
            // Each has used a token.
            bench.all(A);
        }
        let monitors = got.expect("the message is complete");
        assert_eq!(
            (monitors.len(), monitors[15].width, monitors[15].height),
            (16, 800, 600)
        );
        assert!(bench.agent_got().is_empty());
    }
    let mut long = config.clone();
    long[16..20].copy_from_slice(&(AgentMonitor::MOST_BYTES + 1).to_le_bytes());
    let error = bench.mux.data(A, long.into()).unwrap_err();
    assert!(matches!(error, AgentFault::ManyMonitors(6153)), "{error}");
    let error = bench
        .mux
        .data(A, message(AgentKind::MonitorsConfig, &words(&[1, 0])).into());
    assert!(matches!(error, Err(AgentFault::Monitors(_))), "{error:?}");
}

#[test]
fn without_an_agent_the_server_stands_in_where_the_driver_takes_monitors() {
    let mut bench = Bench::new(AgentPolicy::default());
    bench.mux.join(A, true);
    bench.mux.set_driver_takes(true);
    bench.mux.set_driver_takes(true);
    assert_eq!(bench.all(A), [ServerMessage::AgentConnectedTokens(TOKENS)]);
    assert!(bench.mux.join(B, true).is_connected && !bench.mux.is_open());
    bench.mux.start(A, u32::MAX);
    bench.says(A, &message(AgentKind::AnnounceCapabilities, &words(&[1, GTK])));
    let caps = words(&[0, STANDS_IN.bits()]);
    assert_eq!(bench.client_got(A), [(AgentKind::AnnounceCapabilities, caps)]);
    let grab = message(AgentKind::ClipboardGrab, &words(&[1]));
    (0..3 * TOKENS).for_each(|_| {
        bench.says(A, &grab);
        bench.all(A);
    });
    let config = message(AgentKind::MonitorsConfig, &words(&[1, 0, 600, 800, 32, 0, 0]));
    let got = bench.mux.data(A, config.into()).unwrap();
    assert_eq!(got.map(|monitors| monitors.len()), Some(1));
    assert!(bench.agent_got().is_empty() && bench.server_said().is_empty());
    // An agent comes.
    bench.mux.opened();
    let told = [
        ServerMessage::AgentDisconnected(0),
        ServerMessage::AgentConnectedTokens(TOKENS),
    ];
    assert_eq!(bench.all(A), told);
    bench.mux.set_driver_takes(false);
    assert!(bench.all(A).is_empty());
    bench.mux.closed();
    assert_eq!(bench.all(A), [ServerMessage::AgentDisconnected(0)]);
}

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    Opened,
    Closed,
    Driver(bool),
    Join(u32, bool),
    Leave(u32),
    Start(u32, u32),
    /// A message of a client, and where it is cut; it may say to be longer than it is.
    Says(u32, u32, Vec<u8>, usize, u32),
    Client(u32, Vec<u8>),
    Agent(u32, u32, Vec<u8>),
    Guest(Vec<u8>),
    Taken(u32, usize),
    Written(usize),
    Later,
}

fn events() -> impl Strategy<Value = Event> {
    let id = 1..4u32;
    let bytes = || proptest::collection::vec(prop_oneof![0..3u8, any::<u8>()], 0..60);
    prop_oneof![
        1 => Just(Event::Opened),
        1 => Just(Event::Closed),
        1 => any::<bool>().prop_map(Event::Driver),
        3 => (id.clone(), any::<bool>()).prop_map(|(id, tokens)| Event::Join(id, tokens)),
        1 => id.clone().prop_map(Event::Leave),
        4 => (id.clone(), prop_oneof![0..40u32, Just(u32::MAX)]).prop_map(|(id, tokens)| Event::Start(id, tokens)),
        9 => (id.clone(), 0..18u32, bytes(), 1..90usize, prop_oneof![3 => Just(0), 1 => any::<u32>()])
            .prop_map(|(id, kind, body, cut, more)| Event::Says(id, kind, body, cut, more)),
        1 => (id.clone(), bytes()).prop_map(|(id, bytes)| Event::Client(id, bytes)),
        9 => (1..3u32, 0..18u32, bytes()).prop_map(|(port, kind, body)| Event::Agent(port, kind, body)),
        1 => bytes().prop_map(Event::Guest),
        6 => (id, 0..30usize).prop_map(|(id, count)| Event::Taken(id, count)),
        6 => (0..5000usize).prop_map(Event::Written),
        1 => Just(Event::Later),
    ]
}

proptest! {
    /// Whatever comes, what is kept is bounded, and what a client is sent and the agent is written has its form.
    #[test]
    fn whatever_comes_is_taken(events in proptest::collection::vec(events(), 0..200)) {
        let mut mux = Mux::new(AgentPolicy::default());
        let mut now = Duration::ZERO;
        // What was written to the agent since it came.
        let mut written = Vec::new();
        for event in events {
            match event {
                Event::Opened => {
                    mux.opened();
                    written.clear();
                }
                Event::Closed => {
                    mux.closed();
                    written.clear();
                }
                Event::Driver(takes) => mux.set_driver_takes(takes),
                Event::Join(id, tokens) => drop(mux.join(id, tokens)),
                Event::Leave(id) => drop(mux.leave(id)),
                Event::Start(id, tokens) => mux.start(id, tokens),
                Event::Says(id, kind, body, cut, more) => {
                    let mut whole = message(kind.into(), &body);
                    let size = (body.len() as u32).saturating_add(more);
                    whole[16..20].copy_from_slice(&size.to_le_bytes());
                    for part in whole.chunks(cut) {
                        if mux.data(id, Bytes::copy_from_slice(part)).is_err() {
                            drop(mux.leave(id));
                            break;
                        }
                    }
                }
                Event::Client(id, bytes) => drop(mux.data(id, bytes.into())),
                Event::Agent(port, kind, body) if mux.is_open() && mux.reads() => {
                    if mux.read(&chunk(port, &message(kind.into(), &body))).is_err() {
                        mux.closed();
                    }
                }
                Event::Guest(bytes) if mux.is_open() && mux.reads() => {
                    if mux.read(&bytes).is_err() {
                        mux.closed();
                    }
                }
                Event::Agent(..) | Event::Guest(_) => {}
                Event::Taken(id, count) => (0..count).for_each(|_| drop(mux.next(id))),
                Event::Written(count) => {
                    let bytes = mux.writes();
                    let count = count.min(bytes.len());
                    written.extend_from_slice(&bytes[..count]);
                    mux.wrote(count);
                }
                Event::Later => {
                    now += PATIENCE;
                    drop(mux.stalled(now));
                }
            }
            for client in mux.shared.clients.values() {
                // The last ones that the agent sent before it was not read any more, and what the server adds.
                prop_assert!(client.out.len() <= client.waiting + 2, "{:?}", client.out);
                prop_assert!(client.waiting <= MOST_WAITING + 70, "{} wait", client.waiting);
                prop_assert!(client.pieces.len() <= TOKENS as usize, "{} pieces", client.pieces.len());
            }
        }
        let mut rest = &written[..];
        while let Some((header, data)) = rest.split_first_chunk() {
            let header = ChunkHeader::decode(*header);
            prop_assert!(matches!(header.port, CLIENT_PORT | SERVER_PORT) && header.size as usize <= AGENT_DATA_MAX);
            rest = data.get(header.size as usize..).unwrap_or_default();
        }
    }
}
