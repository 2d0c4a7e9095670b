//! The device without PCI and without threads: connections, generations, the interrupt, and what goes through the rings.

use std::{ops::Range, sync::Arc};

use caraway_base::irq::IrqLine;
use caraway_ports::port::DevicePort;

use crate::{
    ram::{PACKET_DATA, PortRam, RING_ITEMS, offset},
    ring::{InputRing, OutputRing, Ring, RingCorrupt},
};

/// The one interrupt there is: look again.
pub(crate) const INTERRUPT: u32 = 1;

/// What a guest did that it must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum GuestBug {
    #[error(transparent)]
    Ring(#[from] RingCorrupt),
    #[error("packet size = {0}: at most 504 bytes")]
    PacketSize(u32),
}

/// Data of the packet at the head of the input ring that the host has had no room for yet.
#[derive(Clone, Debug)]
struct Rest {
    bytes: [u8; PACKET_DATA],
    left: Range<usize>,
}

impl Rest {
    const NONE: Self = Self {
        bytes: [0; PACKET_DATA],
        left: 0..0,
    };

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.left.clone()).unwrap_or(&[])
    }
}

/// The device.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) ram: PortRam,
    port: DevicePort,
    line: Option<Arc<dyn IrqLine>>,
    /// Of the last connection. Never read back from the guest's memory.
    pub(crate) generation: u32,
    connected: bool,
    /// The port was opened for this generation. While another device has it, a connected guest waits.
    attached: bool,
    pub(crate) input: InputRing,
    pub(crate) output: OutputRing,
    rest: Rest,
    paused: bool,
    /// A guest's mistake was reported: a guest could make them forever.
    warned: bool,
}

/// What lasts of a device in a saved machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lasting {
    pub(crate) generation: u32,
    pub(crate) connected: bool,
    pub(crate) input_consumer: u32,
    pub(crate) output_producer: u32,
}

impl Core {
    /// As after power-on; the memory too.
    pub(crate) fn new(ram: PortRam, port: DevicePort) -> Self {
        ram.reset();
        Self::assemble(ram, port, Lasting::default())
    }

    /// As it was saved, paused; the memory is as it was. The host's side is another one: a guest that was connected finds out
    /// when the device goes on.
    pub(crate) fn restore(ram: PortRam, port: DevicePort, lasting: Lasting) -> Self {
        Self {
            paused: true,
            ..Self::assemble(ram, port, lasting)
        }
    }

    fn assemble(ram: PortRam, port: DevicePort, lasting: Lasting) -> Self {
        Self {
            ram,
            port,
            line: None,
            generation: lasting.generation,
            connected: lasting.connected,
            attached: lasting.connected,
            input: InputRing::new(lasting.input_consumer),
            output: OutputRing::new(lasting.output_producer),
            rest: Rest::NONE,
            paused: false,
            warned: false,
        }
    }

    pub(crate) const fn lasting(&self) -> Lasting {
        Lasting {
            generation: self.generation,
            connected: self.connected,
            input_consumer: self.input.consumer(),
            output_producer: self.output.producer(),
        }
    }

    /// Gives the line that is driven from now on.
    pub(crate) fn set_line(&mut self, line: Arc<dyn IrqLine>) {
        self.line = Some(line);
        self.update_level();
    }

    /// The guest reads CONNECTION: the new generation, or 0 when it is connected or another device has the port.
    pub(crate) fn connect(&mut self) -> u32 {
        #[cfg(feature = "misbehave")]
        if let Some(value) = self.wrong_connection() {
            return value;
        }
        if self.connected || !self.port.open() {
            return 0;
        }
        self.change_generation();
        self.connected = true;
        self.attached = true;
        self.generation
    }

    /// The guest writes CONNECTION. Rings and generation stay: what is left in them is of no connection to come.
    pub(crate) fn disconnect(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.attached = false;
            self.rest = Rest::NONE;
            self.port.close();
        }
    }

    /// The guest writes UPDATE_IRQ.
    pub(crate) fn update_level(&self) {
        if let Some(line) = &self.line {
            let level = self.ram.load(offset::INT_PENDING) & self.ram.load(offset::INT_MASK) != 0;
            #[cfg(feature = "misbehave")]
            let level = level | self.holds_level();
            line.set(level);
        }
    }

    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Goes on: what the host did meanwhile has its effect now. Whether something is left, as in [`Core::poll`].
    pub(crate) fn resume(&mut self) -> bool {
        self.paused = false;
        let more = self.poll();
        self.update_level();
        more
    }

    /// As after power-on.
    pub(crate) fn reset(&mut self) {
        self.disconnect();
        self.generation = 0;
        self.input = InputRing::default();
        self.output = OutputRing::default();
        self.ram.reset();
        self.update_level();
    }

    /// Looks at the port and at both rings, of which it serves one turn of packets each. Whether there may be more.
    pub(crate) fn poll(&mut self) -> bool {
        if self.paused || !self.connected {
            return false;
        }
        #[cfg(feature = "misbehave")]
        self.flap();
        if self.attached && !self.port.is_open() {
            // The host has hung up: the guest is to start over.
            self.attached = false;
            self.begin_anew();
        }
        if !self.attached {
            self.attached = self.port.open();
        }
        self.attached
            && self.exchange().unwrap_or_else(|corrupt| {
                self.give_up(corrupt);
                false
            })
    }

    fn exchange(&mut self) -> Result<bool, RingCorrupt> {
        let more_input = self.take_input()?;
        let more_output = self.attached && self.give_output()?;
        Ok(more_input || more_output)
    }

    /// From the guest to the host, until there is nothing or the host has no room.
    fn take_input(&mut self) -> Result<bool, RingCorrupt> {
        #[cfg(feature = "misbehave")]
        if self.is_deaf() {
            return Ok(false);
        }
        for _ in 0..RING_ITEMS {
            if self.rest.left.is_empty() {
                let Some(head) = self.input.head(&self.ram)? else {
                    if self.input.arm(&self.ram)? {
                        continue;
                    }
                    return Ok(false);
                };
                if head.generation != self.generation {
                    self.release_input();
                    continue;
                }
                let size = usize::try_from(head.size).unwrap_or(usize::MAX);
                let Some(data) = self.rest.bytes.get_mut(..size) else {
                    self.refuse_packet(head.size);
                    return Ok(self.attached);
                };
                self.input.read(&self.ram, data);
                self.rest.left = 0..size;
            }
            self.rest.left.start += self.port.write(self.rest.bytes());
            if !self.rest.left.is_empty() {
                // The port tells when there is room.
                return Ok(false);
            }
            self.release_input();
        }
        self.input.arm(&self.ram)
    }

    fn release_input(&mut self) {
        if self.input.release(&self.ram) {
            self.raise();
        }
    }

    /// From the host to the guest, until there is nothing or the ring is full.
    fn give_output(&mut self) -> Result<bool, RingCorrupt> {
        for _ in 0..RING_ITEMS {
            if self.port.readable() == 0 || !self.output.has_room(&self.ram)? {
                return Ok(false);
            }
            let mut data = [0; PACKET_DATA];
            let count = self.port.read(&mut data);
            let Some(data) = data.get(..count).filter(|data| !data.is_empty()) else {
                return Ok(false);
            };
            if self.output.push(&self.ram, self.generation, data) {
                self.raise();
            }
        }
        Ok(self.port.readable() > 0)
    }

    /// A packet that says it is larger than it is: it is dropped, and both sides start over.
    fn refuse_packet(&mut self, size: u32) {
        self.report(GuestBug::PacketSize(size));
        self.release_input();
        self.begin_anew();
        self.attached = self.port.open();
    }

    /// A ring that cannot be: the guest has to connect again.
    fn give_up(&mut self, corrupt: RingCorrupt) {
        self.report(corrupt.into());
        self.begin_anew();
        self.disconnect();
        match corrupt.ring {
            Ring::Input => self.input.start_over(&self.ram),
            Ring::Output => self.output.start_over(&self.ram),
        }
    }

    /// The connection the guest has is none any more; what it puts from now on is of another one.
    fn begin_anew(&mut self) {
        self.change_generation();
        self.raise();
    }

    fn change_generation(&mut self) {
        // 0 says that there is none.
        self.generation = self.generation.wrapping_add(1).max(1);
        self.rest = Rest::NONE;
        self.ram.store(offset::GENERATION, self.generation);
    }

    fn raise(&self) {
        if self.connected && self.ram.or(offset::INT_PENDING, INTERRUPT) & INTERRUPT == 0 {
            #[cfg(feature = "misbehave")]
            if self.loses_interrupt() {
                return;
            }
            self.update_level();
        }
    }

    /// Once aloud.
    fn report(&mut self, bug: GuestBug) {
        if std::mem::replace(&mut self.warned, true) {
            tracing::debug!(%bug, "the guest misuses its VDIPort");
        } else {
            tracing::warn!(%bug, "the guest misuses its VDIPort");
        }
    }
}
