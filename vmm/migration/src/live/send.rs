//! The source at work.

use std::time::{Duration, Instant};

use caraway_base::{
    memory::{MemoryFile, PAGE_SIZE},
    state::Record,
};

use super::{
    Control, Extra, Hello, Link, LiveError, Phase, Source, SourceAction, SourceInput,
    copy::{Pace, PageSet, send_pages},
    link::refused,
    message::{Complete, encode},
    record::Kind,
};

/// What becomes of a machine that is held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// It goes on as it was.
    GoOn,
    /// It is held still until a person lets it go on.
    Stay,
    /// It runs somewhere else, and ends here.
    Gone,
}

/// The machine that moves. One thread calls this.
pub trait LiveMachine {
    /// The machine held still.
    type Held: Held;

    /// Begins to keep a log of the pages that are written from now on.
    ///
    /// # Errors
    /// When the host refuses.
    fn start_log(&self) -> Result<(), LiveError>;

    /// Pages written since the last call, a bit for each page, of every memory in order.
    ///
    /// # Errors
    /// When the host refuses.
    fn take_log(&self) -> Result<Vec<Vec<u64>>, LiveError>;

    /// Keeps no log any more.
    fn stop_log(&self);

    /// Holds the machine still. From then on nothing that is done to it from outside may be lost: it goes with
    /// [`Held::hand_over`], or is refused.
    ///
    /// # Errors
    /// When the machine has ended or cannot be saved; it goes on then, if it can.
    fn hold(&self) -> Result<Self::Held, LiveError>;
}

/// A machine that is held still. One that is dropped goes on, or stays when it was handed over.
pub trait Held {
    /// The records of all devices.
    fn take_records(&mut self) -> Vec<Record>;

    /// Whether the guest was paused before.
    fn was_paused(&self) -> bool;

    /// Since when it stands still.
    fn since(&self) -> Instant;

    /// It is being handed over: from now on it does not go on by itself. What was done to it from outside since it was
    /// held still, to be done to it where it runs.
    fn hand_over(&mut self) -> Vec<Extra>;

    /// What becomes of it.
    fn end(self, onward: Onward);
}

/// How it ended.
#[derive(Debug)]
pub enum Outcome {
    /// The machine runs on the destination.
    Moved,
    /// It stays, and goes on as it was.
    Kept(LiveError),
    /// It was handed over, and nobody said that it runs; it is held still here.
    Unknown(LiveError),
}

/// Moves a machine to the other end of a link. Its memories are those of `hello`, in that order.
pub fn send<M: LiveMachine>(
    link: Link,
    machine: &M,
    hello: &Hello,
    memories: &[MemoryFile],
    control: &Control,
) -> Outcome {
    let mut sending = Sending {
        link,
        machine,
        hello,
        memories,
        control,
        held: None,
        logging: false,
        error: None,
    };
    let mut state = Source::Greeting;
    let mut action = SourceAction::Greet;
    loop {
        let input = match sending.perform(action) {
            Ok(Some(input)) => input,
            Ok(None) => break,
            Err(error) => {
                let error = sending.link.reason(error);
                let input = error.to_source();
                sending.error = Some(error);
                input
            }
        };
        (state, action) = state.step(input);
    }
    sending.outcome(state)
}

struct Sending<'a, M: LiveMachine> {
    link: Link,
    machine: &'a M,
    hello: &'a Hello,
    memories: &'a [MemoryFile],
    control: &'a Control,
    held: Option<M::Held>,
    logging: bool,
    /// What went wrong last.
    error: Option<LiveError>,
}

impl<M: LiveMachine> Sending<'_, M> {
    /// Does one thing; what that led to, or `None` when it was the last one.
    fn perform(&mut self, action: SourceAction) -> Result<Option<SourceInput>, LiveError> {
        match action {
            SourceAction::Greet => {
                self.greet()?;
                Ok(Some(SourceInput::Accepted))
            }
            SourceAction::Copy => {
                self.copy()?;
                Ok(Some(SourceInput::Converged))
            }
            SourceAction::Hold => {
                self.control.enter(Phase::Device);
                self.held = Some(self.machine.hold()?);
                Ok(Some(SourceInput::Held))
            }
            SourceAction::SendRest => {
                self.send_rest()?;
                Ok(Some(SourceInput::Sent))
            }
            SourceAction::AwaitReady => {
                self.await_ready()?;
                Ok(Some(SourceInput::Ready))
            }
            SourceAction::HandOver => {
                self.hand_over()?;
                Ok(Some(SourceInput::Running))
            }
            SourceAction::Leave => {
                if let Some(held) = self.held.take() {
                    let downtime = held.since().elapsed();
                    self.control.count(|figures| figures.downtime = Some(downtime));
                    held.end(Onward::Gone);
                }
                Ok(None)
            }
            SourceAction::Cancel => {
                // First: nobody has to wait for the other side to hear of it.
                self.go_on();
                self.link.say_last(Kind::Cancel, &[]);
                Ok(None)
            }
            SourceAction::GoOn => {
                self.go_on();
                Ok(None)
            }
            SourceAction::Stay => {
                if let Some(held) = self.held.take() {
                    held.end(Onward::Stay);
                }
                Ok(None)
            }
            SourceAction::Nothing => Ok(None),
        }
    }

    fn greet(&mut self) -> Result<(), LiveError> {
        let began = Instant::now();
        self.link.greet()?;
        self.link.send(Kind::Hello, &[&encode("the machine", self.hello)?])?;
        self.link.hear_greeting()?;
        self.expect(Kind::Accept)?;
        let total = self.memories.iter().map(MemoryFile::size).sum();
        self.control.count(|figures| {
            figures.total = total;
            figures.setup = began.elapsed();
        });
        Ok(())
    }

    /// Rounds: all that is used, then what was written meanwhile, until little is left.
    fn copy(&mut self) -> Result<(), LiveError> {
        self.control.enter(Phase::Active);
        self.logging = true;
        self.machine.start_log()?;
        let mut pages = self.memories.iter().map(PageSet::used).collect::<Result<Vec<_>, _>>()?;
        let mut first = true;
        loop {
            let (began, before) = (Instant::now(), self.link.written());
            self.begin_round(&pages);
            let mut pace = Pace::new();
            self.send_round(&pages, first, Some(&mut pace))?;
            first = false;
            pages = self.dirty()?;
            let sent = self.link.written() - before;
            if self.is_little(&pages, sent, began.elapsed()) {
                // It goes while the guest still runs, which writes to few of these pages again.
                return self.send_round(&pages, false, None);
            }
        }
    }

    fn begin_round(&self, pages: &[PageSet]) {
        let remaining = pages.iter().map(PageSet::count).sum::<u64>() * PAGE_SIZE;
        self.control.count(|figures| {
            figures.rounds += 1;
            figures.remaining = remaining;
        });
    }

    fn send_round(&mut self, pages: &[PageSet], first: bool, mut pace: Option<&mut Pace>) -> Result<(), LiveError> {
        for (index, (memory, pages)) in self.memories.iter().zip(pages).enumerate() {
            // A destination that has given up says so; nothing else is to come.
            if self.link.has_word()? {
                self.expect(Kind::Refused)?;
            }
            send_pages(
                &mut self.link,
                self.control,
                (index, memory),
                pages,
                first,
                pace.as_deref_mut(),
            )?;
        }
        Ok(())
    }

    fn dirty(&self) -> Result<Vec<PageSet>, LiveError> {
        let logs = self.machine.take_log()?;
        if logs.len() != self.memories.len() {
            let text = format!("{} logs of {} memories", logs.len(), self.memories.len());
            return Err(LiveError::Machine(text));
        }
        let sets = logs.into_iter().zip(self.memories);
        Ok(sets.map(|(log, memory)| PageSet::new(log, memory.size())).collect())
    }

    /// Whether what is left goes within the downtime that is allowed, at the speed of the last round.
    fn is_little(&self, pages: &[PageSet], sent: u64, took: Duration) -> bool {
        let left = pages.iter().map(PageSet::count).sum::<u64>();
        let seconds = took.as_secs_f64().max(1e-6);
        // A round of few pages says little about the speed of the connection.
        let bandwidth = (sent as f64 / seconds).max(f64::from(1 << 20));
        let expected = Duration::try_from_secs_f64((left * PAGE_SIZE) as f64 / bandwidth).unwrap_or(Duration::MAX);
        self.control.count(|figures| {
            figures.remaining = left * PAGE_SIZE;
            figures.dirty_rate = (left as f64 / seconds) as u64;
            figures.bandwidth = bandwidth as u64;
            figures.downtime = Some(expected);
        });
        expected <= self.control.parameters().downtime_limit
    }

    fn send_rest(&mut self) -> Result<(), LiveError> {
        let pages = self.dirty()?;
        self.begin_round(&pages);
        self.send_round(&pages, false, None)?;
        let Some(held) = &mut self.held else {
            return Err(LiveError::Machine("the machine is not held still".to_owned()));
        };
        let complete = Complete {
            paused: held.was_paused(),
            records: held.take_records(),
        };
        self.link.send(Kind::Complete, &[&encode("the state", &complete)?])
    }

    /// Waits until the destination has loaded everything, and that is all that was sent.
    fn await_ready(&mut self) -> Result<(), LiveError> {
        let payload = self.expect(Kind::Ready)?;
        let count = payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if count != self.link.sent() {
            let reason = format!("{} were sent", self.link.sent());
            return Err(LiveError::invalid("records", &count, reason));
        }
        if self.control.commit() {
            Ok(())
        } else {
            Err(LiveError::Cancelled)
        }
    }

    fn hand_over(&mut self) -> Result<(), LiveError> {
        self.link.cannot_be_stopped();
        let extras = self.held.as_mut().map(Held::hand_over).unwrap_or_default();
        self.link.send(Kind::Go, &[&encode("what was done", &extras)?])?;
        self.expect(Kind::Running).map(drop)
    }

    /// The next record, which has to be of this kind.
    fn expect(&mut self, kind: Kind) -> Result<Vec<u8>, LiveError> {
        let received = self.link.receive()?;
        match received.kind {
            Kind::Refused => Err(refused(&received.payload)),
            found if found == kind => Ok(received.payload),
            found => Err(LiveError::invalid(
                "kind",
                &format!("{found:?}"),
                format!("{kind:?} was to come"),
            )),
        }
    }

    fn go_on(&mut self) {
        self.stop_log();
        if let Some(held) = self.held.take() {
            held.end(Onward::GoOn);
        }
    }

    fn stop_log(&mut self) {
        if std::mem::replace(&mut self.logging, false) {
            self.machine.stop_log();
        }
    }

    fn outcome(mut self, state: Source) -> Outcome {
        self.stop_log();
        let error = self.error.take().unwrap_or(LiveError::Ended);
        match state {
            Source::Moved => Outcome::Moved,
            Source::Unknown | Source::HandedOver => Outcome::Unknown(error),
            _ => Outcome::Kept(error),
        }
    }
}
