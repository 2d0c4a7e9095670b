//! Whose turn it is at keyboard and mouse, where several clients may use them.
//!
//! What one types and another clicks at the same time would come to something that nobody meant: Control of one and C of
//! the other is a copy. So one of them has the turn, as long as it does something or holds something down, and what the
//! others do in the meantime is passed over. Who has only moved the pointer gives way to who presses something.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::channel::inputs::Hands;

/// A turn is over when its client has done nothing for so long: a person notices that the other one has stopped.
const REST: Duration = Duration::from_secs(1);

/// As [`REST`], while something is held down. A key that repeats and a pointer that drags say something all the time.
const REST_HOLDING: Duration = Duration::from_secs(10);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It moves the pointer.
    Move,
    /// It presses a key or a button, or turns the wheel.
    Press,
    /// It lets go of one.
    Release,
}

#[derive(Debug)]
struct Turn {
    hands: Arc<Hands>,
    last: Instant,
    /// It has pressed something.
    pressed: bool,
}

impl Turn {
    fn is_over(&self) -> bool {
        let rest = if self.hands.hold() { REST_HOLDING } else { REST };
        self.last.elapsed() >= rest
    }
}

/// The turns of a server.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Option<Turn>>);

impl Turns {
    /// Has a client do something, if it may now. It has the turn then, and who had it before holds nothing any more.
    pub(crate) fn act(&self, hands: &Arc<Hands>, act: Act, what: impl FnOnce(&Hands)) {
        let mut turn = self.lock();
        if !take(&mut turn, hands, act) {
            return;
        }
        // As long as nobody else can take the turn: it could not be let go of later.
        what(hands);
        drop(turn);
    }

    /// Has a client do what begins no turn, if it is nobody else's.
    pub(crate) fn in_passing(&self, hands: &Arc<Hands>, what: impl FnOnce(&Hands)) {
        let turn = self.lock();
        let others = |turn: &Turn| !Arc::ptr_eq(&turn.hands, hands) && !turn.is_over();
        if !turn.as_ref().is_some_and(others) {
            what(hands);
        }
        drop(turn);
    }

    /// A client has left.
    pub(crate) fn leave(&self, hands: &Arc<Hands>) {
        self.lock().take_if(|turn| Arc::ptr_eq(&turn.hands, hands));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the turn is this client's, or can be from now on.
fn take(turn: &mut Option<Turn>, hands: &Arc<Hands>, act: Act) -> bool {
    if let Some(turn) = turn {
        if Arc::ptr_eq(&turn.hands, hands) {
            turn.last = Instant::now();
            turn.pressed |= act == Act::Press;
            return true;
        }
        let gives_way = act == Act::Press && !turn.pressed && !turn.hands.hold();
        if !gives_way && !turn.is_over() {
            return false;
        }
    }
    // Of what it held in an earlier turn nothing is down.
    if act == Act::Release {
        return false;
    }
    let before = turn.replace(Turn {
        hands: Arc::clone(hands),
        last: Instant::now(),
        pressed: act == Act::Press,
    });
    if let Some(before) = before {
        before.hands.let_go();
    }
    true
}
