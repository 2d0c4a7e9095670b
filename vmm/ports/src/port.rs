//! A stream of bytes each way between a device of the guest and whoever serves it on the host: the agent's port, and
//! others that have a name.
//!
//! What is under way is bounded on both sides: a side that has no room is told of it by the count it gets back, and woken
//! once there is room. A connection has a number, so that what belongs to one never gets into the next, wherever it ended.
//! Several devices may lead to the same port; the first one that the guest opens has it until it lets go.
//!
//! The host may always be there, as it is for the agent, or come and go ([`attended_port`]), as a client does that a port
//! is for: the guest has no connection while nobody is there, and what belongs to one client never gets to the next.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes under way in each direction at most.
pub const PORT_BYTES: usize = 64 << 10;

/// Called when a side should look again. Any thread; it must not block, nor call into the port.
pub type PortWaker = Arc<dyn Fn() + Send + Sync>;

/// A new port: the host's side, and that of a device.
#[must_use]
pub fn port() -> (HostPort, DevicePort) {
    let shared = Arc::new(Shared::default());
    let host = HostPort(Arc::clone(&shared));
    (host, DevicePort::new(shared))
}

/// A new port whose host comes and goes; nobody is there yet. What one side wrote before it ended the connection the other
/// side still reads.
#[must_use]
pub fn attended_port() -> (HostPort, DevicePort) {
    let shared = Arc::new(Shared::default());
    shared.lock().presence = Presence::Away;
    let host = HostPort(Arc::clone(&shared));
    (host, DevicePort::new(shared))
}

/// Whether somebody on the host is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    /// Whatever happens.
    #[default]
    Always,
    /// For now.
    There,
    /// Not for now.
    Away,
}

/// What one connection of the guest is on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Counts connections, from 1 on; of none there has been yet, 0.
    pub number: u64,
    /// Whether it lasts.
    pub is_open: bool,
}

/// The host's side.
pub struct HostPort(Arc<Shared>);

/// A device's side. Dropping it closes it.
pub struct DevicePort {
    shared: Arc<Shared>,
    place: usize,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    number: u64,
    presence: Presence,
    /// The place of the device that has the port.
    owner: Option<usize>,
    /// The place of the device that may read what was left for it when the host went away.
    heir: Option<usize>,
    to_host: Pipe,
    /// Bytes at the front of it that are of connections before this one.
    old: usize,
    to_guest: Pipe,
    host: Option<PortWaker>,
    devices: Vec<Option<PortWaker>>,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// The writer had more than there was room for.
    is_wanted: bool,
}

impl Pipe {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(PORT_BYTES.saturating_sub(self.bytes.len()));
        self.bytes.extend(bytes.get(..count).unwrap_or_default());
        self.is_wanted |= count < bytes.len();
        count
    }

    /// How many, and whether the writer waits for the room they leave.
    fn read(&mut self, into: &mut [u8]) -> (usize, bool) {
        let count = into.len().min(self.bytes.len());
        let (front, back) = self.bytes.as_slices();
        let (first, second) = into.split_at_mut(front.len().min(count));
        for (to, from) in [(first, front), (second, back)] {
            let count = to.len().min(from.len());
            to.iter_mut().zip(from).take(count).for_each(|(to, from)| *to = *from);
        }
        self.bytes.drain(..count);
        let is_wanted = count > 0 && std::mem::take(&mut self.is_wanted);
        (count, is_wanted)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the connection there is.
    fn end(&mut self) -> Vec<PortWaker> {
        self.owner = None;
        self.clear_to_host();
        self.to_guest.clear();
        self.everybody()
    }

    fn clear_to_host(&mut self) {
        self.to_host.clear();
        self.old = 0;
    }

    /// Everybody may want to know when a connection ends: the other devices may have the port now.
    fn everybody(&self) -> Vec<PortWaker> {
        self.devices.iter().flatten().chain(&self.host).cloned().collect()
    }

    /// The device ends its connection.
    fn close(&mut self) -> Vec<PortWaker> {
        if self.presence == Presence::There {
            self.owner = None;
            self.to_host.is_wanted = false;
            self.to_guest.clear();
            return self.everybody();
        }
        self.end()
    }

    /// The waker of the device that has the port.
    fn device(&self) -> Option<PortWaker> {
        self.devices.get(self.owner?)?.clone()
    }
}

fn wake<W: IntoIterator<Item = PortWaker>>(wakers: W) {
    wakers.into_iter().for_each(|wake| wake());
}

impl HostPort {
    /// The last connection.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let state = self.0.lock();
        Connection {
            number: state.number,
            is_open: state.owner.is_some(),
        }
    }

    /// Somebody on the host is there, for a port where that matters.
    pub fn attend(&self) {
        self.turn(Presence::There);
    }

    /// Nobody is there any more: ends the connection, if there is one. What the guest wrote is lost; what was written to it
    /// the device may still read.
    pub fn leave(&self) {
        self.turn(Presence::Away);
    }

    fn turn(&self, to: Presence) {
        let mut state = self.0.lock();
        if matches!(state.presence, Presence::Always) || state.presence == to {
            return;
        }
        state.presence = to;
        state.heir = state.owner.take().or(state.heir);
        state.clear_to_host();
        let wakers = state.everybody();
        drop(state);
        wake(wakers);
    }

    /// Takes bytes that the guest wrote on this connection: how many there were. If it is over there are none, unless the
    /// host comes and goes: then what is left comes with the number of a connection that is over, and what was written on
    /// the next one after that.
    #[must_use]
    pub fn read(&self, connection: u64, into: &mut [u8]) -> usize {
        let mut state = self.0.lock();
        let most = if state.number != connection {
            state.old
        } else if state.old > 0 {
            0
        } else {
            usize::MAX
        };
        let most = most.min(into.len());
        let (count, is_wanted) = state.to_host.read(into.get_mut(..most).unwrap_or_default());
        state.old = state.old.saturating_sub(count);
        let waker = state.device().filter(|_| is_wanted);
        drop(state);
        wake(waker);
        count
    }

    /// Gives bytes to the guest, if this connection lasts: how many there was room for.
    #[must_use]
    pub fn write(&self, connection: u64, bytes: &[u8]) -> usize {
        let mut state = self.0.lock();
        if state.number != connection || state.owner.is_none() {
            return 0;
        }
        let count = state.to_guest.write(bytes);
        let waker = state.device().filter(|_| count > 0);
        drop(state);
        wake(waker);
        count
    }

    /// Bytes that the guest has not taken yet.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.0.lock().to_guest.bytes.len()
    }

    /// Ends this connection, if it lasts. What is under way is lost.
    pub fn hang_up(&self, connection: u64) {
        let mut state = self.0.lock();
        if state.number == connection && state.owner.is_some() {
            let wakers = state.end();
            drop(state);
            wake(wakers);
        }
    }

    /// Who is told when there is something to read, room to write, or another connection; and now, as there may be.
    pub fn set_waker(&self, waker: PortWaker) {
        self.0.lock().host = Some(Arc::clone(&waker));
        wake([waker]);
    }
}

impl DevicePort {
    fn new(shared: Arc<Shared>) -> Self {
        let mut state = shared.lock();
        let place = state.devices.len();
        state.devices.push(None);
        drop(state);
        Self { shared, place }
    }

    /// Another device that leads to the same port.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }

    /// Begins a connection; one this device has is ended. False if another device has the port, or nobody on the host is
    /// there: who is told when that changes is the waker.
    #[must_use]
    pub fn open(&self) -> bool {
        let mut state = self.shared.lock();
        if state.owner.is_some_and(|owner| owner != self.place) {
            return false;
        }
        match state.presence {
            Presence::Away => return false,
            Presence::There => state.old = state.to_host.bytes.len(),
            Presence::Always => state.clear_to_host(),
        }
        state.to_guest.clear();
        state.owner = Some(self.place);
        state.heir = None;
        state.number += 1;
        // The other devices cannot have it now.
        let devices = state.devices.iter().enumerate();
        let others = devices.filter(|(place, _)| *place != self.place);
        let wakers: Vec<_> = others.filter_map(|(_, waker)| waker.clone()).collect();
        let host = state.host.clone();
        drop(state);
        wake(wakers.into_iter().chain(host));
        true
    }

    /// Whether this device has the port. It is not, any more, when the host has hung up.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.lock().owner == Some(self.place)
    }

    /// Whether this device cannot have it: another one has it, or nobody on the host is there.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let state = self.shared.lock();
        match state.owner {
            Some(owner) => owner != self.place,
            None => state.presence == Presence::Away,
        }
    }

    /// Ends the connection of this device, if it has one. What is under way is lost; a host that comes and goes still reads
    /// what was written to it.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        if state.owner == Some(self.place) {
            let wakers = state.close();
            drop(state);
            wake(wakers);
        }
    }

    /// Gives bytes to the host, if this device has the port: how many there was room for.
    #[must_use]
    pub fn write(&self, bytes: &[u8]) -> usize {
        let mut state = self.shared.lock();
        if state.owner != Some(self.place) {
            return 0;
        }
        let count = state.to_host.write(bytes);
        let waker = state.host.clone().filter(|_| count > 0);
        drop(state);
        wake(waker);
        count
    }

    /// Takes bytes that the host has for the guest, if this device has the port or had it when the host went away: how many
    /// there were.
    #[must_use]
    pub fn read(&self, into: &mut [u8]) -> usize {
        let mut state = self.shared.lock();
        if state.owner.or(state.heir) != Some(self.place) {
            return 0;
        }
        let (count, is_wanted) = state.to_guest.read(into);
        // What waits until all is taken waits for this, too.
        let waker = state
            .host
            .clone()
            .filter(|_| is_wanted || (count > 0 && state.to_guest.bytes.is_empty()));
        drop(state);
        wake(waker);
        count
    }

    /// Bytes there are for the guest.
    #[must_use]
    pub fn readable(&self) -> usize {
        let state = self.shared.lock();
        if state.owner.or(state.heir) == Some(self.place) {
            state.to_guest.bytes.len()
        } else {
            0
        }
    }

    /// Who is told when there is something to read, room to write again, the host has hung up, come or gone, or another device
    /// has taken the port or let go; and now, as it may have been.
    pub fn set_waker(&self, waker: PortWaker) {
        if let Some(place) = self.shared.lock().devices.get_mut(self.place) {
            *place = Some(Arc::clone(&waker));
        }
        wake([waker]);
    }
}

impl Drop for DevicePort {
    fn drop(&mut self) {
        if let Some(place) = self.shared.lock().devices.get_mut(self.place) {
            *place = None;
        }
        self.close();
    }
}

impl fmt::Debug for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostPort")
            .field("connection", &self.connection())
            .finish()
    }
}

impl fmt::Debug for DevicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePort")
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn counted() -> (PortWaker, Arc<AtomicU32>) {
        let count = Arc::<AtomicU32>::default();
        let counting = Arc::clone(&count);
        let waker = move || {
            counting.fetch_add(1, Ordering::Relaxed);
        };
        (Arc::new(waker), count)
    }

    #[test]
    fn bytes_go_both_ways_while_a_connection_lasts() {
        let (host, device) = port();
        let mut bytes = [0; 8];
        let never = Connection {
            number: 0,
            is_open: false,
        };
        assert_eq!(
            (host.connection(), device.write(b"lost"), host.write(0, b"lost")),
            (never, 0, 0)
        );
        assert!(device.open());
        let first = host.connection();
        assert_eq!(
            first,
            Connection {
                number: 1,
                is_open: true
            }
        );
        assert_eq!((device.write(b"to host"), host.write(1, b"to guest")), (7, 8));
        assert_eq!((host.read(1, &mut bytes), &bytes[..7]), (7, &b"to host"[..]));
        assert_eq!(
            (device.readable(), device.read(&mut bytes), &bytes),
            (8, 8, b"to guest")
        );
        assert_eq!((device.write(b"left"), host.write(1, b"left")), (4, 4));
        assert!(device.open(), "again");
        assert_eq!((host.read(1, &mut bytes), host.write(1, b"old")), (0, 0));
        assert_eq!(
            (host.read(2, &mut bytes), device.read(&mut bytes)),
            (0, 0),
            "what was left is gone"
        );
        drop(device);
        assert_eq!(
            host.connection(),
            Connection {
                number: 2,
                is_open: false
            }
        );
    }

    #[test]
    fn a_side_without_room_is_woken_when_there_is_some() {
        let (host, device) = port();
        let ((host_waker, host_woken), (device_waker, device_woken)) = (counted(), counted());
        host.set_waker(host_waker);
        device.set_waker(device_waker);
        let woken = || {
            (
                host_woken.swap(0, Ordering::Relaxed),
                device_woken.swap(0, Ordering::Relaxed),
            )
        };
        assert!(device.open());
        assert_eq!(woken(), (2, 1), "set, and opened");
        let much = vec![7; PORT_BYTES + 1];
        assert_eq!((device.write(&much), host.write(1, &much)), (PORT_BYTES, PORT_BYTES));
        assert_eq!((device.write(&much), host.write(1, &much)), (0, 0));
        assert_eq!(woken(), (1, 1));
        let mut some = [0; 100];
        assert_eq!((host.read(1, &mut some), device.read(&mut some)), (100, 100));
        assert_eq!(woken(), (1, 1), "both had more");
        assert_eq!((host.read(1, &mut some), device.read(&mut some)), (100, 100));
        assert_eq!(woken(), (0, 0));
        assert_eq!((device.write(&much), host.write(1, &much)), (200, 200));
        assert_eq!(host.unread(), PORT_BYTES);
    }

    #[test]
    fn the_device_that_is_opened_first_has_the_port() {
        let (host, first) = port();
        let second = first.twin();
        let (waker, woken) = counted();
        second.set_waker(waker);
        assert!(first.open() && !second.open() && second.is_taken() && !first.is_taken());
        assert_eq!(woken.load(Ordering::Relaxed), 2, "set, and taken by the first");
        assert_eq!(
            (
                second.write(b"no"),
                second.readable(),
                host.write(1, b"yes"),
                first.readable()
            ),
            (0, 0, 3, 3)
        );
        second.close();
        assert!(first.is_open());
        let before = woken.load(Ordering::Relaxed);
        host.hang_up(0);
        assert!(first.is_open(), "that was another connection");
        host.hang_up(1);
        assert!(!first.is_open() && !second.is_taken() && woken.load(Ordering::Relaxed) > before);
        assert!(second.open() && !first.open());
        assert_eq!(
            host.connection(),
            Connection {
                number: 2,
                is_open: true
            }
        );
    }

    #[test]
    fn a_host_that_comes_and_goes_has_connections_while_it_is_there() {
        let (host, device) = attended_port();
        let (waker, woken) = counted();
        device.set_waker(waker);
        let woken = || woken.swap(0, Ordering::Relaxed) > 0;
        assert!(woken() && device.is_taken() && !device.open() && !host.connection().is_open);
        host.attend();
        assert!(woken() && !device.is_taken() && device.open());
        assert_eq!((device.write(b"old"), host.write(1, b"last words")), (3, 10));
        host.leave();
        assert!(woken() && !device.is_open() && device.is_taken() && !device.open());
        let mut bytes = [0; 16];
        assert_eq!(
            (device.readable(), device.read(&mut bytes)),
            (10, 10),
            "the device still reads"
        );
        assert_eq!(
            (host.read(1, &mut bytes), host.write(1, b"late")),
            (0, 0),
            "the host does not"
        );
        host.attend();
        assert!(woken() && device.open());
        assert_eq!((host.connection().number, device.readable()), (2, 0));
        assert_eq!((host.read(1, &mut bytes), host.read(2, &mut bytes)), (0, 0));
    }

    #[test]
    fn what_a_guest_wrote_before_it_closed_is_read_before_what_came_next() {
        let (host, device) = attended_port();
        host.attend();
        let (waker, woken) = counted();
        host.set_waker(waker);
        assert!(device.open());
        assert_eq!(device.write(b"first"), 5);
        woken.store(0, Ordering::Relaxed);
        device.close();
        assert!(woken.load(Ordering::Relaxed) > 0 && !host.connection().is_open);
        // Again, though nobody has read yet; and once more.
        assert!(device.open() && device.write(b"second") == 6);
        assert!(device.open() && device.write(b"third") == 5);
        let mut bytes = [0; 16];
        assert_eq!(host.read(3, &mut bytes), 0, "others come first");
        assert_eq!((host.read(1, &mut bytes), &bytes[..11]), (11, &b"firstsecond"[..]));
        assert_eq!((host.read(1, &mut bytes), host.read(2, &mut bytes)), (0, 0));
        assert_eq!((host.read(3, &mut bytes[..2]), &bytes[..2]), (2, &b"th"[..]));
        device.close();
        assert_eq!(
            (host.read(3, &mut bytes), &bytes[..3]),
            (3, &b"ird"[..]),
            "it is closed"
        );
        assert!(device.open() && device.write(b"lost") == 4);
        host.leave();
        host.attend();
        assert_eq!(host.read(4, &mut bytes), 0, "that was for somebody else");
    }

    #[test]
    fn however_often_a_guest_opens_a_port_that_nobody_reads_it_holds_no_more() {
        let (host, device) = attended_port();
        host.attend();
        for _ in 0..1000 {
            assert!(device.open());
            let _ = device.write(&[7; 100]);
        }
        let (mut all, mut some) = (0, [0; 4096]);
        while let count @ 1.. = host.read(1, &mut some) {
            all += count;
        }
        assert_eq!(all, PORT_BYTES);
    }
}
