//! Moving the VM to another process.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use caraway_base::{memory::MemoryFile, state::Record};
use caraway_control::{Event, MigrateParameters, Migration, MigrationStatus, QmpError};
use caraway_machine::{HeldMachine, MachineHandle, MemoryLog, Onward as MachineOnward, inherited};
use caraway_migration::{
    Fact,
    live::{self, Control, Extra, Held, Hello, Link, LiveError, LiveMachine, Onward, Outcome, Parameters, Phase, Uri},
};

use super::{backend::Events, gate::Gate};
use crate::output::chain;

/// Moves the VM when it is told to.
pub(super) struct Migrator {
    pub(super) machine: MachineHandle,
    pub(super) log: MemoryLog,
    /// What machine it is.
    pub(super) facts: Vec<Fact>,
    pub(super) gate: Arc<Gate>,
    pub(super) events: Arc<Events>,
    pub(super) control: Arc<Control>,
    /// Why this VM cannot move.
    pub(super) immovable: Option<String>,
}

impl Migrator {
    /// Begins to move the VM; a thread of its own goes on with it.
    pub(super) fn start(self: &Arc<Self>, uri: &str) -> Result<(), QmpError> {
        let invalid = |text| QmpError::generic(format!("Invalid parameter 'uri': {text}"));
        let uri: Uri = uri.parse().map_err(invalid)?;
        if let Some(reason) = &self.immovable {
            return Err(QmpError::generic(reason.as_str()));
        }
        if self.gate.is_gone() {
            return Err(QmpError::generic("the VM was handed over already"));
        }
        if !self.control.begin() {
            return Err(QmpError::generic("There's a migration process in progress"));
        }
        let migrator = Arc::clone(self);
        let thread = thread::Builder::new().name("migrate".to_owned());
        let started = thread.spawn(move || migrator.run(&uri));
        started.map(drop).map_err(|error| {
            let text = format!("cannot start a thread: {error}");
            self.control.end(Phase::Failed, Some(text.clone()));
            QmpError::generic(text)
        })
    }

    /// Has the VM stay.
    pub(super) fn cancel(&self) -> Result<(), QmpError> {
        if self.control.is_active() && !self.control.cancel() {
            return Err(QmpError::generic("too late: the VM has been handed over"));
        }
        Ok(())
    }

    fn run(&self, uri: &Uri) {
        self.tell(MigrationStatus::Setup);
        let outcome = self.connect(uri).map_or_else(Outcome::Kept, |(link, files)| {
            let hello = self.hello(&files);
            live::send(link, self, &hello, &files, &self.control)
        });
        match outcome {
            // Everybody was told before the machine ended.
            Outcome::Moved => {}
            Outcome::Kept(LiveError::Cancelled) => self.end(Phase::Cancelled, None),
            Outcome::Kept(error) => {
                let text = chain(&error);
                tracing::warn!(error = text, %uri, "the VM stays: it could not be moved");
                self.end(Phase::Failed, Some(text));
            }
            Outcome::Unknown(error) => {
                let text = format!(
                    "{}; the VM was handed over before, and may run there: it is held still here",
                    chain(&error)
                );
                tracing::error!(error = text, %uri, "it is not known where the VM runs");
                self.end(Phase::Unknown, Some(text));
            }
        }
    }

    fn connect(&self, uri: &Uri) -> Result<(Link, Vec<MemoryFile>), LiveError> {
        let files = self.log.files();
        let files = files.ok_or_else(|| LiveError::Machine("a memory of the machine has no file".to_owned()))?;
        let stream = uri.connect(inherited)?;
        let control = Arc::clone(&self.control);
        Ok((Link::new(stream, move || control.is_cancelled())?, files))
    }

    fn hello(&self, files: &[MemoryFile]) -> Hello {
        let memories = files.iter().map(|file| (file.name().to_owned(), file.size()));
        Hello {
            program: concat!("caraway ", env!("CARGO_PKG_VERSION")).to_owned(),
            machine: self.facts.clone(),
            memories: memories.collect(),
            cpu: self.machine.cpu().to_vec(),
        }
    }

    fn end(&self, phase: Phase, error: Option<String>) {
        self.control.end(phase, error);
        self.tell(status(phase).unwrap_or(MigrationStatus::Failed));
    }

    fn tell(&self, status: MigrationStatus) {
        self.events.send(Event::Migration { status });
    }

    /// How the last one is doing.
    pub(super) fn migration(&self) -> Option<Migration> {
        let report = self.control.report();
        let figures = report.figures;
        Some(Migration {
            status: status(report.phase)?,
            total_time: report.elapsed,
            setup_time: figures.setup,
            downtime: figures.downtime,
            total: figures.total,
            remaining: figures.remaining,
            transferred: figures.transferred,
            normal: figures.normal,
            zero: figures.zero,
            rounds: figures.rounds,
            dirty_rate: figures.dirty_rate,
            bandwidth: figures.bandwidth,
            error: report.error,
        })
    }

    /// How migrations are done.
    pub(super) fn parameters(&self) -> MigrateParameters {
        let Parameters {
            max_bandwidth,
            downtime_limit,
        } = self.control.parameters();
        MigrateParameters {
            max_bandwidth: Some(max_bandwidth),
            downtime_limit: u64::try_from(downtime_limit.as_millis()).ok(),
        }
    }

    /// Changes how they are done.
    pub(super) fn set_parameters(&self, change: MigrateParameters) -> Result<(), QmpError> {
        let mut parameters = self.control.parameters();
        if let Some(bandwidth) = change.max_bandwidth {
            if bandwidth != 0 && bandwidth < Parameters::LEAST_BANDWIDTH {
                return Err(QmpError::generic(format!(
                    "Invalid parameter 'max-bandwidth': {bandwidth} is neither 0 nor at least {}",
                    Parameters::LEAST_BANDWIDTH
                )));
            }
            parameters.max_bandwidth = bandwidth;
        }
        if let Some(limit) = change.downtime_limit {
            let most = Parameters::MOST_DOWNTIME.as_millis();
            if u128::from(limit) > most {
                return Err(QmpError::generic(format!(
                    "Invalid parameter 'downtime-limit': {limit} is more than {most}"
                )));
            }
            parameters.downtime_limit = Duration::from_millis(limit);
        }
        self.control.set_parameters(parameters);
        Ok(())
    }
}

fn status(phase: Phase) -> Option<MigrationStatus> {
    Some(match phase {
        Phase::None => return None,
        Phase::Setup => MigrationStatus::Setup,
        Phase::Active => MigrationStatus::Active,
        Phase::Device => MigrationStatus::Device,
        Phase::Cancelling => MigrationStatus::Cancelling,
        Phase::Completed => MigrationStatus::Completed,
        Phase::Cancelled => MigrationStatus::Cancelled,
        Phase::Failed | Phase::Unknown => MigrationStatus::Failed,
    })
}

fn log_failed(source: std::io::Error) -> LiveError {
    LiveError::Io {
        what: "keep a log of what the guest writes",
        source,
    }
}

impl LiveMachine for Migrator {
    type Held = HeldVm;

    fn start_log(&self) -> Result<(), LiveError> {
        self.tell(MigrationStatus::Active);
        self.log.start().map_err(log_failed)
    }

    fn take_log(&self) -> Result<Vec<Vec<u64>>, LiveError> {
        let pass = self.control.report().figures.rounds;
        self.events.send(Event::MigrationPass { pass });
        self.log.take().map_err(log_failed)
    }

    fn stop_log(&self) {
        if let Err(error) = self.log.stop() {
            tracing::warn!(%error, "KVM goes on to keep a log of what the guest writes");
        }
    }

    fn hold(&self) -> Result<HeldVm, LiveError> {
        self.tell(MigrationStatus::Device);
        self.gate.close();
        match self.machine.hold() {
            Ok(machine) => Ok(HeldVm {
                machine,
                gate: Arc::clone(&self.gate),
                events: Arc::clone(&self.events),
                control: Arc::clone(&self.control),
            }),
            Err(error) => {
                self.gate.open();
                Err(LiveError::Machine(error.to_string()))
            }
        }
    }
}

/// The VM while it is held still.
pub(super) struct HeldVm {
    machine: HeldMachine,
    gate: Arc<Gate>,
    events: Arc<Events>,
    control: Arc<Control>,
}

impl Held for HeldVm {
    fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.machine.saved.records)
    }

    fn was_paused(&self) -> bool {
        !self.machine.saved.was_running
    }

    fn since(&self) -> Instant {
        self.machine.saved.since
    }

    fn hand_over(&mut self) -> Vec<Extra> {
        self.machine.hand_over();
        self.gate.hand_over()
    }

    fn end(self, onward: Onward) {
        match onward {
            Onward::GoOn => {
                self.machine.end(MachineOnward::GoOn);
                self.gate.open();
            }
            Onward::Stay => self.machine.end(MachineOnward::Stay),
            Onward::Gone => {
                // Before the machine ends, and the process with it.
                self.control.end(Phase::Completed, None);
                self.events.send(Event::Migration {
                    status: MigrationStatus::Completed,
                });
                self.machine.end(MachineOnward::Gone);
            }
        }
    }
}
