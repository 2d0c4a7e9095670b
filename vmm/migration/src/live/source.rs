//! The side a machine leaves: what it does next, without input or output.

/// Where the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// It has said which machine comes, and waits for the destination to take it.
    Greeting,
    /// It sends memory, in rounds; the guest runs.
    Copying,
    /// The machine is being held still.
    Stopping,
    /// It sends what is left of memory, and the state.
    Finishing,
    /// Everything is sent; the destination loads and checks it. The machine is held still, and still this side's.
    Asking,
    /// The destination was told to run the machine. It must never run here again unless the destination refuses.
    HandedOver,
    /// The destination runs it.
    Moved,
    /// It stayed here, and goes on as it was.
    Kept,
    /// It was handed over and nobody said that it runs. It is held still until a person decides.
    Unknown,
}

/// What happened to the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceInput {
    /// The destination takes such a machine.
    Accepted,
    /// So little is left to send that the machine may be stopped for it.
    Converged,
    /// The machine is held still.
    Held,
    /// All memory and the state were sent.
    Sent,
    /// The destination has loaded and checked everything.
    Ready,
    /// The destination runs the machine.
    Running,
    /// The destination does not take it, and will not run it.
    Refused,
    /// The connection failed, nobody answered in time, or the other side spoke out of turn.
    Lost,
    /// A person wants it to stay.
    Cancelled,
}

/// What the source does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceAction {
    /// Say which machine comes, and wait for the answer. Every migration begins so.
    Greet,
    /// Send memory until little is left.
    Copy,
    /// Hold the machine still.
    Hold,
    /// Send what is left, and the state.
    SendRest,
    /// Wait until the destination has loaded it.
    AwaitReady,
    /// Tell the destination to run the machine, and wait until it does.
    HandOver,
    /// End here: the machine is gone.
    Leave,
    /// Let the machine go on.
    GoOn,
    /// Tell the destination that nothing will come, and let the machine go on.
    Cancel,
    /// Keep the machine held still.
    Stay,
    /// Go on with what is being done.
    Nothing,
}

impl Source {
    /// The transition function: what happens in this state leads to another one and to what is done there.
    #[must_use]
    pub fn step(self, input: SourceInput) -> (Self, SourceAction) {
        use SourceAction as Do;
        use SourceInput as On;
        match (self, input) {
            (Self::Greeting, On::Accepted) => (Self::Copying, Do::Copy),
            (Self::Copying, On::Converged) => (Self::Stopping, Do::Hold),
            (Self::Stopping, On::Held) => (Self::Finishing, Do::SendRest),
            (Self::Finishing, On::Sent) => (Self::Asking, Do::AwaitReady),
            // The commit check: nothing else than this word of the destination gives the machine away.
            (Self::Asking, On::Ready) => (Self::HandedOver, Do::HandOver),
            (Self::HandedOver, On::Running) => (Self::Moved, Do::Leave),
            // A destination that refuses now has not run it and never will.
            (Self::HandedOver, On::Refused) => (Self::Kept, Do::GoOn),
            // Too late: it may be running there already.
            (Self::HandedOver, On::Cancelled) => (Self::HandedOver, Do::Nothing),
            (Self::HandedOver, _) => (Self::Unknown, Do::Stay),
            (Self::Moved | Self::Kept | Self::Unknown, _) => (self, Do::Nothing),
            // From here on the machine has not been given away: whatever goes wrong, it stays.
            (_, On::Cancelled) => (Self::Kept, Do::Cancel),
            (_, _) => (Self::Kept, Do::GoOn),
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Moved | Self::Kept | Self::Unknown)
    }
}
