//! Driver of the VDIPort: a stream of bytes to and from the host.
//!
//! The other side may start over at any time. What was under way is lost then, and [`VdiPort::read`] or
//! [`VdiPort::write`] says so once.

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use crate::bar::Bar;
use crate::cpu::{self, in32, out32};
use crate::pci;

const VENDOR: u16 = 0x1b36;
const DEVICE: u16 = 0x0105;
const REVISION: u8 = 1;

const PORT_CONNECTION: u16 = 0;
const PORT_NOTIFY: u16 = 4;
const PORT_UPDATE_IRQ: u16 = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"VDIP");
const RAM_SIZE: usize = 32952;
const GENERATION: usize = 0x04;
const INT_PENDING: usize = 0x08;
const INT_MASK: usize = 0x0c;
/// What the guest puts, and what it takes.
const INPUT: Ring = Ring(0x0010);
const OUTPUT: Ring = Ring(0x4024);

const ITEMS: u32 = 32;
const PACKET_SIZE: usize = 512;
const PACKET_DATA: usize = 504;

/// Why there is no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VdiPortError {
    /// No function 1b36:0105 of revision 1 on bus 0.
    NotFound,
    /// This BAR is missing or not assigned.
    Bar(u8),
    /// The shared memory is too small or does not begin with its magic number.
    Layout,
    /// Another device has the host's side.
    Taken,
}

impl fmt::Display for VdiPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no VDIPort (1b36:0105, revision 1) on bus 0"),
            Self::Bar(index) => write!(f, "VDIPort BAR {index} is not assigned"),
            Self::Layout => f.write_str("the memory of the VDIPort is not valid"),
            Self::Taken => f.write_str("the port is taken"),
        }
    }
}

/// The other side has started over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartedOver;

/// A ring, by its offset.
#[derive(Debug, Clone, Copy)]
struct Ring(usize);

impl Ring {
    const fn prod(self) -> usize {
        self.0 + 0x04
    }

    const fn notify_on_prod(self) -> usize {
        self.0 + 0x08
    }

    const fn cons(self) -> usize {
        self.0 + 0x0c
    }

    const fn notify_on_cons(self) -> usize {
        self.0 + 0x10
    }

    /// Generation, size and data of the packet with this index.
    const fn packet(self, index: u32) -> (usize, usize, usize) {
        let at = self.0 + 0x14 + (index % ITEMS) as usize * PACKET_SIZE;
        (at, at + 4, at + 8)
    }

    fn waiting(self, ram: &Bar) -> u32 {
        ram.read32(self.prod()).wrapping_sub(ram.read32(self.cons()))
    }

    /// Whether it is full; if so, asks for an interrupt when a packet is taken.
    fn is_full(self, ram: &Bar) -> bool {
        if self.waiting(ram) < ITEMS {
            return false;
        }
        ram.write32(self.notify_on_cons(), ram.read32(self.cons()).wrapping_add(1));
        fence(Ordering::SeqCst);
        self.waiting(ram) >= ITEMS
    }

    /// Whether it is empty; if so, asks for an interrupt at the next packet.
    fn is_empty(self, ram: &Bar) -> bool {
        if self.waiting(ram) > 0 {
            return false;
        }
        ram.write32(self.notify_on_prod(), ram.read32(self.prod()).wrapping_add(1));
        fence(Ordering::SeqCst);
        self.waiting(ram) == 0
    }
}

/// The port, connected.
#[derive(Debug)]
pub struct VdiPort {
    ports: u16,
    ram: Bar,
    generation: u32,
    /// Taken of the packet at the head of the output ring.
    offset: usize,
}

impl VdiPort {
    /// Finds the device and connects. [`cpu::EVENT_VDIPORT`] comes when there may be something to read or to write.
    pub fn open() -> Result<Self, VdiPortError> {
        let function = pci::find(VENDOR, DEVICE).ok_or(VdiPortError::NotFound)?;
        if function.revision() != REVISION {
            return Err(VdiPortError::NotFound);
        }
        let ports = function.io_bar(0).ok_or(VdiPortError::Bar(0))?;
        let ram = function.memory_bar(1).map(Bar::new).ok_or(VdiPortError::Bar(1))?;
        function.enable();
        if ram.size() < RAM_SIZE || ram.read32(0) != MAGIC {
            return Err(VdiPortError::Layout);
        }
        let generation = in32(ports + PORT_CONNECTION);
        if generation == 0 {
            return Err(VdiPortError::Taken);
        }
        cpu::attach_vdiport(ram.address(INT_PENDING), ports + PORT_UPDATE_IRQ);
        ram.write32(INT_MASK, 1);
        out32(ports + PORT_UPDATE_IRQ, 0);
        Ok(Self {
            ports,
            ram,
            generation,
            offset: 0,
        })
    }

    /// Lets go and connects again: the host starts over, too. Whether it worked.
    pub fn reopen(&mut self) -> bool {
        out32(self.ports + PORT_CONNECTION, 0);
        self.offset = 0;
        self.generation = in32(self.ports + PORT_CONNECTION);
        self.generation != 0
    }

    /// Which connection this is.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    fn check(&mut self) -> Result<(), StartedOver> {
        let generation = self.ram.read32(GENERATION);
        if generation == self.generation {
            return Ok(());
        }
        self.generation = generation;
        self.offset = 0;
        Err(StartedOver)
    }

    /// Takes bytes that the host has sent: how many there were.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, StartedOver> {
        self.check()?;
        let (mut count, mut notify) = (0, false);
        while let Some(into) = into.get_mut(count..).filter(|into| !into.is_empty()) {
            if OUTPUT.is_empty(&self.ram) {
                break;
            }
            fence(Ordering::SeqCst);
            let cons = self.ram.read32(OUTPUT.cons());
            let (generation, size, data) = OUTPUT.packet(cons);
            let size = (self.ram.read32(size) as usize).min(PACKET_DATA);
            // What is left of an earlier connection is skipped.
            if self.ram.read32(generation) == self.generation && self.offset < size {
                let length = into.len().min(size - self.offset);
                if let Some(into) = into.get_mut(..length) {
                    self.ram.copy_out(data + self.offset, into);
                }
                self.offset += length;
                count += length;
                if self.offset < size {
                    break;
                }
            }
            self.offset = 0;
            fence(Ordering::SeqCst);
            let cons = cons.wrapping_add(1);
            self.ram.write32(OUTPUT.cons(), cons);
            fence(Ordering::SeqCst);
            notify |= self.ram.read32(OUTPUT.notify_on_cons()) == cons;
        }
        self.notify(notify);
        Ok(count)
    }

    /// Sends bytes to the host: how many there was room for.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, StartedOver> {
        self.check()?;
        let (mut count, mut notify) = (0, false);
        for part in bytes.chunks(PACKET_DATA) {
            if INPUT.is_full(&self.ram) {
                break;
            }
            let prod = self.ram.read32(INPUT.prod());
            let (generation, size, data) = INPUT.packet(prod);
            self.ram.write32(generation, self.generation);
            self.ram.write32(size, part.len() as u32);
            self.ram.copy_in(data, part);
            fence(Ordering::SeqCst);
            let prod = prod.wrapping_add(1);
            self.ram.write32(INPUT.prod(), prod);
            fence(Ordering::SeqCst);
            notify |= self.ram.read32(INPUT.notify_on_prod()) == prod;
            count += part.len();
        }
        self.notify(notify);
        Ok(count)
    }

    fn notify(&self, notify: bool) {
        if notify {
            out32(self.ports + PORT_NOTIFY, 0);
        }
    }
}
