//! Ports: what the configuration joins of SPICE channels, the guest and sockets.

use std::path::Path;

use caraway_config::{Port, PortChannel, PortGuest};
use caraway_ports::port::{DevicePort, attended_port};
use caraway_server::{PortConfig, PortKind};

use super::port_sockets::{End, Place, Socket};

/// The ends of all ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Those in the guest, by name.
    pub(super) guest: Vec<(String, DevicePort)>,
    /// Those of the SPICE server.
    pub(super) channels: Vec<PortConfig>,
    /// Those that are sockets.
    pub(super) sockets: Vec<Socket>,
}

impl Ports {
    /// Makes the ports and binds their sockets. `serial` is the socket of the serial console.
    ///
    /// # Errors
    /// When a socket cannot be bound.
    pub(super) fn new(configured: &[Port], serial: &Path) -> anyhow::Result<Self> {
        let mut ports = Self::default();
        for port in configured {
            let place = match (&port.listen, &port.connect, port.guest) {
                (Some(address), _, _) => Some(Place::bind(&address.value)?),
                (None, Some(address), _) => Some(Place::to(&address.value)),
                (None, None, Some(PortGuest::Serial)) => Some(Place::ToUnix(serial.to_owned())),
                (None, None, _) => None,
            };
            // There are two ends, as the configuration was checked for.
            let (host, device) = attended_port();
            let name = port.name.clone();
            let device = match (port.channel, place) {
                (Some(channel), place) => {
                    let (name, kind) = (name.clone(), kind(channel));
                    ports.channels.push(PortConfig { name, kind, port: host });
                    match place {
                        Some(place) => {
                            ports.sockets.push(Socket::new(End::Device(device), place));
                            continue;
                        }
                        None => device,
                    }
                }
                (None, Some(place)) => {
                    ports.sockets.push(Socket::new(End::Host(host), place));
                    device
                }
                (None, None) => device,
            };
            ports.guest.push((name, device));
        }
        Ok(ports)
    }
}

const fn kind(channel: PortChannel) -> PortKind {
    match channel {
        PortChannel::Port => PortKind::Port,
        PortChannel::Webdav => PortKind::Webdav,
        PortChannel::Usbredir => PortKind::Usbredir,
        PortChannel::Smartcard => PortKind::Smartcard,
    }
}
