//! The machine's tablet, as clients move it when there is no agent to do that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use caraway_display::Display;
use caraway_ports::{
    input::Button,
    tablet::{TabletEvent, TabletListener, TabletSink, place},
};
use caraway_protocol::inputs::MouseButton;

use crate::agent::AgentMouse;

/// Buttons of the inputs channel and of the machine.
const BUTTONS: [(MouseButton, Button); 5] = [
    (MouseButton::Left, Button::Left),
    (MouseButton::Middle, Button::Middle),
    (MouseButton::Right, Button::Right),
    (MouseButton::Side, Button::Side),
    (MouseButton::Extra, Button::Extra),
];

/// The tablet of a machine with one display: it covers all of that, whatever heads show.
pub(crate) struct TabletMouse {
    device: Arc<dyn TabletSink>,
    display: Arc<Display>,
    /// As the tablet was last told.
    told: Mutex<AgentMouse>,
}

impl TabletMouse {
    pub(crate) fn new(device: Arc<dyn TabletSink>, display: Arc<Display>) -> Self {
        // Nobody holds a button yet; in a restored machine the guest may believe that somebody does.
        let up = BUTTONS.map(|(_, button)| TabletEvent::Button { button, down: false });
        device.send(&up);
        Self {
            device,
            display,
            told: Mutex::default(),
        }
    }

    /// Whether the guest has a driver for it.
    pub(crate) fn is_present(&self) -> bool {
        self.device.is_present()
    }

    /// Asks to be told when that changes.
    pub(crate) fn watch(&self, listener: Arc<dyn TabletListener>) {
        self.device.watch_presence(listener);
    }

    /// Where the pointer is, which buttons are down, and which way the wheel is turned.
    pub(crate) fn point(&self, mouse: &AgentMouse) {
        let spot = self.display.locate(mouse.display.into(), mouse.x, mouse.y);
        let mut events = vec![
            TabletEvent::X(place(spot.x, spot.width)),
            TabletEvent::Y(place(spot.y, spot.height)),
        ];
        let mut told = self.lock();
        let before = std::mem::replace(&mut *told, *mouse);
        events.extend(changes(before, *mouse));
        for (button, steps) in [(MouseButton::Up, -1), (MouseButton::Down, 1)] {
            if mouse.holds(button) && !before.holds(button) {
                events.push(TabletEvent::Wheel(steps));
            }
        }
        self.device.send(&events);
    }

    /// Lets go of the buttons that are down.
    pub(crate) fn release_buttons(&self) {
        let mut told = self.lock();
        let up = AgentMouse { buttons: 0, ..*told };
        let before = std::mem::replace(&mut *told, up);
        let events: Vec<_> = changes(before, up).collect();
        if !events.is_empty() {
            self.device.send(&events);
        }
    }

    fn lock(&self) -> MutexGuard<'_, AgentMouse> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buttons that have gone down or up.
fn changes(before: AgentMouse, now: AgentMouse) -> impl Iterator<Item = TabletEvent> {
    BUTTONS.into_iter().filter_map(move |(wire, button)| {
        let down = now.holds(wire);
        (down != before.holds(wire)).then_some(TabletEvent::Button { button, down })
    })
}
