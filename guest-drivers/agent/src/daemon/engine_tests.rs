use bytes::Bytes;
use caraway_protocol::agent::{
    AgentCaps, AgentKind, AgentMessage, ClipboardKind, Dialect, FileStart, FileStatus, GraphicsDevice, MonitorsConfig,
    MouseState, Selection,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::engine::{Do, Engine, MOST_FILES};
use crate::link::Link;
use crate::port::{self, Arrived, Origin, Reader};

/// What spice-gtk announces.
const CLIENT: AgentCaps = AgentCaps::from_bits_retain(0x35077);
const SESSION: AgentCaps = AgentCaps::MONITORS_CONFIG.union(AgentCaps::CLIPBOARD_BY_DEMAND);
const TEXT: ClipboardKind = ClipboardKind::Text;
const CLIPBOARD: Selection = Selection::Clipboard;

/// An engine, and both of its ends.
struct Bench {
    engine: Engine,
    reader: Reader,
    dialect: Dialect,
}

impl Bench {
    /// A client and a session are there, and have been told of each other.
    fn new() -> Self {
        Self::with(AgentCaps::MOUSE_STATE, CLIENT)
    }

    fn with(own: AgentCaps, client: AgentCaps) -> Self {
        let mut bench = Self {
            engine: Engine::new(own),
            reader: Reader::default(),
            dialect: Dialect::default(),
        };
        bench.engine.session(Some(SESSION));
        bench.engine.opened();
        let said = bench.client_hears();
        let [
            AgentMessage::AnnounceCapabilities {
                wants_answer: true,
                caps,
            },
        ] = said[..]
        else {
            panic!("{said:?}");
        };
        bench.client(&AgentMessage::AnnounceCapabilities {
            wants_answer: true,
            caps: client,
        });
        bench.dialect = Dialect::of(caps, client);
        bench.client_hears();
        bench.session_hears();
        bench
    }

    fn client(&mut self, message: &AgentMessage) {
        let mut wire = Vec::new();
        port::write(Origin::Client, message.kind(), &message.encode(self.dialect), &mut wire);
        self.engine.port_says(&wire).unwrap();
    }

    fn server(&mut self, message: &AgentMessage) {
        let mut wire = Vec::new();
        port::write(Origin::Server, message.kind(), &message.encode(self.dialect), &mut wire);
        self.engine.port_says(&wire).unwrap();
    }

    fn session(&mut self, message: AgentMessage) {
        self.engine.session_says(message);
    }

    fn client_hears(&mut self) -> Vec<AgentMessage> {
        let mut arrived = Vec::new();
        self.reader.push(&self.engine.take_output(), &mut arrived).unwrap();
        let decode = |arrived| match arrived {
            Arrived::Message { kind, body, .. } => AgentMessage::decode(kind, &body, self.dialect).unwrap(),
            Arrived::TooLong { .. } => panic!("{arrived:?}"),
        };
        arrived.into_iter().map(decode).collect()
    }

    fn todo(&mut self) -> Vec<Do> {
        let todo = self.engine.take_todo();
        todo.into_iter().filter(|todo| !matches!(todo, Do::Note(_))).collect()
    }

    fn session_hears(&mut self) -> Vec<AgentMessage> {
        let told = self.engine.take_todo().into_iter().filter_map(|todo| match todo {
            Do::Tell(Link::Agent(message)) => Some(message),
            _ => None,
        });
        told.collect()
    }
}

fn grab(serial: Option<u32>) -> AgentMessage {
    AgentMessage::ClipboardGrab {
        selection: CLIPBOARD,
        serial,
        kinds: vec![TEXT],
    }
}

const fn ask() -> AgentMessage {
    AgentMessage::ClipboardRequest {
        selection: CLIPBOARD,
        kind: TEXT,
    }
}

const fn text(text: &'static str) -> AgentMessage {
    AgentMessage::Clipboard {
        selection: CLIPBOARD,
        kind: TEXT,
        data: Bytes::from_static(text.as_bytes()),
    }
}

const NOTHING: AgentMessage = AgentMessage::Clipboard {
    selection: CLIPBOARD,
    kind: ClipboardKind::None,
    data: Bytes::new(),
};

const RELEASE: AgentMessage = AgentMessage::ClipboardRelease { selection: CLIPBOARD };

fn start(id: u32) -> AgentMessage {
    let name = "x".to_owned();
    AgentMessage::FileXferStart(FileStart { id, name, size: 3 })
}

const fn status(id: u32, status: FileStatus) -> AgentMessage {
    AgentMessage::FileXferStatus { id, status }
}

#[test]
fn who_comes_is_greeted() {
    let mut engine = Engine::new(AgentCaps::empty());
    engine.session(Some(AgentCaps::all()));
    engine.opened();
    let mut arrived = Vec::new();
    Reader::default().push(&engine.take_output(), &mut arrived).unwrap();
    let [Arrived::Message { kind, body, .. }] = &arrived[..] else {
        panic!("{arrived:?}");
    };
    let AgentMessage::AnnounceCapabilities { caps, .. } =
        AgentMessage::decode(*kind, body, Dialect::default()).unwrap()
    else {
        panic!("{kind:?}");
    };
    // A session says nothing for the daemon.
    assert!(!caps.intersects(AgentCaps::MOUSE_STATE | AgentCaps::FILE_XFER_DISABLED | AgentCaps::GUEST_LINEEND_CRLF));
    assert!(caps.contains(AgentCaps::CLIPBOARD_BY_DEMAND | AgentCaps::AUDIO_VOLUME_SYNC));
    assert_eq!(engine.take_todo(), [Do::LetGo]);
    let mut bench = Bench::new();
    bench.client(&AgentMessage::AnnounceCapabilities {
        wants_answer: true,
        caps: CLIENT,
    });
    assert!(matches!(
        bench.client_hears()[..],
        [AgentMessage::AnnounceCapabilities {
            wants_answer: false,
            ..
        }]
    ));
    assert!(matches!(
        bench.todo()[..],
        [Do::Tell(Link::Active { caps: CLIENT, .. })]
    ));
}

#[test]
fn the_client_copies_and_the_guest_pastes() {
    let mut bench = Bench::new();
    bench.client(&grab(Some(0)));
    assert_eq!(bench.session_hears(), [grab(None)]);
    bench.session(ask());
    assert_eq!(bench.client_hears(), [ask()]);
    bench.client(&text("hé"));
    assert_eq!(bench.session_hears(), [text("hé")]);
    // Nobody has asked again.
    bench.client(&text("more"));
    assert_eq!(bench.session_hears(), []);
    bench.client(&RELEASE);
    assert_eq!(bench.session_hears(), [RELEASE]);
    bench.session(ask());
    assert_eq!(bench.session_hears(), [NOTHING]);
    assert_eq!(bench.client_hears(), []);
}

#[test]
fn the_guest_copies_and_the_client_pastes() {
    let mut bench = Bench::new();
    bench.client(&ask());
    assert_eq!(bench.client_hears(), [NOTHING]);
    bench.session(grab(None));
    assert_eq!(bench.client_hears(), [grab(Some(0))]);
    bench.client(&ask());
    assert_eq!(bench.session_hears(), [ask()]);
    bench.session(text("of the guest"));
    assert_eq!(bench.client_hears(), [text("of the guest")]);
    bench.session(text("what nobody asked for"));
    assert_eq!(bench.client_hears(), []);
    bench.session(RELEASE);
    assert_eq!(bench.client_hears(), [RELEASE]);
}

#[test]
fn a_grab_that_is_too_late_is_none() {
    let mut bench = Bench::new();
    bench.session(grab(None));
    bench.client(&grab(Some(0)));
    assert_eq!(bench.session_hears(), []);
    bench.client(&grab(Some(1)));
    assert_eq!(bench.session_hears(), [grab(None)]);
    bench.session(grab(None));
    assert_eq!(bench.client_hears(), [grab(Some(0)), grab(Some(2))]);
    // A client that has just come counts anew, and so do we.
    bench.client(&AgentMessage::AnnounceCapabilities {
        wants_answer: true,
        caps: CLIENT,
    });
    bench.client_hears();
    bench.session(grab(None));
    assert_eq!(bench.client_hears(), [grab(Some(0))]);
}

#[test]
fn who_waits_hears_of_another_owner() {
    let mut bench = Bench::new();
    bench.session(grab(None));
    bench.client(&ask());
    bench.client_hears();
    bench.session_hears();
    bench.client(&grab(Some(1)));
    assert_eq!(bench.client_hears(), [NOTHING]);
    bench.session(ask());
    bench.session_hears();
    bench.client(&grab(Some(2)));
    assert_eq!(bench.session_hears(), [NOTHING, grab(None)]);
}

#[test]
fn a_client_of_old_has_one_clipboard_and_no_serials() {
    let mut bench = Bench::with(AgentCaps::MOUSE_STATE, AgentCaps::CLIPBOARD_BY_DEMAND);
    bench.client(&grab(None));
    assert_eq!(bench.session_hears(), [grab(None)]);
    bench.session(ask());
    assert_eq!(bench.client_hears(), [ask()]);
    bench.client(&start(1));
    bench.session(status(1, FileStatus::NotEnoughSpace(Some(3))));
    assert_eq!(bench.client_hears(), [status(1, FileStatus::Error(None))]);
    bench.client(&AgentMessage::MonitorsConfig(MonitorsConfig::default()));
    bench.session(AgentMessage::Reply {
        to: AgentKind::MonitorsConfig,
        ok: true,
    });
    assert_eq!(bench.client_hears(), []);
}

#[test]
fn what_is_too_long_for_one_side_is_nothing() {
    let mut bench = Bench::new();
    bench.client(&AgentMessage::MaxClipboard(4));
    bench.session(grab(None));
    bench.client(&ask());
    bench.client_hears();
    bench.session(text("five!"));
    assert_eq!(bench.client_hears(), [NOTHING]);
    bench.client(&ask());
    bench.session(text("four"));
    assert_eq!(bench.client_hears(), [text("four")]);
    // From the client: 2 GiB of which some come, which is as good as all.
    bench.client(&grab(Some(1)));
    bench.session(ask());
    bench.session_hears();
    let long = AgentMessage::Clipboard {
        selection: CLIPBOARD,
        kind: TEXT,
        data: vec![b'x'; port::MOST_CLIPBOARD + 1].into(),
    };
    bench.client(&long);
    assert_eq!(bench.session_hears(), [NOTHING]);
}

#[test]
fn files_go_to_the_session() {
    let mut bench = Bench::new();
    bench.client(&start(7));
    assert_eq!(bench.session_hears(), [start(7)]);
    bench.session(status(7, FileStatus::CanSendData));
    assert_eq!(bench.client_hears(), [status(7, FileStatus::CanSendData)]);
    let data = |id| AgentMessage::FileXferData {
        id,
        data: Bytes::from_static(b"abc"),
    };
    bench.client(&data(7));
    // One that nobody has begun.
    bench.client(&data(8));
    assert_eq!(bench.session_hears(), [data(7)]);
    // The same number again, while it is taken.
    bench.client(&start(7));
    assert_eq!(bench.client_hears(), [status(7, FileStatus::Error(None))]);
    bench.session(status(7, FileStatus::Success));
    assert_eq!(bench.client_hears(), [status(7, FileStatus::Success)]);
    bench.session(status(7, FileStatus::Success));
    assert_eq!(bench.client_hears(), []);
    bench.client(&start(9));
    bench.client(&status(9, FileStatus::Cancelled));
    assert_eq!(bench.session_hears(), [start(9), status(9, FileStatus::Cancelled)]);
}

#[test]
fn files_are_not_too_many_and_may_be_unwanted() {
    let mut bench = Bench::new();
    for id in 0..10_000 {
        bench.client(&start(id));
    }
    assert_eq!(bench.session_hears().len(), MOST_FILES);
    assert_eq!(bench.client_hears().len(), 10_000 - MOST_FILES);
    let mut bench = Bench::with(AgentCaps::FILE_XFER_DISABLED, CLIENT);
    bench.client(&start(1));
    assert_eq!(bench.client_hears(), [status(1, FileStatus::Disabled)]);
    assert_eq!(bench.session_hears(), []);
}

#[test]
fn another_session_does_not_get_what_was_meant_for_the_one_before() {
    let mut bench = Bench::new();
    bench.client(&grab(Some(0)));
    bench.client(&start(3));
    bench.session(AgentMessage::ClipboardGrab {
        selection: Selection::Primary,
        serial: None,
        kinds: vec![TEXT],
    });
    bench.client_hears();
    bench.session_hears();
    bench.engine.session(Some(AgentCaps::CLIPBOARD_BY_DEMAND));
    let said = bench.client_hears();
    let selection = Selection::Primary;
    assert_eq!(said[0], AgentMessage::ClipboardRelease { selection });
    assert_eq!(said[1], status(3, FileStatus::NotConnected));
    assert!(matches!(
        said[2],
        AgentMessage::AnnounceCapabilities {
            wants_answer: false,
            ..
        }
    ));
    // The client's clipboard is offered to who is there now.
    let todo = bench.todo();
    assert!(matches!(todo[..2], [Do::LetGo, Do::Tell(Link::Active { .. })]));
    assert_eq!(todo[2..], [Do::Tell(Link::Agent(grab(None)))]);
    bench.client(&AgentMessage::FileXferData {
        id: 3,
        data: Bytes::from_static(b"abc"),
    });
    assert_eq!(bench.session_hears(), []);
    bench.engine.session(None);
    bench.client_hears();
    bench.client(&start(4));
    assert_eq!(bench.client_hears(), [status(4, FileStatus::NotConnected)]);
    bench.client(&AgentMessage::MonitorsConfig(MonitorsConfig::default()));
    assert_eq!(
        bench.client_hears(),
        [AgentMessage::Reply {
            to: AgentKind::MonitorsConfig,
            ok: false
        }]
    );
    assert_eq!(bench.todo(), [Do::LetGo]);
}

#[test]
fn the_host_vanishes_and_comes_back() {
    let mut bench = Bench::new();
    bench.client(&grab(Some(0)));
    bench.client(&start(3));
    bench.session_hears();
    bench.server(&AgentMessage::ClientDisconnected);
    assert_eq!(bench.todo(), [Do::LetGo, Do::Tell(Link::Inactive)]);
    // To nobody.
    bench.session(status(3, FileStatus::Success));
    assert_eq!(bench.client_hears(), []);
    bench.client(&AgentMessage::AnnounceCapabilities {
        wants_answer: true,
        caps: CLIENT,
    });
    assert_eq!(bench.client_hears().len(), 1);
    bench.session_hears();
    bench.engine.closed();
    assert_eq!(bench.todo(), [Do::LetGo, Do::Tell(Link::Inactive)]);
    // In the middle of a message.
    let mut wire = Vec::new();
    port::write(Origin::Client, AgentKind::Clipboard, &[0; 4000], &mut wire);
    bench.engine.opened();
    bench.engine.port_says(&wire[..100]).unwrap();
    bench.engine.closed();
    bench.engine.opened();
    bench.reader = Reader::default();
    bench.client(&AgentMessage::AnnounceCapabilities {
        wants_answer: true,
        caps: CLIENT,
    });
    assert_eq!(bench.client_hears().len(), 2);
}

#[test]
fn the_server_has_the_pointer_and_names_displays() {
    let mut bench = Bench::new();
    let mouse = MouseState {
        x: 1,
        y: 2,
        buttons: Default::default(),
        display: 0,
    };
    bench.server(&AgentMessage::MouseState(mouse));
    assert_eq!(bench.todo(), [Do::Point(mouse)]);
    // From a client it is nothing.
    bench.client(&AgentMessage::MouseState(mouse));
    bench.client(&AgentMessage::ClientDisconnected);
    assert_eq!(bench.todo(), []);
    let devices = AgentMessage::GraphicsDeviceInfo(vec![GraphicsDevice {
        channel: 0,
        monitor: 0,
        output: 0,
        address: "pci/0000/01.0".to_owned(),
    }]);
    bench.server(&devices);
    assert_eq!(bench.session_hears(), std::slice::from_ref(&devices));
    bench.engine.session(Some(SESSION));
    assert_eq!(bench.session_hears(), [devices]);
}

#[test]
fn unknown_and_malformed_messages_are_passed_over() {
    let mut bench = Bench::new();
    for (kind, body) in [
        (99, vec![1; 3000]),
        (1, vec![]),
        (2, vec![255; 8]),
        (10, vec![1; 4]),
        (7, vec![0; 3]),
    ] {
        let mut wire = Vec::new();
        port::write(Origin::Client, AgentKind::from(kind), &body, &mut wire);
        bench.engine.port_says(&wire).unwrap();
    }
    assert_eq!((bench.todo(), bench.client_hears()), (Vec::new(), Vec::new()));
    bench.client(&grab(Some(0)));
    assert_eq!(bench.session_hears(), [grab(None)]);
}

/// Something that one of them does.
#[derive(Clone, Debug)]
enum Step {
    Client(u32, Vec<u8>),
    Session(AgentMessage),
    Switch(bool),
    Raw(Vec<u8>),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let body = vec(prop_oneof![0..4_u8, any::<u8>()], 0..40);
    let some = prop_oneof![
        Just(grab(None)),
        Just(ask()),
        Just(text("x")),
        Just(NOTHING),
        Just(RELEASE),
        (0..4_u32).prop_map(|id| status(id, FileStatus::CanSendData)),
        (0..4_u32).prop_map(|id| status(id, FileStatus::Success)),
    ];
    prop_oneof![
        8 => (1..17_u32, body).prop_map(|(kind, body)| Step::Client(kind, body)),
        8 => some.prop_map(Step::Session),
        1 => any::<bool>().prop_map(Step::Switch),
        1 => vec(any::<u8>(), 0..60).prop_map(Step::Raw),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    /// Whatever happens, what is sent can be understood, and nothing grows without end.
    #[test]
    fn any_conversation_stays_one(steps in vec(step(), 0..60)) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::Client(kind, body) => {
                    let mut wire = Vec::new();
                    port::write(Origin::Client, kind.into(), &body, &mut wire);
                    if bench.engine.port_says(&wire).is_err() {
                        bench.engine.opened();
                        bench.reader = Reader::default();
                    }
                }
                Step::Session(message) => bench.session(message),
                Step::Switch(is_there) => bench.engine.session(is_there.then_some(SESSION)),
                Step::Raw(bytes) => {
                    let _ = bench.engine.port_says(&bytes);
                    bench.engine.take_output();
                    bench.engine.opened();
                    bench.reader = Reader::default();
                }
                Step::Reopen => {
                    bench.engine.take_output();
                    bench.engine.opened();
                    bench.reader = Reader::default();
                }
            }
            let output = bench.engine.take_output();
            let mut arrived = Vec::new();
            prop_assert_eq!(bench.reader.push(&output, &mut arrived), Ok(()));
            prop_assert!(bench.engine.take_todo().len() <= 64);
        }
    }
}
