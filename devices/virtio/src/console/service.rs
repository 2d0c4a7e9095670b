//! Serves the queues of all ports (virtio 1.2, 5.3.2): queues 0 and 1 are port 0's, 2 and 3 carry the control messages,
//! 2 + 2p and 3 + 2p are port p's; of each pair the first goes to the guest.

use std::{sync::Arc, time::Instant};

use super::{
    feature,
    message::{DriverMessage, MESSAGE_BYTES},
    port::Port,
    ports::{ConsolePorts, Ports},
};
use crate::{
    Chain, QueueError, VirtQueue,
    worker::{Around, Service, Step, serve_queue},
};

/// Bytes moved at a time: what a device costs in memory, whatever a guest asks for.
const PIECE: usize = 32 << 10;

/// Pieces of one chain taken before the other queues have their turn.
const PIECES: usize = 8;

const PORT_0_TRANSMIT: u16 = 1;
const CONTROL_RECEIVE: u16 = 2;
const CONTROL_TRANSMIT: u16 = 3;

/// Queues the driver has enabled, by index.
struct Queues<'q>(Vec<Option<&'q mut VirtQueue>>);

impl<'q> Queues<'q> {
    fn new(queues: &'q mut [VirtQueue]) -> Self {
        let mut by_index = Vec::new();
        for queue in queues {
            let index = usize::from(queue.index());
            by_index.resize_with(by_index.len().max(index + 1), || None);
            if let Some(place) = by_index.get_mut(index) {
                *place = Some(queue);
            }
        }
        Self(by_index)
    }

    fn get(&mut self, index: u16) -> Option<&mut VirtQueue> {
        self.0.get_mut(usize::from(index))?.as_deref_mut()
    }

    fn take(&mut self, index: u16) -> Option<&'q mut VirtQueue> {
        self.0.get_mut(usize::from(index))?.take()
    }

    fn transmit_of(&mut self, port: u32) -> Option<&mut VirtQueue> {
        self.get(u16::try_from(port).ok()?.checked_mul(2)?.checked_add(3)?)
    }

    fn receive_of(&mut self, port: u32) -> Option<&mut VirtQueue> {
        self.get(u16::try_from(port).ok()?.checked_mul(2)?.checked_add(2)?)
    }
}

/// Serves the queues on the device's thread.
#[derive(Debug)]
pub(super) struct Serving {
    ports: Arc<ConsolePorts>,
    buffer: Vec<u8>,
    features: u64,
    deadline: Option<Instant>,
}

impl Serving {
    pub(super) fn new(ports: Arc<ConsolePorts>) -> Self {
        Self {
            ports,
            buffer: vec![0; PIECE],
            features: 0,
            deadline: None,
        }
    }
}

impl Service for Serving {
    fn begin(&mut self, features: u64) {
        self.features = features;
    }

    /// Everything is looked at whatever woke the thread: a port, a kick and the time lead to each other.
    fn serve(&mut self, queues: &mut [VirtQueue], _ready: &[usize], around: &Around<'_>) -> Result<(), QueueError> {
        let mut ports = self.ports.lock();
        let served = if self.features & feature::MULTIPORT == 0 {
            // Such a driver knows port 0 only.
            serve_port_0(&mut Queues::new(queues), around)
        } else {
            serve_ports(&mut ports, &mut Queues::new(queues), around, &mut self.buffer)
        };
        if served.is_err() {
            // Nothing will be served any more until a reset: whoever is on the host need not wait for that.
            ports.reset();
        }
        self.deadline = ports.deadline();
        served
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// What a guest writes to a port that is not there is dropped: Linux waits for its console with interrupts off.
fn serve_port_0(queues: &mut Queues<'_>, around: &Around<'_>) -> Result<(), QueueError> {
    queues
        .get(PORT_0_TRANSMIT)
        .map_or(Ok(()), |queue| drop_all(queue, around))
}

fn serve_ports(
    ports: &mut Ports,
    queues: &mut Queues<'_>,
    around: &Around<'_>,
    buffer: &mut [u8],
) -> Result<(), QueueError> {
    serve_port_0(queues, around)?;
    ports.look(Instant::now());
    if let Some(control) = queues.take(CONTROL_TRANSMIT) {
        serve_queue(control, around, |chain| hear(chain, ports, queues, around, buffer))?;
    }
    let mut odd = 0;
    for (number, port) in ports.iter_mut() {
        if let Some(queue) = queues.transmit_of(number) {
            serve_queue(queue, around, |chain| transmit(chain, port, around, buffer))?;
        }
        if let Some(queue) = queues.receive_of(number) {
            serve_queue(queue, around, |chain| receive(chain, port, around, buffer, &mut odd))?;
        }
    }
    for _ in 0..odd {
        ports.ignore();
    }
    // Last, as all that was before may have led to messages.
    if let Some(control) = queues.take(CONTROL_RECEIVE) {
        serve_queue(control, around, |chain| tell(chain, ports, around))?;
    }
    Ok(())
}

/// Gives everything in a queue back unread.
fn drop_all(queue: &mut VirtQueue, around: &Around<'_>) -> Result<(), QueueError> {
    serve_queue(queue, around, |_| Ok(done(around, 0)))
}

fn done<'a>(around: &Around<'a>, written: u32) -> Step<'a> {
    around
        .memory
        .access()
        .map_or(Step::Wait, |access| Step::Done(access, written))
}

/// One control message of the driver.
fn hear<'a>(
    chain: &Chain,
    ports: &mut Ports,
    queues: &mut Queues<'_>,
    around: &Around<'a>,
    buffer: &mut [u8],
) -> Result<Step<'a>, QueueError> {
    let mut bytes = [0; MESSAGE_BYTES];
    let is_whole = chain.readable.length() >= MESSAGE_BYTES as u64;
    if is_whole {
        let Some(access) = around.memory.access() else {
            return Ok(Step::Wait);
        };
        chain.readable.read(&access, 0, &mut bytes)?;
    }
    match DriverMessage::parse(bytes).filter(|_| is_whole) {
        Some(message) => {
            if let DriverMessage::PortOpen(number, false) = message {
                take_last(number, ports, queues, around, buffer)?;
            }
            ports.hear(message);
            drop_unconnected(ports, queues, around)?;
            if around.stop.is_set() {
                // Something may be left there; the message is heard again.
                return Ok(Step::Wait);
            }
        }
        None => ports.ignore(),
    }
    Ok(done(around, 0))
}

/// Takes what was written to a port that is about to be closed, as far as the host has room: Linux does not wait for it, and
/// the message may be heard before what was written is looked at.
fn take_last(
    number: u32,
    ports: &mut Ports,
    queues: &mut Queues<'_>,
    around: &Around<'_>,
    buffer: &mut [u8],
) -> Result<(), QueueError> {
    match (ports.get_mut(number), queues.transmit_of(number)) {
        (Some(port), Some(queue)) => serve_queue(queue, around, |chain| transmit(chain, port, around, buffer)),
        _ => Ok(()),
    }
}

/// Drops what lies in the transmit queues of ports without a connection. Done before the driver has its message back: what a
/// guest sends after it has closed a port and opened it again belongs to the next connection, what lies there now does not.
fn drop_unconnected(ports: &mut Ports, queues: &mut Queues<'_>, around: &Around<'_>) -> Result<(), QueueError> {
    for (number, port) in ports.iter_mut() {
        if !port.is_connected()
            && let Some(queue) = queues.transmit_of(number)
        {
            drop_all(queue, around)?;
        }
    }
    Ok(())
}

/// Bytes from the guest: as many as the host has room for. The driver has the buffers back when all are taken.
fn transmit<'a>(
    chain: &Chain,
    port: &mut Port,
    around: &Around<'a>,
    buffer: &mut [u8],
) -> Result<Step<'a>, QueueError> {
    if !port.is_connected() {
        return Ok(done(around, 0));
    }
    for _ in 0..PIECES {
        let Some(access) = around.memory.access().filter(|_| !around.stop.is_set()) else {
            return Ok(Step::Wait);
        };
        let left = chain.readable.length().saturating_sub(port.taken);
        if left == 0 {
            port.taken = 0;
            return Ok(Step::Done(access, 0));
        }
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let piece = buffer.get_mut(..count).unwrap_or_default();
        chain.readable.read(&access, port.taken, piece)?;
        let taken = port.device().write(piece);
        port.taken = port.taken.saturating_add(taken as u64);
        if taken < count {
            return Ok(Step::Wait);
        }
    }
    Ok(Step::Again)
}

/// Bytes for the guest, as many as there are and the chain has room for.
fn receive<'a>(
    chain: &Chain,
    port: &mut Port,
    around: &Around<'a>,
    buffer: &mut [u8],
    odd: &mut u64,
) -> Result<Step<'a>, QueueError> {
    let readable = port.device().readable();
    let Some(access) = around.memory.access().filter(|_| readable > 0) else {
        return Ok(Step::Wait);
    };
    let room = usize::try_from(chain.writable.length()).unwrap_or(usize::MAX);
    if room == 0 {
        *odd += 1;
        return Ok(Step::Done(access, 0));
    }
    let piece = buffer.get_mut(..room.min(buffer.len())).unwrap_or_default();
    let count = port.device().read(piece);
    if count == 0 {
        // The connection has ended since.
        return Ok(Step::Wait);
    }
    chain
        .writable
        .write(&access, 0, piece.get(..count).unwrap_or_default())?;
    Ok(Step::Done(access, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// One control message for the driver.
fn tell<'a>(chain: &Chain, ports: &mut Ports, around: &Around<'a>) -> Result<Step<'a>, QueueError> {
    let (Some((number, message, bytes)), Some(access)) = (ports.message(), around.memory.access()) else {
        return Ok(Step::Wait);
    };
    if chain.writable.length() < bytes.len() as u64 {
        // A part of a message is worth nothing; the message waits for a better buffer.
        ports.ignore();
        return Ok(Step::Done(access, 0));
    }
    chain.writable.write(&access, 0, &bytes)?;
    if let Some(port) = ports.get_mut(number) {
        port.told(message, Instant::now());
    }
    Ok(Step::Done(access, u32::try_from(bytes.len()).unwrap_or(0)))
}
