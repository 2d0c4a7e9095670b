//! What a client holds down, and where it has the pointer.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use caraway_ports::input::{Button, InputEvent, InputSink, Scancode};
use caraway_protocol::inputs::{KeyModifiers, MouseButton};

use super::LOCKS;
use crate::agent::{AgentHub, AgentMouse};

/// The hands of a client on keyboard and mouse. When they are dropped, nothing is held any more.
pub(crate) struct Hands(Mutex<State>);

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").finish_non_exhaustive()
    }
}

impl Hands {
    pub(crate) fn new(sink: &Arc<dyn InputSink>, agent: &Arc<AgentHub>) -> Self {
        Self(Mutex::new(State {
            held: Held {
                sink: Arc::clone(sink),
                keys: BTreeSet::new(),
                buttons: BTreeSet::new(),
            },
            pointer: Pointer {
                agent: Arc::clone(agent),
                mouse: AgentMouse::default(),
            },
        }))
    }

    /// Whether they hold something.
    pub(crate) fn hold(&self) -> bool {
        let State { held, pointer } = &*self.lock();
        !held.keys.is_empty() || !held.buttons.is_empty() || pointer.mouse.buttons != 0
    }

    /// Let go of everything.
    pub(crate) fn let_go(&self) {
        self.lock().let_go();
    }

    pub(super) fn key(&self, code: Scancode, down: bool) {
        self.lock().held.key(code, down);
    }

    /// Taps the lock keys whose lights differ from what the client wants.
    pub(super) fn set_locks(&self, wanted: KeyModifiers) {
        self.lock().held.set_locks(wanted);
    }

    /// Where the pointer is now. Places have no meaning in server mode.
    pub(super) fn moved(&self, x: u32, y: u32, display: u8) {
        self.lock().pointer.moved(x, y, display);
    }

    /// The mouse has moved. That has no meaning in client mode.
    pub(super) fn motion(&self, dx: i32, dy: i32) {
        let State { held, pointer } = &*self.lock();
        if !pointer.agent.is_client_mode() {
            held.sink.send(InputEvent::Motion { dx, dy });
        }
    }

    pub(super) fn button(&self, button: MouseButton, down: bool) {
        let State { held, pointer } = &mut *self.lock();
        let is_mouses = pointer.button(button, down).is_none();
        // What went down in server mode comes up, too.
        if is_mouses || (!down && !held.buttons.is_empty()) {
            held.button(button, down);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    held: Held,
    pointer: Pointer,
}

impl State {
    fn let_go(&mut self) {
        self.held.let_go();
        self.pointer.let_go();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Keys, and buttons in server mode.
struct Held {
    sink: Arc<dyn InputSink>,
    keys: BTreeSet<Scancode>,
    buttons: BTreeSet<Button>,
}

impl Held {
    fn key(&mut self, code: Scancode, down: bool) {
        if down {
            self.keys.insert(code);
        } else {
            self.keys.remove(&code);
        }
        self.sink.send(InputEvent::Key { code, down });
    }

    fn button(&mut self, button: MouseButton, down: bool) {
        let button = match button {
            MouseButton::Left => Button::Left,
            MouseButton::Middle => Button::Middle,
            MouseButton::Right => Button::Right,
            MouseButton::Side => Button::Side,
            MouseButton::Extra => Button::Extra,
            // A wheel step is a press and a release; the press counts.
            MouseButton::Up if down => return self.sink.send(InputEvent::Wheel(-1)),
            MouseButton::Down if down => return self.sink.send(InputEvent::Wheel(1)),
            _ => return,
        };
        if down {
            self.buttons.insert(button);
        } else {
            self.buttons.remove(&button);
        }
        self.sink.send(InputEvent::Button { button, down });
    }

    fn set_locks(&self, wanted: KeyModifiers) {
        let leds = self.sink.leds();
        let lights = [
            (KeyModifiers::SCROLL_LOCK, leds.scroll),
            (KeyModifiers::NUM_LOCK, leds.num),
            (KeyModifiers::CAPS_LOCK, leds.caps),
        ];
        for (code, (bit, on)) in LOCKS.into_iter().zip(lights) {
            if wanted.contains(bit) != on && !self.keys.contains(&code) {
                self.sink.send(InputEvent::Key { code, down: true });
                self.sink.send(InputEvent::Key { code, down: false });
            }
        }
    }

    fn let_go(&mut self) {
        for code in std::mem::take(&mut self.keys) {
            self.sink.send(InputEvent::Key { code, down: false });
        }
        for button in std::mem::take(&mut self.buttons) {
            self.sink.send(InputEvent::Button { button, down: false });
        }
    }
}

/// The pointer as this client moves it, in client mode.
struct Pointer {
    agent: Arc<AgentHub>,
    mouse: AgentMouse,
}

impl Pointer {
    fn moved(&mut self, x: u32, y: u32, display: u8) {
        (self.mouse.x, self.mouse.y, self.mouse.display) = (x, y, display);
        let _ = self.agent.point(&self.mouse);
    }

    /// A button goes down or up. `None` in server mode, where it is the mouse's.
    fn button(&mut self, button: MouseButton, down: bool) -> Option<()> {
        let bit = AgentMouse::bit(button);
        let is_wheel = matches!(button, MouseButton::Up | MouseButton::Down);
        if is_wheel && down {
            // A step is a press and a release; the press counts.
            let buttons = self.mouse.buttons | bit;
            self.agent.point(&AgentMouse { buttons, ..self.mouse })?;
        } else if down {
            self.mouse.buttons |= bit;
        } else {
            self.mouse.buttons &= !bit;
        }
        self.agent.point(&self.mouse)
    }

    fn let_go(&mut self) {
        if self.mouse.buttons != 0 {
            self.mouse.buttons = 0;
            let _ = self.agent.point(&self.mouse);
        }
    }
}
