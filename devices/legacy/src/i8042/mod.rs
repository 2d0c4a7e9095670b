//! The i8042 keyboard controller (ports 0x60 and 0x64) with a PS/2 keyboard and mouse.

mod controller;
mod keyboard;
mod keys;
mod mouse;
mod scancodes;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::IrqLine,
    lifecycle::Lifecycle,
    state::{Migratable, StateError},
};
use caraway_ports::input::{InputEvent, InputSink, LedListener, Leds};

pub use controller::Controller;

use crate::clock::MonotonicClock;

/// Data port, the first of the block.
pub const I8042_PORT: u16 = 0x60;
/// Ports from the data port to the command port. Those between belong to others.
pub const I8042_LENGTH: u16 = 5;
/// Status and command port.
pub const I8042_COMMAND_PORT: u16 = 0x64;
/// Keyboard interrupt.
pub const KEYBOARD_IRQ: u32 = 1;
/// Mouse interrupt.
pub const MOUSE_IRQ: u32 = 12;

const KIND: &str = "i8042";
const DATA: u64 = 0;
const COMMAND: u64 = 4;
/// A guest that has not read a waiting key for so long finds no more than a real keyboard would hold.
const STALE: Duration = Duration::from_secs(1);

/// What the controller is connected to.
#[derive(Clone)]
pub struct I8042Args {
    /// [`KEYBOARD_IRQ`].
    pub keyboard: Arc<dyn IrqLine>,
    /// [`MOUSE_IRQ`].
    pub mouse: Arc<dyn IrqLine>,
    /// Tells how long keys have been waiting.
    pub clock: Arc<dyn MonotonicClock>,
}

impl std::fmt::Debug for I8042Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("I8042Args").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Inner {
    controller: Controller,
    /// When the guest last read data, or the first event came to wait.
    waiting_since: Duration,
}

/// Controller, keyboard and mouse. Offset 0 of the block is the data port, offset 4 the command port.
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

impl I8042 {
    /// As firmware leaves it; neither device sends anything until the guest asks for it.
    #[must_use]
    pub fn new(args: I8042Args) -> Self {
        Self::with(Controller::default(), args)
    }

    fn with(controller: Controller, args: I8042Args) -> Self {
        let inner = Inner {
            controller,
            waiting_since: args.clock.now(),
        };
        Self {
            inner: Mutex::new(inner),
            args,
            listeners: Mutex::default(),
        }
    }

    /// Fills the output buffer and drives the interrupt lines. They are edges to a PC's interrupt controllers, so
    /// `drop_first` takes them down in between when the byte in the buffer is another one than before.
    fn settle(&self, inner: &mut Inner, drop_first: bool) {
        inner.controller.fill();
        if drop_first {
            self.args.keyboard.set(false);
            self.args.mouse.set(false);
        }
        let (keyboard, mouse) = inner.controller.interrupts();
        self.args.keyboard.set(keyboard);
        self.args.mouse.set(mouse);
    }

    fn forget_stale(&self, inner: &mut Inner) {
        if inner.controller.pending() > 0 && self.args.clock.now().saturating_sub(inner.waiting_since) > STALE {
            inner.controller.keyboard.forget_stale();
        }
    }

    fn read_data(&self) -> u8 {
        let mut inner = self.lock();
        self.forget_stale(&mut inner);
        let value = inner.controller.read_data();
        inner.waiting_since = self.args.clock.now();
        self.settle(&mut inner, true);
        value
    }

    fn read_status(&self) -> u8 {
        let mut inner = self.lock();
        self.forget_stale(&mut inner);
        inner.controller.status()
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

impl BusDevice for I8042 {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            match offset {
                DATA => *byte = self.read_data(),
                COMMAND => *byte = self.read_status(),
                _ => {}
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        let Some(byte) = data.first() else { return Outcome::Done };
        let mut inner = self.lock();
        let before = inner.controller.keyboard.leds();
        let outcome = match offset {
            DATA => inner.controller.write_data(*byte),
            COMMAND => inner.controller.command(*byte),
            _ => return Outcome::Done,
        };
        self.settle(&mut inner, false);
        let leds = inner.controller.keyboard.leds();
        drop(inner);
        if leds != before {
            self.tell_leds(leds);
        }
        outcome
    }
}

impl InputSink for I8042 {
    fn send(&self, event: InputEvent) {
        let mut inner = self.lock();
        let idle = inner.controller.pending() == 0;
        let Controller { keyboard, mouse, .. } = &mut inner.controller;
        match event {
            InputEvent::Key { code, down } => keyboard.key(code, down),
            InputEvent::Motion { dx, dy } => mouse.motion(dx, dy, 0),
            InputEvent::Wheel(steps) => mouse.motion(0, 0, steps),
            InputEvent::Button { button, down } => mouse.button(button, down),
        }
        if idle {
            inner.waiting_since = self.args.clock.now();
        }
        self.settle(&mut inner, false);
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
    fn pause(&self) {}

    fn resume(&self) {}

    fn reset(&self) {
        let mut inner = self.lock();
        let before = inner.controller.keyboard.leds();
        inner.controller = Controller::default();
        inner.waiting_since = self.args.clock.now();
        self.settle(&mut inner, false);
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
        let device = Self::with(state, args);
        device.settle(&mut device.lock(), false);
        Ok(device)
    }
}
