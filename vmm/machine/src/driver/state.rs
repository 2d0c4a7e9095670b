//! The driver's loop.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use caraway_base::{bus::Outcome, errors::chain, lifecycle::Lifecycle};
use caraway_legacy::pm::PowerManagement;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    Answer, Command, CommandError, Ending, Event, Memories, Message, Queue, Reply, RunState, Saver, Status, Subscriber,
};
use crate::{
    bus::Buses,
    event_loop::DevicesThread,
    firmware::{BootFailure, Firmware},
    kvm::{Vm, reset::Controllers},
    serial::SerialBackend,
    spec::OnReboot,
    sys::{
        borrow,
        signals::{Signal, Signals, reap_if_init},
    },
    vcpu::{Cpus, Report},
};

/// More triple faults than this within [`FAULT_WINDOW`] are a crash, not a way to reboot.
const MOST_FAULTS: usize = 3;
const FAULT_WINDOW: Duration = Duration::from_secs(10);

/// Signals to end that come within this time are one: `timeout` of coreutils sends two, to the process and to its group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// Writes back what a device still holds; called after it was paused.
pub type Flush = Box<dyn FnMut() -> io::Result<()> + Send>;

/// What the driver drives.
pub(crate) struct Parts {
    pub(crate) cpus: Cpus,
    pub(crate) vm: Arc<Vm>,
    pub(crate) controllers: Controllers,
    pub(crate) firmware: Firmware,
    pub(crate) devices: DevicesThread,
    /// In the order in which they are paused.
    pub(crate) lifecycles: Vec<Arc<dyn Lifecycle>>,
    pub(crate) flushes: Vec<Flush>,
    pub(crate) buses: Arc<Buses>,
    pub(crate) power: Arc<PowerManagement>,
    pub(crate) serial: SerialBackend,
    pub(crate) signals: Option<Signals>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) first_entry: Arc<OnceLock<Instant>>,
    pub(crate) on_reboot: OnReboot,
    pub(crate) stop_timeout: Duration,
    pub(crate) start_paused: bool,
    /// Devices were built at rest, from records.
    pub(crate) restored: bool,
    /// The record of each device, in the order in which they are taken.
    pub(crate) savers: Vec<Saver>,
    pub(crate) memories: Memories,
}

/// The machine's state and its only writer.
pub(crate) struct Driver {
    pub(super) parts: Parts,
    pub(super) state: RunState,
    /// Nothing moves: vCPUs are parked and devices paused.
    pub(super) held: bool,
    resets: u64,
    subscribers: Vec<Subscriber>,
    /// Recent triple faults.
    faults: VecDeque<Instant>,
    /// When the guest was first told to stop by a signal.
    told_to_stop: Option<Instant>,
    pub(super) ending: Option<Ending>,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            held: parts.restored,
            parts,
            state: RunState::Prelaunch,
            resets: 0,
            subscribers: Vec::new(),
            faults: VecDeque::new(),
            told_to_stop: None,
            ending: None,
        }
    }

    /// Runs until the machine ends.
    pub(crate) fn run(mut self) -> Ending {
        // Whoever subscribed before the start hears of it; commands wait until the machine has started.
        self.subscribers.extend(self.parts.queue.take_subscribers());
        if !self.parts.start_paused {
            self.resume();
        }
        loop {
            if let Some(ending) = self.ending.take() {
                return self.finish(ending);
            }
            if let Err(error) = self.wait() {
                self.end(Ending::Host(format!("cannot wait for events: {error}")));
            }
            while self.ending.is_none()
                && let Some(message) = self.parts.queue.pop()
            {
                self.serve(message);
            }
            if self.stop_deadline().is_some_and(|deadline| Instant::now() >= deadline) {
                self.end(Ending::StopLimit);
            }
        }
    }

    /// Waits for a message, a signal or a deadline.
    fn wait(&mut self) -> io::Result<()> {
        let signalled = {
            let queue = borrow(self.parts.queue.event());
            let mut fds = vec![PollFd::from_borrowed_fd(queue, PollFlags::IN)];
            if let Some(signals) = &self.parts.signals {
                fds.push(PollFd::new(signals, PollFlags::IN));
            }
            let timeout = self.stop_deadline().map(timespec_until);
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
        };
        while signalled && let Some(signal) = self.parts.signals.as_ref().map_or(Ok(None), Signals::next)? {
            self.signal(signal);
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Child => reap_if_init(),
            Signal::Terminate => match self.told_to_stop {
                Some(first) if first.elapsed() < SAME_SIGNAL => {}
                Some(_) => self.end(Ending::StopLimit),
                None => {
                    tracing::info!(
                        seconds = self.parts.stop_timeout.as_secs(),
                        "told to stop: pressing the power button"
                    );
                    self.told_to_stop = Some(Instant::now());
                    self.press_power_button();
                }
            },
        }
    }

    /// When a guest that was told to stop has had its time; `None` also for a time without end.
    fn stop_deadline(&self) -> Option<Instant> {
        self.told_to_stop?.checked_add(self.parts.stop_timeout)
    }

    fn serve(&mut self, message: Message) {
        match message {
            Message::Subscribe(subscriber) => self.subscribers.push(subscriber),
            Message::Command(command, answer) => self.command(command, answer),
            Message::Save(job) => self.save(job),
            Message::Hold(job) => self.hold_for(job),
            Message::Report(report) => self.report(report),
        }
    }

    fn command(&mut self, command: Command, answer: Answer) {
        match command {
            Command::Status => {
                answer(Ok(Reply::Status(self.status())));
                return;
            }
            Command::Pause => self.pause(),
            Command::Resume => self.resume(),
            Command::Reset => self.reset(false),
            Command::PowerButton => self.press_power_button(),
            Command::Quit { flush } => {
                if !flush {
                    self.parts.flushes.clear();
                }
                self.end(Ending::Quit);
            }
        }
        answer(match &self.ending {
            Some(Ending::Host(text)) => Err(CommandError::Failed(text.clone())),
            _ => Ok(Reply::Done),
        });
    }

    fn status(&self) -> Status {
        let unclaimed = self.parts.buses.unclaimed();
        Status {
            state: self.state,
            first_entry: self.parts.first_entry.get().copied(),
            resets: self.resets,
            unclaimed_reads: unclaimed.reads(),
            unclaimed_writes: unclaimed.writes(),
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Outcome(Outcome::Done) => {}
            Report::Outcome(Outcome::Reset) => self.guest_reset(),
            Report::Outcome(Outcome::PowerOff) => self.end(Ending::PowerOff),
            Report::Outcome(Outcome::Exit(code)) => self.end(Ending::Exit(code)),
            Report::Outcome(Outcome::GuestPanicked) => {
                self.tell(Event::GuestPanicked);
                self.end(Ending::Crashed("the guest reported a panic".to_owned()));
            }
            Report::TripleFault { cpu } => self.triple_fault(cpu),
            Report::Crashed { report } => self.end(Ending::Crashed(report)),
            Report::Died { cpu } => self.end(Ending::Host(format!("the thread of vCPU {cpu} died"))),
        }
    }

    fn triple_fault(&mut self, cpu: u32) {
        let now = Instant::now();
        self.faults.retain(|fault| now.duration_since(*fault) < FAULT_WINDOW);
        self.faults.push_back(now);
        // Some guests reboot in this way.
        tracing::info!(cpu, count = self.faults.len(), "the guest triple-faulted");
        if self.faults.len() > MOST_FAULTS {
            self.end(Ending::Crashed(format!(
                "the guest triple-faulted {} times within {} s",
                self.faults.len(),
                FAULT_WINDOW.as_secs()
            )));
        } else {
            self.guest_reset();
        }
    }

    fn guest_reset(&mut self) {
        match self.parts.on_reboot {
            OnReboot::Restart => self.reset(true),
            OnReboot::Exit => self.end(Ending::Reboot),
        }
    }

    fn press_power_button(&mut self) {
        self.parts.power.press_power_button();
        self.tell(Event::Powerdown);
    }

    fn pause(&mut self) {
        match self.state {
            RunState::Running => {
                self.hold();
                // A machine that could not be held ends instead.
                if self.ending.is_none() {
                    self.state = RunState::Paused;
                    self.tell(Event::Stopped);
                }
            }
            // A machine that was not started yet is started by `cont` only.
            RunState::Prelaunch | RunState::Paused | RunState::PostMigrate => {}
            RunState::Shutdown | RunState::GuestPanicked | RunState::InternalError => {}
        }
    }

    fn resume(&mut self) {
        if matches!(
            self.state,
            RunState::Prelaunch | RunState::Paused | RunState::PostMigrate
        ) {
            self.release();
            self.state = RunState::Running;
            self.parts.cpus.resume();
            self.tell(Event::Resumed);
        }
    }

    /// Parks the vCPUs, then pauses the devices in their order, then the event loop: from here on nothing touches guest
    /// memory or raises an interrupt. Once is enough.
    pub(super) fn hold(&mut self) {
        if std::mem::replace(&mut self.held, true) {
            return;
        }
        if let Err(error) = self.parts.cpus.park() {
            self.end(Ending::Host(chain(&error)));
        }
        for device in &self.parts.lifecycles {
            device.pause();
        }
        if let Err(error) = self.parts.devices.handle().park() {
            self.end(Ending::Host(error.to_string()));
        }
    }

    /// Undoes `hold` in reverse, up to but without the vCPUs.
    fn release(&mut self) {
        if !std::mem::replace(&mut self.held, false) {
            return;
        }
        self.parts.devices.handle().resume();
        for device in self.parts.lifecycles.iter().rev() {
            device.resume();
        }
    }

    /// Undoes `hold`: vCPUs run again if the machine runs.
    pub(super) fn go_on(&mut self) {
        self.release();
        if self.state == RunState::Running {
            self.parts.cpus.resume();
        }
    }

    fn reset(&mut self, guest: bool) {
        let was_held = self.held;
        self.hold();
        if self.ending.is_some() {
            return;
        }
        if let Err(error) = self.reset_held() {
            self.end(Ending::Host(format!("cannot reset the machine: {}", chain(&error))));
            return;
        }
        self.parts.queue.drop_reports();
        self.resets += 1;
        self.tell(Event::Reset { guest });
        if !was_held {
            self.go_on();
        }
    }

    fn reset_held(&self) -> Result<(), BootFailure> {
        for device in &self.parts.lifecycles {
            device.reset();
        }
        self.parts.controllers.apply(&self.parts.vm)?;
        crate::memory::clear(self.parts.vm.ram()).map_err(|source| BootFailure::Clear { source })?;
        let start = self.parts.firmware.boot(self.parts.vm.ram())?;
        Ok(self.parts.cpus.reset(&start)?)
    }

    /// Ends the machine when the current message is served; the first reason counts.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.state = match ending {
                Ending::Host(_) => RunState::InternalError,
                Ending::Crashed(_) => RunState::GuestPanicked,
                _ => RunState::Shutdown,
            };
            self.ending = Some(ending);
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.subscribers.retain_mut(|subscriber| subscriber(event));
    }

    /// Stops everything, writes back what there is to write back, and tells everybody.
    fn finish(mut self, ending: Ending) -> Ending {
        let (guest, reason) = match &ending {
            Ending::PowerOff if self.told_to_stop.is_some() => (false, "host-signal"),
            other => other.cause(),
        };
        self.tell(Event::Shutdown { guest, reason });
        if let Err(error) = self.parts.cpus.park() {
            tracing::error!(error = chain(&error), "a vCPU did not stop");
        }
        for device in &self.parts.lifecycles {
            device.pause();
        }
        let mut failed = None;
        for flush in &mut self.parts.flushes {
            if let Err(error) = flush() {
                failed = Some(Ending::Host(format!("cannot write back: {error}")));
            }
        }
        for message in self.parts.queue.close() {
            match message {
                Message::Command(_, answer) => answer(Err(CommandError::Gone)),
                Message::Save(job) => job(Err(CommandError::Gone))(),
                Message::Hold(job) => drop(job(Err(CommandError::Gone))),
                Message::Subscribe(_) | Message::Report(_) => {}
            }
        }
        self.parts.serial.finish();
        match failed {
            // Data that did not reach the disk matters more than an orderly end.
            Some(failed) if ending.exit_code() == 0 => failed,
            _ => ending,
        }
    }
}

fn timespec_until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}
