//! The run loop of one vCPU thread.

use std::{sync::Arc, time::Duration};

use caraway_base::{address_space::Space, bus::Outcome, errors::chain};

use super::{Context, Done, EXIT, Mailbox, PARK, RUN, Report, Task, diagnose};
use crate::{
    bus::Buses,
    kvm::{
        KvmError,
        reset::PowerOn,
        saved::SavedVcpu,
        vcpu::{Exit, InternalError, Vcpu},
    },
    sys::kick,
};

/// `KVM_SYSTEM_EVENT_*`.
const EVENT_SHUTDOWN: u32 = 1;
const EVENT_RESET: u32 = 2;
const EVENT_CRASH: u32 = 3;
/// How long a `hlt` that the kernel does not wait out is waited out here at a time.
const HALT: Duration = Duration::from_millis(1);
/// Entries it may take to complete the instruction a vCPU is in: a string instruction can need one for each element of
/// KVM's buffer of a page.
const MOST_COMPLETIONS: u32 = 8192;

pub(super) struct Worker {
    vcpu: Vcpu,
    power_on: PowerOn,
    mailbox: Arc<Mailbox>,
    context: Arc<Context>,
}

/// What an exit means for the loop.
enum Verdict {
    /// Enter again.
    Continue,
    /// Tell the driver and wait for it.
    Stop(Report),
    /// Tell the driver and go on.
    Note(Report),
    /// KVM cannot go on: to be explained with the registers.
    Explain(Failure),
}

/// Why KVM cannot go on.
#[derive(Debug)]
pub(super) enum Failure {
    Internal(InternalError),
    Entry { reason: u64 },
    Unexpected { reason: u32 },
}

impl Worker {
    pub(super) fn new(vcpu: Vcpu, power_on: PowerOn, mailbox: Arc<Mailbox>, context: Arc<Context>) -> Self {
        Self {
            vcpu,
            power_on,
            mailbox,
            context,
        }
    }

    pub(super) fn main(mut self) {
        let _farewell = Farewell {
            mailbox: Arc::clone(&self.mailbox),
            context: Arc::clone(&self.context),
        };
        self.mailbox.lock().thread = Some(kick::Thread::current());
        loop {
            // Cleared before the order is read: a kick that comes in between sets it again.
            self.vcpu.set_immediate_exit(false);
            match self.mailbox.order() {
                RUN => {}
                EXIT => return,
                _ => {
                    let finished = self.complete();
                    self.wait(finished);
                    continue;
                }
            }
            self.context.first_entry.get_or_init(std::time::Instant::now);
            let verdict = self.enter();
            self.act(verdict);
        }
    }

    fn enter(&mut self) -> Verdict {
        match self.vcpu.run() {
            Ok(exit) => dispatch(&self.context.buses, exit),
            Err(error) => Verdict::Stop(Report::Crashed {
                report: format!("vCPU {}: {}", self.mailbox.cpu, chain(&error)),
            }),
        }
    }

    fn act(&mut self, verdict: Verdict) {
        let report = match verdict {
            Verdict::Continue => return,
            Verdict::Note(report) => {
                (self.context.reporter)(report);
                return;
            }
            Verdict::Stop(Report::TripleFault { .. }) => Report::TripleFault { cpu: self.mailbox.cpu },
            Verdict::Stop(report) => report,
            Verdict::Explain(failure) => Report::Crashed {
                report: diagnose::explain(&self.vcpu, &self.context.ram, &failure),
            },
        };
        // Parks itself: what the guest asked for takes effect before its next instruction. An order to end stays.
        {
            let _state = self.mailbox.lock();
            if self.mailbox.order() == RUN {
                self.mailbox.order.store(PARK, std::sync::atomic::Ordering::SeqCst);
            }
        }
        (self.context.reporter)(report);
    }

    /// Finishes an instruction whose access was handled but whose result is not in the registers yet. Whether the vCPU is
    /// between two instructions now.
    fn complete(&mut self) -> bool {
        let mut finished = false;
        for _ in 0..MOST_COMPLETIONS {
            self.vcpu.set_immediate_exit(true);
            let verdict = match self.vcpu.run() {
                Ok(Exit::Interrupted) => {
                    finished = true;
                    break;
                }
                Err(_) => break,
                Ok(exit) => dispatch(&self.context.buses, exit),
            };
            match verdict {
                Verdict::Continue => {}
                Verdict::Note(report) | Verdict::Stop(report) => (self.context.reporter)(report),
                // It fails again when it is resumed, and is explained then.
                Verdict::Explain(_) => break,
            }
        }
        self.vcpu.set_immediate_exit(false);
        finished
    }

    /// Parked, until there is another order.
    fn wait(&self, finished: bool) {
        let mut state = self.mailbox.lock();
        state.finished = finished;
        while self.mailbox.order() == PARK {
            if let Some(task) = state.task.take() {
                state.done = Some(self.perform(&task));
                // Whatever it was in the middle of is over with a reset.
                state.finished |= matches!(task, Task::Reset(_));
                self.mailbox.changed.notify_all();
            }
            if !state.parked {
                state.parked = true;
                self.mailbox.changed.notify_all();
            }
            state = self
                .mailbox
                .changed
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.parked = false;
    }

    fn perform(&self, task: &Task) -> Result<Done, KvmError> {
        match task {
            Task::Reset(start) => self.power_on.apply(&self.vcpu, start.as_ref()).map(|()| Done::Reset),
            Task::Save => SavedVcpu::take(&self.power_on, &self.vcpu).map(|saved| Done::Saved(Box::new(saved))),
        }
    }
}

/// Serves one exit.
fn dispatch(buses: &Buses, exit: Exit<'_>) -> Verdict {
    match exit {
        Exit::PortIn { port, width, data } => {
            for element in data.chunks_mut(width.max(1)) {
                buses.read(Space::Ports, port.into(), element);
            }
            Verdict::Continue
        }
        Exit::PortOut { port, width, data } => {
            let mut verdict = Verdict::Continue;
            for element in data.chunks(width.max(1)) {
                if let Verdict::Continue = verdict {
                    verdict = outcome(buses.write(Space::Ports, port.into(), element));
                }
            }
            verdict
        }
        Exit::MemoryRead { address, data } => {
            buses.read(Space::Memory, address, data);
            Verdict::Continue
        }
        Exit::MemoryWrite { address, data } => outcome(buses.write(Space::Memory, address, data)),
        Exit::Interrupted => Verdict::Continue,
        Exit::Halted => {
            std::thread::park_timeout(HALT);
            Verdict::Continue
        }
        Exit::TripleFault => Verdict::Stop(Report::TripleFault { cpu: 0 }),
        Exit::SystemEvent(EVENT_SHUTDOWN) => outcome(Outcome::PowerOff),
        Exit::SystemEvent(EVENT_RESET) => outcome(Outcome::Reset),
        Exit::SystemEvent(EVENT_CRASH) => outcome(Outcome::GuestPanicked),
        Exit::SystemEvent(reason) | Exit::Unexpected(reason) => Verdict::Explain(Failure::Unexpected { reason }),
        Exit::EntryRefused { reason } => Verdict::Explain(Failure::Entry { reason }),
        Exit::InternalError(error) => Verdict::Explain(Failure::Internal(error)),
    }
}

fn outcome(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Done => Verdict::Continue,
        Outcome::GuestPanicked => Verdict::Note(Report::Outcome(outcome)),
        Outcome::Reset | Outcome::PowerOff | Outcome::Exit(_) => Verdict::Stop(Report::Outcome(outcome)),
    }
}

/// Tells that the thread is gone, however it went.
struct Farewell {
    mailbox: Arc<Mailbox>,
    context: Arc<Context>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        {
            let mut state = self.mailbox.lock();
            state.gone = true;
            state.thread = None;
        }
        self.mailbox.changed.notify_all();
        if std::thread::panicking() {
            (self.context.reporter)(Report::Died { cpu: self.mailbox.cpu });
        }
    }
}
