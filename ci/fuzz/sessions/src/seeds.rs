//! What the corpora start from: sessions as clients have them, and a few attacks.

use caraway_protocol::{
    Message,
    caps::Caps,
    channel::{ChannelId, ChannelType},
    common,
    display::{self, StreamReport, VideoCodec},
    inputs::{self, KeyCode, KeyModifiers, MouseButton, MouseButtons},
    link::LinkMessage,
    main_channel::{self as main, AgentCaps, AgentKind, MouseMode},
};

use crate::{
    Seed, agent,
    channel::{flag, step},
    guest, link, ports, web,
};

/// A program for a channel: flags and capabilities, then steps.
fn program(flags: u8, caps: u16, steps: &[Vec<u8>]) -> Vec<u8> {
    [&[flags], &caps.to_le_bytes()[..], &steps.concat()].concat()
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    let count = u8::try_from(bytes.len()).expect("seeds are short");
    [&[count], bytes].concat()
}

/// Where a message is among those there are.
fn place(id: u16, messages: &[(u16, &str)]) -> u8 {
    let all = [common::client_id::ALL, messages].concat();
    let place = all.iter().position(|(known, _)| *known == id);
    place.expect("the message is known") as u8
}

fn message(message: &impl Message, messages: &[(u16, &str)]) -> Vec<u8> {
    let body = message.to_body().expect("what is made here is well-formed");
    [&[step::MESSAGE, place(message.id(), messages)], &counted(&body)[..]].concat()
}

/// Each message there is with nothing behind it, with zeros, and with ones.
fn each(messages: &[(u16, &str)]) -> Vec<Seed> {
    let all = [common::client_id::ALL, messages].concat();
    let mut seeds = Vec::new();
    for (at, (_, name)) in all.iter().enumerate() {
        for (how, bytes) in [("empty", &[][..]), ("zeros", &[0; 32]), ("ones", &[0xff; 32])] {
            let steps = [
                vec![step::ANSWER],
                [&[step::MESSAGE, at as u8], &counted(bytes)[..]].concat(),
                vec![step::ANSWER],
            ];
            seeds.push((format!("{name}-{how}").to_lowercase(), program(0, 0xffff, &steps)));
        }
    }
    for (name, size) in [("none", 0u32), ("huge", 1 << 31), ("most", u32::MAX)] {
        for flags in [0, flag::FULL] {
            let lie = [
                &[step::LIE, 101, 0][..],
                &size.to_le_bytes(),
                &2u32.to_le_bytes(),
                &counted(&[1, 0, 2, 0, 0, 0]),
            ]
            .concat();
            let steps = [lie, vec![step::RUN]];
            seeds.push((format!("size-{name}-{flags}"), program(flags, 0, &steps)));
        }
    }
    seeds.push((
        "twice".to_owned(),
        program(0, 0, &[vec![step::TWICE], vec![step::AGAIN], vec![step::ANSWER]]),
    ));
    seeds.push(("waits".to_owned(), program(0, 0, &[vec![step::TIME, 3]])));
    seeds
}

pub(crate) fn main() -> Vec<Seed> {
    let say = |what: &main::ClientMessage| message(what, main::client_id::ALL);
    let mut seeds = each(main::client_id::ALL);
    let steps = [
        vec![step::ANSWER],
        say(&main::ClientMessage::AttachChannels),
        say(&main::ClientMessage::MouseModeRequest(MouseMode::Client)),
        say(&main::ClientMessage::AgentStart(u32::MAX)),
        say(&main::ClientMessage::AgentData(guest::message(77, 3, b"abc").into())),
        say(&main::ClientMessage::AgentToken(u32::MAX)),
        vec![
            step::ANSWER,
            step::AGENT,
            4,
            8,
            step::AGENT,
            1,
            step::ANSWER,
            step::TIME,
            2,
        ],
        vec![step::ANSWER],
    ];
    seeds.push(("session".to_owned(), program(flag::AGENT, 0, &steps)));
    seeds.push(("session-full".to_owned(), program(flag::AGENT | flag::FULL, 0, &steps)));
    let attach = place(main::client_id::ATTACH_CHANNELS, main::client_id::ALL);
    let flood = [vec![step::FLOOD, attach, 255, 0], vec![step::RUN, step::ANSWER]];
    seeds.push(("flood".to_owned(), program(0, 0, &flood)));
    for (name, flags) in [
        ("viewer", 0),
        ("viewer-full", flag::FULL),
        ("viewer-back", flag::RESUME),
    ] {
        let steps = [&steps[..], &[vec![step::BACK, step::ANSWER]], &steps].concat();
        seeds.push((name.to_owned(), program(flag::AGENT | flag::VIEW | flags, 0, &steps)));
    }
    let steps = [
        vec![step::ANSWER, step::BACK, step::ANSWER],
        steps.concat(),
        vec![step::BACK],
    ];
    seeds.push(("back".to_owned(), program(flag::AGENT | flag::RESUME, 0, &steps)));
    seeds
}

pub(crate) fn display() -> Vec<Seed> {
    let say = |what: &display::ClientMessage| message(what, display::client_id::ALL);
    let init = |window| {
        say(&display::ClientMessage::Init(display::Init {
            pixmap_cache_id: 1,
            pixmap_cache_size: 1 << 20,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: window,
        }))
    };
    let report = StreamReport {
        stream_id: 0,
        unique_id: 1,
        start_frame_mm_time: 60_000,
        end_frame_mm_time: 60_100,
        num_frames: 5,
        num_drops: 1,
        last_frame_delay: -100,
        audio_delay: u32::MAX,
    };
    let picture = |what: u8, how: u8| vec![step::DRAW, what, how, step::ANSWER];
    let steps = [
        init(1 << 20),
        vec![step::ANSWER],
        picture(0, 0),
        picture(2, 3),
        picture(3, 0x12),
        picture(3, 0x12),
        picture(4, 9),
        say(&display::ClientMessage::PreferredCompression(2.into())),
        picture(3, 0x31),
        say(&display::ClientMessage::PreferredVideoCodecs(vec![VideoCodec::Mjpeg])),
        say(&display::ClientMessage::StreamReport(report)),
        picture(6, 2),
        picture(7, 0),
        picture(8, 0),
        vec![step::AGAIN, step::ANSWER],
        init(0),
        picture(0, 0),
        picture(1, 20),
    ];
    let mut seeds = each(display::client_id::ALL);
    for (name, caps) in [("session", 0xffff), ("session-old", 0)] {
        seeds.push((name.to_owned(), program(0, caps, &steps)));
        seeds.push((format!("{name}-full"), program(flag::FULL, caps, &steps)));
    }
    // Reads nothing while much is drawn.
    let mut stopped = vec![init(1 << 20)];
    stopped.extend((0..40).map(|at| vec![step::DRAW, 3, at * 4 + 3, step::RUN]));
    seeds.push(("stopped".to_owned(), program(0, 0xffff, &stopped)));
    // Comes back with what it has, all of it or some, and with something else.
    for (name, wrong, images) in [("right", 0, 0), ("wrong", 1, 3), ("images", 0, 40)] {
        let steps = [
            init(1 << 20),
            vec![step::ANSWER],
            picture(3, 0x12),
            picture(2, 0x22),
            vec![step::BACK, step::RESUME, wrong, images],
            init(1 << 20),
            picture(3, 0x12),
            vec![step::BACK, step::DRAW, 0, 0, step::RESUME, wrong, images],
            init(0),
            vec![step::ANSWER],
        ];
        seeds.push((format!("back-{name}"), program(flag::RESUME, 0xffff, &steps)));
        seeds.push((format!("back-{name}-old"), program(0, 0xffff, &steps)));
    }
    let known = |id: u32, width: u32| display::KnownSurface {
        id,
        width,
        height: 1,
        format: caraway_ports::drawing::SurfaceFormat::Xrgb,
        tiles: vec![7; width.div_ceil(display::TILE) as usize],
    };
    let resume = display::Resume {
        images: vec![1, 1, u64::MAX],
        surfaces: vec![known(0, 128), known(0, 1), known(u32::MAX, 65)],
    };
    let resume = say(&display::ClientMessage::Resume(resume));
    let steps = [resume.clone(), init(0), vec![step::ANSWER], resume];
    seeds.push(("resume-twice".to_owned(), program(flag::RESUME, 0xffff, &steps)));
    for mode in 0..9 {
        let steps = [
            init(1 << 20),
            say(&display::ClientMessage::PreferredCompression(mode.into())),
            vec![step::ANSWER],
            picture(3, 5),
            picture(2, 8),
        ];
        seeds.push((format!("mode-{mode}"), program(0, 0xffff, &steps)));
    }
    seeds
}

pub(crate) fn cursor() -> Vec<Seed> {
    let shape = |how: u8| vec![step::DRAW, 5, how, step::ANSWER];
    let steps: Vec<_> = [0x80, 0x80, 0x85, 1, 2, 3, 6, 4, 0x8a].map(shape).to_vec();
    let mut seeds = each(&[]);
    for (name, flags) in [
        ("session", 0),
        ("session-full", flag::FULL),
        ("session-plain", flag::PLAIN),
        ("session-pointer", flag::AGENT | flag::POINTER),
    ] {
        seeds.push((name.to_owned(), program(flags, 0, &steps)));
    }
    seeds
}

pub(crate) fn inputs() -> Vec<Seed> {
    let say = |what: &inputs::ClientMessage| message(what, inputs::client_id::ALL);
    let buttons = MouseButtons::LEFT;
    let mut steps = vec![
        say(&inputs::ClientMessage::KeyDown(KeyCode(0x1e))),
        say(&inputs::ClientMessage::KeyDown(KeyCode(0x48e0))),
        say(&inputs::ClientMessage::KeyUp(KeyCode(0x9e))),
        say(&inputs::ClientMessage::KeyScancode(
            [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5].to_vec().into(),
        )),
        say(&inputs::ClientMessage::KeyModifiers(KeyModifiers::CAPS_LOCK)),
    ];
    for number in 1..8u8 {
        let button = MouseButton::from(number);
        steps.push(say(&inputs::ClientMessage::MousePress { button, buttons }));
        if number % 2 == 0 {
            steps.push(say(&inputs::ClientMessage::MouseRelease { button, buttons }));
        }
    }
    for _ in 0..5 {
        steps.push(say(&inputs::ClientMessage::MouseMotion { dx: 5, dy: -5, buttons }));
        steps.push(say(&inputs::ClientMessage::MousePosition {
            x: 5,
            y: 6,
            buttons,
            display_id: 0,
        }));
    }
    steps.push(vec![step::ANSWER, step::TIME, 1, step::KEYBOARD, 0xe0, step::ANSWER]);
    let mut seeds = each(inputs::client_id::ALL);
    for (name, flags) in [
        ("session", 0),
        ("session-full", flag::FULL),
        ("session-pointer", flag::AGENT | flag::POINTER),
    ] {
        seeds.push((name.to_owned(), program(flags, 0, &steps)));
    }
    // The mode changes while buttons are down.
    let mut changed = steps.clone();
    changed.push(vec![step::MODE, 1]);
    changed.extend_from_slice(&steps);
    seeds.push((
        "session-changed".to_owned(),
        program(flag::AGENT | flag::POINTER, 0, &changed),
    ));
    let key = place(inputs::client_id::KEY_DOWN, inputs::client_id::ALL);
    let motion = place(inputs::client_id::MOUSE_MOTION, inputs::client_id::ALL);
    for (name, reads) in [("flood", 0), ("flood-slow", 1), ("flood-stuck", 2)] {
        let steps = [
            vec![step::KEYBOARD, reads],
            [&[step::FLOOD, key, 200][..], &counted(&[0x1e, 0, 0, 0])].concat(),
            [&[step::FLOOD, motion, 255][..], &counted(&[1; 10])].concat(),
            vec![step::RUN, step::ANSWER],
        ];
        seeds.push((name.to_owned(), program(0, 0, &steps)));
    }
    seeds
}

pub(crate) fn agent() -> Vec<Seed> {
    use agent::step;
    let say = |client: u8, kind: AgentKind, bytes: &[u8]| {
        [&[step::SAY, client, u32::from(kind) as u8, 0], &counted(bytes)[..]].concat()
    };
    let agent_says =
        |kind: AgentKind, bytes: &[u8]| [&[step::AGENT_SAYS, u32::from(kind) as u8, 0], &counted(bytes)[..]].concat();
    let caps = [
        1,
        AgentCaps::CLIPBOARD_SELECTION.bits() | AgentCaps::CLIPBOARD_BY_DEMAND.bits(),
    ];
    let caps = caps.map(u32::to_le_bytes).concat();
    let rest = vec![step::RUN, step::AGENT_READS, 40, step::ANSWER, 0, step::ANSWER, 1];
    let selection = [0, 0, 0, 0, 1, 0, 0, 0];
    let clipboard = [
        vec![step::ANNOUNCE, 2],
        say(0, AgentKind::AnnounceCapabilities, &caps),
        say(1, AgentKind::AnnounceCapabilities, &caps),
        rest.clone(),
        say(0, AgentKind::ClipboardGrab, &selection),
        agent_says(AgentKind::ClipboardRequest, &selection),
        rest.clone(),
        say(0, AgentKind::Clipboard, b"\0\0\0\0\x01\0\0\0text"),
        agent_says(AgentKind::ClipboardGrab, &selection),
        rest.clone(),
        say(1, AgentKind::ClipboardRequest, &selection),
        rest.clone(),
        agent_says(AgentKind::Clipboard, b"\0\0\0\0\x01\0\0\0guest's"),
        agent_says(AgentKind::ClipboardRelease, &selection[..4]),
        rest.clone(),
        vec![step::AGAIN, 0],
        rest.clone(),
    ];
    let file = [7, 0, 0, 0, 0, 0, 0, 0];
    let files = [
        say(0, AgentKind::FileXferStart, &file),
        say(1, AgentKind::FileXferStart, &file),
        rest.clone(),
        agent_says(AgentKind::FileXferStatus, &[0, 0, 0, 0, 0, 0, 0, 0]),
        say(
            0,
            AgentKind::FileXferData,
            &[7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
        ),
        rest.clone(),
        agent_says(AgentKind::FileXferStatus, &[0, 0, 0, 0, 3, 0, 0, 0]),
        say(1, AgentKind::FileXferStatus, &[7, 0, 0, 0, 1, 0, 0, 0]),
        rest.clone(),
    ];
    let monitors = [1u32, 0, 600, 800, 32, 0, 0].map(u32::to_le_bytes).concat();
    let others = [
        say(0, AgentKind::MonitorsConfig, &monitors),
        vec![
            step::ANNOUNCE,
            0,
            step::RUN,
            step::MODE,
            2,
            0,
            step::RUN,
            step::MODE,
            1,
            0,
        ],
        vec![step::PORT, step::RUN, step::PORT, step::RUN, step::START, 5, 0],
        say(0, AgentKind::MaxClipboard, &[0xff; 4]),
        rest.clone(),
        vec![step::TIME, 2],
    ];
    // A size that is a lie, and a client that leaves in the middle of it.
    let lies = |which: u8| {
        [
            [&[step::SAY, 0, 4, which * 2 + 1], &counted(&[1; 40])[..]].concat(),
            rest.clone(),
            vec![step::AGAIN, 0],
            [&[step::AGENT_SAYS, 4, which * 2 + 1], &counted(&[1; 40])[..]].concat(),
            rest.clone(),
            [&[step::CHUNK, 0, which * 2 + 1], &counted(&[1; 40])[..]].concat(),
            rest.clone(),
        ]
        .concat()
    };
    let flood = [
        vec![step::START, 0, 0],
        [&[step::FLOOD, 255, 14, 0], &counted(&[0; 200])[..]].concat(),
        vec![step::RUN, step::ANSWER, 1, step::TIME, 2, step::ANSWER, 1],
    ];
    let ignored = vec![[&[step::SAY, 0, 14, 0], &counted(&[0; 4])[..]].concat(); 12];
    // A message of 8 bytes, and of what follows its first 4 more than the rest.
    let beyond = [
        [&[step::SAY, 0, 14, 7], &counted(&[0; 4])[..]].concat(),
        rest.clone(),
        [&[step::DATA, 0], &counted(&[1; 60])[..]].concat(),
        rest.clone(),
    ];
    let with = |flags: u8, steps: &[Vec<u8>]| [&[flags], &steps.concat()[..]].concat();
    let mut seeds = vec![
        ("clipboard".to_owned(), with(0, &clipboard)),
        ("clipboard-forbidden".to_owned(), with(3, &clipboard)),
        ("files".to_owned(), with(0, &files)),
        ("files-forbidden".to_owned(), with(4, &files)),
        ("others".to_owned(), with(0, &others)),
        ("others-without-tokens".to_owned(), with(0x30, &others)),
        ("later".to_owned(), with(0x40, &others)),
        ("flood".to_owned(), with(0, &flood)),
        ("tokens-ignored".to_owned(), with(0, &ignored)),
        ("beyond".to_owned(), with(0, &beyond)),
    ];
    seeds.extend((0..10).map(|which| (format!("lie-{which}"), with(0, &[lies(which)]))));
    seeds
}

pub(crate) fn ports() -> Vec<Seed> {
    use ports::{flag, step};
    let with = |flags: u8, steps: &[Vec<u8>]| [&[flags], &steps.concat()[..]].concat();
    let data = |bytes: &[u8]| [&[step::MESSAGE, 0], &counted(bytes)[..]].concat();
    let compressed =
        |times: u8, bytes: &[u8], size: u8| [&[step::COMPRESSED, times], &counted(bytes)[..], &[size]].concat();
    let write = |bytes: &[u8]| [&[step::WRITE], &counted(bytes)[..], &[0]].concat();
    let card = |step: u8, kind: u8, reader: u8, size: u8, bytes: &[u8]| {
        [&[step, kind, reader, size], &counted(bytes)[..]].concat()
    };
    let rest = vec![step::RUN, step::TAKE, 0, 3, step::ANSWER];
    let bytes = [
        data(b"to the guest"),
        write(b"to the client"),
        rest.clone(),
        compressed(200, b"again and again", 0),
        vec![step::FLOOD, 200, 4, 1, 2, 3, 4, 0],
        rest.clone(),
        vec![step::CLOSE, 0],
        data(b"for nobody"),
        rest.clone(),
        vec![step::OPEN, 0],
        rest.clone(),
        vec![step::OTHER, step::AGAIN, step::OPEN, 0],
        data(b"anew"),
        rest.clone(),
        vec![step::MESSAGE, 2, 1, 0, step::TIME, 1],
    ];
    let mut seeds = Vec::new();
    for (kind, name) in (0..).zip(["port", "webdav", "usbredir"]) {
        for (how, flags) in [
            ("", flag::OPEN),
            ("-full", flag::OPEN | flag::FULL),
            ("-lz4", flag::OPEN | flag::LZ4),
            ("-closed", 0),
        ] {
            seeds.push((format!("{name}{how}"), with(kind | flags, &bytes)));
        }
        for lie in 1..8 {
            let steps = [compressed(20, b"again", lie), rest.clone()];
            seeds.push((format!("{name}-size-{lie}"), with(kind | flag::OPEN, &steps)));
        }
        // Much for a device that reads nothing, and for a client that does not.
        let much = vec![vec![step::COMPRESSED, 255, 4, 1, 2, 3, 4, 0]; 80];
        seeds.push((format!("{name}-stuck"), with(kind | flag::OPEN, &much)));
        let much = vec![vec![step::FLOOD, 255, 4, 1, 2, 3, 4, 0, step::RUN]; 80];
        seeds.push((format!("{name}-stopped"), with(kind | flag::OPEN, &much)));
        let cut = [
            vec![step::RAW, 8, 101, 0, 0, 16, 0, 0, 1, 2],
            write(b"half"),
            vec![step::AGAIN],
        ];
        seeds.push((format!("{name}-cut"), with(kind | flag::OPEN, &cut)));
    }
    let success = |device: u8| [card(step::ANSWERS, 2, 0, 0, &[0; 4]), vec![device]].concat();
    // What a device says has its number last.
    let said = |kind: u8, size: u8, bytes: &[u8]| [card(step::ANSWERS, kind, 0, size, bytes), vec![0]].concat();
    let session = [
        card(step::CARD, 3, 255, 0, b"reader"),
        rest.clone(),
        success(0),
        rest.clone(),
        card(step::CARD, 5, 0, 0, &[0x3b; 20]),
        rest.clone(),
        success(0),
        said(7, 0, &[1; 50]),
        rest.clone(),
        card(step::CARD, 7, 0, 0, &[2; 50]),
        card(step::CARD, 6, 0, 0, &[]),
        rest.clone(),
        card(step::CARD, 4, 0, 0, &[]),
        rest.clone(),
        success(0),
        card(step::CARD, 3, 255, 0, b"one"),
        card(step::CARD, 3, 255, 0, b"two"),
        card(step::CARD, 3, 255, 0, b"three"),
        rest.clone(),
        success(1),
        rest.clone(),
        vec![step::AGAIN, step::OPEN, 0, step::OPEN, 1],
        card(step::CARD, 3, 255, 0, b"anew"),
        rest.clone(),
        vec![step::CLOSE, 0],
        rest.clone(),
    ];
    for (name, flags) in [
        ("card", flag::OPEN),
        ("card-full", flag::OPEN | flag::FULL),
        ("card-late", 0),
    ] {
        seeds.push((name.to_owned(), with(3 | flags, &session)));
    }
    let begun = session[..4].concat();
    for kind in 0..12 {
        for reader in [0, 9, 255] {
            let steps = [begun.clone(), card(step::CARD, kind, reader, 0, &[1; 4]), rest.clone()];
            seeds.push((format!("card-{kind}-{reader}"), with(3 | flag::OPEN, &steps)));
        }
        let steps = [begun.clone(), said(kind, 0, &[0, 0, 0, 1]), rest.clone()];
        seeds.push((format!("device-{kind}"), with(3 | flag::OPEN, &steps)));
    }
    for lie in 1..8 {
        let steps = [begun.clone(), card(step::CARD, 7, 0, lie, &[1; 4]), rest.clone()];
        seeds.push((format!("card-size-{lie}"), with(3 | flag::OPEN, &steps)));
        let steps = [begun.clone(), said(7, lie, &[1; 4]), rest.clone()];
        seeds.push((format!("device-size-{lie}"), with(3 | flag::OPEN, &steps)));
    }
    seeds
}

pub(crate) fn link() -> Vec<Seed> {
    use link::step;
    let session = |flags: u8, kind: u8, id: u8, whose: u8, caps: u8, ticket: u8| {
        let steps = [
            flags,
            step::LINK,
            kind,
            id,
            whose,
            caps,
            step::RUN,
            step::MECHANISM,
            0,
            step::TICKET,
            ticket,
            step::MESSAGE,
            104,
            0,
            0,
            step::RUN,
        ];
        steps.to_vec()
    };
    let mut seeds = Vec::new();
    for (name, kind, id, whose) in [
        ("main", 1, 0, 0),
        ("display", 2, 0, 1),
        ("display-1", 2, 1, 1),
        ("inputs", 3, 0, 1),
        ("cursor", 4, 0, 1),
        ("playback", 5, 0, 1),
        ("nobodys", 2, 0, 9),
        ("main-of-another", 1, 0, 1),
    ] {
        for (how, flags) in [("", 0), ("-tls", 2), ("-ticket", 8)] {
            seeds.push((format!("{name}{how}"), session(flags, kind, id, whose, 0, 0)));
        }
        seeds.push((format!("{name}-full"), session(1, kind, id, whose, 4, 1)));
        seeds.push((format!("{name}-old"), session(1, kind, id, whose, 7, 1)));
        seeds.push((format!("{name}-wrong"), session(8, kind, id, whose, 0, 2)));
        seeds.push((format!("{name}-broken"), session(0, kind, id, whose, 0x40, 3)));
    }
    // In a WebSocket.
    for (name, kind, whose) in [("main", 1, 0), ("inputs", 3, 1)] {
        for (how, flags) in [("", 0), ("-ticket", 8)] {
            let mut program = session(flags, kind, 0, whose, 0, 0);
            program.insert(1, step::WEB);
            program.extend([
                step::FRAME,
                0x89,
                0,
                2,
                1,
                2,
                step::RUN,
                step::FRAME,
                0x88,
                0,
                2,
                3,
                232,
                step::RUN,
            ]);
            seeds.push((format!("{name}-web{how}"), program));
        }
    }
    for first in [0, 1, 2, 8, 9, 0x80, 0x81, 0x83, 0x88, 0x8a, 0x8b, 0xc2] {
        for length in [0, 1, 7, 16, 31, 63] {
            let steps = [0, step::WEB, step::FRAME, first, length, 3, 1, 2, 3, step::RUN];
            seeds.push((format!("frame-{first:x}-{length}"), steps.to_vec()));
        }
    }
    let request = [&[0, step::RAW][..], &counted(web::REQUEST), &[step::RUN]].concat();
    seeds.push(("request".to_owned(), request));
    // Browsers, which ask for several things on a connection.
    let host = "Host: 127.0.0.1\r\n";
    let ticket = "Authorization: Bearer c2VjcmV0\r\n";
    let reset = "Content-Length: 18\r\n\r\n{\"action\":\"reset\"}";
    for (name, flags, requests) in [
        (
            "page",
            0,
            vec![format!(
                "GET / HTTP/1.1\r\n{host}\r\nHEAD /vm.json HTTP/1.1\r\n{host}\r\n"
            )],
        ),
        ("facts", 8, vec![format!("GET /vm.json HTTP/1.1\r\n{host}\r\n"); 3]),
        (
            "power",
            8,
            vec![format!("POST /power HTTP/1.1\r\n{host}{ticket}{reset}")],
        ),
        (
            "no-power",
            8,
            vec![format!("POST /power HTTP/1.1\r\n{host}Origin: null\r\n{reset}")],
        ),
        (
            "kept",
            0,
            vec![format!(
                "GET /?x HTTP/1.1\r\n{host}If-None-Match: *\r\nAccept-Encoding: gzip\r\n\r\n"
            )],
        ),
        ("bare", 0, vec!["REDQ".to_owned()]),
    ] {
        let mut program = vec![flags | link::flag::WEB];
        for request in requests {
            program.push(step::RAW);
            program.extend(counted(request.as_bytes()));
            program.push(step::RUN);
        }
        // And then SPICE.
        program.extend_from_slice(session(0, 1, 0, 0, 0, 0).get(1..).unwrap_or_default());
        seeds.push((format!("browser-{name}"), program));
    }
    let mut program = session(8 | link::flag::WEB, 1, 0, 0, 0, 0);
    program.insert(1, step::WEB);
    seeds.push(("browser-spice".to_owned(), program));
    // Users, who say who they are.
    let users = |steps: &[Vec<u8>]| {
        let begin = [link::flag::USERS, step::LINK, 1, 0, 0, 0, step::MECHANISM, 2, step::RUN];
        let end = [step::RUN, step::MESSAGE, 104, 0, 0, step::RUN];
        [&begin[..], &steps.concat(), &end].concat()
    };
    let says = |data: &[u8]| [&[step::SASL_DATA], &counted(data)[..]].concat();
    let scram = vec![step::SASL, 0];
    let first = |text: &str| [scram.clone(), says(text.as_bytes()), vec![step::RUN]].concat();
    for (name, wrong) in [("right", 0), ("wrong", 1)] {
        let steps = [first("n,,n=user,r=abc"), vec![step::PROOF, wrong]];
        seeds.push((format!("scram-{name}"), users(&steps)));
    }
    for (name, text) in [
        ("viewer", "n,,n=viewer,r=abc"),
        ("nobody", "y,,n=eve,r=abc"),
        ("another", "n,a=viewer,n=user,r=abc"),
        ("escaped", "n,,n=us=2Cer=3D,r=abc,x=y"),
        ("bound", "p=tls-unique,,n=user,r=abc"),
        ("bare", "n=user,r=abc"),
        ("empty", ""),
    ] {
        seeds.push((format!("scram-{name}"), users(&[first(text), vec![step::PROOF, 0]])));
    }
    let plain = vec![step::SASL, 1];
    for (name, message) in [
        ("right", &b"\0user\0pencil"[..]),
        ("wrong", b"\0user\0pencils"),
        ("nobody", b"\0eve\0pencil"),
        ("another", b"viewer\0user\0pencil"),
        ("short", b"\0user"),
        ("empty", b""),
    ] {
        seeds.push((format!("plain-{name}"), users(&[plain.clone(), says(message)])));
    }
    let asked = [
        plain.clone(),
        vec![step::SASL_DATA, 255, step::RUN],
        says(b"\0user\0pencil"),
    ];
    seeds.push(("plain-asked".to_owned(), users(&asked)));
    let silent = [
        scram.clone(),
        vec![step::SASL_DATA, 255, step::RUN, step::SASL_DATA, 255],
    ];
    seeds.push(("scram-silent".to_owned(), users(&silent)));
    seeds.push((
        "sasl-other".to_owned(),
        users(&[[&[step::SASL, 9][..], &counted(b"EXTERNAL")].concat()]),
    ));
    seeds.push(("sasl-none".to_owned(), users(&[vec![step::SASL, 9, 0]])));
    seeds.push(("sasl-size".to_owned(), users(&[vec![step::RAW, 4, 255, 255, 255, 255]])));
    let raw =
        |flags: u8, bytes: &[u8]| [&[flags, step::RAW], &counted(bytes)[..], &[step::RUN, step::TIME, 3]].concat();
    let mut header = LinkMessage {
        connection_id: 0,
        channel: ChannelId {
            kind: ChannelType::Main,
            id: 0,
        },
        common_caps: Caps::none(),
        channel_caps: Caps::none(),
    }
    .encode();
    seeds.push(("silent".to_owned(), raw(0, b"RE")));
    seeds.push(("http".to_owned(), raw(0, b"GET / HTTP/1.1\r\n\r\n")));
    header[12..16].fill(0xff);
    seeds.push(("size".to_owned(), raw(0, &header)));
    seeds.push(("hello".to_owned(), raw(0, &client_hello())));
    seeds.push(("hello-part".to_owned(), raw(2, &client_hello()[..20])));
    seeds.push(("alert".to_owned(), raw(2, &[0x15, 3, 3, 0, 2, 2, 0])));
    seeds
}

/// A ClientHello of TLS 1.2 with one suite, which the server has.
fn client_hello() -> Vec<u8> {
    let extensions = [
        // supported_groups: x25519.
        &[0, 10, 0, 4, 0, 2, 0, 29][..],
        // signature_algorithms: ecdsa_secp256r1_sha256.
        &[0, 13, 0, 4, 0, 2, 4, 3],
        // extended_master_secret.
        &[0, 23, 0, 0],
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        // ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; no compression.
        &[0, 2, 0xc0, 0x2b, 1, 0],
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ]
    .concat();
    let handshake = [&[1, 0], &(body.len() as u16).to_be_bytes()[..], &body].concat();
    [&[0x16, 3, 1], &(handshake.len() as u16).to_be_bytes()[..], &handshake].concat()
}
