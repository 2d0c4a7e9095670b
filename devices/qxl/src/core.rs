//! The vCPU's side of the device: I/O ports, modes, slots (ABI 7, 8, 9). Nothing here waits.
//!
//! What a port asks for is checked at the write and becomes a [`Job`] for the worker's side
//! ([`crate::worker::Worker`]), which does jobs and ring commands in one order.

mod arguments;
mod jobs;
mod modes;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

pub(crate) use self::{
    jobs::{ClientNews, Completion, Job, Request, Ticket, Work},
    modes::CompatScreen,
};
use caraway_vga::Vga;

use crate::{
    QxlConfig,
    clock::Clock,
    counters::{Counter, Counters},
    guest_text::{RateLimit, printable},
    header::{LOG_BUFFER_SIZE, RamHeader, offset},
    interrupts::{self, Interrupts},
    lock,
    memory::{GuestMemory, SLOT_COUNT, SlotTable},
    ports,
    vga::VgaFront,
};

/// Port commands that may wait. A driver has one or two in flight; a guest gets here only by letting many virtual CPUs
/// write at once or synchronous writes time out again and again.
const JOBS_MAX: usize = 64;

/// What the device shows (ABI 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Mode {
    /// No primary surface.
    Undefined,
    /// The VGA core's picture.
    Vga,
    /// The guest's primary surface.
    Native,
    /// The primary surface of SET_MODE.
    Compat,
}

/// What the caller of a port write has to do.
#[derive(Debug, Default)]
pub(crate) struct PortEffect {
    /// Wake the worker.
    pub(crate) wake: bool,
    /// Wait for this.
    pub(crate) ticket: Option<Arc<Ticket>>,
}

impl PortEffect {
    const NONE: Self = Self {
        wake: false,
        ticket: None,
    };
    const WAKE: Self = Self {
        wake: true,
        ticket: None,
    };
}

/// Why a port write freezes the device.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GuestBug(pub(crate) String);

/// What only port writes change, except for the two fields a finished job touches.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) mode: Mode,
    /// The guest broke the protocol: nothing but a reset works.
    pub(crate) guest_bug: bool,
    /// Port of the asynchronous command in flight.
    pub(crate) current_async: Option<u8>,
    /// Asynchronous commands so far: the number of the one in flight.
    async_count: u64,
    /// Resets so far.
    pub(crate) epoch: u64,
    pub(crate) slots: SlotTable,
    jobs: VecDeque<Job>,
    news: ClientNews,
    /// Where BARs 0, 1 and 4 are now.
    bars: [Option<u64>; 3],
    log_limit: RateLimit,
    /// Apart from the guest's own text, so that a flood of that hides nothing.
    bug_limit: RateLimit,
}

impl Front {
    /// Where BAR 0 is.
    pub(crate) fn bar0(&self) -> Option<u64> {
        let [bar0, ..] = self.bars;
        bar0
    }

    fn push(&mut self, request: Request, completion: Completion) {
        self.jobs.push_back(Job {
            request,
            epoch: self.epoch,
            completion,
        });
    }
}

/// The shared part of the device.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: QxlConfig,
    pub(crate) memory: GuestMemory,
    pub(crate) header: RamHeader,
    pub(crate) interrupts: Interrupts,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    /// The screen without a driver, on the primary device.
    pub(crate) vga: Option<VgaFront>,
    front: Mutex<Front>,
    /// Of what is said about a guest's mistakes that break nothing.
    note_limit: Mutex<RateLimit>,
}

impl Core {
    pub(crate) fn new(config: QxlConfig, memory: GuestMemory, vga: Option<Vga>, clock: Clock) -> Self {
        let counters = Arc::new(Counters::default());
        let header = RamHeader::new(memory.ram.clone(), config.sizes.ram_header());
        Self {
            interrupts: Interrupts::new(header.clone(), Arc::clone(&counters)),
            front: Mutex::new(Front {
                mode: config.idle_mode(),
                guest_bug: false,
                current_async: None,
                async_count: 0,
                epoch: 0,
                slots: SlotTable::default(),
                jobs: VecDeque::new(),
                news: ClientNews::default(),
                bars: [None; 3],
                log_limit: RateLimit::new(),
                bug_limit: RateLimit::new(),
            }),
            vga: vga.map(VgaFront::new),
            note_limit: Mutex::new(RateLimit::new()),
            config,
            memory,
            header,
            counters,
            clock,
        }
    }

    /// The front's state, for saving and restoring.
    pub(crate) fn front(&self) -> std::sync::MutexGuard<'_, Front> {
        lock(&self.front)
    }

    /// A BAR was mapped or unmapped. Slots stay where they are in the memory.
    pub(crate) fn bar_moved(&self, bar: u8, address: Option<u64>) {
        let index = match bar {
            0 => 0,
            1 => 1,
            4 => 2,
            _ => return,
        };
        if let Some(place) = lock(&self.front).bars.get_mut(index) {
            *place = address;
        }
    }

    /// The next thing the worker has to do besides the rings.
    pub(crate) fn next_work(&self) -> Option<Work> {
        let mut front = lock(&self.front);
        if let Some(job) = front.jobs.pop_front() {
            return Some(Work::Job(job));
        }
        let news = std::mem::take(&mut front.news);
        (news != ClientNews::default()).then_some(Work::News(news))
    }

    /// Jobs that wait.
    #[cfg(test)]
    pub(crate) fn waiting_jobs(&self) -> usize {
        lock(&self.front).jobs.len()
    }

    /// Whether the worker, having seen `epoch` resets, may take from the rings.
    pub(crate) fn may_consume(&self, epoch: u64) -> bool {
        let front = lock(&self.front);
        front.epoch == epoch && !front.guest_bug
    }

    /// Whether no reset came after `epoch`.
    pub(crate) fn is_current(&self, epoch: u64) -> bool {
        lock(&self.front).epoch == epoch
    }

    /// Ends a job: effects are visible, then the port is free, then the guest is told.
    pub(crate) fn complete(&self, job: &Job) {
        match &job.completion {
            Completion::Nobody => {}
            Completion::Ticket(ticket) => ticket.finish(),
            Completion::Interrupt(number) => {
                let mut front = lock(&self.front);
                if front.current_async.is_none() || front.async_count != *number {
                    return;
                }
                front.current_async = None;
                drop(front);
                self.interrupts.raise(interrupts::IO_COMMAND);
            }
        }
    }

    /// Freezes the device until its reset because of what the guest did in `epoch`.
    pub(crate) fn guest_bug(&self, epoch: u64, bug: &GuestBug) {
        let mut front = lock(&self.front);
        if front.epoch == epoch {
            self.freeze(&mut front, bug);
        }
    }

    fn freeze(&self, front: &mut Front, bug: &GuestBug) {
        self.counters.add(Counter::GuestBugs);
        front.guest_bug = true;
        if front.bug_limit.allow(self.clock.now()) {
            tracing::warn!(device = self.config.index, %bug, "the guest broke the QXL protocol; frozen until its reset");
        }
        self.interrupts.raise(interrupts::ERROR);
    }

    /// Says what was dropped or ignored, where somebody listens and not too often: the guest makes as many as it likes.
    pub(crate) fn note(&self, what: &str, reason: &dyn std::fmt::Display) {
        if tracing::enabled!(tracing::Level::DEBUG) && lock(&self.note_limit).allow(self.clock.now()) {
            tracing::debug!(device = self.config.index, %reason, "{what}");
        }
    }

    /// Says that a virtual CPU went on before its port command was done.
    pub(crate) fn port_timed_out(&self) {
        self.counters.add(Counter::Timeouts);
        if lock(&self.note_limit).allow(self.clock.now()) {
            tracing::warn!(
                device = self.config.index,
                "a port command takes longer than a virtual CPU waits"
            );
        }
    }

    /// Lets a line of guest text through to the log, or not.
    pub(crate) fn log_guest_text(&self, read: impl FnOnce() -> Vec<u8>) {
        if !lock(&self.front).log_limit.allow(self.clock.now()) {
            self.counters.add(Counter::LogSuppressed);
            return;
        }
        self.counters.add(Counter::LogLines);
        tracing::info!(device = self.config.index, text = printable(&read()), "guest");
    }

    /// Leaves word for the guest about the clients.
    pub(crate) fn tell(&self, news: ClientNews) {
        if !self.config.tells_of_clients() {
            return;
        }
        let mut front = lock(&self.front);
        front.news.client = news.client.or(front.news.client.take());
        front.news.heads = news.heads.or(front.news.heads.take());
    }

    /// Whether the guest would act on a client's wish for other monitors (ABI 16.2). A mask of all ones is the mark of
    /// drivers that never look.
    pub(crate) fn takes_client_monitors(&self) -> bool {
        let mask = self.interrupts.mask();
        self.config.tells_of_clients() && mask != u32::MAX && mask & interrupts::CLIENT_MONITORS != 0
    }

    /// A byte was written to a port.
    pub(crate) fn port_write(&self, port: u8, value: u8) -> PortEffect {
        match port {
            // Works even while frozen: the line could never drop otherwise.
            ports::UPDATE_IRQ => {
                self.interrupts.update();
                #[cfg(feature = "misbehave")]
                self.interrupts.after_update();
                return PortEffect::NONE;
            }
            ports::RESET => return self.reset(),
            _ => {}
        }
        let mut front = lock(&self.front);
        if front.guest_bug {
            self.counters.add(Counter::FilteredWrites);
            return PortEffect::NONE;
        }
        if !self.config.has_port(port) {
            let bug = GuestBug(format!("revision {} has no port {port}", self.config.revision));
            self.freeze(&mut front, &bug);
            return PortEffect::NONE;
        }
        if front.mode == Mode::Vga && !ports::works_in_vga_mode(port) {
            self.counters.add(Counter::FilteredWrites);
            drop(front);
            if ports::interrupts_in_vga_mode(port) {
                self.interrupts.raise(interrupts::IO_COMMAND);
            }
            return PortEffect::NONE;
        }
        // Before anything is changed: what is said here and what the worker does must not part.
        if ports::may_pile_up(port) && front.jobs.len() >= JOBS_MAX {
            let bug = GuestBug(format!("port {port} written while {JOBS_MAX} commands wait"));
            self.freeze(&mut front, &bug);
            return PortEffect::NONE;
        }
        let asynchronous = ports::is_asynchronous(port);
        if asynchronous {
            if let Some(other) = front.current_async {
                let bug = GuestBug(format!("port {port} written while port {other} is in flight"));
                self.freeze(&mut front, &bug);
                return PortEffect::NONE;
            }
            front.current_async = Some(port);
            front.async_count += 1;
        }
        match self.dispatch(&mut front, port, value) {
            Ok(Action::Done) if asynchronous => self.cancel(front),
            Ok(Action::Done) => PortEffect::NONE,
            Ok(Action::Wake) => PortEffect::WAKE,
            Ok(Action::Queue(request)) => Self::submit(&mut front, request, port),
            Err(bug) => {
                self.freeze(&mut front, &bug);
                if asynchronous {
                    self.cancel(front)
                } else {
                    PortEffect::NONE
                }
            }
        }
    }

    /// Ends an asynchronous command that has nothing to do.
    fn cancel(&self, mut front: std::sync::MutexGuard<'_, Front>) -> PortEffect {
        front.current_async = None;
        drop(front);
        self.interrupts.raise(interrupts::IO_COMMAND);
        PortEffect::NONE
    }

    fn submit(front: &mut Front, request: Request, port: u8) -> PortEffect {
        let (completion, ticket) = if ports::is_asynchronous(port) {
            (Completion::Interrupt(front.async_count), None)
        } else if ports::is_synchronous(port) {
            let ticket = Arc::new(Ticket::default());
            (Completion::Ticket(Arc::clone(&ticket)), Some(ticket))
        } else {
            (Completion::Nobody, None)
        };
        front.push(request, completion);
        PortEffect { wake: true, ticket }
    }

    /// The reset port, and a reset of the machine.
    pub(crate) fn reset(&self) -> PortEffect {
        PortEffect {
            wake: true,
            ticket: Some(self.reset_front(&mut lock(&self.front))),
        }
    }

    /// The vCPU's half of a reset: what is in flight belongs to the past. The worker does the rest, in order.
    fn reset_front(&self, front: &mut Front) -> Arc<Ticket> {
        front.epoch += 1;
        front.guest_bug = false;
        front.current_async = None;
        front.slots = SlotTable::default();
        front.mode = self.config.idle_mode();
        let mut ticket = Arc::new(Ticket::default());
        for job in std::mem::take(&mut front.jobs) {
            match job.completion {
                // Whoever waits for an earlier reset waits for this one.
                Completion::Ticket(earlier) if job.request == Request::Reset => ticket = earlier,
                Completion::Ticket(abandoned) => abandoned.finish(),
                Completion::Nobody | Completion::Interrupt(_) => {}
            }
        }
        front.push(Request::Reset, Completion::Ticket(Arc::clone(&ticket)));
        ticket
    }

    fn dispatch(&self, front: &mut Front, port: u8, value: u8) -> Result<Action, GuestBug> {
        let bug = |text: &str| Err(GuestBug(format!("port {port}: {text}")));
        Ok(match port {
            ports::NOTIFY_COMMAND | ports::NOTIFY_CURSOR => Action::Wake,
            ports::OUT_OF_MEMORY => {
                // One that waits does for all.
                if front.jobs.iter().any(|job| job.request == Request::OutOfMemory) {
                    Action::Wake
                } else {
                    Action::Queue(Request::OutOfMemory)
                }
            }
            ports::LOG => {
                self.log(front);
                Action::Done
            }
            ports::UPDATE_AREA | ports::UPDATE_AREA_ASYNC => self.update_area()?,
            ports::ADD_SLOT | ports::ADD_SLOT_ASYNC => self.add_slot(front, value)?,
            ports::DELETE_SLOT => {
                if usize::from(value) >= SLOT_COUNT {
                    return bug(&format!("slot {value}"));
                }
                front.slots.set(value, None);
                Action::Queue(Request::SetSlot { id: value, slot: None })
            }
            ports::CREATE_PRIMARY | ports::CREATE_PRIMARY_ASYNC => self.create_primary(front, value)?,
            ports::DESTROY_PRIMARY | ports::DESTROY_PRIMARY_ASYNC => {
                if value != 0 {
                    return bug(&format!("value {value}"));
                }
                if front.mode == Mode::Undefined {
                    return Ok(Action::Done);
                }
                front.mode = Mode::Undefined;
                Action::Queue(Request::DestroyPrimary)
            }
            // Every value of a byte is a surface id in range.
            ports::DESTROY_SURFACE | ports::DESTROY_SURFACE_ASYNC => {
                Action::Queue(Request::DestroySurface(value.into()))
            }
            ports::DESTROY_ALL | ports::DESTROY_ALL_ASYNC => {
                front.mode = Mode::Undefined;
                Action::Queue(Request::DestroyAll)
            }
            ports::FLUSH_SURFACES_ASYNC => Action::Queue(Request::FlushSurfaces),
            ports::FLUSH_RELEASE => Action::Queue(Request::FlushRelease),
            ports::MONITORS_ASYNC => self.monitors(front),
            ports::SET_MODE => self.set_mode(front, value)?,
            ports::ATTACH_PRIMARY | ports::DETACH_PRIMARY => return bug("this command never existed"),
            _ => return bug("there is no such port"),
        })
    }

    fn log(&self, front: &mut Front) {
        if !front.log_limit.allow(self.clock.now()) {
            self.counters.add(Counter::LogSuppressed);
            return;
        }
        self.counters.add(Counter::LogLines);
        let bytes: [u8; LOG_BUFFER_SIZE] = self.header.read(offset::LOG_BUFFER);
        tracing::info!(device = self.config.index, text = printable(&bytes), "guest");
    }
}

/// What a port write comes to.
enum Action {
    Done,
    /// The worker has to look at the rings.
    Wake,
    Queue(Request),
}
