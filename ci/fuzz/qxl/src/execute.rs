//! Operations carried out.

use caraway_base::lifecycle::Lifecycle as _;
use caraway_pci::function::PciFunction as _;
use caraway_ports::display::{Audience, DisplaySource as _};
use caraway_qxl::ClientHead;

use crate::{
    guest::{Guest, Packed, field, port},
    machine::{BAR0, BAR1, BAR4, Region, VGAMEM},
    program::{Monitors, Op, Primary, RawMemory, RingIndex, Slot, Update},
};

/// Audience members at a time.
const VIEWERS_MAX: usize = 3;

impl Guest {
    pub(crate) fn execute(&mut self, op: Op) {
        // Virtual processors stand still while the machine is paused.
        let outside = matches!(
            op,
            Op::Pause(_)
                | Op::Resume(_)
                | Op::MachineReset(_)
                | Op::Save(_)
                | Op::Audience(_)
                | Op::Wish(_)
                | Op::Refresh(_)
                | Op::View(_)
        );
        if self.machine.paused && !outside {
            self.machine.resume();
        }
        match op {
            Op::Port(write) => match write.port % 33 {
                port::SET_MODE => self.set_mode(write.value),
                port::DELETE_SLOT => {
                    self.knows_slots = false;
                    self.port(port::DELETE_SLOT, write.value);
                }
                port => self.port(port, write.value),
            },
            Op::PortAccess(access) => {
                let length = access.data.len().min(8);
                // A byte is a port write, and some of them mean more to the guest.
                if length != 1 {
                    let bar = [3, 3, 3, 0, 2, 5][usize::from(access.offset >> 12) % 6];
                    let offset = u64::from(access.offset & 0xfff);
                    self.machine.device.bar_write(bar, offset, &access.data[..length]);
                }
            }
            Op::PortRead(access) => {
                let mut bytes = [0xff; 8];
                let length = access.data.len().min(8);
                self.machine
                    .device
                    .bar_read(3, access.offset.into(), &mut bytes[..length]);
                assert_eq!(bytes, [0xff; 8], "ports read as ones");
            }
            Op::Doorbell(which) => {
                let bells = self.machine.device.doorbells(3);
                bells[usize::from(which.value) % bells.len()]
                    .event
                    .write(1)
                    .expect("an event");
                self.machine.device.run_until_idle();
            }
            Op::RawHeader(raw) => {
                let at = u64::from(raw.field % 8192) & !3;
                self.may_hit(Region::Ram, self.machine.header + at, 4);
                self.machine.store(at, raw.value);
            }
            Op::RawMemory(raw) => self.raw_memory(&raw),
            Op::Bar(bar) => {
                let index = usize::from(bar.bar % 3);
                let usual = [BAR0, BAR1, BAR4][index];
                let place = match bar.place % 8 {
                    0..=2 => Some(usual),
                    3 => None,
                    4 => Some(usual ^ 0x0800_0000),
                    5 => Some(BAR0),
                    6 => Some(u64::MAX - 0xff_ffff),
                    _ => Some(0),
                };
                self.machine.move_bar(index, place);
            }
            Op::Slot(slot) => self.add_slot(&slot),
            Op::Primary(primary) => self.primary(&primary),
            Op::Update(update) => self.update(&update),
            Op::Monitors(monitors) => self.monitors(&monitors),
            Op::Data(data) => self.data(&data),
            Op::Image(image) => self.image(&image),
            Op::Palette(palette) => self.palette(&palette),
            Op::Path(path) => self.path(&path),
            Op::Text(text) => self.text(&text),
            Op::Clip(clip) => self.clip(&clip),
            Op::Words(words) => self.words(&words.words),
            Op::Shape(shape) => self.shape(&shape),
            Op::Draw(draw) => self.draw(&draw),
            Op::Cursor(cursor) => self.cursor(&cursor),
            Op::Surface(surface) => self.surface(&surface),
            Op::UpdateCommand(update) => self.update_command(&update),
            Op::Message(message) => self.message(&message),
            Op::Push(push) => self.push_raw(&push),
            Op::RingIndex(index) => self.ring_index(&index),
            Op::Interrupt(_) => self.interrupt(),
            Op::Mask(mask) => self.machine.store(field::INT_MASK, mask.value),
            Op::Collect(_) => self.collect(),
            Op::VgaWrite(access) => self.vga_access(&access),
            Op::VgaRead(access) => self.vga_look(&access),
            Op::Register(register) => self.register(&register),
            Op::WindowWrite(access) => self.window_write(&access),
            Op::WindowRead(access) => self.window_read(&access),
            Op::VgaMode(mode) => self.vga_mode(mode.value),
            Op::Dispi(dispi) => self.dispi(&dispi),
            Op::Fill(fill) => self.fill(&fill),
            Op::Refresh(time) => self.refresh(time.value % 4096),
            Op::Audience(audience) => {
                let mut capabilities = [0; 58];
                for (to, from) in capabilities.iter_mut().zip(&audience.capabilities) {
                    *to = *from;
                }
                self.machine.device.audience(Audience {
                    watched: audience.how & 1 != 0,
                    clients: (audience.how & 2 != 0).then_some(capabilities),
                });
                self.machine.device.run_until_idle();
            }
            Op::Wish(wish) => {
                let heads: Vec<_> = wish.heads.iter().map(|head| head.map(u32::from)).collect();
                let heads: Vec<_> = heads
                    .iter()
                    .map(|[x, y, width, height]| ClientHead {
                        x: *x,
                        y: *y,
                        width: *width,
                        height: *height,
                    })
                    .collect();
                let taken = self.machine.device.request_monitors(&heads);
                assert_eq!(taken, self.machine.device.takes_monitors());
                self.machine.device.run_until_idle();
            }
            Op::Pause(_) => self.machine.pause(),
            Op::Resume(_) => {
                self.machine.resume();
                self.check_line();
            }
            Op::MachineReset(_) => self.machine_reset(),
            Op::Save(save) => {
                if save.at == 0 {
                    self.save_and_restore();
                } else {
                    self.machine.pause();
                    self.machine.restore_changed(usize::from(save.at) - 1, save.with);
                    self.machine.resume();
                }
            }
            Op::BringUp(how) => self.bring_up(how.value),
            Op::SetMode(mode) => self.set_mode(mode.value % 16),
            Op::View(how) => self.view(how.value),
        }
    }

    fn raw_memory(&mut self, raw: &RawMemory) {
        let region = if raw.region & 1 == 0 { Region::Ram } else { Region::Vram };
        let size = self.machine.region(region).size();
        let at = if raw.region & 2 == 0 {
            u64::from(raw.at) % size
        } else {
            size - 1 - u64::from(raw.at) % size.min(16384)
        };
        self.may_hit(region, at, raw.data.len() as u64);
        self.machine.write(region, at, &raw.data);
    }

    fn add_slot(&mut self, slot: &Slot) {
        let vram = self.machine.vram.size();
        let (base, length) = match slot.how >> 1 & 7 {
            0 => (BAR0, self.machine.header),
            1 => (BAR1, vram.min(1 << 20)),
            2 => (BAR4, vram),
            3 => (BAR0 + VGAMEM, 0),
            4 => (BAR0 + self.machine.header, 0),
            5 => (BAR1 + vram, 0),
            6 => (0, 0),
            _ => (u64::MAX, 0),
        };
        let start = base.wrapping_add_signed(slot.start.into());
        let end = start.wrapping_add(length).wrapping_add(slot.size.into());
        let words = [start as u32, (start >> 32) as u32, end as u32, (end >> 32) as u32];
        self.machine.argument(field::MEMORY_SLOT, &words);
        let port = if slot.how & 1 == 0 {
            port::ADD_SLOT
        } else {
            port::ADD_SLOT_ASYNC
        };
        // Commands in it may lie where the device writes.
        self.knows_slots = false;
        self.guards = false;
        if slot.id != 1 && slot.id != 2 {
            self.port(port, slot.id % 16);
        } else {
            self.spoil();
            self.port(port, slot.id);
        }
    }

    fn primary(&mut self, primary: &Primary) {
        const FORMATS: [u32; 6] = [32, 16, 80, 96, 8, 1];
        let format = FORMATS
            .get(usize::from(primary.format))
            .copied()
            .unwrap_or(primary.format.into());
        let bits = format.min(32) & 0x38;
        let row = (u32::from(primary.width) * bits.max(8)).div_ceil(32) * 4;
        let mut stride = row as i32 + 4 * i32::from(primary.stride >> 1);
        if primary.stride & 1 != 0 {
            stride = -stride;
        }
        let at = u64::from(primary.place) % (VGAMEM + 4096);
        let address = if primary.how & 4 == 0 {
            1 << 56 | at
        } else {
            2 << 56 | at
        };
        let packed = Packed::default()
            .u32(primary.width.into())
            .u32(primary.height.into())
            .i32(stride)
            .u32(format)
            .u64(0)
            .u32(u32::from(primary.how >> 1 & 1))
            .u32(0)
            .u64(address)
            .patched(&primary.patch);
        self.machine
            .write(Region::Ram, self.machine.header + field::CREATE_SURFACE, &packed.0);
        let region = if primary.how & 4 == 0 {
            Region::Ram
        } else {
            Region::Vram
        };
        let word = |at: usize| u32::from_le_bytes(packed.0[at..at + 4].try_into().expect("four bytes"));
        if packed.0[32..40] == address.to_le_bytes() && self.knows_slots {
            let length = u64::from((word(8) as i32).unsigned_abs()) * u64::from(word(4));
            self.use_memory(region, at, length);
        } else {
            self.spoil();
        }
        let port = if primary.how & 1 == 0 {
            port::CREATE_PRIMARY
        } else {
            port::CREATE_PRIMARY_ASYNC
        };
        self.port(port, primary.how >> 7);
    }

    fn update(&mut self, update: &Update) {
        let packed = Packed::default()
            .rect(update.area)
            .u32(update.surface.into())
            .patched(&update.patch);
        self.machine
            .write(Region::Ram, self.machine.header + field::UPDATE_AREA, &packed.0);
        let port = if update.how & 1 == 0 {
            port::UPDATE_AREA
        } else {
            port::UPDATE_AREA_ASYNC
        };
        self.port(port, 0);
    }

    fn monitors(&mut self, monitors: &Monitors) {
        let count = if monitors.count == 0 {
            monitors.heads.len() as u16
        } else {
            monitors.count.into()
        };
        let mut packed = Packed::default().u16(count).u16(monitors.max);
        for head in &monitors.heads {
            let [x, y, width, height] = head.area.map(u32::from);
            packed = packed.u32(head.id.into()).u32(head.surface.into());
            packed = packed.u32(width).u32(height).u32(x).u32(y).u32(0);
        }
        let placed = self.place(&packed.patched(&monitors.patch));
        let address = self.address_of(placed);
        self.machine
            .argument(field::MONITORS_CONFIG, &[address as u32, (address >> 32) as u32]);
        self.port(port::MONITORS_ASYNC, 0);
    }

    fn ring_index(&mut self, index: &RingIndex) {
        let ring = [field::COMMAND_RING, field::CURSOR_RING, field::RELEASE_RING][usize::from(index.ring % 3)];
        let fields = [
            field::PRODUCER,
            field::NOTIFY_ON_PRODUCER,
            field::CONSUMER,
            field::NOTIFY_ON_CONSUMER,
            0,
        ];
        let at = fields[usize::from(index.field % 5)];
        let old = if index.field & 0x80 == 0 {
            self.machine.load(ring + at)
        } else {
            0
        };
        let value = old.wrapping_add_signed(index.value.into());
        // The device keeps its own indices and only writes them out; what it wants to be told of, and how many items
        // there are, is the guest's to spoil.
        let is_own = at == field::NOTIFY_ON_CONSUMER && ring != field::CURSOR_RING
            || at == field::NOTIFY_ON_PRODUCER && ring == field::RELEASE_RING;
        if !is_own {
            self.spoil();
        }
        self.machine.store(ring + at, value);
    }

    /// A driver's interrupt handler.
    fn interrupt(&mut self) {
        const DISPLAY: u32 = 1;
        let pending = self.machine.load(field::INT_PENDING);
        self.machine.store(field::INT_PENDING, 0);
        if pending & DISPLAY != 0 {
            self.collect();
        }
        self.port(port::UPDATE_IRQ, 0);
        assert!(!self.machine.line(), "nothing is pending");
    }

    pub(crate) fn machine_reset(&mut self) {
        self.machine.pause();
        self.machine.device.reset();
        assert!(!self.machine.line(), "the interrupt line after a reset");
        self.machine.resume();
        self.forget();
        self.dispi_index = 0;
    }

    /// Viewers come, look and go.
    fn view(&mut self, how: u8) {
        if how & 0x80 != 0 || self.viewers.len() >= VIEWERS_MAX {
            self.viewers.pop();
        } else if how & 0x40 != 0 {
            self.viewers.push(self.machine.sink.attach(how));
        }
        for viewer in &self.viewers {
            for _ in 0..64 {
                if viewer.next().is_none() {
                    break;
                }
            }
        }
    }
}
