//! The machine as its control socket sees it.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caraway_control::{
    Backend, ClientCounts, ClientDestination, Connected, Event, Figures, MigrateParameters, Migration, QmpError,
    Recording, Role, RunState, Screen, Screenshot, Snapshot, SpiceInfo, VideoMode,
};
use caraway_display::Display;
use caraway_machine::{Command, CommandError, MachineHandle};
use caraway_migration::{Fact, live::Phase};
use caraway_ports::{input::InputSink, tablet::TabletSink};
use tokio::sync::broadcast;

use super::{assemble::Screen as Device, clients::Clients, gate::Gate, migrate::Migrator};
use crate::output::chain;

/// Events a control client may be behind; it misses the oldest of more.
const EVENT_BACKLOG: usize = 256;

/// Sends events to whoever listens until it is closed.
#[derive(Debug)]
pub(super) struct Events(Mutex<Option<broadcast::Sender<Event>>>);

impl Events {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(broadcast::channel(EVENT_BACKLOG).0))))
    }

    pub(super) fn send(&self, event: Event) {
        if let Some(sender) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody may be listening.
            sender.send(event).ok();
        }
    }

    /// Ends the stream of everybody who listens.
    pub(super) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Event> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(sender) => sender.subscribe(),
            // A stream that has ended.
            None => broadcast::channel(1).1,
        }
    }
}

/// Drives the machine for the control socket.
pub(super) struct VmBackend {
    pub(super) name: String,
    pub(super) machine: MachineHandle,
    pub(super) screens: Vec<Device>,
    #[cfg(feature = "misbehave")]
    pub(super) vdiport: Arc<caraway_vdiport::VdiPort>,
    /// What machine it is, for those who restore it.
    pub(super) facts: Vec<Fact>,
    pub(super) migrator: Arc<Migrator>,
    pub(super) gate: Arc<Gate>,
    pub(super) tablet: Option<Arc<dyn TabletSink>>,
    pub(super) clients: Arc<Clients>,
    pub(super) events: Arc<Events>,
}

impl VmBackend {
    fn device(&self, device: u32) -> Result<&Device, QmpError> {
        usize::try_from(device)
            .ok()
            .and_then(|device| self.screens.get(device))
            .ok_or_else(|| QmpError::generic(format!("Invalid parameter 'device': no display device {device}")))
    }

    fn display(&self, device: u32) -> Result<&Arc<Display>, QmpError> {
        self.device(device).map(|device| &device.display)
    }

    fn call(&self, command: Command) -> Result<(), QmpError> {
        self.machine.call(command).map(drop).map_err(|error| failed(&error))
    }
}

fn failed(error: &CommandError) -> QmpError {
    QmpError::generic(error.to_string())
}

impl Backend for VmBackend {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn status(&self) -> RunState {
        use caraway_machine::RunState as State;
        // The machine answers when it is over.
        if self.migrator.control.report().phase == Phase::Device {
            return RunState::FinishMigrate;
        }
        match self.machine.status().map(|status| status.state) {
            Ok(State::Prelaunch) => RunState::Prelaunch,
            Ok(State::Running) => RunState::Running,
            Ok(State::Paused) => RunState::Paused,
            Ok(State::PostMigrate) => RunState::PostMigrate,
            Ok(State::GuestPanicked) => RunState::GuestPanicked,
            Ok(State::InternalError) => RunState::InternalError,
            // A machine that does not answer any more has ended.
            Ok(State::Shutdown) | Err(_) => RunState::Shutdown,
        }
    }

    fn stop(&self) -> Result<(), QmpError> {
        self.call(Command::Pause)
    }

    fn cont(&self) -> Result<(), QmpError> {
        self.call(Command::Resume)?;
        // A machine that was handed over goes on here because a person says so.
        if self.gate.is_gone() {
            self.gate.open();
        }
        Ok(())
    }

    fn reset(&self) -> Result<(), QmpError> {
        self.call(Command::Reset)
    }

    fn powerdown(&self) -> Result<(), QmpError> {
        self.call(Command::PowerButton)
    }

    fn quit(&self) -> Result<(), QmpError> {
        self.call(Command::Quit { flush: true })
    }

    fn snapshot(&self, directory: &Path) -> Result<Snapshot, QmpError> {
        let (facts, directory) = (self.facts.clone(), directory.to_owned());
        let written = self.machine.save(move |saved| {
            let written = caraway_migration::write(&directory, facts, &saved.memories, saved.records)?;
            Ok::<_, caraway_migration::SnapshotError>(Snapshot {
                bytes: written.bytes,
                pause_ns: u64::try_from(saved.since.elapsed().as_nanos()).unwrap_or(u64::MAX),
            })
        });
        written
            .map_err(|error| failed(&error))?
            .map_err(|error| QmpError::generic(chain(&error)))
    }

    fn client_migrate_info(&self, destination: ClientDestination) -> Result<(), QmpError> {
        self.clients.set_destination(destination)
    }

    fn migrate(&self, uri: &str) -> Result<(), QmpError> {
        self.migrator.start(uri)
    }

    fn migrate_cancel(&self) -> Result<(), QmpError> {
        self.migrator.cancel()
    }

    fn migration(&self) -> Option<Migration> {
        self.migrator.migration()
    }

    fn migrate_parameters(&self) -> MigrateParameters {
        self.migrator.parameters()
    }

    fn set_migrate_parameters(&self, parameters: MigrateParameters) -> Result<(), QmpError> {
        self.migrator.set_parameters(parameters)
    }

    fn screenshot(&self, screen: Screen, cursor: bool) -> Result<Screenshot, QmpError> {
        let display = self.display(screen.device)?;
        display.refresh();
        let picture = display.picture(screen.head, cursor).ok_or_else(|| {
            QmpError::generic(format!(
                "Invalid parameter 'head': no head {}",
                screen.head.unwrap_or_default()
            ))
        })?;
        Ok(Screenshot {
            hash: picture.checksum(),
            width: picture.width,
            height: picture.height,
            rgb: picture.rgb,
        })
    }

    fn watch(&self, device: u32) -> Result<Box<dyn std::any::Any + Send + Sync>, QmpError> {
        Ok(Box::new(self.display(device)?.watch()))
    }

    fn screen_changes(&self, device: u32) -> u64 {
        self.display(device).map_or(0, |display| display.changes())
    }

    fn record_qxl(&self, device: u32, path: &Path) -> Result<(), QmpError> {
        self.device(device)?.recorder.start(path)
    }

    fn record_qxl_stop(&self, device: u32) -> Result<Recording, QmpError> {
        self.device(device)?.recorder.stop()
    }

    fn recording(&self, device: u32) -> Result<Option<Recording>, QmpError> {
        Ok(self.device(device)?.recorder.status())
    }

    fn input(&self) -> Result<Arc<dyn InputSink>, QmpError> {
        if self.gate.is_gone() {
            return Err(QmpError::generic("the VM was handed over to another process"));
        }
        Ok(Arc::clone(&self.gate) as _)
    }

    fn tablet(&self) -> Option<Arc<dyn TabletSink>> {
        self.tablet.clone()
    }

    fn spice(&self) -> SpiceInfo {
        self.clients.info()
    }

    fn set_ticket(&self, role: Role, ticket: &str, connected: Connected) -> Result<(), QmpError> {
        self.clients.set_ticket(role, ticket, connected)
    }

    fn expire_ticket(&self, role: Role, after: Option<Duration>) -> Result<(), QmpError> {
        self.clients.expire_ticket(role, after)
    }

    fn clients(&self) -> Vec<ClientCounts> {
        self.clients.counts()
    }

    fn video(&self) -> VideoMode {
        let mode = self.screens.first().map(|screen| screen.display.video());
        match mode.unwrap_or_default() {
            caraway_display::VideoMode::Off => VideoMode::Off,
            caraway_display::VideoMode::Filter => VideoMode::Filter,
            caraway_display::VideoMode::All => VideoMode::All,
        }
    }

    fn set_video(&self, mode: VideoMode) {
        let mode = match mode {
            VideoMode::Off => caraway_display::VideoMode::Off,
            VideoMode::Filter => caraway_display::VideoMode::Filter,
            VideoMode::All => caraway_display::VideoMode::All,
        };
        for screen in &self.screens {
            screen.display.set_video(mode);
        }
    }

    fn figures(&self) -> Figures {
        let status = self.machine.status();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let since_boot = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
        let first = self
            .machine
            .first_entry()
            .map(|entry| since_boot.saturating_sub(entry.elapsed()));
        Figures {
            first_instruction_ns: first.and_then(|time| u64::try_from(time.as_nanos()).ok()),
            resets: status.as_ref().map_or(0, |status| status.resets),
            unclaimed_reads: status.as_ref().map_or(0, |status| status.unclaimed_reads),
            unclaimed_writes: status.as_ref().map_or(0, |status| status.unclaimed_writes),
            canvas_bytes: self.screens.iter().map(|screen| screen.display.canvas_bytes()).sum(),
            dropped_drawings: self.screens.iter().map(|screen| screen.display.dropped()).sum(),
        }
    }

    #[cfg(feature = "misbehave")]
    fn misbehave(&self, misbehaviour: &caraway_control::Misbehaviour) -> Result<u64, QmpError> {
        super::misbehave::misbehave(&self.device(0)?.qxl, &self.vdiport, misbehaviour)
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.listen()
    }
}

/// What the machine says, in QMP's words.
pub(super) fn qmp_event(event: caraway_machine::Event) -> Event {
    use caraway_machine::Event as Happened;
    match event {
        Happened::Stopped => Event::Stop,
        Happened::Resumed => Event::Resume,
        Happened::Reset { guest } => Event::Reset { guest },
        Happened::Powerdown => Event::Powerdown,
        Happened::Shutdown { guest, reason } => Event::Shutdown { guest, reason },
        Happened::GuestPanicked => Event::GuestPanicked,
    }
}
