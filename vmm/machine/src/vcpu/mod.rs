//! The vCPU threads: running, parking, resetting, ending.
//!
//! Each thread has a mailbox. The state driver changes the order in it and kicks the thread out of the guest; the thread
//! completes the instruction it is in, says that it is parked, and waits. While all are parked nothing in the guest moves.

mod diagnose;
mod run;

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use caraway_base::{bus::Outcome, memory::GuestRam};

use crate::{
    bus::Buses,
    kvm::{
        KvmError,
        reset::{PowerOn, Start},
        saved::SavedVcpu,
        vcpu::{Kicker, Vcpu},
    },
    sys::kick,
};

/// How long a vCPU may take to park. Everything it may wait for is bounded far below.
const PARK_LIMIT: Duration = Duration::from_secs(10);
/// How often a thread that has not parked is kicked again.
const KICK_AGAIN: Duration = Duration::from_millis(50);

/// What a vCPU thread tells the state driver. The thread has stopped running the guest until it is resumed, except after
/// [`Outcome::GuestPanicked`].
#[derive(Debug)]
pub(crate) enum Report {
    /// A device wants something of the machine.
    Outcome(Outcome),
    /// The guest triple-faulted.
    TripleFault { cpu: u32 },
    /// The guest cannot go on; a text for people.
    Crashed { report: String },
    /// The thread died of a mistake of ours.
    Died { cpu: u32 },
}

/// Where reports go. Called on vCPU threads.
pub(crate) type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// Why the vCPUs do not do as they are told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CpusError {
    /// One does not come out of the guest.
    #[error("vCPU {cpu} did not stop within {} s", PARK_LIMIT.as_secs())]
    Stuck { cpu: u32 },
    /// One is gone.
    #[error("the thread of vCPU {cpu} died")]
    Died { cpu: u32 },
    /// Its registers could not be set.
    #[error("cannot reset vCPU {cpu}")]
    Reset {
        cpu: u32,
        #[source]
        source: KvmError,
    },
    /// Its state could not be read.
    #[error("cannot save vCPU {cpu}")]
    Save {
        cpu: u32,
        #[source]
        source: KvmError,
    },
    /// It could not be brought to a place between two instructions.
    #[error("vCPU {cpu} is in the middle of an instruction it does not finish")]
    Unfinished { cpu: u32 },
    /// A thread could not be started.
    #[error("cannot start the thread of vCPU {cpu}")]
    Start {
        cpu: u32,
        #[source]
        source: io::Error,
    },
}

const RUN: u8 = 0;
const PARK: u8 = 1;
const EXIT: u8 = 2;

/// What the driver and a thread say to each other.
#[derive(Debug)]
struct Mailbox {
    cpu: u32,
    /// RUN, PARK or EXIT. Written under the lock of `state`; read without it before each entry into the guest.
    order: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    thread: Option<kick::Thread>,
    parked: bool,
    /// Parked between two instructions, not in the middle of one.
    finished: bool,
    gone: bool,
    /// What to do while parked, and its result.
    task: Option<Task>,
    done: Option<Result<Done, KvmError>>,
}

/// What only the thread of a vCPU can do.
#[derive(Debug)]
enum Task {
    /// Back to power-on; one starts at once.
    Reset(Option<Start>),
    /// Read everything.
    Save,
}

#[derive(Debug)]
enum Done {
    Reset,
    Saved(Box<SavedVcpu>),
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> u8 {
        self.order.load(Ordering::SeqCst)
    }

    /// Waits until `ready`, for at most `limit`; the state if it became so.
    fn wait(&self, limit: Duration, ready: impl Fn(&State) -> bool) -> Option<MutexGuard<'_, State>> {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |state| !ready(state))
            .unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then_some(state)
    }
}

/// What every vCPU thread needs.
pub(crate) struct Context {
    pub(crate) buses: Arc<Buses>,
    pub(crate) ram: GuestRam,
    pub(crate) reporter: Reporter,
    /// When the guest was entered for the first time.
    pub(crate) first_entry: Arc<OnceLock<Instant>>,
}

/// One thread as the driver sees it.
struct Handle {
    mailbox: Arc<Mailbox>,
    kicker: Kicker,
    join: Option<JoinHandle<()>>,
}

impl Handle {
    fn cpu(&self) -> u32 {
        self.mailbox.cpu
    }

    fn give(&self, order: u8) {
        let thread = {
            let mut state = self.mailbox.lock();
            self.mailbox.order.store(order, Ordering::SeqCst);
            if order == RUN {
                state.parked = false;
            }
            state.thread
        };
        self.mailbox.changed.notify_all();
        if order != RUN {
            // Flag first, then the signal: a thread that is about to enter sees the flag, one that is inside the signal.
            self.kicker.request_exit();
            if let Some(thread) = thread {
                thread.kick();
            }
        }
    }

    /// Gives a parked thread something to do.
    fn begin(&self, task: Task) {
        let mut state = self.mailbox.lock();
        state.done = None;
        state.task = Some(task);
        drop(state);
        self.mailbox.changed.notify_all();
    }

    /// Waits until it is done.
    fn end(&self) -> Result<Result<Done, KvmError>, CpusError> {
        let cpu = self.cpu();
        let mut state = self
            .mailbox
            .wait(PARK_LIMIT, |state| state.done.is_some() || state.gone)
            .ok_or(CpusError::Stuck { cpu })?;
        state.done.take().ok_or(CpusError::Died { cpu })
    }

    /// Waits for the thread to park, kicking it again now and then.
    fn wait_parked(&self) -> Result<(), CpusError> {
        let deadline = Instant::now() + PARK_LIMIT;
        loop {
            if let Some(state) = self.mailbox.wait(KICK_AGAIN, |state| state.parked || state.gone) {
                return if state.gone {
                    Err(CpusError::Died { cpu: self.cpu() })
                } else {
                    Ok(())
                };
            }
            if Instant::now() > deadline {
                return Err(CpusError::Stuck { cpu: self.cpu() });
            }
            self.give(PARK);
        }
    }
}

/// All vCPUs. Used by the state driver only.
pub(crate) struct Cpus {
    handles: Vec<Handle>,
}

impl std::fmt::Debug for Cpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpus").field("count", &self.handles.len()).finish()
    }
}

impl Cpus {
    /// Starts a thread for each vCPU, parked.
    pub(crate) fn start(vcpus: Vec<(Vcpu, PowerOn)>, context: Context) -> Result<Self, CpusError> {
        let context = Arc::new(context);
        let mut cpus = Self { handles: Vec::new() };
        for (vcpu, power_on) in vcpus {
            let cpu = vcpu.id();
            let start = |source| CpusError::Start { cpu, source };
            kick::install().map_err(start)?;
            let mailbox = Arc::new(Mailbox {
                cpu,
                order: AtomicU8::new(PARK),
                state: Mutex::new(State::default()),
                changed: Condvar::new(),
            });
            let kicker = vcpu.kicker();
            let worker = run::Worker::new(vcpu, power_on, Arc::clone(&mailbox), Arc::clone(&context));
            let join = std::thread::Builder::new()
                .name(format!("vcpu-{cpu}"))
                .spawn(move || worker.main())
                .map_err(start)?;
            cpus.handles.push(Handle {
                mailbox,
                kicker,
                join: Some(join),
            });
        }
        Ok(cpus)
    }

    /// Lets all run.
    pub(crate) fn resume(&self) {
        for handle in &self.handles {
            handle.give(RUN);
        }
    }

    /// Stops all between two instructions; returns when nothing in the guest moves any more.
    pub(crate) fn park(&self) -> Result<(), CpusError> {
        for handle in &self.handles {
            handle.give(PARK);
        }
        self.handles.iter().try_for_each(Handle::wait_parked)
    }

    /// Puts all back to power-on and vCPU 0 at `start`. They must be parked.
    pub(crate) fn reset(&self, start: &Start) -> Result<(), CpusError> {
        for handle in &self.handles {
            handle.begin(Task::Reset((handle.cpu() == 0).then_some(*start)));
        }
        self.handles.iter().try_for_each(|handle| {
            let cpu = handle.cpu();
            handle
                .end()?
                .map(drop)
                .map_err(|source| CpusError::Reset { cpu, source })
        })
    }

    /// Reads the state of all, in order. They must be parked.
    pub(crate) fn save(&self) -> Result<Vec<SavedVcpu>, CpusError> {
        for handle in &self.handles {
            if !handle.mailbox.lock().finished {
                return Err(CpusError::Unfinished { cpu: handle.cpu() });
            }
        }
        for handle in &self.handles {
            handle.begin(Task::Save);
        }
        let saved = self.handles.iter().map(|handle| {
            let cpu = handle.cpu();
            match handle.end()? {
                Ok(Done::Saved(saved)) => Ok(*saved),
                Ok(Done::Reset) => Err(CpusError::Died { cpu }),
                Err(source) => Err(CpusError::Save { cpu, source }),
            }
        });
        saved.collect()
    }
}

impl Drop for Cpus {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.give(EXIT);
        }
        for handle in &mut self.handles {
            let deadline = Instant::now() + PARK_LIMIT;
            while handle.mailbox.wait(KICK_AGAIN, |state| state.gone).is_none() {
                if Instant::now() > deadline {
                    // It holds everything it needs itself; the process ends soon anyway.
                    tracing::error!(cpu = handle.cpu(), "vCPU thread left behind");
                    handle.join = None;
                    break;
                }
                handle.give(EXIT);
            }
            if let Some(join) = handle.join.take() {
                // Its panic was reported by the thread itself.
                join.join().ok();
            }
        }
    }
}
