//! The main channel: the session, its channels, mouse mode, and how fast the connection is.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use caraway_protocol::{
    Message,
    caps::MainCap,
    common::{Ping, Pong, ServerCommon},
    main_channel::{ClientMessage, Init, ServerMessage},
    ping::{PingTracker, bit_rate},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::{Instant, Interval, MissedTickBehavior},
};
use tracing::debug;

use super::{Common, Io, common, start_acks};
use crate::{
    Role, ServeError, Server,
    agent::{AgentClient, Joined, Mouse},
    session::Session,
};

/// Payload of the ping that measures the bit rate, in bytes: the reference's figure.
const RATE_PING_BYTES: u32 = 256_000;

/// Bits a second of a link on which the bytes of that ping take no time.
const NO_LIMIT: u64 = 10_000_000_000;

/// Pings after the first ones, to know that the client is there: the reference's figure.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A client that has not answered a ping, or not taken a message, for so long is gone, and its session with it: the
/// reference's figure.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// As [`DEAD_AFTER`], until the ping that measures the bit rate is answered: it may have to cross a line of 1 kB/s.
const DEAD_AFTER_IN_TEST: Duration = Duration::from_secs(300);

/// How often to look.
const LOOK: Duration = Duration::from_secs(5);

/// How often it is asked whether the guest's driver takes which monitors a client wants: it does once it is loaded, and
/// nobody says so.
const ASK: Duration = Duration::from_secs(1);

/// Lists of channels that the client has asked for and not been sent. Counted, not queued: a reader that waited for room
/// would not read the acknowledgements the writer waits for, nor that the client has gone.
#[derive(Debug, Default)]
struct Asked {
    lists: AtomicU64,
    more: Notify,
}

impl Asked {
    fn list(&self) {
        self.lists.fetch_add(1, Ordering::AcqRel);
        self.more.notify_one();
    }

    /// Waits until there is one to send. Dropping the future loses nothing.
    async fn next(&self) {
        let take = |lists: u64| lists.checked_sub(1);
        loop {
            let more = self.more.notified();
            if self
                .lists
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
                .is_ok()
            {
                return;
            }
            more.await;
        }
    }
}

/// Whether the client is still there.
#[derive(Debug)]
struct Pulse {
    started: Instant,
    state: Mutex<PulseState>,
}

#[derive(Debug)]
struct PulseState {
    pings: PingTracker,
    /// The bit rate has been measured.
    tested: bool,
    /// The shortest round trip without payload.
    latency: Option<Duration>,
    /// Since when the writer waits for the client.
    writing: Option<Instant>,
}

impl Pulse {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            state: Mutex::new(PulseState {
                pings: PingTracker::new(),
                tested: false,
                latency: None,
                writing: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, PulseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ping(&self, padding: u32) -> Ping {
        self.lock().pings.ping(self.started.elapsed(), padding)
    }

    /// Takes up an answer, and tells the session what it says.
    fn pong(&self, pong: Pong, session: &Session) {
        let mut state = self.lock();
        let Some(trip) = state.pings.on_pong(pong, self.started.elapsed()) else {
            return;
        };
        debug!(round_trip = ?trip.time, padding = trip.padding, "ping");
        if trip.padding == 0 {
            let latency = state.latency.map_or(trip.time, |latency| latency.min(trip.time));
            state.latency = Some(latency);
            session.set_round_trip(latency);
            return;
        }
        state.tested = true;
        if let Some(latency) = state.latency {
            session.set_delivery(bit_rate(trip.padding, trip.time, latency).unwrap_or(NO_LIMIT));
        }
    }

    fn writing(&self, now: bool) {
        self.lock().writing = now.then(Instant::now);
    }

    /// Ends when the client is gone.
    async fn stops(&self) -> ServeError {
        loop {
            tokio::time::sleep(LOOK).await;
            let state = self.lock();
            let limit = if state.tested { DEAD_AFTER } else { DEAD_AFTER_IN_TEST };
            let unanswered = state
                .pings
                .waiting_since()
                .map(|since| self.started.elapsed().saturating_sub(since));
            let unread = state.writing.map(|since| since.elapsed());
            for (waited, what) in [(unanswered, "answer a ping"), (unread, "take a message")] {
                if waited.is_some_and(|waited| waited > limit) {
                    return ServeError::Timeout {
                        what,
                        seconds: limit.as_secs(),
                    };
                }
            }
        }
    }
}

/// The agent as this client has it: one that may only look has none.
struct Tunnel(Option<AgentClient>);

impl Tunnel {
    async fn next(&self) -> ServerMessage {
        match &self.0 {
            Some(agent) => agent.next().await,
            None => std::future::pending().await,
        }
    }

    async fn cut(&self) {
        match &self.0 {
            Some(agent) => agent.cut().await,
            None => std::future::pending().await,
        }
    }
}

/// Ticks, the first one when so long has gone by.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(crate) async fn run<S>(server: &Arc<Server>, io: Io<S>, session: &Arc<Session>) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Io {
        mut receiver,
        mut sender,
        flow,
        id,
        caps,
    } = io;
    let asked = Asked::default();
    let mut offers = server.ports.offers(session.role);
    let pulse = Pulse::new();
    let mut latency = session.latency();
    let first = *latency.borrow_and_update();
    let mut mouse = server.agent.mouse(session.role);
    let first_mouse = *mouse.borrow_and_update();
    // No capability says so. The client for browsers (spice-html5) keeps none, and does not take a name either; all others
    // do both.
    session.set_keeps_shapes(caps.has(MainCap::NameAndUuid));
    server.ask_drivers();
    let (agent, joined) = match session.role {
        Role::Control => {
            let (agent, joined) = server.agent.join(session.id, caps.has(MainCap::AgentConnectedTokens));
            (Tunnel(Some(agent)), joined)
        }
        Role::View => (Tunnel(None), Joined::default()),
    };
    let writer = async {
        pulse.writing(true);
        start_acks(&mut sender, &flow, ServerMessage::Common).await?;
        sender
            .send(&ServerMessage::Init(Init {
                session_id: session.id,
                display_channels_hint: u32::try_from(server.config.displays.len()).unwrap_or(1),
                supported_mouse_modes: first_mouse.supported,
                current_mouse_mode: first_mouse.current,
                agent_connected: u32::from(joined.is_connected),
                agent_tokens: joined.tokens,
                multi_media_time: server.clock.behind(first),
                ram_hint: 0,
            }))
            .await?;
        if caps.has(MainCap::NameAndUuid) {
            sender.send(&ServerMessage::Name(server.config.name.clone())).await?;
            sender.send(&ServerMessage::Uuid(server.config.uuid)).await?;
        }
        // Warm-up, latency, bit rate.
        for padding in [0, 0, RATE_PING_BYTES] {
            let ping = pulse.ping(padding);
            sender.send(&ServerMessage::Common(ServerCommon::Ping(ping))).await?;
        }
        let (mut pings, mut asks) = (every(PING_EVERY), every(ASK));
        let mut moved = std::pin::pin!(server.moved.told());
        let mut is_told = false;
        loop {
            pulse.writing(false);
            let message = tokio::select! {
                () = asked.next() => {
                    let channels = server.channels(session.role).into_iter().chain(offers.all());
                    ServerMessage::ChannelsList(channels.collect())
                }
                channels = offers.next() => ServerMessage::ChannelsList(channels),
                message = agent.next() => message,
                Ok(()) = mouse.changed() => {
                    let Mouse { supported, current } = *mouse.borrow_and_update();
                    ServerMessage::MouseMode { supported, current }
                }
                Ok(()) = latency.changed() => {
                    let behind = server.clock.behind(*latency.borrow_and_update());
                    ServerMessage::MultiMediaTime(behind)
                }
                message = &mut moved, if !is_told => {
                    is_told = true;
                    message
                }
                _ = pings.tick() => ServerMessage::Common(ServerCommon::Ping(pulse.ping(0))),
                _ = asks.tick() => {
                    server.ask_drivers();
                    continue;
                }
            };
            pulse.writing(true);
            sender.send(&message).await?;
        }
    };
    let reader = async {
        while let Some(frame) = receiver.next().await? {
            match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => match common(&flow, id, &message)? {
                    Common::Done => {}
                    Common::Pong(pong) => pulse.pong(pong, session),
                    Common::Leaving => {
                        session.dismiss();
                        return Ok(());
                    }
                },
                ClientMessage::AttachChannels => asked.list(),
                message => on_message(server, &agent, message)?,
            }
        }
        Ok::<(), ServeError>(())
    };
    tokio::select! {
        result = writer => result,
        result = reader => result,
        gone = pulse.stops() => Err(gone),
        () = agent.cut() => Err(ServeError::KeptAgent),
    }
}

/// What has no answer.
fn on_message(server: &Server, agent: &Tunnel, message: ClientMessage) -> Result<(), ServeError> {
    match (message, &agent.0) {
        (ClientMessage::MouseModeRequest(mode), Some(_)) => server.agent.ask_mouse_mode(mode),
        (ClientMessage::AgentStart(tokens), Some(agent)) => agent.start(tokens),
        (ClientMessage::AgentToken(tokens), Some(agent)) => agent.grant(tokens),
        (ClientMessage::AgentData(bytes), Some(agent)) => {
            if let Some(monitors) = agent.data(bytes)? {
                server.request_monitors(&monitors);
            }
        }
        (other, _) => debug!(message = other.name(), "ignored"),
    }
    Ok(())
}
