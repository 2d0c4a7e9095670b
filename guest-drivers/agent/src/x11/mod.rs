//! Sessions of X11.

mod clipboard;
mod convert;
mod monitors;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use caraway_protocol::agent::{AgentCaps, AgentKind, AgentMessage};
use rustix::event::PollFlags;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::{Event, randr, xfixes};
use x11rb::rust_connection::RustConnection;

use crate::link::Link;
use crate::session::{Desktop, DesktopError};
use clipboard::Clipboards;
use monitors::Monitors;

x11rb::atom_manager! {
    /// Names the server has numbers for.
    pub(crate) Atoms: AtomsCookie {
        CLIPBOARD,
        TARGETS,
        TIMESTAMP,
        INCR,
        UTF8_STRING,
        TEXT,
        TEXT_PLAIN_UTF8: b"text/plain;charset=utf-8",
        TEXT_PLAIN: b"text/plain",
        IMAGE_PNG: b"image/png",
        IMAGE_BMP: b"image/bmp",
        IMAGE_X_BMP: b"image/x-bmp",
        IMAGE_X_MS_BMP: b"image/x-MS-bmp",
        IMAGE_TIFF: b"image/tiff",
        IMAGE_JPEG: b"image/jpeg",
        CARAWAY_CLIPBOARD: b"_CARAWAY_AGENT_CLIPBOARD",
        CARAWAY_PRIMARY: b"_CARAWAY_AGENT_PRIMARY",
    }
}

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct X11 {
    connection: RustConnection,
    clipboards: Clipboards,
    monitors: Monitors,
}

impl X11 {
    /// To the server that the environment names.
    pub(crate) fn connect() -> Result<Self, DesktopError> {
        let (connection, screen) = RustConnection::connect(None)?;
        for extension in [randr::X11_EXTENSION_NAME, xfixes::X11_EXTENSION_NAME] {
            if connection.extension_information(extension)?.is_none() {
                return Err(format!("the X server has no {extension}").into());
            }
        }
        let root = connection
            .setup()
            .roots
            .get(screen)
            .ok_or("the X server has no screen")?
            .root;
        let atoms = Atoms::new(&connection)?.reply()?;
        let clipboards = Clipboards::new(&connection, root, atoms)?;
        let monitors = Monitors::new(&connection, root)?;
        connection.flush()?;
        Ok(Self {
            connection,
            clipboards,
            monitors,
        })
    }

    fn event(&mut self, event: &Event, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        match event {
            // Windows of others may be gone by the time that something is done with them.
            Event::Error(_) => {}
            Event::RandrNotify(_) | Event::RandrScreenChangeNotify(_) => self.monitors.changed(),
            event => self.clipboards.event(&self.connection, event, out)?,
        }
        Ok(())
    }
}

impl Desktop for X11 {
    fn caps(&self) -> AgentCaps {
        AgentCaps::MONITORS_CONFIG
            | AgentCaps::SPARSE_MONITORS_CONFIG
            | AgentCaps::MONITORS_CONFIG_POSITION
            | AgentCaps::CLIPBOARD_BY_DEMAND
    }

    fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        vec![(self.connection.stream().as_fd(), PollFlags::IN)]
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.clipboards.deadline(), self.monitors.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn pump(&mut self, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        // Until nothing is left: what arrives while an answer is waited for wakes nobody later.
        loop {
            let mut has_events = false;
            while let Some(event) = self.connection.poll_for_event()? {
                has_events = true;
                self.event(&event, out)?;
            }
            self.clipboards.expire(&self.connection, out)?;
            self.monitors.update(&self.connection, out)?;
            self.connection.flush()?;
            if !has_events && !self.monitors.has_changed() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, link: Link, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        match link {
            Link::Active { most_clipboard, .. } => self.clipboards.activate(most_clipboard, out),
            Link::Inactive => self.clipboards.deactivate(&self.connection)?,
            Link::Agent(message) => match message {
                AgentMessage::MonitorsConfig(config) => {
                    let result = self.monitors.apply(&self.connection, &config);
                    if let Err(error) = &result {
                        crate::log::note(&format!("the monitors of the client: {error}"));
                    }
                    let (to, ok) = (AgentKind::MonitorsConfig, result.is_ok());
                    out.push(Link::Agent(AgentMessage::Reply { to, ok }));
                }
                AgentMessage::GraphicsDeviceInfo(devices) => self.monitors.name(&devices),
                message => self.clipboards.take(&self.connection, message, out)?,
            },
            Link::Hello { .. } | Link::Screen(_) => {}
        }
        Ok(())
    }

    fn greet(&mut self, out: &mut Vec<Link>) {
        self.monitors.greet(out);
    }
}
