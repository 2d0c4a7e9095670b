//! All ports of a device, and what of them is saved.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use caraway_base::state::{Migratable, StateError};
use caraway_ports::port::{DevicePort, PortWaker};
use serde::{Deserialize, Serialize};

use super::{
    ConsoleError,
    message::{DriverMessage, PortMessage},
    port::{ConsolePortState, Port},
};

/// Most ports with a name.
const MAX_PORTS: usize = 31;

/// Number of the first port with a name. Port 0 is never there: it is what a driver without multiport takes for a console.
/// One with multiport does not miss it: for Linux a port is there once PORT_ADD says so, and is a console once CONSOLE_PORT
/// says so, whatever its number.
pub(super) const FIRST_PORT: u32 = 1;

/// Bytes of the longest name.
const NAME_BYTES: usize = 64;

/// The ports of a console device: what a driver knows of them, and where they lead to. The device's thread has them while
/// it works.
#[derive(Debug)]
pub struct ConsolePorts {
    count: u32,
    inner: Mutex<Ports>,
}

impl ConsolePorts {
    /// Ports by name, numbered from 1.
    ///
    /// # Errors
    /// When there are too many, or one has a name that cannot be.
    pub fn new(ports: Vec<(String, DevicePort)>) -> Result<Self, ConsoleError> {
        check_names(&ports)?;
        let ports = ports.into_iter().map(|(name, device)| Port::new(name, device));
        Ok(Self::with(ports.collect(), false))
    }

    fn with(list: Vec<Port>, is_ready: bool) -> Self {
        Self {
            count: u32::try_from(list.len()).unwrap_or(0),
            inner: Mutex::new(Ports {
                list,
                is_ready,
                ignored: 0,
            }),
        }
    }

    /// Messages and buffers of the driver that made no sense and were ignored.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.lock().ignored
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Ports> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ports with a number below this can be.
    pub(super) fn max_nr_ports(&self) -> u32 {
        FIRST_PORT + self.count
    }

    pub(super) fn set_waker(&self, waker: &PortWaker) {
        for port in &self.lock().list {
            port.device().set_waker(Arc::clone(waker));
        }
    }
}

fn check_names(ports: &[(String, DevicePort)]) -> Result<(), ConsoleError> {
    if ports.len() > MAX_PORTS {
        return Err(ConsoleError::Count { count: ports.len() });
    }
    for (index, (name, _)) in ports.iter().enumerate() {
        let fits = (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits || name.contains('/') || ports.iter().take(index).any(|(other, _)| other == name) {
            return Err(ConsoleError::Name { name: name.clone() });
        }
    }
    Ok(())
}

/// The ports, and what the driver has said of the device as a whole.
#[derive(Debug)]
pub(super) struct Ports {
    list: Vec<Port>,
    /// The driver takes ports.
    is_ready: bool,
    ignored: u64,
}

impl Ports {
    /// By number.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Port> {
        let index = usize::try_from(number.checked_sub(FIRST_PORT)?).ok()?;
        self.list.get_mut(index)
    }

    /// With their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Port)> {
        (FIRST_PORT..).zip(&mut self.list)
    }

    pub(super) fn ignore(&mut self) {
        self.ignored = self.ignored.saturating_add(1);
    }

    /// As after power-on.
    pub(super) fn reset(&mut self) {
        self.is_ready = false;
        self.list.iter_mut().for_each(Port::reset);
    }

    /// Does what the driver says. Saying it twice is as good as once.
    pub(super) fn hear(&mut self, message: DriverMessage) {
        match message {
            DriverMessage::DeviceReady(true) => self.is_ready = true,
            DriverMessage::DeviceReady(false) => self.reset(),
            DriverMessage::PortReady(number, ready) => match self.get_mut(number) {
                Some(port) => port.set_ready(ready),
                None => self.ignore(),
            },
            DriverMessage::PortOpen(number, open) => match self.get_mut(number) {
                Some(port) if port.state().is_ready => {
                    if open {
                        port.open();
                    } else {
                        port.close();
                    }
                }
                _ => self.ignore(),
            },
        }
    }

    /// Follows what has happened on the host, and the time.
    pub(super) fn look(&mut self, now: Instant) {
        self.list.iter_mut().for_each(|port| port.look(now));
    }

    /// When there is something to do by the time alone.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.list.iter().filter_map(Port::hang_up_ends).min()
    }

    /// What the driver is to be told next, of which port.
    pub(super) fn message(&self) -> Option<(u32, PortMessage, Vec<u8>)> {
        let mut ports = (FIRST_PORT..).zip(&self.list);
        ports.find_map(|(number, port)| {
            let message = port.message()?;
            // A driver may know ports without having asked for them, after a suspend: those it is told about.
            if message == PortMessage::Add && !self.is_ready {
                return None;
            }
            Some((number, message, message.bytes(number, &port.state().name)))
        })
    }
}

/// What a driver was told and has said. Connections are not part of it: those a restored guest had open end, and begin
/// anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleState {
    /// The driver takes ports.
    pub is_ready: bool,
    /// By number, from 1 on.
    pub ports: Vec<ConsolePortState>,
}

/// Restoring takes the same ports, by name and in this order.
impl Migratable for ConsolePorts {
    type State = ConsoleState;
    type Args = Vec<(String, DevicePort)>;
    const KIND: &'static str = "virtio-console";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> ConsoleState {
        let ports = self.lock();
        ConsoleState {
            is_ready: ports.is_ready,
            ports: ports.list.iter().map(|port| port.state().clone()).collect(),
        }
    }

    fn restore(ports: Self::Args, state: ConsoleState) -> Result<Self, StateError> {
        let invalid = |field, value: String| StateError::Invalid {
            kind: Self::KIND,
            field,
            value,
        };
        check_names(&ports).map_err(|error| invalid("ports", error.to_string()))?;
        let named = |names: Vec<&str>| names.join(" ");
        let here = named(ports.iter().map(|(name, _)| name.as_str()).collect());
        let saved = named(state.ports.iter().map(|port| port.name.as_str()).collect());
        if here != saved {
            return Err(invalid("ports", format!("{saved:?}, here are {here:?}")));
        }
        for port in &state.ports {
            // Each follows from the one before.
            let order = [port.is_added, port.is_ready, port.is_named || port.is_open];
            if order.is_sorted_by(|before, after| before >= after) {
                continue;
            }
            return Err(invalid("ports", format!("{port:?}")));
        }
        let ports = ports.into_iter().zip(state.ports);
        let list = ports.map(|((_, device), state)| Port::with(state, device));
        Ok(Self::with(list.collect(), state.is_ready))
    }
}
