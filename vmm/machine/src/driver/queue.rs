//! The driver's one queue, with an eventfd so that it can wait for signals and the queue at once.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use caraway_base::bus::Outcome;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::{Answer, Command, CommandError, HoldJob, SaveJob, Subscriber};
use crate::vcpu::Report;

/// Requests that may wait. Reports of vCPUs do not count: each vCPU has at most one that stops it.
const MOST_REQUESTS: usize = 1024;

pub(crate) enum Message {
    Command(Command, Answer),
    Save(SaveJob),
    Hold(HoldJob),
    Subscribe(Subscriber),
    Report(Report),
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    closed: bool,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    event: EventFd,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::new(Waiting::default()),
            event: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?,
        })
    }

    /// Readable while something waits.
    pub(crate) fn event(&self) -> &EventFd {
        &self.event
    }

    pub(crate) fn push(&self, message: Message) -> Result<(), (CommandError, Message)> {
        {
            let mut waiting = self.lock();
            if waiting.closed {
                return Err((CommandError::Gone, message));
            }
            match &message {
                // A guest may report its panic as often as it likes.
                Message::Report(Report::Outcome(Outcome::GuestPanicked)) if waiting.messages.iter().any(is_panic) => {
                    return Ok(());
                }
                Message::Report(_) => {}
                Message::Command(..) | Message::Save(_) | Message::Hold(_) | Message::Subscribe(_)
                    if waiting.messages.len() >= MOST_REQUESTS =>
                {
                    return Err((CommandError::Busy, message));
                }
                Message::Command(..) | Message::Save(_) | Message::Hold(_) | Message::Subscribe(_) => {}
            }
            waiting.messages.push_back(message);
        }
        // Only a counter at its limit refuses, and then the event is signalled already.
        self.event.write(1).ok();
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<Message> {
        let mut waiting = self.lock();
        let message = waiting.messages.pop_front();
        if waiting.messages.is_empty() {
            // Empty already: fine.
            self.event.read().ok();
        }
        message
    }

    /// Takes the subscriptions out, whatever waits before them.
    pub(crate) fn take_subscribers(&self) -> Vec<Subscriber> {
        let mut waiting = self.lock();
        let (subscriptions, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut waiting.messages)
            .into_iter()
            .partition(|message| matches!(message, Message::Subscribe(_)));
        waiting.messages = rest;
        subscriptions
            .into_iter()
            .filter_map(|message| match message {
                Message::Subscribe(subscriber) => Some(subscriber),
                Message::Command(..) | Message::Save(_) | Message::Hold(_) | Message::Report(_) => None,
            })
            .collect()
    }

    /// Takes the oldest report out, whatever waits before it.
    pub(crate) fn take_report(&self) -> Option<Report> {
        let mut waiting = self.lock();
        let index = waiting
            .messages
            .iter()
            .position(|message| matches!(message, Message::Report(_)))?;
        match waiting.messages.remove(index) {
            Some(Message::Report(report)) => Some(report),
            _ => None,
        }
    }

    /// Forgets what vCPUs reported: it belongs to the time before a reset.
    pub(crate) fn drop_reports(&self) {
        self.lock()
            .messages
            .retain(|message| !matches!(message, Message::Report(_)));
    }

    /// Takes no more, and hands out what waits.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let mut waiting = self.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_panic(message: &Message) -> bool {
    matches!(message, Message::Report(Report::Outcome(Outcome::GuestPanicked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_and_reports_are_not_lost() {
        let queue = Queue::new().unwrap();
        for _ in 0..MOST_REQUESTS {
            assert!(queue.push(Message::Command(Command::Status, Box::new(|_| ()))).is_ok());
        }
        assert!(matches!(
            queue.push(Message::Command(Command::Status, Box::new(|_| ()))),
            Err((CommandError::Busy, _))
        ));
        assert!(queue.push(Message::Report(Report::TripleFault { cpu: 0 })).is_ok());
        for _ in 0..100_000 {
            assert!(
                queue
                    .push(Message::Report(Report::Outcome(Outcome::GuestPanicked)))
                    .is_ok()
            );
        }
        assert_eq!(queue.close().len(), MOST_REQUESTS + 2);
        assert!(matches!(
            queue.push(Message::Command(Command::Status, Box::new(|_| ()))),
            Err((CommandError::Gone, _))
        ));
    }

    #[test]
    fn the_event_is_readable_while_something_waits() {
        let queue = Queue::new().unwrap();
        queue.push(Message::Report(Report::TripleFault { cpu: 0 })).ok();
        queue.push(Message::Report(Report::TripleFault { cpu: 1 })).ok();
        assert!(queue.pop().is_some());
        assert!(queue.event.read().is_ok());
        assert!(queue.pop().is_some());
        assert!(queue.event.read().is_err());
    }
}
