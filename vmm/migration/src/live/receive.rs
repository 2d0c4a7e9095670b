//! The destination at work.

use caraway_base::{
    errors::chain,
    memory::MemoryFile,
    state::{Record, Records},
};

use super::{
    CpuLeaf, Extra, Hello, Link, LiveError, Target, TargetAction, TargetInput,
    copy::take_pages,
    link::as_reason,
    message::{Complete, decode},
    record::Kind,
};
use crate::Fact;

/// The machine that is to come.
pub struct Expected<'a> {
    /// What a guest could notice of it.
    pub machine: &'a [Fact],
    /// Its memories, which have only zeros.
    pub memories: &'a [MemoryFile],
    /// Whether this host can show such a processor.
    pub check_cpu: &'a dyn Fn(&[CpuLeaf]) -> Result<(), LiveError>,
}

impl std::fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}

/// A machine whose memory and state are here, and which is still the source's. One that is dropped is refused.
#[derive(Debug)]
pub struct Arrived {
    link: Link,
    state: Target,
    records: Vec<Record>,
    paused: bool,
}

/// Takes a machine's memory and state.
///
/// # Errors
/// When another machine comes, or nonsense, or nothing more. The source is told why, and keeps its machine.
pub fn receive(mut link: Link, expected: &Expected<'_>) -> Result<Arrived, LiveError> {
    let mut state = Target::Waiting;
    let mut action = TargetAction::Hear;
    let mut memories = Vec::new();
    loop {
        let result = match action {
            TargetAction::Hear => hear(&mut link, expected).map(|ordered| {
                memories = ordered;
                TargetInput::Compatible
            }),
            TargetAction::Accept => match take_all(&mut link, &memories) {
                Ok(Complete { paused, records }) => {
                    let (state, _) = state.step(TargetInput::Complete);
                    return Ok(Arrived {
                        link,
                        state,
                        records,
                        paused,
                    });
                }
                Err(error) => Err(error),
            },
            // A machine that has not come yet is not loaded either.
            _ => Err(LiveError::Ended),
        };
        match result {
            Ok(input) => (state, action) = state.step(input),
            Err(error) => {
                let (_, last) = state.step(error.to_target());
                end(&mut link, last, &chain(&error));
                return Err(error);
            }
        }
    }
}

/// Hears which machine comes: its memories in the order of that machine.
fn hear(link: &mut Link, expected: &Expected<'_>) -> Result<Vec<MemoryFile>, LiveError> {
    link.greet()?;
    link.hear_greeting()?;
    let received = link.receive()?;
    if received.kind != Kind::Hello {
        return Err(out_of_turn(received.kind, Kind::Hello));
    }
    let hello: Hello = decode("hello", &received.payload)?;
    let here: Vec<_> = expected
        .memories
        .iter()
        .map(|memory| (memory.name(), memory.size()))
        .collect();
    hello.check(expected.machine, &here)?;
    (expected.check_cpu)(&hello.cpu)?;
    let find = |name: &str| expected.memories.iter().find(|memory| memory.name() == name).cloned();
    // All of them are there, as was just checked.
    Ok(hello.memories.iter().filter_map(|(name, _)| find(name)).collect())
}

/// Takes all memory, up to the state.
fn take_all(link: &mut Link, memories: &[MemoryFile]) -> Result<Complete, LiveError> {
    link.send(Kind::Accept, &[])?;
    loop {
        let received = link.receive()?;
        match received.kind {
            Kind::Pages | Kind::Zeros => take_pages(memories, received.kind, &received.payload)?,
            Kind::Complete => return decode("state", &received.payload),
            Kind::Cancel => return Err(LiveError::Cancelled),
            other => return Err(out_of_turn(other, Kind::Complete)),
        }
    }
}

impl Arrived {
    /// Takes the records out, to build the machine from.
    #[must_use]
    pub fn take_records(&mut self) -> Records {
        Records::new(std::mem::take(&mut self.records))
    }

    /// Whether the guest was paused, and is to wait here.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Says that the machine is built from all of it, and waits until it is handed over. When this returns, the machine is
    /// this side's and has to run: what was done to it from outside while it stood still.
    ///
    /// # Errors
    /// When the source keeps it after all.
    pub fn ready(mut self) -> Result<Vec<Extra>, LiveError> {
        let (state, action) = self.state.step(TargetInput::Loaded);
        self.state = state;
        debug_assert_eq!(action, TargetAction::SayReady);
        match self.await_word() {
            Ok(extras) => {
                let (state, action) = self.state.step(TargetInput::Go);
                self.state = state;
                if action == TargetAction::Run {
                    // The source has given the machine away, whether it hears this or not.
                    self.link.cannot_be_stopped();
                    self.link.send(Kind::Running, &[]).ok();
                }
                Ok(extras)
            }
            Err(error) => {
                self.fail(error.to_target(), &chain(&error));
                Err(error)
            }
        }
    }

    /// Says why the machine is not run here.
    pub fn refuse(mut self, reason: &str) {
        self.fail(TargetInput::Invalid, reason);
    }

    fn await_word(&mut self) -> Result<Vec<Extra>, LiveError> {
        let count = self.link.received();
        self.link.send(Kind::Ready, &[&count.to_le_bytes()])?;
        let received = self.link.receive()?;
        match received.kind {
            Kind::Go => decode("extras", &received.payload),
            Kind::Cancel => Err(LiveError::Cancelled),
            other => Err(out_of_turn(other, Kind::Go)),
        }
    }

    fn fail(&mut self, input: TargetInput, reason: &str) {
        let (state, action) = self.state.step(input);
        self.state = state;
        end(&mut self.link, action, reason);
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if !self.state.is_final() {
            self.fail(TargetInput::Invalid, "no machine could be built from it");
        }
    }
}

fn end(link: &mut Link, action: TargetAction, reason: &str) {
    if action == TargetAction::Refuse {
        link.say_last(Kind::Refused, as_reason(reason));
    }
}

fn out_of_turn(found: Kind, wanted: Kind) -> LiveError {
    LiveError::invalid("kind", &format!("{found:?}"), format!("{wanted:?} was to come"))
}
