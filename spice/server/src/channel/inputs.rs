//! The inputs channel: keys, motion, buttons and lights.

mod hands;
mod scancodes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use caraway_ports::input::{InputSink, LedListener, Leds, Scancode};
use caraway_protocol::{
    Message,
    common::{Notify as Notice, ServerCommon, Severity, Visibility},
    inputs::{ClientMessage, KeyModifiers, MOTION_ACK_BUNCH, ServerMessage},
};
use scancodes::Assembler;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, watch},
};
use tracing::debug;

pub(crate) use self::hands::Hands;
use super::{Common, Io, common, start_acks};
use crate::{
    ServeError,
    agent::AgentHub,
    turns::{Act, Turns},
};

/// After a client set its lock keys or pressed one the lights are sent again, so that both agree.
const RESYNC: Duration = Duration::from_secs(2);

/// Scroll, num and caps lock.
const LOCKS: [Scancode; 3] = [Scancode::Plain(0x46), Scancode::Plain(0x45), Scancode::Plain(0x3a)];

/// Bytes the guest may be behind before a client has to wait, as it would for a slow network: what a person can do, but
/// not what a program that pastes can. The device's queue holds more than ten times as much.
const MOST_PENDING: usize = 256;

/// A guest that has taken nothing for so long does not read its keyboard; nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often to look.
const LOOK: Duration = Duration::from_millis(2);

/// What the reader owes the client. Counted, not queued: a reader that waited for room would not read the
/// acknowledgements the writer waits for.
#[derive(Debug, Default)]
struct Owed {
    motion_acks: AtomicU64,
    lights: AtomicBool,
    more: Notify,
}

impl Owed {
    fn motion_ack(&self) {
        self.motion_acks.fetch_add(1, Ordering::AcqRel);
        self.more.notify_one();
    }

    fn lights(&self) {
        self.lights.store(true, Ordering::Release);
        self.more.notify_one();
    }
}

/// Keeps a client from being faster than the guest.
#[derive(Debug, Default)]
struct Pace {
    gave_up: bool,
}

impl Pace {
    /// Waits until the guest has taken most of what there is, or takes nothing.
    async fn keep(&mut self, sink: &dyn InputSink) {
        let mut pending = sink.pending();
        if pending <= MOST_PENDING {
            self.gave_up = false;
            return;
        }
        let mut since = tokio::time::Instant::now();
        while pending > MOST_PENDING && !self.gave_up {
            tokio::time::sleep(LOOK).await;
            let now = sink.pending();
            if now < pending {
                since = tokio::time::Instant::now();
            }
            pending = now;
            self.gave_up = since.elapsed() > PATIENCE;
        }
    }
}

struct LedWatch(watch::Sender<Leds>);

impl LedListener for LedWatch {
    fn leds_changed(&self, leds: Leds) {
        self.0.send_replace(leds);
    }
}

/// The hands of a client, until its channel ends.
struct OnDuty<'a> {
    hands: Arc<Hands>,
    turns: &'a Turns,
}

impl OnDuty<'_> {
    /// Does something, if it is their turn.
    fn act(&self, act: Act, what: impl FnOnce(&Hands)) {
        self.turns.act(&self.hands, act, what);
    }

    fn key(&self, code: Scancode, down: bool) {
        let act = if down { Act::Press } else { Act::Release };
        self.act(act, |hands| hands.key(code, down));
    }
}

impl Drop for OnDuty<'_> {
    fn drop(&mut self) {
        self.hands.let_go();
        self.turns.leave(&self.hands);
    }
}

/// `can_be_read`: somebody on the way to the client can read what is typed, which the client is told.
pub(crate) async fn run<S>(
    io: Io<S>,
    sink: &Arc<dyn InputSink>,
    (agent, turns): (&Arc<AgentHub>, &Turns),
    can_be_read: bool,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Io {
        mut receiver,
        mut sender,
        flow,
        id,
        ..
    } = io;
    let (lights, mut lights_changed) = watch::channel(sink.leds());
    let listener: Arc<dyn LedListener> = Arc::new(LedWatch(lights));
    sink.watch_leds(Arc::clone(&listener));
    let owed = Owed::default();
    let on_duty = OnDuty {
        hands: Arc::new(Hands::new(sink, agent)),
        turns,
    };
    let writer = async {
        start_acks(&mut sender, &flow, ServerMessage::Common).await?;
        if can_be_read {
            sender.send(&ServerMessage::Common(insecure())).await?;
        }
        let leds = *lights_changed.borrow_and_update();
        sender.send(&ServerMessage::Init(modifiers(leds))).await?;
        loop {
            while owed.motion_acks.load(Ordering::Acquire) > 0 {
                sender.send(&ServerMessage::MouseMotionAck).await?;
                owed.motion_acks.fetch_sub(1, Ordering::AcqRel);
            }
            if owed.lights.swap(false, Ordering::AcqRel) || lights_changed.has_changed().unwrap_or(false) {
                lights_changed.mark_unchanged();
                sender
                    .send(&ServerMessage::KeyModifiers(modifiers(sink.leds())))
                    .await?;
            }
            tokio::select! {
                () = owed.more.notified() => {}
                changed = lights_changed.changed() => {
                    if changed.is_err() {
                        return Ok::<(), ServeError>(());
                    }
                    owed.lights();
                }
            }
        }
    };
    let reader = async {
        let mut motions = 0;
        let mut raw = Assembler::default();
        let mut resync_at = None;
        let mut pace = Pace::default();
        loop {
            pace.keep(sink.as_ref()).await;
            let frame = tokio::select! {
                frame = receiver.next() => frame?,
                () = sleep_until(resync_at) => {
                    resync_at = None;
                    owed.lights();
                    continue;
                }
            };
            let Some(frame) = frame else {
                return Ok::<(), ServeError>(());
            };
            match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => {
                    if let Common::Leaving = common(&flow, id, &message)? {
                        return Ok(());
                    }
                }
                // The release of a key is in the code itself (bit 7), whatever the message is called.
                ClientMessage::KeyDown(code) | ClientMessage::KeyUp(code) => {
                    let mut assembler = Assembler::default();
                    for (code, down) in code.scancode().filter_map(|byte| assembler.push(byte)) {
                        on_duty.key(code, down);
                        if down && LOCKS.contains(&code) {
                            resync_at = Some(tokio::time::Instant::now() + RESYNC);
                        }
                    }
                }
                ClientMessage::KeyScancode(bytes) => {
                    for (code, down) in bytes.iter().filter_map(|byte| raw.push(*byte)) {
                        on_duty.key(code, down);
                    }
                }
                ClientMessage::KeyModifiers(wanted) => {
                    turns.in_passing(&on_duty.hands, |hands| hands.set_locks(wanted));
                    resync_at = Some(tokio::time::Instant::now() + RESYNC);
                }
                message @ (ClientMessage::MouseMotion { .. } | ClientMessage::MousePosition { .. }) => {
                    // Acknowledged also where they have no meaning, and when it is not its turn.
                    on_duty.act(Act::Move, |hands| match message {
                        ClientMessage::MouseMotion { dx, dy, .. } => hands.motion(dx, dy),
                        ClientMessage::MousePosition { x, y, display_id, .. } => hands.moved(x, y, display_id),
                        _ => {}
                    });
                    motions += 1;
                    if motions == MOTION_ACK_BUNCH {
                        motions = 0;
                        owed.motion_ack();
                    }
                }
                ClientMessage::MousePress { button, .. } => {
                    on_duty.act(Act::Press, |hands| hands.button(button, true));
                }
                ClientMessage::MouseRelease { button, .. } => {
                    on_duty.act(Act::Release, |hands| hands.button(button, false));
                }
                other => debug!(message = other.name(), "ignored"),
            }
        }
    };
    let result = tokio::select! {
        result = writer => result,
        result = reader => result,
    };
    drop(listener);
    result
}

/// The host's clock.
fn nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, rest) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Says that what is typed can be read.
fn insecure() -> ServerCommon {
    ServerCommon::Notify(Notice {
        time_stamp: nanoseconds(),
        severity: Severity::Warn,
        visibility: Visibility::High,
        what: 0,
        text: "keyboard channel is insecure".to_owned(),
    })
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn modifiers(leds: Leds) -> KeyModifiers {
    let mut modifiers = KeyModifiers::empty();
    modifiers.set(KeyModifiers::SCROLL_LOCK, leds.scroll);
    modifiers.set(KeyModifiers::NUM_LOCK, leds.num);
    modifiers.set(KeyModifiers::CAPS_LOCK, leds.caps);
    modifiers
}
