//! The state driver: one thread owns the machine's state, everybody else sends it requests.
//!
//! Requests and reports of vCPUs go through one queue. The driver is the only one that parks vCPUs, pauses devices and
//! resets; so there is one order of events and no lock around it.

mod ending;
mod hold;
mod queue;
mod save;
mod state;

use std::{
    sync::{Arc, OnceLock, mpsc},
    time::{Duration, Instant},
};

pub use ending::Ending;
pub(crate) use hold::HoldJob;
pub use hold::{HeldMachine, Onward};
pub(crate) use queue::{Message, Queue};
pub use save::Saved;
pub(crate) use save::{Memories, SaveJob, Saver, memory_files, ram_files};
pub use state::Flush;
pub(crate) use state::{Driver, Parts};

/// A CPUID leaf: function, index, flags, then the registers from EAX to EDX.
pub type CpuLeaf = [u32; 7];

/// What a machine can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say what it is doing.
    Status,
    /// Stop all vCPUs, then all devices.
    Pause,
    /// Go on.
    Resume,
    /// Reset in place, as the reset button does. A paused machine stays paused.
    Reset,
    /// Press the power button; what happens then is up to the guest.
    PowerButton,
    /// End now; with `flush` after the disks have been written.
    Quit { flush: bool },
}

/// The answer to a command that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// To [`Command::Status`].
    Status(Status),
}

/// What the machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// In one word.
    pub state: RunState,
    /// When the guest was entered for the first time.
    pub first_entry: Option<Instant>,
    /// Resets since the start.
    pub resets: u64,
    /// Port and memory reads nobody answered.
    pub unclaimed_reads: u64,
    /// Port and memory writes nobody took.
    pub unclaimed_writes: u64,
}

/// What the machine is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Built, not started yet.
    Prelaunch,
    /// vCPUs run.
    Running,
    /// Paused by a command.
    Paused,
    /// Handed over to another host, from which no word came that it runs there.
    PostMigrate,
    /// About to end in the orderly way.
    Shutdown,
    /// The guest reported a panic or cannot go on; about to end.
    GuestPanicked,
    /// The host failed the machine; about to end.
    InternalError,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The machine has ended, or ends.
    #[error("the machine has ended")]
    Gone,
    /// Too many commands wait already.
    #[error("too many commands are waiting")]
    Busy,
    /// It did not work; the machine ends.
    #[error("{0}")]
    Failed(String),
    /// The machine cannot be saved as it is; it goes on.
    #[error("the machine cannot be saved: {0}")]
    Unsaved(String),
}

/// What happened to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// vCPUs stopped by a command.
    Stopped,
    /// vCPUs run (again).
    Resumed,
    /// The machine was reset.
    Reset {
        /// By the guest, not by a command.
        guest: bool,
    },
    /// The power button was pressed.
    Powerdown,
    /// The machine ends.
    Shutdown {
        /// Because of the guest.
        guest: bool,
        /// A word of QMP's `ShutdownCause`.
        reason: &'static str,
    },
    /// The guest reported a panic.
    GuestPanicked,
}

/// Receives events on the driver's thread; must not block. Returning false ends the subscription.
pub type Subscriber = Box<dyn FnMut(Event) -> bool + Send>;

/// What is called with the answer, once, on the driver's thread; must not block.
pub(crate) type Answer = Box<dyn FnOnce(Result<Reply, CommandError>) + Send>;

/// Talks to a running machine from any thread. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct MachineHandle {
    queue: Arc<Queue>,
    first_entry: Arc<OnceLock<Instant>>,
    cpu: Arc<OnceLock<Vec<CpuLeaf>>>,
}

impl MachineHandle {
    pub(crate) fn new(
        queue: Arc<Queue>,
        first_entry: Arc<OnceLock<Instant>>,
        cpu: Arc<OnceLock<Vec<CpuLeaf>>>,
    ) -> Self {
        Self {
            queue,
            first_entry,
            cpu,
        }
    }

    /// What the first vCPU shows; nothing before the machine is built.
    #[must_use]
    pub fn cpu(&self) -> &[CpuLeaf] {
        self.cpu.get().map_or(&[], Vec::as_slice)
    }

    /// Sends a command; `answer` is called once, with the result, on another thread (or on this one when the machine has
    /// ended). It must not block.
    pub fn submit(&self, command: Command, answer: impl FnOnce(Result<Reply, CommandError>) + Send + 'static) {
        if let Err((error, message)) = self.queue.push(Message::Command(command, Box::new(answer)))
            && let Message::Command(_, answer) = message
        {
            answer(Err(error));
        }
    }

    /// Sends a command and waits for the result. Not from the driver's thread, a vCPU's or the event loop's.
    ///
    /// # Errors
    /// When the machine has ended or the command failed.
    pub fn call(&self, command: Command) -> Result<Reply, CommandError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(command, move |result| {
            // The receiver waits below; it cannot be gone.
            sender.send(result).ok();
        });
        receiver.recv().unwrap_or(Err(CommandError::Gone))
    }

    /// Holds the machine still, hands its state to `write`, and lets it go on as it was; what `write` returned. It runs on
    /// the driver's thread, where it may block: the memories are the machine's own and keep still until it returns. Not
    /// from that thread, a vCPU's or the event loop's.
    ///
    /// # Errors
    /// When the machine has ended or cannot be saved; `write` is not called then.
    pub fn save<T: Send + 'static>(&self, write: impl FnOnce(Saved) -> T + Send + 'static) -> Result<T, CommandError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let job: SaveJob = Box::new(move |saved| {
            let result = saved.map(write);
            // The receiver waits below; it cannot be gone.
            Box::new(move || drop(sender.send(result)))
        });
        self.queue.push(Message::Save(job)).map_err(|(error, _)| error)?;
        receiver.recv().unwrap_or(Err(CommandError::Gone))
    }

    /// Holds the machine still until what is returned is told what becomes of it. Not from the driver's thread, a vCPU's or
    /// the event loop's.
    ///
    /// # Errors
    /// When the machine has ended or cannot be saved.
    pub fn hold(&self) -> Result<HeldMachine, CommandError> {
        hold::hold(&self.queue)
    }

    /// The status.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn status(&self) -> Result<Status, CommandError> {
        match self.call(Command::Status)? {
            Reply::Status(status) => Ok(status),
            Reply::Done => Err(CommandError::Gone),
        }
    }

    /// Hears of every event from now on.
    pub fn subscribe(&self, subscriber: impl FnMut(Event) -> bool + Send + 'static) {
        // A machine that has ended has no more events.
        self.queue.push(Message::Subscribe(Box::new(subscriber))).ok();
    }

    /// When the guest was entered for the first time.
    #[must_use]
    pub fn first_entry(&self) -> Option<Instant> {
        self.first_entry.get().copied()
    }
}

/// How long a guest may take to power off after SIGTERM, unless the config says otherwise.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);
