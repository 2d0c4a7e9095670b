//! A device with a host, a line and a guest, for tests. The guest reaches it as guests do: by its two BARs.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use caraway_base::{irq::IrqLine, memory::SharedMemory};
use caraway_pci::function::{PciFunction as _, PciInterrupts};
use caraway_ports::port::{HostPort, port};

use crate::VdiPort;

pub(crate) const CONNECTION: u64 = 0;
pub(crate) const NOTIFY: u64 = 4;
pub(crate) const UPDATE_IRQ: u64 = 8;

pub(crate) const GENERATION: u64 = 0x0004;
pub(crate) const INT_PENDING: u64 = 0x0008;
pub(crate) const INT_MASK: u64 = 0x000c;
pub(crate) const INPUT: u64 = 0x0010;
pub(crate) const OUTPUT: u64 = 0x4024;
pub(crate) const PROD: u64 = 0x04;
pub(crate) const NOTIFY_ON_PROD: u64 = 0x08;
pub(crate) const CONS: u64 = 0x0c;
pub(crate) const NOTIFY_ON_CONS: u64 = 0x10;

/// Turns after which a device that still finds something to do is taken for mad.
const MOST_TURNS: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Line {
    level: AtomicBool,
    rises: AtomicUsize,
}

impl IrqLine for Line {
    fn set(&self, asserted: bool) {
        if asserted && !self.level.swap(asserted, Ordering::SeqCst) {
            self.rises.fetch_add(1, Ordering::SeqCst);
        }
        self.level.store(asserted, Ordering::SeqCst);
    }
}

pub(crate) struct Rig {
    pub(crate) device: VdiPort,
    pub(crate) host: HostPort,
    line: Arc<Line>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (host, device) = port();
        Self::with(VdiPort::new(device).unwrap(), host)
    }

    pub(crate) fn with(device: VdiPort, host: HostPort) -> Self {
        let line = Arc::<Line>::default();
        device.plugged(PciInterrupts {
            intx: Some(line.clone()),
            msix: Vec::new(),
            msix_enabled: Arc::default(),
        });
        Self { device, host, line }
    }

    /// Does what somebody who watches the device's event does.
    pub(crate) fn settle(&self) {
        for _ in 0..MOST_TURNS {
            if self.device.wake().read().is_err() {
                return;
            }
            self.device.attend();
        }
        panic!("the device does not come to rest");
    }

    pub(crate) fn inl(&self, offset: u64) -> u32 {
        let mut data = [0xff; 4];
        self.device.bar_read(0, offset, &mut data);
        self.settle();
        u32::from_le_bytes(data)
    }

    pub(crate) fn outl(&self, offset: u64, value: u32) {
        self.device.bar_write(0, offset, &value.to_le_bytes());
        self.settle();
    }

    pub(crate) fn memory(&self) -> &SharedMemory {
        self.device.memory()
    }

    pub(crate) fn load(&self, offset: u64) -> u32 {
        self.memory().load_u32(offset).unwrap()
    }

    pub(crate) fn store(&self, offset: u64, value: u32) {
        self.memory().store_u32(offset, value).unwrap();
    }

    pub(crate) fn level(&self) -> bool {
        self.line.level.load(Ordering::SeqCst)
    }

    pub(crate) fn rises(&self) -> usize {
        self.line.rises.load(Ordering::SeqCst)
    }

    /// Takes the interrupt as an interrupt handler does: whether there was one.
    pub(crate) fn take_interrupt(&self) -> bool {
        let pending = self.memory().swap_u32(INT_PENDING, 0).unwrap();
        self.outl(UPDATE_IRQ, 0);
        pending != 0
    }

    /// Connects with the interrupt on.
    pub(crate) fn connect(&self) -> u32 {
        let generation = self.inl(CONNECTION);
        self.store(INT_MASK, 1);
        self.outl(UPDATE_IRQ, 0);
        generation
    }

    /// Puts an input packet, whatever it says of itself. Whether the device is to be notified.
    pub(crate) fn put(&self, generation: u32, size: u32, data: &[u8]) -> bool {
        let prod = self.load(INPUT + PROD);
        let at = INPUT + 0x14 + 512 * u64::from(prod % 32);
        self.store(at, generation);
        self.store(at + 4, size);
        self.memory().write(at + 8, data).unwrap();
        let prod = prod.wrapping_add(1);
        self.store(INPUT + PROD, prod);
        self.load(INPUT + NOTIFY_ON_PROD) == prod
    }

    /// Puts a packet of this data and notifies if the device asks for it.
    pub(crate) fn send(&self, generation: u32, data: &[u8]) -> bool {
        let notify = self.put(generation, data.len() as u32, data);
        if notify {
            self.outl(NOTIFY, 0);
        }
        notify
    }

    /// Takes an output packet: its generation, its data, and whether the device is to be notified.
    pub(crate) fn take(&self) -> Option<(u32, Vec<u8>, bool)> {
        let cons = self.load(OUTPUT + CONS);
        if self.load(OUTPUT + PROD) == cons {
            return None;
        }
        let at = OUTPUT + 0x14 + 512 * u64::from(cons % 32);
        let (generation, size) = (self.load(at), self.load(at + 4));
        let data = self.memory().read_vec(at + 8, size.into()).unwrap();
        let cons = cons.wrapping_add(1);
        self.store(OUTPUT + CONS, cons);
        Some((generation, data, self.load(OUTPUT + NOTIFY_ON_CONS) == cons))
    }

    /// Packets between the indices of a ring.
    pub(crate) fn waiting(&self, ring: u64) -> u32 {
        self.load(ring + PROD).wrapping_sub(self.load(ring + CONS))
    }

    /// All that the host finds on its connection.
    pub(crate) fn heard(&self) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut bytes = [0; 1000];
        loop {
            let count = self.host.read(self.host.connection().number, &mut bytes);
            self.settle();
            if count == 0 {
                return heard;
            }
            heard.extend_from_slice(&bytes[..count]);
        }
    }

    /// The host says something: how much there was room for.
    pub(crate) fn say(&self, bytes: &[u8]) -> usize {
        let count = self.host.write(self.host.connection().number, bytes);
        self.settle();
        count
    }

    /// The host hangs up.
    pub(crate) fn hang_up(&self) {
        self.host.hang_up(self.host.connection().number);
        self.settle();
    }
}
