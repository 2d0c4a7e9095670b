//! Channels that lead to a port of the machine, each for one client at a time: named ports, shared folders, USB devices
//! and smart card readers. Each client is offered those that are free, when it asks for its channels and when they become
//! free later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use caraway_ports::port::HostPort;
use caraway_protocol::channel::{ChannelId, ChannelType};
use tokio::sync::{Notify, watch};

use crate::Role;

/// Smart card readers there may be.
pub const MAX_READERS: usize = 10;

/// The channel that leads to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A port channel: bytes, and whether the other end is open.
    Port,
    /// A webdav channel, the same for folder sharing.
    Webdav,
    /// A usbredir channel: the usbredir protocol with a device's end.
    Usbredir,
    /// A reader of the one smartcard channel: libcacard's VSC protocol with a reader's device. There are up to
    /// [`MAX_READERS`]; further ones nobody uses.
    Smartcard,
}

impl PortKind {
    pub(crate) const fn channel(self) -> ChannelType {
        match self {
            Self::Port => ChannelType::Port,
            Self::Webdav => ChannelType::Webdav,
            Self::Usbredir => ChannelType::Usbredir,
            Self::Smartcard => ChannelType::Smartcard,
        }
    }
}

/// A port, and what clients are to see of it.
#[derive(Debug)]
pub struct PortConfig {
    /// Its name, which clients of port and webdav channels are told.
    pub name: String,
    /// The channel that leads to it.
    pub kind: PortKind,
    /// The port, whose host comes and goes ([`caraway_ports::port::attended_port`]): it is there while a client is.
    pub port: HostPort,
}

/// A channel and the ports behind it: one, or all card readers.
#[derive(Debug)]
pub(crate) struct PortChannel {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) ports: Vec<HostPort>,
    /// There may be bytes for the client, or a connection has begun or ended.
    pub(crate) for_client: Arc<Notify>,
    /// There may be room for bytes of the client, or a connection has begun or ended.
    pub(crate) for_ports: Arc<Notify>,
}

impl PortChannel {
    fn add(&mut self, port: HostPort) {
        let wakes = [Arc::clone(&self.for_client), Arc::clone(&self.for_ports)];
        port.set_waker(Arc::new(move || wakes.iter().for_each(|wake| wake.notify_one())));
        self.ports.push(port);
    }
}

/// Whether a client has a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    is_taken: bool,
    /// It has become free as so manieth.
    freed: u64,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct PortChannels {
    list: Vec<PortChannel>,
    uses: Mutex<Vec<Use>>,
    /// Counts how often one of them has become free.
    freed: watch::Sender<u64>,
}

impl PortChannels {
    pub(crate) fn new(configs: Vec<PortConfig>) -> Self {
        let mut list: Vec<PortChannel> = Vec::new();
        for PortConfig { name, kind, port } in configs {
            let kind_of = |channel: &&mut PortChannel| channel.id.kind == kind.channel();
            let readers = list.iter_mut().find(kind_of).filter(|_| kind == PortKind::Smartcard);
            if let Some(readers) = readers {
                if readers.ports.len() < MAX_READERS {
                    readers.add(port);
                }
                continue;
            }
            let before = list.iter().filter(|channel| channel.id.kind == kind.channel()).count();
            // There are no more numbers than that.
            let Ok(id) = u8::try_from(before) else { continue };
            let mut channel = PortChannel {
                id: ChannelId {
                    kind: kind.channel(),
                    id,
                },
                name,
                ports: Vec::new(),
                for_client: Arc::default(),
                for_ports: Arc::default(),
            };
            channel.add(port);
            list.push(channel);
        }
        Self {
            uses: Mutex::new(vec![Use::default(); list.len()]),
            list,
            freed: watch::Sender::new(0),
        }
    }

    /// Whether there is such a channel, free or not.
    pub(crate) fn has(&self, id: ChannelId) -> bool {
        self.list.iter().any(|channel| channel.id == id)
    }

    /// What a client of this role is offered from now on.
    pub(crate) fn offers(self: &Arc<Self>, role: Role) -> Offers {
        Offers {
            role,
            freed: self.freed.subscribe(),
            channels: Arc::clone(self),
            seen: None,
        }
    }

    /// A client has the channel as long as this lives; `None` while another one has it.
    pub(crate) fn take(self: &Arc<Self>, id: ChannelId) -> Option<Lease> {
        let index = self.list.iter().position(|channel| channel.id == id)?;
        let mut uses = self.lock();
        let place = uses.get_mut(index).filter(|place| !place.is_taken)?;
        place.is_taken = true;
        drop(uses);
        let channel = self.list.get(index)?;
        channel.ports.iter().for_each(HostPort::attend);
        Some(Lease {
            channels: Arc::clone(self),
            index,
        })
    }

    fn free(&self, index: usize) {
        let mut uses = self.lock();
        self.freed.send_modify(|freed| {
            *freed = freed.saturating_add(1);
            if let Some(place) = uses.get_mut(index) {
                *place = Use {
                    is_taken: false,
                    freed: *freed,
                };
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Use>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one client is offered.
#[derive(Debug)]
pub(crate) struct Offers {
    role: Role,
    channels: Arc<PortChannels>,
    freed: watch::Receiver<u64>,
    /// How many had become free when it was offered some the last time; `None` before the first time.
    seen: Option<u64>,
}

impl Offers {
    /// All that are free.
    pub(crate) fn all(&mut self) -> Vec<ChannelId> {
        match self.role {
            Role::Control => self.since(None),
            // It is offered none, now or later.
            Role::View => Vec::new(),
        }
    }

    /// Waits until further ones are free. Nothing is, before the client has asked for all. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Vec<ChannelId> {
        loop {
            // The sender lives as long as the channels, which are held here.
            if self.freed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let Some(seen) = self.seen else { continue };
            let free = self.since(Some(seen));
            if !free.is_empty() {
                return free;
            }
        }
    }

    fn since(&mut self, seen: Option<u64>) -> Vec<ChannelId> {
        let uses = self.channels.lock();
        self.seen = Some(*self.freed.borrow_and_update());
        let is_offered = |place: &Use| !place.is_taken && seen.is_none_or(|seen| place.freed > seen);
        let channels = self.channels.list.iter().zip(uses.iter());
        channels
            .filter(|(_, place)| is_offered(place))
            .map(|(channel, _)| channel.id)
            .collect()
    }
}

/// The channel of one client, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    channels: Arc<PortChannels>,
    index: usize,
}

impl Lease {
    /// The channel.
    pub(crate) fn channel(&self) -> Option<&PortChannel> {
        self.channels.list.get(self.index)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(channel) = self.channel() {
            channel.ports.iter().for_each(HostPort::leave);
        }
        self.channels.free(self.index);
    }
}

#[cfg(test)]
mod tests {
    use caraway_ports::port::{DevicePort, attended_port};

    use super::*;

    fn channels(kinds: &[PortKind]) -> (Arc<PortChannels>, Vec<DevicePort>) {
        let (ports, devices): (Vec<_>, Vec<_>) = kinds
            .iter()
            .map(|kind| {
                let (port, device) = attended_port();
                let name = format!("{kind:?}");
                let kind = *kind;
                (PortConfig { name, kind, port }, device)
            })
            .unzip();
        (Arc::new(PortChannels::new(ports)), devices)
    }

    const fn id(kind: ChannelType, id: u8) -> ChannelId {
        ChannelId { kind, id }
    }

    #[test]
    fn channels_of_a_kind_are_numbered_and_readers_share_one() {
        use PortKind::{Port, Smartcard, Usbredir};
        let (channels, _devices) = channels(&[Usbredir, Smartcard, Port, Usbredir, Smartcard]);
        let ids = channels.offers(Role::Control).all();
        let usb = ChannelType::Usbredir;
        let wanted = [
            id(usb, 0),
            id(ChannelType::Smartcard, 0),
            id(ChannelType::Port, 0),
            id(usb, 1),
        ];
        assert_eq!(ids, wanted);
        let lease = channels.take(id(ChannelType::Smartcard, 0)).unwrap();
        assert_eq!(lease.channel().unwrap().ports.len(), 2);
        assert!(channels.has(id(usb, 1)) && !channels.has(id(usb, 2)) && channels.take(id(usb, 2)).is_none());
    }

    #[tokio::test]
    async fn a_channel_is_one_clients_and_offered_to_others_when_it_is_free() {
        let (channels, devices) = channels(&[PortKind::Port, PortKind::Port]);
        let [first, second] = [id(ChannelType::Port, 0), id(ChannelType::Port, 1)];
        let mut offers = channels.offers(Role::Control);
        let lease = channels.take(first).unwrap();
        assert!(channels.take(first).is_none());
        assert!(devices[0].open() && !devices[1].open(), "somebody is there");
        drop(lease);
        assert!(!devices[0].is_open());
        // Not asked yet: what became free before is among all.
        assert_eq!(offers.all(), [first, second]);
        let both = (channels.take(first).unwrap(), channels.take(second).unwrap());
        assert!(offers.all().is_empty());
        drop(both);
        assert_eq!(offers.next().await, [first, second]);
        drop(channels.take(second));
        let again = channels.take(second);
        drop(channels.take(first));
        assert_eq!(offers.next().await, [first], "the other is taken again");
        drop(again);
        assert_eq!(offers.next().await, [second]);
    }
}
