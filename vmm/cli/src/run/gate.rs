//! What people type and point at while the machine moves: kept, and done to the machine where it goes on, once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use caraway_migration::live::Extra;
use caraway_ports::{
    input::{Button, InputEvent, InputSink, LedListener, Leds, Scancode},
    tablet::{TabletEvent, TabletListener, TabletSink},
};

/// Events that are kept while the machine stands still. Of more, those that come last are lost.
const MOST_KEPT: usize = 4096;

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    Input(InputEvent),
    Tablet(Vec<TabletEvent>),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// All goes to the machine.
    Open,
    /// The machine stands still and its state is being taken: what is done now waits.
    Closed,
    /// The machine was handed over with what waited.
    Gone,
}

struct Inner {
    state: State,
    kept: Vec<Done>,
    /// Keys that are down. A person may let them go when the machine is somewhere else.
    down: BTreeSet<Scancode>,
}

/// Keyboard, mouse and tablet of a machine that may move.
pub(super) struct Gate {
    input: Arc<dyn InputSink>,
    tablet: Option<Arc<dyn TabletSink>>,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    pub(super) fn new(input: Arc<dyn InputSink>, tablet: Option<Arc<dyn TabletSink>>) -> Arc<Self> {
        Arc::new(Self {
            input,
            tablet,
            inner: Mutex::new(Inner {
                state: State::Open,
                kept: Vec::new(),
                down: BTreeSet::new(),
            }),
        })
    }

    /// From now on what is done waits. To be called before the devices are saved.
    pub(super) fn close(&self) {
        self.lock().state = State::Closed;
    }

    /// The machine goes on here: what has waited is done to it.
    pub(super) fn open(&self) {
        let mut inner = self.lock();
        inner.state = State::Open;
        for done in std::mem::take(&mut inner.kept) {
            self.deliver(&done);
        }
    }

    /// The machine is handed over: what goes with it, keys that are let go included.
    pub(super) fn hand_over(&self) -> Vec<Extra> {
        let mut inner = self.lock();
        inner.state = State::Gone;
        let releases = inner.down.iter().map(|code| {
            Done::Input(InputEvent::Key {
                code: *code,
                down: false,
            })
        });
        // What waited stays here, too: the machine may come back.
        inner.kept.iter().cloned().chain(releases).flat_map(extras).collect()
    }

    /// Whether the machine was handed over.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().state == State::Gone
    }

    /// Does what came with a machine.
    pub(super) fn take_over(&self, extras: &[Extra]) {
        for done in done(extras) {
            self.deliver(&done);
        }
    }

    fn deliver(&self, done: &Done) {
        match (done, &self.tablet) {
            (Done::Input(event), _) => self.input.send(*event),
            (Done::Tablet(events), Some(tablet)) => tablet.send(events),
            (Done::Tablet(_), None) => {}
        }
    }

    fn pass(&self, done: Done) {
        let mut inner = self.lock();
        if let Done::Input(InputEvent::Key { code, down }) = done {
            if down {
                inner.down.insert(code);
            } else {
                inner.down.remove(&code);
            }
        }
        match inner.state {
            // Under the lock: what was passed before `close` returns is in the device by then.
            State::Open => self.deliver(&done),
            State::Closed if inner.kept.len() < MOST_KEPT => inner.kept.push(done),
            State::Closed | State::Gone => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every field is whole between two statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InputSink for Gate {
    fn send(&self, event: InputEvent) {
        self.pass(Done::Input(event));
    }

    fn pending(&self) -> usize {
        self.input.pending() + self.lock().kept.len()
    }

    fn leds(&self) -> Leds {
        self.input.leds()
    }

    fn watch_leds(&self, listener: Arc<dyn LedListener>) {
        self.input.watch_leds(listener);
    }
}

impl TabletSink for Gate {
    fn is_present(&self) -> bool {
        self.tablet.as_ref().is_some_and(|tablet| tablet.is_present())
    }

    fn send(&self, events: &[TabletEvent]) {
        self.pass(Done::Tablet(events.to_vec()));
    }

    fn watch_presence(&self, listener: Arc<dyn TabletListener>) {
        if let Some(tablet) = &self.tablet {
            tablet.watch_presence(listener);
        }
    }
}

const BUTTONS: [Button; 5] = [Button::Left, Button::Middle, Button::Right, Button::Side, Button::Extra];

fn button_number(button: Button) -> i32 {
    let index = BUTTONS.iter().position(|known| *known == button);
    index.and_then(|index| i32::try_from(index).ok()).unwrap_or(0)
}

fn button_of(number: i32) -> Option<Button> {
    BUTTONS.get(usize::try_from(number).ok()?).copied()
}

/// As it goes over the connection: what it is, and two numbers.
fn extras(done: Done) -> Vec<Extra> {
    match done {
        Done::Input(event) => vec![match event {
            InputEvent::Key { code, down } => match code {
                Scancode::Plain(code) => (0, code.into(), down.into()),
                Scancode::Extended(code) => (1, code.into(), down.into()),
                Scancode::Pause => (2, 0, down.into()),
            },
            InputEvent::Motion { dx, dy } => (3, dx, dy),
            InputEvent::Button { button, down } => (4, button_number(button), down.into()),
            InputEvent::Wheel(steps) => (5, steps, 0),
        }],
        Done::Tablet(events) => {
            let mut extras: Vec<_> = events
                .into_iter()
                .map(|event| match event {
                    TabletEvent::X(at) => (6, at.into(), 0),
                    TabletEvent::Y(at) => (7, at.into(), 0),
                    TabletEvent::Button { button, down } => (8, button_number(button), down.into()),
                    TabletEvent::Wheel(steps) => (9, steps, 0),
                })
                .collect();
            extras.push((10, 0, 0));
            extras
        }
    }
}

/// The other way round. What cannot be is left out: it comes from another process.
fn done(extras: &[Extra]) -> Vec<Done> {
    let mut all = Vec::new();
    let mut report = Vec::new();
    for &(what, first, second) in extras {
        let down = second != 0;
        let code = u8::try_from(first).ok().filter(|code| (1..=0x7f).contains(code));
        let place = u16::try_from(first)
            .ok()
            .filter(|at| *at <= caraway_ports::tablet::FARTHEST);
        let key = |code: Option<Scancode>| code.map(|code| InputEvent::Key { code, down });
        let input = match what {
            0 => key(code.map(Scancode::Plain)),
            1 => key(code.map(Scancode::Extended)),
            2 => key(Some(Scancode::Pause)),
            3 => Some(InputEvent::Motion { dx: first, dy: second }),
            4 => button_of(first).map(|button| InputEvent::Button { button, down }),
            5 => Some(InputEvent::Wheel(first)),
            _ => None,
        };
        all.extend(input.map(Done::Input));
        match what {
            6 => report.extend(place.map(TabletEvent::X)),
            7 => report.extend(place.map(TabletEvent::Y)),
            8 => report.extend(button_of(first).map(|button| TabletEvent::Button { button, down })),
            9 => report.push(TabletEvent::Wheel(first)),
            10 => all.push(Done::Tablet(std::mem::take(&mut report))),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Keyboard(Mutex<Vec<InputEvent>>);

    impl InputSink for Keyboard {
        fn send(&self, event: InputEvent) {
            self.0.lock().unwrap().push(event);
        }

        fn pending(&self) -> usize {
            0
        }

        fn leds(&self) -> Leds {
            Leds::default()
        }

        fn watch_leds(&self, _: Arc<dyn LedListener>) {}
    }

    fn key(code: u8, down: bool) -> InputEvent {
        InputEvent::Key {
            code: Scancode::Plain(code),
            down,
        }
    }

    #[test]
    fn what_is_typed_while_the_machine_stands_still_is_done_once_where_it_goes_on() {
        let keyboard = Arc::new(Keyboard::default());
        let gate = Gate::new(keyboard.clone(), None);
        InputSink::send(&*gate, key(0x1e, true));
        gate.close();
        InputSink::send(&*gate, key(0x1e, false));
        InputSink::send(&*gate, key(0x1f, true));
        assert_eq!(*keyboard.0.lock().unwrap(), [key(0x1e, true)]);
        // It stays: nothing is lost.
        gate.open();
        assert_eq!(
            *keyboard.0.lock().unwrap(),
            [key(0x1e, true), key(0x1e, false), key(0x1f, true)]
        );
        gate.close();
        InputSink::send(&*gate, InputEvent::Wheel(-3));
        let extras = gate.hand_over();
        assert!(gate.is_gone());
        InputSink::send(&*gate, key(0x20, true));
        let there = Arc::new(Keyboard::default());
        Gate::new(there.clone(), None).take_over(&extras);
        // The key that is still down is let go.
        assert_eq!(*there.0.lock().unwrap(), [InputEvent::Wheel(-3), key(0x1f, false)]);
        assert_eq!(keyboard.0.lock().unwrap().len(), 3);
    }

    #[test]
    fn every_event_survives_the_way() {
        let mut all: Vec<_> = [
            key(0x1e, true),
            InputEvent::Key {
                code: Scancode::Extended(0x4b),
                down: false,
            },
            InputEvent::Key {
                code: Scancode::Pause,
                down: true,
            },
            InputEvent::Motion { dx: -7, dy: 1 << 20 },
            InputEvent::Wheel(-1),
        ]
        .map(Done::Input)
        .to_vec();
        all.extend(BUTTONS.map(|button| Done::Input(InputEvent::Button { button, down: true })));
        all.push(Done::Tablet(vec![
            TabletEvent::X(0x7fff),
            TabletEvent::Y(0),
            TabletEvent::Button {
                button: Button::Extra,
                down: false,
            },
            TabletEvent::Wheel(2),
        ]));
        all.push(Done::Tablet(vec![TabletEvent::X(1)]));
        let way: Vec<_> = all.iter().cloned().flat_map(extras).collect();
        assert_eq!(done(&way), all);
    }

    #[test]
    fn what_cannot_be_is_left_out() {
        let nonsense = [
            (0, 0, 1),
            (0, 0x80, 1),
            (1, -1, 1),
            (4, 5, 1),
            (77, 1, 1),
            (6, 0x8000, 0),
        ];
        assert_eq!(done(&nonsense), []);
    }
}
