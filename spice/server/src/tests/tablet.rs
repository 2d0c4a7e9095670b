//! Client mode by the machine's tablet.

use std::sync::atomic::Ordering;

use caraway_ports::{
    display::Head,
    input::Button,
    port::{DevicePort, port},
    tablet::{TabletEvent, TabletListener, TabletSink},
};
use caraway_protocol::{
    inputs::{MOTION_ACK_BUNCH, MouseButton, MouseButtons},
    main_channel::{AgentCaps, AgentHeader, AgentKind, CLIENT_PORT, ChunkHeader, MouseMode, MouseModes},
};

use super::*;

const BOTH: MouseModes = MouseModes::SERVER.union(MouseModes::CLIENT);
const NONE: MouseButtons = MouseButtons::empty();

/// Records what it is sent.
#[derive(Default)]
struct Tablet {
    is_present: AtomicBool,
    reports: Mutex<Vec<Vec<TabletEvent>>>,
    sent: Notify,
    listener: Mutex<Option<std::sync::Weak<dyn TabletListener>>>,
}

impl Tablet {
    fn set_present(&self, is_present: bool) {
        self.is_present.store(is_present, Ordering::SeqCst);
        let listener = self.listener.lock().unwrap().clone();
        listener.unwrap().upgrade().unwrap().presence_changed();
    }

    /// The next report.
    async fn report(&self) -> Vec<TabletEvent> {
        timeout(PATIENCE, async {
            loop {
                let sent = self.sent.notified();
                let report = {
                    let mut reports = self.reports.lock().unwrap();
                    (!reports.is_empty()).then(|| reports.remove(0))
                };
                match report {
                    Some(report) => return report,
                    None => sent.await,
                }
            }
        })
        .await
        .expect("something happens")
    }
}

impl TabletSink for Tablet {
    fn is_present(&self) -> bool {
        self.is_present.load(Ordering::SeqCst)
    }

    fn send(&self, events: &[TabletEvent]) {
        self.reports.lock().unwrap().push(events.to_vec());
        self.sent.notify_one();
    }

    fn watch_presence(&self, listener: Arc<dyn TabletListener>) {
        *self.listener.lock().unwrap() = Some(Arc::downgrade(&listener));
    }
}

/// A screen of 1000x800.
fn screen() -> Arc<Display> {
    let display = Display::new(CanvasLimits::default());
    display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
        id: 0,
        width: 1000,
        height: 800,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    }));
    display
}

fn tablet_fixture(displays: &[Arc<Display>], agent: Option<HostPort>) -> (Fixture, Arc<Tablet>) {
    let (keyboard, tablet) = (Arc::new(Keyboard::default()), Arc::new(Tablet::default()));
    let server = Server::new(ServerConfig {
        uuid: [7; 16],
        grace: GRACE,
        tablet: Some(tablet.clone()),
        agent,
        ..ServerConfig::new("test", displays.to_vec(), keyboard.clone())
    });
    let serving = Arc::clone(&server);
    tokio::spawn(async move { serving.serve_agent().await });
    let fixture = Fixture {
        server,
        display: Arc::clone(&displays[0]),
        keyboard,
    };
    (fixture, tablet)
}

/// The next message about the mouse mode.
async fn mode(main: &mut Client) -> (MouseModes, MouseMode) {
    main.until(|message: main::ServerMessage| match message {
        main::ServerMessage::MouseMode { supported, current } => Some((supported, current)),
        _ => None,
    })
    .await
}

async fn ask(main: &mut Client, wanted: MouseMode) {
    main.send(main::ClientMessage::MouseModeRequest(wanted)).await;
}

async fn point(channel: &mut Client, x: u32, y: u32, display_id: u8) {
    let buttons = NONE;
    channel
        .send(inputs::ClientMessage::MousePosition {
            x,
            y,
            buttons,
            display_id,
        })
        .await;
}

async fn press(channel: &mut Client, button: MouseButton) {
    let buttons = NONE;
    channel
        .send(inputs::ClientMessage::MousePress { button, buttons })
        .await;
}

async fn release(channel: &mut Client, button: MouseButton) {
    let buttons = NONE;
    channel
        .send(inputs::ClientMessage::MouseRelease { button, buttons })
        .await;
}

fn place(x: u16, y: u16) -> Vec<TabletEvent> {
    vec![TabletEvent::X(x), TabletEvent::Y(y)]
}

fn button(button: Button, down: bool) -> TabletEvent {
    TabletEvent::Button { button, down }
}

/// What the guest is told when nobody has pointed yet: nothing is held.
fn nothing_held() -> Vec<TabletEvent> {
    let buttons = [Button::Left, Button::Middle, Button::Right, Button::Side, Button::Extra];
    buttons.map(|which| button(which, false)).to_vec()
}

/// A client in client mode, and its inputs channel.
async fn client_mode(fixture: &Fixture, tablet: &Tablet) -> (Client, Client) {
    assert_eq!(tablet.report().await, nothing_held());
    let (mut main, session) = fixture.session().await;
    tablet.set_present(true);
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Server));
    ask(&mut main, MouseMode::Client).await;
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Client));
    let channel = fixture.link(ChannelType::Inputs, session).await;
    (main, channel)
}

#[tokio::test]
async fn client_mode_comes_and_goes_with_the_guests_driver() {
    let (fixture, tablet) = tablet_fixture(&[screen()], None);
    let (mut main, _) = fixture.session().await;
    ask(&mut main, MouseMode::Client).await;
    tablet.set_present(true);
    assert_eq!(
        mode(&mut main).await,
        (BOTH, MouseMode::Server),
        "it was asked for too soon"
    );
    ask(&mut main, MouseMode::Client).await;
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Client));
    assert!(fixture.server.is_client_mouse_mode());
    tablet.set_present(false);
    assert_eq!(mode(&mut main).await, (MouseModes::SERVER, MouseMode::Server));
    tablet.set_present(true);
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Server));
    // Who comes later is told at once.
    let mut late = fixture.link(ChannelType::Main, 0).await;
    let modes = late
        .until(|message: main::ServerMessage| match message {
            main::ServerMessage::Init(init) => Some((init.supported_mouse_modes, init.current_mouse_mode)),
            _ => None,
        })
        .await;
    assert_eq!(modes, (BOTH, MouseMode::Server));
}

#[tokio::test]
async fn with_two_displays_the_tablet_cannot_say_which() {
    let (fixture, tablet) = tablet_fixture(&[screen(), screen()], None);
    tablet.is_present.store(true, Ordering::SeqCst);
    let (mut main, session) = fixture.session().await;
    ask(&mut main, MouseMode::Client).await;
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    point(&mut channel, 1, 1, 0).await;
    press(&mut channel, MouseButton::Left).await;
    let down = true;
    let button = Button::Left;
    assert_eq!(
        fixture.keyboard.wait_for(1).await,
        [InputEvent::Button { button, down }]
    );
    assert!(!fixture.server.is_client_mouse_mode());
    assert!(tablet.reports.lock().unwrap().is_empty() && tablet.listener.lock().unwrap().is_none());
}

#[tokio::test]
async fn places_are_scaled_to_the_whole_screen_whatever_heads_show() {
    let (fixture, tablet) = tablet_fixture(&[screen()], None);
    let (_main, mut channel) = client_mode(&fixture, &tablet).await;
    for ((x, y), (to_x, to_y)) in [
        ((0, 0), (0, 0)),
        ((999, 799), (32767, 32767)),
        ((1, 798), (33, 32726)),
        ((u32::MAX, 800), (32767, 32767)),
    ] {
        point(&mut channel, x, y, 0).await;
        assert_eq!(tablet.report().await, place(to_x, to_y), "{x}, {y}");
    }
    let head = |id, area| Head { id, surface: 0, area };
    let heads = vec![head(0, Rect::at(0, 0, 600, 800)), head(1, Rect::at(600, 100, 400, 300))];
    fixture.display.submit(DisplayCommand::Monitors { heads, max: 4 });
    for (display, (x, y), (to_x, to_y)) in [
        (0, (599, 0), (19648, 0)),
        (1, (0, 0), (19680, 4102)),
        (1, (399, 299), (32767, 16363)),
    ] {
        point(&mut channel, x, y, display).await;
        assert_eq!(tablet.report().await, place(to_x, to_y), "{x}, {y} of {display}");
    }
    // Another size counts from then on.
    fixture.display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
        id: 0,
        width: 100,
        height: 2,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    }));
    point(&mut channel, 99, 1, 0).await;
    assert_eq!(tablet.report().await, place(32767, 32767));
}

#[tokio::test]
async fn buttons_and_the_wheel_are_the_tablets_in_client_mode_and_the_mouses_in_server_mode() {
    let (fixture, tablet) = tablet_fixture(&[screen()], None);
    let (mut main, mut channel) = client_mode(&fixture, &tablet).await;
    point(&mut channel, 0, 0, 0).await;
    assert_eq!(tablet.report().await, place(0, 0));
    let with = |event| [place(0, 0), vec![event]].concat();
    for (wire, which) in [
        (MouseButton::Left, Button::Left),
        (MouseButton::Middle, Button::Middle),
        (MouseButton::Right, Button::Right),
        (MouseButton::Side, Button::Side),
        (MouseButton::Extra, Button::Extra),
    ] {
        press(&mut channel, wire).await;
        assert_eq!(tablet.report().await, with(button(which, true)));
        release(&mut channel, wire).await;
        assert_eq!(tablet.report().await, with(button(which, false)));
    }
    for (wire, steps) in [(MouseButton::Up, -1), (MouseButton::Down, 1)] {
        press(&mut channel, wire).await;
        assert_eq!(tablet.report().await, with(TabletEvent::Wheel(steps)));
        assert_eq!(tablet.report().await, place(0, 0));
        release(&mut channel, wire).await;
        assert_eq!(tablet.report().await, place(0, 0));
    }
    press(&mut channel, MouseButton::Unknown(9)).await;
    assert_eq!(tablet.report().await, place(0, 0));
    // Motion is acknowledged and means nothing.
    for _ in 1..MOTION_ACK_BUNCH {
        let (dx, dy, buttons) = (1, 1, NONE);
        channel
            .send(inputs::ClientMessage::MouseMotion { dx, dy, buttons })
            .await;
    }
    channel
        .until(|message: inputs::ServerMessage| matches!(message, inputs::ServerMessage::MouseMotionAck).then_some(()))
        .await;
    assert!(fixture.keyboard.events.lock().unwrap().is_empty());
    ask(&mut main, MouseMode::Server).await;
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Server));
    point(&mut channel, 5, 5, 0).await;
    press(&mut channel, MouseButton::Left).await;
    press(&mut channel, MouseButton::Down).await;
    let left = |down| InputEvent::Button {
        button: Button::Left,
        down,
    };
    assert_eq!(fixture.keyboard.wait_for(2).await, [left(true), InputEvent::Wheel(1)]);
    // One that went down there goes up there.
    ask(&mut main, MouseMode::Client).await;
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Client));
    release(&mut channel, MouseButton::Left).await;
    assert_eq!(fixture.keyboard.wait_for(3).await[2..], [left(false)]);
    assert_eq!(tablet.report().await, place(164, 206));
}

#[tokio::test]
async fn what_is_held_is_let_go_of_when_the_mode_changes_and_when_the_client_leaves() {
    let (fixture, tablet) = tablet_fixture(&[screen()], None);
    let (mut main, mut channel) = client_mode(&fixture, &tablet).await;
    let with = |event| [place(0, 0), vec![event]].concat();
    press(&mut channel, MouseButton::Left).await;
    assert_eq!(tablet.report().await, with(button(Button::Left, true)));
    ask(&mut main, MouseMode::Server).await;
    assert_eq!(tablet.report().await, [button(Button::Left, false)]);
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Server));
    release(&mut channel, MouseButton::Left).await;
    fixture.keyboard.wait_for(1).await;
    ask(&mut main, MouseMode::Client).await;
    assert_eq!(mode(&mut main).await, (BOTH, MouseMode::Client));
    press(&mut channel, MouseButton::Right).await;
    assert_eq!(tablet.report().await, with(button(Button::Right, true)));
    drop(channel);
    assert_eq!(tablet.report().await, with(button(Button::Right, false)));
    drop(main);
}

async fn say(port: &DevicePort, woken: &Notify, kind: AgentKind, body: &[u8]) {
    let size = u32::try_from(body.len()).unwrap();
    let header = AgentHeader {
        protocol: AgentHeader::PROTOCOL,
        kind: kind.into(),
        opaque: 0,
        size,
    };
    let message = [&header.encode()[..], body].concat();
    let size = u32::try_from(message.len()).unwrap();
    let bytes = [
        &ChunkHeader {
            port: CLIENT_PORT,
            size,
        }
        .encode()[..],
        &message,
    ]
    .concat();
    let mut written = 0;
    while written < bytes.len() {
        written += port.write(&bytes[written..]);
        if written < bytes.len() {
            timeout(PATIENCE, woken.notified()).await.expect("there is room");
        }
    }
}

/// Waits until the agent is told of this place and these buttons.
async fn hear_mouse(port: &DevicePort, woken: &Notify, state: [u32; 3]) {
    let state = [state.map(u32::to_le_bytes).as_flattened(), &[0]].concat();
    let mut heard = Vec::new();
    timeout(PATIENCE, async {
        while !heard.ends_with(&state) {
            let mut some = [0; 64];
            let count = port.read(&mut some);
            heard.extend_from_slice(&some[..count]);
            if count == 0 {
                woken.notified().await;
            }
        }
    })
    .await
    .expect("the agent is told");
}

#[tokio::test]
async fn an_agent_has_precedence_and_the_tablet_has_the_pointer_again_afterwards() {
    let (host, device) = port();
    let woken = Arc::new(Notify::new());
    let waker = Arc::clone(&woken);
    device.set_waker(Arc::new(move || waker.notify_one()));
    let (fixture, tablet) = tablet_fixture(&[screen()], Some(host));
    let (mut main, mut channel) = client_mode(&fixture, &tablet).await;
    let with = |event| [place(0, 0), vec![event]].concat();
    press(&mut channel, MouseButton::Left).await;
    assert_eq!(tablet.report().await, with(button(Button::Left, true)));
    assert!(device.open());
    let capabilities = [0u32.to_le_bytes(), AgentCaps::MOUSE_STATE.bits().to_le_bytes()].concat();
    say(&device, &woken, AgentKind::AnnounceCapabilities, &capabilities).await;
    assert_eq!(tablet.report().await, [button(Button::Left, false)], "it lets go");
    point(&mut channel, 300, 200, 0).await;
    hear_mouse(&device, &woken, [300, 200, 1 << 1]).await;
    release(&mut channel, MouseButton::Left).await;
    hear_mouse(&device, &woken, [300, 200, 0]).await;
    device.close();
    // It stays client mode throughout; nothing is said of it.
    timeout(PATIENCE, async {
        loop {
            point(&mut channel, 0, 0, 0).await;
            if !tablet.reports.lock().unwrap().is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the tablet is told");
    assert_eq!(tablet.report().await, place(0, 0));
    tablet.set_present(false);
    assert_eq!(mode(&mut main).await, (MouseModes::SERVER, MouseMode::Server));
}
