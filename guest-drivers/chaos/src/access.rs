//! Random accesses on their way to the machine: guarded, counted, in order.

use caraway_guest_rt::cpu::{self, PortAccess, PortOperation};
use caraway_guest_rt::mmio::{self, Width};

use crate::guard;

const BATCH: usize = 256;
const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: core::ops::Range<u16> = 0xcfc..0xd00;
/// MSI-X tables that are guarded.
const TABLES: usize = 32;

/// Where the next accesses go through. Port accesses are collected, and made before the next one to memory.
pub(crate) struct Machine {
    waiting: [PortAccess; BATCH],
    length: usize,
    /// The config address register.
    config_address: u32,
    /// Device numbers on bus 0 whose function 0 must not become bus master.
    no_master: u32,
    /// Start and end of MSI-X tables.
    tables: [(u32, u32); TABLES],
    /// Address of pvpanic's register.
    panic: Option<u32>,
    done: u64,
    limit: u64,
}

impl Machine {
    /// Lets `limit` accesses through.
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            waiting: [PortAccess::new(0x80, PortOperation::In8, 0); BATCH],
            length: 0,
            config_address: 0,
            no_master: 0,
            tables: [(0, 0); TABLES],
            panic: None,
            done: 0,
            limit,
        }
    }

    /// Accesses made, or collected to be made.
    pub(crate) const fn done(&self) -> u64 {
        self.done
    }

    /// Whether all accesses were made.
    pub(crate) const fn is_over(&self) -> bool {
        self.done >= self.limit
    }

    /// Keeps a device on bus 0 from becoming bus master.
    pub(crate) const fn forbid_master(&mut self, device: u8) {
        self.no_master |= 1u32.wrapping_shl(device as u32);
    }

    /// Says where the MSI-X table of a device is.
    pub(crate) fn guard_table(&mut self, device: u8, start: u32, end: u32) {
        if let Some(table) = self.tables.get_mut(usize::from(device)) {
            *table = (start, end);
        }
    }

    /// Says where pvpanic's register is.
    pub(crate) const fn guard_panic(&mut self, at: u32) {
        self.panic = Some(at);
    }

    /// Sets the config address register to 0: others have used it since.
    pub(crate) fn park(&mut self) {
        cpu::out32(CONFIG_ADDRESS, 0);
        self.config_address = 0;
    }

    /// Makes the collected port accesses.
    pub(crate) fn flush(&mut self) {
        let length = core::mem::take(&mut self.length);
        cpu::batch(self.waiting.get_mut(..length).unwrap_or_default());
    }

    fn count(&mut self) -> bool {
        let room = !self.is_over();
        self.done += u64::from(room);
        room
    }

    fn push(&mut self, port: u16, operation: PortOperation, value: u32) {
        if !self.count() {
            return;
        }
        if let Some(place) = self.waiting.get_mut(self.length) {
            *place = PortAccess::new(port, operation, value);
            self.length += 1;
        }
        if self.length == BATCH {
            self.flush();
        }
    }

    pub(crate) fn port_read(&mut self, port: u16, width: Width) {
        let operation = match width {
            Width::B1 => PortOperation::In8,
            Width::B2 => PortOperation::In16,
            Width::B4 | Width::B8 => PortOperation::In32,
        };
        self.push(port.min(0xfffc), operation, 0);
    }

    pub(crate) fn port_write(&mut self, port: u16, width: Width, value: u32) {
        let width = if width == Width::B8 { Width::B4 } else { width };
        let Some(mut value) = guard::port_value(port, width, value) else {
            return;
        };
        if CONFIG_DATA.contains(&port) && self.is_guarded(self.config_address >> 8) {
            let register = (self.config_address & 0xfc) + u32::from(port - CONFIG_DATA.start);
            value = guard::config_value(register, width, value.into()) as u32;
        }
        if port == CONFIG_ADDRESS && width == Width::B4 {
            self.config_address = value;
        }
        let operation = match width {
            Width::B1 => PortOperation::Out8,
            Width::B2 => PortOperation::Out16,
            Width::B4 | Width::B8 => PortOperation::Out32,
        };
        self.push(port, operation, value);
    }

    /// Whether bus, device and function (the bits above the register) are those of a guarded function.
    fn is_guarded(&self, place: u32) -> bool {
        let place = place & 0xffff;
        place & 0xff07 == 0 && self.no_master & 1u32.wrapping_shl(place >> 3) != 0
    }

    pub(crate) fn memory_read(&mut self, address: u32, width: Width) {
        self.flush();
        if !self.is_over() && mmio::read(address, width).is_some() {
            self.done += 1;
        }
    }

    pub(crate) fn memory_write(&mut self, address: u32, width: Width, mut value: u64) {
        self.flush();
        if self.is_over() {
            return;
        }
        if address < mmio::WINDOW.start {
            // An access that begins in one function's space and ends in the next one's is guarded as both.
            let [first, last] = [address, address + width.bytes() - 1].map(|at| (at - mmio::ECAM) >> 12);
            if self.is_guarded(first) || self.is_guarded(last) {
                value = guard::config_value(address & 0xfff, width, value);
            }
        } else if let Some((start, _)) = self
            .tables
            .iter()
            .find(|(start, end)| address < *end && address + 8 > *start)
        {
            value = guard::msix_value(address.wrapping_sub(*start) & 0xfff, width, value);
        }
        if let Some(panic) = self.panic {
            value = guard::panic_value(panic, address, width, value);
        }
        if mmio::write(address, width, value) {
            self.done += 1;
        }
    }
}
