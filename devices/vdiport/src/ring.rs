//! The rings. Indices are free-running; the one this device owns is kept privately and only written out, so that nothing
//! the guest writes there can confuse it.

#[cfg(feature = "misbehave")]
use crate::misbehave::Fault;
use crate::ram::{PACKET_DATA, PACKET_SIZE, PortRam, RING_ITEMS, offset};

/// Which ring, named as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    Input,
    Output,
}

/// A ring holds more packets than it has room for: the guest's index is nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ring:?} ring: guest index {guest:#x} against {own:#x}")]
pub(crate) struct RingCorrupt {
    pub(crate) ring: Ring,
    guest: u32,
    own: u32,
}

/// The head of a packet, as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketHead {
    /// The connection it belongs to.
    pub(crate) generation: u32,
    /// Bytes of data. Not checked.
    pub(crate) size: u32,
}

fn packet(ring: u64, index: u32) -> u64 {
    ring + offset::RING_ITEMS + PACKET_SIZE * u64::from(index % RING_ITEMS)
}

/// The device's end of the ring the guest fills.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InputRing {
    consumer: u32,
}

impl InputRing {
    const BASE: u64 = offset::INPUT;

    pub(crate) const fn new(consumer: u32) -> Self {
        Self { consumer }
    }

    pub(crate) const fn consumer(&self) -> u32 {
        self.consumer
    }

    fn waiting(&self, ram: &PortRam) -> Result<u32, RingCorrupt> {
        let producer = ram.load(Self::BASE + offset::RING_PRODUCER);
        let waiting = producer.wrapping_sub(self.consumer);
        if waiting > RING_ITEMS {
            return Err(RingCorrupt {
                ring: Ring::Input,
                guest: producer,
                own: self.consumer,
            });
        }
        Ok(waiting)
    }

    /// The packet to be read next.
    pub(crate) fn head(&self, ram: &PortRam) -> Result<Option<PacketHead>, RingCorrupt> {
        if self.waiting(ram)? == 0 {
            return Ok(None);
        }
        PortRam::barrier();
        let at = packet(Self::BASE, self.consumer);
        Ok(Some(PacketHead {
            generation: ram.load(at),
            size: ram.load(at + 4),
        }))
    }

    /// Copies the first bytes of its data.
    pub(crate) fn read(&self, ram: &PortRam, into: &mut [u8]) {
        ram.read(packet(Self::BASE, self.consumer) + offset::PACKET_DATA, into);
    }

    /// Gives its place back. Whether the guest wants to be told.
    pub(crate) fn release(&mut self, ram: &PortRam) -> bool {
        self.consumer = self.consumer.wrapping_add(1);
        PortRam::barrier();
        ram.store(Self::BASE + offset::RING_CONSUMER, self.consumer);
        #[cfg(feature = "misbehave")]
        ram.spoil_index(Fault::InputConsumer, Self::BASE + offset::RING_CONSUMER, self.consumer);
        PortRam::barrier();
        ram.load(Self::BASE + offset::RING_NOTIFY_ON_CONSUMER) == self.consumer
    }

    /// Asks to be told of the next packet. Whether one is there meanwhile, of which nobody will tell.
    pub(crate) fn arm(&self, ram: &PortRam) -> Result<bool, RingCorrupt> {
        ram.store(
            Self::BASE + offset::RING_NOTIFY_ON_PRODUCER,
            self.consumer.wrapping_add(1),
        );
        PortRam::barrier();
        Ok(self.waiting(ram)? > 0)
    }

    /// Makes the ring empty, wherever the guest is.
    pub(crate) fn start_over(&mut self, ram: &PortRam) {
        self.consumer = ram.load(Self::BASE + offset::RING_PRODUCER);
        ram.store(Self::BASE + offset::RING_CONSUMER, self.consumer);
    }
}

/// The device's end of the ring the guest empties.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutputRing {
    producer: u32,
}

impl OutputRing {
    const BASE: u64 = offset::OUTPUT;

    pub(crate) const fn new(producer: u32) -> Self {
        Self { producer }
    }

    pub(crate) const fn producer(&self) -> u32 {
        self.producer
    }

    /// Where the guest is, and whether there is room.
    fn room(&self, ram: &PortRam) -> Result<(u32, bool), RingCorrupt> {
        let consumer = ram.load(Self::BASE + offset::RING_CONSUMER);
        let waiting = self.producer.wrapping_sub(consumer);
        if waiting > RING_ITEMS {
            return Err(RingCorrupt {
                ring: Ring::Output,
                guest: consumer,
                own: self.producer,
            });
        }
        Ok((consumer, waiting < RING_ITEMS))
    }

    /// Whether there is room for a packet. If not, asks to be told when the next one is taken.
    pub(crate) fn has_room(&self, ram: &PortRam) -> Result<bool, RingCorrupt> {
        let (consumer, has_room) = self.room(ram)?;
        if has_room {
            return Ok(true);
        }
        ram.store(Self::BASE + offset::RING_NOTIFY_ON_CONSUMER, consumer.wrapping_add(1));
        PortRam::barrier();
        Ok(self.room(ram)?.1)
    }

    /// Puts a packet where there is room for it; `data` is what fits into one. Whether the guest wants to be told.
    pub(crate) fn push(&mut self, ram: &PortRam, generation: u32, data: &[u8]) -> bool {
        let data = data.get(..PACKET_DATA).unwrap_or(data);
        let at = packet(Self::BASE, self.producer);
        ram.store(at, generation);
        // No more than a packet's data.
        ram.store(at + 4, data.len() as u32);
        ram.write(at + offset::PACKET_DATA, data);
        #[cfg(feature = "misbehave")]
        ram.spoil_packet(at, generation);
        PortRam::barrier();
        self.producer = self.producer.wrapping_add(1);
        ram.store(Self::BASE + offset::RING_PRODUCER, self.producer);
        #[cfg(feature = "misbehave")]
        ram.spoil_index(Fault::OutputProducer, Self::BASE + offset::RING_PRODUCER, self.producer);
        PortRam::barrier();
        ram.load(Self::BASE + offset::RING_NOTIFY_ON_PRODUCER) == self.producer
    }

    /// Makes the ring empty, wherever the guest is.
    pub(crate) fn start_over(&self, ram: &PortRam) {
        ram.store(Self::BASE + offset::RING_CONSUMER, self.producer);
    }
}
