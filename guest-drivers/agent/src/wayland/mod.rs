//! Sessions of Wayland compositors that let a program manage their clipboard (`ext-data-control` or `wlr-data-control`), and
//! their outputs (`wlr-output-management`).

mod clipboard;
mod control;
mod outputs;

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use caraway_protocol::agent::{AgentCaps, AgentMessage};
use rustix::event::PollFlags;
use wayland_client::backend::WaylandError;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::{self, WlSeat};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle};

use crate::link::Link;
use crate::session::{Desktop, DesktopError};
use clipboard::Clipboards;
use outputs::Outputs;

/// What a compositor offers: number, interface, version.
type Global = (u32, String, u32);

/// What the events change.
pub(crate) struct State {
    globals: Vec<Global>,
    clipboards: Option<Clipboards>,
    outputs: Outputs,
    /// What is to be told.
    out: Vec<Link>,
}

/// A connection to a compositor.
pub(crate) struct Wayland {
    connection: Connection,
    queue: EventQueue<State>,
    state: State,
    /// Not everything that was said has been taken.
    is_full: bool,
}

impl Wayland {
    /// To the compositor that the environment names.
    pub(crate) fn connect() -> Result<Self, DesktopError> {
        let connection = Connection::connect_to_env()?;
        let mut queue = connection.new_event_queue();
        let handle = queue.handle();
        let registry = connection.display().get_registry(&handle, ());
        let mut state = State {
            globals: Vec::new(),
            clipboards: None,
            outputs: Outputs::default(),
            out: Vec::new(),
        };
        queue.roundtrip(&mut state)?;
        let find = |wanted: &str| {
            state
                .globals
                .iter()
                .find(|(_, interface, _)| interface == wanted)
                .cloned()
        };
        let (seat, ..) = find(WlSeat::interface().name).ok_or("the compositor has no seat")?;
        let seat: WlSeat = registry.bind(seat, 1, &handle, ());
        let manager = control::Manager::bind(&registry, find, &handle);
        let manager = manager.ok_or("the compositor lets nobody manage its clipboard")?;
        state.outputs.bind(&registry, &state.globals, &handle);
        state.clipboards = Some(Clipboards::new(manager, &seat, handle));
        // Objects are told of, then what they are.
        queue.roundtrip(&mut state)?;
        queue.roundtrip(&mut state)?;
        Ok(Self {
            connection,
            queue,
            state,
            is_full: false,
        })
    }

    fn dispatch(&mut self) -> Result<(), DesktopError> {
        self.queue.dispatch_pending(&mut self.state)?;
        if let Some(guard) = self.queue.prepare_read() {
            match guard.read() {
                Ok(_) => {}
                Err(WaylandError::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.queue.dispatch_pending(&mut self.state)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DesktopError> {
        self.is_full = match self.connection.flush() {
            Ok(()) => false,
            Err(WaylandError::Io(error)) if error.kind() == ErrorKind::WouldBlock => true,
            Err(error) => return Err(error.into()),
        };
        Ok(())
    }
}

impl Desktop for Wayland {
    fn caps(&self) -> AgentCaps {
        let mut caps = AgentCaps::CLIPBOARD_BY_DEMAND;
        if self.state.outputs.can_change() {
            caps |=
                AgentCaps::MONITORS_CONFIG | AgentCaps::SPARSE_MONITORS_CONFIG | AgentCaps::MONITORS_CONFIG_POSITION;
        }
        caps
    }

    fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.is_full);
        let mut descriptors = vec![(self.connection.as_fd(), flags)];
        descriptors.extend(self.state.clipboards.iter().flat_map(Clipboards::descriptors));
        descriptors
    }

    fn deadline(&self) -> Option<Instant> {
        self.state.clipboards.as_ref()?.deadline()
    }

    fn pump(&mut self, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        self.dispatch()?;
        if let Some(clipboards) = &mut self.state.clipboards {
            clipboards.go_on(&mut self.state.out);
        }
        self.state.outputs.update(&self.queue.handle(), &mut self.state.out);
        out.append(&mut self.state.out);
        self.flush()
    }

    fn take(&mut self, link: Link, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        let Some(clipboards) = &mut self.state.clipboards else {
            return Ok(());
        };
        match link {
            Link::Active { most_clipboard, .. } => clipboards.activate(most_clipboard, out),
            Link::Inactive => clipboards.deactivate(),
            Link::Agent(AgentMessage::MonitorsConfig(config)) => {
                self.state.outputs.apply(config, &self.queue.handle(), out);
            }
            Link::Agent(AgentMessage::GraphicsDeviceInfo(devices)) => self.state.outputs.name(&devices),
            Link::Agent(message) => clipboards.take(message, out),
            Link::Hello { .. } | Link::Screen(_) => {}
        }
        Ok(())
    }

    fn greet(&mut self, out: &mut Vec<Link>) {
        self.state.outputs.greet(out);
    }
}

impl Dispatch<WlRegistry, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global {
            name,
            interface,
            version,
        } = event
        {
            state.globals.push((name, interface, version));
        }
    }
}

impl Dispatch<WlSeat, ()> for State {
    fn event(_: &mut Self, _: &WlSeat, _: wl_seat::Event, (): &(), _: &Connection, _: &QueueHandle<Self>) {}
}
