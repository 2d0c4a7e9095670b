//! The i8042 keyboard controller (ports 0x60 and 0x64) with a PS/2 keyboard and mouse.

mod controller;
mod keyboard;
mod keys;
mod mouse;
mod scancodes;
mod wire;

#[cfg(test)]
mod keyboard_tests;
#[cfg(test)]
mod mouse_tests;
#[cfg(test)]
mod probe_tests;
#[cfg(test)]
mod test_bench;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::IrqLine,
    lifecycle::Lifecycle,
    state::{Migratable, StateError},
};
use caraway_ports::input::{InputEvent, InputSink, LedListener, Leds};

pub use controller::Controller;

/// Data port. The ports between it and the command port belong to others.
pub const I8042_DATA_PORT: u16 = 0x60;
/// Status (read) and command (write) port.
pub const I8042_COMMAND_PORT: u16 = 0x64;
/// Keyboard interrupt.
pub const KEYBOARD_IRQ: u32 = 1;
/// Mouse interrupt.
pub const MOUSE_IRQ: u32 = 12;

const KIND: &str = "i8042";

/// What the controller is connected to.
#[derive(Clone, Debug)]
pub struct I8042Args {
    /// [`KEYBOARD_IRQ`].
    pub keyboard: Arc<dyn IrqLine>,
    /// [`MOUSE_IRQ`].
    pub mouse: Arc<dyn IrqLine>,
}

#[derive(Debug)]
struct Inner {
    controller: Controller,
    /// The machine is held: events wait in the devices, the lines stay as they are.
    paused: bool,
}

/// Controller, keyboard and mouse. The guest reaches it by [`I8042::data_port`] and [`I8042::command_port`].
pub struct I8042 {
    inner: Mutex<Inner>,
    args: I8042Args,
    listeners: Mutex<Vec<Weak<dyn LedListener>>>,
}

impl std::fmt::Debug for I8042 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("I8042").finish_non_exhaustive()
    }
}

/// How the interrupt lines follow the output buffer. They are edges to a PC's interrupt controllers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// The byte in the buffer, if there was one, is still the same.
    Keep,
    /// It is another one, or the guest has been told there is none: it needs an edge of its own.
    New,
}

impl I8042 {
    /// As firmware leaves it; neither device sends anything until the guest asks for it.
    #[must_use]
    pub fn new(args: I8042Args) -> Self {
        Self::with(Controller::default(), args, false)
    }

    fn with(controller: Controller, args: I8042Args, paused: bool) -> Self {
        Self {
            inner: Mutex::new(Inner { controller, paused }),
            args,
            listeners: Mutex::default(),
        }
    }

    /// The register block at [`I8042_DATA_PORT`], one byte.
    #[must_use]
    pub fn data_port(self: &Arc<Self>) -> Arc<dyn BusDevice> {
        Arc::new(DataPort(Arc::clone(self)))
    }

    /// The register block at [`I8042_COMMAND_PORT`], one byte.
    #[must_use]
    pub fn command_port(self: &Arc<Self>) -> Arc<dyn BusDevice> {
        Arc::new(CommandPort(Arc::clone(self)))
    }

    /// Fills the output buffer and drives the interrupt lines.
    fn settle(&self, inner: &mut Inner, edge: Edge) {
        if inner.paused {
            return;
        }
        inner.controller.fill();
        if edge == Edge::New {
            self.args.keyboard.set(false);
            self.args.mouse.set(false);
        }
        let (keyboard, mouse) = inner.controller.interrupts();
        self.args.keyboard.set(keyboard);
        self.args.mouse.set(mouse);
    }

    fn read_data(&self) -> u8 {
        let mut inner = self.lock();
        let value = inner.controller.read_data();
        self.settle(&mut inner, Edge::New);
        value
    }

    fn read_status(&self) -> u8 {
        let mut inner = self.lock();
        let status = inner.controller.read_status();
        if status.withheld {
            self.settle(&mut inner, Edge::New);
        }
        status.bits
    }

    fn write(&self, write: impl FnOnce(&mut Controller) -> Outcome) -> Outcome {
        let mut inner = self.lock();
        let before = inner.controller.keyboard.leds();
        let outcome = write(&mut inner.controller);
        self.settle(&mut inner, Edge::Keep);
        let leds = inner.controller.keyboard.leds();
        drop(inner);
        if leds != before {
            self.tell_leds(leds);
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_leds(&self, leds: Leds) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        let alive: Vec<_> = listeners.iter().filter_map(Weak::upgrade).collect();
        // A listener may watch or drop listeners itself.
        drop(listeners);
        for listener in alive {
            listener.leds_changed(leds);
        }
    }
}

struct DataPort(Arc<I8042>);

impl BusDevice for DataPort {
    fn read(&self, _offset: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            *byte = self.0.read_data();
        }
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Outcome {
        match data.first() {
            Some(byte) => self.0.write(|controller| controller.write_data(*byte)),
            None => Outcome::Done,
        }
    }
}

struct CommandPort(Arc<I8042>);

impl BusDevice for CommandPort {
    fn read(&self, _offset: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            *byte = self.0.read_status();
        }
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Outcome {
        match data.first() {
            Some(byte) => self.0.write(|controller| controller.command(*byte)),
            None => Outcome::Done,
        }
    }
}

impl InputSink for I8042 {
    fn send(&self, event: InputEvent) {
        let mut inner = self.lock();
        let Controller { keyboard, mouse, .. } = &mut inner.controller;
        match event {
            InputEvent::Key { code, down } => keyboard.key(code, down),
            InputEvent::Motion { dx, dy } => mouse.motion(dx, dy, 0),
            InputEvent::Wheel(steps) => mouse.motion(0, 0, steps),
            InputEvent::Button { button, down } => mouse.button(button, down),
        }
        self.settle(&mut inner, Edge::Keep);
    }

    fn pending(&self) -> usize {
        self.lock().controller.pending()
    }

    fn leds(&self) -> Leds {
        self.lock().controller.keyboard.leds()
    }

    fn watch_leds(&self, listener: Arc<dyn LedListener>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
    }
}

impl Lifecycle for I8042 {
    fn pause(&self) {
        self.lock().paused = true;
    }

    fn resume(&self) {
        let mut inner = self.lock();
        inner.paused = false;
        self.settle(&mut inner, Edge::Keep);
    }

    fn reset(&self) {
        let mut inner = self.lock();
        let before = inner.controller.keyboard.leds();
        inner.controller = Controller::default();
        self.args.keyboard.set(false);
        self.args.mouse.set(false);
        drop(inner);
        if before != Leds::default() {
            self.tell_leds(Leds::default());
        }
    }
}

impl Migratable for I8042 {
    type State = Controller;
    type Args = I8042Args;
    const KIND: &'static str = KIND;
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> Controller {
        self.lock().controller.clone()
    }

    fn restore(args: I8042Args, state: Controller) -> Result<Self, StateError> {
        state.check()?;
        // The levels are old news for the guest; told later, they would look like other interrupts.
        let (keyboard, mouse) = state.interrupts();
        args.keyboard.set(keyboard);
        args.mouse.set(mouse);
        Ok(Self::with(state, args, true))
    }
}
