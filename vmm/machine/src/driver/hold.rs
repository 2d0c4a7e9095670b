//! Holding the machine still while another thread decides what becomes of it.

use std::sync::mpsc;

use super::{CommandError, Event, Message, Queue, RunState, Saved, state::Driver};
use crate::Ending;

/// What becomes of a machine that was held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// It goes on as it was.
    GoOn,
    /// It stands still until [`crate::Command::Resume`].
    Stay,
    /// It runs somewhere else, and ends here.
    Gone,
}

/// Waits on the driver's thread for the decision.
pub(crate) type HoldJob = Box<dyn FnOnce(Result<Saved, CommandError>) -> Onward + Send>;

/// A machine that is held still. Dropped without a decision, it goes on; after [`HeldMachine::hand_over`] it stays.
#[derive(Debug)]
pub struct HeldMachine {
    /// Its state.
    pub saved: Saved,
    decision: Option<mpsc::Sender<Onward>>,
    otherwise: Onward,
}

impl HeldMachine {
    /// From now on it does not go on by itself.
    pub fn hand_over(&mut self) {
        self.otherwise = Onward::Stay;
    }

    /// What becomes of it.
    pub fn end(mut self, onward: Onward) {
        self.otherwise = onward;
    }
}

impl Drop for HeldMachine {
    fn drop(&mut self) {
        if let Some(decision) = self.decision.take() {
            // The driver waits for it; it cannot be gone.
            decision.send(self.otherwise).ok();
        }
    }
}

pub(super) fn hold(queue: &Queue) -> Result<HeldMachine, CommandError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (decision, decided) = mpsc::channel();
    let job: HoldJob = Box::new(move |saved| {
        let held = saved.is_ok();
        // The receiver waits below; it cannot be gone.
        let sent = sender.send(saved).is_ok();
        if held && sent {
            decided.recv().unwrap_or(Onward::GoOn)
        } else {
            Onward::GoOn
        }
    });
    queue.push(Message::Hold(job)).map_err(|(error, _)| error)?;
    let saved = receiver.recv().unwrap_or(Err(CommandError::Gone))?;
    Ok(HeldMachine {
        saved,
        decision: Some(decision),
        otherwise: Onward::GoOn,
    })
}

impl Driver {
    /// Hands the machine's state out and waits for the decision. Commands wait as well.
    pub(super) fn hold_for(&mut self, job: HoldJob) {
        let (was_held, running) = (self.held, self.state == RunState::Running);
        let saved = self.come_to_rest_and_save();
        let stopped = !was_held && running && saved.is_ok();
        if stopped {
            self.tell(Event::Stopped);
        }
        match job(saved) {
            Onward::GoOn => {
                if self.ending.is_none() && !was_held {
                    self.go_on();
                }
                if stopped {
                    self.tell(Event::Resumed);
                }
            }
            Onward::Stay => self.state = RunState::PostMigrate,
            Onward::Gone => {
                // The disks are the other side's now.
                self.parts.flushes.clear();
                self.end(Ending::Moved);
            }
        }
    }
}
