//! The guest's agent and the clients: clipboard, files, monitors and whatever else they have to say to each other.
//!
//! The agent has one port, the clients have a tunnel each in their main channel. Both carry the same messages; what is
//! allowed, who gets what, and whose turn it is, is decided in between ([`mux`]). What one side sends waits in bounded
//! queues, and then at the sender.

mod clipboard;
mod from_guest;
mod graphics;
mod head;
mod mux;
mod to_guest;
mod transfers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use caraway_ports::{
    port::{HostPort, PortWaker},
    tablet::TabletListener,
};
use caraway_protocol::{
    inputs::MouseButton,
    main_channel::{AgentKind, AgentMonitor, MouseMode, MouseModes, ServerMessage},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::{debug, warn};

pub(crate) use self::{graphics::Graphics, mux::Joined};
use self::{head::Head, mux::Mux};
use crate::{Role, tablet::TabletMouse};

/// Bytes taken from the agent at a time.
const READ_BYTES: usize = 16 << 10;

/// How often it is looked whether somebody keeps the others waiting.
const LOOK: Duration = Duration::from_secs(1);

/// What the agent and its clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentPolicy {
    /// What clients have copied may be pasted in the guest.
    pub clipboard_to_guest: bool,
    /// What was copied in the guest may be pasted by clients.
    pub clipboard_to_client: bool,
    /// Clients may send files.
    pub file_transfer: bool,
}

impl Default for AgentPolicy {
    fn default() -> Self {
        Self {
            clipboard_to_guest: true,
            clipboard_to_client: true,
            file_transfer: true,
        }
    }
}

/// Where the pointer is and which buttons are down, as the agent is told, or the tablet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgentMouse {
    /// From the left edge of the display.
    pub(crate) x: u32,
    /// From its top edge.
    pub(crate) y: u32,
    /// Bit n for button n of the inputs channel.
    pub(crate) buttons: u32,
    /// The display.
    pub(crate) display: u8,
}

impl AgentMouse {
    /// Where the buttons are in the message.
    const BUTTONS_AT: usize = 8;

    /// The bit of a button. What has no meaning is held by nobody.
    pub(crate) fn bit(button: MouseButton) -> u32 {
        match button {
            MouseButton::Unknown(_) => 0,
            known => 1u32.checked_shl(u8::from(known).into()).unwrap_or(0),
        }
    }

    /// Whether a button is down.
    pub(crate) fn holds(&self, button: MouseButton) -> bool {
        self.buttons & Self::bit(button) != 0
    }

    fn head(&self) -> Head {
        let words = [self.x, self.y, self.buttons].map(u32::to_le_bytes);
        let body = [words.as_flattened(), &[self.display]].concat();
        Head::whole(AgentKind::MouseState, body)
    }
}

/// The mouse modes that clients may ask for, and the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mouse {
    pub(crate) supported: MouseModes,
    pub(crate) current: MouseMode,
}

impl Mouse {
    const SERVER: Self = Self {
        supported: MouseModes::SERVER,
        current: MouseMode::Server,
    };

    /// After it became known whether the client may move the pointer.
    fn allowed(self, client: bool) -> Self {
        if client {
            Self {
                supported: MouseModes::SERVER | MouseModes::CLIENT,
                ..self
            }
        } else {
            Self::SERVER
        }
    }

    /// After a client asked for a mode. One that is not supported is passed over, as the protocol says.
    fn asked(self, mode: MouseMode) -> Self {
        let is_supported = match mode {
            MouseMode::Server => true,
            MouseMode::Client => self.supported.contains(MouseModes::CLIENT),
            MouseMode::Unknown(_) => false,
        };
        Self {
            current: if is_supported { mode } else { self.current },
            ..self
        }
    }
}

/// What an agent or a client did wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentFault {
    /// A header that is none.
    #[error("header of an agent message")]
    Header(#[source] caraway_protocol::Error),
    /// A chunk of a stream that there is not.
    #[error("agent chunk for port {0}, not 1 or 2")]
    Port(u32),
    /// A client sent a message without a token for it.
    #[error("AGENT_DATA without a token")]
    Tokens,
    /// One that is too long.
    #[error("AGENT_DATA of {0} bytes, more than 2048")]
    Long(usize),
    /// The first part of a message has to have its header.
    #[error("AGENT_DATA of {0} bytes begins a message of at least 20")]
    Short(usize),
    /// A part that is longer than what is left of its message.
    #[error("AGENT_DATA has {bytes} bytes of a message, {left} are left of it")]
    Beyond {
        /// Bytes there are.
        bytes: usize,
        /// Bytes there may be.
        left: u64,
    },
    /// The monitors a client wants, in a message that is none.
    #[error("monitors of a client")]
    Monitors(#[source] caraway_protocol::Error),
    /// More of them than there can be.
    #[error("monitors of a client in {0} bytes, more than 6152")]
    ManyMonitors(u32),
    /// A client went in the middle of a message.
    #[error("a client went with {left} bytes of its message to come")]
    Abandoned {
        /// Bytes that will not come.
        left: u64,
    },
}

/// The agent of a VM, as the server has it.
pub(crate) struct AgentHub {
    port: Option<HostPort>,
    state: Mutex<State>,
    /// There may be something to do.
    poked: Arc<Notify>,
    began: Instant,
    mouse: watch::Sender<Mouse>,
    /// Of clients that may only look: they see the pointer where others have it.
    viewers_mouse: watch::Sender<Mouse>,
    /// What moves the pointer when the agent does not, and who looks whether it is there.
    tablet: Option<(TabletMouse, Arc<dyn TabletListener>)>,
    /// The displays, for the agent.
    graphics: Graphics,
}

/// The tablet has come or gone.
struct TabletWatch(Arc<Notify>);

impl TabletListener for TabletWatch {
    fn presence_changed(&self) {
        self.0.notify_one();
    }
}

struct State {
    mux: Mux,
    /// The connection of the agent that the state is of.
    connection: u64,
    /// One that broke the protocol: nothing of it counts.
    broken: bool,
    clients: BTreeMap<u32, Arc<ClientWatch>>,
}

impl State {
    /// Tells the clients that have something to be sent.
    fn wake_clients(&self) {
        for (id, watch) in &self.clients {
            if self.mux.has_next(*id) {
                watch.more.notify_one();
            }
        }
    }
}

/// What the hub tells a client's main channel.
#[derive(Debug, Default)]
struct ClientWatch {
    /// There is something to send.
    more: Notify,
    /// It has to go.
    cut: Notify,
}

impl std::fmt::Debug for AgentHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentHub")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl AgentHub {
    pub(crate) fn new(
        port: Option<HostPort>,
        policy: AgentPolicy,
        tablet: Option<TabletMouse>,
        graphics: Graphics,
    ) -> Self {
        let poked = Arc::new(Notify::new());
        if let Some(port) = &port {
            let waker = Arc::clone(&poked);
            let waker: PortWaker = Arc::new(move || waker.notify_one());
            port.set_waker(waker);
        }
        let tablet = tablet.map(|tablet| {
            let listener: Arc<dyn TabletListener> = Arc::new(TabletWatch(Arc::clone(&poked)));
            tablet.watch(Arc::clone(&listener));
            (tablet, listener)
        });
        // It may be there already.
        poked.notify_one();
        Self {
            port,
            state: Mutex::new(State {
                mux: Mux::new(policy),
                connection: 0,
                broken: false,
                clients: BTreeMap::new(),
            }),
            poked,
            began: Instant::now(),
            mouse: watch::Sender::new(Mouse::SERVER),
            viewers_mouse: watch::Sender::new(Mouse::SERVER),
            tablet,
            graphics,
        }
    }

    /// The mouse modes as a client is told of them, and their changes.
    pub(crate) fn mouse(&self, role: Role) -> watch::Receiver<Mouse> {
        match role {
            Role::Control => self.mouse.subscribe(),
            Role::View => self.viewers_mouse.subscribe(),
        }
    }

    /// A client asks for a mode. What is held down in client mode is let go of: nobody would do that later.
    pub(crate) fn ask_mouse_mode(&self, mode: MouseMode) {
        let mut state = self.lock();
        let was_clients = self.is_client_mode();
        self.change_mouse(|mouse| mouse.asked(mode));
        if was_clients && !self.is_client_mode() {
            state.mux.release_buttons();
            self.poked.notify_one();
        }
        self.look_for_mover(&state);
    }

    /// Whether clients say where the pointer is.
    pub(crate) fn is_client_mode(&self) -> bool {
        self.mouse.borrow().current == MouseMode::Client
    }

    /// A client says where the pointer is. `None` in server mode, where it cannot.
    pub(crate) fn point(&self, mouse: &AgentMouse) -> Option<()> {
        let mut state = self.lock();
        self.is_client_mode().then(|| match &self.tablet {
            Some((tablet, _)) if !state.mux.takes_mouse() => tablet.point(mouse),
            _ => {
                state.mux.point(mouse);
                self.poked.notify_one();
            }
        })
    }

    /// Takes up who can move the pointer in client mode: the agent, else the tablet. The tablet lets go of its buttons when
    /// it is not the one.
    fn look_for_mover(&self, state: &State) {
        let is_agents = state.mux.takes_mouse();
        let tablet = self.tablet.as_ref().map(|(tablet, _)| tablet);
        let is_tablets = !is_agents && tablet.is_some_and(TabletMouse::is_present);
        self.change_mouse(|mouse| mouse.allowed(is_agents || is_tablets));
        if let Some(tablet) = tablet.filter(|_| !is_tablets || !self.is_client_mode()) {
            tablet.release_buttons();
        }
    }

    fn change_mouse(&self, change: impl FnOnce(Mouse) -> Mouse) {
        self.mouse.send_if_modified(|mouse| {
            let before = *mouse;
            *mouse = change(before);
            *mouse != before
        });
    }

    /// Takes up whether the guest's driver takes which monitors a client wants.
    pub(crate) fn set_driver_takes(&self, takes: bool) {
        let mut state = self.lock();
        state.mux.set_driver_takes(takes);
        if state.mux.tell_displays(|| self.graphics.body()) {
            self.poked.notify_one();
        }
        state.wake_clients();
    }

    /// Does what there is to do, for ever.
    pub(crate) async fn run(&self) {
        if self.port.is_none() && self.tablet.is_none() {
            return;
        }
        loop {
            let poked = self.poked.notified();
            if self.lock().mux.has_several() {
                let _ = tokio::time::timeout(LOOK, poked).await;
            } else {
                poked.await;
            }
            let mut state = self.lock();
            if let Some(port) = &self.port {
                self.pump(port, &mut state);
            }
            self.look_for_mover(&state);
        }
    }

    /// A client connects. It is told what it is to be told by what is returned, and [`AgentClient::next`] has the rest.
    pub(crate) fn join(self: &Arc<Self>, id: u32, takes_tokens: bool) -> (AgentClient, Joined) {
        let mut state = self.lock();
        let watch = Arc::<ClientWatch>::default();
        state.clients.insert(id, Arc::clone(&watch));
        let joined = state.mux.join(id, takes_tokens);
        let client = AgentClient {
            hub: Arc::clone(self),
            id,
            watch,
        };
        (client, joined)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pump(&self, port: &HostPort, state: &mut State) {
        let connection = port.connection();
        if connection.number != state.connection || connection.is_open != (state.mux.is_open() || state.broken) {
            (state.connection, state.broken) = (connection.number, false);
            if connection.is_open {
                debug!(connection = connection.number, "an agent has come");
                state.mux.opened();
            } else {
                state.mux.closed();
            }
        }
        let mut buffer = [0; READ_BYTES];
        while state.broken || (state.mux.is_open() && state.mux.reads()) {
            let count = port.read(connection.number, &mut buffer);
            if count == 0 {
                break;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            if !state.broken
                && let Err(error) = state.mux.read(bytes)
            {
                warn!(%error, "the agent has broken its protocol, and is not heard until it begins anew");
                state.mux.closed();
                state.broken = true;
            }
        }
        state.mux.tell_displays(|| self.graphics.body());
        while state.mux.is_open() {
            let bytes = state.mux.writes();
            if bytes.is_empty() {
                break;
            }
            let (all, count) = (bytes.len(), port.write(connection.number, bytes));
            state.mux.wrote(count);
            if count < all {
                break;
            }
        }
        for id in state.mux.stalled(self.began.elapsed()) {
            warn!(client = id, "keeps others from the agent, and is cut off");
            if let Some(watch) = state.clients.get(&id) {
                watch.cut.notify_one();
            }
        }
        state.wake_clients();
    }

    fn leave(&self, id: u32) {
        let mut state = self.lock();
        state.clients.remove(&id);
        let left = state.mux.leave(id);
        let connection = state.connection;
        drop(state);
        if let (Err(error), Some(port)) = (left, &self.port) {
            debug!(%error, "the agent has to begin anew");
            port.hang_up(connection);
        }
        self.poked.notify_one();
    }
}

/// A client of the agent, until it is dropped.
#[derive(Debug)]
pub(crate) struct AgentClient {
    hub: Arc<AgentHub>,
    id: u32,
    watch: Arc<ClientWatch>,
}

impl AgentClient {
    /// The next message for it. Dropping the future loses nothing.
    pub(crate) async fn next(&self) -> ServerMessage {
        loop {
            let more = self.watch.more.notified();
            let message = self.hub.lock().mux.next(self.id);
            if let Some(message) = message {
                // There may be more, and the agent may be read again.
                self.watch.more.notify_one();
                self.hub.poked.notify_one();
                return message;
            }
            more.await;
        }
    }

    /// Ends when it has kept others waiting for too long.
    pub(crate) async fn cut(&self) {
        self.watch.cut.notified().await;
    }

    /// AGENT_START.
    pub(crate) fn start(&self, tokens: u32) {
        self.hub.lock().mux.start(self.id, tokens);
        self.hub.poked.notify_one();
    }

    /// AGENT_TOKEN.
    pub(crate) fn grant(&self, tokens: u32) {
        self.hub.lock().mux.grant(self.id, tokens);
        self.watch.more.notify_one();
    }

    /// AGENT_DATA. The monitors the client wants, if the guest's driver takes them.
    ///
    /// # Errors
    /// What the client did wrong.
    pub(crate) fn data(&self, bytes: Bytes) -> Result<Option<Vec<AgentMonitor>>, AgentFault> {
        let done = self.hub.lock().mux.data(self.id, bytes);
        self.hub.poked.notify_one();
        done
    }
}

impl Drop for AgentClient {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}
