//! A VM that is to come, as its control socket sees it: it answers before there is a machine, and goes on with it.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use caraway_control::{
    Backend, ClientCounts, ClientDestination, Connected, Event, Figures, MigrateParameters, Migration, QmpError,
    Recording, Role, RunState, Screen, Screenshot, Snapshot, SpiceInfo, VideoMode,
};
use caraway_machine::{Signal, Signals, reap_if_init};
use caraway_ports::{input::InputSink, tablet::TabletSink};
use tokio::sync::broadcast;

use super::{
    backend::{Events, VmBackend},
    clients::Clients,
};

/// What ends the wait for a machine: a signal, or a command.
#[derive(Debug)]
pub(super) struct Stop {
    signals: Signals,
    told: AtomicBool,
}

impl Stop {
    pub(super) fn new(signals: Signals) -> Arc<Self> {
        Arc::new(Self {
            signals,
            told: AtomicBool::new(false),
        })
    }

    /// Whether it has come.
    pub(super) fn is_told(&self) -> bool {
        while !self.told.load(Ordering::SeqCst) {
            match self.signals.next() {
                Ok(Some(Signal::Terminate)) => self.told.store(true, Ordering::SeqCst),
                Ok(Some(Signal::Child)) => reap_if_init(),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }
}

/// The control socket's side of a VM that is to come.
pub(super) struct Waiting {
    pub(super) name: String,
    pub(super) events: Arc<Events>,
    pub(super) clients: Arc<Clients>,
    pub(super) stop: Arc<Stop>,
    /// The VM, once it has come.
    pub(super) vm: OnceLock<VmBackend>,
}

impl Waiting {
    /// Goes on with the VM that has come.
    pub(super) fn arrived(&self, vm: VmBackend) {
        // There is one.
        self.vm.set(vm).ok();
    }

    fn vm(&self) -> Result<&VmBackend, QmpError> {
        let not_yet = || QmpError::generic("no VM has come yet");
        self.vm.get().ok_or_else(not_yet)
    }
}

impl Backend for Waiting {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn status(&self) -> RunState {
        self.vm.get().map_or(RunState::InMigrate, Backend::status)
    }

    fn stop(&self) -> Result<(), QmpError> {
        self.vm()?.stop()
    }

    fn cont(&self) -> Result<(), QmpError> {
        self.vm()?.cont()
    }

    fn reset(&self) -> Result<(), QmpError> {
        self.vm()?.reset()
    }

    fn powerdown(&self) -> Result<(), QmpError> {
        self.vm()?.powerdown()
    }

    fn quit(&self) -> Result<(), QmpError> {
        match self.vm.get() {
            Some(vm) => vm.quit(),
            None => {
                self.stop.told.store(true, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    fn snapshot(&self, directory: &Path) -> Result<Snapshot, QmpError> {
        self.vm()?.snapshot(directory)
    }

    fn client_migrate_info(&self, destination: ClientDestination) -> Result<(), QmpError> {
        self.vm()?.client_migrate_info(destination)
    }

    fn migrate(&self, uri: &str) -> Result<(), QmpError> {
        self.vm()?.migrate(uri)
    }

    fn migrate_cancel(&self) -> Result<(), QmpError> {
        self.vm()?.migrate_cancel()
    }

    fn migration(&self) -> Option<Migration> {
        self.vm.get()?.migration()
    }

    fn migrate_parameters(&self) -> MigrateParameters {
        self.vm.get().map(Backend::migrate_parameters).unwrap_or_default()
    }

    fn set_migrate_parameters(&self, parameters: MigrateParameters) -> Result<(), QmpError> {
        self.vm()?.set_migrate_parameters(parameters)
    }

    fn screenshot(&self, screen: Screen, cursor: bool) -> Result<Screenshot, QmpError> {
        self.vm()?.screenshot(screen, cursor)
    }

    fn watch(&self, device: u32) -> Result<Box<dyn std::any::Any + Send + Sync>, QmpError> {
        self.vm()?.watch(device)
    }

    fn screen_changes(&self, device: u32) -> u64 {
        self.vm.get().map_or(0, |vm| vm.screen_changes(device))
    }

    fn record_qxl(&self, device: u32, path: &Path) -> Result<(), QmpError> {
        self.vm()?.record_qxl(device, path)
    }

    fn record_qxl_stop(&self, device: u32) -> Result<Recording, QmpError> {
        self.vm()?.record_qxl_stop(device)
    }

    fn recording(&self, device: u32) -> Result<Option<Recording>, QmpError> {
        self.vm()?.recording(device)
    }

    fn input(&self) -> Result<Arc<dyn InputSink>, QmpError> {
        self.vm()?.input()
    }

    fn tablet(&self) -> Option<Arc<dyn TabletSink>> {
        self.vm.get()?.tablet()
    }

    fn spice(&self) -> SpiceInfo {
        self.clients.info()
    }

    fn set_ticket(&self, role: Role, ticket: &str, connected: Connected) -> Result<(), QmpError> {
        self.vm()?.set_ticket(role, ticket, connected)
    }

    fn expire_ticket(&self, role: Role, after: Option<Duration>) -> Result<(), QmpError> {
        self.vm()?.expire_ticket(role, after)
    }

    fn clients(&self) -> Vec<ClientCounts> {
        self.clients.counts()
    }

    fn video(&self) -> VideoMode {
        self.vm.get().map_or(VideoMode::Filter, Backend::video)
    }

    fn set_video(&self, mode: VideoMode) {
        if let Some(vm) = self.vm.get() {
            vm.set_video(mode);
        }
    }

    fn figures(&self) -> Figures {
        self.vm.get().map(Backend::figures).unwrap_or_default()
    }

    #[cfg(feature = "misbehave")]
    fn misbehave(&self, misbehaviour: &caraway_control::Misbehaviour) -> Result<u64, QmpError> {
        self.vm()?.misbehave(misbehaviour)
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.listen()
    }
}
